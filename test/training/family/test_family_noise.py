"""Noise, targets and weights of both kinds of training, by hand."""

import pytest

from bunny.core.error import UserError
from bunny.training.family import noise


def ddim(**config):
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", **config
    )


def with_alpha(kind: str, alphas: list[float]) -> noise.DiffusionNoise:
    """DDPM noise whose products of alpha are given, so that SNR is alpha / (1 - alpha)."""
    import torch

    made = noise.DiffusionNoise(ddim(prediction_type=kind))
    made.schedule.alphas_cumprod = torch.tensor(alphas)
    return made


@pytest.mark.parametrize(
    ("kind", "expected"),
    [  # SNR 9, 1 and 0, gamma 5
        ("epsilon", [5 / 9, 1.0, 1.0]),
        ("sample", [5.0, 1.0, 0.0]),
        ("v_prediction", [6 / 10, 1.0, 1.0]),
    ],
)
def test_min_snr_by_hand(kind, expected):
    import torch

    made = with_alpha(kind, [0.9, 0.5, 0.0])
    assert made.weight(torch.arange(3), 5.0).tolist() == pytest.approx(expected, abs=1e-5)
    assert made.weight(torch.arange(3), 0.0).tolist() == [1, 1, 1]


def test_diffusion_targets_by_hand():
    import torch

    picture, dust = torch.full((1, 1, 1, 1), 2.0), torch.full((1, 1, 1, 1), 3.0)
    time = torch.tensor([0])
    made = {k: with_alpha(k, [0.64]) for k in noise.PREDICTION_TYPES}
    assert made["epsilon"].add(picture, dust, time).item() == pytest.approx(0.8 * 2 + 0.6 * 3)
    assert made["epsilon"].target(picture, dust, time).item() == 3.0
    assert made["sample"].target(picture, dust, time).item() == 2.0
    velocity = made["v_prediction"].target(picture, dust, time).item()
    assert velocity == pytest.approx(0.8 * 3 - 0.6 * 2)


def test_diffusion_times_are_whole_even_and_repeatable():
    import torch

    made = noise.from_scheduler(ddim(), "mine")
    times = made.times(4000, torch.Generator().manual_seed(1))
    assert times.dtype == torch.int64
    assert 0 <= times.min() < 10 and 990 <= times.max() < 1000
    assert times.float().mean().item() == pytest.approx(499.5, abs=15)  # 3 standard errors: 13.7
    assert torch.equal(times, made.times(4000, torch.Generator().manual_seed(1)))
    assert made.spread(4) == [125, 375, 625, 875]


def test_zero_terminal_snr_is_kept():
    made = noise.from_scheduler(ddim(rescale_betas_zero_snr=True), "mine")
    assert made.schedule.alphas_cumprod[-1].item() == pytest.approx(0, abs=1e-6)


def flow(**config):
    from diffusers import FlowMatchEulerDiscreteScheduler

    return noise.from_scheduler(FlowMatchEulerDiscreteScheduler(**config), "mine")


def test_flow_by_hand():
    import torch

    made = flow()
    picture, dust = torch.full((2, 1, 1, 1), 2.0), torch.full((2, 1, 1, 1), 4.0)
    times = torch.tensor([0.25, 1.0])
    assert made.add(picture, dust, times).flatten().tolist() == [2.5, 4.0]
    assert made.target(picture, dust, times).flatten().tolist() == [2.0, 2.0]
    assert made.weight(times, 5.0).tolist() == [1.0, 1.0]
    assert made.spread(2) == [0.25, 0.75]


@pytest.mark.parametrize(
    ("config", "middle"),
    [
        ({}, 0.5),
        ({"shift": 3.0}, 0.75),  # 3 * 0.5 / (1 + 2 * 0.5)
        ({"shift": 3.0, "use_dynamic_shifting": True}, 0.5),
    ],
)
def test_flow_times_are_logit_normal_and_shifted(config, middle):
    import torch

    times = flow(**config).times(4001, torch.Generator().manual_seed(2))
    assert times.min() > 0 and times.max() < 1
    assert times.median().item() == pytest.approx(middle, abs=0.02)
    shift = middle / (1 - middle)  # logits are moved by log(shift)
    within = (torch.logit(times) - torch.log(torch.tensor(shift))).abs() < 1
    assert within.float().mean().item() == pytest.approx(0.683, abs=0.025)


def test_shifted_times_are_those_that_the_sampler_visits():
    """The middle of logit-normal is the middle of the sampler's own sigmas."""
    from diffusers import FlowMatchEulerDiscreteScheduler

    sampler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    assert sampler.sigmas[500].item() == pytest.approx(0.75, abs=1e-3)


def test_other_kinds_of_noise_are_refused():
    from diffusers import DDPMScheduler, EDMEulerScheduler

    with pytest.raises(UserError, match="found EDMEulerScheduler"):
        noise.from_scheduler(EDMEulerScheduler(), "mine")
    odd = DDPMScheduler(prediction_type="flow")
    with pytest.raises(UserError, match="DDPMScheduler with flow; choose another base"):
        noise.from_scheduler(odd, "mine")
