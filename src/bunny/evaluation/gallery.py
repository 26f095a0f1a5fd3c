"""Galleries of real pictures and the identity model that generated ones are compared by.

Eyes are chosen so that they did not help to build the set: for faces the recogniser that the
film's faces were *not* named with; for drawn characters `evaluation.figure_descriptor`, which
shares nothing with the network that found them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import polars as pl

from bunny.character.face import detect
from bunny.character.face import recogniser as face_recogniser
from bunny.core import image_file
from bunny.core.config import DetectionConfig
from bunny.core.reference_folder import PREFIX
from bunny.evaluation import figure_descriptor, identity
from bunny.evaluation.figure_descriptor import DescribedRegions, FigureDescriptor
from bunny.evaluation.identity import Gallery, IdentityScale
from bunny.evaluation.settings import EvaluationInput, EvaluatorSettings
from bunny.table.box import BOX

MAX_REAL = 24  # pictures of a character, spread over the film; of the run's of each side
MAX_BACKGROUND = 24  # frames that the film's windows are learned from; and that show nobody
MIN_BACKGROUND = 4  # frames without the character; with fewer, places beside it count too
MIN_CROP_PX = 24
MARGIN = 0.5  # of the longer side around somebody, as in training pictures
NO_SHOT = -1  # of pictures that the user gave

MAX_CROPS = 48
# Cosines of strangers, and from which two faces are one person by the recognisers' authors.
KNOWN = {
    "sface": (0.0, face_recogniser.SFACE_SAME),
    "dlib": (
        1 - (1 - face_recogniser.DLIB_SAME) / (1 - face_recogniser.SFACE_SAME),
        face_recogniser.DLIB_SAME,
    ),
}


@dataclass(frozen=True, kw_only=True)
class RealPicture:
    """A real picture: whom it shows, its shot and file, the picture and the subject in it (BGR)."""

    character: str
    shot: int
    file: str | None  # in the film's folder; None: given by the user
    picture: np.ndarray
    crop: np.ndarray | None


def shrink(picture: np.ndarray, side_px: int) -> np.ndarray:
    """Scale a picture down until its shorter side is `side_px`; smaller ones stay."""
    factor = side_px / min(picture.shape[:2])
    if factor >= 1:
        return picture
    size = (round(picture.shape[1] * factor), round(picture.shape[0] * factor))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def _of_character(
    root: Path, tables: Mapping[str, pl.DataFrame], character: str
) -> list[RealPicture]:
    """Pictures of the run's character; of held-out ones each subject's nearest is cut out too.

    Crops to compare with are of held-out shots and the user's references, never of what was trained
    on. What real pictures reach against them is measured with pictures of all other shots: few
    films hold out enough shots to compare these with each other. On the sample film, where three
    shots of two set-ups are held out, references raise the share of real pictures that are
    recognised from 0.76 to 0.95.
    """
    rows = tables["dataset"].filter(
        pl.col("character") == character,
        pl.col("role").cast(pl.String).fill_null("subject") == "subject",
    )
    box = tables["candidate"].filter(pl.col("character") == character)
    box = box.select("subject_id", **{f"in_{c}": c for c in BOX}).unique("subject_id")
    rows = rows.join(box, on="subject_id", how="left", maintain_order="left").sort("image_id")
    area = (pl.col("x1_px") - pl.col("x0_px")) * (pl.col("y1_px") - pl.col("y0_px"))
    is_out = pl.col("split").cast(pl.String) == "held-out"
    rows = rows.with_columns(
        is_out=is_out, is_crop=is_out & (area == area.min().over("subject_id"))
    )
    kept = [
        row
        for side in (True, False)
        for row in spread(rows.filter(pl.col("is_out") == side).to_dicts(), MAX_REAL)
    ]
    found = [_of_set(root, row) for row in kept]
    return [real for real in found if real is not None]


def of_references(
    folder: Path | None, tables: Mapping[str, pl.DataFrame], character: str
) -> list[RealPicture]:
    """The user's pictures of a character; those cut out of the film may be trained on, so not."""
    rows = tables["reference"].filter(pl.col("character") == character, pl.col("error").is_null())
    found = []
    for name in rows["reference_id"].sort() if folder is not None else []:
        picture = image_file.read(folder / name)
        if picture is None or PREFIX in name or min(picture.shape[:2]) < MIN_CROP_PX:
            continue
        whole = figure_descriptor.square_crop(picture, (0, 0, picture.shape[1], picture.shape[0]))
        found.append(
            RealPicture(character=character, shot=NO_SHOT, file=None, picture=picture, crop=whole)
        )
    return found


def _of_set(root: Path, row: dict) -> RealPicture | None:
    """A picture of the set with its subject cut out."""
    picture = image_file.read(root / row["file"])
    if picture is None:
        return None
    crop = None
    if row["is_crop"]:
        crop = picture
        if row["in_x0_px"] is not None:
            factor = row["width_px"] / max(row["x1_px"] - row["x0_px"], 1e-6)
            start = (row["x0_px"], row["y0_px"]) * 2
            box = [(row[f"in_{c}"] - s) * factor for c, s in zip(BOX, start, strict=True)]
            crop = figure_descriptor.square_crop(picture, box)
    is_big = crop is not None and min(crop.shape[:2]) >= MIN_CROP_PX
    return RealPicture(
        character=row["character"],
        shot=row["shot_index"],
        file=row["file"],
        picture=picture,
        crop=crop if is_big else None,
    )


def of_others(
    root: Path, tables: Mapping[str, pl.DataFrame], character: str, min_confidence: float
) -> list[RealPicture]:
    """Pictures of the film's other characters, of labels that are at least so sure."""
    rows = (
        tables["label"]
        .filter(
            pl.col("character") != character, pl.col("confidence").fill_null(1.0) >= min_confidence
        )
        .join(tables["frame"].select("frame_id", "file"), on="frame_id", maintain_order="left")
        .drop_nulls("file")
        .sort("character", "subject_id")
    )
    found = []
    for part in rows.partition_by("character", maintain_order=True):
        for row in spread(part.to_dicts(), MAX_REAL):
            picture = image_file.read(root / row["file"])
            box = [row[c] for c in BOX]
            if picture is None or min(box[2] - box[0], box[3] - box[1]) < MIN_CROP_PX:
                continue
            found.append(
                RealPicture(
                    character=row["character"],
                    shot=row["shot_index"],
                    file=row["file"],
                    picture=figure_descriptor.square_crop(picture, box, MARGIN),
                    crop=figure_descriptor.square_crop(picture, box),
                )
            )
    return found


def background_squares(
    root: Path, tables: Mapping[str, pl.DataFrame], character: str
) -> list[np.ndarray]:
    """Squares of frames without the character: of shots in which it is never seen, or beside it."""
    label = tables["label"].filter(pl.col("character") == character)
    frame = tables["frame"].drop_nulls("file").sort("frame_index")
    away = frame.filter(~pl.col("shot_index").is_in(label["shot_index"].unique().to_list()))
    files = spread(away["file"].to_list(), MAX_BACKGROUND)
    found = [image_file.read(root / f) for f in files]
    squares = [
        figure_descriptor.square_crop(p, (0, 0, p.shape[1], p.shape[0]))
        for p in found
        if p is not None
    ]
    if len(squares) >= MIN_BACKGROUND:
        return squares
    seen = frame.join(label.select("frame_id", *BOX), on="frame_id", maintain_order="left")
    for row in spread(seen.unique("frame_id", maintain_order=True).to_dicts(), MAX_BACKGROUND):
        picture = image_file.read(root / row["file"])
        if picture is not None and (rest := _square_beside(picture, row)) is not None:
            squares.append(rest)
    return squares


def _square_beside(picture: np.ndarray, row: dict) -> np.ndarray | None:
    """The square at the wider side of a box; None where there is no room."""
    left, right = max(0, int(row["x0_px"])), min(picture.shape[1], int(row["x1_px"]) + 1)
    strips = (picture[:, :left], picture[:, right:])
    strip = max(strips, key=lambda part: part.shape[1])
    if strip.shape[1] < MIN_CROP_PX:
        return None
    return figure_descriptor.square_crop(strip, (0, 0, strip.shape[1], strip.shape[0]))


def spread(items: Sequence, most: int) -> list:
    """At most so many items, evenly over the sequence."""
    if len(items) <= most:
        return list(items)
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]


@dataclass(frozen=True, kw_only=True)
class IdentityModel:
    """Descriptors of one run's pictures, and their values on real pictures."""

    name: str
    shape: FigureDescriptor
    look: Callable[[np.ndarray], DescribedRegions]
    is_face: bool
    galleries: dict[str, Gallery]
    scales: dict[str, IdentityScale]
    real: list[tuple[RealPicture, DescribedRegions]]


def load_identity_model(
    given: EvaluationInput, character: str, side_px: int, settings: EvaluatorSettings
) -> IdentityModel:
    """Look at the film's real pictures as drawings of a run will be looked at.

    Parameters
    ----------
    character : str
        The run's.
    side_px : int
        Of the drawings; real pictures are shrunk to it, so that sharpness tells nothing.
    """
    root, tables = given.film_dir, given.tables
    frames = tables["frame"].sort("frame_index")["file"].drop_nulls().to_list()
    film = [
        p for f in spread(frames, MAX_BACKGROUND) if (p := image_file.read(root / f)) is not None
    ]
    own = _of_character(root, tables, character)
    own += of_references(given.reference_dir, tables, character)
    fitted = figure_descriptor.fit([shrink(p, side_px) for p in film] or [r.picture for r in own])
    is_face = uses_face(tables["reference"], character, settings.evaluation.identity)
    name, look = (
        load_face_describer(tables["reference"], settings.detection)
        if is_face
        else (figure_descriptor.NAME, fitted.look)
    )
    real = list(own)
    if settings.evaluation.has_other_characters:
        real += of_others(root, tables, character, settings.min_confidence)
    nobody = background_squares(root, tables, character)
    seen = [(r, look(shrink(r.picture, side_px))) for r in real]
    strangers = [look(shrink(p, side_px)) for p in nobody]
    fallback = KNOWN[name.split()[0]] if is_face else None
    galleries, scales = _scales(seen, strangers, fitted, look, fallback, side_px)
    return IdentityModel(
        name=name,
        shape=fitted,
        look=look,
        is_face=is_face,
        galleries=galleries,
        scales=scales,
        real=seen,
    )


def with_mirrored(
    pictures: Sequence[np.ndarray],
) -> tuple[Sequence[np.ndarray], Sequence[np.ndarray]]:
    """Pictures as they are, and mirrored."""
    return pictures, [np.ascontiguousarray(p[:, ::-1]) for p in pictures]


def _scales(seen, strangers, fitted: FigureDescriptor, look, fallback, side_px: int):
    """Gallery and scale of each character that has real pictures to compare.

    `fallback` is what authors say of a face recogniser; None for drawn characters.
    """
    galleries, scales = {}, {}
    for name in dict.fromkeys(r.character for r, _ in seen):
        mine = [r for r, _ in seen if r.character == name]
        gallery = _gallery(mine, fitted, look, fallback is not None, side_px)
        own = [(r.shot, s) for r, s in seen if r.character == name]
        others = [s for r, s in seen if r.character != name] + strangers
        scale = identity.make_scale(own, others, gallery, fallback)
        if scale is not None:
            galleries[name], scales[name] = gallery, scale
    return galleries, scales


def _gallery(
    real: Sequence[RealPicture], fitted: FigureDescriptor, look, is_face: bool, side_px: int
) -> Gallery:
    """Vectors of a character's crops; drawn ones mirrored too."""
    cut = spread([r for r in real if r.crop is not None], MAX_CROPS)
    shots = np.array([r.shot for r in cut], np.int64)
    if not is_face:
        crops = [shrink(r.crop, side_px) for r in cut]
        vector = np.concatenate([fitted.describe(view) for view in with_mirrored(crops)])
        return Gallery(vector=vector, shot=np.concatenate([shots, shots]))
    found = [_middle_face(look(r.crop)) for r in cut]
    is_seen = np.array([v is not None for v in found], bool)
    vectors = [v for v in found if v is not None]
    vector = np.stack(vectors) if vectors else np.empty((0, 1), np.float32)
    return Gallery(vector=vector, shot=shots[is_seen])


def _middle_face(seen: DescribedRegions) -> np.ndarray | None:
    """The face nearest to the middle of a crop."""
    if not len(seen.vector):
        return None
    middle = (seen.box[:, :2] + seen.box[:, 2:]) / 2 - 0.5
    return seen.vector[int(np.hypot(*middle.T).argmin())]


def uses_face(reference: pl.DataFrame, character: str, wanted: str) -> bool:
    """Tell whether a character is recognised by its face.

    Parameters
    ----------
    reference : pl.DataFrame
        The table.
    wanted : str
        ``face`` or ``picture``; ``auto``: as most of the character's references were measured.
    """
    if wanted != "auto":
        return wanted == "face"
    routes = reference.filter(pl.col("character") == character)["route"].cast(pl.String)
    return bool(routes.len()) and (routes == "face").sum() * 2 > routes.len()


def load_face_describer(
    reference: pl.DataFrame, settings: DetectionConfig
) -> tuple[str, Callable[[np.ndarray], DescribedRegions]]:
    """Load the recogniser that the film's faces were not named with, behind the film's detector.

    Parameters
    ----------
    reference : pl.DataFrame
        The table; it records the recogniser that named the faces.

    Returns
    -------
    str
        Names of recogniser and detector.
    callable
        Describes the faces of a BGR picture.
    """
    known = reference["recogniser"].drop_nulls()
    used = (
        known[0]
        if known.len()
        else face_recogniser.choose_recogniser(settings.recogniser, settings.face_detection_model)
    )
    name = "dlib" if used == "sface" else "sface"
    find = detect.load_detector(settings.face_detection_model, has_small_faces=False)
    recogniser = face_recogniser.load_recogniser(name)

    def look(picture: np.ndarray) -> DescribedRegions:
        faces = [f for f in find(picture) if f.score >= settings.min_face_score]
        if not faces:
            return DescribedRegions(
                vector=np.empty((0, 1), np.float32), box=np.empty((0, 4), np.float32)
            )
        height, width = picture.shape[:2]
        vector = np.stack([recogniser(picture, face) for face in faces])
        box = np.stack([f.box for f in faces]) / (width, height, width, height)
        return DescribedRegions(vector=vector, box=box)

    return f"{name} behind {settings.face_detection_model}", look
