"""Section `pair` of the settings: pairs of pictures for edit and reference models."""

from typing import Literal

from pydantic import Field, field_validator

from bunny.core.config.section import ConfigSection

Seconds = tuple[float, float]


class PairConfig(ConfigSection):
    """Stage pair: which pictures and clips become targets and references."""

    kinds: tuple[Literal["reference", "edit", "clip"], ...] = ()
    max_pairs: int = Field(default=100, ge=1, le=100_000)
    min_confidence: float = Field(default=0.7, ge=0, le=1)
    max_references: int = Field(default=4, ge=1, le=4)
    min_gap_seconds: float = Field(default=5.0, ge=0, le=100_000)
    max_background_similarity: float = Field(default=0.8, ge=-1, le=1)
    has_plain_background: bool = False
    edit_seconds: Seconds = (1.0, 5.0)
    max_shift: float = Field(default=0.03, ge=0, le=0.5)
    max_residual: float = Field(default=0.04, ge=0, le=1)

    @field_validator("edit_seconds")
    @classmethod
    def _is_span(cls, value: Seconds) -> Seconds:
        if not 0 <= value[0] <= value[1] <= 1000:
            raise ValueError(
                f"expected least and most seconds, e.g. [1, 5], got [{value[0]:g}, {value[1]:g}]"
            )
        return value
