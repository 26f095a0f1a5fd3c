"""What a film's workspace on object storage is: one manifest that names every file by its hash.

    <prefix>/film/<film_id>/manifest.json  which objects are the film now
                           /object/<sha256>-<upload>  files, whole and never changed
                           /lock.json      who writes in it, until when
            /library/…                     the same of the library of all films
            /object/<sha256>               files of manifests of version 1
            /index.json                    which films there are, see `film_index`

A manifest is replaced on the condition that it is still the one that was read, so a reader finds
the state before or the state after; objects that no manifest names are no part of anything, and
`sweep` deletes them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bunny.core.error import UserError
from bunny.remote.object_store import ObjectStore

VERSION = 2
READ = (1, 2)  # in version 1 objects were named by their hash alone
LIBRARY = "library"  # no film's id, which ends in a hash
TOPS = ("film", "checkpoint")  # first parts of names
SHA256 = re.compile(r"[0-9a-f]{64}")
UPLOAD = re.compile(r"[0-9a-f]{16}")
OBJECT = re.compile(r"(film/([^/]+)/|library/|)object/[0-9a-f]{64}(-[0-9a-f]{16})?")


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The files of a film, by name: ``film/…`` and ``checkpoint/…``."""

    film_id: str
    generation: int = 0  # how often it was written
    by: str = ""  # machine that wrote it
    at: str = ""  # ISO 8601, UTC
    files: Mapping[str, str] = field(default_factory=dict)  # SHA-256
    uploads: Mapping[str, str] = field(default_factory=dict)  # by SHA-256; none: of version 1
    dropped: tuple[str, ...] = ()  # keys that earlier ones named, not deleted yet
    is_removed: bool = False  # the film is being deleted, see `sweep.finish_removal`

    def to_bytes(self) -> bytes:
        """As it is stored; the same manifest gives the same bytes."""
        values = {"version": VERSION, **vars(self), "files": dict(self.files)}
        return json.dumps(values, indent=1, sort_keys=True).encode()

    def key(self, sha256: str) -> str:
        """Key of a file of this content."""
        return object_key(self.film_id, sha256, self.uploads.get(sha256, ""))

    def keys(self) -> set[str]:
        """Keys of all its files."""
        return {self.key(sha256) for sha256 in self.files.values()}


def manifest_key(film_id: str) -> str:
    """Key of a film's manifest, or of that of the library of all films."""
    return f"{_home(film_id)}/manifest.json"


def lock_key(film_id: str) -> str:
    """Key of a film's lease, or of the library's."""
    return f"{_home(film_id)}/lock.json"


def _home(film_id: str) -> str:
    return LIBRARY if film_id == LIBRARY else f"film/{film_id}"


def object_prefix(film_id: str) -> str:
    """What the keys of a film's objects begin with."""
    return f"{_home(film_id)}/object/"


def object_key(film_id: str, sha256: str, upload: str) -> str:
    """Key of an upload of a file of this content; without one as in version 1."""
    return f"{object_prefix(film_id)}{sha256}-{upload}" if upload else f"object/{sha256}"


def film_of(key: str) -> str | None:
    """Which film's an object is, `LIBRARY` of the library; empty: any film's; None: no object."""
    found = OBJECT.fullmatch(key)
    if found is None:
        return None
    return found[2] or found[1].rstrip("/")


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
        if version in READ:
            return from_values(values)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(
            f"{where}: could not read this manifest of a film; restore an earlier version of that "
            "object"
        ) from error
    raise UserError(
        f"{where}: expected a manifest of version {VERSION} or older, found {version!r}; "
        "update bunny"
    )


def from_values(values: Mapping[str, Any]) -> Manifest:
    """A manifest from its fields.

    Raises
    ------
    TypeError, ValueError
        If they are not of the types that the fields have, or name no files of a film.
    """
    found = Manifest(**{**values, "dropped": tuple(values.get("dropped", ()))})
    if not all(isinstance(text, str) for text in (found.film_id, found.by, found.at)):
        raise TypeError("expected text")
    if not isinstance(found.generation, int) or not isinstance(found.files, dict):
        raise TypeError("expected a number and an object of files")
    for name, sha256 in found.files.items():
        if name.partition("/")[0] not in TOPS or not SHA256.fullmatch(sha256):
            raise ValueError(f"{name}: expected a file of the film and its SHA-256")
    for sha256, upload in found.uploads.items():
        if not SHA256.fullmatch(sha256) or not UPLOAD.fullmatch(upload):
            raise ValueError(f"{sha256}: expected a SHA-256 and its upload, got {upload}")
    for key in found.dropped:
        if film_of(key) not in ("", found.film_id):
            raise ValueError(f"{key}: expected an object of the film")
    return found
