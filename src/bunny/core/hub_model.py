"""Hub models that settings can name: their files, purpose, size and licence, and which are here.

Sizes and licences are those of the hub's pages; `bunny models get` asks the hub for the size.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bunny.core import hub
from bunny.core.error import UserError

CARD = "README.md"
# Files of models that transformers loads.
TRANSFORMERS = ("config.json", "*.safetensors")
TOKENIZER = ("*.json", "*.txt")


@dataclass(frozen=True, kw_only=True)
class HubModel:
    """One model, or one of a repository's models."""

    name: str
    repository: str
    needed: tuple[str, ...]  # patterns; without a file for each the model is not here
    more: tuple[str, ...] = ()  # downloaded as well where the repository has them
    purpose: str
    licence: str
    size_mb: int
    setting: str  # key=value that uses it; without a value it is used by default

    @property
    def patterns(self) -> tuple[str, ...]:
        """Files to download."""
        return (*self.needed, *self.more, CARD)


def _of_deepghs(
    name: str, repository: str, folder: str, files: tuple[str, ...], more: tuple[str, ...] = ()
) -> dict:
    """Fields of a model in a folder of one of DeepGHS' repositories."""
    return {
        "name": name,
        "repository": f"deepghs/{repository}",
        "needed": tuple(f"{folder}/{file}" for file in files),
        "more": tuple(f"{folder}/{file}" for file in more),
    }


_YOLO = (("model.onnx",), ("threshold.json", "labels.json", "model_type.json"))
_KNOWN = (
    HubModel(
        **_of_deepghs(
            "ccip",
            "ccip_onnx",
            "ccip-caformer-24-randaug-pruned",
            ("model_feat.onnx", "model_metrics.onnx", "metrics.json"),
        ),
        purpose="recognises anime characters",
        licence="openrail",
        size_mb=150,
        setting="detection.drawn_embedding",
    ),
    HubModel(
        **_of_deepghs("anime-person", "anime_person_detection", "person_detect_v1.1_m", *_YOLO),
        purpose="detects anime figures",
        licence="mit",
        size_mb=103,
        setting="detection.drawn_detector",
    ),
    HubModel(
        **_of_deepghs("anime-head", "anime_head_detection", "head_detect_v2.0_s", *_YOLO),
        purpose="detects anime heads",
        licence="mit",
        size_mb=45,
        setting="detection.drawn_detector=anime-head",
    ),
    HubModel(
        **_of_deepghs("anime-face", "anime_face_detection", "face_detect_v1.4_s", *_YOLO),
        purpose="detects anime faces",
        licence="mit",
        size_mb=45,
        setting="detection.drawn_detector=anime-face",
    ),
    HubModel(
        **_of_deepghs(
            "anime-real",
            "anime_real_cls",
            "mobilenetv3_v1.1_dist_ls0.1",
            ("model.onnx", "meta.json"),
        ),
        purpose="tells drawn from photographed pictures",
        licence="openrail",
        size_mb=17,
        setting="detection.drawn_classifier=anime-real",
    ),
    HubModel(
        name="tagger",
        repository="SmilingWolf/wd-swinv2-tagger-v3",
        needed=("model.onnx", "selected_tags.csv"),
        purpose="captions drawn pictures with tags",
        licence="apache-2.0",
        size_mb=467,
        setting="captioning.tagger.model=SmilingWolf/wd-swinv2-tagger-v3",
    ),
    HubModel(
        name="captioner",
        repository="Qwen/Qwen2-VL-2B-Instruct",
        needed=TRANSFORMERS,
        more=TOKENIZER,
        purpose="captions pictures in sentences",
        licence="apache-2.0",
        size_mb=4420,
        setting="captioning.transformers.model=Qwen/Qwen2-VL-2B-Instruct",
    ),
    HubModel(
        name="clip",
        repository="laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
        needed=("config.json", "model.safetensors"),
        more=TOKENIZER,
        purpose="compares pictures with words: search, and prompt agreement",
        licence="mit",
        size_mb=605,
        setting="search.text_model=laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
    ),
)
MODELS = {model.name: model for model in _KNOWN}
AUTO = ("ccip", "anime-person")  # what `auto` uses for drawn film
GROUPS = {"anime": AUTO}


def choose_models(names: Iterable[str]) -> list[HubModel]:
    """Models by their names or those of groups, each once.

    Raises
    ------
    UserError
        If one is neither.
    """
    names = list(names)
    unknown = [name for name in names if name not in MODELS and name not in GROUPS]
    if unknown:
        groups = ", ".join(f"{name} ({' and '.join(own)})" for name, own in GROUPS.items())
        raise UserError(
            f"{', '.join(unknown)}: expected a model of {', '.join(MODELS)}, or the group {groups}"
        )
    parts = [part for name in names for part in GROUPS.get(name, (name,))]
    return [MODELS[part] for part in dict.fromkeys(parts)]


def find(name: str) -> Path | None:
    """Folder of the hub's cache with all files of a model; None where one is missing."""
    model = MODELS[name]
    if not hub.has_repository(model.repository):  # which saves loading the hub's client
        return None
    folder = hub.find_cached(model.repository, model.patterns)
    is_whole = folder is not None and all(any(folder.glob(one)) for one in model.needed)
    return folder if is_whole else None


def is_here(name: str) -> bool:
    """Whether the hub's cache has all files of a model; the network is not asked."""
    return find(name) is not None
