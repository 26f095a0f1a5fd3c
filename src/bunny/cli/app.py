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
    help="From a film and a few pictures of its characters to a training set, a LoRA and pictures.",
)
export_app = typer.Typer(no_args_is_help=True, help="Write a film's tables for other tools.")

# How `bunny --help` is parted, and in which order.
PANELS = {
    "A film": ("demo", "run", "status", "report", "lab", "doctor"),
    "Who is in it, and the training set": ("references", "characters", "gaps", "check"),
    "Train, prove, draw": ("evaluate", "generate"),
    "The film as a library": ("review", "correct", "learn", "search", "where", "publish"),
    "For other tools": ("export",),
}

DataDir = Annotated[
    str | None, typer.Option("--data-dir", help="Folder of workspaces; default project.data_dir.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="e.g. filtering.blur_threshold=0.4"),
]
FilmName = Annotated[
    str | None, typer.Argument(help="film_id or how it begins; default the newest.")
]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks and more log lines.")]

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
app.add_typer(export_app, name="export")


def arrange_panels() -> None:
    """Put the commands that were added into the panels of `PANELS`, in their order.

    Each gets `--debug`, which the sentence on an unexpected error tells people to give.
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
