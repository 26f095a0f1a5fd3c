"""Drawing on an untrained tiny base: seeds, batches, adapters, starts, refusals."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from bunny.core import file_hash
from bunny.core.error import UserError
from bunny.generation import request, sampler
from bunny.generation.request import GenerationRequest, WeightedAdapter

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Already found a `peft_config`:UserWarning"),
]

PROMPTS = ("a red bear", "a cat on a beach", "snow", "an owl at night", "a pig in a city")


def drawings(**more):
    return [GenerationRequest(prompt=p, seed=i, num_steps=3, **more) for i, p in enumerate(PROMPTS)]


def pixels(base, wanted, adapter=None, **options):
    """Pictures in the order of `wanted`, as arrays."""
    made = sampler.generate(base, wanted, adapter, **options)
    found = {one.index: np.asarray(one.picture, np.int16) for one in made}
    return [found[i] for i in range(len(wanted))]


def weights(base):
    return {name: w.clone() for name, w in base.family.denoiser.state_dict().items()}


def far(one, two):
    """Largest difference of two pictures, in grey levels."""
    return int(np.abs(one - two).max())


def test_picture_depends_on_its_seed_and_not_on_the_batch(tiny_base):
    together = pixels(tiny_base, drawings(), batch_size=8)
    apart = pixels(tiny_base, drawings(), batch_size=1)
    by_two = pixels(tiny_base, drawings()[::-1], batch_size=2)[::-1]
    for one, two, three in zip(together, apart, by_two, strict=True):
        assert far(one, two) <= 1
        assert far(one, three) <= 1
    other = pixels(tiny_base, [replace(drawings()[0], seed=9)])[0]
    assert far(other, together[0]) > 10


def test_same_place_of_a_like_batch_is_the_same_bit_for_bit(tiny_base):
    once, again = pixels(tiny_base, drawings()), pixels(tiny_base, drawings())
    assert all((one == two).all() for one, two in zip(once, again, strict=True))


def test_batches_hold_only_what_can_be_drawn_together():
    wanted = [
        *(GenerationRequest(prompt=str(i), seed=i) for i in range(3)),
        GenerationRequest(prompt="x", seed=0, num_steps=9),
        GenerationRequest(prompt="y", seed=0, negative_prompt="blurred"),
    ]
    assert sampler.split_batches(wanted, 3) == [[0, 1, 2], [4], [3]]
    assert sampler.split_batches([], 3) == []


def test_negative_prompt_of_each_picture_is_its_own(tiny_base):
    plain = drawings()[:2]
    mixed = [plain[0], replace(plain[1], negative_prompt="blurred")]
    before, after = pixels(tiny_base, plain), pixels(tiny_base, mixed)
    assert (before[0] == after[0]).all()
    assert (before[1] != after[1]).any()


def test_any_size_that_is_a_multiple_of_the_step(tiny_base):
    made = pixels(tiny_base, drawings(width_px=48, height_px=24)[:1])[0]
    assert made.shape == (24, 48, 3)
    with pytest.raises(UserError, match=r"width 50: expected a multiple of 8 px .* e\.g\. 48"):
        pixels(tiny_base, drawings(width_px=50))


def test_adapter_draws_as_diffusers_itself_draws_with_it(tiny_base, tiny_adapter):
    from diffusers import DDIMScheduler

    path, worn = tiny_adapter
    wanted = drawings()[:2]
    ours = pixels(tiny_base, wanted, worn)
    pipeline = tiny_base.family.pipeline()
    pipeline.scheduler = DDIMScheduler.from_config(tiny_base.scheduler.config)
    pipeline.load_lora_weights(path.parent, weight_name=path.name)
    try:
        theirs = [_plain(pipeline, drawing) for drawing in wanted]
    finally:
        pipeline.unload_lora_weights()
    alone = pixels(tiny_base, wanted)
    assert max(map(far, ours, theirs)) <= 2
    assert min(map(far, ours, alone)) > 10


def _plain(pipeline, drawing):
    import torch

    made = pipeline(
        drawing.prompt,
        num_inference_steps=drawing.num_steps,
        guidance_scale=drawing.guidance_scale,
        generator=torch.Generator().manual_seed(drawing.seed),
    )
    return np.asarray(made.images[0], np.int16)


def test_base_is_given_back_bit_for_bit(tiny_base, tiny_adapter):
    before = weights(tiny_base)
    pixels(tiny_base, drawings()[:1], tiny_adapter[1])
    after = weights(tiny_base)
    assert before.keys() == after.keys()
    assert all((before[name] == after[name]).all() for name in before)


def test_base_is_given_back_after_a_failure(tiny_base, tiny_adapter):
    before = weights(tiny_base)

    with pytest.raises(KeyboardInterrupt):
        for _ in sampler.generate(tiny_base, drawings()[:1], tiny_adapter[1]):
            raise KeyboardInterrupt
    after = weights(tiny_base)
    assert all((before[name] == after[name]).all() for name in before)


def test_strength_0_is_the_base_and_halves_add_up(tiny_base, tiny_adapter):
    worn, wanted = tiny_adapter[1], drawings()[:1]
    alone, full = pixels(tiny_base, wanted)[0], pixels(tiny_base, wanted, worn)[0]
    none = pixels(tiny_base, wanted, replace(worn, strength=0.0))[0]
    halves = pixels(tiny_base, wanted, [replace(worn, strength=0.5)] * 2)[0]
    assert far(none, alone) <= 1
    assert far(halves, full) <= 1
    assert far(pixels(tiny_base, wanted, replace(worn, strength=0.5))[0], full) > 5


def test_two_different_adapters_blend(tiny_base, tiny_adapter, make_adapter):
    one, two = tiny_adapter[1], make_adapter(seed=5)
    wanted = drawings()[:1]
    blend = pixels(tiny_base, wanted, [one, two])[0]
    swapped = pixels(tiny_base, wanted, [two, one])[0]
    assert far(blend, swapped) <= 1
    assert min(far(blend, pixels(tiny_base, wanted, a)[0]) for a in (one, two)) > 5


def test_doras_draw_alone_and_blended(tiny_base, make_adapter):
    one, two = make_adapter(seed=5, use_dora=True), make_adapter(seed=6, use_dora=True)
    wanted = drawings()[:1]
    pipeline = tiny_base.family.pipeline()
    for worn in ([one], [one, two]):
        merged = [d.provenance["is_merged"] for d in sampler.generate(tiny_base, wanted, worn)]
        assert merged == [len(worn) == 1]
        for adapter, name in zip(worn, ("a", "b"), strict=False):
            pipeline.load_lora_weights(
                adapter.path.parent, weight_name=adapter.path.name, adapter_name=name
            )
        pipeline.set_adapters(["a", "b"][: len(worn)], [1.0] * len(worn))
        theirs = _plain(pipeline, wanted[0])
        pipeline.unload_lora_weights()
        assert far(pixels(tiny_base, wanted, worn)[0], theirs) <= 2


def test_changed_missing_or_foreign_adapter_is_refused(tiny_base, tiny_adapter, tmp_path):
    _path, worn = tiny_adapter
    with pytest.raises(UserError, match="file not found"):
        pixels(tiny_base, drawings(), WeightedAdapter(path=tmp_path / "no.safetensors", hash="0"))
    with pytest.raises(UserError, match="found a file with different content"):
        pixels(tiny_base, drawings(), replace(worn, hash="0" * 64))
    pickle = tmp_path / "adapter.bin"
    pickle.write_bytes(b"\x80\x04N.")
    with pytest.raises(UserError, match="safetensors"):
        pixels(
            tiny_base, drawings(), WeightedAdapter(path=pickle, hash=file_hash.hash_file(pickle))
        )


def test_broken_numbers_in_an_adapter_are_refused(tiny_base, make_adapter):
    with pytest.raises(UserError, match="expected finite adapter weights"):
        pixels(tiny_base, drawings(), make_adapter(seed=1, scale=float("nan")))


def test_adapter_of_a_base_in_bfloat16_is_not_rounded_away(tiny_folder, make_adapter):
    from bunny.training import base

    coarse = base.load_base(str(tiny_folder), device="cpu", precision="bf16")
    faint = make_adapter(seed=4, scale=0.003)
    (drawn,) = next(sampler.generate_batches(coarse, drawings()[:1], [[0]], faint))
    assert not drawn.provenance["is_merged"]
    assert (np.asarray(drawn.picture, np.int16) != pixels(coarse, drawings()[:1])[0]).any()


@pytest.mark.parametrize(("most", "sizes"), [(2, [2, 2, 1, 2, 2]), (0, [1] * 5)])
def test_too_little_memory_draws_fewer_at_once(tiny_base, most, sizes):
    import torch

    def refuse(_module, inputs):
        if len(inputs[0]) > 2 * most:  # each picture is looked at with its prompt and without
            raise torch.OutOfMemoryError("no memory")

    expected = pixels(tiny_base, drawings())
    hook = tiny_base.family.denoiser.register_forward_pre_hook(refuse)
    try:
        drawn = next(sampler.generate_batches(tiny_base, drawings(), [range(5)]))
    finally:
        hook.remove()
    assert [d.index for d in drawn] == list(range(5))
    assert [d.provenance["batch_size"] for d in drawn] == sizes
    if not most:
        assert all("out of memory for one picture of 32x32 px" in d.error for d in drawn)
        return
    for one, two in zip(drawn, expected, strict=True):
        assert far(np.asarray(one.picture, np.int16), two) <= 1


@pytest.fixture
def frame(tmp_path):
    """A picture of 64x36, red at the left and blue at the right."""
    picture = np.zeros((36, 64, 3), np.uint8)
    picture[:, :32, 0], picture[:, 32:, 2] = 220, 220
    path = tmp_path / "frame.png"
    Image.fromarray(picture).save(path)
    return path


def test_drawing_from_a_picture_keeps_the_less_the_more_is_drawn(tiny_base, frame):
    def drawn(strength, num_steps=10):
        start = request.load_init_image(frame, strength, "film-1")
        wanted = GenerationRequest(prompt="a bear", seed=1, num_steps=num_steps, start=start)
        return pixels(tiny_base, [wanted])[0]

    off = [np.abs(drawn(strength) - _seen(tiny_base, frame)).mean() for strength in (0.1, 0.5, 0.9)]
    assert off[0] < off[1] < off[2]
    with pytest.raises(UserError, match=r"set at least 0\.1"):
        drawn(0.05)


def _seen(base, path):
    """A picture of 64x36, cut to its middle square, as the base's autoencoder gives it back."""
    import torch

    with Image.open(path) as picture:
        square = picture.crop((14, 0, 50, 36)).resize((32, 32), Image.Resampling.LANCZOS)
    latents = base.family.encode_pictures(np.array(square)[None])
    with torch.no_grad():
        back = base.family.vae.decode(latents / base.family.vae.config.scaling_factor).sample[0]
    return (back.clamp(-1, 1).permute(1, 2, 0).numpy() + 1) * 127.5


def test_starts_differ_within_one_batch(tiny_base, frame, tmp_path):
    other = tmp_path / "other.png"
    Image.new("RGB", (40, 40), "white").save(other)
    wanted = [
        GenerationRequest(prompt="x", seed=1, num_steps=4, start=request.load_init_image(path, 0.5))
        for path in (frame, other)
    ]
    assert sampler.split_batches(wanted, 8) == [[0, 1]]
    together = pixels(tiny_base, wanted)
    assert far(together[0], pixels(tiny_base, wanted[:1])[0]) <= 1
    assert far(together[1], pixels(tiny_base, wanted[1:])[0]) <= 1
    assert far(*together) > 5


def test_what_is_no_picture_cannot_be_started_from(tmp_path):
    (tmp_path / "a.png").write_text("words")
    with pytest.raises(UserError, match="could not read it"):
        request.load_init_image(tmp_path / "a.png", 0.5)
    with pytest.raises(UserError, match="file not found"):
        request.load_init_image(tmp_path / "b.png", 0.5)


def test_values_that_are_no_numbers_are_an_error_and_no_picture(tiny_base):
    wanted = [GenerationRequest(prompt="a", seed=1, num_steps=2, guidance_scale=float("inf"))]
    made = [(d.index, d.picture, d.error) for d in sampler.generate(tiny_base, wanted)]
    assert made == [(0, None, sampler.NOT_FINITE)]


def test_what_could_not_be_drawn_is_not_saved(tmp_path):
    failed = sampler.GeneratedPicture(index=0, picture=None, provenance={}, error="no memory")
    with pytest.raises(ValueError, match=r"a\.png: expected a picture to save.*no memory"):
        failed.save(tmp_path / "a.png", {})
    assert not (tmp_path / "a.png").exists()


def test_seed_out_of_range_is_refused(tiny_base):
    with pytest.raises(UserError, match="seed -1: expected a number from 0"):
        pixels(tiny_base, [GenerationRequest(prompt="a", seed=-1)])


def test_plain_samples_are_drawn_with_the_model_as_it_is(tiny_base):
    made = sampler.draw_plain(tiny_base, PROMPTS[:2], seed=3, num_steps=2)
    wanted = [GenerationRequest(prompt=p, seed=3, num_steps=2) for p in PROMPTS[:2]]
    assert [np.asarray(p).shape for p in made] == [(32, 32, 3)] * 2
    assert (np.asarray(made[1], np.int16) == pixels(tiny_base, wanted)[1]).all()
