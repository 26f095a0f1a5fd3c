"""Dissolves: pixels that run straight from one picture to another, and lose contrast between."""

from collections import deque
from collections.abc import Iterator

from bunny.video import change
from bunny.video.fade import FLAT_SPREAD
from bunny.video.recent import Boundary, Recent, middle

DISSOLVE_REACH = (3, 5, 8, 12, 16, 24)  # half-widths looked at, in steps
DISSOLVE_CHANGE = 0.05  # least difference of the two ends
DISSOLVE_LIKENESS = 0.75  # most correlation of the two ends
DISSOLVE_RESIDUAL = 0.25  # dissolves 0.03 to 0.23; most movement 0.3 and more
DISSOLVE_CONTRAST = 0.5  # dissolves 0 to 0.4, drifting scenery 0.9 to 1.1
DISSOLVE_JUMP = 0.75  # most share of the change in one frame: on threes a short one has three
MOVING_RESIDUAL, MOVING_CONTRAST = 0.40, 0.2  # a mix of moving pictures: less contrast is the proof
DISSOLVE_GAP = 3  # steps that may be missing within one dissolve
DISSOLVE_APART = 24  # steps within which only the strongest dissolve is proposed
LOOSE_RESIDUAL = 0.5  # the same for dissolves
LOOSE_CONTRAST = 0.6
LOOSE_LIKENESS = 0.85
MAX_REACH = max(DISSOLVE_REACH)


class Dissolves:
    """Looks for dissolves among recent frames.

    Parameters
    ----------
    recent : Recent
    threshold : float
        Scales what is asked for.
    step : int
        Frames between the centres looked at.
    is_loose : bool
        Whether also to give what is too weak alone, with a strength below 1.
    """

    def __init__(self, recent: Recent, threshold: float, step: int, is_loose: bool) -> None:
        self._recent, self._threshold = recent, threshold
        self._step, self._is_loose = step, is_loose
        self._weights: deque[tuple[int, float, int]] = deque()  # centre, weight, reach

    def at(self, centre: int) -> Iterator[Boundary]:
        """Weigh a centre; the boundary is where no neighbour within a second weighs more."""
        if centre % self._step:
            return
        if (
            centre - self._recent.start >= DISSOLVE_REACH[0] * self._step
            and centre < self._recent.count
        ):
            weighed = ((self._dissolve_weight(centre, r * self._step), r) for r in DISSOLVE_REACH)
            weight, reach = max(weighed)
            if weight > 0:
                self._weights.append((centre, weight, reach))
        apart = DISSOLVE_APART * self._step
        here = centre - apart
        while self._weights and self._weights[0][0] < here - apart:
            self._weights.popleft()
        mine = next((w for w in self._weights if w[0] == here), None)
        if mine is None or any(
            (w[1], -w[0]) > (mine[1], -mine[0]) for w in self._weights if w is not mine
        ):
            return
        place = self._middle_of_run(mine)
        reach = mine[2] * self._step
        yield Boundary(
            index=place,
            kind="dissolve",
            strength=mine[1],
            span=(place - reach, place + reach),
        )

    def _middle_of_run(self, mine: tuple[int, float, int]) -> int:
        """Middle of the centres around one that are weighed as surely, with small gaps."""
        near = {w[0] for w in self._weights if w[1] >= 1 or mine[1] < 1}
        run = [mine[0]]
        for way in (-self._step, self._step):
            last = mine[0]
            for place in range(mine[0] + way, mine[0] + (DISSOLVE_APART + 1) * way, way):
                if place in near and abs(place - last) <= DISSOLVE_GAP * self._step:
                    run.append(place)
                    last = place
        return middle(run)

    def _dissolve_weight(self, centre: int, reach: int) -> float:
        """How sure it is that a dissolve has its middle here; 0: none, below 1: to be judged."""
        if centre - reach < self._recent.oldest or centre + reach >= self._recent.count:
            return 0.0
        first, last = self._recent.thumb(centre - reach), self._recent.thumb(centre + reach)
        scale = self._recent.scale(centre - reach, centre + reach)
        least = DISSOLVE_CHANGE * self._threshold * scale
        plain = change.plain_difference(first, last)
        if plain < least / 2 or self._has_jump(centre, reach, plain):
            return 0.0
        between = [self._recent.thumb(centre + k * reach // 2) for k in (-1, 0, 1)]
        amount, residual, progress = change.blend(first, between, last)
        most = LOOSE_RESIDUAL if self._is_loose else DISSOLVE_RESIDUAL
        if amount < least or residual > most:
            return 0.0
        early, middle, late = progress
        if not (early < 0.45 and 0.35 < middle < 0.65 and late > 0.55):
            return 0.0
        if (
            min(self._recent.at(i).spread for i in range(centre - reach, centre + reach + 1))
            < FLAT_SPREAD
        ):
            return 0.0
        likeness = change.likeness(first, last)
        contrast = change.loss_of_contrast(first, between[1], last)
        if likeness <= DISSOLVE_LIKENESS and contrast <= DISSOLVE_CONTRAST:
            if residual <= DISSOLVE_RESIDUAL:
                return 1 + amount * (1 - residual / DISSOLVE_RESIDUAL)
            if residual <= MOVING_RESIDUAL and contrast <= MOVING_CONTRAST:
                return 1 + 0.1 * amount * (1 - residual / MOVING_RESIDUAL)
        if not self._is_loose or likeness > LOOSE_LIKENESS or contrast > LOOSE_CONTRAST:
            return 0.0
        weight = amount * (1 - residual / LOOSE_RESIDUAL) / 2
        return weight + 0.5 if contrast <= MOVING_CONTRAST else weight

    def _has_jump(self, centre: int, reach: int, amount: float) -> bool:
        """Whether one frame brings much of the change: a cut, not a dissolve."""
        frames = range(centre - reach + 1, centre + reach + 1)
        return max(self._recent.at(i).plain for i in frames) > DISSOLVE_JUMP * amount
