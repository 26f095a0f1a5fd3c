"""The command line. Each command checks its input, calls one module and says where things are.

Exit code 0 is done, 2 means the input or a setting can be mended by the user, 1 that we failed.
"""

import os
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from bunny.error import BunnyError, UserError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="From a film and a few pictures of its characters to a training set, a LoRA and pictures.",
)
export_app = typer.Typer(no_args_is_help=True, help="Write a film's tables for other tools.")
app.add_typer(export_app, name="export")

DataDir = Annotated[
    str | None, typer.Option("--data-dir", help="Folder of workspaces; default project.data_dir.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="e.g. filtering.blur_threshold=0.4"),
]
FilmName = Annotated[
    str | None, typer.Argument(help="film_id or how it begins; default the newest.")
]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks and more log lines.")]


@app.command()
def run(
    film: Annotated[Path, typer.Argument(help="A film, or a folder of numbered pictures.")],
    references: Annotated[
        Path | None, typer.Option(help="Folder with <name>.jpg or <name>/*.jpg.")
    ] = None,
    data_dir: DataDir = None,
    only: Annotated[str | None, typer.Option(help="Stages, separated by commas.")] = None,
    until: Annotated[str | None, typer.Option(help="Last stage to run.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Run even what is up to date.")] = False,
    settings: Settings = None,
    notebooks: Annotated[
        bool, typer.Option("--notebooks", help="Run the numbered notebooks instead of stages.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="End with one JSON object.")] = False,
    debug: Debug = False,
) -> None:
    """Run the stages of a film; what is up to date is skipped."""
    from bunny import job

    overrides = [*(settings or []), *(["pipeline.force_rerun=true"] if force else [])]
    stages = tuple(s.strip() for s in only.split(",")) if only else ()
    report = job.run_film(
        film,
        references,
        data_dir=data_dir,
        overrides=overrides,
        only=stages,
        until=until,
        is_notebook=notebooks,
        is_debug=debug,
    )
    typer.echo(report.to_json() if as_json else report.to_text())


@app.command()
def demo(data_dir: DataDir = None, settings: Settings = None, debug: Debug = False) -> None:
    """Run everything on the embedded sample film: labelled set, LoRA, pictures and a report."""
    from bunny import job, sample

    started = time.monotonic()
    report = job.run_film(
        sample.film_path(),
        sample.reference_dir(),
        data_dir=data_dir,
        overrides=[*job.DEMO_SETTINGS, *(settings or [])],
        is_debug=debug,
    )
    typer.echo(report.to_text())
    typer.echo(f"The demo took {(time.monotonic() - started) / 60:.1f} minutes.")


@app.command()
def status(film: FilmName = None, data_dir: DataDir = None, settings: Settings = None) -> None:
    """Show which stages of a film are done, stale (and why) or never ran."""
    from bunny import job

    typer.echo(job.describe_status(film, data_dir, settings or []))


@app.command()
def report(film: FilmName = None, data_dir: DataDir = None, settings: Settings = None) -> None:
    """Write the report of a film again and say where it is."""
    from bunny import job

    typer.echo(job.write_report(film, data_dir, settings or []))


@export_app.command("json")
def export_json(
    film: FilmName = None,
    output: Annotated[
        Path | None, typer.Option(help="File to write; default metadata.json of the film.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Write metadata.json: each frame with time, sharpness, characters and caption."""
    from bunny import job

    typer.echo(job.export_json(film, data_dir, output))


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

    from bunny import job_adapter

    exported = job_adapter.export(
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


@app.command()
def check(
    what: Annotated[
        str | None, typer.Argument(help="A folder of training pictures, or a film; the newest.")
    ] = None,
    trainer: Annotated[str, typer.Option(help="auto, ours, kohya or imagefolder.")] = "auto",
    resolution: Annotated[int, typer.Option(min=0, help="Side in px; 0: the folder's.")] = 0,
    batch_size: Annotated[int, typer.Option(min=0, help="0: the folder's or the settings'.")] = 0,
    trigger: Annotated[str, typer.Option(help="Word that captions must have.")] = "",
    data_dir: DataDir = None,
    settings: Settings = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Say what a trainer will see of a set: pictures, steps, and what it drops or changes."""
    from bunny import job_set

    checked = job_set.check(
        what,
        trainer=trainer,
        data_dir=data_dir,
        overrides=settings or [],
        resolution_px=resolution,
        batch_size=batch_size,
        trigger=trigger,
    )
    typer.echo(checked.to_json() if as_json else checked.to_text())
    raise typer.Exit(checked.exit_code)


@app.command()
def doctor(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Say what is there and what is missing, with one line of advice for each."""
    from bunny import doctor as module

    typer.echo(module.to_json() if as_json else module.to_text())


@app.command()
def lab(
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8888,
    browser: Annotated[bool, typer.Option(help="Open a browser.")] = True,
) -> None:
    """Open JupyterLab in the notebook folder."""
    from bunny import workspace

    folder = workspace.project_root() / "notebook"
    if not folder.is_dir():
        raise UserError(
            f"{folder}: expected the folder of notebooks, found none; "
            "start `bunny lab` inside the project"
        )
    arguments = [sys.executable, "-m", "jupyterlab", f"--notebook-dir={folder.parent}"]
    arguments += [f"--port={port}", "--LabApp.default_url=/lab/tree/notebook/00_start.ipynb"]
    arguments += [] if browser else ["--no-browser"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # in a container; it listens on loopback alone
        arguments += ["--allow-root"]
    os.execv(sys.executable, arguments)


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

    from bunny import job_set

    exported = job_set.export(
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
    from bunny import job_proof

    overrides = [*(settings or []), *(["pipeline.force_rerun=true"] if force else [])]
    done = job_proof.evaluate(film, data_dir, overrides, is_debug=debug)
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
    from bunny import job_draw, job_redraw, job_wish

    common = {"output": output, "data_dir": data_dir, "overrides": settings or []}
    if again is not None:
        made = job_redraw.draw_again(
            again, adapters=adapter or [], frame=Path(frame[0]) if frame else None, **common
        )
    else:
        listed = job_wish.read_prompts(prompts) if prompts else []
        wish = job_wish.Wish(
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
        made = job_draw.draw(film, wish, **common)
    typer.echo(made.to_json() if as_json else made.to_text())
    raise typer.Exit(made.exit_code)


@app.command()
def characters(
    film: FilmName = None,
    name: Annotated[
        str | None,
        typer.Option(metavar="PERSON=NAME", help="Name an unknown person, e.g. person-02=anna."),
    ] = None,
    add: Annotated[
        bool, typer.Option("--add", help="NAME is a character there is: more views of it.")
    ] = False,
    data_dir: DataDir = None,
    settings: Settings = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List who was found in a film, with a picture each; or name an unknown person."""
    from bunny import job_name, job_people

    if name is None:
        done = job_people.list_people(film, data_dir, settings or [])
    else:
        done = job_name.name_person(film, name, data_dir, settings or [], is_added=add)
    typer.echo(done.to_json() if as_json else done.to_text())


@app.command()
def gaps(
    film: FilmName = None,
    character: Annotated[str | None, typer.Option(help="Whose set, where there are more.")] = None,
    add: Annotated[
        str | None, typer.Option(metavar="GAP|SHOTS", help="e.g. light:dark, or 3,12.")
    ] = None,
    sure: Annotated[
        bool, typer.Option("--sure", help="It is the character, whatever the label's certainty.")
    ] = False,
    duplicates: Annotated[
        bool, typer.Option("--duplicates", help="Views that look like chosen ones too.")
    ] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take back what was added last.")] = False,
    which: Annotated[str | None, typer.Option("--id", help="With --undo: which, e.g. a1.")] = None,
    reason: Annotated[str, typer.Option(help="Kept in the record.")] = "",
    data_dir: DataDir = None,
    settings: Settings = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say what a training set lacks and which shots of the film would fill it; or add those."""
    from bunny import job_gap, job_gap_add

    if add is not None and undo:
        raise UserError("--add and --undo: expected one of them, got both")
    if undo:
        done = job_gap_add.undo(film, which, data_dir, settings or [], reason=reason)
    elif add is not None:
        wanted = {"is_sure": sure, "has_duplicates": duplicates, "reason": reason}
        done = job_gap_add.add(film, add, data_dir, settings or [], character=character, **wanted)
    else:
        done = job_gap.list_gaps(film, data_dir, settings or [], character=character)
    typer.echo(done.to_json() if as_json else done.to_text())


def main() -> None:
    """Entry point: run a command and turn errors into one sentence and an exit code."""
    is_debug = "--debug" in sys.argv
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # torch's idle threads must not spin
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # it advises to install torchvision
    try:
        app()
    except BunnyError as error:
        if is_debug:
            raise
        _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        _fail("stopped; run the same command again to go on from here", 130)
    except Exception as error:
        if is_debug:
            raise
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        _fail(f"unexpected {text}; run again with --debug for the traceback", 1)


def _fail(sentence: str, code: int) -> None:
    from bunny import log

    typer.echo(f"bunny: {' '.join(log.redact(sentence).split())}", err=True)
    raise SystemExit(code)
