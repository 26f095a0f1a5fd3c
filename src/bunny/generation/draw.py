"""Draw pictures with a base, with and without adapters, each with its provenance inside.

The way in to the package `draw`, which has the parts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from bunny.generation import sampler
from bunny.generation.grid import draw_grid
from bunny.generation.provenance import provenance_of, read_provenance, save_png
from bunny.generation.request import Adapter, Adapters, Drawing, Start, start_from
from bunny.training.base import Base

BATCH_SIZE = 8


def draw(
    base: Base,
    drawings: Sequence[Drawing],
    adapter: Adapters = None,
    *,
    batch_size: int = BATCH_SIZE,
    has_safety_checker: bool = False,
    on_picture: Callable[[int, Any, str | None], None],
) -> None:
    """Draw each of `drawings`; the noise of each depends on its own seed alone.

    Parameters
    ----------
    base : Base
        Given back without the adapters.
    drawings : sequence of Drawing
    adapter : Adapter, sequence of Adapter, or None
        None draws with the base alone; several are blended.
    batch_size : int
        Pictures of the same settings that are drawn at once.
    has_safety_checker : bool
        Ask the base's safety checker, where it has one; what it flags is given as an error.
    on_picture : callable
        Told (index, PIL.Image or None, error or None) for each drawing, in order within a batch.

    Raises
    ------
    UserError
        If a drawing or an adapter does not fit the base.
    """
    batches = sampler.split(drawings, batch_size)
    for drawn in sampler.draw_batches(
        base, drawings, batches, adapter, has_safety_checker=has_safety_checker
    ):
        for one in drawn:
            on_picture(one.index, one.picture, one.error)


def draw_plain(base: Base, prompts: Sequence[str], *, seed: int, num_steps: int) -> list[Any]:
    """Draw prompts with the model as it is now; used for samples while training.

    Parameters
    ----------
    base : Base
        Its denoiser may carry an adapter that is being trained.
    prompts : sequence of str
    seed : int
        The same for each prompt.
    num_steps : int

    Returns
    -------
    list of PIL.Image.Image
        Those that could be drawn.
    """
    pictures: list[Any] = []
    drawings = [Drawing(prompt=p, seed=seed, num_steps=num_steps) for p in prompts]
    draw(base, drawings, on_picture=lambda _index, picture, _error: pictures.append(picture))
    return [picture for picture in pictures if picture is not None]


__all__ = [
    "Adapter",
    "Adapters",
    "Drawing",
    "Start",
    "draw",
    "draw_grid",
    "draw_plain",
    "provenance_of",
    "read_provenance",
    "save_png",
    "start_from",
]
