"""Worth of a set of views, which `facility_location.choose` maximises."""

from collections.abc import Sequence

from bunny.dataset import facility_location
from bunny.dataset.facility_location import GroundSet


def objective(ground: GroundSet, chosen: Sequence[int], number: int) -> float:
    """Sum of the gains of rows in any order; `number` scales the parts to at most about 1 each."""
    state = facility_location._GreedyState(ground, min(number, len(ground)))
    total = 0.0
    for row in chosen:
        total += state.cover_gain(row) + float(state.own()[row])
        state.add(row)
    return total
