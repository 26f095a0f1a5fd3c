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
