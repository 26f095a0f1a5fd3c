"""kohya's sd-scripts folders: names, captions and buckets as the trainer reads them.

Followed from its source, `library/config_util.py`, `library/train_util.py` and
`library/model_util.py` of kohya-ss/sd-scripts 48d368f.
"""

from __future__ import annotations

import math
import os
import re
import tomllib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bunny.core.error import UserError
from bunny.trainer_format.check import picture_file as lists
from bunny.trainer_format.check.picture_file import (
    CHANGED,
    CLASS,
    DOUBT,
    DROPPED,
    HELD_OUT,
    STOPS,
    TOO_DEEP,
    TRAIN,
    TrainerListing,
    TrainingItem,
)

Size = tuple[int, int]  # width, height, pixels

EXTENSIONS = frozenset(("png", "jpg", "jpeg", "webp", "bmp"))  # in lower or in upper case
MIN_BUCKET_PX, MAX_BUCKET_PX, STEP_PX = 256, 1024, 64  # its defaults
FOLDER_BYTES = 200  # of a folder's name; file systems allow 255

CONFIG = "dataset.toml"


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


def bucket_sizes(resolution_px: int, least_px: int, most_px: int, step_px: int) -> list[Size]:
    """Buckets of a resolution, as ``make_bucket_resolutions`` gives them.

    Examples
    --------
    >>> bucket_sizes(256, 128, 512, 128)
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


def fit_bucket(size: Size, buckets: list[Size]) -> tuple[Size, float]:
    """Find the bucket of a picture, upscaled where it is too small, and the scale.

    Parameters
    ----------
    size : (width, height)
        Of the picture, pixels.
    buckets : list of (width, height)
        Sorted, see `bucket_sizes`.

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
    >>> fit_bucket((100, 50), [(128, 512), (256, 256), (512, 128)])
    ((256, 256), 5.12)
    """
    width, height = size
    ratio = width / height
    bucket = size if size in buckets else min(buckets, key=lambda b: abs(b[0] / b[1] - ratio))
    is_wider = ratio > bucket[0] / bucket[1]
    return bucket, bucket[1] / height if is_wider else bucket[0] / width


def fit_without_upscale(size: Size, area: int, step_px: int) -> tuple[Size, float]:
    """Find the bucket of a picture that is never upscaled (``bucket_no_upscale``).

    Parameters
    ----------
    area : int
        Of the resolution, pixels; larger pictures are shrunk to it.

    Returns
    -------
    (width, height)
        0 on a side that is shorter than `step_px`: the trainer fails on it.
    scale : float
        At most 1.

    Examples
    --------
    >>> fit_without_upscale((100, 200), 512 * 512, 64)
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


def _round(value: float, step_px: int) -> int:
    """Down to whole steps, as ``round_to_steps``."""
    whole = int(value + 0.5)
    return whole - whole % step_px


@dataclass(frozen=True, kw_only=True)
class _Subset:
    """A folder that kohya reads."""

    folder: Path
    repeats: int
    role: str
    tokens: str | None
    has_wildcard: bool = False  # a line of a caption file is drawn each time


def scan(folder: Path) -> TrainerListing:
    """Read a folder as sd-scripts does: by its ``dataset.toml``, else by names of folders.

    Parameters
    ----------
    folder : Path
        Holds ``img`` and perhaps ``reg``, or itself the folders ``<repeats>_<name>``.

    Raises
    ------
    UserError
        If its ``dataset.toml`` cannot be read.
    """
    listing = TrainerListing()
    config = _read_config(folder / CONFIG)
    if config is not None:
        subsets, listing.settings = _subsets_of_config(folder, config)
    else:
        subsets = _subsets_of_names(folder)
    for subset in subsets:
        if not subset.folder.is_dir():
            listing.add(subset.folder, DROPPED, f"listed in {CONFIG}, but there is no such folder")
            continue
        _read_subset(subset, listing)
    read = {s.folder for s in subsets}
    for path in lists.list_files(_kohya_roots(folder)):
        if not read & set(path.parents):
            lists.note_unread(path, folder, listing, _why_kohya(path, folder, config is not None))
    return listing


def _read_config(path: Path) -> dict[str, Any] | None:
    """kohya's ``dataset.toml``, if there is one."""
    if not path.is_file():
        return None
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: expected kohya's dataset configuration in TOML, could not read "
            f"it ({' '.join(str(error).split())}); fix or remove it"
        ) from error


def _subsets_of_config(
    folder: Path, config: Mapping[str, Any]
) -> tuple[list[_Subset], dict[str, Any]]:
    """Folders and settings that a configuration names; `validation_split` 1 is held-out."""
    general = config.get("general", {})
    subsets, settings = [], dict(general)
    for part in config.get("datasets", []):
        is_val = float(part.get("validation_split", general.get("validation_split", 0))) >= 1
        if not is_val:
            settings |= {k: v for k, v in part.items() if k != "subsets"}
        for subset in part.get("subsets", []):
            role = HELD_OUT if is_val else CLASS if subset.get("is_reg") else TRAIN
            said = {**general, **part, **subset}
            subsets.append(
                _Subset(
                    folder=Path(os.path.normpath(folder / subset.get("image_dir", "."))),
                    repeats=int(said.get("num_repeats", 1)),
                    role=role,
                    tokens=subset.get("class_tokens"),
                    has_wildcard=bool(said.get("enable_wildcard", False)),
                )
            )
    return subsets, settings


def _subsets_of_names(folder: Path) -> list[_Subset]:
    """Folders whose names say how often; ``val`` is ours and read by the configuration alone."""
    subsets = []
    for root in _kohya_roots(folder):
        role = CLASS if root.name == "reg" and root != folder else TRAIN
        for path in sorted(p for p in root.iterdir() if p.is_dir()):
            parsed = parse_folder(path.name)
            if parsed:
                subsets.append(_Subset(folder=path, repeats=parsed[0], role=role, tokens=parsed[1]))
    return subsets


def _kohya_roots(folder: Path) -> list[Path]:
    """Where kohya's folders of pictures lie."""
    if (folder / "img").is_dir():
        return [p for p in (folder / n for n in ("img", "reg")) if p.is_dir()]
    return [folder]


def _read_subset(subset: _Subset, listing: TrainerListing) -> None:
    """Pictures of one folder with the captions that kohya finds for them."""
    files = sorted(subset.folder.iterdir())
    pictures = [p for p in files if not p.is_dir() and is_picture(p.name)]
    if not pictures:
        listing.add(subset.folder, DOUBT, "contains no picture: the folder is skipped")
    stems: dict[str, Path] = {}
    for path in pictures:
        if path.stem in stems:
            reason = f"shares its caption with {stems[path.stem].name}"
            listing.add(path, DOUBT, reason)
        stems[path.stem] = path
        caption = _read_kohya_caption(path, subset, listing)
        listing.items.append(
            TrainingItem(file=path, caption=caption, role=subset.role, repeats=subset.repeats)
        )
    for path in files:
        if path not in pictures:
            _judge_beside(path, stems, subset.folder, listing)


def _judge_beside(
    path: Path, stems: Mapping[str, Path], folder: Path, listing: TrainerListing
) -> None:
    """A file in a folder that kohya reads, which is no picture to it."""
    suffix = path.suffix.lower()
    if path.is_dir():
        for inner in lists.list_files([path]):
            lists.note_unread(inner, folder, listing, TOO_DEEP)
    elif suffix == ".txt" and path.stem not in stems:
        listing.add(path, DOUBT, "caption without a picture")
    elif suffix == ".caption" and path.stem in stems:
        listing.add(path, DOUBT, "second caption file for a picture: only .txt is read")
    elif suffix == ".npz":
        listing.add(
            path, DOUBT, "left over from an earlier training run and read instead of the picture"
        )
    elif suffix != ".txt" and path.name not in lists.METADATA:
        lists.note_unread(path, folder, listing, _why_extension(path))


def _read_kohya_caption(picture: Path, subset: _Subset, listing: TrainerListing) -> str | None:
    """The first line of the text beside a picture, or all to draw from, else the class tokens."""
    path = picture.with_suffix(".txt")
    if not path.is_file():
        if subset.tokens:
            listing.add(picture, CHANGED, "no caption: the folder name is used instead")
        return subset.tokens or None
    try:
        lines = path.read_bytes().decode().splitlines()
    except UnicodeDecodeError:
        listing.add(path, STOPS, "caption is not UTF-8")
        return None
    if not lines:
        listing.add(path, STOPS, "empty caption file")
        return ""
    if lines[0].startswith("\ufeff"):
        listing.add(path, CHANGED, "starts with a byte order mark, which is read as a character")
    if subset.has_wildcard:
        return "\n".join(line.strip() for line in lines if line.strip())
    if any(line.strip() for line in lines[1:]):
        listing.add(path, CHANGED, "more than one line: only the first is read")
    return lines[0].strip()


def _why_kohya(path: Path, folder: Path, has_config: bool) -> str:
    """Why kohya does not read a picture outside of its folders."""
    if has_config:
        return f"its folder is not listed in {CONFIG}"
    if path.parent in _kohya_roots(folder):
        return "lies beside the picture folders: only folders named <repeats>_<name> are read"
    if parse_folder(path.parent.name) is None:
        return f"folder {path.parent.name!r} has no repeats: only <repeats>_<name> is read"
    return TOO_DEEP


def _why_extension(path: Path) -> str:
    """Why kohya does not read a picture in its folder."""
    if path.name.startswith("."):
        return "hidden file (name starts with a dot)"
    if path.suffix.lower().lstrip(".") in EXTENSIONS:
        return (
            f"extension {path.suffix} in mixed case is not read: rename it to {path.suffix.lower()}"
        )
    return f"extension {path.suffix} is not read: expected png, jpg, jpeg, webp or bmp"
