"""Versions of what was learned: saved, listed, put into use, applied to items.

    <checkpoint>/review/v001/adapter.safetensors   maps
                             about.json            rules, figures, where from
                       /current.json               which one is in use

A version is written under another name and renamed, `current.json` replaced: a reader finds the
old one or the new one.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from bunny.core import atomic
from bunny.core.error import UserError
from bunny.review import rejected_elsewhere
from bunny.review.event_log import Event
from bunny.review.learn import cross_validation, item, linear_map, method, threshold_rule, triplet
from bunny.review.state import NOISE_THRESHOLD, ReviewState

FOLDER, TENSORS, ABOUT, CURRENT = "review", "adapter.safetensors", "about.json", "current.json"
_NAME = re.compile(r"v(\d{3,})")

logger = logging.getLogger(__name__)

_PLACE = {
    "asset_id": pl.String,
    "cluster_id": pl.String,
    "similarity": pl.Float32,
    "margin": pl.Float32,
}

_VERSIONS = {
    "version": pl.Int64,
    "is_in_use": pl.Boolean,
    "time": pl.String,
    "corrections": pl.Int64,
    **dict.fromkeys(("level", "model", "method"), pl.String),
    **dict.fromkeys(("accuracy", "none", "gain", "gain_low", "gain_high"), pl.Float64),
}


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version as it lies on disk."""

    number: int
    folder: Path
    about: Mapping[str, Any]


def save(
    checkpoint: Path, learned: Mapping[item.Key, method.FittedMethod], about: Mapping[str, Any]
) -> Version:
    """Keep a new version; it is not in use yet.

    Parameters
    ----------
    checkpoint : Path
        The film's checkpoint folder.
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
        raise UserError(
            f"version {number}: expected one of {known}; list them with `bunny learn --list`"
        )
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        return Version(number=number, folder=folder, about=dict(about))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{folder / ABOUT}: could not read the record of this version ({error}); "
            "delete the folder and run `bunny learn` again"
        ) from error


def load(version: Version) -> dict[item.Key, method.FittedMethod]:
    """Load what a version learned, by level and model.

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
            raise ValueError("its hash does not match")
        tensors = load_file(path)
        return {(p["level"], p["model"]): _learned(p, k, tensors) for k, p in enumerate(parts)}
    except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
        raise UserError(
            f"{path}: could not use this file of `bunny learn` ({error}); go back to "
            "the previous version with `bunny learn --rollback`"
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
            f"{path}: expected a version number, could not read it ({error}); delete "
            "the file to use no learned version"
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
    atomic.write_bytes(path, json.dumps({"version": number}).encode())


def _settle(temporary: Path, folder: Path) -> None:
    """Give a finished version its name, unless another run took it in the meantime."""
    try:
        atomic.rename(temporary, folder)
    except OSError as error:
        if not folder.exists():
            raise
        raise UserError(
            f"{folder}: another run has just written this version; run `bunny learn` again"
        ) from error


def _folder(number: int) -> str:
    return f"v{number:03d}"


def _part(level: str, model: str, one: method.FittedMethod) -> dict[str, Any]:
    """What stands in the record of one map."""
    return {
        "level": level,
        "model": model,
        "method": one.method,
        "is_residual": one.space.is_residual,
        "join": one.rule.join,
        "move": one.rule.move,
    }


def _learned(part: Mapping[str, Any], k: int, tensors: Mapping[str, Any]) -> method.FittedMethod:
    own = {name: tensors[f"{k}.{name}"] for name in ("mean", "down", "up")}
    return method.FittedMethod(
        method=str(part["method"]),
        space=linear_map.from_arrays(own, is_residual=bool(part["is_residual"])),
        rule=threshold_rule.ThresholdRule(join=float(part["join"]), move=float(part["move"])),
    )


def _hash(path: Path, parts: list[dict[str, Any]]) -> str:
    """SHA-256 of maps and rules."""
    digest = hashlib.sha256(path.read_bytes())
    digest.update(json.dumps(parts, sort_keys=True).encode())
    return digest.hexdigest()


def current_hash(checkpoint: Path) -> str:
    """Hash of the version in use, for a fingerprint; the empty string where there is none.

    Parameters
    ----------
    checkpoint : Path
        The film's checkpoint folder (`Workspace.checkpoint`).
    """
    number = current(checkpoint)
    return str(read(checkpoint, number).about.get("hash", "")) if number else ""


def rescore(
    checkpoint: Path, asset: pl.DataFrame, vectors: pl.DataFrame | Sequence[pl.DataFrame]
) -> pl.DataFrame:
    """Apply the version in use to the items that no person placed.

    Parameters
    ----------
    checkpoint : Path
        The film's checkpoint folder.
    asset : pl.DataFrame
        Table asset with people's events replayed over the machine's clusters: what they placed are
        the examples.
    vectors : pl.DataFrame or sequence of them
        Tables shot_vector and figure_vector, or rows of them.

    Returns
    -------
    pl.DataFrame
        `asset_id`, `cluster_id` (null: the noise bucket), `similarity` (score in [-1, 1]),
        `margin`; a row for each item that nobody spoke of and whose level and model were learned.
        Empty where no version is in use. Never a cluster in `rejected_from`.
    """
    number = current(checkpoint)
    if not number:
        return pl.DataFrame(schema=_PLACE)
    learned = load(read(checkpoint, number))
    return apply(learned, item.collect(asset, vectors))


def replay_learned(
    machine: pl.DataFrame,
    vectors: Mapping[str, pl.DataFrame],
    events: Sequence[Event],
    *,
    checkpoint: Path | None = None,
    noise_threshold: float = NOISE_THRESHOLD,
    barred: Mapping[str, set[str]] | None = None,
) -> ReviewState:
    """Every item where people want it, and those they did not speak of where was learned.

    Parameters
    ----------
    machine : pl.DataFrame
        Table `asset` at the machine's clusters.
    vectors : mapping of str to pl.DataFrame
        Tables shot_vector (`scene`) and figure_vector (`character`).
    events : sequence of Event
        The record.
    checkpoint : Path, optional
        The film's checkpoint folder; without it nothing that was learned is used.
    noise_threshold : float
        As of `ReviewState.of`.
    barred : mapping of str to set of str, optional
        Clusters by asset_id into which nothing that was learned puts an item, besides those that
        people rejected it from; see `rejected_elsewhere.find`.
    """
    start = partial(ReviewState.of, vectors=vectors["scene"], noise_threshold=noise_threshold)
    state = start(machine).replay(events)
    if checkpoint is None:
        return state
    asset = rejected_elsewhere.bar(state.frame(), barred or {})
    place = rescore(checkpoint, asset, list(vectors.values()))
    return start(state.with_learned(place)).replay(events)


def apply(
    learned: dict[item.Key, method.FittedMethod], items: dict[item.Key, item.Items]
) -> pl.DataFrame:
    """As `rescore`, of what is in memory."""
    found = [pl.DataFrame(schema=_PLACE)]
    for key, one in learned.items():
        own = items.get(key)
        if own is None:
            continue
        if own.vector.shape[1] > len(one.space.mean):
            logger.warning("%s, %s: embedding length differs, not used", *key)
            continue
        found.append(_one(one, _fill(own, len(one.space.mean))))
    return pl.concat(found).sort("asset_id")


def trial_record(
    key: item.Key, one: cross_validation.MethodTrial, items: item.Items
) -> dict[str, Any]:
    """Results of one level and model as plain values, as a version's record keeps them."""
    num_moved = 0
    if one.learned is not None:
        moved = apply({key: one.learned}, {key: items})
        start = dict(zip(items.asset_id, items.start.tolist(), strict=True))
        before = [start[i] for i in moved["asset_id"]]
        names = [None if s == item.NOBODY else items.clusters[s] for s in before]
        num_moved = sum(a != b for a, b in zip(names, moved["cluster_id"].to_list(), strict=True))
    must, cannot = triplet.constraint_links(items)
    return {
        "level": key[0],
        "model": key[1],
        "items": len(items.asset_id),
        "must_link": len(must),
        "cannot_link": len(cannot),
        "placed": int(items.is_said.sum()),
        "judged": one.num_items,
        "groups": one.num_groups,
        "best": one.best,
        "reason": one.reason,
        "moved": num_moved,
        "methods": one.table.to_dicts(),
        "report": one.report,
    }


def _one(learned: method.FittedMethod, items: item.Items) -> pl.DataFrame:
    rows = np.flatnonzero(~items.is_fixed)
    cluster, similarity, margin = method.predict(learned, items, items.is_said, rows)
    names = [None if c == item.NOBODY else items.clusters[c] for c in cluster]
    return pl.DataFrame(
        {
            "asset_id": [items.asset_id[row] for row in rows],
            "cluster_id": names,
            "similarity": similarity,
            "margin": margin,
        },
        schema=_PLACE,
    )


def _fill(items: item.Items, dimension: int) -> item.Items:
    """Vectors filled up with zeros to the length that was learned on."""
    from dataclasses import replace

    missing = dimension - items.vector.shape[1]
    return replace(items, vector=np.pad(items.vector, ((0, 0), (0, missing))))


def read_versions(checkpoint: Path) -> pl.DataFrame:
    """Versions of a film and how well they did when they were learned.

    Parameters
    ----------
    checkpoint : Path
        The film's checkpoint folder.

    Returns
    -------
    pl.DataFrame
        `version`, `is_in_use`, `time`, `corrections`, `level`, `model`, `method`, `accuracy`,
        `none` (accuracy without), `gain`, `gain_low`, `gain_high`, on corrections that neither
        trained nor chose; a row for each version, level and model that it learned.
    """
    in_use = current(checkpoint)
    rows = []
    for number in numbers(checkpoint):
        about = read(checkpoint, number).about
        for part in about["trials"]:
            each = {row["method"]: row for row in part["methods"]}
            if part["best"] == method.NONE:
                continue
            best = part.get("report") or each[part["best"]]  # versions of old have no report
            rows.append(
                {
                    "version": number,
                    "is_in_use": number == in_use,
                    "time": about["time"],
                    "corrections": about["corrections"],
                    "level": part["level"],
                    "model": part["model"],
                    "method": part["best"],
                    "none": best["accuracy"] - best["gain"],
                    **{k: best[k] for k in ("accuracy", "gain", "gain_low", "gain_high")},
                }
            )
    return pl.DataFrame(rows, schema=_VERSIONS)
