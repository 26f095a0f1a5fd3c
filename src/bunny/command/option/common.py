"""Options that most commands have: the film, the folder of the workspaces and settings."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

import typer

DataDir = Annotated[
    str | None,
    typer.Option("--data-dir", help="Folder of the workspaces; default: project.data_dir."),
]
Overrides = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change a setting for this run, e.g. filtering.blur_threshold=0.4; repeatable.",
    ),
]
FilmName = Annotated[
    str | None,
    typer.Argument(help="Film id or its first characters; default: the newest film."),
]


@dataclass(frozen=True, kw_only=True)
class ProjectOptions:
    """Where films are looked for, and settings for one command."""

    data_dir: DataDir = None
    overrides: Overrides = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class FilmOptions(ProjectOptions):
    """A known film, where it is looked for, and settings for one command."""

    film: FilmName = None


def with_force(overrides: Sequence[str], *, is_forced: bool) -> list[str]:
    """Add to settings that stages run even if they are up to date, where `--force` asks for it."""
    return [*overrides, *(["pipeline.force_rerun=true"] if is_forced else [])]
