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
from bunny.character.drawn import medium
from bunny.character.label import ReferenceSet
from bunny.table import store
from bunny.video import extra_frame
from bunny.video.frame import THUMB_LONG_PX, THUMB_SHORT_PX

Effort = Literal["fast", "balanced", "thorough"]

# A track of the kept frames is in no doubt with so much likeness to one character, a lead over all
# others, and so many views. True pairs lie from 0.35 upwards, strangers below 0.31 (`match`).
SURE_SIMILARITY, SURE_MARGIN, SURE_VIEWS = 0.60, 0.25, 2
# Nor is one that shows a stranger clearly: like nobody, though seen as well as a portrait.
NOBODY_SIMILARITY, CLEAR_QUALITY = 0.10, 0.40
MAYBE_SIMILARITY = 0.20  # from here a doubtful track may be somebody; strangers lie around 0
STILL_LEVELS = 1.0  # mean luma difference per pixel of thumbnails, summed from frame to frame
THUMBNAIL_PIXELS = THUMB_LONG_PX * THUMB_SHORT_PX  # of table `change`
MAX_BETWEEN = 12  # frames of a shot; spread over it
SCHEMA = extra_frame.NO_FRAMES.schema


@dataclass(frozen=True, kw_only=True)
class FoundSoFar:
    """Tables of a film whose kept frames were searched."""

    shot: pl.DataFrame
    frame: pl.DataFrame
    face: pl.DataFrame  # of the kept frames, whatever their score
    change: pl.DataFrame  # may be empty, then no frame counts as still


@dataclass(frozen=True, kw_only=True)
class JudgedTracks:
    """Tracks of the kept frames, each array (n,)."""

    shot: np.ndarray
    is_sure: np.ndarray  # somebody, or nobody, without doubt
    may_be_somebody: np.ndarray

    @property
    def sure_shots(self) -> list[int]:
        """Shots whose tracks are all sure, by number."""
        return sorted(
            set(self.shot[self.is_sure].tolist()) - set(self.shot[~self.is_sure].tolist())
        )

    @property
    def doubtful_shots(self) -> list[int]:
        """Shots with a track that may be somebody and is not surely so, by number."""
        return sorted(set(self.shot[~self.is_sure & self.may_be_somebody].tolist()))


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
    judged = judge_tracks(found.face, found.frame, cast)
    if effort == "balanced" and between.height and interval_s:
        own = found.shot.filter(pl.col("shot_index").is_in(judged.doubtful_shots))
        more = extra_frame.choose_frames(own, found.frame, interval_s / 2)
        between = pl.concat([between, more]).unique("frame_index").sort("frame_index")
    spans = [pl.col("frame_index").is_between(a, b, closed="left") for a, b, _ in asked]
    free = between.filter(~pl.any_horizontal(spans)) if spans else between
    skipped = skip_frames(free, found, judged, effort)
    return between.join(skipped, on="frame_index", how="anti"), skipped


def skip_frames(
    between: pl.DataFrame, found: FoundSoFar, judged: JudgedTracks, effort: Effort
) -> pl.DataFrame:
    """Say which frames between the kept ones need no search for faces.

    Parameters
    ----------
    between : pl.DataFrame
        Columns `shot_index`, `frame_index`, by `frame_index`: those that could be searched.
    judged : JudgedTracks
        Of its faces.
    effort : {"fast", "balanced", "thorough"}
        fast skips all, thorough none.

    Returns
    -------
    pl.DataFrame
        Rows of table `skipped_frame`, by `frame_index`.
    """
    if effort == "thorough":
        return store.from_rows("skipped_frame", [])
    if effort == "fast":
        return store.check("skipped_frame", between.with_columns(reason=pl.lit("effort")))
    shown = found.face.filter(pl.col("error").is_null())["shot_index"].unique().to_list()
    still = _still_frames(between, found.frame, found.change)
    first = between.with_columns(
        reason=pl.coalesce(
            pl.when(~pl.col("shot_index").is_in(shown)).then(pl.lit("no-face")),
            pl.when(pl.col("shot_index").is_in(judged.sure_shots)).then(pl.lit("name-sure")),
            pl.when(pl.col("frame_index").is_in(still)).then(pl.lit("still")),
        )
    )
    left = first.filter(pl.col("reason").is_null())
    taken = medium.choose_frames(left, MAX_BETWEEN)
    many = left.join(taken, on="frame_index", how="anti").with_columns(reason=pl.lit("enough"))
    skipped = pl.concat([first.filter(pl.col("reason").is_not_null()), many])
    return store.check("skipped_frame", skipped.sort("frame_index").select(*SCHEMA, "reason"))


def judge_tracks(face: pl.DataFrame, frame: pl.DataFrame, cast: ReferenceSet) -> JudgedTracks:
    """Follow the faces of the kept frames and say which tracks are in doubt.

    Parameters
    ----------
    face, frame : pl.DataFrame
        Those of `FoundSoFar`.
    """
    usable = face.filter(pl.col("error").is_null())
    if not usable.height or not cast.face:
        nothing = np.zeros(0, bool)
        return JudgedTracks(shot=np.zeros(0, np.int64), is_sure=nothing, may_be_somebody=nothing)
    usable, tracks = track.link_tracks(usable, frame, "")
    view = match.read_views(usable, tracks)
    named = match.decide(
        *match.compare_views(view, cast.face, None),
        threshold=SURE_SIMILARITY,
        min_margin=SURE_MARGIN,
    )
    best = np.zeros(len(tracks))
    np.maximum.at(best, view.number, view.quality)
    is_named = np.array([one is not None for one in named.character])
    is_nobody = (named.similarity <= NOBODY_SIMILARITY) & (best >= CLEAR_QUALITY)
    num_views = np.bincount(view.number, minlength=len(tracks))
    return JudgedTracks(
        shot=np.array([row["shot_index"] for row in tracks], np.int64),
        is_sure=(num_views >= SURE_VIEWS) & (is_named | is_nobody),
        may_be_somebody=named.similarity >= MAYBE_SIMILARITY,
    )


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
