"""Settings: sources, their precedence, and what is refused.

Built-in defaults < config/main.yaml < config/local_*.yaml < .env < environment < command line,
key by key. Unknown keys, wrong types and values out of range are refused with
the source, the key, what was expected and what came. Environment names are
`BUNNY_<SECTION>__<KEY>`, e.g. `BUNNY_EXTRACTION__QUALITY=80`; the same names stand in `.env`.
"""

from bunny.core.config.captioning import CaptioningConfig
from bunny.core.config.film import (
    ClusteringConfig,
    DetectionConfig,
    ExtractionConfig,
    FilteringConfig,
)
from bunny.core.config.layer import load, load_secrets, save_local
from bunny.core.config.library import PublishConfig, SearchConfig, TimelineConfig
from bunny.core.config.run import AwsConfig, ReviewConfig, StageName
from bunny.core.config.settings import Config
from bunny.core.config.training import (
    DatasetConfig,
    EvaluationConfig,
    GenerationConfig,
    ModelsConfig,
    RightsConfig,
)
