"""Schedulers that fit a base, made from the base's own noise schedule.

A base that was trained to zero terminal signal (Lin et al. 2024, arXiv 2305.08891) must be sampled
from its last step on, with the same rescaled schedule: every sampler here keeps both.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from typing import TYPE_CHECKING, Any

from bunny.core.error import UserError
from bunny.training.base import Base

if TYPE_CHECKING:
    from diffusers.schedulers.scheduling_utils import SchedulerMixin

# Name in the settings: diffusers' class, what is set beside the base's own configuration.
SCHEDULERS: dict[str, tuple[str, dict[str, Any]]] = {
    "ddim": ("DDIMScheduler", {}),
    "ddpm": ("DDPMScheduler", {}),
    "euler": ("EulerDiscreteScheduler", {}),
    "euler_a": ("EulerAncestralDiscreteScheduler", {}),
    "heun": ("HeunDiscreteScheduler", {}),
    "dpmpp_2m": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++"}),
    "dpmpp_2m_karras": (
        "DPMSolverMultistepScheduler",
        {"algorithm_type": "dpmsolver++", "use_karras_sigmas": True},
    ),
    "unipc": ("UniPCMultistepScheduler", {}),
    "lcm": ("LCMScheduler", {}),
    "flow_euler": ("FlowMatchEulerDiscreteScheduler", {}),
}
NAMES = ("base", *SCHEDULERS)
FLOW = ("flow_euler", "unipc")  # those that follow a straight flow from noise to picture
DIFFUSION = tuple(name for name in SCHEDULERS if name != "flow_euler")
NAMES_BY_FAMILY = {"sd": DIFFUSION, "sdxl": DIFFUSION, "sd3": FLOW, "flux": FLOW}  # by family
# The short names under which other tools know the samplers, for `provenance.to_webui_text`.
SHORT_NAME = {
    "DDIMScheduler": "DDIM",
    "DDPMScheduler": "DDPM",
    "EulerDiscreteScheduler": "Euler",
    "EulerAncestralDiscreteScheduler": "Euler a",
    "HeunDiscreteScheduler": "Heun",
    "DPMSolverMultistepScheduler": "DPM++ 2M",
    "UniPCMultistepScheduler": "UniPC",
    "LCMScheduler": "LCM",
    "PNDMScheduler": "PLMS",
}
LCM_STEPS_MAX = 50  # its original_inference_steps
ALPHA_MIN = 2.0**-24  # stands for zero signal where 1 / alpha is taken, as diffusers' Euler has it


def compatible(base: Base) -> tuple[str, ...]:
    """Names of the samplers that fit a base, its own first."""
    return ("base", *NAMES_BY_FAMILY[base.family.name])


def check(base: Base, name: str, num_steps: int) -> None:
    """Refuse a sampler that does not fit the base.

    Raises
    ------
    UserError
        Naming those that fit, or the most steps that it can do.
    """
    if name not in compatible(base):
        raise UserError(
            f"scheduler {name}: expected one that fits the model family "
            f"{base.family.name} ({', '.join(compatible(base))})"
        )
    if name == "lcm" and num_steps > LCM_STEPS_MAX:
        raise UserError(
            f"scheduler lcm: expected at most {LCM_STEPS_MAX} steps, got {num_steps}; "
            "it is designed for 4 to 8"
        )


def make(base: Base, name: str) -> SchedulerMixin:
    """A fresh sampler with the base's own noise schedule.

    Parameters
    ----------
    name : str
        One of `compatible`; ``base`` is the folder's own.
    """
    import diffusers

    own = base.scheduler
    if name == "base":
        return type(own).from_config(own.config)
    kind, options = SCHEDULERS[name]
    if name == "heun" and own.config.get("rescale_betas_zero_snr"):
        options = {**options, "trained_betas": _rescaled_betas(own)}  # it cannot rescale by itself
    if name == "unipc" and base.family.name in ("sd3", "flux"):
        options = {**options, **_flow_options(own)}
    return getattr(diffusers, kind).from_config(own.config, **options)


def config_hash(scheduler: Any) -> str:
    """SHA-256 over class and configuration, whatever the version of diffusers wrote beside."""
    facts = {k: v for k, v in dict(scheduler.config).items() if not k.startswith("_")}
    text = json.dumps([type(scheduler).__name__, facts], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _rescaled_betas(own: Any) -> list[float]:
    """The base's rescaled betas, with as little signal at the end as Euler leaves."""
    signal = own.alphas_cumprod.double().clamp_min(ALPHA_MIN).tolist()
    return [1 - now / before for before, now in itertools.pairwise([1.0, *signal])]


def _flow_options(own: Any) -> dict[str, Any]:
    """What UniPC needs to follow the flow that the base was trained on."""
    return {
        "prediction_type": "flow_prediction",
        "use_flow_sigmas": True,
        "flow_shift": own.config.get("shift") or 1.0,
    }
