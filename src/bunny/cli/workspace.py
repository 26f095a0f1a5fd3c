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
    other: Annotated[str, typer.Argument(metavar="RUN", help="The other run, in the same form.")],
    html: Annotated[
        Path | None, typer.Option(help="Write an HTML page with pictures of the differences.")
    ] = None,
    pictures: Annotated[
        int, typer.Option(min=0, help="Maximum number of pictures per kind of item on the page.")
    ] = 60,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Compare the settings, counts, times, scores and labels of two runs."""
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
            help="Kinds of files, separated by commas: leftover, view, report, log, training, "
            "object, shard; default: all but shard.",
        ),
    ] = "",
    expired: Annotated[
        bool,
        typer.Option(
            "--expired",
            help="List files that are older than the settings in section retention allow instead.",
        ),
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Delete the files; without --yes they are only listed.")
    ] = False,
    data_dir: DataDir = None,
) -> Result:
    """List files that can be regenerated; --yes deletes them."""
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
    """List everything stored about a person; --yes deletes it."""
    from bunny.command import forget as module

    return module.run(options)


@app.command()
def pack(
    film: FilmName = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Archive to write; default: <film id>.bunny.zip."),
    ] = None,
    pictures: Annotated[
        bool, typer.Option(help="Include pictures; without them, a later run needs the film.")
    ] = True,
    data_dir: DataDir = None,
) -> Result:
    """Pack a film's tables, records, pictures, adapters and rights into one archive."""
    from bunny.command import pack as module

    return module.pack(film, output, has_pictures=pictures, data_dir=data_dir)


@app.command()
def unpack(
    archive: Annotated[Path, typer.Argument(help="Archive made by `bunny pack`.")],
    film: Annotated[
        str | None,
        typer.Option(help="The film, if you have it; it must be the film that was packed."),
    ] = None,
    data_dir: DataDir = None,
) -> Result:
    """Unpack an archive made by `bunny pack` into this data folder."""
    from bunny.command import pack as module

    return module.unpack(archive, film_file.locate(film) if film else None, data_dir)
