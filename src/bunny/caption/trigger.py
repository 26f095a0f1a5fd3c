"""Trigger words in captions: first and once, the class word after them, left and right.

Providers call characters by their names; the trigger words are put in when a caption is written, so
another trigger word asks no model again.
"""

import re
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bunny.core.error import UserError

TOLD_CLASS = "character"  # what models are told that a character is, whatever the class word
DETERMINER = r"(?:(?:the|an?)\s+)?"
# What captioners put before the subject: "a close-up of anna" is said as "anna, a close-up".
SHOT_OF = re.compile(
    r"^(an?\s+|the\s+)?([\w\s-]*\b(?:close-up|shot|photo|view|picture|image|still|portrait)"
    r"[\w\s-]*?)\s+of\s+$",
    re.IGNORECASE,
)
FUNCTION_WORD = re.compile(r"^(?:An?|The|In|On|At|With|Two|Three|Some|Someone|Somebody)\b")
CLAUSE_START = re.compile(r"(?:^|[,;:]|\band|\bthen|\bwhile)\s*$", re.IGNORECASE)
SIDE_PHRASES = ("on the left", "in the middle", "on the right")
# How a head is turned, in the picture; `statement.view_words`.
TURNED = {"facing left": "facing right", "slightly left": "slightly right"}
SIDE = re.compile(r"(?<!facing )(?<!slightly )\b(?:left|right)\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class CharacterWords:
    """Words that stand for the characters of a film."""

    triggers: Mapping[str, str] = field(default_factory=dict)  # by the character's name
    class_word: str = TOLD_CLASS  # what a character is; follows the trigger word

    def subject(self, name: str) -> str:
        """Trigger and class word of a character, e.g. ``sks anna woman``."""
        return f"{self.triggers[name]} {self.class_word}".strip()


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


def place_triggers(
    text: str,
    characters: Sequence[str],
    words: CharacterWords,
    sides: Mapping[str, str] | None = None,
) -> tuple[str, list[str]]:
    """Say the trigger word of every character once, that of one of them first.

    Parameters
    ----------
    text : str
        A caption that calls characters by their names, or by trigger words already.
    characters : sequence of str
        Names of those who are labelled in the picture, the largest first.
    sides : mapping, optional
        Where characters stand, e.g. ``on the left``; said unless the text says left or right.

    Returns
    -------
    str
        The caption.
    list of str
        Trigger words that it lacked, which were put in front.

    Examples
    --------
    >>> words = CharacterWords(triggers={"Anna": "sks"}, class_word="woman")
    >>> place_triggers("A close-up of Anna in the snow, Anna laughs", ["Anna"], words)
    ('sks woman in the snow, laughs, close-up', [])
    """
    if not characters:
        return text, []
    told = {} if sides is None or SIDE.search(text) else sides
    first: dict[str, int] = {}
    pieces: list[str] = []
    at = 0
    for match in _mentions(characters, words).finditer(text):
        name = _name_of(match["who"], characters, words)
        before = "".join(pieces) + text[at : match.start()]
        after = text[match.end() :]
        if name not in first:
            said = words.subject(name)
            if not match["own"] and name in told:
                said = f"{said} {told[name]}"
            first[name] = len(before)
            said += match["own"] or ""
        else:
            said = _again(before, after, match["own"], words.class_word)
        pieces = [before, said]
        at = match.end()
    text = "".join(pieces) + text[at:]
    missing = [name for name in characters if name not in first]
    if missing:
        front = " and ".join(
            " ".join(filter(None, (words.subject(name), told.get(name)))) for name in missing
        )
        rest = _lower_first(_tidy(text))
        return _tidy(f"{front}, {rest}"), [words.triggers[name] for name in missing]
    return _tidy(_first_in_front(text, first, words, told)), []


def add_triggers(text: str, triggers: Iterable[str]) -> tuple[str, list[str]]:
    """Put the trigger words that a caption lacks in front of it.

    Returns
    -------
    str
        The caption.
    list of str
        The trigger words that were put in front; empty when none was missing.
    """
    missing = [word for word in dict.fromkeys(triggers) if not has_word(text, word)]
    return ", ".join([*missing, text] if text else missing), missing


def mirror_sides(text: str) -> str:
    """The caption of the mirrored picture.

    Examples
    --------
    >>> mirror_sides("anna on the left and ben on the right")
    'anna on the right and ben on the left'
    """
    left, _, right = SIDE_PHRASES
    other = {left: right, **TURNED}
    other |= {after: before for before, after in other.items()}
    return re.sub(rf"\b(?:{'|'.join(other)})\b", lambda found: other[found[0]], text)


def has_word(text: str, word: str) -> bool:
    """Whether `word` (or a phrase) stands in `text` as a whole word, in any case of letters."""
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE) is not None


def _mentions(characters: Sequence[str], words: CharacterWords) -> re.Pattern:
    """Every name and trigger word of the characters, with article, class word and possessive."""
    known = {*characters, *(words.triggers[name] for name in characters)}
    every = "|".join(re.escape(one) for one in sorted(known, key=len, reverse=True))
    kinds = "|".join(re.escape(kind) for kind in {TOLD_CLASS, words.class_word} if kind)
    return re.compile(
        rf"(?<![\w-]){DETERMINER}(?P<who>{every})(?:\s+(?:{kinds}))?(?P<own>['’]s)?(?![\w-])",
        re.IGNORECASE,
    )


def _name_of(said: str, characters: Sequence[str], words: CharacterWords) -> str:
    """The character who is called so."""
    low = said.lower()
    by_word = {words.triggers[name].lower(): name for name in reversed(characters)}
    by_name = {name.lower(): name for name in reversed(characters)}
    return by_name.get(low) or by_word[low]


def _again(before: str, after: str, own: str | None, class_word: str) -> str:
    """What stands for a character who was called already: nothing, or the class word."""
    is_clause = CLAUSE_START.search(before) is not None
    if is_clause and not own and re.match(r"\s+[a-z]", after) and not re.match(r"\s+and\b", after):
        return ""
    if not class_word:
        return "their" if own else "they"
    return f"the {class_word}{own or ''}"


def _first_in_front(
    text: str, first: Mapping[str, int], words: CharacterWords, told: Mapping[str, str]
) -> str:
    """Begin with the earliest character: what stood before goes to the end or follows."""
    name, at = min(first.items(), key=lambda item: item[1])
    before, rest = text[:at], text[at:].rstrip()
    if not re.search(r"\w", before):
        return rest
    ending = rest.rstrip(".")
    if shot := SHOT_OF.match(before):
        return f"{ending}, {_lower_first(shot[2].strip())}"
    if before.rstrip().endswith(",") and "." not in before:
        return f"{ending}, {_lower_first(before.strip().rstrip(','))}"
    said = " ".join(filter(None, (words.subject(name), told.get(name))))
    tail = rest.removeprefix(said)
    own = re.match(r"['’]s\b", tail)
    other = _again("", "", own[0] if own else None, words.class_word)
    return f"{said}, {_lower_first(before)}{other}{tail[own.end() if own else 0 :]}"


def _lower_first(text: str) -> str:
    """The text to follow a comma: its first word in lower case where it is no name."""
    return text[:1].lower() + text[1:] if FUNCTION_WORD.match(text) else text


def _tidy(text: str) -> str:
    """The text without empty clauses and doubled spaces."""
    text = re.sub(r"\s+", " ", text)
    text = re.sub(r"\s+([,.;:!?])", r"\1", text)
    text = re.sub(r",(?:\s*,)+", ",", text)
    return re.sub(r",\s*\.", ".", text).strip(" ,")
