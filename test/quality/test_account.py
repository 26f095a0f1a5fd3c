"""What each threshold takes away."""

import runpy
from pathlib import Path
from types import SimpleNamespace

from bunny.core.config import FilteringConfig
from bunny.quality import reason as quality_reason

film = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("film.py"))))


def _losses(*rows):
    found = quality_reason.count_losses(film.measures(*rows), FilteringConfig(min_contrast=0.03))
    return {reason: (failed, alone) for reason, failed, alone in found.iter_rows() if failed}


def test_alone_and_together():
    rows = ({}, {"blur_score": 0.1}, {"blur_score": 0.1, "brightness": 0.01}, {"contrast": 0.0})
    assert _losses(*rows) == {"dark": (1, 0), "flat": (1, 1), "blurred": (2, 1)}


def test_an_unreadable_frame_fails_nothing_else():
    rows = {"blur_score": None, "brightness": None, "contrast": None, "error": "gone"}
    assert _losses(rows) == {"unreadable": (1, 1)}
    assert _losses() == {}
