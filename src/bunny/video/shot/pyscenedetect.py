"""PySceneDetect's detectors, fed frame by frame during the one decode.

Frames are counted, never timed, so films of variable frame rate keep exact indices. Pictures are
shrunk as that library shrinks them by itself. Its thresholds are its defaults, scaled by
`cut_threshold`.
"""

from fractions import Fraction
from importlib.util import find_spec
from typing import Any

import cv2
import numpy as np

from bunny.core.config import ExtractionConfig
from bunny.core.error import UserError
from bunny.video import frame as video_frame
from bunny.video.frame import DecodedFrame
from bunny.video.probe import FilmInfo
from bunny.video.shot.fast_detector import FoundShot, RunningShot

LEAST_WIDTH_PX = 256  # pictures are shrunk by a whole number to about so much, PySceneDetect 0.7
ADAPTIVE_THRESHOLD, CONTENT_THRESHOLD = 3.0, 27.0  # PySceneDetect 0.7
DEFAULT_RATE = 25.0
LAG = 60  # frames beyond the shortest shot that a cut may be told late


class PySceneDetectDetector:
    """Finds shots by a detector of PySceneDetect.

    `warmup` is None: its filter of short shots remembers the last cut, so a film is taken up from
    its start.

    Parameters
    ----------
    extraction : ExtractionConfig
        With shot detector `scenedetect-adaptive` or `scenedetect-content`.
    rate : Fraction
        Frames a second; 0 when unknown.

    Raises
    ------
    UserError
        If PySceneDetect is absent.
    """

    warmup = None
    measured: None = None

    def __init__(self, extraction: ExtractionConfig, rate: Fraction) -> None:
        if find_spec("scenedetect") is None:
            raise UserError(
                f"extraction.shot_detector is {extraction.shot_detector}, but the package "
                "scenedetect is not installed; install it without its dependencies (it requires "
                "another OpenCV), or choose `fast`"
            )
        self._extraction = extraction
        self._rate = float(rate) or DEFAULT_RATE
        self.lag = LAG + extraction.min_shot_frames
        self.start()

    def start(
        self, first_index: int = 0, shot_first: int = 0, transition_in: str = "start"
    ) -> None:
        """Begin a stream; as `Detector.start`, but exact from the film's start only."""
        self._line = RunningShot(first_index, shot_first, transition_in, self.lag)
        self._detector = _make(self._extraction)

    def look(self, frame: DecodedFrame, info: FilmInfo) -> tuple[np.ndarray, np.ndarray]:
        """Thumbnail of a frame, and the BGR picture for PySceneDetect."""
        raw = frame.raw
        width, height = info.stored_width_px, info.stored_height_px
        factor = max(1.0, width / LEAST_WIDTH_PX)
        size = max(1, round(width / factor)), max(1, round(height / factor))
        if isinstance(raw, np.ndarray):
            bgr = cv2.resize(raw, size, interpolation=cv2.INTER_LINEAR)
        else:
            small = raw.reformat(width=size[0], height=size[1], format="bgr24", threads=1)
            bgr = small.to_ndarray()
        return video_frame.thumb(frame, info), bgr

    def push(self, small: tuple[np.ndarray, np.ndarray]) -> list[FoundShot]:
        """Take what `look` gave of the next frame; gives the shots that it finishes."""
        from scenedetect.common import FrameTimecode

        thumb, bgr = small
        now = FrameTimecode(self._line.count, fps=self._rate)
        self._line.add(thumb[..., 0])
        return self._cut(self._detector.process_frame(now, bgr))

    def finish(self) -> list[FoundShot]:
        """Say that no frame follows; gives the remaining shots."""
        from scenedetect.common import FrameTimecode

        count = self._line.count
        if count == 0:
            return []
        shots = self._cut(self._detector.post_process(FrameTimecode(count - 1, fps=self._rate)))
        return [*shots, self._line.close(count, "end")]

    def _cut(self, times: list) -> list[FoundShot]:
        """Shots that end at the frames told; none so late that it is forgotten, none empty."""
        oldest = max(self._line.first, self._line.count - self.lag)
        indices = sorted({time.frame_num for time in times})
        return [self._line.close(i, "cut") for i in indices if oldest < i < self._line.count]


def _make(extraction: ExtractionConfig) -> Any:
    """Make PySceneDetect's detector."""
    from scenedetect.detectors import AdaptiveDetector, ContentDetector

    if extraction.shot_detector == "scenedetect-adaptive":
        return AdaptiveDetector(
            adaptive_threshold=ADAPTIVE_THRESHOLD * extraction.cut_threshold,
            min_scene_len=extraction.min_shot_frames,
        )
    return ContentDetector(
        threshold=CONTENT_THRESHOLD * extraction.cut_threshold,
        min_scene_len=extraction.min_shot_frames,
    )
