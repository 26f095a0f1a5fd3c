"""Table `asset`: shots and figures of the library, from the machine's tables.

Stage detect looks for each drawn character everywhere and names what is surely one. Of the rest,
unknown figures of table `figure` lie in the groups that stage cluster gave them. Tracks of regions
that stage cluster found strong enough to describe are figures more often than not: of nine such in
the sample all show one (two the character that was looked for, three another one of the cast, four
one without references or hardly to be seen). They lie in the noise bucket. Only what a person puts
into a character reaches the tables of later stages.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from bunny.character.drawn import figure_cluster
from bunny.character.drawn.figure_cluster import COVERED
from bunny.core.vector import l2_normalize
from bunny.table import scalar, store
from bunny.table.box import BOX, CROP

SHARE = ["x0", "y0", "x1", "y1"]
MAX_VIEWS = 64  # of a figure that are kept to be found again by
FRAME_S = 0.04  # length of a frame where the film does not say
OPEN = {"source": "machine", "is_approved": False, "doubt": 0.5, "comments": 0}
TABLES = (
    "film",
    "shot",
    "frame",
    "extra_frame",
    "face",
    "track",
    "region",
    "figure",
    "label",
    "cluster",
)

MIN_OBJECTNESS = figure_cluster.MIN_OBJECTNESS  # of a figure in no group, to be offered


def shot_vectors(tables: Mapping[str, pl.DataFrame], film_id: str) -> pl.DataFrame:
    """Table `shot_vector`: the unit mean of each shot's scene vectors."""
    known = (
        tables["embedding"]
        .drop_nulls("vector")
        .join(tables["frame"].select("frame_id", "shot_index"), on="frame_id")
    )
    rows = []
    for own in known.sort("shot_index", "frame_id").partition_by("shot_index", "model"):
        asset_id = shot_id(film_id, own["shot_index"][0])
        rows.append({"asset_id": asset_id, "model": own["model"][0], "vector": _mean(own)})
    return store.from_rows("shot_vector", rows)


def figure_vectors(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Table `figure_vector`: faces by their tracks' vectors, drawn figures by their pictures'.

    Parameters
    ----------
    tables : mapping
        Tables face, track, region, figure, label and subject_vector.
    """
    model = dict(tables["face"].drop_nulls("recogniser").select("face_id", "recogniser").rows())
    rows = [
        {"asset_id": track_id, "model": model.get(best, "face"), "vector": np.asarray(vector)}
        for track_id, best, vector in tables["track"]
        .select("track_id", "best_face_id", "embedding")
        .drop_nulls("embedding")
        .iter_rows()
    ]
    drawn = _subjects(tables).filter(pl.col("subject_type") == "region")
    for known in (
        drawn.join(tables["subject_vector"].drop_nulls("vector"), on="subject_id"),
        drawn.join(
            tables["figure"]
            .drop_nulls("embedding")
            .select("model", subject_id="figure_id", vector="embedding"),
            on="subject_id",
        ),
    ):
        rows += _drawn_vectors(known)
    longest = max((len(row["vector"]) for row in rows), default=0)
    for row in rows:
        row["vector"] = np.pad(row["vector"], (0, longest - len(row["vector"])))
    return store.from_rows("figure_vector", rows)


def machine_assets(
    tables: Mapping[str, pl.DataFrame],
    vectors: pl.DataFrame,
    film_id: str,
    perhaps: Mapping[str, str] | None = None,
) -> pl.DataFrame:
    """Table `asset` before any word of a person.

    Parameters
    ----------
    tables : mapping
        Those of `TABLES`, and embedding.
    vectors : pl.DataFrame
        From `shot_vectors`: the frame most like it stands for a shot.
    perhaps : mapping, optional
        From `likely_characters`.
    """
    shots = _shot_rows(tables, vectors, film_id)
    return store.from_rows("asset", [*shots, *_figure_rows(tables, perhaps or {})])


def subjects_of(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Labelled faces and regions of each figure: `subject_id`, `asset_id`, in order."""
    return _subjects(tables).select("subject_id", "asset_id")


def certainty(tables: Mapping[str, pl.DataFrame]) -> dict[str, float]:
    """Mean confidence of a figure's labels, in [0, 1], by asset_id."""
    mean = _subjects(tables).group_by("asset_id").agg(pl.col("confidence").mean())
    return {asset_id: float(value) for asset_id, value in mean.iter_rows()}


def likely_characters(
    tables: Mapping[str, pl.DataFrame], candidates: pl.DataFrame
) -> dict[str, str]:
    """The character that each nameless drawn figure is more like than not, by asset_id.

    Parameters
    ----------
    tables : mapping
        Tables face, region, figure and label.
    candidates : pl.DataFrame
        From `figure_candidates`.

    Notes
    -----
    Of several the one that its views speak most for in sum, then the first by name.
    """
    views = candidates.join(_subjects(tables).select("subject_id", "asset_id"), on="subject_id")
    said = views.group_by("asset_id", "perhaps").agg(pl.col("chance").sum())
    order = said.sort("asset_id", "chance", "perhaps", descending=[False, True, False])
    first = order.unique("asset_id", keep="first", maintain_order=True)
    return dict(first.select("asset_id", "perhaps").iter_rows())


def shot_id(film_id: str, shot_index: int) -> str:
    """Id of a shot in table `asset`.

    Examples
    --------
    >>> shot_id("sample", 7)
    'sample-s00007'
    """
    return f"{film_id}-s{shot_index:05d}"


def _drawn_vectors(known: pl.DataFrame) -> list[dict[str, Any]]:
    """Rows of table `figure_vector` from views with `asset_id`, `model` and `vector`."""
    return [
        {"asset_id": own["asset_id"][0], "model": own["model"][0], "vector": _mean(own)}
        for own in known.sort("asset_id", "subject_id").partition_by("asset_id", "model")
    ]


def _shot_rows(tables, vectors: pl.DataFrame, film_id: str) -> list[dict[str, Any]]:
    """A row for each shot."""
    place = _plurality(tables["cluster"].filter(pl.col("level") == "scene"), "shot_index")
    standing = _standing(tables, vectors, film_id)
    rows = []
    for shot in tables["shot"].sort("shot_index").iter_rows(named=True):
        index = shot["shot_index"]
        frame_id, time = standing.get(index, (None, shot["start_s"]))
        rows.append(
            {
                **OPEN,
                "asset_id": shot_id(film_id, index),
                "level": "scene",
                "shot_index": index,
                "first_frame_index": shot["first_frame_index"],
                "end_frame_index": shot["end_frame_index"],
                "start_s": shot["start_s"],
                "end_s": shot["end_s"],
                "timestamp_s": time,
                "frame_id": frame_id,
                "cluster_id": place.get(index),
                "machine_cluster_id": place.get(index),
                "rejected_from": [],
                "who": [],
            }
        )
    return rows


def _standing(tables, vectors: pl.DataFrame, film_id: str) -> dict[int, tuple[str, float]]:
    """The stored frame that stands for a shot: the most like its vector, else the middle one."""
    mean = dict(vectors.select("asset_id", "vector").iter_rows())
    known = tables["embedding"].drop_nulls("vector")
    vector = dict(known.select("frame_id", "vector").iter_rows())
    found = {}
    stored = tables["frame"].filter(pl.col("file").is_not_null()).sort("frame_index", "frame_id")
    for own in stored.partition_by("shot_index"):
        index, ids = own["shot_index"][0], own["frame_id"].to_list()
        centre = mean.get(shot_id(film_id, index))
        alike = [
            float(np.dot(centre, vector[i])) if centre is not None and i in vector else -2.0
            for i in ids
        ]
        best = int(np.argmax(alike)) if max(alike) > -2 else len(ids) // 2
        found[index] = (ids[best], own["timestamp_s"][best])
    return found


def _figure_rows(tables, perhaps: Mapping[str, str]) -> list[dict[str, Any]]:
    """A row for each track of one face or drawn figure that has a label."""
    length = _frame_s(tables["film"])
    who = _plurality(_subjects(tables).rename({"character": "cluster_id"}), "asset_id")
    unknown = tables["cluster"].filter(pl.col("level") == "unknown")
    unknown = unknown.join(_subjects(tables), left_on="item_id", right_on="subject_id")
    nameless = _plurality(unknown, "asset_id")
    rows = []
    for own in _seen(tables).partition_by("asset_id"):
        asset_id, best = own["asset_id"][0], _best(own)
        cluster_id = who.get(asset_id) or nameless.get(asset_id)
        kept = own[np.linspace(0, own.height - 1, min(own.height, MAX_VIEWS)).round().astype(int)]
        rows.append(
            {
                **OPEN,
                "asset_id": asset_id,
                "level": "character",
                "shot_index": own["shot_index"][0],
                "first_frame_index": own["frame_index"].min(),
                "end_frame_index": scalar.as_int(own["frame_index"].max()) + 1,
                "start_s": own["timestamp_s"].min(),
                "end_s": scalar.as_float(own["timestamp_s"].max()) + length,
                "timestamp_s": best["timestamp_s"],
                "frame_id": best["frame_id"] if best["file"] is not None else None,
                "subject_id": best["subject_id"],
                **{side: best[side] for side in BOX},
                "boxes": kept.select("timestamp_s", *SHARE).to_numpy().ravel().tolist(),
                "cluster_id": cluster_id,
                "machine_cluster_id": cluster_id,
                "perhaps": None if who.get(asset_id) else perhaps.get(asset_id),
                "rejected_from": [],
                "who": [],
            }
        )
    return rows


def _subjects(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Rows of `label` with `asset_id`, the track that each is of, and how well it shows it."""
    face = tables["face"].select("face_id", "track_id", worth=pl.col("score") * pl.col("size_px"))
    region = tables["region"].select(
        "region_id", "track_id", worth=pl.coalesce("support", "similarity").cast(pl.Float32)
    )
    figure = tables["figure"].select("figure_id", "track_id", worth="objectness")
    named = {"face_id": face, "region_id": region, "figure_id": figure}
    track = pl.concat(own.rename({key: "subject_id"}) for key, own in named.items())
    known = tables["label"].join(track, on="subject_id", how="left", maintain_order="left")
    asset_id = pl.coalesce("track_id", "subject_id").alias("asset_id")
    return known.with_columns(asset_id).drop("track_id").sort("asset_id", "subject_id")


def _seen(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Views of figures with time and box in shares of the film's picture, by figure and time."""
    columns = ["frame_id", "frame_index", "timestamp_s", "file", "width_px", "height_px", *CROP]
    frame = pl.concat([tables[t].select(columns) for t in ("frame", "extra_frame")])
    film = tables["film"].row(0, named=True)
    known = _subjects(tables).join(frame.unique("frame_id"), on="frame_id")
    shares = []
    for side, axis in zip(BOX, ("x", "y") * 2, strict=True):
        size, whole = ("width_px", "height_px")[axis == "y"], None
        whole = film[size]
        start = pl.col(f"crop_{axis}0_px").fill_null(0)
        end = pl.col(f"crop_{axis}1_px").fill_null(whole)
        inside = pl.col(side) / pl.col(size).fill_null(whole)
        shares.append(((start + inside * (end - start)) / whole).clip(0, 1).alias(side[:2]))
    return known.with_columns(shares).sort("asset_id", "frame_index", "subject_id")


def _best(own: pl.DataFrame) -> dict[str, Any]:
    """The view that shows a figure best, of stored pictures if there are any."""
    order = own.with_columns(is_stored=pl.col("file").is_not_null())
    order = order.sort("is_stored", "worth", "subject_id", descending=[True, True, False])
    return order.row(0, named=True)


def _plurality(rows: pl.DataFrame, key: str) -> dict[Any, str | None]:
    """The commonest `cluster_id` of each key; a cluster before noise, then the first by name."""
    counted = rows.group_by(key, "cluster_id").len()
    order = counted.with_columns(is_noise=pl.col("cluster_id").is_null()).sort(
        "len", "is_noise", "cluster_id", descending=[True, False, False]
    )
    return dict(
        order.unique(key, keep="first", maintain_order=True).select(key, "cluster_id").rows()
    )


def _frame_s(film: pl.DataFrame) -> float:
    """Length of a frame in seconds."""
    one = film.row(0, named=True)
    known = one["frame_rate_num"] > 0
    return one["frame_rate_den"] / one["frame_rate_num"] if known else FRAME_S


def _mean(own: pl.DataFrame) -> np.ndarray:
    """Unit mean of a column `vector`."""
    total = np.array(own["vector"].to_list(), np.float64).sum(axis=0)
    return l2_normalize(total, np.float64).astype(np.float32)


def add_missed_figures(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Table `label` with a nameless row for each view of a figure that no name covers.

    Parameters
    ----------
    tables : mapping
        Tables label, figure, cluster, region, subject_vector and reference.

    Returns
    -------
    pl.DataFrame
        The rows of `label`, those of unknown figures, then those of regions (confidence 0);
        character null. Left out are figures in no group that are weak and have no candidate; of
        regions, tracks that share a figure with a labelled face or region, with an unknown figure
        or with a more similar track, and candidates that are known by their faces alone.
    """
    label, region = tables["label"], tables["region"]
    shown = _figures(tables)
    drawn = tables["reference"].filter(pl.col("route") == "region")["character"].unique()
    named = label.join(region, left_on="subject_id", right_on="region_id")["track_id"].drop_nulls()
    views = (
        region.join(
            tables["subject_vector"].drop_nulls("vector").select(region_id="subject_id"),
            on="region_id",
            how="semi",
        )
        .drop_nulls("track_id")
        .filter(
            pl.col("candidate").is_in(drawn.to_list()),
            ~pl.col("track_id").is_in(named.unique().to_list()),
        )
    )
    boxes = [label.drop_nulls("character"), shown]
    free = _uncovered(views, pl.concat(one.select("frame_id", *BOX) for one in boxes))
    both = figure_cluster.add_unlabelled_figures(label, shown)
    return figure_cluster.add_unlabelled_rows(both, free, "region_id", pl.lit(0.0))


def figure_candidates(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Most likely character of each unnamed figure or region.

    Parameters
    ----------
    tables : mapping
        Tables figure, region and label, the last one as `add_missed_figures` gives it.

    Returns
    -------
    pl.DataFrame
        `subject_id`, `perhaps` (a character) and `chance` (above 0, without a scale): a figure's
        score, or by how much a region is more like its candidate than like any other.
    """
    figure = tables["figure"].select("candidate", subject_id="figure_id", chance="score")
    region = tables["region"].select("candidate", subject_id="region_id", chance="margin")
    nameless = tables["label"].filter(
        pl.col("character").is_null(), pl.col("subject_type") == "region"
    )
    both = pl.concat([figure, region]).drop_nulls("candidate").filter(pl.col("chance") > 0)
    return both.join(nameless, on="subject_id", how="semi").select(
        "subject_id", "chance", perhaps="candidate"
    )


def _figures(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Uncovered figures, less tracks that are in no group, weak, and like nobody."""
    free = figure_cluster.uncovered(tables["figure"], tables["label"])
    grouped = tables["cluster"].filter(pl.col("level") == "unknown").drop_nulls("cluster_id")
    is_likely = pl.col("candidate").is_not_null() & (pl.col("score").fill_null(0) > 0)
    is_wanted = (
        pl.col("figure_id").is_in(grouped["item_id"].to_list())
        | (pl.col("objectness") >= MIN_OBJECTNESS)
        | is_likely
    )
    return free.filter(is_wanted.any().over("track_id"))


def _uncovered(views: pl.DataFrame, taken: pl.DataFrame) -> pl.DataFrame:
    """Views of tracks that cover neither a box that is taken nor the box of a stronger track."""
    taken = taken.with_columns(track_id=pl.lit(""))
    order = views.group_by("track_id").agg(pl.col("similarity").max())
    order = order.sort("similarity", "track_id", descending=[True, False])
    kept: list[str] = []
    for track_id in order["track_id"]:
        own = views.filter(pl.col("track_id") == track_id)
        if not _is_covered(own, taken):
            kept.append(track_id)
            taken = pl.concat([taken, own.select(taken.columns)])
    return views.filter(pl.col("track_id").is_in(kept))


def _is_covered(own: pl.DataFrame, taken: pl.DataFrame) -> bool:
    """Whether a box of one and a box of the other, in one frame, are the same figure's."""
    both = own.select("frame_id", *BOX).join(taken, on="frame_id", suffix="_other")
    return bool((both.select(figure_cluster.covered_share())["shared"] >= COVERED).any())
