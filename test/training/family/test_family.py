"""Each family as diffusers' own pipeline has it: words, pictures, prediction, training, drawing."""

import numpy as np
import pytest

from bunny.training import base
from bunny.training.family.contract import LAYOUTS

CAPTIONS = ["a red bear in the snow", "a fox, close-up, zzz"]
pytestmark = pytest.mark.parametrize("name", LAYOUTS)


@pytest.fixture
def family(family_folder, name):
    return base.load_base(str(family_folder(name)), "cpu").family


def picture(width=32, height=32, seed=0):
    """A smooth picture: corners of four colours."""
    corners = np.random.default_rng(seed).uniform(0, 255, size=(2, 2, 3))
    x, y = np.linspace(0, 1, width)[None, :, None], np.linspace(0, 1, height)[:, None, None]
    top = corners[0, 0] * (1 - x) + corners[0, 1] * x
    bottom = corners[1, 0] * (1 - x) + corners[1, 1] * x
    return np.round(top * (1 - y) + bottom * y).astype(np.uint8)


def by_hand(pipe, name):
    """Words from the encoders themselves: what is `hidden`, what is `pooled`."""
    import torch

    def clip(part):
        tokenizer = getattr(pipe, part.replace("text_encoder", "tokenizer"))
        ids = tokenizer(
            CAPTIONS, padding="max_length", max_length=40, return_tensors="pt"
        ).input_ids
        return getattr(pipe, part)(ids, output_hidden_states=True)

    def t5(part, length):
        tokenizer = getattr(pipe, part.replace("text_encoder", "tokenizer"))
        ids = tokenizer(CAPTIONS, padding="max_length", max_length=length, return_tensors="pt")
        return getattr(pipe, part)(ids.input_ids)[0]

    with torch.no_grad():
        if name == "sd":
            return {"hidden": clip("text_encoder").last_hidden_state}
        if name == "flux":
            pooled = clip("text_encoder").pooler_output
            return {"hidden": t5("text_encoder_2", 512), "pooled": pooled}
        one, two = clip("text_encoder"), clip("text_encoder_2")
        hidden = torch.cat([one.hidden_states[-2], two.hidden_states[-2]], dim=-1)
        if name == "sdxl":
            return {"hidden": hidden, "pooled": two.text_embeds}
        return {
            "hidden": torch.cat([hidden, t5("text_encoder_3", 256)], dim=1),
            "pooled": torch.cat([one.text_embeds, two.text_embeds], dim=-1),
        }


def test_words_are_the_encoders_and_the_pipelines_own(family, name):
    import torch

    words, expected = family.encode_words(CAPTIONS), by_hand(family.source, name)
    assert words.keys() == expected.keys()
    for key, tensor in words.items():
        assert torch.allclose(tensor, expected[key], atol=1e-5), key
        assert not tensor.requires_grad
    options = {"device": "cpu", "num_images_per_prompt": 1}
    more = {
        "sd3": {"prompt_2": None, "prompt_3": None, "do_classifier_free_guidance": False},
        "flux": {"prompt_2": None},
    }.get(name, {"do_classifier_free_guidance": False})
    with torch.no_grad():
        given = family.pipeline().encode_prompt(CAPTIONS, **options, **more)
    pooled = {"sdxl": 2, "sd3": 2, "flux": 1}
    assert torch.allclose(words["hidden"], given[0], atol=1e-5)
    if name in pooled:
        assert torch.allclose(words["pooled"], given[pooled[name]], atol=1e-5)


def test_pictures_become_scaled_means(family, name):
    import torch

    pictures = np.stack([picture(48, 32, seed) for seed in range(9)])  # more than one batch
    latents = family.encode_pictures(pictures)
    channels = 16 if name in ("sd3", "flux") else 4
    assert latents.shape == (9, channels, 4, 6) and latents.dtype == torch.float32
    pixels = torch.from_numpy(pictures[8:]).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.no_grad():
        mean = family.vae.encode(pixels).latent_dist.mean
    shift, scale = {
        "sd": (0, 0.18215),
        "sdxl": (0, 0.13025),
        "sd3": (0.0609, 1.5305),
        "flux": (0.1159, 0.3611),
    }[name]
    assert torch.allclose(latents[8:], (mean - shift) * scale, atol=1e-5)


def test_prediction_is_what_the_pipeline_asks_and_gets(family, name):
    """The first step of a drawing, 48x32: its time, latents and answer, seen from outside."""
    import torch

    words = family.encode_words(CAPTIONS[:1])
    latents = torch.randn(1, family.vae.config.latent_channels, 4, 6)
    pipe, seen = family.pipeline(), {}
    start = pipe._pack_latents(latents, 1, 16, 4, 6) if name == "flux" else latents
    if hasattr(pipe.scheduler, "init_noise_sigma"):
        assert pipe.scheduler.init_noise_sigma == 1

    def look(_module, arguments, options, answer):
        time = options["timestep"] if "timestep" in options else arguments[1]
        seen.setdefault("time", time.reshape(-1)[:1])
        seen.setdefault("answer", answer[0])

    hook = family.denoiser.register_forward_hook(look, with_kwargs=True)
    size = {"width": 48, "height": 32, "guidance_scale": 1.0, "num_inference_steps": 2}
    pipe(CAPTIONS[0], latents=start, output_type="latent", **size)
    hook.remove()
    time = seen["time"] / 1000 if name == "sd3" else seen["time"]
    with torch.no_grad():
        said = family.predict(latents, time, words)
    answer = seen["answer"]
    answer = pipe._unpack_latents(answer, 32, 48, 8) if name == "flux" else answer
    assert said.shape == latents.shape
    assert torch.allclose(said, answer, atol=1e-5)


def test_prediction_hears_words_and_times(family):
    import torch

    latents = torch.randn(2, family.vae.config.latent_channels, 4, 4)
    latents[1] = latents[0]
    early, late = family.noise.spread(2)
    words = family.encode_words(CAPTIONS)
    same_words = family.encode_words([CAPTIONS[0]] * 2)
    with torch.no_grad():
        by_words = family.predict(latents, torch.tensor([early, early]), words)
        by_time = family.predict(latents, torch.tensor([early, late]), same_words)
        equal = family.predict(latents, torch.tensor([late, late]), same_words)
    assert (by_words[0] - by_words[1]).abs().max() > 1e-4
    assert (by_time[0] - by_time[1]).abs().max() > 1e-4
    assert torch.allclose(equal[0], equal[1], atol=1e-5)


def put_on(module, targets, adapter_type):
    """A LoRA whose weights are learned in 32 bits; names of the modules that carry it."""
    import torch
    from diffusers.training_utils import cast_training_params
    from peft import LoraConfig

    torch.manual_seed(0)
    config = LoraConfig(r=2, lora_alpha=2, init_lora_weights="gaussian", target_modules=targets)
    module.add_adapter(config, adapter_name=adapter_type)
    cast_training_params(module, dtype=torch.float32)
    return [n.split(".lora_A")[0] for n, _ in module.named_parameters() if ".lora_A" in n]


def train(family, modules, steps=25):
    """Losses of steps on one picture with two captions, always with the same noise and times."""
    import torch

    latents = family.encode_pictures(np.stack([picture()] * 2))
    learned = [p for module in modules for p in module.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learned, lr=1e-2, weight_decay=0)
    losses, has_grad = [], family.denoiser not in modules
    words = family.encode_words(CAPTIONS)
    for _ in range(steps):
        generator = torch.Generator().manual_seed(0)
        times = family.noise.times(2, generator)
        dust = torch.randn(latents.shape, generator=generator)
        words = family.encode_words(CAPTIONS, has_grad=True) if has_grad else words
        said = family.predict(family.noise.add(latents, dust, times), times, words)
        error = (said - family.noise.target(latents, dust, times)).pow(2).mean(dim=(1, 2, 3))
        loss = (error * family.noise.weight(times, 5.0)).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    return losses


def dead(module):
    """Adapted modules whose B is still zero."""
    return [
        n for n, w in module.named_parameters() if "lora_B" in n and not float(w.detach().norm())
    ]


def test_lora_learns_everywhere(family):
    """On attention and all else that is named: the loss falls and no B stays zero."""
    targets = [*family.attention_targets, *family.other_targets]
    adapted = put_on(family.denoiser, targets, "default")
    names = [n for n, _ in family.denoiser.named_modules()]
    for target in targets:
        assert any(n == target or n.endswith(f".{target}") for n in names), target
    if family.denoiser_key == "transformer":  # full names: exactly those are adapted
        assert sorted(adapted) == sorted(targets)
    losses = train(family, [family.denoiser])
    assert losses[-1] < 0.9 * losses[0]
    assert dead(family.denoiser) == []


def test_text_encoders_learn_everywhere(family):
    """Those that LoRA files know, through `encode_words(has_grad=True)`."""
    assert "text_encoder" in family.trainable_text
    encoders = [family.text_encoders[part] for part in family.trainable_text]
    for part, encoder in zip(family.trainable_text, encoders, strict=True):
        assert put_on(encoder, list(family.text_targets[part]), "default")
    losses = train(family, encoders, steps=8)
    assert losses[-1] < losses[0]
    assert [dead(encoder) for encoder in encoders] == [[] for _ in encoders]


@pytest.mark.filterwarnings(
    "ignore:`upcast_vae` is deprecated:FutureWarning"
)  # diffusers' own call
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_draws_in_each_precision(family_folder, name, precision):
    import torch

    loaded = base.load_base(str(family_folder(name)), "cpu", precision=precision)
    family, pictures = loaded.family, np.stack([picture()])
    before = family.encode_pictures(pictures)
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    assert {p.dtype for p in family.denoiser.parameters()} == {dtype}
    assert {p.dtype for p in family.vae.parameters()} == {torch.float32}
    options = {"num_inference_steps": 2, "output_type": "np"}
    for kind in ("text2img", "img2img"):
        start = {"image": torch.rand(1, 3, 32, 32), "strength": 0.9} if kind == "img2img" else {}
        drawn = loaded.family.pipeline(kind=kind)(CAPTIONS[0], **options, **start).images
        assert drawn.shape == (1, 32, 32, 3)  # the base's own size
        assert np.isfinite(drawn).all() and drawn.std() > 0.01
    assert torch.equal(family.encode_pictures(pictures), before)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_predicts_and_learns_alike(family_folder, family, name, precision):
    import torch

    half = base.load_base(str(family_folder(name)), "cpu", precision=precision).family
    latents = family.encode_pictures(np.stack([picture()]))
    time = torch.tensor([family.noise.spread(1)[0]])
    with torch.no_grad():
        full = family.predict(latents, time, family.encode_words(CAPTIONS[:1]))
        near = half.predict(latents, time, half.encode_words(CAPTIONS[:1]))
    assert near.dtype == torch.float32
    assert (near - full).norm() < 0.05 * full.norm()
    if precision == "bf16":
        put_on(half.denoiser, list(half.attention_targets), "default")
        losses = train(half, [half.denoiser], steps=10)
        assert losses[-1] < losses[0]
        assert dead(half.denoiser) == []


def test_base_says_what_it_is(family_folder, name):
    loaded = base.load_base(str(family_folder(name)), "cpu", family=name)
    assert loaded.family.name == name
    assert loaded.resolution_px == 32
    assert loaded.family.size_step_px == {"sd3": 16, "flux": 16}.get(name, 8)
    parts = [loaded.family.denoiser, loaded.family.vae, *loaded.family.text_encoders.values()]
    assert not any(p.requires_grad for part in parts for p in part.parameters())
    assert not any(part.training for part in parts)
    assert loaded.tokenizer("bear").input_ids[1:-1] != []
    assert not loaded.is_toy
