"""Settings and events of frame selection: a frame to take, the end of a shot, where to resume."""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import polars as pl

from bunny.core.config import ExtractionConfig
from bunny.video.decode import SeekPoint
from bunny.video.frame import DecodedFrame
from bunny.video.keyframe import KeyframeSetting
from bunny.video.shot.fast_detector import FoundShot, ShotSetting


@dataclass(frozen=True, kw_only=True)
class SelectionSetting:
    """Settings of the frames to extract."""

    method: str = "shot"  # shot, interval or keyframe
    interval_s: Fraction = Fraction(2)  # of method interval
    extra_interval_s: Fraction = Fraction(0)  # of method shot: also a frame so often; 0: none
    shot_detector: str = "fast"  # a name of `detector.DETECTORS`
    is_cropped: bool = True  # take letterbox and pillarbox bars off
    shot: ShotSetting = field(default_factory=ShotSetting)
    keyframe: KeyframeSetting = field(default_factory=KeyframeSetting)

    @classmethod
    def from_config(cls, setting: ExtractionConfig) -> "SelectionSetting":
        """Take them from section `extraction`."""
        return cls(
            method=setting.method,
            interval_s=Fraction(setting.interval_seconds).limit_denominator(10**6),
            extra_interval_s=Fraction(setting.extra_interval_seconds).limit_denominator(10**6),
            is_cropped=setting.crop_bars,
            shot_detector=setting.shot_detector,
            shot=ShotSetting(
                cut_threshold=setting.cut_threshold, min_shot_frames=setting.min_shot_frames
            ),
            keyframe=KeyframeSetting(
                static_range=setting.static_range,
                frames_per_dynamic_shot=setting.frames_per_dynamic_shot,
            ),
        )


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
