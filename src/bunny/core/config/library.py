"""Sections of the settings about many films: search, timelines and publishing."""

from pydantic import Field

from bunny.core.config.section import ConfigSection


class SearchConfig(ConfigSection):
    """`bunny search` and the search notebook: find shots by words, pictures and faces."""

    text_model: str = "minilm"
    """minilm (offline, searches captions), or a CLIP folder or hub id (searches the pictures)"""
    exact_below: int = Field(default=1_000_000, ge=0, le=1_000_000_000)
    """compare all vectors up to this number; above it use an HNSW index"""
    index_connectivity: int = Field(default=16, ge=2, le=256)
    """connections per node of the HNSW graph"""
    index_expansion_add: int = Field(default=128, ge=8, le=4096)
    """candidates per insertion; more: better recall, slower to build"""
    index_expansion_search: int = Field(default=384, ge=8, le=4096)
    """candidates per query; more: better recall, slower; at least 50 per result are used, so with
    20 results values below 1000 have no effect"""
    max_results: int = Field(default=20, ge=1, le=10_000)
    """shots to return"""


class TimelineConfig(ConfigSection):
    """Timeline exports for editors: EDL, FCP 7 XML, FCPXML, OTIO."""

    reel: str = ""
    """reel name; empty: from the film's file name"""
    handle_frames: int = Field(default=0, ge=0, le=10_000)
    """frames added to each end of a clip"""
    media_path: str = ""
    """path of the film on the editing machine, or a folder ending in a slash; empty: its path
    here"""


class PublishConfig(ConfigSection):
    """`bunny publish` to Postgres; set BUNNY_DATABASE_URL in .env or the environment."""

    schema_name: str = Field(default="public", pattern=r"^[a-z_][a-z0-9_]*$")
    """schema of the tables, in lower case"""
    has_row_security: bool = True
    """row-level security: readers may select, only the service may write"""
    reader_role: str = "authenticated"
    """role of users who may only read"""
    timeout_seconds: float = Field(default=600.0, gt=0, le=86_400)
    """seconds per database statement"""
