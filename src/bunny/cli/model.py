"""Commands on adapters: evaluate, generate."""

from pathlib import Path
from typing import Annotated

import typer

from bunny.cli.app import app
from bunny.cli.signature import Debug, Result
from bunny.command.option.common import FilmOptions
from bunny.command.option.model import EvaluateOptions, GenerateOptions


@app.command()
def evaluate(options: EvaluateOptions, debug: Debug = False) -> Result:
    """Measure how well the fine-tune learned the character, with advice on what to change."""
    from bunny.command import evaluate as command_evaluate

    return command_evaluate.evaluate(
        options.film, options.data_dir, options.overrides, is_debug=debug
    )


@app.command()
def generate(
    options: GenerateOptions,
    output: Annotated[
        Path | None,
        typer.Option(help="Output folder; default: picture/own in the film's workspace."),
    ] = None,
    again: Annotated[
        Path | None,
        typer.Option(metavar="PICTURE", help="Reproduce this picture from its PNG metadata."),
    ] = None,
    adapter: Annotated[
        list[Path] | None, typer.Option(help="With --again: new path of an adapter that was moved.")
    ] = None,
    *,
    chosen: FilmOptions,
) -> Result:
    """Generate pictures with a film's adapter, or reproduce one from its PNG."""
    from bunny.command import generate as command_generate

    common = {"output": output, "data_dir": chosen.data_dir, "overrides": chosen.overrides}
    if again is None:
        return command_generate.generate(chosen.film, options, **common)
    frame = Path(options.frames[0]) if options.frames else None
    return command_generate.regenerate(again, adapters=adapter or [], frame=frame, **common)
