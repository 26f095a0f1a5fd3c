"""A small training set on disk: coloured pictures, two repeats, masks, class pictures."""

from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest
import table_row

from bunny.core.config import RightsConfig
from bunny.dataset import rights
from bunny.table import store
from bunny.trainer_format.export import folder as export_record
from bunny.trainer_format.export.folder import ExportInfo


def paint(path: Path, size: tuple[int, int], seed: int) -> None:
    """A picture of noise: no two alike."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    cv2.imwrite(str(path), pixels)


def row(index: int, **changes) -> dict:
    """One row of the table `dataset`."""
    return table_row.fill(
        "dataset",
        changes,
        image_id=f"f-{index:03d}",
        character="Zoë",
        role="subject",
        frame_id=f"frame-{index}",
        subject_id=f"face-{index}",
        shot_index=index,
        file=f"dataset/Zoë/{index:04d}.png",
        height_px=64,
        caption=f'zoë woman, "{index}" in the snow',
    )


@pytest.fixture
def table(tmp_path) -> pl.DataFrame:
    """Six of the character (two with two repeats, one tall, two held-out) and two without her.

    Only held-out rows have a pose: a column that is null in one split alone.
    """
    rows = [
        row(0),
        row(1, repeats=2),
        row(2, repeats=2, width_px=64, height_px=128),
        row(3, mask_file="dataset/Zoë/masks/0003.png"),
        row(4, split="held-out", pose="left"),
        row(5, split="held-out", pose="right"),
        row(6, role="class", file="dataset/Zoë/class/0000.png", caption="woman in the snow"),
        row(7, role="class", file="dataset/Zoë/class/0001.png", caption="a street"),
    ]
    for index, one in enumerate(rows):
        paint(tmp_path / one["file"], (one["width_px"], one["height_px"]), index)
    mask = np.zeros((64, 64), np.uint8)
    mask[:, 32:] = 255
    (tmp_path / "dataset/Zoë/masks").mkdir()
    cv2.imwrite(str(tmp_path / "dataset/Zoë/masks/0003.png"), mask)
    return store.from_rows("dataset", rows)


@pytest.fixture
def pictures(table, tmp_path):
    """The same as pictures."""
    return export_record.read_pictures(table, tmp_path, "Zoë")


@pytest.fixture
def about() -> ExportInfo:
    """What holds for the set; the class word is part of a folder's name."""
    record = rights.make_record("a film.mp4", "ab" * 32, RightsConfig(), date="2026-11-21")
    return ExportInfo(
        character="Zoë",
        trigger="zoë",
        class_word="woman",
        rights=record,
        resolution_px=64,
        step_px=32,
        batch_size=2,
    )
