"""The frames to take from a film, and its shots, in one decode.

Three ways: frames that stand for each shot, frames at equal times, or the codec's keyframes.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache

from bunny.video import decode, frame_buffer, keyframe, sparse_selection
from bunny.video import frame as video_frame
from bunny.video.decode_progress import Anchor, Tally
from bunny.video.frame import DecodedFrame
from bunny.video.frame_event import Pick, Restart, ShotEnd
from bunny.video.keyframe import KeyframeSetting
from bunny.video.prefetch import run_ahead
from bunny.video.probe import FilmInfo
from bunny.video.shot import detector
from bunny.video.shot.one_pass import FoundShot, ShotSetting

FRAMES_AHEAD = 4  # that are decoded while one is looked at


@dataclass(frozen=True, kw_only=True)
class PickSetting:
    """Which frames are taken."""

    method: str = "shot"  # shot, interval or keyframe
    interval_s: Fraction = Fraction(2)  # of method interval
    extra_interval_s: Fraction = Fraction(0)  # of method shot: also a frame so often; 0: none
    shot_detector: str = "fast"  # a name of `detector.DETECTORS`
    is_cropped: bool = True  # take letterbox and pillarbox bars off
    shot: ShotSetting = field(default_factory=ShotSetting)
    keyframe: KeyframeSetting = field(default_factory=KeyframeSetting)


def pick_frames(
    info: FilmInfo,
    setting: PickSetting,
    tally: Tally,
    *,
    num_threads: int = 0,
    note_frame: Callable[[DecodedFrame], None] | None = None,
    restart: Restart | None = None,
) -> Iterator[Pick | ShotEnd]:
    """Decode a film once and say which frames to take and where its shots are.

    Parameters
    ----------
    info : FilmInfo
    setting : PickSetting
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
        events = sparse_selection.pick_frames(info, setting, tally, num_threads, told, restart)
        if events is not None:
            return events
    anchor = restart.anchor if restart else None
    frames = decode.iterate_frames(info, tally, num_threads=num_threads, anchor=anchor)
    if num_threads != 1:
        frames = run_ahead(frames, FRAMES_AHEAD)
    return _ByShot(info, setting, tally, restart).run(_told(frames, told))


class _ByShot:
    """Every frame is looked at; what a shot gives comes out when its end is known."""

    def __init__(self, info, setting: PickSetting, tally: Tally, restart: Restart | None) -> None:
        self._info, self._setting, self._tally = info, setting, tally
        self._is_shot = setting.method == "shot"
        self._detector = detector.make_detector(setting.shot_detector, setting.shot, info.rate)
        self._candidates = keyframe.Candidates(setting.keyframe, self._detector.lag)
        self._held = frame_buffer.Held()
        self._interval = setting.extra_interval_s if self._is_shot else setting.interval_s
        self._first = 0  # of the running shot
        self._grid = frame_buffer.Grid(self._interval)
        self._times = _Times(self._detector.lag)
        self._anchors = _Anchors(self._detector)
        if restart:
            self._first = restart.first_frame_index
            self._grid = frame_buffer.Grid(self._interval, restart.anchor.start_pts)
            self._times = _Times(self._detector.lag, restart.first_pts)
            self._detector.start(
                restart.anchor.index, restart.first_frame_index, restart.transition_in
            )

    def run(self, frames) -> Iterator[Pick | ShotEnd]:
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
            for found in self._detector.push(self._detector.look(frame, self._info)):
                yield from self._close(found, self._times.end_of(found))
        for found in self._detector.finish():
            end = self._tally.end_pts if found.transition_out == "end" else None
            yield from self._close(found, self._times.end_of(found, end))

    def _close(self, found: FoundShot, span: tuple[int, int]) -> Iterator[Pick | ShotEnd]:
        """Yield the frames of a finished shot, and the shot."""
        inside = self._candidates.take(found)
        extra, boxes = self._held.take(found)

        @cache
        def sharpness_of(index: int) -> float:
            return video_frame.sharpness(inside[index])

        setting = self._setting.keyframe
        chosen = []
        if self._is_shot:
            chosen = keyframe.select_frames(found, inside, sharpness_of, setting)
            clear = frame_buffer.clear_of_transition(found, extra)
            own = [inside[i].time_s for i, _ in chosen]
            times = {i: extra[i].time_s for i in clear}
            extra = {
                i: extra[i] for i in frame_buffer.thin_interval(times, own, float(self._interval))
            }
        box = frame_buffer.content_box(inside.values(), boxes)
        reasons = dict.fromkeys(extra, "interval") | dict(chosen)
        for index in sorted(reasons):
            yield self._pick((extra | inside)[index], reasons[index], box)
        self._first = found.end_frame_index
        yield ShotEnd(
            found=found,
            kind=keyframe.kind_of(found, setting),
            start_pts=span[0],
            end_pts=span[1],
            restart=self._anchors.restart(found, span[1], self._tally),
        )

    def _pick(self, frame: DecodedFrame, reason: str, box) -> Pick:
        return Pick(frame=frame, reason=reason, crop=box if self._setting.is_cropped else None)


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
        start = self._start
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
        """How to go on after a shot; None when only the film's start will do."""
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
            anchor=Anchor(
                index=index,
                pts=pts,
                num_decoded=index,
                start_pts=tally.start_pts,
                is_interlaced=is_interlaced,
                num_trimmed=tally.num_trimmed,
            ),
        )


def _told(frames, note_frame) -> Iterator[DecodedFrame]:
    for frame in frames:
        note_frame(frame)
        yield frame
