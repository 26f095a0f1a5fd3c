"""Search for drawn characters in frames: windows, OWLv2, or anime detectors with CCIP.

At half the size of a window the network sees that there is a figure, not which. So the small
windows that point most in the direction all reference pictures share are cut out, enlarged until
they fill a window, and described again. Frames whose figures are all found pay nothing.
"""

import io
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from bunny.character import model_file, reference, track
from bunny.character.drawn import anime_detector, ccip, efficientnet, window_search
from bunny.character.drawn.efficientnet import EfficientNet, WindowFeatures
from bunny.character.model_set import DetectionModels
from bunny.core import atomic
from bunny.core.config import DetectionConfig
from bunny.core.error import UserError
from bunny.core.vector import l2_normalize

NUM_LOOKS = 3  # places of a frame at most; each costs a tenth of the windows' time
SURE_SIMILARITY, SURE_MARGIN = 0.5, 0.10  # a character found so surely is not looked for again
FIGURE_FLOOR = 0.15  # least cosine to what the references share
MAX_OVERLAP = 0.1  # IoU of two places
LOOK_SHARE = 1.3  # side of the cut, in longer sides of the place
LOOK_CELLS = 9  # the cut is scaled to so many cells of 32 px: the place fills a window of 7
# More windows, and enlarged ones, reach higher by chance: with this off, pictures of other films'
# characters are named as often as without a second look (three films; 0, 0.06 and 0.10 were tried).
LOOK_PENALTY = 0.06
LOOK_WINDOWS = [(7, 7), (5, 5), (7, 5), (9, 7)]

WHOLE = np.array([0, 0, 1, 1], np.float32)  # box of a whole picture, in shares

Find = Callable[[np.ndarray], list[window_search.RegionCandidate]]
Read = Callable[[Mapping], np.ndarray | None]
Describe = Callable[[np.ndarray], np.ndarray]


def search_frame(
    net: EfficientNet, image: np.ndarray, mean: np.ndarray, reference: Mapping[str, np.ndarray]
) -> list[window_search.RegionCandidate]:
    """Find the best place for each character, with a second look where a small figure may be.

    Parameters
    ----------
    image : np.ndarray, shape (height, width, 3), uint8, BGR
    mean, reference
        As of `window_search.find_candidates`.

    Returns
    -------
    list of window_search.RegionCandidate
        As of `window_search.find_candidates`.
    """
    names = sorted(reference)
    if not names:
        return []
    grid = window_search.describe(net, image)
    similarity = window_search.compare(grid.feature, mean, reference)
    likeness = l2_normalize(grid.feature - mean) @ shared_direction(mean, reference)
    boxes, similarities = [grid.box], [similarity]
    for place in propose(grid, similarity, likeness):
        closer = look_closer(net, image, place)
        boxes.append(closer.box)
        similarities.append(window_search.compare(closer.feature, mean, reference) - LOOK_PENALTY)
    box = np.vstack(boxes)
    small = np.zeros(len(box), bool)
    small[: len(grid.box)] = False if grid.is_small is None else grid.is_small
    return window_search.choose_candidates(
        box, np.vstack(similarities), names, is_small=small, is_refined=True
    )


def shared_direction(mean: np.ndarray, reference: Mapping[str, np.ndarray]) -> np.ndarray:
    """Direction that the pictures of all characters share, relative to the film's mean window.

    Returns
    -------
    np.ndarray, shape (1280,), float32
        Unit length; each character counts alike, however many pictures it has.
    """
    middle = [l2_normalize(views - mean).mean(axis=0) for views in reference.values()]
    return l2_normalize(np.mean(middle, axis=0))


def propose(grid: WindowFeatures, similarity: np.ndarray, likeness: np.ndarray) -> list[np.ndarray]:
    """Choose the small places that deserve a second look.

    Parameters
    ----------
    grid : WindowFeatures
        n windows; only those with `is_small` are chosen.
    similarity : np.ndarray, shape (n, k)
        From `window_search.compare`.
    likeness : np.ndarray, shape (n,)
        How much each window points along `shared_direction`.

    Returns
    -------
    list of np.ndarray, shape (4,)
        At most `NUM_LOOKS` boxes in shares, the likeliest first; none at a window where a character
        was already found surely, no two on top of each other.
    """
    if grid.is_small is None:
        return []
    margin = window_search.lead(similarity)
    is_sure = (similarity >= SURE_SIMILARITY) & (margin >= SURE_MARGIN)
    best = np.where(is_sure & ~grid.is_small[:, None], similarity, -1)
    named = [grid.box[best[:, k].argmax()] for k in range(best.shape[1]) if best[:, k].max() > 0]
    small = np.flatnonzero(grid.is_small & (likeness > FIGURE_FLOOR))
    places: list[np.ndarray] = []
    for index in small[np.argsort(-likeness[small], kind="stable")]:
        box = grid.box[index]
        if any(_holds(other, box) for other in named):
            continue
        if any(track.overlap(other, box) > MAX_OVERLAP for other in places):
            continue
        places.append(box)
        if len(places) == NUM_LOOKS:
            break
    return places


def look_closer(net: EfficientNet, image: np.ndarray, place: np.ndarray) -> WindowFeatures:
    """Describe the windows of a small place, enlarged.

    Parameters
    ----------
    image : np.ndarray, shape (height, width, 3), uint8, BGR
    place : np.ndarray, shape (4,)
        In shares of width and height.

    Returns
    -------
    WindowFeatures
        Boxes in shares of the whole picture.
    """
    size = np.array(image.shape[1::-1])
    middle = (place[:2] + place[2:]) / 2 * size
    side = max(2.0, LOOK_SHARE * float(((place[2:] - place[:2]) * size).max()))
    low = np.clip(middle - side / 2, 0, size - 1).astype(int)
    high = np.minimum(np.maximum(middle + side / 2, low + 1), size).astype(int)
    high = np.maximum(high, low + 1)
    cut = np.ascontiguousarray(image[low[1] : high[1], low[0] : high[0]])
    cells = max(1, round((high[1] - low[1]) / side * LOOK_CELLS))
    grid = net.map_features(cut, cells * efficientnet.CELL_PX)
    rows, columns = grid.shape[:2]
    window = efficientnet.place_windows(rows, columns, LOOK_WINDOWS)
    inside = window / np.array([columns, rows, columns, rows]) * np.tile(high - low, 2)
    box = (inside + np.tile(low, 2)) / np.tile(size, 2)
    return WindowFeatures(
        box=box.astype(np.float32), feature=efficientnet.pool_windows(grid, window)
    )


def _holds(box: np.ndarray, other: np.ndarray) -> bool:
    """Whether the middle of the other box lies in a box."""
    x, y = (other[:2] + other[2:]) / 2
    return bool(box[0] <= x <= box[2] and box[1] <= y <= box[3])


@dataclass(frozen=True, kw_only=True)
class RegionFinder:
    """Search for the characters in a picture."""

    name: str  # what tables call it
    licence: str  # of its weights
    find: Find


def make_finder(
    wanted: DetectionConfig,
    models: DetectionModels,
    sources: list[reference.ReferenceFile],
    read_mean: Callable[[], np.ndarray],
    pool: Executor,
) -> RegionFinder:
    """Load what looks for the characters, and describe their reference pictures by it.

    Parameters
    ----------
    sources : list of reference.Source
        Usable reference pictures; people's too, as rivals.
    read_mean : callable
        Gives what all windows of the film share; asked only where windows are compared.

    Raises
    ------
    UserError
        If a model that the settings name cannot be had or does not go with the other.
    """
    if ccip.is_named(wanted.drawn_embedding):
        return _by_ccip(wanted, models, sources, read_mean, pool)
    if anime_detector.is_named(wanted.drawn_detector):
        raise UserError(
            f"detection.drawn_embedding: {wanted.drawn_detector} detects figures but "
            "cannot recognise them; expected ccip, found "
            f"{wanted.drawn_embedding or 'nothing'}; set detection.drawn_embedding to "
            "ccip"
        )
    if wanted.drawn_detector:
        from bunny.character.drawn.owlv2 import Owlv2Detector

        net = Owlv2Detector(wanted.drawn_detector, wanted.drawn_embedding)
        looks = _looks(sources, pool, net.describe_reference)
        return RegionFinder(
            name=net.name,
            licence=", ".join(net.licence.values()),
            find=partial(net.find_candidates, reference=looks),
        )
    return _by_windows(models, sources, read_mean, pool)


def mean_window(
    frame: pl.DataFrame, path: Path, read: Read, describe: Describe, dimension: int, pool: Executor
) -> np.ndarray:
    """Mean vector of the film's windows, measured once from frames spread over it.

    Parameters
    ----------
    path : Path
        `.npy` file that keeps it.
    read : callable
        From a row of `frame` to its pixels, or None.
    describe : callable
        From pixels to their mean window, (dimension,).

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
    atomic.write_bytes(path, buffer.getvalue())
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
    models: DetectionModels,
    sources: list[reference.ReferenceFile],
    read_mean: Callable[[], np.ndarray],
    pool: Executor,
) -> RegionFinder:
    """The built-in search."""
    _ = models.net  # loaded before threads ask for it
    found = _looks(sources, pool, partial(window_search.describe_reference, models.net))
    stacked = {name: np.vstack(features) for name, features in found.items()}
    mean = read_mean()
    return RegionFinder(
        name=efficientnet.NAME,
        licence=model_file.MODELS[efficientnet.NAME].licence,
        find=lambda image: search_frame(models.net, image, mean, stacked),
    )


def _by_ccip(
    wanted: DetectionConfig,
    models: DetectionModels,
    sources: list[reference.ReferenceFile],
    read_mean: Callable[[], np.ndarray],
    pool: Executor,
) -> RegionFinder:
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
            "detection.drawn_detector: with drawn_embedding ccip expected "
            "anime-person, anime-head, anime-face or nothing, found "
            f"{wanted.drawn_detector}; change one of the two settings"
        )
    else:
        windows = _by_windows(models, sources, read_mean, pool)
        name, licence, describe = windows.name, windows.licence, net.embed

        def propose(image: np.ndarray) -> list[np.ndarray]:
            return [one.box for one in windows.find(image)]

    found = _looks(sources, pool, describe)
    stacked = {character: np.stack(vectors) for character, vectors in found.items()}

    def find(image: np.ndarray) -> list[window_search.RegionCandidate]:
        box = propose(image)
        return net.find_candidates(image, np.stack(box), stacked) if box else []

    return RegionFinder(name=f"{name}+{net.name}", licence=f"{licence}, {net.licence}", find=find)


def _looks(
    sources: list[reference.ReferenceFile], pool: Executor, describe: Callable[[np.ndarray], Any]
) -> dict[str, list[Any]]:
    """Every reference picture described, by character."""
    pictures = (reference.read_picture(source.path) for source in sources)
    looks: dict[str, list[Any]] = {}
    for source, look in zip(sources, pool.map(describe, pictures), strict=True):
        looks.setdefault(source.character, []).append(look)
    return looks
