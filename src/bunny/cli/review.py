"""The command that serves the board: review."""

from typing import Annotated

import typer

from bunny.cli.app import DataDir, FilmName, Settings, app


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
