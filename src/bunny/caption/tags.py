"""Captions and tags from facts alone: the provider without a model or network."""

import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from bunny.caption.metadata_facts import Facts
from bunny.core.error import UserError

NUMBER_WORD = {1: "a person", 2: "two people", 3: "three people", 4: "four people"}
SHOT_WORDS = {"close-up": "close-up", "medium": "medium shot", "wide": "wide shot"}
MOTION_TAG = {"static": "still", "dynamic": "in motion"}


def trigger_word(template: str, name: str) -> str:
    """The word that stands for a character in captions and prompts.

    Parameters
    ----------
    template : str
        Setting `captioning.trigger_word`; `{name}` is the only field.

    Raises
    ------
    UserError
        If the template has another field, none at all, or unpaired braces.
    """
    try:
        fields = [f for _, f, _, _ in string.Formatter().parse(template) if f is not None]
    except ValueError:
        fields = []
    if set(fields) != {"name"}:
        raise UserError(
            f"captioning.trigger_word: expected a template that contains {{name}}, got "
            f'{template!r}; the default is "{{name}}"'
        )
    return " ".join(template.format(name=name).split())


def write_caption(facts: Facts, triggers: dict[str, str], class_word: str) -> str:
    """One sentence in the order who, where, how near, which light.

    Parameters
    ----------
    facts : Facts
    triggers : dict
        Trigger word of each character's name.
    class_word : str
        What kind of thing a character is.

    Examples
    --------
    "bunny character in a green and blue place, medium shot, day"
    """
    who = subject_words(facts, triggers, class_word)
    where = _with_article(f"{' and '.join(facts.colours)} place") if facts.colours else ""
    first = f"{who} in {where}" if who and where else who or where
    size = SHOT_WORDS.get(facts.shot_size or "", "")
    return ", ".join(part for part in (first, size, facts.light) if part)


def write_tags(facts: Facts, triggers: dict[str, str]) -> list[str]:
    """The same facts as separate words, with the place's cluster and the motion.

    Returns
    -------
    list of str
        E.g. `["bunny", "solo", "medium shot", "day", "still", "place-003", "green background"]`;
        each once.
    """
    tags = [triggers[name] for name in facts.characters] + framing_tags(facts)
    tags += [facts.place] if facts.place else []
    tags += [background_tag(colour) for colour in facts.colours]
    return list(dict.fromkeys(tags))


def said_tags(facts: Facts) -> list[str]:
    """Tags of what a caption says beside who is seen: background, framing, light."""
    said = [*map(background_tag, facts.colours), SHOT_WORDS.get(facts.shot_size or ""), facts.light]
    return [tag for tag in said if tag]


def frequent_tags(facts: Sequence[Facts], max_share: float) -> frozenset[str]:
    """Tags that captions say of more than a share of the pictures.

    What is true of nearly every picture tells none apart: said or not, the model learns it along
    with the trigger word.

    Parameters
    ----------
    facts : sequence of Facts
        Of each picture.
    max_share : float
        In [0, 1]; 1 gives none.
    """
    count = Counter(tag for known in facts for tag in set(said_tags(known)))
    return frozenset(tag for tag, number in count.items() if number > max_share * len(facts))


def without_tags(
    facts: Facts, dropped: frozenset[str], *, has_background_colours: bool = True
) -> Facts:
    """Facts less the tags of background, framing and light among `dropped`; who is seen stays.

    Without `has_background_colours` no colour stays: a caption then names no background.
    """
    said = facts.colours if has_background_colours else ()
    return replace(
        facts,
        shot_size=None if SHOT_WORDS.get(facts.shot_size or "") in dropped else facts.shot_size,
        light=None if facts.light in dropped else facts.light,
        colours=tuple(c for c in said if background_tag(c) not in dropped),
    )


def subject_words(facts: Facts, triggers: dict[str, str], class_word: str) -> str:
    """Who is seen, as captions say it; empty when nobody is.

    Examples
    --------
    "bunny character and a person"
    """
    return " and ".join(_subjects(facts, triggers, class_word))


def background_tag(colour: str) -> str:
    """The tag of a background's colour."""
    return f"{colour} background"


def framing_tags(facts: Facts) -> list[str]:
    """Tags for the number of figures, their size, the light and whether the shot moves."""
    size = SHOT_WORDS.get(facts.shot_size or "")
    count = _count(len(facts.characters) + facts.num_unknown)
    return [tag for tag in (count, size, facts.light, MOTION_TAG[facts.motion]) if tag]


def _subjects(facts: Facts, triggers: dict[str, str], class_word: str) -> list[str]:
    """'bunny character', 'two people' …; empty when nobody is seen."""
    named = [f"{triggers[name]} {class_word}".strip() for name in facts.characters]
    if not facts.num_unknown:
        return named
    return [*named, NUMBER_WORD.get(facts.num_unknown, "a crowd")]


def _count(number: int) -> str:
    """How many are seen, as a tag."""
    if number <= 1:
        return "solo" if number else "nobody"
    return f"{number} figures" if number < 5 else "crowd"


def _with_article(words: str) -> str:
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"
