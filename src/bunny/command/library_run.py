"""`bunny library … --run`: films whose references or learned version changed, run and added again.

Films run as `bunny batch` runs them, on this machine or a Ray cluster, and nobody holds the library
meanwhile. Each runs as far as it was run before, but not into training: a new name makes adapters
out of date too, and whether they are worth hours again is a person's decision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bunny import pipeline
from bunny.batch.film_list import FilmTask
from bunny.command import batch, film_workspace, library
from bunny.command.library import FilmRun, LibraryReport
from bunny.command.option.film import BatchOptions
from bunny.contract import fingerprint
from bunny.core import film_file
from bunny.core.error import UserError
from bunny.core.workspace import Workspace
from bunny.series import film_member, rejection
from bunny.series.people_library import PeopleLibrary
from bunny.table import corrected, store

LAST = "pair"  # the last stage before training


def run_and_add(
    report: LibraryReport,
    data_dir: str | None = None,
    overrides: Sequence[str] = (),
    *,
    films: Sequence[str] = (),
    least: str = "cluster",
    options: BatchOptions | None = None,
) -> LibraryReport:
    """Run films that got or lost references, then add them again, until none is left.

    Whatever an earlier command left undone is done too, so that the same command again resumes one
    that was stopped.

    Parameters
    ----------
    report : LibraryReport
        Of the command before.
    data_dir, overrides
        As given to that command.
    films : sequence of str
        film_ids to run whatever their references are.
    least : str
        Stage that each film is run to at least.
    options : BatchOptions, optional
        How the films run; None: in processes on this machine.

    Returns
    -------
    LibraryReport
        Of all that was done; `ran` has a row for each run of a film.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C, once all processes have stopped; what they did is kept.
    """
    ran: list[FilmRun] = []
    lines, given = list(report.lines), dict(report.given or {})
    seen: set[tuple[str, str]] = set()  # films with the references that they were run with
    spaces = [film_workspace.open_film(one, data_dir, overrides)[0] for one in films]
    spaces += [one for one in _behind(report.library, data_dir, overrides) if one not in spaces]
    while True:
        seen |= {_key(space) for space in spaces}
        ran += _run(spaces, data_dir, overrides, least, options) if spaces else []
        if again := _ran_since(report.library):
            report = library.add(again, data_dir, overrides)
            lines += report.lines
            for film_id, names in (report.given or {}).items():
                given[film_id] = list(dict.fromkeys([*given.get(film_id, ()), *names]))
        behind = _behind(report.library, data_dir, overrides)
        spaces = [space for space in behind if _key(space) not in seen]
        if not spaces:
            break
    return replace(report, lines=lines, given=given, commands=(), ran=ran)


def _behind(
    known: PeopleLibrary, data_dir: str | None, overrides: Sequence[str]
) -> list[Workspace]:
    """Films of the library that do not go by their references yet, or were stopped on the way."""
    found = []
    for film_id in known.film["film_id"].sort():
        try:
            space, _ = film_workspace.open_film(film_id, data_dir, overrides)
        except UserError:  # its folder is gone; the library keeps what it knows
            continue
        if _is_behind(space):
            found.append(space)
    return found


def _is_behind(space: Workspace) -> bool:
    """Whether a film's labels, or what follows from them, are of other references than it has.

    Settings that changed since do not count, nor does a stage that failed by itself.
    """
    order = list(pipeline.STAGE)
    first, last = order.index("detect"), order.index(last_stage(space, "cluster"))
    for name in order[first : last + 1]:
        record = fingerprint.read_record(space.root, name)
        if record.get("status") == "running" or record.get("error") == "interrupted":
            return True
        parts = record.get("parts", {})
        outside = parts.get("outside", {})
        used = outside.get("references", "")
        told = fingerprint.table_hash(space.root, rejection.TABLE)
        if name == "review" and record and told != outside.get("rejected elsewhere", ""):
            return True
        if name == "detect" and used != space.source()["reference_hash"]:
            return True
        for table, digest in parts.get("tables", {}).items():
            names = {table, corrected.table_name(space.table, table)}
            if digest not in {fingerprint.table_hash(space.root, one) for one in names}:
                return True
    return False


def _ran_since(known: PeopleLibrary) -> list[str]:
    """Films of the library that hold others than when they were added."""
    output = known.folder.parent / "output"
    return [
        film_id
        for film_id, state in known.film.select("film_id", "state").sort("film_id").iter_rows()
        if store.exists(output / film_id / "table", "cluster")
        and film_member.state(output / film_id / "table") != state
    ]


def _key(space: Workspace) -> tuple[str, str]:
    return space.film_id, space.source()["reference_hash"]


def _run(
    spaces: Sequence[Workspace],
    data_dir: str | None,
    overrides: Sequence[str],
    least: str,
    options: BatchOptions | None,
) -> list[FilmRun]:
    """Run films, and how each of them ran."""
    of_film = {str(film_file.locate(space.source()["film"])): space for space in spaces}
    tasks = [
        FilmTask(film=film, settings=tuple(overrides), until=last_stage(space, least))
        for film, space in of_film.items()
    ]
    table = batch.run_batch(tasks, options or BatchOptions(), data_dir).table
    rows = [(of_film[row["film"]], row) for row in table.sort("film").iter_rows(named=True)]
    return [
        FilmRun(
            film_id=space.film_id,
            film=row["film"],
            status=row["status"],
            seconds=row["seconds"],
            error=row["error"],
            until=last_stage(space, least),
            left=untrained(space),
        )
        for space, row in rows
    ]


def last_stage(space: Workspace, least: str) -> str:
    """The stage that a film is run to: the last one that it was run to, from `least` to `LAST`.

    Parameters
    ----------
    least : str
        Name of a stage.
    """
    order = list(pipeline.STAGE)
    ran = [name for name in order if fingerprint.read_record(space.root, name)]
    place = max((order.index(name) for name in ran), default=0)
    return order[min(max(place, order.index(least)), order.index(LAST))]


def untrained(space: Workspace) -> list[str]:
    """Stages of training that were run before, which a run until `LAST` leaves as they are."""
    return [name for name in pipeline.TRAINING if fingerprint.read_record(space.root, name)]
