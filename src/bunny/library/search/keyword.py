"""Keyword matching, weighted by TF-IDF.

Vectors of sentences blur names and numbers ("pip", "place-004"), which are what people search for
most; here a word counts when it stands there. Not scikit-learn's TF-IDF: its cosine orders shots
otherwise, and importing it takes longer than a search.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

WORD = re.compile(r"[^\W_]+(?:-\d+)?", re.UNICODE)  # "place-004" is one word, "close-up" two
# English function words, and those of a question, that tell nothing of a picture.
STOP = frozenset(
    WORD.findall(
        "a an and are as at by for from in into is it its of off on or over she he that the their "
        "them then there they this to was were where which who whose with show shows seen shot "
        "shots find picture pictures scene"
    )
)


@dataclass(frozen=True, kw_only=True)
class KeywordMatch:
    """Match between texts and the words of a query."""

    share: np.ndarray  # (n,) float32 in [0, 1]: weight of the query's known words that a text has
    known: tuple[str, ...]  # the query's words that some text has
    unknown: tuple[str, ...]  # those that none has


def tokens(text: str) -> list[str]:
    """Words in lower case, singular, without those that tell nothing.

    Examples
    --------
    >>> tokens("Two bunnies on the beach, place-004")
    ['two', 'bunny', 'beach', 'place-004']
    """
    found = WORD.findall(text.lower())
    return [_singular(w) for w in found if w not in STOP and (len(w) > 1 or w.isdigit())]


def match(query: str, texts: Sequence[str]) -> KeywordMatch:
    """Compare a query with texts word by word.

    Parameters
    ----------
    texts : sequence of str
        All of the library, since a word's weight is log(1 + n / (number of texts that have it)),
        as in tf-idf (Spärck Jones 1972).

    Returns
    -------
    KeywordMatch
        `share` is 0 everywhere when no text has any of the words.
    """
    wanted = list(dict.fromkeys(tokens(query)))
    bags = [set(tokens(text)) for text in texts]
    count = Counter(word for bag in bags for word in wanted if word in bag)
    weight = {w: float(np.log1p(len(texts) / count[w])) for w in wanted if count[w]}
    total = sum(weight.values())
    share = [sum(v for w, v in weight.items() if w in bag) / total if total else 0 for bag in bags]
    return KeywordMatch(
        share=np.array(share, dtype=np.float32),
        known=tuple(weight),
        unknown=tuple(w for w in wanted if w not in weight),
    )


def common(query: str, text: str) -> list[str]:
    """Words of a query that a text has, in the query's order."""
    bag = set(tokens(text))
    return [w for w in dict.fromkeys(tokens(query)) if w in bag]


def _singular(word: str) -> str:
    """A plural's likely singular; rough, but the same for query and text."""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("ches", "shes", "sses", "xes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word
