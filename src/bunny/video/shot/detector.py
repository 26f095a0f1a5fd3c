"""Shot detectors by name (fast, accurate, transnet, scenedetect-*) and their protocol.

All share one protocol: `look(frame, info)` gives the small picture that a detector needs of a
frame, `push(small)` and `finish()` give finished shots, at most `lag` frames late. A detector whose
`warmup` is a number can be started in the middle of a film, so many frames before a boundary, by
`start(first_index, shot_first, transition_in)`, and goes on as if it had seen all of it.
"""

from fractions import Fraction
from typing import Protocol

import numpy as np

from bunny.core.config import ExtractionConfig
from bunny.video.frame import DecodedFrame
from bunny.video.probe import FilmInfo
from bunny.video.shot import transnet
from bunny.video.shot.accurate_detector import AccurateDetector
from bunny.video.shot.fast_detector import FastDetector, FoundShot
from bunny.video.shot.meter import Measured
from bunny.video.shot.pyscenedetect import PySceneDetectDetector


class Detector(Protocol):
    """Finds shots in a stream of frames."""

    lag: int  # frames that a shot may come out late

    @property
    def measured(self) -> Measured | None:
        """Measures of the last frame; None where there is nothing to decide again on."""
        ...

    @property
    def warmup(self) -> int | None:
        """Frames before a boundary to begin at; None: the film's start."""
        ...

    def start(
        self, first_index: int = 0, shot_first: int = 0, transition_in: str = "start"
    ) -> None:
        """Begin a stream at an absolute frame number, the running shot known."""

    def look(self, frame: DecodedFrame, info: FilmInfo) -> np.ndarray | tuple[np.ndarray, ...]:
        """Small picture or pictures that the detector needs of a frame."""
        ...

    def push(self, small, /) -> list[FoundShot]:
        """Take what `look` gave of the next frame; gives the shots that it finishes."""
        ...

    def finish(self) -> list[FoundShot]:
        """Say that no frame follows; gives the remaining shots."""
        ...


def make_detector(extraction: ExtractionConfig, rate: Fraction) -> Detector:
    """Make the shot detector that the settings name.

    Parameters
    ----------
    rate : Fraction
        Frames a second; 0 when unknown.

    Raises
    ------
    UserError
        If a package that the detector needs is absent.
    """
    name = extraction.shot_detector
    if name == "fast":
        return FastDetector(extraction, rate)
    if name == "accurate":
        return AccurateDetector(extraction, rate, transnet.load_network())
    if name == "transnet":
        return transnet.TransNetDetector(extraction, rate, transnet.load_network())
    return PySceneDetectDetector(extraction, rate)
