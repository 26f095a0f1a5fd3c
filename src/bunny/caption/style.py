"""Captions in a style: a sentence, tags, both, or composed from structured columns.

All are written from what the provider gave, so another style asks no model again.
"""

import re
from collections.abc import Collection, Mapping, Sequence

from bunny.caption.trigger import has_word

STYLES = ("sentence", "tags", "both", "structured")
SHORT_PARTS = ("subject", "action", "place")
MOTION_TAG = {"static": "still", "dynamic": "in motion"}  # of the shot, so no caption says them
NOBODY_TAG = "nobody"  # of what is not there a caption says nothing
# Words before what a part is about: "wearing a red coat" is tagged "red coat".
LEAD = re.compile(
    r"^(?:(?:wearing|dressed in|in|on|at|inside|under|with|against)\s+)?(?:(?:an?|the|some)\s+)?",
    re.IGNORECASE,
)
PLACE_LEAD = re.compile(
    r"(?:in|on|at|inside|outside|under|over|near|by|before|behind|among|between|aboard|against)\s",
    re.IGNORECASE,
)
CLOTHES_LEAD = re.compile(r"(?:wearing|dressed|in|with|without)\b", re.IGNORECASE)


def compose(parts: Mapping[str, str]) -> str:
    """One sentence from the columns: who does what where, in which clothes, framing and light.

    Parameters
    ----------
    parts : mapping
        Of `answer.PARTS`, those that are known.

    Examples
    --------
    >>> compose({"subject": "anna", "action": "running", "place": "a field", "light": "day"})
    'anna running in a field, day'
    """
    place, clothes = parts.get("place", ""), parts.get("clothes", "")
    if place and not PLACE_LEAD.match(place):
        place = f"in {place}"
    if clothes and not CLOTHES_LEAD.match(clothes):
        clothes = f"wearing {clothes}"
    first = " ".join(filter(None, (parts.get("subject"), parts.get("action"), place)))
    if not parts.get("subject") and not parts.get("action"):
        first = first.removeprefix("in ")
    rest = (clothes, parts.get("framing"), parts.get("light"))
    return ", ".join(filter(None, (first, *rest)))


def bare(phrase: str) -> str:
    """What a part is about, as a tag.

    Examples
    --------
    >>> bare("wearing a red coat"), bare("in the kitchen"), bare("at night"), bare("running")
    ('red coat', 'kitchen', 'night', 'running')
    """
    return LEAD.sub("", phrase).lower() or phrase.lower()


def say_in_style(
    style: str, answer: str | None, parts: Mapping[str, str], tags: Sequence[str]
) -> str:
    """A caption in a style; characters go by their names.

    Parameters
    ----------
    style : {"sentence", "tags", "both", "structured", "short", "long"}
        `short` is who does what where, `long` is `sentence`.
    answer : str or None
        The provider's own sentence.
    parts : mapping
        Of `answer.PARTS`.
    tags : sequence of str
        Without those of characters.
    """
    sentence = answer or compose(parts)
    if style == "structured":
        says_more = any(parts.get(name) for name in ("action", "place", "clothes"))
        return compose(parts) if says_more else sentence
    if style == "short":
        short = compose({name: parts[name] for name in SHORT_PARTS if name in parts})
        return short or sentence.partition(",")[0]
    if style == "tags":
        listed = tags or [bare(parts[n]) for n in parts if n != "subject"]
        return ", ".join(dict.fromkeys(filter(None, (parts.get("subject"), *listed))))
    if style == "both":
        more = [tag for tag in tags if not has_word(sentence, tag)]
        return ", ".join(filter(None, (sentence.rstrip("."), *more)))
    return sentence


def caption_tags(tags: Collection[str] | None, triggers: Collection[str]) -> list[str]:
    """Tags that a caption may say: no trigger words, numbers of places, or motion of the shot."""
    left_out = {*triggers, *MOTION_TAG.values(), NOBODY_TAG}
    return [t for t in tags or () if t not in left_out and not re.fullmatch(r"place-\d+.*", t)]
