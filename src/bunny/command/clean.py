"""Space that films' workspaces take without need: what can be made again is said, then removed.

Kinds are lists of what may go; whatever is on none of them stays: films, references, tables,
pictures, training sets, adapters, paid answers, and all that people made. Of a data folder on S3
the same goes there, and objects go that no film names (`remote.sweep`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from bunny.command import film_workspace
from bunny.contract import fingerprint
from bunny.contract.row_count import plural
from bunny.core import atomic, remote_workspace, workspace
from bunny.core.config import Config
from bunny.core.error import UserError
from bunny.core.remote_workspace import UnnamedObjects
from bunny.core.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class CleanKind:
    """One kind of thing that may go."""

    about: str  # what it is, and what is lost
    film: tuple[str, ...] = ()  # globs below the film's folder
    checkpoint: tuple[str, ...] = ()  # below the folder of its weights
    log: tuple[str, ...] = ()  # below the folder of its logs
    stages: tuple[str, ...] = ()  # that must be done, so that nothing is resumed from it


KINDS: Mapping[str, CleanKind] = {
    "leftover": CleanKind(
        about="incomplete files and folders of interrupted runs",
        film=("**/.*.tmp", "**/.*.gone"),
        checkpoint=("**/.*.tmp", "**/.*.gone"),
    ),
    "view": CleanKind(
        about="thumbnails and vectors for views and reports; recreated when those are opened",
        film=("thumbnail.parquet", "variety.parquet"),
    ),
    "report": CleanKind(
        about="report pages and contact sheets; `bunny report` recreates them",
        film=("report*.html", "characters.png", "character", "metadata.json"),
    ),
    "log": CleanKind(about="logs and executed notebooks", log=("*",)),
    "training": CleanKind(
        about="training states of finished fine-tunes, needed only to train longer",
        checkpoint=("**/checkpoint-*/state.pt", "**/cache"),
        stages=("finetune",),
    ),
    "shard": CleanKind(
        about="measurements of single pictures; without them, a changed threshold (e.g. "
        "detection.min_face_score) makes a run measure again",
        film=("stage/extract/shard", "stage/detect/shard", "stage/cluster/shard"),
        stages=("extract", "detect", "cluster"),
    ),
    "object": CleanKind(
        about="objects in an S3 data folder that no film uses: earlier versions of files and "
        "uploads of interrupted runs"
    ),
}
EXPIRING: Mapping[str, CleanKind] = {  # with the setting that says after how many days
    "log": KINDS["log"],
    "answer": CleanKind(
        about="stored answers of models (retention.answer_days); a later run asks again",
        film=("stage/caption/answer/*/*", "stage/review/answer/*/*"),
    ),
    "measure": CleanKind(
        about="measurements of stages, with face embeddings (retention.measure_days)",
        film=KINDS["shard"].film,
        stages=KINDS["shard"].stages,
    ),
    "film": CleanKind(about="whole workspaces of films (retention.film_days)"),
}
ABOUT = {kind: one.about for kind, one in (*EXPIRING.items(), *KINDS.items())}
LIBRARY = {"library": "the library of all films", "": "any film"}  # objects that are no film's
DAY_S = 86_400.0
DEFAULT = ("leftover", "view", "report", "log", "training", "object")


@dataclass(frozen=True, kw_only=True)
class CleanEntry:
    """One kind in one film."""

    film_id: str
    kind: str
    num_files: int
    num_bytes: int
    note: str = ""  # why it stays


@dataclass(frozen=True, kw_only=True)
class CleanReport:
    """What would be freed, or was."""

    entries: tuple[CleanEntry, ...]
    is_removed: bool
    notes: tuple[str, ...] = ()  # what stays on a server and why

    def to_text(self) -> str:
        """Lines for people."""
        lines = []
        for kind, own in self._by_kind().items():
            size = sum(one.num_bytes for one in own)
            files = sum(one.num_files for one in own)
            lines.append(f"{kind:10} {_to_size(size):>9}  {files} files: {ABOUT[kind]}")
            lines += [f"{'':10} {one.film_id}: {one.note}" for one in own if one.note]
        total = _to_size(sum(one.num_bytes for one in self.entries if not one.note))
        said = (
            f"freed {total}"
            if self.is_removed
            else (f"would free {total}; add --yes to delete them")
        )
        return "\n".join([*lines, *(f"stays: {note}" for note in self.notes), said])

    def to_json(self) -> str:
        """One JSON object."""
        return json.dumps(asdict(self))

    def _by_kind(self) -> dict[str, list[CleanEntry]]:
        found: dict[str, list[CleanEntry]] = {}
        for one in self.entries:
            found.setdefault(one.kind, []).append(one)
        return found


def run(
    film: str | None,
    kinds: Sequence[str] = DEFAULT,
    *,
    is_removed: bool = False,
    data_dir: str | None = None,
) -> CleanReport:
    """Say what one film, or all films, take without need, and remove it if that is wanted.

    Parameters
    ----------
    film : str or None
        Beginning of a film id; None: all films.
    kinds : sequence of str
        Of `KINDS`.
    is_removed : bool
        Remove it; each film is locked meanwhile.
    data_dir : str or None
        Overrides `project.data_dir`.

    Raises
    ------
    UserError
        If there is no such film or kind, or another process writes in a film.
    """
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        known = ", ".join(KINDS)
        raise UserError(f"--only: expected one of {known}, got {', '.join(unknown)}")
    root, config = film_workspace.load_settings(data_dir, ())
    spaces = workspace.find(root, config.project.data_dir, film, has_series=True)
    if film:
        if not spaces:
            raise film_workspace.no_such_film(film, config)
        film_workspace.check_one(film, spaces)
    entries: list[CleanEntry] = []
    notes: tuple[str, ...] = ()
    for space in spaces:
        with ExitStack() as held:
            if is_removed:
                held.enter_context(workspace.lock(space, config.pipeline.lock_wait_seconds))
            workspace.fetch(space, list(_parts(kinds)))
            entries += [free(space, kind, is_removed=is_removed) for kind in kinds]
    if "object" in kinds:
        ids = [space.film_id for space in spaces] if film else None
        data = workspace.data_folder(root, config.project.data_dir)
        found = remote_workspace.sweep(data, ids, is_removed=is_removed)
        entries += _object_entries(found)
        notes = found.notes
    if not spaces and not entries:
        raise film_workspace.no_such_film(film, config)
    return CleanReport(
        entries=tuple(one for one in entries if one.num_files), is_removed=is_removed, notes=notes
    )


def _object_entries(found: UnnamedObjects) -> list[CleanEntry]:
    """Objects on a server that may go, and those that may be on their way there."""
    why = "kept until they are a day old, because a machine may still be sending them"
    return [
        CleanEntry(
            film_id=LIBRARY.get(film_id, film_id),
            kind="object",
            num_files=number,
            num_bytes=num_bytes,
            note=note and f"{plural(number, 'object')} ({_to_size(num_bytes)}): {note}",
        )
        for sizes, note in ((found.sizes, ""), (found.young, why))
        for film_id, number, num_bytes in sizes
    ]


def run_expired(
    film: str | None, *, is_removed: bool = False, data_dir: str | None = None
) -> CleanReport:
    """Say what films have that is older than section `retention` lets it be, and remove it.

    Parameters
    ----------
    film, is_removed, data_dir
        As `run`.

    Raises
    ------
    UserError
        As `run`.
    """
    root, config = film_workspace.load_settings(data_dir, ())
    data = workspace.data_folder(root, config.project.data_dir)
    notes = remote_workspace.finish(data) if is_removed else []  # of a killed one
    spaces = workspace.find(root, config.project.data_dir, film, has_series=True)
    if not spaces:
        raise film_workspace.no_such_film(film, config)
    entries: list[CleanEntry] = []
    for space in spaces:
        own = film_workspace.load_settings(data_dir, (), space)[1]
        with ExitStack() as held:
            if is_removed:
                held.enter_context(workspace.lock(space, config.pipeline.lock_wait_seconds))
            workspace.fetch(space)
            found = _expire(space, own, is_removed=is_removed)
            has_expired = any(one.kind == "film" for one in found)
            if is_removed and has_expired:
                remote_workspace.remove(space)
        entries += found
        if is_removed and has_expired:
            atomic.remove_folder(space.root)
        elif is_removed and found:
            notes += remote_workspace.purge(space.root)
    return CleanReport(
        entries=tuple(entries), is_removed=is_removed, notes=tuple(dict.fromkeys(notes))
    )


def _expire(space: Workspace, config: Config, *, is_removed: bool) -> list[CleanEntry]:
    """Entries of one film; its own folder is left to the caller, who holds its lock."""
    now, days = time.time(), config.retention
    if days.film_days and now - _last_touched(space) > days.film_days * DAY_S:
        homes = (space.checkpoint, space.log / space.film_id)
        sizes = [one.stat().st_size for top in (space.root, *homes) for one in _files(top)]
        for home in homes if is_removed else ():
            atomic.remove_folder(home)
        return [_entry(space, "film", sizes)]
    found = []
    for kind in ("log", "answer", "measure"):
        limit = getattr(days, f"{kind}_days") * DAY_S
        unfinished = _unfinished(space, EXPIRING[kind])
        if not limit or unfinished:
            continue
        old = [
            one
            for top in _tops(space, kind, EXPIRING)
            for one in _files(top)
            if now - one.stat().st_mtime > limit
        ]
        sizes = [one.stat().st_size for one in old]
        for path in old if is_removed else ():
            atomic.remove_file(path)
            if not any(path.parent.iterdir()):  # half a shard is none
                path.parent.rmdir()
        found += [_entry(space, kind, sizes)] if old else []
    return found


def _entry(space: Workspace, kind: str, sizes: Sequence[int]) -> CleanEntry:
    return CleanEntry(film_id=space.film_id, kind=kind, num_files=len(sizes), num_bytes=sum(sizes))


def _last_touched(space: Workspace) -> float:
    """When a stage last ran or a person last said something, seconds since 1970."""
    root = space.root
    told = [*root.glob("stage/*/stage.json"), *root.glob("*.jsonl"), root / "source.json"]
    return max(path.stat().st_mtime for path in told if path.is_file())


def _to_size(num_bytes: int) -> str:
    """A size for people.

    Examples
    --------
    >>> _to_size(999), _to_size(1_500_000)
    ('999 B', '1.5 MB')
    """
    if num_bytes < 1000:
        return f"{num_bytes} B"
    size, units = num_bytes / 1000, ["kB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size, units = size / 1000, units[1:]
    return f"{size:.1f} {units[0]}"


def free(space: Workspace, kind: str, *, is_removed: bool) -> CleanEntry:
    """Count what a film has of one of `KINDS`, and remove it if that is wanted."""
    files = [(path, path.stat().st_size) for top in _tops(space, kind) for path in _files(top)]
    unfinished = _unfinished(space, KINDS[kind])
    if is_removed and not unfinished:
        for top in list(_tops(space, kind)):
            if top.is_dir() and not top.is_symlink():
                atomic.remove_folder(top)
            else:
                atomic.remove_file(top)
    return CleanEntry(
        film_id=space.film_id,
        kind=kind,
        num_files=len(files),
        num_bytes=sum(size for _, size in files),
        note=unfinished and f"kept, because stage {unfinished} is not finished",
    )


def _unfinished(space: Workspace, kind: CleanKind) -> str:
    """The first stage that is needed and not done; empty where all are."""
    for name in kind.stages:
        record = fingerprint.read_record(space.root, name)
        if record and record.get("status") != "done":
            return name
    return ""


def _tops(space: Workspace, kind: str, kinds: Mapping[str, CleanKind] = KINDS) -> Iterator[Path]:
    wanted = kinds[kind]
    places = ((space.root, wanted.film), (space.checkpoint, wanted.checkpoint))
    for folder, globs in (*places, (space.log / space.film_id, wanted.log)):
        for pattern in globs:
            yield from sorted(folder.glob(pattern))


def _parts(kinds: Iterable[str]) -> Iterator[str]:
    """Files of kinds as `workspace.fetch` names them."""
    for kind in (KINDS[name] for name in kinds):
        for glob in (*kind.film, *(f"{workspace.CHECKPOINT}/{one}" for one in kind.checkpoint)):
            yield from (glob.replace("**", "*"), glob.replace("**", "*") + "/*")


def _files(top: Path) -> Iterator[Path]:
    """Files at or below a place; links are not followed."""
    if top.is_dir() and not top.is_symlink():
        yield from (path for path in sorted(top.rglob("*")) if path.is_file())
    elif top.is_file():
        yield top
