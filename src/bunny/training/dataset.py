"""Write a character's training pictures and read them back through Hugging Face `datasets`."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bunny.training.lora import Example
from bunny.training.select import Crop

logger = logging.getLogger(__name__)

THUMBNAIL_PX = 8


def folder_name(character: str) -> str:
    """A folder name that stays inside its parent, whatever the character is called."""
    return re.sub(r"[^\w-]+", "_", character).strip("_") or "character"


def write_dataset(
    film_dir: Path, character: str, crops: Sequence[Crop], resolution_px: int
) -> tuple[list[dict[str, Any]], list[str]]:
    """Cut, resize and write ``dataset/<character>/NNNN.png`` with their ``metadata.jsonl``.

    Parameters
    ----------
    film_dir : Path
        Frame files are relative to it.
    character : str
    crops : sequence of Crop
    resolution_px : int
        Side of the written pictures; Lanczos, after an area average where they shrink.

    Returns
    -------
    list of dict
        Rows of the table ``dataset``; `upscale` above 1 says that pixels were invented.
    list of str
        One sentence for each crop that could not be made.
    """
    target = film_dir / "dataset" / folder_name(character)
    temporary = target.with_name(f".{target.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    rows, errors = [], []
    for crop in crops:
        picture = _read_crop(film_dir / crop.frame_file, crop)
        if picture is None:
            errors.append(f"{crop.image_id}: {crop.frame_file} cannot be read")
            continue
        name = f"{len(rows):04d}.png"
        written = resize(picture, resolution_px)
        encoded = cv2.imencode(".png", cv2.cvtColor(written, cv2.COLOR_RGB2BGR))[1]
        (temporary / name).write_bytes(encoded.tobytes())
        file = (target / name).relative_to(film_dir).as_posix()
        rows.append(_row(crop, file, resolution_px))
    lines = [
        json.dumps(
            {
                "file_name": Path(r["file"]).name,
                "text": r["caption"],
                "split": r["split"],
                "repeats": r["repeats"],
            },
            ensure_ascii=False,
        )
        for r in rows
    ]
    (temporary / "metadata.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    shutil.rmtree(target, ignore_errors=True)
    temporary.replace(target)
    return rows, errors


def load_dataset(folder: Path, cache_dir: Path) -> tuple[list[Example], list[Example]]:
    """Load what `write_dataset` wrote, as the trainer gets it: train and held-out examples.

    Parameters
    ----------
    folder : Path
        Holds pictures and ``metadata.jsonl``.
    cache_dir : Path
        For the Arrow files of `datasets`; nothing is written outside it.
    """
    os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
    import datasets

    datasets.disable_progress_bars()
    loaded = datasets.load_dataset(
        "imagefolder", data_dir=str(folder), cache_dir=str(cache_dir), split="train"
    )
    examples: dict[str, list[Example]] = {"train": [], "held-out": []}
    for row in loaded:
        picture = np.asarray(row["image"].convert("RGB"))
        example = Example(picture=picture, caption=row["text"], repeats=int(row["repeats"]))
        examples[row["split"]].append(example)
    return examples["train"], examples["held-out"]


def hash_examples(examples: Sequence[Example]) -> str:
    """SHA-256 over pixels and captions, in order."""
    digest = hashlib.sha256()
    for example in examples:
        digest.update(np.ascontiguousarray(example.picture).tobytes())
        digest.update(example.caption.encode() + b"\0")
    return digest.hexdigest()


def resize(picture: np.ndarray, side_px: int) -> np.ndarray:
    """Resize an RGB uint8 square to `side_px`.

    Halved by area averaging while it is over twice too large, then Lanczos: OpenCV's Lanczos alone
    skips pixels when it shrinks.
    """
    while min(picture.shape[:2]) >= 2 * side_px:
        half = (picture.shape[1] // 2, picture.shape[0] // 2)
        picture = cv2.resize(picture, half, interpolation=cv2.INTER_AREA)
    return cv2.resize(picture, (side_px, side_px), interpolation=cv2.INTER_LANCZOS4)


def coverage(
    pictures: Sequence[np.ndarray], rows: Sequence[dict[str, Any]], place: dict[str, str | None]
) -> dict[str, Any]:
    """How varied a training set is.

    Parameters
    ----------
    pictures : sequence of np.ndarray, (h, w, 3), uint8
    rows : sequence of dict
        Rows of the table ``dataset``, in the same order.
    place : dict
        Scene cluster of each frame_id.

    Returns
    -------
    dict
        Counts by shot_size, shot, place and split; `nearest_distance`, the mean distance of each
        picture to its nearest neighbour (root mean square of 8x8 RGB thumbnails, in [0, 1]; null
        below two pictures); `max_upscale`.
    """
    return {
        "shot_size": dict(Counter(r["shot_size"] for r in rows)),
        "shot": {str(k): v for k, v in sorted(Counter(r["shot_index"] for r in rows).items())},
        "place": dict(Counter(place.get(r["frame_id"]) or "noise" for r in rows)),
        "split": dict(Counter(r["split"] for r in rows)),
        "nearest_distance": _nearest_distance(pictures),
        "max_upscale": max((r["upscale"] for r in rows), default=None),
    }


def _nearest_distance(pictures: Sequence[np.ndarray]) -> float | None:
    """Mean distance to the nearest other picture."""
    if len(pictures) < 2:
        return None
    size = (THUMBNAIL_PX, THUMBNAIL_PX)
    small = np.stack([cv2.resize(p, size, interpolation=cv2.INTER_AREA) for p in pictures])
    flat = small.reshape(len(small), -1).astype(np.float64) / 255
    square = (flat**2).sum(axis=1)
    distance = np.maximum(square[:, None] + square[None] - 2 * flat @ flat.T, 0) / flat.shape[1]
    np.fill_diagonal(distance, np.inf)
    return float(np.sqrt(distance.min(axis=1)).mean())


def _read_crop(path: Path, crop: Crop) -> np.ndarray | None:
    """The crop's pixels, RGB; None when the file cannot be read or is another size."""
    if not path.is_file():
        return None
    picture = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    if picture is None or picture.shape[0] < crop.y1_px or picture.shape[1] < crop.x1_px:
        return None
    cut = picture[crop.y0_px : crop.y1_px, crop.x0_px : crop.x1_px]
    return cv2.cvtColor(cut, cv2.COLOR_BGR2RGB)


def _row(crop: Crop, file: str, resolution_px: int) -> dict[str, Any]:
    """One row of the table ``dataset``."""
    return {
        "image_id": crop.image_id,
        "character": crop.character,
        "frame_id": crop.frame_id,
        "subject_id": crop.subject_id,
        "shot_index": crop.shot_index,
        "file": file,
        "x0_px": crop.x0_px,
        "y0_px": crop.y0_px,
        "x1_px": crop.x1_px,
        "y1_px": crop.y1_px,
        "width_px": resolution_px,
        "height_px": resolution_px,
        "upscale": resolution_px / (crop.x1_px - crop.x0_px),
        "shot_size": crop.shot_size,
        "caption": crop.caption,
        "repeats": 1,
        "split": crop.split,
    }
