"""Within-class whitening of a film's face embeddings, kept only where held-out shots gain.

Differences between the views of one track are no differences between people: light, turn of the
head, focus. Directions in which they are large are made to count less. What was learned on some
shots is tried on the others, and is used only where it tells those better.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from bunny.character import calibrate, track
from bunny.core.vector import l2_normalize

MIN_TRACKS, MIN_SHOTS, MIN_DIFFERENT = 30, 10, 20  # that learning needs
MIN_JUDGED = 5  # pairs of each kind that a separation needs
NUM_SPLITS = 8
MIN_GAIN = 0.01  # of held-out separation
SURE = 2.0  # standard errors over splits that the gain must reach
JUDGED_AT = 2.326  # standard deviations: one stranger in a hundred passes


@dataclass(frozen=True, kw_only=True)
class Adaptation:
    """A linear map of vectors, and what keeps strangers where they were on the scale."""

    matrix: np.ndarray  # (d, d)
    lift: float  # in [0, 1); added to every cosine, the rest shrunk so that 1 stays 1

    def apply(self, embedding: np.ndarray) -> np.ndarray:
        """Map unit vectors (n, d) to unit vectors (n, d + 1); their cosines are comparable."""
        mapped = l2_normalize(np.asarray(embedding, np.float32) @ self.matrix)
        constant = np.full((*mapped.shape[:-1], 1), np.sqrt(self.lift), np.float32)
        return np.concatenate([mapped * np.float32(np.sqrt(1 - self.lift)), constant], axis=-1)


@dataclass(frozen=True, kw_only=True)
class WhiteningTrial:
    """Result of learning an adaptation; `adaptation` None: it is not used."""

    adaptation: Adaptation | None
    separation: float | None  # of held-out pairs as they are; of all pairs when nothing was learned
    adapted_separation: float | None
    note: str


def learn(face: pl.DataFrame, pairs: pl.DataFrame, *, seed: int = 0) -> WhiteningTrial:
    """Learn from some shots, judge on the others, several times; keep it if it helps.

    Parameters
    ----------
    face : pl.DataFrame
        Rows of table `face` with `track_id`.
    pairs : pl.DataFrame
        From `calibrate.collect_pairs`.

    Notes
    -----
    Whitening by the covariance within tracks ("WCCN", Hatch et al. 2006), shrunk towards a
    multiple of the identity. Judged by `separate` on half of the shots, eight times, while the
    other half teaches.
    """
    clear = calibrate.select_clear(face)
    many = clear.group_by("track_id").len().filter(pl.col("len") > 1)["track_id"]
    teach = clear.filter(pl.col("track_id").is_in(many.implode()))
    ids = dict(zip(clear["face_id"].to_list(), range(clear.height), strict=True))
    judged = _indices(pairs, ids)
    vector = track.embedding_array(clear) if clear.height else np.empty((0, 1), np.float32)
    known = separate(vector, judged)
    shots = teach["shot_index"].n_unique()
    strangers = len(judged[1])
    if len(many) < MIN_TRACKS or shots < MIN_SHOTS or strangers < MIN_DIFFERENT:
        note = (
            f"not adapted: found {len(many)} tracks with two views in {shots} shots "
            f"and {strangers} pairs of strangers; at least {MIN_TRACKS}, {MIN_SHOTS} "
            f"and {MIN_DIFFERENT} are needed"
        )
        return WhiteningTrial(adaptation=None, separation=known, adapted_separation=None, note=note)
    before, after = _try_out(clear, vector, judged, seed)
    if not len(before):
        note = "not adapted: neither half of the shots has enough pairs to validate on"
        return WhiteningTrial(adaptation=None, separation=known, adapted_separation=None, note=note)
    gain = after - before
    error = gain.std(ddof=1) / np.sqrt(len(gain)) if len(gain) > 1 else np.inf
    is_kept = gain.mean() >= max(MIN_GAIN, SURE * error)
    everything = fit(vector, _numbers(clear), judged) if is_kept else None
    verdict = "adapted" if everything is not None else "not adapted, the improvement is too small"
    return WhiteningTrial(
        adaptation=everything,
        separation=float(before.mean()),
        adapted_separation=float(after.mean()),
        note=f"{verdict}: held-out separation {before.mean():.3f}, adapted {after.mean():.3f}",
    )


def separate(vector: np.ndarray, judged: tuple[np.ndarray, np.ndarray]) -> float | None:
    """Share of pairs of one person that pass where one stranger in a hundred does.

    Parameters
    ----------
    vector : np.ndarray, shape (n, d)
        Unit length.
    judged : pair of np.ndarray, shape (m, 2), int
        Rows of pairs of one person, and of strangers.

    Returns
    -------
    float or None
        In [0, 1]; None when there are fewer than 5 of either.
    """
    if min(len(rows) for rows in judged) < MIN_JUDGED:
        return None
    same, different = (_cosines(vector, rows) for rows in judged)
    return float((same > _level(different)).mean())


def fit(
    vector: np.ndarray, track_number: np.ndarray, judged: tuple[np.ndarray, np.ndarray]
) -> Adaptation | None:
    """Whiten by the covariance within tracks; None when strangers come nearer by it.

    Parameters
    ----------
    vector : np.ndarray, shape (n, d)
    track_number : np.ndarray, shape (n,), int
        Which track each vector is of.
    judged : pair of np.ndarray, shape (m, 2), int
        The strangers among them are kept where they were on the scale.
    """
    order = np.argsort(track_number, kind="stable")
    vector, track_number = np.asarray(vector, np.float32)[order], track_number[order]
    _, first, size = np.unique(track_number, return_index=True, return_counts=True)
    mean = np.add.reduceat(vector, first, axis=0) / size[:, None].astype(np.float32)
    inside = vector - np.repeat(mean, size, axis=0)
    inside /= np.sqrt(np.repeat(size, size))[:, None]  # a long track is still one track
    scatter = inside.T @ inside / max(1, int((size > 1).sum()))
    dimension = vector.shape[1]
    shrink = dimension / (dimension + int((size > 1).sum()))
    level = np.trace(scatter) / dimension
    values, axes = np.linalg.eigh((1 - shrink) * scatter + shrink * level * np.eye(dimension))
    matrix = (axes / np.sqrt(np.maximum(values, 1e-9))) @ axes.T
    plain = vector[np.argsort(order, kind="stable")]  # in the order that `judged` counts in
    was, now = (_level(_cosines(v, judged[1])) for v in (plain, l2_normalize(plain @ matrix)))
    lift = (was - now) / (1 - now)
    if not 0 <= lift < 1:
        return None
    return Adaptation(matrix=matrix.astype(np.float32), lift=float(lift))


def _try_out(clear, vector, judged, seed) -> tuple[np.ndarray, np.ndarray]:
    """Separations of held-out halves before and after, of each split that can be judged."""
    rng = np.random.default_rng(seed)
    shot, number = clear["shot_index"].to_numpy(), _numbers(clear)
    shots = np.unique(shot)
    before, after = [], []
    for _ in range(NUM_SPLITS):
        is_taught = np.isin(shot, rng.permutation(shots)[: len(shots) // 2])
        held = tuple(rows[~is_taught[rows].any(axis=1)] for rows in judged)
        own = np.cumsum(is_taught) - 1
        taught = tuple(own[rows[is_taught[rows].all(axis=1)]] for rows in judged)
        plain = separate(vector, held)
        if plain is None or len(taught[1]) < MIN_JUDGED:
            continue
        learned = fit(vector[is_taught], number[is_taught], (taught[0], taught[1]))
        before.append(plain)
        after.append(plain if learned is None else separate(learned.apply(vector), held))
    return np.array(before), np.array(after)


def _indices(pairs: pl.DataFrame, ids: dict[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the faces of pairs of one person and of strangers; twins are left out."""
    found = []
    for kind in ("same-track", "same-frame"):
        rows = pairs.filter(pl.col("kind").cast(pl.String) == kind)
        if kind == "same-frame":
            rows = rows.filter(pl.col("similarity") <= calibrate.TWIN)
        each = [(ids[a], ids[b]) for a, b in rows.select("one_id", "other_id").iter_rows()]
        found.append(np.array(each, np.int64).reshape(-1, 2))
    return found[0], found[1]


def _numbers(face: pl.DataFrame) -> np.ndarray:
    """Tracks as whole numbers, which sort sooner than their names."""
    return face["track_id"].rank("dense").to_numpy().astype(np.int64)


def _cosines(vector: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return np.einsum("nd,nd->n", vector[rows[:, 0]], vector[rows[:, 1]])


def _level(different: np.ndarray) -> float:
    """Cosine that one stranger in a hundred passes, by a Gaussian tail."""
    middle = float(np.median(different))
    deviation = calibrate.TO_DEVIATION * float(np.median(np.abs(different - middle)))
    return middle + JUDGED_AT * deviation
