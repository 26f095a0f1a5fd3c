"""Typer application, help panels and options that several commands share."""

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Turn a film and a few reference pictures into a training set, a LoRA and new pictures.",
)
export_app = typer.Typer(
    no_args_is_help=True, help="Export data, training sets, adapters and timelines for other tools."
)

# Panels of `bunny --help`, in their order.
PANELS = {
    "Film": ("demo", "run", "batch", "status", "caption", "report", "lab", "doctor"),
    "Characters and training set": ("references", "characters", "gaps", "check"),
    "Evaluation and generation": ("evaluate", "generate"),
    "Library": ("review", "approve", "correct", "learn", "library", "search", "where", "publish"),
    "Workspace": ("compare", "clean", "forget", "pack", "unpack"),
    "Export": ("export",),
}


def _show_settings(given: list[str] | None) -> list[str] | None:
    """Print what `--set help` and `--set SECTION.help` ask for, and end the command."""
    asked = [text for text in given or () if "=" not in text and f".{text}".endswith(".help")]
    if asked:
        from bunny.core.config import describe

        typer.echo("\n".join(describe.help_text(text[: -len(".help")]) for text in asked))
        raise typer.Exit
    return given


DataDir = Annotated[
    str | None,
    typer.Option("--data-dir", help="Folder of the workspaces; default: project.data_dir."),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        callback=_show_settings,
        is_eager=True,
        help="Change a setting for this run by section.key=value, e.g. "
        "filtering.blur_threshold=0.4; repeatable. --set help lists the sections, "
        "--set filtering.help the keys of one.",
    ),
]
FilmName = Annotated[
    str | None,
    typer.Argument(help="Film id or its first characters; default: the newest film."),
]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks and more log lines.")]

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]
app.add_typer(export_app, name="export")


def arrange_panels() -> None:
    """Put the commands that were added into the panels of `PANELS`, in their order.

    Each gets `--debug`, which the message of an unexpected error refers to.
    """
    place = {name: (panel, i) for panel, names in PANELS.items() for i, name in enumerate(names)}

    def name_of(info) -> str:
        return info.name or info.callback.__name__

    for info in (*app.registered_commands, *app.registered_groups):
        info.rich_help_panel = place[name_of(info)][0]
    order = list(place)
    app.registered_commands.sort(key=lambda info: order.index(name_of(info)))
    groups = [info.typer_instance for info in app.registered_groups if info.typer_instance]
    for info in (command for one in (app, *groups) for command in one.registered_commands):
        if info.callback is not None:
            info.callback = _with_debug(info.callback)


def _with_debug(command: Callable[..., None]) -> Callable[..., None]:
    """The command with `--debug`, which `bunny.cli.main` reads, if it has none itself."""
    signature = inspect.signature(command, eval_str=True)
    if "debug" in signature.parameters:
        return command
    added = inspect.Parameter(
        "debug", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Debug
    )

    @functools.wraps(command)
    def with_debug(*, debug: bool, **given: Any) -> None:
        command(**given)

    own = list(signature.parameters.values())
    shown = signature.replace(parameters=[*own, added])
    with_debug.__signature__ = shown  # pyright: ignore[reportAttributeAccessIssue] inspect reads it
    return with_debug
