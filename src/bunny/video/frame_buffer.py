"""Frames taken at equal times, held until the end of their shot is known, as far as memory goes.

Only then it is known whether they lie in a transition, which frames stand for the shot, and what
of the picture is letterbox. Of a shot too long to be held, the oldest frames go out early.
"""

from collections.abc import Iterable
from fractions import Fraction

from bunny.video import bars
from bunny.video.bars import Box
from bunny.video.frame import DecodedFrame, luma
from bunny.video.shot.one_pass import FoundShot

HELD_BYTES = 128 << 20
BAR_FRAMES = 12  # of a shot that are looked at for bars
TRANSITION_INSET = 14  # frames away from a fade or dissolve: half of about a second
TRANSITION_MOST = 1 / 3  # of a shot's length that may be left out at each end


class Grid:
    """Equal times from the film's first frame on.

    Parameters
    ----------
    interval_s : Fraction
        0: no time is ever due.
    start_pts : int, optional
        Of the film's first frame, when the first frame that comes is a later one.
    """

    def __init__(self, interval_s: Fraction, start_pts: int | None = None) -> None:
        self._interval, self._start = interval_s, start_pts
        self._last: int | None = None

    def is_due(self, frame: DecodedFrame) -> bool:
        """Whether this is the first frame at or after one of the times."""
        if not self._interval:
            return False
        if self._start is None:
            self._start = frame.pts
        past = (frame.pts - self._start) * frame.time_base // self._interval
        last, self._last = self._last, past
        return frame.pts == self._start if last is None else past > last


class Held:
    """Frames of the running shot that wait for its end."""

    def __init__(self, most_bytes: int = HELD_BYTES) -> None:
        self._most = most_bytes
        self._frames: dict[int, DecodedFrame] = {}
        self._boxes: dict[int, Box | None] = {}

    def add(self, frame: DecodedFrame) -> None:
        """Hold a frame."""
        self._frames[frame.index] = frame
        self._boxes[frame.index] = bars.find_bars(luma(frame))

    def overflow(self, settled: int) -> list[tuple[DecodedFrame, Box | None]]:
        """Let the older half go when there are too many, with the box of the shot so far.

        Parameters
        ----------
        settled : int
            Frames before it belong to the running shot for certain.
        """
        if sum(f.num_bytes for f in self._frames.values()) <= self._most:
            return []
        old = sorted(i for i in self._frames if i < settled)
        box = bars.merge(b for i, b in self._boxes.items() if i < settled)
        return [(self._frames.pop(i), box) for i in old[: max(1, len(old) // 2)]]

    def take(self, shot: FoundShot) -> tuple[dict[int, DecodedFrame], list[Box | None]]:
        """Frames of a finished shot by index, and the boxes seen in it; both are forgotten here."""
        end = shot.end_frame_index
        frames = {i: self._frames.pop(i) for i in sorted(self._frames) if i < end}
        boxes = [self._boxes.pop(i) for i in sorted(self._boxes) if i < end]
        return frames, boxes


def content_box(frames: Iterable[DecodedFrame], known: Iterable[Box | None] = ()) -> Box | None:
    """What of a shot's picture is no bar, from some of its frames, spread evenly.

    Returns
    -------
    (x0, y0, x1, y1) or None
        In stored pixels; None when all of it is picture or nothing can be told.
    """
    frames = list(frames)
    step = max(1, len(frames) // BAR_FRAMES)
    return bars.merge([*known, *(bars.find_bars(luma(f)) for f in frames[::step])])


def clear_of_transition(shot: FoundShot, indices: Iterable[int]) -> list[int]:
    """Frames that do not lie in the fade or dissolve at either end of a shot."""
    first, last = shot.first_frame_index, shot.end_frame_index - 1
    room = min(TRANSITION_INSET, TRANSITION_MOST * (last - first))
    soft = ("fade", "dissolve")
    begin = first + room * (shot.transition_in in soft)
    end = last - room * (shot.transition_out in soft)
    return [i for i in indices if begin <= i <= end]


def thin_interval(times: dict[int, float], own: Iterable[float], interval_s: float) -> list[int]:
    """Leave out interval frames that a shot's own frames make needless.

    Parameters
    ----------
    times : dict of int to float
        Seconds of each interval frame, by frame index.
    own : iterable of float
        Seconds of the frames chosen for the shot.
    interval_s : float

    Returns
    -------
    list of int
        Frame indices at least half an interval away from each frame of the shot's own.
    """
    own = list(own)
    return [i for i, time in times.items() if all(abs(time - t) >= interval_s / 2 for t in own)]
