"""Publishing to a database: commands."""

from typing import Annotated

import typer

from bunny.cli.app import DataDir, FilmName, Settings, app


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
