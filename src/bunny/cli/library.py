"""Commands on the film as a library: review, learn, search, where, publish."""

from pathlib import Path
from typing import Annotated

import typer

from bunny.cli.app import AsJson, DataDir, FilmName, Settings, app
from bunny.core.error import UserError


@app.command()
def search(
    words: Annotated[str, typer.Argument(help='e.g. "bunny on a beach at night".')] = "",
    picture: Annotated[Path | None, typer.Option(help="Shots that look like it.")] = None,
    face: Annotated[Path | None, typer.Option(help="Shots with this person.")] = None,
    like: Annotated[
        str,
        typer.Option(metavar="ITEM", help="More like this: a shot's number or an id, e.g. s00007."),
    ] = "",
    who: Annotated[str, typer.Option(help="Everybody who must be in the shot: bunny,pip.")] = "",
    without: Annotated[str, typer.Option(help="Nobody of these.")] = "",
    place: Annotated[str, typer.Option(help="A place's name or scene-003; several: any.")] = "",
    shot_size: Annotated[str, typer.Option(help="close-up, medium, wide; several: any.")] = "",
    light: Annotated[
        str, typer.Option(help="day, dusk, night, where it is sure; several: any.")
    ] = "",
    start: Annotated[str, typer.Option("--from", metavar="TIME", help="90 or 1:30.")] = "",
    end: Annotated[str, typer.Option("--to", metavar="TIME", help="Up to this time.")] = "",
    min_quality: Annotated[float, typer.Option(min=0, max=1, help="Sharpness, 0 to 1.")] = 0.0,
    approved: Annotated[bool, typer.Option("--approved", help="Only approved shots.")] = False,
    film: Annotated[
        list[str] | None, typer.Option(help="film_id or how it begins; repeat it; default all.")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="Shots at most; 0: as configured.")] = 0,
    html: Annotated[Path | None, typer.Option(help="Write a page with pictures.")] = None,
    data_dir: DataDir = None,
    settings: Settings = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Find shots by words, a picture, a face or another shot, in one film or all of them."""
    from bunny.command import search as command_search

    wanted = command_search.make_filter(
        who=who,
        without=without,
        place=place,
        shot_size=shot_size,
        light=light,
        start=start,
        end=end,
        min_sharpness=min_quality,
        is_approved=approved,
    )
    found = command_search.search(
        words,
        picture=picture,
        face=face,
        like=like,
        wanted=wanted,
        films=film or [],
        limit=limit,
        data_dir=data_dir,
        overrides=settings or [],
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
        bool, typer.Option("--dry-run", help="Count what would change; change nothing.")
    ] = False,
    pull: Annotated[
        bool, typer.Option("--pull", help="Only take comments and approvals of dashboards.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    data_dir: DataDir = None,
    settings: Settings = None,
) -> None:
    """Publish a film to the Postgres of BUNNY_DATABASE_URL; take what people said there."""
    from bunny.command import publish as command_publish

    done = command_publish.publish(
        film, data_dir, settings or [], is_dry_run=dry_run, is_pull_only=pull
    )
    typer.echo(done.to_json() if as_json else done.to_text())


@app.command()
def review(
    film: FilmName = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="0: any free one; default review.port.")
    ] = None,
    ip: Annotated[
        str, typer.Option(help="Where it listens; 0.0.0.0 lets other machines in.")
    ] = "127.0.0.1",
    user: Annotated[str, typer.Option(help="Who corrects; each browser may say its own.")] = "",
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Open no window.")] = False,
    data_dir: DataDir = None,
    settings: Settings = None,
) -> None:
    """Open the board, on which clusters are corrected; for one person or for a team."""
    from bunny.command import review as command_review

    command_review.serve(
        film,
        data_dir,
        settings or [],
        ip=ip,
        port=port,
        user=user,
        has_browser=not no_browser,
        say=lambda line: typer.echo(line),
    )


@app.command("where")
def where(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="PICTURE",
            help="A picture, an image_id or frame_id; or FILM@01:00:12:05, FILM@12.5 (second).",
        ),
    ] = None,
    second: Annotated[float | None, typer.Option(help="A second of the film.")] = None,
    clip: Annotated[
        str | None, typer.Option(metavar="FILE#NUMBER", help="A clip of a timeline.")
    ] = None,
    film: Annotated[
        str | None, typer.Option(help="Look in this film only; default all, newest first.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Say where a picture comes from, or which training pictures come from a place of a film."""
    from bunny.command import where as command_where

    answer = command_where.where(what, second=second, clip=clip, film=film, data_dir=data_dir)
    typer.echo(answer.to_json() if as_json else answer.to_text())


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
