"""How stage detect looks for drawn characters: by windows, OWLv2 or anime detectors with CCIP."""

import io
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from bunny.character import model_file, reference
from bunny.character.drawn import anime_detector, ccip, efficientnet, region_proposal, window_search
from bunny.character.model_set import Models
from bunny.core.config import Detection
from bunny.core.error import UserError
from bunny.table import store

WHOLE = np.array([0, 0, 1, 1], np.float32)  # box of a whole picture, in shares

Find = Callable[[np.ndarray], list[window_search.Candidate]]
Read = Callable[[Mapping], np.ndarray | None]
Describe = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Finder:
    """What looks for the characters in a picture."""

    name: str  # what tables call it
    licence: str  # of its weights
    find: Find


def make_finder(
    wanted: Detection,
    models: Models,
    sources: list[reference.Source],
    read_mean: Callable[[], np.ndarray],
    pool: Executor,
) -> Finder:
    """Load what looks for the characters, and describe their reference pictures by it.

    Parameters
    ----------
    wanted : Detection
    models : Models
    sources : list of reference.Source
        Usable reference pictures; people's too, as rivals.
    read_mean : callable
        Gives what all windows of the film share; asked only where windows are compared.
    pool : Executor

    Raises
    ------
    UserError
        If a model that the settings name cannot be had or does not go with the other.
    """
    if ccip.is_named(wanted.drawn_embedding):
        return _by_ccip(wanted, models, sources, read_mean, pool)
    if anime_detector.is_named(wanted.drawn_detector):
        raise UserError(
            f"detection.drawn_embedding: {wanted.drawn_detector} finds figures but cannot tell "
            f"them apart, expected ccip beside it, found {wanted.drawn_embedding or 'nothing'}; "
            "set detection.drawn_embedding to ccip"
        )
    if wanted.drawn_detector:
        from bunny.character.drawn.owlv2 import GuidedNet

        net = GuidedNet(wanted.drawn_detector, wanted.drawn_embedding)
        looks = _looks(sources, pool, net.describe_reference)
        return Finder(
            name=net.name,
            licence=", ".join(net.licence.values()),
            find=partial(net.find_candidates, reference=looks),
        )
    return _by_windows(models, sources, read_mean, pool)


def mean_window(
    frame: pl.DataFrame, path: Path, read: Read, describe: Describe, dimension: int, pool: Executor
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
    describe : callable
        From pixels to their mean window, (dimension,).
    dimension : int
    pool : Executor

    Returns
    -------
    np.ndarray, shape (dimension,), float32
        Zeros where no frame can be read.
    """
    if path.exists():
        return np.load(path)
    mean = measure_mean(frame, read, describe, dimension, pool.map)
    buffer = io.BytesIO()
    np.save(buffer, mean)
    store.write_bytes(path, buffer.getvalue())
    return mean


def measure_mean(
    frame: pl.DataFrame, read: Read, describe: Describe, dimension: int, map_: Callable = map
) -> np.ndarray:
    """As `mean_window`, always measured and not kept."""
    spread = np.unique(
        np.linspace(0, frame.height - 1, window_search.MEAN_FRAMES).round().astype(int)
    )

    def mean_of(row: Mapping) -> np.ndarray | None:
        image = read(row)
        return None if image is None else describe(image)

    rows = frame[spread.tolist()].iter_rows(named=True)
    found = [one for one in map_(mean_of, rows) if one is not None]
    mean = np.mean(found, axis=0) if found else np.zeros(dimension)
    return mean.astype(np.float32)


def _by_windows(
    models: Models,
    sources: list[reference.Source],
    read_mean: Callable[[], np.ndarray],
    pool: Executor,
) -> Finder:
    """The built-in search."""
    _ = models.net  # loaded before threads ask for it
    found = _looks(sources, pool, partial(window_search.describe_reference, models.net))
    stacked = {name: np.vstack(features) for name, features in found.items()}
    mean = read_mean()
    return Finder(
        name=efficientnet.NAME,
        licence=model_file.MODELS[efficientnet.NAME].licence,
        find=lambda image: region_proposal.search(models.net, image, mean, stacked),
    )


def _by_ccip(
    wanted: Detection,
    models: Models,
    sources: list[reference.Source],
    read_mean: Callable[[], np.ndarray],
    pool: Executor,
) -> Finder:
    """CCIP over the boxes of an anime detector or, without one, over those of the windows."""
    net = ccip.CcipNet(ccip.source_of(wanted.drawn_embedding))
    if anime_detector.is_named(wanted.drawn_detector):
        detector = anime_detector.AnimeDetector(wanted.drawn_detector)
        name, licence = detector.name, detector.licence

        def propose(image: np.ndarray) -> list[np.ndarray]:
            return [one.box for one in detector(image)]

        def describe(image: np.ndarray) -> np.ndarray:
            """The surest figure of a reference picture; all of it where none is found."""
            return net.embed_boxes(image, [*propose(image), WHOLE][:1])[0]

    elif wanted.drawn_detector:
        raise UserError(
            "detection.drawn_detector: expected anime-person, anime-head, anime-face or nothing "
            f"beside drawn_embedding ccip, found {wanted.drawn_detector}; change one of them"
        )
    else:
        windows = _by_windows(models, sources, read_mean, pool)
        name, licence, describe = windows.name, windows.licence, net.embed

        def propose(image: np.ndarray) -> list[np.ndarray]:
            return [one.box for one in windows.find(image)]

    found = _looks(sources, pool, describe)
    stacked = {character: np.stack(vectors) for character, vectors in found.items()}

    def find(image: np.ndarray) -> list[window_search.Candidate]:
        box = propose(image)
        return net.find_candidates(image, np.stack(box), stacked) if box else []

    return Finder(name=f"{name}+{net.name}", licence=f"{licence}, {net.licence}", find=find)


def _looks(
    sources: list[reference.Source], pool: Executor, describe: Callable[[np.ndarray], Any]
) -> dict[str, list[Any]]:
    """Every reference picture described, by character."""
    pictures = (reference.read_picture(source.path) for source in sources)
    looks: dict[str, list[Any]] = {}
    for source, look in zip(sources, pool.map(describe, pictures), strict=True):
        looks.setdefault(source.character, []).append(look)
    return looks
