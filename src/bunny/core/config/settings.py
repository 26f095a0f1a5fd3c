"""All settings of one run."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from bunny.core.config.film import Clustering, Detection, Extraction, Filtering
from bunny.core.config.library import Publish, Review, Search, Timeline
from bunny.core.config.section import Aws, Pipeline, Project
from bunny.core.config.training import Captioning, Dataset, Evaluation, Generation, Models, Rights


class Config(BaseSettings):
    """All settings of one run.

    The layers are merged by `load` before they come here, because a refusal must name the file or
    variable that a key came from; hence the one source below.
    """

    model_config = SettingsConfigDict(extra="forbid", frozen=True, validate_default=True)

    project: Project = Project()
    pipeline: Pipeline = Pipeline()
    extraction: Extraction = Extraction()
    filtering: Filtering = Filtering()
    detection: Detection = Detection()
    clustering: Clustering = Clustering()
    review: Review = Review()
    captioning: Captioning = Captioning()
    aws: Aws = Aws()
    dataset: Dataset = Dataset()
    rights: Rights = Rights()
    models: Models = Models()
    generation: Generation = Generation()
    evaluation: Evaluation = Evaluation()
    search: Search = Search()
    timeline: Timeline = Timeline()
    publish: Publish = Publish()
    seed: int = Field(0, ge=0, le=2**31 - 1)

    @classmethod
    def settings_customise_sources(cls, settings_cls, init_settings, **_others):
        """Take what `load` merged and nothing else."""
        return (init_settings,)
