"""Objects that no manifest names any more, found in a list of the bucket and deleted.

Nobody's data is lost, since no key is named again that was not named before (`upload`), and

- what a manifest lists as dropped was named once, so it goes at once, without a lease;
- what none names nor lists may be on its way from a machine that has not written its manifest yet:
  it goes when it is older than `GRACE_S` by the server's clock, twice what a publisher waits;
- the bucket is listed before manifests are read, so what is named meanwhile is seen to be named;
  a list that lags behind hides something to delete, and no more;
- a manifest that cannot be read ends it before anything is deleted.

A reader that finds an object gone reads the manifest again (`FilmSync.pull`). A kill leaves what is
found by the next time: a manifest lists what it dropped until that is deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from bunny.core.error import BunnyError
from bunny.remote import film_index, lease
from bunny.remote import manifest as manifests
from bunny.remote.manifest import LIBRARY, Manifest
from bunny.remote.object_store import THREADS, ChangedError, Entry, ObjectStore

GRACE_S = 24 * 3600.0
TRIES = 20  # of writing a manifest that others write too
HIDDEN = (
    "{num} earlier versions stay in the bucket because this login may not delete versions; allow "
    "s3:DeleteObjectVersion, or let a lifecycle rule remove noncurrent versions"
)
UNKNOWN = (
    "earlier versions stay if the bucket keeps them, which this login may not query; allow "
    "s3:GetBucketVersioning"
)


@dataclass(frozen=True, kw_only=True)
class Unnamed:
    """Objects of a film that no manifest names; `LIBRARY` of the library, empty: of any film."""

    film_id: str
    entries: tuple[Entry, ...] = ()  # may be deleted
    young: tuple[Entry, ...] = ()  # may be on their way


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a sweep may delete."""

    unnamed: tuple[Unnamed, ...]
    listing: tuple[tuple[str, frozenset[str]], ...]  # films whose manifests list these as dropped
    began: float  # server's time, seconds since 1970
    prefixes: tuple[str, ...]


def find(store: ObjectStore, film_id: str | None = None) -> Found:
    """Objects of one film, or of the whole data folder, that no manifest names.

    Parameters
    ----------
    film_id : str, optional
        None: all films, the library of all films and what is left of films that are gone.

    Raises
    ------
    UserError
        If a manifest cannot be read, or the bucket may not be listed.
    """
    is_whole = film_id is None or _shares(store, film_id)
    prefixes = ("film/", "library/", "object/")
    if film_id and not is_whole:
        prefixes = (manifests.object_prefix(film_id),)
    has_versions = store.keeps_versions() is True
    lists = [store.list_objects(one, has_versions=has_versions) for one in prefixes]
    began = min(began for _, began in lists)
    entries = [one for found, _ in lists for one in found if manifests.film_of(one.key) is not None]
    ids = _film_ids(store, lists[0][0]) if is_whole or film_id is None else [film_id]
    films = _read_all(store, ids)
    named = {key for one in films for key in one.keys()}  # noqa: SIM118
    dropped = {key for one in films for key in one.dropped} - named
    found: dict[str, tuple[list[Entry], list[Entry]]] = {}
    for one in entries:
        owner = manifests.film_of(one.key) or ""
        if one.key not in named and film_id in (None, owner):
            is_old = one.key in dropped or began - one.modified > GRACE_S
            found.setdefault(owner, ([], []))[0 if is_old else 1].append(one)
        elif one.key in dropped and owner == "" and _drops(films, film_id, one.key):
            found.setdefault(owner, ([], []))[0].append(one)
    unnamed = [
        Unnamed(film_id=one, entries=tuple(old), young=tuple(young))
        for one, (old, young) in sorted(found.items())
    ]
    kept = {one.key for one in entries} - {e.key for one in unnamed for e in one.entries}
    listing = [(one.film_id, frozenset(one.dropped) - kept) for one in films]
    return Found(
        unnamed=tuple(unnamed),
        listing=tuple(one for one in listing if one[1]),
        began=began,
        prefixes=prefixes,
    )


def _shares(store: ObjectStore, film_id: str) -> bool:
    """Whether a film dropped objects that another may name too, of manifests of version 1."""
    return any(manifests.film_of(key) == "" for key in manifests.read(store, film_id)[0].dropped)


def _drops(films: Collection[Manifest], film_id: str | None, key: str) -> bool:
    return any(key in one.dropped for one in films if one.film_id == film_id)


def _film_ids(store: ObjectStore, listed: Collection[Entry]) -> list[str]:
    """Films that are in the index or have a manifest in a list, and the library."""
    index, _ = film_index.read(store)
    found = {_film_of_manifest(one.key) for one in listed} - {""}
    return sorted({*index.films, *found, LIBRARY})


def _film_of_manifest(key: str) -> str:
    """The film whose manifest has this key; empty where it is none."""
    top, _, name = key.rpartition("/")
    return top.removeprefix("film/") if name == "manifest.json" else ""


def _read_all(store: ObjectStore, film_ids: Collection[str]) -> list[Manifest]:
    """Their manifests."""
    with ThreadPoolExecutor(THREADS, "manifest") as pool:
        return [found for found, _ in pool.map(partial(manifests.read, store), film_ids)]


def delete(store: ObjectStore, found: Found) -> list[str]:
    """Delete what `find` found, and take it from the manifests' lists; gives what stays and why."""
    refused = store.delete([entry for one in found.unnamed for entry in one.entries])
    for prefix in found.prefixes:
        store.abort_uploads(prefix, found.began - GRACE_S)
    for film_id, gone in found.listing:
        _unlist(store, film_id, gone)
    if refused:
        return [HIDDEN.format(num=len(refused))]
    return [UNKNOWN] if store.keeps_versions() is None else []


def _unlist(store: ObjectStore, film_id: str, gone: Collection[str]) -> None:
    """Take keys from what a manifest lists as dropped."""

    def unlist(there: Manifest) -> Manifest | None:
        left = tuple(key for key in there.dropped if key not in gone)
        return None if left == there.dropped else replace(there, dropped=left)

    new = _rewrite(store, film_id, unlist)
    if new is not None and film_id != LIBRARY and not new.is_removed:
        film_index.note(store, film_id, new.generation)


def _rewrite(
    store: ObjectStore, film_id: str, change: Callable[[Manifest], Manifest | None]
) -> Manifest | None:
    """Write a film's manifest anew; None where there is none, or `change` gives none."""
    for _ in range(TRIES):
        there, etag = manifests.read(store, film_id)
        changed = None if etag is None else change(there)
        if changed is None:
            return None
        new = replace(changed, generation=there.generation + 1)
        with suppress(ChangedError):
            store.put(manifests.manifest_key(film_id), new.to_bytes(), etag)
            return new
    raise BunnyError(f"{store.address}: other machines keep writing to {film_id}; run again later")


def purge(store: ObjectStore, film_id: str) -> list[str]:
    """Delete what a film's earlier manifests named and none does now; gives what stays and why.

    Earlier versions of the manifest go too where the bucket keeps them: names of files are in them.

    Parameters
    ----------
    film_id : str
        Or `LIBRARY`.
    """
    found = find(store, film_id)
    notes = delete(store, found)
    notes += _delete_versions(store, manifests.manifest_key(film_id))
    if num := sum(len(one.young) for one in found.unnamed):
        notes.append(
            f"{num} objects on the server that an interrupted machine sent within the last day; "
            "`bunny clean --yes` deletes them when they are a day old"
        )
    return list(dict.fromkeys(notes))


def _delete_versions(store: ObjectStore, key: str, *, has_latest: bool = False) -> list[str]:
    """Delete versions of a small object, by default all but what it is now."""
    if not store.keeps_versions():
        return []
    found, _ = store.list_objects(key, has_versions=True)
    old = [one for one in found if one.key == key and (has_latest or not one.is_latest)]
    return [HIDDEN.format(num=len(refused))] if (refused := store.delete(old)) else []


def mark_removed(store: ObjectStore, film_id: str, check: Callable[[], None]) -> None:
    """Say in its manifest that a film is deleted; what is left then is for `finish_removal`.

    Parameters
    ----------
    check : callable
        Asked before anything is said; raises where this process may not write any more.
    """

    def mark(there: Manifest) -> Manifest | None:
        if there.is_removed:
            return None
        check()
        dropped = tuple(sorted({*there.dropped} | there.keys()))
        return Manifest(film_id=film_id, dropped=dropped, is_removed=True)

    _rewrite(store, film_id, mark)


def finish_removal(store: ObjectStore, film_id: str) -> list[str]:
    """Delete a film that is marked: from the index, its objects, its manifest.

    Its lease is to be held, so that nobody begins the film anew meanwhile. Gives what stays and
    why.
    """
    there, _ = manifests.read(store, film_id)
    if not there.is_removed:
        return []
    film_index.remove(store, film_id, there.generation)
    notes = delete(store, find(store, film_id))
    key = manifests.manifest_key(film_id)
    last, etag = manifests.read(store, film_id)
    if etag is not None and last.is_removed and store.delete_one(key, etag):
        notes += _delete_versions(store, key, has_latest=True)
    notes += _delete_versions(store, film_index.KEY)
    return list(dict.fromkeys(notes))


def free_lease(store: ObjectStore, film_id: str) -> None:
    """Delete what is left of the lease of a film that is gone, where nobody has taken it since."""
    key = manifests.lock_key(film_id)
    found = store.get(key)
    if found is not None and lease.is_free(found[0], key) and store.delete_one(key, found[1]):
        _delete_versions(store, key, has_latest=True)


def finish_removals(store: ObjectStore, lease_s: float) -> list[str]:
    """Finish what a killed `bunny clean --expired` began; gives what stays and why."""
    notes: list[str] = []
    listed, _ = store.list_objects("film/", has_versions=False)
    for one in _read_all(store, _film_ids(store, listed)):
        if one.is_removed:
            with (
                suppress(lease.HeldError),  # another machine is at it
                lease.hold(store, one.film_id, 0.0, lease_s),
            ):
                notes += finish_removal(store, one.film_id)
    for key in (one.key for one in listed):
        film_id = key.split("/")[1]
        if key == manifests.lock_key(film_id) and manifests.read(store, film_id)[1] is None:
            free_lease(store, film_id)
    return list(dict.fromkeys(notes))
