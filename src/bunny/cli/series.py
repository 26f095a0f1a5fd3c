"""Commands on the people of many films: `bunny library`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bunny.cli.app import app
from bunny.cli.signature import AsJson, Result
from bunny.command.option.common import ProjectOptions
from bunny.command.option.film import BatchOptions, RerunOptions
from bunny.core.error import UserError

if TYPE_CHECKING:
    from bunny.command.library import LibraryReport

library_app = typer.Typer(
    no_args_is_help=True,
    help="Name people once for all films, and build training sets from all of them.",
)
app.add_typer(library_app, name="library")

Films = Annotated[
    list[str] | None,
    typer.Argument(help="Film ids or their first characters; default: all new or changed films."),
]
Character = Annotated[
    str | None, typer.Option(help="Name or identity; default: the only named identity.")
]
Split = Annotated[str, typer.Option(help="Unit that is held out as a whole: shot or film.")]
SetFilms = Annotated[
    list[str] | None,
    typer.Option(help="Film id or its first characters; repeatable; default: all films."),
]


@library_app.command()
def add(
    films: Films = None, *, rerun: RerunOptions, project: ProjectOptions, as_json: AsJson = False
) -> Result:
    """Add films; their people are matched with those of all other films."""
    from bunny.command import library

    options = _check_rerun(rerun)
    say = None if as_json else typer.echo
    done = library.add(films or [], project.data_dir, project.overrides, say=say)
    return _run_films(done, project, options)


@library_app.command()
def name(
    choices: Annotated[
        list[str],
        typer.Argument(
            metavar="WHO=NAME",
            help="Name an identity or a film's unknown person: identity-0003=anna or "
            "FILM:person-02=anna; WHO= removes the name.",
        ),
    ],
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Show which names each film would get, without changing anything."
        ),
    ] = False,
    sheet: Annotated[
        Path | None,
        typer.Option(help="Write a PNG with a picture of each named group, by film."),
    ] = None,
    *,
    rerun: RerunOptions,
    project: ProjectOptions,
    as_json: AsJson = False,
) -> Result:
    """Name people once; the films that show them get their reference pictures."""
    from bunny.command import library

    if dry_run and rerun.is_run:
        raise UserError("--dry-run and --run cannot be combined; leave one out")
    options = _check_rerun(rerun)
    done = library.name(
        choices,
        project.data_dir,
        project.overrides,
        is_dry_run=dry_run,
        say=None if as_json else typer.echo,
    )
    if sheet is not None:
        from bunny.command import library_view

        library_view.write_sheet(done.offers, sheet, project.data_dir, project.overrides)
    return _run_films(done, project, options)


@library_app.command()
def show(project: ProjectOptions) -> Result:
    """List the people of all films and where they appear."""
    from bunny.command import library

    return library.show(project.data_dir, project.overrides)


@library_app.command("set")
def draw_set(
    output: Annotated[
        Path, typer.Argument(metavar="OUT", help="Output folder: new, empty or an earlier set.")
    ],
    character: Character = None,
    form: Annotated[str, typer.Option("--format", help="imagefolder or kohya.")] = "imagefolder",
    split: Split = "shot",
    film: SetFilms = None,
    *,
    project: ProjectOptions,
) -> Result:
    """Build a character's training set from all films, with a manifest and a coverage table."""
    from bunny.command import library_set

    return library_set.draw_set(
        output,
        character,
        form=form,
        split_by=split,
        films=film or [],
        data_dir=project.data_dir,
        overrides=project.overrides,
    )


@library_app.command()
def train(
    character: Character = None,
    split: Split = "shot",
    film: SetFilms = None,
    until: Annotated[
        str | None,
        typer.Option(help="Last stage: dataset (only the set), finetune, evaluate or generate."),
    ] = None,
    *,
    project: ProjectOptions,
) -> Result:
    """Train a LoRA on a character's set from all films, evaluate it and generate pictures."""
    from bunny.command import library_train

    return library_train.train(
        character,
        split_by=split,
        films=film or [],
        until=until,
        data_dir=project.data_dir,
        overrides=project.overrides,
    )


@library_app.command()
def remove(
    film: Annotated[str, typer.Argument(help="Film id or its first characters.")],
    project: ProjectOptions,
) -> Result:
    """Remove a film's people and reference pictures from the library."""
    from bunny.command import library

    return library.remove(film, project.data_dir, project.overrides)


@library_app.command("share-learned")
def share_learned(
    film: Annotated[str, typer.Argument(help="Film whose learned version is shared.")],
    others: Annotated[
        list[str], typer.Argument(metavar="OTHER...", help="Films to share it with.")
    ],
    rerun: RerunOptions,
    project: ProjectOptions,
) -> Result:
    """Use what `bunny learn` learned from one film's corrections in other films."""
    from bunny.command import library

    options = _check_rerun(rerun)
    done = library.share_learned(film, others, project.data_dir, project.overrides)
    return _run_films(done, project, options, films=others, least="review")


def _check_rerun(rerun: RerunOptions) -> BatchOptions | None:
    """How films are to run, checked before anything is done; None: they are not."""
    from bunny.command import batch

    options = BatchOptions(
        engine=rerun.engine, address=rerun.address, num_workers=rerun.num_workers
    )
    batch.check_options(options)
    if rerun.is_run:
        return options
    if options != BatchOptions():
        raise UserError("--engine, --address and --workers need --run; add it")
    return None


def _run_films(
    done: "LibraryReport",
    project: ProjectOptions,
    options: BatchOptions | None,
    films: Sequence[str] = (),
    least: str = "cluster",
) -> "LibraryReport":
    """Run the films where that is wanted; with what was done."""
    if options is None:
        return done
    from bunny.command import library_run

    return library_run.run_and_add(
        done, project.data_dir, project.overrides, films=films, least=least, options=options
    )
