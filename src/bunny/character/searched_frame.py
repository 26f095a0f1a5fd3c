"""Frames that stage detect searches: by windows, for drawn figures, and between the stored ones."""

from collections.abc import Sequence

import polars as pl

from bunny.character.drawn import drawn_model, medium
from bunny.character.label import ReferenceSet
from bunny.core.config import DetectionConfig
from bunny.video import extra_frame


def split_frames(
    frame: pl.DataFrame, known: pl.DataFrame, shots: pl.DataFrame, wanted: DetectionConfig
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Frames for the search by windows and frames for the search of drawn figures.

    A model that the settings name looks at every frame; without one photographed frames and
    references are the windows', drawn ones the figures'. What `auto` finds looks at the drawn ones
    besides.

    Parameters
    ----------
    frame : pl.DataFrame
        Rows of table `frame`.
    known, shots : pl.DataFrame
        Tables `reference` and `shot_medium`.

    Returns
    -------
    tuple of two pl.DataFrame
        Rows of `frame`, in its order; none of both where `is_drawn_enabled` is off.
    """
    nothing = frame.clear()
    if not wanted.is_drawn_enabled:
        return nothing, nothing
    is_region = pl.col("route").cast(pl.String) == "region"
    regions = known.filter(pl.col("error").is_null(), is_region)
    if _has_named_model(wanted):
        return (frame if regions.height else nothing), nothing
    in_drawn = pl.col("shot_index").is_in(medium.drawn_shots(shots))
    has_plain = regions.filter(~pl.col("is_drawn").fill_null(False)).height > 0
    return (frame.filter(~in_drawn) if has_plain else nothing), frame.filter(in_drawn)


def window_references(known: pl.DataFrame, wanted: DetectionConfig) -> pl.DataFrame:
    """Rows of table `reference` that windows are compared with; a named model takes drawn ones."""
    usable = known.filter(pl.col("error").is_null())
    if _has_named_model(wanted):
        return usable
    return usable.filter(~pl.col("is_drawn").fill_null(False))


def drawn_references(known: pl.DataFrame) -> pl.DataFrame:
    """Rows of table `reference` that models for drawn shots compare with: the drawn ones."""
    return known.filter(pl.col("error").is_null(), pl.col("is_drawn").fill_null(False))


def _has_named_model(wanted: DetectionConfig) -> bool:
    """Whether the settings name a detector or an embedding of drawn figures."""
    found = drawn_model.resolve(wanted)
    return bool(found.drawn_detector or found.drawn_embedding)


def has_between(
    frame: pl.DataFrame,
    cast: ReferenceSet,
    drawn: pl.DataFrame,
    *,
    interval_s: float,
    dense: Sequence[tuple[int, int, float]] = (),
) -> bool:
    """Whether frames between are searched: asked for, and for somebody; see `choose_between`."""
    has_use = bool(cast.face or (drawn.height and cast.drawn))
    return bool(interval_s or dense) and has_use and frame.height > 0


def choose_between(
    shot: pl.DataFrame,
    frame: pl.DataFrame,
    cast: ReferenceSet,
    shots: pl.DataFrame,
    drawn: pl.DataFrame,
    *,
    interval_s: float,
    dense: Sequence[tuple[int, int, float]] = (),
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Frames to search besides the stored ones: for faces of references, for drawn figures.

    Parameters
    ----------
    shot, frame : pl.DataFrame
        Tables of stage extract.
    cast : ReferenceSet
        Where nobody is looked for, no frame is chosen.
    shots : pl.DataFrame
        Table `shot_medium`.
    drawn : pl.DataFrame
        Rows of `frame` that are searched for drawn figures.
    interval_s : float
        Seconds from frame to frame; 0 chooses those of `dense` only.
    dense : sequence of (int, int, float)
        Spans to search more often, as of `extra_frame.add_dense_spans`.

    Returns
    -------
    tuple of two pl.DataFrame
        Columns of `extra_frame.NO_FRAMES`, by `frame_index`.
    """
    if not has_between(frame, cast, drawn, interval_s=interval_s, dense=dense):
        return extra_frame.NO_FRAMES, extra_frame.NO_FRAMES
    between = extra_frame.NO_FRAMES
    if interval_s:
        between = extra_frame.choose_frames(shot, frame, interval_s)
    between = extra_frame.add_dense_spans(shot, frame, between, dense)
    in_drawn = pl.col("shot_index").is_in(medium.drawn_shots(shots))
    has_figures = pl.col("shot_index").is_in(drawn["shot_index"].unique().to_list())
    for_faces = between.filter(~in_drawn) if cast.face else between.clear()
    return for_faces, (between.filter(has_figures) if cast.drawn else between.clear())
