"""A JupyterLab on a copy of the project, and a browser's page that runs its notebooks."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

START_S, RUN_S, ANSWER_S = 90, 300, 120  # what a server, a notebook, a widget may take at most
# What every start of JupyterLab itself would ask or fetch from outside.
QUIET = {
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/extensionmanager-extension/plugin": {"enabled": False},
}
# Of the browser's console, what is no fault of ours: start of the message to the reason.
HARMLESS: dict[str, str] = {}
# JupyterLab's promises are never awaited across the wire, only what they leave in the page is
# looked at again and again: Chromium holds an awaited promise weakly, and a panel that is replaced
# or a page that loads anew while it waits ends the test with "promise was garbage collected".
IS_OPEN = """() => {
  const app = window.jupyterapp;
  if (!app) return false;
  window.loading ??= app.started.then(() => app.allPluginsActivated)
    .then(() => { window.isLoaded = true; });
  const panel = [...app.shell.widgets('main')].find(widget => widget.sessionContext);
  const parts = [panel?.context, panel?.sessionContext];
  if (!window.isLoaded || !parts.every(part => part?.isReady) || !panel.isRevealed) return false;
  window.book = panel;
  app.shell.activateById(panel.id);
  return true;
}"""
START = """seconds => {
  window.state = '';
  const end = state => { window.state ||= state; };
  setTimeout(() => end(`still running after ${seconds} s`), seconds * 1000);
  WORK.then(() => end('ended'), error => end(String(error)));
}"""
RUN_ALL = START.replace("WORK", "window.jupyterapp.commands.execute('notebook:run-all-cells')")
SHUT_DOWN = START.replace(
    "WORK",
    """window.book.sessionContext.shutdown()
    .then(() => window.book.context.revert()).then(() => window.book.dispose())""",
)
READ = """() => window.book.model.sharedModel.toJSON().cells
  .filter(cell => cell.cell_type === 'code')
  .map(cell => ({count: cell.execution_count, outputs: cell.outputs.map(output => ({
    kind: output.output_type,
    mime: Object.keys(output.data ?? {}),
    text: [output.text ?? output.data?.['text/markdown'] ?? output.data?.['text/plain'] ?? '']
      .flat().join(''),
    error: output.ename ? `${output.ename}: ${output.evalue}` : '',
  }))}))"""


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running JupyterLab."""

    url: str
    token: str
    folder: Path


@dataclass(kw_only=True)
class Lab:
    """A browser and the server that it looks at."""

    browser: Any
    server: Server

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[Book]:
        """Open one notebook by its file's name; its kernel ends with the block."""
        context = self.browser.new_context(viewport={"width": 1400, "height": 1000})
        page = context.new_page()
        book = Book(page=page)
        page.on("console", lambda m: m.type == "error" and book.hear(m.text))
        page.on("pageerror", lambda error: book.hear(str(error)))
        # A workspace of its own: nothing of an earlier opening is restored into it.
        place = f"lab/workspaces/{Path(name).stem}-{secrets.token_hex(4)}/tree/notebook/{name}"
        address = f"{self.server.url}{place}?token={self.server.token}"
        try:
            page.goto(address, timeout=START_S * 1000)
            page.wait_for_function(IS_OPEN, timeout=START_S * 1000)
            yield book
            assert book.do(SHUT_DOWN, START_S) == "ended"
        finally:
            context.close()


@dataclass(kw_only=True)
class Book:
    """One open notebook. `complaints` is what the browser's console called an error."""

    page: Any
    complaints: list[str] = field(default_factory=list)

    def hear(self, message: str) -> None:
        """Note down an error of the console that is not known to be harmless."""
        if not message.startswith(tuple(HARMLESS)):
            self.complaints.append(message)

    def run(self) -> list[dict[str, Any]]:
        """Run all cells by JupyterLab's own command; the code cells' counts and outputs."""
        state = self.do(RUN_ALL, RUN_S)
        cells = self.page.evaluate(READ)
        assert state == "ended", f"{state}, at cell {_num_done(cells) + 1}"
        return cells

    def do(self, work: str, seconds: float) -> str:
        """Start a piece of work in the page; "ended", or what went wrong with it."""
        self.page.evaluate(work, seconds)
        ended = self.page.wait_for_function("() => window.state", timeout=2 * seconds * 1000)
        return ended.json_value()

    def slide(self, name: str, key: str) -> None:
        """Move the slider of that label by a key of the keyboard, e.g. End."""
        slider = self.page.locator(".widget-slider", has=self.label(name))
        slider.locator(".noUi-handle").press(key)

    def label(self, name: str) -> Any:
        """The label before a widget."""
        return self.page.locator(".widget-label").get_by_text(name, exact=True)

    def press(self, name: str) -> None:
        """Press a widget's button."""
        self.page.locator(".jp-OutputArea").get_by_role("button", name=name, exact=True).click()

    def wait_for(self, text: str) -> None:
        """Wait until a widget shows a text."""
        self.page.locator(".widget-html").get_by_text(text).first.wait_for(timeout=ANSWER_S * 1000)

    def text(self) -> str:
        """What all HTML widgets show."""
        return "\n".join(self.page.locator(".widget-html").all_inner_texts())


def _num_done(cells: list[dict[str, Any]]) -> int:
    """Code cells that came to their end."""
    return sum(cell["count"] is not None for cell in cells)


@contextlib.contextmanager
def serve(project: Path, home: Path) -> Iterator[Server]:
    """JupyterLab on a free loopback port, with a token and settings of its own under `home`."""
    for name, values in QUIET.items():
        path = home / "config" / "lab" / "user-settings" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values), encoding="utf-8")
    token = secrets.token_hex(16)
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--no-browser",
        "--allow-root",
        "--ip=127.0.0.1",
        "--port=0",
        f"--IdentityProvider.token={token}",
        f"--ServerApp.root_dir={project}",
        "--LabApp.expose_app_in_browser=True",
    ]
    own = {f"JUPYTER_{n.upper()}_DIR": str(home / n) for n in ("config", "data", "runtime")}
    environment = os.environ | own | {"IPYTHONDIR": str(home / "ipython")}
    with (home / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=project, env=environment, stdout=log, stderr=log)
        try:
            yield Server(url=_wait(process, home), token=token, folder=project)
        finally:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen, home: Path) -> str:
    """The address that a starting server notes down once it listens."""
    ends = time.monotonic() + START_S
    while time.monotonic() < ends and process.poll() is None:
        for path in (home / "runtime").glob("jpserver-*.json"):
            with contextlib.suppress(ValueError):
                return json.loads(path.read_text(encoding="utf-8"))["url"]
        time.sleep(0.2)
    log = (home / "log").read_text(encoding="utf-8")
    pytest.fail(f"JupyterLab did not start within {START_S} s: {log[-2000:]}")
