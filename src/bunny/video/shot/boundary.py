"""Where a shot may begin: all that cuts, fades and dissolves propose, as frames come in.

Each look is at a bounded span of frames and at nothing else, so that a stream started in the middle
of a film proposes what the whole film's stream does. Thresholds leave room on both sides; the
figures beside them are what was seen on a few films.
"""

import numpy as np

from bunny.video.shot.cut import NEIGHBOURS, Cuts
from bunny.video.shot.dissolve import MAX_REACH, MOST_APART, Dissolves
from bunny.video.shot.fade import MAX_FLAT, Fades
from bunny.video.shot.window import Boundary, Recent


class Proposer:
    """Proposes boundaries in a stream of thumbnails, each a bounded number of frames late.

    Parameters
    ----------
    threshold : float
        Scales what is asked for; higher proposes less.
    step : int
        Frames between those looked at for dissolves.
    first_index : int
        Absolute number of the first frame that will be pushed.
    is_loose : bool
        Whether also to propose what is too weak alone, with a strength below 1.
    num_kept : int
        Thumbnails kept for others to look at.
    """

    def __init__(
        self,
        threshold: float,
        step: int,
        first_index: int = 0,
        *,
        is_loose: bool = False,
        num_kept: int = 0,
    ) -> None:
        self._step = step
        least = 2 * MAX_REACH * step + MAX_FLAT + 8
        self.recent = Recent(first_index, max(num_kept, least))
        self._cuts = Cuts(self.recent, threshold, is_loose)
        self._fades = Fades(self.recent, step)
        self._dissolves = Dissolves(self.recent, threshold, step, is_loose)

    def push(self, thumb: np.ndarray) -> list[Boundary]:
        """Take the next frame's thumbnail; gives what is proposed now, mostly nothing."""
        self.recent.add(thumb)
        newest = self.recent.count - 1
        found = [
            self._cuts.at(newest - NEIGHBOURS),
            *self._fades.at(newest),
            *self._dissolves.at(newest - MAX_REACH * self._step),
        ]
        return [boundary for boundary in found if boundary]

    def finish(self) -> list[Boundary]:
        """Say that no frame follows. A fade to black at the end begins no shot."""
        end = self.recent.count
        found = [self._cuts.at(i) for i in range(end - NEIGHBOURS, end)]
        found += self._fades.finish()
        last = end + MOST_APART * self._step
        for centre in range(end - MAX_REACH * self._step, last + 1):
            found += self._dissolves.at(centre)
        return [boundary for boundary in found if boundary]
