"""Small films for batches, and a project folder without settings of its own."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from noise_film import encode


@pytest.fixture(scope="session")
def quick_ray(tmp_path_factory) -> str:
    """A folder for PYTHONPATH with which processes of Ray start in half the time.

    Each imports jsonschema, which takes the optional package rfc3987_syntax where it is installed;
    that builds a grammar for two seconds when it is imported, and Ray gives its agents 15 s.
    """
    folder = tmp_path_factory.mktemp("quick")
    text = "raise ImportError('left out, see test/batch/conftest.py')\n"
    (folder / "rfc3987_syntax.py").write_text(text, encoding="utf-8")
    return str(folder)


@pytest.fixture(autouse=True)
def _no_report(monkeypatch):
    """Films' own reports take longer than all else here; processes that are started inherit it."""
    monkeypatch.setenv("BUNNY_PIPELINE__HAS_REPORT", "false")


@pytest.fixture
def wait_for() -> Callable:
    """Wait for what a condition gives once it is true."""

    def wait(condition: Callable, seconds: float = 60.0):
        until = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < until, "it never came"
            time.sleep(0.05)
        return found

    return wait


@pytest.fixture
def film(tmp_path) -> Callable[..., Path]:
    """Make a film of a name; ``film("a", seconds=2)``."""

    def make(name: str, seconds: float = 1.0) -> Path:
        return encode(tmp_path / f"{name}.mp4", seconds, seed=len(name) + ord(name[0]))

    return make
