"""Commands on characters and training sets: references, characters, gaps, check."""

from pathlib import Path
from typing import Annotated

import typer

from bunny.cli.app import DataDir, FilmName, Settings, app
from bunny.core.error import UserError


@app.command()
def references(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder with <name>.jpg or <name>/*.jpg.")
    ],
    film: Annotated[
        str | None, typer.Option(help="Judge them for this film: film_id or how it begins.")
    ] = None,
    data_dir: DataDir = None,
    settings: Settings = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Judge reference pictures before they are used, and say what would help."""
    from bunny.command import references as command_references

    done = command_references.check(folder, film, data_dir, settings or [])
    typer.echo(done.to_json() if as_json else done.to_text())


@app.command()
def characters(
    film: FilmName = None,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="PERSON=NAME", help="Name an unknown person or figure, e.g. person-02=anna."
        ),
    ] = None,
    add: Annotated[
        bool, typer.Option("--add", help="NAME is a character there is: more views of it.")
    ] = False,
    data_dir: DataDir = None,
    settings: Settings = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List who was found in a film, with a picture each; or name an unknown person or figure."""
    from bunny.command import characters as command_characters

    if name is None:
        done = command_characters.list_characters(film, data_dir, settings or [])
    else:
        done = command_characters.name_character(film, name, data_dir, settings or [], is_added=add)
    typer.echo(done.to_json() if as_json else done.to_text())


@app.command()
def gaps(
    film: FilmName = None,
    character: Annotated[str | None, typer.Option(help="Whose set, where there are more.")] = None,
    add: Annotated[
        str | None, typer.Option(metavar="GAP|SHOTS", help="e.g. light:dark, or 3,12.")
    ] = None,
    sure: Annotated[
        bool, typer.Option("--sure", help="It is the character, whatever the label's certainty.")
    ] = False,
    duplicates: Annotated[
        bool, typer.Option("--duplicates", help="Views that look like chosen ones too.")
    ] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take back what was added last.")] = False,
    which: Annotated[str | None, typer.Option("--id", help="With --undo: which, e.g. a1.")] = None,
    reason: Annotated[str, typer.Option(help="Kept in the record.")] = "",
    data_dir: DataDir = None,
    settings: Settings = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say what a training set lacks and which shots of the film would fill it; or add those."""
    from bunny.command import gaps as command_gaps

    if add is not None and undo:
        raise UserError("--add and --undo: expected one of them, got both")
    if undo:
        done = command_gaps.undo(film, which, data_dir, settings or [], reason=reason)
    elif add is not None:
        wanted = {"is_sure": sure, "has_duplicates": duplicates, "reason": reason}
        done = command_gaps.add(film, add, data_dir, settings or [], character=character, **wanted)
    else:
        done = command_gaps.list_gaps(film, data_dir, settings or [], character=character)
    typer.echo(done.to_json() if as_json else done.to_text())


@app.command()
def check(
    what: Annotated[
        str | None, typer.Argument(help="A folder of training pictures, or a film; the newest.")
    ] = None,
    trainer: Annotated[str, typer.Option(help="auto, ours, kohya or imagefolder.")] = "auto",
    resolution: Annotated[int, typer.Option(min=0, help="Side in px; 0: the folder's.")] = 0,
    batch_size: Annotated[int, typer.Option(min=0, help="0: the folder's or the settings'.")] = 0,
    trigger: Annotated[str, typer.Option(help="Word that captions must have.")] = "",
    data_dir: DataDir = None,
    settings: Settings = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Say what a trainer will see of a set: pictures, steps, and what it drops or changes."""
    from bunny.command import check as command_check

    checked = command_check.check(
        what,
        trainer=trainer,
        data_dir=data_dir,
        overrides=settings or [],
        resolution_px=resolution,
        batch_size=batch_size,
        trigger=trigger,
    )
    typer.echo(checked.to_json() if as_json else checked.to_text())
    raise typer.Exit(checked.exit_code)
