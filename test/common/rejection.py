"""Questions to a review state that no command asks: rejections, and the cluster of an event."""

from bunny.review.snapshot import NONE
from bunny.review.state import ReviewState


def is_rejected(state: ReviewState, asset_id: str, cluster_id: str) -> bool:
    """Whether a person said that an item is not in a cluster."""
    item = state.item(asset_id)
    level = "scene" if state.content.is_scene[item] else "character"
    return state.now.ids.get((level, cluster_id)) in state.now.cannot.get(item, NONE)


def touched_number(state: ReviewState, event_id: str) -> int | None:
    """Number in `now` of the cluster that an event that holds is about."""
    number = state.now.touched.get(event_id, ((), None))[1]
    return None if number is None else state.now.final(number)
