"""Reference pictures on disk, their characters, and the one face in each.

A photograph with exactly one face gives a face reference. A drawing, whatever faces are found in
it, and a picture without a face show a drawn or animal character and are compared as a whole with
windows of the film. A photograph with several faces is refused, because nobody can say who is
meant; the run goes on with the character's other pictures. When one of a character's pictures
serves the second route, the character is taken for a drawn one whose face is found only by chance,
and all of its pictures serve it too.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from bunny.character.face.detect import FaceDetector
from bunny.character.face.recogniser import FaceRecogniser
from bunny.core import atomic, file_hash, image_file
from bunny.core.error import UserError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
MAX_NAME = 64
MAX_PICTURE_PX = 1600  # longer side kept in memory; faces and drawings need less
MIN_SHARE_OF_LARGEST = 0.4  # height of a second face that is still somebody and no bystander


@dataclass(frozen=True, kw_only=True)
class ReferenceFile:
    """One reference picture on disk."""

    reference_id: str  # "<character>/<file>"
    character: str
    path: Path


@dataclass(frozen=True, kw_only=True)
class MeasuredReference:
    """Measurements of one reference picture; `error` says why it cannot be used."""

    source: ReferenceFile
    content_hash: str
    num_faces: int
    face_embedding: np.ndarray | None
    error: str | None
    drawn_probability: float | None = None  # None: it was not asked

    @property
    def is_drawn(self) -> bool | None:
        """Whether it is a drawing; None: it was not asked."""
        return None if self.drawn_probability is None else self.drawn_probability > 0.5


def list_files(folder: Path) -> list[ReferenceFile]:
    """Find `<name>.jpg` and `<name>/*.jpg` (also png, webp, bmp), sorted by reference id.

    Raises
    ------
    UserError
        If a name is hidden, looks like a path, is too long, or leads out of the folder.
    """
    found = []
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            pictures = [p for p in sorted(path.iterdir()) if _is_picture(p)]
            found += [_source(folder, path.name, p) for p in pictures]
        elif path.suffix.lower() in SUFFIXES:
            found.append(_source(folder, path.stem, path))
    return sorted(found, key=lambda source: source.reference_id)


def check_name(name: str) -> str:
    """Refuse a character's name that cannot be a folder, a label and a caption at once.

    Raises
    ------
    UserError
        Saying what is wrong with it.
    """
    reason = ""
    if not name.strip() or name.startswith("."):
        reason = "is hidden or empty"
    elif any(c in name for c in '/\\:*?"<>|') or not name.isprintable():
        reason = "looks like a path or contains characters that are not allowed in file names"
    elif fault := atomic.portable_name_error(name):
        reason = fault
    elif len(name) > MAX_NAME:
        reason = f"has {len(name)} characters, more than {MAX_NAME}"
    if reason:
        raise UserError(
            f"reference {name[:MAX_NAME]!r}: expected a plain character name, "
            f"it {reason}; rename it"
        )
    return name


def read_picture(path: Path) -> np.ndarray | None:
    """Read a picture as BGR, turned upright by its EXIF, at most 1600 pixels long; None if bad."""
    image = image_file.read(path)
    if image is None:
        return None
    factor = min(1.0, MAX_PICTURE_PX / max(image.shape[:2]))
    size = tuple(max(1, round(side * factor)) for side in image.shape[1::-1])
    return image if factor == 1 else cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def read_known_picture(path: Path) -> np.ndarray:
    """Read a picture that was read before, as `read_picture` does.

    Raises
    ------
    UserError
        If it can no longer be read.
    """
    image = read_picture(path)
    if image is None:
        raise UserError(f"{path}: expected the picture that was read before; put it back")
    return image


def measure(
    sources: Iterable[ReferenceFile],
    detector: FaceDetector,
    recogniser: FaceRecogniser,
    *,
    min_score: float,
    judge: Callable[[np.ndarray], float] | None = None,
) -> list[MeasuredReference]:
    """Look for the face in each picture; the face of a drawn one is never embedded.

    Parameters
    ----------
    detector, recogniser : callable
        From `detect.load_detector` and `recogniser.load_recogniser`.
    min_score : float
        Faces less sure are taken for none.
    judge : callable, optional
        Gives the probability that a picture is drawn; without it every one is photographed.
    """
    return [_measure(source, detector, recogniser, min_score, judge) for source in sources]


def check_usable(errors: Iterable[tuple[str, str, str | None]]) -> None:
    """Refuse a character none of whose pictures can be used.

    Raises
    ------
    UserError
        With the first picture's reason.
    """
    own: dict[str, list[tuple[str, str | None]]] = {}
    for reference_id, character, error in errors:
        own.setdefault(character, []).append((reference_id, error))
    for pictures in own.values():
        if all(error for _, error in pictures):
            more = f" (and {len(pictures) - 1} more pictures)" if len(pictures) > 1 else ""
            raise UserError(f"{pictures[0][0]}: {pictures[0][1]}{more}")


def _source(folder: Path, name: str, path: Path) -> ReferenceFile:
    check_name(name)
    if not (path.is_file() or path.is_symlink()):
        raise UserError(f"{name}/{path.name}: expected a picture file, found another kind; move it")
    if not _is_inside(path, folder):
        raise UserError(
            f"{name}/{path.name}: expected a picture inside {folder}, found a link that leads out "
            "of it or nowhere; copy the picture instead"
        )
    return ReferenceFile(reference_id=f"{name}/{path.name}", character=name, path=path)


def _is_inside(path: Path, folder: Path) -> bool:
    """Whether a path leads to a file in a folder; a link to itself leads nowhere."""
    try:
        return path.resolve(strict=True).is_relative_to(folder.resolve())
    except (OSError, RuntimeError):
        return False


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def _measure(source, detector, recogniser, min_score, judge) -> MeasuredReference:
    content_hash = file_hash.hash_file(source.path)
    image = read_picture(source.path)
    if image is None:
        error = (
            "expected a picture of at most 250 million pixels, could not read it; save it again as "
            "JPEG or PNG"
        )
        return _bad(source, content_hash, 0, error)
    probability = judge(image) if judge else None
    faces = [face for face in detector(image) if face.score >= min_score]
    if probability is not None and probability > 0.5:
        return MeasuredReference(
            source=source,
            content_hash=content_hash,
            num_faces=len(faces),
            face_embedding=None,
            error=None,
            drawn_probability=probability,
        )
    largest = max((face.size_px for face in faces), default=0.0)
    faces = [face for face in faces if face.size_px >= MIN_SHARE_OF_LARGEST * largest]
    if len(faces) > 1:
        error = (
            f"expected one face, found {len(faces)}; crop the picture to {source.character} alone"
        )
        return _bad(source, content_hash, len(faces), error, probability)
    return MeasuredReference(
        source=source,
        content_hash=content_hash,
        num_faces=len(faces),
        face_embedding=recogniser(image, faces[0]) if faces else None,
        error=None,
        drawn_probability=probability,
    )


def _bad(
    source: ReferenceFile,
    content_hash: str,
    num_faces: int,
    error: str,
    drawn_probability: float | None = None,
) -> MeasuredReference:
    return MeasuredReference(
        source=source,
        content_hash=content_hash,
        num_faces=num_faces,
        face_embedding=None,
        error=error,
        drawn_probability=drawn_probability,
    )
