"""Pictures from files."""

import cv2
import numpy as np

from bunny.core import image_file


def _write(path, image):
    path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())
    return path


def test_reads_bgr_under_any_name(tmp_path):
    image = np.zeros((2, 3, 3), np.uint8)
    image[0, 0] = (255, 0, 0)  # blue
    found = image_file.read(_write(tmp_path / "grün ☀.png", image))
    assert found.dtype == np.uint8
    assert np.array_equal(found, image)


def test_reads_a_part_of_the_size(tmp_path):
    path = _write(tmp_path / "large.jpg", np.full((64, 32, 3), 90, np.uint8))
    assert image_file.read(path, cv2.IMREAD_REDUCED_COLOR_4).shape == (16, 8, 3)


def test_gives_none_for_what_is_no_picture(tmp_path):
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_bytes(b"not a picture")
    for name in ("empty.png", "text.png", "missing.png", "."):
        assert image_file.read(tmp_path / name) is None
