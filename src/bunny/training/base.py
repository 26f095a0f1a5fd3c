"""Load the model that is fine-tuned: the toy, a folder or a hub id, safetensors only."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bunny.error import UserError

logger = logging.getLogger(__name__)

TOY = "toy"
TOY_FOLDER = Path(__file__).resolve().parents[1] / "sample" / "base"
WEIGHT_PARTS = {
    "unet": "diffusion_pytorch_model",
    "vae": "diffusion_pytorch_model",
    "text_encoder": "model",
}
HUB_ID = re.compile(r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")
HUB_FILES = [
    "*.json",
    "*/*.json",
    "*/*.txt",
    "README.md",
    *(f"{part}/{stem}*.safetensors" for part, stem in WEIGHT_PARTS.items()),
]
SMALL_LATENT_PX = 32  # up to here plain attention trains a third faster on a CPU than the fused one
FULL_HASH_MAX = 256 << 20  # bytes; of larger files 64 blocks are hashed
HASH_BLOCK, HASH_BLOCKS = 1 << 20, 64


@dataclass(frozen=True, kw_only=True)
class Base:
    """A loaded base model and where it came from."""

    name: str  # as the settings name it
    hash: str
    licence: str | None
    is_toy: bool
    vae: Any
    unet: Any
    text_encoder: Any
    tokenizer: Any
    scheduler: Any
    device: str
    resolution_px: int

    def pipeline(self) -> Any:
        """The parts as a StableDiffusionPipeline that shows no bar of its own."""
        from diffusers import StableDiffusionPipeline

        pipeline = StableDiffusionPipeline(
            vae=self.vae,
            unet=self.unet,
            text_encoder=self.text_encoder,
            tokenizer=self.tokenizer,
            scheduler=self.scheduler,
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
        pipeline.set_progress_bar_config(disable=True)
        return pipeline


def load_base(model: str, device: str | None = None) -> Base:
    """Load a Stable-Diffusion-1.x- or 2.x-shaped base in 32 bits.

    Parameters
    ----------
    model : str
        ``toy``, a local folder as `save_pretrained` writes it, or a hub id ``owner/name``.
    device : str, optional
        Default: ``cuda`` when there is one, else ``cpu``.

    Raises
    ------
    UserError
        If the folder is no such model, holds pickled weights only, or the hub cannot be reached.
    """
    import torch

    _quiet()
    from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextModel

    folder = find_folder(model)
    check_folder(folder, model)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    options = {"use_safetensors": True, "dtype": torch.float32}
    diffusers_options = {"use_safetensors": True, "torch_dtype": torch.float32}
    try:
        parts = {
            "vae": AutoencoderKL.from_pretrained(folder / "vae", **diffusers_options),
            "unet": UNet2DConditionModel.from_pretrained(folder / "unet", **diffusers_options),
            "text_encoder": CLIPTextModel.from_pretrained(folder / "text_encoder", **options),
        }
        rest = StableDiffusionPipeline.from_pretrained(
            folder, **parts, safety_checker=None, feature_extractor=None, image_encoder=None
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"base model {model}: expected a whole Stable Diffusion folder, could not load it "
            f"({reason}); get the folder again"
        ) from error
    for part in parts.values():
        part.requires_grad_(False).eval().to(device)
    if device == "cpu" and int(parts["unet"].config.sample_size) <= SMALL_LATENT_PX:
        from diffusers.models.attention_processor import AttnProcessor

        parts["unet"].set_attn_processor(AttnProcessor())
    scale = 2 ** (len(parts["vae"].config.block_out_channels) - 1)
    return Base(
        name=model,
        hash=hash_folder(folder),
        licence=_licence(folder),
        is_toy=_card(folder).get("format") == TOY,
        **parts,
        tokenizer=rest.tokenizer,
        scheduler=rest.scheduler,
        device=device,
        resolution_px=int(parts["unet"].config.sample_size) * scale,
    )


def find_folder(model: str) -> Path:
    """Where the files of a base are on this machine; hub models are fetched first.

    Raises
    ------
    UserError
        If it is neither a folder nor a hub id, or the hub did not give it.
    """
    if model == TOY:
        return TOY_FOLDER
    path = Path(model).expanduser()
    if path.is_dir():
        return path
    if path.is_file():
        raise UserError(
            f"base model {model}: expected a folder or a hub id, found a single file; "
            "convert it with diffusers' from_single_file and save_pretrained, then give the folder"
        )
    if not HUB_ID.match(model):
        raise UserError(
            f"base model {model}: expected 'toy', a folder or a hub id owner/name, found no such "
            "folder; check models.base_model"
        )
    return _fetch(model)


def check_folder(folder: Path, model: str) -> None:
    """Refuse what is not a whole Stable Diffusion 1.x or 2.x folder of safetensors.

    Raises
    ------
    UserError
        Naming the first part that is missing or wrong.
    """
    if not folder.is_dir():
        raise UserError(
            f"base model {model}: expected files in {folder}, found none; install again"
        )
    if (folder / "text_encoder_2").exists() or (folder / "transformer").exists():
        raise UserError(
            f"base model {model}: expected one text encoder and a UNet (Stable Diffusion 1.x or "
            "2.x), found another kind; choose such a base"
        )
    for part in ("unet", "vae", "text_encoder", "tokenizer", "scheduler"):
        if not (folder / part).is_dir():
            raise UserError(
                f"base model {model}: expected a folder {part} in {folder}, found none; "
                "give a folder as save_pretrained writes it"
            )
    for part, stem in WEIGHT_PARTS.items():
        if any((folder / part).glob(f"{stem}*.safetensors")):
            continue
        pickles = [
            p.name for p in (folder / part).iterdir() if p.suffix in (".bin", ".ckpt", ".pt")
        ]
        found = f"{pickles[0]}, a pickle, which can run code" if pickles else "no weights"
        raise UserError(
            f"base model {model}: expected {part}/{stem}.safetensors, found {found}; "
            "save the model with safe_serialization=True"
        )
    if not (folder / "model_index.json").exists():
        raise UserError(
            f"base model {model}: expected model_index.json in {folder}, found none; "
            "give a folder as save_pretrained writes it"
        )


def hash_base(model: str) -> str:
    """Hash of a base that lies on this machine; of a hub id not fetched yet, its name.

    Cheap enough for a fingerprint: a file over 256 MiB is hashed by its size and 64 blocks.
    """
    folder = TOY_FOLDER if model == TOY else Path(model).expanduser()
    return hash_folder(folder) if folder.is_dir() else hashlib.sha256(model.encode()).hexdigest()


def hash_folder(folder: Path) -> str:
    """SHA-256 over names and contents of the model's configuration and weights, in name order."""
    digest = hashlib.sha256()
    files = sorted(
        path
        for part in (*WEIGHT_PARTS, "tokenizer", "scheduler")
        for path in (folder / part).glob("*")
        if path.suffix in (".json", ".txt", ".safetensors")
    )
    for path in files:
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        _hash_into(digest, path)
    return digest.hexdigest()


def _hash_into(digest: Any, path: Path) -> None:
    """Feed a file's size and content, or 64 blocks of a large one."""
    size = path.stat().st_size
    digest.update(str(size).encode() + b"\0")
    if size <= FULL_HASH_MAX:
        digest.update(path.read_bytes())
        return
    with path.open("rb") as stream:
        for index in range(HASH_BLOCKS):
            stream.seek((size - HASH_BLOCK) * index // (HASH_BLOCKS - 1))
            digest.update(stream.read(HASH_BLOCK))


def _quiet() -> None:
    """Let diffusers and transformers speak of errors only: they advise on parts we do not use."""
    import diffusers
    import transformers

    diffusers.logging.set_verbosity_error()
    diffusers.logging.disable_progress_bar()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()


def _fetch(model: str) -> Path:
    """Get a hub model's configuration and safetensors, or its copy in the local cache."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model, allow_patterns=HUB_FILES))
    except Exception as error:
        reason = " ".join(str(error).split())[:160]
        raise UserError(
            f"base model {model}: expected the hub or its local cache to have it, got "
            f"{type(error).__name__} ({reason}); check the name and the network, give a local "
            "folder, or set models.base_model to toy"
        ) from error


def embedded_card() -> dict[str, Any]:
    """The model card of the embedded toy base; empty when its weights are not there."""
    try:
        check_folder(TOY_FOLDER, TOY)
    except UserError:
        return {}
    return _card(TOY_FOLDER)


def _card(folder: Path) -> dict[str, Any]:
    """The model card of ours; empty for other models."""
    path = folder / "model_card.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _licence(folder: Path) -> str | None:
    """Licence named by our model card or by the README's front matter."""
    card = _card(folder)
    if "licence" in card:
        return str(card["licence"])
    readme = folder / "README.md"
    if not readme.exists():
        return None
    found = re.search(r"^license:\s*(\S+)", readme.read_text(encoding="utf-8")[:4000], re.M)
    return found.group(1) if found else None
