"""Captions of clips: what the kept captions in its span say, and how the camera moves."""

import re
from collections.abc import Sequence

from bunny.caption.tags import CROWD, NUMBER_WORD
from bunny.caption.trigger import SIDE_PHRASES, CharacterWords, has_word
from bunny.clip.plan import ClipPlan

CAMERA = {
    "static": "the camera is still",
    "pan left": "the camera pans left",
    "pan right": "the camera pans right",
    "tilt up": "the camera tilts up",
    "tilt down": "the camera tilts down",
    "zoom in": "the camera zooms in",
    "zoom out": "the camera zooms out",
    "hand-held": "hand-held camera",
}


def compose(plan: ClipPlan, captions: Sequence[tuple[float, str]], words: CharacterWords) -> str:
    """One line: what is seen, everybody who is known to be, then the camera's move.

    People without a name are left out of composed captions: a frame's caption knows of its own
    moment only.

    Parameters
    ----------
    captions : sequence of (float, str)
        Time and caption of the shot's captioned frames that show the character.
    words : CharacterWords
        Of all characters of the film.

    Examples
    --------
    >>> CAMERA["pan left"]
    'the camera pans left'
    """
    middle = (plan.start_s + plan.end_s) / 2
    inside = [one for one in captions if plan.start_s <= one[0] <= plan.end_s] or captions
    nearest = min(inside, key=lambda one: (abs(one[0] - middle), one[0]), default=(0.0, ""))[1]
    names = (plan.character, *plan.also_shown)
    said = _fit_people(" ".join(nearest.split()).rstrip(". "), names, words)
    trigger = words.triggers[plan.character]
    if not said:
        said = words.subject(plan.character)
    elif trigger and trigger not in said:
        said = f"{trigger}, {said}"
    missing = [name for name in plan.also_shown if not has_word(said, words.triggers[name])]
    more = [f"with {' and '.join(words.subject(name) for name in missing)}"] if missing else []
    return ", ".join([said, *more, CAMERA[plan.camera]])


def _fit_people(text: str, names: Sequence[str], words: CharacterWords) -> str:
    """The text with those of its first people who are in the clip, its own character first."""
    kind = f"(?: {re.escape(words.class_word)})?" if words.class_word else ""
    sides = f"(?: (?:{'|'.join(SIDE_PHRASES)}))?"
    longest = sorted(words.triggers.values(), key=len, reverse=True)
    known = "|".join(re.escape(trigger) for trigger in longest)
    unknown = "|".join((*NUMBER_WORD.values(), CROWD))
    person = rf"(?:(?P<who>{known}){kind}|{unknown})(?![\w-]){sides}"
    listed, end = [], 0
    for one in re.finditer(person, text):
        if text[end : one.start()] != (" and " if listed else ""):
            break
        listed.append(one["who"])
        end = one.end()
    seen = [name for name in names if words.triggers[name] in listed]
    if not seen or (len(seen) == len(listed) and listed[0] == words.triggers[seen[0]]):
        return text
    return " and ".join(words.subject(name) for name in seen) + text[end:]
