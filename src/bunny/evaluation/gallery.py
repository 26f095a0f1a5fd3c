"""What the stage evaluate compares drawings with: real pictures of the film, and eyes to see by.

Eyes are chosen so that they did not help to build the set: for faces the recogniser that the
film's faces were *not* named with; for drawn characters `evaluation.figure_descriptor`, which shares
nothing with the network that found them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from bunny.character.face import detect
from bunny.character.face import recogniser as face_recogniser
from bunny.core import image_file
from bunny.core.config import Config
from bunny.evaluation import figure_descriptor, identity, real_picture
from bunny.evaluation.figure_descriptor import Seen, Shape
from bunny.evaluation.identity import Gallery, Scale
from bunny.evaluation.real_picture import Real

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
class Eyes:
    """How pictures of one run are seen, and what real ones look like."""

    name: str
    shape: Shape
    look: Callable[[np.ndarray], Seen]
    is_face: bool
    galleries: dict[str, Gallery]
    scales: dict[str, Scale]
    real: list[tuple[Real, Seen]]


def open_eyes(
    root: Path,
    tables: dict[str, pl.DataFrame],
    references: Path | None,
    character: str,
    config: Config,
    side_px: int,
) -> Eyes:
    """Look at the film's real pictures as drawings of a run will be looked at.

    Parameters
    ----------
    root : Path
        The film's folder.
    tables : dict
        frame, label, candidate, dataset, reference.
    references : Path or None
        Folder of the user's pictures.
    character : str
        The run's.
    config : Config
    side_px : int
        Of the drawings; real pictures are shrunk to it, so that sharpness tells nothing.
    """
    frames = tables["frame"].sort("frame_index")["file"].drop_nulls().to_list()
    film = [
        p
        for f in real_picture.spread(frames, real_picture.MAX_BACKGROUND)
        if (p := image_file.read(root / f)) is not None
    ]
    own = real_picture.of_character(root, tables, character) + real_picture.of_references(
        references, tables, character
    )
    fitted = figure_descriptor.fit(
        [real_picture.shrink(p, side_px) for p in film] or [r.picture for r in own]
    )
    is_face = _is_face(tables["reference"], character, config.evaluation.identity)
    name, look = (
        _face_look(tables["reference"], config)
        if is_face
        else (figure_descriptor.NAME, fitted.look)
    )
    real = own + real_picture.of_others(root, tables, character, config)
    nobody = real_picture.without(root, tables, character)
    seen = [(r, look(real_picture.shrink(r.picture, side_px))) for r in real]
    strangers = [look(real_picture.shrink(p, side_px)) for p in nobody]
    fallback = KNOWN[name.split()[0]] if is_face else None
    galleries, scales = _scales(seen, strangers, fitted, look, fallback, side_px)
    return Eyes(
        name=name,
        shape=fitted,
        look=look,
        is_face=is_face,
        galleries=galleries,
        scales=scales,
        real=seen,
    )


def both_ways(pictures: Sequence[np.ndarray]) -> tuple[Sequence[np.ndarray], Sequence[np.ndarray]]:
    """Pictures as they are, and mirrored."""
    return pictures, [np.ascontiguousarray(p[:, ::-1]) for p in pictures]


def _scales(seen, strangers, fitted: Shape, look, fallback, side_px: int):
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


def _gallery(real: Sequence[Real], fitted: Shape, look, is_face: bool, side_px: int) -> Gallery:
    """Vectors of a character's crops; drawn ones mirrored too."""
    cut = real_picture.spread([r for r in real if r.crop is not None], MAX_CROPS)
    shots = np.array([r.shot for r in cut], np.int64)
    if not is_face:
        crops = [real_picture.shrink(r.crop, side_px) for r in cut]
        vector = np.concatenate([fitted.describe(view) for view in both_ways(crops)])
        return Gallery(vector=vector, shot=np.concatenate([shots, shots]))
    found = [_middle(look(r.crop)) for r in cut]
    is_seen = np.array([v is not None for v in found], bool)
    vectors = [v for v in found if v is not None]
    vector = np.stack(vectors) if vectors else np.empty((0, 1), np.float32)
    return Gallery(vector=vector, shot=shots[is_seen])


def _middle(seen: Seen) -> np.ndarray | None:
    """The face nearest to the middle of a crop."""
    if not len(seen.vector):
        return None
    middle = (seen.box[:, :2] + seen.box[:, 2:]) / 2 - 0.5
    return seen.vector[int(np.hypot(*middle.T).argmin())]


def _is_face(reference: pl.DataFrame, character: str, wanted: str) -> bool:
    """Whether a character is told by its face."""
    if wanted != "auto":
        return wanted == "face"
    routes = reference.filter(pl.col("character") == character)["route"].cast(pl.String)
    return bool(routes.len()) and (routes == "face").sum() * 2 > routes.len()


def _face_look(reference: pl.DataFrame, config: Config) -> tuple[str, Callable]:
    """The recogniser that the film's faces were not named with, behind its detector."""
    settings = config.detection
    known = reference["recogniser"].drop_nulls()
    used = (
        known[0]
        if known.len()
        else face_recogniser.choose_recogniser(settings.recogniser, settings.face_detection_model)
    )
    name = "dlib" if used == "sface" else "sface"
    find = detect.load_detector(settings.face_detection_model, has_small_faces=False)
    recogniser = face_recogniser.load_recogniser(name)

    def look(picture: np.ndarray) -> Seen:
        faces = [f for f in find(picture) if f.score >= settings.min_face_score]
        if not faces:
            return Seen(vector=np.empty((0, 1), np.float32), box=np.empty((0, 4), np.float32))
        height, width = picture.shape[:2]
        vector = np.stack([recogniser(picture, face) for face in faces])
        box = np.stack([f.box for f in faces]) / (width, height, width, height)
        return Seen(vector=vector, box=box)

    return f"{name} behind {settings.face_detection_model}", look
