"""Targets of a LoRA on the architectures as they were published, built without memory for weights.

The configurations are those of the models' own transformer/config.json and unet/config.json.
"""

import pytest

from bunny.training.family import flux, pipeline, sd, sd3


def on_nothing(kind, config):
    """A denoiser of the published shape, without weights."""
    import diffusers
    import torch

    with torch.device("meta"):
        return getattr(diffusers, kind)(**config)


def adapted(denoiser, targets):
    """Names of the modules that peft puts a LoRA on."""
    import torch
    from peft import LoraConfig

    with torch.device("meta"):
        denoiser.add_adapter(LoraConfig(r=4, target_modules=list(targets)))
    return [n.split(".lora_A")[0] for n, _ in denoiser.named_parameters() if ".lora_A" in n]


def test_flux_dev():
    """19 blocks of words beside picture, 38 of both."""
    denoiser = on_nothing("FluxTransformer2DModel", {"guidance_embeds": True})
    attention = pipeline.find_modules(denoiser, flux.ATTENTION)
    other = pipeline.find_modules(denoiser, flux.OTHER)
    assert len(attention) == 19 * 8 + 38 * 3
    assert len(other) == 19 * 4 + 38 * 2
    assert "proj_out" not in other  # the last layer is no block's
    assert sorted(adapted(denoiser, (*attention, *other))) == sorted((*attention, *other))


@pytest.mark.parametrize(("dual", "more"), [((), 0), (tuple(range(13)), 13 * 4)])
def test_sd3_and_sd35_medium(dual, more):
    """24 blocks; the last has no feed-forward and no output of words, nor a query that matters."""
    config = {
        "num_layers": 24,
        "num_attention_heads": 24,
        "caption_projection_dim": 1536,
        "pos_embed_max_size": 8,  # 192 and 384 in the files; this table alone takes memory
        "dual_attention_layers": dual,
    }
    denoiser = on_nothing("SD3Transformer2DModel", config)
    targets = sd3.living_modules(denoiser, (*sd3.ATTENTION, *sd3.OTHER))
    assert len(targets) == 24 * 8 - 2 + 24 * 4 - 2 + more
    assert sorted(adapted(denoiser, targets)) == sorted(targets)


@pytest.mark.parametrize(
    ("config", "num_attentions"),
    [
        ({"cross_attention_dim": 768}, 16 * 2),
        (
            {
                "block_out_channels": (320, 640, 1280),
                "down_block_types": ("DownBlock2D", *("CrossAttnDownBlock2D",) * 2),
                "up_block_types": (*("CrossAttnUpBlock2D",) * 2, "UpBlock2D"),
                "transformer_layers_per_block": [1, 2, 10],
                "use_linear_projection": True,
                "cross_attention_dim": 2048,
                "attention_head_dim": [5, 10, 20],
                "addition_embed_type": "text_time",
                "addition_time_embed_dim": 256,
                "projection_class_embeddings_input_dim": 2816,
            },
            70 * 2,
        ),
    ],
)
def test_sd15_and_sdxl(config, num_attentions):
    denoiser = on_nothing("UNet2DConditionModel", config)
    assert pipeline.present_endings(denoiser, sd.ATTENTION) == sd.ATTENTION
    assert pipeline.present_endings(denoiser, sd.OTHER) == sd.OTHER
    names = adapted(denoiser, sd.ATTENTION)
    assert len(names) == 4 * num_attentions  # query, key, value, output
