"""Pictures that teach drawings from photographs: photographs redrawn, and both worn down.

A photograph and its own redrawing show the same things, so what tells them apart is how they were
made. Films come scaled, compressed, grey or grainy, references as small crops: the classifier sees
pictures in all of these states.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

REDRAWN_PX = (360, 640)  # longer side at which a photograph is redrawn
CROP_PX = 64  # shorter side of a crop is no less
LEAST_PX = 72  # longer side of what scaling down leaves
LINE_RATIO = 1.6  # of the two blurs whose difference is a line (Winnemoeller 2011, XDoG)
DARK = 60  # grey levels: lines are darker


def redraw(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a photograph anew in one of six manners.

    Flat areas of one colour with outlines; few colours with outlines; pencil on paper; flat areas
    alone; paint; flat areas with steps of shade. Colours are often made stronger.

    Parameters
    ----------
    image : np.ndarray, shape (height, width, 3), uint8
        BGR.
    rng : np.random.Generator

    Returns
    -------
    np.ndarray, shape (height', width', 3), uint8
        Longer side within `REDRAWN_PX`.
    """
    scale = rng.uniform(*REDRAWN_PX) / max(image.shape[:2])
    image = _scaled(image, scale)
    manner = str(rng.choice(list(MANNER), p=[share for _, share in MANNER.values()]))
    drawn = MANNER[manner][0](image, rng)
    has_lines = manner != "flat" and not (manner == "paint" and rng.random() < 0.3)
    if has_lines:
        drawn = _with_lines(drawn, image, rng)
    if manner != "pencil" and rng.random() < 0.6:
        drawn = _stronger(drawn, rng)
    return drawn


def wear_down(image: np.ndarray, rng: np.random.Generator, crop_share: float) -> np.ndarray:
    """Crop, scale, blur, bleach, grain and compress a picture, each now and then.

    Parameters
    ----------
    image : np.ndarray, shape (height, width, 3), uint8
        BGR.
    rng : np.random.Generator
    crop_share : float
        How often a part is cut out, in [0, 1].
    """
    if rng.random() < crop_share and min(image.shape[:2]) > CROP_PX:
        image = _crop(image, rng)
    if rng.random() < 0.6:
        factor = np.exp(rng.uniform(np.log(0.3), np.log(2)))
        image = _scaled(image, max(factor, LEAST_PX / max(image.shape[:2])))
    if rng.random() < 0.25:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.8))
    if rng.random() < 0.2:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    if rng.random() < 0.5:
        image = _tone(image, rng)
    if rng.random() < 0.25:
        image = _grain(image, rng)
    if rng.random() < 0.6:
        quality = int(rng.integers(20, 91))
        image = cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1)
    return image


def _flat(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Areas of one colour, by mean shift."""
    return cv2.pyrMeanShiftFiltering(image, int(rng.integers(6, 16)), int(rng.integers(18, 45)))


def _few_colours(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Six to 27 colours, by k-means in CIELAB."""
    for _ in range(int(rng.integers(2, 5))):
        image = cv2.bilateralFilter(image, 7, 40, 5)
    lab = cv2.cvtColor(image, cv2.COLOR_BGR2LAB)
    pixels = lab.reshape(-1, 3).astype(np.float32)
    cv2.setRNGSeed(int(rng.integers(1_000_000)))
    sample = pixels[rng.integers(0, len(pixels), 3000)]
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 12, 1)
    wanted = int(rng.integers(6, 28))
    _, _, colours = cv2.kmeans(sample, wanted, None, stop, 1, cv2.KMEANS_PP_CENTERS)
    nearest, least = np.zeros(len(pixels), np.uint8), np.full(len(pixels), np.inf, np.float32)
    for index, colour in enumerate(colours):
        distance = ((pixels - colour) ** 2).sum(axis=1)
        is_nearer = distance < least
        least[is_nearer], nearest[is_nearer] = distance[is_nearer], index
    area = cv2.medianBlur(nearest.reshape(lab.shape[:2]), 5)
    return cv2.cvtColor(colours.astype(np.uint8)[area], cv2.COLOR_LAB2BGR)


def _paper(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Paper, now and then with a wash of the colours."""
    paper = np.full_like(image, int(rng.integers(225, 256)))
    if rng.random() < 0.4:
        return cv2.addWeighted(paper, 0.75, cv2.bilateralFilter(image, 9, 60, 9), 0.25, 0)
    return paper


def _paint(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Brush-like areas."""
    return cv2.stylization(image, sigma_s=rng.uniform(20, 60), sigma_r=rng.uniform(0.3, 0.6))


def _shade(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Areas of one colour, darker by steps where the picture is dark."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32)
    step = np.round(cv2.GaussianBlur(grey, (0, 0), 9) / rng.uniform(40, 70)) * 0.12 - 0.2
    area = cv2.pyrMeanShiftFiltering(image, 12, 40)
    return _byte(area * (1 + 0.25 * step[..., None]))


# What draws the areas, and how often.
MANNER: dict[str, tuple[Callable[[np.ndarray, np.random.Generator], np.ndarray], float]] = {
    "outlined": (_flat, 0.25),
    "few": (_few_colours, 0.20),
    "pencil": (_paper, 0.08),
    "flat": (_flat, 0.10),
    "paint": (_paint, 0.20),
    "shade": (_shade, 0.17),
}


def _with_lines(drawn: np.ndarray, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Dark lines where the picture has edges, by a difference of blurs."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    grey = cv2.bilateralFilter(grey, 7, 35, 5).astype(np.float32) / 255
    sigma = rng.uniform(0.6, 1.4)
    narrow = cv2.GaussianBlur(grey, (0, 0), sigma)
    wide = cv2.GaussianBlur(grey, (0, 0), sigma * LINE_RATIO)
    edge = narrow - 0.985 * wide - rng.uniform(-0.006, 0.004)
    clear = np.clip(1 + np.tanh(edge * rng.uniform(80, 250)), 0, 1)[..., None]
    ink = rng.uniform(0, DARK, 3) if rng.random() < 0.5 else np.zeros(3)
    return _byte(drawn * clear + ink * (1 - clear))


def _stronger(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Colours more or less saturated and bright, one time in five turned round."""
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV).astype(np.float32)
    hsv[..., 1] *= rng.uniform(0.9, 1.7)
    hsv[..., 2] = hsv[..., 2] * rng.uniform(0.95, 1.3) + rng.uniform(-5, 20)
    turn = rng.uniform(0, 180) if rng.random() < 0.2 else 0.0
    hsv[..., 0] = (hsv[..., 0] + turn) % 180
    return cv2.cvtColor(_byte(hsv), cv2.COLOR_HSV2BGR)


def _crop(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A part of a fifth to four fifths of the shorter side, about as wide as high."""
    height, width = image.shape[:2]
    side, aspect = rng.uniform(0.2, 0.8) * min(height, width), np.exp(rng.uniform(-0.2, 0.2))
    wide = int(min(width, max(CROP_PX, side * aspect)))
    tall = int(min(height, max(CROP_PX, side / aspect)))
    x, y = rng.integers(0, width - wide + 1), rng.integers(0, height - tall + 1)
    return image[y : y + tall, x : x + wide]


def _tone(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Other saturation, contrast and brightness."""
    pixels = image.astype(np.float32)
    grey = pixels.mean(axis=2, keepdims=True)
    pixels = grey + (pixels - grey) * rng.uniform(0.4, 1.5)
    return _byte((pixels - 110) * rng.uniform(0.5, 1.3) + 110 + rng.uniform(-35, 35))


def _grain(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Noise of film or sensor, mostly without colour, fine or coarse."""
    planes = 3 if rng.random() < 0.3 else 1
    noise = rng.normal(0, rng.uniform(1, 9), (*image.shape[:2], planes))
    if rng.random() < 0.5:
        noise = 2 * cv2.GaussianBlur(noise, (0, 0), 0.8).reshape(noise.shape)
    return _byte(image + noise)


def _scaled(image: np.ndarray, factor: float) -> np.ndarray:
    """Scale by a factor, no side below one pixel."""
    size = tuple(max(1, round(side * factor)) for side in image.shape[1::-1])
    mode = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return cv2.resize(image, size, interpolation=mode)


def _byte(values: np.ndarray) -> np.ndarray:
    """Clip to 0-255."""
    return np.clip(values, 0, 255).astype(np.uint8)
