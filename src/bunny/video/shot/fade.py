"""Fades through black, white or another flat picture, and through black under an overlay.

An overlay (a logo, a caption, a copyright line) stays while the picture falls to black, so that no
frame is flat. Black is then what lies beside it, and the overlay must be in the pictures before and
after: a title that is on the black alone is none, nor are lights of a picture that fades in.
"""

import itertools
from dataclasses import replace

import cv2
import numpy as np

from bunny.video.shot import frame_difference
from bunny.video.shot.cut import CUT_FLOOR, FLASH_FRAMES, SAME_MATCH, is_same_again
from bunny.video.shot.window import Boundary, RecentFrames, middle

FLAT_SPREAD = 3 / 255  # bottoms of fades have 0.007 or less; a shot five times too dark 0.02
FLAT_RATIO = 3  # of the contrast before to that at the bottom; a dark shot has little all along
BLACK_LIGHT = 16 / 255  # a flat picture below it is black
GAP_JUMP = 3  # of the change into a flash or black frame to the change before it; a fade's are even
FLAT_BOTTOM = 4 / 255  # frames this near to the darkest are the bottom
MAX_FLAT = 48  # of a longer flat span the first so many count
DIP_REACH = 24  # steps on each side in which a fade that never gets flat falls and rises
STILL_STEPS = 3  # without a livelier frame: the fade is over; drawn on threes it stops for two
DIP_RATIO = 3  # of the contrast on both sides to that at the bottom
DIP_JUMP = 0.4  # most share of the fall in one frame; more is a cut
DIP_SLOPE = 0.33  # least mean height of fall and of rise; 0.5 when even, 0.2 when it stays dark
DIP_LIKENESS = 0.75  # most correlation of the pictures on both sides
OVERLAY_SHARE = 0.1  # of the pixels that an overlay may cover
OVERLAY_LIGHT = 40 / 255  # mean luma; a black picture with an overlay has less
OVERLAY_LEVEL = 16  # grey levels by which an overlay is brighter than the black beside it
OVERLAY_PX = 7  # side of the square whose mean is taken off, so that the picture does not count
OVERLAY_REMAINS = 0.9  # of its pixels are as bright in both pictures
OVERLAY_LIKENESS = 0.5  # least correlation there of the black and one of the pictures


class FadeDetector:
    """Follows flat spans and dips of contrast among recent frames.

    Parameters
    ----------
    step : int
        Frames between those that dissolves and dips are measured in.
    """

    def __init__(self, recent: RecentFrames, step: int) -> None:
        self._recent, self._step = recent, step
        self._flat: list[int] = []
        self._flat_is = "none"  # none, black or coloured
        self._is_flat_decided = False
        self._rising: list[Boundary] = []
        self._covered: list[int] = []  # frames that are black but for an overlay
        self._is_covered_decided = False
        self._overlaid: list[Boundary] = []
        self._dip: Boundary | None = None  # the last one

    def at(self, newest: int) -> list[Boundary]:
        """Look at the newest frame; gives the fades that are over, mostly none."""
        flat, dip = self._flat_at(newest), self._dip_at(newest - DIP_REACH * self._step)
        self._rising += [flat] if flat else []
        done = [b for b in self._rising if newest - b.span[1] >= DIP_REACH * self._step]
        self._rising = [b for b in self._rising if b not in done]
        self._dip = dip or self._dip
        done += self._overlay_at(newest)
        return [self._with_flank(b) for b in done] + ([dip] if dip else [])

    def finish(self) -> list[Boundary]:
        """Say that no frame follows; gives the fades whose rise was not over."""
        overlaid = [b for b in self._overlaid if self._has_overlay(b)]
        return [self._with_flank(boundary) for boundary in [*self._rising, *overlaid]]

    def _overlay_at(self, newest: int) -> list[Boundary]:
        """Follow frames that are black under an overlay; gives the fades whose rise is over."""
        is_covered = self._is_covered_black(newest)
        if is_covered and newest == self._recent.start:
            self._is_covered_decided = True  # what was before is unknown
        elif is_covered and not self._is_covered_decided:
            self._covered.append(newest)
        if self._covered and (not is_covered or len(self._covered) == MAX_FLAT):
            frames, self._covered = self._covered, []
            self._is_covered_decided = True
            if not self._is_gap(frames) and not self._adjoins_flat(frames):
                light = {i: self._recent.at(i).light for i in frames}
                least = min(light.values())
                index = middle([i for i in frames if light[i] <= least + FLAT_BOTTOM])
                span = frames[0], frames[-1] + 1
                self._overlaid.append(Boundary(index=index, kind="fade", strength=1.0, span=span))
        if not is_covered:
            self._is_covered_decided = False
        over = [b for b in self._overlaid if newest - b.span[1] >= DIP_REACH * self._step]
        self._overlaid = [b for b in self._overlaid if b not in over]
        return [b for b in over if self._has_overlay(b)]

    def _adjoins_flat(self, frames: list[int]) -> bool:
        """Whether the frame before or after is flat: what was bright has gone, it is no overlay."""
        after = min(frames[-1] + 1, self._recent.count - 1)
        return any(self._recent.at(i).spread < FLAT_SPREAD for i in (frames[0] - 1, after))

    def _is_covered_black(self, index: int) -> bool:
        """Whether a frame is black but for a small part, and not without it."""
        here = self._recent.at(index)
        if here.spread < FLAT_SPREAD or here.light - here.spread > OVERLAY_LIGHT:
            return False
        return _is_black_beside(self._recent.thumb(index))

    def _has_overlay(self, boundary: Boundary) -> bool:
        """Whether what is seen in the black is in the pictures before and after it too."""
        reach = DIP_REACH * self._step
        if self._dip and abs(self._dip.index - boundary.index) < reach:
            return False  # the dip is this fade
        before = max(self._recent.oldest, boundary.span[0] - reach)
        after = min(self._recent.count - 1, boundary.span[1] + reach - 1)
        black = self._recent.thumb(boundary.index)
        ends = [self._recent.thumb(i) for i in (before, after)]
        if _beside_overlay(ends[0]).std() < 255 * FLAT_RATIO * FLAT_SPREAD:
            return False  # there was no picture
        if any(_remaining_share(black, end) < OVERLAY_REMAINS for end in ends):
            return False
        lively = [e for e in ends if _beside_overlay(e).std() >= 255 * FLAT_SPREAD]
        return any(_overlay_likeness(black, end) > OVERLAY_LIKENESS for end in lively)

    def _with_flank(self, boundary: Boundary) -> Boundary:
        """Add the frames in which the picture falls to the bottom, and rises from it."""
        first, end = boundary.span
        fall = self._ramp(range(first - 1, self._recent.oldest - 1, -1))
        rise = self._ramp(range(end, self._recent.count))
        return replace(boundary, flank=(first - fall, end + rise))

    def _ramp(self, indices: range) -> int:
        """Frames outward from a flat span until for a while the picture gets no livelier."""
        most, length = 0.0, 0
        for k, index in enumerate(indices[: DIP_REACH * self._step]):
            if k - length > STILL_STEPS * self._step:
                break
            if self._recent.at(index).spread > most:
                most, length = self._recent.at(index).spread, k + 1
        return length

    def _flat_at(self, index: int) -> Boundary | None:
        """Follow flat spans; the boundary of the one that ends before this frame, or is long."""
        kind, found = self._flat_kind(index), None
        if (
            index == self._recent.start
        ):  # what was before is unknown, or black before the first picture
            self._flat_is, self._is_flat_decided = kind, True
        if kind != self._flat_is:
            found = self._close_flat(kind)
            self._is_flat_decided = False
        self._flat_is = kind
        if kind != "none" and not self._is_flat_decided:
            self._flat.append(index)
            if len(self._flat) == MAX_FLAT:
                found = self._close_flat("none")
                self._is_flat_decided = True
        return found

    def _flat_kind(self, index: int) -> str:
        if self._recent.at(index).spread >= FLAT_SPREAD:
            return "none"
        return "black" if self._recent.at(index).light < BLACK_LIGHT else "coloured"

    def _close_flat(self, following: str) -> Boundary | None:
        """Put the boundary in the middle of a flat span's darkest frames.

        None for a flash or a black frame after which the old picture is back, and for a coloured
        span that comes from black or runs into it: the black has the boundary.
        """
        frames, self._flat = self._flat, []
        if not frames or self._is_gap(frames) or not self._has_fallen(frames):
            return None
        comes_from_black = self._recent.at(frames[0] - 1).spread < FLAT_SPREAD
        if self._flat_is == "coloured" and (comes_from_black or following != "none"):
            return None
        least = min(self._recent.at(i).light for i in frames)
        index = middle([i for i in frames if self._recent.at(i).light <= least + FLAT_BOTTOM])
        return Boundary(index=index, kind="fade", strength=1.0, span=(frames[0], frames[-1] + 1))

    def _is_gap(self, frames: list[int]) -> bool:
        """Whether a few flat frames interrupt one shot: the pictures beside them are alike."""
        if len(frames) > FLASH_FRAMES or frames[-1] + 1 >= self._recent.count:
            return False
        here = self._recent.at(frames[0]).moved
        if here < GAP_JUMP * self._recent.at(frames[0] - 1).moved + CUT_FLOOR:
            return False  # it comes little by little: a fade
        before, after = (self._recent.thumb(i) for i in (frames[0] - 1, frames[-1] + 1))
        return (
            is_same_again(before, after, here)
            or frame_difference.best_match(before, after) > SAME_MATCH
        )

    def _has_fallen(self, frames: list[int]) -> bool:
        """Whether the picture was much livelier before."""
        first = max(self._recent.oldest, frames[0] - DIP_REACH * self._step)
        most = max(self._recent.at(i).spread for i in range(first, frames[0]))
        return most >= FLAT_RATIO * min(self._recent.at(i).spread for i in frames)

    def _dip_at(self, centre: int) -> Boundary | None:
        """Find a fade that never gets flat: contrast falls and rises, to another picture."""
        reach = DIP_REACH * self._step
        if centre - reach <= self._recent.start:
            return None
        bottom = self._recent.at(centre).spread
        if bottom < FLAT_SPREAD:
            return None
        before = [self._recent.at(i).spread for i in range(centre - reach, centre)]
        after = [self._recent.at(i).spread for i in range(centre + 1, centre + reach + 1)]
        if min(before) <= bottom or min(after) < bottom:
            return None
        if min(max(before), max(after)) < DIP_RATIO * bottom:
            return None
        top = max(range(reach), key=lambda i: before[i]), max(range(reach), key=lambda i: after[i])
        fall = [*before[top[0] :], bottom]
        rise = [bottom, *after[: top[1] + 1]]
        if _largest_jump(fall) > DIP_JUMP or _largest_jump(rise) > DIP_JUMP:
            return None
        if min(_mean_height(fall), _mean_height(rise)) < DIP_SLOPE:
            return None  # it stays dark: somebody put out the light
        first, last = centre - reach + top[0], centre + 1 + top[1]
        if (
            frame_difference.correlation(self._recent.thumb(first), self._recent.thumb(last))
            > DIP_LIKENESS
        ):
            return None
        span = first, last
        return Boundary(index=centre, kind="fade", strength=1.0, span=span, flank=span)


def is_blank(thumb: np.ndarray) -> bool:
    """Whether a thumbnail is of one colour all over, or black but for a tenth of it.

    Parameters
    ----------
    thumb : np.ndarray, shape (height, width, 3), uint8
        YUV.
    """
    return frame_difference.contrast(thumb) < FLAT_SPREAD or _is_black_beside(thumb)


def _is_black_beside(thumb: np.ndarray) -> bool:
    """Whether all but the brightest tenth of the pixels is black."""
    beside = _beside_overlay(thumb)
    return float(beside.std()) < 255 * FLAT_SPREAD and float(beside.mean()) < 255 * BLACK_LIGHT


def _beside_overlay(thumb: np.ndarray) -> np.ndarray:
    """Luma of all but the brightest tenth of the pixels."""
    luma = thumb[..., 0].ravel()
    kept = luma.size - int(OVERLAY_SHARE * luma.size)
    return np.partition(luma, kept - 1)[:kept]


def _remaining_share(black: np.ndarray, picture: np.ndarray) -> float:
    """Share of what is bright in a black picture that is no darker in another."""
    luma = [thumb[..., 0].astype(np.int16) for thumb in (black, picture)]
    is_bright = luma[0] > np.median(luma[0]) + OVERLAY_LEVEL
    is_there = luma[1][is_bright] >= luma[0][is_bright] - OVERLAY_LEVEL
    return float(is_there.mean()) if is_there.size else 0.0


def _overlay_likeness(black: np.ndarray, picture: np.ndarray) -> float:
    """Correlation, around what is bright in a black picture, with another; -1 to 1."""
    luma = [np.ascontiguousarray(thumb[..., 0], np.float32) for thumb in (black, picture)]
    is_bright = (luma[0] > np.median(luma[0]) + OVERLAY_LEVEL).astype(np.uint8)
    near = cv2.dilate(is_bright, np.ones((3, 3), np.uint8)) > 0
    if not near.any():
        return 0.0
    one, two = (plane - cv2.blur(plane, (OVERLAY_PX, OVERLAY_PX)) for plane in luma)
    a, b = one[near] - one[near].mean(), two[near] - two[near].mean()
    norm = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / norm if norm else 0.0


def _mean_height(line: list[float]) -> float:
    """Mean of a line between its least, 0, and its most, 1."""
    height = max(line) - min(line)
    return (sum(line) / len(line) - min(line)) / height if height else 0.0


def _largest_jump(line: list[float]) -> float:
    """Largest step of a line as a share of its whole height."""
    height = max(line) - min(line)
    return max(abs(b - a) for a, b in itertools.pairwise(line)) / height if height else 1.0
