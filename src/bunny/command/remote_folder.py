"""`data_dir: s3://bucket/prefix`: the working copy on this machine, fetched, locked and sent."""

from __future__ import annotations

import atexit
import hashlib
import logging
import threading
from collections.abc import Iterator
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
    pictures and weights come when a film is opened or run.
    """

    def __init__(self) -> None:
        self._store: dict[Path, ObjectStore] = {}  # by folder of the working copy
        self._sync: dict[Path, FilmSync] = {}  # by folder of the film
        self._held: dict[Path, Lease] = {}
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
                    sync.pull(is_light=True)
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
                sync.pull()
                self._held[space.root] = own
            try:
                yield
            finally:
                with self._busy:
                    del self._held[space.root]
                    if not own.is_lost:
                        sync.push(own.check)
                        self._make_room(sync)
            own.check()

    def fetch(self, space: Workspace) -> None:
        """See `workspace.RemoteFolders`."""
        with self._busy:
            sync = self._of(space.root)
            if sync is not None and space.root not in self._held:
                sync.pull()

    def publish(self, space: Workspace) -> None:
        """See `workspace.RemoteFolders`."""
        with self._busy:
            sync = self._of(space.root)
            if sync is not None:
                own = self._held.get(space.root)
                sync.push(own.check if own else lambda: None)

    def close(self) -> None:
        """Send what people said in films that nobody ran."""
        self._ended.set()
        with self._busy:
            for sync in self._sync.values():
                if sync.has_new_words():
                    sync.push()

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

    def _make_room(self, used: FilmSync) -> None:
        """Remove pictures and weights of other films that are safely there, the oldest first."""
        sizes = {film: sync.heavy_bytes() for film, sync in self._sync.items()}
        over = sum(sizes.values()) - self._cache_gib * 2**30
        others = [film for film, sync in self._sync.items() if sync is not used]
        for film in sorted(others, key=lambda one: (one / "source.json").stat().st_mtime):
            if over <= 0:
                return
            over -= self._sync[film].evict()


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
