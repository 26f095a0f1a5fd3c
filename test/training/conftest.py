"""A tiny untrained base of Stable Diffusion's classes, made once a session."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory) -> Path:
    """32x32 pictures, 4x4 latents, a few thousand weights."""
    from bunny.training import toy

    folder = tmp_path_factory.mktemp("tiny") / "base"
    toy.save_tiny(folder, seed=7)
    return folder


@pytest.fixture
def tiny_base(tiny_folder):
    """The tiny base, loaded."""
    from bunny.training import base

    return base.load_base(str(tiny_folder), device="cpu")
