"""Commands that run and describe a film: run, demo, status, caption, report, doctor, lab."""

import time
from pathlib import Path
from typing import Annotated

import typer

from bunny.cli.app import app
from bunny.cli.signature import AsJson, Debug, Result
from bunny.command import lab as command_lab
from bunny.command.option.common import DataDir, FilmName, FilmOptions, ProjectOptions
from bunny.command.option.film import BatchOptions, RunOptions, Until
from bunny.core import exit_code, film_file
from bunny.core.error import UserError


@app.command()
def run(
    films: Annotated[
        list[str],
        typer.Argument(
            metavar="FILM...",
            help="Film file, s3://bucket/key, folder of pictures, or id of a known film; several "
            "films run one after another.",
        ),
    ],
    references: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder of reference pictures: <name>.jpg or <name>/*.jpg; "
            "repeat it to give each film its own."
        ),
    ] = None,
    *,
    options: RunOptions,
    assist: Annotated[
        bool,
        typer.Option(
            "--assist",
            help="Help another process that is running this film; give the same arguments. Needs "
            "pipeline.num_parts of 2 or more.",
        ),
    ] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Run the stages of one or more films, skipping those that are up to date."""
    from bunny import pipeline
    from bunny.command import run as command_run
    from bunny.core import log

    places = [film_file.locate(film) for film in films]
    if assist:
        from bunny.command import assist as command_assist

        helped = command_assist.assist_films(
            places,
            references or [],
            data_dir=options.data_dir,
            overrides=options.overrides,
            is_debug=debug,
        )
        typer.echo(helped.to_json() if as_json else helped.to_text())
        return
    if len(places) == 1:
        folder = command_run.pair_references(places, references or [])[0][1]
        done = [command_run.run_film(places[0], folder, options, is_debug=debug)]
    else:
        done = command_run.run_films(places, references or [], options, is_debug=debug)
    codes = []
    for report in done:
        if isinstance(report, command_run.FilmFailure):
            codes.append(report.exit_code)
            typer.echo(f"bunny: {log.redact(' '.join(report.to_text().split()))}", err=True)
        if pipeline.is_distributed_worker():
            continue  # of several processes the first reports
        if as_json or isinstance(report, command_run.RunReport):
            typer.echo(report.to_json() if as_json else report.to_text())
    if codes:
        raise typer.Exit(exit_code.of_several(codes))


@app.command()
def batch(
    films: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILM...", help="Film files, s3://bucket/key addresses or folders of pictures."
        ),
    ] = None,
    lists: Annotated[
        list[Path] | None,
        typer.Option(
            "--list",
            help="CSV or parquet file with a column film and, optionally, references, settings "
            "(key=value;key=value) and until; repeatable.",
        ),
    ] = None,
    references: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder of reference pictures for all films; repeat it to give each film its own."
        ),
    ] = None,
    *,
    options: BatchOptions,
    until: Until = None,
    show_status: Annotated[
        bool,
        typer.Option(
            "--status",
            help="Show the progress of this batch (without FILM, of the last one) and run nothing.",
        ),
    ] = False,
    project: ProjectOptions,
) -> Result:
    """Run many films, each in its own process; a failure does not stop the others."""
    from bunny.command import batch as command_batch

    command_batch.check_options(options)
    places = [film_file.locate(film) for film in films or []]
    if show_status and not places and not lists:
        return command_batch.read_status((), project.data_dir)
    tasks = command_batch.make_tasks(
        places, references or [], lists or [], project.overrides, until
    )
    if show_status:
        return command_batch.read_status(tasks, project.data_dir)
    return command_batch.run_batch(tasks, options, project.data_dir)


@app.command()
def demo(project: ProjectOptions, debug: Debug = False) -> str:
    """Run every stage on the bundled sample film."""
    from bunny import demo as bunny_demo
    from bunny.command import run as command_run

    started = time.monotonic()
    report = command_run.run_film(
        bunny_demo.film_path(),
        bunny_demo.reference_dir(),
        RunOptions(data_dir=project.data_dir, settings=project.overrides),
        own=command_run.DEMO_SETTINGS,
        is_debug=debug,
    )
    minutes = (time.monotonic() - started) / 60
    return f"{report.to_text()}\nThe demo took {minutes:.1f} minutes."


@app.command()
def status(chosen: FilmOptions, as_json: AsJson = False) -> str:
    """Show which stages of a film are done, stale (and why) or not run yet."""
    from bunny.command import status as command_status

    show = command_status.to_json if as_json else command_status.describe_status
    return show(chosen.film, chosen.data_dir, chosen.overrides)


@app.command()
def caption(
    estimate: Annotated[
        bool,
        typer.Option(
            "--estimate", help="Print what captions would cost, without sending anything."
        ),
    ] = False,
    audit: Annotated[
        bool, typer.Option("--audit", help="List doubtful captions, and write them to tables.")
    ] = False,
    replace: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="OLD NEW", help="Replace words in captions; only a preview without --yes."
        ),
    ] = None,
    character: Annotated[
        str, typer.Option(help="With --replace: only pictures with this character.")
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", help="With --replace: apply the changes.")] = False,
    optimize: Annotated[
        bool | None,
        typer.Option(
            "--optimize/--no-optimize",
            help=(
                "Tune the prompt on captions that people wrote; --no-optimize restores the "
                "built-in prompt."
            ),
        ),
    ] = None,
    *,
    chosen: FilmOptions,
) -> str:
    """Write a film's captions, estimate their cost, audit them or replace words in them."""
    from bunny.command import caption as command_caption

    if [estimate, audit, replace is not None, optimize is not None].count(True) > 1:
        known = "--estimate, --audit, --replace and --optimize"
        raise UserError(f"expected only one of {known}, got several; choose one")
    if replace is None and (character or yes):
        raise UserError("--character and --yes belong to --replace; add --replace OLD NEW")
    if replace is not None:
        old, new = replace
        return command_caption.replace(chosen, old, new, character=character, is_sure=yes)
    if optimize is not None:
        return command_caption.optimize(chosen, is_on=optimize)
    if audit:
        return command_caption.audit(chosen)
    return command_caption.estimate(chosen) if estimate else command_caption.caption(chosen)


@app.command()
def report(chosen: FilmOptions) -> str:
    """Rewrite a film's HTML report and print its path."""
    from bunny.command import run as command_run

    return command_run.write_report(chosen)


@app.command()
def doctor(
    film: FilmName = None,
    check_workspace: Annotated[
        bool,
        typer.Option(
            "--workspace",
            help="Check the files of FILM, or of every film, instead of this machine.",
        ),
    ] = False,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair", help="With --workspace: delete damaged files that can be recreated."
        ),
    ] = False,
    show_all: Annotated[
        bool, typer.Option("--all", help="List every package, model and credential, with advice.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Check packages, models, GPU and credentials, or with --workspace the files of films."""
    if not check_workspace:
        if film or repair or data_dir:
            raise UserError("bunny doctor: FILM, --repair and --data-dir need --workspace; add it")
        from bunny.command import doctor as module

        if as_json:
            typer.echo(module.to_json())
        elif show_all:
            typer.echo(module.to_text())
        else:
            typer.echo(f"{module.summary()}\n`bunny doctor --all` lists each of them.")
        return
    if show_all:
        raise UserError("--all: expected without --workspace, got both; leave one out")
    from bunny.command import check_workspace as workspace_module

    report = workspace_module.run(film, data_dir, repair=repair)
    typer.echo(report.to_json() if as_json else report.to_text())
    if any(problem.remedy != "film" for problem in report.problems) and not repair:
        raise typer.Exit(exit_code.USER_FAULT)


@app.command()
def lab(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8888,
    browser: Annotated[bool, typer.Option(help="Open a browser.")] = True,
) -> None:
    """Open JupyterLab in the notebook folder."""
    from bunny.core import workspace

    folder = workspace.project_root() / "notebook"
    if not folder.is_dir():
        raise UserError(
            f"{folder}: the notebook folder is missing; run `bunny lab` inside the project"
        )
    arguments = command_lab.make_arguments(folder.parent, port, has_browser=browser)
    raise typer.Exit(command_lab.serve(arguments))
