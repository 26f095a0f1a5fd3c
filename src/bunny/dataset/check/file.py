"""What a trainer makes of one picture and of one caption."""

from __future__ import annotations

import hashlib
import re
import struct
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# What becomes of a file: the trainer stops at it, passes it over without a word, has seen it in
# training already, trains on something else than what is in it; or it is worth a look.
STOPS, DROPPED, LEAKS, CHANGED, DOUBT = "stops", "dropped", "leaks", "changed", "doubt"
EFFECTS = (STOPS, DROPPED, LEAKS, CHANGED, DOUBT)

MAX_TOKENS = 75  # of CLIP's 77, without begin and end (Radford et al. 2021)
# CLIP's pre-tokenizer: every piece becomes one token or more.
PIECE = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[^\W\d_]+|\d|[^\s\w]+|_+", re.I)
# What decoders raise on damaged files.
DAMAGE = (OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, EOFError)
ORIENTATION = 0x0112  # tag of EXIF; 1 is upright


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What is wrong with a file."""

    effect: str  # one of `EFFECTS`
    reason: str


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A picture as it comes out of the trainer's reader."""

    size: tuple[int, int] | None = None  # width, height, pixels; None: unreadable
    digest: str | None = None  # SHA-256 of its RGB pixels and size
    problems: tuple[Problem, ...] = ()


def look_at_picture(path: Path, *, is_turned: bool) -> Seen:
    """Read a picture to its last byte, as training will.

    Parameters
    ----------
    path : Path
    is_turned : bool
        Whether the trainer turns a picture as its EXIF says: `datasets` does, kohya does not.

    Returns
    -------
    Seen
        A picture that cannot be read has no size.
    """
    from PIL import Image, ImageFile, ImageOps

    if not path.is_file():
        return _stops("there is no such file")
    if path.stat().st_size == 0:
        return _stops("0 bytes")
    is_lenient = ImageFile.LOAD_TRUNCATED_IMAGES  # some packages set it for the whole process
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large pictures: they are read all the same
            with Image.open(path) as image:
                num_frames = getattr(image, "n_frames", 1)
                image.load()
                problems = _look_at_mode(image, num_frames)
                is_lying = image.getexif().get(ORIENTATION, 1) not in (0, 1)
                shown = ImageOps.exif_transpose(image) if is_lying and is_turned else image
                pixels = shown.convert("RGB")
    except (*DAMAGE, struct.error, zlib.error, Image.DecompressionBombError) as error:
        return _stops(f"cannot be read ({_short(error)})")
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = is_lenient
    if is_lying and not is_turned:
        problems.append(_changed("EXIF says that it is turned, which this trainer does not read"))
    digest = hashlib.sha256(repr(pixels.size).encode() + pixels.tobytes()).hexdigest()
    return Seen(size=pixels.size, digest=digest, problems=tuple(problems))


def look_at_caption(
    text: str | None,
    *,
    trigger: str = "",
    count_tokens: Callable[[str], int] | None = None,
    max_tokens: int = MAX_TOKENS,
) -> list[Problem]:
    """What is wrong with a caption.

    Parameters
    ----------
    text : str or None
        None: there is none.
    trigger : str
        Word that every caption of the character has; empty: not asked for.
    count_tokens : callable or None
        Tokens of a text without begin and end; None: the fewest that CLIP can make of it.
    max_tokens : int

    Examples
    --------
    >>> [p.reason for p in look_at_caption("a woman", trigger="anna")]
    ["the trigger word 'anna' is not in the caption"]
    """
    if text is None:
        return [_changed("no caption: trained without words")]
    if not text.strip():
        return [_changed("empty caption: trained without words")]
    problems = []
    if trigger and not re.search(rf"(?<!\w){re.escape(trigger)}(?!\w)", text, re.I):
        reason = f"the trigger word {trigger!r} is not in the caption"
        problems.append(Problem(effect=DOUBT, reason=reason))
    num_tokens = (count_tokens or least_tokens)(text)
    if num_tokens > max_tokens:
        reason = f"caption longer than {max_tokens} tokens: its end is not read"
        problems.append(_changed(reason))
    return problems


def least_tokens(text: str) -> int:
    """The fewest tokens that CLIP's tokenizer can make of a text.

    Words and runs of signs are one each at least, every digit is one.

    Examples
    --------
    >>> least_tokens("anna's cat, 12 years")
    7
    """
    return len(PIECE.findall(text))


def _look_at_mode(image, num_frames: int) -> list[Problem]:
    """What is lost when a picture is made RGB."""
    problems = []
    if num_frames > 1:
        problems.append(_changed(f"{num_frames} pictures in one file: only the first is read"))
    if image.has_transparency_data:
        alpha = image.convert("RGBA").getchannel("A")
        if alpha.getextrema()[0] < 255:
            problems.append(_changed("transparent parts: the colour hidden under them is read"))
    if image.mode == "CMYK":
        problems.append(_changed("CMYK: turned to RGB without its profile, so colours shift"))
    elif image.mode.startswith(("I", "F")):
        problems.append(_changed("more than 8 bits a channel: turned to 8 by cutting off"))
    elif image.mode == "P":
        reason = "a palette: 256 colours at most"
        problems.append(Problem(effect=DOUBT, reason=reason))
    return problems


def _stops(reason: str) -> Seen:
    return Seen(problems=(Problem(effect=STOPS, reason=reason),))


def _changed(reason: str) -> Problem:
    return Problem(effect=CHANGED, reason=reason)


def _short(error: Exception) -> str:
    """The error in a few words and without the path."""
    text = " ".join(str(error).split()) or type(error).__name__
    return "no picture" if "cannot identify image file" in text else text[:80]
