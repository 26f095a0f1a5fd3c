"""LoRA and DoRA adapters: attached to a base with peft's LoraConfig, and detached."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bunny.core.config import ModelsConfig
from bunny.core.error import UserError
from bunny.training.base import Base

if TYPE_CHECKING:
    import torch
    from peft import LoraConfig
    from peft.tuners.tuners_utils import BaseTunerLayer

TEXT_OTHER = ("fc1", "fc2")  # feed-forward layers of transformers' CLIP

Components = Mapping[str, Any]  # component name, as diffusers' LoRA files have it, to module


def attach(base: Base, models: ModelsConfig) -> dict[str, torch.nn.Module]:
    """Put a LoRA or DoRA on the denoiser, and on the text encoders where that is asked for.

    Parameters
    ----------
    base : Base
        Changed in place; `detach` undoes it.
    models : ModelsConfig
        `adapter`, `lora_rank`, `lora_alpha`, `targets` and `trains_text_encoder` decide.

    Returns
    -------
    dict
        The parts that carry it, the denoiser first.

    Raises
    ------
    UserError
        If text encoders are to be trained and the family has none that can be.
    """
    from peft import inject_adapter_in_model

    family = base.family
    wants_all = models.targets == "all"
    if models.trains_text_encoder and not family.trainable_text:
        raise UserError(
            f"models.trains_text_encoder: the text encoder of {base.name} "
            f"({family.name}) cannot be trained; set it to false"
        )
    targets = [*family.attention_targets, *(family.other_targets if wants_all else ())]
    inject_adapter_in_model(_config(models, targets), family.denoiser)
    parts = {family.denoiser_key: family.denoiser}
    if models.trains_text_encoder:
        for name in family.trainable_text:
            known = family.text_targets[name]  # names, or whole paths of modules
            targets = [t for t in known if wants_all or t.rsplit(".", 1)[-1] not in TEXT_OTHER]
            parts[name] = family.text_encoders[name]
            inject_adapter_in_model(_config(models, targets), parts[name])
    return parts


def detach(parts: Components) -> None:
    """Give the parts back without an adapter, frozen, in evaluation mode."""
    from diffusers.utils.peft_utils import recurse_remove_peft_layers

    for part in parts.values():
        recurse_remove_peft_layers(part)
        if hasattr(part, "peft_config"):
            del part.peft_config
        part.requires_grad_(False).eval()


def trainable_parameters(parts: Components) -> dict[str, torch.nn.Parameter]:
    """The adapter's parameters by ``<part>.<name>``, in a fixed order."""
    return {
        f"{key}.{name}": weight
        for key, part in parts.items()
        for name, weight in part.named_parameters()
        if weight.requires_grad
    }


def state_dicts(parts: Components) -> dict[str, tuple[dict[str, torch.Tensor], LoraConfig]]:
    """Of each part, the adapter's weights by peft's names and its `LoraConfig`."""
    from peft.utils import get_peft_model_state_dict

    return {
        key: (get_peft_model_state_dict(part), part.peft_config["default"])
        for key, part in parts.items()
    }


def b_norms(parameters: Mapping[str, torch.Tensor]) -> dict[str, float]:
    """Norm of each B matrix; it starts at 0, so 0 means that the layer learned nothing."""
    return {name: float(w.norm()) for name, w in parameters.items() if ".lora_B." in name}


@contextmanager
def disabled(parts: Components) -> Iterator[None]:
    """The base without its adapter, for a while."""
    adapted = list(layers(parts.values()))
    for layer in adapted:
        layer.enable_adapters(False)
    try:
        yield
    finally:
        for layer in adapted:
            layer.enable_adapters(True)


def layers(parts: Iterable[torch.nn.Module]) -> Iterator[BaseTunerLayer]:
    """Find all layers of parts that carry an adapter now."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for part in parts:
        yield from (m for m in part.modules() if isinstance(m, BaseTunerLayer))


def _config(models: ModelsConfig, targets: list[str]) -> LoraConfig:
    """peft's words for the settings; B starts at 0, so that training starts at the base."""
    from peft import LoraConfig

    return LoraConfig(
        r=models.lora_rank,
        lora_alpha=models.lora_alpha,
        use_dora=models.adapter == "dora",
        init_lora_weights="gaussian",
        target_modules=targets,
    )
