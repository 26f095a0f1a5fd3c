"""Change of a character between two pictures of a shot, in words that are sure.

Only what was measured is said: a turned head by the landmarks of both faces, a smile by the width
of the mouth of two faces that look into the camera, who came or left by named figures, a step by
the box while the camera stood still.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MIN_TURN = 0.25  # of yaw, whose range is [-1, 1]
FRONTAL_YAW = 0.2  # below it a mouth's width is its own
MIN_SMILE = 0.15  # of the mouth's width over the distance of the eyes: 0.8 at rest, 1.0 smiling
MIN_STEP = 0.12  # of the picture's width
MIN_GROWTH = 1.3  # of the box's height


@dataclass(frozen=True, kw_only=True)
class CharacterState:
    """A character in one picture."""

    box: tuple[float, float, float, float]  # pixels
    is_face: bool
    pose: str  # of `schema.POSE`
    yaw: float | None = None
    mouth: float | None = None
    others: frozenset[str] = frozenset()  # named ones
    num_figures: int = 1  # all that are seen, nameless ones too


def describe_change(
    before: CharacterState, after: CharacterState, width_px: int, who: str
) -> list[str]:
    """Say what changed, the surest first.

    Parameters
    ----------
    width_px : int
        Of both pictures.
    who : str
        What the character is called in captions.

    Returns
    -------
    list of str
        Clauses like ``anna turns to the left``; empty where nothing sure changed.

    Examples
    --------
    >>> one = CharacterState(box=(10, 10, 50, 60), is_face=True, pose="frontal", yaw=0.0)
    >>> two = CharacterState(box=(12, 10, 52, 60), is_face=True, pose="left", yaw=-0.5)
    >>> describe_change(one, two, 640, "anna")
    ['anna turns to the left']
    """
    said = [*_company(before, after)]
    if before.is_face and after.is_face:
        said += [f"{who} {words}" for words in (*_turn(before, after), *_smile(before, after))]
    if before.is_face == after.is_face:
        said += [f"{who} {words}" for words in _step(before, after, width_px)]
    return said


def join_clauses(clauses: Sequence[str]) -> str:
    """One sentence without a full stop, e.g. ``bo enters, anna smiles``."""
    return ", ".join(clauses)


def _company(before: CharacterState, after: CharacterState) -> list[str]:
    """Who came and who left; only where the number of figures says so too."""
    came = sorted(after.others - before.others)
    left = sorted(before.others - after.others)
    grows = after.num_figures - before.num_figures
    if came and not left and grows >= len(came):
        return [f"{name} enters" for name in came]
    if left and not came and -grows >= len(left):
        return [f"{name} leaves" for name in left]
    return []


def _turn(before: CharacterState, after: CharacterState) -> list[str]:
    poses = {before.pose, after.pose}
    if "unknown" in poses or len(poses) == 1 or before.yaw is None or after.yaw is None:
        return []
    if abs(after.yaw - before.yaw) < MIN_TURN:
        return []
    words = {
        "frontal": "turns to the camera",
        "left": "turns to the left",
        "right": "turns to the right",
        "left-profile": "turns to the left, in profile",
        "right-profile": "turns to the right, in profile",
    }
    return [words[after.pose]]


def _smile(before: CharacterState, after: CharacterState) -> list[str]:
    """A mouth that grew wider or narrower, of two faces that look into the camera."""
    if before.mouth is None or after.mouth is None or before.yaw is None or after.yaw is None:
        return []
    if max(abs(before.yaw), abs(after.yaw)) >= FRONTAL_YAW:
        return []
    grown = after.mouth - before.mouth
    return ["smiles"] if grown >= MIN_SMILE else ["stops smiling"] if grown <= -MIN_SMILE else []


def _step(before: CharacterState, after: CharacterState, width_px: int) -> list[str]:
    said = []
    moved = ((after.box[0] + after.box[2]) - (before.box[0] + before.box[2])) / 2 / width_px
    if abs(moved) >= MIN_STEP:
        said.append(f"moves to the {'right' if moved > 0 else 'left'}")
    if not after.is_face:  # the box of a drawn figure is now all of it, now its head
        return said
    growth = (after.box[3] - after.box[1]) / max(1.0, before.box[3] - before.box[1])
    if growth >= MIN_GROWTH:
        said.append("comes closer")
    elif growth <= 1 / MIN_GROWTH:
        said.append("moves back")
    return said
