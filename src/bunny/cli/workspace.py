"""Commands on what films have on disk: compare, clean, pack, unpack."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from bunny.cli.app import app
from bunny.cli.signature import AsJson, Result
from bunny.command.option.common import DataDir, FilmName
from bunny.command.option.workspace import ForgetOptions
from bunny.core import film_file
from bunny.core.error import UserError


@app.command()
def compare(
    one: Annotated[
        str,
        typer.Argument(metavar="RUN", help="Film id, path of a film's folder, or DATA_DIR:FILM."),
    ],
    other: Annotated[str, typer.Argument(metavar="RUN", help="Likewise.")],
    html: Annotated[
        Path | None, typer.Option(help="Write a page with pictures of what differs.")
    ] = None,
    pictures: Annotated[
        int, typer.Option(min=0, help="Most pictures of each kind of item on the page.")
    ] = 60,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Say what differs between two runs: settings, counts, times, scores and labels."""
    from bunny.command import compare as module

    found = module.run(one, other, data_dir=data_dir, html=html, num_pictures=pictures)
    typer.echo(found.to_json() if as_json else module.to_text(found, html=html))


@app.command()
def clean(
    film: Annotated[
        str | None, typer.Argument(help="Film id or its first characters; default: all films.")
    ] = None,
    only: Annotated[
        str,
        typer.Option(
            metavar="KINDS",
            help="Of leftover, view, report, log, training, object and shard, between commas; "
            "default: all but shard.",
        ),
    ] = "",
    expired: Annotated[
        bool,
        typer.Option("--expired", help="Instead: what is older than section retention allows."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Remove it; without this it is said.")] = False,
    data_dir: DataDir = None,
) -> Result:
    """Say what films have on disk that can be made again, and remove it with --yes."""
    from bunny.command import clean as module

    if expired:
        if only:
            raise UserError("--only: expected without --expired, got both; leave one out")
        return module.run_expired(film, is_removed=yes, data_dir=data_dir)
    kinds = [kind.strip() for kind in only.split(",") if kind.strip()] or module.DEFAULT
    return module.run(film, kinds, is_removed=yes, data_dir=data_dir)


class BoxCommand(TyperCommand):
    """Command whose `--box` takes five words each time; a list of Typer's takes one."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the command line with the words of each box joined."""
        rest, joined = list(args), []
        while rest:
            joined.append(rest.pop(0))
            if joined[-1] == "--box":
                options = (k for k, word in enumerate(rest[:5]) if word.startswith("--"))
                end = next(options, 5)
                joined.append(" ".join(rest[:end]))
                del rest[:end]
        return super().parse_args(ctx, joined)


@app.command(cls=BoxCommand)
def forget(options: ForgetOptions) -> Result:
    """Say all that films keep of a person, and remove it with --yes."""
    from bunny.command import forget as module

    return module.run(options)


@app.command()
def pack(
    film: FilmName = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The archive; default: <film id>.bunny.zip."),
    ] = None,
    pictures: Annotated[
        bool, typer.Option(help="Pack pictures too; without them a run needs the film.")
    ] = True,
    data_dir: DataDir = None,
) -> Result:
    """Write one archive of a film's tables, records, pictures and adapters, with its rights."""
    from bunny.command import pack as module

    return module.pack(film, output, has_pictures=pictures, data_dir=data_dir)


@app.command()
def unpack(
    archive: Annotated[Path, typer.Argument(help="An archive of `bunny pack`.")],
    film: Annotated[
        str | None, typer.Option(help="The film, where it is at hand; must be the packed one.")
    ] = None,
    data_dir: DataDir = None,
) -> Result:
    """Open an archive of `bunny pack` in this data folder."""
    from bunny.command import pack as module

    return module.unpack(archive, film_file.locate(film) if film else None, data_dir)
