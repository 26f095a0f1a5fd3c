"""Fixtures of the tests that drive a browser: a project with a finished film, a lab."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import lab

sys.path.pop(0)


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
