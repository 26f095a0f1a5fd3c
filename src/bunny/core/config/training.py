"""Sections of the settings from the training set to the generated pictures."""

from typing import Literal

from pydantic import Field

from bunny.core.config.section import ConfigSection, Share


class DatasetConfig(ConfigSection):
    """Stage dataset: choose pictures for the training set and crop them."""

    min_confidence: Share = Field(default=0.6, description="minimum confidence of the label")
    min_subject_px: int = Field(
        default=24, ge=4, le=4096, description="minimum shorter side of the subject"
    )
    min_subject_sharpness: float = Field(
        default=10.0, ge=0, description="minimum variance of the Laplacian inside the subject's box"
    )
    aspect: Literal["square", "buckets"] = Field(
        default="square",
        description="shape of the pictures; buckets: aspect-ratio buckets of about equal area",
    )
    bucket_step_px: int = Field(
        default=64, ge=8, le=512, description="bucket sides are multiples of this"
    )
    max_upscale: float = Field(
        default=2.0, ge=1, le=16, description="crops that need more upscaling are dropped"
    )
    has_wider_crops: bool = Field(
        default=True,
        description="add wider crops: the subject with a margin, and at full picture height",
    )
    mask: Literal["none", "grabcut"] = Field(
        default="none",
        description="grabcut: write a subject mask beside each picture (subject is white)",
    )
    cut_from: Literal["auto", "film", "picture"] = Field(
        default="auto",
        description="source of the crops; film: decoded again, without JPEG loss; picture: as "
        "extracted; auto: film for upscaled crops",
    )
    num_class_images: int = Field(
        default=0,
        ge=0,
        le=100_000,
        description="pictures of the film without the character, for prior preservation",
    )


class RightsConfig(ConfigSection):
    """Rights in the film, written into exported sets and adapters."""

    film_title: str = Field(default="", description="title of the film")
    film_licence: str = Field(default="", description="licence of the film, e.g. CC-BY-3.0")
    film_source: str = Field(default="", description="where the film comes from")
    consent: str = Field(default="", description="consent of the people shown")


class ModelsConfig(ConfigSection):
    """Stage finetune: the base model, the characters to train, and how."""

    base_model: str = Field(
        default="toy", description="toy (bundled, tiny), a folder in diffusers format or a hub id"
    )
    characters: tuple[str, ...] = Field(
        default=(), description="characters to train; []: the one with the most pictures"
    )
    family: Literal["auto", "sd", "sdxl", "sd3", "flux"] = Field(
        default="auto",
        description="architecture of the base model; auto: from its files; sd: 1.x and 2.x",
    )
    adapter: Literal["lora", "dora"] = Field(
        default="lora",
        description="kind of adapter; dora: separate magnitude and direction; slower, often better",
    )
    lora_rank: int = Field(default=16, ge=1, le=1024, description="rank of the adapter's matrices")
    lora_alpha: int = Field(
        default=16, ge=1, le=4096, description="the adapter is scaled by alpha / rank"
    )
    targets: Literal["attention", "all"] = Field(
        default="all", description="layers to adapt; all: also feed-forward and convolution layers"
    )
    trains_text_encoder: bool = Field(
        default=False, description="also train the (first) text encoder"
    )
    text_learning_rate: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="learning rate of the text encoder; 0: a tenth of learning_rate",
    )
    learning_rate: float = Field(default=5e-4, gt=0, le=1, description="peak learning rate")
    schedule: Literal["cosine", "constant", "linear", "cosine_with_restarts", "polynomial"] = Field(
        default="cosine", description="learning rate schedule after the warm-up"
    )
    warmup_steps: int = Field(
        default=20,
        ge=0,
        le=1_000_000,
        description="steps over which the learning rate rises from 0",
    )
    optimizer: Literal["adamw", "adamw8bit"] = Field(
        default="adamw", description="adamw8bit requires bitsandbytes"
    )
    training_steps: int = Field(default=300, ge=1, le=10_000_000, description="optimizer steps")
    batch_size: int = Field(default=8, ge=1, le=4096, description="pictures per batch")
    gradient_accumulation: int = Field(
        default=1, ge=1, le=4096, description="batches per optimizer step"
    )
    has_gradient_checkpointing: bool = Field(
        default=False, description="use less memory; about a third slower"
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        default="auto",
        description="number format of training; auto: bf16 if the device supports it, else fp32",
    )
    caption_dropout: Share = Field(
        default=0.1, description="share of pictures trained without their caption"
    )
    flip_share: Share = Field(default=0.0, description="share of pictures that are mirrored")
    min_snr_gamma: float = Field(
        default=5.0, ge=0, le=1000, description="min-SNR weighting (Hang et al. 2023); 0: off"
    )
    noise_offset: Share = Field(
        default=0.0, description="offset noise; about 0.05 helps with very dark and bright pictures"
    )
    background_weight: Share = Field(
        default=1.0,
        description="weight of the loss outside the subject's mask; 1: masks are not used",
    )
    class_pictures: Literal["none", "film", "drawn"] = Field(
        default="none",
        description="pictures for prior preservation: other pictures of the film, or drawn by "
        "the base model",
    )
    class_weight: float = Field(default=1.0, ge=0, le=100, description="weight of the prior loss")
    num_class_pictures: int = Field(
        default=50, ge=0, le=100_000, description="pictures to generate, for class_pictures: drawn"
    )
    ema_decay: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="> 0: exponential moving average of the adapter weights, e.g. 0.99",
    )
    patience: int = Field(
        default=0,
        ge=0,
        le=10_000,
        description="stop after this many checkpoints without a lower held-out loss; 0: never",
    )
    resolution: int = Field(
        default=0, ge=0, le=4096, description="training resolution in px; 0: the base model's own"
    )
    max_images: int = Field(
        default=500, ge=1, le=100_000, description="maximum number of training pictures"
    )
    crop_margin: float = Field(
        default=0.3,
        ge=0,
        le=5,
        description="margin around the subject on each side, as a share of its box",
    )
    held_out_share: float = Field(
        default=0.15, ge=0, lt=1, description="share of shots held out of training"
    )
    checkpoint_every: int = Field(
        default=100, ge=1, le=1_000_000, description="steps between checkpoints"
    )


class GenerationConfig(ConfigSection):
    """Stage generate: pictures with the adapter."""

    prompts: tuple[str, ...] = Field(
        default=(
            "{trigger} in the snow, medium shot, day",
            "{trigger} on a beach, medium shot, day",
            "{trigger} in a kitchen, close-up, day",
            "{trigger} in a city street, wide shot, dusk",
        ),
        description="prompts to draw; {trigger} is replaced by the character's trigger word "
        "and class word",
    )
    negative_prompt: str = Field(default="", description="what pictures should not show")
    seeds: tuple[int, ...] = Field(default=(1, 2), description="one picture per prompt and seed")
    num_steps: int = Field(default=25, ge=1, le=1000, description="sampling steps")
    guidance_scale: float = Field(
        default=5.0, ge=0, le=100, description="weight of classifier-free guidance"
    )
    lora_strength: float = Field(default=1.0, ge=0, le=4, description="strength of the adapter")
    strengths: tuple[float, ...] = Field(
        default=(), description="several strengths to compare in a grid; []: only lora_strength"
    )
    checkpoints: Literal["chosen", "last", "all"] = Field(
        default="chosen",
        description="checkpoints to draw with; chosen: by stage evaluate, else the last",
    )
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
    ] = Field(default="base", description="sampler; base: the base model's own")
    width: int = Field(
        default=0, ge=0, le=16384, description="width in px; 0: the base model's own"
    )
    height: int = Field(
        default=0, ge=0, le=16384, description="height in px; 0: the base model's own"
    )
    batch_size: int = Field(default=8, ge=1, le=1024, description="pictures per batch")
    blend: tuple[str, ...] = Field(
        default=(), description='further adapters, "<file or character>:<strength>"'
    )
    init_frames: tuple[str, ...] = Field(
        default=(), description="frame_ids to start from (img2img); []: noise"
    )
    init_strength: float = Field(
        default=0.6,
        gt=0,
        le=1,
        description="img2img strength: how much of the start picture is redrawn",
    )
    has_safety_checker: bool = Field(
        default=False,
        description="check pictures for unsafe content; requires a base model that has one",
    )


class EvaluationConfig(ConfigSection):
    """Stage evaluate: how well the adapter learned the character."""

    choose_prompts: tuple[str, ...] = Field(
        default=(
            "{trigger} in a forest, medium shot, day",
            "{trigger} in a bedroom, close-up, day",
            "{trigger} in a desert, medium shot, dusk",
        ),
        description="prompts for choosing a checkpoint",
    )
    report_prompts: tuple[str, ...] = Field(
        default=(
            "{trigger} on a beach, medium shot, day",
            "{trigger} in a city street, medium shot, day",
            "{trigger} on a mountain, close-up, day",
            "{trigger} in the snow, medium shot, dusk",
        ),
        description="prompts for reporting the scores",
    )
    seeds: tuple[int, ...] = Field(default=(11, 12), description="one picture per prompt and seed")
    num_steps: int = Field(default=20, ge=1, le=1000, description="sampling steps")
    guidance_scale: float = Field(
        default=5.0, ge=0, le=100, description="weight of classifier-free guidance"
    )
    num_bootstrap: int = Field(
        default=1000,
        ge=10,
        le=1_000_000,
        description="bootstrap resamples for each confidence interval",
    )
    max_checkpoints: int = Field(
        default=3,
        ge=1,
        le=1000,
        description="checkpoints to evaluate, spread evenly and including the last one",
    )
    identity: Literal["auto", "face", "picture"] = Field(
        default="auto", description="measure of identity; auto: faces if the references have one"
    )
    text_model: str = Field(
        default="",
        description="CLIP (folder or hub id) for prompt agreement; the toy base model has its "
        "own judge",
    )
    has_other_characters: bool = Field(
        default=True, description="compare with all characters of the film (confusion matrix)"
    )
