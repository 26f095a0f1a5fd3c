"""Sections of the settings with their defaults and ranges, and `Config`, which holds all.

Those of training and drawing stand in `training`.
"""

from collections.abc import Mapping
from typing import Any, Literal, get_args

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from bunny.core.config import filter_preset
from bunny.core.config.captioning import CaptioningConfig
from bunny.core.config.clip import ClipConfig
from bunny.core.config.pair import PairConfig
from bunny.core.config.section import ConfigSection
from bunny.core.config.training import (
    DatasetConfig,
    EvaluationConfig,
    GenerationConfig,
    ModelsConfig,
    RightsConfig,
)

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
    version: str = "0.1.0"
    data_dir: str = "data"
    cache_gib: float = Field(default=20.0, gt=0, le=1_000_000)
    lease_seconds: float = Field(default=60.0, ge=1, le=86_400)
    timeout_seconds: float = Field(default=60.0, gt=0, le=3600)


class PipelineConfig(ConfigSection):
    """What runs and how."""

    stages: tuple[StageName, ...] = get_args(StageName)
    force_rerun: bool = False
    parallel_processing: bool = True
    shard_size: int = Field(default=64, ge=1, le=100_000)
    num_parts: int = Field(default=1, ge=1, le=1000)
    max_failed_share: float = Field(default=0.5, ge=0, le=1)
    lock_wait_seconds: float = Field(default=0.0, ge=0, le=1_000_000)
    has_metrics: bool = True
    has_report: bool = True


class AwsConfig(ConfigSection):
    """Region and profile for Bedrock and S3; keys come from the environment or ~/.aws."""

    region: str = "us-east-1"
    profile: str = ""


class ExtractionConfig(ConfigSection):
    """Stage extract: which pictures are taken from the film."""

    method: Literal["keyframe", "interval", "shot"] = "shot"
    interval_seconds: float = Field(default=2.0, gt=0, le=3600)
    output_format: Literal["jpg", "png", "webp"] = "jpg"
    quality: int = Field(default=95, ge=1, le=100)
    cut_threshold: float = Field(default=1.0, gt=0, le=10)
    min_shot_frames: int = Field(default=4, ge=1, le=1000)
    static_range: float = Field(default=0.035, ge=0, le=1)
    frames_per_dynamic_shot: int = Field(default=3, ge=1, le=100)
    extra_interval_seconds: float = Field(default=0.0, ge=0, le=3600)
    shot_detector: Literal[
        "fast", "accurate", "transnet", "scenedetect-adaptive", "scenedetect-content"
    ] = "fast"
    video_stream: int = Field(default=-1, ge=-1, le=1000)
    folder: Literal["auto", "pictures", "sequence"] = "auto"
    crop_bars: bool = True
    deinterlace: Literal["auto", "on", "off"] = "auto"
    tone_curve: Literal["bt2390", "hable", "reinhard", "clip"] = "bt2390"


class FilteringConfig(ConfigSection):
    """Stage filter: which pictures are good enough; thresholds not given are the preset's."""

    preset: Literal["strict", "balanced", "generous"] = "balanced"
    keep_about: int = Field(default=0, ge=0, le=10_000_000)
    blur_threshold: float = Field(default=0.17, ge=0, le=1)
    batch_size: int = Field(default=1, ge=1, le=10_000)
    keep_best_per_batch: int = Field(default=1, ge=1, le=10_000)
    min_brightness: float = Field(default=0.06, ge=0, le=1)
    max_brightness: float = Field(default=0.96, ge=0, le=1)
    min_contrast: float = Field(default=0.02, ge=0, le=1)
    max_smear: float = Field(default=1.0, ge=0, le=1)
    max_blockiness: float = Field(default=1.0, ge=0, le=1)
    max_subtitle_share: float = Field(default=1.0, ge=0, le=1)
    drop_kinds: tuple[Literal["black", "blank", "title", "credit"], ...] = (
        "black",
        "blank",
        "title",
        "credit",
    )
    duplicate_distance: int = Field(default=4, ge=0, le=64)
    duplicate_structure: float = Field(default=0.9, ge=0, le=1)

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, values: Any) -> Any:
        """Take from the preset what is not given."""
        return filter_preset.apply_preset(values) if isinstance(values, Mapping) else values


class DetectionConfig(ConfigSection):
    """Stage detect: who is seen."""

    face_detection_model: Literal["yunet", "mtcnn", "hog", "cnn"] = "yunet"
    effort: Literal["fast", "balanced", "thorough"] = "balanced"
    has_small_faces: bool = True
    extra_interval_seconds: float = Field(default=0.5, ge=0, le=3600)
    recogniser: Literal["auto", "sface", "dlib"] = "auto"
    min_face_score: float = Field(default=0.7, ge=0, le=1)
    min_face_px: int = Field(default=24, ge=4, le=4000)
    max_faces_per_frame: int = Field(default=20, ge=1, le=1000)
    similarity_threshold: float = Field(default=0.38, ge=-1, le=1)
    min_margin: float = Field(default=0.05, ge=0, le=2)
    calibration: Literal["film", "fixed"] = "film"
    is_adapted: bool = True
    medium: Literal["auto", "photographed", "drawn"] = "auto"
    is_drawn_enabled: bool = True
    drawn_threshold: float = Field(default=0.45, ge=-1, le=1)
    drawn_margin: float = Field(default=0.10, ge=0, le=2)
    figure_score: float = Field(default=0.8, ge=-1, le=2)
    figure_presence: float = Field(default=0.88, ge=-1, le=2)
    drawn_detector: str = ""
    drawn_embedding: str = ""
    ccip_threshold: float = Field(default=0.5, ge=-1, le=1)
    drawn_classifier: str = ""


class ClusteringConfig(ConfigSection):
    """Stage cluster: where and who, by cosine similarity to cluster centroids."""

    scene_threshold: float = Field(default=0.85, ge=-1, le=1)
    character_threshold: float = Field(default=0.75, ge=-1, le=1)
    figure_threshold: float = Field(default=0.6, ge=-1, le=1)
    noise_threshold: float = Field(default=0.5, ge=-1, le=1)
    unknown_method: Literal["agglomerative", "hdbscan"] = "agglomerative"
    scene_method: Literal["incremental", "agglomerative", "hdbscan"] = "incremental"
    stability_runs: int = Field(default=8, ge=0, le=1000)


class ReviewConfig(ConfigSection):
    """Stage review and the board: what people correct and what is learned from it."""

    user: str = ""
    exemplars: int = Field(default=30, ge=1, le=10_000)
    propagate_similarity: float = Field(default=0.8, ge=-1, le=1)
    max_propagated: int = Field(default=500, ge=0, le=1_000_000)
    is_learned_used: bool = True
    learn_method: Literal["auto", "triplet", "threshold", "correlation"] = "auto"
    min_learn_events: int = Field(default=10, ge=2, le=1_000_000)
    learn_held_out_share: float = Field(default=0.3, gt=0, lt=1)
    learn_steps: int = Field(default=300, ge=1, le=1_000_000)
    triplet_margin: float = Field(default=0.2, gt=0, le=2)
    port: int = Field(default=8866, ge=0, le=65535)
    idle_seconds: int = Field(default=120, ge=1, le=1_000_000)
    max_upload_gib: float = Field(default=50.0, gt=0, le=100_000)
    run_until: StageName = "dataset"
    needs_approval: bool = False


class RetentionConfig(ConfigSection):
    """How many days things are kept; `bunny clean --expired` removes what is older. 0: for ever."""

    log_days: int = Field(default=0, ge=0, le=36_500)
    answer_days: int = Field(default=0, ge=0, le=36_500)
    measure_days: int = Field(default=0, ge=0, le=36_500)
    film_days: int = Field(default=0, ge=0, le=36_500)


class IdentificationConfig(ConfigSection):
    """Stage review: doubtful faces and figures that a served model compares with references."""

    provider: Literal["none", "bedrock", "openai", "anthropic", "local"] = "none"
    max_margin: float = Field(default=0.15, ge=0, le=2)
    num_candidates: int = Field(default=4, ge=1, le=12)
    weight: float = Field(default=1.0, ge=0, le=5)


class SearchConfig(ConfigSection):
    """Finding shots by words, pictures and faces."""

    text_model: str = "minilm"
    exact_below: int = Field(default=1_000_000, ge=0, le=1_000_000_000)
    index_connectivity: int = Field(default=16, ge=2, le=256)
    index_expansion_add: int = Field(default=128, ge=8, le=4096)
    index_expansion_search: int = Field(default=384, ge=8, le=4096)
    max_results: int = Field(default=20, ge=1, le=10_000)


class TimelineConfig(ConfigSection):
    """Exports to editors."""

    reel: str = ""
    handle_frames: int = Field(default=0, ge=0, le=10_000)
    media_path: str = ""


class PublishConfig(ConfigSection):
    """Publishing tables to Postgres; the address comes from BUNNY_DATABASE_URL alone."""

    schema_name: str = Field(default="public", pattern=r"^[a-z_][a-z0-9_]*$")
    has_row_security: bool = True
    reader_role: str = "authenticated"
    timeout_seconds: float = Field(default=600.0, gt=0, le=86_400)


class Config(BaseSettings):
    """All settings of one run.

    The layers are merged by `load` before they come here, because a refusal must name the file or
    variable that a key came from; hence the one source below.
    """

    model_config = SettingsConfigDict(extra="forbid", frozen=True, validate_default=True)

    project: ProjectConfig = ProjectConfig()
    pipeline: PipelineConfig = PipelineConfig()
    extraction: ExtractionConfig = ExtractionConfig()
    filtering: FilteringConfig = FilteringConfig()
    detection: DetectionConfig = DetectionConfig()
    clustering: ClusteringConfig = ClusteringConfig()
    review: ReviewConfig = ReviewConfig()
    retention: RetentionConfig = RetentionConfig()
    identification: IdentificationConfig = IdentificationConfig()
    captioning: CaptioningConfig = CaptioningConfig()
    aws: AwsConfig = AwsConfig()
    dataset: DatasetConfig = DatasetConfig()
    clip: ClipConfig = ClipConfig()
    pair: PairConfig = PairConfig()
    rights: RightsConfig = RightsConfig()
    models: ModelsConfig = ModelsConfig()
    generation: GenerationConfig = GenerationConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    search: SearchConfig = SearchConfig()
    timeline: TimelineConfig = TimelineConfig()
    publish: PublishConfig = PublishConfig()
    seed: int = Field(default=0, ge=0, le=2**31 - 1)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what `load` merged and nothing else."""
        return (init_settings,)
