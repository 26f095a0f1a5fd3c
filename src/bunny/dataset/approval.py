"""Approval of training sets by people: of which content, by whom and when.

`approval.jsonl` in the film's folder has one JSON object a line: an approval of one character's
set, or its withdrawal. An approval holds for exactly the pictures, masks, captions, repeats and
split that were looked at: a set that has changed since is not approved any more, and is again once
a run gives the same set.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from bunny.core import file_hash, jsonl
from bunny.core.error import UserError

FILE = "approval.jsonl"
WHAT = "a record that `bunny approve` wrote"
COLUMNS = ("file", "mask_file", "caption", "variant_captions", "variant_shares", "repeats", "split")


@dataclass(frozen=True, kw_only=True)
class Approval:
    """One line of the record."""

    character: str
    set_hash: str  # SHA-256, see `hash_set`
    num_images: int
    by: str
    at: str  # ISO 8601, UTC
    is_withdrawn: bool = False

    def to_metadata(self) -> dict[str, str]:
        """What sets and adapters made from it say."""
        return {"approved_by": self.by, "approved_at": self.at, "approved_set": self.set_hash}


def hash_set(rows: pl.DataFrame, root: Path) -> str:
    """SHA-256 over all that a trainer gets of a set, as hexadecimal digits.

    Parameters
    ----------
    rows : pl.DataFrame
        One character's rows of table `dataset`, in any order.
    root : Path
        The film's folder, in which their files lie.
    """
    digest = hashlib.sha256()
    for row in rows.select("role", *COLUMNS).sort("file").iter_rows(named=True):
        files = [row[key] for key in ("file", "mask_file") if row[key] is not None]
        hashes = [_hash_file(root / name) for name in files]
        digest.update(json.dumps([row, hashes], sort_keys=True).encode() + b"\n")
    return digest.hexdigest()


def _hash_file(path: Path) -> str:
    """SHA-256 of a file; a word where it is gone, which no approved set has."""
    return file_hash.hash_file(path) if path.is_file() else "missing"


def record(
    table: pl.DataFrame,
    root: Path,
    characters: Sequence[str],
    *,
    by: str,
    at: str,
    is_withdrawn: bool = False,
) -> list[Approval]:
    """Note that somebody approves sets as they are now, or takes that back.

    Parameters
    ----------
    table : pl.DataFrame
        Table `dataset`.
    root : Path
        The film's folder.
    characters : sequence of str
        Whose sets.
    by : str
        Who approves.
    at : str
        ISO 8601, UTC.
    is_withdrawn : bool
        Take earlier approvals of these sets back.
    """
    made = []
    for name in characters:
        rows = table.filter(pl.col("character") == name)
        made.append(
            Approval(
                character=name,
                set_hash=hash_set(rows, root),
                num_images=rows.height,
                by=by,
                at=at,
                is_withdrawn=is_withdrawn,
            )
        )
    jsonl.append(root / FILE, [asdict(one) for one in made])
    return made


def read(root: Path) -> list[Approval]:
    """The record, oldest first.

    Raises
    ------
    UserError
        If a line is none of ours.
    """
    found = []
    for where, values in jsonl.read(root / FILE, WHAT):
        try:
            found.append(Approval(**values))
        except TypeError as error:
            raise UserError(f"{where}: expected an approval, got other fields; mend it") from error
    return found


def find(table: pl.DataFrame, root: Path, character: str) -> Approval | None:
    """The approval that holds for a character's set as it is now; None where there is none."""
    known = [one for one in read(root) if one.character == character]
    if not known:
        return None
    now = hash_set(table.filter(pl.col("character") == character), root)
    same = [one for one in known if one.set_hash == now]
    return same[-1] if same and not same[-1].is_withdrawn else None


def check(table: pl.DataFrame, root: Path, characters: Sequence[str]) -> dict[str, Approval]:
    """Approvals of sets that are to be trained or handed on, by character.

    Raises
    ------
    UserError
        If one has none.
    """
    found: dict[str, Approval] = {}
    for name in characters:
        one = find(table, root, name)
        if one is None:
            had = any(a.character == name and not a.is_withdrawn for a in read(root))
            state = "one that changed after it was approved" if had else "one that nobody approved"
            raise UserError(
                f"review.needs_approval: expected an approved training set of {name}, found "
                f"{state}; look at it, then run `bunny approve {root.name} --character {name}`"
            )
        found[name] = one
    return found


def to_metadata(approvals: Mapping[str, Approval], character: str) -> dict[str, Any]:
    """What a set or adapter of a character says of its approval; nothing where none was asked."""
    return approvals[character].to_metadata() if character in approvals else {}
