"""Generation requests: prompt, seed, size, scheduler, adapters and init image of a picture."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bunny.core import file_hash, image_file
from bunny.core.error import UserError
from bunny.generation import scheduler as schedulers
from bunny.training.base import Base

if TYPE_CHECKING:
    from diffusers.pipelines.pipeline_utils import DiffusionPipeline

SEED_MAX = 2**63 - 1
CHECKER_ON, CHECKER_OFF, CHECKER_NONE = "on", "off", "not available for this base model"


@dataclass(frozen=True, kw_only=True)
class InitImage:
    """A picture that drawing starts from instead of noise."""

    path: Path
    hash: str  # SHA-256 of the file
    strength: float = 0.6  # share of the steps that are drawn anew; 1: next to nothing is left
    frame_id: str | None = None  # where it is a frame of the film


@dataclass(frozen=True, kw_only=True)
class GenerationRequest:
    """All that is needed to draw one picture again, given the base and the adapters."""

    prompt: str
    seed: int
    negative_prompt: str = ""
    num_steps: int = 25
    guidance_scale: float = 5.0
    width_px: int = 0  # 0: the base's own
    height_px: int = 0
    scheduler: str = "base"  # one of `scheduler.NAMES`
    start: InitImage | None = None


@dataclass(frozen=True, kw_only=True)
class WeightedAdapter:
    """A LoRA file and how strongly it is applied."""

    path: Path
    hash: str
    strength: float = 1.0


Adapters = WeightedAdapter | Sequence[WeightedAdapter] | None


def adapter_list(adapters: Adapters) -> list[WeightedAdapter]:
    """One, several or no adapters as a list."""
    if adapters is None:
        return []
    return [adapters] if isinstance(adapters, WeightedAdapter) else list(adapters)


def adapter_name(path: Path) -> str:
    """A word for an adapter: its own name, with its folder's where ours are all called alike.

    Examples
    --------
    >>> adapter_name(Path("bunny/adapter.safetensors")), adapter_name(Path("lora/ink.safetensors"))
    ('bunny', 'ink')
    >>> adapter_name(Path("bunny/step-000200.safetensors"))
    'bunny-step-000200'
    """
    folder, stem = path.parent.name, path.stem
    if stem == "adapter":
        return folder or stem
    return f"{folder}-{stem}" if folder and stem.startswith("step-") else stem


def load_init_image(path: Path, strength: float, frame_id: str | None = None) -> InitImage:
    """A picture file as the start of drawings.

    Parameters
    ----------
    path : Path
        Any picture that Pillow reads.
    strength : float
        In (0, 1].
    frame_id : str, optional

    Raises
    ------
    UserError
        If there is no such file or it is no picture.
    """
    if not path.is_file():
        raise UserError(f"{path}: file not found; expected a picture to start from")
    try:
        with image_file.open_picture(path) as picture:
            picture.verify()
    except (OSError, SyntaxError) as error:
        raise UserError(
            f"{path}: expected a picture to start from, could not read it; choose another file"
        ) from error
    return InitImage(
        path=path, hash=file_hash.hash_file(path), strength=strength, frame_id=frame_id
    )


def with_size(base: Base, drawing: GenerationRequest) -> GenerationRequest:
    """The drawing with its size written out."""
    return replace(
        drawing,
        width_px=drawing.width_px or base.resolution_px,
        height_px=drawing.height_px or base.resolution_px,
    )


def check(base: Base, drawing: GenerationRequest) -> None:
    """Refuse what this base cannot draw, before anything is drawn.

    Raises
    ------
    UserError
        For a size, a scheduler, a seed, a number of steps or a negative prompt that cannot be used.
    """
    step = base.family.size_step_px
    for side, name in ((drawing.width_px, "width"), (drawing.height_px, "height")):
        if side < 0 or side % step:
            near = max(step, round(side / step) * step)
            raise UserError(
                f"{name} {side}: expected a multiple of {step} px for this base model, e.g. {near}"
            )
    if not 0 <= drawing.seed <= SEED_MAX:
        raise UserError(f"seed {drawing.seed}: expected a number from 0 to {SEED_MAX}")
    schedulers.check(base, drawing.scheduler, drawing.num_steps)
    start = drawing.start
    if start is not None and int(drawing.num_steps * start.strength) < 1:
        raise UserError(
            f"init_strength {start.strength:g} of {drawing.num_steps} steps leaves no "
            f"step to run; set at least {1 / drawing.num_steps:.2g}"
        )
    if drawing.negative_prompt and base.family.name == "flux":
        raise UserError(
            "negative_prompt: base models of the family flux do not support it, "
            "because they run without classifier-free guidance; leave it empty"
        )


def truncated_prompts(base: Base, prompts: Sequence[str]) -> list[str]:
    """Prompts of which the base reads the beginning only: they have too many tokens.

    Parameters
    ----------
    base : Base
        Of SD3 and Flux no prompt is given back: their second text encoder reads long ones.

    Returns
    -------
    list of str
        In their order, each once.
    """
    if base.family.name not in ("sd", "sdxl"):
        return []
    most = base.tokenizer.model_max_length
    return [p for p in dict.fromkeys(prompts) if len(base.tokenizer(p).input_ids) > most]


def safety_checker_state(base: Base, is_wanted: bool) -> str:
    """State of the safety checker: on, off, or not available for this base model."""
    if not is_wanted:
        return CHECKER_OFF
    return CHECKER_ON if base.family.has_safety_checker else CHECKER_NONE


def pipeline_kind(drawing: GenerationRequest) -> str:
    """Pipeline of the base model to draw with: text2img or img2img."""
    return "text2img" if drawing.start is None else "img2img"


def supported_options(pipeline: DiffusionPipeline, options: dict[str, Any]) -> dict[str, Any]:
    """The options that this pipeline's call has a parameter for."""
    known = inspect.signature(type(pipeline).__call__).parameters
    return {name: value for name, value in options.items() if name in known}
