"""Options of commands on training sets: gaps, check."""

from dataclasses import dataclass
from typing import Annotated

import typer


@dataclass(frozen=True, kw_only=True)
class GapOptions:
    """Whose training set, and what is added to it or undone."""

    character: Annotated[
        str | None, typer.Option(help="Character, if there is more than one training set.")
    ] = None
    add: Annotated[
        str | None,
        typer.Option(
            metavar="GAP|SHOTS", help="Fill a gap (e.g. light:dark) or add shots (e.g. 3,12)."
        ),
    ] = None
    is_sure: Annotated[
        bool, typer.Option("--sure", help="With --add: include views with an uncertain label.")
    ] = False
    has_duplicates: Annotated[
        bool,
        typer.Option("--duplicates", help="With --add: include near-duplicates of chosen views."),
    ] = False
    is_undone: Annotated[bool, typer.Option("--undo", help="Undo the last addition.")] = False
    addition_id: Annotated[
        str | None, typer.Option("--id", help="With --undo: id of the addition, e.g. a1.")
    ] = None
    reason: Annotated[str, typer.Option(help="Reason to store with the change.")] = ""


@dataclass(frozen=True, kw_only=True)
class CheckOptions:
    """The trainer to check for, and what it is told."""

    trainer: Annotated[
        str,
        typer.Option(
            help="Trainer to check for: ours, kohya, imagefolder or webdataset; auto: the one that "
            "the folder was exported for, or by what is in it."
        ),
    ] = "auto"
    resolution_px: Annotated[
        int,
        typer.Option("--resolution", min=0, help="Training resolution in px; 0: as in the folder."),
    ] = 0
    batch_size: Annotated[
        int, typer.Option(min=0, help="Batch size; 0: as in the folder or the settings.")
    ] = 0
    trigger: Annotated[str, typer.Option(help="Trigger word that every caption must contain.")] = ""


@dataclass(frozen=True, kw_only=True)
class FormatOptions:
    """The trainer of clips or pairs to check for."""

    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="Check a folder of clips or pairs for musubi, diffusion-pipe, ai-toolkit, "
            "simpletuner, diffsynth, ltx or finetrainers.",
        ),
    ] = None
    model: Annotated[
        str,
        typer.Option(
            help="With --format: video model (wan, wan-5b, hunyuan or ltx); auto: the one of the "
            "export, else the trainer's first."
        ),
    ] = "auto"
    num_frames: Annotated[
        int,
        typer.Option(
            "--frames",
            min=0,
            help="With --format: expected frames per clip; 0: as in the folder.",
        ),
    ] = 0
