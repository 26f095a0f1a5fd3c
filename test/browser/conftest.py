"""Fixtures of the tests that drive a browser: Chromium, a project with a finished film, a lab.

Everything is module-scoped: Playwright's synchronous interface keeps an event loop running in the
main thread, which must be gone when other tests begin theirs.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import lab

sys.path.pop(0)

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")  # Debian's first


@pytest.fixture(scope="module")
def chromium() -> Iterator:
    """A headless Chromium of the system, driven by Playwright; gives its `Browser`."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if path is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        with contextlib.closing(browser):
            yield browser


@pytest.fixture(scope="session")
def project(small_project, tmp_path_factory) -> Path:
    """A project's folder with the notebooks and one small film on which every stage has run.

    It is a copy: what is kept for this film in a notebook is nobody else's setting.
    """
    folder = tmp_path_factory.mktemp("lab") / "project"
    return shutil.copytree(small_project.folder, folder)


@pytest.fixture(scope="module")
def jupyter(chromium, project, tmp_path_factory) -> Iterator[lab.Lab]:
    """JupyterLab on loopback with a token, opened on `project`."""
    with lab.serve(project, tmp_path_factory.mktemp("jupyter")) as server:
        yield lab.Lab(browser=chromium, server=server)
