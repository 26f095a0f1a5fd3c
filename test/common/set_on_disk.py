"""A small training set as stage dataset writes it."""

import json

import cv2
import numpy as np


def row_of(name: str, index: int, **changes) -> dict:
    return {
        "image_id": f"{name}-{index}",
        "character": name,
        "role": "subject",
        "frame_id": f"frame-{index}",
        "subject_id": f"face-{index}",
        "shot_index": index,
        "file": f"dataset/{name}/{index:04d}.png",
        **dict.fromkeys(("x0_px", "y0_px"), 0.0),
        **dict.fromkeys(("x1_px", "y1_px"), 64.0),
        **dict.fromkeys(("width_px", "height_px"), 64),
        "upscale": 1.0,
        "shot_size": "medium",
        "caption": f"{name} woman in the snow",
        "repeats": 2,
        "split": "train",
        **changes,
    }


def make_set(space, name, number, seed):
    """Pictures and metadata as stage dataset writes them; gives their rows."""
    rows = [row_of(name, index) for index in range(number - 1)]
    rows.append(row_of(name, number - 1, split="held-out"))
    folder = space.root / "dataset" / name
    folder.mkdir(parents=True)
    lines = []
    for index, row in enumerate(rows):
        pixels = np.random.default_rng(seed + index).integers(0, 256, (64, 64, 3), np.uint8)
        cv2.imwrite(str(space.root / row["file"]), pixels)
        keys = {k: row[k] for k in ("split", "repeats")}
        lines.append(json.dumps({"file_name": f"{index:04d}.png", "text": row["caption"], **keys}))
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n")
    return rows
