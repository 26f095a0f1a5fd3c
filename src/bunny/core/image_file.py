"""Picture files read with OpenCV, up to a number of pixels.

A small file can promise any number of pixels (a decompression bomb): its head is read by Pillow
before anything is decoded.
"""

from __future__ import annotations

import io
import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

logger = logging.getLogger(__name__)

# Pictures that a folder given as a film may hold; HEIC needs the extra `heic`.
SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif"}
)
IMREAD_COLOR = 1  # OpenCV's
MAX_PIXELS = 250_000_000  # 0.7 GiB in colour; cameras of telephones give up to 200 million


def read(path: Path, flags: int = IMREAD_COLOR) -> np.ndarray | None:
    """Read a picture file.

    Parameters
    ----------
    path : Path
        Names that are not ASCII are read on Windows too, which `cv2.imread` does not do.
    flags : int, optional
        OpenCV's, e.g. `cv2.IMREAD_REDUCED_COLOR_4` for a quarter of the size.

    Returns
    -------
    np.ndarray, shape (height, width, 3), uint8, or None
        BGR, turned upright by its EXIF, unless `flags` say otherwise (grey: height x width); None
        where there is no file or no picture in it.
    """
    try:
        return decode(path.read_bytes(), flags)
    except OSError as error:
        logger.debug("%s: %s", path, error)
        return None


def decode(data: bytes, flags: int = IMREAD_COLOR) -> np.ndarray | None:
    """Decode the content of a picture file.

    Parameters
    ----------
    flags : int, optional
        OpenCV's.

    Returns
    -------
    np.ndarray or None
        As `read`; None also where it promises more than `MAX_PIXELS`.
    """
    import cv2  # slow to import, as is NumPy, and suffixes need none
    import numpy as np

    if read_size(data) is None:
        return None
    try:
        return cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flags)
    except cv2.error as error:
        logger.debug("%s", error)
        return None


def read_size(data: bytes) -> tuple[int, int] | None:
    """Width and height in pixels by a picture's head; None for no picture, or one too large."""
    try:
        with open_picture(io.BytesIO(data)) as image:
            return image.size
    except OSError as error:
        logger.debug("%s", error)
        return None


def open_picture(source: Path | BinaryIO) -> Image:
    """Open a picture with Pillow; its pixels are not read yet.

    Raises
    ------
    OSError
        If it is no picture, cannot be read, or promises more than `MAX_PIXELS`.
    """
    pillow = load_pillow()
    try:
        return pillow.open(source)
    except (ValueError, SyntaxError, pillow.DecompressionBombError) as error:
        raise OSError(f"no picture that can be read ({error})") from error


def load_pillow() -> Any:
    """Pillow's module `Image`, which refuses more than `MAX_PIXELS` and warns of nothing."""
    from PIL import Image

    if Image.MAX_IMAGE_PIXELS != MAX_PIXELS // 2:  # it refuses twice as many
        Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2
        warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
    return Image
