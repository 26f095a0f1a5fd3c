"""Frame selection over table `change`: shots decided again, only the pictures of new ones read.

`plan_shots` goes through a film's rows as extract went through its frames, and says of each shot
which frames were held when it ended. Shots of one film with equal plans give the same pictures; of
the others `read_shots` decodes the frames held, by seeking, and chooses among them as extract does.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

import numpy as np
import polars as pl

from bunny.core.config import ExtractionConfig
from bunny.video import extra_frame, keyframe, letterbox
from bunny.video.change_table import steps
from bunny.video.decode import Tally
from bunny.video.frame import DecodedFrame, luma
from bunny.video.frame_selection import DenseSelection, shot_frames
from bunny.video.probe import FilmInfo
from bunny.video.selection_event import SelectedFrame, ShotEnd
from bunny.video.shot.fast_detector import FastDetector, FoundShot
from bunny.video.shot.meter import Measured


class ReplayError(Exception):
    """The film does not give a frame that it gave when it was extracted."""

    def __str__(self) -> str:
        return f"frame {self.args[0]} cannot be decoded again"


@dataclass(frozen=True, kw_only=True)
class ShotPlan:
    """A shot and the frames that were held when it ended; indices."""

    found: FoundShot
    kind: str  # static or dynamic
    start_pts: int
    end_pts: int
    candidates: tuple[int, ...]  # that may stand for the shot
    extra: tuple[int, ...]  # due by time
    boxed: tuple[int, ...]  # looked at for bars when they were due
    # Frames of a long shot that were let go before its end, and those looked at for bars till then.
    early: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = ()
    num_asked: int = 1  # frames that are to stand for it
    interval_s: Fraction = Fraction(0)  # at which frames are due by time; 0: none is held

    @property
    def wanted(self) -> tuple[int, ...]:
        """All frames that are to be decoded for it, in order."""
        early = (index for gone, boxed in self.early for index in (*gone, *boxed))
        return tuple(sorted({*self.candidates, *self.extra, *self.boxed, *early}))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Row:
    """A frame of which the table is known, not the picture."""

    index: int
    pts: int
    time_base: Fraction
    num_bytes: int
    measured: Measured
    is_keyframe: bool = False  # none: there is nothing to take up again


def plan_shots(
    change: pl.DataFrame, info: FilmInfo, extraction: ExtractionConfig, end_pts: int
) -> list[ShotPlan]:
    """Shots of a film and the frames held at the end of each, without decoding.

    Parameters
    ----------
    change : pl.DataFrame
        Table of that name, of the whole film.
    info : FilmInfo
        From `probe.probe`.
    extraction : ExtractionConfig
        With method `shot` and shot detector `fast`.
    end_pts : int
        The film's end, in units of its time base.
    """
    return list(_Planning(change, info, extraction, end_pts).plans())


def equal_plans(old: Sequence[ShotPlan], new: Sequence[ShotPlan]) -> dict[int, int]:
    """Places of the new plans that are among the old ones, and where there."""
    places = {plan: place for place, plan in enumerate(old)}
    return {index: places[plan] for index, plan in enumerate(new) if plan in places}


def read_shots(
    info: FilmInfo, plans: Sequence[ShotPlan], extraction: ExtractionConfig, num_threads: int = 0
) -> Iterator[SelectedFrame | ShotPlan]:
    """Decode what the plans hold and choose among it as extract does.

    Yields
    ------
    SelectedFrame or ShotPlan
        Each plan after the frames taken for it.

    Raises
    ------
    ReplayError
        If the film lacks a frame.
    """
    wanted = np.array([index for plan in plans for index in plan.wanted], np.int64)
    frames = extra_frame.decode_frames(info, wanted, num_threads)
    for plan in plans:
        held = _take(frames, plan.wanted)
        yield from _choose(plan, held, extraction, info)
        yield plan


def _take(frames: Iterator[DecodedFrame], wanted: tuple[int, ...]) -> dict[int, DecodedFrame]:
    """The next frames, which have to be these."""
    held = {}
    for index in wanted:
        frame = next(frames, None)
        if frame is None or frame.index != index:
            raise ReplayError(index)
        held[index] = frame
    return held


def _choose(
    plan: ShotPlan, held, extraction: ExtractionConfig, info: FilmInfo
) -> Iterator[SelectedFrame]:
    """Choose among the frames of one shot."""
    boxes = {
        index: letterbox.content_vote(luma(held[index]))
        for index in {*plan.boxed, *(i for _, boxed in plan.early for i in boxed)}
    }
    for gone, boxed in plan.early:
        box = letterbox.merge_boxes(boxes[i] for i in boxed) if extraction.crop_bars else None
        for index in gone:
            yield SelectedFrame(frame=held[index], reason="interval", crop=box)
    inside = {index: held[index] for index in plan.candidates}
    extra = {index: held[index] for index in plan.extra}
    boxed = [boxes[i] for i in plan.boxed]
    yield from shot_frames(plan.found, inside, extra, boxed, extraction, info)


class _Planning(DenseSelection):
    """The selection of extract over rows instead of frames; gives plans."""

    def __init__(self, change: pl.DataFrame, info: FilmInfo, extraction, end_pts: int) -> None:
        super().__init__(info, extraction, Tally(end_pts=end_pts), None)
        self._held = keyframe.HeldFrames(find_box=lambda row: row.index, merge=tuple)
        self._early: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
        self._fast = cast(FastDetector, self._detector)
        *every, self._last = steps(change, self._fast.step)
        columns = change.select("frame_index", "pts", "frame_bytes")
        self._rows = (
            _Row(index=index, pts=pts, time_base=info.time_base, num_bytes=size, measured=measured)
            for (index, pts, size), measured in zip(columns.iter_rows(), every, strict=True)
        )

    def plans(self) -> Iterator[ShotPlan]:
        """Yield the plan of each shot; of frames let go early only the plan tells."""
        return (event for event in self.run(self._rows) if isinstance(event, ShotPlan))

    def _push(self, frame: Any) -> list[FoundShot]:
        return self._fast.decide(frame.measured)

    def _finish(self) -> list[FoundShot]:
        return self._fast.decide_end(self._last)

    def _pick(self, frame: Any, reason: str, box: Any) -> Any:
        self._early.append(((frame.index,), box))

    def _close(self, found: FoundShot, span: tuple[int, int]) -> Iterator[Any]:
        inside = self._candidates.take(found)
        extra, boxed = self._held.take(found)
        end = found.end_frame_index
        mine = tuple(item for item in self._early if item[0][0] < end)
        self._early = [item for item in self._early if item[0][0] >= end]
        self._first = end
        kind = keyframe.shot_kind(found, self._extraction)
        yield ShotPlan(
            found=found,
            kind=kind,
            start_pts=span[0],
            end_pts=span[1],
            candidates=tuple(sorted(inside)),
            extra=tuple(sorted(extra)),
            boxed=cast(tuple[int, ...], tuple(boxed)),
            early=mine,
            num_asked=1 if kind == "static" else self._extraction.frames_per_dynamic_shot,
            interval_s=self._interval if extra else Fraction(0),
        )


def shot_end(plan: ShotPlan) -> ShotEnd:
    """The event that extract gives at the end of a planned shot."""
    return ShotEnd(found=plan.found, kind=plan.kind, start_pts=plan.start_pts, end_pts=plan.end_pts)


def merge_tables(
    old: Mapping[str, pl.DataFrame], read: Mapping[str, pl.DataFrame], same: Mapping[int, int]
) -> dict[str, pl.DataFrame]:
    """Tables after shots were decided again; rows of pictures that stay are kept.

    Parameters
    ----------
    old, read : mapping of str to pl.DataFrame
        Tables before; and every shot, with the rows of the pictures that were read.
    same : mapping of int to int
        From `equal_plans`: new `shot_index` to the old one.
    """
    index = {place: number for number, place in same.items()}
    kept = old["frame"].filter(pl.col("shot_index").is_in(list(index)))
    kept = kept.with_columns(pl.col("shot_index").replace(index))
    measure = old["measure"].join(kept.select("frame_id"), on="frame_id", how="semi")
    return {
        "shot": read["shot"],
        "change": old["change"],
        "frame": pl.concat([kept, read["frame"]]),
        "measure": pl.concat([measure, read["measure"]]),
    }


def part_tables(
    tables: Mapping[str, pl.DataFrame], num_shots: int
) -> Iterator[dict[str, pl.DataFrame]]:
    """Rows of so many shots after another, as the shards of an extract hold them."""
    for shot in tables["shot"].iter_slices(num_shots):
        first, end = shot["first_frame_index"].min(), shot["end_frame_index"].max()
        own = pl.col("frame_index").is_between(first, end, closed="left")
        frame = tables["frame"].filter(own)
        measure = tables["measure"].join(frame.select("frame_id"), on="frame_id", how="semi")
        change = tables["change"].filter(own)
        yield {"shot": shot, "change": change, "frame": frame, "measure": measure}
