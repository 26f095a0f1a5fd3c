"""The frames to take from a film, and its shots, in one decode.

Three ways: frames that stand for each shot, frames at equal times, or the codec's keyframes.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache

from bunny.video import change, decode, keyframe, picture, shot
from bunny.video.decode import Tally
from bunny.video.keyframe import KeyframeSetting
from bunny.video.picture import DecodedFrame
from bunny.video.probe import FilmInfo
from bunny.video.shot import FoundShot, ShotSetting

# Two keyframes of one shot may be seconds apart: only unlike pictures part them.
KEYFRAME_CHANGE = 0.05  # least compensated difference
KEYFRAME_LIKENESS = 0.6  # most correlation


@dataclass(frozen=True, kw_only=True)
class PickSetting:
    """Which frames are taken."""

    method: str = "shot"  # shot, interval or keyframe
    interval_s: Fraction = Fraction(2)  # of method interval
    extra_interval_s: Fraction = Fraction(0)  # of method shot: also a frame so often; 0: none
    shot: ShotSetting = field(default_factory=ShotSetting)
    keyframe: KeyframeSetting = field(default_factory=KeyframeSetting)


@dataclass(frozen=True, kw_only=True)
class Pick:
    """A frame to take; its shot comes later in the stream."""

    frame: DecodedFrame
    reason: str


@dataclass(frozen=True, kw_only=True)
class ShotEnd:
    """A finished shot; all its picks came before."""

    found: FoundShot
    kind: str  # static or dynamic
    start_pts: int
    end_pts: int  # of the next shot's first frame, or the film's end


def pick_frames(
    info: FilmInfo,
    setting: PickSetting,
    tally: Tally,
    *,
    num_threads: int = 0,
    note_frame: Callable[[DecodedFrame], None] | None = None,
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

    Yields
    ------
    Pick or ShotEnd
        Shots in order, each after its picks. With method keyframe, shots begin at keyframes and
        their `motion` is the mean difference of neighbouring keyframes.
    """
    is_keyframe_only = setting.method == "keyframe"
    frames = decode.iterate_frames(
        info, tally, is_keyframe_only=is_keyframe_only, num_threads=num_threads
    )
    if note_frame:
        frames = _told(frames, note_frame)
    if is_keyframe_only:
        return _pick_keyframes(frames, info, tally, setting)
    return _pick_by_shot(frames, info, tally, setting)


def thin_interval(
    reasons: dict[int, str], time_of: dict[int, float], interval_s: float
) -> list[int]:
    """Leave out interval frames that a shot's own frames make needless.

    Parameters
    ----------
    reasons : dict of int to str
        Reason of each frame index of one shot.
    time_of : dict of int to float
        Their times in seconds.
    interval_s : float

    Returns
    -------
    list of int
        Frame indices that stay: all chosen for the shot, and interval frames at least half an
        interval away from each of them.
    """
    own = [i for i, reason in reasons.items() if reason != "interval"]
    gap = interval_s / 2
    extra = [
        i
        for i, reason in reasons.items()
        if reason == "interval" and all(abs(time_of[i] - time_of[k]) >= gap for k in own)
    ]
    return sorted(own + extra)


class _Grid:
    """Equal times from the first frame on."""

    def __init__(self, interval_s: Fraction) -> None:
        self._interval = interval_s
        self._next: Fraction | None = None

    def is_due(self, frame: DecodedFrame) -> bool:
        """Whether this is the first frame at or after the next time."""
        if not self._interval:
            return False
        now = frame.pts * frame.time_base
        if self._next is None:
            self._next = now
        if now < self._next:
            return False
        self._next += self._interval * ((now - self._next) // self._interval + 1)
        return True


def _pick_by_shot(frames, info, tally, setting) -> Iterator[Pick | ShotEnd]:
    is_shot = setting.method == "shot"
    detector = shot.ShotDetector(setting.shot, info.rate)
    candidates = keyframe.Candidates(setting.keyframe, detector.lag)
    grid = _Grid(setting.extra_interval_s if is_shot else setting.interval_s)
    times = _Times(detector.lag)
    for frame in frames:
        times.add(frame)
        if is_shot:
            candidates.add(frame)
        if grid.is_due(frame):
            yield Pick(frame=frame, reason="interval")
        for found in detector.push(picture.thumb(frame, info)):
            yield from _close(found, candidates, times.end_of(found), setting)
    for found in detector.finish():
        end = tally.end_pts if found.transition_out == "end" else None
        yield from _close(found, candidates, times.end_of(found, end), setting)


def _close(found, candidates, span, setting) -> Iterator[Pick | ShotEnd]:
    """Yield the frames of a finished shot, and the shot."""
    inside = candidates.take(found)

    @cache
    def sharpness_of(index: int) -> float:
        return picture.sharpness(inside[index])

    for index, reason in keyframe.select_frames(found, inside, sharpness_of, setting.keyframe):
        yield Pick(frame=inside[index], reason=reason)
    kind = keyframe.kind_of(found, setting.keyframe)
    yield ShotEnd(found=found, kind=kind, start_pts=span[0], end_pts=span[1])


class _Times:
    """Times of the frames at which shots may still begin."""

    def __init__(self, lag: int) -> None:
        self._recent: deque[tuple[int, int]] = deque(maxlen=2 * lag + 1)
        self._start = 0

    def add(self, frame: DecodedFrame) -> None:
        if not self._recent:
            self._start = frame.pts
        self._recent.append((frame.index, frame.pts))

    def end_of(self, found: FoundShot, end_pts: int | None = None) -> tuple[int, int]:
        """Start and end of a shot; the end is the next one's start."""
        start = self._start
        if end_pts is None:
            end_pts = self._recent[found.end_frame_index - self._recent[0][0]][1]
        self._start = end_pts
        return start, end_pts


def _pick_keyframes(frames, info, tally, setting) -> Iterator[Pick | ShotEnd]:
    first: DecodedFrame | None = None
    before, moves = None, []
    transition = "start"

    def end_shot(end_index: int, end_pts: int, transition_out: str) -> ShotEnd:
        found = FoundShot(
            first_frame_index=0 if transition == "start" else first.index,
            end_frame_index=end_index,
            transition_in=transition,
            transition_out=transition_out,
            motion=sum(moves) / len(moves) if moves else 0.0,
        )
        kind = keyframe.kind_of(found, setting.keyframe)
        return ShotEnd(found=found, kind=kind, start_pts=first.pts, end_pts=end_pts)

    for frame in frames:
        thumb = picture.thumb(frame, info)
        if first is None:
            first = frame
        elif _is_other_shot(before, thumb, setting.shot.cut_threshold):
            yield end_shot(frame.index, frame.pts, "cut")
            first, moves, transition = frame, [], "cut"
        else:
            moves.append(change.plain_difference(before, thumb))
        before = thumb
        last_index = frame.index
        yield Pick(frame=frame, reason="keyframe")
    if first is not None:
        end_index = max(last_index + 1, tally.num_packets)
        yield end_shot(end_index, max(tally.end_pts, first.pts + 1), "end")


def _is_other_shot(before, thumb, threshold: float) -> bool:
    """Whether two keyframes are of different shots."""
    return (
        change.compensated_difference(before, thumb) >= KEYFRAME_CHANGE * threshold
        and change.likeness(before, thumb) < KEYFRAME_LIKENESS
    )


def _told(frames, note_frame) -> Iterator[DecodedFrame]:
    for frame in frames:
        note_frame(frame)
        yield frame
