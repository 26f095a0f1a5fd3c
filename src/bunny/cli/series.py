"""Commands on the people of many films: `bunny library`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bunny.cli.app import AsJson, DataDir, Settings, app
from bunny.core.error import UserError

if TYPE_CHECKING:
    from bunny.command.batch import BatchOptions
    from bunny.command.library import LibraryReport

library_app = typer.Typer(
    no_args_is_help=True, help="Name people once for all films, and draw sets from all of them."
)
app.add_typer(library_app, name="library")

Films = Annotated[
    list[str] | None,
    typer.Argument(help="Film ids or their first characters; default: all new or changed films."),
]
Character = Annotated[
    str | None, typer.Option(help="Name or identity; default: the only named one.")
]
Split = Annotated[str, typer.Option(help="What is held out as a whole: shot or film.")]
SetFilms = Annotated[
    list[str] | None,
    typer.Option(help="Film id or its first characters; repeatable; default: all films."),
]
Run = Annotated[
    bool,
    typer.Option(
        "--run",
        help="Run the films concerned, as far as each was run before but not into training, and "
        "add them again.",
    ),
]
Engine = Annotated[str, typer.Option(help="With --run: local (processes on this machine) or ray.")]
Address = Annotated[
    str | None,
    typer.Option(help="Ray cluster, e.g. auto; default: RAY_ADDRESS, else this machine."),
]
Workers = Annotated[
    int,
    typer.Option(
        min=0, help="With --run: films at once on this machine; 0: one for each two cores."
    ),
]


@library_app.command()
def add(
    films: Films = None,
    run: Run = False,
    engine: Engine = "local",
    address: Address = None,
    workers: Workers = 0,
    data_dir: DataDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Add films: whom they show is looked for among the people of all other films."""
    from bunny.command import library

    options = _options(engine, address, workers, is_run=run)
    done = library.add(films or [], data_dir, settings or [], say=None if as_json else typer.echo)
    _finish(done, data_dir, settings, options, as_json)


@library_app.command()
def name(
    choices: Annotated[
        list[str],
        typer.Argument(
            metavar="WHO=NAME",
            help="Name an identity or a film's unknown person: identity-0003=anna or "
            "FILM:person-02=anna; WHO= takes the name away.",
        ),
    ],
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Show what would be named in which film without changing anything."
        ),
    ] = False,
    sheet: Annotated[
        Path | None,
        typer.Option(help="Write a PNG with a picture of each group that is named, by film."),
    ] = None,
    run: Run = False,
    engine: Engine = "local",
    address: Address = None,
    workers: Workers = 0,
    data_dir: DataDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Name people once; films that show them get their references."""
    from bunny.command import library

    if dry_run and run:
        raise UserError("--dry-run and --run cannot be combined; leave one out")
    options = _options(engine, address, workers, is_run=run)
    done = library.name(
        choices,
        data_dir,
        settings or [],
        is_dry_run=dry_run,
        say=None if as_json else typer.echo,
    )
    if sheet is not None:
        from bunny.command import library_view

        library_view.write_sheet(done.offers, sheet, data_dir, settings or [])
    _finish(done, data_dir, settings, options, as_json)


@library_app.command()
def show(data_dir: DataDir = None, settings: Settings = None, as_json: AsJson = False) -> None:
    """List the people of all films and where they are seen."""
    from bunny.command import library

    done = library.show(data_dir, settings or [])
    typer.echo(done.to_json() if as_json else done.to_text())


@library_app.command("set")
def draw_set(
    output: Annotated[
        Path, typer.Argument(metavar="OUT", help="Folder of the set: new, empty or such a set.")
    ],
    character: Character = None,
    form: Annotated[str, typer.Option("--format", help="imagefolder or kohya.")] = "imagefolder",
    split: Split = "shot",
    film: SetFilms = None,
    data_dir: DataDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Draw a character's training set from all films, with a manifest and a coverage table."""
    from bunny.command import library_set

    done = library_set.draw_set(
        output,
        character,
        form=form,
        split_by=split,
        films=film or [],
        data_dir=data_dir,
        overrides=settings or [],
    )
    typer.echo(done.to_json() if as_json else done.to_text())


@library_app.command()
def train(
    character: Character = None,
    split: Split = "shot",
    film: SetFilms = None,
    until: Annotated[
        str | None,
        typer.Option(help="Last stage: dataset (the set alone), finetune, evaluate or generate."),
    ] = None,
    data_dir: DataDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Train a LoRA on a character's set from all films, evaluate it and draw with it."""
    from bunny.command import library_train

    done = library_train.train(
        character,
        split_by=split,
        films=film or [],
        until=until,
        data_dir=data_dir,
        overrides=settings or [],
    )
    typer.echo(done.to_json() if as_json else done.to_text())


@library_app.command()
def remove(
    film: Annotated[str, typer.Argument(help="Film id or its first characters.")],
    data_dir: DataDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Take a film's people and reference pictures out of the library."""
    from bunny.command import library

    done = library.remove(film, data_dir, settings or [])
    typer.echo(done.to_json() if as_json else done.to_text())


@library_app.command("share-learned")
def share_learned(
    film: Annotated[str, typer.Argument(help="Film whose learned version is shared.")],
    others: Annotated[list[str], typer.Argument(metavar="OTHER...", help="Films that get it.")],
    run: Run = False,
    engine: Engine = "local",
    address: Address = None,
    workers: Workers = 0,
    data_dir: DataDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Use what `bunny learn` learned of one film's corrections in other films."""
    from bunny.command import library

    options = _options(engine, address, workers, is_run=run)
    done = library.share_learned(film, others, data_dir, settings or [])
    _finish(done, data_dir, settings, options, as_json, films=others, least="review")


def _options(
    engine: str, address: str | None, workers: int, *, is_run: bool
) -> "BatchOptions | None":
    """How films are to run, checked before anything is done; None: they are not."""
    from bunny.command import batch

    options = batch.BatchOptions(engine=engine, address=address, num_workers=workers)
    batch.check_options(options)
    if is_run:
        return options
    if options != batch.BatchOptions():
        raise UserError("--engine, --address, --workers: expected --run with them; add it")
    return None


def _finish(
    done: "LibraryReport",
    data_dir: str | None,
    settings: list[str] | None,
    options: "BatchOptions | None",
    as_json: bool,
    **which: Any,
) -> None:
    """Run the films where that is wanted, and say what was done."""
    if options is not None:
        from bunny.command import library_run

        done = library_run.run_and_add(done, data_dir, settings or [], options=options, **which)
    typer.echo(done.to_json() if as_json else done.to_text())
    if done.exit_code:
        raise typer.Exit(done.exit_code)
