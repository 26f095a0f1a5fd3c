"""Rows of table candidate, and what the user is told of a character's set."""

from collections.abc import Sequence
from typing import Any

from bunny.dataset import added_view, candidate, select, split
from bunny.dataset import image_folder as training_set
from bunny.dataset.view import View


def candidate_rows(
    views: Sequence[View],
    made: select.Choice,
    failed: dict[str, str],
    rows: Sequence[dict[str, Any]],
) -> list[dict[str, Any]]:
    """Rows of table candidate; chosen is what came to be written.

    Parameters
    ----------
    views : sequence of View
    made : choice.Choice
    failed : dict
        Error of each subject_id whose picture could not be made.
    rows : sequence of dict
        Of table dataset.
    """
    written = {row["subject_id"] for row in rows if row["role"] == "subject"}
    found = []
    for index, view in enumerate(views):
        verdict = made.verdicts[index]
        if not verdict.reason and view.subject_id not in written:
            verdict = candidate.Verdict(
                reason="unreadable", detail=failed.get(view.subject_id, "no picture was written")
            )
        gain = made.gains.get(index) if not verdict.reason else None
        found.append(candidate.to_row(view, verdict, gain))
    return found


def note(
    character: str,
    views: Sequence[View],
    made: select.Choice,
    written: training_set.Written,
) -> str:
    """Say in one sentence what was chosen of a character's views."""
    own = [row for row in written.rows if row["role"] == "subject"]
    held = sum(row["split"] == split.HELD_OUT for row in own)
    num_chosen = len({row for row, _ in made.picked})
    words = [f"{character}: {len(own)} pictures of {num_chosen} among {len(views)} views"]
    by_hand = len(added_view.added_rows(made))
    words += [f"{by_hand} of them added by hand"] if by_hand else []
    words.append(f"{held} held out")
    num_class = len(written.rows) - len(own)
    if num_class:
        words.append(f"{num_class} without the character")
    if written.num_without_mask:
        words.append(f"no usable mask for {written.num_without_mask}")
    return ", ".join(words)
