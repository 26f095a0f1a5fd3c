"""Where shots begin: cuts, fades through a flat picture, dissolves, found in one pass.

Frames go in one by one as thumbnails; finished shots come out a bounded number of frames later,
so memory does not grow with the film. Thresholds were set on a few films and drawn scenes with
room on both sides; the figures beside them are what was seen there.
"""

import math
from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from bunny.video import change

NEIGHBOURS = 6  # frames on each side that a cut is compared with
CUT_FLOOR = 0.016  # least compensated difference of a cut: dark cuts have 0.02, grain 0.01
CUT_OFFSET = 0.008  # added to the neighbours' mean, so that stillness makes no cut of a flicker
CUT_RATIO = 2.0  # over the neighbours: cuts 2.3 to 30, all else below 1.8 on the films at hand
CUT_PEAK_RATIO = 1.25  # over the neighbours' second peak: animation on threes moves in jumps
CUT_SURE = 0.10  # no movement leaves so much: the second peak is another cut
STILL = 0.010  # a smaller plain difference is not searched for movement
FLASH_FRAMES = 4  # a flash is over, and the old picture back, within so many frames
FLASH_SHARE = 0.4  # of the change; below it the old picture is back
FLAT_SPREAD = 3 / 255  # bottoms of fades have 0.007 or less; a shot five times too dark 0.02
BLACK_LIGHT = 16 / 255  # a flat picture below it is black
FLAT_BOTTOM = 4 / 255  # frames this near to the darkest are the bottom
MAX_FLAT = 48  # of a longer flat span the first so many count
DISSOLVE_REACH = (5, 8, 12, 16, 24)  # half-widths looked at, in steps
DISSOLVE_CHANGE = 0.05  # least difference of the two ends
DISSOLVE_LIKENESS = 0.75  # most correlation of the two ends
DISSOLVE_RESIDUAL = 0.25  # dissolves 0.03 to 0.23; most movement 0.3 and more
DISSOLVE_CONTRAST = 0.5  # dissolves 0 to 0.4, drifting scenery 0.9 to 1.1
DISSOLVE_GAP = 3  # steps that may be missing within one dissolve
DISSOLVE_SPAN = 48  # steps; a longer run is decided at once
CLEAR_OF_DISSOLVE = 24  # steps around a cut or fade in which no dissolve is believed
STEP_RATE = 25  # frames a second; faster films are looked at in wider steps for dissolves
DELAY = 56  # steps until a boundary is known: reach 24 + gap 3 + half a span, and room


@dataclass(frozen=True, kw_only=True)
class ShotSetting:
    """How readily a boundary is seen."""

    cut_threshold: float = 1.0  # scales every threshold; higher gives fewer boundaries
    min_shot_frames: int = 4  # of two boundaries nearer than this the weaker is dropped


@dataclass(frozen=True, kw_only=True)
class FoundShot:
    """Frames from `first_frame_index` up to, not including, `end_frame_index`."""

    first_frame_index: int
    end_frame_index: int
    transition_in: str  # start, cut, fade or dissolve
    transition_out: str  # cut, fade, dissolve or end
    motion: float  # mean plain difference of neighbouring frames within the shot, in [0, 1]


@dataclass(frozen=True, kw_only=True)
class Boundary:
    """A first frame of a new shot, before neighbours are weighed against each other."""

    index: int
    kind: str  # cut, fade or dissolve
    strength: float
    span: tuple[int, int]  # frames of the transition, half-open


class Measures(NamedTuple):
    """Of one frame, all in [0, 1] but `total`."""

    plain: float  # difference to the frame before
    moved: float  # what of it no movement explains
    spread: float
    light: float  # mean luma and `spread` together: both fall to 0 in a fade to black
    total: float  # sum of `plain` since the film's start


class ShotDetector:
    """Finds shots in a stream of thumbnails.

    Parameters
    ----------
    setting : ShotSetting
    rate : Fraction
        Frames a second; 0 when unknown.
    """

    def __init__(self, setting: ShotSetting, rate: Fraction = Fraction(24)) -> None:
        self._setting = setting
        self.step = max(1, round(rate / STEP_RATE))
        self._margin = CLEAR_OF_DISSOLVE * self.step
        self.lag = DELAY * self.step + self._margin + 1  # a shot comes out at most so much late
        self._thumbs: deque[np.ndarray] = deque(maxlen=2 * max(DISSOLVE_REACH) * self.step + 1)
        self._measures: deque[Measures] = deque(maxlen=self.lag + 2 * MAX_FLAT)
        self._count = 0
        self._found: list[Boundary] = []
        self._flat: list[int] = []
        self._flat_is = "none"  # none, black or coloured
        self._is_flat_decided = False
        self._dissolve: list[tuple[int, float, int]] = []  # centre, weight, reach
        self._first, self._first_total = 0, 0.0
        self._transition = "start"

    def push(self, thumb: np.ndarray) -> list[FoundShot]:
        """Take the next frame's thumbnail; gives the shots that it finishes, mostly none."""
        self._measure(thumb)
        if self._count > NEIGHBOURS:
            self._look_for_cut(self._count - 1 - NEIGHBOURS)
        self._look_for_flat(self._count - 1)
        self._look_for_dissolve(self._count - 1 - max(DISSOLVE_REACH) * self.step)
        return self._settle(self._count - DELAY * self.step)

    def finish(self) -> list[FoundShot]:
        """Say that no frame follows; gives the remaining shots. Empty for a film of no frames."""
        if self._count == 0:
            return []
        for index in range(max(1, self._count - NEIGHBOURS), self._count):
            self._look_for_cut(index)
        for centre in range(self._count - max(DISSOLVE_REACH) * self.step, self._count):
            self._look_for_dissolve(centre)
        self._close_dissolve()
        self._flat = []  # a fade to black at the end begins no shot
        end = self._count - self._setting.min_shot_frames
        self._found = [b for b in self._found if b.index <= end]
        shots = self._settle(self._count + self._margin)
        return [*shots, self._close(self._count, "end")]

    # -- measures ----------------------------------------------------------------------------

    def _measure(self, thumb: np.ndarray) -> None:
        plain = moved = total = 0.0
        if self._thumbs:
            plain = moved = change.plain_difference(self._thumbs[-1], thumb)
            if plain >= STILL:
                moved = change.compensated_difference(self._thumbs[-1], thumb)
            total = self._measures[-1].total + plain
        spread = change.spread(thumb)
        light = spread + float(thumb[..., 0].mean()) / 255
        self._thumbs.append(thumb)
        self._measures.append(Measures(plain, moved, spread, light, total))
        self._count += 1

    def _at(self, index: int) -> Measures:
        return self._measures[index - self._count]

    def _thumb(self, index: int) -> np.ndarray:
        return self._thumbs[index - self._count]

    # -- cuts --------------------------------------------------------------------------------

    def _look_for_cut(self, index: int) -> None:
        if index < 1:
            return
        here = self._at(index).moved
        first, last = max(1, index - NEIGHBOURS), min(self._count - 1, index + NEIGHBOURS)
        around = sorted(self._at(i).moved for i in range(first, last + 1) if i != index)
        strength = cut_strength(here, around, self._setting.cut_threshold)
        if strength >= 1 and not self._is_flash(index, here, last):
            self._found.append(
                Boundary(index=index, kind="cut", strength=strength, span=(index, index))
            )

    def _is_flash(self, index: int, here: float, last: int) -> bool:
        """Whether the picture before comes back at once, or just did (the flash's end)."""
        before = self._thumb(index - 1)
        for later in range(index + 1, min(index + FLASH_FRAMES, last) + 1):
            if self._is_back(before, self._thumb(later), here):
                return True
        after = self._thumb(index)
        oldest = max(0, self._count - len(self._thumbs))
        for earlier in range(max(oldest, index - FLASH_FRAMES - 1), index - 1):
            if self._is_back(self._thumb(earlier), after, here):
                return True
        return False

    @staticmethod
    def _is_back(one: np.ndarray, two: np.ndarray, here: float) -> bool:
        return change.compensated_difference(one, two) < FLASH_SHARE * here

    # -- fades -------------------------------------------------------------------------------

    def _look_for_flat(self, index: int) -> None:
        kind = self._flat_kind(index)
        if kind != self._flat_is:
            self._close_flat(kind)
            self._is_flat_decided = False
        self._flat_is = kind
        if kind != "none" and not self._is_flat_decided:
            self._flat.append(index)
            if len(self._flat) == MAX_FLAT:
                self._close_flat("none")
                self._is_flat_decided = True

    def _flat_kind(self, index: int) -> str:
        if self._at(index).spread >= FLAT_SPREAD:
            return "none"
        return "black" if self._at(index).light < BLACK_LIGHT else "coloured"

    def _close_flat(self, following: str) -> None:
        """Put the boundary in the middle of a flat span's darkest frames.

        None for the black before a film's first picture, and for a coloured span that comes from
        black or runs into it: the black has the boundary.
        """
        frames, self._flat = self._flat, []
        if not frames or frames[0] == 0:
            return
        comes_from_black = self._at(frames[0] - 1).spread < FLAT_SPREAD
        if self._flat_is == "coloured" and (comes_from_black or following != "none"):
            return
        least = min(self._at(i).light for i in frames)
        index = _middle([i for i in frames if self._at(i).light <= least + FLAT_BOTTOM])
        span = (frames[0], frames[-1] + 1)
        self._found.append(Boundary(index=index, kind="fade", strength=1.0, span=span))

    # -- dissolves ---------------------------------------------------------------------------

    def _look_for_dissolve(self, centre: int) -> None:
        if centre % self.step or centre < min(DISSOLVE_REACH) * self.step:
            return
        best, reach = max(
            ((self._dissolve_weight(centre, r * self.step), r) for r in DISSOLVE_REACH),
            default=(0.0, 0),
        )
        if best > 0:
            self._dissolve.append((centre, best, reach))
        if self._dissolve and (
            centre - self._dissolve[-1][0] > DISSOLVE_GAP * self.step
            or centre - self._dissolve[0][0] >= DISSOLVE_SPAN * self.step
        ):
            self._close_dissolve()

    def _dissolve_weight(self, centre: int, reach: int) -> float:
        """How sure it is that a dissolve has its middle here; 0 when it is none."""
        oldest = self._count - len(self._thumbs)
        if centre - reach < oldest or centre + reach >= self._count:
            return 0.0
        first, last = self._thumb(centre - reach), self._thumb(centre + reach)
        between = [self._thumb(centre + k * reach // 2) for k in (-1, 0, 1)]
        amount, residual, progress = change.blend(first, between, last)
        if amount < DISSOLVE_CHANGE * self._setting.cut_threshold or residual > DISSOLVE_RESIDUAL:
            return 0.0
        early, middle, late = progress
        if not (early < 0.45 and 0.35 < middle < 0.65 and late > 0.55):
            return 0.0
        if min(self._at(i).spread for i in range(centre - reach, centre + reach + 1)) < FLAT_SPREAD:
            return 0.0
        if change.likeness(first, last) > DISSOLVE_LIKENESS:
            return 0.0
        if change.loss_of_contrast(first, between[1], last) > DISSOLVE_CONTRAST:
            return 0.0
        return amount * (1 - residual / DISSOLVE_RESIDUAL)

    def _close_dissolve(self) -> None:
        if not self._dissolve:
            return
        _, strength, reach = max(self._dissolve, key=lambda item: item[1])
        middle = _middle([centre for centre, _, _ in self._dissolve])
        reach *= self.step
        self._found.append(
            Boundary(
                index=middle,
                kind="dissolve",
                strength=strength,
                span=(middle - reach, middle + reach),
            )
        )
        self._dissolve = []

    # -- from boundaries to shots ------------------------------------------------------------

    def _settle(self, horizon: int) -> list[FoundShot]:
        """Close the shots whose end no boundary at or after `horizon` can move."""
        shots = []
        self._found.sort(key=lambda b: b.index)
        while self._found and self._found[0].index + self._margin < horizon:
            boundary = self._found.pop(0)
            is_short = boundary.index - self._first < self._setting.min_shot_frames
            if is_short or any(self._beats(other, boundary) for other in self._found):
                continue
            self._found = [b for b in self._found if not self._beats(boundary, b)]
            shots.append(self._close(boundary.index, boundary.kind))
            self._first, self._transition = boundary.index, boundary.kind
            self._first_total = self._at(boundary.index).total
        return shots

    def _beats(self, one: Boundary, two: Boundary) -> bool:
        """Whether `one` stays and `two` goes because they are the same event."""
        gap = abs(one.index - two.index)
        if one.kind == two.kind:
            reach = self._margin if one.kind == "dissolve" else self._setting.min_shot_frames
            return gap < reach and (one.strength, two.index) > (two.strength, one.index)
        if two.kind == "dissolve":
            return gap <= self._margin or two.span[0] <= one.index <= two.span[1]
        if one.kind == "cut":  # into black, or out of it
            return two.span[0] - 1 <= one.index <= two.span[1] + 1
        return False

    def _close(self, end: int, transition_out: str) -> FoundShot:
        steps = end - 1 - self._first
        total = self._at(end - 1).total - self._first_total
        return FoundShot(
            first_frame_index=self._first,
            end_frame_index=end,
            transition_in=self._transition,
            transition_out=transition_out,
            motion=max(0.0, total / steps) if steps else 0.0,
        )


def cut_strength(here: float, around: list[float], threshold: float = 1.0) -> float:
    """How far a compensated difference stands out; 1 and more is a cut.

    Parameters
    ----------
    here : float
        Compensated difference at the frame.
    around : list of float
        Those of up to 12 neighbours, rising.
    threshold : float
        Scales what is asked for.

    Returns
    -------
    float
        The least of: over the floor, over the neighbours' mean, over their second peak.
    """
    mean = sum(around) / len(around) if around else 0.0
    over_floor = here / CUT_FLOOR
    over_mean = here / (mean + CUT_OFFSET) / CUT_RATIO
    strength = min(over_floor, over_mean)
    if len(around) > 1 and around[-2] > 0 and here < CUT_SURE:
        strength = min(strength, here / around[-2] / CUT_PEAK_RATIO)
    return strength / threshold


def _middle(indices: list[int]) -> int:
    """First frame after the middle of frames."""
    return math.floor(sum(indices) / len(indices) + 0.5)
