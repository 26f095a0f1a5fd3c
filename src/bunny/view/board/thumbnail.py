"""Thumbnails of items as JPEG, cut when they are first on the screen.

A film may have 50,000 items; a browser asks for those that it shows, some dozens at a time. Large
pictures are decoded at a half, a quarter or an eighth of their size, which JPEG allows.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2

from bunny.core import image_file, safe_path
from bunny.table.box import BOX, Box, crop_box

SIZE_PX = 160  # longest side
JPEG_QUALITY = 72
MAX_KEPT = 6000  # about 30 MB
MARGIN = 0.3  # of a figure's larger side, around it
THREADS = 2
REDUCED = {2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4}
REDUCED[8] = cv2.IMREAD_REDUCED_COLOR_8

Picture = tuple[str, int, int]  # file in the film's folder, width and height in pixels


@dataclass(frozen=True, kw_only=True)
class ThumbnailSource:
    """Source of an item's picture."""

    file: Path
    width_px: int  # of the file
    height_px: int
    box: Box | None = None  # in pixels of the file


class ThumbnailCache:
    """Cuts small pictures and keeps those that were asked for last.

    Parameters
    ----------
    max_kept : int
        Pictures in memory.
    """

    def __init__(self, max_kept: int = MAX_KEPT) -> None:
        self._kept: OrderedDict[ThumbnailSource, bytes] = OrderedDict()
        self._max_kept = max_kept
        self._pool: ThreadPoolExecutor | None = None

    def get(self, sources: Sequence[ThumbnailSource | None]) -> list[bytes]:
        """Give a JPEG for each; empty bytes where there is no picture."""
        missing = {s for s in sources if s is not None and s not in self._kept}
        if missing:
            self._pool = self._pool or ThreadPoolExecutor(THREADS, "thumb")
            self._kept |= zip(missing, self._pool.map(cut, missing), strict=True)
        found = [b"" if s is None else self._kept[s] for s in sources]
        for source in (s for s in sources if s is not None):
            self._kept.move_to_end(source)
        while len(self._kept) > self._max_kept:
            self._kept.popitem(last=False)
        return found


def cut(source: ThumbnailSource) -> bytes:
    """Small JPEG of a picture, or of the square around its box.

    Returns
    -------
    bytes
        At most `SIZE_PX` on its longest side, never enlarged; empty when there is no such picture.
    """
    region = square(source.box, source.width_px, source.height_px) if source.box else None
    shown = source.width_px if region is None else region[2] - region[0]
    if region is None:
        shown = max(source.width_px, source.height_px)
    factor = max((f for f in REDUCED if shown >= f * SIZE_PX), default=1)
    picture = image_file.read(source.file, REDUCED.get(factor, cv2.IMREAD_COLOR))
    if picture is None:
        return b""
    if region is not None:
        scale = picture.shape[1] / max(1, source.width_px)
        picture = crop_box(picture, [round(v * scale) for v in region], min_px=1)
        if picture.size == 0:
            return b""
    ratio = SIZE_PX / max(picture.shape[:2])
    if ratio < 1:
        picture = cv2.resize(picture, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA)
    quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    return cv2.imencode(".jpg", picture, quality)[1].tobytes()


def square(box: Box, width_px: int, height_px: int) -> tuple[int, int, int, int]:
    """The square around a box with its margin, moved into the picture.

    Examples
    --------
    >>> square((0, 40, 10, 60), 100, 100)
    (0, 34, 32, 66)
    """
    x0, y0, x1, y1 = box
    side = max(x1 - x0, y1 - y0) * (1 + 2 * MARGIN)
    side = max(1, min(round(side), width_px, height_px))
    left = min(max(0, round((x0 + x1 - side) / 2)), width_px - side)
    top = min(max(0, round((y0 + y1 - side) / 2)), height_px - side)
    return left, top, left + side, top + side


def sources(
    root: Path,
    pictures: Mapping[str, Picture],
    shots: Mapping[int, Picture],
    rows: Sequence[Mapping],
) -> list[ThumbnailSource | None]:
    """Sources of the pictures of items.

    A figure that was seen only in frames that are not stored is shown by its whole shot.

    Parameters
    ----------
    root : Path
        The film's folder.
    pictures : mapping of frame_id to (file, width_px, height_px)
    shots : mapping of shot_index to the same
    rows : sequence of mapping
        `frame_id`, `shot_index` and the box, of table `asset`.
    """
    found: list[ThumbnailSource | None] = []
    for row in rows:
        own = pictures.get(row["frame_id"])
        file, width, height = own or shots.get(row["shot_index"], ("", 0, 0))
        box = tuple(row[c] for c in BOX)
        is_whole = own is None or None in box
        source = ThumbnailSource(
            file=safe_path.join(root, file),
            width_px=width,
            height_px=height,
            box=None if is_whole else box,
        )
        found.append(source if file else None)
    return found
