"""Base models that people train on: their family and the size of the pictures they were made for.

Sizes are those of the model cards (November 2026).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

FAMILY_PX = {"sd": 512, "sdxl": 1024, "sd3": 1024, "flux": 1024}
# Memory of a GPU for a LoRA: diffusers' training guides (SD 1.5, SDXL), ai-toolkit's FAQ (Flux.1).
FAMILY_GB = {"sd": 11, "sdxl": 16, "flux": 24}


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
    def needs(self) -> str:
        """The GPU that a LoRA of it needs, as far as that is known."""
        memory = FAMILY_GB.get(self.family)
        return f"a GPU with {memory} GB" if memory else "a GPU"


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
