"""Commands on adapters: evaluate, generate."""

from pathlib import Path
from typing import Annotated

import typer

from bunny.cli.app import DataDir, Debug, FilmName, Settings, app


@app.command()
def evaluate(
    film: FilmName = None,
    data_dir: DataDir = None,
    force: Annotated[bool, typer.Option("--force", help="Draw even what is up to date.")] = False,
    settings: Settings = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    debug: Debug = False,
) -> None:
    """Prove that the fine-tune learned the character, and say what to change where it did not."""
    from bunny.command import evaluate as command_evaluate

    overrides = [*(settings or []), *(["pipeline.force_rerun=true"] if force else [])]
    done = command_evaluate.evaluate(film, data_dir, overrides, is_debug=debug)
    typer.echo(done.to_json() if as_json else done.to_text())


@app.command()
def generate(
    film: FilmName = None,
    prompt: Annotated[
        list[str] | None, typer.Option(help="Several times for several; {trigger}: the character.")
    ] = None,
    prompts: Annotated[Path | None, typer.Option(help="Text file with a prompt a line.")] = None,
    negative: Annotated[str | None, typer.Option(help="What should not be drawn.")] = None,
    seed: Annotated[
        list[int] | None, typer.Option(min=0, help="Several times for several.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Pictures a prompt, from the seed on.")] = 1,
    strength: Annotated[
        list[float] | None, typer.Option(help="Of the adapter, 0 to 4; 0 is the base alone.")
    ] = None,
    checkpoint: Annotated[
        str | None, typer.Option(help="chosen, last, all, or a step that was kept.")
    ] = None,
    blend: Annotated[
        list[str] | None, typer.Option(metavar="FILE|CHARACTER:STRENGTH", help="One more adapter.")
    ] = None,
    frame: Annotated[
        list[str] | None, typer.Option(help="Start from a frame_id of the film, or a file.")
    ] = None,
    init_strength: Annotated[
        float | None, typer.Option(help="How much of it is drawn anew, up to 1.")
    ] = None,
    scheduler: Annotated[str | None, typer.Option(help="As generation.scheduler.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, max=1000, help="Of the sampler.")] = None,
    guidance: Annotated[float | None, typer.Option(min=0, help="Weight of the prompt.")] = None,
    size: Annotated[str | None, typer.Option(metavar="WxH", help="In px; the base's own.")] = None,
    character: Annotated[str | None, typer.Option(help="Whose, where there are more.")] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder; default picture/own of the film.")
    ] = None,
    again: Annotated[
        Path | None, typer.Option(metavar="PICTURE", help="Draw this picture once more.")
    ] = None,
    adapter: Annotated[
        list[Path] | None, typer.Option(help="With --again: an adapter that was moved.")
    ] = None,
    data_dir: DataDir = None,
    settings: Settings = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Draw pictures with a film's adapter, or one picture again from its PNG."""
    from bunny.command import generate as command_generate
    from bunny.command import generate_request

    common = {"output": output, "data_dir": data_dir, "overrides": settings or []}
    if again is not None:
        made = command_generate.regenerate(
            again, adapters=adapter or [], frame=Path(frame[0]) if frame else None, **common
        )
    else:
        listed = generate_request.read_prompts(prompts) if prompts else []
        wish = generate_request.GenerateOptions(
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
        made = command_generate.generate(film, wish, **common)
    typer.echo(made.to_json() if as_json else made.to_text())
    raise typer.Exit(made.exit_code)
