"""Scene embedding of a frame: colour histogram, network feature and colour layout.

A place is known by its colours more than by its things: seen from the other side, mirrored or
nearer, a kitchen has other things in the picture and the same walls. AUC of pairs of shots, same
place against another, on the Sintel trailer and on a composed film: the network with a colour
layout, as it was before, 0.931 and 0.874; its inner layers 0.995 and 0.880; a histogram of colours
0.998 and 0.997, all but the first under even light. So the histogram weighs most, and the network
parts places of the same colours. Pictures of hardly any colour are left to the network and the
layout: grey is no place.

Light is made even first: a room with less light in it, of the same colour, is no other place. The
layout is the mean of the picture's and its mirror image's: it knows above from below, not left from
right.

The weights were chosen on these two, and on a second one composed of the same shots, so that at the
default threshold, 0.85, no places were mixed there.
"""

from collections.abc import Callable

import cv2
import numpy as np

GRID = 4  # cells across and down of the colour layout
CELL_PX = 8  # pixels a cell is averaged from, after shrinking
SIDE_PX = 64  # of the picture whose colours are counted
NUM_BINS = 16  # of a* and of b* each
MOST_CHROMA = 60.0  # a*, b* units; stronger colours count in the outermost bins
SMOOTH = 0.5  # bins; a tone between two of them counts in both
COLOURED = 3.0  # mean chroma from which colours count fully; black and white films have 0 to 1
NETWORK_WEIGHT, LAYOUT_WEIGHT = 0.65, 0.4  # against 1 for the histogram of a coloured picture
EVEN_LUMA, LEAST_LUMA = 110.0, 8.0  # 8-bit; darker than the least there is only noise to brighten
GREY = np.array([50.0, 0.0, 0.0])  # CIE L*a*b* of mid grey: the layout's origin
SPREAD = 50.0  # L*, a*, b* units that count as 1
MODEL = "efficientnet-lite0+lab4+ab16"  # in the column `model` of table `embedding`


def normalize_luma(image: np.ndarray) -> np.ndarray:
    """Brighten or darken a picture to one mean luma, so that less light is no other place.

    Parameters
    ----------
    image : np.ndarray, shape (height, width, 3), uint8, BGR

    Returns
    -------
    np.ndarray, shape (height, width, 3), uint8, BGR
        What would be brighter than white is white.
    """
    luma = float(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).mean())
    return cv2.convertScaleAbs(image, alpha=EVEN_LUMA / max(luma, LEAST_LUMA))


def measure_layout(image: np.ndarray) -> np.ndarray:
    """Mean colour of each cell of a coarse grid, in CIE L*a*b* about mid grey, mirrored too.

    Parameters
    ----------
    image : np.ndarray, shape (height, width, 3), uint8, BGR

    Returns
    -------
    np.ndarray, shape (48,), float32
        Rows of cells from the top left; about -1 to 1 each; the mean of the picture and its mirror
        image.
    """
    lab = _lab(image, GRID * CELL_PX)
    cells = lab.reshape(GRID, CELL_PX, GRID, CELL_PX, 3).mean(axis=(1, 3))
    cells = (cells + cells[:, ::-1]) / 2
    return ((cells - GREY) / SPREAD).ravel().astype(np.float32)


def measure_colour_histogram(image: np.ndarray) -> np.ndarray:
    """Histogram of the colours of a picture, regardless of their position.

    Parameters
    ----------
    image : np.ndarray, shape (height, width, 3), uint8, BGR

    Returns
    -------
    np.ndarray, shape (256,), float32
        Square roots of the shares of a* (rows) and b* in 16 bins from -60 to 60 each, so that the
        product of two is Bhattacharyya's coefficient. Of length 1, less where the mean chroma is
        below `COLOURED`, 0 for a grey picture.
    """
    ab = _lab(image, SIDE_PX)[..., 1:].reshape(-1, 2)
    place = np.floor((ab + MOST_CHROMA) * (NUM_BINS / (2 * MOST_CHROMA)))
    row, column = np.clip(place, 0, NUM_BINS - 1).astype(np.int64).T
    share = np.bincount(row * NUM_BINS + column, minlength=NUM_BINS**2) / len(ab)
    share = share.reshape(NUM_BINS, NUM_BINS).astype(np.float32)
    share = cv2.GaussianBlur(share, (5, 5), SMOOTH, borderType=cv2.BORDER_REPLICATE)
    chroma = float(np.hypot(*ab.T).mean())
    return min(1.0, chroma / COLOURED) * _unit(np.sqrt(share).ravel())


def embed_frame(image: np.ndarray, network: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Describe the place that a picture shows.

    Parameters
    ----------
    image : np.ndarray, shape (height, width, 3), uint8, BGR
    network : callable
        From a picture like it to its feature (d,).

    Returns
    -------
    np.ndarray, shape (d + 304,), float32
        As `join_features` gives it, of the picture under even light.
    """
    lit = normalize_luma(image)
    return join_features(network(lit), measure_layout(lit), measure_colour_histogram(lit))


def join_features(feature: np.ndarray, layout: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """Join a network's pooled feature with a colour layout and a histogram of colours.

    Parameters
    ----------
    feature : np.ndarray, shape (d,)
    layout : np.ndarray, shape (48,)
        From `measure_layout`.
    colour : np.ndarray, shape (256,)
        From `measure_colour_histogram`.

    Returns
    -------
    np.ndarray, shape (d + 304,), float32
        Unit length. Network and layout are scaled to their weights first, so neither outweighs the
        other by being longer; the histogram counts as far as there is colour.
    """
    blocks = [NETWORK_WEIGHT * _unit(feature), LAYOUT_WEIGHT * _unit(layout)]
    return _unit(np.concatenate([*blocks, np.asarray(colour, dtype=np.float32)]))


def _lab(image: np.ndarray, side_px: int) -> np.ndarray:
    """A picture shrunk to a square, in CIE L*a*b*."""
    small = cv2.resize(image, (side_px, side_px), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_BGR2LAB)


def _unit(vector: np.ndarray) -> np.ndarray:
    vector = np.asarray(vector, dtype=np.float32)
    length = float(np.linalg.norm(vector))
    return vector / length if length > 0 else vector
