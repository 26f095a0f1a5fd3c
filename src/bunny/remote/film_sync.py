"""A film's folder beside its manifest: what is fetched, what is sent, what two people said at once.

The folder is a working copy (`working_copy`). Objects are sent first (`upload`), then the manifest
that names them; what it names no more it lists as dropped, for `sweep` to delete.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Executor, Future, as_completed
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from bunny.core import atomic, jsonl
from bunny.core.error import BunnyError, UserError
from bunny.remote import file_kind, film_index, upload
from bunny.remote import manifest as manifests
from bunny.remote.file_kind import RECORDS
from bunny.remote.manifest import Manifest
from bunny.remote.object_store import (
    ChangedError,
    GoneError,
    ObjectStore,
    end_requests,
    request_pool,
)
from bunny.remote.working_copy import LocalFile, WorkingCopy, hashed, noted

TRIES = 20  # of writing a manifest that others write too
BAR_AFTER_S = 2.0


class RemovedError(UserError):
    """The film was deleted from the data folder, e.g. as it had expired."""


class FilmSync:
    """One film's working copy and its manifest.

    Parameters
    ----------
    places : mapping of str to Path
        Folders by the first part of a file's name: `film`, `checkpoint`.
    """

    def __init__(self, store: ObjectStore, film_id: str, places: Mapping[str, Path]) -> None:
        self._store, self.film_id = store, film_id
        self._copy = WorkingCopy(film_id, places)
        self._sent: set[str] = set()  # uploads of this process that are there

    # -- fetching -----------------------------------------------------------------------------

    def pull(
        self, parts: Collection[str] = file_kind.ALL, requests: Executor | None = None
    ) -> bool:
        """Take over what is newer there; gives whether anything was fetched.

        Parameters
        ----------
        parts : collection of str
            Which heavy files are wanted, see `workspace.fetch`; all others are fetched anyway.
            Heavy ones that are not wanted, and not what they are there any more, are removed here.
        requests : Executor, optional
            Makes the requests, for films that are fetched side by side.

        Raises
        ------
        RemovedError
            If the film was deleted there since.
        """
        return self._pull(parts, requests)

    def _pull(
        self, parts: Collection[str], requests: Executor | None = None, *, is_reset: bool = False
    ) -> bool:
        """See `pull` and `reset`."""
        self._copy.read()
        earlier = None
        while True:
            if requests is None:
                there, etag = manifests.read(self._store, self.film_id)
            else:
                there, etag = requests.submit(manifests.read, self._store, self.film_id).result()
            self._check_is_there(there, etag)
            if etag is None or there.is_removed:
                return False
            for name in self._copy.changed() if is_reset else ():
                self._copy.drop(name)
            try:
                return self._take(there, parts, requests=requests)
            except GoneError:  # deleted, as a newer manifest does not name it
                if etag == earlier:
                    raise
                earlier = etag

    def reset(self) -> None:
        """Make the working copy what the manifest says; what was changed here and not sent goes.

        For a library, whose tables go together: what a command left half done is done again.
        """
        self._pull(file_kind.ALL, is_reset=True)

    def bring(self, parts: Collection[str] = file_kind.ALL) -> bool:
        """Fetch files that were left there; no newer manifest is looked at, as a lease is held.

        Parameters
        ----------
        parts : collection of str
            As for `pull`.
        """
        base = self._copy.base
        wanted = {n: base.files[n] for n in self.away() if file_kind.is_part(n, parts)}
        self._fetch(base, wanted)
        return bool(wanted)

    def away(self) -> set[str]:
        """Names of files that are there and were not fetched, or were evicted."""
        return self._copy.away()

    def _take(
        self,
        there: Manifest,
        parts: Collection[str],
        *,
        is_working: bool = False,
        requests: Executor | None = None,
    ) -> bool:
        """Make another manifest the base; who is working here keeps what was removed here."""
        copy = self._copy
        mine, wanted, stale, num_joined = copy.changed(), {}, [], 0
        for name, sha256 in there.files.items():
            known = copy.known.get(name)
            is_same = known is not None and known.sha256 == sha256
            if is_same and (is_working or copy.path(name).exists()):
                continue
            if name in mine:
                if name in RECORDS:
                    self._join_record(there, name)
                    num_joined += 1
            elif file_kind.is_heavy(name) and not file_kind.is_part(name, parts):
                stale += [name] if known is not None else []
            else:
                wanted[name] = sha256
        copy.remove(stale)
        self._fetch(there, wanted, requests)
        for name in set(copy.base.files) - set(there.files) - mine:
            copy.drop(name)
        if there != copy.base or wanted or num_joined:
            copy.base = there
            copy.write()
        return bool(wanted) or num_joined > 0

    def _fetch(
        self, there: Manifest, wanted: Mapping[str, str], requests: Executor | None = None
    ) -> None:
        """Download files by their hashes, several at a time."""
        if not wanted:
            return
        from tqdm.auto import tqdm

        self._copy.write(moving=wanted)
        with (
            request_pool(requests, "fetch") as pool,
            tqdm(
                total=len(wanted),
                desc="fetch",
                unit="file",
                delay=BAR_AFTER_S,
                leave=False,
                disable=requests is not None,
            ) as bar,
        ):
            futures = {pool.submit(self._download, there, name): name for name in wanted}
            try:
                for done in as_completed(futures):
                    done.result()
                    bar.update()
            finally:
                end_requests(futures)
                self._copy.known |= {n: f.result() for f, n in futures.items() if _is_good(f)}
                self._copy.write()

    def _download(self, there: Manifest, name: str) -> LocalFile:
        path, sha256 = self._copy.path(name), there.files[name]
        self._store.download(there.key(sha256), path, sha256)
        return noted(path, sha256)

    def _join_record(self, there: Manifest, name: str) -> None:
        """Lines that are there, then those that only this machine has."""
        path, sha256 = self._copy.path(name), there.files[name]
        copy = path.with_name(f".{path.name}.there")
        self._store.download(there.key(sha256), copy, sha256)
        theirs = copy.read_bytes()
        known = set(theirs.splitlines(keepends=True))
        with jsonl.lock(path):
            mine = path.read_bytes().splitlines(keepends=True)
            atomic.write_bytes(path, theirs + b"".join(line for line in mine if line not in known))
        atomic.remove_file(copy)
        self._copy.known.pop(name, None)  # it is another one than either

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

        Raises
        ------
        RemovedError
            As `pull`.

        Notes
        -----
        Objects first, the manifest last: a kill between leaves the state before. Where others
        wrote meanwhile, their files are taken over where nothing changed here, and lines of
        records are joined. A file that is written to meanwhile is sent as it is then.
        """
        copy = self._copy
        for _ in range(TRIES):
            there, etag = manifests.read(self._store, self.film_id)
            self._check_is_there(there, etag)
            if etag is None and copy.base.generation:  # nobody said that it was deleted
                copy.forget_base()
            if there.is_removed and not has_removals:
                return there  # only who holds the lease begins a film anew
            is_other = there.generation != copy.base.generation
            if etag is not None and is_other and not there.is_removed:
                try:
                    self._take(there, (), is_working=has_removals)
                except GoneError:
                    continue
                self._note_in_index(there.generation)  # who wrote it may have been killed
            files = copy.hashes(has_removals=has_removals)
            if files == dict(there.files) and etag is not None:
                return there
            new = self._send(there, etag, files, check)
            if new is None:
                continue
            copy.base, copy.uploads = new, {}
            self._note_in_index(new.generation)
            copy.write()
            return new
        raise self._all_the_time()

    def send_words(self) -> bool:
        """Send what people said here since, and nothing else; gives whether there was anything.

        For a film that stays open: what others changed meanwhile is not fetched, but lines of
        theirs in the same records are joined with those that are sent.
        """
        copy = self._copy
        copy.read()
        for _ in range(TRIES):
            said = copy.changed_records()
            there, etag = manifests.read(self._store, self.film_id) if said else (None, None)
            if there is None or etag is None or there.is_removed:
                return False  # the first to send a film sends all of it
            try:
                for name in said:
                    if there.files.get(name, "") not in ("", copy.base.files.get(name)):
                        self._join_record(there, name)
            except GoneError:
                continue
            copy.known |= {name: hashed(copy.path(name)) for name in said}
            hashes = {name: copy.known[name].sha256 for name in said}
            new = self._send(there, etag, dict(sorted({**there.files, **hashes}.items())))
            if new is None:
                continue
            if there.generation == copy.base.generation:
                copy.base = new
            copy.uploads = {}
            copy.write()
            self._note_in_index(new.generation)
            return True
        raise self._all_the_time()

    def _send(
        self,
        there: Manifest,
        etag: str | None,
        files: dict[str, str],
        check: Callable[[], None] = lambda: None,
    ) -> Manifest | None:
        """Send objects that are not there, then the manifest; None where that is to be tried again.

        That is where a file was written to meanwhile, an object was sent too long ago, or another
        wrote a manifest.
        """
        copy, known = self._copy, set(there.files.values())
        new = {h: copy.path(n) for n, h in files.items() if h not in known and n in copy.known}
        if not upload.send(self._store, copy, there, new, self._sent):
            return None
        check()
        return self._replace(there, etag, files)

    def _replace(self, there: Manifest, etag: str | None, files: dict[str, str]) -> Manifest | None:
        """The next manifest, written; None where another came before."""
        mine, known = self._copy.uploads, set(there.files.values())
        uploads = {}
        for sha256 in sorted(set(files.values())):
            if sha256 not in known:
                uploads[sha256] = mine[sha256].upload
            elif sha256 in there.uploads:
                uploads[sha256] = there.uploads[sha256]
        new = replace(
            there,
            generation=self._generation_of(there, etag) + 1,
            by=socket.gethostname(),
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            files=files,
            uploads=uploads,
            is_removed=False,
        )
        unused = upload.unused(self._copy, new, self._sent)
        dropped = ({*there.dropped} | there.keys() | unused) - new.keys()
        new = replace(new, dropped=tuple(sorted(dropped)))
        try:
            self._store.put(manifests.manifest_key(self.film_id), new.to_bytes(), etag)
        except ChangedError:
            return None
        return new

    def _generation_of(self, there: Manifest, etag: str | None) -> int:
        """Of a manifest; a film that was deleted goes on counting where it was."""
        if etag is not None or self.film_id == manifests.LIBRARY:
            return there.generation
        return film_index.last_removed(self._store, self.film_id)

    def _all_the_time(self) -> BunnyError:
        return BunnyError(
            f"{self._store.address}: other machines keep writing to {self.film_id}; run again later"
        )

    def _note_in_index(self, generation: int) -> None:
        if self.film_id != manifests.LIBRARY:
            film_index.note(self._store, self.film_id, generation)

    def _check_is_there(self, there: Manifest, etag: str | None) -> None:
        """Refuse to go on with a copy of a film that was deleted."""
        if not self._copy.base.generation or (etag is not None and not there.is_removed):
            return
        if etag is None and not film_index.last_removed(self._store, self.film_id):
            return
        raise RemovedError(
            f"{self.film_id}: was deleted from {self._store.address} in the meantime (bunny clean "
            "--expired); to start over, run its film file again"
        )

    # -- what is here -------------------------------------------------------------------------

    def generation(self) -> int:
        """Of the manifest that this working copy was last the same as; 0: none."""
        return self._copy.base.generation

    def has_new_words(self) -> bool:
        """Whether people said something here that is not there yet."""
        return bool(self._copy.changed_records())

    def leave(self) -> bool:
        """Remove what is here of a film that was deleted there; gives whether something stays.

        That is what was changed or added here and never sent. It is of no film there any more.
        """
        copy = self._copy
        copy.read()
        copy.remove(set(copy.known))
        copy.forget_base()
        if any(True for _ in copy.files()):
            return True
        for folder in copy.folders():
            atomic.remove_folder(folder)
        return False

    def evict(self, kept: Collection[str] = ()) -> int:
        """Remove heavy files that lie in the manifest unchanged; gives the bytes that were freed.

        Parameters
        ----------
        kept : collection of str
            Parts that stay, as for `pull`.
        """
        base = self._copy.base
        return self._copy.remove(
            [
                name
                for name, known in self._copy.known.items()
                if file_kind.is_heavy(name)
                and not file_kind.is_part(name, kept)
                and base.files.get(name) == known.sha256
            ]
        )

    def heavy_bytes(self) -> int:
        """Size of what `evict` would remove."""
        return sum(
            known.size
            for name, known in self._copy.known.items()
            if file_kind.is_heavy(name) and self._copy.path(name).exists()
        )


def _is_good(done: Future[LocalFile]) -> bool:
    return done.done() and not done.cancelled() and done.exception() is None
