"""The toy base: Stable Diffusion's own classes at a size that two cores can train in an hour.

128x128 pictures, 16x16x8 latents, v-prediction, a tokenizer in which every word of our captions is
one token. It is a stand-in that lets the whole way run without a model hub; it knows one cartoon
world and nothing else.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any

PICTURE_PX = 128
LATENT_PX = 16
LATENT_CHANNELS = 8  # of 4 the autoencoder makes an error of 12 of 255, of 8 one of 9
TOKENS_MAX = 40
TEXT_WIDTH = 128
BOS, EOS = "<|startoftext|>", "<|endoftext|>"
FORMAT_NAME = "toy"  # written to the model card; `base.load_base` tells the toy by it

# Words that get a token of their own; any other string is spelled in characters.
WORD_TEXT = """
a an the and or of in on at with without by near behind front to from is are no not one
two three four many some other its his her this that there it
bear fox cat mouse frog penguin owl pig robot elephant rabbit bunny bird dog squirrel dragon
person people man woman girl boy child face animal character hero figure couple crowd
red orange yellow green blue purple pink brown grey gray white black teal gold beige golden
colour color colours coloured dark bright light dim pale soft warm cold
scarf hat shirt bow overalls dress coat wearing wears
meadow forest snow snowy camp fire kitchen beach desert city street mountain bedroom
studio plain background sea river sky tree trees grass flower flowers house room
indoors outdoors garden
close up medium wide long shot view portrait full body half head
day dusk night evening morning sunset moon sun daylight
left right centre center top bottom middle side looking facing profile frontal back
standing walking waving smiling laughing sitting running jumping sleeping talking
still moving motion blurred sharp static dynamic camera low high contrast
photo photograph drawing cartoon picture image film frame style title text card scene place
small large big little happy sad old young alone together dancing
"""
WORDS = tuple(dict.fromkeys(WORD_TEXT.split()))


def learn_merges(words: tuple[str, ...]) -> list[tuple[str, str]]:
    """Byte-pair merges after which every word of `words` is one token.

    Parameters
    ----------
    words : tuple of str
        Lower-case ASCII words.

    Returns
    -------
    list of (str, str)
        In order of application; the last symbol of a word ends in ``</w>``.

    Notes
    -----
    Sennrich et al. 2016, run until nothing is left to merge; ties go to the smaller pair, so the
    result depends on the words alone.
    """
    spelled = [[*word[:-1], word[-1] + "</w>"] for word in words]
    merges: list[tuple[str, str]] = []
    while True:
        pairs = Counter(pair for symbols in spelled for pair in itertools.pairwise(symbols))
        if not pairs:
            return merges
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        spelled = [_merge(symbols, best) for symbols in spelled]


def _merge(symbols: list[str], pair: tuple[str, str]) -> list[str]:
    """Join each occurrence of `pair`, from the left."""
    joined: list[str] = []
    for symbol in symbols:
        if joined and (joined[-1], symbol) == pair:
            joined[-1] += symbol
        else:
            joined.append(symbol)
    return joined


def write_tokenizer(folder: Path, words: tuple[str, ...] = WORDS) -> Any:
    """Write vocab.json, merges.txt and the tokenizer's files; give the CLIPTokenizer.

    Parameters
    ----------
    folder : Path
        Made when missing.
    words : tuple of str

    Returns
    -------
    transformers.CLIPTokenizer
        Bytes are its alphabet, so that no string is unknown.
    """
    from transformers import CLIPTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    merges = learn_merges(words)
    alphabet = _byte_alphabet()
    vocabulary = [*alphabet, *(c + "</w>" for c in alphabet)]
    vocabulary += dict.fromkeys(a + b for a, b in merges)
    vocabulary += [BOS, EOS]
    index = {token: i for i, token in enumerate(dict.fromkeys(vocabulary))}
    text = json.dumps(index, ensure_ascii=False, indent=0)
    (folder / "vocab.json").write_text(text, encoding="utf-8", newline="\n")
    lines = ["#version: 0.2", *(f"{a} {b}" for a, b in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    tokenizer = CLIPTokenizer(
        vocab=str(folder / "vocab.json"),
        merges=str(folder / "merges.txt"),
        model_max_length=TOKENS_MAX,
    )
    tokenizer.save_pretrained(folder)
    return tokenizer


def _byte_alphabet() -> list[str]:
    """The 256 printable stand-ins for bytes of GPT-2's byte-level encoding."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(b) for b in printable] + [chr(256 + i) for i in range(len(others))]


def make_vae(
    widths: tuple[int, ...] = (24, 32, 64, 96), latent_channels: int = LATENT_CHANNELS
) -> Any:
    """An untrained AutoencoderKL: 8 times smaller, no attention."""
    from diffusers import AutoencoderKL

    levels = len(widths)
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=widths,
        layers_per_block=1,
        latent_channels=latent_channels,
        norm_num_groups=8,
        sample_size=PICTURE_PX,
        mid_block_add_attention=False,
    )


def make_unet(
    widths: tuple[int, ...] = (96, 144, 160),
    text_width: int = TEXT_WIDTH,
    heads: int = 4,
    latent_channels: int = LATENT_CHANNELS,
) -> Any:
    """An untrained UNet2DConditionModel: attention to text at 8x8 and 4x4 latents only.

    At 16x16 attention would double the time of a step; the second level sees the words early
    enough (SDXL leaves it out at its finest level too).
    """
    from diffusers import UNet2DConditionModel

    levels = len(widths)
    return UNet2DConditionModel(
        sample_size=LATENT_PX,
        in_channels=latent_channels,
        out_channels=latent_channels,
        block_out_channels=widths,
        layers_per_block=1,
        down_block_types=("DownBlock2D", *("CrossAttnDownBlock2D",) * (levels - 1)),
        up_block_types=(*("CrossAttnUpBlock2D",) * (levels - 1), "UpBlock2D"),
        cross_attention_dim=text_width,
        attention_head_dim=heads,
        norm_num_groups=8,
    )


def make_text_encoder(tokenizer: Any, width: int = TEXT_WIDTH, layers: int = 3) -> Any:
    """An untrained CLIPTextModel for `tokenizer`."""
    from transformers import CLIPTextConfig, CLIPTextModel

    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=2 * width,
        projection_dim=width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        max_position_embeddings=TOKENS_MAX,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        hidden_act="quick_gelu",
    )
    return CLIPTextModel(config)


def make_scheduler() -> Any:
    """DDIM with v-prediction and zero terminal SNR (Lin et al. 2024): night can be dark."""
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        num_train_timesteps=1000,
        prediction_type="v_prediction",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
    )


def save_pipeline(
    folder: Path, *, vae: Any, unet: Any, text_encoder: Any, tokenizer: Any, card: dict[str, Any]
) -> int:
    """Write the whole base as fp16 safetensors with its model card.

    Parameters
    ----------
    folder : Path
    vae, unet, text_encoder, tokenizer
        The parts; they are left as they are.
    card : dict
        Written to ``model_card.json`` and, as a sentence a key, to ``README.md``.

    Returns
    -------
    int
        Size of the folder in bytes.
    """
    import copy

    import torch
    from diffusers import StableDiffusionPipeline

    parts = {"vae": vae, "unet": unet, "text_encoder": text_encoder}
    halves = {name: copy.deepcopy(part).to(torch.float16) for name, part in parts.items()}
    halves["vae"].register_to_config(_name_or_path="toy")  # not the folder it was loaded from
    pipeline = StableDiffusionPipeline(
        **halves,
        tokenizer=tokenizer,
        scheduler=make_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(folder, safe_serialization=True)
    write_tokenizer(folder / "tokenizer")
    card = {"format": FORMAT_NAME, **card}
    (folder / "model_card.json").write_text(
        json.dumps(card, indent=1), encoding="utf-8", newline="\n"
    )
    lines = ["# The toy base", "", *(f"- **{key}**: {value}" for key, value in card.items())]
    (folder / "README.md").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def save_tiny(folder: Path, seed: int = 0) -> None:
    """Write an untrained base of a few thousand weights, 32x32 pictures: for tests and dry runs."""
    import torch

    torch.manual_seed(seed)
    tokenizer = write_tokenizer(folder / "tokenizer")
    unet = make_unet(widths=(8, 16), text_width=16, heads=2, latent_channels=4)
    unet.register_to_config(sample_size=4)
    save_pipeline(
        folder,
        vae=make_vae(widths=(8, 8, 8, 8), latent_channels=4),
        unet=unet,
        text_encoder=make_text_encoder(tokenizer, width=16, layers=1),
        tokenizer=tokenizer,
        card={"licence": "MIT", "what": "untrained"},
    )
