"""Dissolves: linear blends of two pictures, with less contrast in the middle.

`DissolveMeter` measures each frame once, `DissolveDecision` applies a threshold to what was
measured and says which of the frames is the dissolve's middle.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bunny.video.shot import frame_difference
from bunny.video.shot.fade import FLAT_SPREAD
from bunny.video.shot.window import Boundary, RecentFrames, middle

DISSOLVE_REACH = (3, 5, 8, 12, 16, 24)  # half-widths looked at, in steps
DISSOLVE_CHANGE = 0.04  # least difference of the two ends
DISSOLVE_LIKENESS = 0.75  # most correlation of the two ends
DISSOLVE_RESIDUAL = 0.25  # dissolves 0.03 to 0.23; most movement 0.3 and more
DISSOLVE_CONTRAST = 0.5  # dissolves 0 to 0.4, drifting scenery 0.9 to 1.1
DISSOLVE_JUMP = 0.75  # most share of the change in one frame: on threes a short one has three
MOVING_RESIDUAL = 0.55  # a mix of moving pictures: less contrast and fewer edges are the proof
MOVING_JUMP = 0.45  # of such a mix
LEAST_EDGES = 0.3  # a mix has half of the ends' edges; the picture between two subtitles fewer
LIGHT_SIDE, LIGHT_MATCH = 0.9, 0.6  # all pixels go one way, and the picture is still there
DISSOLVE_GAP = 3  # steps that may be missing within one dissolve
LEAST_APART = 12  # steps within which only the strongest dissolve is proposed
MOST_APART = 36  # steps: the same for wide ones
MAX_RUN = 20  # steps on each side in which the middle is looked for
MAX_REACH = max(DISSOLVE_REACH)


@dataclass(frozen=True, kw_only=True, slots=True)
class DissolveScore:
    """What was measured of a possible dissolve with its middle at a frame."""

    steps: int  # half of its width
    weight: float  # how sure it is; 1 and more
    limit: float  # largest `cut_threshold` at which its ends differ enough


class DissolveDecision:
    """Says where dissolves are, from what was measured; no picture is looked at.

    Parameters
    ----------
    threshold : float
        Scales what is asked for.
    step : int
        Frames between the centres looked at.
    """

    def __init__(self, threshold: float, step: int) -> None:
        self._threshold, self._step = threshold, step
        self._weights: deque[tuple[int, float, int]] = deque()  # centre, weight, reach

    def at(self, centre: int, scores: Sequence[DissolveScore]) -> Iterator[Boundary]:
        """Take a centre; the boundary is where no centre of the same dissolve weighs more."""
        if centre % self._step:
            return
        asked = [(s.weight, s.steps) for s in scores if self._threshold <= s.limit]
        if asked:
            self._weights.append((centre, *max(asked)))
        if not self._weights:
            return
        most = MOST_APART * self._step
        here = centre - most
        while self._weights and self._weights[0][0] < here - most:
            self._weights.popleft()
        mine = next((w for w in self._weights if w[0] == here), None)
        if mine is None or any(self._outweighs(other, mine) for other in self._weights):
            return
        place = self._middle_of_run(mine)
        reach = mine[2] * self._step
        yield Boundary(
            index=place, kind="dissolve", strength=mine[1], span=(place - reach, place + reach)
        )

    def _outweighs(self, one: tuple[int, float, int], two: tuple[int, float, int]) -> bool:
        """Whether two centres are in one dissolve, and the first is the surer one."""
        near = min_gap(one[2] + two[2]) * self._step
        return abs(one[0] - two[0]) < near and (one[1], -one[0]) > (two[1], -two[0])

    def _middle_of_run(self, mine: tuple[int, float, int]) -> int:
        """Middle of the centres around one that are weighed as surely, with small gaps."""
        near = {w[0] for w in self._weights}
        run = [mine[0]]
        for way in (-self._step, self._step):
            last = mine[0]
            for place in range(mine[0] + way, mine[0] + (MAX_RUN + 1) * way, way):
                if place in near and abs(place - last) <= DISSOLVE_GAP * self._step:
                    run.append(place)
                    last = place
        return middle(run)


class DissolveMeter:
    """Measures possible dissolves among recent frames.

    Parameters
    ----------
    step : int
        Frames between the centres looked at.
    floor : float
        Least `cut_threshold` that is measured for.
    """

    def __init__(self, recent: RecentFrames, step: int, floor: float) -> None:
        self._recent, self._floor = recent, floor
        self._step = step

    def at(self, centre: int) -> tuple[DissolveScore, ...]:
        """Dissolves with their middle at a frame, by width; mostly none.

        One that is less sure than a wider or narrower one at every threshold is left out.
        """
        if centre % self._step or centre >= self._recent.count:
            return ()
        if centre - self._recent.start < DISSOLVE_REACH[0] * self._step:
            return ()
        found = list(self._scores(centre))
        return tuple(s for s in found if not any(_surpasses(other, s) for other in found))

    def _scores(self, centre: int) -> Iterator[DissolveScore]:
        """Every half-width at which a frame may be the middle of a dissolve."""
        done = 0
        jump, flattest = 0.0, self._recent.at(centre).spread
        for steps in DISSOLVE_REACH:
            reach = steps * self._step
            if centre - reach < self._recent.oldest or centre + reach >= self._recent.count:
                break
            for k in range(done, reach):
                before, after = self._recent.at(centre - k), self._recent.at(centre + k + 1)
                jump = max(jump, before.plain, after.plain)
                flattest = min(flattest, before.spread, after.spread)
            done = reach
            if min(flattest, self._recent.at(centre - reach).spread) < FLAT_SPREAD:
                break  # a wider look holds the flat frame too
            weight, limit = self._weight(centre, reach, jump)
            if weight > 0:
                yield DissolveScore(steps=steps, weight=weight, limit=limit)

    def _weight(self, centre: int, reach: int, jump: float) -> tuple[float, float]:
        """How sure it is that a dissolve lies so, 0 for none, and up to which threshold."""
        ends = centre - reach, centre + reach
        first, last = (self._recent.small(index) for index in ends)
        unit = DISSOLVE_CHANGE * self._recent.scale(*ends)
        plain = frame_difference.plain_difference(first, last)
        limit = 2 * plain / unit
        if limit < self._floor or jump > DISSOLVE_JUMP * plain:
            return 0.0, limit
        between = [self._recent.small(centre + k * reach // 2) for k in (-1, 0, 1)]
        amount, residual, progress = frame_difference.blend(first, between, last)
        limit = min(limit, amount / unit)
        if limit < self._floor or residual > MOVING_RESIDUAL:
            return 0.0, limit
        early, middle, late = progress
        if not (early < 0.45 and 0.35 < middle < 0.65 and late > 0.55):
            return 0.0, limit
        return self._proof(centre, ends, amount, residual, jump / plain), limit

    def _proof(self, centre, ends, amount: float, residual: float, jump: float) -> float:
        """Weight by what only a mix of two pictures has: less contrast and half the edges."""
        first, middle, last = (self._recent.thumb(i) for i in (ends[0], centre, ends[1]))
        likeness = frame_difference.correlation(first, last)
        if likeness > DISSOLVE_LIKENESS:
            return 0.0
        contrast = frame_difference.loss_of_contrast(first, middle, last)
        if contrast > DISSOLVE_CONTRAST:
            return 0.0
        edges = _edge_share(first, middle, last)
        if edges < LEAST_EDGES or _is_light(first, last):
            return 0.0
        if residual <= DISSOLVE_RESIDUAL:
            return 1 + amount * (1 - residual / DISSOLVE_RESIDUAL)
        mixed = max(0.0, contrast, 2 * edges - 1)
        most = DISSOLVE_RESIDUAL + (MOVING_RESIDUAL - DISSOLVE_RESIDUAL) * (1 - mixed)
        is_even = (
            jump <= MOVING_JUMP and frame_difference.brightness_change(first, last) < LIGHT_SIDE
        )
        return 1 + 0.1 * amount * (1 - residual / most) if residual <= most and is_even else 0.0


def _surpasses(one: DissolveScore, two: DissolveScore) -> bool:
    """Whether one counts more at every threshold at which the other counts."""
    return one.limit >= two.limit and (one.weight, one.steps) > (two.weight, two.steps)


def _is_light(first, last) -> bool:
    """Whether a light goes on or out while the camera moves."""
    if frame_difference.brightness_change(first, last) < LIGHT_SIDE:
        return False
    return frame_difference.best_match(first, last) > LIGHT_MATCH


def min_gap(halves: int) -> int:
    """Steps within which two dissolves are one, when their half-widths add up to so many."""
    return min(max(LEAST_APART, halves), MOST_APART)


def _edge_share(first, middle, last) -> float:
    """Edges of the middle picture over those of the ends; 0.5 in a mix, 1 in one shot."""
    ends = (frame_difference.edge_energy(first) + frame_difference.edge_energy(last)) / 2
    return frame_difference.edge_energy(middle) / ends if ends else 1.0
