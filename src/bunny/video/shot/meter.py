"""Shot measures of a stream of thumbnails: all that detector `fast` decides on, threshold or not.

Each look is at a bounded span of frames and at nothing else, so that a stream started in the middle
of a film measures what the whole film's stream does. What is measured can be kept, and cuts, fades
and dissolves decided again at other thresholds without the pictures (`video/change_table`).
"""

from dataclasses import dataclass

import numpy as np

from bunny.video.shot.cut import NEIGHBOURS, CutMeter, CutScore
from bunny.video.shot.dissolve import MAX_REACH, MOST_APART, DissolveMeter, DissolveScore
from bunny.video.shot.fade import MAX_FLAT, FadeDetector
from bunny.video.shot.luma_range import measure_cells
from bunny.video.shot.window import Boundary, RecentFrames

MEASURED_FROM = 0.5  # least `cut_threshold` that is measured for whatever the threshold is


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What became known with one more frame, or with the end of the film."""

    levels: int = 0  # sum of absolute luma differences to the frame before, in grey levels
    num_px: int = 0  # of a thumbnail
    cells: bytes = b""  # mean luma of each of its cells, see `luma_range`
    moved: float = 0.0  # see `window.FrameChange`
    spread: float = 0.0
    light: float = 0.0
    cuts: tuple[CutScore, ...] = ()
    fades: tuple[Boundary, ...] = ()  # whatever the threshold
    dissolves: tuple[tuple[int, tuple[DissolveScore, ...]], ...] = ()  # of each centre looked at


class ChangeMeter:
    """Measures a stream of thumbnails, each of its frames a bounded number of frames late.

    Parameters
    ----------
    threshold : float
        Measured is what may be asked for from this threshold on, or from `MEASURED_FROM` if that
        is less.
    step : int
        Frames between those looked at for dissolves.
    first_index : int
        Absolute number of the first frame that will be pushed.
    num_kept : int
        Thumbnails kept for others to look at.
    """

    def __init__(
        self, threshold: float, step: int, first_index: int = 0, *, num_kept: int = 0
    ) -> None:
        self._step = step
        least = 2 * MAX_REACH * step + MAX_FLAT + 8
        self.recent = RecentFrames(first_index, max(num_kept, least))
        floor = min(MEASURED_FROM, threshold)
        self._cuts = CutMeter(self.recent, floor)
        self._fades = FadeDetector(self.recent, step)
        self._dissolves = DissolveMeter(self.recent, step, floor)

    def push(self, thumb: np.ndarray) -> Measured:
        """Take the next frame's thumbnail, YUV, uint8; gives what is known now."""
        self.recent.add(thumb)
        newest = self.recent.count - 1
        here = self.recent.at(newest)
        cut = self._cuts.at(newest - NEIGHBOURS)
        centre = newest - MAX_REACH * self._step
        return Measured(
            levels=here.levels,
            num_px=thumb.shape[0] * thumb.shape[1],
            cells=measure_cells(thumb[..., 0]),
            moved=here.moved,
            spread=here.spread,
            light=here.light,
            cuts=(cut,) if cut else (),
            fades=tuple(self._fades.at(newest)),
            dissolves=((centre, self._dissolves.at(centre)),),
        )

    def finish(self) -> Measured:
        """Say that no frame follows. A fade to black at the end begins no shot."""
        cuts, centres = last_places(self.recent.count, self._step)
        return Measured(
            cuts=tuple(score for i in cuts if (score := self._cuts.at(i))),
            fades=tuple(self._fades.finish()),
            dissolves=tuple((centre, self._dissolves.at(centre)) for centre in centres),
        )


def last_places(count: int, step: int) -> tuple[range, range]:
    """Frames whose cuts, and centres whose dissolves, are decided at the end of so many frames."""
    return (
        range(count - NEIGHBOURS, count),
        range(count - MAX_REACH * step, count + MOST_APART * step + 1),
    )
