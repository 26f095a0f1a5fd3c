"""Pixels of a decoded frame: a small YUV thumbnail to decide on, and the picture as shown.

As shown means upright, with square pixels, without the comb of interlacing, and in the standard
dynamic range.
"""

from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation

from bunny.core.config import ExtractionConfig
from bunny.video import tone_mapping
from bunny.video.letterbox import Box
from bunny.video.probe import FilmInfo, shown_size

DEFAULTS = ExtractionConfig()
SHARPNESS_PX = 320
THUMB_LONG_PX, THUMB_SHORT_PX = 64, 36
# 8-bit formats whose first plane is luma and whose others are chroma: read without a conversion.
PLANAR = frozenset(
    {
        "yuv420p",
        "yuvj420p",
        "yuv422p",
        "yuvj422p",
        "yuv444p",
        "yuvj444p",
        "yuv410p",
        "yuv411p",
        "yuv440p",
        "yuvj440p",
        "gray",
    }
)
# The same with 9 to 16 bits in two bytes, the lowest first.
DEEP_PLANAR = frozenset(
    {f"{name}p{bits}le" for name in ("yuv420", "yuv422", "yuv444") for bits in (9, 10, 12, 14, 16)}
)
LINES_PER_CELL = 3  # of those that a thumbnail's pixel covers are averaged
LIMITED_BLACK, LIMITED_LUMA_SPAN = 16, 219  # ITU-R BT.601 and BT.709, 8 bits
HD_HEIGHT_PX = 720  # from here an unmarked film is BT.709, below it BT.601
UNMARKED = 2  # code point of an unspecified matrix, ISO/IEC 23091-2
COMB_RATIO = 1.35  # neighbouring lines this much less alike than lines of one field: a comb
COMB_FLOOR = 4  # grey levels, mean of a tile; below it there is nothing to see
COMB_TILES, COMB_TILE_PX = 8, 16  # tiles a side, at most, and their least size
COMB_LEVELS = 6  # a line this far from both its neighbours is of another moment
COMB_MARGIN = (5, 9)  # lines and columns around such a pixel that are rebuilt with it
# FFmpeg's conversion with right rounding: 3 to 5 times slower than its default.
EXACT = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT


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
    # Of a picture of a folder:
    error: str | None = None  # why it cannot be read; `raw` is empty then
    source_file: str | None = None  # its name in the folder
    captured_at: datetime | None = None  # by its EXIF

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
    if frame.raw.format.name in DEEP_PLANAR:
        return _to_eight_bits(_plane(frame.raw, 0), frame.raw)
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
        small = [_to_eight_bits(plane, raw) for plane in small]
    if not is_full:
        scale = 255 / LIMITED_LUMA_SPAN
        above = cv2.subtract(small[0], LIMITED_BLACK)  # pyright: ignore[reportArgumentType, reportCallIssue] a number
        small[0] = cv2.convertScaleAbs(above, alpha=scale)
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


def to_bgr(
    frame: DecodedFrame,
    info: FilmInfo,
    extraction: ExtractionConfig = DEFAULTS,
    crop: Box | None = None,
) -> np.ndarray:
    """Make the picture as shown.

    Parameters
    ----------
    crop : (x0, y0, x1, y1), optional
        Half-open box of the picture as shown (`letterbox.shown_box`) to cut out. A frame whose
        size is not the film's is left whole: the box is not of it. A box of decoder `pictures` is
        of the picture itself.

    Returns
    -------
    np.ndarray, shape (height, width, 3), uint8
        BGR, full range, upright, square pixels.
    """
    picture = frame.raw
    if not isinstance(picture, np.ndarray):
        raw = picture
        picture = _convert(raw, info, extraction)
        if _may_have_comb(raw, info, extraction):
            picture = deinterlace(picture)
        size = shown_size(picture.shape[1], picture.shape[0], info.sample_aspect, 0)
        if size != picture.shape[1::-1]:
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC)
        if info.is_mirrored:
            picture = picture[:, ::-1]
        picture = np.rot90(picture, info.rotation_deg // 90)
    is_own = info.decoder == "pictures"
    if crop and (is_own or picture.shape[1::-1] == (info.width_px, info.height_px)):
        picture = picture[crop[1] : crop[3], crop[0] : crop[2]]
    return np.ascontiguousarray(picture)


def deinterlace(picture: np.ndarray) -> np.ndarray:
    """Rebuild the second field from the first where the two show different moments.

    Many films marked as interlaced are not: a picture without a comb comes back as it is, and
    what does not move keeps all its lines.

    Parameters
    ----------
    picture : np.ndarray, shape (height, width, 3), uint8

    Returns
    -------
    np.ndarray of the same shape and dtype

    Notes
    -----
    FFmpeg's filters look at the frames before and after: of a single one bwdif gives the comb
    back, and yadif, w3fdif and estdif come out worse than this.
    """
    height, width = picture.shape[:2]
    if height < 8 or not has_comb(picture):
        return picture
    field = np.ascontiguousarray(picture[0::2])
    # Lines of the first field are the even ones; the resize would put them a quarter line off.
    shift = np.array([[1, 0, 0], [0, 0.5, 0]], np.float32)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    rebuilt = cv2.warpAffine(
        field, shift, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    return np.where(_comb_mask(picture)[..., None], rebuilt, picture)


def has_comb(picture: np.ndarray) -> bool:
    """Whether, somewhere, neighbouring lines differ more than lines two apart, as two moments do.

    Parameters
    ----------
    picture : np.ndarray, shape (height, width, 3), uint8
    """
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    tiles = [max(1, min(COMB_TILES, side // COMB_TILE_PX)) for side in grey.shape[::-1]]
    near, same_field = (
        cv2.resize(cv2.absdiff(grey[:-2], other), tiles, interpolation=cv2.INTER_AREA)
        for other in (grey[1:-1], grey[2:])
    )
    return bool(((near > COMB_FLOOR) & (near > COMB_RATIO * same_field)).any())


def _comb_mask(picture: np.ndarray) -> np.ndarray:
    """Where a line is brighter, or darker, than both its neighbours; bool, with a margin."""
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.int16)
    grey = np.pad(grey, ((1, 1), (0, 0)), mode="reflect")
    above, below = grey[1:-1] - grey[:-2], grey[1:-1] - grey[2:]
    is_comb = (np.minimum(above, below) > COMB_LEVELS) | (np.maximum(above, below) < -COMB_LEVELS)
    return cv2.dilate(is_comb.astype(np.uint8), np.ones(COMB_MARGIN, np.uint8)) > 0


def _may_have_comb(raw: av.VideoFrame, info: FilmInfo, extraction: ExtractionConfig) -> bool:
    if extraction.deinterlace == "auto":
        return bool(raw.interlaced_frame) or info.is_interlaced
    return extraction.deinterlace == "on"


def _convert(raw: av.VideoFrame, info: FilmInfo, extraction: ExtractionConfig) -> np.ndarray:
    """BGR picture of standard range and gamut, as stored; uint8."""
    primaries = info.color_primaries
    is_high = info.color_transfer in ("pq", "hlg")
    if is_high or primaries in ("bt2020", "p3-d65"):
        space = Colorspace.BT2020 if int(raw.colorspace) == UNMARKED else None
        deep = raw.to_ndarray(
            format="rgb48le", src_colorspace=space, interpolation=EXACT, threads=1
        )
        if not is_high:
            return tone_mapping.to_standard_gamut(deep, str(primaries))[..., ::-1]
        return tone_mapping.to_standard_range(
            deep,
            str(info.color_transfer),
            primaries=primaries or "bt2020",
            curve=extraction.tone_curve,
            peak_nits=info.peak_nits,
        )[..., ::-1]
    is_deep = raw.format.components[0].bits > 8
    kind = EXACT if is_deep else None  # of 8 bits the fast way is one level off at most
    return raw.to_ndarray(
        format="bgr24", src_colorspace=_colorspace(raw), interpolation=kind, threads=1
    )


def _plane(raw: av.VideoFrame, index: int) -> np.ndarray:
    """One plane without a copy, shape (height, width); uint16 where the format is deep."""
    plane = raw.planes[index]
    dtype = np.dtype("<u2") if raw.format.name in DEEP_PLANAR else np.dtype(np.uint8)
    lines = np.frombuffer(plane, dtype)  # pyright: ignore[reportArgumentType, reportCallIssue] a buffer
    lines = lines.reshape(-1, plane.line_size // dtype.itemsize)
    return lines[: plane.height, : plane.width]


def _to_eight_bits(plane: np.ndarray, raw: av.VideoFrame) -> np.ndarray:
    """Bring values of a deep plane to 0-255."""
    return cv2.convertScaleAbs(plane, alpha=2.0 ** (8 - raw.format.components[0].bits))


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
