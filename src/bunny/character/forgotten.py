"""Places in a film where somebody is who was forgotten: painted over before a detector looks.

`forgotten.jsonl` in the film's folder has one JSON object a line, for each time that `bunny forget`
removed somebody: when and by whom, how much of what kind, and where in the film that person is. It
holds no name and nothing that a person could be recognised by. Without the places the next run
would find the face again and put its embedding back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bunny.core import jsonl
from bunny.core.error import UserError
from bunny.table.box import BOX, CROP

FILE = "forgotten.jsonl"
WHAT = "a record that `bunny forget` wrote"
MARGIN = 0.15  # of a box's sides that is painted around it, so that no edge of a face is left


@dataclass(frozen=True, kw_only=True)
class ForgottenTrack:
    """Somebody followed through a shot."""

    start_s: float  # of the shot, in the film
    end_s: float  # half-open
    # Time in seconds, then x0, y0, x1, y1 in pixels of the film's picture as shown; by time.
    boxes: tuple[tuple[float, float, float, float, float], ...]

    def box_at(self, time_s: float) -> np.ndarray | None:
        """Box at a time, shape (4,), interpolated; None outside the shot.

        Examples
        --------
        >>> own = ForgottenTrack(
        ...     start_s=1, end_s=3, boxes=((1.0, 0, 0, 10, 10), (2.0, 10, 0, 20, 10))
        ... )
        >>> own.box_at(1.5).tolist(), own.box_at(2.9).tolist(), own.box_at(3.0)
        ([5.0, 0.0, 15.0, 10.0], [10.0, 0.0, 20.0, 10.0], None)
        """
        if not self.start_s <= time_s < self.end_s:
            return None
        known = np.array(self.boxes, np.float64)
        return np.array([np.interp(time_s, known[:, 0], side) for side in known[:, 1:].T])


@dataclass(frozen=True, kw_only=True)
class Forgetting:
    """One line of the record."""

    at: str  # ISO 8601, UTC
    by: str
    note: str  # e.g. the number of a request; "" where none was given
    counts: Mapping[str, int]  # removed, by kind
    tracks: tuple[ForgottenTrack, ...]


def append(film_dir: Path, entry: Forgetting) -> None:
    """Add a line to the record of a film."""
    jsonl.append(film_dir / FILE, [asdict(entry)])


def read(film_dir: Path) -> list[Forgetting]:
    """The record of a film, oldest first.

    Raises
    ------
    UserError
        If a line is none of ours.
    """
    found = []
    for where, values in jsonl.read(film_dir / FILE, WHAT):
        try:
            tracks = tuple(_track(one) for one in values["tracks"])
            found.append(Forgetting(**{**values, "tracks": tracks}))
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{where}: expected {WHAT}, got other fields; restore it from a copy"
            ) from error
    return found


def tracks(film_dir: Path) -> list[ForgottenTrack]:
    """All places of a film."""
    return [one for entry in read(film_dir) for one in entry.tracks]


def settings(film_dir: Path) -> dict[str, Any]:
    """What of the record changes the tables of detection; empty where nobody was forgotten."""
    places = [asdict(one) for one in tracks(film_dir)]
    return {"forgotten": places} if places else {}


def hide(
    image: np.ndarray | None, frame: Mapping[str, Any], places: Sequence[ForgottenTrack]
) -> np.ndarray | None:
    """Paint the places over that a picture shows.

    Parameters
    ----------
    image : np.ndarray, shape (height, width, 3), uint8, or None
        Left as it is.
    frame : mapping
        Row of `frame` or `extra_frame`.
    places : sequence of ForgottenTrack

    Returns
    -------
    np.ndarray or None
        The same picture where nothing is painted, else a copy with boxes of its mean colour.
    """
    if image is None:
        return None
    boxes = [one.box_at(frame["timestamp_s"]) for one in places]
    shown = [_in_picture(box, frame, image.shape) for box in boxes if box is not None]
    if not shown:
        return image
    painted = image.copy()
    for x0, y0, x1, y1 in shown:
        painted[y0:y1, x0:x1] = image.mean(axis=(0, 1)).round().astype(np.uint8)
    return painted


def from_picture(box: Sequence[float], frame: Mapping[str, Any]) -> np.ndarray:
    """A box of a frame's picture in pixels of the film's picture as shown, shape (4,).

    Examples
    --------
    >>> crop = {"crop_x0_px": 0, "crop_y0_px": 60, "crop_x1_px": 400, "crop_y1_px": 260}
    >>> from_picture((10, 10, 20, 30), {"width_px": 200, "height_px": 100, **crop}).tolist()
    [20.0, 80.0, 40.0, 120.0]
    """
    corner, scale = _placing(frame)
    return np.tile(corner, 2) + np.asarray(box, np.float64) * np.tile(scale, 2)


def make_track(
    rows: Sequence[Mapping[str, Any]], frames: Mapping[str, Mapping[str, Any]]
) -> ForgottenTrack:
    """The places of one track.

    Parameters
    ----------
    rows : sequence of mapping
        Its faces, regions or figures: `frame_id` and a box each.
    frames : mapping
        By frame_id, rows of `frame` and `extra_frame` with `start_s` and `end_s` of their shots.
    """
    boxes = []
    for row in rows:
        frame = frames[row["frame_id"]]
        box = from_picture([row[key] for key in BOX], frame)
        boxes.append((float(frame["timestamp_s"]), *(round(float(side), 2) for side in box)))
    first = frames[rows[0]["frame_id"]]
    return ForgottenTrack(
        start_s=float(first["start_s"]), end_s=float(first["end_s"]), boxes=tuple(sorted(boxes))
    )


def _track(values: Mapping[str, Any]) -> ForgottenTrack:
    boxes = [[float(number) for number in box] for box in values["boxes"]]
    if not boxes:
        raise ValueError("no boxes")
    return ForgottenTrack(
        start_s=values["start_s"],
        end_s=values["end_s"],
        boxes=tuple((time, x0, y0, x1, y1) for time, x0, y0, x1, y1 in boxes),
    )


def _placing(frame: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Where a frame's picture lies in the film's, (x, y), and film pixels a pixel of it."""
    size = np.array([frame["width_px"], frame["height_px"]], np.float64)
    if any(frame.get(key) is None for key in CROP):
        return np.zeros(2), np.ones(2)
    x0, y0, x1, y1 = (float(frame[key]) for key in CROP)
    return np.array([x0, y0]), np.array([x1 - x0, y1 - y0]) / size


def _in_picture(
    box: np.ndarray, frame: Mapping[str, Any], shape: Sequence[int]
) -> tuple[int, int, int, int]:
    """A box of the film in whole pixels of a frame's picture, widened, inside the picture."""
    corner, scale = _placing(frame)
    margin = MARGIN * np.tile(box[2:] - box[:2], 2) * (-1, -1, 1, 1)
    own = (box + margin - np.tile(corner, 2)) / np.tile(scale, 2)
    height, width = shape[:2]
    low, high = np.floor(own[:2]), np.ceil(own[2:])
    x0, y0 = np.clip(low, 0, (width, height)).astype(int)
    x1, y1 = np.clip(high, 0, (width, height)).astype(int)
    return int(x0), int(y0), int(x1), int(y1)
