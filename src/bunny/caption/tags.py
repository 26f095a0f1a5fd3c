"""Columns and tags of captions from facts alone: the provider without a model or network."""

import re
from collections.abc import Mapping
from itertools import pairwise

from bunny.caption import pruning, style, trigger
from bunny.caption.metadata_facts import Facts

NUMBER_WORD = {1: "a person", 2: "two people", 3: "three people", 4: "four people"}
CROWD = "a crowd"  # more than that
SHOT_WORDS = {"close-up": "close-up", "medium": "medium shot", "wide": "wide shot"}
SIDES = {2: trigger.SIDE_PHRASES[::2], 3: trigger.SIDE_PHRASES}
MIN_GAP = 0.1  # between two centres, of the picture's width, below which no side is said


def write_tags(facts: Facts, triggers: dict[str, str]) -> list[str]:
    """The same facts as separate words, with the place's cluster and the motion.

    Returns
    -------
    list of str
        E.g. `["bunny", "solo", "medium shot", "day", "still", "place-003", "green background"]`;
        each once.
    """
    tags = [triggers[name] for name in facts.characters] + framing_tags(facts)
    said = (facts.view, facts.clothes, facts.beside, facts.lighting)
    tags += [style.bare(words) for words in said if words]
    tags += [facts.place] if facts.place else []
    tags += [background_tag(colour) for colour in facts.colours]
    return list(dict.fromkeys(tags))


def write_parts(facts: Facts, *, has_background_colours: bool = False) -> dict[str, str]:
    """Columns of table caption that the facts are sure of; characters go by their names.

    Parameters
    ----------
    has_background_colours : bool
        Whether a place without a name is said by the colours of its background; it always is
        where nobody is seen, since there would be no caption.

    Examples
    --------
    {"subject": "bunny", "place": "in a green place", "light": "day", "framing": "medium shot"}
    """
    place = named_place(facts.place_name) if facts.place_name else ""
    if not has_background_colours:
        place = " ".join(filter(None, (place, facts.beside)))
    who = subject_words(facts)
    if not place and (has_background_colours or not who):
        place = pruning.coloured_place(facts.colours)
    parts = {
        "subject": who,
        "clothes": facts.clothes,
        "action": facts.view,
        "place": place,
        "light": facts.light or facts.lighting,
        "framing": SHOT_WORDS.get(facts.shot_size or "", ""),
    }
    return {name: text for name, text in parts.items() if text}


def named_place(name: str) -> str:
    """A place in a person's name for it, as a sentence says it.

    Examples
    --------
    >>> named_place("kitchen"), named_place("Paris"), named_place("on the roof")
    ('in the kitchen', 'in Paris', 'on the roof')
    >>> named_place("a red barn"), named_place("anna's room")
    ('in a red barn', "in anna's room")
    """
    if style.PLACE_LEAD.match(name):
        return name
    is_whole = name[0].isupper() or re.match(r"(?:an?|the)\s|\S+['’]s\s", name)
    return f"in {name}" if is_whole else f"in the {name}"


def side_words(facts: Facts) -> dict[str, str]:
    """Where two or three named characters stand, from the picture's left; else nothing.

    Examples
    --------
    {"anna": "on the left", "ben": "on the right"}
    """
    return name_sides(dict(zip(facts.characters, facts.centres, strict=False)))


def name_sides(centres: Mapping[str, float]) -> dict[str, str]:
    """Sides of two or three characters by their centres, in shares of the picture's width."""
    order = sorted((centre, name) for name, centre in centres.items())
    gaps = [after[0] - before[0] for before, after in pairwise(order)]
    if len(order) not in SIDES or min(gaps) < MIN_GAP:
        return {}
    return {name: said for (_, name), said in zip(order, SIDES[len(order)], strict=True)}


def subject_words(facts: Facts) -> str:
    """Who is surely seen, by their names; empty when nobody is.

    Examples
    --------
    "bunny and a person"
    """
    return " and ".join([*facts.characters, *unknown_words(facts.num_unknown, facts.num_unsure)])


def unknown_words(number: int, num_unsure: int) -> list[str]:
    """People without a name in words; nothing where a viewer may not see all of them."""
    return [NUMBER_WORD.get(number, CROWD)] if number and not num_unsure else []


def background_tag(colour: str) -> str:
    """The tag of a background's colour."""
    return f"{colour} background"


def framing_tags(facts: Facts) -> list[str]:
    """Tags for the number of figures, their size, the light and whether the shot moves."""
    size = SHOT_WORDS.get(facts.shot_size or "")
    count = _count(len(facts.characters) + facts.num_unknown)
    return [tag for tag in (count, size, facts.light, style.MOTION_TAG[facts.motion]) if tag]


def _count(number: int) -> str:
    """How many are seen, as a tag."""
    if number <= 1:
        return "solo" if number else style.NOBODY_TAG
    return f"{number} figures" if number < 5 else "crowd"
