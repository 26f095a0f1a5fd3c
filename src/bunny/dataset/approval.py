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
from typing import Any, Literal

import polars as pl

from bunny.core import file_hash, jsonl, safe_path
from bunny.core.error import UserError

FILE = "approval.jsonl"
WHAT = "a record that `bunny approve` wrote"
COLUMNS = ("file", "mask_file", "caption", "variant_captions", "variant_shares", "repeats", "split")


@dataclass(frozen=True, kw_only=True)
class Approval:
    """One line of the record."""

    character: str
    set_hash: str  # SHA-256, see `_hash_set`
    num_images: int
    by: str
    at: str  # ISO 8601, UTC
    is_withdrawn: bool = False

    def to_metadata(self) -> dict[str, str]:
        """What sets and adapters made from it say."""
        return {"approved_by": self.by, "approved_at": self.at, "approved_set": self.set_hash}


State = Literal["approved", "changed", "withdrawn", "open"]


@dataclass(frozen=True, kw_only=True)
class SetState:
    """What people said of a character's set, and the set as it is now."""

    character: str
    set_hash: str
    num_images: int
    state: State  # open: nobody has approved it
    last: Approval | None  # what the state follows from
    num_said: int  # lines of the record about this character


def _hash_set(rows: pl.DataFrame, root: Path) -> str:
    """SHA-256 over all that a trainer gets of a set, as hexadecimal digits."""
    digest = hashlib.sha256()
    for row in rows.select("role", *COLUMNS).sort("file").iter_rows(named=True):
        files = [row[key] for key in ("file", "mask_file") if row[key] is not None]
        hashes = [_hash_file(safe_path.join(root, name)) for name in files]
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
                set_hash=_hash_set(rows, root),
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


def describe(table: pl.DataFrame, root: Path, character: str) -> SetState:
    """State of a character's set, for somebody who is to decide about it.

    Parameters
    ----------
    table : pl.DataFrame
        Table `dataset`.
    root : Path
        The film's folder.
    character : str
        Who has a set in it.

    Returns
    -------
    SetState
        ``changed``: the last word was the approval of another set than the one there is now.
    """
    rows = table.filter(pl.col("character") == character)
    now = _hash_set(rows, root)
    known = [one for one in read(root) if one.character == character]
    same = [one for one in known if one.set_hash == now]
    state: State = "open"
    last = same[-1] if same else (known[-1] if known else None)
    if same:
        state = "withdrawn" if same[-1].is_withdrawn else "approved"
    elif last is not None and not last.is_withdrawn:
        state = "changed"
    return SetState(
        character=character,
        set_hash=now,
        num_images=rows.height,
        state=state,
        last=None if state == "open" else last,
        num_said=len(known),
    )


def decide(
    table: pl.DataFrame,
    root: Path,
    shown: SetState,
    *,
    by: str,
    at: str,
    is_withdrawn: bool = False,
) -> Approval:
    """Note a decision about a set as somebody saw it, unless it is not as they saw it any more.

    Parameters
    ----------
    table : pl.DataFrame
        Table `dataset` as it is now.
    root : Path
        The film's folder.
    shown : SetState
        Of which `character`, `set_hash` and `num_said` count.
    by, at, is_withdrawn : str, str, bool
        As in `record`.

    Raises
    ------
    UserError
        If the set is another one now, pictures of it are missing, or somebody else has decided
        otherwise in the meantime; then nothing is noted.
    """
    name = shown.character
    rows = table.filter(pl.col("character") == name)
    made = Approval(
        character=name,
        set_hash=shown.set_hash,
        num_images=rows.height,
        by=by,
        at=at,
        is_withdrawn=is_withdrawn,
    )

    def check_unchanged() -> None:
        if rows.is_empty() or _hash_set(rows, root) != shown.set_hash:
            raise UserError(
                f"expected the training set of {name} as it was shown, but it has changed since; "
                "look at it again, then decide"
            )
        for one in [one for one in read(root) if one.character == name][shown.num_said :]:
            if one.is_withdrawn != is_withdrawn:
                said = "withdrew the approval" if one.is_withdrawn else "approved the set"
                raise UserError(
                    f"{one.by} {said} of {name} at {one.at}, after this page was shown; look at "
                    "it again, then decide"
                )

    if not is_withdrawn:
        check_files(rows, root)
    jsonl.append(root / FILE, [asdict(made)], check=check_unchanged)
    return made


def check_files(rows: pl.DataFrame, root: Path) -> None:
    """Refuse to approve pictures that nobody can have looked at.

    Raises
    ------
    UserError
        If files that rows of table `dataset` name are missing.
    """
    gone = [file for file in rows["file"] if not (root / file).is_file()]
    if gone:
        raise UserError(
            f"expected the pictures of the training set, {len(gone)} of {rows.height} are missing "
            f"(first: {gone[0]}); run stage dataset again, look at them, then approve"
        )


def find(table: pl.DataFrame, root: Path, character: str) -> Approval | None:
    """The approval that holds for a character's set as it is now; None where there is none."""
    if not any(one.character == character for one in read(root)):
        return None
    found = describe(table, root, character)
    return found.last if found.state == "approved" else None


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
                f"{state}; look at it, then approve it on the board (`bunny review`) or run "
                f"`bunny approve {root.name} --character {name}`"
            )
        found[name] = one
    return found


def to_metadata(approvals: Mapping[str, Approval], character: str) -> dict[str, Any]:
    """What a set or adapter of a character says of its approval; nothing where none was asked."""
    return approvals[character].to_metadata() if character in approvals else {}
