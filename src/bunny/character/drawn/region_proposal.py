"""Where to look at a frame a second time: small places that may be a character not found yet.

At half the size of a window the network sees that there is a figure, not which. So the small
windows that point most in the direction all reference pictures share are cut out, enlarged until
they fill a window, and described again. Frames whose figures are all found pay nothing.
"""

from collections.abc import Mapping

import numpy as np

from bunny.character import track
from bunny.character.drawn import efficientnet, window_search
from bunny.character.drawn.efficientnet import Grid, PictureNet
from bunny.core.vector import to_unit

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


def search(
    net: PictureNet, image: np.ndarray, mean: np.ndarray, reference: Mapping[str, np.ndarray]
) -> list[window_search.Candidate]:
    """Find the best place for each character, with a second look where a small figure may be.

    Parameters
    ----------
    image : np.ndarray, shape (height, width, 3), uint8, BGR
    mean, reference
        As of `drawn.find_candidates`.

    Returns
    -------
    list of drawn.Candidate
        As of `drawn.find_candidates`.
    """
    names = sorted(reference)
    if not names:
        return []
    grid = window_search.describe(net, image)
    similarity = window_search.compare(grid.feature, mean, reference)
    likeness = to_unit(grid.feature - mean) @ shared_direction(mean, reference)
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
    """What the pictures of all characters have in common against the film's mean window.

    Returns
    -------
    np.ndarray, shape (1280,), float32
        Unit length; each character counts alike, however many pictures it has.
    """
    middle = [to_unit(views - mean).mean(axis=0) for views in reference.values()]
    return to_unit(np.mean(middle, axis=0))


def propose(grid: Grid, similarity: np.ndarray, likeness: np.ndarray) -> list[np.ndarray]:
    """Choose the small places that deserve a second look.

    Parameters
    ----------
    grid : Grid
        n windows; only those with `is_small` are chosen.
    similarity : np.ndarray, shape (n, k)
        From `drawn.compare`.
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


def look_closer(net: PictureNet, image: np.ndarray, place: np.ndarray) -> Grid:
    """Describe the windows of a small place, enlarged.

    Parameters
    ----------
    image : np.ndarray, shape (height, width, 3), uint8, BGR
    place : np.ndarray, shape (4,)
        In shares of width and height.

    Returns
    -------
    Grid
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
    return Grid(box=box.astype(np.float32), feature=efficientnet.pool_windows(grid, window))


def _holds(box: np.ndarray, other: np.ndarray) -> bool:
    """Whether the middle of the other box lies in a box."""
    x, y = (other[:2] + other[2:]) / 2
    return bool(box[0] <= x <= box[2] and box[1] <= y <= box[3])
