"""Container metadata (frame rate, rotation, peak light, timecode) and file signatures."""

import io
import math
import re
import struct
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, cast

import av

from bunny.core import film_file
from bunny.core.film_file import FilmPlace

RATE_TOLERANCE = 1e-5  # whole and NTSC rates are 1e-3 apart; a millisecond of 100 s is 1e-5
MATRIX_BYTES = 36  # nine 32-bit numbers

MP4_BOX = frozenset({b"ftyp", b"mdat", b"wide", b"free", b"moov"})
# A sample entry's scheme box: ISO/IEC 23001-7 (common encryption), and Microsoft's PIFF.
SCHEME = re.compile(rb"schm.{4}(cenc|cens|cbc1|cbcs|piff)", re.DOTALL)
MOST_INDEX_BYTES = 64 << 20  # of a moov box that is read
SIGNATURE = (
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"\x89PNG", "a PNG picture"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"%PDF", "a PDF document"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"<!DOCTYPE", "a web page"),
    (b"<html", "a web page"),
)


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
    """Orientation in which a picture is to be shown.

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
    parts = cast(Iterable[Any], frame.side_data)  # a mapping that iterates over its values
    return next((bytes(part) for part in parts if part.type.name == name), b"")


def describe_content(path: FilmPlace) -> str | None:
    """Say what a file that is no film is; None when its first bytes do not tell.

    Returns
    -------
    str or None
        Words that follow "found": what it is, a semicolon, what to do.
    """
    with film_file.open_bytes(path) as file:
        head = file.read(4096)
    for signature, words in SIGNATURE:
        if head.lower().startswith(signature.lower()):
            return f"{words}; give the film itself"
    if not head:
        return "an empty file (0 bytes); copy it again"
    if head[4:8] in MP4_BOX and "moov" not in dict(_top_boxes(path)):
        return (
            "an MP4 file without its index (moov atom), so it is truncated; copy or record it again"
        )
    if _is_text(head):
        return "a text file; give the film itself"
    return None


def is_encrypted(path: FilmPlace) -> bool:
    """Whether an MP4's pictures are under DRM: without the key they decode to noise, or not."""
    with film_file.open_bytes(path) as file:
        if file.read(8)[4:] not in MP4_BOX:
            return False
        boxes = _top_boxes(path)  # of a fragmented film many follow the index
        at, length = next((place for kind, place in boxes if kind == "moov"), (0, 0))
        file.seek(at)
        return SCHEME.search(file.read(min(length, MOST_INDEX_BYTES))) is not None


def media_ranges(path: FilmPlace) -> list[tuple[int, int]]:
    """Ranges (start, end) of an MP4 that hold nothing but packets; empty of other films.

    Times, sizes and keyframes of its packets are in its index, unless it is fragmented.
    """
    found = []
    with film_file.open_bytes(path) as file:
        if file.read(8)[4:] not in MP4_BOX:
            return []
    for kind, (at, length) in _top_boxes(path):
        if kind in ("moof", "sidx", "styp"):
            return []
        if kind == "mdat":
            found.append((at + 16, at + length))
    return found


def _top_boxes(path: FilmPlace) -> Iterator[tuple[str, tuple[int, int]]]:
    """Outermost boxes of an MP4 (ISO/IEC 14496-12): type, and offset and length."""
    with film_file.open_bytes(path) as file:
        at, size = 0, file.seek(0, io.SEEK_END)
        while at + 8 <= size:
            file.seek(at)
            head = file.read(16)
            length = int.from_bytes(head[:4], "big")
            if length == 1:
                length = int.from_bytes(head[8:16], "big")
            length = length if length >= 8 else size - at
            yield head[4:8].decode("latin-1"), (at, length)
            at += length


def _is_text(head: bytes) -> bool:
    """Whether bytes are UTF-8 without control characters."""
    try:
        text = head[: len(head) // 4 * 4 or len(head)].decode("utf-8", "strict")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:
            return False
        text = head[: error.start].decode()
    return all(c.isprintable() or c in "\r\n\t\f" for c in text)
