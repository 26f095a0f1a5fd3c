"""How alike the pictures of a training set are, from stored vectors."""

from __future__ import annotations

import numpy as np
import polars as pl

BLOCK = 1024  # rows compared at once; bounds memory to BLOCK * n float32


def nearest(dataset: pl.DataFrame, embedding: pl.DataFrame) -> pl.DataFrame:
    """Distance of each training picture to the most similar other one of its character.

    Parameters
    ----------
    dataset, embedding : pl.DataFrame
        Tables of those names. The vector of the whole frame stands for the crop, so this tells
        how varied the situations are, not the poses.

    Returns
    -------
    pl.DataFrame
        `image_id`, `nearest_id`, `distance` in [0, 2]: 1 minus cosine similarity. Pictures
        without a vector, and characters with fewer than two pictures, are left out.
    """
    vectors = embedding.drop_nulls("vector").unique("frame_id", keep="first", maintain_order=True)
    joined = dataset.join(vectors.select("frame_id", "vector"), on="frame_id", how="inner")
    parts = [
        _nearest_of(part.sort("image_id"))
        for part in joined.partition_by("character", maintain_order=True)
        if part.height > 1
    ]
    return pl.concat(parts) if parts else _nothing()


def _nearest_of(part: pl.DataFrame) -> pl.DataFrame:
    vector = np.array(part["vector"].to_list(), dtype=np.float32)
    vector /= np.maximum(np.linalg.norm(vector, axis=1, keepdims=True), 1e-9)
    best, value = [], []
    for start in range(0, len(vector), BLOCK):
        similarity = vector[start : start + BLOCK] @ vector.T
        rows = np.arange(len(similarity))
        similarity[rows, start + rows] = -np.inf
        best.append(similarity.argmax(axis=1))
        value.append(similarity.max(axis=1))
    ids = part["image_id"]
    distance = np.clip(1 - np.concatenate(value), 0, 2).astype(np.float64)
    return pl.DataFrame(
        {"image_id": ids, "nearest_id": ids.gather(np.concatenate(best)), "distance": distance}
    )


def _nothing() -> pl.DataFrame:
    schema = {"image_id": pl.String, "nearest_id": pl.String, "distance": pl.Float64}
    return pl.DataFrame(schema=schema)
