"""Search for drawn figures in a frame: windows most like each character, or any figure.

All windows of two or three sizes of the frame are described at once (`figure_embedding`). For each
character the window is taken that is most like it and more like it than like anybody else; beside
them the windows that show a figure at all, whoever it is, so that unknown figures have boxes too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from bunny.character import detection
from bunny.character.drawn import efficientnet, figure_embedding, window_search
from bunny.character.drawn.figure_embedding import FigureNet
from bunny.character.drawn.figure_label import MAX_LEAD
from bunny.table.box import crop_box

VERSION = 4  # raised when other figures are found; frames are then measured again
# Heights the frame is scaled to and windows (rows, columns) in cells on each; the last size is for
# kept frames alone, since it costs as much as the others together.
WINDOWS: dict[int, list[tuple[int, int]]] = {
    224: [(7, 7), (5, 5), (7, 5), (4, 4), (7, 4)],
    352: [(7, 7), (5, 5), (7, 5), (7, 3), (5, 3)],
    512: [(7, 7), (5, 5), (7, 5), (5, 3), (4, 4)],
}
QUICK = (224, 352)
FLOOR = 0.35  # less similar windows are of nobody
CROP_FLOOR = 0.42  # from here a window is cut out and described again,
MAX_CROPS = 4  # of the most similar ones of a frame
CROP_LONG_PX = (160, 224)
CROP_MARGIN = 0.06  # of the box, on each side
FIT_PX, FIT_MARGIN, FIT_TURNS = 128, 0.1, 3  # longer side, ground around the box, GrabCut's turns
MIN_FIT_PX = 16  # shorter side; smaller boxes stay as they are
MIN_FIT_SHARE = 0.08  # of the box must be figure
MIN_PART_SHARE = 0.15  # of the largest part: a hat apart from its head
UNSEEN = -0.2  # similarity of what was not worth a second look
NUM_RIVALS = 5  # of the bank: how alike the most alike figures are that are in no film
NUM_FIGURES = 6  # windows of a frame that show a figure of whomever
FIGURE_FLOOR = 0.9  # chance from which a window shows one; of right labels 19 in 20 have 0.98
SAME_PART = 0.75  # share of a box in a surer one, from which it is the same figure's
OVERLAP = 0.5  # share of the smaller box, from which two places compete


@dataclass(frozen=True, kw_only=True)
class FigureReferenceSet:
    """Characters to look for in a film and references to compare with; vectors less the film's
    mean.
    """

    reference: Mapping[str, np.ndarray]  # (m, UNIT) by character
    bank: np.ndarray  # (n, UNIT): figures that are in no film
    mean: np.ndarray  # (RAW,): mean window of the film


@dataclass(frozen=True, kw_only=True, eq=False)
class FoundFigure:
    """A place of a frame that shows a figure."""

    box: np.ndarray  # (4,) in shares of width and height
    vector: np.ndarray  # (UNIT,), unit length
    objectness: float  # chance that it shows a figure
    candidate: str | None  # whom it is most like; None: found as a figure of whomever
    similarity: float | None  # to the candidate: mean of the window's and the crop's
    margin: float | None  # its lead over all others and the bank, likewise


def make_reference_set(
    net: FigureNet, raw: Mapping[str, np.ndarray], mean: np.ndarray
) -> FigureReferenceSet:
    """References by character, (m, RAW) each, and the bank, less a film's mean."""
    return FigureReferenceSet(
        reference={name: net.to_vector(views, mean) for name, views in raw.items()},
        bank=net.to_vector(figure_embedding.read_bank(), mean),
        mean=mean,
    )


def describe(net: FigureNet, image: np.ndarray, scales: Sequence[int] = tuple(WINDOWS)) -> tuple:
    """Describe all windows of a picture.

    Parameters
    ----------
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
        grid = net.map_cells(image, height_px, efficientnet.width_for(image.shape, height_px))
        rows, columns = grid.shape[:2]
        window = efficientnet.place_windows(rows, columns, WINDOWS[height_px])
        boxes.append(window / np.array([columns, rows, columns, rows]))
        raws.append(efficientnet.pool_windows(grid, window))
    return np.vstack(boxes).astype(np.float32), np.vstack(raws)


def mean_window(net: FigureNet, image: np.ndarray) -> np.ndarray:
    """Mean of the windows of one picture, (RAW,); the film's is the mean over some."""
    return describe(net, image, QUICK)[1].mean(axis=0)


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
    cast: FigureReferenceSet,
    scales: Sequence[int] = tuple(WINDOWS),
) -> list[FoundFigure]:
    """Find the figures of a frame.

    Parameters
    ----------
    image : np.ndarray, shape (height, width, 3), uint8, BGR
    scales : sequence of int
        Of `WINDOWS`.

    Returns
    -------
    list of FoundFigure
        One at most of each character, by name, then figures of whomever that lie elsewhere.

    Notes
    -----
    A lead is over whoever else the same place is most like: another character there or in a box
    that overlaps, or the most alike figures of the bank. Without the bank the lead of one character
    looked for alone would mean nothing (cohort normalisation, as speaker verification does it).
    """
    box, raw = describe(net, image, scales)
    vector, chance = net.to_vector(raw, cast.mean), figure_embedding.figureness(raw)
    names = sorted(cast.reference)
    places = list(_of_characters(box, compare(vector, cast.reference), names))
    window = [_judge(vector[best], k, cast) for k, best, _ in places]
    boxes = np.array([fitted for *_, fitted in places]).reshape(-1, 4)
    order = np.argsort([-similarity for similarity, _ in window], kind="stable")[:MAX_CROPS]
    seen_again = {int(i) for i in order if window[i][0] >= CROP_FLOOR}
    found_figures = []
    for i, (k, best, fitted) in enumerate(places):
        similarity, rival = window[i]
        near = [window[j][0] for j in range(len(places)) if j != i and _overlaps(fitted, boxes[j])]
        lead, shown = similarity - max([rival, *near]), vector[best]
        again, again_lead = UNSEEN, UNSEEN
        if i in seen_again:
            shown = net.to_vector(_describe_crop(net, image, fitted), cast.mean)
            again, other = _judge(shown, k, cast)
            again_lead = again - other
            fitted = fit_box(image, fitted)
        found_figures.append(
            FoundFigure(
                box=fitted,
                vector=shown,
                objectness=float(chance[best]),
                candidate=names[k],
                similarity=(similarity + again) / 2,
                margin=(lead + again_lead) / 2,
            )
        )
    return found_figures + _of_anybody(box, vector, chance, boxes)


def fit_box(image: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Draw a loose box in to the figure in it, by colours that are not those around the box.

    Parameters
    ----------
    image : np.ndarray, shape (height, width, 3), uint8, BGR
    box : np.ndarray, shape (4,)
        In shares of width and height.

    Returns
    -------
    np.ndarray, shape (4,), float32
        In shares; `box` itself where nothing stands out or next to nothing would be left.

    Notes
    -----
    GrabCut (Rother, Kolmogorov, Blake 2004) on about `FIT_PX` pixels, what is outside the box
    taken for ground. On the sample's 64 labelled kept frames mean IoU rises from 0.59 to 0.77.
    """
    height, width = image.shape[:2]
    scale = np.array([width, height, width, height], np.float64)
    x0, y0, x1, y1 = _to_pixels(box, FIT_MARGIN, image.shape)
    if min(x1 - x0, y1 - y0) < MIN_FIT_PX:
        return box
    factor = FIT_PX / max(x1 - x0, y1 - y0)
    inside = crop_box(image, (x0, y0, x1, y1))
    cut = cv2.resize(inside, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    corner = np.array([x0, y0, x0, y0])
    left, top, right, bottom = np.round((box * scale - corner) * factor).astype(int).clip(0)
    mask = np.full(cut.shape[:2], cv2.GC_BGD, np.uint8)
    mask[top:bottom, left:right] = cv2.GC_PR_FGD
    if not (mask == cv2.GC_BGD).any() or not (mask == cv2.GC_PR_FGD).any():
        return box
    cv2.setRNGSeed(0)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(cut, mask, (0, 0, 0, 0), *models, FIT_TURNS, cv2.GC_INIT_WITH_MASK)
    is_figure = np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    is_figure = cv2.morphologyEx(is_figure, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    _, _, part, _ = cv2.connectedComponentsWithStats(is_figure, connectivity=8)
    area = part[1:, cv2.CC_STAT_AREA]
    if not len(area) or area.max() < MIN_FIT_SHARE * (right - left) * (bottom - top):
        return box
    kept = part[1:][area >= MIN_PART_SHARE * area.max()]
    low = kept[:, :2].min(axis=0)
    high = (kept[:, :2] + kept[:, 2:4]).max(axis=0)
    return ((np.r_[low, high] / factor + corner) / scale).clip(0, 1).astype(np.float32)


def _judge(vector: np.ndarray, k: int, cast: FigureReferenceSet) -> tuple[float, float]:
    """Similarity of one place to the character of number k, and to whom it is most like beside."""
    similarity = compare(vector[None], cast.reference)[0]
    bank = np.sort(cast.bank @ vector)[-NUM_RIVALS:]
    others = np.delete(similarity, k)
    return float(similarity[k]), float(max([bank.mean() if len(bank) else -1.0, *others]))


def _describe_crop(net: FigureNet, image: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Mean cell of what a box in shares shows, at sizes like those of training; (RAW,)."""
    part = crop_box(image, _to_pixels(box, CROP_MARGIN, image.shape), min_px=2)
    cut = np.ascontiguousarray(part)
    return np.mean([net.map_whole(cut, px).mean(axis=(0, 1)) for px in CROP_LONG_PX], axis=0)


def _to_pixels(box: np.ndarray, margin: float, shape: tuple[int, ...]) -> np.ndarray:
    """Corners in pixels of a box in shares, with a margin in shares of it, inside the picture."""
    height, width = shape[:2]
    wider = box + np.tile((box[2:] - box[:2]) * margin, 2) * [-1, -1, 1, 1]
    return (wider.clip(0, 1) * [width, height, width, height]).astype(int)


def _of_anybody(
    box: np.ndarray, vector: np.ndarray, chance: np.ndarray, taken: np.ndarray
) -> list[FoundFigure]:
    """Windows that show a figure and lie on none that was found already, the surest first."""
    order = np.argsort(-chance, kind="stable")[: 20 * NUM_FIGURES]
    order = order[chance[order] >= FIGURE_FLOOR]
    free = [i for i in order if not any(_overlaps(other, box[i]) for other in taken)]
    kept = detection.non_max_suppression(box[free], 0.3, SAME_PART)[:NUM_FIGURES] if free else []
    return [
        FoundFigure(
            box=box[free[i]],
            vector=vector[free[i]],
            objectness=float(chance[free[i]]),
            candidate=None,
            similarity=None,
            margin=None,
        )
        for i in kept
    ]


def _of_characters(box: np.ndarray, similarity: np.ndarray, names: list[str]):
    """(number, window, fitted box) of each character that leads somewhere."""
    if not names:
        return
    lead = window_search.lead(similarity)
    value = similarity + np.clip(lead, -1, MAX_LEAD)
    for k in range(len(names)):
        ahead = np.flatnonzero(lead[:, k] > 0)
        if not len(ahead):
            continue
        best = int(ahead[np.argmax(value[ahead, k])])
        if similarity[best, k] >= FLOOR:
            heat = np.where(lead[:, k] > 0, np.maximum(similarity[:, k], 0), 0)
            yield k, best, window_search.refine_box(box, heat, best)


def _overlaps(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether half of the smaller of two boxes lies in the other."""
    sides = np.clip(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0, None)
    area = min(np.prod(one[2:] - one[:2]), np.prod(other[2:] - other[:2]))
    return bool(np.prod(sides) > OVERLAP * area)
