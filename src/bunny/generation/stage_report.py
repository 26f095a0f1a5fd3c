"""What stage generate says of its pictures: their likeness to the character, and the grid."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bunny.generation import draw, plan, similarity
from bunny.generation.plan import Column
from bunny.generation.request import Drawing

BACKGROUND_MAX = 32  # frames whose mean vector is taken off before pictures are compared
SAME_AS_PROVENANCE = (
    *("prompt", "seed", "num_steps", "guidance_scale", "width_px", "height_px"),
    *("base_model", "adapter_hash", "init_frame", "init_strength"),
)


def with_similarity(
    root: Path, rows: list[dict[str, Any]], held_out: Sequence[str], frames: Sequence[str]
) -> list[dict[str, Any]]:
    """Rows with `similarity` to the held-out pictures of their character.

    Parameters
    ----------
    root : Path
        The film's folder.
    rows : list of dict
        Of table picture.
    held_out, frames : sequence of str
        Files of the character's pictures that were not trained on, and of the film at large.

    Returns
    -------
    list of dict
        As they were where there is nothing to compare.
    """
    references = _read_all(root, held_out)
    drawn = [row for row in rows if row["file"]]
    if not references or not drawn:
        return rows
    from bunny.character.drawn.efficientnet import PictureNet

    net = PictureNet()

    def embed(pictures: Sequence[np.ndarray]) -> np.ndarray:
        return np.stack([net.embed(picture) for picture in pictures])

    background = _read_all(root, frames[:: max(1, len(frames) // BACKGROUND_MAX)])
    pictures = _read_all(root, [row["file"] for row in drawn])
    values = similarity.similarity(embed, pictures, references, background)
    found = {row["picture_id"]: float(v) for row, v in zip(drawn, values, strict=True)}
    return [{**row, "similarity": found.get(row["picture_id"])} for row in rows]


def likeness_note(character: str, rows: Sequence[dict[str, Any]]) -> str:
    """One sentence on the likeness; where there are several, of the best checkpoint and strength.

    Parameters
    ----------
    character : str
    rows : sequence of dict
        Of table picture, of this character.

    Returns
    -------
    str
    """
    by_column: dict[tuple, list[float]] = {}
    for row in rows:
        if row["similarity"] is not None:
            by_column.setdefault((row["step"], row["strength"]), []).append(row["similarity"])
    base = by_column.pop((None, None), None)
    if not base or not by_column:
        return f"{character}: no held-out picture to compare with"
    (step, strength), values = max(by_column.items(), key=lambda item: np.mean(item[1]))
    where = f" (step {step}, strength {strength:g})" if len(by_column) > 1 else ""
    return (
        f"{character}: likeness to held-out pictures {np.mean(values):.3f} with the adapter{where}"
        f", {np.mean(base):.3f} without"
    )


def write_grid(
    root: Path,
    path: Path,
    files: Mapping[tuple[int, str], str | None],
    drawings: Sequence[Drawing],
    columns: Sequence[Column],
    facts: Mapping[str, Any],
) -> None:
    """Lay pictures out: a row for each prompt, a column for each model and seed.

    Parameters
    ----------
    root : Path
        What `files` are relative to.
    path : Path
        The grid's PNG; not written where no picture could be drawn.
    files : mapping
        By index of the drawing and key of the column; None where there is no picture.
    drawings, columns
        As they were drawn.
    facts : mapping
        Written into the PNG.
    """
    from PIL import Image

    pictures = {}
    for place, file in files.items():
        if file is not None:
            with Image.open(root / file) as picture:
                pictures[place] = picture.convert("RGB")
    if pictures:
        table = plan.table_of(pictures, drawings, columns)
        draw.save_png(path, draw.draw_grid(**table), facts)


def _read_all(folder: Path, files: Sequence[str]) -> list[np.ndarray]:
    """Pictures as BGR uint8; unreadable ones are left out."""
    paths = [folder / file for file in files]
    found = [
        cv2.imdecode(np.frombuffer(p.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
        for p in paths
        if p.is_file()
    ]
    return [picture for picture in found if picture is not None]
