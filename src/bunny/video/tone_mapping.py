"""HDR to SDR tone mapping and wide-gamut conversion (PQ, HLG, BT.2020, P3) to BT.709.

FFmpeg's filters for it (zscale with tonemap, libplacebo) are in none of PyAV's own builds, and
differ between others; this gives the same picture everywhere.
"""

from collections.abc import Callable
from functools import cache

import numpy as np

FULL_CODE = 65280  # white in FFmpeg's 16-bit RGB: 255 << 8
REFERENCE_WHITE_NITS = 203.0  # diffuse white in HDR, ITU-R BT.2408; white of the SDR picture
DEFAULT_PEAK_NITS = 1000.0  # of films that do not say; also of HLG, ITU-R BT.2100
PQ_PEAK_NITS = 10_000.0
PQ_M1, PQ_M2 = 2610 / 16384, 2523 / 4096 * 128  # SMPTE ST 2084, also ITU-R BT.2100
PQ_C1, PQ_C2, PQ_C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
HLG_A, HLG_B, HLG_C = 0.17883277, 0.28466892, 0.55991073  # ITU-R BT.2100
HLG_GAMMA = 1.2  # system gamma of a 1000 nit display, ITU-R BT.2100
BT2020_LUMA = np.array([0.2627, 0.6780, 0.0593], np.float32)
SDR_GAMMA = 2.4  # of a display, ITU-R BT.1886
HABLE = (0.15, 0.50, 0.10, 0.20, 0.02, 0.30)  # A-F of J. Hable 2010, "Filmic Tonemapping"
STRIP_LINES = 32
D65 = (0.3127, 0.3290)
# Chromaticities (x, y) of red, green and blue: ITU-R BT.709, BT.2020, SMPTE EG 432-1.
PRIMARIES = {
    "bt709": ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    "bt2020": ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    "p3-d65": ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}


def to_standard_range(
    picture: np.ndarray,
    transfer: str,
    *,
    primaries: str = "bt2020",
    curve: str = "bt2390",
    peak_nits: float | None = None,
) -> np.ndarray:
    """Make an HDR picture one that ordinary screens and models read.

    Parameters
    ----------
    picture : np.ndarray, shape (height, width, 3), uint16
        RGB encoded by `transfer`, white is 65280.
    transfer : {"pq", "hlg"}
    primaries : {"bt2020", "p3-d65", "bt709"}
    curve : {"bt2390", "hable", "reinhard", "clip"}
        Which of `CURVE` maps brightness.
    peak_nits : float, optional
        Brightest light of the film in cd/m2; 1000 when it is not known. Not used for HLG, whose
        peak is that of the display.

    Returns
    -------
    np.ndarray, shape (height, width, 3), uint8
        RGB with BT.709 primaries, sRGB-encoded.

    Notes
    -----
    The curve is applied to the largest channel and the others follow it, so hues stay; what lies
    outside BT.709 is clipped.
    """
    gain = _gain_table(curve, (transfer == "pq" and peak_nits) or DEFAULT_PEAK_NITS)
    matrix = to_bt709(primaries).T

    def convert(part: np.ndarray) -> np.ndarray:
        nits = _light_table(transfer)[part]
        if transfer == "hlg":
            luminance = np.maximum(nits @ BT2020_LUMA, 1e-6)[..., None]
            nits *= (luminance / DEFAULT_PEAK_NITS) ** (HLG_GAMMA - 1)
        place = np.sqrt(nits.max(axis=-1) / PQ_PEAK_NITS) * 65535 + 0.5
        nits *= gain[place.astype(np.uint16)][..., None]
        return _encode(nits @ matrix, "srgb")

    return _by_strips(picture, convert)


def to_standard_gamut(picture: np.ndarray, primaries: str) -> np.ndarray:
    """Make a wide-gamut picture of standard dynamic range one with BT.709 primaries.

    Parameters
    ----------
    picture : np.ndarray, shape (height, width, 3), uint16
        RGB, white is 65280, for a display of gamma 2.4 (ITU-R BT.1886).
    primaries : {"bt2020", "p3-d65", "bt709"}

    Returns
    -------
    np.ndarray, shape (height, width, 3), uint8
        RGB for the same display; greys keep their values, colours outside BT.709 are clipped
        (ITU-R BT.2407).
    """
    matrix = to_bt709(primaries).T
    return _by_strips(picture, lambda part: _encode(_light_table("sdr")[part] @ matrix, "sdr"))


@cache
def to_bt709(primaries: str) -> np.ndarray:
    """Matrix from linear RGB of some primaries to that of BT.709; shape (3, 3), float32.

    Notes
    -----
    SMPTE RP 177: each set's RGB to XYZ, where (1, 1, 1) is D65.
    """
    matrix = np.linalg.inv(_to_xyz("bt709")) @ _to_xyz(primaries)
    return matrix.astype(np.float32)


def _tone_bt2390(nits: np.ndarray, peak_nits: float) -> np.ndarray:
    """Roll highlights off by a Hermite spline in PQ, above a knee; below it nothing changes.

    EETF of ITU-R BT.2390, section 5.4.1, with black at 0 and the target's peak at 203 cd/m2.
    """
    scale = encode_pq(np.float64(peak_nits))
    most = min(1.0, float(encode_pq(np.float64(REFERENCE_WHITE_NITS)) / scale))
    knee = 1.5 * most - 0.5
    code = np.minimum(encode_pq(nits) / scale, 1)
    t = (code - knee) / max(1 - knee, 1e-9)
    rolled = (
        (2 * t**3 - 3 * t**2 + 1) * knee
        + (t**3 - 2 * t**2 + t) * (1 - knee)
        + (3 * t**2 - 2 * t**3) * most
    )
    return decode_pq(np.where(code < knee, code, rolled) * scale) / REFERENCE_WHITE_NITS


def _tone_hable(nits: np.ndarray, peak_nits: float) -> np.ndarray:
    """Filmic curve of J. Hable 2010 (Uncharted 2); parameters as in `_tone_bt2390`."""
    a, b, c, d, e, f = HABLE

    def shape(x):
        return (x * (a * x + c * b) + d * e) / (x * (a * x + b) + d * f) - e / f

    white = REFERENCE_WHITE_NITS
    return shape(nits / white) / shape(peak_nits / white)


def _tone_reinhard(nits: np.ndarray, peak_nits: float) -> np.ndarray:
    """Extended curve of Reinhard et al. 2002, equation 4; parameters as in `_tone_bt2390`."""
    light, white = nits / REFERENCE_WHITE_NITS, peak_nits / REFERENCE_WHITE_NITS
    return light * (1 + light / white**2) / (1 + light)


def _tone_clip(nits: np.ndarray, peak_nits: float) -> np.ndarray:
    """No curve: light up to 203 cd/m2 stays, all above is white."""
    return nits / REFERENCE_WHITE_NITS


CURVE: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "bt2390": _tone_bt2390,
    "hable": _tone_hable,
    "reinhard": _tone_reinhard,
    "clip": _tone_clip,
}


def encode_pq(nits: np.ndarray | np.floating) -> np.ndarray:
    """PQ code in [0, 1] of light in cd/m2 (SMPTE ST 2084)."""
    power = (np.asarray(nits) / PQ_PEAK_NITS) ** PQ_M1
    return ((PQ_C1 + PQ_C2 * power) / (1 + PQ_C3 * power)) ** PQ_M2


def decode_pq(code: np.ndarray) -> np.ndarray:
    """Light in cd/m2 of a PQ code in [0, 1] (SMPTE ST 2084)."""
    root = np.asarray(code) ** (1 / PQ_M2)
    return PQ_PEAK_NITS * (np.maximum(root - PQ_C1, 0) / (PQ_C2 - PQ_C3 * root)) ** (1 / PQ_M1)


@cache
def _light_table(transfer: str) -> np.ndarray:
    """Linear light of each 16-bit code, float32: in cd/m2, of SDR in [0, 1]."""
    code = np.minimum(np.arange(65536, dtype=np.float64) / FULL_CODE, 1)
    if transfer == "pq":
        light = decode_pq(code)
    elif transfer == "hlg":
        low, high = code**2 / 3, (np.exp((code - HLG_C) / HLG_A) + HLG_B) / 12
        light = DEFAULT_PEAK_NITS * np.where(code <= 0.5, low, high)
    else:
        light = code**SDR_GAMMA
    return light.astype(np.float32)


@cache
def _gain_table(curve: str, peak_nits: float) -> np.ndarray:
    """What 1 cd/m2 becomes, by the square root of a pixel's largest channel; float32."""
    nits = PQ_PEAK_NITS * (np.arange(65536) / 65535) ** 2
    nits[0] = nits[1]
    peak = min(max(peak_nits, REFERENCE_WHITE_NITS), PQ_PEAK_NITS)
    light = CURVE[curve](nits, peak)
    return (np.minimum(light, 1) / nits).astype(np.float32)


@cache
def _code_table(encoding: str) -> np.ndarray:
    """8-bit code by the square root of linear light in 65536 steps: the dark needs the finer."""
    light = (np.arange(65536) / 65535) ** 2
    if encoding == "srgb":  # IEC 61966-2-1
        bent = 1.055 * light ** (1 / 2.4) - 0.055
        code = np.where(light <= 0.0031308, 12.92 * light, bent)
    else:
        code = light ** (1 / SDR_GAMMA)
    return (code * 255 + 0.5).astype(np.uint8)


def _by_strips(picture: np.ndarray, convert: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Convert some lines at a time: their floats stay small and near."""
    parts = (picture[at : at + STRIP_LINES] for at in range(0, len(picture), STRIP_LINES))
    return np.concatenate([convert(part) for part in parts])


def _encode(light: np.ndarray, encoding: str) -> np.ndarray:
    """Encode linear light; what lies outside [0, 1] is clipped."""
    root = np.sqrt(np.clip(light, 0, 1))
    return _code_table(encoding)[(root * 65535 + 0.5).astype(np.uint16)]


def _to_xyz(primaries: str) -> np.ndarray:
    """Matrix from linear RGB to XYZ, shape (3, 3)."""
    columns = np.array([(x / y, 1, (1 - x - y) / y) for x, y in PRIMARIES[primaries]]).T
    x, y = D65
    return columns * np.linalg.solve(columns, np.array([x / y, 1, (1 - x - y) / y]))
