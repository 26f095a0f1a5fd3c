"""`bunny lab` starts JupyterLab for this machine alone, and ends with it."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import http_attack
import psutil
import pytest
from small_project import command

START_S = 120  # a busy machine

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="needs signals")]


@pytest.fixture
def project(tmp_path):
    """A folder with settings and an empty folder of notebooks."""
    for name in ("config/main.yaml", "notebook/00_start.ipynb"):
        path = tmp_path / name
        path.parent.mkdir()
        path.write_text("{}", encoding="utf-8")
    return tmp_path


@contextlib.contextmanager
def running(project, *arguments):
    """The process of `bunny lab` and the address that it prints; `opened` has what is opened."""
    browser = project / "browser.sh"
    browser.write_text('#!/bin/sh\necho "$1" > "$(dirname "$0")/opened"\n', encoding="utf-8")
    browser.chmod(0o755)
    own = {f"JUPYTER_{name}_DIR": str(project / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    own |= {"BROWSER": f"{browser} %s", "IPYTHONDIR": str(project / "ipython")}
    process = subprocess.Popen(
        command("lab", *arguments),
        cwd=project,
        env={**os.environ, **own},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=_hear_ctrl_c,
    )
    try:
        for line in process.stderr:
            found = re.search(r"http://127\.0\.0\.1:\d+/\S*token=\S+", line)
            if found:
                break
        assert found, "no address was printed"
        _wait_for(lambda: ask(found.group(0)))  # it listens a moment after that
        yield process, found.group(0)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.stderr.close()
        process.wait()


def _hear_ctrl_c():
    """Not to ignore SIGINT as what a shell runs in the background does, and what that starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _wait_for(look):
    """Look until there is something to see."""
    end = time.monotonic() + START_S
    while True:
        try:
            return look()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def ask(address):
    with urllib.request.urlopen(address, timeout=START_S) as answer:
        return answer.status, answer.url


def ended(process, number):
    """Exit code after a signal to the command alone, when all of its processes are gone."""
    family = psutil.Process(process.pid).children(recursive=True)
    assert family
    process.send_signal(number)
    process.stderr.read()
    code = process.wait(START_S)
    assert not any(one.is_running() for one in family)
    return code


def test_it_listens_on_this_machine_alone_and_ends_on_ctrl_c(project):
    port = free_port()
    with running(project, "--port", port, "--no-browser") as (process, address):
        assert address.startswith(f"http://127.0.0.1:{port}/lab/tree/notebook/00_start.ipynb?")
        status, landed = ask(address)
        assert status == 200 and "/login" not in landed
        with pytest.raises(urllib.error.HTTPError, match="403"):  # without the token
            ask(f"http://127.0.0.1:{port}/api/contents")
        with pytest.raises(urllib.error.URLError, match="refused"):  # it hears 127.0.0.1 alone
            ask(f"http://127.0.0.2:{port}/api")
        assert ended(process, signal.SIGINT) == 0
    assert not (project / "opened").exists()


@pytest.mark.attack
def test_attacks_on_it_are_refused(project):
    """Of other names (DNS rebinding), other sites' pages, other places, and guessed tokens."""
    with running(project, "--port", free_port(), "--no-browser") as (process, address):
        port = int(re.search(r":(\d+)/", address)[1])
        token = address.rpartition("token=")[2]
        known = f"/api/contents?token={token}"
        answer = http_attack.ask(port, known)
        assert answer.status == 200 and answer.headers["Referrer-Policy"] == "same-origin"
        assert "frame-ancestors 'self'" in answer.headers["Content-Security-Policy"]
        assert http_attack.ask(port, known, host="evil.example").status == 403
        assert http_attack.ask(port, "/api/contents?token=guess").status == 403
        assert http_attack.ask(port, "/api/kernels", "POST", body="{}").status == 403
        channels = "/api/kernels/00000000-0000-0000-0000-000000000000/channels"
        evil = {"Origin": "http://evil.example", **http_attack.WEB_SOCKET}
        assert http_attack.ask(port, channels, **evil).status == 403
        for path in http_attack.TRAVERSALS:
            for place in ("files", "api/contents", "static", "lab/api/themes"):
                answer = http_attack.ask(port, f"/{place}/{path}?token={token}")
                assert answer.status >= 300 and b"root:" not in answer.body
        places = ["/api/contents?token=guess", "/api/status?token=guess", "/login?token=guess"]
        tried = [http_attack.ask(port, places[i % 3]).status for i in range(12)]
        assert tried[-3:] == [429] * 3 and 429 not in tried[:8]
        form = {"method": "POST", "body": "password=guess"}
        assert http_attack.ask(port, "/login", **form).status == 429
        assert http_attack.ask(port, "/api/contents", Authorization="token guess").status == 429
        assert http_attack.ask(port, known).status == 200  # the right one always passes
        process.send_signal(signal.SIGTERM)
        said = process.stderr.read()
    shown = [line for line in said.splitlines() if token in line]
    assert len(shown) == 1 and "/00_start.ipynb?token=" in shown[0]  # the address once more
    assert "guess" not in said


def test_it_opens_a_browser_and_ends_when_it_is_terminated(project):
    with running(project, "--port", free_port(), "--browser") as (process, _):
        opened = _wait_for((project / "opened").read_text)
        assert opened.strip().endswith("-open.html")
        assert ended(process, signal.SIGTERM) == 0
