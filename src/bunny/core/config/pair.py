"""Section `pair` of the settings: pairs of pictures for edit and reference models."""

from typing import Literal

from pydantic import Field, field_validator

from bunny.core.config.section import ConfigSection, Cosine, Share

Seconds = tuple[float, float]


class PairConfig(ConfigSection):
    """Stage pair: pairs of pictures for edit and reference models."""

    kinds: tuple[Literal["reference", "edit", "clip"], ...] = ()
    """kinds of pairs to make (clip: references for clips); []: none"""
    max_pairs: int = Field(default=100, ge=1, le=100_000)
    """maximum pairs per character and kind"""
    min_confidence: Share = 0.7
    """minimum confidence of the label; labels corrected by people have 1"""
    max_references: int = Field(default=4, ge=1, le=4)
    """maximum references per target"""
    min_gap_seconds: float = Field(default=5.0, ge=0, le=100_000)
    """minimum seconds between a target and its references"""
    max_background_similarity: Cosine = 0.8
    """maximum cosine similarity of the places of a target and its references"""
    has_plain_background: bool = False
    """put references on a white background; requires dataset.mask: grabcut"""
    edit_seconds: Seconds = (1.0, 5.0)
    """minimum and maximum seconds between the two pictures of an edit pair"""
    max_shift: float = Field(default=0.03, ge=0, le=0.5)
    """maximum motion of the background in an edit pair, as a share of the width"""
    max_residual: Share = 0.04
    """maximum luma difference of the aligned background of an edit pair"""

    @field_validator("edit_seconds")
    @classmethod
    def _is_span(cls, value: Seconds) -> Seconds:
        if not 0 <= value[0] <= value[1] <= 1000:
            raise ValueError(
                f"expected least and most seconds, e.g. [1, 5], got [{value[0]:g}, {value[1]:g}]"
            )
        return value
