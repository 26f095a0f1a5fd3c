"""Typer application and help panels."""

import typer

from bunny.cli import signature

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
    "Film": ("demo", "run", "batch", "status", "caption", "report", "lab", "doctor", "models"),
    "Characters and training set": ("references", "characters", "gaps", "check"),
    "Evaluation and generation": ("evaluate", "generate"),
    "Library": ("review", "approve", "correct", "learn", "library", "search", "where", "publish"),
    "Workspace": ("compare", "clean", "forget", "pack", "unpack"),
    "Export": ("export",),
}

app.add_typer(export_app, name="export")


def arrange_panels() -> None:
    """Put the commands that were added into the panels of `PANELS`, in their order.

    Their functions become what typer can call, see `signature.to_callback`.
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
            info.callback = signature.to_callback(info.callback)
