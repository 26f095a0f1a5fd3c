"""Real pictures of a film that generated ones are compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import polars as pl

from bunny.core import image_file, safe_path
from bunny.core.reference_folder import PREFIX
from bunny.evaluation import figure_descriptor
from bunny.table.box import BOX

MAX_REAL = 24  # pictures of a character, spread over the film; of the run's of each side
MAX_BACKGROUND = 24  # frames that the film's windows are learned from; and that show nobody
MIN_BACKGROUND = 4  # frames without the character; with fewer, places beside it count too
MIN_CROP_PX = 24
MARGIN = 0.5  # of the longer side around somebody, as in training pictures
NO_SHOT = -1  # of pictures that the user gave


@dataclass(frozen=True, kw_only=True)
class RealPicture:
    """A real picture: whom it shows, its shot and file, the picture and the subject in it (BGR)."""

    character: str
    shot: int
    file: str | None  # in the film's folder; None: given by the user
    picture: np.ndarray
    crop: np.ndarray | None


def shrink(picture: np.ndarray, side_px: int) -> np.ndarray:
    """Scale a picture down until its shorter side is `side_px`; smaller ones stay."""
    factor = side_px / min(picture.shape[:2])
    if factor >= 1:
        return picture
    size = (round(picture.shape[1] * factor), round(picture.shape[0] * factor))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def of_character(
    root: Path, tables: Mapping[str, pl.DataFrame], character: str
) -> list[RealPicture]:
    """Pictures of the run's character; of held-out ones each subject's nearest is cut out too.

    Crops to compare with are of held-out shots and the user's references, never of what was trained
    on. What real pictures reach against them is measured with pictures of all other shots: few
    films hold out enough shots to compare these with each other. On the sample film, where three
    shots of two set-ups are held out, references raise the share of real pictures that are
    recognised from 0.76 to 0.95.
    """
    rows = tables["dataset"].filter(
        pl.col("character") == character,
        pl.col("role").cast(pl.String).fill_null("subject") == "subject",
    )
    box = tables["candidate"].filter(pl.col("character") == character)
    box = box.select("subject_id", **{f"in_{c}": c for c in BOX}).unique("subject_id")
    rows = rows.join(box, on="subject_id", how="left", maintain_order="left").sort("image_id")
    area = (pl.col("x1_px") - pl.col("x0_px")) * (pl.col("y1_px") - pl.col("y0_px"))
    is_out = pl.col("split").cast(pl.String) == "held-out"
    rows = rows.with_columns(
        is_out=is_out, is_crop=is_out & (area == area.min().over("subject_id"))
    )
    kept = [
        row
        for side in (True, False)
        for row in spread(rows.filter(pl.col("is_out") == side).to_dicts(), MAX_REAL)
    ]
    found = [_of_set(root, row) for row in kept]
    return [real for real in found if real is not None]


def of_references(
    folder: Path | None, tables: Mapping[str, pl.DataFrame], character: str
) -> list[RealPicture]:
    """The user's pictures of a character; those cut out of the film may be trained on, so not."""
    if folder is None:
        return []
    rows = tables["reference"].filter(pl.col("character") == character, pl.col("error").is_null())
    found = []
    for name in rows["reference_id"].sort():
        picture = image_file.read(safe_path.join(folder, name))
        if picture is None or PREFIX in name or min(picture.shape[:2]) < MIN_CROP_PX:
            continue
        whole = figure_descriptor.square_crop(picture, (0, 0, picture.shape[1], picture.shape[0]))
        found.append(
            RealPicture(character=character, shot=NO_SHOT, file=None, picture=picture, crop=whole)
        )
    return found


def _of_set(root: Path, row: dict) -> RealPicture | None:
    """A picture of the set with its subject cut out."""
    picture = image_file.read(safe_path.join(root, row["file"]))
    if picture is None:
        return None
    crop = None
    if row["is_crop"]:
        crop = picture
        if row["in_x0_px"] is not None:
            factor = row["width_px"] / max(row["x1_px"] - row["x0_px"], 1e-6)
            start = (row["x0_px"], row["y0_px"]) * 2
            box = [(row[f"in_{c}"] - s) * factor for c, s in zip(BOX, start, strict=True)]
            crop = figure_descriptor.square_crop(picture, box)
    is_big = crop is not None and min(crop.shape[:2]) >= MIN_CROP_PX
    return RealPicture(
        character=row["character"],
        shot=row["shot_index"],
        file=row["file"],
        picture=picture,
        crop=crop if is_big else None,
    )


def of_others(
    root: Path, tables: Mapping[str, pl.DataFrame], character: str, min_confidence: float
) -> list[RealPicture]:
    """Pictures of the film's other characters, of labels that are at least so sure."""
    rows = (
        tables["label"]
        .filter(
            pl.col("character") != character, pl.col("confidence").fill_null(1.0) >= min_confidence
        )
        .join(tables["frame"].select("frame_id", "file"), on="frame_id", maintain_order="left")
        .drop_nulls("file")
        .sort("character", "subject_id")
    )
    found = []
    for part in rows.partition_by("character", maintain_order=True):
        for row in spread(part.to_dicts(), MAX_REAL):
            picture = image_file.read(safe_path.join(root, row["file"]))
            box = [row[c] for c in BOX]
            if picture is None or min(box[2] - box[0], box[3] - box[1]) < MIN_CROP_PX:
                continue
            found.append(
                RealPicture(
                    character=row["character"],
                    shot=row["shot_index"],
                    file=row["file"],
                    picture=figure_descriptor.square_crop(picture, box, MARGIN),
                    crop=figure_descriptor.square_crop(picture, box),
                )
            )
    return found


def background_squares(
    root: Path, tables: Mapping[str, pl.DataFrame], character: str
) -> list[np.ndarray]:
    """Squares of frames without the character: of shots in which it is never seen, or beside it."""
    label = tables["label"].filter(pl.col("character") == character)
    frame = tables["frame"].drop_nulls("file").sort("frame_index")
    away = frame.filter(~pl.col("shot_index").is_in(label["shot_index"].unique().to_list()))
    files = spread(away["file"].to_list(), MAX_BACKGROUND)
    found = [image_file.read(safe_path.join(root, f)) for f in files]
    squares = [
        figure_descriptor.square_crop(p, (0, 0, p.shape[1], p.shape[0]))
        for p in found
        if p is not None
    ]
    if len(squares) >= MIN_BACKGROUND:
        return squares
    seen = frame.join(label.select("frame_id", *BOX), on="frame_id", maintain_order="left")
    for row in spread(seen.unique("frame_id", maintain_order=True).to_dicts(), MAX_BACKGROUND):
        picture = image_file.read(safe_path.join(root, row["file"]))
        if picture is not None and (rest := _square_beside(picture, row)) is not None:
            squares.append(rest)
    return squares


def _square_beside(picture: np.ndarray, row: dict) -> np.ndarray | None:
    """The square at the wider side of a box; None where there is no room."""
    left, right = max(0, int(row["x0_px"])), min(picture.shape[1], int(row["x1_px"]) + 1)
    strips = (picture[:, :left], picture[:, right:])
    strip = max(strips, key=lambda part: part.shape[1])
    if strip.shape[1] < MIN_CROP_PX:
        return None
    return figure_descriptor.square_crop(strip, (0, 0, strip.shape[1], strip.shape[0]))


def spread(items: Sequence, most: int) -> list:
    """At most so many items, evenly over the sequence."""
    if len(items) <= most:
        return list(items)
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]


def with_mirrored(
    pictures: Sequence[np.ndarray],
) -> tuple[Sequence[np.ndarray], Sequence[np.ndarray]]:
    """Pictures as they are, and mirrored."""
    return pictures, [np.ascontiguousarray(p[:, ::-1]) for p in pictures]
