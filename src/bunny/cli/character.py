"""Commands on characters and training sets: references, characters, gaps, check."""

from pathlib import Path
from typing import Annotated

import typer

from bunny.cli.app import app
from bunny.cli.signature import Result
from bunny.command.option.character import CheckOptions, FormatOptions, GapOptions
from bunny.command.option.common import FilmOptions, ProjectOptions


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
    *,
    project: ProjectOptions,
) -> Result:
    """Check reference pictures before use and suggest improvements."""
    from bunny.command import references as command_references

    return command_references.check(folder, film, project.data_dir, project.overrides)


@app.command()
def characters(
    name: Annotated[
        str | None,
        typer.Option(
            metavar="PERSON=NAME", help="Name an unknown person or figure, e.g. person-02=anna."
        ),
    ] = None,
    add: Annotated[
        bool, typer.Option("--add", help="Add the views to the existing character NAME.")
    ] = False,
    *,
    chosen: FilmOptions,
) -> Result:
    """List the characters found in a film, with pictures, or name an unknown person or figure."""
    from bunny.command import characters as command_characters

    film, data_dir, overrides = chosen.film, chosen.data_dir, chosen.overrides
    if name is None:
        return command_characters.list_characters(film, data_dir, overrides)
    return command_characters.name_character(film, name, data_dir, overrides, is_added=add)


@app.command()
def gaps(options: GapOptions, chosen: FilmOptions) -> Result:
    """List what a training set lacks and which shots would fill the gaps, or add shots to it."""
    from bunny.command import gaps as command_gaps

    return command_gaps.run(chosen, options)


@app.command()
def check(
    what: Annotated[
        str | None,
        typer.Argument(help="Folder of training pictures, or a film; default: the newest film."),
    ] = None,
    *,
    options: CheckOptions,
    media: FormatOptions,
    project: ProjectOptions,
) -> Result:
    """Preview what a trainer reads from a set: pictures, steps, and what it drops or changes."""
    from bunny.command import check as command_check

    form = media.form
    if form is None and options.trainer == "auto":
        form = command_check.exported_form(what)
    if form is not None:
        return command_check.check_format(
            what, form, model=media.model, num_frames=media.num_frames
        )
    return command_check.check(what, options, project.data_dir, project.overrides)
