"""Near-identical captions: TF-IDF of character n-grams, compared by cosine."""

from collections.abc import Sequence

import numpy as np

MIN_SIMILARITY = 0.9  # "red hat" against "red cap" in a caption of ten words gives about 0.8
NGRAM = (3, 5)  # characters; words of an inflected form share most of theirs
CHUNK = 256  # rows that are compared at once


def nearest_captions(
    texts: Sequence[str], groups: Sequence[object]
) -> tuple[np.ndarray, np.ndarray]:
    """The caption of another group that is most like each one.

    Parameters
    ----------
    texts : sequence of str, length n
    groups : sequence, length n
        Captions of one group (a shot) are not compared: neighbours of a shot look alike.

    Returns
    -------
    np.ndarray, shape (n,), int64
        Index of the nearest, the first of equals; -1 where there is none.
    np.ndarray, shape (n,), float64
        Cosine of their TF-IDF vectors in [0, 1]; 0 where there is none.
    """
    nearest, similarity = np.full(len(texts), -1), np.zeros(len(texts))
    if not any(text.strip() for text in texts) or len(set(groups)) < 2:
        return nearest, similarity
    from sklearn.feature_extraction.text import TfidfVectorizer

    lower = [text.lower() for text in texts]
    vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=NGRAM).fit_transform(lower)
    number = {group: i for i, group in enumerate(dict.fromkeys(groups))}
    group = np.array([number[one] for one in groups])
    for start in range(0, len(texts), CHUNK):
        rows = slice(start, start + CHUNK)
        cosine = (vectors[rows] @ vectors.T).toarray()
        cosine[group[rows, None] == group[None, :]] = -1.0
        best = cosine.argmax(axis=1)
        value = cosine[np.arange(len(best)), best]
        nearest[rows] = np.where(value > 0, best, -1)
        similarity[rows] = value.clip(0, 1)
    return nearest, similarity
