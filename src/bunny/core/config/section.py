"""What all sections share, and those on what runs where."""

from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

StageName = Literal[
    "extract",
    "filter",
    "detect",
    "cluster",
    "review",
    "caption",
    "dataset",
    "finetune",
    "evaluate",
    "generate",
]


class Section(BaseModel):
    """A part of the settings: no other keys, never changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class Project(Section):
    """Names and places."""

    name: str = Field("diffusion-bunny", min_length=1)
    version: str = "0.1.0"
    data_dir: str = "data"


class Pipeline(Section):
    """What runs and how."""

    stages: tuple[StageName, ...] = get_args(StageName)
    force_rerun: bool = False
    parallel_processing: bool = True
    shard_size: int = Field(64, ge=1, le=100_000)
    max_failed_share: float = Field(0.5, ge=0, le=1)


class Aws(Section):
    """Region and profile for Bedrock and S3; keys come from the environment or ~/.aws."""

    region: str = "us-east-1"
    profile: str = ""
