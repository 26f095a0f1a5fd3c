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
            help="Box (in pixels of a frame) where the person was missed; applies to the whole "
            "shot; repeatable.",
        ),
    ] = field(default_factory=list)
    has_others: Annotated[
        bool,
        typer.Option(
            "--others",
            help="Also remove training pictures, clips, pairs and adapters of others that show "
            "this person, and paint over the film's pictures. Without PERSON or --box: for "
            "everyone forgotten earlier.",
        ),
    ] = False
    is_removed: Annotated[
        bool, typer.Option("--yes", help="Delete it; without --yes it is only listed.")
    ] = False
    note: Annotated[
        str,
        typer.Option(help="Reference for the record, e.g. a request number; do not give a name."),
    ] = ""
    by: Annotated[str, typer.Option(help="Who makes the deletion; default: your login name.")] = ""
    data_dir: DataDir = None
