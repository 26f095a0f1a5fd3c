"""Photographs that come with scikit-image, and ways to spoil a picture by a known amount."""

import cv2
import numpy as np
import pytest
import skimage.data

NATURAL = ("astronaut", "chelsea", "coffee", "rocket", "camera")
TEXTURE = ("brick", "grass", "gravel", "coins", "moon")


def _load(name):
    picture = getattr(skimage.data, name)()
    code = cv2.COLOR_GRAY2BGR if picture.ndim == 2 else cv2.COLOR_RGB2BGR
    return cv2.cvtColor(picture, code)


@pytest.fixture(scope="session")
def photos():
    """Five photographs by name, BGR."""
    return {name: _load(name) for name in NATURAL}


@pytest.fixture(scope="session")
def textures():
    """Five pictures of one texture by name, BGR: traps for all that looks for structure."""
    return {name: _load(name) for name in TEXTURE}


@pytest.fixture(scope="session")
def move():
    """Smear a picture along a line: 0 degrees along the rows, 90 along the columns."""

    def apply(picture, length_px, angle_deg):
        half = int(np.ceil(length_px / 2)) + 1
        kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
        at = np.linspace(-length_px / 2, length_px / 2, 32 * half)
        x, y = (half + at * f(np.radians(angle_deg)) for f in (np.cos, np.sin))
        left, top = np.floor(x).astype(int), np.floor(y).astype(int)
        for dx in (0, 1):  # each point is shared between the four pixels around it
            for dy in (0, 1):
                share = (1 - np.abs(left + dx - x)) * (1 - np.abs(top + dy - y))
                np.add.at(kernel, (top + dy, left + dx), share)
        return cv2.filter2D(picture, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT)

    return apply


@pytest.fixture(scope="session")
def defocus():
    """Blur a picture with a disc, as a lens out of focus does."""

    def apply(picture, radius_px):
        half = int(np.ceil(radius_px))
        y, x = np.mgrid[-half : half + 1, -half : half + 1]
        kernel = np.clip(radius_px + 0.5 - np.hypot(x, y), 0, 1).astype(np.float32)
        return cv2.filter2D(picture, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT)

    return apply


@pytest.fixture(scope="session")
def jpeg():
    """Compress a picture and read it back."""

    def apply(picture, quality):
        _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
        return cv2.imdecode(data, cv2.IMREAD_COLOR)

    return apply
