"""Picture files read with OpenCV."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

logger = logging.getLogger(__name__)

# Pictures that a folder given as a film may hold; HEIC needs the extra `heic`.
SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif"}
)
IMREAD_COLOR = 1  # OpenCV's


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
    import cv2  # slow to import, as is NumPy, and suffixes need none
    import numpy as np

    try:
        data = np.frombuffer(path.read_bytes(), dtype=np.uint8)
        return cv2.imdecode(data, flags) if data.size else None
    except (OSError, cv2.error) as error:
        logger.debug("%s: %s", path, error)
        return None
