"""Commands on the film as a library: review, learn, search, where, publish."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from bunny.cli.app import app
from bunny.cli.signature import AsJson, Result
from bunny.command.option.common import DataDir, FilmName, FilmOptions, ProjectOptions
from bunny.command.option.library import BoardOptions, FilterOptions, SearchQuestion
from bunny.core.error import UserError


@app.command()
def search(
    question: SearchQuestion,
    conditions: FilterOptions,
    film: Annotated[
        list[str] | None,
        typer.Option(help="Film id or its first characters; repeatable; default: all films."),
    ] = None,
    limit: Annotated[
        int, typer.Option(min=0, help="Maximum number of shots; 0: search.max_results.")
    ] = 0,
    html: Annotated[Path | None, typer.Option(help="Write the result as an HTML page.")] = None,
    *,
    project: ProjectOptions,
    as_json: AsJson = False,
) -> None:
    """Find shots by words, a picture, a face or another shot, in one film or all of them."""
    from bunny.command import search as command_search
    from bunny.core import input_path

    if html is not None:
        input_path.check_output_file(html)
    wanted = command_search.make_filter(**asdict(conditions))
    found = command_search.search(
        question.words,
        picture=question.picture,
        face=question.face,
        like=question.like,
        wanted=wanted,
        limit=limit,
        library=command_search.open_library(film or [], project.data_dir, project.overrides),
    )
    if html is not None:
        command_search.write_html(found, html)
    typer.echo(found.to_json() if as_json else found.to_text())
    if html is not None and not as_json:
        typer.echo(html.as_posix())


@app.command()
def publish(
    film: FilmName = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count the changes without making them.")
    ] = False,
    pull: Annotated[
        bool, typer.Option("--pull", help="Only fetch comments and approvals made on dashboards.")
    ] = False,
    *,
    as_json: AsJson = False,
    project: ProjectOptions,
) -> None:
    """Publish a film to the Postgres database at BUNNY_DATABASE_URL and fetch feedback from it."""
    from bunny.command import publish as command_publish

    done = command_publish.publish(
        film, project.data_dir, project.overrides, is_dry_run=dry_run, is_pull_only=pull
    )
    typer.echo(done.to_json() if as_json else done.to_text())


@app.command()
def review(options: BoardOptions, chosen: FilmOptions) -> None:
    """Open the review board, where people correct clusters and add films."""
    from bunny.command import review as command_review

    command_review.serve(chosen, options, say=typer.echo)


@app.command()
def approve(
    film: FilmName = None,
    character: Annotated[
        list[str] | None,
        typer.Option(help="Character whose set is meant; repeatable; default: all sets."),
    ] = None,
    by: Annotated[
        str, typer.Option(help="Name of the approver; default: review.user, or your login name.")
    ] = "",
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Withdraw the approval.")] = False,
    show: Annotated[
        bool,
        typer.Option("--show", help="Only list which sets are approved in their current state."),
    ] = False,
    *,
    project: ProjectOptions,
) -> Result:
    """Approve training sets in their current state; review.needs_approval makes this mandatory."""
    from bunny.command import approve as command_approve

    return command_approve.approve(
        film,
        character or [],
        by=by,
        is_withdrawn=withdraw,
        is_listed=show,
        data_dir=project.data_dir,
        overrides=project.overrides,
    )


@app.command("where")
def where(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="PICTURE",
            help="Picture file, image_id, frame_id, FILM@01:00:12:05 or FILM@12.5 (seconds).",
        ),
    ] = None,
    second: Annotated[float | None, typer.Option(help="Time in the film in seconds.")] = None,
    clip: Annotated[
        str | None, typer.Option(metavar="FILE#NUMBER", help="Clip of a timeline file.")
    ] = None,
    film: Annotated[
        str | None, typer.Option(help="Search only this film; default: all films, newest first.")
    ] = None,
    data_dir: DataDir = None,
) -> Result:
    """Find where a picture comes from, or the training pictures taken from a place in a film."""
    from bunny.command import where as command_where

    return command_where.where(what, second=second, clip=clip, film=film, data_dir=data_dir)


@app.command()
def learn(
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Go back to the previous version, or to --to.")
    ] = False,
    to: Annotated[
        int | None, typer.Option(min=0, metavar="VERSION", help="Version to use; 0: none.")
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="List the versions.")] = False,
    *,
    chosen: FilmOptions,
) -> Result:
    """Learn from corrections how to cluster other items; used only where measurably better."""
    from bunny.command import learn as command_learn

    film, data_dir, overrides = chosen.film, chosen.data_dir, chosen.overrides
    if listed and (rollback or to is not None):
        raise UserError("--list cannot be combined with --rollback or --to; leave one out")
    if listed:
        return command_learn.list_versions(film, data_dir, overrides)
    if rollback or to is not None:
        return command_learn.roll_back(film, to, data_dir, overrides)
    return command_learn.learn(film, data_dir, overrides)
