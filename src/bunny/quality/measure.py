"""Quality measures of one frame, all from its pixels and without thresholds."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from bunny.quality import artifact, colour_cell, exposure, luma, perceptual_hash, sharpness, text

HISTOGRAM_LINES = 360  # of a tall picture about so many are counted
SAMPLE_PX = 192  # pixels of colour are read from a lattice of about this size: 20,000 of them


@dataclass(frozen=True, kw_only=True, eq=False)
class FrameMeasure:
    """Numbers of one frame; names and units are those of the table `measure`."""

    laplacian_variance: float
    blur_score: float
    tile_sharpness: np.ndarray
    smear: float
    smear_angle_deg: float
    blockiness: float
    noise: float
    brightness: float
    contrast: float
    dynamic_range: float
    clipped_dark_share: float
    clipped_bright_share: float
    entropy_bits: float
    colourfulness: float
    cast_red: float
    cast_yellow: float
    background_share: float
    text_share: float
    subtitle_share: float
    text_lines: int
    content_x0_px: int
    content_y0_px: int
    content_x1_px: int
    content_y1_px: int
    phash: int
    signature: np.ndarray
    colour_cells: np.ndarray


def measure_frame(picture: np.ndarray) -> FrameMeasure:
    """Measure a frame.

    All is of what lies inside letterbox bars, but for the tiles, whose grid is over the whole
    picture, and the text, which may stand on a bar: its shares are of the whole picture.

    Parameters
    ----------
    picture : np.ndarray, shape (height, width, 3), uint8
        BGR, full range.

    Raises
    ------
    ValueError
        If `picture` is not an 8-bit BGR array with pixels.
    """
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or not picture.size:
        raise ValueError(f"expected (height, width, 3) uint8, got {picture.shape} {picture.dtype}")
    grey = luma.to_luma(picture)
    box = luma.content_box(grey)
    inside = grey[box[1] : box[3], box[0] : box[2]]
    work = luma.shrink(inside, sharpness.WORKING_PX)
    lines = text.find_text(grey)
    light = _light(inside)
    return FrameMeasure(
        **light,
        **_detail(work, box, grey.shape[::-1], light["contrast"] * 255),
        **_words(lines, grey.shape[::-1]),
        **_colour(picture, box, lines),
        blockiness=artifact.blockiness(inside),
        noise=artifact.noise(inside),
        content_x0_px=box[0],
        content_y0_px=box[1],
        content_x1_px=box[2],
        content_y1_px=box[3],
        phash=perceptual_hash.phash(work),
        signature=perceptual_hash.luma_signature(work),
        colour_cells=colour_cell.measure_cells(picture),
    )


def _light(inside: np.ndarray) -> dict[str, Any]:
    """What the histogram of luma tells."""
    step = max(1, len(inside) // HISTOGRAM_LINES)
    histogram = cv2.calcHist([inside[::step]], [0], None, [256], [0, 256]).ravel()
    share = histogram.astype(np.float64) / histogram.sum(dtype=np.float64)
    mean, deviation = (float(v[0, 0]) for v in cv2.meanStdDev(inside))
    dark, bright = exposure.clipped_shares(share)
    return {
        "brightness": mean / 255,
        "contrast": deviation / 255,
        "dynamic_range": exposure.dynamic_range(share),
        "clipped_dark_share": dark,
        "clipped_bright_share": bright,
        "entropy_bits": exposure.entropy(share),
    }


def _detail(
    work: np.ndarray, box: tuple[int, int, int, int], size: tuple[int, int], deviation: float
) -> dict[str, Any]:
    """Sharpness and smear at working size."""
    edges = sharpness.laplacian(work)
    variance = sharpness.laplacian_variance(edges)
    amount, angle = sharpness.motion_blur(work)
    return {
        "laplacian_variance": variance,
        "blur_score": sharpness.blur_score(variance, deviation),
        "tile_sharpness": sharpness.tile_sharpness(edges, box, size),
        "smear": amount,
        "smear_angle_deg": angle,
    }


def _words(lines: np.ndarray, size: tuple[int, int]) -> dict[str, Any]:
    """Shares of the picture under text."""
    subtitles = lines[text.is_subtitle(lines, size)]
    return {
        "text_share": text.text_share(lines, size),
        "subtitle_share": text.text_share(subtitles, size),
        "text_lines": text.count_lines(lines),
    }


def _colour(
    picture: np.ndarray, box: tuple[int, int, int, int], lines: np.ndarray
) -> dict[str, Any]:
    """Colour of a lattice of pixels; the ground is sought beside the text."""
    step = max(1, (max(box[2] - box[0], box[3] - box[1])) // SAMPLE_PX)
    rows, columns = slice(box[1], box[3], step), slice(box[0], box[2], step)
    pixels = picture[rows, columns]
    is_ground = np.ones(pixels.shape[:2], bool)
    corners = np.clip((lines - [*box[:2], *box[:2]]) / step, 0, None)
    for x0, y0, x1, y1 in np.hstack([corners[:, :2], corners[:, 2:] + 1]).astype(int):
        is_ground[y0:y1, x0:x1] = False
    each = pixels.reshape(-1, 3)
    cast_red, cast_yellow = exposure.colour_cast(each)
    return {
        "colourfulness": exposure.colourfulness(each),
        "cast_red": cast_red,
        "cast_yellow": cast_yellow,
        "background_share": exposure.background_share(pixels[is_ground]),
    }
