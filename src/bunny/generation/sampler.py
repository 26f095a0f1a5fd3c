"""Picture generator: requests drawn in batches, each from the noise of its own seed.

Stages, `bunny generate` with and without ``--again``, evaluation and class pictures all draw with
`generate`; every picture comes with its provenance.

How many are drawn at once changes the last bits of a sum, so a picture is the same to within about
1/255 whatever the batch, and bit for bit the same in the same place of a batch of the same size.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bunny.core import image_file
from bunny.generation import adapters as generation_adapters
from bunny.generation import provenance, request, scheduler
from bunny.generation.request import Adapters, GenerationRequest
from bunny.training.base import Base

if TYPE_CHECKING:
    from diffusers.pipelines.pipeline_utils import DiffusionPipeline
    from PIL import Image

logger = logging.getLogger(__name__)

NOT_FINITE = "the model produced NaN or infinite values"
FLAGGED = "the safety checker flagged this picture, so it is not shown"

BATCH_SIZE = 8


@dataclass(frozen=True, kw_only=True)
class GeneratedPicture:
    """One picture, or why there is none, and how it came about."""

    index: int  # of the request
    picture: Image.Image | None
    provenance: dict[str, Any]  # see `provenance.provenance_of`
    error: str | None = None
    is_flagged: bool = False

    def save(self, path: Path, about: Mapping[str, Any]) -> None:
        """Write the picture as a PNG with its provenance, and what else is known `about` it.

        Raises
        ------
        ValueError
            If there is no picture.
        """
        if self.picture is None:
            raise ValueError(f"{path.name}: expected a picture to save, found none: {self.error}")
        provenance.save_png(path, self.picture, {**self.provenance, **about})


Describe = Callable[..., dict[str, Any]]  # index, and place in the batch, to provenance


def split_batches(drawings: Sequence[GenerationRequest], batch_size: int) -> list[list[int]]:
    """Indices of drawings that can be drawn together, at most `batch_size` at once.

    Parameters
    ----------
    batch_size : int
        At least 1.

    Returns
    -------
    list of list of int
        Each batch shares all but prompts, seed and the picture that it starts from.
    """
    groups: dict[GenerationRequest, list[int]] = {}
    for index, drawing in enumerate(drawings):
        start = drawing.start and replace(drawing.start, path=Path(), hash="", frame_id=None)
        key = replace(drawing, prompt="", negative_prompt="", seed=0, start=start)
        groups.setdefault(key, []).append(index)
    return [g[i : i + batch_size] for g in groups.values() for i in range(0, len(g), batch_size)]


def generate(
    base: Base,
    drawings: Sequence[GenerationRequest],
    adapters: Adapters = None,
    *,
    batch_size: int = BATCH_SIZE,
    has_safety_checker: bool = False,
) -> Iterator[GeneratedPicture]:
    """Draw each of `drawings`; the noise of each depends on its own seed alone.

    Parameters
    ----------
    base, drawings, adapters, has_safety_checker
        See `generate_batches`.
    batch_size : int
        Pictures of the same settings that are drawn at once.

    Yields
    ------
    GeneratedPicture
        As soon as its batch is drawn.

    Raises
    ------
    UserError
        If a drawing or an adapter does not fit the base; before anything is drawn.
    """
    batches = split_batches(drawings, batch_size)
    for made in generate_batches(
        base, drawings, batches, adapters, has_safety_checker=has_safety_checker
    ):
        yield from made


def generate_batches(
    base: Base,
    drawings: Sequence[GenerationRequest],
    batches: Sequence[Sequence[int]],
    adapters: Adapters = None,
    *,
    has_safety_checker: bool = False,
) -> Iterator[list[GeneratedPicture]]:
    """Draw batch after batch; adapters are loaded once for all of them.

    Parameters
    ----------
    base : Base
        Given back without the adapters, its weights bit for bit as they were.
    batches : sequence of sequences of int
        Indices of `drawings`, see `split_batches`.
    adapters : WeightedAdapter, sequence of WeightedAdapter, or None
        None draws with the base alone.
    has_safety_checker : bool
        Ask the base's safety checker, where it has one.

    Yields
    ------
    list of GeneratedPicture
        Of one batch, in its order.

    Raises
    ------
    UserError
        If a drawing or an adapter does not fit the base; before anything is drawn.
    """
    filled = [request.with_size(base, drawing) for drawing in drawings]
    for drawing in filled:
        request.check(base, drawing)
    if not batches:
        return
    is_checked = has_safety_checker and base.family.has_safety_checker
    kinds = {request.pipeline_kind(filled[i]) for indices in batches for i in indices}
    pipelines = {k: base.family.pipeline(kind=k, has_safety_checker=is_checked) for k in kinds}
    any_of_them = next(iter(pipelines.values()))

    def describe(index: int, **place: Any) -> dict[str, Any]:
        return provenance.provenance_of(
            base, filled[index], adapters, has_safety_checker=has_safety_checker, **place
        )

    with generation_adapters.apply(base, any_of_them, request.adapter_list(adapters)) as is_merged:
        for indices in batches:
            pipeline = pipelines[request.pipeline_kind(filled[indices[0]])]
            pipeline.scheduler = scheduler.make(base, filled[indices[0]].scheduler)
            yield _draw(pipeline, filled, list(indices), partial(describe, is_merged=is_merged))


def _draw(
    pipeline: DiffusionPipeline,
    drawings: Sequence[GenerationRequest],
    indices: list[int],
    describe: Describe,
) -> list[GeneratedPicture]:
    """Draw one batch, in halves where memory is short; what goes wrong is each picture's error."""
    import torch

    try:
        pictures, flags = _call(pipeline, [drawings[i] for i in indices])
    except torch.OutOfMemoryError:
        # Go on outside of this block: the error holds on to what took the memory.
        pictures, flags = None, []
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        logger.warning("%d pictures could not be generated: %s", len(indices), reason)
        return [_failed(index, reason, describe) for index in indices]
    if pictures is None:
        return _draw_halves(pipeline, drawings, indices, describe)
    size = len(indices)
    return [
        _drawn(index, picture, flag, describe(index, batch_size=size, batch_index=place))
        for place, (index, picture, flag) in enumerate(zip(indices, pictures, flags, strict=True))
    ]


def _draw_halves(
    pipeline: DiffusionPipeline,
    drawings: Sequence[GenerationRequest],
    indices: list[int],
    describe: Describe,
) -> list[GeneratedPicture]:
    """Draw a batch that did not fit into memory as two."""
    import torch

    torch.cuda.empty_cache()
    if len(indices) == 1:
        return [_failed(indices[0], _too_large(drawings[indices[0]]), describe)]
    half = len(indices) // 2
    logger.warning(
        "a batch of %d pictures does not fit into memory; using a batch of %d", len(indices), half
    )
    parts = (indices[:half], indices[half:])
    return [drawn for part in parts for drawn in _draw(pipeline, drawings, part, describe)]


def _call(pipeline: Any, drawings: Sequence[GenerationRequest]) -> tuple[np.ndarray, list]:
    """Ask the pipeline for pictures, float (n, h, w, 3) in [0, 1], and which were flagged."""
    import torch

    first = drawings[0]
    options = {
        "prompt": [d.prompt for d in drawings],
        "negative_prompt": [d.negative_prompt for d in drawings],
        "num_inference_steps": first.num_steps,
        "guidance_scale": first.guidance_scale,
        "width": first.width_px,
        "height": first.height_px,
        "generator": [torch.Generator().manual_seed(d.seed) for d in drawings],
        "output_type": "np",
    }
    if first.start is not None:
        options["image"] = [_start(d, d.start.path) for d in drawings if d.start is not None]
        options["strength"] = first.start.strength
    result = pipeline(**request.supported_options(pipeline, options))
    flags = getattr(result, "nsfw_content_detected", None) or [False] * len(drawings)
    return result.images, flags


def _start(drawing: GenerationRequest, path: Path) -> Image.Image:
    """The picture to start from, cut about its middle to the drawing's shape."""
    from PIL import Image, ImageOps

    with image_file.open_picture(path) as picture:
        upright = ImageOps.exif_transpose(picture).convert("RGB")
    return ImageOps.fit(upright, (drawing.width_px, drawing.height_px), Image.Resampling.LANCZOS)


def _drawn(
    index: int, picture: np.ndarray, is_flagged: bool, facts: dict[str, Any]
) -> GeneratedPicture:
    """A picture of the pipeline as 8 bits, unless it is flagged or broken."""
    from PIL import Image

    error = FLAGGED if is_flagged else None if np.isfinite(picture).all() else NOT_FINITE
    image = None if error else Image.fromarray((picture * 255).round().astype(np.uint8))
    return GeneratedPicture(
        index=index, picture=image, error=error, is_flagged=is_flagged, provenance=facts
    )


def _failed(index: int, reason: str, describe: Describe) -> GeneratedPicture:
    """What stands for a picture that could not be drawn."""
    return GeneratedPicture(index=index, picture=None, error=reason, provenance=describe(index))


def _too_large(drawing: GenerationRequest) -> str:
    """What to do when a single picture does not fit into memory."""
    return (
        f"out of memory for one picture of {drawing.width_px}x{drawing.height_px} px; "
        "choose a smaller size or a smaller base model"
    )


def draw_plain(
    base: Base, prompts: Sequence[str], *, seed: int, num_steps: int
) -> list[Image.Image]:
    """Draw prompts with the model as it is now; used for samples while training.

    Parameters
    ----------
    base : Base
        Its denoiser may carry an adapter that is being trained.
    seed : int
        The same for each prompt.

    Returns
    -------
    list of PIL.Image.Image
        Those that could be drawn.
    """
    drawings = [GenerationRequest(prompt=p, seed=seed, num_steps=num_steps) for p in prompts]
    pictures = [made.picture for made in generate(base, drawings)]
    return [picture for picture in pictures if picture is not None]
