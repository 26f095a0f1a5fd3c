"""What a container and a frame say beside pixels: rate, orientation, light, timecode."""

import math
import struct
from fractions import Fraction

import av

RATE_TOLERANCE = 1e-5  # whole and NTSC rates are 1e-3 apart; a millisecond of 100 s is 1e-5
MATRIX_BYTES = 36  # nine 32-bit numbers


def standard_rate(rate: Fraction) -> Fraction:
    """Make a rate that was measured from rounded times the whole or NTSC rate that it is.

    Parameters
    ----------
    rate : Fraction
        Frames per second; 0 when unknown.

    Returns
    -------
    Fraction
        A whole number, or one times 1000 / 1001, within 1e-5 of `rate`; else `rate`.
    """
    for unit in (Fraction(1), Fraction(1000, 1001)):
        near = round(rate / unit) * unit
        if near and abs(rate / near - 1) < RATE_TOLERANCE:
            return near
    return rate


def orientation(frame: av.VideoFrame) -> tuple[int, bool]:
    """How a picture is to be shown.

    Returns
    -------
    rotation_deg : int
        Counter-clockwise turn: 0, 90, 180 or 270.
    is_mirrored : bool
        Left and right are exchanged before the turn.

    Notes
    -----
    The display matrix of ISO/IEC 14496-12 maps (x, y) to (a x + c y, b x + d y), y downward.
    """
    found = _side_data(frame, "DISPLAYMATRIX")
    if len(found) < MATRIX_BYTES:
        return 0, False
    a, b, _, c, d = struct.unpack_from("=5i", found)
    is_mirrored = a * d - b * c < 0
    if is_mirrored:
        a, b = -a, -b
    return -round(math.degrees(math.atan2(b, a)) / 90) * 90 % 360, is_mirrored


def peak_nits(frame: av.VideoFrame) -> float | None:
    """Brightest light that a film says it holds (MaxCLL, CTA-861.3), in cd/m2.

    Where it does not say, that of the display it was made on (SMPTE ST 2086); None without either.
    """
    light = _side_data(frame, "CONTENT_LIGHT_LEVEL")  # struct AVContentLightMetadata
    if len(light) >= 8 and (most := struct.unpack_from("=I", light)[0]):
        return float(most)
    display = _side_data(frame, "MASTERING_DISPLAY_METADATA")  # AVMasteringDisplayMetadata
    if len(display) < 88:
        return None
    most, per, _, has_luminance = struct.unpack_from("=4i", display, 72)
    return most / per if has_luminance and most > 0 and per > 0 else None


def timecode(container, stream) -> str | None:
    """SMPTE timecode of the first frame: the stream's, a timecode track's, or the container's."""
    tags = [stream.metadata, *(s.metadata for s in container.streams), container.metadata]
    found = (value for tag in tags for key, value in tag.items() if key.lower() == "timecode")
    return next((value for value in found if value), None)


def _side_data(frame: av.VideoFrame, name: str) -> bytes:
    """What a frame carries beside its pixels, as FFmpeg's struct; empty when there is none."""
    return next((bytes(part) for part in frame.side_data if part.type.name == name), b"")
