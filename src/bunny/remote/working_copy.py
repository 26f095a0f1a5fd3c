"""A film's folder on this machine, and what of it was last the same as its manifest.

Beside the film lies its base: that manifest, with sizes and times of the files, so that what
changed here is known without reading it again.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bunny.core import atomic, file_hash
from bunny.core.error import BunnyError
from bunny.remote import file_kind
from bunny.remote import manifest as manifests
from bunny.remote.file_kind import BASE, RECORDS
from bunny.remote.manifest import Manifest


@dataclass(frozen=True, kw_only=True)
class LocalFile:
    """A file of the working copy when it was last the same as its object."""

    sha256: str
    size: int
    mtime_ns: int


@dataclass(frozen=True, kw_only=True)
class Upload:
    """An object that is sent, or was, and that no manifest names yet."""

    upload: str  # its own part of the key
    at: float  # before it was sent, seconds since 1970
    generation: int  # of the manifest that is to be followed by one that names it


class WorkingCopy:
    """Files of a film here.

    Parameters
    ----------
    places : mapping of str to Path
        Folders by the first part of a file's name: `film`, `checkpoint`.
    """

    def __init__(self, film_id: str, places: Mapping[str, Path]) -> None:
        self._film_id, self._places = film_id, places
        self._read_at = -1  # time of the base's file when it was read
        self._empty()
        self.read()

    def _empty(self) -> None:
        self.base = Manifest(film_id=self._film_id)
        self.known: dict[str, LocalFile] = {}
        self.uploads: dict[str, Upload] = {}  # by SHA-256

    def forget_base(self) -> None:
        """Take all that is here for new, as where nothing of the film is there any more."""
        self._empty()
        self.write()

    # -- files --------------------------------------------------------------------------------

    def files(self) -> Iterator[tuple[str, Path]]:
        """Names and paths of all files that are not of this machine alone."""
        for top, folder in self._places.items():
            for path in sorted(folder.rglob("*")):
                name = path.relative_to(folder).as_posix()
                if path.is_symlink() or not path.is_file() or file_kind.is_passing(path.name):
                    continue
                if not file_kind.is_own(f"{top}/{name}"):
                    yield f"{top}/{name}", path

    def path(self, name: str) -> Path:
        """Place of a file; refused where its name leads out of the film's folder."""
        top, _, rest = name.partition("/")
        path = self._places[top] / rest
        if not path.resolve().is_relative_to(self._places[top].resolve()):
            raise BunnyError(f"{self._film_id}: {name} points outside the film's folder")
        return path

    def folders(self) -> list[Path]:
        """Where the files lie."""
        return list(self._places.values())

    def is_noted(self, name: str) -> bool:
        """Whether a file is as it last was on both sides."""
        known, path = self.known.get(name), self.path(name)
        if known is None or not path.exists():
            return False
        stat = path.stat()
        return (stat.st_size, stat.st_mtime_ns) == (known.size, known.mtime_ns)

    def away(self) -> set[str]:
        """Names of files that are there and were not fetched, or were evicted."""
        missing = (name for name in self.base.files if name not in self.known)
        return {name for name in missing if not self.path(name).exists()}

    def changed(self) -> set[str]:
        """Names that are not as they last were on both sides, new ones among them."""
        return {name for name, _ in self.files() if not self.is_noted(name)}

    def changed_records(self) -> list[str]:
        """As `changed`, of `RECORDS`."""
        return [n for n in RECORDS if self.path(n).is_file() and not self.is_noted(n)]

    def hashes(self, *, has_removals: bool) -> dict[str, str]:
        """Hash of each file; those that are not here stay as they are there.

        One that was here and is gone was removed by somebody; `remove` notes what it takes away.
        """
        found = {}
        for name, path in self.files():
            if not self.is_noted(name):
                self.known[name] = hashed(path)
            found[name] = self.known[name].sha256
        kept = {
            name: sha256
            for name, sha256 in self.base.files.items()
            if name not in found and (name not in self.known or not has_removals)
        }
        return dict(sorted({**kept, **found}.items()))

    def remove(self, names: Collection[str]) -> int:
        """Remove files here that are as they were noted, and forget them; gives the bytes."""
        going: dict[str, LocalFile] = {}
        for name in names:
            if name in self.known and (not self.path(name).exists() or self.is_noted(name)):
                going[name] = self.known.pop(name)
        if not going:
            return 0
        # First: a file that is gone and not noted as away counts as removed.
        self.write(moving={name: known.sha256 for name, known in going.items()})
        freed = 0
        for name, known in going.items():
            freed += known.size if self.path(name).exists() else 0
            atomic.remove_file(self.path(name))
        self.write()
        return freed

    def drop(self, name: str) -> None:
        """Remove a file that is no part of the film any more."""
        atomic.remove_file(self.path(name))
        self.known.pop(name, None)

    # -- the base -----------------------------------------------------------------------------

    def read(self) -> None:
        """Read what was noted, where another process noted more since."""
        path = self._places["film"] / BASE
        try:
            read_at = path.stat().st_mtime_ns
            if read_at == self._read_at:
                return
            values = json.loads(path.read_text(encoding="utf-8"))
            known = {name: LocalFile(**one) for name, one in values["known"].items()}
            uploads = {sha256: Upload(**one) for sha256, one in values.get("uploads", {}).items()}
            base = manifests.from_values(values["base"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            self._read_at = -1
            self._empty()
            return
        self.base, self.known, self.uploads, self._read_at = base, known, uploads, read_at
        for name, sha256 in values.get("moving", {}).items():  # when a process was killed
            path = self.path(name)
            if name not in known and path.is_file() and (now := hashed(path)).sha256 == sha256:
                known[name] = now

    def write(self, moving: Mapping[str, str] | None = None) -> None:
        """Note what is the same on both sides, and hashes of files that come or go just now."""
        home = self._places["film"]
        if not home.is_dir():
            return
        values = {
            "base": {**vars(self.base), "files": dict(self.base.files)},
            "known": {name: vars(one) for name, one in sorted(self.known.items())},
            "uploads": {sha256: vars(one) for sha256, one in sorted(self.uploads.items())},
            "moving": dict(moving or {}),
        }
        atomic.write_bytes(home / BASE, json.dumps(values).encode())
        self._read_at = (home / BASE).stat().st_mtime_ns


def noted(path: Path, sha256: str) -> LocalFile:
    """A file whose hash is known."""
    stat = path.stat()
    return LocalFile(sha256=sha256, size=stat.st_size, mtime_ns=stat.st_mtime_ns)


def hashed(path: Path) -> LocalFile:
    """A file and its hash; one that grows meanwhile is another one when it is looked at again."""
    stat = path.stat()
    sha256 = file_hash.hash_file(path)
    return LocalFile(sha256=sha256, size=stat.st_size, mtime_ns=stat.st_mtime_ns)
