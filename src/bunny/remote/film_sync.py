"""A film's folder beside its manifest: what is fetched, what is sent, what two people said at once.

The folder is a working copy. Beside it lies what was last the same on both sides (its base), with
sizes and times of the files, so that what changed here is known without reading it again.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from bunny.core import atomic, file_hash, jsonl
from bunny.core.error import BunnyError
from bunny.remote import manifest as manifests
from bunny.remote.manifest import Manifest
from bunny.remote.object_store import ChangedError, ObjectStore

BASE = ".remote.json"  # in the film's folder
NOTED_EVERY = 64  # files, so that a kill leaves few that are fetched and not noted
TRIES = 20  # of writing a manifest that others write too
OWN = {".lock", ".lock.json", BASE, "stage/state.json", "stage/hash.json"}  # of one machine
RECORDS = (  # of people; lines of both sides are kept
    "film/feedback.jsonl",
    "film/addition.jsonl",
    "film/approval.jsonl",
    "film/forgotten.jsonl",
    "film/timeline.jsonl",
)
HEAVY = (
    "film/frame/",
    "film/dataset/",
    "film/clip/",
    "film/pair/",
    "film/picture/",
    "film/evaluation/",
    "checkpoint/",
)  # fetched when a film is opened, not when it is listed


@dataclass(frozen=True, kw_only=True)
class LocalFile:
    """A file of the working copy when it was last the same as its object."""

    sha256: str
    size: int
    mtime_ns: int


class FilmSync:
    """One film's working copy and its manifest.

    Parameters
    ----------
    store : ObjectStore
    film_id : str
    places : mapping of str to Path
        Folders by the first part of a file's name: `film`, `checkpoint`.
    """

    def __init__(self, store: ObjectStore, film_id: str, places: Mapping[str, Path]) -> None:
        self._store, self.film_id, self._places = store, film_id, places
        self._base, self._known = self._read_base()
        self._is_light = True  # until all of it is asked for

    # -- fetching -----------------------------------------------------------------------------

    def pull(self, *, is_light: bool = False) -> bool:
        """Fetch what is newer there; gives whether anything was.

        Parameters
        ----------
        is_light : bool
            Leave pictures and weights where they are: `HEAVY`.
        """
        self._is_light = is_light
        there, etag = manifests.read(self._store, self.film_id)
        if etag is None:
            return False
        mine = self._changed_here()
        fetched = 0
        for name, sha256 in there.files.items():
            known = self._known.get(name)
            is_here = known is not None and known.sha256 == sha256 and self._path(name).exists()
            if is_here or (is_light and name.startswith(HEAVY)):
                continue
            if name in RECORDS and name in mine:
                self._join_record(name, sha256)
            elif name not in mine:
                self._fetch(name, sha256)
            fetched += 1
            if fetched % NOTED_EVERY == 0:
                self._write_base()
        for name in set(self._base.files) - set(there.files) - set(mine):
            atomic.remove_file(self._path(name))
            self._known.pop(name, None)
        self._base = there
        self._write_base()
        return fetched > 0

    def _fetch(self, name: str, sha256: str) -> None:
        path = self._path(name)
        self._store.download(manifests.object_key(sha256), path, sha256)
        self._known[name] = _noted(path, sha256)

    def _join_record(self, name: str, sha256: str) -> None:
        """Lines that are there, then those that only this machine has."""
        path = self._path(name)
        copy = path.with_name(f".{path.name}.there")
        self._store.download(manifests.object_key(sha256), copy, sha256)
        theirs = copy.read_bytes()
        known = set(theirs.splitlines(keepends=True))
        with jsonl.lock(path):
            mine = path.read_bytes().splitlines(keepends=True)
            atomic.write_bytes(path, theirs + b"".join(line for line in mine if line not in known))
        atomic.remove_file(copy)
        self._known.pop(name, None)  # it is another one than either

    # -- sending ------------------------------------------------------------------------------

    def push(self, check: Callable[[], None] = lambda: None) -> Manifest:
        """Send what changed here, then say so in the manifest; gives the one that holds now.

        Parameters
        ----------
        check : callable
            Asked before anything is said; raises where this process may not write any more.

        Notes
        -----
        Objects first, the manifest last: a kill between leaves the state before. Where others
        wrote meanwhile, their files are taken over where nothing changed here, and lines of
        records are joined.
        """
        for _ in range(TRIES):
            there, etag = manifests.read(self._store, self.film_id)
            if there.generation != self._base.generation:
                self.pull(is_light=self._is_light)
            files = self._hashes_here()
            if files == dict(there.files) and etag is not None:
                return there
            for name, sha256 in files.items():
                if there.files.get(name) != sha256:
                    self._store.upload(manifests.object_key(sha256), self._path(name))
            check()
            new = self._replace(there, etag, files)
            if new is None:
                continue
            self._base = new
            self._write_base()
            self._note_in_index(new.generation)
            return new
        raise self._all_the_time()

    def send_words(self) -> bool:
        """Send what people said here since, and nothing else; gives whether there was anything.

        For a film that stays open: what others changed meanwhile is not fetched, but lines of
        theirs in the same records are joined with those that are sent.
        """
        for _ in range(TRIES):
            said = self._changed_records()
            there, etag = manifests.read(self._store, self.film_id) if said else (None, None)
            if there is None or etag is None:  # the first to send a film sends all of it
                return False
            for name in said:
                if there.files.get(name, "") not in ("", self._base.files.get(name)):
                    self._join_record(name, there.files[name])
            sent = {n: _noted(self._path(n), file_hash.hash_file(self._path(n))) for n in said}
            for name, known in sent.items():
                self._store.upload(manifests.object_key(known.sha256), self._path(name))
            hashes = {name: known.sha256 for name, known in sent.items()}
            new = self._replace(there, etag, dict(sorted({**there.files, **hashes}.items())))
            if new is None:
                continue
            if there.generation == self._base.generation:
                self._base = new
            self._known |= sent
            self._write_base()
            self._note_in_index(new.generation)
            return True
        raise self._all_the_time()

    def _replace(self, there: Manifest, etag: str | None, files: dict[str, str]) -> Manifest | None:
        """The next manifest, written; None where another came before."""
        new = replace(
            there,
            generation=there.generation + 1,
            by=socket.gethostname(),
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            files=files,
        )
        try:
            self._store.put(manifests.manifest_key(self.film_id), new.to_bytes(), etag)
        except ChangedError:
            return None
        return new

    def _all_the_time(self) -> BunnyError:
        return BunnyError(
            f"{self._store.address}: {self.film_id} is written by others all the time; run again"
        )

    def _note_in_index(self, generation: int) -> None:
        for _ in range(TRIES):
            films, etag = manifests.read_index(self._store)
            if films.get(self.film_id, 0) >= generation:
                return
            films[self.film_id] = generation
            try:
                self._store.put(manifests.INDEX, manifests.index_bytes(films), etag)
            except ChangedError:
                continue
            return

    def generation(self) -> int:
        """Of the manifest that this working copy was last the same as; 0: none."""
        return self._base.generation

    def has_new_words(self) -> bool:
        """Whether people said something here that is not there yet."""
        return bool(self._changed_records())

    # -- what is here -------------------------------------------------------------------------

    def evict(self, names: Collection[str] | None = None) -> int:
        """Remove files that lie in the manifest unchanged; gives the bytes that were freed.

        Parameters
        ----------
        names : collection of str, optional
            Only these; None: all of `HEAVY`.
        """
        freed = 0
        away: dict[str, LocalFile] = {}
        for name, known in self._known.items():
            is_meant = name in names if names is not None else name.startswith(HEAVY)
            path = self._path(name)
            if not is_meant or self._base.files.get(name) != known.sha256 or not path.exists():
                continue
            if self._is_noted(path, known):
                away[name] = known
        for name in away:
            del self._known[name]
        self._write_base()  # first: a file that is gone and not noted as away counts as removed
        for name, known in away.items():
            atomic.remove_file(self._path(name))
            freed += known.size
        return freed

    def heavy_bytes(self) -> int:
        """Size of what `evict` would remove."""
        return sum(
            known.size
            for name, known in self._known.items()
            if name.startswith(HEAVY) and self._path(name).exists()
        )

    def _hashes_here(self) -> dict[str, str]:
        """Hash of each file of the working copy; those that are not here stay as they are there.

        One that was here and is gone was removed by somebody; `evict` notes what it takes away.
        """
        found = {}
        for name, path in self._files():
            known = self._known.get(name)
            if known is None or not self._is_noted(path, known):
                known = _noted(path, file_hash.hash_file(path))
                self._known[name] = known
            found[name] = known.sha256
        kept = {
            name: sha256
            for name, sha256 in self._base.files.items()
            if name not in found and name not in self._known
        }
        return dict(sorted({**kept, **found}.items()))

    def _changed_here(self) -> set[str]:
        """Names that are not as they last were on both sides, new ones among them."""
        found = set()
        for name, path in self._files():
            known = self._known.get(name)
            if known is None or not self._is_noted(path, known):
                found.add(name)
        return found

    def _changed_records(self) -> list[str]:
        """As `_changed_here`, of `RECORDS`."""
        found = []
        for name in RECORDS:
            path, known = self._path(name), self._known.get(name)
            if path.is_file() and (known is None or not self._is_noted(path, known)):
                found.append(name)
        return found

    def _files(self) -> Iterator[tuple[str, Path]]:
        for top, folder in self._places.items():
            for path in sorted(folder.rglob("*")):
                name = path.relative_to(folder).as_posix()
                if path.is_symlink() or not path.is_file() or _is_passing(path.name):
                    continue
                if not (top == "film" and name in OWN):
                    yield f"{top}/{name}", path

    def _path(self, name: str) -> Path:
        top, _, rest = name.partition("/")
        path = self._places[top] / rest
        if not path.resolve().is_relative_to(self._places[top].resolve()):
            raise BunnyError(f"{self._store.address}: {name} leads out of the film's folder")
        return path

    @staticmethod
    def _is_noted(path: Path, known: LocalFile) -> bool:
        stat = path.stat()
        return (stat.st_size, stat.st_mtime_ns) == (known.size, known.mtime_ns)

    def _read_base(self) -> tuple[Manifest, dict[str, LocalFile]]:
        empty = Manifest(film_id=self.film_id)
        try:
            values = json.loads((self._places["film"] / BASE).read_text(encoding="utf-8"))
            known = {name: LocalFile(**one) for name, one in values["known"].items()}
            return Manifest(**values["base"]), known
        except (OSError, ValueError, KeyError, TypeError):
            return empty, {}

    def _write_base(self) -> None:
        home = self._places["film"]
        if not home.is_dir():
            return
        values = {
            "base": {**vars(self._base), "files": dict(self._base.files)},
            "known": {name: vars(one) for name, one in sorted(self._known.items())},
        }
        atomic.write_bytes(home / BASE, json.dumps(values).encode())


def _noted(path: Path, sha256: str) -> LocalFile:
    stat = path.stat()
    return LocalFile(sha256=sha256, size=stat.st_size, mtime_ns=stat.st_mtime_ns)


def _is_passing(name: str) -> bool:
    """Whether a file is half written, or a lock beside a record."""
    return name.startswith(".") and name.endswith((".tmp", atomic.GONE, ".lock", ".there"))
