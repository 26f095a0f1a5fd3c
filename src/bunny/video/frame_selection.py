"""Selection of frames and shots in one decode: by shot, by interval or the codec's keyframes."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from typing import Any, cast

import numpy as np
import polars as pl

from bunny.video import decode, keyframe, packet_index
from bunny.video import frame as video_frame
from bunny.video.change_table import ChangeRecord
from bunny.video.decode import SeekPoint, Tally
from bunny.video.frame import DecodedFrame
from bunny.video.keyframe import KeyframeSetting
from bunny.video.letterbox import Box
from bunny.video.prefetch import run_ahead
from bunny.video.probe import FilmInfo
from bunny.video.shot import detector, frame_difference
from bunny.video.shot.fast_detector import FoundShot, ShotSetting

# Two keyframes of one shot may be seconds apart: only unlike pictures part them.
COARSE_CHANGE = 0.05  # least compensated difference
COARSE_LIKENESS = 0.6  # most correlation

FRAMES_AHEAD = 4  # that are decoded while one is looked at


@dataclass(frozen=True, kw_only=True)
class Restart:
    """State from which decoding can resume at the first frame of a shot."""

    first_frame_index: int
    first_pts: int
    transition_in: str
    anchor: SeekPoint  # where decoding begins: at or before the shot

    @classmethod
    def from_json(cls, value: dict[str, Any] | None) -> "Restart | None":
        """Read what `dataclasses.asdict` made of one."""
        return cls(**{**value, "anchor": SeekPoint(**value["anchor"])}) if value else None


@dataclass(frozen=True, kw_only=True)
class SelectedFrame:
    """A frame to take; its shot comes later in the stream."""

    frame: DecodedFrame
    reason: str
    crop: tuple[int, int, int, int] | None = None  # (x0, y0, x1, y1) in stored pixels


@dataclass(frozen=True, kw_only=True)
class ShotEnd:
    """A finished shot; all its picks came before."""

    found: FoundShot
    kind: str  # static or dynamic
    start_pts: int
    end_pts: int  # of the next shot's first frame, or the film's end
    restart: Restart | None = None  # for what follows; None: only from the film's start
    change: pl.DataFrame | None = None  # of its frames, see `change_table`; None: not measured


def _select_sparse(
    info: FilmInfo,
    setting,
    tally: Tally,
    num_threads: int,
    told: Callable[[DecodedFrame], None],
    restart: Restart | None,
) -> Iterator[SelectedFrame | ShotEnd] | None:
    """As `pick.pick_frames`, for methods keyframe and interval.

    None for method interval where decoding every frame costs no more.
    """
    anchor = restart.anchor if restart else None
    if setting.method == "keyframe":
        frames = decode.iterate_frames(
            info, tally, is_keyframe_only=True, num_threads=num_threads, anchor=anchor
        )
    else:
        packets = packet_index.scan(info)
        if packets is None:
            return None
        wanted = packet_index.at_interval(packets, setting.interval_s, info.time_base)
        if packet_index.plan_seeks(packets, wanted).share > packet_index.MAX_DECODED_SHARE:
            return None
        found = packet_index.plan_seeks(packets, wanted[wanted >= (anchor.index if anchor else 0)])
        if anchor:
            tally.num_decoded, tally.is_interlaced = anchor.num_decoded, anchor.is_interlaced
            tally.num_trimmed = anchor.num_trimmed
        frames = packet_index.decode_wanted(info, packets, found, tally, num_threads=num_threads)
    return _SparseSelection(info, setting, tally, restart).run(frames, told)


class _SparseSelection:
    """Shots of the frames taken."""

    def __init__(self, info, setting, tally: Tally, restart: Restart | None) -> None:
        self._info, self._setting, self._tally = info, setting, tally
        self._held = keyframe.HeldFrames()
        self._first = restart.first_frame_index if restart else 0
        self._first_pts = restart.first_pts if restart else None
        self._transition = restart.transition_in if restart else "start"
        self._moves: list[float] = []
        self._num_before = 0  # frames decoded before this one

    def run(self, frames, told) -> Iterator[SelectedFrame | ShotEnd]:
        """Yield the frames, and the shots that they tell apart."""
        before, last = None, -1
        for frame in frames:
            told(frame)
            thumb = video_frame.thumb(frame, self._info)
            self._first_pts = frame.pts if self._first_pts is None else self._first_pts
            if before is not None:
                if _is_other_shot(before, thumb, self._setting.shot.cut_threshold):
                    yield from self._end(frame.index, frame.pts, "cut", frame.is_keyframe)
                else:
                    self._moves.append(frame_difference.plain_difference(before, thumb))
            before, last = thumb, frame.index
            self._held.add(frame)
            for old, box in self._held.overflow(frame.index):
                yield self._pick(old, box)
        if before is not None:
            end = max(last + 1, self._tally.num_packets)
            end_pts = max(cast(int, self._tally.end_pts), cast(int, self._first_pts) + 1)
            yield from self._end(end, end_pts, "end", False)

    def _end(self, index: int, pts: int, transition: str, is_key: bool):
        """Yield the frames of the running shot, and the shot, and begin the next."""
        found = FoundShot(
            first_frame_index=self._first,
            end_frame_index=index,
            transition_in=self._transition,
            transition_out=transition,
            motion=sum(self._moves) / len(self._moves) if self._moves else 0.0,
        )
        frames, boxes = self._held.take(found)
        box = keyframe.shot_content_box((), boxes)
        for frame in frames.values():
            yield self._pick(frame, box)
        yield ShotEnd(
            found=found,
            kind=keyframe.shot_kind(found, self._setting.keyframe),
            start_pts=cast(int, self._first_pts),
            end_pts=pts,
            restart=self._restart(index, pts, transition) if transition != "end" else None,
        )
        self._first, self._first_pts, self._transition = index, pts, transition
        self._moves = []

    def _restart(self, index: int, pts: int, transition: str) -> Restart | None:
        """Go on at this frame, which is the last that was decoded."""
        if not self._tally.is_clean or self._info.decoder != "pyav":
            return None
        anchor = SeekPoint(
            index=index,
            pts=pts,
            num_decoded=self._tally.num_decoded - 1,
            start_pts=cast(int, self._tally.start_pts),
            is_interlaced=self._tally.is_interlaced,
            num_trimmed=self._tally.num_trimmed,
        )
        return Restart(
            first_frame_index=index, first_pts=pts, transition_in=transition, anchor=anchor
        )

    def _pick(self, frame: DecodedFrame, box) -> SelectedFrame:
        return SelectedFrame(
            frame=frame,
            reason=self._setting.method,
            crop=box if self._setting.is_cropped else None,
        )


def _is_other_shot(before, thumb, threshold: float) -> bool:
    """Whether two frames are of different shots."""
    return (
        frame_difference.compensated_difference(before, thumb) >= COARSE_CHANGE * threshold
        and frame_difference.correlation(before, thumb) < COARSE_LIKENESS
    )


@dataclass(frozen=True, kw_only=True)
class SelectionSetting:
    """Settings of the frames to extract."""

    method: str = "shot"  # shot, interval or keyframe
    interval_s: Fraction = Fraction(2)  # of method interval
    extra_interval_s: Fraction = Fraction(0)  # of method shot: also a frame so often; 0: none
    shot_detector: str = "fast"  # a name of `detector.DETECTORS`
    is_cropped: bool = True  # take letterbox and pillarbox bars off
    shot: ShotSetting = field(default_factory=ShotSetting)
    keyframe: KeyframeSetting = field(default_factory=KeyframeSetting)


def select_frames(
    info: FilmInfo,
    setting: SelectionSetting,
    tally: Tally,
    *,
    num_threads: int = 0,
    note_frame: Callable[[DecodedFrame], None] | None = None,
    restart: Restart | None = None,
) -> Iterator[SelectedFrame | ShotEnd]:
    """Decode a film once and say which frames to take and where its shots are.

    Parameters
    ----------
    info : FilmInfo
    setting : SelectionSetting
    tally : Tally
        Filled; complete at the end.
    num_threads : int
        Of the decoder; 0 lets it choose.
    note_frame : callable, optional
        Called with each decoded frame, for progress.
    restart : Restart, optional
        From the `ShotEnd` of an earlier call with the same film and setting: what follows it comes
        out as it did or would have, without decoding what lies before.

    Yields
    ------
    Pick or ShotEnd
        Shots in order, each after its picks. With method keyframe, or interval where jumping is
        cheaper than decoding all, shots begin at frames taken and their `motion` is the mean
        difference of neighbouring ones.
    """
    told = note_frame or (lambda frame: None)
    if setting.method != "shot":
        events = _select_sparse(info, setting, tally, num_threads, told, restart)
        if events is not None:
            return events
    anchor = restart.anchor if restart else None
    frames = decode.iterate_frames(info, tally, num_threads=num_threads, anchor=anchor)
    if num_threads != 1:
        frames = run_ahead(frames, FRAMES_AHEAD)
    return DenseSelection(info, setting, tally, restart).run(_with_note(frames, told))


class DenseSelection:
    """Every frame is looked at; what a shot gives comes out when its end is known."""

    def __init__(
        self, info, setting: SelectionSetting, tally: Tally, restart: Restart | None
    ) -> None:
        self._info, self._setting, self._tally = info, setting, tally
        self._is_shot = setting.method == "shot"
        self._detector = detector.make_detector(setting.shot_detector, setting.shot, info.rate)
        self._candidates = keyframe.KeyframeCandidates(setting.keyframe, self._detector.lag)
        self._held = keyframe.HeldFrames()
        self._interval = setting.extra_interval_s if self._is_shot else setting.interval_s
        self._first = 0  # of the running shot
        self._grid = keyframe.IntervalSampler(self._interval)
        self._times = _Times(self._detector.lag)
        self._anchors = _Anchors(self._detector)
        self._record = ChangeRecord()
        if restart:
            self._first = restart.first_frame_index
            self._grid = keyframe.IntervalSampler(self._interval, restart.anchor.start_pts)
            self._times = _Times(self._detector.lag, restart.first_pts)
            self._detector.start(
                restart.anchor.index, restart.first_frame_index, restart.transition_in
            )

    def run(self, frames) -> Iterator[SelectedFrame | ShotEnd]:
        """Yield the frames, and the shots that they tell apart."""
        for frame in frames:
            self._times.add(frame)
            self._anchors.add(frame, self._tally)
            is_due = self._grid.is_due(frame)
            if frame.index >= self._first:
                if self._is_shot:
                    self._candidates.add(frame)
                if is_due:
                    self._held.add(frame)
                for old, box in self._held.overflow(frame.index - self._detector.lag):
                    yield self._pick(old, "interval", box)
            for found in self._push(frame):
                yield from self._close(found, self._times.end_of(found))
        for found in self._finish():
            end = self._tally.end_pts if found.transition_out == "end" else None
            yield from self._close(found, self._times.end_of(found, end))

    def _push(self, frame: DecodedFrame) -> list[FoundShot]:
        """Show a frame to the detector; gives the shots that it finishes."""
        shots = self._detector.push(self._detector.look(frame, self._info))
        self._record.add(frame, self._detector.measured)
        return shots

    def _finish(self) -> list[FoundShot]:
        shots = self._detector.finish()
        self._record.end(self._detector.measured)
        return shots

    def _close(self, found: FoundShot, span: tuple[int, int]) -> Iterator[SelectedFrame | ShotEnd]:
        """Yield the frames of a finished shot, and the shot."""
        inside = self._candidates.take(found)
        extra, boxes = self._held.take(found)
        yield from shot_frames(found, inside, extra, boxes, self._setting, self._info)
        self._first = found.end_frame_index
        yield ShotEnd(
            found=found,
            kind=keyframe.shot_kind(found, self._setting.keyframe),
            start_pts=span[0],
            end_pts=span[1],
            restart=self._anchors.restart(found, span[1], self._tally),
            change=self._record.take(found.first_frame_index, found.end_frame_index),
        )

    def _pick(self, frame: DecodedFrame, reason: str, box) -> SelectedFrame:
        return SelectedFrame(
            frame=frame, reason=reason, crop=box if self._setting.is_cropped else None
        )


def shot_frames(
    found: FoundShot,
    inside: Mapping[int, DecodedFrame],
    extra: Mapping[int, DecodedFrame],
    boxes: Iterable[Box | None],
    setting: SelectionSetting,
    info: FilmInfo,
) -> Iterator[SelectedFrame]:
    """Choose among the frames held of a finished shot.

    Parameters
    ----------
    found : FoundShot
    inside, extra : mapping of int to DecodedFrame
        By frame index: those that may stand for the shot, and those that are due by time.
    boxes : iterable of Box or None
        What is no bar, where it was already looked for.
    setting : SelectionSetting
    info : FilmInfo
    """

    @cache
    def sharpness_of(index: int) -> float:
        return video_frame.sharpness(inside[index])

    @cache
    def thumb_of(index: int) -> np.ndarray:
        return video_frame.thumb(inside[index], info)

    chosen = []
    if setting.method == "shot":
        chosen = keyframe.select_keyframes(found, inside, sharpness_of, setting.keyframe, thumb_of)
        clear = keyframe.outside_transitions(found, extra)
        own = [inside[i].time_s for i, _ in chosen]
        times = {i: extra[i].time_s for i in clear}
        interval_s = float(setting.extra_interval_s)
        extra = {i: extra[i] for i in keyframe.thin_interval_frames(times, own, interval_s)}
    box = keyframe.shot_content_box(inside.values(), boxes) if setting.is_cropped else None
    reasons = dict.fromkeys(extra, "interval") | dict(chosen)
    for index in sorted(reasons):
        frame = inside[index] if index in inside else extra[index]
        yield SelectedFrame(frame=frame, reason=reasons[index], crop=box)


class _Times:
    """Times of the frames at which shots may still begin."""

    def __init__(self, lag: int, start_pts: int | None = None) -> None:
        self._recent: deque[tuple[int, int]] = deque(maxlen=2 * lag + 1)
        self._start = start_pts

    def add(self, frame: DecodedFrame) -> None:
        if self._start is None:
            self._start = frame.pts
        self._recent.append((frame.index, frame.pts))

    def end_of(self, found: FoundShot, end_pts: int | None = None) -> tuple[int, int]:
        """Start and end of a shot; the end is the next one's start."""
        start = cast(int, self._start)  # a frame of the shot was added
        if end_pts is None:
            end_pts = self._recent[found.end_frame_index - self._recent[0][0]][1]
        self._start = end_pts
        return start, end_pts


class _Anchors:
    """The codec's keyframes from which the film may be taken up again."""

    def __init__(self, detector) -> None:
        self._warmup, self._lag = detector.warmup, detector.lag
        self._recent: deque[tuple[int, int, bool]] = deque()

    def add(self, frame: DecodedFrame, tally: Tally) -> None:
        if self._warmup is None or not frame.is_keyframe:
            return
        self._recent.append((frame.index, frame.pts, tally.is_interlaced))
        old = frame.index - self._lag - max(1, self._warmup)
        while len(self._recent) > 1 and self._recent[1][0] <= old:
            self._recent.popleft()

    def restart(self, found: FoundShot, end_pts: int, tally: Tally) -> Restart | None:
        """State to resume from after a shot; None if only the film's start will do."""
        if not tally.is_clean or found.transition_out == "end":
            return None
        end = found.end_frame_index
        usable = [key for key in self._recent if 0 < key[0] <= end - max(1, self._warmup)]
        if not usable:
            return None
        index, pts, is_interlaced = usable[-1]
        return Restart(
            first_frame_index=end,
            first_pts=end_pts,
            transition_in=found.transition_out,
            anchor=SeekPoint(
                index=index,
                pts=pts,
                num_decoded=index,
                start_pts=cast(int, tally.start_pts),
                is_interlaced=is_interlaced,
                num_trimmed=tally.num_trimmed,
            ),
        )


def _with_note(frames, note_frame) -> Iterator[DecodedFrame]:
    for frame in frames:
        note_frame(frame)
        yield frame
