"""Index of a data folder on object storage: which films there are, with no list of the bucket.

Films that were deleted are known by a hash, of which their names cannot be read, so that working
copies of them go too, and a film that begins anew goes on counting its manifests.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from bunny.core.error import BunnyError, UserError
from bunny.remote.object_store import ChangedError, ObjectStore

KEY = "index.json"
TRIES = 20  # of writing it while others write it too


@dataclass(frozen=True, kw_only=True)
class Index:
    """Which films there are."""

    films: Mapping[str, int] = field(default_factory=dict)  # generation of the manifest
    removed: Mapping[str, int] = field(default_factory=dict)  # last generation, by `hash_id`

    def to_bytes(self) -> bytes:
        """As it is stored."""
        return json.dumps(
            {k: dict(v) for k, v in vars(self).items()}, indent=1, sort_keys=True
        ).encode()


def hash_id(film_id: str) -> str:
    """SHA-256 of a film's id, of which its name cannot be read."""
    return hashlib.sha256(film_id.encode()).hexdigest()


def read(store: ObjectStore) -> tuple[Index, str | None]:
    """The index and its ETag; an empty one and None where there is none."""
    found = store.get(KEY)
    if found is None:
        return Index(), None
    try:
        values = json.loads(found[0])
        films = {str(k): int(v) for k, v in values["films"].items()}
        removed = {str(k): int(v) for k, v in values.get("removed", {}).items()}
        return Index(films=films, removed=removed), found[1]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(
            f"{store.address}/{KEY}: could not read this list of films; restore an earlier version "
            "of that object"
        ) from error


def last_removed(store: ObjectStore, film_id: str) -> int:
    """Last generation of a film that was deleted; 0 where it was not."""
    return read(store)[0].removed.get(hash_id(film_id), 0)


def note(store: ObjectStore, film_id: str, generation: int) -> None:
    """Put down that a film has this manifest now, or a later one."""
    own = hash_id(film_id)
    for _ in range(TRIES):
        index, etag = read(store)
        if max(index.films.get(film_id, 0), index.removed.get(own, 0)) >= generation:
            return
        removed = {one: last for one, last in index.removed.items() if one != own}
        if _write(store, Index(films={**index.films, film_id: generation}, removed=removed), etag):
            return
    raise _all_the_time(store)


def remove(store: ObjectStore, film_id: str, generation: int) -> None:
    """Put down that a film is deleted; `generation` of its last manifest."""
    for _ in range(TRIES):
        index, etag = read(store)
        films = {one: number for one, number in index.films.items() if one != film_id}
        removed = {**index.removed, hash_id(film_id): generation}
        new = Index(films=films, removed=removed)
        if new == index or _write(store, new, etag):
            return
    raise _all_the_time(store)


def _write(store: ObjectStore, index: Index, etag: str | None) -> bool:
    """Write it; False where another was faster."""
    try:
        store.put(KEY, index.to_bytes(), etag)
    except ChangedError:
        return False
    return True


def _all_the_time(store: ObjectStore) -> BunnyError:
    return BunnyError(f"{store.address}/{KEY}: other machines keep writing to it; run again later")
