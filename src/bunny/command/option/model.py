"""Options of commands on adapters: evaluate, generate."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from bunny.command.option.common import DataDir, FilmName, Overrides, with_force


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """Which film's fine-tune is evaluated, and with which settings."""

    film: FilmName = None
    data_dir: DataDir = None
    is_forced: Annotated[
        bool, typer.Option("--force", help="Evaluate again even if it is up to date.")
    ] = False
    settings: Overrides = field(default_factory=list)

    @property
    def overrides(self) -> list[str]:
        """Settings of this run, `--force` among them."""
        return with_force(self.settings, is_forced=self.is_forced)


@dataclass(frozen=True, kw_only=True)
class GenerateOptions:
    """Options for generating pictures; None and empty values leave the settings unchanged."""

    prompts: Annotated[
        list[str],
        typer.Option("--prompt", help="Prompt; {trigger} stands for the character; repeatable."),
    ] = field(default_factory=list)
    prompt_file: Annotated[
        Path | None, typer.Option("--prompts", help="Text file with one prompt per line.")
    ] = None
    negative_prompt: Annotated[str | None, typer.Option("--negative", help="Negative prompt.")] = (
        None
    )
    seeds: Annotated[list[int], typer.Option("--seed", min=0, help="Random seed; repeatable.")] = (
        field(default_factory=list)
    )
    count: Annotated[
        int, typer.Option(min=1, help="Pictures per prompt and seed, with consecutive seeds.")
    ] = 1
    strengths: Annotated[
        list[float],
        typer.Option(
            "--strength", help="LoRA strength, 0 to 4; 0: the base model alone; repeatable."
        ),
    ] = field(default_factory=list)
    checkpoint: Annotated[
        str | None, typer.Option(help="Checkpoint: chosen, last, all, or a training step.")
    ] = None
    blend: Annotated[
        list[str],
        typer.Option(metavar="FILE|CHARACTER:STRENGTH", help="Additional adapter; repeatable."),
    ] = field(default_factory=list)
    frames: Annotated[
        list[str],
        typer.Option("--frame", help="Start from this picture: a frame_id of the film, or a file."),
    ] = field(default_factory=list)
    init_strength: Annotated[
        float | None, typer.Option(help="How much of the start picture is redrawn, up to 1.")
    ] = None
    scheduler: Annotated[
        str | None, typer.Option(help="Scheduler; generation.scheduler lists the choices.")
    ] = None
    num_steps: Annotated[
        int | None, typer.Option("--steps", min=1, max=1000, help="Sampling steps.")
    ] = None
    guidance_scale: Annotated[
        float | None, typer.Option("--guidance", min=0, help="Guidance scale.")
    ] = None
    size: Annotated[
        str | None, typer.Option(metavar="WxH", help="Size in px; default: the base model's own.")
    ] = None
    character: Annotated[
        str | None, typer.Option(help="Character, if there is more than one adapter.")
    ] = None
