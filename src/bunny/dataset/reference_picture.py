"""Reference pictures cropped from a film: best views of an unknown person or figure.

A view serves when nobody else is on it. Of those the large, sharp and sure ones are taken, of
different shots and unlike each other, with little around them: what surrounds a figure would be
taken for a part of it.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import polars as pl

from bunny.character import reference, subject, track
from bunny.character.drawn import figure_cluster
from bunny.character.drawn.figure_cluster import COVERED
from bunny.character.face import detect
from bunny.character.face import recogniser as face_recogniser
from bunny.core import atomic, image_file, reference_folder, safe_path
from bunny.core.config import DetectionConfig
from bunny.core.error import UserError
from bunny.dataset.appearance import measure_subjects
from bunny.table.box import BOX, crop_box

logger = logging.getLogger(__name__)

FIGURE_MARGIN = 0.05  # around a figure, in shares of its larger side
HEAD_OVERLAP = 0.7  # share of a head that lies in the body that it belongs to
DEFAULT_BLUR_SCORE = 0.5  # blur score of a view whose frame was not measured
MAX_TRIES = 15  # views that are opened to find `subject.MAX_VIEWS` good ones

FACE_MARGIN = 0.6  # around a face in a reference picture, in shares of its larger side
MIN_PX = 160  # shorter side; smaller crops are enlarged, as recognisers do anyway
MAX_FACE_TRIES = 15  # views that are looked at to find `subject.MAX_VIEWS` good ones


TABLES = ("face", "figure", "frame", "measure", "cluster", "label")


@dataclass(frozen=True, kw_only=True)
class ViewSource:
    """A film's folder and the tables that views are cut by."""

    root: Path
    film_id: str
    tables: Mapping[str, pl.DataFrame]  # those of `TABLES`, as corrected


def _cut_figures(source: ViewSource, views: pl.DataFrame) -> list[tuple[str, np.ndarray]]:
    """Cut the best views of a figure."""
    figure = source.tables["figure"]
    shown = views.drop_nulls("file").join(
        figure.select("embedding", subject_id="figure_id"), on="subject_id", maintain_order="left"
    )
    if shown.is_empty():
        return []
    shown = _weigh_sharpness(source, shown)
    others = _find_others(source, figure, shown)
    found: list[tuple[str, np.ndarray]] = []
    for i in subject.choose_views(shown, MAX_TRIES, track.embedding_array(shown)):
        row = shown.row(i, named=True)
        image = image_file.read(safe_path.join(source.root, row["file"]))
        picture = (
            None if image is None else _cut_figure(image, row, others.get(row["subject_id"], []))
        )
        if picture is not None:
            found.append((row["subject_id"], picture))
        if len(found) == subject.MAX_VIEWS:
            break
    return found


def _weigh_sharpness(source: ViewSource, shown: pl.DataFrame) -> pl.DataFrame:
    """`shown` with `view` lowered where the box is blurred, by the frames' stored measures."""
    score = measure_subjects({**source.tables, "label": shown}).select("subject_id", "blur_score")
    sharp = pl.col("blur_score").fill_null(DEFAULT_BLUR_SCORE)
    return shown.join(score, on="subject_id", how="left", maintain_order="left").with_columns(
        view=pl.col("view") * sharp
    )


def _find_others(
    source: ViewSource, figure: pl.DataFrame, shown: pl.DataFrame
) -> dict[str, list[Sequence[float]]]:
    """Boxes of whoever else is in the frame of each view, by its figure_id.

    A figure of the same group is the same one seen otherwise; so are its head beside all of it, and
    a figure of no group that covers it. Named characters and all other figures are somebody else.
    """
    cluster = source.tables["cluster"].filter(pl.col("level") == "unknown")
    label = source.tables["label"].drop_nulls("character")
    group = cluster.select(figure_id="item_id", group="cluster_id")
    drawn = figure.join(group, on="figure_id", how="left").select("frame_id", *BOX, "group", "kind")
    kind = pl.lit(None, drawn.schema["kind"]).alias("kind")
    named = label.select("frame_id", *BOX, kind, group="character").select(drawn.columns)
    own = shown.join(figure.select("kind", subject_id="figure_id"), on="subject_id")
    own = own.select("subject_id", "frame_id", "name", "kind", *BOX)
    is_part = (pl.col("kind") != pl.col("kind_other")) & (
        figure_cluster.covered_share() >= HEAD_OVERLAP
    )
    both = own.join(pl.concat([drawn, named]), on="frame_id", suffix="_other").filter(
        pl.col("group").ne_missing(pl.col("name")),
        pl.col("group").is_not_null() | (figure_cluster.covered_share() < COVERED),
        ~is_part.fill_null(False),
    )
    found: dict[str, list[Sequence[float]]] = {}
    for subject_id, *box in both.select("subject_id", *(f"{c}_other" for c in BOX)).iter_rows():
        found.setdefault(subject_id, []).append(box)
    return found


def _cut_figure(image: np.ndarray, row: dict, others: list[Sequence[float]]) -> np.ndarray | None:
    """One figure with little around it; None when somebody else is inside its box."""
    box = subject.crop_alone([row[c] for c in BOX], others, image.shape[1::-1], FIGURE_MARGIN)
    if box is None:
        return None
    return crop_box(image, box)


def write_faces(
    source: ViewSource,
    wanted: DetectionConfig,
    name: str,
    faces: pl.DataFrame,
    into: Path | None = None,
) -> list[Path]:
    """Cut, check and write the best views of a person.

    Parameters
    ----------
    name : str
        Of the character that they become references of.
    faces : pl.DataFrame
        Rows of `subject.subjects`.
    into : Path, optional
        Where they are written; None: `named/<name>` of the film.

    Returns
    -------
    list of Path
        The pictures, the best first.

    Raises
    ------
    UserError
        If no picture shows only this person's face.
    """
    shown = faces.filter(pl.col("subject_type") == "face").drop_nulls("file")
    face = source.tables["face"]
    with TemporaryDirectory() as folder:
        sources = []
        for row in shown[subject.choose_views(shown, MAX_FACE_TRIES)].iter_rows(named=True):
            picture = _cut_face(source, row, face)
            if picture is not None:
                path = Path(folder) / file_name(source.film_id, row["subject_id"])
                path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
                sources.append(
                    reference.ReferenceFile(
                        reference_id=row["subject_id"], character=name, path=path
                    )
                )
        good = _usable_views(sources, face, wanted)[: subject.MAX_VIEWS] if sources else []
        if not good:
            raise UserError(
                f"--name …={name}: expected a picture that shows only this person's face, none of "
                f"{shown.height} does; provide your own reference pictures"
            )
        target = into or source.root / reference_folder.NAMED / name
        for one in good:
            atomic.write_bytes(target / one.path.name, one.path.read_bytes())
    return [target / one.path.name for one in good]


def write_figures(
    source: ViewSource,
    _wanted: DetectionConfig,
    name: str,
    figures: pl.DataFrame,
    into: Path | None = None,
) -> list[Path]:
    """Cut and write the best views of a drawn figure; as `write_faces`."""
    good = _cut_figures(source, figures)
    if not good:
        raise UserError(
            f"--name …={name}: expected a picture that shows only this figure, none of "
            f"{figures.height} does; provide your own reference pictures"
        )
    target = into or source.root / reference_folder.NAMED / name
    paths = [target / file_name(source.film_id, subject_id) for subject_id, _ in good]
    for path, (_, picture) in zip(paths, good, strict=True):
        atomic.write_bytes(path, cv2.imencode(".png", _enlarge(picture))[1].tobytes())
    return paths


def _usable_views(
    sources: list[reference.ReferenceFile], face: pl.DataFrame, wanted: DetectionConfig
) -> list[reference.ReferenceFile]:
    """Those in which the detector finds one face, and the recogniser the same person."""
    recogniser = face_recogniser.choose_recogniser(wanted.recogniser, wanted.face_detection_model)
    vectors = face.filter(pl.col("recogniser") == recogniser).select("face_id", "embedding")
    stored = dict(vectors.iter_rows())
    measured = reference.measure(
        sources,
        detect.load_detector(wanted.face_detection_model, has_small_faces=wanted.has_small_faces),
        face_recogniser.load_recogniser(recogniser),
        min_score=wanted.min_face_score,
    )
    good = []
    for found in measured:
        vector = stored.get(found.source.reference_id)
        if found.error is not None or found.face_embedding is None:
            logger.debug("%s: %s", found.source.path.name, found.error or "no face")
        elif vector is None or (
            _is_same_person(found.face_embedding, vector, recogniser) >= wanted.similarity_threshold
        ):
            good.append(found.source)
    return good


def _is_same_person(one: np.ndarray, other: Sequence[float], recogniser: str) -> float:
    return float(face_recogniser.to_similarity(one @ np.asarray(other, np.float32), recogniser))


def _cut_face(source: ViewSource, row: Mapping, face: pl.DataFrame) -> np.ndarray | None:
    """One face with its surroundings and nobody else's, BGR; None when that cannot be had."""
    image = image_file.read(safe_path.join(source.root, row["file"]))
    if image is None:
        return None
    is_other = (pl.col("frame_id") == row["frame_id"]) & (pl.col("face_id") != row["subject_id"])
    others = face.filter(is_other).select(BOX).rows()
    box = subject.crop_alone([row[c] for c in BOX], others, image.shape[1::-1], FACE_MARGIN)
    if box is None:
        return None
    return _enlarge(crop_box(image, box))


def _enlarge(picture: np.ndarray) -> np.ndarray:
    """A picture whose shorter side has `MIN_PX` at least."""
    factor = MIN_PX / min(picture.shape[:2])
    if factor <= 1:
        return picture
    return cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)


def file_name(film_id: str, subject_id: str) -> str:
    """Name of a view; it tells which face it is, so that nobody is named twice."""
    return f"{reference_folder.PREFIX}{subject_id.removeprefix(film_id + '-')}.png"
