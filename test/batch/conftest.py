"""Small films for batches, and a project folder without settings of its own."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from noise_film import encode


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
