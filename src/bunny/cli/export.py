"""Commands that write for other tools: export json, set, adapter, feedback, timeline."""

from pathlib import Path
from typing import Annotated

import typer

from bunny.cli.app import AsJson, DataDir, FilmName, Settings, export_app


@export_app.command("json")
def export_json(
    film: FilmName = None,
    output: Annotated[
        Path | None, typer.Option(help="File to write; default metadata.json of the film.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Write metadata.json: each frame with time, sharpness, characters and caption."""
    from bunny.command import export_json as command_export_json

    typer.echo(command_export_json.export(film, data_dir, output))


@export_app.command("set")
def export_set(
    film: FilmName = None,
    form: Annotated[
        str, typer.Option("--format", help="imagefolder, kohya or webdataset.")
    ] = "imagefolder",
    output: Annotated[
        Path | None, typer.Option(help="Folder to write; default export/<format> of the film.")
    ] = None,
    character: Annotated[str | None, typer.Option(help="Whose set, where there are more.")] = None,
    repeats: Annotated[str, typer.Option(help="auto, or a number for each picture.")] = "auto",
    captions: Annotated[
        str | None, typer.Option(help="txt or jsonl, where the format needs none.")
    ] = None,
    data_dir: DataDir = None,
    settings: Settings = None,
) -> None:
    """Write a character's training set for another trainer, with its rights."""
    _export_set(form, film, output, character, repeats, captions, data_dir, settings)


@export_app.command("adapter")
def export_adapter(
    film: FilmName = None,
    form: Annotated[str, typer.Option("--format", help="diffusers, kohya or comfy.")] = "diffusers",
    step: Annotated[str, typer.Option(help="chosen, last, or a step that was kept.")] = "chosen",
    output: Annotated[
        Path | None, typer.Option(help="File to write; default export/adapter of the film.")
    ] = None,
    character: Annotated[str | None, typer.Option(help="Whose, where there are more.")] = None,
    data_dir: DataDir = None,
    settings: Settings = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write a fine-tuned adapter for diffusers, for kohya's tools and A1111, or for ComfyUI."""
    from datetime import UTC, datetime

    from bunny.command import export_adapter as command_export_adapter

    exported = command_export_adapter.export(
        film,
        form,
        output,
        step=step,
        character=character,
        data_dir=data_dir,
        overrides=settings or [],
        date=datetime.now(UTC).date().isoformat(),
    )
    typer.echo(exported.to_json() if as_json else exported.to_text())


@export_app.command("feedback")
def export_feedback(
    film: FilmName = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--out", "--output", help="File; default feedback.jsonl in export of the film."
        ),
    ] = None,
    events: Annotated[
        bool, typer.Option("--events", help="The record itself, every event, instead of pairs.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Write what people corrected as JSON lines: anchor, positive, label."""
    from bunny.command import export_feedback as command_export_feedback

    typer.echo(command_export_feedback.export(film, output, data_dir, has_events=events))


def _add_export(form: str, text: str) -> None:
    """`bunny export <form>`: the same as `bunny export set --format <form>`."""

    @export_app.command(form, help=text)
    def export_form(
        film: FilmName = None,
        output: Annotated[Path | None, typer.Option(help="Folder to write.")] = None,
        character: Annotated[str | None, typer.Option(help="Whose set.")] = None,
        repeats: Annotated[str, typer.Option(help="auto, or a number.")] = "auto",
        captions: Annotated[str | None, typer.Option(help="txt or jsonl, beside.")] = None,
        data_dir: DataDir = None,
        settings: Settings = None,
    ) -> None:
        _export_set(form, film, output, character, repeats, captions, data_dir, settings)


_add_export("imagefolder", "Write a training set as Hugging Face datasets load it.")
_add_export("kohya", "Write a training set as kohya's sd-scripts read it.")
_add_export("webdataset", "Write a training set as tar shards.")


def _export_set(
    form: str,
    film: str | None,
    output: Path | None,
    character: str | None,
    repeats: str,
    captions: str | None,
    data_dir: str | None,
    settings: list[str] | None,
) -> None:
    """Export a set as of today and say what its trainer will see."""
    from datetime import UTC, datetime

    from bunny.command import export_set as command_export_set

    exported = command_export_set.export(
        film,
        form,
        output,
        data_dir=data_dir,
        overrides=settings or [],
        character=character,
        repeats=repeats,
        captions=captions,
        date=datetime.now(UTC).date().isoformat(),
    )
    typer.echo(exported.to_text())


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


def _finder(data_dir: str | None, settings: list[str]):
    """The library's search as a timeline asks for it."""

    def find(words: str, film_id: str):
        from bunny.command import search

        return search.search(words, films=[film_id], data_dir=data_dir, overrides=settings).shots

    return find
