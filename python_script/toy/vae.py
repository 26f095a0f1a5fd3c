"""Training of the toy base's autoencoder on small crops, and the latents of whole pictures."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bunny.core import atomic
from toy import distributed

logger = logging.getLogger(__name__)

LOG_EVERY = 50


@dataclass(frozen=True, kw_only=True)
class VaeTraining:
    """How the autoencoder is trained."""

    steps: int = 3000
    batch_size: int = 6  # of each process
    crop_px: int = 64
    learning_rate: float = 2.5e-3
    warmup_steps: int = 100
    kl_weight: float = 1e-6  # as Rombach et al. 2022
    edge_weight: float = 0.6
    colour_weight: float = 2.0  # of the difference after averaging 4x4 pixels
    seed: int = 0
    save_every: int = 300
    is_compiled: bool = False  # half as fast again on a CPU, after minutes; needs a C++ compiler
    is_decoder_only: bool = False  # the encoder stays, so that latents made with it keep fitting


def train_vae(
    vae: Any,
    pictures: np.ndarray,
    folder: Path,
    settings: VaeTraining,
    on_step: Callable[[int], None] | None = None,
) -> dict:
    """Train on random crops with L1, an edge term and a small KL; resume from `folder`.

    Parameters
    ----------
    vae : AutoencoderKL
        Trained in place.
    pictures : np.ndarray, shape (n, height, width, 3), uint8
        RGB; may be memory-mapped.
    folder : Path
        Gets ``vae.pt`` every `save_every` steps; a run found there is continued.
    settings : VaeTraining
    on_step : callable, optional
        Told the number of steps taken, after each.

    Returns
    -------
    dict
        steps, l1 (see `measure_l1`, of the first 64 pictures), seconds, settings.
    """
    import torch

    vae.to(memory_format=torch.channels_last).train()
    vae.encoder.requires_grad_(not settings.is_decoder_only)
    vae.quant_conv.requires_grad_(not settings.is_decoder_only)
    trained = [p for p in vae.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1.0, weight_decay=1e-3, fused=True)
    state_file = folder / ("decoder.pt" if settings.is_decoder_only else "vae.pt")
    first = 0
    if state_file.exists():
        state = torch.load(state_file, weights_only=False)
        vae.load_state_dict(state["vae"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["step"]
    recent: list[float] = []
    begun = time.monotonic()
    run = torch.compile(lambda *a: _vae_loss(vae, *a)) if settings.is_compiled else None
    for step in range(first, settings.steps):
        for group in optimizer.param_groups:
            group["lr"] = _rate(step, settings)
        recent.append(_vae_step(vae, _crops(pictures, step, settings), step, settings, run))
        distributed.average_gradients(trained)
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if (step + 1) % LOG_EVERY == 0:
            rate = (step + 1 - first) / (time.monotonic() - begun)
            logger.info("vae step %d l1 %.4f, %.2f/s", step + 1, np.mean(recent[-100:]), rate)
        is_saved = (step + 1) % settings.save_every == 0 or step + 1 == settings.steps
        if is_saved and distributed.rank() == 0:
            state = {"vae": vae.state_dict(), "optimizer": optimizer.state_dict()}
            save_state(state_file, {**state, "step": step + 1})
        if on_step:
            on_step(step + 1)
    return {
        "steps": settings.steps,
        "l1": measure_l1(vae, pictures[:64]),
        "seconds": time.monotonic() - begun,
        "settings": asdict(settings),
    }


def measure_l1(vae: Any, pictures: np.ndarray) -> float:
    """Mean absolute difference of pictures and what the autoencoder makes of them, in [0, 255]."""
    import torch

    vae.eval()
    with torch.no_grad():
        pixels = to_tensor(pictures)
        drawn = vae.decode(vae.encode(pixels).latent_dist.mean).sample
    return float((drawn - pixels).abs().mean()) * 127.5


def save_state(path: Path, state: dict) -> None:
    """Write a checkpoint of ours whole or not at all."""
    import torch

    atomic.write_file(path, lambda temporary: torch.save(state, temporary))


def encode_all(vae: Any, pictures: np.ndarray, batch_size: int = 32) -> np.ndarray:
    """Latent means of all pictures, unscaled.

    Returns
    -------
    np.ndarray, shape (n, 4, height / 8, width / 8), float16
    """
    import torch

    vae.eval()
    latents = []
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        for start in range(0, len(pictures), batch_size):
            batch = to_tensor(pictures[start : start + batch_size])
            mean = vae.encode(batch.to(memory_format=torch.channels_last)).latent_dist.mean
            latents.append(mean.to(torch.float16).numpy())
    return np.concatenate(latents)


def to_tensor(pictures: np.ndarray) -> Any:
    """RGB uint8 (n, h, w, 3) as a float tensor (n, 3, h, w) in [-1, 1]."""
    import torch

    return torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1


def write_report(path: Path, report: dict) -> None:
    """Keep figures beside the weights."""
    path.write_text(json.dumps(report, indent=1), encoding="utf-8", newline="\n")


def _rate(step: int, settings: VaeTraining) -> float:
    """Warm-up, then a cosine down to a fiftieth."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    share = (step - settings.warmup_steps) / max(1, settings.steps - settings.warmup_steps)
    return settings.learning_rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * share)))


def _crops(pictures: np.ndarray, step: int, settings: VaeTraining) -> np.ndarray:
    """The crops of one step; they depend on seed and step alone."""
    rng = np.random.default_rng([settings.seed, step, distributed.rank()])
    size, (height, width) = settings.crop_px, pictures.shape[1:3]
    return np.stack(list(_random_crops(pictures, rng, settings.batch_size, size, height, width)))


def _random_crops(
    pictures: np.ndarray, rng: np.random.Generator, count: int, size: int, height: int, width: int
) -> Iterator[np.ndarray]:
    """Cut `count` squares, half of them mirrored."""
    for index in rng.integers(len(pictures), size=count):
        y, x = rng.integers(height - size + 1), rng.integers(width - size + 1)
        crop = pictures[index, y : y + size, x : x + size]
        yield crop[:, ::-1] if rng.random() < 0.5 else crop


def _vae_step(
    vae: Any, crops: np.ndarray, step: int, settings: VaeTraining, run: Callable | None
) -> float:
    """Accumulate the gradient of one batch; give its L1."""
    import torch

    pixels = to_tensor(crops).to(memory_format=torch.channels_last)
    generator = torch.Generator().manual_seed(settings.seed * 1_000_003 + step)
    side = crops.shape[1] // 2 ** (len(vae.config.block_out_channels) - 1)
    noise = torch.randn((len(crops), vae.config.latent_channels, side, side), generator=generator)
    weights = (settings.edge_weight, settings.colour_weight, settings.kl_weight)
    l1, loss = (run or (lambda *a: _vae_loss(vae, *a)))(pixels, noise, *weights)
    loss.backward()
    return float(l1.detach())


def _vae_loss(vae: Any, pixels: Any, noise: Any, edge: float, colour: float, kl: float) -> tuple:
    """L1 and the weighted loss of one batch."""
    import torch

    with torch.autocast("cpu", dtype=torch.bfloat16):
        posterior = vae.encode(pixels).latent_dist
        drawn = vae.decode(posterior.mean + posterior.std * noise).sample.float()
    l1 = (drawn - pixels).abs().mean()
    pooled = torch.nn.functional.avg_pool2d
    coarse = (pooled(drawn, 4) - pooled(pixels, 4)).abs().mean()
    loss = l1 + edge * _edge_difference(drawn, pixels) + colour * coarse
    return l1, loss + kl * posterior.kl().float().mean()


def _edge_difference(one: Any, two: Any) -> Any:
    """Mean absolute difference of the first differences along both axes."""
    across = (one.diff(dim=3) - two.diff(dim=3)).abs().mean()
    return across + (one.diff(dim=2) - two.diff(dim=2)).abs().mean()
