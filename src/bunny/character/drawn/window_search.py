"""Sliding-window matching of drawn and animal characters to reference pictures.

Windows at three scales are described by EfficientNet-Lite0, centred by the film's mean window (what
all windows of a film share, its style and light, says nothing about who is there) and compared by
cosine with the references. Two things keep it honest: a window counts for a character only where
it beats all others clearly, and the frames of a figure's track vote. What this cannot do: a photo
in a cartoon film, or pictures from a film of another style, can reach 0.6 without being there.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import polars as pl

from bunny.character.drawn import efficientnet
from bunny.character.drawn.efficientnet import EfficientNet, WindowFeatures
from bunny.core.vector import l2_normalize

# Heights the frame is scaled to, and window sizes (rows, columns) in cells of 32 px on each.
SCALES: dict[int, list[tuple[int, int]]] = {
    224: [(7, 7), (5, 5), (7, 5), (4, 4)],
    352: [(7, 7), (5, 5), (7, 5)],
    512: [(7, 7), (5, 5), (7, 5), (5, 3)],
}
# Too coarse to tell who it is; they fit the box and say where to look again (`proposal`).
SMALL_WINDOWS: dict[int, list[tuple[int, int]]] = {512: [(4, 4), (4, 3), (3, 3)]}
MEAN_SCALES = (224, 352)  # the film's mean window is as good from these alone
MEAN_FRAMES = 40
REFERENCE_SIDES = (128, 224, 320)  # shorter side a reference is scaled to; figures are small too
REFERENCE_CROPS = (1.0, 0.75, 0.55)  # central shares; the subject rarely fills its picture
# A window is chosen among leads of 0.08, then `drawn_margin` asks for 0.10: choosing at the very
# margin that is asked for would pick windows that just reach it.
CLEAR_MARGIN = 0.08
FLOOR = 0.2  # candidates less similar are not stored
# Beyond `min_margin`: what a character leads by in at least one region of a film that it is in.
# Given references of other films, all 14 wrong regions led by 0.10 to 0.154; of each of nine
# characters that were there, the best led by over 0.25.
PRESENCE_LEAD = 0.08
ALONE_PENALTY = 0.12  # added to the threshold when there is no rival to be told from
MIN_TRACK = 3  # frames that a track counts as at least, where its shot has as many
HEAT_ROWS, HEAT_COLUMNS = 36, 64
HEAT_SHARE = 0.55  # of the heat at the best window's middle that still belongs to the subject
WEIGHT = (14.0, 0.42, 4.0, 0.10)  # of `match.probability`: slope, centre; of margin: slope, centre


@dataclass(frozen=True, kw_only=True)
class RegionCandidate:
    """The best place of one frame for one character."""

    character: str
    box: np.ndarray  # (4,) in shares of width and height
    similarity: float
    margin: float


def describe(
    net: EfficientNet, image: np.ndarray, scales: Iterable[int] = tuple(SCALES)
) -> WindowFeatures:
    """Describe all windows of a picture (height, width, 3) uint8 BGR."""
    boxes, features, small = [], [], []
    for height_px in scales:
        grid = net.map_features(image, height_px)
        rows, columns = grid.shape[:2]
        for sizes, is_small in ((SCALES, False), (SMALL_WINDOWS, True)):
            window = efficientnet.place_windows(rows, columns, sizes.get(height_px, []))
            boxes.append(window / np.array([columns, rows, columns, rows]))
            features.append(efficientnet.pool_windows(grid, window))
            small.append(np.full(len(window), is_small))
    return WindowFeatures(
        box=np.vstack(boxes).astype(np.float32),
        feature=np.vstack(features),
        is_small=np.concatenate(small),
    )


def describe_reference(net: EfficientNet, image: np.ndarray) -> np.ndarray:
    """Describe a reference picture: whole and its middle, as it is and mirrored, at three sizes.

    Returns
    -------
    np.ndarray, shape (m, 1280), float32
    """
    found = []
    for view in (image, image[:, ::-1]):
        for side in REFERENCE_SIDES:
            factor = side / min(image.shape[:2])
            cells = max(1, round(image.shape[0] * factor / efficientnet.CELL_PX))
            grid = net.map_features(view, cells * efficientnet.CELL_PX)
            found += [_middle(grid, share).mean(axis=(0, 1)) for share in REFERENCE_CROPS]
    return np.stack(found)


def mean_window(net: EfficientNet, image: np.ndarray) -> np.ndarray:
    """Mean feature of the windows of one picture, (1280,); the film's is the mean over some."""
    return describe(net, image, MEAN_SCALES).feature.mean(axis=0)


def find_candidates(
    grid: WindowFeatures, mean: np.ndarray, reference: Mapping[str, np.ndarray]
) -> list[RegionCandidate]:
    """Find the best place for each character.

    Parameters
    ----------
    grid : WindowFeatures
        From `describe`.
    mean : np.ndarray, shape (1280,)
        Of `mean_window` over frames spread over the film.
    reference : mapping of character to np.ndarray, shape (m, 1280)
        From `describe_reference`; not centred.

    Returns
    -------
    list of RegionCandidate
        By character; those below `FLOOR` or nowhere ahead of all rivals are left out. With one
        character alone the margin is its similarity, which is its lead over nothing at all.
    """
    names = sorted(reference)
    if not names or not len(grid.box):
        return []
    similarity = compare(grid.feature, mean, reference)
    return choose_candidates(grid.box, similarity, names, is_small=grid.is_small, is_refined=True)


def compare(
    feature: np.ndarray, mean: np.ndarray, reference: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Similarity of windows to characters.

    Parameters
    ----------
    feature : np.ndarray, shape (n, 1280)
    mean, reference
        As of `find_candidates`.

    Returns
    -------
    np.ndarray, shape (n, k), float32
        Centred cosine in [-1, 1] to the nearest view of each character, in order of their names.
    """
    names = sorted(reference)
    window = l2_normalize(feature - mean)
    views = l2_normalize(np.vstack([reference[name] for name in names]) - mean)
    start = np.cumsum([0, *(len(reference[name]) for name in names)])[:-1]
    return np.clip(np.maximum.reduceat(window @ views.T, start, axis=1), -1, 1)


def choose_candidates(
    box: np.ndarray,
    similarity: np.ndarray,
    names: Sequence[str],
    *,
    is_small: np.ndarray | None = None,
    is_refined: bool = False,
) -> list[RegionCandidate]:
    """Choose each character's best box.

    Parameters
    ----------
    box : np.ndarray, shape (n, 4)
        In shares of width and height.
    similarity : np.ndarray, shape (n, k)
        To each of `names`.
    names : sequence of str, length k
    is_small : np.ndarray, shape (n,), bool, optional
        Boxes that may shape a refined box but not be chosen.
    is_refined : bool
        Whether `refine_box` fits the boxes: for windows, which lie where they happen to.

    Returns
    -------
    list of RegionCandidate
        As of `find_candidates`.
    """
    margin = lead(similarity)
    may_win = np.ones(len(box), bool) if is_small is None else ~is_small
    found = []
    for index, name in enumerate(names):
        best = _choose_window(similarity[:, index], np.where(may_win, margin[:, index], -1))
        if best is None or similarity[best, index] < FLOOR:
            continue
        fitted = box[best].astype(np.float32)
        if is_refined:
            heat = np.where(margin[:, index] > 0, np.maximum(similarity[:, index], 0), 0)
            fitted = refine_box(box, heat, best)
        found.append(
            RegionCandidate(
                character=name,
                box=fitted,
                similarity=float(similarity[best, index]),
                margin=float(margin[best, index]),
            )
        )
    return found


def lead(similarity: np.ndarray) -> np.ndarray:
    """Lead of each character over the best other one at each window; (n, k) to (n, k).

    Alone, a character is ahead by its whole similarity.
    """
    if similarity.shape[1] == 1:
        return similarity.copy()
    order = np.sort(similarity, axis=1)
    first, second = order[:, -1:], order[:, -2:-1]
    is_first = np.arange(similarity.shape[1]) == similarity.argmax(axis=1)[:, None]
    return similarity - np.where(is_first, second, first)


def refine_box(box: np.ndarray, heat: np.ndarray, best: int) -> np.ndarray:
    """Fit a box to the subject from how warm all windows around the best one are.

    Parameters
    ----------
    box : np.ndarray, shape (n, 4)
        Windows in shares of width and height.
    heat : np.ndarray, shape (n,)
        Similarity where the character leads, else 0.

    Returns
    -------
    np.ndarray, shape (4,), float32
        In shares; the connected area around the best window's middle whose mean squared heat is at
        least `HEAT_SHARE` of the middle's.
    """
    mean_heat = _paint(box, heat**2)
    x0, y0, x1, y1 = box[best]
    column = min(HEAT_COLUMNS - 1, int((x0 + x1) / 2 * HEAT_COLUMNS))
    row = min(HEAT_ROWS - 1, int((y0 + y1) / 2 * HEAT_ROWS))
    near = mean_heat[max(0, row - 2) : row + 3, max(0, column - 2) : column + 3]
    is_warm = (mean_heat >= HEAT_SHARE * near.max()).astype(np.uint8)
    _, label = cv2.connectedComponents(is_warm)
    if not label[row, column]:
        return box[best].astype(np.float32)
    rows, columns = np.nonzero(label == label[row, column])
    edges = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    scale = [HEAT_COLUMNS, HEAT_ROWS, HEAT_COLUMNS, HEAT_ROWS]
    return (np.array(edges) / scale).astype(np.float32)


def vote(
    region: pl.LazyFrame, num_frames: pl.LazyFrame, *, min_margin: float, is_by_track: bool = False
) -> pl.LazyFrame:
    """Let the frames of a shot, or of a figure's track, vote on each candidate.

    Parameters
    ----------
    region : pl.LazyFrame
        Rows of table `region`.
    num_frames : pl.LazyFrame
        Columns `shot_index`, `num_frames`: how many frames of the shot were looked at.
    min_margin : float
        A candidate that is not as clearly ahead counts 0.
    is_by_track : bool
        Whether the frames of its track vote (`track_id` by `figure_label.link_regions`) or all of
        the shot.

    Returns
    -------
    pl.LazyFrame
        `region` with `support`: half the candidate's own similarity, half the mean over its shot or
        track; a track counts as at least `MIN_TRACK` frames long where the shot has as many.

    Notes
    -----
    By track, who enters late is found; but on films without the characters twice as many wrong
    windows passed as by shot, for nothing gained on the sample. So shots vote unless asked.
    """
    own = pl.when(pl.col("margin") >= min_margin).then(pl.col("similarity")).otherwise(0.0)
    if is_by_track:
        least = pl.min_horizontal("num_frames", pl.lit(MIN_TRACK))
        together = own.sum().over("track_id") / pl.max_horizontal(pl.len().over("track_id"), least)
    else:
        together = own.sum().over("shot_index", "candidate") / pl.col("num_frames")
    joined = region.join(num_frames, on="shot_index", how="left", maintain_order="left")
    support = (0.5 * own + 0.5 * together).cast(pl.Float32)
    return joined.with_columns(support.alias("support")).drop("num_frames")


def select_regions(
    region: pl.LazyFrame,
    characters: Sequence[str],
    *,
    threshold: float,
    min_margin: float,
    num_candidates: int,
) -> pl.LazyFrame:
    """Keep the regions that are their candidate, by the votes of `vote`.

    Parameters
    ----------
    characters : sequence of str
        Those that are looked for by this route.
    threshold, min_margin : float
        Inclusive.
    num_candidates : int
        How many characters were compared; with one alone the threshold is `ALONE_PENALTY` higher.

    Notes
    -----
    Two thresholds on the lead, as Canny (1986) has two for edges: weak regions count only of a
    character of whom the film has a strong one. Somebody who is not in the film is like this or
    that by chance, and never clearly.
    """
    floor = threshold + (ALONE_PENALTY if num_candidates == 1 else 0.0)
    mine = region.filter(
        pl.col("candidate").is_in(list(characters)),
        pl.col("support") >= floor,
        pl.col("margin") >= min_margin,
    )
    return mine.filter(pl.col("margin").max().over("candidate") >= min_margin + PRESENCE_LEAD)


def _choose_window(similarity: np.ndarray, margin: np.ndarray) -> int | None:
    """The most similar window that leads clearly, else the most similar that leads at all."""
    for least in (CLEAR_MARGIN, 0.0):
        ahead = np.flatnonzero(margin > 0 if least == 0 else margin >= least)
        if len(ahead):
            return int(ahead[np.argmax(similarity[ahead])])
    return None


def _middle(grid: np.ndarray, share: float) -> np.ndarray:
    """Central part of a grid, at least two cells high and wide where there are two."""
    rows, columns = grid.shape[:2]
    tall, wide = (min(n, max(2, round(n * share))) for n in (rows, columns))
    y, x = (rows - tall) // 2, (columns - wide) // 2
    return grid[y : y + tall, x : x + wide]


def _paint(box: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Mean value of the windows that cover each point of a coarse picture; by corner sums."""
    shape = (HEAT_ROWS + 1, HEAT_COLUMNS + 1)
    total, count = np.zeros(shape), np.zeros(shape)
    scale = np.array([HEAT_COLUMNS, HEAT_ROWS, HEAT_COLUMNS, HEAT_ROWS])
    x0, y0, x1, y1 = np.round(box * scale).astype(int).T
    x1, y1 = (
        np.maximum(x1, np.minimum(x0 + 1, HEAT_COLUMNS)),
        np.maximum(y1, np.minimum(y0 + 1, HEAT_ROWS)),
    )
    for rows, columns, sign in ((y0, x0, 1), (y1, x1, 1), (y0, x1, -1), (y1, x0, -1)):
        np.add.at(total, (rows, columns), sign * value)
        np.add.at(count, (rows, columns), sign)
    total, count = (a.cumsum(axis=0).cumsum(axis=1)[:-1, :-1] for a in (total, count))
    return total / np.maximum(count, 1)
