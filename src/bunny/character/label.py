"""Labels of faces and regions by thresholds over stored similarities; no pixel is read.

A face is named by its track. A person whose face alone is not sure enough is still named when a
second witness agrees: the place around the face looks like that person's picture, and the face
leans the same way. Alone, the look of a person's surroundings proves nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from bunny.character import film_calibration, match
from bunny.character.drawn import ccip, figure_cluster, figure_label, window_search
from bunny.core.config import DetectionConfig
from bunny.table.box import BOX

WITNESS_SIMILARITY = 0.3  # of a face that may be named with the help of a region; strangers: 0.33
WITNESS_MARGIN = 0.1  # to its second best candidate


@dataclass(frozen=True, kw_only=True)
class ReferenceSet:
    """Characters that may be found: face vectors (m, d) by character, and those searched by
    appearance.
    """

    face: Mapping[str, np.ndarray]
    drawn: frozenset[str]
    num_pictured: int  # characters whose pictures were compared with windows
    num_figures: int = 0  # drawn ones, who are compared with drawn figures


@dataclass(frozen=True, kw_only=True)
class TrackSimilarity:
    """Faces held against the references; no threshold is in it."""

    subject: pl.DataFrame  # id, frame, shot and box of each face
    view: match.TrackViews | None  # None: there is no face
    seen: list[set]  # in which frames each track is
    names: list[str]
    similarity: np.ndarray  # (tracks, names)


def read_reference_set(reference: pl.DataFrame) -> ReferenceSet:
    """Read table `reference`: a character with a picture without a face is looked for by look."""
    usable = reference.filter(pl.col("error").is_null())
    faces: dict[str, list] = {}
    with_face = usable.filter(pl.col("face_embedding").is_not_null())
    for row in with_face.iter_rows(named=True):
        faces.setdefault(row["character"], []).append(row["face_embedding"])
    return ReferenceSet(
        face={name: np.array(vectors, np.float32) for name, vectors in faces.items()},
        drawn=frozenset(usable.filter(pl.col("route") == "region")["character"].to_list()),
        num_pictured=usable["character"].n_unique(),
        num_figures=_count_drawn(usable),
    )


def _count_drawn(usable: pl.DataFrame) -> int:
    """Characters with a drawn picture; tables from before pictures were judged have none."""
    if "is_drawn" not in usable.columns:
        return 0
    return usable.filter(pl.col("is_drawn").fill_null(False))["character"].n_unique()


def calibrate_film(
    face: pl.DataFrame,
    tracks: list[dict],
    cast: ReferenceSet,
    wanted: DetectionConfig,
    seed: int = 0,
) -> film_calibration.FilmCalibration:
    """Learn from a film's own faces what its strangers are like, see `film_calibration.fit`."""
    return film_calibration.fit(
        face,
        tracks,
        cast.face,
        threshold=wanted.similarity_threshold,
        is_adapted=wanted.is_adapted,
        seed=seed,
    )


def face_threshold(
    wanted: DetectionConfig, learned: film_calibration.FilmCalibration | None
) -> float:
    """Threshold that holds for faces: configured, or mixed with what the film taught."""
    is_fixed = wanted.calibration == "fixed"
    return film_calibration.threshold(learned, wanted.similarity_threshold, is_fixed=is_fixed)


def calibration_row(wanted: DetectionConfig, learned: film_calibration.FilmCalibration) -> dict:
    """Row of table `calibration` for faces."""
    is_fixed = wanted.calibration == "fixed"
    return film_calibration.to_row(learned, wanted.similarity_threshold, is_fixed=is_fixed)


def compare(
    face: pl.DataFrame,
    tracks: list[dict],
    cast: ReferenceSet,
    learned: film_calibration.FilmCalibration | None = None,
) -> TrackSimilarity:
    """Hold faces against the references, once for all thresholds.

    Parameters
    ----------
    face : pl.DataFrame
        Rows of its table with `track_id`.
    tracks : list of dict
        From `link_tracks`.
    learned : film_calibration.FilmCalibration, optional
        From `calibrate_film`; its adaptation is used where it has one.
    """
    subject = face.select("face_id", "frame_id", "shot_index", *BOX)
    if not face.height:
        return TrackSimilarity(
            subject=subject, view=None, seen=[], names=[], similarity=np.empty((0, 0), np.float32)
        )
    view = match.read_views(face, tracks)
    adaptation = learned.trial.adaptation if learned is not None else None
    names, similarity = match.compare_views(view, cast.face, adaptation)
    seen = _frames_of(face, len(tracks), view.number)
    return TrackSimilarity(
        subject=subject, view=view, seen=seen, names=names, similarity=similarity
    )


def decide(
    face: pl.DataFrame,
    tracks: list[dict],
    region: pl.DataFrame,
    cast: ReferenceSet,
    wanted: DetectionConfig,
    learned: film_calibration.FilmCalibration | None = None,
) -> list[dict]:
    """Name every face and every accepted region; see `decide_compared`.

    Parameters
    ----------
    face, region : pl.DataFrame
        Rows of their tables; `face` with `track_id`, `region` with `support` (`vote`).
    tracks : list of dict
        From `link_tracks`.
    learned : film_calibration.FilmCalibration, optional
        From `calibrate_film`; without it the configured threshold holds and nothing is adapted.

    Returns
    -------
    list of dict
        Rows of table `label`: one a face (`character` None when unknown), one a region that was
        accepted. Faces named because they look like others of the film have source `cluster`.
    """
    compared = compare(face, tracks, cast, learned)
    return decide_compared(compared, region, cast, wanted, learned).to_dicts()


def decide_compared(
    compared: TrackSimilarity,
    region: pl.DataFrame,
    cast: ReferenceSet,
    wanted: DetectionConfig,
    learned: film_calibration.FilmCalibration | None = None,
) -> pl.DataFrame:
    """Apply thresholds to what was compared; gives the rows of `decide` as columns.

    Parameters
    ----------
    compared : TrackSimilarity
        From `compare`, with the same `cast` and adaptation.
    """
    mine = _select(region, sorted(cast.drawn), cast, wanted)
    regions = _region_labels(mine, cast)
    view = compared.view
    if view is None:
        return regions
    others = sorted(set(cast.face) - cast.drawn)
    witness = _select(region, others, cast, wanted)
    return pl.concat([_face_labels(compared, view, cast, wanted, witness, learned), regions])


def vote(region: pl.DataFrame, num_frames: pl.DataFrame, wanted: DetectionConfig) -> pl.DataFrame:
    """Let the frames of a shot, or of a figure's track, vote on each region.

    Parameters
    ----------
    region : pl.DataFrame
        Rows of table `region`, `track_id` by `figure_label.link_regions`.
    num_frames : pl.DataFrame
        Columns `shot_index`, `num_frames`: how many frames of the shot were looked at.

    Returns
    -------
    pl.DataFrame
        `region` with `support`; by `ccip.vote` where CCIP compared, else by `window_search.vote`.
        Windows come first; drawn figures come last and keep the support that `figure_label.vote`
        gave them.
    """
    windows, compared, figures = _by_model(region)
    margin = wanted.drawn_margin
    voted = [
        window_search.vote(windows.lazy(), num_frames.lazy(), min_margin=margin),
        ccip.vote(compared.lazy()),
    ]
    return pl.concat([*(part.collect().select(region.columns) for part in voted), figures])


def _by_model(region: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Rows of table `region` that windows, CCIP and the search of drawn figures found."""
    figures = region.filter(figure_label.is_figure())
    others = region.filter(~figure_label.is_figure())
    return others.filter(~ccip.is_compared()), others.filter(ccip.is_compared()), figures


def figure_threshold(region: pl.DataFrame, cast: ReferenceSet, wanted: DetectionConfig) -> float:
    """Support from which a region is its candidate."""
    if region.select(ccip.is_compared().any()).item():
        return wanted.ccip_threshold
    return wanted.drawn_threshold + (window_search.ALONE_PENALTY if cast.num_pictured == 1 else 0.0)


def _select(
    region: pl.DataFrame, characters: list[str], cast: ReferenceSet, wanted: DetectionConfig
) -> pl.DataFrame:
    """Regions of some characters that are their candidate, each by the rule of its model.

    Where CCIP names a character in a frame, what the built-in search says of it and of that place
    is left out.
    """
    windows, compared, figures = _by_model(region.filter(pl.col("candidate").is_in(characters)))
    margin = wanted.drawn_margin
    by_window = window_search.select_regions(
        windows.lazy(),
        characters,
        threshold=wanted.drawn_threshold,
        min_margin=margin,
        num_candidates=cast.num_pictured,
    )
    by_ccip = ccip.select_regions(
        compared.lazy(), characters, threshold=wanted.ccip_threshold, min_margin=margin
    ).collect()
    by_figure = figure_label.select(figures.lazy(), wanted, is_alone=cast.num_figures == 1)
    left = _without(by_figure.collect(), by_ccip)
    return pl.concat([by_window.collect(), by_ccip, left])


def _without(region: pl.DataFrame, named: pl.DataFrame) -> pl.DataFrame:
    """Regions that are neither of a character nor at a place of another table's in their frame."""
    other = named.select("frame_id", "candidate", *BOX)
    both = region.select("region_id", "frame_id", "candidate", *BOX).join(
        other, on="frame_id", suffix="_other"
    )
    is_same = pl.col("candidate") == pl.col("candidate_other")
    told = both.filter(is_same | (figure_cluster.covered_share() >= figure_cluster.COVERED))
    return region.filter(~pl.col("region_id").is_in(told["region_id"].to_list()))


def _face_labels(
    compared: TrackSimilarity, view: match.TrackViews, cast, wanted, witness, learned
) -> pl.DataFrame:
    named = match.name_tracks(
        view,
        compared.seen,
        cast.face,
        threshold=face_threshold(wanted, learned),
        min_margin=wanted.min_margin,
        adaptation=learned.trial.adaptation if learned is not None else None,
        compared=(compared.names, compared.similarity),
    )
    found, nothing = named.found, pl.lit(None, pl.Float32)
    of_face = pl.Series(view.number)
    passed_on = np.isin(view.number, list(named.passed_on))
    labels = compared.subject.select(
        pl.col("face_id").alias("subject_id"),
        pl.lit("face").alias("subject_type"),
        pl.Series("character", named.name, dtype=pl.String).gather(of_face),
        "frame_id",
        "shot_index",
        *BOX,
        pl.Series("distance", 1 - found.similarity[view.number])
        if compared.names
        else nothing.alias("distance"),
        pl.Series("margin", found.margin[view.number])
        if len(compared.names) > 1
        else nothing.alias("margin"),
        pl.Series("confidence", named.confidence[view.number].astype(np.float32)),
        pl.when(pl.Series(passed_on))
        .then(pl.lit("cluster"))
        .otherwise(pl.lit("reference"))
        .alias("source"),
    )
    return _with_witness(labels, found, view.number, witness) if compared.names else labels


def _with_witness(labels: pl.DataFrame, found: match.FaceMatch, number, witness) -> pl.DataFrame:
    """Name those faces that a region agrees with, first come first served in each frame."""
    best = pl.Series("best", found.best, dtype=pl.String).gather(pl.Series(number))
    may = (found.similarity >= WITNESS_SIMILARITY) & (found.margin >= WITNESS_MARGIN)
    spots = witness.select("frame_id", "support", "margin", pl.col(BOX), best="candidate")
    x, y = (pl.col("x0_px") + pl.col("x1_px")) / 2, (pl.col("y0_px") + pl.col("y1_px")) / 2
    agreed = (
        labels.with_columns(best, row=pl.int_range(pl.len()), may=pl.Series(may[number]))
        .filter(pl.col("character").is_null(), "may")
        .join(spots, on=["frame_id", "best"], maintain_order="left_right", suffix="_spot")
        .filter(x.is_between("x0_px_spot", "x1_px_spot"), y.is_between("y0_px_spot", "y1_px_spot"))
        .unique("row", keep="first", maintain_order=True)
    )
    if agreed.is_empty():
        return labels
    chance = match.probability(
        agreed["support"].to_numpy(), agreed["margin_spot"].to_numpy(), window_search.WEIGHT
    )
    taken = set(labels.drop_nulls("character").select("frame_id", "character").iter_rows())
    name, sure = labels["character"].to_list(), labels["confidence"].to_numpy().copy()
    for row, frame_id, character, one in zip(
        *(agreed[c] for c in ("row", "frame_id", "best")), chance, strict=True
    ):
        if (frame_id, character) not in taken:
            taken.add((frame_id, character))
            name[row], sure[row] = character, one
    return labels.with_columns(
        pl.Series("character", name, dtype=pl.String), pl.Series("confidence", sure)
    )


def _frames_of(face: pl.DataFrame, num_tracks: int, number: np.ndarray) -> list[set]:
    """In which frames each track is seen."""
    seen: list[set] = [set() for _ in range(num_tracks)]
    for frame_id, i in zip(face["frame_id"], number.tolist(), strict=True):
        seen[i].add(frame_id)
    return seen


def _region_labels(region: pl.DataFrame, cast: ReferenceSet) -> pl.DataFrame:
    """Labels of accepted regions."""
    support, margin = region["support"].to_numpy(), region["margin"].to_numpy()
    is_figure = region.select(figure_label.is_figure()).to_series().to_numpy()
    is_compared = region.select(ccip.is_compared()).to_series().to_numpy()
    chance = np.select(
        [is_figure, is_compared],
        [
            figure_label.confidence(support),
            match.probability(support, margin, ccip.WEIGHT),
        ],
        match.probability(support, margin, window_search.WEIGHT),
    )
    is_alone = cast.num_pictured == 1
    return region.select(
        pl.col("region_id").alias("subject_id"),
        pl.lit("region").alias("subject_type"),
        pl.col("candidate").alias("character"),
        "frame_id",
        "shot_index",
        *BOX,
        (1 - pl.col("similarity")).cast(pl.Float32).alias("distance"),
        (pl.lit(None) if is_alone else pl.col("margin")).cast(pl.Float32).alias("margin"),
        pl.Series("confidence", chance, dtype=pl.Float32),
        pl.lit("reference").alias("source"),
    )
