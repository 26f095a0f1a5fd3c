"""How stage detect looks for drawn characters and animals: by windows or by a trained detector."""

import io
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from bunny.character import drawn, picture, proposal, reference
from bunny.config import Detection
from bunny.stage.detect_model import Models
from bunny.table import store

Find = Callable[[np.ndarray], list[drawn.Candidate]]
Read = Callable[[Mapping], np.ndarray | None]


def make_finder(
    wanted: Detection,
    models: Models,
    sources: list[reference.Source],
    read_mean: Callable[[], np.ndarray],
    pool: Executor,
) -> tuple[str, Find]:
    """What looks for the characters in a picture, and its name.

    Parameters
    ----------
    wanted : Detection
    models : Models
    sources : list of reference.Source
        Usable reference pictures; people's too, as rivals.
    read_mean : callable
        Gives what all windows of the film share; asked only where windows are compared.
    pool : Executor
    """
    if wanted.drawn_detector:
        from bunny.character.guided import GuidedNet

        net = GuidedNet(wanted.drawn_detector, wanted.drawn_embedding)
        looks = _looks(sources, pool, net.describe_reference)
        return net.name, partial(net.find_candidates, reference=looks)
    _ = models.net  # loaded before threads ask for it
    found = _looks(sources, pool, partial(drawn.describe_reference, models.net))
    stacked = {name: np.vstack(features) for name, features in found.items()}
    mean = read_mean()
    return picture.NAME, lambda image: proposal.search(models.net, image, mean, stacked)


def mean_window(
    frame: pl.DataFrame, path: Path, read: Read, net: picture.PictureNet, pool: Executor
) -> np.ndarray:
    """What all windows of the film share; measured once, from frames spread over it.

    Parameters
    ----------
    frame : pl.DataFrame
        Table `frame`.
    path : Path
        `.npy` file that keeps it.
    read : callable
        From a row of `frame` to its pixels, or None.
    net : PictureNet
    pool : Executor

    Returns
    -------
    np.ndarray, shape (picture.DIMENSION,), float32
        Zeros where no frame can be read.
    """
    if path.exists():
        return np.load(path)
    spread = np.unique(np.linspace(0, frame.height - 1, drawn.MEAN_FRAMES).round().astype(int))

    def mean_of(row: Mapping) -> np.ndarray | None:
        image = read(row)
        return None if image is None else drawn.mean_window(net, image)

    rows = frame[spread.tolist()].iter_rows(named=True)
    found = [one for one in pool.map(mean_of, rows) if one is not None]
    mean = np.mean(found, axis=0) if found else np.zeros(picture.DIMENSION, np.float32)
    buffer = io.BytesIO()
    np.save(buffer, mean)
    store.write_bytes(path, buffer.getvalue())
    return mean


def _looks(
    sources: list[reference.Source], pool: Executor, describe: Callable[[np.ndarray], Any]
) -> dict[str, list[Any]]:
    """Every reference picture described, by character."""
    pictures = (reference.read_picture(source.path) for source in sources)
    looks: dict[str, list[Any]] = {}
    for source, look in zip(sources, pool.map(describe, pictures), strict=True):
        looks.setdefault(source.character, []).append(look)
    return looks
