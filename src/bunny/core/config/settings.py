"""`Config`, which holds all sections of the settings."""

from pydantic import Field

from bunny.core.config.captioning import CaptioningConfig
from bunny.core.config.clip import ClipConfig
from bunny.core.config.film import (
    ClusteringConfig,
    DetectionConfig,
    ExtractionConfig,
    FilteringConfig,
    IdentificationConfig,
)
from bunny.core.config.library import PublishConfig, SearchConfig, TimelineConfig
from bunny.core.config.pair import PairConfig
from bunny.core.config.run import (
    AwsConfig,
    PipelineConfig,
    ProjectConfig,
    RetentionConfig,
    ReviewConfig,
)
from bunny.core.config.section import ConfigSection
from bunny.core.config.training import (
    DatasetConfig,
    EvaluationConfig,
    GenerationConfig,
    ModelsConfig,
    RightsConfig,
)


class Config(ConfigSection):
    """All settings of one run, as `layer.load` merged them from their sources."""

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
    """random seed of all stages"""
