"""Rows of the tables `reference`, `face`, `region`, `figure` and `frame_medium`."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from bunny.character import appearance, reference, reference_measure
from bunny.character.drawn import figure_embedding, figure_search, medium
from bunny.character.drawn.region_search import RegionFinder
from bunny.character.drawn.window_search import RegionCandidate
from bunny.character.model_set import DetectionModels
from bunny.core.config import DetectionConfig
from bunny.quality import colour_cell, reason
from bunny.table import schema, store
from bunny.table.box import BOX

Read = Callable[[Mapping], np.ndarray | None]


def reference_rows(
    sources: Iterable[reference.ReferenceFile],
    wanted: DetectionConfig,
    models: DetectionModels,
    shots: pl.DataFrame,
) -> list[dict]:
    """Measure reference pictures; `shots` is table `shot_medium` of their film."""
    found = reference.measure(
        sources,
        models.detector,
        models.recogniser,
        min_score=wanted.min_face_score,
        judge=reference_measure.drawn_probability(wanted, models, shots),
    )
    is_drawn = wanted.is_drawn_enabled
    return [reference_row(one, models, is_drawn_enabled=is_drawn) for one in found]


def reference_row(
    found: reference.MeasuredReference, models: DetectionModels, *, is_drawn_enabled: bool
) -> dict:
    """Row of `reference`; a picture without a face is described whole, where figures are wanted."""
    is_region = found.error is None and found.face_embedding is None
    embedding = None
    if is_region and is_drawn_enabled:
        embedding = models.net.embed(reference.read_known_picture(found.source.path))
    return {
        "reference_id": found.source.reference_id,
        "character": found.source.character,
        "content_hash": found.content_hash,
        "route": "region" if is_region else "face",
        "drawn_probability": found.drawn_probability,
        "is_drawn": found.is_drawn,
        "num_faces": found.num_faces,
        "recogniser": models.recogniser_name if found.face_embedding is not None else None,
        "face_embedding": found.face_embedding,
        "picture_embedding": embedding,
        "error": found.error,
    }


def with_colours(frame: Mapping, image: np.ndarray | None) -> dict:
    """Row of `extra_frame` with its colour cells, as table `measure` has those of kept frames."""
    return {**frame, "colour_cells": None if image is None else colour_cell.measure_cells(image)}


def face_rows(frame: Mapping, image: np.ndarray | None, models: DetectionModels) -> list[dict]:
    """Rows of `face`: all of a picture, or one with an error where there is no picture.

    Parameters
    ----------
    frame : mapping
        Row of `frame` or `extra_frame`.
    image : np.ndarray, shape (height, width, 3), uint8, or None
        BGR.
    """
    common = {
        "frame_id": frame["frame_id"],
        "shot_index": frame["shot_index"],
        "detector": models.names()["detector"],
    }
    if image is None:
        error = f"could not read picture {frame['file']}"
        nowhere = dict.fromkeys(BOX, 0.0) | {"score": 0.0, "size_px": 0.0}
        return [{"face_id": f"{frame['frame_id']}-x", **common, **nowhere, "error": error}]
    return [
        {
            "face_id": f"{frame['frame_id']}-f{i:02d}",
            **common,
            **dict(zip(BOX, face.box.tolist(), strict=True)),
            "score": face.score,
            "landmark": face.landmark.ravel(),
            "yaw": face.yaw,
            "pitch": face.pitch,
            "mouth": face.mouth,
            "size_px": face.size_px,
            "sharpness": face.sharpness,
            "brightness": face.brightness,
            "clothes_lab": appearance.measure_clothes(image, face.box.tolist()),
            "beside_lab": appearance.measure_beside(image, face.box.tolist(), is_face=True),
            "recogniser": models.recogniser_name,
            "embedding": models.recogniser(image, face),
        }
        for i, face in enumerate(models.detector(image))
    ]


def drawn_face_rows(frame: Mapping, image: np.ndarray, models: DetectionModels) -> list[dict]:
    """Rows of `drawn_face`: faces of a drawn picture are found and never embedded."""
    return [
        {
            "face_id": f"{frame['frame_id']}-f{i:02d}",
            "frame_id": frame["frame_id"],
            "shot_index": frame["shot_index"],
            "detector": models.names()["detector"],
            **dict(zip(BOX, face.box.tolist(), strict=True)),
            "score": face.score,
            "size_px": face.size_px,
        }
        for i, face in enumerate(models.detector(image))
    ]


def region_rows(
    frame: Mapping,
    shape: tuple[int, ...],
    model: str,
    candidates: Iterable[RegionCandidate],
    licence: str | None = None,
) -> list[dict]:
    """Rows of `region`, boxes in pixels.

    Parameters
    ----------
    frame : mapping
        Row of `frame`.
    shape : tuple of int
        Height and width of its picture come first.
    model : str
        What found them.
    candidates : iterable of RegionCandidate
        Boxes in shares of the picture.
    licence : str, optional
        Of the model's weights.
    """
    height, width = shape[:2]
    scale = np.array([width, height, width, height], dtype=np.float32)
    return [
        {
            "region_id": f"{frame['frame_id']}-r{i:02d}",
            "frame_id": frame["frame_id"],
            "shot_index": frame["shot_index"],
            "candidate": one.character,
            **dict(zip(BOX, (one.box * scale).tolist(), strict=True)),
            "similarity": one.similarity,
            "margin": one.margin,
            "model": model,
            "licence": licence,
        }
        for i, one in enumerate(candidates)
    ]


def find_regions(frame: Mapping, image: np.ndarray | None, finder: RegionFinder) -> list[dict]:
    """Rows of `region` that a finder gives in a picture; none where there is no picture."""
    if image is None:
        return []
    rows = region_rows(frame, image.shape, finder.name, finder.find(image), finder.licence)
    return _with_beside(rows, image)


def stack(name: str, *parts: pl.DataFrame) -> pl.DataFrame:
    """Rows of a table one after the other; where a part is empty its vectors have no length."""
    vectors = [pl.col(c).cast(pl.List(pl.Float32)) for c in schema.VECTOR[name]]
    lists = [part.with_columns(vectors) for part in parts if part.height]
    return store.check(name, pl.concat(lists, how="diagonal_relaxed")) if lists else parts[0]


def note(labels: pl.DataFrame, known: pl.DataFrame, broken: pl.DataFrame) -> str:
    """One sentence for the user: who was found, which references were of no use.

    Parameters
    ----------
    labels, known : pl.DataFrame
        Tables `label` and `reference`.
    broken : pl.DataFrame
        Rows of `face` with an error.
    """
    words = []
    counts = (
        labels.drop_nulls("character")
        .group_by("character")
        .agg(pl.col("frame_id").n_unique().alias("n"))
        .sort("character")
    )
    if known.height:
        found = [f"{name} in {n} frames" for name, n in counts.iter_rows()]
        words.append("found " + (", ".join(found) or "no character recognised"))
    else:
        words.append("no reference pictures, so no character can be recognised")
    words += [
        f"{r['reference_id']}: {r['error']}" for r in known.iter_rows(named=True) if r["error"]
    ]
    if broken.height:
        words.append(f"{broken.height} frames could not be read")
    return "; ".join(words)


def figure_rows(
    frame: Mapping, image: np.ndarray | None, found: Iterable[figure_search.FoundFigure]
) -> list[dict]:
    """Rows of table `figure`, boxes in pixels."""
    if image is None:
        return []
    height, width = image.shape[:2]
    scale = np.array([width, height, width, height], dtype=np.float32)
    rows = [
        {
            "figure_id": f"{frame['frame_id']}-g{i:02d}",
            "frame_id": frame["frame_id"],
            "shot_index": frame["shot_index"],
            **dict(zip(BOX, (one.box * scale).tolist(), strict=True)),
            "objectness": min(1.0, max(0.0, one.objectness)),
            "embedding": one.vector,
            "source": "window",
            "candidate": one.candidate,
            "similarity": None if one.similarity is None else max(-1.0, min(1.0, one.similarity)),
            "margin": one.margin,
            "model": figure_embedding.NAME,
        }
        for i, one in enumerate(found)
    ]
    return _with_beside(rows, image)


def _with_beside(rows: Iterable[dict], image: np.ndarray) -> list[dict]:
    """Rows of figures with the colour of what is seen beside them."""
    return [
        {
            **row,
            "beside_lab": appearance.measure_beside(image, [row[s] for s in BOX], is_face=False),
        }
        for row in rows
    ]


def find_figures(
    frame: Mapping,
    image: np.ndarray | None,
    net: figure_embedding.FigureNet,
    cast: figure_search.FigureReferenceSet,
    scales: Sequence[int] = tuple(figure_search.WINDOWS),
) -> list[dict]:
    """Rows of `figure` that are found in a picture; none where there is no picture."""
    found = [] if image is None else figure_search.find(net, image, cast, scales)
    return figure_rows(frame, image, found)


def choose_medium_frames(frame: pl.DataFrame, table: Path) -> pl.DataFrame:
    """Take a few frames of each shot, none of them black, blank, a title card or credits.

    Parameters
    ----------
    frame : pl.DataFrame
        Rows of table `frame`.
    table : Path
        Folder with table `measure`; without it every frame counts as a picture.
    """
    measure = store.read_or_empty(table, "measure")
    kinds = measure.select("frame_id", reason.kind_expr().cast(pl.String))
    is_other = pl.col("kind").is_not_null() & (pl.col("kind") != "picture")
    shown = frame.join(kinds.filter(is_other), on="frame_id", how="anti")
    return medium.choose_frames(shown)


def medium_row(frame: Mapping, read: Read, models: DetectionModels) -> dict[str, list[dict]]:
    """Row of `frame_medium`."""
    image = read(frame)
    logit = None if image is None else models.drawn_logit(image)
    row = {"frame_id": frame["frame_id"], "shot_index": frame["shot_index"], "drawn_logit": logit}
    return {"frame_medium": [row]}


def medium_note(shots: pl.DataFrame, used: str = "") -> str:
    """Begin the stage's note with the shots that are drawn; empty where none is.

    Parameters
    ----------
    used : str
        Models that searched them besides the built-in one.
    """
    num = int(shots["is_drawn"].sum())
    if not num:
        return ""
    said = "drawn film" if num == shots.height else f"drawn: {num} of {shots.height} shots"
    return f"{said}, searched with {used}; " if used else f"{said}; "
