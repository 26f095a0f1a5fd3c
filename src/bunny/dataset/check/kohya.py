"""Which pictures of a folder kohya's sd-scripts trains on, see `kohya_rule`."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bunny.core.error import UserError
from bunny.dataset import kohya_rule
from bunny.dataset.check import listing as lists
from bunny.dataset.check.file import CHANGED, DOUBT, DROPPED, STOPS
from bunny.dataset.check.listing import CLASS, HELD_OUT, INSIDE, TRAIN, Item, Listing

CONFIG = "dataset.toml"


@dataclass(frozen=True, kw_only=True)
class _Subset:
    """A folder that kohya reads."""

    folder: Path
    repeats: int
    role: str
    tokens: str | None


def scan(folder: Path) -> Listing:
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
    listing = Listing()
    config = _read_config(folder / CONFIG)
    if config is not None:
        subsets, listing.settings = _subsets_of_config(folder, config)
    else:
        subsets = _subsets_of_names(folder)
    for subset in subsets:
        if not subset.folder.is_dir():
            listing.add(subset.folder, DROPPED, f"named in {CONFIG}, but there is no such folder")
            continue
        _read_subset(subset, listing)
    read = {s.folder for s in subsets}
    for path in lists.walk(_kohya_roots(folder)):
        if not read & set(path.parents):
            lists.judge_unread(path, folder, listing, _why_kohya(path, folder, config is not None))
    return listing


def _read_config(path: Path) -> dict[str, Any] | None:
    """kohya's ``dataset.toml``, if there is one."""
    if not path.is_file():
        return None
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: expected kohya's data set configuration in TOML, could not read it "
            f"({' '.join(str(error).split())}); mend it or take it away"
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
            repeats = subset.get("num_repeats", part.get("num_repeats", 1))
            subsets.append(
                _Subset(
                    folder=Path(os.path.normpath(folder / subset.get("image_dir", "."))),
                    repeats=int(repeats),
                    role=role,
                    tokens=subset.get("class_tokens"),
                )
            )
    return subsets, settings


def _subsets_of_names(folder: Path) -> list[_Subset]:
    """Folders whose names say how often; ``val`` is ours and read by the configuration alone."""
    subsets = []
    for root in _kohya_roots(folder):
        role = CLASS if root.name == "reg" and root != folder else TRAIN
        for path in sorted(p for p in root.iterdir() if p.is_dir()):
            parsed = kohya_rule.parse_folder(path.name)
            if parsed:
                subsets.append(_Subset(folder=path, repeats=parsed[0], role=role, tokens=parsed[1]))
    return subsets


def _kohya_roots(folder: Path) -> list[Path]:
    """Where kohya's folders of pictures lie."""
    if (folder / "img").is_dir():
        return [p for p in (folder / n for n in ("img", "reg")) if p.is_dir()]
    return [folder]


def _read_subset(subset: _Subset, listing: Listing) -> None:
    """Pictures of one folder with the captions that kohya finds for them."""
    files = sorted(subset.folder.iterdir())
    pictures = [p for p in files if not p.is_dir() and kohya_rule.is_picture(p.name)]
    if not pictures:
        listing.add(subset.folder, DOUBT, "no picture in it: the folder is passed over")
    stems: dict[str, Path] = {}
    for path in pictures:
        if path.stem in stems:
            reason = f"shares its caption with {stems[path.stem].name}"
            listing.add(path, DOUBT, reason)
        stems[path.stem] = path
        caption = _read_kohya_caption(path, subset.tokens, listing)
        listing.items.append(
            Item(file=path, caption=caption, role=subset.role, repeats=subset.repeats)
        )
    for path in files:
        if path not in pictures:
            _judge_beside(path, stems, subset.folder, listing)


def _judge_beside(path: Path, stems: Mapping[str, Path], folder: Path, listing: Listing) -> None:
    """A file in a folder that kohya reads, which is no picture to it."""
    suffix = path.suffix.lower()
    if path.is_dir():
        for inner in lists.walk([path]):
            lists.judge_unread(inner, folder, listing, INSIDE)
    elif suffix == ".txt" and path.stem not in stems:
        listing.add(path, DOUBT, "a caption without a picture")
    elif suffix == ".caption" and path.stem in stems:
        listing.add(path, DOUBT, "a second caption of the picture: only .txt is read")
    elif suffix == ".npz":
        listing.add(path, DOUBT, "left by an earlier training, which reads it for the picture")
    elif suffix != ".txt" and path.name not in lists.METADATA:
        lists.judge_unread(path, folder, listing, _why_extension(path))


def _read_kohya_caption(picture: Path, tokens: str | None, listing: Listing) -> str | None:
    """The first line of the text beside a picture, else the class tokens."""
    path = picture.with_suffix(".txt")
    if not path.is_file():
        if tokens:
            listing.add(picture, CHANGED, "no caption: the name of its folder stands for it")
        return tokens or None
    try:
        lines = path.read_bytes().decode().splitlines()
    except UnicodeDecodeError:
        listing.add(path, STOPS, "a caption that is not UTF-8")
        return None
    if not lines:
        listing.add(path, STOPS, "an empty caption file")
        return ""
    if lines[0].startswith("\ufeff"):
        listing.add(path, CHANGED, "begins with a byte order mark, which is read as a letter")
    if any(line.strip() for line in lines[1:]):
        listing.add(path, CHANGED, "more than one line: only the first is read")
    return lines[0].strip()


def _why_kohya(path: Path, folder: Path, has_config: bool) -> str:
    """Why kohya does not read a picture outside of its folders."""
    if has_config:
        return f"its folder is not named in {CONFIG}"
    if path.parent in _kohya_roots(folder):
        return "lies beside the folders of pictures: only those named <repeats>_<name> are read"
    if kohya_rule.parse_folder(path.parent.name) is None:
        return f"folder {path.parent.name!r} has no repeats: only <repeats>_<name> is read"
    return INSIDE


def _why_extension(path: Path) -> str:
    """Why kohya does not read a picture in its folder."""
    if path.name.startswith("."):
        return "hidden by a dot"
    if path.suffix.lower().lstrip(".") in kohya_rule.EXTENSIONS:
        return f"extension {path.suffix} in mixed case: write {path.suffix.lower()}"
    return f"extension {path.suffix} is not read: png, jpg, jpeg, webp, bmp are"
