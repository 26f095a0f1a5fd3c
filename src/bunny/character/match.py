"""Open-set identification of face tracks: similarity, decision, propagation of names.

Similarities are on the scale of `recogniser.to_similarity`. A track below the threshold, or whose
two best candidates lie too close, stays unknown. Of a track count its embedding and all its good
views; of a character, each picture and their mean.

A photo is another camera, light and year; another track of the same film is often the nearer
witness, of a profile above all. A nameless track takes a name over only when it looks like a surely
named track of the film, like nobody else's as much, and when the references lean the same way.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from bunny.character import track, whitening
from bunny.character.face import recogniser as face_recogniser
from bunny.character.whitening import Adaptation
from bunny.core.vector import l2_normalize

# Logistic of the chance that the best candidate is right; see `confidence`.
FACE_WEIGHT = (12.0, 0.40, 4.0, 0.10)  # slope, centre of similarity; slope, centre of margin
NO_RIVAL = 2.0  # margin when there is nobody else to be
GOOD_SHARE = 0.5  # of the quality of a track's best view, from which a view counts
UPPER_SHARE = 0.75  # of a track's good views are less like a character than what counts

MIN_CLARITY = 0.5  # a smear neither passes a name on nor takes one
PROPAGATE_FROM = 0.10  # above the threshold is a track that passes its name on
PROPAGATE_TO = 0.15  # above the threshold must be the likeness to such a track
LEAN = 0.2  # similarity to the references that still speaks for the name
LEAN_MARGIN = 0.05  # by which it must lead


@dataclass(frozen=True, kw_only=True)
class FaceMatch:
    """Decisions for n subjects, in their order; `character` None is unknown."""

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
        mean = l2_normalize(views.mean(axis=0))
        columns.append(((embedding @ views.T).max(axis=1) + embedding @ mean) / 2)
    cosine = np.stack(columns, axis=1) if names else np.empty((len(embedding), 0), np.float32)
    return names, face_recogniser.to_similarity(cosine, recogniser)


def nearest_rejected(vector: np.ndarray, rejected: np.ndarray, scale: str) -> np.ndarray:
    """Similarity to the nearest of those that people said are not a character.

    What is more like one of these than like the character is not the character either.

    Parameters
    ----------
    vector : np.ndarray, shape (n, d)
        Unit length.
    rejected : np.ndarray, shape (m, d)
        Unit length.
    scale : str
        As of `recogniser.to_similarity`.

    Returns
    -------
    np.ndarray, shape (n,), float32
        -1 where nothing was rejected.
    """
    if not len(rejected) or not len(vector):
        return np.full(len(vector), -1, np.float32)
    nearest = (vector @ rejected.T).max(axis=1)
    return face_recogniser.to_similarity(nearest, scale).astype(np.float32)


def decide(
    names: Sequence[str],
    similarity: np.ndarray,
    *,
    threshold: float | np.ndarray,
    min_margin: float,
    weight: tuple[float, float, float, float] = FACE_WEIGHT,
) -> FaceMatch:
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
        empty: list[str | None] = [None] * count
        return FaceMatch(
            character=empty, best=empty, similarity=nothing, margin=nothing, confidence=nothing + 1
        )
    order = np.argsort(-similarity, axis=1, kind="stable")
    rows = np.arange(count)
    first = similarity[rows, order[:, 0]]
    second = similarity[rows, order[:, 1]] if len(names) > 1 else first - NO_RIVAL
    margin = first - second
    is_known = (first >= threshold) & (margin >= min_margin)
    best: list[str | None] = [names[int(i)] for i in order[:, 0]]
    chance = probability(first, margin, weight)
    return FaceMatch(
        character=[name if known else None for name, known in zip(best, is_known, strict=True)],
        best=best,
        similarity=first,
        margin=margin,
        confidence=np.where(is_known, chance, 1 - chance).astype(np.float32),
    )


def probability(
    similarity: np.ndarray | np.floating,
    margin: np.ndarray | np.floating,
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
    character: Sequence[str | None], similarity: np.ndarray, frames: Sequence[set]
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


@dataclass(frozen=True, kw_only=True)
class TrackViews:
    """The faces of a film as arrays; n tracks, m faces."""

    portrait: np.ndarray  # (n, d) embedding of each track
    vector: np.ndarray  # (m, d) of each face
    number: np.ndarray  # (m,) which track a face is of
    quality: np.ndarray  # (m,) from `track.view_quality`
    clarity: np.ndarray  # (n,) of each track's clearest face
    recogniser: str


def read_views(face: pl.DataFrame, tracks: Sequence[Mapping]) -> TrackViews:
    """Arrays of faces, in their order, and of tracks, in theirs.

    Parameters
    ----------
    face : pl.DataFrame
        Rows of table `face` with `track_id`, at least one.
    tracks : sequence of mapping
        Rows of table `track`.
    """
    place = {row["track_id"]: i for i, row in enumerate(tracks)}
    number = np.array([place[i] for i in face["track_id"]], dtype=np.int64)
    size, sharpness = face["size_px"].to_numpy(), face["sharpness"].to_numpy()
    clarity = np.zeros(len(tracks))
    np.maximum.at(clarity, number, track.measure_clarity(size, sharpness))
    return TrackViews(
        portrait=np.array([row["embedding"] for row in tracks], dtype=np.float32),
        vector=track.embedding_array(face),
        number=number,
        quality=track.view_quality(
            face["score"].to_numpy(), face["yaw"].to_numpy(), size, sharpness
        ),
        clarity=clarity,
        recogniser=face["recogniser"][0],
    )


def compare_views(
    view: TrackViews, reference: Mapping[str, np.ndarray], adaptation: whitening.Adaptation | None
) -> tuple[list[str], np.ndarray]:
    """Similarity of tracks to characters, from all their good views.

    Parameters
    ----------
    view : TrackViews
        Of a track count views at least half as good as its best; every track has one at least.
    reference : mapping of str to np.ndarray, shape (m, d)
        Vectors by character.
    adaptation : whitening.Adaptation or None
        Where there is one, all vectors are adapted.

    Returns
    -------
    names : list of str
    similarity : np.ndarray, shape (n, len(names)), float32
        Halfway between that of the portrait and the upper quartile of the views': a wrong view
        alone cannot name a track, and views turned away do not speak against a clear one.
    """
    portrait, vector, number = view.portrait, view.vector, view.number
    if adaptation is not None:
        portrait, vector = adaptation.apply(portrait), adaptation.apply(vector)
        reference = {name: adaptation.apply(rows) for name, rows in reference.items()}
    names, whole = compare(portrait, reference, view.recogniser)
    if not names or not len(vector):
        return names, whole
    best = np.zeros(len(portrait))
    np.maximum.at(best, number, view.quality)
    is_good = view.quality >= GOOD_SHARE * best[number]
    number, each = number[is_good], compare(vector[is_good], reference, view.recogniser)[1]
    count = np.bincount(number, minlength=len(portrait))
    at = np.cumsum(count) - count + np.ceil(UPPER_SHARE * (count - 1)).astype(np.int64)
    upper = [column[np.lexsort((column, number))][at] for column in each.T]
    return names, (whole + np.stack(upper, axis=1)) / 2


@dataclass(frozen=True, kw_only=True)
class NamedTracks:
    """Names of n tracks."""

    name: list[str | None]
    confidence: np.ndarray  # (n,) that the name is right, unknown included
    found: FaceMatch  # what the references say
    passed_on: frozenset[int]  # tracks that have their name from another track


def name_tracks(
    view: TrackViews,
    seen: Sequence[set[str]],
    reference: Mapping[str, np.ndarray],
    *,
    threshold: float,
    min_margin: float,
    adaptation: Adaptation | None = None,
    compared: tuple[Sequence[str], np.ndarray] | None = None,
) -> NamedTracks:
    """Name tracks; none of two tracks in one frame get the same name.

    Parameters
    ----------
    seen : sequence of set of str, length n
        In which frames each track is seen.
    reference : mapping of character to np.ndarray, shape (m, d)
    threshold, min_margin : float
        Inclusive.
    adaptation : Adaptation, optional
        Map that all vectors are put through.
    compared : (names, similarity), optional
        What `compare_views` gives of these; found anew by default.
    """
    names, similarity = compared or compare_views(view, reference, adaptation)
    found = decide(names, similarity, threshold=threshold, min_margin=min_margin)
    name = resolve_conflicts(found.character, found.similarity, seen)
    has_lost = np.array([a != b for a, b in zip(name, found.character, strict=True)], dtype=bool)
    confidence = np.where(has_lost, 1 - found.confidence, found.confidence)
    portrait = view.portrait if adaptation is None else adaptation.apply(view.portrait)
    heirs = _propagate_names(
        name,
        found,
        portrait,
        view.clarity,
        view.recogniser,
        threshold=threshold,
        min_margin=min_margin,
    )
    passed_on: set[int] = set()
    taken: dict[str, set[str]] = {}  # by name, the frames in which it is seen
    for one, frames in zip(name, seen, strict=True):
        if one is not None and heirs:
            taken.setdefault(one, set()).update(frames)
    for i in sorted(heirs, key=lambda i: (-heirs[i][0], i)):
        best = found.best[i]
        if best is not None and not taken[best] & seen[i]:
            name[i] = best
            taken[best] |= seen[i]
            alike, margin = (np.float32(value) for value in heirs[i])
            confidence[i] = probability(alike - PROPAGATE_TO, margin)
            passed_on.add(i)
    return NamedTracks(
        name=name, confidence=confidence, found=found, passed_on=frozenset(passed_on)
    )


def _propagate_names(
    name: Sequence[str | None],
    found: FaceMatch,
    portrait: np.ndarray,
    clarity: np.ndarray,
    recogniser: str,
    *,
    threshold: float,
    min_margin: float,
) -> dict[int, tuple[float, float]]:
    """Find nameless tracks that look like surely named ones."""
    is_clear = np.asarray(clarity) >= MIN_CLARITY
    is_named = np.array([one is not None for one in name], dtype=bool)
    giver = np.flatnonzero(is_named & is_clear & (found.similarity >= threshold + PROPAGATE_FROM))
    leans = (found.similarity >= LEAN) & (found.margin >= LEAN_MARGIN)
    taker = np.flatnonzero(~is_named & is_clear & leans)
    if not len(giver) or not len(taker):
        return {}
    alike = face_recogniser.to_similarity(portrait[taker] @ portrait[giver].T, recogniser)
    bearer = np.array([name[int(i)] for i in giver])
    names = np.unique(bearer)
    best = np.stack([alike[:, bearer == one].max(axis=1) for one in names], axis=1)
    is_own = np.array([found.best[i] for i in taker])[:, None] == names
    own = np.where(is_own, best, -np.inf).max(axis=1).astype(np.float64)
    rival = np.where(is_own, -np.inf, best).max(axis=1).astype(np.float64)
    rival[np.isinf(rival)] = own[np.isinf(rival)] - NO_RIVAL
    is_heir = np.isfinite(own) & (own >= threshold + PROPAGATE_TO) & (own - rival >= min_margin)
    return {
        int(taker[row]): (float(own[row]), float(own[row] - rival[row]))
        for row in np.flatnonzero(is_heir)
    }
