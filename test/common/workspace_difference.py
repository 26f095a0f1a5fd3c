"""Whether two workspaces of a film hold the same, but for times."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import polars as pl

from bunny.core.atomic import LEFTOVER  # removed by a run an hour later
from bunny.core.workspace import Workspace

# Files that say when something was done, how far it had come by some second, or of which times a
# cache is valid.
TIMES = frozenset(
    {".lock", ".lock.json", ".hash.json", "hash.json", "state.json", "progress.json", "report.html"}
)
# Keys of `stage.json` and columns of tables that are measured times, or name the machine's memory.
MEASURED = frozenset({"started_at", "seconds", "peak_memory_mb", "mtime_ns"})


def find(whole: Workspace, found: Workspace) -> list[str]:
    """Files of two workspaces of a film that are not equal, or are in one of them alone.

    Of stage records and tables the keys and columns in `MEASURED` do not count; of everything else
    every byte does, but for the files in `TIMES`.
    """
    one, two = _files(whole), _files(found)
    faults = [f"{name}: only in one" for name in sorted(one.keys() ^ two.keys())]
    for name in sorted(one.keys() & two.keys()):
        if not _is_equal(one[name], two[name]):
            faults.append(f"{name}: differs")
    return faults


def _files(space: Workspace) -> dict[str, Path]:
    """Files by where they lie in the workspace or the folder of its weights."""
    places = {"output": space.root, "checkpoint": space.checkpoint}
    return {
        f"{name}/{path.relative_to(folder).as_posix()}": path
        for name, folder in places.items()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in TIMES and not LEFTOVER.fullmatch(path.name)
    }


def _is_equal(one: Path, two: Path) -> bool:
    if one.read_bytes() == two.read_bytes():
        return True
    if one.name == "stage.json":
        return _record(one) == _record(two)
    if one.suffix == ".parquet":
        return _table(one).equals(_table(two))
    if one.suffix == ".pt":
        return _training_state(one) == _training_state(two)
    return False


def _record(path: Path) -> str:
    """A stage's record without what is measured, and what follows from it."""
    folder = path.parents[2] / "table"
    timed = {f for f in folder.glob("*.parquet") if MEASURED & set(pl.read_parquet_schema(f))}
    hashes = {hashlib.sha256(table.read_bytes()).hexdigest() for table in timed}

    def clean(value: object) -> object:
        if isinstance(value, dict):
            left_out = MEASURED | {"fingerprint"}  # a hash of `parts`, which are compared
            return {k: clean(v) for k, v in value.items() if k not in left_out}
        return "a table with times" if str(value) in hashes else value

    record = json.loads(path.read_text(encoding="utf-8"))
    return json.dumps(clean(record), sort_keys=True)


def _table(path: Path) -> pl.DataFrame:
    """A table without measured times; one that has none must be equal byte for byte."""
    table = pl.read_parquet(path)
    own = MEASURED & set(table.columns)
    return table.drop(own) if own else pl.DataFrame({"file": [path.as_posix()]})


def _training_state(path: Path) -> bytes:
    """All of a training checkpoint but its time, as bytes."""
    import torch

    state = torch.load(path, weights_only=True)
    state.pop("seconds")
    data = io.BytesIO()
    torch.save(state, data)
    return data.getvalue()
