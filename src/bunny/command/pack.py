"""One archive of a film's workspace that another machine opens, and the opening of it.

The archive is a ZIP file: `manifest.json` (what it is, the hash of every file, whose rights),
`film/` (the film's folder), `checkpoint/` (its weights) and `reference/` (the user's pictures).
Not in it are the film itself, logs, and what belongs to one machine (locks, remembered states).
"""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from bunny.command import film_workspace
from bunny.contract import state_cache
from bunny.core import (
    atomic,
    file_hash,
    film_file,
    image_file,
    input_path,
    reference_folder,
    workspace,
)
from bunny.core.error import UserError
from bunny.core.film_file import FilmPlace
from bunny.core.workspace import Workspace

MANIFEST, FORM, VERSION = "manifest.json", "bunny workspace", 1
RIGHTS = "dataset/rights.json"
GIVEN = "reference_given"  # folder of an unpacked film with its user's reference pictures
OWN = {workspace.LOCK, workspace.HOLDER, f"stage/{state_cache.FILE}", "stage/hash.json"}
LATEST_TIME = (1980, 1, 1, 0, 0, 0)  # of every entry, so that the same content gives the same bytes
CHUNK = 1 << 20
SPARE_BYTES = 64 << 20  # left free on the disk when an archive is opened


@dataclass(frozen=True, kw_only=True)
class PackReport:
    """What was packed or opened."""

    film_id: str
    path: str  # the archive, or the folder that it was opened to
    num_files: int
    num_bytes: int
    has_pictures: bool
    notes: tuple[str, ...]  # of rights.json
    advice: str = ""

    def to_text(self) -> str:
        """Lines for people."""
        pictures = "with" if self.has_pictures else "without"
        lines = [f"{self.path}: {self.num_files} files of {self.film_id}, {pictures} pictures"]
        lines += [f"rights: {note}" for note in self.notes]
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
    manifest, names = _read_manifest(archive)
    film_id = manifest["film_id"]
    space = workspace.locate(root, config.project.data_dir, film_id)
    if space.root.exists() or space.checkpoint.exists():
        raise UserError(
            f"{archive.name}: expected a data folder without {film_id}, found it in "
            f"{space.root}; unpack to another --data-dir, or remove that folder first"
        )
    path = _film_path(film, manifest)
    space.root.parent.mkdir(parents=True, exist_ok=True)
    temporary = space.root.with_name(f".{film_id}{atomic.GONE}")
    try:
        _extract(archive, manifest, names, temporary)
        _place(temporary, space, manifest, path)
    finally:
        if temporary.exists():
            atomic.remove_folder(temporary)
    advice = (
        ""
        if film
        else (
            f"the archive does not contain the film {manifest['film']['name']}; for a stage that "
            "decodes it, give its path with `bunny unpack … --film PATH` or `bunny run PATH`"
        )
    )
    return PackReport(
        film_id=film_id,
        path=str(space.root),
        num_files=len(names),
        num_bytes=sum(one.file_size for one in names),
        has_pictures=manifest["has_pictures"],
        notes=tuple(manifest["rights"].get("notes", ())),
        advice=advice,
    )


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
            if path.is_symlink() or not path.is_file() or is_passing:
                continue
            if not (top == "film" and (name in OWN or name == "source.json")):
                yield f"{top}/{name}", path


def _is_picture(name: str, path: Path) -> bool:
    """Whether a file shows anybody: pictures, thumbnails and pages with pictures in them."""
    is_view = name in ("film/thumbnail.parquet", "film/variety.parquet") or path.suffix == ".html"
    return is_view or path.suffix.lower() in image_file.SUFFIXES


def _rights(root: Path) -> dict:
    path = root / RIGHTS
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


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


def _read_manifest(archive: Path) -> tuple[dict, list[zipfile.ZipInfo]]:
    """The manifest, and the entries that it names, each of them a safe place."""
    if not archive.is_file():
        raise UserError(f"{archive}: expected an archive of `bunny pack`, found no such file")
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = {one.filename: one for one in opened.infolist()}
            manifest = json.loads(opened.read(MANIFEST))
        is_ours = manifest["form"] == FORM
        version, listed = manifest["version"], manifest["files"]
        film_id = manifest["film_id"]
        texts = [film_id, manifest["film"]["name"], manifest["film"]["sha256"], *listed.values()]
        is_ours = is_ours and all(isinstance(text, str) for text in texts)
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, AttributeError, OSError) as error:
        raise UserError(
            f"{archive.name}: expected an archive of `bunny pack`, could not read it "
            f"({' '.join(str(error).split())[:120]}); pack the film again"
        ) from error
    if not is_ours or version != VERSION:
        raise UserError(
            f"{archive.name}: expected an archive of `bunny pack` of version {VERSION}, found "
            f"{version!r}; open it with the version of bunny that packed it"
        )
    unsafe = [name for name in (film_id, *listed) if not _is_safe(name, is_id=name == film_id)]
    others = sorted({*listed} ^ {*entries} - {MANIFEST})
    if unsafe or others:
        raise UserError(
            f"{archive.name}: expected the files that its manifest lists, found "
            f"{', '.join((unsafe + others)[:3])}; pack the film again"
        )
    return manifest, [entries[name] for name in listed]


def _is_safe(name: str, *, is_id: bool) -> bool:
    """Whether a name stays inside the folder that it is written to, on every system."""
    path = PurePosixPath(name)
    parts = path.parts
    if not parts or path.is_absolute() or "\\" in name or name != path.as_posix():
        return False
    if any(part in ("..", ".") or atomic.portable_name_error(part) for part in parts):
        return False
    return (
        len(parts) == 1
        if is_id
        else len(parts) > 1 and parts[0] in ("film", "checkpoint", "reference")
    )


def _film_path(film: FilmPlace | None, manifest: dict) -> str:
    """The film's path on this machine; its name where it is not at hand."""
    if film is None:
        return manifest["film"]["name"]
    path = input_path.check_film(film)
    if film_file.sha256(path) != manifest["film"]["sha256"]:
        raise UserError(
            f"{film}: expected the film that was packed, {manifest['film']['name']}, found another "
            "film; give the same file, or leave --film out"
        )
    return str(path.resolve())


def _extract(archive: Path, manifest: dict, entries: list[zipfile.ZipInfo], folder: Path) -> None:
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
            target = folder / one.filename
            target.parent.mkdir(parents=True, exist_ok=True)
            digest, size = hashlib.sha256(), 0
            try:
                with opened.open(one) as data, target.open("wb") as out:
                    while chunk := data.read(CHUNK):
                        size += len(chunk)
                        if size > one.file_size:
                            break
                        digest.update(chunk)
                        out.write(chunk)
            except (zipfile.BadZipFile, EOFError) as error:
                raise _damaged(archive, one.filename) from error
            if digest.hexdigest() != manifest["files"][one.filename]:
                raise _damaged(archive, one.filename)


def _damaged(archive: Path, name: str) -> UserError:
    return UserError(
        f"{archive.name}: expected {name} as it was packed, found it damaged; copy it again"
    )


def _place(temporary: Path, space: Workspace, manifest: dict, film: str) -> None:
    """Give what was written its places; the film's folder comes last, whole."""
    made = temporary / "film"
    made.mkdir(exist_ok=True)
    given = temporary / "reference"
    if given.is_dir():
        atomic.rename(given, made / GIVEN)
    weights = temporary / "checkpoint"
    if weights.is_dir():
        space.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        atomic.rename(weights, space.checkpoint)
    atomic.rename(made, space.root)
    references = space.root / GIVEN
    given = references if references.is_dir() else None
    workspace.write_source(space, film, manifest["film"]["sha256"], given)
