"""Per-film calibration of face recognition: threshold and whitening from its own faces."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from bunny.character import calibrate, match, track, whitening
from bunny.character.face import recogniser as face_recogniser


@dataclass(frozen=True, kw_only=True)
class FilmCalibration:
    """Result of the calibration on a film."""

    pair: pl.DataFrame  # rows of table `pair`
    estimate: calibrate.ThresholdEstimate
    trial: whitening.WhiteningTrial


def fit(
    face: pl.DataFrame,
    tracks: Sequence[Mapping],
    reference: Mapping[str, np.ndarray],
    *,
    threshold: float,
    is_adapted: bool,
    seed: int = 0,
) -> FilmCalibration:
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
    pairs = calibrate.collect_pairs(face, seed=seed)
    trial = whitening.learn(face, pairs, seed=seed)
    if not is_adapted and trial.adaptation is not None:
        trial = whitening.WhiteningTrial(
            adaptation=None,
            separation=trial.separation,
            adapted_separation=trial.adapted_separation,
            note="adaptation would help but is switched off",
        )
    if trial.adaptation is not None:
        pairs = _with_adapted(pairs, face, trial.adaptation)
    stranger = None
    if face.height and reference:
        _, similarity = match.compare_views(
            match.read_views(face, tracks), reference, trial.adaptation
        )
        stranger = impostor_similarity(similarity, threshold)
    judged = pairs
    if trial.adaptation is not None:
        judged = pairs.with_columns(similarity="adapted_similarity")
    return FilmCalibration(pair=pairs, estimate=calibrate.estimate(judged, stranger), trial=trial)


def to_row(study: FilmCalibration, configured: float, *, is_fixed: bool = False) -> dict:
    """Row of table `calibration` for faces.

    Parameters
    ----------
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


def threshold(study: FilmCalibration | None, configured: float, *, is_fixed: bool = False) -> float:
    """Threshold that holds for faces."""
    if is_fixed or study is None:
        return configured
    return calibrate.threshold(study.estimate, configured)


def impostor_similarity(similarity: np.ndarray, threshold: float) -> np.ndarray:
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
    vector = adaptation.apply(track.embedding_array(face))
    one, other = ([place[i] for i in pairs[c]] for c in ("one_id", "other_id"))
    cosine = np.einsum("nd,nd->n", vector[one], vector[other])
    similarity = face_recogniser.to_similarity(cosine, face["recogniser"][0])
    return pairs.with_columns(adapted_similarity=pl.Series(similarity, dtype=pl.Float32))
