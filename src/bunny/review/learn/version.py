"""Versions of what was learned, kept for good; one of them, or none, is in use.

    <checkpoint>/review/v001/adapter.safetensors   maps
                             about.json            rules, figures, where from
                       /current.json               which one is in use

A version is written under another name and renamed, `current.json` replaced: a reader finds the
old one or the new one.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bunny.core import atomic
from bunny.core.error import UserError
from bunny.review.learn import item, method, threshold_rule, vector_map
from bunny.table import store

FOLDER, TENSORS, ABOUT, CURRENT = "review", "adapter.safetensors", "about.json", "current.json"
_NAME = re.compile(r"v(\d{3,})")


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version as it lies on disk."""

    number: int
    folder: Path
    about: Mapping[str, Any]


def save(
    checkpoint: Path, learned: Mapping[item.Key, method.Learned], about: Mapping[str, Any]
) -> Version:
    """Keep a new version; it is not in use yet.

    Parameters
    ----------
    checkpoint : Path
        The film's checkpoint folder.
    learned : mapping of (level, model) to method.Learned
    about : mapping
        Anything for `about.json`: figures, settings, events.

    Raises
    ------
    UserError
        If another run wrote the same version at that moment.
    """
    from safetensors.numpy import save_file

    home = checkpoint / FOLDER
    home.mkdir(parents=True, exist_ok=True)
    known = numbers(checkpoint)
    number = (known[-1] if known else 0) + 1
    temporary = Path(tempfile.mkdtemp(dir=home, prefix=".new-"))
    try:
        tensors, parts = {}, []
        for k, ((level, model), one) in enumerate(sorted(learned.items())):
            tensors |= {f"{k}.{name}": array for name, array in one.space.to_arrays().items()}
            parts.append(_part(level, model, one))
        save_file(tensors, temporary / TENSORS)
        full = {**about, "version": number, "parts": parts}
        full["hash"] = _hash(temporary / TENSORS, parts)
        (temporary / ABOUT).write_text(json.dumps(full, indent=1), encoding="utf-8", newline="\n")
        temporary.chmod(0o755)
        _settle(temporary, home / _folder(number))
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return read(checkpoint, number)


def numbers(checkpoint: Path) -> list[int]:
    """Versions there are, oldest first."""
    home = checkpoint / FOLDER
    if not home.is_dir():
        return []
    names = (_NAME.fullmatch(path.name) for path in home.iterdir() if path.is_dir())
    return sorted(int(name[1]) for name in names if name)


def read(checkpoint: Path, number: int) -> Version:
    """One version's record.

    Raises
    ------
    UserError
        If there is none of that number, or its record cannot be read.
    """
    folder = checkpoint / FOLDER / _folder(number)
    if number not in numbers(checkpoint):
        known = ", ".join(map(str, numbers(checkpoint))) or "none"
        raise UserError(f"version {number}: expected one of {known}; see bunny learn --list")
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        return Version(number=number, folder=folder, about=dict(about))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{folder / ABOUT}: expected the record of a version, could not read it ({error}); "
            "delete the folder and run bunny learn again"
        ) from error


def load(version: Version) -> dict[item.Key, method.Learned]:
    """What a version learned, by level and model.

    Raises
    ------
    UserError
        If its files do not belong together or were changed.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = version.folder / TENSORS
    try:
        parts = version.about["parts"]
        if _hash(path, parts) != version.about["hash"]:
            raise ValueError("its hash is another one")
        tensors = load_file(path)
        return {(p["level"], p["model"]): _learned(p, k, tensors) for k, p in enumerate(parts)}
    except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
        raise UserError(
            f"{path}: expected what bunny learn wrote, could not use it ({error}); "
            "bunny learn --rollback goes back to the version before"
        ) from error


def current(checkpoint: Path) -> int:
    """The version in use, 0 for none.

    Raises
    ------
    UserError
        If `current.json` cannot be read.
    """
    path = checkpoint / FOLDER / CURRENT
    if not path.exists():
        return 0
    try:
        return int(json.loads(path.read_text(encoding="utf-8"))["version"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: expected the number of a version, could not read it ({error}); "
            "delete it: then nothing learned is in use"
        ) from error


def use(checkpoint: Path, number: int) -> None:
    """Put a version into use; 0: nothing that was learned.

    Raises
    ------
    UserError
        If there is no such version.
    """
    if number:
        read(checkpoint, number)
    path = checkpoint / FOLDER / CURRENT
    path.parent.mkdir(parents=True, exist_ok=True)
    store.write_bytes(path, json.dumps({"version": number}).encode())


def _settle(temporary: Path, folder: Path) -> None:
    """Give a finished version its name, unless another run took it in the meantime."""
    try:
        atomic.rename(temporary, folder)
    except OSError as error:
        if not folder.exists():
            raise
        raise UserError(
            f"{folder}: expected to be the only one learning, another run wrote this version just "
            "now; run bunny learn again"
        ) from error


def _folder(number: int) -> str:
    return f"v{number:03d}"


def _part(level: str, model: str, one: method.Learned) -> dict[str, Any]:
    """What stands in the record of one map."""
    return {
        "level": level,
        "model": model,
        "method": one.method,
        "is_residual": one.space.is_residual,
        "join": one.rule.join,
        "move": one.rule.move,
    }


def _learned(part: Mapping[str, Any], k: int, tensors: Mapping[str, Any]) -> method.Learned:
    own = {name: tensors[f"{k}.{name}"] for name in ("mean", "down", "up")}
    return method.Learned(
        method=str(part["method"]),
        space=vector_map.from_arrays(own, is_residual=bool(part["is_residual"])),
        rule=threshold_rule.Rule(join=float(part["join"]), move=float(part["move"])),
    )


def _hash(path: Path, parts: list[dict[str, Any]]) -> str:
    """SHA-256 of maps and rules."""
    digest = hashlib.sha256(path.read_bytes())
    digest.update(json.dumps(parts, sort_keys=True).encode())
    return digest.hexdigest()
