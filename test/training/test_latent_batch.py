"""Latents, words and masks as the loop gets them, and their cache."""

import numpy as np
import pytest
import torch

from bunny.dataset.crop_caption import CaptionVariant
from bunny.dataset.image_folder import TrainingExample
from bunny.training import latent_batch
from bunny.training import loss as training_loss
from bunny.training.latent_batch import LatentCache


def example(value: int, caption: str = "bunny", mask: np.ndarray | None = None) -> TrainingExample:
    picture = np.full((32, 32, 3), value, np.uint8)
    picture[:, :8] = 255 - value  # left and right differ
    return TrainingExample(picture=picture, caption=caption, mask=mask)


def test_masks_are_averaged_down_and_weigh_one_on_average():
    mask = np.zeros((32, 32), np.uint8)
    mask[:4, :8] = 255  # half of the first of 4x4 cells
    emphasis = latent_batch.mask_weight(
        [example(1, mask=mask), example(2)], torch.zeros(2, 4, 4, 4), 0.2
    )
    cell, rest = 0.2 + 0.8 * 0.5, 0.2
    mean = (cell + 15 * rest) / 16
    assert emphasis.shape == (2, 1, 4, 4)
    assert emphasis[0, 0, 0, 0].item() == pytest.approx(cell / mean)
    assert emphasis[0, 0, 3, 3].item() == pytest.approx(rest / mean)
    assert emphasis[0].mean().item() == pytest.approx(1)
    assert (emphasis[1] == 1).all()  # no mask: everywhere alike


def test_masks_that_change_nothing_cost_nothing():
    masked = [example(1, mask=np.eye(32, dtype=np.uint8) * 255)]
    assert latent_batch.mask_weight(masked, torch.zeros(1, 4, 4, 4), 1.0) is None
    assert latent_batch.mask_weight([example(1)], torch.zeros(1, 4, 4, 4), 0.0) is None
    full = latent_batch.mask_weight(
        [example(1, mask=np.full((32, 32), 255, np.uint8))], torch.zeros(1, 4, 4, 4), 0.0
    )
    assert (full == 1).all()
    empty = latent_batch.mask_weight(
        [example(1, mask=np.zeros((32, 32), np.uint8))], torch.zeros(1, 4, 4, 4), 0.0
    )
    assert (empty == 1).all()  # a mask of nothing must not divide by nothing


def test_batch_mirrors_latents_and_masks_together(tiny_base):
    left = np.zeros((32, 32), np.uint8)
    left[:, :16] = 255
    made = latent_batch.encode_bucket(
        tiny_base,
        [example(40, "one", left), example(200, "two", left)],
        has_flips=True,
        background_weight=0.0,
    )
    yes, no = np.array([True, True]), np.array([False, False])
    rows = np.array([1, 0])
    plain, turned = made.batch(rows, no, no), made.batch(rows, yes, np.array([True, False]))
    assert plain.captions == ["two", "one"]
    assert turned.captions == ["", "one"]
    assert torch.equal(plain.emphasis.flip(-1), turned.emphasis)
    mirrored = np.stack([example(40).picture, example(200).picture])[:, :, ::-1]
    expected = tiny_base.family.encode_pictures(mirrored)[[1, 0]]
    assert torch.equal(turned.latents, expected)
    assert not torch.equal(turned.latents, plain.latents)


def test_phrases_are_what_the_family_says_each_once(tiny_base):
    phrases = latent_batch.encode_captions(tiny_base, ["a bunny", "a fox", "a bunny"])
    assert list(phrases.rows) == ["", "a bunny", "a fox"]
    words = phrases.of(["a fox", "", "a fox"])
    expected = tiny_base.family.encode_words(["a fox", "", "a fox"])
    assert torch.allclose(words["hidden"], expected["hidden"], atol=1e-6)


def test_cache_gives_the_same_and_forgets_what_nobody_uses(tiny_base, tmp_path):
    examples = [example(40), example(200)]
    first = latent_batch.encode_bucket(tiny_base, examples, cache=LatentCache(tmp_path))
    (file,) = tmp_path.iterdir()
    tiny_base.family.vae.decoder = tiny_base.family.vae.encoder = None  # it must not be asked
    again = LatentCache(tmp_path)
    assert torch.equal(
        latent_batch.encode_bucket(tiny_base, examples, cache=again).latents, first.latents
    )
    with pytest.raises(TypeError):  # other pictures are other latents
        latent_batch.encode_bucket(tiny_base, examples[:1], cache=LatentCache(tmp_path))
    again.drop_others()
    assert list(tmp_path.iterdir()) == [file]
    LatentCache(tmp_path).drop_others()
    assert list(tmp_path.iterdir()) == []


def test_damaged_cache_is_made_again(tmp_path, caplog):
    cache = LatentCache(tmp_path)
    cache.get("x", [1], [], lambda: {"v": torch.arange(3)})
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-4])
    assert cache.get("x", [1], [], lambda: {"v": torch.arange(4)})["v"].tolist() == [0, 1, 2, 3]
    assert "computing it again" in caplog.text


def test_fixed_loss_is_the_same_at_every_call_and_whatever_the_batch(tiny_base, monkeypatch):
    made = latent_batch.encode_bucket(tiny_base, [example(v) for v in (10, 90, 200)])
    words = latent_batch.encode_captions(tiny_base, ["bunny"])
    options = {"num_times": 2, "seed": 4}

    def loss():
        of = lambda rows: words.of(["bunny"] * len(rows))  # noqa: E731
        return training_loss.fixed_noise_loss(tiny_base.family, made.latents, of, **options)

    whole = loss()
    assert whole == loss() > 0
    monkeypatch.setattr(training_loss, "FIXED_BATCH", 2)
    assert loss() == pytest.approx(whole, rel=1e-5)


def test_losses_weigh_places_and_noise_levels(tiny_base):
    """With all weight on one half of the latents, the other half's target does not matter."""
    family = tiny_base.family
    latents, noise = (training_loss.gaussian_noise((1, 4, 4, 4), seed) for seed in (1, 2))
    words = family.encode_words(["bunny"])
    times = torch.tensor([700])
    top = torch.zeros(1, 1, 4, 4)
    top[..., :2, :] = 2.0  # mean 1
    plain = training_loss.denoising_loss(family, latents, words, noise, times)
    upper = training_loss.denoising_loss(family, latents, words, noise, times, emphasis=top)
    lower = training_loss.denoising_loss(
        family, latents, words, noise, times, emphasis=top.flip(-2)
    )
    assert (upper + lower).item() / 2 == pytest.approx(plain.item(), rel=1e-5)
    weight = family.noise.weight(times, 5.0)
    weighed = training_loss.denoising_loss(family, latents, words, noise, times, min_snr_gamma=5.0)
    assert weighed.item() == pytest.approx((plain * weight).item(), rel=1e-5)


def test_noise_offset_is_one_value_a_channel():
    plain, shifted = (
        training_loss.gaussian_noise((2, 3, 4, 4), 7, offset) for offset in (0.0, 0.5)
    )
    difference = (shifted - plain).flatten(2)
    assert torch.allclose(difference, difference[..., :1].expand_as(difference), atol=1e-6)
    assert difference[..., 0].unique().numel() == 6


SEVERAL = TrainingExample(
    picture=np.zeros((8, 8, 3), np.uint8),
    caption="anna",
    variants=(
        CaptionVariant(text="anna, short", share=0.3),
        CaptionVariant(text="anna on the left", share=0.5),
        CaptionVariant(text="anna, tag", share=0.2),
    ),
)


@pytest.mark.parametrize(
    ("draw", "text"),
    [
        (0.0, "anna, short"),
        (0.299, "anna, short"),
        (0.3, "anna on the left"),
        (0.799, "anna on the left"),
        (0.801, "anna, tag"),
        (0.999999, "anna, tag"),
    ],
)
def test_one_of_several_captions_is_drawn_by_their_shares(draw, text):
    assert latent_batch.draw_caption(SEVERAL, draw) == text


def test_a_mirrored_picture_has_left_and_right_the_other_way_round():
    assert latent_batch.draw_caption(SEVERAL, 0.5, is_mirrored=True) == "anna on the right"
    every = latent_batch.every_caption(SEVERAL, has_flips=True)
    assert "anna on the right" in every and "anna on the left" in every and "anna" in every
    assert len(latent_batch.every_caption(SEVERAL, has_flips=False)) == 4
    assert latent_batch.draw_caption(example(1), 0.9) == "bunny"


def test_a_batch_draws_for_each_of_its_pictures():
    bucket = latent_batch.LatentBucket(
        examples=[SEVERAL, example(1)], latents=torch.zeros(2, 4, 1, 1), flipped=None, emphasis=None
    )
    assert bucket.has_variants
    rows, no = np.array([0, 1, 0, 0]), np.zeros(4, bool)
    draws = np.array([0.9, 0.9, 0.1, 0.5])
    turned = np.array([False, False, False, True])
    made = bucket.batch(rows, turned, np.array([False, False, True, False]), draws)
    assert made.captions == ["anna, tag", "bunny", "", "anna on the right"]
    assert bucket.batch(rows, no, no).captions[0] == "anna, short"  # nothing drawn: the first
