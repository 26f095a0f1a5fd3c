"""A film's folder beside its manifest: what is fetched, what is sent, what two people said at once.

The folder is a working copy. Beside it lies what was last the same on both sides (its base), with
sizes and times of the files, so that what changed here is known without reading it again.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from bunny.core import atomic, file_hash, jsonl
from bunny.core.error import BunnyError
from bunny.remote import file_kind
from bunny.remote import manifest as manifests
from bunny.remote.file_kind import BASE, RECORDS
from bunny.remote.manifest import Manifest
from bunny.remote.object_store import ChangedError, ObjectStore

TRIES = 20  # of writing a manifest that others write too
THREADS = 8  # requests at a time; botocore keeps ten connections
BAR_AFTER_S = 2.0


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
        self._base = Manifest(film_id=film_id)
        self._known: dict[str, LocalFile] = {}
        self._read_at = -1  # time of the base's file when it was read
        self._read_base()

    # -- fetching -----------------------------------------------------------------------------

    def pull(self, parts: Collection[str] = file_kind.ALL) -> bool:
        """Take over what is newer there; gives whether anything was fetched.

        Parameters
        ----------
        parts : collection of str
            Which heavy files are wanted, see `workspace.fetch`; all others are fetched anyway.
            Heavy ones that are not wanted, and not what they are there any more, are removed here.
        """
        self._read_base()
        there, etag = manifests.read(self._store, self.film_id)
        return etag is not None and self._take(there, parts)

    def reset(self) -> None:
        """Make the working copy what the manifest says; what was changed here and not sent goes.

        For a library, whose tables go together: what a command left half done is done again.
        """
        self._read_base()
        there, etag = manifests.read(self._store, self.film_id)
        if etag is None:
            return
        for name in self._changed_here():
            atomic.remove_file(self._path(name))
            self._known.pop(name, None)
        self._take(there, file_kind.ALL)

    def bring(self, parts: Collection[str] = file_kind.ALL) -> bool:
        """Fetch files that were left there; no newer manifest is looked at, as a lease is held.

        Parameters
        ----------
        parts : collection of str
            As for `pull`.
        """
        wanted = {n: self._base.files[n] for n in self.away() if file_kind.is_part(n, parts)}
        self._fetch(wanted)
        return bool(wanted)

    def away(self) -> set[str]:
        """Names of files that are there and were not fetched, or were evicted."""
        missing = (name for name in self._base.files if name not in self._known)
        return {name for name in missing if not self._path(name).exists()}

    def _take(self, there: Manifest, parts: Collection[str], *, is_working: bool = False) -> bool:
        """Make another manifest the base; who is working here keeps what was removed here."""
        mine, wanted, stale, num_joined = self._changed_here(), {}, [], 0
        for name, sha256 in there.files.items():
            known = self._known.get(name)
            is_same = known is not None and known.sha256 == sha256
            if is_same and (is_working or self._path(name).exists()):
                continue
            if name in mine:
                if name in RECORDS:
                    self._join_record(name, sha256)
                    num_joined += 1
            elif file_kind.is_heavy(name) and not file_kind.is_part(name, parts):
                stale += [name] if known is not None else []
            else:
                wanted[name] = sha256
        self._remove(stale)
        self._fetch(wanted)
        for name in set(self._base.files) - set(there.files) - mine:
            atomic.remove_file(self._path(name))
            self._known.pop(name, None)
        if there != self._base or wanted or num_joined:
            self._base = there
            self._write_base()
        return bool(wanted) or num_joined > 0

    def _fetch(self, wanted: Mapping[str, str]) -> None:
        """Download files by their hashes, several at a time."""
        if not wanted:
            return
        from tqdm.auto import tqdm

        self._write_base(moving=wanted)
        with (
            ThreadPoolExecutor(THREADS, "fetch") as pool,
            tqdm(
                total=len(wanted), desc="fetch", unit="file", delay=BAR_AFTER_S, leave=False
            ) as bar,
        ):
            futures = {pool.submit(self._download, *one): one[0] for one in wanted.items()}
            try:
                for done in as_completed(futures):
                    done.result()
                    bar.update()
            finally:
                pool.shutdown(cancel_futures=True)
                self._known |= {n: f.result() for f, n in futures.items() if _is_good(f)}
                self._write_base()

    def _download(self, name: str, sha256: str) -> LocalFile:
        path = self._path(name)
        self._store.download(manifests.object_key(sha256), path, sha256)
        return _noted(path, sha256)

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

    def push(
        self, check: Callable[[], None] = lambda: None, *, has_removals: bool = True
    ) -> Manifest:
        """Send what changed here, then say so in the manifest; gives the one that holds now.

        Parameters
        ----------
        check : callable
            Asked before anything is said; raises where this process may not write any more.
        has_removals : bool
            Files that were here and are gone were removed by who holds the lease; else they stay.

        Notes
        -----
        Objects first, the manifest last: a kill between leaves the state before. Where others
        wrote meanwhile, their files are taken over where nothing changed here, and lines of
        records are joined. A file that is written to meanwhile is sent as it is then.
        """
        for _ in range(TRIES):
            there, etag = manifests.read(self._store, self.film_id)
            if etag is not None and there.generation != self._base.generation:
                self._take(there, (), is_working=has_removals)
            files = self._hashes_here(has_removals=has_removals)
            if files == dict(there.files) and etag is not None:
                return there
            if not self._upload({n: h for n, h in files.items() if there.files.get(n) != h}):
                continue
            check()
            new = self._replace(there, etag, files)
            if new is None:
                continue
            self._base = new
            self._write_base()
            self._note_in_index(new.generation)
            return new
        raise self._all_the_time()

    def _upload(self, files: Mapping[str, str]) -> bool:
        """Send files under their hashes; gives whether they still had them when they were sent."""

        def send(name: str, sha256: str) -> bool:
            return self._store.upload(manifests.object_key(sha256), self._path(name), sha256)

        here = {n: h for n, h in files.items() if n in self._known}
        with ThreadPoolExecutor(THREADS, "send") as pool:
            futures = [pool.submit(send, *one) for one in here.items()]
            try:
                found = [done.result() for done in as_completed(futures)]
            finally:
                pool.shutdown(cancel_futures=True)
        return all(found)

    def send_words(self) -> bool:
        """Send what people said here since, and nothing else; gives whether there was anything.

        For a film that stays open: what others changed meanwhile is not fetched, but lines of
        theirs in the same records are joined with those that are sent.
        """
        self._read_base()
        for _ in range(TRIES):
            said = self._changed_records()
            there, etag = manifests.read(self._store, self.film_id) if said else (None, None)
            if there is None or etag is None:  # the first to send a film sends all of it
                return False
            for name in said:
                if there.files.get(name, "") not in ("", self._base.files.get(name)):
                    self._join_record(name, there.files[name])
            sent = {name: _hashed(self._path(name)) for name in said}
            hashes = {name: known.sha256 for name, known in sent.items()}
            self._known |= sent
            if not self._upload(hashes):
                continue
            new = self._replace(there, etag, dict(sorted({**there.files, **hashes}.items())))
            if new is None:
                continue
            if there.generation == self._base.generation:
                self._base = new
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
        if self.film_id == manifests.LIBRARY:
            return
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

    def evict(self, kept: Collection[str] = ()) -> int:
        """Remove heavy files that lie in the manifest unchanged; gives the bytes that were freed.

        Parameters
        ----------
        kept : collection of str
            Parts that stay, as for `pull`.
        """
        going = [
            name
            for name, known in self._known.items()
            if file_kind.is_heavy(name)
            and not file_kind.is_part(name, kept)
            and self._base.files.get(name) == known.sha256
        ]
        return self._remove(going)

    def _remove(self, names: Collection[str]) -> int:
        """Remove files here that are as they were noted, and forget them; gives the bytes."""
        going: dict[str, LocalFile] = {}
        for name in names:
            known, path = self._known.get(name), self._path(name)
            if known is not None and (not path.exists() or self._is_noted(path, known)):
                going[name] = self._known.pop(name)
        if not going:
            return 0
        # First: a file that is gone and not noted as away counts as removed.
        self._write_base(moving={name: known.sha256 for name, known in going.items()})
        freed = 0
        for name, known in going.items():
            freed += known.size if self._path(name).exists() else 0
            atomic.remove_file(self._path(name))
        self._write_base()
        return freed

    def heavy_bytes(self) -> int:
        """Size of what `evict` would remove."""
        return sum(
            known.size
            for name, known in self._known.items()
            if file_kind.is_heavy(name) and self._path(name).exists()
        )

    def _hashes_here(self, *, has_removals: bool) -> dict[str, str]:
        """Hash of each file of the working copy; those that are not here stay as they are there.

        One that was here and is gone was removed by somebody; `evict` notes what it takes away.
        """
        found = {}
        for name, path in self._files():
            known = self._known.get(name)
            if known is None or not self._is_noted(path, known):
                known = self._known[name] = _hashed(path)
            found[name] = known.sha256
        kept = {
            name: sha256
            for name, sha256 in self._base.files.items()
            if name not in found and (name not in self._known or not has_removals)
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
                if path.is_symlink() or not path.is_file() or file_kind.is_passing(path.name):
                    continue
                if not file_kind.is_own(f"{top}/{name}"):
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

    def _read_base(self) -> None:
        """Read what was noted, where another process noted more since."""
        path = self._places["film"] / BASE
        try:
            read_at = path.stat().st_mtime_ns
            if read_at == self._read_at:
                return
            values = json.loads(path.read_text(encoding="utf-8"))
            known = {name: LocalFile(**one) for name, one in values["known"].items()}
            self._base, self._known = manifests.from_values(values["base"]), known
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            self._base, self._known, self._read_at = Manifest(film_id=self.film_id), {}, -1
            return
        self._read_at = read_at
        for name, sha256 in values.get("moving", {}).items():  # when a process was killed
            path = self._path(name)
            if name not in known and path.is_file() and (now := _hashed(path)).sha256 == sha256:
                known[name] = now

    def _write_base(self, moving: Mapping[str, str] | None = None) -> None:
        """Note what is the same on both sides, and hashes of files that come or go just now."""
        home = self._places["film"]
        if not home.is_dir():
            return
        values = {
            "base": {**vars(self._base), "files": dict(self._base.files)},
            "known": {name: vars(one) for name, one in sorted(self._known.items())},
            "moving": dict(moving or {}),
        }
        atomic.write_bytes(home / BASE, json.dumps(values).encode())
        self._read_at = (home / BASE).stat().st_mtime_ns


def _noted(path: Path, sha256: str) -> LocalFile:
    stat = path.stat()
    return LocalFile(sha256=sha256, size=stat.st_size, mtime_ns=stat.st_mtime_ns)


def _hashed(path: Path) -> LocalFile:
    """A file and its hash; one that grows meanwhile is another one when it is looked at again."""
    stat = path.stat()
    sha256 = file_hash.hash_file(path)
    return LocalFile(sha256=sha256, size=stat.st_size, mtime_ns=stat.st_mtime_ns)


def _is_good(done: Future[LocalFile]) -> bool:
    return done.done() and not done.cancelled() and done.exception() is None
