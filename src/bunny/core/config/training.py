"""Sections of the settings from the training set to the generated pictures."""

from typing import Literal

from pydantic import Field

from bunny.core.config.section import ConfigSection, Share


class DatasetConfig(ConfigSection):
    """Stage dataset: choose pictures for the training set and crop them."""

    min_confidence: Share = 0.6
    """minimum confidence of the label"""
    min_subject_px: int = Field(default=24, ge=4, le=4096)
    """minimum shorter side of the subject"""
    min_subject_sharpness: float = Field(default=10.0, ge=0)
    """minimum variance of the Laplacian inside the subject's box"""
    aspect: Literal["square", "buckets"] = "square"
    """shape of the pictures; buckets: aspect-ratio buckets of about equal area"""
    bucket_step_px: int = Field(default=64, ge=8, le=512)
    """bucket sides are multiples of this"""
    max_px: int = Field(default=1536, ge=128, le=8192)
    """larger crops are shrunk to the area of a square of this side; smaller ones keep their size"""
    max_upscale: float = Field(default=2.0, ge=1, le=16)
    """maximum enlargement of a picture in training; pictures that need more are left out"""
    has_wider_crops: bool = True
    """add wider crops: the subject with a margin, and at full picture height"""
    mask: Literal["none", "grabcut"] = "none"
    """grabcut: write a subject mask beside each picture (subject is white)"""
    # By eye on the sample film: more than half of 231 masks were wrong, from 0.989 on none of 17.
    min_mask_quality: float = Field(default=0.989, ge=0, le=1)
    """quality a mask needs to be kept; 0: every mask; the default keeps about 1 in 14 of drawn film
    and next to none of live action"""
    cut_from: Literal["auto", "film", "picture"] = "auto"
    """source of the crops; film: decoded again, without JPEG loss; picture: as extracted; auto:
    film for crops below 512 px"""
    num_class_images: int = Field(default=0, ge=0, le=100_000)
    """pictures of the film without the character, for prior preservation"""

    @property
    def mask_threshold(self) -> float | None:
        """Quality from which a mask is kept; None: no masks are made."""
        return self.min_mask_quality if self.mask == "grabcut" else None


class RightsConfig(ConfigSection):
    """Rights in the film, written into exported sets and adapters."""

    film_title: str = ""
    """title of the film"""
    film_licence: str = ""
    """licence of the film, e.g. CC-BY-3.0"""
    film_source: str = ""
    """where the film comes from"""
    consent: str = ""
    """consent of the people shown"""


class ModelsConfig(ConfigSection):
    """Stage finetune: the base model, the characters to train, and how."""

    base_model: str = ""
    """a folder in diffusers format, a hub id, or toy (bundled, tiny); empty: a run ends at the
    training set"""
    characters: tuple[str, ...] = ()
    """characters to make sets for and to train; []: sets for all, training on the largest"""
    family: Literal["auto", "sd", "sdxl", "sd3", "flux"] = "auto"
    """architecture of the base model; auto: from its files; sd: 1.x and 2.x"""
    adapter: Literal["lora", "dora"] = "lora"
    """kind of adapter; dora: separate magnitude and direction; slower, often better"""
    lora_rank: int = Field(default=16, ge=1, le=1024)
    """rank of the adapter's matrices"""
    lora_alpha: int = Field(default=16, ge=1, le=4096)
    """the adapter is scaled by alpha / rank"""
    targets: Literal["attention", "all"] = "all"
    """layers to adapt; all: also feed-forward and convolution layers"""
    trains_text_encoder: bool = False
    """also train the (first) text encoder"""
    text_learning_rate: float = Field(default=0.0, ge=0, le=1)
    """learning rate of the text encoder; 0: a tenth of learning_rate"""
    learning_rate: float = Field(default=5e-4, gt=0, le=1)
    """peak learning rate"""
    schedule: Literal["cosine", "constant", "linear", "cosine_with_restarts", "polynomial"] = (
        "cosine"
    )
    """learning rate schedule after the warm-up"""
    warmup_steps: int = Field(default=20, ge=0, le=1_000_000)
    """steps over which the learning rate rises from 0"""
    optimizer: Literal["adamw", "adamw8bit"] = "adamw"
    """adamw8bit requires bitsandbytes"""
    training_steps: int = Field(default=300, ge=1, le=10_000_000)
    """optimizer steps"""
    batch_size: int = Field(default=8, ge=1, le=4096)
    """pictures per batch"""
    gradient_accumulation: int = Field(default=1, ge=1, le=4096)
    """batches per optimizer step"""
    has_gradient_checkpointing: bool = False
    """use less memory; about a third slower"""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """number format of training; auto: bf16 if the device supports it, else fp32"""
    caption_dropout: Share = 0.1
    """share of pictures trained without their caption"""
    flip_share: Share = 0.0
    """share of pictures that are mirrored"""
    min_snr_gamma: float = Field(default=5.0, ge=0, le=1000)
    """min-SNR weighting (Hang et al. 2023); 0: off"""
    noise_offset: Share = 0.0
    """offset noise; about 0.05 helps with very dark and bright pictures"""
    background_weight: Share = 1.0
    """weight of the loss outside the subject's mask; 1: masks are not used"""
    class_pictures: Literal["none", "film", "drawn"] = "none"
    """pictures for prior preservation: other pictures of the film, or drawn by the base model"""
    class_weight: float = Field(default=1.0, ge=0, le=100)
    """weight of the prior loss"""
    num_class_pictures: int = Field(default=50, ge=0, le=100_000)
    """pictures to generate, for class_pictures: drawn"""
    ema_decay: float = Field(default=0.0, ge=0, lt=1)
    """> 0: exponential moving average of the adapter weights, e.g. 0.99"""
    patience: int = Field(default=0, ge=0, le=10_000)
    """stop after this many checkpoints without a lower held-out loss; 0: never"""
    resolution: int = Field(default=0, ge=0, le=4096)
    """training resolution in px; 0: the base model's own"""
    max_images: int = Field(default=500, ge=1, le=100_000)
    """maximum number of training pictures"""
    crop_margin: float = Field(default=0.3, ge=0, le=5)
    """margin around the subject on each side, as a share of its box"""
    held_out_share: float = Field(default=0.15, ge=0, lt=1)
    """share of shots held out of training"""
    checkpoint_every: int = Field(default=100, ge=1, le=1_000_000)
    """steps between checkpoints"""


class GenerationConfig(ConfigSection):
    """Stage generate: pictures with the adapter."""

    prompts: tuple[str, ...] = (
        "{trigger} in the snow, medium shot, day",
        "{trigger} on a beach, medium shot, day",
        "{trigger} in a kitchen, close-up, day",
        "{trigger} in a city street, wide shot, dusk",
    )
    """prompts to draw; {trigger} is replaced by the character's trigger word and class word"""
    negative_prompt: str = ""
    """what pictures should not show"""
    seeds: tuple[int, ...] = (1, 2)
    """one picture per prompt and seed"""
    num_steps: int = Field(default=25, ge=1, le=1000)
    """sampling steps"""
    guidance_scale: float = Field(default=5.0, ge=0, le=100)
    """weight of classifier-free guidance"""
    lora_strength: float = Field(default=1.0, ge=0, le=4)
    """strength of the adapter"""
    strengths: tuple[float, ...] = ()
    """several strengths to compare in a grid; []: only lora_strength"""
    checkpoints: Literal["chosen", "last", "all"] = "chosen"
    """checkpoints to draw with; chosen: by stage evaluate, else the last"""
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
    """sampler; base: the base model's own"""
    width: int = Field(default=0, ge=0, le=16384)
    """width in px; 0: the base model's own"""
    height: int = Field(default=0, ge=0, le=16384)
    """height in px; 0: the base model's own"""
    batch_size: int = Field(default=8, ge=1, le=1024)
    """pictures per batch"""
    blend: tuple[str, ...] = ()
    """further adapters, "<file or character>:<strength>"
    """
    init_frames: tuple[str, ...] = ()
    """frame_ids to start from (img2img); []: noise"""
    init_strength: float = Field(default=0.6, gt=0, le=1)
    """img2img strength: how much of the start picture is redrawn"""
    has_safety_checker: bool = False
    """check pictures for unsafe content; requires a base model that has one"""


class EvaluationConfig(ConfigSection):
    """Stage evaluate: how well the adapter learned the character."""

    choose_prompts: tuple[str, ...] = (
        "{trigger} in a forest, medium shot, day",
        "{trigger} in a bedroom, close-up, day",
        "{trigger} in a desert, medium shot, dusk",
    )
    """prompts for choosing a checkpoint"""
    report_prompts: tuple[str, ...] = (
        "{trigger} on a beach, medium shot, day",
        "{trigger} in a city street, medium shot, day",
        "{trigger} on a mountain, close-up, day",
        "{trigger} in the snow, medium shot, dusk",
        "{trigger} in a kitchen, close-up, day",
        "{trigger} in a park, medium shot, day",
        "{trigger} on a beach, close-up, dusk",
        "{trigger} in a city street, medium shot, night",
    )
    """prompts for reporting the scores"""
    seeds: tuple[int, ...] = (11, 12)
    """one picture per prompt and seed"""
    num_steps: int = Field(default=20, ge=1, le=1000)
    """sampling steps"""
    guidance_scale: float = Field(default=5.0, ge=0, le=100)
    """weight of classifier-free guidance"""
    num_bootstrap: int = Field(default=1000, ge=10, le=1_000_000)
    """bootstrap resamples for each confidence interval"""
    max_checkpoints: int = Field(default=3, ge=1, le=1000)
    """checkpoints to evaluate, spread evenly and including the last one"""
    identity: Literal["auto", "face", "picture"] = "auto"
    """measure of identity; auto: face if the references show faces"""
    text_model: str = ""
    """CLIP (folder or hub id) for prompt agreement; the toy base model has its own judge"""
    has_other_characters: bool = True
    """compare with all characters of the film (confusion matrix)"""
