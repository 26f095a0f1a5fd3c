"""Timelines for editors: `bunny export timeline` and `bunny where`."""

from pathlib import Path
from typing import Annotated

import typer

from bunny.cli.app import DataDir, FilmName, Settings, app, export_app

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@export_app.command("timeline")
def export_timeline(
    film: FilmName = None,
    what: Annotated[
        str,
        typer.Option(
            help='shots, shots:3,7, search:"words", cluster:NAME, cluster:PLACE/WHO, '
            "character:NAME, dataset or dataset:NAME."
        ),
    ] = "shots",
    form: Annotated[
        str | None,
        typer.Option("--format", help="edl, fcp7, fcpx or otio; default by the file's ending."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--out", "--output", help="File; default export/timeline of the film."),
    ] = None,
    order: Annotated[str, typer.Option(help="film, or score: the best match first.")] = "film",
    handles: Annotated[
        int | None, typer.Option(min=0, help="Frames added on each side of a clip.")
    ] = None,
    markers: Annotated[
        bool, typer.Option("--markers/--no-markers", help="Who is in it, training pictures.")
    ] = True,
    drop_frame: Annotated[
        bool | None,
        typer.Option(
            "--drop-frame/--non-drop", help="For a film of 29.97 or 59.94 without timecode."
        ),
    ] = None,
    start: Annotated[
        str, typer.Option(help="Timecode at which the sequence begins.")
    ] = "01:00:00:00",
    data_dir: DataDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Write shots of a film as a timeline: EDL, Final Cut Pro 7 or X XML, OpenTimelineIO."""
    from bunny.command import export_timeline as command_export_timeline

    more = [] if handles is None else [f"timeline.handle_frames={handles}"]
    exported = command_export_timeline.export(
        film,
        what,
        output,
        form=form,
        order=order,
        has_markers=markers,
        is_drop=drop_frame,
        start=start,
        find=_finder(data_dir, settings or []),
        data_dir=data_dir,
        overrides=[*(settings or []), *more],
    )
    typer.echo(exported.to_json() if as_json else exported.to_text())


@app.command("where")
def where(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="PICTURE",
            help="A picture, an image_id or frame_id; or FILM@01:00:12:05, FILM@12.5 (second).",
        ),
    ] = None,
    second: Annotated[float | None, typer.Option(help="A second of the film.")] = None,
    clip: Annotated[
        str | None, typer.Option(metavar="FILE#NUMBER", help="A clip of a timeline.")
    ] = None,
    film: Annotated[
        str | None, typer.Option(help="Look in this film only; default all, newest first.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Say where a picture comes from, or which training pictures come from a place of a film."""
    from bunny.command import where as command_where

    answer = command_where.where(what, second=second, clip=clip, film=film, data_dir=data_dir)
    typer.echo(answer.to_json() if as_json else answer.to_text())


def _finder(data_dir: str | None, settings: list[str]):
    """The library's search as a timeline asks for it."""

    def find(words: str, film_id: str):
        from bunny.command import search

        return search.find(words, films=[film_id], data_dir=data_dir, overrides=settings).shots

    return find
