"""Untrained models of a few thousand weights of each family: for tests and dry runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from toy import model

PICTURE_PX, LATENT_PX = 32, 4
WIDTH = 16  # of the words
POOLED = 16  # of the pooled words of each CLIP
T5_TOKENS_MAX = 512
VAE_WIDTHS = (8, 8, 8, 8)


def save(folder: Path, family: str, seed: int = 0) -> None:
    """Write an untrained model of a family as `save_pretrained` does, 32 bits, safetensors.

    Parameters
    ----------
    folder : Path
    family : str
        sd, sdxl, sd3 or flux.
    seed : int
        Of the weights.

    Raises
    ------
    KeyError
        If there is no such family.
    """
    import torch

    make = {"sd": _sd, "sdxl": _sdxl, "sd3": _sd3, "flux": _flux}[family]
    torch.manual_seed(seed)
    make(model.write_tokenizer(folder / "tokenizer")).save_pretrained(folder)


def make_unet(**config: Any) -> Any:
    """An untrained UNet with attention at its lower level.

    Parameters
    ----------
    config
        What differs, as `UNet2DConditionModel` names it.
    """
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        **{
            "sample_size": LATENT_PX,
            "block_out_channels": (8, 16),
            "layers_per_block": 1,
            "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
            "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
            "cross_attention_dim": WIDTH,
            "attention_head_dim": 2,
            "norm_num_groups": 4,
            **config,
        }
    )


def _sd(tokenizer: Any) -> Any:
    """Stable Diffusion 1.x: predicts the noise."""
    import diffusers

    return diffusers.StableDiffusionPipeline(
        vae=_vae(4, scaling_factor=0.18215),
        unet=make_unet(),
        text_encoder=_clip(tokenizer),
        tokenizer=tokenizer,
        scheduler=_ddim(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def _sdxl(tokenizer: Any) -> Any:
    """Stable Diffusion XL: two CLIPs, the second pooled; six numbers of the picture's size."""
    import diffusers

    time_width = 8
    unet = make_unet(
        cross_attention_dim=2 * WIDTH,
        addition_embed_type="text_time",
        addition_time_embed_dim=time_width,
        projection_class_embeddings_input_dim=POOLED + 6 * time_width,
        use_linear_projection=True,
    )
    return diffusers.StableDiffusionXLPipeline(
        vae=_vae(4, scaling_factor=0.13025),
        unet=unet,
        text_encoder=_clip(tokenizer),
        text_encoder_2=_clip(tokenizer, is_projected=True),
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        scheduler=_ddim(),
        add_watermarker=False,
    )


def _sd3(tokenizer: Any) -> Any:
    """Stable Diffusion 3: two CLIPs beside each other, the T5 behind them."""
    import diffusers

    transformer = diffusers.SD3Transformer2DModel(
        sample_size=LATENT_PX,
        patch_size=2,
        in_channels=16,
        out_channels=16,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=2 * WIDTH,
        caption_projection_dim=16,
        pooled_projection_dim=2 * POOLED,
        pos_embed_max_size=8,
    )
    t5, t5_tokenizer = _t5(2 * WIDTH)
    return diffusers.StableDiffusion3Pipeline(
        vae=_vae(16, scaling_factor=1.5305, shift_factor=0.0609),
        transformer=transformer,
        text_encoder=_clip(tokenizer, is_projected=True),
        text_encoder_2=_clip(tokenizer, is_projected=True),
        text_encoder_3=t5,
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        tokenizer_3=t5_tokenizer,
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
    )


def _flux(tokenizer: Any) -> Any:
    """Flux.1 dev: CLIP pooled, the T5 as words, guidance told."""
    import diffusers

    transformer = diffusers.FluxTransformer2DModel(
        patch_size=1,
        in_channels=4 * 16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=2 * WIDTH,
        pooled_projection_dim=WIDTH,
        guidance_embeds=True,
        axes_dims_rope=(4, 4, 8),
    )
    t5, t5_tokenizer = _t5(2 * WIDTH)
    return diffusers.FluxPipeline(
        vae=_vae(16, scaling_factor=0.3611, shift_factor=0.1159),
        transformer=transformer,
        text_encoder=_clip(tokenizer),
        text_encoder_2=t5,
        tokenizer=tokenizer,
        tokenizer_2=t5_tokenizer,
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
    )


def _ddim() -> Any:
    """DDIM on Stable Diffusion's own schedule."""
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


def _vae(channels: int, **config: float) -> Any:
    """An AutoencoderKL, 8 times smaller."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * len(VAE_WIDTHS),
        up_block_types=("UpDecoderBlock2D",) * len(VAE_WIDTHS),
        block_out_channels=VAE_WIDTHS,
        layers_per_block=1,
        latent_channels=channels,
        norm_num_groups=4,
        sample_size=PICTURE_PX,
        mid_block_add_attention=False,
        **config,
    )


def _clip(tokenizer: Any, *, is_projected: bool = False) -> Any:
    """A CLIP text encoder of two layers, with or without a projection of the pooled words."""
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        projection_dim=POOLED,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=model.TOKENS_MAX,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return (CLIPTextModelWithProjection if is_projected else CLIPTextModel)(config)


def _t5(width: int) -> tuple[Any, Any]:
    """A T5 encoder of one layer and its tokenizer: our words whole, all others in characters."""
    from transformers import T5Config, T5EncoderModel, T5TokenizerFast

    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    characters = [(chr(code), -8.0) for code in range(33, 127)]
    words = [(f"▁{word}", -4.0) for word in model.WORDS]
    tokenizer = T5TokenizerFast(
        vocab=[*special, *characters, *words], extra_ids=0, model_max_length=T5_TOKENS_MAX
    )
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=width,
        d_kv=8,
        d_ff=2 * width,
        num_layers=1,
        num_heads=2,
        feed_forward_proj="gated-gelu",
    )
    return T5EncoderModel(config), tokenizer
