"""`bunny learn`: what corrections teach."""

from typing import Annotated

import typer

from bunny.cli.app import DataDir, FilmName, Settings, app
from bunny.core.error import UserError


@app.command()
def learn(
    film: FilmName = None,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Use the version before, or the one of --to.")
    ] = False,
    to: Annotated[
        int | None, typer.Option(min=0, metavar="VERSION", help="With --rollback; 0: none.")
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="Versions there are.")] = False,
    data_dir: DataDir = None,
    settings: Settings = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Learn from corrections how to group what nobody corrected; use it only where it is better."""
    from bunny.command import learn as command_learn

    if listed and (rollback or to is not None):
        raise UserError("--list: expected it alone, got --rollback or --to too; leave one out")
    if listed:
        done = command_learn.list_versions(film, data_dir, settings or [])
    elif rollback or to is not None:
        done = command_learn.roll_back(film, to, data_dir, settings or [])
    else:
        done = command_learn.learn(film, data_dir, settings or [])
    typer.echo(done.to_json() if as_json else done.to_text())
