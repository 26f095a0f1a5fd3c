"""Sections of the settings about a run: project, pipeline, review, retention and AWS."""

from typing import Literal, get_args

from pydantic import Field

from bunny.core.config.section import ConfigSection, Cosine, Share

StageName = Literal[
    "extract",
    "filter",
    "detect",
    "cluster",
    "review",
    "caption",
    "dataset",
    "clip",
    "pair",
    "finetune",
    "evaluate",
    "generate",
]


class ProjectConfig(ConfigSection):
    """Names and places."""

    name: str = Field(default="diffusion-bunny", min_length=1)
    """shown in reports"""
    version: str = "0.1.0"
    """version of your project, shown in reports"""
    data_dir: str = "data"
    """workspaces are <data_dir>/output/<film_id>/; relative to the project folder, or
    s3://bucket/prefix"""
    cache_gib: float = Field(default=20.0, gt=0, le=1_000_000)
    """GiB of pictures, shards and weights that a data_dir on S3 may keep on this machine between
    stages"""
    lease_seconds: float = Field(default=60.0, ge=1, le=86_400)
    """seconds without a heartbeat after which another machine may take over a film on S3"""
    timeout_seconds: float = Field(default=60.0, gt=0, le=3600)
    """seconds without data from an S3 server before a request is repeated"""


class PipelineConfig(ConfigSection):
    """Which stages run, and how."""

    stages: tuple[StageName, ...] = get_args(StageName)
    """stages to run, in this order"""
    force_rerun: bool = False
    """also run stages that are up to date (same as --force)"""
    parallel_processing: bool = True
    """write pictures and send caption requests in parallel; the results are the same"""
    shard_size: int = Field(default=64, ge=1, le=100_000)
    """items per shard; an interrupted run loses at most one shard"""
    num_parts: int = Field(default=1, ge=1, le=1000)
    """processes that share a film's extract and detect; set by bunny batch"""
    max_failed_share: Share = 0.5
    """a stage fails if a larger share of its items failed"""
    lock_wait_seconds: float = Field(default=0.0, ge=0, le=1_000_000)
    """seconds that a run waits for another process that writes to the same film"""
    has_metrics: bool = True
    """write log/metrics.prom (Prometheus text format) after each stage and after each film of a
    batch, and serve /metrics on the board"""
    has_report: bool = True
    """write report.html after a run; false: only bunny report writes it"""


class ReviewConfig(ConfigSection):
    """Stage review and the board: corrections, and what is learned from them."""

    user: str = ""
    """author of corrections; empty: the login name"""
    exemplars: int = Field(default=30, ge=1, le=10_000)
    """cluster members stored with a correction, to recognise the cluster in later runs"""
    propagate_similarity: Cosine = 0.8
    """minimum cosine similarity of look-alikes offered for a corrected item"""
    max_propagated: int = Field(default=500, ge=0, le=1_000_000)
    """maximum number of look-alikes offered"""
    is_learned_used: bool = True
    """use what bunny learn has learned where it measured better"""
    learn_method: Literal["auto", "triplet", "threshold", "correlation"] = "auto"
    """what bunny learn fits; auto: best on held-out corrections"""
    min_learn_events: int = Field(default=10, ge=2, le=1_000_000)
    """minimum number of corrections to learn from"""
    learn_held_out_share: float = Field(default=0.3, gt=0, lt=1)
    """share of corrections held out for evaluation"""
    learn_steps: int = Field(default=300, ge=1, le=1_000_000)
    """training steps of method triplet"""
    triplet_margin: float = Field(default=0.2, gt=0, le=2)
    """method triplet: how much more similar (cosine) a positive should be than a negative"""
    port: int = Field(default=8866, ge=0, le=65535)
    """port of bunny review; 0: any free port"""
    idle_seconds: int = Field(default=120, ge=1, le=1_000_000)
    """seconds without contact after which bunny review shuts down a page's kernel"""
    max_upload_gib: float = Field(default=50.0, gt=0, le=100_000)
    """maximum size in GiB of a film added on the page "Films" of bunny review"""
    run_until: StageName = "dataset"
    """last stage that runs for films added on the page "Films"
    """
    needs_approval: bool = False
    """train, export and publish a set only after bunny approve"""


class RetentionConfig(ConfigSection):
    """Days after which `bunny clean --expired` removes something; 0: never."""

    log_days: int = Field(default=0, ge=0, le=36_500)
    """logs and executed notebooks"""
    answer_days: int = Field(default=0, ge=0, le=36_500)
    """stored model answers; a later run has to ask and pay again"""
    measure_days: int = Field(default=0, ge=0, le=36_500)
    """what stages measured for each picture, including face embeddings"""
    film_days: int = Field(default=0, ge=0, le=36_500)
    """whole workspaces, including corrections and adapters, since their last run or correction"""


class AwsConfig(ConfigSection):
    """Region and profile for Bedrock; credentials come from the environment, .env or ~/.aws."""

    region: str = "us-east-1"
    """AWS region"""
    profile: str = ""
    """profile in ~/.aws; empty: the default one"""
