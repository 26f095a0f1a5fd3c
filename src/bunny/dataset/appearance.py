"""Vectors, attribute cells and quality of views, from stored measures alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import polars as pl

from bunny.dataset import facility_location
from bunny.dataset import view as view_module
from bunny.dataset.view import CharacterView
from bunny.quality import sharpness
from bunny.table.box import BOX

# Weights of the parts in the likeness of two views: who is how turned counts as much as where.
FACE, GEOMETRY, LOOK, SCENE = 1.0, 1.0, 1.0, 1.0
LOOK_PX = 8  # side of the subject's small picture
SCENE_WIDTH = 64  # of scene vectors after a random projection, which keeps cosines to about 0.1
AROUND = 0.25  # of the box's size, that its small picture shows besides

MEASURED = ("sharpness", "blur_score", "luma")


def ground_set(
    views: Sequence[CharacterView],
    face: pl.DataFrame,
    embedding: pl.DataFrame,
    measure: pl.DataFrame,
) -> facility_location.GroundSet:
    """Describe views for the choice.

    Parameters
    ----------
    face, embedding, measure : pl.DataFrame
        Tables of those names; what they lack counts as not known.

    Returns
    -------
    facility_location.GroundSet
        Vectors of the face's embedding, place and size of the box with turn and mouth, the
        subject's small picture and the scene's vector; cells of pose, size, place and light.
    """
    ids = [v.subject_id for v in views]
    frames = [v.frame_id for v in views]
    faces = _lookup(face, "face_id", "embedding", ids)
    scenes = _project(_lookup(embedding, "frame_id", "vector", frames))
    parts = [
        (FACE, faces),
        (GEOMETRY, _geometry(views)),
        (LOOK, _looks(views, measure)),
        (SCENE, scenes),
    ]
    return facility_location.GroundSet(
        vector=facility_location.join_vectors([(w, p) for w, p in parts if p.shape[1]]),
        cell=_attribute_cells(views),
        worth=view_quality(views),
    )


def _attribute_cells(views: Sequence[CharacterView]) -> np.ndarray:
    """Pose, size, place and light of each view as numbers from 0 on, (n, 4) int."""
    columns = [
        [v.pose for v in views],
        [v.shot_size for v in views],
        [str(v.place) for v in views],
        [str(v.light) for v in views],
    ]
    return np.stack([np.unique(np.array(c, str), return_inverse=True)[1] for c in columns], axis=1)


def view_quality(views: Sequence[CharacterView]) -> np.ndarray:
    """Quality of each view by itself, in [0, 1]: confident, sharp for its kind, alone."""
    sharp = np.full(len(views), 0.5)
    for is_face in (True, False):  # measured at another size, so they are not compared
        rows = [i for i, v in enumerate(views) if v.is_face == is_face and v.sharpness is not None]
        rank = np.argsort(
            np.argsort(np.array([views[i].sharpness for i in rows], np.float64), kind="stable")
        )
        sharp[rows] = (rank + 1) / max(1, len(rows))
    sure = np.array([v.confidence for v in views])
    alone = np.array([1.0 / (1 + len(v.others)) for v in views])
    return (sharp + sure + alone) / 3


def subject_luma(views_box: np.ndarray, sizes: np.ndarray, signature: np.ndarray) -> np.ndarray:
    """Mean luma inside boxes, read from the frames' small pictures.

    Parameters
    ----------
    views_box : np.ndarray, shape (n, 4)
        Pixels of the frames.
    sizes : np.ndarray, shape (n, 2)
        Width and height of the frames.
    signature : np.ndarray, shape (n, 1024)

    Returns
    -------
    np.ndarray, shape (n,), float64
        In [0, 1].
    """
    boxes = zip(views_box, sizes, signature, strict=True)
    found = [view_module.signature_in_box(s, tuple(b), tuple(z)).mean() / 255 for b, z, s in boxes]
    return np.array(found, float)


def _lookup(table: pl.DataFrame, key: str, column: str, wanted: Sequence[str]) -> np.ndarray:
    """Vectors of the wanted keys, rows of NaN where there is none."""
    known = table.drop_nulls(column).filter(pl.col(key).is_in(wanted))
    known = known.unique(key, keep="first", maintain_order=True)
    vector = np.array(known[column].to_list(), np.float32)
    vector = vector.reshape(known.height, -1) if known.height else np.empty((0, 0), np.float32)
    place = {k: i for i, k in enumerate(known[key])}
    found = np.full((len(wanted), vector.shape[1]), np.nan, np.float32)
    for row, name in enumerate(wanted):
        if name in place:
            found[row] = vector[place[name]]
    return found


def _project(vector: np.ndarray) -> np.ndarray:
    """Fewer dimensions, cosines about as they were (Johnson, Lindenstrauss 1984)."""
    if vector.shape[1] <= SCENE_WIDTH:
        return vector
    matrix = np.random.default_rng(0).standard_normal((vector.shape[1], SCENE_WIDTH))
    return vector @ (matrix / np.sqrt(SCENE_WIDTH)).astype(np.float32)


def _geometry(views: Sequence[CharacterView]) -> np.ndarray:
    """Where the subject stands, how large, how turned, its mouth; each spread to one scale."""
    rows = np.array(
        [
            (
                (v.box[0] + v.box[2]) / 2 / v.frame_size[0],
                (v.box[1] + v.box[3]) / 2 / v.frame_size[1],
                np.log(max(1.0, v.box[3] - v.box[1]) / v.frame_size[1]),
                np.nan if v.yaw is None else v.yaw,
                np.nan if v.mouth is None else v.mouth,
            )
            for v in views
        ],
        float,
    ).reshape(-1, 5)
    is_known = np.isfinite(rows)
    count = np.maximum(is_known.sum(axis=0), 1)
    mean = np.where(is_known, rows, 0).sum(axis=0) / count
    away = np.where(is_known, rows - mean, 0)
    return away / np.maximum(np.sqrt((away**2).sum(axis=0) / count), 1e-3)


def _looks(views: Sequence[CharacterView], measure: pl.DataFrame) -> np.ndarray:
    """The subject's small picture out of the frame's, without its mean and contrast."""
    wanted = {v.frame_id for v in views}
    known = measure.drop_nulls("signature").filter(pl.col("frame_id").is_in(wanted))
    signature = dict(zip(known["frame_id"], known["signature"].to_numpy(), strict=True))
    found = np.full((len(views), LOOK_PX**2), np.nan, np.float32)
    for row, view in enumerate(views):
        if view.frame_id in signature:
            x0, y0, x1, y1 = view.box
            air_x, air_y = AROUND * (x1 - x0), AROUND * (y1 - y0)
            box = (x0 - air_x, y0 - air_y, x1 + air_x, y1 + air_y)
            part = view_module.signature_in_box(signature[view.frame_id], box, view.frame_size)
            small = cv2.resize(part, (LOOK_PX, LOOK_PX), interpolation=cv2.INTER_AREA).astype(float)
            found[row] = ((small - small.mean()) / (small.std() + 1)).ravel()
    return found


def measure_subjects(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Read sharpness and light inside labelled boxes off the frames' stored measures.

    Parameters
    ----------
    tables : dict
        Tables label, frame and measure.

    Returns
    -------
    pl.DataFrame
        subject_id, sharpness (mean square of the Laplacian, grey levels squared), blur_score and
        luma in [0, 1]; subjects whose frame was not measured are left out.
    """
    columns = ("frame_id", "tile_sharpness", "signature", "contrast")
    size = ("width_px", "height_px")
    known = (
        tables["label"]
        .join(tables["frame"].drop_nulls(size).select("frame_id", *size), on="frame_id")
        .join(tables["measure"].select(columns).drop_nulls(), on="frame_id")
        .filter(
            pl.col("x0_px").clip(0) < pl.min_horizontal("x1_px", "width_px"),
            pl.col("y0_px").clip(0) < pl.min_horizontal("y1_px", "height_px"),
        )
        .sort("subject_id")
    )
    if known.is_empty():
        schema = {"subject_id": pl.String, **dict.fromkeys(MEASURED, pl.Float64)}
        return pl.DataFrame(schema=schema)
    boxes, sizes = known.select(BOX).to_numpy(), known.select(size).to_numpy()
    sharp = sharpness.sharpness_in_boxes(known["tile_sharpness"].to_numpy(), boxes, sizes)
    contrast = 255 * known["contrast"].to_numpy()
    score = [sharpness.blur_score(s, c) for s, c in zip(sharp, contrast, strict=True)]
    luma = subject_luma(boxes, sizes, known["signature"].to_numpy())
    columns = dict(zip(MEASURED, (sharp, np.array(score), luma), strict=True))
    return known.select("subject_id").with_columns(**columns).fill_nan(None)
