"""Measurements of reference pictures that `reference_check` judges."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import polars as pl

from bunny.character import detection_row, reference, reference_check
from bunny.character.drawn import figure_embedding, medium
from bunny.character.drawn.figure_embedding import FigureNet
from bunny.character.model_set import DetectionModels
from bunny.core.config import DetectionConfig
from bunny.quality import text
from bunny.table import store
from bunny.table.box import BOX

# Widths over heights of a picture's pieces of text, together, from which it is worth a warning: of
# 1,644 drawings by people without words 5 have so much by chance (34 have some), and of lines
# written on them 46 % (66 % have some).
TEXT_ASPECT = 5.0
NO_MEAN = np.zeros(figure_embedding.RAW, np.float32)


@dataclass(frozen=True, kw_only=True)
class FilmFigures:
    """A film beside which references are judged: its tables, and what its windows share."""

    shot_medium: pl.DataFrame
    figure: pl.DataFrame
    label: pl.DataFrame  # as corrected, if it was
    mean_window: Callable[[FigureNet], np.ndarray]  # (RAW,); costly, asked for drawn ones only


def judge_files(
    sources: Sequence[reference.ReferenceFile],
    wanted: DetectionConfig,
    models: DetectionModels,
    film: FilmFigures | None = None,
) -> list[reference_check.JudgedReference]:
    """Measure the pictures of a reference folder and judge each.

    Parameters
    ----------
    film : FilmFigures, optional
        What all its windows share is taken off, and its own figures count as impostors too.
    """
    shots = store.from_rows("shot_medium", []) if film is None else film.shot_medium
    measured = reference.measure(
        sources,
        models.detector,
        models.recogniser,
        min_score=wanted.min_face_score,
        judge=drawn_probability(wanted, models, shots),
    )
    rows = [detection_row.reference_row(one, models, is_drawn_enabled=False) for one in measured]
    known = store.from_rows("reference", rows)
    used = drawn_references(known)
    name = models.recogniser_name
    if not used:
        return judge(make_pictures(sources, known, {}, None), None, wanted, name)
    net = models.figure_net
    drawn = [source for source in sources if source.reference_id in used]
    mean = NO_MEAN if film is None else film.mean_window(net)
    impostor = None if film is None else film_impostors(film.figure, film.label)
    pictures = make_pictures(sources, known, describe_drawn(drawn, net), net, mean)
    return judge(pictures, net, wanted, name, mean, impostor)


def drawn_probability(
    wanted: DetectionConfig, models: DetectionModels, shots: pl.DataFrame
) -> Callable:
    """Estimator of the probability that a reference picture is drawn: fixed or measured.

    Parameters
    ----------
    shots : pl.DataFrame
        Table `shot_medium`; empty where there is no film.
    """
    if wanted.medium != "auto":
        return lambda image: float(wanted.medium == "drawn")
    return lambda image: medium.reference_probability(models.drawn_logit(image), shots)


def make_pictures(
    sources: Iterable[reference.ReferenceFile],
    known: pl.DataFrame,
    described: Mapping[str, np.ndarray],
    net: FigureNet | None,
    mean: np.ndarray = NO_MEAN,
) -> list[reference_check.ReferencePicture]:
    """Measure reference pictures.

    Parameters
    ----------
    known : pl.DataFrame
        Table `reference` of them.
    described : mapping of reference id to np.ndarray, shape (6, RAW)
        From `FigureNet.describe_reference`; those that are not in it are compared by their faces.
    net : FigureNet or None
        None where `described` is empty.
    mean : np.ndarray, shape (RAW,)
        Mean window of the film; zeros where there is none.
    """
    row = {one["reference_id"]: one for one in known.iter_rows(named=True)}
    return [
        _measure(source, row[source.reference_id], described.get(source.reference_id), net, mean)
        for source in sources
    ]


def judge(
    pictures: list[reference_check.ReferencePicture],
    net: FigureNet | None,
    wanted: DetectionConfig,
    recogniser: str,
    mean: np.ndarray = NO_MEAN,
    impostor: Mapping[str, np.ndarray] | None = None,
) -> list[reference_check.JudgedReference]:
    """Judge pictures of `make_pictures` by the settings; `mean` as there."""
    bank = np.empty((0, figure_embedding.UNIT), np.float32)
    if net is not None:
        bank = net.to_vector(figure_embedding.read_bank(), mean)
    return reference_check.judge(
        pictures,
        bank,
        level=wanted.figure_score,
        face_level=wanted.similarity_threshold,
        recogniser=recogniser,
        impostor=impostor,
    )


def film_impostors(figure: pl.DataFrame, labels: pl.DataFrame) -> dict[str, np.ndarray]:
    """Figures of a film that are surely not a character, by character.

    They lie in frames in which the character has its name, wholly beside it: nobody is in a
    picture twice.

    Parameters
    ----------
    figure, labels : pl.DataFrame
        Tables `figure` and `label`.

    Returns
    -------
    dict of str to np.ndarray, shape (n, UNIT)
        Of each character that has one.
    """
    if not figure.height:
        return {}
    named = labels.drop_nulls("character").select("frame_id", "character", *BOX)
    both = figure.with_row_index("row").join(named, on="frame_id", suffix="_named")
    is_beside = pl.any_horizontal(
        pl.col(f"{side}0_px") >= pl.col(f"{side}1_px_named") for side in "xy"
    ) | pl.any_horizontal(pl.col(f"{side}1_px") <= pl.col(f"{side}0_px_named") for side in "xy")
    strangers = (
        both.group_by("row", "character")
        .agg(is_beside.all().alias("is_stranger"))
        .filter("is_stranger")
        .sort("row")
    )
    vector = np.stack(list(figure["embedding"].to_numpy()))
    return {
        name: vector[rows["row"].to_numpy()]
        for (name,), rows in strangers.partition_by("character", as_dict=True).items()
    }


def _measure(
    source: reference.ReferenceFile,
    row: Mapping,
    raw: np.ndarray | None,
    net: FigureNet | None,
    mean: np.ndarray,
) -> reference_check.ReferencePicture:
    """One picture, opened once more: its size, its text and how a drawing fills it."""
    common = {
        "reference_id": source.reference_id,
        "character": source.character,
        "medium": "drawn" if row["is_drawn"] else "photographed",
        "error": row["error"],
    }
    image = reference.read_picture(source.path)
    if image is None or row["error"] is not None:
        size_px = 0 if image is None else min(image.shape[:2])
        return reference_check.ReferencePicture(**common, size_px=size_px, vector=None)
    has_two, cut, vector = False, (), None
    if raw is not None and net is not None:
        cells = net.map_whole(image, reference_check.MAP_LONG_PX)
        amount = reference_check.amount_of_figure(cells)
        has_two = reference_check.has_two_figures(amount)
        cut, vector = reference_check.cut_sides(amount), net.to_vector(raw, mean)
    elif row["face_embedding"] is not None:
        vector = np.asarray(row["face_embedding"], np.float32)[None]
    return reference_check.ReferencePicture(
        **common,
        size_px=min(image.shape[:2]),
        vector=vector,
        has_two=has_two,
        cut=cut,
        text=_find_text(image),
    )


def _find_text(image: np.ndarray) -> Literal["subtitle", "text"] | None:
    """Whether there is a line of words on a picture, and whether it lies as subtitles do."""
    height, width = image.shape[:2]
    boxes = text.find_text(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))
    x0, y0, x1, y1 = boxes.T
    if ((x1 - x0) / (y1 - y0)).sum() < TEXT_ASPECT:
        return None
    return "subtitle" if text.is_subtitle(boxes, (width, height)).any() else "text"


def drawn_references(known: pl.DataFrame) -> set[str]:
    """Ids of the usable reference pictures that are drawn."""
    return set(known.filter(pl.col("error").is_null(), "is_drawn")["reference_id"].to_list())


def describe_drawn(
    sources: Iterable[reference.ReferenceFile], net: FigureNet
) -> dict[str, np.ndarray]:
    """Reference pictures by their ids, (6, RAW) each."""
    return {
        source.reference_id: net.describe_reference(reference.read_known_picture(source.path))
        for source in sources
    }


def group_by_character(
    sources: Iterable[reference.ReferenceFile], described: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Views of each character, (m, RAW), from `describe_drawn`."""
    found: dict[str, list[np.ndarray]] = {}
    for source in sources:
        if source.reference_id in described:
            found.setdefault(source.character, []).append(described[source.reference_id])
    return {name: figure_embedding.stack_views(views) for name, views in found.items()}
