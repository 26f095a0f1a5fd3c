"""Commands that write for other tools: export json, set, adapter, feedback, stats, timeline."""

from pathlib import Path
from typing import Annotated

import typer

from bunny.cli.app import export_app
from bunny.cli.signature import Result
from bunny.command.option.common import DataDir, FilmName, FilmOptions
from bunny.command.option.export import (
    AdapterExport,
    Base,
    ClipExport,
    PairExport,
    Resolution,
    SetExport,
    TimelineExport,
)


@export_app.command("json")
def export_json(
    film: FilmName = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Output file; default: metadata.json in the film's workspace."),
    ] = None,
    data_dir: DataDir = None,
) -> str:
    """Export metadata.json with the time, sharpness, characters and caption of each frame."""
    from bunny.command import export_table

    return export_table.export_json(film, data_dir, output)


@export_app.command("set")
def export_set(options: SetExport, chosen: FilmOptions) -> str:
    """Export a character's training set for another trainer, with rights.json."""
    from bunny.command import export_set as command_export_set

    return command_export_set.export(chosen, options).to_text()


@export_app.command("adapter")
def export_adapter(options: AdapterExport, chosen: FilmOptions) -> Result:
    """Export a LoRA or DoRA for diffusers, for kohya's sd-scripts and A1111, or for ComfyUI."""
    from bunny.command import export_adapter as command_export_adapter

    return command_export_adapter.export(chosen, options)


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
) -> str:
    """Export corrections as JSON lines of pairs: anchor, positive, label."""
    from bunny.command import export_table

    return export_table.export_feedback(film, output, data_dir, has_events=events)


@export_app.command("stats")
def export_stats(
    film: FilmName = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "--output",
            help="Output file; default: export/stats.csv in the film's workspace.",
        ),
    ] = None,
    data_dir: DataDir = None,
) -> str:
    """Export frame-to-frame changes as CSV, in the format of PySceneDetect's stats file."""
    from bunny.command import export_table

    return export_table.export_stats(film, output, data_dir)


def _add_export(form: str, text: str) -> None:
    """`bunny export <form>`: the same as `bunny export set --format <form>`."""

    @export_app.command(form, help=text)
    def export_form(
        output: Annotated[Path | None, typer.Option(help="Output folder.")] = None,
        character: Annotated[
            str | None, typer.Option(help="Character, if there is more than one training set.")
        ] = None,
        repeats: Annotated[str, typer.Option(help="Repeats: auto, or a number.")] = "auto",
        captions: Annotated[
            str | None, typer.Option(help="Also write captions as txt or jsonl files.")
        ] = None,
        base: Base = None,
        resolution_px: Resolution = 0,
        *,
        chosen: FilmOptions,
    ) -> str:
        options = SetExport(
            form=form,
            output=output,
            character=character,
            repeats=repeats,
            captions=captions,
            base=base,
            resolution_px=resolution_px,
        )
        return export_set(options, chosen)


_add_export("imagefolder", "Export a training set as a Hugging Face ImageFolder.")
_add_export("kohya", "Export a training set for kohya's sd-scripts.")
_add_export("webdataset", "Export a training set as WebDataset tar shards.")


@export_app.command("clips")
def export_clips(options: ClipExport, chosen: FilmOptions) -> Result:
    """Export a character's clips for a video trainer, with its configuration file."""
    from bunny.command import export_media

    return export_media.export_clips(chosen, options)


@export_app.command("pairs")
def export_pairs(options: PairExport, chosen: FilmOptions) -> Result:
    """Export a character's pairs for an edit or reference trainer, with its configuration file."""
    from bunny.command import export_media

    return export_media.export_pairs(chosen, options)


@export_app.command("timeline")
def export_timeline(options: TimelineExport, chosen: FilmOptions) -> Result:
    """Export shots as a timeline: EDL, Final Cut Pro 7 XML, FCPXML or OpenTimelineIO."""
    from bunny.command import export_timeline as command_export_timeline
    from bunny.command import search

    def find(words: str, film_id: str):
        library = search.open_library([film_id], chosen.data_dir, chosen.overrides)
        return search.search(words, library=library).shots

    return command_export_timeline.export(chosen, options, find)
