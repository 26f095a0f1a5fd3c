"""What size of pictures a base was made for, read from its configuration without loading it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bunny.core.error import UserError
from bunny.training.family import folder as files
from bunny.training.family.layout import LAYOUTS

PACK = 2  # latents a side of Flux's tokens
LARGE_PX, LARGE_UNIT_PX = 512, 64  # from here on sides go in steps of 64, as NovelAI's buckets do


def read_size(folder: Path, model: str) -> tuple[int, int]:
    """The picture side that a base was made for and the unit of the sides of its buckets.

    Parameters
    ----------
    folder : Path
        As `save_pretrained` writes it, of any family; only JSON is read.
    model : str
        As the settings name the base, for the sentence of a refusal.

    Returns
    -------
    resolution_px, unit_px : int

    Raises
    ------
    UserError
        If the folder is of no family that we know, or its configuration cannot be read.
    """
    layout = LAYOUTS[files.tell_family(folder, model)]
    denoiser = next(iter(layout.weights))
    try:
        config, vae = (_read(folder / part / "config.json") for part in (denoiser, "vae"))
        scale = 2 ** (len(vae["block_out_channels"]) - 1)
        side = config.get("sample_size")  # Flux's transformer has none: the VAE says it
        resolution = int(side) * scale if side else int(vae["sample_size"])
        if denoiser == "unet":
            unit = scale * 2 ** (len(config["block_out_channels"]) - 1)  # halved between levels
        else:
            unit = scale * (int(config["patch_size"]) if side else PACK)
        return resolution, max(unit, LARGE_UNIT_PX) if resolution >= LARGE_PX else unit
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"base model {model}: expected {denoiser}/config.json and vae/config.json of a "
            f"{layout.title} folder, could not read them ({' '.join(str(error).split())})"
        ) from error


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))
