"""`data_dir: s3://bucket/prefix`: the working copy on this machine, fetched, locked and sent."""

from __future__ import annotations

import atexit
import hashlib
import logging
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bunny.core import config as configuration
from bunny.core import workspace
from bunny.core.error import BunnyError
from bunny.core.workspace import Workspace

if TYPE_CHECKING:
    from bunny.remote.film_sync import FilmSync
    from bunny.remote.lease import Lease
    from bunny.remote.object_store import ObjectStore

logger = logging.getLogger(__name__)

CACHE = "data/cache"  # of the project: one folder for each address
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
        self._used: set[Path] = set()  # films of which something was fetched or sent
        self._cache_gib, self._lease_s = 0.0, 0.0
        self._busy, self._ended = threading.RLock(), threading.Event()
        self._sender = threading.Thread(target=self._send_words, daemon=True)

    def open(self, root: Path, address: str) -> Path:
        """See `workspace.RemoteFolders`."""
        from bunny.remote import manifest
        from bunny.remote.object_store import ObjectStore

        store_name = address.removeprefix("s3://").strip("/").replace("/", "-")[:40]
        digest = hashlib.sha256(address.rstrip("/").encode()).hexdigest()[:8]
        place = (root / CACHE / f"{store_name}-{digest}").resolve()
        if place in self._store:
            return place
        store = ObjectStore(address)
        settings = configuration.load(root, []).project
        self._cache_gib, self._lease_s = settings.cache_gib, settings.lease_seconds
        films, _ = manifest.read_index(store)
        place.mkdir(parents=True, exist_ok=True)
        with self._busy:
            self._store[place] = store
            for film_id, generation in films.items():
                sync = self._of(place / "output" / film_id)
                if sync is not None and sync.generation() != generation:
                    sync.pull(())
        if not self._sender.is_alive():
            self._sender.start()
        return place

    @contextmanager
    def hold(self, space: Workspace, wait_s: float) -> Iterator[None]:
        """See `workspace.RemoteFolders`."""
        from bunny.remote import lease

        sync = self._of(space.root)
        if sync is None:
            yield
            return
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
                    if not own.is_lost:
                        sync.push(own.check)
            own.check()

    def fetch(self, space: Workspace, parts: Collection[str]) -> None:
        """See `workspace.RemoteFolders`."""
        with self._busy:
            sync = self._of(space.root)
            if sync is None:
                return
            self._used.add(space.root)
            if space.root in self._held:
                sync.bring(parts)
            else:
                sync.pull(parts)

    def away(self, space: Workspace) -> Collection[str]:
        """See `workspace.RemoteFolders`."""
        with self._busy:
            sync = self._of(space.root)
            return () if sync is None else sync.away()

    def publish(self, space: Workspace, kept: Collection[str]) -> None:
        """See `workspace.RemoteFolders`."""
        with self._busy:
            sync = self._of(space.root)
            if sync is None:
                return
            own = self._held.get(space.root)
            sync.push(own.check if own else lambda: None, has_removals=own is not None)
            self._make_room({space.root: kept})

    def fetch_library(self, folder: Path) -> None:
        """See `workspace.RemoteFolders`."""
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
        """See `workspace.RemoteFolders`; what fails, or is killed, changes nothing there."""
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
        self._ended.set()
        with self._busy:
            for sync in self._sync.values():
                if sync.has_new_words():
                    sync.push(has_removals=False)
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

    def _of(self, film: Path) -> FilmSync | None:
        """What keeps a film's folder and its manifest alike; None of a local film."""
        from bunny.remote.film_sync import FilmSync

        place = film.parents[1]
        if place not in self._store:
            return None
        if film not in self._sync:
            places = {"film": film, "checkpoint": place / "checkpoint" / film.name}
            self._sync[film] = FilmSync(self._store[place], film.name, places)
        return self._sync[film]

    def _of_library(self, folder: Path) -> FilmSync | None:
        """As `_of`, of the library of a data folder."""
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
