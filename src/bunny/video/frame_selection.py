"""Selection of frames and shots in one decode: by shot, by interval or the codec's keyframes."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import cast

import numpy as np

from bunny.core.config import ExtractionConfig
from bunny.video import decode, keyframe, sparse_selection
from bunny.video import frame as video_frame
from bunny.video.change_table import ChangeRecord
from bunny.video.decode import SeekPoint, Tally
from bunny.video.frame import DecodedFrame
from bunny.video.letterbox import Box
from bunny.video.prefetch import run_ahead
from bunny.video.probe import FilmInfo
from bunny.video.selection_event import Restart, SelectedFrame, ShotEnd
from bunny.video.shot import detector
from bunny.video.shot.fast_detector import FoundShot

FRAMES_AHEAD = 4  # that are decoded while one is looked at


def select_frames(
    info: FilmInfo,
    extraction: ExtractionConfig,
    tally: Tally,
    *,
    num_threads: int = 0,
    note_frame: Callable[[DecodedFrame], None] | None = None,
    restart: Restart | None = None,
) -> Iterator[SelectedFrame | ShotEnd]:
    """Decode a film once and say which frames to take and where its shots are.

    Parameters
    ----------
    tally : Tally
        Filled; complete at the end.
    num_threads : int
        Of the decoder; 0 lets it choose.
    note_frame : callable, optional
        Called with each decoded frame, for progress.
    restart : Restart, optional
        From the `ShotEnd` of an earlier call with the same film and settings: what follows it comes
        out as it did or would have, without decoding what lies before.

    Yields
    ------
    Pick or ShotEnd
        Shots in order, each after its picks. With method keyframe, or interval where jumping is
        cheaper than decoding all, shots begin at frames taken and their `motion` is the mean
        difference of neighbouring ones.
    """
    told = note_frame or (lambda frame: None)
    if info.decoder == "pictures":
        return sparse_selection.select_pictures(info, extraction, tally, told, restart)
    if extraction.method != "shot":
        events = sparse_selection.select_sparse(info, extraction, tally, num_threads, told, restart)
        if events is not None:
            return events
    anchor = restart.anchor if restart else None
    frames = decode.iterate_frames(info, tally, num_threads=num_threads, anchor=anchor)
    if num_threads != 1:
        frames = run_ahead(frames, FRAMES_AHEAD)
    return DenseSelection(info, extraction, tally, restart).run(_with_note(frames, told))


class DenseSelection:
    """Every frame is looked at; what a shot gives comes out when its end is known."""

    def __init__(
        self, info, extraction: ExtractionConfig, tally: Tally, restart: Restart | None
    ) -> None:
        self._info, self._extraction, self._tally = info, extraction, tally
        self._is_shot = extraction.method == "shot"
        self._detector = detector.make_detector(extraction, info.rate)
        self._candidates = keyframe.KeyframeCandidates(extraction, self._detector.lag)
        self._held = keyframe.HeldFrames()
        between, extra = extraction.interval_seconds, extraction.extra_interval_seconds
        self._interval = keyframe.exact_seconds(extra if self._is_shot else between)
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
        yield from shot_frames(found, inside, extra, boxes, self._extraction, self._info)
        self._first = found.end_frame_index
        yield ShotEnd(
            found=found,
            kind=keyframe.shot_kind(found, self._extraction),
            start_pts=span[0],
            end_pts=span[1],
            restart=self._anchors.restart(found, span[1], self._tally),
            change=self._record.take(found.first_frame_index, found.end_frame_index),
        )

    def _pick(self, frame: DecodedFrame, reason: str, box) -> SelectedFrame:
        return SelectedFrame(
            frame=frame, reason=reason, crop=box if self._extraction.crop_bars else None
        )


def shot_frames(
    found: FoundShot,
    inside: Mapping[int, DecodedFrame],
    extra: Mapping[int, DecodedFrame],
    boxes: Iterable[Box | None],
    extraction: ExtractionConfig,
    info: FilmInfo,
) -> Iterator[SelectedFrame]:
    """Choose among the frames held of a finished shot.

    Parameters
    ----------
    inside, extra : mapping of int to DecodedFrame
        By frame index: those that may stand for the shot, and those that are due by time.
    boxes : iterable of Box or None
        What is no bar, where it was already looked for.
    """

    @cache
    def sharpness_of(index: int) -> float:
        return video_frame.sharpness(inside[index])

    @cache
    def thumb_of(index: int) -> np.ndarray:
        return video_frame.thumb(inside[index], info)

    chosen = []
    if extraction.method == "shot":
        chosen = keyframe.select_keyframes(found, inside, sharpness_of, extraction, thumb_of)
        clear = keyframe.outside_transitions(found, extra)
        own = [inside[i].time_s for i, _ in chosen]
        times = {i: extra[i].time_s for i in clear}
        interval_s = extraction.extra_interval_seconds
        extra = {i: extra[i] for i in keyframe.thin_interval_frames(times, own, interval_s)}
    box = keyframe.shot_content_box(inside.values(), boxes) if extraction.crop_bars else None
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
