"""Settings: which source wins, and what is refused.

Built-in defaults < config/main.yaml < config/local_*.yaml < .env < environment < command line,
key by key. Unknown keys, wrong types and values out of range are refused with
the source, the key, what was expected and what came. Environment names are
`BUNNY_<SECTION>__<KEY>`, e.g. `BUNNY_EXTRACTION__QUALITY=80`; the same names stand in `.env`.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from bunny.error import UserError
from bunny.quality import preset

ENVIRONMENT_PREFIX = "BUNNY_"
SECRET_NAMES = ("BUNNY_DATABASE_URL",)  # named like a setting, but is none
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


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class Project(_Section):
    """Names and places."""

    name: str = Field("diffusion-bunny", min_length=1)
    version: str = "0.1.0"
    data_dir: str = "data"


class Pipeline(_Section):
    """What runs and how."""

    stages: tuple[StageName, ...] = get_args(StageName)
    force_rerun: bool = False
    parallel_processing: bool = True
    shard_size: int = Field(64, ge=1, le=100_000)
    max_failed_share: float = Field(0.5, ge=0, le=1)


class Extraction(_Section):
    """Stage 1: which pictures are taken from the film."""

    method: Literal["keyframe", "interval", "shot"] = "shot"
    interval_seconds: float = Field(2.0, gt=0, le=3600)
    output_format: Literal["jpg", "png", "webp"] = "jpg"
    quality: int = Field(95, ge=1, le=100)
    cut_threshold: float = Field(1.0, gt=0, le=10)
    min_shot_frames: int = Field(4, ge=1, le=1000)
    static_motion: float = Field(0.006, ge=0, le=1)
    frames_per_dynamic_shot: int = Field(3, ge=1, le=100)
    extra_interval_seconds: float = Field(0.0, ge=0, le=3600)
    shot_detector: Literal[
        "fast", "hybrid", "transnet", "scenedetect-adaptive", "scenedetect-content"
    ] = "fast"
    video_stream: int = Field(-1, ge=-1, le=1000)
    crop_bars: bool = True
    deinterlace: Literal["auto", "on", "off"] = "auto"
    tone_curve: Literal["bt2390", "hable", "reinhard", "clip"] = "bt2390"


class Filtering(_Section):
    """Stage 2: which pictures are good enough; thresholds not given are those of the preset."""

    preset: Literal["strict", "balanced", "generous"] = "balanced"
    keep_about: int = Field(0, ge=0, le=10_000_000)
    blur_threshold: float = Field(0.2, ge=0, le=1)
    batch_size: int = Field(1, ge=1, le=10_000)
    keep_best_per_batch: int = Field(1, ge=1, le=10_000)
    min_brightness: float = Field(0.06, ge=0, le=1)
    max_brightness: float = Field(0.96, ge=0, le=1)
    min_contrast: float = Field(0.02, ge=0, le=1)
    max_smear: float = Field(1.0, ge=0, le=1)
    max_blockiness: float = Field(1.0, ge=0, le=1)
    max_subtitle_share: float = Field(1.0, ge=0, le=1)
    drop_kinds: tuple[Literal["black", "blank", "title", "credit"], ...] = (
        "black",
        "blank",
        "title",
        "credit",
    )
    duplicate_distance: int = Field(4, ge=0, le=64)
    duplicate_structure: float = Field(0.9, ge=0, le=1)

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, values: Any) -> Any:
        """Take from the preset what is not given."""
        return preset.resolve(values) if isinstance(values, Mapping) else values


class Detection(_Section):
    """Stage 3: who is seen."""

    face_detection_model: Literal["yunet", "mtcnn", "hog", "cnn"] = "yunet"
    has_small_faces: bool = True
    extra_interval_seconds: float = Field(0.5, ge=0, le=3600)
    recogniser: Literal["auto", "sface", "dlib"] = "auto"
    min_face_score: float = Field(0.7, ge=0, le=1)
    min_face_px: int = Field(24, ge=4, le=4000)
    max_faces_per_frame: int = Field(20, ge=1, le=1000)
    similarity_threshold: float = Field(0.38, ge=-1, le=1)
    min_margin: float = Field(0.05, ge=0, le=2)
    calibration: Literal["film", "fixed"] = "film"
    is_adapted: bool = True
    is_drawn_enabled: bool = True
    drawn_threshold: float = Field(0.45, ge=-1, le=1)
    drawn_margin: float = Field(0.10, ge=0, le=2)
    drawn_detector: str = ""
    drawn_embedding: str = ""


class Clustering(_Section):
    """Stage 4: where and who, by cosine similarity to cluster centroids."""

    scene_threshold: float = Field(0.85, ge=-1, le=1)
    character_threshold: float = Field(0.75, ge=-1, le=1)
    noise_threshold: float = Field(0.5, ge=-1, le=1)
    unknown_method: Literal["agglomerative", "hdbscan"] = "agglomerative"
    scene_method: Literal["incremental", "agglomerative", "hdbscan"] = "incremental"
    stability_runs: int = Field(8, ge=0, le=1000)


class Review(_Section):
    """Stage review and the board: what people correct and what is learned from it."""

    user: str = ""
    exemplars: int = Field(30, ge=1, le=10_000)
    propagate_similarity: float = Field(0.8, ge=-1, le=1)
    max_propagated: int = Field(500, ge=0, le=1_000_000)
    is_learned_used: bool = True
    learn_method: Literal["auto", "triplet", "threshold", "correlation"] = "auto"
    min_learn_events: int = Field(10, ge=2, le=1_000_000)
    learn_held_out_share: float = Field(0.3, gt=0, lt=1)
    learn_steps: int = Field(300, ge=1, le=1_000_000)
    triplet_margin: float = Field(0.2, gt=0, le=2)
    port: int = Field(8866, ge=0, le=65535)


class Search(_Section):
    """Finding shots by words, pictures and faces."""

    text_model: str = "minilm"
    exact_below: int = Field(1_000_000, ge=0, le=1_000_000_000)
    index_connectivity: int = Field(16, ge=2, le=256)
    index_expansion_add: int = Field(128, ge=8, le=4096)
    index_expansion_search: int = Field(384, ge=8, le=4096)
    max_results: int = Field(20, ge=1, le=10_000)


class Timeline(_Section):
    """Exports to editors."""

    reel: str = ""
    handle_frames: int = Field(0, ge=0, le=10_000)
    media_path: str = ""


class Publish(_Section):
    """Publishing tables to Postgres; the address comes from BUNNY_DATABASE_URL alone."""

    schema_name: str = Field("public", pattern=r"^[a-z_][a-z0-9_]*$")
    has_row_security: bool = True
    reader_role: str = "authenticated"
    timeout_seconds: float = Field(600.0, gt=0, le=86_400)


class Captioning(_Section):
    """Stage 5: words."""

    provider: Literal["bedrock", "openai", "anthropic", "local", "tags"] = "tags"
    model: str = ""
    max_tokens: int = Field(120, ge=1, le=100_000)
    batch_size: int = Field(8, ge=1, le=1000)
    temperature: float = Field(0.0, ge=0, le=2)
    endpoint_url: str = ""
    timeout_seconds: float = Field(60.0, gt=0, le=3600)
    max_retries: int = Field(4, ge=0, le=20)
    trigger_word: str = "{name}"
    class_word: str = "character"


class Aws(_Section):
    """Region and profile for Bedrock and S3; keys come from the environment or ~/.aws."""

    region: str = "us-east-1"
    profile: str = ""


class Dataset(_Section):
    """Stage dataset: which pictures make the training set and how they are cut."""

    min_confidence: float = Field(0.6, ge=0, le=1)
    min_subject_px: int = Field(24, ge=4, le=4096)
    min_subject_sharpness: float = Field(10.0, ge=0)
    aspect: Literal["square", "buckets"] = "square"
    bucket_step_px: int = Field(64, ge=8, le=512)
    max_upscale: float = Field(2.0, ge=1, le=16)
    has_wider_crops: bool = True
    mask: Literal["none", "grabcut"] = "none"
    cut_from: Literal["auto", "film", "picture"] = "auto"
    num_class_images: int = Field(0, ge=0, le=100_000)


class Rights(_Section):
    """What the user knows of the film's rights; carried into sets and adapters."""

    film_title: str = ""
    film_licence: str = ""
    film_source: str = ""
    consent: str = ""


class Models(_Section):
    """Stage 6: fine-tune."""

    base_model: str = "toy"
    characters: tuple[str, ...] = ()
    family: Literal["auto", "sd", "sdxl", "sd3", "flux"] = "auto"
    adapter: Literal["lora", "dora"] = "lora"
    lora_rank: int = Field(16, ge=1, le=1024)
    lora_alpha: int = Field(16, ge=1, le=4096)
    targets: Literal["attention", "all"] = "all"
    trains_text_encoder: bool = False
    text_learning_rate: float = Field(0.0, ge=0, le=1)
    learning_rate: float = Field(5e-4, gt=0, le=1)
    schedule: Literal["cosine", "constant", "linear", "cosine_with_restarts", "polynomial"] = (
        "cosine"
    )
    warmup_steps: int = Field(20, ge=0, le=1_000_000)
    optimizer: Literal["adamw", "adamw8bit"] = "adamw"
    training_steps: int = Field(300, ge=1, le=10_000_000)
    batch_size: int = Field(8, ge=1, le=4096)
    gradient_accumulation: int = Field(1, ge=1, le=4096)
    has_gradient_checkpointing: bool = False
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    caption_dropout: float = Field(0.1, ge=0, le=1)
    flip_share: float = Field(0.0, ge=0, le=1)
    min_snr_gamma: float = Field(5.0, ge=0, le=1000)
    noise_offset: float = Field(0.0, ge=0, le=1)
    background_weight: float = Field(1.0, ge=0, le=1)
    class_pictures: Literal["none", "film", "drawn"] = "none"
    class_weight: float = Field(1.0, ge=0, le=100)
    num_class_pictures: int = Field(50, ge=0, le=100_000)
    ema_decay: float = Field(0.0, ge=0, lt=1)
    patience: int = Field(0, ge=0, le=10_000)
    resolution: int = Field(0, ge=0, le=4096)
    max_images: int = Field(500, ge=1, le=100_000)
    crop_margin: float = Field(0.3, ge=0, le=5)
    held_out_share: float = Field(0.15, ge=0, lt=1)
    checkpoint_every: int = Field(100, ge=1, le=1_000_000)


class Generation(_Section):
    """Stage 7: drawing."""

    prompts: tuple[str, ...] = (
        "{trigger} in the snow, medium shot, day",
        "{trigger} on a beach, medium shot, day",
        "{trigger} in a kitchen, close-up, day",
        "{trigger} in a city street, wide shot, dusk",
    )
    negative_prompt: str = ""
    seeds: tuple[int, ...] = (1, 2)
    num_steps: int = Field(25, ge=1, le=1000)
    guidance_scale: float = Field(5.0, ge=0, le=100)
    lora_strength: float = Field(1.0, ge=0, le=4)
    strengths: tuple[float, ...] = ()
    checkpoints: Literal["chosen", "last", "all"] = "chosen"
    scheduler: Literal[
        "base",
        "ddim",
        "ddpm",
        "euler",
        "euler_a",
        "heun",
        "dpmpp_2m",
        "dpmpp_2m_karras",
        "unipc",
        "lcm",
        "flow_euler",
    ] = "base"
    width: int = Field(0, ge=0, le=16384)
    height: int = Field(0, ge=0, le=16384)
    batch_size: int = Field(8, ge=1, le=1024)
    blend: tuple[str, ...] = ()
    init_frames: tuple[str, ...] = ()
    init_strength: float = Field(0.6, gt=0, le=1)
    has_safety_checker: bool = False


class Evaluation(_Section):
    """Stage 8: proof that the adapter learned the character."""

    choose_prompts: tuple[str, ...] = (
        "{trigger} in a forest, medium shot, day",
        "{trigger} in a bedroom, close-up, day",
        "{trigger} in a desert, medium shot, dusk",
    )
    report_prompts: tuple[str, ...] = (
        "{trigger} on a beach, medium shot, day",
        "{trigger} in a city street, medium shot, day",
        "{trigger} on a mountain, close-up, day",
        "{trigger} in the snow, medium shot, dusk",
    )
    seeds: tuple[int, ...] = (11, 12)
    num_steps: int = Field(20, ge=1, le=1000)
    guidance_scale: float = Field(5.0, ge=0, le=100)
    num_bootstrap: int = Field(1000, ge=10, le=1_000_000)
    max_checkpoints: int = Field(3, ge=1, le=1000)
    identity: Literal["auto", "face", "picture"] = "auto"
    text_model: str = ""
    has_other_characters: bool = True


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


def load(
    root: Path,
    overrides: Iterable[str] = (),
    *,
    film_id: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Config:
    """Read the settings that hold in `root`.

    Parameters
    ----------
    root : Path
        Folder that has (or lacks) `config/` and `.env`.
    overrides : iterable of str
        `section.key=value` in YAML notation, as given to `--set`; they win over everything.
    film_id : str, optional
        Skips `config/local_<other film>.yaml` files, which notebooks write for one film each:
        a local file whose name after `local_` ends in 8 hex digits holds for that film alone.
    environment : mapping, optional
        Defaults to `os.environ`.

    Raises
    ------
    UserError
        Naming source, key, what was expected and what came.
    """
    merged: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for source, values in _sources(root, overrides, film_id, environment):
        _forget_thresholds(merged, values)
        _merge(merged, values, source, origin)
    try:
        return Config.model_validate(merged)
    except ValidationError as error:
        raise UserError(_explain(error, origin)) from error


def local_file(root: Path, film_id: str) -> Path:
    """Where a notebook keeps the choices made for one film."""
    return root / "config" / f"local_{film_id}.yaml"


def save_local(root: Path, film_id: str, section: str, values: Mapping[str, Any]) -> Path:
    """Merge `values` into the film's local file after checking them; returns its path.

    Raises
    ------
    UserError
        If a key or value would be refused by `load`.
    """
    path = local_file(root, film_id)
    current = _read_yaml(path) if path.exists() else {}
    current[section] = {**(current.get(section) or {}), **values}
    try:
        Config.model_validate(current)
    except ValidationError as error:
        raise UserError(_explain(error, {})) from error
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(yaml.safe_dump(current, sort_keys=False), encoding="utf-8")
    temporary.replace(path)
    return path


def _sources(root, overrides, film_id, environment):
    """Pairs of (name of the source, nested values), weakest first."""
    main = root / "config" / "main.yaml"
    files = [main] if main.exists() else []
    files += [p for p in sorted((root / "config").glob("local_*.yaml")) if _holds(p, film_id)]
    for path in files:
        yield path.relative_to(root).as_posix(), _read_yaml(path)
    yield from _environment(".env", _read_env(root / ".env"))
    yield from _environment("environment", os.environ if environment is None else environment)
    for text in overrides:
        yield f"--set {text}", _parse_override(text)


def _holds(path: Path, film_id: str | None) -> bool:
    """Whether a local file is meant for every film or for this one."""
    name = path.stem.removeprefix("local_")
    tail = name.rsplit("-", 1)[-1]
    is_for_one_film = len(tail) == 8 and all(c in "0123456789abcdef" for c in tail) and "-" in name
    return not is_for_one_film or name == film_id


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path.name}: expected YAML, could not read it: {reason}") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UserError(
            f"{path.name}: expected sections with keys, got a {type(values).__name__}; "
            "see config/main.yaml for the form"
        )
    return values


def load_secrets(root: Path) -> None:
    """Give providers' clients the keys that `.env` holds and the environment does not."""
    for name, value in _read_env(root / ".env").items():
        if name in SECRET_NAMES or not name.startswith(ENVIRONMENT_PREFIX):
            os.environ.setdefault(name, value)


def _read_env(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    return {name: value for name, value in dotenv_values(path).items() if value is not None}


def _environment(source: str, values: Mapping[str, str]):
    for name in sorted(values.keys() - set(SECRET_NAMES)):
        if name.startswith(ENVIRONMENT_PREFIX) and name != ENVIRONMENT_PREFIX:
            key = name.removeprefix(ENVIRONMENT_PREFIX).lower().replace("__", ".")
            yield f"{source} {name}", _nest(key, _scalar(values[name]))


def _parse_override(text: str) -> dict[str, Any]:
    key, sign, value = text.partition("=")
    if not sign or not key.strip():
        raise UserError(
            f"--set {text}: expected section.key=value, e.g. filtering.blur_threshold=0.4"
        )
    return _nest(key.strip(), _scalar(value))


def _scalar(text: str) -> Any:
    """Read one value in YAML notation; text that is no YAML stays text."""
    try:
        return yaml.safe_load(text) if text.strip() else ""
    except yaml.YAMLError:
        return text


def _nest(dotted: str, value: Any) -> dict[str, Any]:
    for part in reversed(dotted.split(".")):
        value = {part: value}
    return value


def _merge(target: dict, values: Mapping, source: str, origin: dict, at: str = "") -> None:
    for key, value in values.items():
        path = f"{at}{key}"
        if isinstance(value, Mapping) and isinstance(target.get(key, {}), dict):
            origin.setdefault(path, source)
            _merge(target.setdefault(key, {}), value, source, origin, f"{path}.")
        elif value is None and not at:
            continue  # an empty section of a YAML file
        else:
            target[key] = value
            origin[path] = source


def _forget_thresholds(merged: dict, values: Mapping) -> None:
    """A preset wins over the thresholds of weaker sources, not over those of its own or later."""
    new, old = values.get("filtering"), merged.get("filtering")
    if isinstance(new, Mapping) and "preset" in new and isinstance(old, dict):
        for key in preset.PATH:
            old.pop(key, None)


def _explain(error: ValidationError, origin: Mapping[str, str]) -> str:
    """One sentence for the first thing that is wrong."""
    first = error.errors()[0]
    steps = [str(step) for step in first["loc"]]
    key = ".".join(steps)
    source = next(
        (origin[k] for i in range(len(steps), 0, -1) if (k := ".".join(steps[:i])) in origin),
        "settings",
    )
    if first["type"] == "extra_forbidden":
        return f"{source}: unknown key {key}; expected one of {_known(steps[:-1])}"
    expected = first["msg"].removeprefix("Input ").removeprefix("Value error, ")
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{source}: key {key} {expected}, got {first['input']!r}{more}; see config/main.yaml"


def _known(steps: list[str]) -> str:
    """Names that stand at this place of the settings."""
    model: Any = Config
    for step in steps:
        field = model.model_fields.get(step)
        model = field.annotation if field else Config
    return ", ".join(model.model_fields)
