"""Keyframes of a shot: candidates held until the shot ends, and the choice among them.

Only then it is known whether they lie in a transition, which frames stand for the shot, and what
of the picture is letterbox. Of a shot too long to be held, the oldest frames go out early.
"""

from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

import numpy as np

from bunny.core.config import ExtractionConfig
from bunny.video import letterbox
from bunny.video.frame import DecodedFrame, luma
from bunny.video.letterbox import Box
from bunny.video.shot import frame_difference
from bunny.video.shot.fade import is_blank
from bunny.video.shot.fast_detector import FoundShot
from bunny.video.shot.luma_range import TRANSITION_INSET, settled_frames

INSET_SHARE = 0.08  # of a shot's length: how far inside its first and last pictures are taken
MAX_INSET = 12  # frames
NEAR_SHARE = 0.06  # of a shot's length: how far from its place a sharper frame is looked for
MAX_NEAR = 8  # frames
MIN_STRIDE, MAX_STRIDE = 2, 4  # frames; the shortest shot, of 4 frames, still has a candidate
RECENT_BYTES = 64 << 20  # memory for the frames that a boundary may still fall among
MIN_OLD = 24  # candidates of the settled part of a running shot; thinned by halves
CANDIDATES_PER_PICK = 4
MOST_COMPARED = 12  # frames of a static shot that are looked at for other pictures
SAME_PICTURE = 0.7  # correlation from which two frames show one picture, whatever its light
LEAST_CHANGE = 0.04  # plain difference; below it unlike frames are the noise of dark ones

HELD_BYTES = 128 << 20
BAR_FRAMES = 12  # of a shot that are looked at for bars


class KeyframeCandidates:
    """Frames of the running shot that may be taken, few enough to hold.

    The last `lag` frames are kept every second to fourth; older ones ever more thinly as the shot
    grows. So memory is bounded, and a frame is near wherever one is wanted.

    Parameters
    ----------
    lag : int
        Frames after which the shot detector has decided.
    """

    def __init__(self, extraction: ExtractionConfig, lag: int) -> None:
        self._lag = lag
        self._most = max(MIN_OLD, CANDIDATES_PER_PICK * extraction.frames_per_dynamic_shot)
        self._frames: dict[int, DecodedFrame] = {}
        self._stride = 0
        self._old_stride = 0

    def __len__(self) -> int:
        return len(self._frames)

    def add(self, frame: DecodedFrame) -> None:
        """Take the next frame of the film, or let it go."""
        if not self._stride:
            wanted = -(-frame.num_bytes * self._lag // RECENT_BYTES)
            self._stride = self._old_stride = min(MAX_STRIDE, max(MIN_STRIDE, wanted))
        if frame.index % self._stride == 0:
            self._frames[frame.index] = frame
            self._thin(frame.index - self._lag)

    def take(self, shot: FoundShot) -> dict[int, DecodedFrame]:
        """Frames of a finished shot by index; they are forgotten here."""
        end = shot.end_frame_index
        inside = {i: self._frames.pop(i) for i in list(self._frames) if i < end}
        self._old_stride = self._stride
        return {i: frame for i, frame in inside.items() if i >= shot.first_frame_index}

    def _thin(self, settled: int) -> None:
        """Keep few enough frames before `settled`, evenly."""
        old = self._drop_between(settled)
        while len(old) > self._most:
            self._old_stride *= 2
            old = self._drop_between(settled)

    def _drop_between(self, settled: int) -> list[int]:
        """Let go the settled frames off the stride; gives those that stay."""
        old = [i for i in self._frames if i < settled]
        for index in old:
            if index % self._old_stride:
                del self._frames[index]
        return [i for i in old if i in self._frames]


def shot_kind(shot: FoundShot, extraction: ExtractionConfig) -> str:
    """`static` when a shot's frames differ by less than the threshold, else `dynamic`."""
    return "static" if shot.luma_range < extraction.static_range else "dynamic"


def select_keyframes(
    shot: FoundShot,
    indices: Iterable[int],
    sharpness_of: Callable[[int], float],
    extraction: ExtractionConfig,
    thumb_of: Callable[[int], np.ndarray] | None = None,
) -> list[tuple[int, str]]:
    """Choose the frames that stand for a shot.

    A static shot gives the sharpest frame near its median; a dynamic one its start, middle and end
    (more are spread evenly), each the sharpest near its place, and a little inside the shot. A
    blank frame gives way to the nearest that is not, where there is one. A static shot that has
    other pictures too, such as stills that follow each other slowly, gives each of them.

    Parameters
    ----------
    indices : iterable of int
        Frame indices of the candidates.
    sharpness_of : callable
        Gives the sharpness of a candidate; asked only where it decides.
    thumb_of : callable, optional
        Gives the thumbnail of a candidate, YUV; without it no frame is looked at.

    Returns
    -------
    list of (frame index, reason)
        In order of index, no index twice; fewer than wanted when there are fewer candidates.
    """
    chosen: dict[int, str] = {}
    indices = sorted(indices)
    near = min(MAX_NEAR, NEAR_SHARE * (shot.end_frame_index - shot.first_frame_index))
    for place, reason in _places(shot, extraction):
        free = [i for i in indices if i not in chosen]
        if not free:
            break
        around = [i for i in free if abs(i - place) <= near]
        if around:
            best = max(around, key=lambda i: (sharpness_of(i), -abs(i - place), -i))
        else:
            best = min(free, key=lambda i: (abs(i - place), i))
        chosen[best] = reason
    if thumb_of and chosen:
        chosen = _without_blank(chosen, indices, thumb_of)
        if shot_kind(shot, extraction) == "static":
            chosen |= _other_pictures(shot, indices, list(chosen), thumb_of)
    return sorted(chosen.items())


def _without_blank(
    chosen: dict[int, str], indices: list[int], thumb_of: Callable[[int], np.ndarray]
) -> dict[int, str]:
    """Put the nearest frame that is not blank in the place of each blank one."""
    found = {i: reason for i, reason in chosen.items() if not is_blank(thumb_of(i))}
    if len(found) == len(chosen):
        return chosen
    lively = [i for i in indices if not is_blank(thumb_of(i))]
    for index, reason in chosen.items():
        free = [i for i in lively if i not in found]
        if index not in found and free:
            found[min(free, key=lambda i: (abs(i - index), i))] = reason
    return found or chosen


def _other_pictures(
    shot: FoundShot, indices: list[int], chosen: list[int], thumb_of: Callable[[int], np.ndarray]
) -> dict[int, str]:
    """Frames that show none of the pictures already chosen."""
    inside = outside_transitions(shot, indices)
    shown = [thumb_of(i) for i in chosen]
    found: dict[int, str] = {}
    for place in np.linspace(0, len(inside) - 1, min(MOST_COMPARED, len(inside))):
        index = inside[round(place)]
        thumb = thumb_of(index)
        if is_blank(thumb) or any(_is_same_picture(thumb, other) for other in shown):
            continue
        shown.append(thumb)
        found[index] = "shot-middle"
    return found


def _is_same_picture(one: np.ndarray, two: np.ndarray) -> bool:
    """Whether two thumbnails show one picture, perhaps in another light."""
    if frame_difference.plain_difference(one, two) < LEAST_CHANGE:
        return True
    return frame_difference.correlation(one, two) >= SAME_PICTURE


def _places(shot: FoundShot, extraction: ExtractionConfig) -> list[tuple[float, str]]:
    """Where frames are wanted, the most important first."""
    first, last = shot.first_frame_index, shot.end_frame_index - 1
    count = extraction.frames_per_dynamic_shot
    if shot_kind(shot, extraction) == "static" or last - first < 2:
        return [((first + last) / 2, "shot-median")]
    start = first + _inset(shot.transition_in, last - first)
    end = last - _inset(shot.transition_out, last - first)
    if count == 1:
        return [((start + end) / 2, "shot-middle")]
    between = [
        (start + (end - start) * k / (count - 1), "shot-middle") for k in range(1, count - 1)
    ]
    return [(start, "shot-start"), (end, "shot-end"), *between]


def _inset(transition: str, length: int) -> float:
    """How far from a shot's edge its first or last frame is taken."""
    if transition in ("fade", "dissolve"):
        return min(TRANSITION_INSET, length / 3)
    return min(MAX_INSET, INSET_SHARE * length)


def exact_seconds(seconds: float) -> Fraction:
    """A setting in seconds as the fraction that was meant: 0.1 is a tenth."""
    return Fraction(seconds).limit_denominator(10**6)


class IntervalSampler:
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


class HeldFrames:
    """Frames of the running shot that wait for its end.

    Parameters
    ----------
    most_bytes : int
        Memory for them.
    find_box, merge : callable
        Find what of a frame is no bar, and put together what was found in several; replaced where
        frames are only planned with (`selection_replay`).
    """

    def __init__(
        self,
        most_bytes: int = HELD_BYTES,
        find_box: Callable[[Any], Any] = lambda frame: letterbox.content_vote(luma(frame)),
        merge: Callable[[Iterable[Any]], Any] = letterbox.merge_boxes,
    ) -> None:
        self._most, self._find_box, self._merge = most_bytes, find_box, merge
        self._frames: dict[int, DecodedFrame] = {}
        self._boxes: dict[int, Box | None] = {}

    def add(self, frame: DecodedFrame) -> None:
        """Hold a frame."""
        self._frames[frame.index] = frame
        self._boxes[frame.index] = self._find_box(frame)

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
        box = self._merge(b for i, b in self._boxes.items() if i < settled)
        return [(self._frames.pop(i), box) for i in old[: max(1, len(old) // 2)]]

    def take(self, shot: FoundShot) -> tuple[dict[int, DecodedFrame], list[Box | None]]:
        """Frames of a finished shot by index, and the boxes seen in it; both are forgotten here."""
        end = shot.end_frame_index
        frames = {i: self._frames.pop(i) for i in sorted(self._frames) if i < end}
        boxes = [self._boxes.pop(i) for i in sorted(self._boxes) if i < end]
        return frames, boxes


def shot_content_box(
    frames: Iterable[DecodedFrame], known: Iterable[Box | None] = ()
) -> Box | None:
    """Box of a shot's picture without its bars, from some of its frames, spread evenly.

    Returns
    -------
    (x0, y0, x1, y1) or None
        In stored pixels; None when all of it is picture or nothing can be told.
    """
    frames = list(frames)
    step = max(1, len(frames) // BAR_FRAMES)
    return letterbox.merge_boxes(
        [*known, *(letterbox.content_vote(luma(f)) for f in frames[::step])]
    )


def outside_transitions(shot: FoundShot, indices: Iterable[int]) -> list[int]:
    """Frames that do not lie in the fade or dissolve at either end of a shot."""
    first, end = shot.first_frame_index, shot.end_frame_index
    settled = settled_frames(first, end, shot.transition_in, shot.transition_out)
    return [i for i in indices if i in settled]


def thin_interval_frames(
    times: dict[int, float], own: Iterable[float], interval_s: float
) -> list[int]:
    """Leave out interval frames that a shot's own frames make needless.

    Parameters
    ----------
    times : dict of int to float
        Seconds of each interval frame, by frame index.
    own : iterable of float
        Seconds of the frames chosen for the shot.

    Returns
    -------
    list of int
        Frame indices at least half an interval away from each frame of the shot's own.
    """
    own = list(own)
    return [i for i, time in times.items() if all(abs(time - t) >= interval_s / 2 for t in own)]
