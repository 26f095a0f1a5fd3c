"""`bunny lab`: JupyterLab in the notebook folder, for this machine alone."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from bunny.command import review_server

IDENTITY_PROVIDER = "bunny.command.identity_provider.LimitedIdentityProvider"
END_S = 20  # a server may take to end its kernels


def make_arguments(project: Path, port: int, *, has_browser: bool) -> list[str]:
    """The command line of a JupyterLab that asks for a token and hears this machine alone.

    Parameters
    ----------
    project : Path
        The folder that it shows, with `notebook/`.
    port : int
        It takes one of those after it when that is taken.
    has_browser : bool
        It opens a browser.
    """
    arguments = [sys.executable, "-m", "bunny.command.lab", f"--notebook-dir={project}"]
    arguments += ["--ServerApp.ip=127.0.0.1", "--ServerApp.allow_remote_access=False"]
    arguments += [f"--ServerApp.identity_provider_class={IDENTITY_PROVIDER}"]  # limits guesses
    arguments += [f"--ServerApp.tornado_settings={ {'headers': review_server.HEADERS}!r}"]
    arguments += ["--ServerApp.answer_yes=True"]  # Ctrl+C ends it, without a question
    arguments += [f"--port={port}", "--LabApp.default_url=/lab/tree/notebook/00_start.ipynb"]
    arguments += [] if has_browser else ["--no-browser"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # in a container
        arguments += ["--allow-root"]
    return arguments


def serve(arguments: list[str]) -> int:
    """Run a server until it ends, or is ended by Ctrl+C or SIGTERM here; gives its exit code.

    It is a process of its own that is waited for: to replace this one would, on Windows, give the
    prompt back while the server goes on.
    """
    server = subprocess.Popen(arguments)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    while True:
        try:
            code = server.wait()
            return code if code >= 0 else 128 - code
        except KeyboardInterrupt:
            _end(server)


def _end(server: subprocess.Popen) -> None:
    """End a server as it ends itself, or at once where it was asked before."""
    if os.name == "nt":  # Ctrl+C went to it too, and there is no gentle signal
        try:
            server.wait(END_S)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            server.kill()
    else:
        server.terminate()


if __name__ == "__main__":
    from jupyterlab.labapp import main

    review_server.hide_tokens()
    main()
