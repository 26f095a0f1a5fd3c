"""Commands on characters and training sets: references, characters, gaps, check."""

from pathlib import Path
from typing import Annotated

import typer

from bunny.cli.app import AsJson, DataDir, FilmName, Settings, app
from bunny.core.error import UserError


@app.command()
def references(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="Folder of reference pictures: <name>.jpg or <name>/*.jpg."
        ),
    ],
    film: Annotated[
        str | None,
        typer.Option(help="Check them against this film: film id or its first characters."),
    ] = None,
    data_dir: DataDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Check reference pictures before use and suggest improvements."""
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
        bool, typer.Option("--add", help="Add the views to the existing character NAME.")
    ] = False,
    data_dir: DataDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """List the characters found in a film, with pictures, or name an unknown person or figure."""
    from bunny.command import characters as command_characters

    if name is None:
        done = command_characters.list_characters(film, data_dir, settings or [])
    else:
        done = command_characters.name_character(film, name, data_dir, settings or [], is_added=add)
    typer.echo(done.to_json() if as_json else done.to_text())


@app.command()
def gaps(
    film: FilmName = None,
    character: Annotated[
        str | None, typer.Option(help="Character, if there is more than one training set.")
    ] = None,
    add: Annotated[
        str | None,
        typer.Option(metavar="GAP|SHOTS", help="Fill a gap or add shots: light:dark, or 3,12."),
    ] = None,
    sure: Annotated[
        bool, typer.Option("--sure", help="With --add: include views with an uncertain label.")
    ] = False,
    duplicates: Annotated[
        bool,
        typer.Option("--duplicates", help="With --add: include near-duplicates of chosen views."),
    ] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Undo the last addition.")] = False,
    which: Annotated[
        str | None, typer.Option("--id", help="With --undo: id of the addition, e.g. a1.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Reason to store with the change.")] = "",
    data_dir: DataDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """List what a training set lacks and which shots would fill the gaps, or add shots to it."""
    from bunny.command import gaps as command_gaps

    if add is not None and undo:
        raise UserError("--add and --undo cannot be combined; give one of them")
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
        str | None,
        typer.Argument(help="Folder of training pictures, or a film; default: the newest film."),
    ] = None,
    trainer: Annotated[
        str, typer.Option(help="Trainer to check for: auto, ours, kohya or imagefolder.")
    ] = "auto",
    resolution: Annotated[
        int, typer.Option(min=0, help="Training resolution in px; 0: as in the folder.")
    ] = 0,
    batch_size: Annotated[
        int, typer.Option(min=0, help="Batch size; 0: as in the folder or the settings.")
    ] = 0,
    trigger: Annotated[
        str, typer.Option(help="Trigger word that every caption must contain.")
    ] = "",
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="Check a folder of clips or pairs for musubi, diffusion-pipe, ai-toolkit, "
            "simpletuner, diffsynth, ltx or finetrainers.",
        ),
    ] = None,
    model: Annotated[
        str, typer.Option(help="Video model of --format: wan, wan-5b, hunyuan or ltx.")
    ] = "wan",
    frames: Annotated[
        int, typer.Option(min=0, help="Frames that --format asks for; 0: as in the folder.")
    ] = 0,
    data_dir: DataDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Preview what a trainer reads from a set: pictures, steps, and what it drops or changes."""
    from bunny.command import check as command_check

    if form is not None:
        previewed = command_check.check_format(what, form, model=model, num_frames=frames)
        typer.echo(previewed.to_json() if as_json else previewed.to_text())
        raise typer.Exit(previewed.exit_code)
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
