"""Options of the commands on the film as a library: search, review."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer


@dataclass(frozen=True, kw_only=True)
class SearchQuestion:
    """Options of a search."""

    words: Annotated[str, typer.Argument(help='Words to search for, e.g. "bunny at night".')] = ""
    picture: Annotated[
        Path | None, typer.Option(help="Find shots that look like this picture.")
    ] = None
    face: Annotated[Path | None, typer.Option(help="Find shots of the person in this picture.")] = (
        None
    )
    like: Annotated[
        str,
        typer.Option(
            metavar="ITEM", help="Find shots like this one: a shot number or an id, e.g. s00007."
        ),
    ] = ""


@dataclass(frozen=True, kw_only=True)
class FilterOptions:
    """Conditions that shots must meet, as people type them; see `SearchFilter`."""

    who: Annotated[
        str, typer.Option(help="Characters that must all be in the shot, e.g. bunny,pip.")
    ] = ""
    without: Annotated[str, typer.Option(help="Characters that must not be in the shot.")] = ""
    place: Annotated[
        str, typer.Option(help="Any of these places, by name or id, e.g. beach,scene-003.")
    ] = ""
    shot_size: Annotated[
        str, typer.Option(help="Any of these shot sizes: close-up, medium, wide.")
    ] = ""
    light: Annotated[
        str,
        typer.Option(
            help="Any of these times of day: day, dusk, night (only where it is certain)."
        ),
    ] = ""
    start: Annotated[
        str, typer.Option("--from", metavar="TIME", help="From this time, e.g. 90 or 1:30.")
    ] = ""
    end: Annotated[str, typer.Option("--to", metavar="TIME", help="Up to this time.")] = ""
    min_sharpness: Annotated[
        float, typer.Option("--min-quality", min=0, max=1, help="Minimum sharpness.")
    ] = 0.0
    is_approved: Annotated[bool, typer.Option("--approved", help="Only approved shots.")] = False


@dataclass(frozen=True, kw_only=True)
class BoardOptions:
    """Options of the review board."""

    port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="Port to listen on; 0: any free port; default: review.port."
        ),
    ] = None
    ip: Annotated[
        str,
        typer.Option(
            help="Address to listen on; 0.0.0.0 lets other machines connect and requires "
            "--certfile and --keyfile, or --unencrypted."
        ),
    ] = "127.0.0.1"
    certfile: Annotated[
        Path | None, typer.Option(help="Certificate (PEM) to encrypt the connection with.")
    ] = None
    keyfile: Annotated[Path | None, typer.Option(help="Key (PEM) of the certificate.")] = None
    is_unencrypted: Annotated[
        bool,
        typer.Option(
            "--unencrypted",
            help=(
                "With --ip: accept that everyone on the network can read the token and the "
                "pictures."
            ),
        ),
    ] = False
    is_password_asked: Annotated[
        bool,
        typer.Option(
            "--ask-password",
            help="Prompt for a password with which others can log in; BUNNY_BOARD_PASSWORD "
            "(environment or .env) sets one without a prompt.",
        ),
    ] = False
    user: Annotated[
        str, typer.Option(help="Name of the reviewer; each browser may set its own.")
    ] = ""
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open a browser.")] = False
