"""What each track of faces is called: by the references, then by each other.

A photo is another camera, light and year; another track of the same film is often the nearer
witness, of a profile above all. A nameless track takes a name over only when it looks like a surely
named track of the film, like nobody else's as much, and when the references lean the same way.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bunny.character import film_calibration, match
from bunny.character.face import recogniser as face_recogniser
from bunny.character.whitening import Adaptation

MIN_CLARITY = 0.5  # a smear neither passes a name on nor takes one
SURE = 0.10  # above the threshold is a track that passes its name on
ALIKE = 0.15  # above the threshold must be the likeness to such a track
LEAN = 0.2  # similarity to the references that still speaks for the name
LEAN_MARGIN = 0.05  # by which it must lead


@dataclass(frozen=True, kw_only=True)
class Named:
    """Names of n tracks."""

    name: list[str | None]
    confidence: np.ndarray  # (n,) that the name is right, unknown included
    found: match.Match  # what the references say
    passed_on: frozenset[int]  # tracks that have their name from another track


def name_tracks(
    view: film_calibration.View,
    seen: Sequence[set[str]],
    reference: Mapping[str, np.ndarray],
    *,
    threshold: float,
    min_margin: float,
    adaptation: Adaptation | None = None,
    compared: tuple[Sequence[str], np.ndarray] | None = None,
) -> Named:
    """Name tracks; none of two tracks in one frame get the same name.

    Parameters
    ----------
    view : study.View
    seen : sequence of set of str, length n
        In which frames each track is seen.
    reference : mapping of character to np.ndarray, shape (m, d)
    threshold, min_margin : float
        Inclusive.
    adaptation : Adaptation, optional
        Map that all vectors are put through.
    compared : (names, similarity), optional
        What `study.compare` gives of these; found anew by default.
    """
    names, similarity = compared or film_calibration.compare(view, reference, adaptation)
    found = match.decide(names, similarity, threshold=threshold, min_margin=min_margin)
    name = match.resolve_conflicts(found.character, found.similarity, seen)
    has_lost = np.array([a != b for a, b in zip(name, found.character, strict=True)], dtype=bool)
    confidence = np.where(has_lost, 1 - found.confidence, found.confidence)
    portrait = view.portrait if adaptation is None else adaptation.apply(view.portrait)
    heirs = find_heirs(
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
        if not taken[found.best[i]] & seen[i]:
            name[i] = found.best[i]
            taken[name[i]] |= seen[i]
            alike, margin = (np.float32(value) for value in heirs[i])
            confidence[i] = match.confidence(alike - ALIKE, margin)
            passed_on.add(i)
    return Named(name=name, confidence=confidence, found=found, passed_on=frozenset(passed_on))


def find_heirs(
    name: Sequence[str | None],
    found: match.Match,
    portrait: np.ndarray,
    clarity: np.ndarray,
    recogniser: str,
    *,
    threshold: float,
    min_margin: float,
) -> dict[int, tuple[float, float]]:
    """Find nameless tracks that look like surely named ones.

    Parameters
    ----------
    name : sequence of str or None, length n
        What each track is called so far.
    found : match.Match
        What the references say.
    portrait : np.ndarray, shape (n, d)
    clarity : np.ndarray, shape (n,)
        From `track.measure_clarity`.
    recogniser : str
    threshold, min_margin : float

    Returns
    -------
    dict of int to (similarity, margin)
        Tracks that may take the name of `found.best`, and how like its nearest bearer they are.
    """
    is_clear = np.asarray(clarity) >= MIN_CLARITY
    is_named = np.array([one is not None for one in name], dtype=bool)
    giver = np.flatnonzero(is_named & is_clear & (found.similarity >= threshold + SURE))
    leans = (found.similarity >= LEAN) & (found.margin >= LEAN_MARGIN)
    taker = np.flatnonzero(~is_named & is_clear & leans)
    if not len(giver) or not len(taker):
        return {}
    alike = face_recogniser.to_similarity(portrait[taker] @ portrait[giver].T, recogniser)
    bearer = np.array([name[i] for i in giver])
    names = np.unique(bearer)
    best = np.stack([alike[:, bearer == one].max(axis=1) for one in names], axis=1)
    is_own = np.array([found.best[i] for i in taker])[:, None] == names
    own = np.where(is_own, best, -np.inf).max(axis=1).astype(np.float64)
    rival = np.where(is_own, -np.inf, best).max(axis=1).astype(np.float64)
    rival[np.isinf(rival)] = own[np.isinf(rival)] - match.NO_RIVAL
    is_heir = np.isfinite(own) & (own >= threshold + ALIKE) & (own - rival >= min_margin)
    return {
        int(taker[row]): (float(own[row]), float(own[row] - rival[row]))
        for row in np.flatnonzero(is_heir)
    }
