"""Commands on models of the hub: `bunny models`, `bunny models get`, `bunny models remove`."""

from typing import Annotated

import typer

from bunny.cli.app import app
from bunny.cli.signature import AsJson, Result

models_app = typer.Typer(
    help="List the hub's models that improve results; get and remove them.",
    invoke_without_command=True,
)
app.add_typer(models_app, name="models")

Names = Annotated[
    list[str], typer.Argument(metavar="NAME...", help="Models, or a group: anime (see the list).")
]


@models_app.callback()
def list_models(context: typer.Context, as_json: AsJson = False) -> None:
    """List the hub's models that improve results; get and remove them."""
    if context.invoked_subcommand is None:
        from bunny.command import models as module

        found = module.list_models()
        typer.echo(found.to_json() if as_json else found.to_text())


@models_app.command()
def get(names: Names) -> str:
    """Download models from the hub; prints their sizes and licences first."""
    from bunny.command import models as module

    chosen, lines = module.plan(names)
    typer.echo(lines)
    return module.get(chosen)


@models_app.command()
def remove(
    names: Names,
    yes: Annotated[
        bool, typer.Option("--yes", help="Delete them; without this they are only listed.")
    ] = False,
) -> Result:
    """List the models that would be deleted from this machine; --yes deletes them."""
    from bunny.command import models as module

    return module.remove(names, is_removed=yes)
