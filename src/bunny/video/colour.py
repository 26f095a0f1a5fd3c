"""Pictures of high dynamic range made standard: decoded, tone-mapped, gamut-mapped, encoded."""

from functools import cache

import numpy as np

REFERENCE_WHITE_NITS = 203.0  # diffuse white in HDR, ITU-R BT.2408
PEAK_NITS = 1000.0  # mapped to full white; highlights beyond it clip
PQ_M1, PQ_M2 = 2610 / 16384, 2523 / 4096 * 128  # SMPTE ST 2084, also ITU-R BT.2100
PQ_C1, PQ_C2, PQ_C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
HLG_A, HLG_B, HLG_C = 0.17883277, 0.28466892, 0.55991073  # ITU-R BT.2100
HLG_GAMMA = 1.2  # system gamma of a 1000 nit display, ITU-R BT.2100
BT2020_LUMA = np.array([0.2627, 0.6780, 0.0593], np.float32)
# Linear BT.2020 to linear BT.709, ITU-R BT.2087.
BT2020_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]],
    np.float32,
)


def to_standard_range(picture: np.ndarray, transfer: str) -> np.ndarray:
    """Make an HDR picture one that ordinary screens and models read.

    Parameters
    ----------
    picture : np.ndarray, shape (height, width, 3), uint16
        RGB with BT.2020 primaries, full range 0-65535, encoded by `transfer`.
    transfer : {"pq", "hlg"}

    Returns
    -------
    np.ndarray, shape (height, width, 3), uint8
        RGB with BT.709 primaries, sRGB-encoded.

    Notes
    -----
    Brightness is mapped by the extended curve of Reinhard et al. 2002 on the largest channel, so
    hues stay; the reference white of 203 cd/m2 comes out at about four fifths of linear white.
    """
    light = _light_table(transfer)[picture]
    if transfer == "hlg":
        luminance = np.maximum(light @ BT2020_LUMA, 1e-6)[..., None]
        light = light * luminance ** (HLG_GAMMA - 1)
    light = light * (PEAK_NITS / REFERENCE_WHITE_NITS)
    peak = light.max(axis=-1, keepdims=True)
    white = PEAK_NITS / REFERENCE_WHITE_NITS
    light = light * (1 + peak / white**2) / (1 + peak) * _gain()
    light = np.clip(light @ BT2020_TO_BT709.T, 0, 1)
    return (_srgb(light) * 255 + 0.5).astype(np.uint8)


def _gain() -> float:
    """Exposure after the curve, so that reference white comes out at 0.8 of linear white."""
    white = PEAK_NITS / REFERENCE_WHITE_NITS
    return 0.8 / ((1 + 1 / white**2) / 2)


@cache
def _light_table(transfer: str) -> np.ndarray:
    """Linear light of each 16-bit code, float32; 1 is `PEAK_NITS`."""
    code = np.arange(65536, dtype=np.float64) / 65535
    if transfer == "pq":
        root = code ** (1 / PQ_M2)
        nits = 10_000 * (np.maximum(root - PQ_C1, 0) / (PQ_C2 - PQ_C3 * root)) ** (1 / PQ_M1)
        return (nits / PEAK_NITS).astype(np.float32)
    low, high = code**2 / 3, (np.exp((code - HLG_C) / HLG_A) + HLG_B) / 12
    return np.where(code <= 0.5, low, high).astype(np.float32)


def _srgb(light: np.ndarray) -> np.ndarray:
    """Encode linear light in [0, 1] by IEC 61966-2-1."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
