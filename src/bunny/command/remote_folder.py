"""`data_dir: s3://bucket/prefix`: the working copy on this machine, fetched, locked and sent."""

from __future__ import annotations

import atexit
import hashlib
import logging
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bunny.core import atomic, workspace
from bunny.core import config as configuration
from bunny.core.error import BunnyError
from bunny.core.remote_workspace import UnnamedObjects
from bunny.core.workspace import Workspace

if TYPE_CHECKING:
    from bunny.remote.film_index import Index
    from bunny.remote.film_sync import FilmSync
    from bunny.remote.lease import Lease
    from bunny.remote.object_store import Entry, ObjectStore

logger = logging.getLogger(__name__)

CACHE = "data/cache"  # of the project: one folder for each address
CHECKED = ".conditional-writes"  # server that was found to have them
CHECKED_S = 86400.0
BAR_AFTER_S = 2.0
SEND_S = 10.0  # between looks for what people said in a film that stays open, as on the board


class S3Folders:
    """Working copies of data folders on object storage, by address.

    Films are known by the index as soon as a command asks for the folder, with tables and records;
    pictures, shards and weights come when a command or a stage asks for them.
    """

    def __init__(self) -> None:
        self._store: dict[Path, ObjectStore] = {}  # by folder of the working copy
        self._sync: dict[Path, FilmSync] = {}  # by folder of the film
        self._held: dict[Path, Lease] = {}
        self._removed: set[Path] = set()  # films that go when their lease is given back
        self._used: set[Path] = set()  # films of which something was fetched or sent
        self._cache_gib, self._lease_s = 0.0, 0.0
        self._busy, self._ended = threading.RLock(), threading.Event()
        self._sender = threading.Thread(target=self._send_words, daemon=True)

    def open(self, root: Path, address: str) -> Path:
        """See `remote_workspace.RemoteFolders`."""
        from bunny.remote import film_index
        from bunny.remote.object_store import ObjectStore

        store_name = address.removeprefix("s3://").strip("/").replace("/", "-")[:40]
        digest = hashlib.sha256(address.rstrip("/").encode()).hexdigest()[:8]
        place = (root / CACHE / f"{store_name}-{digest}").resolve()
        if place in self._store:
            return place
        store = ObjectStore(address)
        settings = configuration.load(root, []).project
        self._cache_gib, self._lease_s = settings.cache_gib, settings.lease_seconds
        index, _ = film_index.read(store)
        place.mkdir(parents=True, exist_ok=True)
        _check_server(store, place)
        with self._busy:
            self._store[place] = store
            try:
                self._pull_films(place, index.films)
            except BaseException:
                del self._store[place]
                raise
            self._leave_removed(place, index)
        if not self._sender.is_alive():
            self._sender.start()
        return place

    def _pull_films(self, place: Path, films: Mapping[str, int]) -> None:
        """Bring tables and records of films that changed here, all films side by side."""
        from tqdm.auto import tqdm

        from bunny.remote.film_sync import RemovedError
        from bunny.remote.object_store import THREADS

        syncs = {film_id: self._of(place / "output" / film_id) for film_id in films}
        changed = [one for one in syncs.values() if one.generation() != films[one.film_id]]
        if not changed:
            return

        def pull(sync: FilmSync) -> None:
            with suppress(RemovedError):  # it is being deleted this moment
                sync.pull((), requests)

        with (
            ThreadPoolExecutor(THREADS, "request") as requests,  # of all films together
            ThreadPoolExecutor(THREADS, "film") as pool,
            tqdm(
                total=len(changed), desc="films", unit="film", delay=BAR_AFTER_S, leave=False
            ) as bar,
        ):
            futures = [pool.submit(pull, one) for one in changed]
            try:
                for done in as_completed(futures):
                    done.result()
                    bar.update()
            finally:
                pool.shutdown(cancel_futures=True)

    def _leave_removed(self, place: Path, index: Index) -> None:
        """Remove working copies of films that were deleted there."""
        from bunny.remote import file_kind, film_index

        for base in sorted(place.glob(f"output/*/{file_kind.BASE}")):
            film = base.parent
            if film.name in index.films or film_index.hash_id(film.name) not in index.removed:
                continue
            sync = self._of(film)
            with self._alone(film) as is_free:
                pass
            if is_free and sync.generation():
                if sync.leave():
                    logger.warning(
                        "%s was deleted from the data folder; what was never sent stays in %s",
                        film.name,
                        film,
                    )
                del self._sync[film]

    @contextmanager
    def hold(self, space: Workspace, wait_s: float) -> Iterator[None]:
        """See `remote_workspace.RemoteFolders`."""
        from bunny.remote import lease, sweep

        sync = self._find(space.root)
        if sync is None:
            yield
            return
        is_removed = False
        store = self._store[space.root.parents[1]]
        with lease.hold(store, space.film_id, wait_s, self._lease_s) as own:
            with self._busy:
                sync.pull(())
                self._held[space.root] = own
                self._used.add(space.root)
            try:
                yield
            finally:
                with self._busy:
                    del self._held[space.root]
                    is_removed = space.root in self._removed
                    if not own.is_lost and is_removed:
                        self._finish_removal(space, own)
                    elif not own.is_lost:
                        sync.push(own.check)
            own.check()
        if is_removed:
            sweep.free_lease(store, space.film_id)

    def remove(self, space: Workspace) -> None:
        """See `remote_workspace.RemoteFolders`."""
        if self._find(space.root) is not None:
            self._removed.add(space.root)

    def _finish_removal(self, space: Workspace, own: Lease) -> None:
        """Delete a film on the server, and forget that there is a copy of it here."""
        from bunny.remote import sweep

        store = self._store[space.root.parents[1]]
        sweep.mark_removed(store, space.film_id, own.check)
        for note in sweep.finish_removal(store, space.film_id):
            logger.warning("%s: %s", space.film_id, note)
        self._removed.discard(space.root)
        del self._sync[space.root]

    def purge(self, folder: Path) -> list[str]:
        """See `remote_workspace.RemoteFolders`."""
        from bunny.remote import manifest, sweep

        if folder.parent in self._store:
            return sweep.purge(self._store[folder.parent], manifest.LIBRARY)
        store = self._store.get(folder.parents[1])
        return [] if store is None else sweep.purge(store, folder.name)

    def finish(self, data: Path) -> list[str]:
        """See `remote_workspace.RemoteFolders`."""
        from bunny.remote import film_index, sweep

        store = self._store.get(data)
        if store is None:
            return []
        notes = sweep.finish_removals(store, self._lease_s)
        with self._busy:
            self._leave_removed(data, film_index.read(store)[0])
        return notes

    def sweep(
        self, data: Path, film_ids: Collection[str] | None, *, is_removed: bool
    ) -> UnnamedObjects:
        """See `remote_workspace.RemoteFolders`."""
        from bunny.remote import sweep

        store = self._store.get(data)
        if store is None:
            return UnnamedObjects()
        notes = self.finish(data) if is_removed else []
        found = [sweep.find(store, one) for one in ([None] if film_ids is None else film_ids)]
        for one in found if is_removed else ():
            notes += sweep.delete(store, one)
        unnamed = [one for each in found for one in each.unnamed]
        return UnnamedObjects(
            sizes=tuple(_size_of(one.film_id, one.entries) for one in unnamed if one.entries),
            young=tuple(_size_of(one.film_id, one.young) for one in unnamed if one.young),
            notes=tuple(dict.fromkeys(notes)),
        )

    def fetch(self, space: Workspace, parts: Collection[str]) -> None:
        """See `remote_workspace.RemoteFolders`."""
        with self._busy:
            sync = self._find(space.root)
            if sync is None:
                return
            self._used.add(space.root)
            if space.root in self._held:
                sync.bring(parts)
            else:
                sync.pull(parts)

    def away(self, space: Workspace) -> Collection[str]:
        """See `remote_workspace.RemoteFolders`."""
        with self._busy:
            sync = self._find(space.root)
            return () if sync is None else sync.away()

    def publish(self, space: Workspace, kept: Collection[str]) -> None:
        """See `remote_workspace.RemoteFolders`."""
        with self._busy:
            sync = self._find(space.root)
            if sync is None:
                return
            own = self._held.get(space.root)
            sync.push(own.check if own else lambda: None, has_removals=own is not None)
            self._make_room({space.root: kept})

    def fetch_library(self, folder: Path) -> None:
        """See `remote_workspace.RemoteFolders`."""
        with self._busy:
            sync = self._of_library(folder)
            if sync is None or folder in self._held:
                return
            folder.mkdir(parents=True, exist_ok=True)
            with self._alone(folder) as is_free:  # else a command of this machine is writing
                if is_free:
                    sync.reset()

    @contextmanager
    def hold_library(self, folder: Path, wait_s: float) -> Iterator[None]:
        """See `remote_workspace.RemoteFolders`; what fails, or is killed, changes nothing there."""
        from bunny.remote import lease, manifest

        sync = self._of_library(folder)
        if sync is None:
            yield
            return
        store = self._store[folder.parent]
        with lease.hold(store, manifest.LIBRARY, wait_s, self._lease_s) as own:
            with self._busy:
                sync.reset()
                self._held[folder] = own
            try:
                yield
                with self._busy:
                    sync.push(own.check)
            finally:
                del self._held[folder]

    def close(self) -> None:
        """Send what people said in films that nobody ran, and keep no more here than is allowed."""
        from bunny.remote.film_sync import RemovedError

        self._ended.set()
        with self._busy:
            for film, sync in self._sync.items():
                try:
                    if sync.has_new_words():
                        sync.push(has_removals=False)
                except RemovedError as error:
                    logger.warning("%s; what was said of it stays in %s", error, film)
            if self._used:
                self._make_room()

    def _send_words(self) -> None:
        """Send now and then what people say, so that a machine that is lost takes little along."""
        while not self._ended.wait(SEND_S):
            with self._busy:
                try:
                    for film, sync in self._sync.items():
                        if film not in self._held:
                            sync.send_words()
                except (BunnyError, OSError) as error:  # all is here still, for the next look
                    logger.warning("corrections could not be sent yet: %s", error)

    def _find(self, film: Path) -> FilmSync | None:
        """As `_of`; None of a local film."""
        return self._of(film) if film.parents[1] in self._store else None

    def _of(self, film: Path) -> FilmSync:
        """What keeps a film's folder and its manifest alike."""
        from bunny.remote.film_sync import FilmSync

        place = film.parents[1]
        if film not in self._sync:
            places = {"film": film, "checkpoint": place / "checkpoint" / film.name}
            self._sync[film] = FilmSync(self._store[place], film.name, places)
        return self._sync[film]

    def _of_library(self, folder: Path) -> FilmSync | None:
        """As `_find`, of the library of a data folder."""
        from bunny.remote import manifest
        from bunny.remote.film_sync import FilmSync

        if folder.parent not in self._store:
            return None
        if folder not in self._sync:
            places = {"film": folder}
            self._sync[folder] = FilmSync(self._store[folder.parent], manifest.LIBRARY, places)
        return self._sync[folder]

    def _make_room(self, kept: Mapping[Path, Collection[str]] | None = None) -> None:
        """Remove heavy files that are safely there: other films' first, the oldest of them first.

        Parameters
        ----------
        kept : mapping
            Parts of films that stay.
        """
        sizes = {film: sync.heavy_bytes() for film, sync in self._sync.items()}
        over = sum(sizes.values()) - self._cache_gib * 2**30
        for film in sorted(self._sync, key=lambda one: (one in self._used, _age(one))):
            if over <= 0:
                return
            with self._alone(film) as is_free:
                if is_free:
                    over -= self._sync[film].evict((kept or {}).get(film, ()))

    @contextmanager
    def _alone(self, film: Path) -> Iterator[bool]:
        """Keep other processes of this machine from running a film; False where one runs it."""
        from filelock import FileLock, Timeout

        if film in self._held or not film.is_dir():
            yield film.is_dir()
            return
        try:
            with FileLock(film / workspace.LOCK, timeout=0):
                yield True
        except Timeout:
            yield False


def _check_server(store: ObjectStore, place: Path) -> None:
    """Refuse a server without conditional writes; one that has them is asked once a day."""
    note = place / CHECKED
    with suppress(OSError):
        is_new = time.time() - note.stat().st_mtime < CHECKED_S
        if is_new and note.read_text(encoding="utf-8") == store.endpoint:
            return
    if store.check_conditions():
        atomic.write_bytes(note, store.endpoint.encode())


def _size_of(film_id: str, entries: Collection[Entry]) -> tuple[str, int, int]:
    return film_id, len(entries), sum(one.size for one in entries)


def _age(film: Path) -> float:
    """Time of what a film is made from, seconds since 1970."""
    source = film / "source.json"
    return source.stat().st_mtime if source.exists() else 0.0


@contextmanager
def use() -> Iterator[None]:
    """Let data folders be addresses of S3 for a command."""
    folders = S3Folders()
    workspace.set_remote(folders)
    try:
        yield
    finally:
        workspace.set_remote(None)
        folders.close()


def until_exit() -> S3Folders:
    """Working copies for a process that has no end of its own, as a notebook's kernel."""
    folders = S3Folders()
    atexit.register(folders.close)
    return folders
