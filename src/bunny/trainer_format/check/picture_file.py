"""Single pictures and captions as a trainer reads them, and the listing of a folder."""

from __future__ import annotations

import hashlib
import os
import re
import struct
import warnings
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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

TRAIN, HELD_OUT, CLASS = "train", "held-out", "class"
PICTURES = frozenset(  # by extension; what a person would call a picture
    (
        ".png",
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".webp",
        ".bmp",
        ".gif",
        ".tif",
        ".tiff",
        ".avif",
        ".heic",
        ".heif",
        ".jxl",
        ".apng",
        ".tga",
        ".ppm",
        ".pgm",
        ".pbm",
        ".jp2",
    )
)
METADATA = ("metadata.jsonl", "metadata.csv", "metadata.parquet")
MASKS = frozenset(("mask", "masks"))
JUNK = re.compile(r"^(thumbs\.db|desktop\.ini|\.ds_store|\._.*)$", re.I)
JUNK_FOLDERS = frozenset((".ipynb_checkpoints", "__macosx", ".git", "__pycache__", "@eadir"))
TOO_DEEP = "in a nested folder: only one level is read"


@dataclass(frozen=True, kw_only=True)
class FileProblem:
    """Problem of a file and its effect on training."""

    effect: str  # one of `EFFECTS`
    reason: str


@dataclass(frozen=True, kw_only=True)
class LoadedPicture:
    """A picture as it comes out of the trainer's reader."""

    size: tuple[int, int] | None = None  # width, height, pixels; None: unreadable
    digest: str | None = None  # SHA-256 of its RGB pixels and size
    problems: tuple[FileProblem, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CaptionRule:
    """What captions must have and how much of them a trainer reads."""

    trigger: str = ""  # word that every caption of the character has; empty: not asked for
    # Tokens of a text without begin and end; None: the fewest that CLIP can make of it.
    count_tokens: Callable[[str], int] | None = None
    max_tokens: int = MAX_TOKENS


def inspect_picture(path: Path, *, is_turned: bool) -> LoadedPicture:
    """Read a picture to its last byte, as training will.

    Parameters
    ----------
    is_turned : bool
        Whether the trainer turns a picture as its EXIF says: `datasets` does, kohya does not.

    Returns
    -------
    LoadedPicture
        A picture that cannot be read has no size.
    """
    from PIL import Image, ImageFile, ImageOps

    if not path.is_file():
        return _stops("file not found")
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
                problems = _inspect_mode(image, num_frames)
                is_lying = image.getexif().get(ORIENTATION, 1) not in (0, 1)
                shown = ImageOps.exif_transpose(image) if is_lying and is_turned else image
                pixels = shown.convert("RGB")
    except (*DAMAGE, struct.error, zlib.error, Image.DecompressionBombError) as error:
        return _stops(f"cannot be read ({_short(error)})")
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = is_lenient
    if is_lying and not is_turned:
        problems.append(_changed("rotated by its EXIF orientation, which this trainer ignores"))
    digest = hashlib.sha256(repr(pixels.size).encode() + pixels.tobytes()).hexdigest()
    return LoadedPicture(size=pixels.size, digest=digest, problems=tuple(problems))


def inspect_caption(text: str | None, rule: CaptionRule) -> list[FileProblem]:
    """Find the problem of a caption, if any.

    Parameters
    ----------
    text : str or None
        None: there is none.

    Examples
    --------
    >>> [p.reason for p in inspect_caption("a woman", CaptionRule(trigger="anna"))]
    ["the trigger word 'anna' is not in the caption"]
    """
    if text is None:
        return [_changed("no caption: trained without a prompt")]
    if not text.strip():
        return [_changed("empty caption: trained without a prompt")]
    problems = []
    if rule.trigger and not re.search(rf"(?<!\w){re.escape(rule.trigger)}(?!\w)", text, re.I):
        reason = f"the trigger word {rule.trigger!r} is not in the caption"
        problems.append(FileProblem(effect=DOUBT, reason=reason))
    num_tokens = (rule.count_tokens or _min_tokens)(text)
    if num_tokens > rule.max_tokens:
        reason = f"caption longer than {rule.max_tokens} tokens: the rest is truncated"
        problems.append(_changed(reason))
    return problems


def _min_tokens(text: str) -> int:
    """The fewest tokens that CLIP's tokenizer can make of a text.

    Words and runs of signs are one each at least, every digit is one.

    Examples
    --------
    >>> _min_tokens("anna's cat, 12 years")
    7
    """
    return len(PIECE.findall(text))


def _inspect_mode(image, num_frames: int) -> list[FileProblem]:
    """What is lost when a picture is made RGB."""
    problems = []
    if num_frames > 1:
        problems.append(_changed(f"{num_frames} pictures in one file: only the first is read"))
    if image.has_transparency_data:
        alpha = image.convert("RGBA").getchannel("A")
        if alpha.getextrema()[0] < 255:
            problems.append(_changed("transparent: the colour under the transparent parts is used"))
    if image.mode == "CMYK":
        problems.append(
            _changed("CMYK: converted to RGB without its colour profile, so colours shift")
        )
    elif image.mode.startswith(("I", "F")):
        problems.append(_changed("more than 8 bits per channel: truncated to 8 bits"))
    elif image.mode == "P":
        reason = "palette image: 256 colours at most"
        problems.append(FileProblem(effect=DOUBT, reason=reason))
    return problems


def _stops(reason: str) -> LoadedPicture:
    return LoadedPicture(problems=(FileProblem(effect=STOPS, reason=reason),))


def _changed(reason: str) -> FileProblem:
    return FileProblem(effect=CHANGED, reason=reason)


def _short(error: Exception) -> str:
    """The error in a few words and without the path."""
    text = " ".join(str(error).split()) or type(error).__name__
    return "not a picture" if "cannot identify image file" in text else text[:80]


@dataclass(frozen=True, kw_only=True)
class TrainingItem:
    """One picture that the trainer reads."""

    file: Path
    caption: str | None
    role: str = TRAIN
    repeats: int = 1


@dataclass(kw_only=True)
class TrainerListing:
    """Files that a trainer reads, and problems of the rest."""

    items: list[TrainingItem] = field(default_factory=list)
    problems: list[tuple[Path, FileProblem]] = field(default_factory=list)
    settings: Mapping[str, Any] = field(default_factory=dict)  # of kohya's dataset.toml

    def add(self, file: Path, effect: str, reason: str) -> None:
        """Note what is wrong with a file."""
        self.problems.append((file, FileProblem(effect=effect, reason=reason)))


def note_unread(path: Path, folder: Path, listing: TrainerListing, why: str) -> None:
    """Note a file that the trainer does not read: rubbish, or a picture that is lost.

    Parameters
    ----------
    folder : Path
        What was asked about; masks and rubbish are told by the names of folders in it.
    why : str
        Why it is not read, if it is a picture.
    """
    parts = [p.lower() for p in path.relative_to(folder).parts]
    if JUNK.match(parts[-1]) or JUNK_FOLDERS & set(parts[:-1]):
        listing.add(path, DOUBT, "unrelated file of another program: remove it")
    elif path.suffix.lower() in PICTURES and not MASKS & set(parts[:-1]):
        listing.add(path, DROPPED, why)


def list_files(roots: Iterable[Path]) -> list[Path]:
    """All files, links too, in order; links to folders are not followed."""
    found = []
    for root in roots:
        for parent, folders, names in os.walk(root):
            folders.sort()
            found += [Path(parent) / name for name in sorted(names)]
    return found
