"""Options of the commands that write for other tools."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

TRAINERS = "musubi, diffusion-pipe, ai-toolkit, simpletuner, diffsynth, ltx or finetrainers"
Base = Annotated[
    str | None,
    typer.Option(
        help="Base model to train: sd15, sd21, sdxl, pony, illustrious, noobai, sd35, flux1, a "
        "hub id or a folder."
    ),
]
Resolution = Annotated[
    int,
    typer.Option(
        "--resolution",
        min=0,
        help="Training resolution in px; 0: the base model's, or else what the pictures allow.",
    ),
]
TrainerFormat = Annotated[str, typer.Option("--format", help=f"Trainer: {TRAINERS}.")]


@dataclass(frozen=True, kw_only=True)
class SetExport:
    """Options for exporting a training set."""

    form: Annotated[
        str, typer.Option("--format", help="Format: imagefolder, kohya, onetrainer or webdataset.")
    ] = "imagefolder"
    output: Annotated[
        Path | None,
        typer.Option(help="Output folder; default: export/<format> in the film's workspace."),
    ] = None
    character: Annotated[
        str | None, typer.Option(help="Character, if there is more than one training set.")
    ] = None
    repeats: Annotated[str, typer.Option(help="Repeats of each picture: auto, or a number.")] = (
        "auto"
    )
    captions: Annotated[
        str | None,
        typer.Option(help="Also write captions as txt or jsonl files, if the format does not."),
    ] = None
    base: Base = None
    resolution_px: Resolution = 0


@dataclass(frozen=True, kw_only=True)
class AdapterExport:
    """Which adapter is exported, and in which form."""

    form: Annotated[str, typer.Option("--format", help="Format: diffusers, kohya or comfy.")] = (
        "diffusers"
    )
    step: Annotated[str, typer.Option(help="Checkpoint: chosen, last, or a training step.")] = (
        "chosen"
    )
    output: Annotated[
        Path | None,
        typer.Option(help="Output file; default: in export/adapter in the film's workspace."),
    ] = None
    character: Annotated[
        str | None, typer.Option(help="Character, if there is more than one adapter.")
    ] = None


@dataclass(frozen=True, kw_only=True)
class ClipExport:
    """Options for exporting clips."""

    form: TrainerFormat = "musubi"
    output: Annotated[
        Path | None,
        typer.Option(help="Output folder; default: export/clips-<format> in the film's workspace."),
    ] = None
    character: Annotated[
        str | None, typer.Option(help="Character, if more than one has clips.")
    ] = None
    model: Annotated[
        str, typer.Option(help="Video model: wan, wan-5b, hunyuan, ltx; auto: by the frame rate.")
    ] = "auto"
    has_stills: Annotated[
        bool, typer.Option("--stills/--no-stills", help="Also write the training pictures.")
    ] = False


@dataclass(frozen=True, kw_only=True)
class PairExport:
    """Options for exporting pairs of one kind."""

    form: TrainerFormat = "musubi"
    output: Annotated[
        Path | None,
        typer.Option(
            help="Output folder; default: export/pairs-<kind>-<format> in the film's workspace."
        ),
    ] = None
    character: Annotated[
        str | None, typer.Option(help="Character, if more than one has pairs.")
    ] = None
    kind: Annotated[str, typer.Option(help="Kind of pairs: reference, edit or clip.")] = "reference"


@dataclass(frozen=True, kw_only=True)
class TimelineExport:
    """Which shots become a timeline, and how."""

    what: Annotated[
        str,
        typer.Option(
            help='Which shots: shots, shots:3,7, search:"words", cluster:NAME, cluster:PLACE/WHO, '
            "character:NAME, dataset or dataset:NAME."
        ),
    ] = "shots"
    form: Annotated[
        str | None,
        typer.Option("--format", help="edl, fcp7, fcpx or otio; default: by the file extension."),
    ] = None
    output: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "--output",
            help="Output file; default: in export/timeline in the film's workspace.",
        ),
    ] = None
    order: Annotated[
        str, typer.Option(help="Order of the clips: film, or score (best match first).")
    ] = "film"
    handles: Annotated[
        int | None, typer.Option(min=0, help="Frames added on each side of a clip.")
    ] = None
    has_markers: Annotated[
        bool, typer.Option("--markers/--no-markers", help="Mark characters and training pictures.")
    ] = True
    is_drop: Annotated[
        bool | None,
        typer.Option(
            "--drop-frame/--non-drop",
            help="Timecode for a 29.97 or 59.94 fps film that has none.",
        ),
    ] = None
    start: Annotated[str, typer.Option(help="Timecode at which the sequence starts.")] = (
        "01:00:00:00"
    )
