"""Vectors of training pictures, cached by content in one file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import polars as pl

from bunny.character import model_file
from bunny.character.drawn import efficientnet
from bunny.contract import machine
from bunny.core import image_file, safe_path
from bunny.dataset import coverage
from bunny.table import content_cache
from bunny.view.tile import spread

FILE = "variety.parquet"  # in the film's folder; a cache
THUMBNAIL = "thumbnail-16"  # what describes pictures where the network is missing
THUMBNAIL_PX = 16
NUM_FRAMES = 48  # of the film, whose mean is taken off
MAX_WORKERS = 4
SCHEMA = {"key": pl.String, "vector": pl.List(pl.Float32)}


@dataclass(frozen=True, kw_only=True, eq=False)
class PictureVectors:
    """Embeddings of pictures: `vector` (n, d) float32, a row of NaN where one cannot be read."""

    vector: np.ndarray
    model: str


def embed(root: Path, dataset: pl.DataFrame, frame: pl.DataFrame) -> PictureVectors:
    """Describe each training picture by a vector, less the mean of the film's pictures.

    Parameters
    ----------
    root : Path
        The film's folder; its file `variety.parquet` keeps what was described, so that asking
        again opens only pictures that changed.
    dataset, frame : pl.DataFrame
        Tables of those names.

    Returns
    -------
    PictureVectors
        A row for each row of `dataset`: mean features of EfficientNet-Lite0, or, where its
        package is missing, a thumbnail of 16x16 pixels. The cosine of two rows is 0 when the
        pictures are as like as any two of the film.
    """
    if dataset.is_empty():
        return PictureVectors(vector=np.zeros((0, 0), np.float32), model=efficientnet.NAME)
    name = (
        efficientnet.NAME
        if model_file.is_present(model_file.MODELS[efficientnet.NAME])
        else THUMBNAIL
    )
    stored = frame.drop_nulls("file").sort("frame_index")["file"].to_list()
    vector = _vectors(root, [*dataset["file"].to_list(), *spread(stored, NUM_FRAMES)], name)
    own, others = vector[: dataset.height], vector[dataset.height :]
    seen = others[np.isfinite(others).all(axis=1)]
    centre = seen.mean(axis=0) if len(seen) else np.float32(0)
    return PictureVectors(vector=own - centre, model=name)


def summarise(dataset: pl.DataFrame, looks: PictureVectors | None) -> dict[str, coverage.Coverage]:
    """Describe the set of each character, in order of their names; see `dataset.coverage`."""
    return {
        name: coverage.summarise(
            dataset.filter(pl.col("character") == name),
            None if looks is None else character_vectors(looks, dataset, name),
        )
        for name in sorted(dataset["character"].unique())
    }


def nearest(dataset: pl.DataFrame, looks: PictureVectors) -> pl.DataFrame:
    """Distance of each picture to the most similar other one of its character.

    Returns
    -------
    pl.DataFrame
        As of `dataset.coverage.nearest`, with a column `character`.
    """
    return pl.concat(
        coverage.nearest(
            dataset.filter(pl.col("character") == name), character_vectors(looks, dataset, name)
        ).with_columns(character=pl.lit(name))
        for name in [*sorted(dataset["character"].unique()), ""]  # nobody: an empty table
    )


def character_vectors(looks: PictureVectors, dataset: pl.DataFrame, character: str) -> np.ndarray:
    """Rows of the vectors that belong to one character's pictures, in the table's order."""
    return looks.vector[(dataset["character"] == character).to_numpy()]


def cache_key(path: Path, name: str) -> str:
    """Name of a picture's vector in the cache: the model and the file's content."""
    try:
        return f"{name}|{hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()}"
    except OSError:
        return f"{name}|gone"


def _vectors(root: Path, files: list[str], name: str) -> np.ndarray:
    """One row a file, NaN where it cannot be read; from the cache where it is known."""
    paths = [safe_path.join(root, file) for file in files]
    keys = [cache_key(path, name) for path in paths]
    known = content_cache.read(root / FILE, SCHEMA)
    missing = {key: path for key, path in zip(keys, paths, strict=True) if key not in known}
    if missing:
        known |= _measure(missing, name)
        content_cache.write(root / FILE, SCHEMA, {key: known[key] for key in set(keys)})
    dimension = max((len(known[key]) for key in keys), default=0)
    rows = [known[key] if len(known[key]) else [np.nan] * dimension for key in keys]
    return np.array(rows, np.float32).reshape(len(keys), dimension)


def _measure(missing: Mapping[str, Path], name: str) -> dict[str, list[float]]:
    """Describe pictures side by side; an empty list where one cannot be read."""
    from tqdm.auto import tqdm

    workers = min(MAX_WORKERS, os.cpu_count() or 1)
    is_net = name == efficientnet.NAME
    embed = efficientnet.EfficientNet().embed if is_net else _thumbnail
    with machine.thread_pool(workers) as pool:
        found = pool.map(lambda path: _vector(path, embed), missing.values())
        bar = tqdm(found, desc="looks", unit="picture", total=len(missing), leave=False)
        return dict(zip(missing, bar, strict=True))


def _vector(path: Path, embed: Callable[[np.ndarray], np.ndarray]) -> list[float]:
    image = image_file.read(path)
    return [] if image is None else [float(x) for x in embed(image)]


def _thumbnail(image: np.ndarray) -> np.ndarray:
    """BGR values of a picture shrunk to 16x16, in [0, 1]; (768,)."""
    size = (THUMBNAIL_PX, THUMBNAIL_PX)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32).ravel() / 255
