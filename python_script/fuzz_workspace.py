"""Damaged files of a finished workspace, and the commands that read them: cases of `fuzz.py`.

The film is the one of `test/material/old_workspace/trained`, with every stage, adapters and
drawings. Besides its own files there are those that lie beside films: the library of all films,
lists of films, uploads, and what a workspace on object storage is. Their commands begin anew, not
as forks: they use libraries that begin threads, which a fork would wait for.
"""

import json
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from fuzz_damage import Case, damage

ROOT = Path(__file__).resolve().parents[1]
MATERIAL = ROOT / "test" / "material" / "old_workspace"
FILM = "short-film-97512643"
# Files of a film by subject, and command lines of which one reads it.
READ = (
    ["status", FILM],
    ["doctor", FILM, "--workspace"],
    ["export", "json", FILM],
    ["pack", FILM, "--output", "film.zip"],
    ["clean", FILM],
    ["report", FILM],
    ["search", "bunny"],
    ["where", f"{FILM}@1.5"],
    ["correct", "list", FILM],
    ["caption", FILM, "--audit"],
    ["characters", FILM],
    ["forget", "bunny"],
    ["library", "add"],
    ["compare", FILM, FILM],
    ["approve", FILM, "--show"],
    ["gaps", FILM],
    ["check", FILM],
    ["export", "timeline", FILM, "--output", "a.edl"],
)
CLIP_READ = (
    ["export", "clips", FILM, "--format", "musubi"],
    ["export", "pairs", FILM, "--format", "musubi"],
    ["report", FILM],
    ["doctor", FILM, "--workspace"],
    ["export", "json", FILM],
)
ADAPTER_READ = (
    *(["export", "adapter", FILM, "--format", kind] for kind in ("diffusers", "kohya", "comfy")),
    ["doctor", FILM, "--workspace"],
)
LIST = "film,references,settings,until\nfilm.mp4,,seed=1;models.lora_rank=4,extract\n"


def make_sources(folder: Path, run: Callable[[list[str], Path], object]) -> None:
    """The finished workspace, with a record of every kind and a library of all films.

    Parameters
    ----------
    folder : Path
        Of all undamaged inputs; the workspace becomes `finished` in it.
    run : callable
        Runs a command line in a folder.
    """
    sys.path.insert(0, str(ROOT / "test"))
    import test_old_workspace

    sys.path.pop(0)
    project = folder / "finished"
    space = test_old_workspace.make_project(project, "trained")
    done = run(["library", "add"], project)
    if done.code:
        raise RuntimeError(done.said)
    run(["export", "timeline", FILM, "--output", "cut.edl"], project)
    said = {"at": "2026-01-01T00:00:00+00:00", "by": "ana"}
    forgotten = {**said, "note": "", "counts": {}, "tracks": []}
    approved = {**said, "character": "bunny", "set_hash": "0" * 64, "num_images": 1}
    for name, line in (("forgotten", forgotten), ("approval", approved)):
        (space.root / f"{name}.jsonl").write_bytes(json.dumps(line).encode() + b"\n")
    _write_upload(project)
    _write_remote(project / "remote")


def _write_upload(project: Path) -> None:
    from bunny.batch.film_queue import FilmQueue

    queue = FilmQueue(project / "data", 2**30)
    film = (project / test_film()).read_bytes()
    added = queue.add("upload.mp4", len(film), "ana")
    home = queue.folder / added.entry
    (home / "part.mp4").write_bytes(film)


def test_film() -> str:
    """Name of the workspace's film."""
    return "short film.mp4"


def _write_remote(folder: Path) -> None:
    """What a film on object storage has beside its files."""
    from bunny.remote import film_index, manifest
    from bunny.remote.file_kind import BASE

    folder.mkdir()
    known = manifest.Manifest(
        film_id=FILM, generation=3, files={"film/table/shot.parquet": "0" * 64}
    )
    (folder / "manifest.json").write_bytes(known.to_bytes())
    (folder / "index.json").write_bytes(film_index.Index(films={FILM: 3}).to_bytes())
    base = {**vars(known), "files": dict(known.files)}
    noted = {"film/table/shot.parquet": {"sha256": "0" * 64, "size": 3, "mtime_ns": 4}}
    (folder / BASE).write_text(
        json.dumps({"base": base, "known": noted}), encoding="utf-8", newline="\n"
    )
    holder = {"process": 1, "machine": "a", "since": "2026", "until": 0.0, "name": "b"}
    (folder / "lock.json").write_text(json.dumps(holder), encoding="utf-8", newline="\n")


# -- commands that are none ------------------------------------------------------------------------


def read(name: str, *arguments: str) -> None:
    """Call one of `READERS`; what a person would be told goes to standard error."""
    from bunny.core import exit_code
    from bunny.core.error import BunnyError

    try:
        READERS[name](*map(Path, arguments))
    except BunnyError as error:
        print(f"bunny: {error}", file=sys.stderr)
        raise SystemExit(exit_code.of_error(error)) from error


def _read_queue(data: Path) -> None:
    """As the page of films does."""
    from bunny.batch.film_queue import FilmQueue

    queue = FilmQueue(data, 2**30)
    for film in queue.films():
        queue.read_log(queue.find(film.entry))
    queue.add("another.mp4", 5, "bob")


class _Store:
    """The objects of a folder, as `ObjectStore` gives them."""

    address = "s3://bucket/work"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, key: str) -> tuple[bytes, str] | None:
        path = self._folder / key.rpartition("/")[2]
        return (path.read_bytes(), "etag") if path.exists() else None

    def put(self, _key: str, _data: bytes, _etag: str | None = None, **_more: object) -> str:
        return "etag"


def _read_remote(folder: Path) -> None:
    """As opening a film on object storage does, until files are fetched."""
    from bunny.remote import film_index, film_sync, lease, manifest

    store, places = _Store(folder), {"film": folder, "checkpoint": folder / "checkpoint"}
    film_sync.FilmSync(store, FILM, places)
    manifest.read(store, FILM)
    film_index.read(store)
    with lease.hold(store, FILM, 0.0):
        pass


READERS = {"read-queue": _read_queue, "read-remote": _read_remote}


# -- cases -----------------------------------------------------------------------------------------


def _case(
    sources: Path, folder: Path, chance: random.Random, subject: str, pattern: str, lines
) -> Case:
    """A damaged file out of those that a pattern finds."""
    shutil.copytree(sources / "finished", folder, dirs_exist_ok=True)
    paths = sorted(path for path in folder.glob(pattern) if path.is_file())
    path = chance.choice([path for path in paths if path.stat().st_size])
    data = path.read_bytes()
    way, data = damage(data, chance.choice(paths).read_bytes() or data, chance)
    path.write_bytes(data)
    line = list(chance.choice(lines))
    return Case(subject=subject, way=f"{way} of {path.name}", arguments=line, is_forked=False)


def _maker(subject: str, pattern: str, lines) -> Callable[[Path, Path, random.Random], Case]:
    def make(sources: Path, folder: Path, chance: random.Random) -> Case:
        return _case(sources, folder, chance, subject, pattern, lines)

    return make


def list_case(sources: Path, folder: Path, chance: random.Random) -> Case:
    """A damaged list of films; its film is none, so that what is read ends soon."""
    del sources
    way, data = damage(LIST.encode(), LIST.encode(), chance)
    (folder / "films.csv").write_bytes(data)
    (folder / "film.mp4").write_bytes(b"no film")
    line = ["batch", "--list", "films.csv", "--data-dir", "data", "--workers", "1"]
    return Case(subject="list of films", way=way, arguments=line, is_forked=False)


HOME = f"data/output/{FILM}"
CASES = (
    _maker("finished table", f"{HOME}/table/*.parquet", READ),
    _maker("clip and pair table", f"{HOME}/table/*[cp][la]i[pr]*.parquet", CLIP_READ),
    _maker("record", f"{HOME}/*.jsonl", READ),
    _maker("state of a stage", f"{HOME}/**/*.json", READ),
    _maker("adapter", f"checkpoint/{FILM}/**/adapter.safetensors", ADAPTER_READ),
    _maker("library", "data/library/**/*", (["library", "show"], ["library", "add"])),
    _maker("upload", "data/queue/*/*", (["read-queue", "data"],)),
    _maker("object storage", "remote/*", (["read-remote", "remote"], ["read-remote", "remote"])),
    list_case,
)
