"""Settings: which source wins, and what is refused.

Built-in defaults < config/main.yaml < config/local_*.yaml < .env < environment < command line,
key by key. Unknown keys, wrong types and values out of range are refused with
the source, the key, what was expected and what came. Environment names are
`BUNNY_<SECTION>__<KEY>`, e.g. `BUNNY_EXTRACTION__QUALITY=80`; the same names stand in `.env`.
"""

from bunny.core.config.film import Clustering, Detection, Extraction, Filtering
from bunny.core.config.layer import load, local_file, save_local
from bunny.core.config.library import Publish, Review, Search, Timeline
from bunny.core.config.section import Aws, Pipeline, Project, StageName
from bunny.core.config.settings import Config
from bunny.core.config.source import load_secrets
from bunny.core.config.training import Captioning, Dataset, Evaluation, Generation, Models, Rights

__all__ = [
    "Aws",
    "Captioning",
    "Clustering",
    "Config",
    "Dataset",
    "Detection",
    "Evaluation",
    "Extraction",
    "Filtering",
    "Generation",
    "Models",
    "Pipeline",
    "Project",
    "Publish",
    "Review",
    "Rights",
    "Search",
    "StageName",
    "Timeline",
    "load",
    "load_secrets",
    "local_file",
    "save_local",
]
