"""Training of the toy judge: the pictures of each step, the loss, the steps."""

from __future__ import annotations

import dataclasses
import logging
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bunny.demo import judge_net
from toy import judge_picture, vae

logger = logging.getLogger(__name__)

ROUND_TRIP_SHARE = 0.4  # of the pictures shown in training went through the autoencoder
LOG_EVERY = 100


@dataclasses.dataclass(frozen=True, kw_only=True)
class JudgeTraining:
    """How the judge is trained."""

    steps: int = 3200
    batch_size: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    warmup_steps: int = 200
    seed: int = 0
    save_every: int = 500


def loss(logits: Any, goal: dict[str, Any]) -> Any:
    """Sum of the heads' cross-entropies; questions without an answer count nothing.

    Parameters
    ----------
    logits : torch.Tensor, shape (n, words of all heads)
    goal : dict of str to torch.Tensor
        As `toy_judge_net.targets`.

    Returns
    -------
    torch.Tensor
        Scalar, nats a picture.
    """
    from torch.nn import functional

    total = 0.0
    for name, part in judge_net.split(logits).items():
        if name in judge_net.ONE:
            one = functional.cross_entropy(
                part, goal[name], ignore_index=judge_net.UNKNOWN, reduction="sum"
            )
        else:
            known = (goal[name] >= 0).float()
            one = functional.binary_cross_entropy_with_logits(
                part, goal[name].clamp(min=0), weight=known, reduction="sum"
            )
        total = total + one / len(part)
    return total


def train(
    net: Any,
    pictures: np.ndarray,
    softened: np.ndarray,
    facts: Sequence[dict[str, Any]],
    folder: Path,
    settings: JudgeTraining,
) -> dict[str, Any]:
    """Train the judge; go on from the checkpoint in `folder` if there is one.

    Parameters
    ----------
    net : torch.nn.Module
        Of `toy_judge_net.make_net`; trained in place.
    pictures : np.ndarray, shape (n, 128, 128, 3), uint8
    softened : np.ndarray, shape (m, 128, 128, 3), uint8
        The first m pictures after `round_trip`; m may be 0.
    facts : sequence of dict
        Of the n pictures.
    folder : Path
        Gets ``judge.pt`` every `save_every` steps.
    settings : JudgeTraining

    Returns
    -------
    dict
        steps, loss (mean of the last 200 steps taken, nats), seconds, settings.
    """
    import torch

    net.to(memory_format=torch.channels_last).train()
    goal = {k: torch.from_numpy(v) for k, v in judge_net.targets(facts).items()}
    optimizer = torch.optim.AdamW(
        net.parameters(), lr=1.0, weight_decay=settings.weight_decay, fused=True
    )
    first, recent, begun = _resume(net, optimizer, folder / "judge.pt"), [], time.monotonic()
    for step in range(first, settings.steps):
        rng = np.random.default_rng([settings.seed, step])
        chosen, shown = _batch(pictures, softened, rng, settings.batch_size)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = net(vae.to_tensor(shown).to(memory_format=torch.channels_last))
        total = loss(logits.float(), {name: part[chosen] for name, part in goal.items()})
        total.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        for group in optimizer.param_groups:
            group["lr"] = _rate(step, settings)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        recent.append(float(total.detach()))
        if (step + 1) % LOG_EVERY == 0:
            rate = (step + 1 - first) / (time.monotonic() - begun)
            logger.info("step %d loss %.3f, %.2f/s", step + 1, np.mean(recent[-200:]), rate)
        if (step + 1) % settings.save_every == 0 or step + 1 == settings.steps:
            state = {"net": net.state_dict(), "optimizer": optimizer.state_dict()}
            vae.save_state(folder / "judge.pt", {**state, "step": step + 1})
    return {
        "steps": settings.steps,
        "loss": float(np.mean(recent[-200:])) if recent else None,
        "seconds": round(time.monotonic() - begun, 1),
        "settings": dataclasses.asdict(settings),
    }


def _resume(net: Any, optimizer: Any, state_file: Path) -> int:
    """Take up the checkpoint; give the number of steps it has seen."""
    import torch

    if not state_file.exists():
        return 0
    state = torch.load(state_file, weights_only=True)
    net.load_state_dict(state["net"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])


def _batch(
    pictures: np.ndarray, softened: np.ndarray, rng: np.random.Generator, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """The pictures of one step, worn down; they depend on `rng` alone."""
    chosen = rng.integers(len(pictures), size=size)
    is_soft = rng.random(size) < ROUND_TRIP_SHARE if len(softened) else np.zeros(size, dtype=bool)
    chosen[is_soft] = rng.integers(max(1, len(softened)), size=int(is_soft.sum()))
    shown = [
        judge_picture.wear_down((softened if soft else pictures)[i], rng)
        for i, soft in zip(chosen, is_soft, strict=True)
    ]
    return chosen, np.stack(shown)


def _rate(step: int, settings: JudgeTraining) -> float:
    """Warm-up, then a cosine down to a hundredth."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    share = (step - settings.warmup_steps) / max(1, settings.steps - settings.warmup_steps)
    return settings.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))
