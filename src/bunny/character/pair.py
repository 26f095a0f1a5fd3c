"""Pairs of faces that a film itself says something about: one track is one person, two faces of
one frame are two people.

Few of a film's pairs are independent, so few are taken: up to three of each track, as far apart as
it is long, and one of every two tracks that are seen together, in the frame where both are
clearest. Smears are left out, because they resemble each other whoever they are.
"""

import numpy as np
import polars as pl

from bunny.character import track
from bunny.character.face import recogniser as face_recogniser

MIN_CLARITY = 0.5  # of both faces, `track.measure_clarity`
MAX_IOU = 0.3  # of two faces of a frame; more is one face found twice
BOX = ["x0_px", "y0_px", "x1_px", "y1_px"]
SCHEMA = {
    "pair_id": pl.String, "kind": pl.Enum(["same-track", "same-frame"]), "one_id": pl.String,
    "other_id": pl.String, "similarity": pl.Float32, "adapted_similarity": pl.Float32,
}  # fmt: skip


def collect_pairs(face: pl.DataFrame, *, max_pairs: int = 5000, seed: int = 0) -> pl.DataFrame:
    """Pick pairs of faces of one person and of two.

    Parameters
    ----------
    face : pl.DataFrame
        Rows of table `face` with `track_id`.
    max_pairs : int
        Of each kind; where there are more, so many are drawn at random.
    seed : int

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
    vector = vectors(clear)
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


def vectors(face: pl.DataFrame) -> np.ndarray:
    """Column `embedding` as an array (n, d), float32."""
    column = face["embedding"]
    if isinstance(column.dtype, pl.Array):
        return np.asarray(column.to_numpy(), dtype=np.float32)
    return np.array(column.to_list(), dtype=np.float32)


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
    both = np.vstack(
        [np.c_[first, last], np.c_[first, middle], np.c_[middle, last]]
    ).astype(np.int64)  # fmt: skip
    return np.unique(both[both[:, 0] < both[:, 1]], axis=0)


def _same_frame(clear: pl.DataFrame) -> np.ndarray:
    """Rows of two faces of a frame, once for every two tracks; (n, 2)."""
    clarity = track.measure_clarity(clear["size_px"].to_numpy(), clear["sharpness"].to_numpy())
    seen = clear.select("row", "frame_id", "track_id", *BOX, clarity=pl.Series(clarity))
    both = seen.join(seen, on="frame_id", suffix="_other").filter(
        pl.col("track_id") < pl.col("track_id_other")
    )
    shared = overlap_other(both)
    best = (
        both.filter(pl.Series(shared <= MAX_IOU))
        .with_columns(worse=pl.min_horizontal("clarity", "clarity_other"))
        .sort("worse", "row", "row_other", descending=[True, False, False])
        .unique(["track_id", "track_id_other"], keep="first", maintain_order=True)
    )
    rows = np.sort(best.select("row", "row_other").to_numpy().astype(np.int64), axis=1)
    return rows[np.lexsort(rows.T[::-1])]


def overlap_other(both: pl.DataFrame) -> np.ndarray:
    """Intersection over union of a row's box and its `_other` box, shape (n,)."""
    columns = ([f"{c}{suffix}" for c in BOX] for suffix in ("", "_other"))
    one, other = (both.select(names).to_numpy().astype(np.float64) for names in columns)
    size = np.minimum(one[:, 2:], other[:, 2:]) - np.maximum(one[:, :2], other[:, :2])
    common = np.prod(np.maximum(size, 0), axis=1)
    area = [np.prod(b[:, 2:] - b[:, :2], axis=1) for b in (one, other)]
    union = area[0] + area[1] - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)
