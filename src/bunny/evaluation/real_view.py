"""Views of a film's real pictures that a recogniser of drawn figures is fitted and tested on.

A view is a square cut out of a frame, as a generated picture would show somebody: the figure with
some of its surroundings, with more of them, and its upper part; and squares of frames about nobody.
Which characters else are in it is known from their boxes, so nobody is taken for a stranger to
a picture that shows him.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from bunny.core import image_file, safe_path
from bunny.evaluation import figure_descriptor, gallery
from bunny.table.box import BOX

MAX_OWN, MAX_OTHER, MAX_FRAMES = 80, 24, 40  # pictures of the run's character; of another; frames
MARGINS = (0.5, 1.0)  # around a figure; 1: its longer side
HEAD_SHARE = 0.62  # height of a figure's upper part; 1: the figure's height
HEAD_MARGIN = 0.1  # around the upper part; 1: its longer side
NOBODY_SHARE = 0.6  # side of the squares beside the middle one, of the frame's height
MIN_SEEN = 0.1  # share of a box inside a square from which its figure counts as shown
MIN_PX = 24

Box = tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class RealView:
    """A square of a frame: whom it is about, who else is or may be in it, and the picture (BGR)."""

    character: str  # empty: nobody
    shown: frozenset[str]
    shot: int
    file: str
    picture: np.ndarray
    is_measured: bool  # one view of each label and frame is; all are fitted on


def read_views(
    root: Path,
    tables: Mapping[str, pl.DataFrame],
    character: str,
    min_confidence: float,
    side_px: int,
) -> list[RealView]:
    """Cut the views of a film.

    Parameters
    ----------
    tables : mapping of str to pl.DataFrame
        `label` and `frame`.
    character : str
        The run's, of whom more views are cut.
    min_confidence : float
        Labels below it are not learned from; their figures still count as shown.
    side_px : int
        Of generated pictures; views are shrunk to it.
    """
    frame = tables["frame"].drop_nulls("file").sort("frame_id")
    label = tables["label"].drop_nulls("character").sort("character", "subject_id")
    label = label.join(frame.select("frame_id", "file"), on="frame_id", maintain_order="left")
    label = label.drop_nulls("file")
    boxes: dict[str, list[tuple[str, Box]]] = {}
    of_shot: dict[int, set[str]] = {}
    for row in label.iter_rows(named=True):
        boxes.setdefault(row["frame_id"], []).append((row["character"], _box(row)))
        of_shot.setdefault(row["shot_index"], set()).add(row["character"])
    found = []
    sure = label.filter(pl.col("confidence").fill_null(1.0) >= min_confidence)
    for part in sure.partition_by("character", maintain_order=True):
        most = MAX_OWN if part["character"][0] == character else MAX_OTHER
        for number, row in enumerate(gallery.spread(part.to_dicts(), most)):
            found.append((row["character"], row, _figure_boxes(_box(row)), number))
    for number, row in enumerate(gallery.spread(frame.to_dicts(), MAX_FRAMES)):
        found.append(("", row, None, number))
    views: list[RealView] = []
    for who, row, wanted, number in found:
        picture = image_file.read(safe_path.join(root, row["file"]))
        if picture is None:
            continue
        here = boxes.get(row["frame_id"], [])
        unsure = of_shot.get(row["shot_index"], set()) - {name for name, _ in here}
        for index, square in enumerate(_squares(picture, wanted)):
            inside = {name for name, box in here if _share_inside(box, square) > MIN_SEEN}
            if min(square[2] - square[0], square[3] - square[1]) < MIN_PX or (not who and inside):
                continue
            x0, y0, x1, y1 = square
            views.append(
                RealView(
                    character=who,
                    shown=frozenset(inside | unsure | ({who} if who else set())),
                    shot=row["shot_index"],
                    file=row["file"],
                    picture=gallery.shrink(picture[y0:y1, x0:x1], side_px),
                    is_measured=index == number % 3,
                )
            )
    return views


def _figure_boxes(box: Box) -> list[tuple[Box, float]]:
    """Boxes with margins: the figure with more and more around it, and its upper part."""
    x0, y0, x1, y1 = box
    head = min(x1 - x0, (y1 - y0) * HEAD_SHARE)
    return [*((box, margin) for margin in MARGINS), ((x0, y0, x1, y0 + head), HEAD_MARGIN)]


def _squares(picture: np.ndarray, wanted: Sequence[tuple[Box, float]] | None):
    """Squares about boxes; without any the frame's middle and both of its lower corners."""
    height, width = picture.shape[:2]
    if wanted is None:
        side = int(min(height, width) * NOBODY_SHARE)
        middle = figure_descriptor.square_box(picture, (0, 0, width, height))
        low = height - side
        return [middle, (0, low, side, height), (width - side, low, width, height)]
    return [figure_descriptor.square_box(picture, box, margin) for box, margin in wanted]


def _box(row: Mapping) -> Box:
    return tuple(row[c] for c in BOX)


def _share_inside(box: Box, square: Sequence[float]) -> float:
    """Share of a box that lies in a square."""
    width = min(box[2], square[2]) - max(box[0], square[0])
    height = min(box[3], square[3]) - max(box[1], square[1])
    area = (box[2] - box[0]) * (box[3] - box[1])
    return max(0.0, width) * max(0.0, height) / area if area > 0 else 0.0
