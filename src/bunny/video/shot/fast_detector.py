"""Shot detector `fast`: cuts, fades and dissolves on thumbnails, in one pass.

Frames go in one by one as thumbnails; finished shots come out a bounded number of frames later,
so memory does not grow with the film. What is decided about a shot depends on a bounded number of
frames around it: a detector started `warmup` frames before a boundary goes on as if it had seen the
whole film.

Measuring (`meter`, `cut`, `fade`, `dissolve`) and deciding are apart: `FastDetector.decide` takes
what was measured of each frame, now or long ago, and knows no pictures. Thresholds leave room on
both sides; the figures beside them are what was seen on a few films.
"""

from collections import deque
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np

from bunny.core.config import ExtractionConfig
from bunny.video import frame
from bunny.video.shot import dissolve
from bunny.video.shot.cut import decide_cut
from bunny.video.shot.dissolve import MOST_APART, DissolveDecision
from bunny.video.shot.fade import MAX_FLAT
from bunny.video.shot.luma_range import NUM_CELLS, luma_range, measure_cells, settled_frames
from bunny.video.shot.meter import ChangeMeter, Measured
from bunny.video.shot.window import Boundary

STEP_RATE = 25  # frames a second; faster films are looked at in wider steps for dissolves
CLEAR_OF_CUT = 2  # steps beside a dissolve in which a cut takes its place
CLEAR_OF_FADE = 3  # steps beside a fade's flanks, which look like dissolves
MARGIN = MOST_APART  # steps from which one boundary may do away with another
DELAY = 80  # steps until a boundary is known: dissolves take 24 + 36 + 20, fades 72
WARMUP = 84  # steps before a boundary that decide on it; flat spans reach further, by frames


@dataclass(frozen=True, kw_only=True)
class FoundShot:
    """Frames from `first_frame_index` up to, not including, `end_frame_index`."""

    first_frame_index: int
    end_frame_index: int
    transition_in: str  # start, cut, fade or dissolve
    transition_out: str  # cut, fade, dissolve or end
    motion: float  # mean plain difference of neighbouring frames within the shot, in [0, 1]
    luma_range: float  # how far its frames differ from each other, see `luma_range`; in [0, 1]


class RunningShot:
    """The running shot and how much has changed in it: gives shots as boundaries become known.

    Changes are summed as whole grey levels, so that a shot's motion is the same to the last bit
    wherever the stream was started.

    Parameters
    ----------
    first_index : int
        Absolute number of the first frame that will be added.
    shot_first : int
        First frame of the running shot, at or after `first_index`.
    lag : int
        Frames after which a boundary may still be told.
    """

    def __init__(self, first_index: int, shot_first: int, transition_in: str, lag: int) -> None:
        self.count, self.first, self.transition = first_index, shot_first, transition_in
        self._before: np.ndarray | None = None
        self._num_px = 0
        self._first_total = 0
        self._totals: deque[int] = deque(maxlen=lag + 2)
        self._cells = bytearray()  # of the frames of the running shot, `NUM_CELLS` each

    def add(self, luma: np.ndarray) -> None:
        """Take the next frame's luma, shape (height, width), uint8."""
        levels = 0
        if self._before is not None:
            levels = int(cv2.norm(self._before, luma, cv2.NORM_L1))
        self._before = luma
        self.add_measured(levels, luma.size, measure_cells(luma))

    def add_measured(self, levels: int, num_px: int, cells: bytes) -> None:
        """Take what was measured of the next frame.

        Parameters
        ----------
        levels : int
            Sum of absolute luma differences to the frame before.
        num_px : int
            Of the thumbnail.
        cells : bytes
            From `luma_range.measure_cells`.
        """
        self._num_px = num_px
        self._totals.append((self._totals[-1] if self._totals else 0) + levels)
        if self.count == self.first:
            self._first_total = self._totals[-1]
        if self.count >= self.first:
            self._cells += cells
        self.count += 1

    def close(self, end: int, transition_out: str) -> FoundShot:
        """End the running shot before frame `end`, where the next one begins."""
        steps = end - 1 - self.first
        changed = self._totals[end - 1 - self.count] - self._first_total
        size = self._num_px
        found = FoundShot(
            first_frame_index=self.first,
            end_frame_index=end,
            transition_in=self.transition,
            transition_out=transition_out,
            motion=changed / (255 * size * steps) if steps else 0.0,
            luma_range=self._take_range(end, transition_out),
        )
        self.first, self.transition = end, transition_out
        if end < self.count:
            self._first_total = self._totals[end - self.count]
        return found

    def _take_range(self, end: int, transition_out: str) -> float:
        """Range of the running shot up to `end`; its cells are forgotten here."""
        cells = np.frombuffer(bytes(self._cells), np.uint8).reshape(-1, NUM_CELLS)
        settled = settled_frames(self.first, end, self.transition, transition_out)
        found = luma_range(cells[settled.start - self.first : settled.stop - self.first])
        del self._cells[: (end - self.first) * NUM_CELLS]
        return found


class FastDetector:
    """Finds shots in a stream of thumbnails.

    Parameters
    ----------
    rate : Fraction
        Frames a second; 0 when unknown.
    """

    least_delay = 0  # frames until a boundary is known, however slow the film is
    num_kept = 0  # thumbnails that are kept at least

    def __init__(self, extraction: ExtractionConfig, rate: Fraction = Fraction(24)) -> None:
        self._extraction = extraction
        self.step = self.step_of(rate)
        self._margin = MARGIN * self.step
        self._delay = max(self.least_delay, DELAY * self.step)
        self.lag = self._delay + self._margin + 1  # a shot comes out at most so much late
        self.warmup = WARMUP * self.step + MAX_FLAT + 8
        self.start()

    look = staticmethod(frame.thumb)
    measured: Measured | None = None  # of the last frame that was pushed

    @staticmethod
    def step_of(rate: Fraction) -> int:
        """Frames between those that dissolves are looked at in."""
        return max(1, round(rate / STEP_RATE))

    def start(
        self, first_index: int = 0, shot_first: int = 0, transition_in: str = "start"
    ) -> None:
        """Begin a stream, perhaps in the middle of a film.

        Parameters
        ----------
        first_index : int
            Absolute number of the first frame that will be pushed: 0, or at least `warmup` before
            `shot_first`.
        shot_first : int
            First frame of the first shot to give out.
        transition_in : str
            How it begins.
        """
        self._meter = ChangeMeter(
            self._extraction.cut_threshold, self.step, first_index, num_kept=self.num_kept
        )
        self._dissolves = DissolveDecision(self._extraction.cut_threshold, self.step)
        self._start = first_index
        self._line = RunningShot(first_index, shot_first, transition_in, self.lag)
        self._found: list[Boundary] = []
        self._last: Boundary | None = None  # the running shot's own boundary
        self._fade: Boundary | None = None  # the last one, though a cut into black took its place

    def push(self, thumb: np.ndarray) -> list[FoundShot]:
        """Take the next frame's thumbnail; gives the shots that it finishes, mostly none."""
        self.measured = self._meter.push(thumb)
        return self.decide(self.measured)

    def finish(self) -> list[FoundShot]:
        """Say that no frame follows; gives the remaining shots. Empty for a film of no frames."""
        self.measured = self._meter.finish()
        return self.decide_end(self.measured)

    def decide(self, measured: Measured) -> list[FoundShot]:
        """As `push`, from what was measured when the frame came."""
        self._line.add_measured(measured.levels, measured.num_px, measured.cells)
        self._take(measured)
        return self._settle(self._line.count - self._delay)

    def decide_end(self, measured: Measured) -> list[FoundShot]:
        """As `finish`, from what was measured at the film's end."""
        count = self._line.count
        if count == self._start:
            return []
        self._take(measured)
        end = count - self._extraction.min_shot_frames
        self._found = [b for b in self._found if b.index <= end]
        shots = self._settle(count + self._margin)
        return [*shots, self._line.close(count, "end")]

    def _take(self, measured: Measured) -> None:
        """Keep the boundaries that the threshold leaves of what was measured."""
        threshold = self._extraction.cut_threshold
        found = [decide_cut(cut, threshold) for cut in measured.cuts]
        found += measured.fades
        for centre, scores in measured.dissolves:
            found += self._dissolves.at(centre, scores)
        self._found += [boundary for boundary in found if boundary]

    def _settle(self, horizon: int) -> list[FoundShot]:
        """Close the shots whose end no boundary at or after `horizon` can move."""
        shots = []
        if not self._found:
            return shots
        self._found.sort(key=lambda b: (b.index, b.kind))
        while self._found and self._found[0].index + self._margin < horizon:
            boundary = self._found.pop(0)
            if boundary.kind == "fade":
                self._fade = boundary
            if boundary.index == self._line.first and boundary.kind == self._line.transition:
                self._last = boundary  # a stream that was started here meets its own beginning
            if boundary.index - self._line.first < self._extraction.min_shot_frames:
                continue
            rivals = [*self._found, self._last, self._fade]
            if any(self.beats(other, boundary) for other in rivals if other):
                continue
            shots.append(self._line.close(boundary.index, boundary.kind))
            self._last = boundary
        return shots

    def beats(self, one: Boundary, two: Boundary) -> bool:
        """Whether `one` stays and `two` goes because they are the same event."""
        gap = abs(one.index - two.index)
        if one.kind == two.kind:
            reach = self._extraction.min_shot_frames
            if one.kind == "dissolve":
                halves = (one.span[1] - one.span[0] + two.span[1] - two.span[0]) // 2
                reach = dissolve.min_gap(halves // self.step) * self.step
            return gap < reach and (one.strength, two.index) > (two.strength, one.index)
        if two.kind == "dissolve" and one.kind == "fade":
            near = CLEAR_OF_FADE * self.step
            first, end = one.flank or one.span
            return first - near <= two.index < end + near
        if two.kind == "dissolve":
            near = CLEAR_OF_CUT * self.step
            return one.strength >= 1 and two.span[0] - near <= one.index <= two.span[1] + near
        if one.kind == "dissolve":
            return two.strength < 1 and one.span[0] <= two.index <= one.span[1]
        if one.kind == "cut":  # into black, or out of it
            return two.span[0] - 1 <= one.index <= two.span[1] + 1
        return False
