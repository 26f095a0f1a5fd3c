"""Folders of one film: tables, pictures, logs, and the lock for writing them.

    <data_dir>/output/<film_id>/table/<name>.parquet   tables
                               /frame/                  pictures taken from the film
                               /dataset/<character>/    training pictures
                               /picture/                what the model drew
                               /stage/<name>/           stage.json and unfinished shards
                               /named/ /reference/      people named in it
                               /.lock, .lock.json       who is writing in it
                               /source.json             the film and references it was made from
                               /own_setting.json        settings that it is always run with, if any
                               /series.json             of a joint set of many films alone

Weights go to `checkpoint/<film_id>/`, logs to `log/`. With the default `data_dir` these are the
project's own folders; with another one they lie inside it, so that a workspace is one folder.
"""

import hashlib
import json
import os
import re
import socket
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bunny.core import (
    atomic,
    disk_full,
    file_hash,
    film_file,
    input_path,
    reference_folder,
    remote_workspace,
)
from bunny.core.error import UserError
from bunny.core.film_file import FilmAddress, FilmPlace
from bunny.core.reference_folder import SourceRecord
from bunny.core.remote_workspace import OPENED, RemoteFolders

_offered: list[Callable[[], RemoteFolders]] = []  # makes it where no command line did

ALL = ("*",)  # files of a film, see `fetch`
CHECKPOINT = "checkpoint"
PICTURES = (  # that people look at
    "frame/*",
    "dataset/*",
    "clip/*",
    "pair/*",
    "picture/*",
    "evaluation/*",
    "thumbnail.parquet",
    "variety.parquet",
)
ADAPTERS = ("checkpoint/*.safetensors", "checkpoint/*.json")  # without states of training
SERIES = "series.json"  # what a joint set of many films was drawn from; films have none
HASHES = ".hash.json"  # in the folder of all workspaces: hashes of films and references
LOCK, HOLDER = ".lock", ".lock.json"
LIBRARY_WAIT_S = 60.0  # for another command that writes it; adding a film takes a second
SLUG_MAX = 48  # characters; file systems allow 255 bytes a name and ids are joined into names


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """The folders of one film. `root` is absolute."""

    film_id: str
    root: Path
    checkpoint: Path
    log: Path

    @property
    def table(self) -> Path:
        """Folder of the parquet tables."""
        return self.root / "table"

    @property
    def frame(self) -> Path:
        """Folder of the pictures taken from the film."""
        return self.root / "frame"

    @property
    def is_series(self) -> bool:
        """Whether it is no film but a character's training set drawn from many."""
        return (self.root / SERIES).is_file()

    def stage(self, name: str) -> Path:
        """Folder of a stage's record and unfinished shards."""
        return self.root / "stage" / name

    def source(self) -> SourceRecord:
        """Read what `create` wrote; raises as `reference_folder.read_source` does."""
        return reference_folder.read_source(self.root)

    def own_settings(self) -> list[str]:
        """Settings of this film alone, `section.key=value`; see `save_settings`.

        Raises
        ------
        UserError
            If their file is damaged.
        """
        path = self.root / "own_setting.json"
        if not path.exists():
            return []
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            found = error
        if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
            raise UserError(
                f'{path}: expected a JSON list of settings such as ["seed=1"], could not read it; '
                "fix or delete the file"
            )
        return found


def project_root(start: Path | None = None) -> Path:
    """The nearest folder at or above `start` that has `config/main.yaml`, else `start` itself."""
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        if (folder / "config" / "main.yaml").exists():
            return folder
    return start


def make_film_id(path: FilmPlace, content_hash: str) -> str:
    """Slug of the file's name and 8 hex digits of its content hash, safe as a folder name.

    Examples
    --------
    >>> make_film_id(Path("Mein Café 2.mp4"), "ab" * 32)
    'mein-cafe-2-abababab'
    """
    stem = path.stem if path.stem.strip(".") else "film"
    plain = unicodedata.normalize("NFKD", stem.casefold()).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:SLUG_MAX].strip("-") or "film"
    return f"{slug}-{content_hash[:8]}"


def hash_references(folder: Path | None) -> str:
    """One hash over all reference pictures; the empty string when there are none."""
    if folder is None:
        return ""
    digest = hashlib.sha256()
    for path in reference_folder.list_pictures(folder):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        digest.update(file_hash.hash_path(path).encode())
    return digest.hexdigest()


def of_film(root: Path, data_dir: str, film: FilmPlace) -> Workspace:
    """The workspace that a film has or would get; only the film's hash is stored.

    Parameters
    ----------
    film : Path or FilmAddress
        Checked by `input_path.check_film`.
    """
    film = input_path.check_film(film)
    content_hash = hash_film(data_folder(root, data_dir), film)
    return locate(root, data_dir, make_film_id(film, content_hash))


def create(root: Path, data_dir: str, film: FilmPlace, references: Path | None) -> Workspace:
    """Make (or find) the workspace of a film and record what it is made from.

    Parameters
    ----------
    root : Path
        The project's folder; a relative `data_dir` lies in it.
    references : Path, optional
        Checked by `input_path.check_film` and `check_references`.
    """
    references = input_path.check_references(references)
    film = input_path.check_film(film)
    content_hash = hash_film(data_folder(root, data_dir), film)
    space = locate(root, data_dir, make_film_id(film, content_hash))
    known = space.source() if (space.root / "source.json").exists() else None
    if references is None or references == space.root / reference_folder.JOINED:
        references = None if known is None else reference_folder.user_folder(known)
    write_source(space, str(film), content_hash, references)
    return space


def write_source(space: Workspace, film: str, content_hash: str, references: Path | None) -> None:
    """Record what a film is made from, where that changed.

    Parameters
    ----------
    film : str
        Path or address of the film.
    references : Path or None
        The user's folder; people named in the film are joined with it.
    """
    known = space.source() if (space.root / "source.json").exists() else None
    used = reference_folder.update(space.root, references)
    folder = None if used["references"] is None else Path(used["references"])
    reference_hash = ""
    if folder is not None:
        _make_folder(space.root.parent)
        cache = space.root.parent / HASHES
        reference_hash = file_hash.remembered(cache, "references", folder, hash_references)
    source: SourceRecord = {
        "film": film,
        "content_hash": content_hash,
        **used,
        "reference_hash": reference_hash,
    }
    if source != known:
        _make_folder(space.root)
        atomic.write_bytes(space.root / "source.json", json.dumps(source, indent=1).encode())


def update_references(space: Workspace) -> None:
    """Record a film's references anew, after pictures of people named in it came or went.

    Parameters
    ----------
    space : Workspace
        Locked by the caller.
    """
    known = space.source()
    references = reference_folder.user_folder(known)
    write_source(space, known["film"], known["content_hash"], references)


def save_settings(space: Workspace, settings: Sequence[str]) -> None:
    """Let a film be run with these settings from now on, whichever command asks.

    Parameters
    ----------
    settings : sequence of str
        `section.key=value`; local files, the environment and `--set` still win over them.
    """
    if list(settings) != space.own_settings():
        _make_folder(space.root)
        atomic.write_bytes(
            space.root / "own_setting.json", json.dumps(list(settings), indent=1).encode()
        )


def locate(root: Path, data_dir: str, film_id: str) -> Workspace:
    """The workspace of a known film; nothing is made or checked."""
    data = data_folder(root, data_dir)
    home = root.resolve() if data == (root / "data").resolve() else data
    return Workspace(
        film_id=film_id,
        root=data / "output" / film_id,
        checkpoint=home / "checkpoint" / film_id,
        log=home / "log",
    )


def from_film_dir(film_dir: Path) -> Workspace:
    """The workspace that a film's folder `<data_dir>/output/<film_id>` belongs to."""
    film_dir = film_dir.resolve()
    return locate(project_root(), str(film_dir.parents[1]), film_dir.name)


def find(
    root: Path, data_dir: str, name: str | None = None, *, has_series: bool = False
) -> list[Workspace]:
    """All workspaces, newest last, or those whose film_id is or begins with `name`.

    Joint sets of many films, which have no film of their own, are among them with `has_series`.
    """
    output = data_folder(root, data_dir) / "output"
    found = sorted(output.glob("*/source.json"), key=lambda p: (p.stat().st_mtime, p.as_posix()))
    ids = [p.parent.name for p in found]
    if name:
        ids = [i for i in ids if i == name] or [i for i in ids if i.startswith(name)]
    spaces = [locate(root, data_dir, film_id) for film_id in ids]
    return [space for space in spaces if has_series or not space.is_series]


@contextmanager
def discard_unused(space: Workspace) -> Iterator[None]:
    """Remove the workspace of a new film again if the commands inside fail without a result.

    Otherwise a film that cannot be read would become the newest film, which every command without
    a film id opens.
    """
    is_new = not (space.root / "source.json").exists()
    try:
        yield
    except BaseException:
        if is_new and space.root.is_dir() and not _has_results(space):
            with suppress(UserError), lock(space):  # another process may be working on it
                remote_workspace.remove(space)
            if read_holder(space) is None:
                atomic.remove_folder(space.root)
        raise


def _has_results(space: Workspace) -> bool:
    """Whether a film's folder has more than the records of its source and of its stages."""
    stages = space.root / "stage"
    records = {space.root, stages, *stages.glob("*")}
    return any(path.is_file() and path.parent not in records for path in space.root.rglob("*"))


@contextmanager
def lock(space: Workspace, wait_s: float = 0.0):
    """Let one process write in a workspace; the lock falls with the process, so none goes stale.

    Parameters
    ----------
    wait_s : float
        Seconds to wait for another process that holds it.

    Raises
    ------
    UserError
        If another process holds it for longer; says which, and since when.
    """
    from filelock import FileLock, Timeout

    _make_folder(space.root)
    held = FileLock(space.root / LOCK)
    try:
        held.acquire(timeout=wait_s)
    except Timeout as error:
        raise UserError(
            f"{space.film_id}: {_describe_holder(space)} is writing to this film's workspace; "
            "wait for it to finish (pipeline.lock_wait_seconds) or stop it"
        ) from error
    try:
        holder = {
            "process": os.getpid(),
            "machine": socket.gethostname(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        try:
            atomic.write_bytes(space.root / HOLDER, json.dumps(holder).encode())
        except OSError as error:
            if not disk_full.is_full(error):
                raise
            atomic.remove_file(space.root / HOLDER)  # an old holder's; `clean` may still free space
        with ExitStack() as elsewhere:
            for one in OPENED:
                elsewhere.enter_context(one.hold(space, wait_s))
            yield
    finally:
        held.release()


def set_remote(remote: RemoteFolders | None) -> None:
    """Say what opens data folders that are addresses; None: nothing does."""
    OPENED[:] = [] if remote is None else [remote]


def offer_remote(make: Callable[[], RemoteFolders]) -> None:
    """Say what makes them at the first address, in a process that no command line began."""
    _offered[:] = [make]


def fetch(space: Workspace, parts: Collection[str] = ALL) -> None:
    """Bring files of a film here, where its data folder lies elsewhere.

    Parameters
    ----------
    parts : collection of str
        Which of pictures, clips, shards and weights, as paths relative to the film's folder, or
        below `checkpoint/`, with `*` for any text ("frame/*"). Tables and records always come.
    """
    for one in OPENED:
        one.fetch(space, parts)


def has_files(space: Workspace, files: Iterable[str]) -> bool:
    """Whether files of a film are all here, or safe where its data folder lies.

    Parameters
    ----------
    files : iterable of str
        Relative to the film's folder; those below `checkpoint/` are weights.
    """
    weights = f"{CHECKPOINT}/"
    gone = {
        name if name.startswith(weights) else f"film/{name}"
        for name in files
        if not (
            space.checkpoint / name.removeprefix(weights)
            if name.startswith(weights)
            else space.root / name
        ).is_file()
    }
    return not gone or any(gone.issubset(one.away(space)) for one in OPENED)


def publish(space: Workspace, kept: Collection[str] = ALL) -> None:
    """Send what a film has now, where its data folder lies elsewhere.

    Parameters
    ----------
    kept : collection of str
        Parts that are needed next, as for `fetch`; others may be removed here to make room.
    """
    for one in OPENED:
        one.publish(space, kept)


def fetch_library(folder: Path) -> Path:
    """Bring the library of all films up to date, where its data folder lies elsewhere; gives it."""
    for one in OPENED:
        one.fetch_library(folder)
    return folder


@contextmanager
def lock_library(folder: Path) -> Iterator[None]:
    """Let one process write the library of all films; on object storage one of all machines.

    Parameters
    ----------
    folder : Path
        Made when missing.

    Raises
    ------
    UserError
        If another one writes for more than a minute.
    """
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    held = FileLock(folder / LOCK)
    try:
        held.acquire(timeout=LIBRARY_WAIT_S)
    except Timeout as error:
        raise UserError(
            f"{folder}: another command is writing to this library; wait for it to finish"
        ) from error
    try:
        with ExitStack() as elsewhere:
            for one in OPENED:
                elsewhere.enter_context(one.hold_library(folder, LIBRARY_WAIT_S))
            yield
    finally:
        held.release()


def read_holder(space: Workspace) -> dict | None:
    """Who writes in a workspace now: process, machine, since; None when nobody does."""
    from filelock import FileLock, Timeout

    if not (space.root / LOCK).exists():
        return None
    held = FileLock(space.root / LOCK)
    try:
        held.acquire(timeout=0)
    except Timeout:
        return _read_holder(space) or {"process": None, "machine": None, "since": None}
    held.release()
    return None


def _read_holder(space: Workspace) -> dict | None:
    """What the last holder of the lock wrote; None where it is missing or damaged."""
    try:
        known = json.loads((space.root / HOLDER).read_text(encoding="utf-8"))
        datetime.fromisoformat(known["since"])
        return {"process": int(known["process"]), **{k: known[k] for k in ("machine", "since")}}
    except (OSError, ValueError, KeyError, TypeError):  # it has taken the lock this very moment
        return None


def _describe_holder(space: Workspace) -> str:
    """Who holds the lock, e.g. ``process 4711 on darkroom (since 2026-11-22 09:12:31 UTC)``."""
    known = _read_holder(space)
    if known is None:
        return "another command"
    since = datetime.fromisoformat(known["since"]).astimezone(UTC)
    return f"process {known['process']} on {known['machine']} (since {since:%Y-%m-%d %H:%M:%S} UTC)"


def data_folder(root: Path, data_dir: str) -> Path:
    """The folder of all workspaces; of an address its working copy here.

    Raises
    ------
    UserError
        For an address that is none of object storage, or that does not answer.
    """
    if "\0" in data_dir:
        raise UserError("project.data_dir: expected a folder, found a zero character in the name")
    input_path.check_path(Path(data_dir))
    if "://" in data_dir:
        if not data_dir.startswith("s3://"):
            raise UserError(
                f"project.data_dir: expected a local folder or s3://bucket/prefix, got {data_dir}"
            )
        if not OPENED and _offered:
            set_remote(_offered[0]())
        if not OPENED:
            raise UserError(
                f"project.data_dir: expected a local folder here, got {data_dir}; only the command "
                "`bunny` and notebooks can open addresses"
            )
        return OPENED[0].open(root, data_dir)
    return (root / Path(data_dir).expanduser()).resolve()


def hash_film(data: Path, film: FilmPlace) -> str:
    """SHA-256 of a film or folder, remembered in a data folder while it is the same."""
    cache = data / "output" / HASHES
    _make_folder(cache.parent)
    identify = film_file.stamp if isinstance(film, FilmAddress) else None
    return file_hash.remembered(cache, "film", film, film_file.sha256, identify)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{folder}: cannot create this folder ({error.strerror}); give another --data-dir"
        ) from error
