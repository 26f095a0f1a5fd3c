"""Shot detector `accurate`: the measures of `fast` and TransNetV2's likelihoods, decided together.

The two err differently. The network knows pictures: it sees weak cuts within fast motion and mixes
of moving pictures, and no boundary in a drifting view. It takes flashes and lamps for boundaries
and misses fades, which the measures tell. So the network decides where the measures are in doubt,
and adds what they miss where the pictures before and after differ. Limits were chosen on composed
films and tried on others (`test/bench/bench_shot.py`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from bunny.core.config import ExtractionConfig
from bunny.video.shot import frame_difference
from bunny.video.shot.cut import CutScore
from bunny.video.shot.dissolve import MAX_REACH
from bunny.video.shot.fast_detector import FastDetector, FoundShot
from bunny.video.shot.meter import Measured
from bunny.video.shot.transnet import GRADUAL_RUN, LikelihoodStream, boundary_of
from bunny.video.shot.window import Boundary

AROUND_CUT = 2  # frames; the network marks the last frame before a cut
SAME_VIEW_LIKELIHOOD = 0.35  # least, of a cut between two views of one thing
WEAK_CUT = 0.5  # least strength of a cut; with the likelihood added it has to reach 1
DOUBTED_CUT, DOUBTED_LIKELIHOOD = 1.5, 0.05  # a weaker cut that is less likely is none
DOUBTED_DISSOLVE = 1.05  # weight: a mix of moving pictures, told by contrast and edges alone
DISSOLVE_LIKELIHOOD = (0.1, 0.2)  # least of either head, of such a dissolve
RUN_LIKELIHOOD = (0.4, 0.5)  # of either head, in a run of frames that may be a boundary
RUN_GAP = 2  # frames that may lie between two of a run
MAX_RUN = 60  # frames; a longer run is no boundary
ALONE_LIKELIHOOD = (0.5, 0.6)  # least in a run that the network alone tells; of cuts the first
OUTSIDE = 3  # frames from a run to the pictures before and after it
MAX_LIKENESS, LEAST_CHANGE, MAX_MATCH = 0.75, 0.03, 0.8  # of these two pictures
CLEAR = 4  # steps around a boundary of the measures in which the network tells no other


@dataclass(frozen=True, kw_only=True)
class NetworkBoundary(Boundary):
    """A boundary that the network alone tells."""


class AccurateDetector(FastDetector):
    """Finds shots by measures and network.

    Parameters
    ----------
    extraction : ExtractionConfig
        `cut_threshold` scales what is asked of measures and network.
    rate : Fraction
        Frames a second; 0 when unknown.
    likelihood : callable
        As `transnet.load_network` gives.
    """

    least_delay = LikelihoodStream.lag + MAX_RUN // 2 + RUN_GAP + OUTSIDE + 2

    def __init__(self, extraction: ExtractionConfig, rate: Fraction, likelihood) -> None:
        self._likelihood = likelihood
        step = self.step_of(rate)
        self.least_delay = max(self.least_delay, LikelihoodStream.lag + MAX_REACH * step + 2)
        self.num_kept = self.least_delay + MAX_RUN
        super().__init__(extraction, rate)
        self.warmup += LikelihoodStream.lag + MAX_RUN

    def start(
        self, first_index: int = 0, shot_first: int = 0, transition_in: str = "start"
    ) -> None:
        """Begin a stream; as `FastDetector.start`."""
        super().start(first_index, shot_first, transition_in)
        num_kept = self._delay + 2 * MAX_REACH * self.step + MAX_RUN
        self._stream = LikelihoodStream(self._likelihood, first_index, num_kept)
        self._waiting: list[Boundary | CutScore] = []  # for the likelihoods of their frames
        self._run: list[int] = []  # frames
        self._followed = self._stream.known
        self._is_end = False
        self._is_run_known = first_index == 0  # one that began before the first frame is not

    def push(self, thumb: np.ndarray) -> list[FoundShot]:
        """Take the next frame's thumbnail; gives the shots that it finishes, mostly none."""
        self._stream.push(thumb)
        return super().push(thumb)

    def finish(self) -> list[FoundShot]:
        """Say that no frame follows; gives the remaining shots. Empty for a film of no frames."""
        self._stream.finish()
        self._is_end = True
        return super().finish()

    def _take(self, measured: Measured) -> None:
        """Keep of what was measured, and of what the network says, what both leave."""
        self._found += measured.fades
        self._waiting += measured.cuts
        for centre, scores in measured.dissolves:
            self._waiting += self._dissolves.at(centre, scores)
        known, waiting = self._stream.known, self._waiting
        self._waiting = [b for b in waiting if not self._is_end and known < _end_of(b)]
        for item in waiting:
            if item not in self._waiting:
                found = (
                    self.decide_cut(item)
                    if isinstance(item, CutScore)
                    else self.decide_dissolve(item)
                )
                self._found += [found] if found else []
        self._found += self.network_boundaries()

    def decide_cut(self, measured: CutScore) -> Boundary | None:
        """Decide on a cut."""
        strength = measured.score / self._extraction.cut_threshold
        if strength < WEAK_CUT or measured.veto not in ("none", "same-view"):
            return None
        index = measured.index
        around = self._stream.between(index - AROUND_CUT, index + AROUND_CUT)
        likely = float(around[:, 0].max(initial=0))
        if measured.veto == "same-view":
            is_cut = strength >= 1 and likely >= SAME_VIEW_LIKELIHOOD
        elif strength >= 1:
            is_cut = strength >= DOUBTED_CUT or likely >= DOUBTED_LIKELIHOOD
        else:
            is_cut = strength + likely >= 1
        if not is_cut:
            return None
        return Boundary(index=index, kind="cut", strength=strength, span=(index, index))

    def decide_dissolve(self, boundary: Boundary) -> Boundary | None:
        """Decide on a dissolve."""
        if boundary.strength > DOUBTED_DISSOLVE:
            return boundary
        likely = self._stream.between(boundary.span[0], boundary.span[1] + 1)
        is_likely = (likely.max(axis=0, initial=0) >= DISSOLVE_LIKELIHOOD).any()
        return boundary if is_likely else None

    def network_boundaries(self) -> Iterator[NetworkBoundary]:
        """Follow what became known of the network's runs; gives the boundaries that they are."""
        known = self._stream.known
        rows = self._stream.between(self._followed, known)
        least = np.minimum(np.array(RUN_LIKELIHOOD) * self._extraction.cut_threshold, 0.99)
        is_likely = np.asarray((rows >= least).any(axis=1)).tolist()
        for index, is_in_run in enumerate(is_likely, self._followed):
            if is_in_run:
                self._run.append(index)
            elif not self._run or index - self._run[-1] > RUN_GAP:
                yield from self._end_run()
        self._followed = known
        if self._is_end:
            yield from self._end_run()

    def _end_run(self) -> Iterator[NetworkBoundary]:
        """Decide on the run that ended, if there is one."""
        run, self._run = self._run, []
        is_known, self._is_run_known = self._is_run_known, True
        if not run or not is_known or run[-1] - run[0] >= MAX_RUN:
            return
        first, last = run[0], run[-1]
        likely = self._stream.between(first, last + 1)
        is_long = last + 1 - first >= GRADUAL_RUN
        least = np.array(ALONE_LIKELIHOOD) * self._extraction.cut_threshold
        is_sure = likely.max(axis=0) >= np.minimum(least, 0.99)
        if not (is_sure[0] or (is_long and is_sure[1])) or not self._is_other_picture(first, last):
            return
        index, is_cut = boundary_of(range(first, last + 1), likely[:, 0].tolist())
        yield NetworkBoundary(
            index=index,
            kind="cut" if is_cut else "dissolve",
            strength=float(likely.max()) / 2,
            span=(first, last + 2),
        )

    def _is_other_picture(self, first: int, last: int) -> bool:
        """Whether the pictures before and after a run are two, and not one in two lights."""
        recent = self._meter.recent
        one = recent.thumb(max(recent.oldest, first - OUTSIDE))
        two = recent.thumb(min(recent.count - 1, last + 1 + OUTSIDE))
        return (
            frame_difference.plain_difference(one, two) >= LEAST_CHANGE
            and frame_difference.correlation(one, two) <= MAX_LIKENESS
            and frame_difference.best_match(one, two) <= MAX_MATCH
        )

    def beats(self, one: Boundary, two: Boundary) -> bool:
        """Whether `one` stays and `two` goes: the network's gives way to what was measured."""
        if isinstance(two, NetworkBoundary):
            if isinstance(one, NetworkBoundary):
                near = abs(one.index - two.index) < 2 * CLEAR * self.step
                return near and (one.strength, two.index) > (two.strength, one.index)
            first, end = one.flank or one.span
            clear = CLEAR * self.step
            return first - clear <= two.index <= end + clear
        return not isinstance(one, NetworkBoundary) and super().beats(one, two)


def _end_of(item: Boundary | CutScore) -> int:
    """Frame up to which likelihoods decide on it."""
    return item.index + AROUND_CUT if isinstance(item, CutScore) else item.span[1] + 1
