"""Base models that people train on: their family and the size of the pictures they were made for.

Sizes are those of the model cards (November 2026).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

FAMILY_PX = {"sd": 512, "sdxl": 1024, "sd3": 1024, "flux": 1024}


@dataclass(frozen=True, kw_only=True)
class TrainingCost:
    """GPU memory and time that training a LoRA takes, as published by others."""

    memory_gb: int
    seconds_per_step: float  # batch size 1, FAMILY_PX unless the source says otherwise
    card: str
    source: str  # Markdown


# Nothing is published for a Stable Diffusion 3.5 LoRA at 1024 px without quantization.
FAMILY_COST = {
    "sd": TrainingCost(
        memory_gb=11,
        seconds_per_step=1.2,
        card="RTX 2080 Ti",
        source="[diffusers](https://huggingface.co/docs/diffusers/training/lora) (15,000 steps in "
        "about 5 hours)",
    ),
    "sdxl": TrainingCost(
        memory_gb=16,
        seconds_per_step=1.2,
        card="RTX 3090",
        source="[diffusers](https://huggingface.co/docs/diffusers/training/sdxl) and "
        "[kohya_ss #1288](https://github.com/bmaltais/kohya_ss/issues/1288) for SDXL",
    ),
    "flux": TrainingCost(
        memory_gb=26,
        seconds_per_step=3.5,
        card="RTX 4090",
        source="[a QLoRA of Flux](https://huggingface.co/blog/flux-qlora) (memory in bfloat16; "
        "time in 4 bits at 512 x 768 px)",
    ),
}


@dataclass(frozen=True, kw_only=True)
class KnownBase:
    """One base model, or a line of them."""

    name: str  # value of --base
    title: str
    family: str
    resolution_px: int
    hub_id: str  # an example
    pattern: str  # regular expression for the name in a hub id, in lower case
    is_for_drawn: bool = False

    @property
    def cost(self) -> TrainingCost | None:
        """Memory and time of LoRA training; None where nothing is published for this size."""
        cost = FAMILY_COST.get(self.family)
        return cost if self.resolution_px == FAMILY_PX[self.family] else None

    def needs(self, num_images: int) -> str:
        """GPU memory and time to train a LoRA on `num_images` pictures, as far as published.

        `num_images` counts a picture each time that it is read: steps times batch size.

        Examples
        --------
        >>> BY_NAME["sdxl"].needs(1500)
        '16 GB of GPU memory at batch size 1, about 30 minutes on an RTX 3090'
        """
        cost = self.cost
        if cost is None:
            return "a GPU"
        minutes = max(1, round(num_images * cost.seconds_per_step / 60))
        time = f"{minutes} minutes" if minutes < 90 else f"{minutes / 60:.1f} hours"
        return f"{cost.memory_gb} GB of GPU memory at batch size 1, about {time} on an {cost.card}"


KNOWN = (
    KnownBase(
        name="sd21",
        title="Stable Diffusion 2.1",
        family="sd",
        resolution_px=768,
        hub_id="stabilityai/stable-diffusion-2-1",
        pattern=r"stable-diffusion-2(-1)?$|stable-diffusion-v?2-1$",
    ),
    KnownBase(
        name="sd15",
        title="Stable Diffusion 1.5",
        family="sd",
        resolution_px=512,
        hub_id="stable-diffusion-v1-5/stable-diffusion-v1-5",
        pattern=r"stable-diffusion-v?1|stable-diffusion-2(-1)?-base$",
    ),
    KnownBase(
        name="pony",
        title="Pony Diffusion V6 XL",
        family="sdxl",
        resolution_px=1024,
        hub_id="LyliaEngine/Pony_Diffusion_V6_XL",
        pattern=r"pony",
        is_for_drawn=True,
    ),
    KnownBase(
        name="illustrious",
        title="Illustrious XL",
        family="sdxl",
        resolution_px=1024,
        hub_id="OnomaAIResearch/Illustrious-xl-early-release-v0",
        pattern=r"illustrious",
        is_for_drawn=True,
    ),
    KnownBase(
        name="noobai",
        title="NoobAI XL",
        family="sdxl",
        resolution_px=1024,
        hub_id="Laxhar/noobai-XL-1.1",
        pattern=r"noobai",
        is_for_drawn=True,
    ),
    KnownBase(
        name="sd35",
        title="Stable Diffusion 3.5",
        family="sd3",
        resolution_px=1024,
        hub_id="stabilityai/stable-diffusion-3.5-medium",
        pattern=r"stable-diffusion-3",
    ),
    KnownBase(
        name="flux1",
        title="Flux.1",
        family="flux",
        resolution_px=1024,
        hub_id="black-forest-labs/FLUX.1-dev",
        pattern=r"flux\.?1",
    ),
    KnownBase(
        name="sdxl",
        title="Stable Diffusion XL",
        family="sdxl",
        resolution_px=1024,
        hub_id="stabilityai/stable-diffusion-xl-base-1.0",
        pattern=r"sdxl|stable-diffusion-xl",
    ),
)
BY_NAME = {base.name: base for base in KNOWN}


def find(hub_id: str) -> KnownBase | None:
    """The base that a hub id means; None where it is not in the table.

    Examples
    --------
    >>> find("stabilityai/stable-diffusion-xl-base-1.0").name, find("somebody/else")
    ('sdxl', None)
    """
    name = hub_id.rpartition("/")[2].lower()
    return next((base for base in KNOWN if re.search(base.pattern, name)), None)
