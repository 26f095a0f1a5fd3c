"""Provenance of a picture, kept in its PNG as JSON and as AUTOMATIC1111's parameters."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bunny.core import atomic, image_file
from bunny.generation import request, scheduler
from bunny.generation.request import Adapters, GenerationRequest
from bunny.training.base import Base

if TYPE_CHECKING:
    from PIL import Image

SOFTWARE = "Diffusion Bunny"
KEY = "provenance"
PARAMETERS = "parameters"  # the text chunk that AUTOMATIC1111's web UI writes and many tools read
HASH_SHOWN = 10  # hex digits of a hash in `parameters`, as that web UI shortens them
PICTURE_COLUMNS = (
    "prompt",
    "seed",
    "num_steps",
    "guidance_scale",
    "width_px",
    "height_px",
    "base_model",
    "adapter_hash",
    "init_frame",
    "init_strength",
)


def provenance_of(
    base: Base,
    drawing: GenerationRequest,
    adapters: Adapters = None,
    *,
    has_safety_checker: bool = False,
    batch_size: int = 1,
    batch_index: int = 0,
    is_merged: bool = False,
) -> dict[str, Any]:
    """Everything that decides one picture.

    Parameters
    ----------
    has_safety_checker : bool
        Whether it was asked for.
    batch_size, batch_index : int
        Its place in the batch that it is drawn in, which decides the last bits.
    is_merged : bool
        Whether the adapters are merged into the weights.

    Returns
    -------
    dict of JSON values
        `adapters` has one entry for each, in order; `adapter_*` are of the first.
    """
    filled = request.with_size(base, drawing)
    sampler = scheduler.make(base, drawing.scheduler)
    worn = [
        {"file": f"{a.path.parent.name}/{a.path.name}", "hash": a.hash, "strength": a.strength}
        for a in request.adapter_list(adapters)
    ]
    first = worn[0] if worn else {}
    start = drawing.start
    return {
        "prompt": filled.prompt,
        "negative_prompt": filled.negative_prompt,
        "seed": filled.seed,
        "num_steps": filled.num_steps,
        "guidance_scale": filled.guidance_scale,
        "width_px": filled.width_px,
        "height_px": filled.height_px,
        "scheduler": filled.scheduler,
        "scheduler_class": type(sampler).__name__,
        "scheduler_hash": scheduler.config_hash(sampler),
        "base_model": base.name,
        "base_hash": base.hash,
        "base_licence": base.licence,
        "base_family": base.family.name,
        "adapters": worn,
        "adapter_file": first.get("file"),
        "adapter_hash": first.get("hash"),
        "adapter_strength": first.get("strength"),
        "init_frame": start.frame_id if start else None,
        "init_file": start.path.name if start else None,
        "init_hash": start.hash if start else None,
        "init_strength": start.strength if start else None,
        "safety_checker": request.safety_checker_state(base, has_safety_checker),
        "batch_size": batch_size,
        "batch_index": batch_index,
        "is_merged": is_merged,
        **machine(base),
    }


def machine(base: Base) -> dict[str, Any]:
    """Versions and device that decide the last bits of a picture."""
    import platform

    import diffusers
    import torch
    import transformers

    is_cpu = str(base.device).startswith("cpu")
    name = torch.backends.cpu.get_cpu_capability() if is_cpu else torch.cuda.get_device_name()
    return {
        "torch": torch.__version__,
        "diffusers": diffusers.__version__,
        "transformers": transformers.__version__,
        "device": f"{platform.machine()} {name}" if is_cpu else name,
        "num_threads": torch.get_num_threads() if is_cpu else None,
        "dtype": str(base.family.denoiser.dtype).removeprefix("torch."),
    }


def save_png(path: Path, picture: Image.Image, provenance: Mapping[str, Any]) -> None:
    """Write a PNG with its provenance as text, whole or not at all.

    Parameters
    ----------
    provenance : mapping
        Written key by key, as JSON under ``provenance``, and, of a drawing, as ``to_webui_text`` in
        the form that other tools show.
    """
    from PIL import PngImagePlugin

    info = PngImagePlugin.PngInfo()
    info.add_itxt("Software", SOFTWARE)
    info.add_itxt(KEY, json.dumps(provenance, sort_keys=True, ensure_ascii=False))
    for key, value in provenance.items():
        if value is not None and not isinstance(value, (list, dict)):
            info.add_itxt(key, str(value))
    if "prompt" in provenance:
        info.add_text(PARAMETERS, to_webui_text(provenance))  # Latin-1 as tEXt, else as iTXt
    atomic.write_file(path, lambda temporary: picture.save(temporary, format="PNG", pnginfo=info))


def read_provenance(path: Path) -> dict[str, Any]:
    """Read what `save_png` wrote; empty for other pictures.

    Raises
    ------
    OSError, SyntaxError, ValueError
        If it cannot be read.
    """
    with image_file.open_picture(path) as picture:
        picture.load()
        found = json.loads(picture.info.get(KEY, "{}"))
    return found if isinstance(found, dict) else {}


def to_webui_text(provenance: Mapping[str, Any]) -> str:
    """The facts of a drawing in the text form of AUTOMATIC1111's web UI.

    Parameters
    ----------
    provenance : mapping
        As `provenance_of` gives it.

    Returns
    -------
    str
        Prompt with ``<lora:name:strength>``, a line ``Negative prompt:`` where there is one, and
        one line of ``Key: value`` pairs.

    Examples
    --------
    >>> print(to_webui_text({"prompt": "a bear", "num_steps": 9, "seed": 1, "guidance_scale": 5.0,
    ...     "scheduler_class": "DDIMScheduler", "width_px": 64, "height_px": 32}))
    a bear
    Steps: 9, Sampler: DDIM, CFG scale: 5, Seed: 1, Size: 64x32, Version: Diffusion Bunny
    """
    p = provenance
    worn = p.get("adapters") or []
    prompt = " ".join([p["prompt"], *(f"<lora:{_name(a)}:{a['strength']:g}>" for a in worn)])
    kind = p["scheduler_class"]
    sampler = str(scheduler.SHORT_NAME.get(kind, kind.removesuffix("Scheduler")))
    facts = {
        "Steps": p["num_steps"],
        "Sampler": sampler + (" Karras" if str(p.get("scheduler")).endswith("karras") else ""),
        "CFG scale": f"{p['guidance_scale']:g}",
        "Seed": p["seed"],
        "Size": f"{p['width_px']}x{p['height_px']}",
        "Model hash": (p.get("base_hash") or "")[:HASH_SHOWN],
        "Model": Path(p.get("base_model") or "").name,
        "Denoising strength": p.get("init_strength"),
        "Lora hashes": _quoted(", ".join(f"{_name(a)}: {a['hash'][:HASH_SHOWN]}" for a in worn)),
        "Version": SOFTWARE,
    }
    negative = p.get("negative_prompt")
    line = ", ".join(f"{key}: {value}" for key, value in facts.items() if value not in (None, ""))
    return "\n".join([prompt, *([f"Negative prompt: {negative}"] if negative else []), line])


def _name(adapter: Mapping[str, Any]) -> str:
    """A word for an adapter of the provenance."""
    return request.adapter_name(Path(adapter["file"]))


def _quoted(text: str) -> str:
    """Text with commas as one value."""
    return f'"{text}"' if text else ""
