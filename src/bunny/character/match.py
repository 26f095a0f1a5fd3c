"""Who a face is, from stored embeddings alone: open set, with a margin, one face a name and frame.

Similarities are on the common scale of `embed.to_similarity`. A track below the threshold, or whose
two best candidates lie too close, stays unknown. Of a track count its embedding and all its good
views; of a character, each picture and their mean.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bunny.character.face import recogniser as face_recogniser
from bunny.core.vector import to_unit

# Logistic of the chance that the best candidate is right; see `confidence`.
FACE_WEIGHT = (12.0, 0.40, 4.0, 0.10)  # slope, centre of similarity; slope, centre of margin
NO_RIVAL = 2.0  # margin when there is nobody else to be
GOOD_SHARE = 0.5  # of the quality of a track's best view, from which a view counts
UPPER_SHARE = 0.75  # of a track's good views are less like a character than what counts


@dataclass(frozen=True, kw_only=True)
class Match:
    """What was decided for n subjects, in their order; `character` None is unknown."""

    character: list[str | None]
    best: list[str | None]  # the nearest candidate, accepted or not
    similarity: np.ndarray  # (n,) to the nearest candidate
    margin: np.ndarray  # (n,) to the second best
    confidence: np.ndarray  # (n,) that `character` is right, unknown included


def compare(
    embedding: np.ndarray, reference: Mapping[str, np.ndarray], recogniser: str
) -> tuple[list[str], np.ndarray]:
    """Similarity of faces to characters.

    Parameters
    ----------
    embedding : np.ndarray, shape (n, d)
        Unit length.
    reference : mapping of character to np.ndarray, shape (m, d)
        Unit length, m at least 1.
    recogniser : str
        Its name, for the scale.

    Returns
    -------
    names : list of str
        Sorted.
    similarity : np.ndarray, shape (n, len(names)), float32
        Halfway between that to the nearest of a character's references and that to their mean.

    Notes
    -----
    The nearest alone grows with the number of references for strangers too: 0.1 % of strangers
    pass 0.30 with one press photo and 0.33 with ten, 0.31 halfway. The mean alone is no portrait
    when the references differ.
    """
    names = sorted(reference)
    columns = []
    for name in names:
        views = np.asarray(reference[name], dtype=np.float32)
        mean = to_unit(views.mean(axis=0))
        columns.append(((embedding @ views.T).max(axis=1) + embedding @ mean) / 2)
    cosine = np.stack(columns, axis=1) if names else np.empty((len(embedding), 0), np.float32)
    return names, face_recogniser.to_similarity(cosine, recogniser)


def compare_tracks(
    portrait: np.ndarray,
    view: np.ndarray,
    number: np.ndarray,
    quality: np.ndarray,
    reference: Mapping[str, np.ndarray],
    recogniser: str,
) -> tuple[list[str], np.ndarray]:
    """Similarity of tracks to characters, from all their good views.

    Parameters
    ----------
    portrait : np.ndarray, shape (n, d)
        Embedding of each track.
    view : np.ndarray, shape (m, d)
        Embeddings of their faces.
    number : np.ndarray, shape (m,), int
        Which track each view is of; every track has one at least.
    quality : np.ndarray, shape (m,)
        From `track.view_quality`; of a track count views at least half as good as its best.
    reference, recogniser
        As for `compare`.

    Returns
    -------
    names : list of str
    similarity : np.ndarray, shape (n, len(names)), float32
        Halfway between that of the portrait and the upper quartile of the views': a wrong view
        alone cannot name a track, and views turned away do not speak against a clear one.
    """
    names, whole = compare(portrait, reference, recogniser)
    if not names or not len(view):
        return names, whole
    best = np.zeros(len(portrait))
    np.maximum.at(best, number, quality)
    is_good = quality >= GOOD_SHARE * best[number]
    number, each = number[is_good], compare(view[is_good], reference, recogniser)[1]
    count = np.bincount(number, minlength=len(portrait))
    at = np.cumsum(count) - count + np.ceil(UPPER_SHARE * (count - 1)).astype(np.int64)
    upper = [column[np.lexsort((column, number))][at] for column in each.T]
    return names, (whole + np.stack(upper, axis=1)) / 2


def decide(
    names: Sequence[str],
    similarity: np.ndarray,
    *,
    threshold: float | np.ndarray,
    min_margin: float,
    weight: tuple[float, float, float, float] = FACE_WEIGHT,
) -> Match:
    """Name each subject that is near enough to one character and clearly nearer than to others.

    Parameters
    ----------
    names : sequence of str, length k
    similarity : np.ndarray, shape (n, k)
    threshold : float or np.ndarray, shape (n,)
        Inclusive.
    min_margin : float
        Inclusive.
    """
    count = len(similarity)
    if not names or not count:
        nothing = np.zeros(count, dtype=np.float32)
        empty = [None] * count
        return Match(
            character=empty, best=empty, similarity=nothing, margin=nothing, confidence=nothing + 1
        )
    order = np.argsort(-similarity, axis=1, kind="stable")
    rows = np.arange(count)
    first = similarity[rows, order[:, 0]]
    second = similarity[rows, order[:, 1]] if len(names) > 1 else first - NO_RIVAL
    margin = first - second
    is_known = (first >= threshold) & (margin >= min_margin)
    best = [names[i] for i in order[:, 0]]
    chance = confidence(first, margin, weight)
    return Match(
        character=[name if known else None for name, known in zip(best, is_known, strict=True)],
        best=best,
        similarity=first,
        margin=margin,
        confidence=np.where(is_known, chance, 1 - chance).astype(np.float32),
    )


def confidence(
    similarity: np.ndarray,
    margin: np.ndarray,
    weight: tuple[float, float, float, float] = FACE_WEIGHT,
) -> np.ndarray:
    """Chance that the nearest candidate is right, in [0, 1].

    Notes
    -----
    A logistic of similarity and margin. For SFace, strangers on film stay below 0.31 and margin
    0.15, while true pairs lie from 0.35 upwards: the centre is 0.40.
    """
    slope, centre, margin_slope, margin_centre = weight
    clear = np.clip(margin, -1, 0.5)
    score = slope * (np.asarray(similarity) - centre) + margin_slope * (clear - margin_centre)
    return (1 / (1 + np.exp(-score))).astype(np.float32)


def resolve_conflicts(
    character: Sequence[str | None], similarity: np.ndarray, frames: Sequence[set[int]]
) -> list[str | None]:
    """Let no character be seen twice in one frame: the most similar subject keeps the name.

    Parameters
    ----------
    character : sequence of str or None, length n
    similarity : np.ndarray, shape (n,)
    frames : sequence of sets, length n
        In which frames each subject (a track) is seen.

    Returns
    -------
    list of str or None
        Names of the losers are None; ties go to the earlier subject.
    """
    kept: list[str | None] = [None] * len(character)
    seen: dict[str, set[int]] = {}
    for i in sorted(range(len(character)), key=lambda i: (-float(similarity[i]), i)):
        name = character[i]
        if name is not None and not seen.setdefault(name, set()) & frames[i]:
            kept[i] = name
            seen[name] |= frames[i]
    return kept
