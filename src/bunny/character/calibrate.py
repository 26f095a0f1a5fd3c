"""Genuine and impostor pairs of faces of a film, and the threshold they give.

How like strangers are to each other differs from film to film: with the light, the lenses, how
alike the cast looks. Two kinds of strangers come for nothing: two faces of one frame, and a track
against the references of all characters but its nearest. The threshold at which few of them would
pass is mixed with the configured one, the more so the more of them there are, and may not leave it
far.

Pairs of faces that a film itself says something about: one track is one person, two faces of
one frame are two people.

Few of a film's pairs are independent, so few are taken: up to three of each track, as far apart as
it is long, and one of every two tracks that are seen together, in the frame where both are
clearest. Smears are left out, because they resemble each other whoever they are.
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import polars as pl

from bunny.character import track
from bunny.character.face import recogniser as face_recogniser
from bunny.table.box import BOX

FALSE_ACCEPT = 2e-4  # share of strangers that may pass
TAIL = NormalDist().inv_cdf(1 - FALSE_ACCEPT)  # standard deviations to it, 3.54
TO_DEVIATION = 1.4826  # from the median absolute deviation of a Gaussian to its standard one
ENOUGH = 50  # strangers at which film and setting count alike
LEAST = 10  # below, the setting alone
MAX_STEP = 0.08  # that the threshold may move
TWIN = 0.7  # two faces of a frame more alike than this are a mirror, a screen, a poster

MIN_CLARITY = 0.5  # of both faces, `track.measure_clarity`
MAX_IOU = 0.3  # of two faces of a frame; more is one face found twice
SCHEMA = {
    "pair_id": pl.String,
    "kind": pl.Enum(["same-track", "same-frame"]),
    "one_id": pl.String,
    "other_id": pl.String,
    "similarity": pl.Float32,
    "adapted_similarity": pl.Float32,
}


@dataclass(frozen=True, kw_only=True)
class ThresholdEstimate:
    """Threshold estimated from a film's strangers, before any setting is known."""

    threshold: float | None  # None: too few
    num_same: int
    num_different: int  # independent ones: pairs of a frame and tracks held against others
    num_twins: int  # pairs of a frame that were left out


def estimate(pair: pl.DataFrame, stranger: np.ndarray | None = None) -> ThresholdEstimate:
    """Find where few strangers of a film would pass.

    Parameters
    ----------
    pair : pl.DataFrame
        Rows of table `pair`.
    stranger : np.ndarray, shape (n, k), optional
        Similarity of n tracks to the characters that they are not; columns of one row count as
        one stranger. NaN is left out.

    Notes
    -----
    Median and median absolute deviation, and the tail of a Gaussian: few films have the thousands
    of strangers that would show the tail itself, and a mirror among them would be all of it. The
    two kinds are weighted by their numbers.
    """
    kind = pair["kind"].cast(pl.String)
    between = pair.filter(kind == "same-frame")["similarity"].to_numpy()
    is_twin = between > TWIN
    groups = [between[~is_twin]]
    numbers = [len(groups[0])]
    if stranger is not None and stranger.size:
        is_known = ~np.isnan(stranger)
        groups.append(stranger[is_known])
        numbers.append(int(is_known.any(axis=1).sum()))
    found = [
        (_false_accept_threshold(g), n) for g, n in zip(groups, numbers, strict=True) if n >= LEAST
    ]
    weight = sum(n for _, n in found)
    return ThresholdEstimate(
        threshold=sum(value * n for value, n in found) / weight if weight else None,
        num_same=int((kind == "same-track").sum()),
        num_different=sum(numbers),
        num_twins=int(is_twin.sum()),
    )


def threshold(found: ThresholdEstimate, configured: float) -> float:
    """Threshold that holds, given the configured one.

    Notes
    -----
    With n strangers the film counts n / (n + 50); the step is at most 0.08 either way.
    """
    if found.threshold is None:
        return configured
    share = found.num_different / (found.num_different + ENOUGH)
    step = share * (found.threshold - configured)
    return configured + float(np.clip(step, -MAX_STEP, MAX_STEP))


def describe(found: ThresholdEstimate, configured: float) -> str:
    """One sentence about what a threshold rests on."""
    twins = f"; {found.num_twins} pairs of one frame are too similar to count" * (
        found.num_twins > 0
    )
    if found.threshold is None:
        return (
            f"too few strangers in the film to measure ({found.num_different}); using "
            f"the configured threshold {configured:.2f}{twins}"
        )
    return (
        f"strangers in this film reach a similarity of {found.threshold:.2f} "
        f"({found.num_different} strangers); the configured threshold is "
        f"{configured:.2f}{twins}"
    )


def collect_pairs(face: pl.DataFrame, *, max_pairs: int = 5000, seed: int = 0) -> pl.DataFrame:
    """Pick pairs of faces of one person and of two.

    Parameters
    ----------
    face : pl.DataFrame
        Rows of table `face` with `track_id`.
    max_pairs : int
        Of each kind; where there are more, so many are drawn at random.

    Returns
    -------
    pl.DataFrame
        Rows of table `pair`, `adapted_similarity` null; `one_id` comes before `other_id`.
    """
    clear = select_clear(face).with_row_index("row")
    if clear.height < 2:
        return pl.DataFrame(schema=SCHEMA)
    rows = {"same-track": _same_track(clear), "same-frame": _same_frame(clear)}
    rng = np.random.default_rng(seed)
    vector = track.embedding_array(clear)
    recogniser = clear["recogniser"][0]
    parts = []
    for kind, pairs in rows.items():
        if len(pairs) > max_pairs:
            pairs = pairs[np.sort(rng.permutation(len(pairs))[:max_pairs])]
        one, other = clear["face_id"].gather(pairs[:, 0]), clear["face_id"].gather(pairs[:, 1])
        cosine = np.einsum("nd,nd->n", vector[pairs[:, 0]], vector[pairs[:, 1]])
        parts.append(
            pl.DataFrame(
                {
                    "pair_id": one + "+" + other,
                    "kind": [kind] * len(pairs),
                    "one_id": one,
                    "other_id": other,
                    "similarity": face_recogniser.to_similarity(cosine, recogniser),
                    "adapted_similarity": [None] * len(pairs),
                },
                schema=SCHEMA,
            )
        )
    return pl.concat(parts).sort("kind", "pair_id")


def select_clear(face: pl.DataFrame) -> pl.DataFrame:
    """Faces with a vector that a recogniser sees well, in order of `face_id`."""
    clarity = track.measure_clarity(face["size_px"].to_numpy(), face["sharpness"].to_numpy())
    is_clear = pl.Series(clarity >= MIN_CLARITY)
    return (
        face.filter(is_clear, pl.col("embedding").is_not_null(), pl.col("track_id").is_not_null())
        .sort("face_id")
        .drop("row", strict=False)
    )


def _false_accept_threshold(similarity: np.ndarray) -> float:
    """Similarity that a share of `FALSE_ACCEPT` of such strangers passes, by a Gaussian tail.

    Examples
    --------
    >>> round(_false_accept_threshold(np.array([-0.1, 0.0, 0.1])), 3)
    0.525
    """
    middle = float(np.median(similarity))
    deviation = TO_DEVIATION * float(np.median(np.abs(similarity - middle)))
    return middle + TAIL * deviation


def _same_track(clear: pl.DataFrame) -> np.ndarray:
    """Rows of the first, middle and last clear view of each track, two and two; (n, 2)."""
    ends = (
        clear.group_by("track_id")
        .agg(
            pl.first("row").alias("first"),
            pl.col("row").get(pl.len() // 2).alias("middle"),
            pl.last("row").alias("last"),
            pl.len(),
        )
        .filter(pl.col("len") > 1)
        .sort("first")
    )
    first, middle, last = (ends[c].to_numpy() for c in ("first", "middle", "last"))
    both = np.vstack([np.c_[first, last], np.c_[first, middle], np.c_[middle, last]]).astype(
        np.int64
    )
    return np.unique(both[both[:, 0] < both[:, 1]], axis=0)


def _same_frame(clear: pl.DataFrame) -> np.ndarray:
    """Rows of two faces of a frame, once for every two tracks; (n, 2)."""
    clarity = track.measure_clarity(clear["size_px"].to_numpy(), clear["sharpness"].to_numpy())
    seen = clear.select("row", "frame_id", "track_id", *BOX, clarity=pl.Series(clarity))
    both = seen.join(seen, on="frame_id", suffix="_other").filter(
        pl.col("track_id") < pl.col("track_id_other")
    )
    one, other = (both.select(f"{c}{suffix}" for c in BOX).to_numpy() for suffix in ("", "_other"))
    shared = track.overlap(one, other)
    best = (
        both.filter(pl.Series(shared <= MAX_IOU))
        .with_columns(worse=pl.min_horizontal("clarity", "clarity_other"))
        .sort("worse", "row", "row_other", descending=[True, False, False])
        .unique(["track_id", "track_id_other"], keep="first", maintain_order=True)
    )
    rows = np.sort(best.select("row", "row_other").to_numpy().astype(np.int64), axis=1)
    return rows[np.lexsort(rows.T[::-1])]
