"""What came out of a film so far: counts, times, and where decoding can be taken up again."""

from dataclasses import dataclass
from fractions import Fraction

from bunny.video.probe import FilmInfo

DEFAULT_RATE = Fraction(25)  # of a film that has neither times nor a rate


@dataclass(kw_only=True)
class Tally:
    """What came out of a film; filled while frames are read."""

    num_decoded: int = 0
    num_packets: int = 0  # frames that the file holds; known when only keyframes are decoded
    num_failed: int = 0  # packets or pictures that gave no frame
    num_damaged: int = 0  # frames that the decoder patched
    num_derived: int = 0  # times that the film lacks, made from the rate
    num_trimmed: int = 0  # packets that an edit list cuts off: decoded and not shown
    num_moved: int = 0  # times that repeated or went back
    is_cut_short: bool = False  # reading ended with an error
    is_interlaced: bool = False
    start_pts: int | None = None
    end_pts: int | None = None  # of the last frame's end

    @property
    def is_clean(self) -> bool:
        """Whether every frame so far came whole and with its own time."""
        return not (self.num_failed or self.num_damaged or self.num_derived or self.num_moved)


@dataclass(frozen=True, kw_only=True)
class Anchor:
    """A codec's keyframe from which decoding gives the same frames as from the film's start.

    Only of a film that was clean so far (`Tally.is_clean`).
    """

    index: int  # of the keyframe, in presentation order
    pts: int  # of the keyframe, in units of the film's time base
    num_decoded: int  # frames before it
    start_pts: int  # of the film's first frame
    is_interlaced: bool = False  # whether a frame so far was
    num_trimmed: int = 0


class Clock:
    """Keeps times strictly rising, continuing them at the film's rate where it must."""

    def __init__(self, info: FilmInfo, tally: Tally) -> None:
        rate = info.rate if info.rate > 0 else DEFAULT_RATE
        self._step = max(1, round(1 / (rate * info.time_base)))
        self._tally = tally
        self._last: int | None = None
        self._offset = 0

    def take(self, pts: int | None, duration: int | None = None) -> int:
        """Time of the next frame: its own, or one step after the last when that cannot be."""
        if pts is None:
            self._tally.num_derived += 1
            pts = 0 if self._last is None else self._last + self._step
        elif self._last is not None and pts + self._offset <= self._last:
            self._tally.num_moved += 1
            self._offset = self._last + self._step - pts
            pts = pts + self._offset
        else:
            pts = pts + self._offset
        self._last = pts
        if self._tally.start_pts is None:
            self._tally.start_pts = pts
        self._tally.end_pts = pts + (duration if duration and duration > 0 else self._step)
        return pts
