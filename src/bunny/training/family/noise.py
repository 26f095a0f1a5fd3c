"""Noise schedules: DDPM diffusion and flow matching, their targets and loss weights.

diffusers' `compute_snr` takes a root and squares it: two of three times differ in the last bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from bunny.core.error import UserError

if TYPE_CHECKING:
    import torch

PREDICTION_TYPES = ("epsilon", "v_prediction", "sample")
SNR_MIN = 1e-8  # in the place of 0, which a schedule with zero terminal SNR ends in


def from_scheduler(scheduler: Any, model: str) -> DiffusionNoise | FlowMatchingNoise:
    """The noise that a base's sampler stands for.

    Parameters
    ----------
    model : str
        As the settings name the base, for the sentence of a refusal.

    Raises
    ------
    UserError
        If the sampler is of a third kind (EDM, consistency) or predicts what we do not know.
    """
    name = type(scheduler).__name__
    if name.startswith("FlowMatch"):
        return FlowMatchingNoise(scheduler)
    kind = scheduler.config.get("prediction_type", "epsilon")
    if (
        name.startswith("EDM")
        or "beta_schedule" not in scheduler.config
        or kind not in PREDICTION_TYPES
    ):
        raise UserError(
            f"base model {model}: expected a DDPM scheduler with prediction_type "
            f"{', '.join(PREDICTION_TYPES)}, found {name} with {kind}; choose another base model"
        )
    return DiffusionNoise(scheduler)


class DiffusionNoise:
    """DDPM's noise (Ho et al. 2020): whole times of a schedule, whatever sampler the base names.

    Parameters
    ----------
    scheduler : diffusers scheduler
        Its configuration gives the schedule and what is predicted.
    """

    def __init__(self, scheduler: Any) -> None:
        from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

        self.schedule = cast(Any, DDPMScheduler.from_config(scheduler.config))
        self.kind = self.schedule.config.prediction_type
        self.num_times = int(self.schedule.config.num_train_timesteps)

    def times(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """Random whole times, shape (count,), int64, all equally likely."""
        import torch

        return torch.randint(0, self.num_times, (count,), generator=generator)

    def spread(self, count: int) -> list[int]:
        """The middles of `count` equal parts of the schedule, from little to much noise."""
        return [int(self.num_times * (index + 0.5) / count) for index in range(count)]

    def add(self, latents: torch.Tensor, noise: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        """Noisy latents, shape and device as `latents`."""
        return self.schedule.add_noise(latents, noise, times.to(latents.device))

    def target(
        self, latents: torch.Tensor, noise: torch.Tensor, times: torch.Tensor
    ) -> torch.Tensor:
        """The noise, the velocity (Salimans & Ho 2022) or the latents, as the base predicts."""
        if self.kind == "v_prediction":
            return self.schedule.get_velocity(latents, noise, times.to(latents.device))
        return noise if self.kind == "epsilon" else latents

    def weight(self, times: torch.Tensor, min_snr_gamma: float) -> torch.Tensor:
        """Weight of each picture's loss, shape (count,), float32; 1 everywhere for gamma 0.

        Notes
        -----
        Min-SNR (Hang et al. 2023): min(SNR, gamma) / SNR of the noise, min(SNR, gamma) of the
        latents, min(SNR, gamma) / (SNR + 1) of the velocity. The last is raised by 1 / (SNR + 1),
        so that pure noise keeps a say where the schedule ends in it (zero terminal SNR).
        """
        import torch

        if min_snr_gamma <= 0:
            return torch.ones(len(times), device=times.device)
        alpha = self.schedule.alphas_cumprod.to(times.device)[times]
        snr = (alpha / (1 - alpha)).clamp(min=SNR_MIN)
        capped = snr.clamp(max=min_snr_gamma)
        if self.kind == "v_prediction":
            return (capped + 1) / (snr + 1)
        return capped / snr if self.kind == "epsilon" else capped


class FlowMatchingNoise:
    """Flow matching along straight lines (Liu et al. 2022), as SD3 and Flux are trained.

    A time is the share of noise, in (0, 1).

    Parameters
    ----------
    scheduler : FlowMatchEulerDiscreteScheduler
        Its fixed `shift` moves the training times; a dynamic one (Flux) is of drawing alone.
    """

    kind = "flow"

    def __init__(self, scheduler: Any) -> None:
        config = scheduler.config
        self.shift = 1.0 if config.get("use_dynamic_shifting") else float(config.get("shift", 1.0))
        self.num_times = int(config.num_train_timesteps)

    def times(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """Random times, shape (count,), float32: logit-normal, then shifted.

        Notes
        -----
        Location 0, scale 1 and the shift s t / (1 + (s - 1) t): Esser et al. 2024, sections 3.1
        and 5.3.2, as in diffusers' own training scripts.
        """
        from diffusers import training_utils

        times = training_utils.compute_density_for_timestep_sampling(
            "logit_normal", count, logit_mean=0.0, logit_std=1.0, generator=generator
        )
        return self.shift * times / (1 + (self.shift - 1) * times)

    def spread(self, count: int) -> list[float]:
        """The middles of `count` equal parts of (0, 1), from little to much noise."""
        return [(index + 0.5) / count for index in range(count)]

    def add(self, latents: torch.Tensor, noise: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        """(1 - t) latents + t noise, shape and device as `latents`."""
        share = self._share(latents, times)
        return (1 - share) * latents + share * noise

    def target(
        self, latents: torch.Tensor, noise: torch.Tensor, times: torch.Tensor
    ) -> torch.Tensor:
        """The velocity of the straight line: noise - latents, at every time."""
        return noise - latents

    def weight(self, times: torch.Tensor, min_snr_gamma: float) -> torch.Tensor:
        """1 everywhere: the choice of times weighs already (SD3's weighting "none")."""
        import torch

        return torch.ones(len(times), device=times.device)

    def _share(self, latents: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        """Times as float32 that multiply whole pictures."""
        return times.to(latents).view(-1, *(1,) * (latents.ndim - 1))
