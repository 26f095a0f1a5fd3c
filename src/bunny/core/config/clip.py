"""Section `clip` of the settings: short clips of a character for video models."""

from typing import Literal

from pydantic import Field, field_validator

from bunny.core.config.section import ConfigSection

Preset = Literal["off", "wan", "wan-5b", "hunyuan", "ltx", "own"]


class ClipConfig(ConfigSection):
    """Stage clip: which runs of frames become clips and how they are written."""

    preset: Preset = "off"
    fps: float = Field(default=16.0, ge=1, le=120)
    width_px: int = Field(default=832, ge=32, le=4096)
    height_px: int = Field(default=480, ge=32, le=4096)
    num_frames: tuple[int, ...] = (121, 81, 49, 33)
    max_clips: int = Field(default=100, ge=1, le=100_000)
    max_similarity: float = Field(default=0.98, ge=-1, le=1)
    margin_frames: int = Field(default=2, ge=0, le=1000)
    min_coverage: float = Field(default=0.9, ge=0, le=1)
    min_likeness: float = Field(default=0.3, ge=-1, le=1)
    min_motion: float = Field(default=0.15, ge=0, le=255)
    max_motion: float = Field(default=30.0, ge=0, le=255)
    min_sharpness: float = Field(default=20.0, ge=0)
    max_text_share: float = Field(default=0.01, ge=0, le=1)
    max_upscale: float = Field(default=1.5, ge=1, le=16)
    framing: Literal["whole", "subject"] = "whole"
    has_audio: bool = False
    caption_provider: Literal["none", "bedrock", "openai", "anthropic", "local"] = "none"

    @field_validator("num_frames")
    @classmethod
    def _are_lengths(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        wrong = [n for n in value if n < 9 or n % 8 != 1]
        if wrong or not value:
            given = ", ".join(map(str, value)) or "none"
            raise ValueError(
                f"expected lengths of 8n + 1 frames, e.g. 33, 49, 81, 121, got {given}"
            )
        return value
