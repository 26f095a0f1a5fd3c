"""Training of the toy judge: targets, batches, loss, steps."""

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

UNKNOWN = -1  # target of a question that a picture has no answer to

logger = logging.getLogger(__name__)

ROUND_TRIP_SHARE = 0.4  # of the pictures shown in training went through the autoencoder
LOG_EVERY = 100


def targets(facts: Sequence[dict[str, Any]]) -> dict[str, np.ndarray]:
    """What the network should answer.

    Parameters
    ----------
    facts : sequence of dict
        who: list of (colour, species, wear); place, light, size: words of `world`.

    Returns
    -------
    dict of str to np.ndarray
        Heads of `SEVERAL`: float32 (n, words), 0 or 1, or `UNKNOWN` in the whole row. Heads of
        `ONE`: int64 (n,), the word's index or `UNKNOWN`. An empty place has no colour, clothes and
        framing.

    Raises
    ------
    ValueError
        If a word is none of `WORDS`.
    """
    rows: dict[str, list] = {name: [] for name in judge_net.WORDS}
    for fact in facts:
        for name, words in _said(fact).items():
            rows[name].append(_row(name, words))
    return {
        name: np.array(found, dtype=np.float32 if name in judge_net.MULTI_LABEL else np.int64)
        for name, found in rows.items()
    }


def _said(fact: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """The words of each head that are true of a picture."""
    who = fact["who"]
    garments = [wear.split(" ", 1)[-1] for _, _, wear in who]
    return {
        "species": tuple(species for _, species, _ in who) or (judge_net.NOBODY,),
        "colour": tuple(colour for colour, _, _ in who),
        "garment": tuple(garments),
        "wear_colour": tuple(wear.split(" ")[0] for _, _, wear in who if wear != "none"),
        "place": (fact["place"],),
        "light": (fact["light"],),
        "size": (fact["size"],) if who else (),
        "count": (str(len(who)),),
    }


def _row(name: str, said: tuple[str, ...]) -> Any:
    """One picture's target of one head."""
    words = judge_net.WORDS[name]
    strange = set(said) - set(words)
    if strange:
        raise ValueError(f"{name}: expected one of {', '.join(words)}, found {min(strange)!r}")
    if name in judge_net.SINGLE_CHOICE:
        return words.index(said[0]) if said else UNKNOWN
    if not said:  # nothing worn is no wear colour: nothing to learn from
        return [float(UNKNOWN)] * len(words)
    return [float(word in said) for word in words]


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
        if name in judge_net.SINGLE_CHOICE:
            one = functional.cross_entropy(part, goal[name], ignore_index=UNKNOWN, reduction="sum")
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
    goal = {k: torch.from_numpy(v) for k, v in targets(facts).items()}
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
        judge_picture.degrade((softened if soft else pictures)[i], rng)
        for i, soft in zip(chosen, is_soft, strict=True)
    ]
    return chosen, np.stack(shown)


def _rate(step: int, settings: JudgeTraining) -> float:
    """Warm-up, then a cosine down to a hundredth."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    share = (step - settings.warmup_steps) / max(1, settings.steps - settings.warmup_steps)
    return settings.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))
