"""Similarity of drawn pictures to the character: cosine of embeddings to held-out crops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bunny.core import image_file, safe_path
from bunny.core.vector import l2_normalize

Embed = Callable[[Sequence[np.ndarray]], np.ndarray]

BACKGROUND_MAX = 32  # frames whose mean vector is taken off before pictures are compared


def mean_cosine(
    embed: Embed,
    drawn: Sequence[np.ndarray],
    reference: Sequence[np.ndarray],
    background: Sequence[np.ndarray] = (),
) -> np.ndarray:
    """Mean cosine of each drawn picture to the reference crops.

    Parameters
    ----------
    embed : callable
        Takes uint8 pictures (h, w, 3), colours in the order it wants, and gives vectors (n, d).
    reference : sequence of np.ndarray
        Crops of the character that were not trained on.
    background : sequence of np.ndarray, optional
        Pictures of the film at large; their mean vector is taken off first, so that what all
        pictures of the film share does not count as likeness.

    Returns
    -------
    np.ndarray, shape (len(drawn),), float32
        In [-1, 1].

    Raises
    ------
    ValueError
        If there is no reference.
    """
    if not len(reference):
        raise ValueError("expected at least one reference picture, found none")
    if not len(drawn):
        return np.zeros(0, dtype=np.float32)
    mean = embed(background).mean(axis=0) if len(background) else 0.0
    one, two = (l2_normalize(embed(p) - mean, np.float64) for p in (drawn, reference))
    return np.clip((one @ two.T).mean(axis=1), -1, 1).astype(np.float32)


def add_similarity(
    root: Path, rows: list[dict[str, Any]], held_out: Sequence[str], frames: Sequence[str]
) -> list[dict[str, Any]]:
    """Rows with `mean_cosine` to the held-out pictures of their character.

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
    from bunny.character.drawn.efficientnet import EfficientNet

    net = EfficientNet()

    def embed(pictures: Sequence[np.ndarray]) -> np.ndarray:
        return np.stack([net.embed(picture) for picture in pictures])

    background = _read_all(root, frames[:: max(1, len(frames) // BACKGROUND_MAX)])
    pictures = _read_all(root, [row["file"] for row in drawn])
    values = mean_cosine(embed, pictures, references, background)
    found = {row["picture_id"]: float(v) for row, v in zip(drawn, values, strict=True)}
    return [{**row, "similarity": found.get(row["picture_id"])} for row in rows]


def likeness_note(character: str, rows: Sequence[dict[str, Any]]) -> str:
    """One sentence on the likeness; where there are several, of the best checkpoint and strength.

    Parameters
    ----------
    rows : sequence of dict
        Of table picture, of this character.
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
        f"{character}: similarity to held-out pictures {np.mean(values):.3f} with the "
        f"adapter{where}, {np.mean(base):.3f} without"
    )


def _read_all(folder: Path, files: Sequence[str]) -> list[np.ndarray]:
    """Pictures as BGR uint8; unreadable ones are left out."""
    found = [image_file.read(safe_path.join(folder, file)) for file in files]
    return [picture for picture in found if picture is not None]
