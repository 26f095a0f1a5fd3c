"""Options of `bunny forget`."""

from dataclasses import dataclass, field
from typing import Annotated

import typer

from bunny.command.option.common import DataDir


@dataclass(frozen=True, kw_only=True)
class ForgetOptions:
    """Who is forgotten, where, and whether what is found is removed."""

    person: Annotated[
        str | None, typer.Argument(help="A character; with --film also a group such as person-02.")
    ] = None
    film: Annotated[
        str | None,
        typer.Option(help="Film id or its first characters; default: all films and the library."),
    ] = None
    boxes: Annotated[
        list[str],
        typer.Option(
            "--box",
            metavar="FRAME_ID X0 Y0 X1 Y1",
            help="Where nobody found the person, in pixels of a frame's picture; for its shot; "
            "repeatable.",
        ),
    ] = field(default_factory=list)
    has_others: Annotated[
        bool,
        typer.Option(
            "--others",
            help="Also what shows others: their pictures, clips, pairs and adapters go, the film's "
            "pictures are painted over. Without PERSON or --box: all who were forgotten before.",
        ),
    ] = False
    is_removed: Annotated[
        bool, typer.Option("--yes", help="Remove it; without this it is said.")
    ] = False
    note: Annotated[
        str, typer.Option(help="For the record, e.g. the number of a request; no name.")
    ] = ""
    by: Annotated[str, typer.Option(help="Who does it; default: your login.")] = ""
    data_dir: DataDir = None
