"""Leases: who may write a film on object storage, for a minute at a time.

A lease is one object, made and renewed on conditions, so of two machines one gets it. It is renewed
from a thread; a process that dies renews nothing, and a minute later another takes it over. A
holder whose lease was taken over writes nothing any more.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from bunny.core.error import BunnyError, UserError
from bunny.remote import manifest
from bunny.remote.object_store import ChangedError, ObjectStore

LEASE_S = 60.0
WHAT = {False: "this film", True: "the library of all films"}
WORKSPACE = {False: "this film's workspace", True: "the library of all films"}
POLL_S = 0.5


class HeldError(UserError):
    """Another machine holds the lease."""


class Lease:
    """A lease that this process holds."""

    def __init__(self, store: ObjectStore, film_id: str, since: str, lease_s: float) -> None:
        self._store, self._key, self._lease_s = store, manifest.lock_key(film_id), lease_s
        self._since, self._name = since, uuid.uuid4().hex
        self._what = WHAT[film_id == manifest.LIBRARY]
        self._etag = ""
        self._stop, self._renewing = threading.Event(), threading.Lock()
        self.is_lost = False

    def check(self) -> None:
        """Refuse to go on where the lease is another's now; else it is renewed.

        Raises
        ------
        BunnyError
            If it is, as where this machine slept for longer than the lease; or if the server does
            not answer.
        """
        self._renew()
        if self.is_lost:
            raise BunnyError(
                f"{self._store.address}: another machine took over {self._what} because this one "
                "did not answer for a minute; nothing more was written; run it again"
            )

    def take(self, match: str | None) -> None:
        """Write it; `ChangedError` where another was faster."""
        self._etag = self._store.put(self._key, self._bytes(time.time() + self._lease_s), match)

    def renew_until_stopped(self) -> None:
        """Renew it three times a lease; runs in a thread."""
        while not self._stop.wait(self._lease_s / 3):
            with suppress(BunnyError, UserError):  # the next try may come through; if none does,
                self._renew()  # another takes it over
            if self.is_lost:
                return

    def _renew(self) -> None:
        with self._renewing:
            try:
                if not self.is_lost:
                    self.take(self._etag)
            except ChangedError:
                self.is_lost = True

    def stop_renewing(self) -> None:
        """Let it run out."""
        self._stop.set()

    def free(self) -> None:
        """Let others have it."""
        self.stop_renewing()
        with self._renewing:
            if not self.is_lost:
                try:
                    self._store.put(self._key, self._bytes(0.0), self._etag)
                except (ChangedError, BunnyError, UserError):
                    self.is_lost = True  # it runs out by itself

    def _bytes(self, until: float) -> bytes:
        holder = {
            "process": os.getpid(),
            "machine": socket.gethostname(),
            "since": self._since,
            "until": until,
            "name": self._name,
        }
        return json.dumps(holder).encode()


@contextmanager
def hold(
    store: ObjectStore, film_id: str, wait_s: float, lease_s: float = LEASE_S
) -> Iterator[Lease]:
    """Hold the lease of a film, or of the library of all films.

    Parameters
    ----------
    wait_s : float
        Seconds to wait for another that holds it.
    lease_s : float
        Seconds that it lasts without being renewed.

    Raises
    ------
    HeldError
        If another machine holds it for longer; says which, and since when.
    """
    key = manifest.lock_key(film_id)
    own = Lease(store, film_id, datetime.now(UTC).isoformat(timespec="seconds"), lease_s)
    until = time.monotonic() + wait_s
    while True:
        found = store.get(key)
        holder = _read_holder(found[0], f"{store.address}/{key}") if found else {}
        if holder.get("until", 0.0) <= time.time():
            try:
                own.take(found[1] if found else None)
                break
            except ChangedError:
                continue
        if time.monotonic() >= until:
            raise HeldError(
                f"{film_id}: process {holder['process']} on {holder['machine']} (since "
                f"{holder['since']}) is writing to {WORKSPACE[film_id == manifest.LIBRARY]}; wait "
                "for it to finish (pipeline.lock_wait_seconds) or stop it"
            )
        time.sleep(POLL_S)
    thread = threading.Thread(target=own.renew_until_stopped, daemon=True, name="lease")
    thread.start()
    try:
        yield own
    finally:
        own.free()


def is_free(data: bytes, where: str) -> bool:
    """Whether nobody holds the lease that these bytes are."""
    return _read_holder(data, where)["until"] <= time.time()


def _read_holder(data: bytes, where: str) -> dict[str, Any]:
    """Who holds a lease."""
    try:
        holder = json.loads(data)
        return {
            "until": float(holder["until"]),
            "process": int(holder["process"]),
            "machine": str(holder["machine"]),
            "since": str(holder["since"]),
        }
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(
            f"{where}: could not read who is writing to the film; if nobody is, delete that object"
        ) from error
