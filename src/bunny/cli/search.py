"""Finding shots: commands."""

from pathlib import Path
from typing import Annotated

import typer

from bunny.cli.app import DataDir, Settings, app


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
    found = command_search.find(
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
