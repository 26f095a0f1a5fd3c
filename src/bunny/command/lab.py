"""`bunny lab`: JupyterLab in the notebook folder."""

import os
import signal
import subprocess

END_S = 20  # a server may take to end its kernels


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
