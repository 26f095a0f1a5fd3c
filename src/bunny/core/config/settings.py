"""`Config`, which holds all sections of the settings."""

from pydantic import Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

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
from bunny.core.config.training import (
    DatasetConfig,
    EvaluationConfig,
    GenerationConfig,
    ModelsConfig,
    RightsConfig,
)


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
    seed: int = Field(default=0, ge=0, le=2**31 - 1, description="random seed of all stages")

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
