"""Frames between the kept ones that need no search for faces, and why.

Frames in between are searched to make the name of a track surer. Where no kept frame of a shot
shows a face, or every face in it is named as surely as can be, they add nothing; nor does a frame
that hardly differs from one that is searched anyway, nor the fortieth of one shot. Shots in doubt
are searched twice as densely. All of it is decided over tables: faces of the kept frames, their
likeness to the references, and how much the film changes from frame to frame. No threshold of the
settings is asked, so moving one searches no frame again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from bunny.character import match, track
from bunny.character.label import ReferenceSet
from bunny.table import store
from bunny.video import extra_frame

Effort = Literal["fast", "balanced", "thorough"]

# A track of the kept frames is in no doubt with so much likeness to one character, a lead over all
# others, and so many views. True pairs lie from 0.35 upwards, strangers below 0.31 (`match`).
SURE_SIMILARITY, SURE_MARGIN, SURE_VIEWS = 0.60, 0.25, 2
# Nor is one that shows a stranger clearly: like nobody, though seen as well as a portrait.
NOBODY_SIMILARITY, CLEAR_QUALITY = 0.10, 0.40
MAYBE_SIMILARITY = 0.20  # from here a doubtful track may be somebody; strangers lie around 0
STILL_LEVELS = 1.0  # mean luma difference per pixel of thumbnails, summed from frame to frame
THUMBNAIL_PIXELS = 64 * 36  # of table `change`
MAX_BETWEEN = 12  # frames of a shot; spread over it
SCHEMA = {"shot_index": pl.Int32, "frame_index": pl.Int64}


@dataclass(frozen=True, kw_only=True)
class FoundSoFar:
    """Tables of a film whose kept frames were searched."""

    shot: pl.DataFrame
    frame: pl.DataFrame
    face: pl.DataFrame  # of the kept frames, whatever their score
    change: pl.DataFrame  # may be empty, then no frame counts as still


def plan_search(
    between: pl.DataFrame,
    found: FoundSoFar,
    cast: ReferenceSet,
    *,
    effort: Effort,
    interval_s: float,
    asked: Sequence[tuple[int, int, float]] = (),
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Choose the frames between the kept ones that are searched for faces.

    Parameters
    ----------
    between : pl.DataFrame
        Columns `shot_index`, `frame_index`: `extra_frame.choose_frames` of all shots.
    found : FoundSoFar
    cast : ReferenceSet
    effort : {"fast", "balanced", "thorough"}
    interval_s : float
        Seconds from frame to frame that `between` was chosen with.
    asked : sequence of (int, int, float)
        Spans that a person asked to have searched; none of their frames is skipped.

    Returns
    -------
    wanted : pl.DataFrame
        Columns of `between`, by `frame_index`.
    skipped : pl.DataFrame
        Table `skipped_frame`.
    """
    if effort == "balanced" and between.height and interval_s:
        doubtful = doubtful_shots(found.face, found.frame, cast)
        own = found.shot.filter(pl.col("shot_index").is_in(doubtful))
        more = extra_frame.choose_frames(own, found.frame, interval_s / 2)
        between = pl.concat([between, more]).unique("frame_index").sort("frame_index")
    spans = [pl.col("frame_index").is_between(a, b, closed="left") for a, b, _ in asked]
    free = between.filter(~pl.any_horizontal(spans)) if spans else between
    skipped = skip_frames(free, found.frame, found.face, found.change, cast, effort)
    return between.join(skipped, on="frame_index", how="anti"), skipped


def doubtful_shots(face: pl.DataFrame, frame: pl.DataFrame, cast: ReferenceSet) -> list[int]:
    """Shots with a track that may be somebody and is not surely so, by number.

    Parameters
    ----------
    face, frame, cast
        As of `skip_frames`.
    """
    shots, best, is_sure = _judge_tracks(face, frame, cast)
    return sorted(set(shots[~is_sure & (best >= MAYBE_SIMILARITY)].tolist()))


def skip_frames(
    between: pl.DataFrame,
    frame: pl.DataFrame,
    face: pl.DataFrame,
    change: pl.DataFrame,
    cast: ReferenceSet,
    effort: Effort,
) -> pl.DataFrame:
    """Say which frames between the kept ones need no search for faces.

    Parameters
    ----------
    between : pl.DataFrame
        Columns `shot_index`, `frame_index`, by `frame_index`: those that could be searched.
    frame : pl.DataFrame
        Rows of table `frame`, the kept ones.
    face : pl.DataFrame
        Rows of table `face` of the kept frames, whatever their score.
    change : pl.DataFrame
        Table `change`; may be empty, then no frame counts as still.
    cast : ReferenceSet
    effort : {"fast", "balanced", "thorough"}
        fast skips all, thorough none.

    Returns
    -------
    pl.DataFrame
        Rows of table `skipped_frame`, by `frame_index`.
    """
    if effort == "thorough":
        return store.from_rows("skipped_frame", [])
    reason = pl.lit(None, pl.String)
    if effort == "fast":
        reason = pl.lit("effort")
    named = _sure_shots(face, frame, cast)
    shown = face.filter(pl.col("error").is_null())["shot_index"].unique().to_list()
    still = _still_frames(between, frame, change)
    first = between.with_columns(
        reason=pl.coalesce(
            reason,
            pl.when(~pl.col("shot_index").is_in(shown)).then(pl.lit("no-face")),
            pl.when(pl.col("shot_index").is_in(named)).then(pl.lit("name-sure")),
            pl.when(pl.col("frame_index").is_in(still)).then(pl.lit("still")),
        )
    )
    place = pl.int_range(pl.len()).over("shot_index")
    count = pl.len().over("shot_index")
    left = first.filter(pl.col("reason").is_null())
    is_taken = (place + 1) * MAX_BETWEEN // count > place * MAX_BETWEEN // count
    many = left.filter(~is_taken).with_columns(reason=pl.lit("enough"))
    skipped = pl.concat([first.filter(pl.col("reason").is_not_null()), many])
    return store.check("skipped_frame", skipped.sort("frame_index").select(*SCHEMA, "reason"))


def _sure_shots(face: pl.DataFrame, frame: pl.DataFrame, cast: ReferenceSet) -> list[int]:
    """Shots in which every face of the kept frames is surely somebody, or surely nobody."""
    shots, _, is_sure = _judge_tracks(face, frame, cast)
    return sorted(set(shots[is_sure].tolist()) - set(shots[~is_sure].tolist()))


def _judge_tracks(
    face: pl.DataFrame, frame: pl.DataFrame, cast: ReferenceSet
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shot, best similarity and whether it is surely somebody or nobody, of each track."""
    usable = face.filter(pl.col("error").is_null())
    if not usable.height or not cast.face:
        return np.zeros(0, np.int64), np.zeros(0), np.zeros(0, bool)
    usable, tracks = track.link_tracks(usable, frame, "")
    view = match.read_views(usable, tracks)
    similarity = match.compare_views(view, cast.face, None)[1].astype(np.float64)
    order = np.sort(similarity, axis=1)
    first = order[:, -1]
    second = order[:, -2] if order.shape[1] > 1 else first - match.NO_RIVAL
    best = np.zeros(len(tracks))
    np.maximum.at(best, view.number, view.quality)
    num_views = np.bincount(view.number, minlength=len(tracks))
    is_named = (first >= SURE_SIMILARITY) & (first - second >= SURE_MARGIN)
    is_nobody = (first <= NOBODY_SIMILARITY) & (best >= CLEAR_QUALITY)
    shot = np.array([row["shot_index"] for row in tracks], np.int64)
    return shot, first, (num_views >= SURE_VIEWS) & (is_named | is_nobody)


def _still_frames(between: pl.DataFrame, frame: pl.DataFrame, change: pl.DataFrame) -> list[int]:
    """Frames that hardly differ from the one before them that is kept or searched.

    Differences are summed over all frames on the way, so slow movement adds up.
    """
    if not change.height:
        return []
    total = change.sort("frame_index").select(
        pl.col("frame_index"), levels=pl.col("luma_levels").cum_sum() / THUMBNAIL_PIXELS
    )
    known = frame.select(*SCHEMA).with_columns(is_kept=pl.lit(True))
    both = pl.concat([known, between.select(*SCHEMA).with_columns(is_kept=pl.lit(False))])
    rows = both.sort("frame_index").join(total, on="frame_index", how="left").rows()
    found, last = [], {}
    for shot, index, is_kept, levels in rows:
        before = last.get(shot)
        if not is_kept and None not in (before, levels) and levels - before < STILL_LEVELS:
            found.append(index)
        else:
            last[shot] = levels
    return found
