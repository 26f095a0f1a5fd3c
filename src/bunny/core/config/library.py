"""Sections of the asset library: corrections, search, timelines, publishing."""

from typing import Literal

from pydantic import Field

from bunny.core.config.section import Section


class Review(Section):
    """Stage review and the board: what people correct and what is learned from it."""

    user: str = ""
    exemplars: int = Field(30, ge=1, le=10_000)
    propagate_similarity: float = Field(0.8, ge=-1, le=1)
    max_propagated: int = Field(500, ge=0, le=1_000_000)
    is_learned_used: bool = True
    learn_method: Literal["auto", "triplet", "threshold", "correlation"] = "auto"
    min_learn_events: int = Field(10, ge=2, le=1_000_000)
    learn_held_out_share: float = Field(0.3, gt=0, lt=1)
    learn_steps: int = Field(300, ge=1, le=1_000_000)
    triplet_margin: float = Field(0.2, gt=0, le=2)
    port: int = Field(8866, ge=0, le=65535)
    idle_seconds: int = Field(120, ge=1, le=1_000_000)


class Search(Section):
    """Finding shots by words, pictures and faces."""

    text_model: str = "minilm"
    exact_below: int = Field(1_000_000, ge=0, le=1_000_000_000)
    index_connectivity: int = Field(16, ge=2, le=256)
    index_expansion_add: int = Field(128, ge=8, le=4096)
    index_expansion_search: int = Field(384, ge=8, le=4096)
    max_results: int = Field(20, ge=1, le=10_000)


class Timeline(Section):
    """Exports to editors."""

    reel: str = ""
    handle_frames: int = Field(0, ge=0, le=10_000)
    media_path: str = ""


class Publish(Section):
    """Publishing tables to Postgres; the address comes from BUNNY_DATABASE_URL alone."""

    schema_name: str = Field("public", pattern=r"^[a-z_][a-z0-9_]*$")
    has_row_security: bool = True
    reader_role: str = "authenticated"
    timeout_seconds: float = Field(600.0, gt=0, le=86_400)
