"""Check of films' workspaces: tables, files, hashes and records; repair of what can be made again.

Nothing that a person made is ever changed. What a stage made and what is damaged can be removed
(`repair`), so that the next run makes it again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bunny.command import film_workspace
from bunny.contract.row_count import plural
from bunny.core import atomic, file_hash, film_file, image_file, jsonl, safe_path, workspace
from bunny.core.error import BunnyError, UserError
from bunny.core.film_file import FilmAddress, FilmPlace
from bunny.core.workspace import Workspace

if TYPE_CHECKING:
    import polars as pl

Remedy = Literal["run", "remove", "person", "film", "update", "library"]

# Columns that name files, and the column of their SHA-256, if there is one.
FILES = {
    "frame": (("file", None),),
    "dataset": (("file", None), ("mask_file", None)),
    "clip": (("file", "sha256"),),
    "training_run": (("adapter_file", "adapter_hash"),),
    "adapter": (("file", "hash"),),
    "evaluation_picture": (("file", None),),
    "picture": (("file", None),),
}
IN_CHECKPOINT = ("training_run", "adapter")  # paths relative to the checkpoint folder
RECORDS = {  # of people or of what was handed out; only they can mend them
    "feedback.jsonl": "one correction",
    "addition.jsonl": "one addition",
    "approval.jsonl": "one approval",
    "forgotten.jsonl": "one record of `bunny forget`",
    "timeline.jsonl": "one exported timeline",
    "picture/own/index.jsonl": "one drawing",
}
MOST_NAMED = 3  # files of one kind that are named; the rest is counted


@dataclass(frozen=True, kw_only=True)
class WorkspaceProblem:
    """Something that is not as its writer left it."""

    film_id: str
    place: str  # relative to the film's folder
    what: str
    remedy: Remedy  # run: the next run makes it; remove: --repair removes it first

    def to_text(self) -> str:
        """One line."""
        advice = {
            "run": "`bunny run` recreates it",
            "remove": "`bunny doctor --workspace --repair` removes it, then `bunny run` recreates "
            "it",
            "person": "it cannot be recreated: restore it from a backup",
            "film": "put it back, or continue without it",
            "library": "`bunny library remove FILM`, then `bunny library add FILM` recreate it",
            "update": (
                "a newer version of bunny wrote it: update this one, which leaves the table "
                "unchanged"
            ),
        }[self.remedy]
        return f"{self.film_id}: {self.place}: {self.what}; {advice}"


@dataclass(frozen=True, kw_only=True)
class TableVersion:
    """Version of the schema that a table was written with."""

    film_id: str
    table: str
    version: int
    expected: int  # by this program

    def to_text(self) -> str:
        """Table and version; of another than this program's also what becomes of it."""
        if self.version == self.expected:
            return f"{self.table} {self.version}"
        what = (
            "newer, refused"
            if self.version > self.expected
            else "older: migrated when read, rewritten by the next run of its stage"
        )
        return f"{self.table} {self.version} ({what}; expected {self.expected})"


@dataclass(frozen=True, kw_only=True)
class WorkspaceReport:
    """What a check found."""

    num_films: int
    num_tables: int
    num_files: int
    problems: tuple[WorkspaceProblem, ...]
    versions: tuple[TableVersion, ...] = ()
    repaired: tuple[str, ...] = ()

    def to_text(self) -> str:
        """Lines for people."""
        films = dict.fromkeys(one.film_id for one in self.versions)
        lines = [
            f"{film_id}: schema versions: "
            + ", ".join(one.to_text() for one in self.versions if one.film_id == film_id)
            for film_id in films
        ]
        lines += [problem.to_text() for problem in self.problems]
        lines += [f"removed {place}" for place in self.repaired]
        found = plural(len(self.problems), "problem") if self.problems else "no problems"
        numbers = {"film": self.num_films, "table": self.num_tables, "file": self.num_files}
        checked = ", ".join(plural(number, word) for word, number in numbers.items())
        return "\n".join([*lines, f"{checked}: {found}"])

    def to_json(self) -> str:
        """One JSON object."""
        return json.dumps(asdict(self), ensure_ascii=False)


def run(film: str | None, data_dir: str | None = None, *, repair: bool = False) -> WorkspaceReport:
    """Check one film, or all films of the data folder and the library of their people.

    Parameters
    ----------
    film : str or None
        Beginning of a film id; None: all films.
    data_dir : str or None
        Overrides `project.data_dir`.
    repair : bool
        As `check_workspaces`; each film is locked meanwhile.

    Raises
    ------
    UserError
        If there is no such film, or another process writes in it.
    """
    root, config = film_workspace.load_settings(data_dir, ())
    spaces = workspace.find(root, config.project.data_dir, film, has_series=True)
    if not spaces:
        raise film_workspace.no_such_film(film, config)
    if film:
        film_workspace.check_one(film, spaces)
    with ExitStack() as held:
        for space in spaces if repair else ():
            held.enter_context(workspace.lock(space, config.pipeline.lock_wait_seconds))
        for space in spaces:
            workspace.fetch(space)
        report = check_workspaces(spaces, repair=repair)
    return report if film else _with_library(report, root, config.project.data_dir)


def _with_library(report: WorkspaceReport, root: Path, data_dir: str) -> WorkspaceReport:
    """The report with what is wrong in the library of all films; nothing there is removed."""
    from bunny.command import check_library
    from bunny.series import people_library

    data = workspace.data_folder(root, data_dir)
    folder = workspace.fetch_library(data / people_library.FOLDER)
    found = tuple(
        WorkspaceProblem(film_id=check_library.NAME, place=place, what=what, remedy=remedy)
        for place, what, remedy in check_library.find_problems(folder)
    )
    return replace(report, problems=(*report.problems, *found))


def check_workspaces(spaces: Sequence[Workspace], *, repair: bool = False) -> WorkspaceReport:
    """Check workspaces wholly: every table is read, every file hashed that has a hash.

    Parameters
    ----------
    repair : bool
        Remove damaged tables, records of stages and files half written; never what people made.

    Returns
    -------
    WorkspaceReport
        With the problems as they were before the repair.
    """
    num_tables = num_files = 0
    problems: list[WorkspaceProblem] = []
    versions: list[TableVersion] = []
    repaired: list[str] = []
    for space in spaces:
        check = _FilmCheck(space)
        found = list(check.problems())
        problems += found
        versions += check.versions
        num_tables, num_files = num_tables + check.num_tables, num_files + check.num_files
        if repair:
            repaired += [f"{space.film_id}/{place}" for place in _remove(space, found)]
    return WorkspaceReport(
        num_films=len(spaces),
        num_tables=num_tables,
        num_files=num_files,
        problems=tuple(problems),
        versions=tuple(versions),
        repaired=tuple(repaired),
    )


class _FilmCheck:
    """One film's workspace, looked through once."""

    def __init__(self, space: Workspace) -> None:
        self._space = space
        self.num_tables = self.num_files = 0
        self.versions: list[TableVersion] = []

    def problems(self) -> Iterator[WorkspaceProblem]:
        """Yield all that is wrong, in the order: source, stages, tables, files, records."""
        yield from self._source()
        written = yield from self._stages()
        yield from self._tables(written)
        yield from self._records()
        yield from self._leftovers()

    def _say(self, place: str, what: str, remedy: Remedy) -> WorkspaceProblem:
        return WorkspaceProblem(film_id=self._space.film_id, place=place, what=what, remedy=remedy)

    def _source(self) -> Iterator[WorkspaceProblem]:
        try:
            source = self._space.source()
            film, known = film_file.locate(source["film"]), source["content_hash"]
        except (UserError, OSError, ValueError):
            what = "expected the film's path and hash, could not read them"
            yield self._say("source.json", what, "person")
            return
        if what := _film_fault(film, known, self._space.root.parents[1]):
            yield self._say("source.json", what, "film")

    def _stages(self) -> Iterator[WorkspaceProblem]:
        """Yield damaged records of stages; returns the hashes of tables that others hold."""
        written: dict[str, str] = {}
        for path in sorted((self._space.root / "stage").glob("*/stage.json")):
            place = path.relative_to(self._space.root).as_posix()
            try:
                record = json.loads(path.read_text(encoding="utf-8"))
                tables = record.get("tables", {})
                written |= {name: known["sha256"] for name, known in tables.items()}
            except (OSError, ValueError, AttributeError, KeyError, TypeError):
                yield self._say(
                    place, "expected the record of a stage, could not read it", "remove"
                )
        return written

    def _tables(self, written: dict[str, str]) -> Iterator[WorkspaceProblem]:
        from bunny.table import migration, store

        folder = self._space.table
        today = {former: name for name, former in migration.FORMER_NAME.items()}
        for stem in sorted({*written, *(path.stem for path in folder.glob("*.parquet"))}):
            place, name = f"table/{stem}.parquet", today.get(stem, stem)
            path = folder / f"{stem}.parquet"
            if not path.exists():
                if name == stem or not (folder / f"{name}.parquet").exists():
                    yield self._say(place, "is missing", "run")
                continue
            self.num_tables += 1
            try:
                if not self._note_version(path, name):
                    continue
                table = store.check(name, store.read(folder, name))
            except store.TableVersionError:
                found, expected = self.versions[-1].version, self.versions[-1].expected
                what = f"has schema version {found}, expected {expected}"
                yield self._say(place, what, "update" if found > expected else "run")
                continue
            except BunnyError as error:
                reason = " ".join(str(error).split())[:160]
                yield self._say(place, f"does not match its schema ({reason})", "remove")
                continue
            if stem in written and file_hash.hash_file(path) != written[stem]:
                yield self._say(place, "is not what its stage wrote", "remove")
            yield from self._files(name, table)

    def _note_version(self, path: Path, name: str) -> bool:
        """Note a table's version; False of a table of a newer program, or somebody's own."""
        from bunny.table import schema, store

        expected = schema.VERSION.get(name)
        if expected is None:
            return False
        found = store.read_version(path)
        film_id = self._space.film_id
        self.versions.append(
            TableVersion(film_id=film_id, table=path.stem, version=found, expected=expected)
        )
        return True

    def _files(self, name: str, table: pl.DataFrame) -> Iterator[WorkspaceProblem]:
        root = self._space.checkpoint if name in IN_CHECKPOINT else self._space.root
        for column, hashed in FILES.get(name, ()):
            known = table.drop_nulls(column)
            hashes = known[hashed].to_list() if hashed else [None] * known.height
            missing = []
            for file, wanted in zip(known[column].to_list(), hashes, strict=True):
                self.num_files += 1
                try:
                    path = safe_path.join(root, file)
                except UserError as error:
                    yield self._say(f"table/{name}.parquet", str(error), "person")
                    continue
                if not path.is_file():
                    missing.append(file)
                elif wanted and file_hash.hash_file(path) != wanted:
                    yield self._say(file, "is not what its stage wrote", "remove")
                elif not _is_whole(path):
                    yield self._say(file, "is not a complete picture", "remove")
            if missing:
                named = ", ".join(missing[:MOST_NAMED]) + ", …" * (len(missing) > MOST_NAMED)
                said = f"{len(missing)} files that it names are missing ({named})"
                yield self._say(f"table/{name}.parquet", said, "run")

    def _records(self) -> Iterator[WorkspaceProblem]:
        for place, what in RECORDS.items():
            try:
                jsonl.read(self._space.root / place, what)
            except (UserError, OSError) as error:
                yield self._say(place, str(error), "person")

    def _leftovers(self) -> Iterator[WorkspaceProblem]:
        """Files that a kill left half written."""
        for folder in (self._space.root, self._space.checkpoint):
            for path in sorted(folder.rglob(".*.tmp")):
                place = path.relative_to(folder).as_posix()
                yield self._say(place, "was left incomplete by an interrupted run", "remove")


def _film_fault(film: FilmPlace, known: str, data: Path) -> str:
    """What has become of a film; empty where it is as it was.

    One in object storage is read only if it is another object than when it was last hashed here.
    """
    try:
        if not film.exists():
            return f"the film {film.name} has been moved or deleted"
        if isinstance(film, FilmAddress):
            film_file.check(film)
            is_same = workspace.hash_film(data, film) == known
        else:
            is_same = film.is_dir() or file_hash.hash_file(film) == known
    except BunnyError as error:
        return f"the film cannot be read: {error}"
    return "" if is_same else f"the film {film.name} has been replaced by another"


def _is_whole(path: Path) -> bool:
    """Whether a file has content and, if it is a picture, can be decoded to its end."""
    if not path.stat().st_size:
        return False
    if path.suffix.lower() not in image_file.SUFFIXES:
        return True
    try:
        with image_file.open_picture(path) as picture:
            picture.load()
    except (OSError, SyntaxError, ValueError):
        return False
    return True


def _remove(space: Workspace, problems: Sequence[WorkspaceProblem]) -> Iterator[str]:
    """Remove what is made again by a run."""
    for problem in problems:
        if problem.remedy != "remove":
            continue
        for root in (space.root, space.checkpoint):
            path = root / problem.place
            if path.is_file():
                atomic.remove_file(path)
                yield problem.place
