"""Rows of the tables cluster and stability: scenes, characters, unknown people and figures."""

from collections.abc import Callable

import numpy as np
import polars as pl

from bunny.character import cluster as person
from bunny.character.drawn import figure_cluster
from bunny.core.config import ClusteringConfig
from bunny.scene import cluster
from bunny.scene import stability as steady
from bunny.scene.cluster import NOISE
from bunny.table import store
from bunny.table.box import BOX

PERSON_PREFIX = "person"
# Of items, settings and the method.
GroupFunction = Callable[[pl.DataFrame, ClusteringConfig, str], pl.DataFrame]

FIGURE_PREFIX = "figure"

NO_CHARACTER = "empty"
NO_SCENE = "no scene"


def embedded_frames(frame: pl.DataFrame, embedding: pl.DataFrame) -> pl.DataFrame:
    """Frames that have a scene vector, with it, in the order of the film."""
    both = frame.join(embedding.drop_nulls("vector"), on="frame_id")
    return both.sort("frame_index", "frame_id")


def scene_rows(known: pl.DataFrame, wanted: ClusteringConfig) -> list[dict]:
    """Rows of table `cluster`, level `scene`.

    Parameters
    ----------
    known : pl.DataFrame
        From `embedded_frames`.
    """
    found = cluster.group_frames(_vector(known), wanted)
    made = []
    for i, (frame_id, shot_index) in enumerate(known.select("frame_id", "shot_index").rows()):
        is_noise = bool(found.cluster[i] == NOISE)
        scene_id = None if is_noise else f"scene-{found.cluster[i] + 1:03d}"
        made.append(
            {
                "item_id": frame_id,
                "level": "scene",
                "shot_index": shot_index,
                "cluster_id": scene_id,
                "scene_id": scene_id,
                "similarity": float(found.similarity[i]),
                "is_noise": is_noise,
            }
        )
    return made


def character_rows(label: pl.DataFrame, face: pl.DataFrame, scenes: list[dict]) -> list[dict]:
    """Clusters of characters inside scenes, e.g. `scene-003/anna`.

    Parameters
    ----------
    label, face : pl.DataFrame
        Tables of stage detect.
    scenes : list of dict
        Rows of level `scene`.

    Returns
    -------
    list of dict
        One row a named face or region. `similarity` is a face's cosine to the mean of its cluster;
        regions have none. In a frame that is noise, so is the character.
    """
    scene_of = {row["item_id"]: row["scene_id"] for row in scenes}
    vector = dict(face.drop_nulls("embedding").select("face_id", "embedding").iter_rows())
    rows = []
    for row in label.filter(pl.col("character").is_not_null()).iter_rows(named=True):
        scene_id = scene_of.get(row["frame_id"])
        rows.append(
            {
                "item_id": row["subject_id"],
                "level": "character",
                "shot_index": row["shot_index"],
                "cluster_id": f"{scene_id}/{row['character']}" if scene_id else None,
                "scene_id": scene_id,
                "character": row["character"],
                "is_noise": scene_id is None,
            }
        )
    members: dict[str, list[dict]] = {}
    for row in rows:
        if row["cluster_id"] and row["item_id"] in vector:
            members.setdefault(row["cluster_id"], []).append(row)
    for own in members.values():
        vectors = np.array([vector[row["item_id"]] for row in own], dtype=np.float32)
        centroid = vectors.sum(axis=0)
        cosine = vectors @ (centroid / max(float(np.linalg.norm(centroid)), 1e-12))
        for row, value in zip(own, np.clip(cosine, -1, 1), strict=True):
            row["similarity"] = float(value)
    return rows


def scene_stability(known: pl.DataFrame, wanted: ClusteringConfig, seed: int) -> pl.DataFrame:
    """Table `stability` of the scenes; empty when `clustering.stability_runs` is 0."""
    shots = known["shot_index"].to_numpy()
    found = steady.measure_stability(_vector(known), shots, wanted, seed)
    return store.from_rows("stability", [{"level": "scene", **row} for row in found])


def stability_note(stability: pl.DataFrame, level: str, method: str) -> str:
    """Stability of a level's clusters, for the note after their number; empty if not measured.

    The incremental method is compared with other orders of the shots. The others depend on no
    order, so they are compared with samples.

    Examples
    --------
    >>> rows = {"level": ["scene"], "method": ["incremental"], "compared_with": ["order"]}
    >>> rows = pl.DataFrame(rows).with_columns(rand_index=0.934)
    >>> stability_note(rows, "scene", "incremental")
    ' (stability 0.93 with shots in other orders)'
    """
    against = "order" if method == "incremental" else "sample"
    own = (pl.col("method") == method) & (pl.col("compared_with") == against)
    found = stability.filter(own, pl.col("level") == level)["rand_index"].to_list()
    words = "with shots in other orders" if against == "order" else "with 90 % of the shots"
    return f" (stability {found[0]:.2f} {words})" if found else ""


def _vector(known: pl.DataFrame) -> np.ndarray:
    """Scene vectors, (n, d) float32."""
    return np.array(known["vector"].to_list(), dtype=np.float32)


def unknown_faces(label: pl.DataFrame, face: pl.DataFrame) -> pl.DataFrame:
    """Faces that nobody is known by, with a vector.

    A face inside an accepted region of its frame is that drawn character's own and left out.

    Parameters
    ----------
    label, face : pl.DataFrame
        Tables of stage detect.

    Returns
    -------
    pl.DataFrame
        Rows of `face`, by track.
    """
    names = label.filter(pl.col("subject_type") == "face").select("subject_id", "character")
    unknown = names.filter(pl.col("character").is_null()).rename({"subject_id": "face_id"})
    found = face.join(unknown, on="face_id", how="semi").drop_nulls("embedding")
    found = found.join(_inside_regions(found, label), on="face_id", how="anti")
    return found.sort("track_id", "face_id")


def person_rows(nameless: pl.DataFrame, wanted: ClusteringConfig) -> list[dict]:
    """Rows of table `cluster`, level `unknown`: `person-01` and on, or noise.

    Parameters
    ----------
    nameless : pl.DataFrame
        From `unknown_faces`.
    """
    return _unknown_rows(_group_faces(nameless, wanted, wanted.unknown_method), PERSON_PREFIX)


def _unknown_rows(found: pl.DataFrame, prefix: str) -> list[dict]:
    """Rows of table `cluster`, level `unknown`."""
    return [
        {
            "item_id": item_id,
            "level": "unknown",
            "shot_index": shot_index,
            "cluster_id": None if group == person.NOISE else f"{prefix}-{group + 1:02d}",
            "similarity": similarity,
            "is_noise": group == person.NOISE,
        }
        for item_id, shot_index, group, similarity in found.rows()
    ]


def person_stability(nameless: pl.DataFrame, wanted: ClusteringConfig, seed: int) -> pl.DataFrame:
    """Table `stability` of the unknown people; no way depends on the order of their faces."""

    return _unknown_stability("unknown", nameless, _group_faces, wanted, seed)


def _unknown_stability(
    level: str, nameless: pl.DataFrame, group: GroupFunction, wanted: ClusteringConfig, seed: int
) -> pl.DataFrame:
    """Table `stability` of items without a name, faces or drawn figures, grouped in one way."""

    def find(taken: np.ndarray, method: str) -> np.ndarray:
        return group(nameless[taken], wanted, method)["group"].to_numpy()

    found = steady.compare_groupings(
        nameless["shot_index"].to_numpy(),
        find,
        tuple(person.METHOD),
        num_runs=wanted.stability_runs,
        seed=seed,
    )
    return store.from_rows("stability", [{"level": level, **row} for row in found])


def _group_faces(face: pl.DataFrame, wanted: ClusteringConfig, method: str) -> pl.DataFrame:
    """Who is one person, in order of the faces, which are sorted already."""
    threshold = max(0.0, wanted.character_threshold)
    return person.group_faces(face, threshold=threshold, method=method)


def _inside_regions(face: pl.DataFrame, label: pl.DataFrame) -> pl.DataFrame:
    """Ids of faces whose middle lies in an accepted region of their frame."""
    region = label.filter(pl.col("subject_type") == "region").select("frame_id", *BOX)
    both = face.select("face_id", "frame_id", *BOX).join(region, on="frame_id", suffix="_region")
    x, y = (pl.col("x0_px") + pl.col("x1_px")) / 2, (pl.col("y0_px") + pl.col("y1_px")) / 2
    return both.filter(
        x.is_between("x0_px_region", "x1_px_region"), y.is_between("y0_px_region", "y1_px_region")
    ).select("face_id")


def figure_rows(nameless: pl.DataFrame, wanted: ClusteringConfig) -> list[dict]:
    """Rows of table `cluster`, level `unknown`: `figure-01` and on, or noise.

    Parameters
    ----------
    nameless : pl.DataFrame
        From `figure_cluster.uncovered`.
    """
    return _unknown_rows(_group_figures(nameless, wanted, wanted.unknown_method), FIGURE_PREFIX)


def figure_stability(nameless: pl.DataFrame, wanted: ClusteringConfig, seed: int) -> pl.DataFrame:
    """Table `stability` of the unknown figures; no way depends on their order."""
    return _unknown_stability("figure", nameless, _group_figures, wanted, seed)


def _group_figures(figure: pl.DataFrame, wanted: ClusteringConfig, method: str) -> pl.DataFrame:
    """Which figures are one, in their order, which is by track already."""
    return figure_cluster.group_figures(figure, threshold=wanted.figure_threshold, method=method)


def scenes_by_characters(asset: pl.DataFrame) -> pl.DataFrame:
    """Part each scene by who is there.

    Parameters
    ----------
    asset : pl.DataFrame
        Columns `level`, `shot_index`, `cluster_id`, `name`, `who`, `start_s`, `end_s` of table
        `asset`; rows of level `scene` count. `who` may be in any order and name somebody twice.

    Returns
    -------
    pl.DataFrame
        One row for each scene and company in it: `cluster_id` (null: the noise bucket), `who`
        (sorted, each name once, without empty ones), `name` ("kitchen with bunny, pip", "scene-003
        empty"), `shots` (sorted list of `shot_index`), `seconds` (null where no time is known).
        By scene, the noise bucket last; in it, most shots first, then by names.
    """
    scene = asset.filter(pl.col("level") == "scene")
    seconds = (pl.col("end_s") - pl.col("start_s")).clip(0)
    together = (
        scene.with_columns(who=_people(), seconds=seconds)
        .group_by("cluster_id", "who")
        .agg(
            pl.col("name").drop_nulls().sort().first(),
            shots=pl.col("shot_index").unique().sort(),
            seconds=pl.when(pl.col("seconds").is_not_null().any()).then(pl.col("seconds").sum()),
        )
    )
    place = pl.coalesce("name", "cluster_id", pl.lit(NO_SCENE))
    people = pl.col("who").list.join(", ")
    words = pl.when(pl.col("who").list.len() > 0).then(pl.lit("with ") + people)
    return (
        together.with_columns(name=place + pl.lit(" ") + words.otherwise(pl.lit(NO_CHARACTER)))
        .sort(
            "cluster_id",
            pl.col("shots").list.len(),
            people,
            descending=[False, True, False],
            nulls_last=True,
        )
        .select("cluster_id", "who", "name", "shots", "seconds")
    )


def _people() -> pl.Expr:
    """Names of column `who`, sorted, each once; none is an empty list."""
    names = pl.col("who").fill_null([]).list.drop_nulls()
    return names.list.eval(pl.element().filter(pl.element() != "")).list.unique().list.sort()
