"""Clips written again from their film at another frame rate, so that motion keeps its speed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from bunny.clip import write
from bunny.clip.plan import choose_frames
from bunny.clip.preset import ClipForm
from bunny.core import file_hash
from bunny.core.error import UserError
from bunny.core.film_file import FilmPlace
from bunny.video.extra_frame import ExtraFrameReader

LENGTH_STEP, MIN_FRAMES = 8, 9  # lengths are 8n + 1, as those of stage clip


def choose_length(num_frames: int, fps: float, form: ClipForm) -> int:
    """Length at a model's rate of what a clip shows: 8n + 1 frames, at most the model's.

    Examples
    --------
    >>> from bunny.clip.preset import FORM
    >>> choose_length(33, 16.0, FORM["hunyuan"]), choose_length(121, 24.0, FORM["wan"])
    (49, 81)
    """
    most = int((num_frames - 1) / fps * form.fps + 1e-6) + 1
    most = min(most, form.max_frames or most)
    return (most - 1) // LENGTH_STEP * LENGTH_STEP + 1


def write_at_rate(
    rows: Sequence[dict[str, Any]],
    clip_frame: pl.DataFrame,
    form: ClipForm,
    reader: ExtraFrameReader,
    film: FilmPlace,
    folder: Path,
) -> Iterator[dict[str, Any]]:
    """Write clips with the rate of a model, at their size, from the frames that they show.

    Parameters
    ----------
    rows : sequence of dict
        Of table `clip`.
    clip_frame : pl.DataFrame
        Table of that name: the times of the film's frames.
    form : ClipForm
        Clips that are too short for `MIN_FRAMES` at its rate are left out.
    film : FilmPlace
        Read for the sound of clips that have it.
    folder : Path
        Gets the files, named by the clip.

    Yields
    ------
    dict
        Each row with its new frames, times, hash and file; the file is an absolute path.

    Raises
    ------
    UserError
        If the film or a frame of it is missing, or its times are.
    """
    plans = {}
    for row in rows:
        number = choose_length(row["num_frames"], row["fps"], form)
        if number < MIN_FRAMES:
            continue
        own = clip_frame.filter(
            pl.col("shot_index") == row["shot_index"],
            pl.col("frame_index").is_between(row["frame_indices"][0], row["frame_indices"][-1]),
        ).sort("frame_index")
        if own.is_empty():
            raise UserError(
                f"{row['clip_id']}: expected its frames in table clip_frame, found none; run stage "
                "clip again with --force"
            )
        chosen = choose_frames(own["timestamp_s"].to_numpy(), row["start_s"], number, form.fps)
        plans[row["clip_id"]] = row | {
            "num_frames": number,
            "fps": form.fps,
            "end_s": row["start_s"] + number / form.fps,
            "frame_indices": own["frame_index"].gather(chosen).to_list(),
        }
    frames = {name: row["frame_indices"] for name, row in plans.items()}
    boxes = {index: _box(row) for row in plans.values() for index in row["frame_indices"]}
    crops = {name: _whole(row) for name, row in plans.items()}
    for name, pictures in write.read_frames(reader, frames, boxes, crops):
        row, path = plans[name], folder / f"{name}.mp4"
        try:
            _write(row, pictures, film, path)
        except write.ClipError as error:
            raise UserError(
                f"{name}: expected to write it again at {form.fps:g} frames per second, cannot "
                f"({error}); run stage clip again with a clip.preset of this rate"
            ) from error
        yield row | {"file": path, "sha256": file_hash.hash_file(path)}


def _write(
    row: Mapping[str, Any], pictures: Mapping[int, np.ndarray], film: FilmPlace, path: Path
) -> None:
    """Write one clip, with the film's sound if it has that."""
    missing = [index for index in row["frame_indices"] if index not in pictures]
    if missing:
        raise write.ClipError(f"frame {missing[0]} could not be decoded again")
    sound = None
    if row["has_audio"]:
        sound = write.read_sound(film, row["start_s"], row["num_frames"] / row["fps"])
    frames = (pictures[index] for index in row["frame_indices"])
    write.write_clip(path, frames, row["fps"], (row["width_px"], row["height_px"]), sound)


def _box(row: Mapping[str, Any]) -> tuple[int, int, int, int]:
    """Area of the film's picture that the clip shows."""
    return (row["crop_x0_px"], row["crop_y0_px"], row["crop_x1_px"], row["crop_y1_px"])


def _whole(row: Mapping[str, Any]) -> write.ClipCrop:
    """All of that, scaled to the clip's size."""
    left, top, right, bottom = _box(row)
    size = (row["width_px"], row["height_px"])
    return write.ClipCrop(box=(0, 0, right - left, bottom - top), size=size)
