"""Pictures of a folder that Hugging Face `datasets` loads as an imagefolder.

The rules follow its `data_files.py` and `folder_based_builder.py` of version 5: splits by names of
folders, else by names of files; hidden files and folders with two underscores are left out; where
there is metadata, nothing is loaded but what it lists.
"""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from bunny.dataset.check import file as lists
from bunny.dataset.check.file import (
    CLASS,
    DOUBT,
    HELD_OUT,
    METADATA,
    PICTURES,
    STOPS,
    TOO_DEEP,
    TRAIN,
    TrainerListing,
    TrainingItem,
)

READ = PICTURES - {".heic", ".heif", ".jxl", ".avif"}
SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "dev", "val"),
    "test": ("test", "testing", "eval", "evaluation"),
}
CAPTION_COLUMNS = ("text", "caption", "prompt")


def scan(folder: Path) -> TrainerListing:
    """Read a folder as ``datasets.load_dataset("imagefolder", data_dir=folder)`` does.

    Parameters
    ----------
    folder : Path
        Class pictures are looked for in its folder ``class``, as our export puts them.
    """
    listing = TrainerListing()
    visible = _visible(folder)
    parts = _splits(folder, visible)
    if "train" in parts and (folder / CLASS / METADATA[0]).is_file():
        parts[CLASS] = [p for p in visible if folder / CLASS in p.parents]
    has_metadata = any(p.name in METADATA for files in parts.values() for p in files)
    known: set[Path] = set()
    for split, files in parts.items():
        role = CLASS if split == CLASS else TRAIN if split == "train" else HELD_OUT
        if has_metadata:
            for metadata in (p for p in files if p.name in METADATA):
                known |= _add_rows(_read_metadata(metadata, listing), metadata, role, listing)
        else:
            pictures = [p for p in files if p.suffix.lower() in READ]
            listing.items += [TrainingItem(file=p, caption=None, role=role) for p in pictures]
            known |= set(pictures)
    _compare_columns(parts, listing)
    inside = {path for files in parts.values() for path in files}
    for path in lists.list_files([folder]):
        if path not in known:
            why = _why_unread(path, folder, path in inside, has_metadata)
            lists.note_unread(path, folder, listing, why)
    return listing


def scan_ours(folder: Path) -> TrainerListing:
    """Read a folder as our own trainer does, see `dataset.image_folder`.

    Parameters
    ----------
    folder : Path
        ``metadata.jsonl`` with its pictures, and class pictures in ``class``.
    """
    listing = TrainerListing()
    known: set[Path] = set()
    for part, role in ((folder, TRAIN), (folder / CLASS, CLASS)):
        metadata = part / METADATA[0]
        if metadata.is_file():
            known |= _add_rows(_read_metadata(metadata, listing), metadata, role, listing, True)
    for path in lists.list_files([folder]):
        if path not in known:
            is_inside = path.parent not in (folder, folder / CLASS)
            lists.note_unread(path, folder, listing, TOO_DEEP if is_inside else "not in metadata")
    return listing


def _splits(folder: Path, files: Sequence[Path]) -> dict[str, list[Path]]:
    """Files of each split: by names of folders, else by names of files, else all are train."""
    for by_file in (False, True):
        found = {
            split: [p for p in files if _is_named(p, folder, words, by_file)]
            for split, words in SPLITS.items()
        }
        found = {split: part for split, part in found.items() if part}
        if found:
            return found
    return {"train": list(files)}


def _is_named(path: Path, folder: Path, words: Iterable[str], by_file: bool) -> bool:
    """Whether a folder above a file, or the file, is named for a split: ``my-train-2``."""
    parts = path.relative_to(folder).parts
    word = "|".join(words)
    if by_file:
        return bool(re.match(rf"^(.*[-._ 0-9])?({word})[-._ 0-9]", parts[-1]))
    return any(re.match(rf"^(.*[-._ 0-9])?({word})([-._ 0-9].*)?$", p) for p in parts[:-1])


def _visible(folder: Path) -> list[Path]:
    """Files that `datasets` considers: none that is hidden or in a folder with two underscores."""
    return [
        path
        for path in lists.list_files([folder])
        if not any(p.startswith(".") for p in path.relative_to(folder).parts)
        and not any(p.startswith("__") for p in path.relative_to(folder).parts[:-1])
        and path.name not in ("README.md", "config.json")
    ]


def _read_metadata(path: Path, listing: TrainerListing) -> list[dict[str, Any]]:
    """Rows of a metadata file; [] with a problem when it cannot be read."""
    try:
        if path.suffix == ".parquet":
            rows = pl.read_parquet(path).to_dicts()
        elif path.suffix == ".csv":
            rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
        else:
            lines = path.read_text(encoding="utf-8").split("\n")
            rows = [json.loads(line) for line in lines if line.strip()]
    except (OSError, ValueError, csv.Error, pl.exceptions.PolarsError) as error:
        reason = f"cannot be read ({' '.join(str(error).split())[:80]})"
        listing.add(path, STOPS, reason)
        return []
    if not all(isinstance(row, dict) and isinstance(row.get("file_name"), str) for row in rows):
        listing.add(path, STOPS, "expected a file_name in each row")
        return []
    return rows


def _add_rows(
    rows: Sequence[Mapping[str, Any]],
    metadata: Path,
    role: str,
    listing: TrainerListing,
    is_ours: bool = False,
) -> set[Path]:
    """Take the pictures that a metadata file lists; gives all files that it names."""
    named: set[Path] = set()
    pictures: set[Path] = set()
    for row in rows:
        file = Path(os.path.normpath(metadata.parent / row["file_name"]))
        if metadata.parent not in file.parents:
            listing.add(file, STOPS, f"{metadata.name} names a file outside its folder")
            continue
        if file in pictures:
            listing.add(file, DOUBT, f"listed more than once in {metadata.name}")
        pictures.add(file)
        text = next((str(row[c]) for c in CAPTION_COLUMNS if row.get(c) is not None), None)
        own = _own_role(row, role) if is_ours else role
        repeats = _repeats(row) if is_ours else 1
        listing.items.append(TrainingItem(file=file, caption=text, role=own, repeats=repeats))
        named |= {
            Path(os.path.normpath(metadata.parent / value))
            for key, value in row.items()
            if key.endswith(("file_name", "mask_file", "mask")) and isinstance(value, str)
        }
    return named


def _compare_columns(parts: Mapping[str, Sequence[Path]], listing: TrainerListing) -> None:
    """`datasets` refuses splits whose metadata differ in their columns."""
    columns = {}
    for split, files in parts.items():
        for metadata in (p for p in files if p.name in METADATA and split != CLASS):
            rows = _read_metadata(metadata, TrainerListing())
            if rows:
                columns[metadata] = frozenset(rows[0])
    if len(set(columns.values())) > 1:
        listing.add(max(columns), STOPS, "columns differ from those in another split's metadata")


def _repeats(row: Mapping[str, Any]) -> int:
    """How often our own trainer takes a row's picture."""
    repeats = row.get("repeats")
    return max(1, repeats) if isinstance(repeats, int) else 1


def _own_role(row: Mapping[str, Any], role: str) -> str:
    """What our own trainer takes a row for."""
    if row.get("role") == "class":
        return CLASS
    return HELD_OUT if row.get("split") == "held-out" else role


def _why_unread(path: Path, folder: Path, in_split: bool, has_metadata: bool) -> str:
    """Why `datasets` does not read a picture."""
    parts = path.relative_to(folder).parts
    if any(p.startswith(".") for p in parts) or any(p.startswith("__") for p in parts[:-1]):
        return "hidden, or in a hidden folder"
    if not in_split:
        return "outside the folders train, validation and test, which define the splits here"
    if path.suffix.lower() not in READ:
        return f"extension {path.suffix} is not read"
    return "not in the metadata" if has_metadata else "not read"
