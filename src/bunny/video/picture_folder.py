"""Folders of pictures: their order, how a picture is read, and whether they are a film's frames.

A folder holds `pictures`, such as photographs or stills, of which each is a shot of its own, or a
`sequence`, the rendered frames of a film. Photographs are numbered too and often of one size, so
neighbours must also look alike to be told as a sequence.
"""

import logging
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from bunny.core import image_file
from bunny.core.error import UserError
from bunny.video.shot import frame_difference

logger = logging.getLogger(__name__)

ALPHA_SUFFIXES = frozenset({".png", ".webp", ".tif", ".tiff"})
HEIC_SUFFIXES = frozenset({".heic", ".heif"})
PILLOW_SUFFIXES = HEIC_SUFFIXES | {".avif"}  # OpenCV does not turn AVIF upright
MIN_SEQUENCE = 8  # pictures; fewer are no film
NUM_PAIRS = 24  # of neighbours that are compared, spread over the folder
# Of 13 clips at 12 to 30 frames a second 0.87 to 1.00 of the pairs differ by less than this, but
# for a drawn one at 12 (0.44); of their frames a second apart at most 0.58, of photographs 0.04.
LIKE_DIFFERENCE = 0.02  # compensated difference of thumbnails
LIKE_SHARE = 0.75
THUMB_PX = (64, 36)
EXIF_IFD, CAPTURED, DIGITIZED = 0x8769, 0x9003, 0x9004  # EXIF 2.32, DateTimeOriginal, ...Digitized
SUBSECOND = {CAPTURED: 0x9291, DIGITIZED: 0x9292}
NUMBERED = re.compile(r"(.*?)(\d+)(\D*)")


def list_pictures(folder: Path) -> list[Path]:
    """Pictures of a folder in natural order: numbers in names count as numbers."""
    found = [p for p in folder.iterdir() if p.suffix.lower() in image_file.SUFFIXES and p.is_file()]
    return sorted(found, key=lambda p: (_natural(p.name), p.name))


def tell_kind(paths: Sequence[Path]) -> str:
    """Tell a set of pictures from the frames of a film.

    Parameters
    ----------
    paths : sequence of Path
        From `list_pictures`.

    Returns
    -------
    str
        `sequence` where there are at least 8, numbered without gaps, all of one size, and three
        of four neighbours are alike; else `pictures`.
    """
    if len(paths) < MIN_SEQUENCE or not _is_numbered(paths):
        return "pictures"
    sizes = {_size(path) for path in paths} - {None}
    return "sequence" if len(sizes) == 1 and _are_alike(paths) else "pictures"


def read_picture(path: Path) -> np.ndarray | None:
    """Read a picture file, upright by its EXIF tag; what is transparent shows black.

    Returns
    -------
    np.ndarray, shape (height, width, 3), uint8, or None
        BGR; 16 bits are rounded to 8. None when it cannot be read.

    Raises
    ------
    UserError
        For a HEIC picture without the package that reads it.
    """
    if path.suffix.lower() in PILLOW_SUFFIXES:
        return _read_by_pillow(path)
    try:
        data = path.read_bytes()  # cv2.imread fails on non-ASCII names under Windows
        picture = image_file.decode(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
        if picture is None:
            return None
        if picture.dtype not in (np.uint8, np.uint16):
            return image_file.decode(data)
        if path.suffix.lower() in ALPHA_SUFFIXES:
            picture = _over_black(picture, image_file.decode(data, cv2.IMREAD_UNCHANGED))
    except OSError as error:
        logger.debug("%s: %s", path.name, error)
        return None
    is_deep = picture.dtype == np.uint16
    return cv2.convertScaleAbs(picture, alpha=1 / 257) if is_deep else picture


def read_capture_time(path: Path) -> datetime | None:
    """Time at which a picture was taken, by its EXIF.

    Returns
    -------
    datetime or None
        By the camera's clock, without a time zone; fractions of a second where it gives them.
        DateTimeOriginal, else DateTimeDigitized; the time of the last change of the file does not
        count. None when it does not say.
    """
    pillow = image_file.load_pillow()
    _register_heic()
    try:
        with pillow.open(path) as image:
            exif = image.getexif().get_ifd(EXIF_IFD)
    except (OSError, ValueError, SyntaxError, pillow.DecompressionBombError) as error:
        logger.debug("%s: %s", path.name, error)
        return None
    times = (_parse_time(exif.get(tag), exif.get(SUBSECOND[tag])) for tag in (CAPTURED, DIGITIZED))
    return next((time for time in times if time), None)


def _parse_time(text: object, fraction: object) -> datetime | None:
    """EXIF's `2024:05:17 10:20:30` and its fraction of a second, decimal digits."""
    try:
        time = datetime.strptime(str(text).strip("\0 "), "%Y:%m:%d %H:%M:%S")
    except ValueError:
        return None
    digits = str(fraction).strip("\0 ")
    is_number = digits.isascii() and digits.isdecimal()
    return time.replace(microsecond=int(digits[:6].ljust(6, "0"))) if is_number else time


def _read_by_pillow(path: Path) -> np.ndarray | None:
    """A HEIC or AVIF picture, upright."""
    from PIL import ImageOps

    pillow = image_file.load_pillow()
    if not _register_heic() and path.suffix.lower() in HEIC_SUFFIXES:
        raise UserError(
            f"{path}: expected pictures that can be read, found HEIC, which needs a package; "
            "install it with `pip install 'diffusion-bunny[heic]'`, or convert the pictures to "
            "JPEG"
        )
    try:
        with pillow.open(path) as image:
            upright = ImageOps.exif_transpose(image).convert("RGBA")
    except (OSError, ValueError, SyntaxError, pillow.DecompressionBombError) as error:
        logger.debug("%s: %s", path.name, error)
        return None
    whole = cv2.cvtColor(np.asarray(upright), cv2.COLOR_RGBA2BGRA)
    return _over_black(whole[..., :3], whole)


def _register_heic() -> bool:
    """Let Pillow read HEIC; False where the package is absent."""
    try:
        import pillow_heif
    except ImportError:
        return False
    pillow_heif.register_heif_opener()
    return True


def _is_numbered(paths: Iterable[Path]) -> bool:
    """Whether names differ by a number alone, which rises by one."""
    numbers, others = [], set()
    for path in paths:
        found = NUMBERED.fullmatch(path.stem)
        if found is None:
            return False
        numbers.append(int(found[2]))
        others.add((found[1], found[3], path.suffix))
    return len(others) == 1 and all(two == one + 1 for one, two in pairwise(numbers))


def _size(path: Path) -> tuple[int, int] | None:
    """Width and height by the file's head; None when it cannot be read."""
    pillow = image_file.load_pillow()
    _register_heic()
    try:
        with pillow.open(path) as image:
            return image.size
    except (OSError, ValueError, SyntaxError, pillow.DecompressionBombError) as error:
        logger.debug("%s: %s", path.name, error)
        return None


def _are_alike(paths: Sequence[Path]) -> bool:
    """Whether most of some pictures look like the next one."""
    last = len(paths) - 2
    places = np.unique(np.linspace(0, last, min(NUM_PAIRS, last + 1)).round().astype(int))
    found = []
    for place in places.tolist():
        one, two = _thumb(paths[place]), _thumb(paths[place + 1])
        if one is not None and two is not None:
            found.append(frame_difference.compensated_difference(one, two) < LIKE_DIFFERENCE)
    return bool(found) and sum(found) >= LIKE_SHARE * len(found)


def _thumb(path: Path) -> np.ndarray | None:
    """YUV thumbnail of a picture file."""
    picture = image_file.read(path, cv2.IMREAD_REDUCED_COLOR_4)
    picture = read_picture(path) if picture is None else picture
    if picture is None:
        return None
    small = cv2.resize(picture, THUMB_PX, interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_BGR2YUV)


def _over_black(picture: np.ndarray, whole: np.ndarray | None) -> np.ndarray:
    """Lay a picture with an alpha channel over black."""
    if whole is None or whole.ndim != 3 or whole.shape[2] != 4:
        return picture
    if whole.shape[:2] != picture.shape[:2]:  # turned by its EXIF tag; then alpha is left out
        return picture
    alpha = whole[..., 3:].astype(np.float32) / np.iinfo(whole.dtype).max
    return (whole[..., :3] * alpha + 0.5).astype(whole.dtype)


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Sort key in which digits compare as numbers."""
    return [
        (0, int(part), "") if part.isdecimal() else (1, 0, part.casefold())
        for part in re.split(r"(\d+)", name)
        if part
    ]
