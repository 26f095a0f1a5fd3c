"""Joint training of the toy base's UNet and text encoder on cached latents."""

from __future__ import annotations

import logging
import math
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from toy import caption, distributed, model, vae

logger = logging.getLogger(__name__)

LOG_EVERY = 50
SNR_CAP = 5.0  # Hang et al. 2023, min-SNR weighting
SIZE_WEIGHT = {"close-up": 0.85, "medium": 1.3, "wide": 0.6}  # few latents show a small figure


@dataclass(frozen=True, kw_only=True)
class UnetTraining:
    """How UNet and text encoder are trained together."""

    steps: int = 7000
    batch_size: int = 12  # of each process
    learning_rate: float = 6e-4
    warmup_steps: int = 200
    decay_share: float = 0.3  # of the steps at the end, linearly down to nothing
    caption_dropout: float = 0.1
    ema_decay: float = 0.999
    seed: int = 0
    save_every: int = 1000
    is_compiled: bool = False  # half as fast again on a CPU, after minutes; needs a C++ compiler


class ToyTrainer:
    """UNet, text encoder, their moving averages and the optimizer; every step depends on its index.

    Parameters
    ----------
    unet, text_encoder
        Untrained; trained in place.
    latents : np.ndarray, shape (n, 8, 16, 16), float16
        Unscaled latent means.
    facts : list of dict
        One a picture, see `toy_caption.vary_caption`.
    tokenizer : CLIPTokenizer
    scaling_factor : float
        Makes the latents' standard deviation 1.
    folder : Path
        Holds ``unet.pt``; a run found there is continued.
    settings : UnetTraining
    """

    def __init__(
        self,
        unet: Any,
        text_encoder: Any,
        latents: np.ndarray,
        facts: list[dict[str, Any]],
        tokenizer: Any,
        *,
        scaling_factor: float,
        folder: Path,
        settings: UnetTraining,
    ) -> None:
        import torch
        from diffusers.models.attention_processor import AttnProcessor

        self.latents, self.facts, self.tokenizer = latents, facts, tokenizer
        self.scaling_factor, self.settings = scaling_factor, settings
        self.state_file = folder / "unet.pt"
        self.unet = unet.to(memory_format=torch.channels_last).train()
        self.unet.set_attn_processor(AttnProcessor())  # a third faster than the fused one on a CPU
        self.text_encoder = text_encoder.train()
        self.scheduler = model.make_scheduler()
        self.parameters = [*self.unet.parameters(), *self.text_encoder.parameters()]
        self.ema = [p.detach().clone() for p in self.parameters]
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=1.0, betas=(0.9, 0.99), weight_decay=1e-3, fused=True
        )
        weights = np.array([SIZE_WEIGHT[fact["size"]] for fact in facts])
        self.shares = weights / weights.sum()
        self.run = torch.compile(self._predict) if settings.is_compiled else self._predict
        self.step = 0
        if self.state_file.exists():
            self._load()

    def train(self, on_save: Callable[[ToyTrainer], None] | None = None) -> dict[str, Any]:
        """Run to `settings.steps`; a SIGTERM saves and ends early.

        Returns
        -------
        dict
            steps, mean loss of the last hundred steps, seconds, settings.
        """
        stop: list[int] = []
        before = signal.signal(signal.SIGTERM, lambda number, _frame: stop.append(number))
        recent: list[float] = []
        begun, first = time.monotonic(), self.step
        is_stopped = False
        while self.step < self.settings.steps and not is_stopped:
            recent.append(self.train_step())
            if self.step % LOG_EVERY == 0:
                rate = (self.step - first) / (time.monotonic() - begun)
                loss = np.mean(recent[-LOG_EVERY:])
                logger.info("unet step %d loss %.4f, %.2f/s", self.step, loss, rate)
            is_stopped = distributed.is_any(bool(stop))
            is_last = is_stopped or self.step == self.settings.steps
            is_saved = is_last or self.step % self.settings.save_every == 0
            if is_saved and distributed.rank() == 0:
                self.save()
                if on_save and not is_stopped:
                    on_save(self)
        signal.signal(signal.SIGTERM, before)
        loss = float(np.mean(recent[-LOG_EVERY:])) if recent else None
        seconds = time.monotonic() - begun
        return {
            "steps": self.step,
            "loss": loss,
            "seconds": seconds,
            "settings": asdict(self.settings),
        }

    def train_step(self) -> float:
        """One optimizer step; give its loss."""
        import torch

        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, self.settings)
        latents, tokens = self._batch()
        generator = torch.Generator().manual_seed(self._noise_seed())
        noise = torch.randn(latents.shape, generator=generator)
        times = _times(len(latents), generator)
        noisy = self.scheduler.add_noise(latents, noise, times)
        target = self.scheduler.get_velocity(latents, noise, times)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            words = self.text_encoder(tokens).last_hidden_state
        drawn = self.run(noisy.contiguous(memory_format=torch.channels_last), times, words)
        loss = (drawn.float() - target).pow(2).mean(dim=(1, 2, 3))
        alpha = self.scheduler.alphas_cumprod[times]
        snr = alpha / (1 - alpha)
        (loss * (snr.clamp(max=SNR_CAP) + 1) / (snr + 1)).mean().backward()
        distributed.average_gradients(self.parameters)
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        decay = min(self.settings.ema_decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(self.ema, self.parameters, 1 - decay)
        return float(loss.mean().detach())

    def _predict(self, noisy: Any, times: Any, words: Any) -> Any:
        """What the UNet says of noisy latents, in half precision."""
        import torch

        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.unet(noisy, times, words).sample

    def averaged(self) -> tuple[Any, Any]:
        """Copies of UNet and text encoder with the averaged weights."""
        import copy

        unet, text_encoder = copy.deepcopy(self.unet), copy.deepcopy(self.text_encoder)
        unet.set_default_attn_processor()
        own = [*unet.parameters(), *text_encoder.parameters()]
        for parameter, mean in zip(own, self.ema, strict=True):
            parameter.data.copy_(mean)
        return unet.eval(), text_encoder.eval()

    def restart(self, unet: Any, text_encoder: Any, step: int) -> None:
        """Take over the averaged weights of an exported base; the optimizer begins anew."""
        import torch

        given = [*unet.parameters(), *text_encoder.parameters()]
        with torch.no_grad():
            for parameter, mean, weight in zip(self.parameters, self.ema, given, strict=True):
                parameter.copy_(weight)
                mean.copy_(weight)
        self.step = step

    def save(self) -> None:
        """Keep everything that the next step depends on."""
        state = {
            "unet": self.unet.state_dict(),
            "text_encoder": self.text_encoder.state_dict(),
            "ema": self.ema,
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
        }
        vae.save_state(self.state_file, state)

    def _load(self) -> None:
        import torch

        state = torch.load(self.state_file, weights_only=True)
        self.unet.load_state_dict(state["unet"])
        self.text_encoder.load_state_dict(state["text_encoder"])
        self.ema, self.step = [mean.detach() for mean in state["ema"]], state["step"]
        self.optimizer.load_state_dict(state["optimizer"])

    def _noise_seed(self) -> int:
        """Of this step in this process."""
        return (self.settings.seed * 1_000_003 + self.step) * 16 + distributed.rank()

    def _batch(self) -> tuple[Any, Any]:
        """Scaled latents and tokens of this step."""
        import torch

        rng = np.random.default_rng([self.settings.seed, self.step, distributed.rank()])
        chosen = rng.choice(len(self.latents), size=self.settings.batch_size, p=self.shares)
        captions = [
            ""
            if rng.random() < self.settings.caption_dropout
            else caption.vary_caption(self.facts[i], rng)
            for i in chosen
        ]
        tokens = self.tokenizer(
            captions, padding="max_length", truncation=True, return_tensors="pt"
        )
        latents = torch.from_numpy(self.latents[chosen].astype(np.float32)) * self.scaling_factor
        return latents, tokens.input_ids


def learning_rate(step: int, settings: UnetTraining) -> float:
    """Warm-up, constant, linear decay at the end: the end may be moved while it runs."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    decay_steps = max(1, math.ceil(settings.steps * settings.decay_share))
    left = (settings.steps - step) / decay_steps
    return settings.learning_rate * min(1.0, max(0.01, left))


def _times(count: int, generator: Any) -> Any:
    """Noise levels, most of them in the middle where shapes are decided (Esser et al. 2024)."""
    import torch

    normal = torch.randn(count, generator=generator)
    uniform = torch.rand(count, generator=generator)
    is_uniform = torch.rand(count, generator=generator) < 0.3
    share = torch.where(is_uniform, uniform, torch.sigmoid(0.2 + normal))
    return (share * 1000).long().clamp(0, 999)
