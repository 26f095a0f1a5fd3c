"""What a film's workspace on object storage is: one manifest that names every file by its hash.

    <prefix>/object/<sha256>             files, whole and never changed
            /film/<film_id>/manifest.json  which of them are the film now
            /film/<film_id>/lock.json      who writes in it, until when
            /library/…                     the same of the library of all films
            /index.json                    which films there are

A manifest is replaced on the condition that it is still the one that was read, so a reader finds
the state before or the state after; objects that no manifest names are no part of anything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bunny.core.error import UserError
from bunny.remote.object_store import ObjectStore

VERSION = 1
INDEX = "index.json"
LIBRARY = "library"  # no film's id, which ends in a hash
TOPS = ("film", "checkpoint")  # first parts of names
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The files of a film, by name: ``film/…`` and ``checkpoint/…``."""

    film_id: str
    generation: int = 0  # how often it was written
    by: str = ""  # machine that wrote it
    at: str = ""  # ISO 8601, UTC
    files: Mapping[str, str] = field(default_factory=dict)  # SHA-256

    def to_bytes(self) -> bytes:
        """As it is stored; the same manifest gives the same bytes."""
        values = {"version": VERSION, **vars(self), "files": dict(sorted(self.files.items()))}
        return json.dumps(values, indent=1, sort_keys=True).encode()


def manifest_key(film_id: str) -> str:
    """Key of a film's manifest, or of that of the library of all films."""
    return f"{_home(film_id)}/manifest.json"


def lock_key(film_id: str) -> str:
    """Key of a film's lease, or of the library's."""
    return f"{_home(film_id)}/lock.json"


def _home(film_id: str) -> str:
    return LIBRARY if film_id == LIBRARY else f"film/{film_id}"


def object_key(sha256: str) -> str:
    """Key of a file of this content."""
    return f"object/{sha256}"


def read(store: ObjectStore, film_id: str) -> tuple[Manifest, str | None]:
    """The manifest of a film and its ETag; an empty one and None where there is none."""
    found = store.get(manifest_key(film_id))
    if found is None:
        return Manifest(film_id=film_id), None
    return from_bytes(found[0], f"{store.address}/{manifest_key(film_id)}"), found[1]


def from_bytes(data: bytes, where: str) -> Manifest:
    """A manifest from its bytes.

    Raises
    ------
    UserError
        If they are none, or of a later version.
    """
    try:
        values: dict[str, Any] = json.loads(data)
        version = values.pop("version")
        if version == VERSION:
            return from_values(values)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(
            f"{where}: expected a film's manifest, could not read it; restore an earlier version "
            "of that object"
        ) from error
    raise UserError(
        f"{where}: expected a manifest of version {VERSION}, found {version!r}; update bunny"
    )


def from_values(values: Mapping[str, Any]) -> Manifest:
    """A manifest from its fields.

    Raises
    ------
    TypeError, ValueError
        If they are not of the types that the fields have, or name no files of a film.
    """
    found = Manifest(**values)
    if not all(isinstance(text, str) for text in (found.film_id, found.by, found.at)):
        raise TypeError("expected text")
    if not isinstance(found.generation, int) or not isinstance(found.files, dict):
        raise TypeError("expected a number and an object of files")
    for name, sha256 in found.files.items():
        if name.partition("/")[0] not in TOPS or not SHA256.fullmatch(sha256):
            raise ValueError(f"{name}: expected a file of the film and its SHA-256")
    return found


def read_index(store: ObjectStore) -> tuple[dict[str, int], str | None]:
    """Generation of each film, and the ETag of the index."""
    found = store.get(INDEX)
    if found is None:
        return {}, None
    try:
        return {str(k): int(v) for k, v in json.loads(found[0])["films"].items()}, found[1]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(
            f"{store.address}/{INDEX}: expected the list of films, could not read it; restore an "
            "earlier version of that object"
        ) from error


def index_bytes(films: Mapping[str, int]) -> bytes:
    """The index as it is stored."""
    return json.dumps({"films": dict(sorted(films.items()))}, indent=1).encode()
