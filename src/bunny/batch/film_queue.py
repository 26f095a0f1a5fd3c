"""Films that somebody added from a browser: received in parts, then run one after the other.

    <data_dir>/queue/<entry>/entry.json           what is known of it, see `QueuedFilm`
                            /part.<suffix>        what was received so far
                            /reference/<name>/    pictures of its characters
                            /log/                 what each attempt to run it said
                            /running/             how far it is while it runs, see `film_record`
    <data_dir>/film/<name>                        films that were received whole

Several servers may share the folder: what is known changes under one lock, and each change is a
whole file.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from bunny.batch import queued_film
from bunny.batch.film_list import FilmTask
from bunny.batch.queued_film import ENTRY, STARTABLE, QueuedFilm, State
from bunny.character import reference
from bunny.core import atomic, file_hash, film_file, log
from bunny.core.error import UserError

if TYPE_CHECKING:
    from bunny.batch.engine import FilmOutcome

SPARE_BYTES = 1 << 30  # that the disk keeps free
TAIL_BYTES = 64 * 1024  # of a log that is shown


class OffsetError(Exception):
    """A part that does not begin where the last one ended; `offset` says where that is."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"expected a part that begins at byte {offset}")
        self.offset = offset


class ChecksumError(Exception):
    """A part that arrived other than it was sent; nothing of it was kept."""


class FilmQueue:
    """The queue of a workspace.

    Parameters
    ----------
    data : Path
        The workspace's folder.
    max_bytes : int
        Of one film.
    """

    def __init__(self, data: Path, max_bytes: int) -> None:
        self.data, self.folder = data, data / "queue"
        self._max_bytes = max_bytes

    # Receiving -----------------------------------------------------------------------------------

    def add(self, name: str, size: int, user: str, head: str = "") -> QueuedFilm:
        """Begin to receive a film, or go on with one that was cut off.

        Parameters
        ----------
        name : str
            Of its file; folders in it are dropped.
        size : int
            Bytes.
        user : str
            Who adds it.
        head : str
            SHA-256 of its first `HEAD_BYTES` bytes as hexadecimal digits, if known.

        Raises
        ------
        UserError
            If its name is no film's, it is empty or too large, or the disk has no room for it.
        """
        name = queued_film.clean_name(name)
        if not 0 < size <= self._max_bytes:
            raise UserError(
                f"{name}: expected a film of 1 byte to {self._max_bytes / 2**30:.3g} GiB "
                f"(review.max_upload_gib), got {size / 2**30:.3g} GiB; copy it to this machine "
                "and use `bunny run`"
            )
        with self._lock():
            for one in self.films():
                if head and (one.head, one.size, one.state) == (head, size, "uploading"):
                    return one
            free = shutil.disk_usage(self.folder).free
            if free < size + SPARE_BYTES:
                raise UserError(
                    f"{name}: expected {(size + SPARE_BYTES) / 2**30:.1f} GiB of free disk, found "
                    f"{free / 2**30:.1f} GiB; make room with `bunny clean`"
                )
            film = QueuedFilm(
                entry=secrets.token_hex(8),
                name=name,
                size=size,
                user=user[:80],
                added_at=queued_film.now(),
                head=head,
            )
            self._write(film)
            return film

    def adopt(self, film: str, film_id: str, user: str) -> QueuedFilm:
        """Put a film that has a workspace on the list, so that it can run from here.

        Parameters
        ----------
        film : str
            Its path or address, which stays where it is.
        film_id : str
            Of its workspace, which has its references.
        user : str
            Who asks for it.
        """
        place = film_file.locate(film)
        size = place.stat().st_size if isinstance(place, Path) and place.exists() else 0
        with self._lock():
            for one in self.films():
                if one.film_id == film_id:
                    return one
            return self._write(
                QueuedFilm(
                    entry=secrets.token_hex(8),
                    name=place.name,
                    size=size,
                    user=user[:80],
                    added_at=queued_film.now(),
                    state="ready",
                    film=film,
                    film_id=film_id,
                )
            )

    def received(self, film: QueuedFilm) -> int:
        """Bytes of a film that have arrived."""
        if film.film is not None:
            return film.size
        part = self._part(film)
        return part.stat().st_size if part.exists() else 0

    def receive(self, entry: str, offset: int, data: bytes, sha256: bytes | None = None) -> int:
        """Keep the next part of a film.

        Parameters
        ----------
        offset : int
            Where in the film the part begins, in bytes.
        sha256 : bytes, optional
            Of the part, as its sender says.

        Returns
        -------
        int
            Bytes of the film that have arrived.

        Raises
        ------
        UserError
            If no such film is being received, or the part is more than is left of it.
        OffsetError
            If it does not begin where the last part ended.
        ChecksumError
            If it is not what was sent.
        """
        if sha256 is not None and hashlib.sha256(data).digest() != sha256:
            raise ChecksumError("this part was damaged in transit; send it again")
        with self._lock():
            film = self.find(entry)
            if film.state != "uploading":
                raise UserError(
                    f"{film.name}: expected a film that is uploading; it is {film.state}"
                )
            have = self.received(film)
            if offset != have:
                raise OffsetError(have)
            if have + len(data) > film.size:
                raise UserError(
                    f"{film.name}: expected {film.size - have} bytes more, got {len(data)}; "
                    "add the film again"
                )
            with self._part(film).open("ab") as stream:
                stream.write(data)
            if have + len(data) == film.size:
                self._write(replace(film, state="checking"))
            return have + len(data)

    def check(self, entry: str, probe: Callable[[Path], None]) -> QueuedFilm:
        """Decide whether what was received is a film that is not here yet, and put it in its place.

        Parameters
        ----------
        probe : callable
            Raises UserError for what is no film.

        Raises
        ------
        OSError
            If it cannot be read or put in its place.
        """
        film = self.find(entry)
        part, content, fault = self._part(film), "", ""
        if part.exists():
            try:
                content = file_hash.hash_file(part)
                probe(part)
                if known := self._same_film(film, content):
                    fault = f"{film.name}: this film is already here as {known}; nothing was added"
            except UserError as error:
                fault = str(error).replace(str(part), film.name)
        with self._lock():
            film = self.find(entry)
            if film.state != "checking":  # it was cancelled meanwhile
                return film
            if fault:
                atomic.remove_file(part)
                return self._write(_failed(film, fault))
            if part.exists():
                place = Path(film.film) if film.film else self._free_place(film.name)
                known_as = {"film": str(place), "name": place.name, "content_hash": content}
                film = self._write(replace(film, **known_as))
                atomic.replace(part, place)
            return self._write(replace(film, state="ready"))

    def fail(self, entry: str, fault: str) -> None:
        """Note that a film could not be checked or run, through no fault of its content."""
        with self._lock():
            film = self.find(entry)
            if film.state in ("checking", "running"):
                self._write(_failed(film, f"{film.name}: {fault}"))

    # What people ask for -------------------------------------------------------------------------

    def add_reference(self, entry: str, name: str, file: str, data: bytes) -> None:
        """Keep a picture of a character of a film that has no workspace yet.

        Parameters
        ----------
        name : str
            The character's.
        file : str
            Its file's name, without folders.
        data : bytes
            Checked to be a picture.

        Raises
        ------
        UserError
            If the name can be no character's, or the film runs.
        """
        reference.check_name(name)
        with self._lock():
            film = self.find(entry)
            if film.state in ("running", "waiting"):
                raise UserError(
                    f"{film.name}: references cannot be added while it is {film.state}; add them "
                    "after the run has ended"
                )
            atomic.write_bytes(self._entry(entry) / "reference" / name / file, data)

    def references(self, film: QueuedFilm) -> dict[str, int]:
        """Number of pictures of each character that was given for a film."""
        folder = self._entry(film.entry) / "reference"
        return {one.name: len(list(one.iterdir())) for one in sorted(folder.glob("*/"))}

    def start(self, entry: str) -> QueuedFilm:
        """Let a film run when its turn comes; one that ran before runs again.

        Raises
        ------
        UserError
            If it was not received whole, or waits or runs already.
        """
        with self._lock():
            film = self.find(entry)
            if film.state not in STARTABLE or film.film is None:
                raise UserError(
                    f"{film.name}: cannot be started; it is {queued_film.describe(film)}"
                )
            return self._write(replace(film, state="waiting", error="", is_unwanted=False))

    def cancel(self, entry: str) -> QueuedFilm:
        """Stop receiving or running a film; what a run has stays, what was received in part goes.

        Raises
        ------
        UserError
            If there is nothing to cancel.
        """
        with self._lock():
            film = self.find(entry)
            if film.state == "running":
                return self._write(replace(film, is_unwanted=True))
            if film.state == "waiting":
                return self._write(replace(film, state="ready"))
            if film.state not in ("uploading", "checking"):
                raise UserError(
                    f"{film.name}: there is nothing to cancel; it is {queued_film.describe(film)}"
                )
            atomic.remove_file(self._part(film))
            return self._write(replace(film, state="cancelled", ended_at=queued_film.now()))

    def remove(self, entry: str) -> None:
        """Take a film off the list; its file and what was made from it stay.

        Raises
        ------
        UserError
            While it waits or runs.
        """
        with self._lock():
            film = self.find(entry)
            if film.state in ("waiting", "running", "checking", "uploading"):
                raise UserError(f"{film.name}: cancel it first; it is {queued_film.describe(film)}")
            atomic.remove_folder(self._entry(entry))

    # Running -------------------------------------------------------------------------------------

    def take(self) -> QueuedFilm | None:
        """The film that has waited longest, which runs from now on; None when none waits."""
        with self._lock():
            waiting = [film for film in self.films() if film.state == "waiting"]
            if not waiting:
                return None
            return self._write(
                replace(waiting[0], state="running", started_at=queued_film.now(), ended_at="")
            )

    def end(self, entry: str, outcome: FilmOutcome) -> QueuedFilm:
        """Note what became of a film that ran."""
        status = outcome.status
        film = self.find(entry)
        if status == "stopped":  # by a person, or with the server, after whose start it goes on
            state = "cancelled" if film.is_unwanted else "waiting"
            return self._change(entry, state=state, ended_at=queued_film.now(), is_unwanted=False)
        return self._change(
            entry,
            state=status,
            ended_at=queued_film.now(),
            error=outcome.attempts[-1].error,
            film_id=outcome.film_id or film.film_id,
            is_unwanted=False,
        )

    def go_on(self) -> None:
        """Let films wait again that ran when their server was killed."""
        with self._lock():
            for film in self.films():
                if film.state == "running":
                    state: State = "cancelled" if film.is_unwanted else "waiting"
                    self._write(replace(film, state=state, is_unwanted=False))

    @contextmanager
    def working(self) -> Iterator[bool]:
        """Whether this process is the one that works the queue off, until the block ends."""
        self.folder.mkdir(parents=True, exist_ok=True)
        held = FileLock(self.folder / ".worker.lock")
        try:
            held.acquire(timeout=0)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            held.release()

    def task(self, film: QueuedFilm, settings: Sequence[str], until: str) -> FilmTask:
        """What `bunny run` gets for a film."""
        return FilmTask(
            film=str(film.film),
            references=str(self._entry(film.entry) / "reference")
            if self.references(film)
            else None,
            settings=tuple(settings),
            until=until,
        )

    # Reading -------------------------------------------------------------------------------------

    def films(self) -> list[QueuedFilm]:
        """All films of the queue, the one added first first."""
        found = [queued_film.read(path) for path in self.folder.glob("*/entry.json")]
        return sorted((one for one in found if one), key=lambda one: (one.added_at, one.entry))

    def find(self, entry: str) -> QueuedFilm:
        """A film of the queue.

        Raises
        ------
        UserError
            If there is none of that name.
        """
        film = (
            queued_film.read(self._entry(entry) / "entry.json") if ENTRY.fullmatch(entry) else None
        )
        if film is None:
            raise UserError("this film is not in the list; reload the page")
        return film

    def log_folder(self, entry: str) -> Path:
        """Where the attempts to run a film say what they do."""
        return self._entry(entry) / "log"

    def record_folder(self, entry: str) -> Path:
        """Where a film that runs says how far it is."""
        return self._entry(entry) / "running"

    def read_log(self, film: QueuedFilm) -> str:
        """The end of what the last attempt to run a film said, a line a line."""
        logs = sorted(self.log_folder(film.entry).glob("*.log"), key=lambda p: p.stat().st_mtime_ns)
        if not logs:
            return ""
        with logs[-1].open("rb") as stream:
            stream.seek(max(0, logs[-1].stat().st_size - TAIL_BYTES))
            said = stream.read().decode("utf-8", "replace")
        lines = [line.rstrip() for line in re.split(r"[\r\n]+", said)]
        return log.redact("\n".join(line for line in lines if line))

    # Files ---------------------------------------------------------------------------------------

    def _entry(self, entry: str) -> Path:
        return self.folder / entry

    def _part(self, film: QueuedFilm) -> Path:
        """Where it is received; decoders know some formats by the suffix."""
        return self._entry(film.entry) / f"part{Path(film.name).suffix.lower()}"

    @contextmanager
    def _lock(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / ".lock"):
            yield

    def _write(self, film: QueuedFilm) -> QueuedFilm:
        text = json.dumps(asdict(film), indent=1)
        atomic.write_bytes(self._entry(film.entry) / "entry.json", text.encode())
        return film

    def _change(self, entry: str, **changes: Any) -> QueuedFilm:
        with self._lock():
            return self._write(replace(self.find(entry), **changes))

    def _same_film(self, film: QueuedFilm, content: str) -> str:
        """Name under which the same content is here already; "" when it is not."""
        for other in self.films():
            if other.entry != film.entry and other.film and other.content_hash == content:
                return other.name
        for source in sorted((self.data / "output").glob("*/source.json")):
            known = _read_source(source)
            if known.get("content_hash") == content and _is_there(str(known.get("film"))):
                return source.parent.name
        return ""

    def _free_place(self, name: str) -> Path:
        """An empty file of a name that nothing had in the folder of films."""
        folder = self.data / "film"
        folder.mkdir(parents=True, exist_ok=True)
        stem, suffix = Path(name).stem, Path(name).suffix
        for number in count(1):
            place = folder / (name if number == 1 else f"{stem}-{number}{suffix}")
            try:
                place.touch(exist_ok=False)
            except FileExistsError:
                continue
            return place
        raise AssertionError("unreachable")


def _failed(film: QueuedFilm, fault: str) -> QueuedFilm:
    """It as refused after it was received, or as failed while it ran."""
    state: State = "refused" if film.state == "checking" else "failed"
    return replace(film, state=state, ended_at=queued_film.now(), error=fault, is_unwanted=False)


def _read_source(path: Path) -> dict[str, Any]:
    """What a workspace says of its film; empty where that is damaged, which its own run says."""
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _is_there(film: str) -> bool:
    """Whether a known film is where it was; one in object storage is not asked for."""
    return film_file.is_address(film) or Path(film).exists()
