"""High dynamic range made standard."""

import numpy as np
import pytest

from bunny.video import colour


def _grey(code):
    return np.full((1, 1, 3), round(code * 65535), np.uint16)


@pytest.mark.parametrize(
    ("transfer", "white"),
    # ITU-R BT.2408: reference white of 203 cd/m2 is 58 % of PQ and 75 % of HLG.
    [("pq", 0.5807), ("hlg", 0.75)],
)
def test_reference_white_is_bright_and_peak_is_white(transfer, white):
    peak = {"pq": 0.7518, "hlg": 1.0}[transfer]  # 1000 cd/m2
    shown = colour.to_standard_range(_grey(white), transfer)[0, 0]
    assert np.all(np.abs(shown.astype(int) - 231) <= 4)  # sRGB of 0.8 is 0.906
    assert colour.to_standard_range(_grey(peak), transfer).min() >= 250
    assert colour.to_standard_range(_grey(0), transfer).max() == 0


def test_brighter_codes_are_never_darker():
    ramp = np.linspace(0, 65535, 500).round().astype(np.uint16)[None, :, None].repeat(3, axis=2)
    for transfer in ("pq", "hlg"):
        shown = colour.to_standard_range(ramp, transfer)[0, :, 0].astype(int)
        assert np.all(np.diff(shown) >= 0) and shown[-1] == 255


def test_grey_stays_grey():
    shown = colour.to_standard_range(_grey(0.4), "pq")[0, 0].astype(int)
    assert np.ptp(shown) <= 1
