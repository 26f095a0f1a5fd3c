"""Commands that write for other tools: export json, set, adapter, feedback, stats, timeline."""

from pathlib import Path
from typing import Annotated

import typer

from bunny.cli.app import AsJson, DataDir, FilmName, Settings, export_app


@export_app.command("json")
def export_json(
    film: FilmName = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Output file; default: metadata.json in the film's workspace."),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Export metadata.json: time, sharpness, characters and caption of each frame."""
    from bunny.command import export_json as command_export_json

    typer.echo(command_export_json.export(film, data_dir, output))


@export_app.command("set")
def export_set(
    film: FilmName = None,
    form: Annotated[
        str, typer.Option("--format", help="Format: imagefolder, kohya or webdataset.")
    ] = "imagefolder",
    output: Annotated[
        Path | None,
        typer.Option(help="Output folder; default: export/<format> in the film's workspace."),
    ] = None,
    character: Annotated[
        str | None, typer.Option(help="Character, if there is more than one training set.")
    ] = None,
    repeats: Annotated[
        str, typer.Option(help="Repeats of each picture: auto, or a number.")
    ] = "auto",
    captions: Annotated[
        str | None,
        typer.Option(help="Also write captions as txt or jsonl, where the format does not."),
    ] = None,
    data_dir: DataDir = None,
    settings: Settings = None,
) -> None:
    """Export a character's training set for another trainer, with rights.json."""
    _export_set(form, film, output, character, repeats, captions, data_dir, settings)


@export_app.command("adapter")
def export_adapter(
    film: FilmName = None,
    form: Annotated[
        str, typer.Option("--format", help="Format: diffusers, kohya or comfy.")
    ] = "diffusers",
    step: Annotated[
        str, typer.Option(help="Checkpoint: chosen, last, or a training step.")
    ] = "chosen",
    output: Annotated[
        Path | None,
        typer.Option(help="Output file; default: in export/adapter of the film's workspace."),
    ] = None,
    character: Annotated[
        str | None, typer.Option(help="Character, if there is more than one adapter.")
    ] = None,
    data_dir: DataDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Export a LoRA or DoRA for diffusers, for kohya's sd-scripts and A1111, or for ComfyUI."""
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
            "--out",
            "--output",
            help="Output file; default: export/feedback.jsonl in the film's workspace.",
        ),
    ] = None,
    events: Annotated[
        bool, typer.Option("--events", help="Export every recorded event instead of pairs.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Export corrections as JSON lines of pairs: anchor, positive, label."""
    from bunny.command import export_feedback as command_export_feedback

    typer.echo(command_export_feedback.export(film, output, data_dir, has_events=events))


@export_app.command("stats")
def export_stats(
    film: FilmName = None,
    output: Annotated[
        Path | None,
        typer.Option("--out", "--output", help="File; default stats.csv in export of the film."),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Write the change of every frame as CSV, in the format of PySceneDetect's stats file."""
    from bunny.command import export_stats as command_export_stats

    typer.echo(command_export_stats.export(film, output, data_dir))


def _add_export(form: str, text: str) -> None:
    """`bunny export <form>`: the same as `bunny export set --format <form>`."""

    @export_app.command(form, help=text)
    def export_form(
        film: FilmName = None,
        output: Annotated[Path | None, typer.Option(help="Output folder.")] = None,
        character: Annotated[
            str | None, typer.Option(help="Character, if there is more than one training set.")
        ] = None,
        repeats: Annotated[str, typer.Option(help="Repeats: auto, or a number.")] = "auto",
        captions: Annotated[
            str | None, typer.Option(help="Also write captions as txt or jsonl.")
        ] = None,
        data_dir: DataDir = None,
        settings: Settings = None,
    ) -> None:
        _export_set(form, film, output, character, repeats, captions, data_dir, settings)


_add_export("imagefolder", "Export a training set as a Hugging Face ImageFolder.")
_add_export("kohya", "Export a training set for kohya's sd-scripts.")
_add_export("webdataset", "Export a training set as WebDataset tar shards.")


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


FORMATS = "musubi, diffusion-pipe, ai-toolkit, simpletuner, diffsynth, ltx or finetrainers"


@export_app.command("clips")
def export_clips(
    film: FilmName = None,
    form: Annotated[str, typer.Option("--format", help=f"Trainer: {FORMATS}.")] = "musubi",
    output: Annotated[
        Path | None,
        typer.Option(help="Output folder; default: export/clips-<format> of the film."),
    ] = None,
    character: Annotated[
        str | None, typer.Option(help="Character, if there are clips of more than one.")
    ] = None,
    model: Annotated[
        str, typer.Option(help="Video model: wan, wan-5b, hunyuan, ltx; auto: by the frame rate.")
    ] = "auto",
    stills: Annotated[
        bool, typer.Option("--stills/--no-stills", help="Also write the training pictures.")
    ] = False,
    data_dir: DataDir = None,
    settings: Settings = None,
) -> None:
    """Export a character's clips for a video trainer, with its configuration file."""
    from datetime import UTC, datetime

    from bunny.command import export_media

    exported = export_media.export_clips(
        film,
        form,
        output,
        data_dir=data_dir,
        overrides=settings or [],
        character=character,
        model=model,
        has_stills=stills,
        date=datetime.now(UTC).date().isoformat(),
    )
    typer.echo(exported.to_text())


@export_app.command("pairs")
def export_pairs(
    film: FilmName = None,
    form: Annotated[str, typer.Option("--format", help=f"Trainer: {FORMATS}.")] = "musubi",
    output: Annotated[
        Path | None,
        typer.Option(help="Output folder; default: export/pairs-<kind>-<format> of the film."),
    ] = None,
    character: Annotated[
        str | None, typer.Option(help="Character, if there are pairs of more than one.")
    ] = None,
    kind: Annotated[
        str, typer.Option(help="Kind of pairs: reference, edit or clip.")
    ] = "reference",
    data_dir: DataDir = None,
    settings: Settings = None,
) -> None:
    """Export a character's pairs for an edit or reference trainer, with its configuration file."""
    from datetime import UTC, datetime

    from bunny.command import export_media

    exported = export_media.export_pairs(
        film,
        form,
        output,
        data_dir=data_dir,
        overrides=settings or [],
        character=character,
        kind=kind,
        date=datetime.now(UTC).date().isoformat(),
    )
    typer.echo(exported.to_text())


@export_app.command("timeline")
def export_timeline(
    film: FilmName = None,
    what: Annotated[
        str,
        typer.Option(
            help='Which shots: shots, shots:3,7, search:"words", cluster:NAME, cluster:PLACE/WHO, '
            "character:NAME, dataset or dataset:NAME."
        ),
    ] = "shots",
    form: Annotated[
        str | None,
        typer.Option("--format", help="edl, fcp7, fcpx or otio; default: by the file extension."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "--output",
            help="Output file; default: in export/timeline of the film's workspace.",
        ),
    ] = None,
    order: Annotated[
        str, typer.Option(help="Order of the clips: film, or score (best match first).")
    ] = "film",
    handles: Annotated[
        int | None, typer.Option(min=0, help="Frames added on each side of a clip.")
    ] = None,
    markers: Annotated[
        bool,
        typer.Option("--markers/--no-markers", help="Mark characters and training pictures."),
    ] = True,
    drop_frame: Annotated[
        bool | None,
        typer.Option(
            "--drop-frame/--non-drop",
            help="Timecode of a 29.97 or 59.94 fps film that has none of its own.",
        ),
    ] = None,
    start: Annotated[
        str, typer.Option(help="Timecode at which the sequence starts.")
    ] = "01:00:00:00",
    data_dir: DataDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Export shots as a timeline: EDL, Final Cut Pro 7 XML, FCPXML or OpenTimelineIO."""
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
