"""Adapters applied to a base while it draws: merged into the weights, and taken out exactly.

They are merged into the weights, so that a step costs what it costs without them; the untouched
weights are kept and put back, so that the base is bit for bit what it was. Applied at every step
instead are several DoRAs (each rescales what the others changed) and adapters of a base in
bfloat16, whose 8 bits would round most of what an adapter adds to nothing.

`fuse_lora` gives the same weights; `unfuse_lora` subtracts and gives none of them back exactly.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bunny.core import file_hash
from bunny.core.error import UserError
from bunny.generation.request import WeightedAdapter
from bunny.training import lora
from bunny.training.adapter_file import read
from bunny.training.base import Base

if TYPE_CHECKING:
    from diffusers.pipelines.pipeline_utils import DiffusionPipeline
    from peft.tuners.tuners_utils import BaseTunerLayer

NAME = "adapter{}"  # of the n-th; peft allows no dots


@contextmanager
def apply(
    base: Base, pipeline: DiffusionPipeline, adapters: Sequence[WeightedAdapter]
) -> Iterator[bool]:
    """Apply adapters to the parts of a pipeline, at their strengths, inside the block.

    Parameters
    ----------
    base : Base
        Whose parts the pipeline has; other pipelines of it draw with the adapters too.
    adapters : sequence of WeightedAdapter
        None: the base alone.

    Yields
    ------
    bool
        Whether they were merged into the weights.

    Raises
    ------
    UserError
        If a file is missing, changed, or does not fit the base.
    """
    for adapter in adapters:
        _check_file(adapter)
    if not adapters:
        yield False
        return
    kept: list[tuple[Any, Any]] = []
    try:
        names = [_load(pipeline, adapter, index) for index, adapter in enumerate(adapters)]
        pipeline.set_adapters(names, [adapter.strength for adapter in adapters])
        layers = list(lora.layers([base.family.denoiser, *base.family.text_encoders.values()]))
        is_merged = _can_merge(base, layers, len(adapters))
        if is_merged:
            _merge(layers, names, kept, adapters)
        yield is_merged
    finally:
        pipeline.unload_lora_weights()
        for parameter, weight in kept:
            parameter.data = weight


def _check_file(adapter: WeightedAdapter) -> None:
    """Refuse an adapter that is gone or was written anew since."""
    if not adapter.path.is_file():
        raise UserError(f"{adapter.path}: adapter file not found; run stage finetune again")
    if file_hash.hash_file(adapter.path) != adapter.hash:
        raise UserError(
            f"{adapter.path}: expected the adapter of this run, found a file with "
            "different content; run stage finetune again"
        )


def _load(pipeline: DiffusionPipeline, adapter: WeightedAdapter, index: int) -> str:
    """Load one file beside those that are there; gives its name in the pipeline."""
    name = NAME.format(index)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Already found a `peft_config`")  # several are meant
            read.load_into(pipeline, read.read(adapter.path), name)
    except (RuntimeError, ValueError, KeyError, OSError) as error:
        raise UserError(
            f"{adapter.path}: the adapter does not fit this base model "
            f"({' '.join(str(error).split())[:160]}); fine-tune on this base model"
        ) from error
    return name


def _can_merge(base: Base, layers: Sequence[BaseTunerLayer], num_adapters: int) -> bool:
    """Whether merged weights draw what the adapters would draw beside them."""
    import torch

    is_dora = any(any(getattr(layer, "use_dora", {}).values()) for layer in layers)
    is_coarse = base.family.denoiser.dtype == torch.bfloat16
    return not is_coarse and (num_adapters == 1 or not is_dora)


def _merge(
    layers: Sequence[BaseTunerLayer],
    names: list[str],
    kept: list[tuple[Any, Any]],
    adapters: Sequence,
) -> None:
    """Add the adapters to the weights of `layers`; `kept` gets each weight as it was."""
    for layer in layers:
        weight = layer.get_base_layer().weight
        kept.append((weight, weight.data))
        try:
            layer.merge(safe_merge=True, adapter_names=names)  # into a copy, looked at for NaN
        except ValueError as error:
            files = ", ".join(adapter.path.name for adapter in adapters)
            raise UserError(
                f"{files}: expected finite adapter weights, found NaN or infinity; "
                "run stage finetune again"
            ) from error
