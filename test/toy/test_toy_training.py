"""Training of the toy base, at a size of a few thousand weights."""

import dataclasses

import numpy as np
import pytest
from toy import model
from toy import unet as toy_unet
from toy import vae as toy_vae

pytestmark = pytest.mark.slow

VAE = toy_vae.VaeTraining(steps=4, batch_size=2, crop_px=16, warmup_steps=1, save_every=2)
UNET = toy_unet.UnetTraining(steps=4, batch_size=2, warmup_steps=1, save_every=2)


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)


def make_vae():
    import torch

    torch.manual_seed(0)
    return model.make_vae(widths=(8, 8, 8, 8), latent_channels=4)


def train_vae(pictures, folder, settings=VAE):
    vae = make_vae()
    report = toy_vae.train_vae(vae, pictures, folder, settings)
    return vae, report


def is_same(one, two) -> bool:
    return all((a == b).all() for a, b in zip(one.parameters(), two.parameters(), strict=True))


class KilledError(Exception):
    pass


def kill_at_three(step: int) -> None:
    if step == 3:
        raise KilledError


def test_vae_resumes_bit_for_bit(pictures, tmp_path):
    whole, report = train_vae(pictures, tmp_path / "whole")
    with pytest.raises(KilledError):
        toy_vae.train_vae(make_vae(), pictures, tmp_path / "cut", VAE, kill_at_three)
    steps = []
    again = make_vae()
    toy_vae.train_vae(again, pictures, tmp_path / "cut", VAE, steps.append)
    assert steps == [3, 4]
    assert is_same(whole, again)
    assert 0 < report["l1"] < 255


def test_decoder_alone_leaves_the_encoder(pictures, tmp_path):
    before = make_vae()
    after, _ = train_vae(pictures, tmp_path, dataclasses.replace(VAE, is_decoder_only=True))
    assert is_same(before.encoder, after.encoder)
    assert not is_same(before.decoder, after.decoder)


def test_latents_are_eight_times_smaller(pictures):
    latents = toy_vae.encode_all(make_vae(), pictures, batch_size=2)
    assert latents.shape == (3, 4, 4, 4)
    assert latents.dtype == np.float16


FACTS = [
    {
        "who": [["red", "bear", "none"]],
        "place": "in the snow",
        "size": "medium",
        "light": "day",
        "background": ["white", "blue"],
    }
] * 3


def make_trainer(folder, settings=UNET):
    import torch

    torch.manual_seed(0)
    tokenizer = model.write_tokenizer(folder / "tokenizer")
    latents = np.random.default_rng(0).normal(size=(3, 4, 4, 4)).astype(np.float16)
    return toy_unet.ToyTrainer(
        model.make_unet(widths=(8, 16), text_width=16, heads=2, latent_channels=4),
        model.make_text_encoder(tokenizer, width=16, layers=1),
        latents,
        FACTS,
        tokenizer,
        scaling_factor=0.5,
        folder=folder,
        settings=settings,
    )


def test_unet_resumes_bit_for_bit(tmp_path):
    whole = make_trainer(tmp_path / "whole")
    report = whole.train()
    assert report["steps"] == 4
    cut = make_trainer(tmp_path / "cut")
    for _ in range(2):
        cut.train_step()
    cut.save()
    again = make_trainer(tmp_path / "cut")
    assert again.step == 2
    again.train()
    assert is_same(whole.unet, again.unet)
    assert is_same(whole.text_encoder, again.text_encoder)
    assert all((a == b).all() for a, b in zip(whole.ema, again.ema, strict=True))


def test_averaged_weights_lag_behind(tmp_path):
    trainer = make_trainer(tmp_path)
    trainer.train()
    unet, _text_encoder = trainer.averaged()
    assert not is_same(unet, trainer.unet)


def test_rate_by_hand():
    settings = toy_unet.UnetTraining(steps=100, learning_rate=1.0, warmup_steps=10, decay_share=0.2)
    rates = [toy_unet.learning_rate(step, settings) for step in (0, 9, 50, 80, 90, 99)]
    assert rates == pytest.approx([0.1, 1.0, 1.0, 1.0, 0.5, 0.05])
