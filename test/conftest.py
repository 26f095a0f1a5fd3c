"""Fixtures shared by all tests."""

from pathlib import Path

import pytest

MATERIAL = (Path(__file__).resolve().parents[2] / "shared" / "material").resolve()


@pytest.fixture(scope="session")
def material() -> Path:
    """Real films and references; absent for most people."""
    if not MATERIAL.is_dir():
        pytest.skip("the folder of real films beside the checkout is absent")
    return MATERIAL


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch):
    """Tests never see the settings of whoever runs them."""
    import os

    for name in list(os.environ):
        if name.startswith("BUNNY_"):
            monkeypatch.delenv(name)
