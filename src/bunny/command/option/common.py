"""Options that most commands have: the film, the folder of the workspaces and settings."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

import typer


def _show_settings(given: list[str]) -> list[str]:
    """Print what `--set help` and `--set SECTION.help` ask for, and end the command."""
    asked = [text for text in given if "=" not in text and f".{text}".endswith(".help")]
    if asked:
        from bunny.core.config import describe

        typer.echo("\n".join(describe.help_text(text[: -len(".help")]) for text in asked))
        raise typer.Exit
    return given


DataDir = Annotated[
    str | None,
    typer.Option(
        "--data-dir", help="Folder with the workspaces of all films; default: project.data_dir."
    ),
]
Overrides = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        callback=_show_settings,
        is_eager=True,
        help="Change a setting for this run, e.g. filtering.blur_threshold=0.4; repeatable. --set "
        "help lists the sections, --set filtering.help the keys of a section.",
    ),
]
FilmName = Annotated[
    str | None, typer.Argument(help="Film id or its first characters; default: the newest film.")
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
