"""Measures of generated pictures: identity, prompt agreement, copying, vectors.

Copies of training pictures are found by the nearest cosine, against a baseline. Held-out pictures
are of the same film and were never trained on, so how near they come to training pictures is how
near a picture comes without copying. A drawing nearer than nearly all of them is flagged. Mirrored
training pictures count.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from bunny.core import image_file, safe_path
from bunny.evaluation import agreement
from bunny.evaluation import gallery as evaluation_gallery
from bunny.evaluation.identity_model import IdentityModel

BASELINE_QUANTILE = (
    0.99  # quantile of held-out pictures' nearest cosines above which a drawing is flagged
)
CERTAIN_COPY = 0.98  # cosine that is a copy whatever the film: the same picture, stored again
USUAL_PICTURES = 16  # real pictures whose mean vector is taken off drawings' vectors


@dataclass(frozen=True, kw_only=True)
class NearestCosines:
    """Nearest cosines: of training pictures to those of other shots, of held-out ones to training.

    `threshold` is the cosine from which a drawing counts as a copy; None: nothing to go by.
    """

    train: np.ndarray
    held_out: np.ndarray
    threshold: float | None


def nearest(vector: np.ndarray, train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the most similar training picture of each drawing.

    Parameters
    ----------
    vector : np.ndarray, shape (n, d)
        Of unit length.
    train : np.ndarray, shape (v, k, d)
        Of unit length; v views of each of k training pictures, e.g. as it is and mirrored.

    Returns
    -------
    index : np.ndarray, shape (n,), int64
        Of the k training pictures.
    cosine : np.ndarray, shape (n,), float64
    """
    if not len(vector) or not train.size:
        return np.zeros(len(vector), np.int64), np.full(len(vector), np.nan)
    cosine = (train.astype(float) @ vector.T.astype(float)).max(axis=0)  # (k, n)
    return cosine.argmax(axis=0), np.minimum(cosine.max(axis=0), 1.0)


def baseline(train: np.ndarray, shot: np.ndarray, held_out: np.ndarray) -> NearestCosines:
    """Measure how near pictures of a film come to each other without copying.

    Parameters
    ----------
    train : np.ndarray, shape (v, k, d)
        As `nearest`.
    shot : np.ndarray, shape (k,)
        Of each training picture.
    held_out : np.ndarray, shape (m, d)

    Returns
    -------
    NearestCosines
        The threshold is the 0.99 quantile of the held-out pictures' nearest cosines (fewer than
        ten: of training pictures' too), at most `CERTAIN_COPY`.
    """
    cosine = (train @ train[0].T).max(axis=0) if train.size else np.empty((0, 0))
    other = shot[:, None] != shot[None, :]
    own = np.where(other, cosine, -np.inf).max(axis=0, initial=-np.inf)
    own = own[np.isfinite(own)]
    outside = nearest(held_out, train)[1] if len(held_out) else np.empty(0)
    outside = outside[np.isfinite(outside)]
    base = outside if len(outside) >= 10 else np.concatenate([outside, own])
    threshold = (
        min(CERTAIN_COPY, float(np.quantile(base, BASELINE_QUANTILE))) if len(base) else None
    )
    return NearestCosines(train=own, held_out=outside, threshold=threshold)


class PictureMeasurer:
    """All that looks at one run's drawings, loaded once."""

    def __init__(
        self,
        root: Path,
        dataset: pl.DataFrame,
        character: str,
        eyes: IdentityModel,
        agree: agreement.AgreementMeasure | None,
    ) -> None:
        """`root` is the film's folder, `agree` None where agreement is not measured."""
        self.root, self.character, self.eyes, self.agree = root, character, eyes, agree
        self._train = _TrainSet(root, dataset, character, eyes)
        files = dataset.filter(pl.col("character") == character)["file"].to_list()
        read = (
            image_file.read(safe_path.join(root, f))
            for f in evaluation_gallery.spread(files, USUAL_PICTURES)
        )
        usual = [eyes.net.embed(picture) for picture in read if picture is not None]
        self._usual = np.mean(usual, axis=0) if usual else 0.0

    def see(self, rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
        """Rows with what is seen in each picture, and a vector of each for diversity and drift."""
        paths = [safe_path.join(self.root, row["file"]) if row["file"] else None for row in rows]
        read = [None if path is None else image_file.read(path) for path in paths]
        kept = [(row, p) for row, p in zip(rows, read, strict=True) if p is not None]
        pictures = [picture for _, picture in kept]
        said = self._agreements(pictures, [row["prompt"] for row, _ in kept])
        near = self._train.nearest(pictures)
        vectors = [self.eyes.net.embed(picture) - self._usual for picture in pictures]
        found = {
            row["picture_id"]: {
                **row,
                **self.eyes.see(picture, is_pair=row["prompt_set"] == "pair"),
                **said[i],
                **near[i],
            }
            for i, (row, picture) in enumerate(kept)
        }
        names = [row["picture_id"] for row, _ in kept]
        done = [found.get(row["picture_id"], row) for row in rows]
        return done, dict(zip(names, vectors, strict=True))

    def real(self, run_id: str) -> list[dict[str, Any]]:
        """Rows of the film's own pictures, each scored by what did not see its shot."""
        return [
            {
                "picture_id": f"{run_id}-real-{index:04d}",
                "run_id": run_id,
                "character": real.character,
                "step": 0,
                "prompt_set": "real",
                "file": real.file,
                **(self.eyes.said(real.scores) if self.eyes.scales else {}),
            }
            for index, real in enumerate(self.eyes.real)
        ]

    def _agreements(self, pictures: list[np.ndarray], prompts: list[str]) -> list[dict[str, Any]]:
        """How far each picture shows what its prompt says."""
        if self.agree is None or not pictures:
            return [{} for _ in pictures]
        values = self.agree(pictures, prompts)
        return [{"agreement": float(v) if np.isfinite(v) else None} for v in values]


class _TrainSet:
    """Whole training pictures, to see whether drawings are copies of one."""

    def __init__(
        self, root: Path, dataset: pl.DataFrame, character: str, eyes: IdentityModel
    ) -> None:
        rows = dataset.filter(
            pl.col("character") == character,
            pl.col("role").cast(pl.String).fill_null("subject") == "subject",
        )
        is_train = pl.col("split").cast(pl.String) == "train"
        train, held_out = rows.filter(is_train), rows.filter(~is_train)
        found = {f: image_file.read(safe_path.join(root, f)) for f in rows["file"].to_list()}
        read = {f: picture for f, picture in found.items() if picture is not None}
        train = train.filter(pl.col("file").is_in(list(read)))
        self.shape = eyes.shape
        self.image_id = train["image_id"].to_list()
        views = evaluation_gallery.with_mirrored([read[f] for f in train["file"]])
        self.vector = np.stack([eyes.shape.describe(view) for view in views])
        outside = [read[f] for f in held_out["file"] if f in read]
        shot = train["shot_index"].to_numpy()
        self.usual = baseline(self.vector, shot, eyes.shape.describe(outside))

    def nearest(self, pictures: list[np.ndarray]) -> list[dict[str, Any]]:
        """Nearest training picture, its cosine, and whether that is a copy."""
        if not self.image_id or not pictures:
            return [{} for _ in pictures]
        index, cosine = nearest(self.shape.describe(pictures), self.vector)
        most = self.usual.threshold
        return [
            {
                "nearest": float(c),
                "nearest_id": self.image_id[i],
                "is_copy": None if most is None else bool(c > most),
            }
            for i, c in zip(index, cosine, strict=True)
        ]
