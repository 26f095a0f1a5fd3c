"""Section `clip` of the settings."""

from typing import Literal

from pydantic import Field, field_validator

from bunny.core.config.section import ConfigSection, Cosine, Share


class ClipConfig(ConfigSection):
    """Stage clip: short clips of each character, for video models."""

    preset: Literal["off", "wan", "wan-5b", "hunyuan", "ltx", "own"] = "off"
    """wan: 16 frames per second; wan-5b, hunyuan, ltx: 24; own: fps, width_px, height_px below"""
    fps: float = Field(default=16.0, ge=1, le=120)
    """frames per second, with preset own"""
    width_px: int = Field(default=832, ge=32, le=4096)
    """with height_px: maximum area, with preset own; the aspect ratio is the film's"""
    height_px: int = Field(default=480, ge=32, le=4096)
    """with width_px: maximum area, with preset own"""
    num_frames: tuple[int, ...] = (121, 81, 49, 33)
    """clip lengths, each 8n + 1; the longest that fits is used, at most 81 for wan, 121 for wan-5b,
    129 for hunyuan and 257 for ltx"""
    max_clips: int = Field(default=100, ge=1, le=100_000)
    """maximum clips per character"""
    max_similarity: Cosine = 0.98
    """maximum cosine similarity of two clips' pictures; of more similar clips only one is
    used if the camera moves in the same way"""
    margin_frames: int = Field(default=2, ge=0, le=1000)
    """film frames left out on each side of a cut"""
    min_coverage: Share = 0.9
    """minimum share of frames that show the character"""
    min_likeness: Cosine = 0.3
    """minimum colour correlation of an interpolated box with the nearest labelled one"""
    min_motion: float = Field(default=0.15, ge=0, le=255)
    """minimum mean change from frame to frame, in grey levels; below it the picture is frozen"""
    max_motion: float = Field(default=30.0, ge=0, le=255)
    """maximum mean change from frame to frame, in grey levels"""
    min_sharpness: float = Field(default=20.0, ge=0)
    """minimum median variance of the Laplacian, on pictures of 320 px"""
    max_text_share: Share = 0.01
    """maximum share of the picture covered by text, measured twice per second; 1: no limit"""
    max_upscale: float = Field(default=1.5, ge=1, le=16)
    """maximum factor by which a picture is enlarged"""
    framing: Literal["whole", "subject"] = "whole"
    """whole picture, or subject: a crop around the character, fixed over the clip"""
    has_audio: bool = False
    """also write the film's sound"""
    caption_provider: Literal["none", "bedrock", "openai", "anthropic", "local"] = "none"
    """none: captions from the tables; otherwise a model (see captioning) is shown three frames of
    each clip"""

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
