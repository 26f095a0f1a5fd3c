"""Cache of a film's stage states, valid while no file that they depend on has changed.

To say that there is nothing to do, stages read tables, and their modules and libraries take most of
a second to import. So the states are kept with a stamp of all that they follow from: the settings,
this package's files, the hub's models that are used where they are here, and size, times and inode
of every file of the film's folder, its checkpoints and the base model. While the stamp is the same,
nothing else is looked at.
"""

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

import bunny
from bunny.contract import fingerprint
from bunny.contract.result import StageState
from bunny.core import atomic, file_hash, hub_model
from bunny.core.config import Config
from bunny.core.workspace import Workspace

logger = logging.getLogger(__name__)

FILE = "state.json"  # in the folder `stage` of a film
# Caches themselves, the lock, the report, which no stage reads, and compiled modules.
PASSED_OVER = frozenset(
    {FILE, fingerprint.HASHES, ".lock", ".lock.json", "report.html", "__pycache__"}
)


def stamp(space: Workspace, config: Config) -> str:
    """SHA-256, in hex, of all that the states of a film's stages follow from."""
    digest = hashlib.sha256(config.model_dump_json().encode())
    digest.update(repr([name for name in hub_model.AUTO if hub_model.is_here(name)]).encode())
    folders = [Path(bunny.__file__).parent, space.root, space.checkpoint]
    if config.models.base_model:
        folders.append(Path(config.models.base_model).expanduser())
    for number, folder in enumerate(folders):
        digest.update(f"\n{number}\n".encode())
        for line in _stamps(folder):
            digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def read(space: Workspace, known: str) -> list[StageState] | None:
    """The states that were kept with this stamp; None when there are none."""
    try:
        kept = json.loads(_path(space).read_text(encoding="utf-8"))
        return [StageState(**one) for one in kept["states"]] if kept["stamp"] == known else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def write(space: Workspace, known: str, states: Iterable[StageState]) -> None:
    """Keep the states with the stamp of when they were found; a folder not writable keeps none."""
    kept = {"stamp": known, "states": [asdict(state) for state in states]}
    try:
        atomic.write_bytes(_path(space), json.dumps(kept, indent=1).encode())
    except OSError as error:
        logger.debug("%s: %s", _path(space), error)


def _path(space: Workspace) -> Path:
    return space.root / "stage" / FILE


def _stamps(folder: Path) -> Iterator[str]:
    """A line for each file at any depth, in order of names; nothing where there is no folder."""
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in found:
        if entry.name in PASSED_OVER:
            continue
        if entry.is_dir():
            yield f"{entry.name}/\n"
            yield from _stamps(Path(entry.path))
        else:
            stat = entry.stat() if not entry.is_symlink() else Path(entry.path).lstat()
            yield f"{entry.name}|{file_hash.stamp(stat)}\n"
