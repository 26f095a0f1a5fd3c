"""Identity by the face: the recogniser that the film's faces were not named with, and its crops.

A picture's score is the highest cosine of its faces to a crop of the character; crops are of
held-out shots and the user's references.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from bunny.character.face import detect
from bunny.character.face import recogniser as face_recogniser
from bunny.core.config import DetectionConfig
from bunny.evaluation import gallery, identity
from bunny.evaluation.gallery import RealPicture
from bunny.evaluation.identity import IdentityScale

OVERLAP = 0.1  # intersection over the smaller box, up to which two places are separate
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
class DescribedRegions:
    """Faces of a picture: vectors (m, d) of unit length, boxes (m, 4) in shares; m may be 0."""

    vector: np.ndarray
    box: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """Crops of one character: vectors (k, d) of unit length and the shot of each (k,)."""

    vector: np.ndarray
    shot: np.ndarray

    def without(self, shot: int) -> Gallery:
        """The crops of other shots."""
        other = self.shot != shot
        return Gallery(vector=self.vector[other], shot=self.shot[other])


@dataclass(frozen=True, kw_only=True)
class FaceRecogniser:
    """Crops of a film's characters with their scales, and what finds faces."""

    name: str
    look: Callable[[np.ndarray], DescribedRegions]
    galleries: dict[str, Gallery]
    scales: dict[str, IdentityScale]
    scored: list[tuple[RealPicture, dict[str, float]]]

    def scores(self, seen: DescribedRegions) -> dict[str, float]:
        """Score of each character in a picture; NaN where no face was found."""
        return {name: likeness(seen, one) for name, one in self.galleries.items()}


def fit(
    real: Sequence[RealPicture],
    nobody: Sequence[np.ndarray],
    described: tuple[str, Callable[[np.ndarray], DescribedRegions]],
    side_px: int,
) -> FaceRecogniser:
    """Compare real pictures with each other and measure the scale of each character.

    Parameters
    ----------
    nobody : sequence of np.ndarray
        Pictures in which none of the characters is.
    described : (str, callable)
        As `load_face_describer` returns it.
    side_px : int
        Of generated pictures; real ones are shrunk to it.
    """
    name, look = described
    seen = [look(gallery.shrink(one.picture, side_px)) for one in real]
    empty = [look(gallery.shrink(one, side_px)) for one in nobody]
    galleries, scales = {}, {}
    for who in dict.fromkeys(one.character for one in real):
        crops = _gallery([one for one in real if one.character == who], look)
        own = [
            (one.shot, likeness(faces, crops.without(one.shot)))
            for one, faces in zip(real, seen, strict=True)
            if one.character == who and one.shot != gallery.NO_SHOT
        ]
        others = [f for one, f in zip(real, seen, strict=True) if one.character != who] + empty
        strangers = [likeness(faces, crops) for faces in others]
        scale = identity.make_scale(own, strangers, KNOWN[name.split()[0]])
        if scale is not None:
            galleries[who], scales[who] = crops, scale
    scored = [
        (
            one,
            {
                who: likeness(faces, crops.without(one.shot) if who == one.character else crops)
                for who, crops in galleries.items()
            },
        )
        for one, faces in zip(real, seen, strict=True)
        if one.shot != gallery.NO_SHOT
    ]
    return FaceRecogniser(name=name, look=look, galleries=galleries, scales=scales, scored=scored)


def likeness(seen: DescribedRegions, gallery: Gallery) -> float:
    """Similarity to a character of the most similar face of a picture.

    Returns
    -------
    float
        Highest cosine of a face to a crop, in [-1, 1]; NaN without a face or a crop.
    """
    found = _likenesses(seen, gallery)
    return float(found.max()) if len(found) else float("nan")


def count_alike(seen: DescribedRegions, gallery: Gallery, floor: float) -> int:
    """Count separate faces of a picture that reach the threshold."""
    found = _likenesses(seen, gallery)
    taken: list[np.ndarray] = []
    for index in np.argsort(-found, kind="stable"):
        if not found[index] >= floor:
            break
        if all(_share(seen.box[index], box) <= OVERLAP for box in taken):
            taken.append(seen.box[index])
    return len(taken)


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


def _gallery(real: Sequence[RealPicture], look) -> Gallery:
    """Vectors of a character's crops."""
    cut = gallery.spread([one for one in real if one.crop is not None], MAX_CROPS)
    found = [(one.shot, _middle_face(look(one.crop))) for one in cut]
    kept = [(shot, vector) for shot, vector in found if vector is not None]
    vector = np.stack([v for _, v in kept]) if kept else np.empty((0, 1), np.float32)
    return Gallery(vector=vector, shot=np.array([shot for shot, _ in kept], np.int64))


def _middle_face(seen: DescribedRegions) -> np.ndarray | None:
    """The face nearest to the middle of a crop."""
    if not len(seen.vector):
        return None
    middle = (seen.box[:, :2] + seen.box[:, 2:]) / 2 - 0.5
    return seen.vector[int(np.hypot(*middle.T).argmin())]


def _likenesses(seen: DescribedRegions, gallery: Gallery) -> np.ndarray:
    """Cosine of each face to its most similar crop; empty where there is nothing."""
    if not len(seen.vector) or not len(gallery.vector):
        return np.empty(0)
    return (seen.vector @ gallery.vector.T).max(axis=1).astype(float)


def _share(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection of two boxes over the area of the smaller."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    smaller = min((b[2] - b[0]) * (b[3] - b[1]) for b in (one, other))
    return max(0.0, width) * max(0.0, height) / smaller if smaller > 0 else 1.0
