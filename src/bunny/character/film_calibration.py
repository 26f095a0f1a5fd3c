"""What a film teaches about its own faces before anybody is named: pairs, threshold, adaptation.

Done once a film and set of references; afterwards a moved threshold is judged without it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from bunny.character import calibrate, match, pair, track, whitening
from bunny.character.face import recogniser as face_recogniser


@dataclass(frozen=True, kw_only=True)
class View:
    """The faces of a film as arrays; n tracks, m faces."""

    portrait: np.ndarray  # (n, d) embedding of each track
    vector: np.ndarray  # (m, d) of each face
    number: np.ndarray  # (m,) which track a face is of
    quality: np.ndarray  # (m,) from `track.view_quality`
    clarity: np.ndarray  # (n,) of each track's clearest face
    recogniser: str


@dataclass(frozen=True, kw_only=True)
class Study:
    """What was learned."""

    pair: pl.DataFrame  # rows of table `pair`
    estimate: calibrate.Estimate
    trial: whitening.Trial


def read_views(face: pl.DataFrame, tracks: Sequence[Mapping]) -> View:
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
    return View(
        portrait=np.array([row["embedding"] for row in tracks], dtype=np.float32),
        vector=pair.vectors(face),
        number=number,
        quality=track.view_quality(
            face["score"].to_numpy(), face["yaw"].to_numpy(), size, sharpness
        ),
        clarity=clarity,
        recogniser=face["recogniser"][0],
    )


def study_film(
    face: pl.DataFrame,
    tracks: Sequence[Mapping],
    reference: Mapping[str, np.ndarray],
    *,
    threshold: float,
    is_adapted: bool,
    seed: int = 0,
) -> Study:
    """Learn what strangers are like in this film, and what tells its people apart.

    Parameters
    ----------
    face : pl.DataFrame
        Rows of table `face` with `track_id`.
    tracks : sequence of mapping
        Rows of table `track`.
    reference : mapping of character to np.ndarray, shape (m, d)
    threshold : float
        From which a track is taken for its nearest character here; the others are not it.
    is_adapted : bool
        Whether an adaptation that helps is to be used.
    """
    pairs = pair.collect_pairs(face, seed=seed)
    trial = whitening.learn(face, pairs, seed=seed)
    if not is_adapted and trial.adaptation is not None:
        trial = whitening.Trial(
            adaptation=None,
            separation=trial.separation,
            adapted_separation=trial.adapted_separation,
            note="adaptation is switched off, though it would help",
        )
    if trial.adaptation is not None:
        pairs = _with_adapted(pairs, face, trial.adaptation)
    stranger = None
    if face.height and reference:
        _, similarity = compare(read_views(face, tracks), reference, trial.adaptation)
        stranger = find_strangers(similarity, threshold)
    judged = pairs
    if trial.adaptation is not None:
        judged = pairs.with_columns(similarity="adapted_similarity")
    return Study(pair=pairs, estimate=calibrate.estimate(judged, stranger), trial=trial)


def compare(
    view: View, reference: Mapping[str, np.ndarray], adaptation: whitening.Adaptation | None
) -> tuple[list[str], np.ndarray]:
    """Similarity of tracks to characters (n, k), adapted where there is an adaptation."""
    portrait, vector = view.portrait, view.vector
    if adaptation is not None:
        portrait, vector = adaptation.apply(portrait), adaptation.apply(vector)
        reference = {name: adaptation.apply(rows) for name, rows in reference.items()}
    return match.compare_tracks(
        portrait, vector, view.number, view.quality, reference, view.recogniser
    )


def to_row(study: Study, configured: float, *, is_fixed: bool = False) -> dict:
    """Row of table `calibration` for faces.

    Parameters
    ----------
    study : Study
    configured : float
        `detection.similarity_threshold`.
    is_fixed : bool
        Whether it is to hold whatever the film says (`detection.calibration: fixed`).
    """
    found, trial = study.estimate, study.trial
    is_own = not is_fixed and found.threshold is not None
    return {
        "route": "face",
        "threshold": threshold(study, configured, is_fixed=is_fixed),
        "source": "film" if is_own else "settings",
        "num_same": found.num_same,
        "num_different": found.num_different,
        "separation": trial.separation,
        "adapted_separation": trial.adapted_separation,
        "is_adapted": trial.adaptation is not None,
        "note": f"{calibrate.describe(found, configured)}; {trial.note}",
    }


def threshold(study: Study | None, configured: float, *, is_fixed: bool = False) -> float:
    """Threshold that holds for faces."""
    if is_fixed or study is None:
        return configured
    return calibrate.threshold(study.estimate, configured)


def find_strangers(similarity: np.ndarray, threshold: float) -> np.ndarray:
    """Similarities of tracks to those that they are not: NaN at the nearest where it is near."""
    other = similarity.astype(np.float32, copy=True)
    nearest = similarity.argmax(axis=1)
    rows = np.flatnonzero(similarity[np.arange(len(similarity)), nearest] >= threshold)
    other[rows, nearest[rows]] = np.nan
    return other


def _with_adapted(
    pairs: pl.DataFrame, face: pl.DataFrame, adaptation: whitening.Adaptation
) -> pl.DataFrame:
    """Pairs with `adapted_similarity`."""
    place = {face_id: i for i, face_id in enumerate(face["face_id"])}
    vector = adaptation.apply(pair.vectors(face))
    one, other = ([place[i] for i in pairs[c]] for c in ("one_id", "other_id"))
    cosine = np.einsum("nd,nd->n", vector[one], vector[other])
    similarity = face_recogniser.to_similarity(cosine, face["recogniser"][0])
    return pairs.with_columns(adapted_similarity=pl.Series(similarity, dtype=pl.Float32))
