"""Words that a trigger word would learn by accident: usual for a character, rare elsewhere.

A coat that a character wears in nine of ten pictures, and nobody else wears, is drawn with the
character whether the prompt says it or not.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

import polars as pl

from bunny.caption import caption_claim, zero_shot

MIN_SHARE = 0.8  # of a character's pictures
MIN_LIFT = 2.0  # more than this: share there over the share elsewhere
MIN_PICTURES = 5  # of a character: of fewer, every share is an accident itself
WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
GARMENTS = """
    shirt blouse jeans trousers pants skirt shorts shoes boots sandals socks gloves scarf
    tie belt vest apron hood hoodie cap crown glasses sunglasses mask necklace earrings ring
    backpack bag cloak gown tunic suspenders
""".split()  # noqa: SIM905 one line for each would be a page
PLACES = """
    room house building street road city town forest wood woods garden park field meadow
    grass beach sea lake river mountain mountains hill sky wall window door floor table tree
    trees cave
""".split()  # noqa: SIM905 one line for each would be a page
IGNORED = ("person", "people", "shot", "close-up", "medium", "wide", "day", "dusk", "night")

SCHEMA = {
    "character": pl.String,
    "word": pl.String,
    "kind": pl.String,
    "num_pictures": pl.Int64,
    "share": pl.Float64,
    "share_elsewhere": pl.Float64,
    "lift": pl.Float64,
}


def find_words(
    texts: Sequence[str],
    characters: Sequence[Sequence[str]],
    triggers: Mapping[str, str],
    class_word: str = "",
) -> pl.DataFrame:
    """Words in nearly all captions of a character and in few of the others.

    Parameters
    ----------
    texts : sequence of str
        Captions.
    characters : sequence of sequence of str
        Labelled characters of each.
    triggers : mapping
        Trigger word of every character; these, and `class_word`, are meant to be learned.

    Returns
    -------
    pl.DataFrame
        `character`, `word`, `kind` (place, garment, other), `num_pictures` of the character that
        say it, their `share`, `share_elsewhere` and `lift`, the largest first.

    Notes
    -----
    `share_elsewhere` is (k + 1) / (n + 2) of the n other pictures (Laplace's rule), so that a word
    is not called rare on the strength of no or few pictures; `lift` is `share` over it.
    """
    said = [words_of(text, triggers.values(), class_word) for text in texts]
    rows = []
    for name in triggers:
        own = [words for words, who in zip(said, characters, strict=True) if name in who]
        other = [words for words, who in zip(said, characters, strict=True) if name not in who]
        if len(own) >= MIN_PICTURES:
            rows += _rows(name, own, other)
    found = pl.DataFrame(rows, schema=SCHEMA)
    return found.sort("lift", "character", "word", descending=[True, False, False])


def words_of(text: str, triggers: Iterable[str], class_word: str = "") -> frozenset[str]:
    """Words of a caption that may be learned by accident, in lower case."""
    bare = caption_claim.without(text, [*triggers, *([class_word] if class_word else [])])
    return frozenset(WORD.findall(bare.lower())) - _stop_words()


def _kind_of(word: str) -> str:
    """Whether a word is of a place, a garment or something else."""
    known = _kinds()
    return known.get(word) or known.get(word.removesuffix("s")) or "other"


def _rows(name: str, own: list[frozenset[str]], other: list[frozenset[str]]) -> list[dict]:
    count = Counter(word for words in own for word in words)
    elsewhere = Counter(word for words in other for word in words)
    rows = []
    for word, number in count.items():
        share = number / len(own)
        outside = (elsewhere[word] + 1) / (len(other) + 2)
        if share >= MIN_SHARE and share / outside > MIN_LIFT:
            rows.append(
                {"character": name, "word": word, "kind": _kind_of(word), "num_pictures": number}
                | {"share": share, "share_elsewhere": outside, "lift": share / outside}
            )
    return rows


@cache
def _kinds() -> dict[str, str]:
    """Words of places and garments: the lists above and those of the package's vocabulary."""
    groups = zero_shot.read_vocabulary(zero_shot.OWN_VOCABULARY)
    found = {**dict.fromkeys(PLACES, "place"), **dict.fromkeys(GARMENTS, "garment")}
    for group in groups:
        kind = {"place": "place", "clothes": "garment"}.get(group.name)
        for phrase in group.words if kind else ():
            found |= dict.fromkeys(WORD.findall(phrase.lower())[-1:], kind)
    return found


@cache
def _stop_words() -> frozenset[str]:
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return frozenset(ENGLISH_STOP_WORDS) | frozenset(IGNORED)
