"""Command line of `bunny`: options, exit codes and error messages."""

import atexit
import io
import os
import signal
import sys

import typer

from bunny.cli import (  # noqa: F401  they add their commands
    character,
    correct,
    export,
    film,
    library,
    model,
    models,
    series,
    workspace,
)
from bunny.cli.app import app, arrange_panels
from bunny.command import remote_folder
from bunny.core import disk_full, exit_code
from bunny.core.error import BunnyError

arrange_panels()


def main() -> None:
    """Entry point: run a command and turn errors into one sentence and an exit code."""
    is_debug = "--debug" in sys.argv
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # torch's idle threads must not spin
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # it advises to install torchvision
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a pipe on Windows lacks most alphabets
            stream.reconfigure(errors="backslashreplace")
    try:
        with remote_folder.use():
            app()
    except BunnyError as error:
        if is_debug:
            raise
        _fail(str(error), exit_code.of_error(error))
    except KeyboardInterrupt:
        _stopped()
    except SystemExit as stop:
        if stop.code == exit_code.STOPPED:  # typer's answer to Ctrl+C, which says nothing
            _stopped()
        raise
    except Exception as error:
        if is_debug:
            raise
        disk = disk_full.describe(error)
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        unexpected = f"unexpected {text}; run again with --debug for the traceback"
        _fail(disk or unexpected, exit_code.of_error(error))


def _stopped() -> None:
    """Say how to go on; Ctrl+C once more, while Python ends its threads, ends at once.

    When those are over it is too late for a handler: Python puts the system's own in its place.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if "tqdm" in sys.modules:  # the second Ctrl+C may have come while a bar ended its line
        typer.echo(err=True)
    try:
        _fail("stopped; run the same command again to resume", exit_code.STOPPED)
    finally:
        signal.signal(signal.SIGINT, lambda *_: os._exit(exit_code.STOPPED))
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)


def _fail(sentence: str, code: int) -> None:
    from bunny.core import log

    if "tqdm" in sys.modules:  # a bar that was interrupted has not ended its line
        for bar in list(sys.modules["tqdm"].tqdm._instances):
            bar.close()
    typer.echo(f"bunny: {' '.join(log.redact(sentence).split())}", err=True)
    raise SystemExit(code)
