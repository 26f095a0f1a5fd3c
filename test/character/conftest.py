"""Pictures built once for these tests."""

import cv2
import numpy as np
import pytest


@pytest.fixture(scope="session")
def astronaut() -> np.ndarray:
    """A photograph with one frontal face at about x 178 to 268, y 62 to 176; BGR."""
    from skimage import data

    return np.ascontiguousarray(data.astronaut()[:, :, ::-1])


@pytest.fixture(scope="session")
def plain() -> np.ndarray:
    """A picture without anybody: a soft gradient; BGR."""
    ramp = np.linspace(40, 200, 320, dtype=np.float32)[None].repeat(240, axis=0)
    return cv2.merge([ramp, ramp[:, ::-1], ramp]).astype(np.uint8)
