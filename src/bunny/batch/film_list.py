"""Lists of films with their references and settings, from arguments, CSV or parquet."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from bunny import pipeline
from bunny.core import film_file, input_path
from bunny.core.error import UserError
from bunny.core.film_file import FilmPlace
from bunny.table import store

PREPARE, FINETUNE = "prepare", "finetune"  # phases of a film, see `FilmTask.phase`
FINETUNE_STAGES = ("finetune", "evaluate", "generate")  # gain from a GPU
PREPARE_STAGES = tuple(name for name in pipeline.STAGE if name not in FINETUNE_STAGES)
COLUMNS = ("film", "references", "settings", "until")
SUFFIXES = (".csv", ".parquet")
MAX_SHOWN = 200  # characters of what a list holds


@dataclass(frozen=True, kw_only=True)
class FilmTask:
    """One film of a batch."""

    film: str  # a path, or an address of S3
    references: str | None = None  # a folder
    settings: tuple[str, ...] = ()  # section.key=value, beside those of the batch
    until: str | None = None  # last stage; None: that of the batch
    is_helper: bool = False  # shares the work of the process that runs the film
    phase: str = ""  # what runs: "" all, `PREPARE` all before the fine-tune, `FINETUNE` from there

    def to_arguments(self) -> list[str]:
        """The arguments of `bunny run`."""
        found = ["run", self.film, *(["--assist"] if self.is_helper else [])]
        found += ["--references", self.references] if self.references else []
        found += [part for one in self.settings for part in ("--set", one)]
        return found + (["--until", self.until] if self.until and not self.is_helper else [])


def read_list(path: Path) -> list[FilmTask]:
    """Read films from a CSV or parquet file.

    Parameters
    ----------
    path : Path
        Columns `film`, and if wanted `references`, `settings` (``section.key=value``, several
        parted by ``;``, or a list of them) and `until`. Paths are relative to the file's
        folder; a film may be an address ``s3://bucket/key``.

    Raises
    ------
    UserError
        If it cannot be read, lacks the column `film` or has others, or names no film.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"{path}: expected a list of films as .csv or .parquet, got {path.name}")
    if not path.is_file():
        raise UserError(f"{path}: expected a list of films, found no such file; check the path")
    try:
        is_csv = path.suffix.lower() == ".csv"
        rows = pl.read_csv(path, infer_schema=False) if is_csv else pl.read_parquet(path)
    except (*store.UNREADABLE, OSError) as error:
        why = str(error).splitlines()[0][:MAX_SHOWN] if str(error) else type(error).__name__
        raise UserError(f"{path}: could not read this list of films ({why}); fix it") from error
    unknown = sorted(set(rows.columns) - set(COLUMNS))
    if "film" not in rows.columns or unknown:
        raise UserError(
            f"{path}: expected a column film and, optionally, references, settings and until, got "
            f"{', '.join(rows.columns)[:MAX_SHOWN] or 'no column'}"
        )
    tasks = [
        _from_row(path, number, row) for number, row in enumerate(rows.iter_rows(named=True), 1)
    ]
    if not tasks:
        raise UserError(f"{path}: expected at least one film, got none")
    return tasks


def _from_row(path: Path, number: int, row: Mapping[str, Any]) -> FilmTask:
    film = _text(row.get("film"))
    if not film:
        raise UserError(f"{path}: expected a film in row {number}, got none")
    if any("\0" in str(value) for value in row.values()):
        raise UserError(f"{path}: expected text in row {number}, found a zero character; fix it")
    references, settings = _text(row.get("references")), row.get("settings")
    parts = settings.split(";") if isinstance(settings, str) else list(settings or ())
    return FilmTask(
        film=film if film_file.is_address(film) else str(_beside(path, film)),
        references=str(_beside(path, references)) if references else None,
        settings=tuple(text for part in parts if (text := _text(part))),
        until=_text(row.get("until")) or None,
    )


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()


def _beside(path: Path, name: str) -> Path:
    """A path that a list names, relative to the list."""
    return (path.resolve().parent / name) if not Path(name).is_absolute() else Path(name)


def check_tasks(tasks: Sequence[FilmTask]) -> None:
    """Refuse a batch in which a film stands twice, as both would write one workspace.

    Raises
    ------
    UserError
        Naming the first of them; also for a path that `input_path.check_path` refuses.
    """
    seen: set[FilmPlace] = set()
    for task in tasks:
        for name in (task.film, task.references or ""):
            input_path.check_path(film_file.locate(name))
        place = film_file.locate(task.film).resolve()
        if place in seen:
            raise UserError(f"{task.film}: expected each film once, got it twice; remove one")
        seen.add(place)
    if not tasks:
        raise UserError("expected films, or a list of them with --list, got neither")


def with_common(
    tasks: Sequence[FilmTask], settings: Sequence[str], until: str | None
) -> Iterator[FilmTask]:
    """Tasks with the settings of the batch before their own."""
    for task in tasks:
        yield FilmTask(
            film=task.film,
            references=task.references,
            settings=(*settings, *task.settings),
            until=task.until or until,
        )


def part_tasks(
    tasks: Sequence[FilmTask], durations_s: Mapping[str, float | None], part_s: float, most: int
) -> tuple[list[FilmTask], list[FilmTask]]:
    """Divide the work of long films among several processes.

    Parameters
    ----------
    durations_s : mapping of str to float or None
        Length of each film, as its container says.
    part_s : float
        Of a part; a film at least twice as long has several. 0: none has.
    most : int
        Parts that a film has at most.

    Returns
    -------
    list of FilmTask
        As many as `tasks`; those of long films say how many parts there are.
    list of FilmTask
        Those who help them, one a part but the first.
    """
    films, helpers = [], []
    for task in tasks:
        length = durations_s.get(task.film) or 0.0
        parts = min(most, int(length // part_s)) if part_s > 0 else 1
        if parts > 1:
            task = replace(task, settings=(*task.settings, f"pipeline.num_parts={parts}"))
            helpers += [replace(task, is_helper=True)] * (parts - 1)
        films.append(task)
    return films, helpers


def to_phases(
    task: FilmTask, stages: Sequence[str], *, is_forced: bool = False
) -> tuple[FilmTask, ...]:
    """Divide a film into what wants no GPU and what does.

    Parameters
    ----------
    stages : sequence of str
        That will run, in order.
    is_forced : bool
        Whether stages run that are up to date: then nothing can be divided, as the second phase
        would run the stages of the first again.

    Returns
    -------
    tuple of FilmTask
        One or two. The second runs all that the film's run would, and finds done what the first
        did.
    """
    has_finetune = any(stage in FINETUNE_STAGES for stage in stages)
    if not has_finetune:
        return (replace(task, phase=PREPARE),)
    last = replace(task, phase=FINETUNE)
    if is_forced or all(stage in FINETUNE_STAGES for stage in stages):
        return (last,)
    return replace(task, phase=PREPARE, until=PREPARE_STAGES[-1]), last


def to_json(tasks: Sequence[FilmTask]) -> str:
    """The batch as a text that is equal for equal batches."""
    return json.dumps([[t.film, t.references, t.settings, t.until] for t in tasks])
