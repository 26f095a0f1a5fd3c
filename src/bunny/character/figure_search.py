"""Drawn figures of a frame: the windows most like each character, and those most like a figure.

All windows of two or three sizes of the frame are described at once (`figure_embedding`). For each
character the window is taken that is most like it and more like it than like anybody else; beside
them the windows that show a figure at all, whoever it is, so that unknown figures have boxes too.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bunny.character import drawn, figure_embedding, found, picture
from bunny.character.figure_embedding import FigureNet

# Heights the frame is scaled to and windows (rows, columns) in cells on each; the last size is for
# kept frames alone, since it costs as much as the others together.
WINDOWS: dict[int, list[tuple[int, int]]] = {
    224: [(7, 7), (5, 5), (7, 5), (4, 4), (7, 4)],
    352: [(7, 7), (5, 5), (7, 5), (7, 3), (5, 3)],
    512: [(7, 7), (5, 5), (7, 5), (5, 3), (4, 4)],
}
QUICK = (224, 352)
MAX_LEAD = 0.25  # more lead over others says no more
FLOOR = 0.35  # less similar windows are of nobody
NUM_FIGURES = 6  # windows of a frame that show a figure of whomever
FIGURE_FLOOR = 0.6  # chance from which a window shows one
SAME_IOU = 0.55  # two boxes of one figure
SAME_PART = 0.75  # or one within the other


@dataclass(frozen=True, kw_only=True, eq=False)
class FoundFigure:
    """A window that shows a figure."""

    box: np.ndarray  # (4,) in shares of width and height
    vector: np.ndarray  # (UNIT,), unit length
    objectness: float  # chance that it shows a figure
    candidate: str | None  # whom it is most like; None: found as a figure of whomever


def describe(net: FigureNet, image: np.ndarray, scales=tuple(WINDOWS)) -> tuple:
    """Describe all windows of a picture.

    Parameters
    ----------
    net : FigureNet
    image : np.ndarray, shape (height, width, 3), uint8, BGR
    scales : iterable of int
        Of `WINDOWS`.

    Returns
    -------
    box : np.ndarray, shape (n, 4), float32
        In shares of width and height.
    raw : np.ndarray, shape (n, RAW), float32
    """
    boxes, raws = [], []
    for height_px in scales:
        grid = net.map_cells(image, height_px, picture.width_for(image.shape, height_px))
        rows, columns = grid.shape[:2]
        window = picture.place_windows(rows, columns, WINDOWS[height_px])
        boxes.append(window / np.array([columns, rows, columns, rows]))
        raws.append(picture.pool_windows(grid, window))
    return np.vstack(boxes).astype(np.float32), np.vstack(raws)


def compare(vector: np.ndarray, reference: Mapping[str, np.ndarray]) -> np.ndarray:
    """Similarity of windows to the nearest view of each character, in order of their names.

    Parameters
    ----------
    vector : np.ndarray, shape (n, UNIT)
    reference : mapping of character to np.ndarray, shape (m, UNIT)

    Returns
    -------
    np.ndarray, shape (n, k), float32
    """
    names = sorted(reference)
    if not names:
        return np.empty((len(vector), 0), np.float32)
    both = vector @ np.vstack([reference[name] for name in names]).T
    start = np.cumsum([0, *(len(reference[name]) for name in names)])[:-1]
    return np.maximum.reduceat(both, start, axis=1)


def find(
    net: FigureNet,
    image: np.ndarray,
    mean: np.ndarray,
    reference: Mapping[str, np.ndarray],
    scales=tuple(WINDOWS),
) -> list[FoundFigure]:
    """Find the figures of a frame.

    Parameters
    ----------
    net : FigureNet
    image : np.ndarray, shape (height, width, 3), uint8, BGR
    mean : np.ndarray, shape (RAW,)
        Mean window of the film.
    reference : mapping of character to np.ndarray, shape (m, UNIT)
        Less `mean`, from `FigureNet.to_vector`.
    scales : iterable of int

    Returns
    -------
    list of FoundFigure
        One at most of each character, by name, then figures of whomever that lie elsewhere.
    """
    box, raw = describe(net, image, scales)
    vector, chance = net.to_vector(raw, mean), figure_embedding.figureness(raw)
    similarity = compare(vector, reference)
    kept = [
        FoundFigure(box=fitted, vector=vector[best], objectness=float(chance[best]), candidate=name)
        for name, best, fitted in _of_characters(box, similarity, sorted(reference))
    ]
    order = np.argsort(-chance, kind="stable")[: 20 * NUM_FIGURES]
    order = order[chance[order] >= FIGURE_FLOOR]
    taken = [one.box for one in kept]
    for index in found.suppress(box[order], 0.3, SAME_PART)[:NUM_FIGURES]:
        best = order[index]
        if not any(_is_same(other, box[best]) for other in taken):
            kept.append(
                FoundFigure(
                    box=box[best],
                    vector=vector[best],
                    objectness=float(chance[best]),
                    candidate=None,
                )
            )
    return kept


def _of_characters(box: np.ndarray, similarity: np.ndarray, names: list[str]):
    """(name, window, fitted box) of each character that leads somewhere."""
    if not names:
        return
    lead = drawn.lead(similarity)
    value = similarity + np.clip(lead, -1, MAX_LEAD)
    for k, name in enumerate(names):
        ahead = np.flatnonzero(lead[:, k] > 0)
        if not len(ahead):
            continue
        best = ahead[np.argmax(value[ahead, k])]
        if similarity[best, k] >= FLOOR:
            heat = np.where(lead[:, k] > 0, np.maximum(similarity[:, k], 0), 0)
            yield name, best, drawn.refine_box(box, heat, best)


def _is_same(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two boxes are one figure's."""
    return len(found.suppress(np.stack([one, other]), SAME_IOU, SAME_PART)) == 1
