"""Commands on adapters: evaluate, generate."""

from pathlib import Path
from typing import Annotated

import typer

from bunny.cli.app import AsJson, DataDir, Debug, FilmName, Settings, app


@app.command()
def evaluate(
    film: FilmName = None,
    data_dir: DataDir = None,
    force: Annotated[
        bool, typer.Option("--force", help="Evaluate again even if it is up to date.")
    ] = False,
    settings: Settings = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Measure how well the fine-tune learned the character, with advice on what to change."""
    from bunny.command import evaluate as command_evaluate

    overrides = [*(settings or []), *(["pipeline.force_rerun=true"] if force else [])]
    done = command_evaluate.evaluate(film, data_dir, overrides, is_debug=debug)
    typer.echo(done.to_json() if as_json else done.to_text())


@app.command()
def generate(
    film: FilmName = None,
    prompt: Annotated[
        list[str] | None,
        typer.Option(help="Prompt; {trigger} stands for the character; repeatable."),
    ] = None,
    prompts: Annotated[
        Path | None, typer.Option(help="Text file with one prompt per line.")
    ] = None,
    negative: Annotated[str | None, typer.Option(help="Negative prompt.")] = None,
    seed: Annotated[list[int] | None, typer.Option(min=0, help="Random seed; repeatable.")] = None,
    count: Annotated[
        int, typer.Option(min=1, help="Pictures per prompt and seed, with consecutive seeds.")
    ] = 1,
    strength: Annotated[
        list[float] | None,
        typer.Option(help="LoRA strength, 0 to 4; 0: the base model alone; repeatable."),
    ] = None,
    checkpoint: Annotated[
        str | None, typer.Option(help="Checkpoint: chosen, last, all, or a training step.")
    ] = None,
    blend: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE|CHARACTER:STRENGTH", help="Further adapter; repeatable."),
    ] = None,
    frame: Annotated[
        list[str] | None,
        typer.Option(help="Start from this picture: a frame_id of the film, or a file."),
    ] = None,
    init_strength: Annotated[
        float | None, typer.Option(help="How much of the start picture is redrawn, up to 1.")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Scheduler, one of those of generation.scheduler.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, max=1000, help="Sampling steps.")] = None,
    guidance: Annotated[float | None, typer.Option(min=0, help="Guidance scale.")] = None,
    size: Annotated[
        str | None,
        typer.Option(metavar="WxH", help="Size in px; default: the base model's own."),
    ] = None,
    character: Annotated[
        str | None, typer.Option(help="Character, if there is more than one adapter.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Output folder; default: picture/own in the film's workspace."),
    ] = None,
    again: Annotated[
        Path | None,
        typer.Option(metavar="PICTURE", help="Reproduce this picture from its PNG metadata."),
    ] = None,
    adapter: Annotated[
        list[Path] | None,
        typer.Option(help="With --again: new path of an adapter that was moved."),
    ] = None,
    data_dir: DataDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Generate pictures with a film's adapter, or reproduce one from its PNG."""
    from bunny.command import generate as command_generate

    common = {"output": output, "data_dir": data_dir, "overrides": settings or []}
    if again is not None:
        made = command_generate.regenerate(
            again, adapters=adapter or [], frame=Path(frame[0]) if frame else None, **common
        )
    else:
        listed = command_generate.read_prompts(prompts) if prompts else []
        options = command_generate.GenerateOptions(
            prompts=[*(prompt or []), *listed],
            seeds=seed or [],
            count=count,
            strengths=strength or [],
            scheduler=scheduler,
            num_steps=steps,
            guidance_scale=guidance,
            size=size,
            negative_prompt=negative,
            frames=frame or [],
            init_strength=init_strength,
            blend=blend or [],
            checkpoint=checkpoint,
            character=character,
        )
        made = command_generate.generate(film, options, **common)
    typer.echo(made.to_json() if as_json else made.to_text())
    raise typer.Exit(made.exit_code)
