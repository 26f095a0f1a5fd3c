"""Claims of captions: whom they name, how many people, how near, which light; from words alone.

Nothing here judges: `audit` compares the claims with the tables.
"""

import re
from collections.abc import Iterable, Mapping

import polars as pl

# Words as film grammar has them (Bordwell and Thompson, Film Art, ch. 5, "shot scale").
FRAMING_WORDS = {
    "close-up": r"(?:extreme )?close[- ]?ups?|tight shot",
    "medium": r"(?:medium|mid)[- ](?:wide |long |close[- ]up )?shot|waist[- ]up|cowboy shot",
    "wide": r"(?:extreme |very )?(?:wide|long|full|establishing)[- ]shot|wide[- ]angle",
}
LIGHT_WORDS = {
    "day": r"day|daylight|daytime|noon|midday|sunny|sunlit",
    "dusk": r"dusk|dawn|sunset|sunrise|twilight|golden hour",
    "night": r"night|nighttime|night[- ]time|midnight|moonlit|moonlight",
}
NUMBER = {"a": 1, "one": 1, "single": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
PEOPLE = r"people|persons?|men|man|women|woman|figures?|characters|girls?|boys?|children|kids"
COUNT = re.compile(rf"(?<![\w-])({'|'.join(NUMBER)}|[1-9])\s+(?:\w+\s+)?(?:{PEOPLE})(?![\w-])")
MIN_FUSED_LETTERS = 4  # a shorter trigger word is part of too many English ones ("al" of "also")

SCHEMA = {
    "frame_id": pl.String,
    "missing": pl.List(pl.String),
    "fused": pl.List(pl.String),
    "repeated": pl.List(pl.String),
    "leaked": pl.List(pl.String),
    "said_number": pl.List(pl.Int64),
    "said_framing": pl.List(pl.String),
    "said_light": pl.List(pl.String),
    "num_words": pl.Int64,
}


def read_claims(caption: pl.DataFrame, triggers: Mapping[str, str]) -> pl.DataFrame:
    """Claims of each caption, as columns.

    Parameters
    ----------
    caption : pl.DataFrame
        `frame_id`, `text` and `characters`, the labelled ones.
    triggers : mapping
        Trigger word of every character of the film.

    Returns
    -------
    pl.DataFrame
        `frame_id`; `missing` (labelled characters without their trigger word), `fused` (words that
        a trigger word is part of), `repeated` (trigger words said more than once), `leaked`
        (characters that are not labelled but called, and labelled ones that are called by their
        name beside the trigger word); `said_number` (of people), `said_framing`, `said_light`
        (lists, as the words above tell them); `num_words`.
    """
    rows = [_claims(row, triggers) for row in caption.iter_rows(named=True)]
    return pl.DataFrame(rows, schema=SCHEMA)


def count_word(text: str, word: str) -> int:
    """How often `word` (or a phrase) stands alone in `text`, in any case of letters.

    A part of a hyphened word is not alone; a genitive is.

    Examples
    --------
    >>> count_word("bunny's hat, a bunny-like hat, two bunnys", "bunny")
    1
    """
    return len(_alone(word).findall(text))


def _fused_words(text: str, word: str) -> list[str]:
    """Words of `text` that `word` is part of, in order.

    Examples
    --------
    >>> _fused_words("two bunnys near a bunny-like hare; bunny's hat", "bunny")
    ['bunnys', 'bunny-like']
    """
    core = re.escape(word)
    found = re.findall(rf"[\w-]*{core}[\w-]*", text, re.IGNORECASE)
    words = [one.strip("-") for one in found]
    is_short = len(word) < MIN_FUSED_LETTERS
    return [
        one
        for one in words
        if one.casefold() != word.casefold() and (not is_short or _is_hyphened(one, word))
    ]


def said(text: str, words: Mapping[str, str]) -> list[str]:
    """Which of some things a text says, e.g. ``["wide"]`` of `FRAMING_WORDS`."""
    return [
        name
        for name, pattern in words.items()
        if re.search(rf"(?<![\w-])(?:{pattern})(?![\w-])", text, re.IGNORECASE)
    ]


def without_said(text: str, words: Mapping[str, str]) -> str:
    """The text less all that `said` would find in it."""
    return re.sub(rf"(?<![\w-])(?:{'|'.join(words.values())})(?![\w-])", " ", text, flags=re.I)


def _said_numbers(text: str) -> list[int]:
    """Numbers of people that a text names, each once, ascending.

    Examples
    --------
    >>> _said_numbers("two young women beside a man"), _said_numbers("two trees")
    ([1, 2], [])
    """
    found = COUNT.findall(text.lower())
    return sorted({NUMBER.get(one) or int(one) for one in found})


def without(text: str, words: Iterable[str]) -> str:
    """The text less some words or phrases that stand alone in it."""
    for word in sorted(words, key=len, reverse=True):
        text = _alone(word).sub(" ", text)
    return text


def _claims(row: Mapping, triggers: Mapping[str, str]) -> dict:
    text, labelled = row["text"] or "", row["characters"] or []
    known = {name: triggers[name] for name in labelled if name in triggers}
    count = {name: count_word(text, word) for name, word in known.items()}
    bare = without(text, triggers.values())
    every = {one.casefold() for name in triggers for one in (name, triggers[name])}
    fused = [one for word in triggers.values() for one in _fused_words(text, word)]
    return {
        "frame_id": row["frame_id"],
        "missing": [name for name, number in count.items() if not number],
        "fused": list(dict.fromkeys(one for one in fused if one.casefold() not in every)),
        "repeated": [known[name] for name, number in count.items() if number > 1],
        "leaked": [
            name
            for name, word in triggers.items()
            if (name not in known and count_word(text, word)) or count_word(bare, name)
        ],
        "said_number": _said_numbers(text),
        "said_framing": said(text, FRAMING_WORDS),
        "said_light": said(text, LIGHT_WORDS),
        "num_words": len(text.split()),
    }


def _alone(word: str) -> re.Pattern:
    return re.compile(rf"(?<![\w-]){re.escape(word)}(?![\w-])", re.IGNORECASE)


def _is_hyphened(found: str, word: str) -> bool:
    """Whether a word is joined to others by hyphens alone."""
    return word.casefold() in re.split("-", found.casefold())
