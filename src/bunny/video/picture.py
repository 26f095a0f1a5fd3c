"""Pixels of a decoded frame: a small YUV thumbnail to decide on, and the picture as shown.

As shown means upright, with square pixels, without the comb of interlacing, and in the standard
dynamic range.
"""

from dataclasses import dataclass
from fractions import Fraction

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from bunny.video import colour
from bunny.video.probe import FilmInfo, shown_size

SHARPNESS_PX = 320
THUMB_LONG_PX, THUMB_SHORT_PX = 64, 36
# 8-bit formats whose first plane is luma and whose others are chroma: read without a conversion.
PLANAR = frozenset(
    {"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "yuv410p", "yuv411p",
     "yuv440p", "yuvj440p", "gray"}
)  # fmt: skip
# The same with 9 to 16 bits in two bytes, the lowest first.
DEEP_PLANAR = frozenset(
    {f"{name}p{bits}le" for name in ("yuv420", "yuv422", "yuv444") for bits in (9, 10, 12, 14, 16)}
)
LINES_PER_CELL = 5  # of a thumbnail's pixel that are averaged
LIMITED_BLACK, LIMITED_LUMA_SPAN = 16, 219  # ITU-R BT.601 and BT.709, 8 bits
HD_HEIGHT_PX = 720  # from here an unmarked film is BT.709, below it BT.601
UNMARKED = 2  # code point of an unspecified matrix, ISO/IEC 23091-2
COMB_RATIO = 1.35  # neighbouring lines this much less alike than lines of one field: a comb
COMB_FLOOR = 2.0  # grey levels; below it there is nothing to see


@dataclass(frozen=True, kw_only=True, slots=True)
class DecodedFrame:
    """One frame of a film; `raw` is the decoder's picture, kept as it came.

    `index` counts decoded frames in presentation order, `pts` is in units of `time_base`.
    """

    index: int
    pts: int
    time_base: Fraction
    raw: av.VideoFrame | np.ndarray  # a BGR array from OpenCV or a picture file
    is_keyframe: bool = False
    is_damaged: bool = False  # the decoder patched holes in it

    @property
    def time_s(self) -> float:
        """Presentation time in seconds."""
        return float(self.pts * self.time_base)

    @property
    def num_bytes(self) -> int:
        """About how much memory the frame holds."""
        if isinstance(self.raw, np.ndarray):
            return self.raw.nbytes
        return sum(plane.buffer_size for plane in self.raw.planes)


def luma(frame: DecodedFrame) -> np.ndarray:
    """Full-size luma as stored, uint8, shape (height, width); a view where the format allows it."""
    if isinstance(frame.raw, np.ndarray):
        return cv2.cvtColor(frame.raw, cv2.COLOR_BGR2GRAY)
    if frame.raw.format.name in PLANAR:
        return _plane(frame.raw, 0)
    return frame.raw.reformat(format="gray", threads=1).to_ndarray()


def thumb(frame: DecodedFrame, info: FilmInfo) -> np.ndarray:
    """Area-averaged thumbnail of a frame, as stored (not turned), for measuring change.

    Returns
    -------
    np.ndarray, shape (36, 64, 3) or (64, 36, 3), uint8
        Luma in full range 0-255, and two chroma planes around 128.
    """
    raw = frame.raw
    size = _thumb_size(info.stored_width_px, info.stored_height_px)
    if isinstance(raw, np.ndarray):
        return cv2.cvtColor(_shrink(raw, size), cv2.COLOR_BGR2YUV)
    is_full = raw.format.name.startswith("yuvj") or raw.color_range == ColorRange.JPEG
    if raw.format.name not in PLANAR and raw.format.name not in DEEP_PLANAR:
        raw = raw.reformat(format="yuv444p", threads=1)
        is_full = False
    small = [_shrink(_plane(raw, i), size) for i in range(min(3, len(raw.planes)))]
    if raw.format.name in DEEP_PLANAR:
        down = 2.0 ** (8 - raw.format.components[0].bits)
        small = [cv2.convertScaleAbs(plane, alpha=down) for plane in small]
    if not is_full:
        scale = 255 / LIMITED_LUMA_SPAN
        small[0] = cv2.convertScaleAbs(cv2.subtract(small[0], LIMITED_BLACK), alpha=scale)
    while len(small) < 3:
        small.append(np.full_like(small[0], 128))
    return cv2.merge(small)


def sharpness(frame: DecodedFrame) -> float:
    """Variance of the Laplacian of luma, shrunk to 320 px, to choose between neighbours.

    Damaged frames come last: they score -1.
    """
    if frame.is_damaged:
        return -1.0
    grey = luma(frame)
    scale = SHARPNESS_PX / max(grey.shape)
    if scale < 1:
        size = [max(1, round(side * scale)) for side in grey.shape[::-1]]
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    return float(cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_16S))[1][0, 0]) ** 2


def to_bgr(frame: DecodedFrame, info: FilmInfo) -> np.ndarray:
    """Make the picture as shown.

    Returns
    -------
    np.ndarray, shape (height, width, 3), uint8
        BGR, full range, upright, square pixels.
    """
    raw = frame.raw
    if isinstance(raw, np.ndarray):
        return raw
    if info.color_transfer in ("pq", "hlg"):
        deep = raw.to_ndarray(format="rgb48le", src_colorspace=Colorspace.BT2020, threads=1)
        picture = colour.to_standard_range(deep, info.color_transfer)[..., ::-1]
    else:
        picture = raw.to_ndarray(format="bgr24", src_colorspace=_colorspace(raw), threads=1)
    if raw.interlaced_frame:
        picture = deinterlace(picture)
    size = shown_size(picture.shape[1], picture.shape[0], info.sample_aspect, 0)
    if size != picture.shape[1::-1]:
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(np.rot90(picture, info.rotation_deg // 90))


def deinterlace(picture: np.ndarray) -> np.ndarray:
    """Rebuild the second field from the first where the two show different moments.

    Many films marked as interlaced are not: a picture without a comb comes back as it is.

    Parameters
    ----------
    picture : np.ndarray, shape (height, width, 3), uint8

    Returns
    -------
    np.ndarray of the same shape and dtype
    """
    height, width = picture.shape[:2]
    if height < 8 or not has_comb(picture):
        return picture
    field = np.ascontiguousarray(picture[0::2])
    # Lines of the first field are the even ones; the resize would put them a quarter line off.
    shift = np.float32([[1, 0, 0], [0, 0.5, 0]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(field, shift, (width, height), flags=flags,
                          borderMode=cv2.BORDER_REPLICATE)  # fmt: skip


def has_comb(picture: np.ndarray) -> bool:
    """Whether neighbouring lines differ more than lines two apart, as two moments do."""
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    near = cv2.absdiff(grey[:-2], grey[1:-1]).mean()
    same_field = cv2.absdiff(grey[:-2], grey[2:]).mean()
    return bool(near > COMB_FLOOR and near > COMB_RATIO * same_field)


def _plane(raw: av.VideoFrame, index: int) -> np.ndarray:
    """One plane without a copy, shape (height, width); uint16 where the format is deep."""
    plane = raw.planes[index]
    dtype = np.dtype("<u2") if raw.format.name in DEEP_PLANAR else np.dtype(np.uint8)
    lines = np.frombuffer(plane, dtype).reshape(-1, plane.line_size // dtype.itemsize)
    return lines[: plane.height, : plane.width]


def _shrink(plane: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Shrink to (width, height) by the mean of some lines of each cell: reading all costs 5 x."""
    height = plane.shape[0]
    cell = height // size[1]
    step = max(1, cell // LINES_PER_CELL)
    if height % size[1] == 0:  # whole cells of whole lines: OpenCV has a fast way for them
        step = max(n for n in range(1, step + 1) if cell % n == 0)
    return cv2.resize(plane[step // 2 :: step], size, interpolation=cv2.INTER_AREA)


def _thumb_size(width_px: int, height_px: int) -> tuple[int, int]:
    """Thumbnail size (width, height), the long side along the picture's."""
    is_wide = width_px >= height_px
    return (THUMB_LONG_PX, THUMB_SHORT_PX) if is_wide else (THUMB_SHORT_PX, THUMB_LONG_PX)


def _colorspace(raw: av.VideoFrame) -> Colorspace | None:
    """Matrix to read an unmarked film with; None where the film says it itself."""
    if int(raw.colorspace) != UNMARKED:
        return None
    return Colorspace.ITU709 if raw.height >= HD_HEIGHT_PX else Colorspace.ITU601
