"""How kohya's sd-scripts reads a folder: which names count and which bucket a picture gets.

Followed from its source, `library/config_util.py`, `library/train_util.py` and
`library/model_util.py` as of February 2026.
"""

from __future__ import annotations

import math
import re
import unicodedata

Size = tuple[int, int]  # width, height, pixels

EXTENSIONS = frozenset(("png", "jpg", "jpeg", "webp", "bmp"))  # in lower or in upper case
MIN_BUCKET_PX, MAX_BUCKET_PX, STEP_PX = 256, 1024, 64  # its defaults
FOLDER_BYTES = 200  # of a folder's name; file systems allow 255


def is_picture(name: str) -> bool:
    """Whether a file is read as a picture: ``.PNG`` is, ``.Png`` and names with a dot first not.

    Examples
    --------
    >>> is_picture("1.PNG"), is_picture("1.Png"), is_picture(".1.png"), is_picture("1.gif")
    (True, False, False, False)
    """
    stem, dot, extension = name.rpartition(".")
    is_known = extension.lower() in EXTENSIONS and extension in (
        extension.lower(),
        extension.upper(),
    )
    return bool(stem and dot) and is_known and not name.startswith(".")


def parse_folder(name: str) -> tuple[int, str] | None:
    """Repeats and class tokens of a folder's name; None when the trainer passes it over.

    Examples
    --------
    >>> parse_folder("3_anna woman"), parse_folder("anna"), parse_folder("0_anna")
    ((3, 'anna woman'), None, None)
    """
    head, _, tokens = name.partition("_")
    try:
        repeats = int(head)
    except ValueError:
        return None
    return (repeats, tokens) if repeats >= 1 else None


def folder_name(repeats: int, subject: str) -> str:
    """A folder name that gives `repeats` and `subject` back, safe on every file system.

    Examples
    --------
    >>> folder_name(2, "zoë/x: woman")
    '2_zoë x woman'
    """
    plain = unicodedata.normalize("NFC", subject)
    plain = "".join(" " if unicodedata.category(c)[0] == "C" else c for c in plain)
    plain = " ".join(re.sub(r'[/\\:*?"<>|\[\]]+', " ", plain).split())
    plain = plain.encode()[:FOLDER_BYTES].decode(errors="ignore").strip(". ")
    return f"{repeats}_{plain or 'subject'}"


def bucket_range(resolution_px: int, step_px: int) -> tuple[int, int]:
    """Shortest and longest side of buckets that we write into a configuration.

    Half and twice the resolution in whole steps, as the trainer's defaults are for 512.

    Examples
    --------
    >>> bucket_range(512, 64), bucket_range(128, 64), bucket_range(768, 64)
    ((256, 1024), (64, 256), (384, 1536))
    """
    least = max(step_px, resolution_px // 2 // step_px * step_px)
    return least, -(-2 * resolution_px // step_px) * step_px


def sizes(resolution_px: int, least_px: int, most_px: int, step_px: int) -> list[Size]:
    """Buckets of a resolution, as ``make_bucket_resolutions`` gives them.

    Examples
    --------
    >>> sizes(256, 128, 512, 128)
    [(128, 384), (128, 512), (256, 256), (384, 128), (512, 128)]
    """
    area = resolution_px**2
    side = math.isqrt(area) // step_px * step_px
    found = {(side, side)}
    for width in range(least_px, most_px + 1, step_px):
        height = min(most_px, area // width // step_px * step_px)
        if height >= least_px:
            found |= {(width, height), (height, width)}
    return sorted(found)


def fit(size: Size, buckets: list[Size]) -> tuple[Size, float]:
    """Which bucket a picture gets, enlarged where it is too small, and by how much.

    Parameters
    ----------
    size : (width, height)
        Of the picture, pixels.
    buckets : list of (width, height)
        Sorted, see `sizes`.

    Returns
    -------
    (width, height)
        A bucket of the very size, else the one whose aspect ratio differs least; the first of
        equals.
    scale : float
        From picture to bucket before the middle is cut out; above 1 it is enlarged.

    Notes
    -----
    ``BucketManager.select_bucket`` without ``bucket_no_upscale``.

    Examples
    --------
    >>> fit((100, 50), [(128, 512), (256, 256), (512, 128)])
    ((256, 256), 5.12)
    """
    width, height = size
    ratio = width / height
    bucket = size if size in buckets else min(buckets, key=lambda b: abs(b[0] / b[1] - ratio))
    is_wider = ratio > bucket[0] / bucket[1]
    return bucket, bucket[1] / height if is_wider else bucket[0] / width


def fit_smaller(size: Size, area: int, step_px: int) -> tuple[Size, float]:
    """Which bucket a picture gets that is never enlarged (``bucket_no_upscale``).

    Parameters
    ----------
    size : (width, height)
    area : int
        Of the resolution, pixels; larger pictures are shrunk to it.
    step_px : int

    Returns
    -------
    (width, height)
        0 on a side that is shorter than `step_px`: the trainer fails on it.
    scale : float
        At most 1.

    Examples
    --------
    >>> fit_smaller((100, 200), 512 * 512, 64)
    ((64, 192), 1.0)
    """
    width, height = size
    if width * height <= area:
        return (width - width % step_px, height - height % step_px), 1.0
    ratio = width / height
    by_width = _round(math.sqrt(area * ratio), step_px)
    by_height = _round(math.sqrt(area / ratio), step_px)
    height_of_it = _round(by_width / ratio, step_px)
    if not height_of_it or not by_height:
        return (by_width, by_height and height_of_it), 1.0
    wide = by_width / height_of_it
    high = _round(by_height * ratio, step_px) / by_height
    if abs(wide - ratio) < abs(high - ratio):
        new = (by_width, int(by_width / ratio + 0.5))
    else:
        new = (int(by_height * ratio + 0.5), by_height)
    return (new[0] - new[0] % step_px, new[1] - new[1] % step_px), new[0] / width


def cut_share(size: Size, bucket: Size, scale: float) -> float:
    """Share of a picture that is cut off to fit its bucket, in [0, 1].

    Examples
    --------
    >>> cut_share((100, 50), (256, 256), 5.12)
    0.5
    """
    area = size[0] * size[1] * scale**2
    return max(0.0, round(1 - bucket[0] * bucket[1] / area, 6))


def _round(value: float, step_px: int) -> int:
    """Down to whole steps, as ``round_to_steps``."""
    whole = int(value + 0.5)
    return whole - whole % step_px
