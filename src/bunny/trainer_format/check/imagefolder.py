"""Pictures of a folder that Hugging Face `datasets` loads as an imagefolder.

Which files make which split is asked of `datasets` itself; what its `folder_based_builder.py` of
version 5 does with them is ours, since it stops at the first mistake and says nothing of files that
it passes over: where there is metadata, nothing is loaded but what it lists.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from bunny.table import store
from bunny.trainer_format.check import picture_file as lists
from bunny.trainer_format.check.picture_file import (
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
CAPTION_COLUMNS = ("text", "caption", "prompt")


def scan(folder: Path) -> TrainerListing:
    """Read a folder as ``datasets.load_dataset("imagefolder", data_dir=folder)`` does.

    Parameters
    ----------
    folder : Path
        Class pictures are looked for in its folder ``class``, as our export puts them.
    """
    listing = TrainerListing()
    parts = _splits(folder)
    if "train" in parts and (folder / CLASS / METADATA[0]).is_file():
        parts[CLASS] = lists.list_files([folder / CLASS])
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


def _splits(folder: Path) -> dict[str, list[Path]]:
    """Files of each split, as `datasets` itself resolves them."""
    from datasets import data_files

    base = folder.absolute()
    try:
        patterns = data_files.get_data_patterns(str(base))
    except data_files.EmptyDatasetError:
        return {}
    found = data_files.DataFilesDict.from_patterns(patterns, base_path=str(base))
    return {
        str(split): [folder / Path(path).relative_to(base) for path in sorted(paths)]
        for split, paths in found.items()
    }


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
    except (OSError, ValueError, csv.Error, *store.UNREADABLE) as error:
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
