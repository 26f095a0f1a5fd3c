"""One archive of a film's workspace that another machine opens, and the opening of it.

The archive is a ZIP file: `manifest.json` (what it is, the hash of every file, whose rights),
`film/` (the film's folder), `checkpoint/` (its weights) and `reference/` (the user's pictures).
Not in it are the film itself, logs, and what belongs to one machine (locks, remembered states).
"""

from __future__ import annotations

import glob
import hashlib
import json
import shutil
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bunny.command import film_workspace
from bunny.contract import state_cache
from bunny.core import (
    atomic,
    disk_full,
    file_hash,
    film_file,
    image_file,
    input_path,
    reference_folder,
    safe_path,
    workspace,
)
from bunny.core.config import own_setting
from bunny.core.error import BunnyError, UserError
from bunny.core.film_file import FilmPlace
from bunny.core.reference_folder import PICTURE_SUFFIXES
from bunny.core.workspace import Workspace

MANIFEST, FORM, VERSION = "manifest.json", "bunny workspace", 1
RIGHTS = "dataset/rights.json"
GIVEN = "reference_given"  # folder of an unpacked film with its user's reference pictures
OWN = {workspace.LOCK, workspace.HOLDER, f"stage/{state_cache.FILE}", "stage/hash.json"}
SOURCE = "source.json"  # written anew on each machine
UNFINISHED = ".unpack"  # in a folder of weights whose film is not there yet
MAX_MANIFEST_BYTES = 32 << 20  # a quarter of a million files; as JSON it takes ten times the memory
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others are inflated without a limit
SHA256 = Field(pattern="^[0-9a-f]{64}$")
# What `zipfile` raises of damaged, encrypted and odd entries.
ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    RuntimeError,
    ValueError,
    OverflowError,
)
LATEST_TIME = (1980, 1, 1, 0, 0, 0)  # of every entry, so that the same content gives the same bytes
CHUNK = 1 << 20
SPARE_BYTES = 64 << 20  # left free on the disk when an archive is opened


class PackedFilm(BaseModel):
    """The film in a manifest."""

    name: str
    sha256: str = SHA256


class PackedRights(BaseModel):
    """The rights in a manifest."""

    notes: tuple[str, ...] = ()


class PackManifest(BaseModel):
    """Manifest of an archive."""

    model_config = ConfigDict(strict=True)

    form: Literal["bunny workspace"]
    version: int
    film_id: str = Field(pattern="^[a-z0-9][a-z0-9-]{0,60}-[0-9a-f]{8}$")
    film: PackedFilm
    has_pictures: bool
    rights: PackedRights
    files: dict[str, str]  # SHA-256 of each


@dataclass(frozen=True, kw_only=True)
class PackReport:
    """What was packed or opened."""

    film_id: str
    path: str  # the archive, or the folder that it was opened to
    num_files: int
    num_bytes: int
    has_pictures: bool
    notes: tuple[str, ...]  # of rights.json
    ignored: tuple[str, ...] = ()  # what an archive may not say, see `own_setting`
    advice: str = ""

    def to_text(self) -> str:
        """Lines for people."""
        pictures = "with" if self.has_pictures else "without"
        lines = [f"{self.path}: {self.num_files} files of {self.film_id}, {pictures} pictures"]
        lines += [f"rights: {note}" for note in self.notes]
        lines += [f"not taken from the archive: {', '.join(self.ignored)}"] if self.ignored else []
        return "\n".join([*lines, *filter(None, [self.advice])])

    def to_json(self) -> str:
        """One JSON object."""
        return json.dumps(asdict(self), ensure_ascii=False)


def pack(
    film: str | None,
    output: Path | None = None,
    *,
    has_pictures: bool = True,
    data_dir: str | None = None,
) -> PackReport:
    """Write one archive of a film's workspace.

    Parameters
    ----------
    film : str or None
        Beginning of a film id; None: the newest.
    output : Path or None
        The archive; None: `<film id>.bunny.zip` in the working folder.
    has_pictures : bool
        Put pictures in; without them tables, records and adapters are packed, and a run on the
        other machine needs the film.
    data_dir : str or None
        Overrides `project.data_dir`.

    Raises
    ------
    UserError
        If there is no such film, or another process writes in it.
    """
    space, config = film_workspace.open_film(film, data_dir)
    target = output or Path.cwd() / f"{space.film_id}.bunny.zip"
    input_path.check_output_file(target)
    with workspace.lock(space, config.pipeline.lock_wait_seconds):
        for path in target.parent.glob(f".{glob.escape(target.name)}.*.tmp"):  # left by a kill
            if atomic.LEFTOVER.fullmatch(path.name):
                path.unlink(missing_ok=True)
        files = {
            name: path
            for name, path in _files_of(space)
            if has_pictures or not _is_picture(name, path)
        }
        manifest = {
            "form": FORM,
            "version": VERSION,
            "film_id": space.film_id,
            "film": {
                "name": Path(space.source()["film"]).name,
                "sha256": space.source()["content_hash"],
            },
            "has_pictures": has_pictures,
            "rights": _rights(space.root),
            "files": {name: file_hash.hash_file(path) for name, path in files.items()},
        }
        atomic.write_file(target, lambda path: _write_zip(path, manifest, files))
    return PackReport(
        film_id=space.film_id,
        path=str(target),
        num_files=len(files),
        num_bytes=target.stat().st_size,
        has_pictures=has_pictures,
        notes=tuple(manifest["rights"].get("notes", ())),
    )


def unpack(archive: Path, film: FilmPlace | None = None, data_dir: str | None = None) -> PackReport:
    """Open an archive of `pack` in this data folder.

    Parameters
    ----------
    film : Path, FilmAddress or None
        The film, where it is at hand; its hash must be that of the packed one.
    data_dir : str or None
        Overrides `project.data_dir`.

    Raises
    ------
    UserError
        If it is no such archive, is damaged, names places outside, does not fit on the disk, or the
        film is there already. Nothing is left behind then.
    """
    root, config = film_workspace.load_settings(data_dir, ())
    manifest, entries = _read_manifest(archive)
    film_id = manifest.film_id
    space = workspace.locate(root, config.project.data_dir, film_id)
    is_cut_off = (space.checkpoint / UNFINISHED).exists()
    if space.root.exists() or (space.checkpoint.exists() and not is_cut_off):
        raise UserError(
            f"{archive.name}: expected a data folder without {film_id}, found it in "
            f"{space.root}; unpack to another --data-dir, or remove that folder first"
        )
    path = _film_path(film, manifest)
    with _temporary(space) as temporary:
        _extract(archive, manifest, entries, temporary)
        ignored = _sift(archive, temporary / "film")
        _place(temporary, space, manifest, path)
    advice = (
        ""
        if film
        else (
            f"the archive does not contain the film {path}; for a stage that "
            "decodes it, give its path with `bunny unpack … --film PATH` or `bunny run PATH`"
        )
    )
    return PackReport(
        film_id=film_id,
        path=str(space.root),
        num_files=len(entries),
        num_bytes=sum(one.file_size for one in entries),
        has_pictures=manifest.has_pictures,
        notes=manifest.rights.notes,
        ignored=tuple(ignored),
        advice=advice,
    )


@contextmanager
def _temporary(space: Workspace) -> Iterator[Path]:
    """A hidden folder beside the film's, empty, gone afterwards; a killed one's is cleared.

    Raises
    ------
    UserError
        If another process unpacks the same film.
    """
    from filelock import FileLock, Timeout

    folder = space.root.with_name(f".{space.film_id}{atomic.GONE}")
    folder.mkdir(parents=True, exist_ok=True)
    held = FileLock(folder / workspace.LOCK)
    try:
        held.acquire(timeout=0)
    except Timeout as error:
        raise UserError(
            f"{space.film_id}: another process is unpacking this film; wait for it to finish"
        ) from error
    try:
        for name in ("film", "checkpoint", "reference"):
            if (folder / name).is_dir():
                shutil.rmtree(folder / name)
        yield folder
    except OSError as error:
        if isinstance(error, UserError) or disk_full.describe(error):
            raise
        place = Path(error.filename or folder).name[:100]
        raise UserError(
            f"{space.film_id}: cannot write {ascii(place)[1:-1]} ({error.strerror}); pack the film "
            "again, or unpack to another --data-dir"
        ) from error
    finally:
        held.release()
        atomic.remove_folder(folder)


def _files_of(space: Workspace) -> Iterator[tuple[str, Path]]:
    """Names in the archive and files of a workspace, sorted; links are left out."""
    given = reference_folder.user_folder(space.source())
    places = [("film", space.root), ("checkpoint", space.checkpoint)]
    if given is not None and given.is_dir() and not given.is_relative_to(space.root):
        places.append(("reference", given))
    for top, folder in places:
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            is_passing = path.name.endswith((".tmp", atomic.GONE)) and path.name.startswith(".")
            is_passing |= path.name == UNFINISHED
            is_passing |= top == "reference" and path.suffix.lower() not in PICTURE_SUFFIXES
            if path.is_symlink() or not path.is_file() or is_passing:
                continue
            if not (top == "film" and (name in OWN or name == SOURCE)):
                yield f"{top}/{name}", path


def _is_picture(name: str, path: Path) -> bool:
    """Whether a file shows anybody: pictures, thumbnails and pages with pictures in them."""
    is_view = name in ("film/thumbnail.parquet", "film/variety.parquet") or path.suffix == ".html"
    return is_view or path.suffix.lower() in image_file.SUFFIXES


def _rights(root: Path) -> dict[str, Any]:
    path = safe_path.join(root, RIGHTS)
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        PackedRights.model_validate(found)
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{path}: expected the rights of a set, could not read them; run stage dataset again"
        ) from error
    return found


def _write_zip(path: Path, manifest: dict, files: dict[str, Path]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as out:
        about = zipfile.ZipInfo(MANIFEST, LATEST_TIME)
        out.writestr(about, json.dumps(manifest, indent=1, ensure_ascii=False))
        for name, source in files.items():
            with (
                source.open("rb") as data,
                out.open(zipfile.ZipInfo(name, LATEST_TIME), "w", force_zip64=True) as entry,
            ):
                shutil.copyfileobj(data, entry, CHUNK)


def _read_manifest(archive: Path) -> tuple[PackManifest, list[zipfile.ZipInfo]]:
    """The manifest, and the entries that it names, each of them a safe place."""
    if not archive.is_file():
        raise UserError(f"{archive}: expected an archive of `bunny pack`, found no such file")
    try:
        with zipfile.ZipFile(archive) as opened:
            listed = opened.infolist()
            about = opened.getinfo(MANIFEST)
            if about.file_size > MAX_MANIFEST_BYTES or about.compress_type not in METHODS:
                raise ValueError(f"{MANIFEST} of {about.file_size} bytes")
            manifest = PackManifest.model_validate_json(opened.read(about))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or MANIFEST
        raise _no_archive(archive, f"{place}: {first['msg']}") from error
    except (*ZIP_ERRORS, KeyError, OSError) as error:
        raise _no_archive(archive, str(error)) from error
    if manifest.version != VERSION:
        raise UserError(
            f"{archive.name}: expected an archive of `bunny pack` of version {VERSION}, found "
            f"{manifest.version!r}; open it with the version of bunny that packed it"
        )
    entries = {one.filename: one for one in listed}
    names = {*manifest.files}
    folders = {str(parent) for name in names for parent in PurePosixPath(name).parents}
    unsafe = [name for name in names if not _is_safe(name)] + sorted(folders & names)
    unsafe += [one.filename for one in listed if one.compress_type not in METHODS]
    if "reference" in folders and f"film/{GIVEN}" in folders | names:
        unsafe.append(f"film/{GIVEN}")  # which `reference` becomes
    others = sorted(names ^ entries.keys() - {MANIFEST})
    if unsafe or others or len(listed) != len(entries):
        shown = ", ".join(ascii(name)[1:-1][:200] for name in (unsafe + others)[:3])
        raise UserError(
            f"{archive.name}: expected the files that its manifest lists, found "
            f"{shown or 'two of one name'}; pack the film again"
        )
    return manifest, [entries[name] for name in manifest.files]


def _no_archive(archive: Path, why: str) -> UserError:
    return UserError(
        f"{archive.name}: expected an archive of `bunny pack`, could not read it "
        f"({ascii(' '.join(why.split()))[1:-1][:120]}); pack the film again"
    )


def _is_safe(name: str) -> bool:
    """Whether a file stays inside the folder that it is written to, on every system."""
    top, *inner = parts = PurePosixPath(name).parts or ("",)
    return (
        safe_path.is_relative(name)
        and name == "/".join(parts)
        and not any(map(atomic.portable_name_error, parts))
        and top in ("film", "checkpoint", "reference")
        and bool(inner)
        and not (top == "film" and "/".join(inner) in {*OWN, SOURCE})
    )


def _film_path(film: FilmPlace | None, manifest: PackManifest) -> str:
    """The film's path on this machine; its name alone where it was not given."""
    if film is None:
        return PureWindowsPath(manifest.film.name).name or "film"
    path = input_path.check_film(film)
    if film_file.sha256(path) != manifest.film.sha256:
        raise UserError(
            f"{film}: expected the film that was packed, {manifest.film.name}, found another "
            "film; give the same file, or leave --film out"
        )
    return str(path.resolve())


def _extract(
    archive: Path, manifest: PackManifest, entries: list[zipfile.ZipInfo], folder: Path
) -> None:
    """Write all files below a folder, each checked against its hash."""
    wanted = sum(one.file_size for one in entries)
    free = shutil.disk_usage(folder.parent).free
    if wanted + SPARE_BYTES > free:
        raise UserError(
            f"{archive.name}: expected {wanted / 1e9:.1f} GB free in {folder.parent}, found "
            f"{free / 1e9:.1f} GB; free some, or unpack to another --data-dir"
        )
    with zipfile.ZipFile(archive) as opened:
        for one in entries:
            try:
                digest = _extract_one(opened, one, folder / one.filename)
            except ZIP_ERRORS as error:
                raise _damaged(archive, one.filename) from error
            if digest != manifest.files[one.filename]:
                raise _damaged(archive, one.filename)


def _extract_one(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> str:
    """Write one file; gives its SHA-256. `zipfile` reads no more than the size that it says."""
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with opened.open(entry) as data, target.open("xb") as out:
        while chunk := data.read(CHUNK):
            digest.update(chunk)
            out.write(chunk)
    return digest.hexdigest()


def _damaged(archive: Path, name: str) -> UserError:
    return UserError(
        f"{archive.name}: expected {name} as it was packed, found it damaged; copy it again"
    )


def _sift(archive: Path, folder: Path) -> list[str]:
    """Refuse damaged tables and records of an archive; gives what it may not say, which is left.

    Parameters
    ----------
    folder : Path
        Becomes the film's folder; its `own_setting.json` keeps what the film may say.
    """
    from bunny.caption import tuned_prompt
    from bunny.table import schema, store

    made = Workspace(film_id="", root=folder, checkpoint=folder, log=folder)
    try:
        for name in schema.TABLE:
            if store.exists(made.table, name):
                store.check(name, store.read(made.table, name))
        texts, prompt = made.own_settings(), tuned_prompt.read_current(made.stage("caption"))
        _rights(folder)
    except BunnyError as error:
        reason = " ".join(str(error).replace(f"{folder}/", "").split())[:300]
        raise UserError(
            f"{archive.name}: expected the folder of a film, found another one ({reason}); pack "
            "the film again"
        ) from error
    held, ignored = own_setting.split(texts)
    if ignored:
        workspace.save_settings(made, held)
    return ignored + [f"{key} of the tuned prompt" for key in (prompt.ignored if prompt else ())]


def _place(temporary: Path, space: Workspace, manifest: PackManifest, film: str) -> None:
    """Give what was written its places: the last rename makes the film, whole."""
    made, given = temporary / "film", temporary / "reference"
    made.mkdir(exist_ok=True)
    if given.is_dir():
        atomic.rename(given, made / GIVEN)
    used = reference_folder.update(made, made / GIVEN if (made / GIVEN).is_dir() else None)
    folder = None if used["references"] is None else Path(used["references"])
    source = {
        "film": film,
        "content_hash": manifest.film.sha256,
        **{
            key: None if place is None else str(space.root / Path(str(place)).relative_to(made))
            for key, place in used.items()
        },
        "reference_hash": workspace.hash_references(folder),
    }
    atomic.write_bytes(made / SOURCE, json.dumps(source, indent=1).encode())
    weights = temporary / "checkpoint"
    atomic.remove_folder(space.checkpoint)
    if weights.is_dir():
        (weights / UNFINISHED).touch()
        space.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        atomic.rename(weights, space.checkpoint)
    atomic.rename(made, space.root)
    atomic.remove_file(space.checkpoint / UNFINISHED)
