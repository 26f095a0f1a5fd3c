"""Events of frame selection: a frame to take, the end of a shot, where to resume."""

from dataclasses import dataclass
from typing import Any

import polars as pl

from bunny.video.decode import SeekPoint
from bunny.video.frame import DecodedFrame
from bunny.video.shot.fast_detector import FoundShot


@dataclass(frozen=True, kw_only=True)
class Restart:
    """State from which decoding can resume at the first frame of a shot."""

    first_frame_index: int
    first_pts: int
    transition_in: str
    anchor: SeekPoint  # where decoding begins: at or before the shot

    @classmethod
    def from_json(cls, value: dict[str, Any] | None) -> "Restart | None":
        """Read what `dataclasses.asdict` made of one."""
        return cls(**{**value, "anchor": SeekPoint(**value["anchor"])}) if value else None


@dataclass(frozen=True, kw_only=True)
class SelectedFrame:
    """A frame to take; its shot comes later in the stream."""

    frame: DecodedFrame
    reason: str
    crop: tuple[int, int, int, int] | None = None  # (x0, y0, x1, y1) in stored pixels


@dataclass(frozen=True, kw_only=True)
class ShotEnd:
    """A finished shot; all its picks came before."""

    found: FoundShot
    kind: str  # static or dynamic
    start_pts: int
    end_pts: int  # of the next shot's first frame, or the film's end
    restart: Restart | None = None  # for what follows; None: only from the film's start
    change: pl.DataFrame | None = None  # of its frames, see `change_table`; None: not measured
