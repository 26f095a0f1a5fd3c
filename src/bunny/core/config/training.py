"""Sections of the settings from the training set to the pictures that are drawn."""

from typing import Literal

from pydantic import Field

from bunny.core.config.section import ConfigSection


class DatasetConfig(ConfigSection):
    """Stage dataset: which pictures make the training set and how they are cut."""

    min_confidence: float = Field(default=0.6, ge=0, le=1)
    min_subject_px: int = Field(default=24, ge=4, le=4096)
    min_subject_sharpness: float = Field(default=10.0, ge=0)
    aspect: Literal["square", "buckets"] = "square"
    bucket_step_px: int = Field(default=64, ge=8, le=512)
    max_upscale: float = Field(default=2.0, ge=1, le=16)
    has_wider_crops: bool = True
    mask: Literal["none", "grabcut"] = "none"
    cut_from: Literal["auto", "film", "picture"] = "auto"
    num_class_images: int = Field(default=0, ge=0, le=100_000)


class RightsConfig(ConfigSection):
    """What the user knows of the film's rights; carried into sets and adapters."""

    film_title: str = ""
    film_licence: str = ""
    film_source: str = ""
    consent: str = ""


class ModelsConfig(ConfigSection):
    """Stage finetune: the base, whom to train, and how."""

    base_model: str = "toy"
    characters: tuple[str, ...] = ()
    family: Literal["auto", "sd", "sdxl", "sd3", "flux"] = "auto"
    adapter: Literal["lora", "dora"] = "lora"
    lora_rank: int = Field(default=16, ge=1, le=1024)
    lora_alpha: int = Field(default=16, ge=1, le=4096)
    targets: Literal["attention", "all"] = "all"
    trains_text_encoder: bool = False
    text_learning_rate: float = Field(default=0.0, ge=0, le=1)
    learning_rate: float = Field(default=5e-4, gt=0, le=1)
    schedule: Literal["cosine", "constant", "linear", "cosine_with_restarts", "polynomial"] = (
        "cosine"
    )
    warmup_steps: int = Field(default=20, ge=0, le=1_000_000)
    optimizer: Literal["adamw", "adamw8bit"] = "adamw"
    training_steps: int = Field(default=300, ge=1, le=10_000_000)
    batch_size: int = Field(default=8, ge=1, le=4096)
    gradient_accumulation: int = Field(default=1, ge=1, le=4096)
    has_gradient_checkpointing: bool = False
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    caption_dropout: float = Field(default=0.1, ge=0, le=1)
    flip_share: float = Field(default=0.0, ge=0, le=1)
    min_snr_gamma: float = Field(default=5.0, ge=0, le=1000)
    noise_offset: float = Field(default=0.0, ge=0, le=1)
    background_weight: float = Field(default=1.0, ge=0, le=1)
    class_pictures: Literal["none", "film", "drawn"] = "none"
    class_weight: float = Field(default=1.0, ge=0, le=100)
    num_class_pictures: int = Field(default=50, ge=0, le=100_000)
    ema_decay: float = Field(default=0.0, ge=0, lt=1)
    patience: int = Field(default=0, ge=0, le=10_000)
    resolution: int = Field(default=0, ge=0, le=4096)
    max_images: int = Field(default=500, ge=1, le=100_000)
    crop_margin: float = Field(default=0.3, ge=0, le=5)
    held_out_share: float = Field(default=0.15, ge=0, lt=1)
    checkpoint_every: int = Field(default=100, ge=1, le=1_000_000)


class GenerationConfig(ConfigSection):
    """Stage generate: prompts, seeds and how they are drawn."""

    prompts: tuple[str, ...] = (
        "{trigger} in the snow, medium shot, day",
        "{trigger} on a beach, medium shot, day",
        "{trigger} in a kitchen, close-up, day",
        "{trigger} in a city street, wide shot, dusk",
    )
    negative_prompt: str = ""
    seeds: tuple[int, ...] = (1, 2)
    num_steps: int = Field(default=25, ge=1, le=1000)
    guidance_scale: float = Field(default=5.0, ge=0, le=100)
    lora_strength: float = Field(default=1.0, ge=0, le=4)
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
    width: int = Field(default=0, ge=0, le=16384)
    height: int = Field(default=0, ge=0, le=16384)
    batch_size: int = Field(default=8, ge=1, le=1024)
    blend: tuple[str, ...] = ()
    init_frames: tuple[str, ...] = ()
    init_strength: float = Field(default=0.6, gt=0, le=1)
    has_safety_checker: bool = False


class EvaluationConfig(ConfigSection):
    """Stage evaluate: proof that the adapter learned the character."""

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
    num_steps: int = Field(default=20, ge=1, le=1000)
    guidance_scale: float = Field(default=5.0, ge=0, le=100)
    num_bootstrap: int = Field(default=1000, ge=10, le=1_000_000)
    max_checkpoints: int = Field(default=3, ge=1, le=1000)
    identity: Literal["auto", "face", "picture"] = "auto"
    text_model: str = ""
    has_other_characters: bool = True
