"""Draw pictures with a base, with and without an adapter, each with its provenance inside."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bunny.error import UserError
from bunny.training import checkpoint
from bunny.training.base import Base

logger = logging.getLogger(__name__)

SOFTWARE = "Diffusion Bunny"
ADAPTER_NAME = "character"


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """All that is needed to draw one picture again, given the base and the adapter."""

    prompt: str
    seed: int
    negative_prompt: str = ""
    num_steps: int = 25
    guidance_scale: float = 5.0
    width_px: int = 0  # 0: the base's own
    height_px: int = 0


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """A LoRA file and how strongly it is applied."""

    path: Path
    hash: str
    strength: float = 1.0


def draw(
    base: Base,
    drawings: Sequence[Drawing],
    adapter: Adapter | None = None,
    *,
    batch_size: int = 8,
    on_picture: Callable[[int, Any, str | None], None],
) -> None:
    """Draw each of `drawings`; the noise of each depends on its own seed alone.

    Parameters
    ----------
    base : Base
        Given back without the adapter.
    drawings : sequence of Drawing
    adapter : Adapter, optional
        None draws with the base alone.
    batch_size : int
        Pictures of the same settings that are drawn at once.
    on_picture : callable
        Told (index, PIL.Image or None, error or None) for each drawing, in order within a batch.

    Raises
    ------
    UserError
        If the adapter does not fit the base.
    """
    pipeline = base.pipeline()
    if adapter is not None:
        _put_on(pipeline, adapter)
    try:
        for indices in _batches(drawings, batch_size):
            _draw_batch(base, pipeline, drawings, indices, on_picture)
    finally:
        if adapter is not None:
            pipeline.unload_lora_weights()


def draw_plain(base: Base, prompts: Sequence[str], *, seed: int, num_steps: int) -> list[Any]:
    """Draw prompts with the model as it is now; used for samples while training."""
    pictures: list[Any] = []
    drawings = [Drawing(prompt=p, seed=seed, num_steps=num_steps) for p in prompts]
    draw(base, drawings, on_picture=lambda _index, picture, _error: pictures.append(picture))
    return [picture for picture in pictures if picture is not None]


def save_png(path: Path, picture: Any, provenance: dict[str, Any]) -> None:
    """Write a PNG with its provenance as international text, whole or not at all.

    Parameters
    ----------
    path : Path
    picture : PIL.Image.Image
    provenance : dict
        Written key by key, and as JSON under ``provenance``.
    """
    from PIL import PngImagePlugin

    info = PngImagePlugin.PngInfo()
    info.add_itxt("Software", SOFTWARE)
    info.add_itxt("provenance", json.dumps(provenance, sort_keys=True, ensure_ascii=False))
    for key, value in provenance.items():
        if value is not None:
            info.add_itxt(key, str(value))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    picture.save(temporary, format="PNG", pnginfo=info)
    temporary.replace(path)


def read_provenance(path: Path) -> dict[str, Any]:
    """What `save_png` wrote; empty for other pictures."""
    from PIL import Image

    with Image.open(path) as picture:
        picture.load()
        return json.loads(picture.info.get("provenance", "{}"))


def provenance_of(base: Base, drawing: Drawing, adapter: Adapter | None) -> dict[str, Any]:
    """Everything that decides one picture."""
    return {
        **asdict(drawing),
        "base_model": base.name,
        "base_hash": base.hash,
        "base_licence": base.licence,
        "scheduler": type(base.scheduler).__name__,
        "adapter_file": adapter.path.name if adapter else None,
        "adapter_hash": adapter.hash if adapter else None,
        "adapter_strength": adapter.strength if adapter else None,
    }


def draw_grid(rows: Sequence[Sequence[Any]], titles: Sequence[str], *, gap_px: int = 4) -> Any:
    """Lay pictures out in rows under one title a column.

    Parameters
    ----------
    rows : sequence of sequences of PIL.Image.Image or None
        None leaves the place empty.
    titles : sequence of str
        One a column.

    Returns
    -------
    PIL.Image.Image
    """
    from PIL import Image, ImageDraw

    sizes = [p.size for row in rows for p in row if p is not None]
    if not sizes:
        raise ValueError("expected at least one picture for the grid, found none")
    width, height = max(w for w, _ in sizes), max(h for _, h in sizes)
    head = 16
    shape = (len(titles) * (width + gap_px) + gap_px, len(rows) * (height + gap_px) + gap_px + head)
    canvas = Image.new("RGB", shape, (255, 255, 255))
    pen = ImageDraw.Draw(canvas)
    for column, title in enumerate(titles):
        pen.text((gap_px + column * (width + gap_px), 2), title, fill=(0, 0, 0))
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            if picture is not None:
                at = (gap_px + x * (width + gap_px), head + gap_px + y * (height + gap_px))
                canvas.paste(picture, at)
    return canvas


def _put_on(pipeline: Any, adapter: Adapter) -> None:
    """Load the LoRA and set its strength."""
    if not adapter.path.exists():
        raise UserError(
            f"{adapter.path}: expected an adapter, found no such file; run the stage finetune again"
        )
    if checkpoint.hash_file(adapter.path) != adapter.hash:
        raise UserError(
            f"{adapter.path}: expected the adapter of this run, found another file's content; "
            "run the stage finetune again"
        )
    try:
        pipeline.load_lora_weights(
            adapter.path.parent, weight_name=adapter.path.name, adapter_name=ADAPTER_NAME
        )
    except (RuntimeError, ValueError, KeyError) as error:
        raise UserError(
            f"{adapter.path}: expected an adapter of this base, it does not fit "
            f"({' '.join(str(error).split())[:160]}); fine-tune on this base"
        ) from error
    pipeline.set_adapters([ADAPTER_NAME], [adapter.strength])


def _batches(drawings: Sequence[Drawing], batch_size: int) -> list[list[int]]:
    """Indices of drawings that share all but prompt and seed, at most `batch_size` at once."""
    groups: dict[tuple, list[int]] = {}
    for index, d in enumerate(drawings):
        key = (d.num_steps, d.guidance_scale, d.width_px, d.height_px)
        groups.setdefault(key, []).append(index)
    return [g[i : i + batch_size] for g in groups.values() for i in range(0, len(g), batch_size)]


def _draw_batch(
    base: Base, pipeline: Any, drawings: Sequence[Drawing], indices: list[int], on_picture: Callable
) -> None:
    """Draw one batch; what goes wrong is told as the error of each of its pictures."""
    import torch
    from PIL import Image

    first = drawings[indices[0]]
    generators = [torch.Generator().manual_seed(drawings[i].seed) for i in indices]
    try:
        pictures = pipeline(
            [drawings[i].prompt for i in indices],
            negative_prompt=[drawings[i].negative_prompt for i in indices],
            num_inference_steps=first.num_steps,
            guidance_scale=first.guidance_scale,
            width=first.width_px or base.resolution_px,
            height=first.height_px or base.resolution_px,
            generator=generators,
            output_type="np",
        ).images
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        logger.warning("%d pictures could not be drawn: %s", len(indices), reason)
        for index in indices:
            on_picture(index, None, reason)
        return
    for index, picture in zip(indices, pictures, strict=True):
        is_drawn = bool(np.isfinite(picture).all())
        on_picture(
            index,
            Image.fromarray((picture * 255).round().astype(np.uint8)) if is_drawn else None,
            None if is_drawn else "the model drew values that are no numbers",
        )
