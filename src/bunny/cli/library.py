"""Commands on the film as a library: review, learn, search, where, publish."""

from pathlib import Path
from typing import Annotated

import typer

from bunny.cli.app import AsJson, DataDir, FilmName, Settings, app
from bunny.core.error import UserError


@app.command()
def search(
    words: Annotated[str, typer.Argument(help='Words to search for, e.g. "bunny at night".')] = "",
    picture: Annotated[
        Path | None, typer.Option(help="Find shots that look like this picture.")
    ] = None,
    face: Annotated[
        Path | None, typer.Option(help="Find shots of the person in this picture.")
    ] = None,
    like: Annotated[
        str,
        typer.Option(
            metavar="ITEM", help="Find shots like this one: a shot number or an id, e.g. s00007."
        ),
    ] = "",
    who: Annotated[
        str, typer.Option(help="Characters that must all be in the shot, e.g. bunny,pip.")
    ] = "",
    without: Annotated[str, typer.Option(help="Characters that must not be in the shot.")] = "",
    place: Annotated[
        str, typer.Option(help="Any of these places, by name or id, e.g. beach,scene-003.")
    ] = "",
    shot_size: Annotated[
        str, typer.Option(help="Any of these shot sizes: close-up, medium, wide.")
    ] = "",
    light: Annotated[
        str, typer.Option(help="Any of these: day, dusk, night (where it is certain).")
    ] = "",
    start: Annotated[
        str, typer.Option("--from", metavar="TIME", help="From this time, e.g. 90 or 1:30.")
    ] = "",
    end: Annotated[str, typer.Option("--to", metavar="TIME", help="Up to this time.")] = "",
    min_quality: Annotated[float, typer.Option(min=0, max=1, help="Minimum sharpness.")] = 0.0,
    approved: Annotated[bool, typer.Option("--approved", help="Only approved shots.")] = False,
    film: Annotated[
        list[str] | None,
        typer.Option(help="Film id or its first characters; repeatable; default: all films."),
    ] = None,
    limit: Annotated[
        int, typer.Option(min=0, help="Maximum number of shots; 0: search.max_results.")
    ] = 0,
    html: Annotated[Path | None, typer.Option(help="Write the result as an HTML page.")] = None,
    data_dir: DataDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
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
        bool, typer.Option("--dry-run", help="Count what would change without changing it.")
    ] = False,
    pull: Annotated[
        bool,
        typer.Option("--pull", help="Only fetch comments and approvals made on dashboards."),
    ] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    settings: Settings = None,
) -> None:
    """Publish a film to the Postgres at BUNNY_DATABASE_URL and fetch the feedback given there."""
    from bunny.command import publish as command_publish

    done = command_publish.publish(
        film, data_dir, settings or [], is_dry_run=dry_run, is_pull_only=pull
    )
    typer.echo(done.to_json() if as_json else done.to_text())


@app.command()
def review(
    film: FilmName = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="0: any free port; default: review.port.")
    ] = None,
    ip: Annotated[
        str,
        typer.Option(
            help="Address to listen on; 0.0.0.0 admits other machines and needs --certfile and "
            "--keyfile, or --unencrypted."
        ),
    ] = "127.0.0.1",
    certfile: Annotated[
        Path | None, typer.Option(help="Certificate (PEM) to encrypt the connection with.")
    ] = None,
    keyfile: Annotated[Path | None, typer.Option(help="Key (PEM) of the certificate.")] = None,
    unencrypted: Annotated[
        bool,
        typer.Option(
            "--unencrypted",
            help="With --ip: accept that everyone on the network can read the token and pictures.",
        ),
    ] = False,
    ask_password: Annotated[
        bool,
        typer.Option(
            "--ask-password",
            help="Ask for a password that others log in with; BUNNY_BOARD_PASSWORD, in the "
            "environment or .env, sets one without asking.",
        ),
    ] = False,
    user: Annotated[
        str, typer.Option(help="Name of the reviewer; each browser may set its own.")
    ] = "",
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Do not open a browser.")
    ] = False,
    data_dir: DataDir = None,
    settings: Settings = None,
) -> None:
    """Open the review board, on which people correct clusters, and its page for adding films."""
    from bunny.command import review as command_review

    command_review.serve(
        film,
        data_dir,
        settings or [],
        ip=ip,
        port=port,
        certfile=certfile,
        keyfile=keyfile,
        is_unencrypted=unencrypted,
        is_password_asked=ask_password,
        user=user,
        has_browser=not no_browser,
        say=lambda line: typer.echo(line),
    )


@app.command()
def approve(
    film: FilmName = None,
    character: Annotated[
        list[str] | None, typer.Option(help="Whose set; repeatable; default: all sets.")
    ] = None,
    by: Annotated[str, typer.Option(help="Who approves; default: review.user, your login.")] = "",
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Take the approval back.")] = False,
    show: Annotated[
        bool, typer.Option("--show", help="Only say which sets are approved as they are.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Approve training sets as they are now; review.needs_approval asks for it."""
    from bunny.command import approve as command_approve

    report = command_approve.approve(
        film,
        character or [],
        by=by,
        is_withdrawn=withdraw,
        is_listed=show,
        data_dir=data_dir,
    )
    typer.echo(report.to_json() if as_json else report.to_text())


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
        str | None,
        typer.Option(help="Search this film only; default: all films, newest first."),
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Find where a picture comes from, or the training pictures taken from a place in a film."""
    from bunny.command import where as command_where

    answer = command_where.where(what, second=second, clip=clip, film=film, data_dir=data_dir)
    typer.echo(answer.to_json() if as_json else answer.to_text())


@app.command()
def learn(
    film: FilmName = None,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Go back to the previous version, or to --to.")
    ] = False,
    to: Annotated[
        int | None, typer.Option(min=0, metavar="VERSION", help="Version to use; 0: none.")
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="List the versions.")] = False,
    data_dir: DataDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Learn from corrections how to cluster the rest; used only where it is measurably better."""
    from bunny.command import learn as command_learn

    if listed and (rollback or to is not None):
        raise UserError("--list cannot be combined with --rollback or --to; leave one out")
    if listed:
        done = command_learn.list_versions(film, data_dir, settings or [])
    elif rollback or to is not None:
        done = command_learn.roll_back(film, to, data_dir, settings or [])
    else:
        done = command_learn.learn(film, data_dir, settings or [])
    typer.echo(done.to_json() if as_json else done.to_text())
