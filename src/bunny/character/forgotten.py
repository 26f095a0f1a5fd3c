"""Places in a film where somebody is who was forgotten: painted over before a detector looks.

`forgotten.jsonl` in the film's folder has one JSON object a line, for each time that `bunny forget`
removed somebody: when and by whom, how much of what kind, and where in the film that person is. It
holds no name and nothing that a person could be recognised by. Without the places the next run
would find the face again and put its embedding back.

An entry that is `is_hidden` is painted over in the stored pictures too, as they are written, and
kept out of other characters' training pictures, clips and edit pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from bunny.core import jsonl
from bunny.core.error import UserError
from bunny.table.box import BOX, CROP

FILE = "forgotten.jsonl"
WHAT = "a record that `bunny forget` wrote"
MARGIN = 0.15  # of a box's sides that is painted around it, so that no edge of a face is left
FLAT = 3.0  # levels of standard deviation below which a place is taken for painted over
EDGE_PX = 8  # of a painted place, where compression mixes it with what is beside it
Box = tuple[float, float, float, float]  # x0, y0, x1, y1 in pixels


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
    is_hidden: bool = False  # in what shows others, too


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
    """All places of a film, each once."""
    return list(dict.fromkeys(one for entry in read(film_dir) for one in entry.tracks))


def hidden(film_dir: Path) -> list[ForgottenTrack]:
    """Places of a film that no picture, clip or pair of others may show, each once."""
    entries = [entry for entry in read(film_dir) if entry.is_hidden]
    return list(dict.fromkeys(one for entry in entries for one in entry.tracks))


def hidden_settings(film_dir: Path) -> dict[str, Any]:
    """What of the record changes pictures and what is made of them; empty where nothing does."""
    places = [asdict(one) for one in hidden(film_dir)]
    return {"hidden": places} if places else {}


def boxes_in(frame: Mapping[str, Any], places: Sequence[ForgottenTrack]) -> list[Box]:
    """Places that a frame shows, in pixels of its picture, cut at its edges.

    Examples
    --------
    >>> place = ForgottenTrack(start_s=0, end_s=2, boxes=((1.0, 10, 20, 50, 60),))
    >>> crop = {"crop_x0_px": 0, "crop_y0_px": 40, "crop_x1_px": 200, "crop_y1_px": 80}
    >>> boxes_in({"timestamp_s": 1.5, "width_px": 100, "height_px": 20, **crop}, [place])
    [(5.0, 0.0, 25.0, 10.0)]
    """
    found: list[Box] = []
    if frame["width_px"] is None or frame["height_px"] is None:
        return found
    corner, scale = _placing(frame)
    size = np.tile([frame["width_px"], frame["height_px"]], 2)
    for box in (one.box_at(frame["timestamp_s"]) for one in places):
        if box is not None:
            own = (box - np.tile(corner, 2)) / np.tile(scale, 2)
            x0, y0, x1, y1 = (float(side) for side in np.clip(own, 0, size))
            if x1 > x0 and y1 > y0:
                found.append((x0, y0, x1, y1))
    return found


def hidden_boxes(film_dir: Path, *frames: pl.DataFrame) -> pl.DataFrame:
    """Places of frames that no picture of others may show.

    Parameters
    ----------
    *frames : pl.DataFrame
        Tables `frame` and `extra_frame`.

    Returns
    -------
    pl.DataFrame
        `frame_id` and a box, in pixels of the frame's picture; several rows a frame.
    """
    places = hidden(film_dir)
    rows = [
        (row["frame_id"], *box)
        for table in (frames if places else ())
        for row in table.iter_rows(named=True)
        for box in boxes_in(row, places)
    ]
    schema = {"frame_id": pl.String, **dict.fromkeys(BOX, pl.Float64)}
    return pl.DataFrame(rows, schema=schema, orient="row")


def is_painted(
    image: np.ndarray, frame: Mapping[str, Any], places: Sequence[ForgottenTrack]
) -> bool:
    """Whether all places of a picture are flat already, as `hide` leaves them."""
    boxes = [one.box_at(frame["timestamp_s"]) for one in places]
    for box in boxes:
        if box is None:
            continue
        x0, y0, x1, y1 = _in_picture(box, frame, image.shape)
        dx, dy = (min(EDGE_PX, (high - low) // 3) for low, high in ((x0, x1), (y0, y1)))
        inside = image[y0 + dy : y1 - dy, x0 + dx : x1 - dx]
        if inside.size and inside.std(axis=(0, 1)).max() > FLAT:
            return False
    return True


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


def _from_picture(box: Sequence[float], frame: Mapping[str, Any]) -> np.ndarray:
    """A box of a frame's picture in pixels of the film's picture as shown, shape (4,).

    Examples
    --------
    >>> crop = {"crop_x0_px": 0, "crop_y0_px": 60, "crop_x1_px": 400, "crop_y1_px": 260}
    >>> _from_picture((10, 10, 20, 30), {"width_px": 200, "height_px": 100, **crop}).tolist()
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
        box = _from_picture([row[key] for key in BOX], frame)
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
