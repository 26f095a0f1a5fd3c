"""Model folders in diffusers' layout: found or fetched from the hub, checked, hashed, read."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bunny.core import hub
from bunny.core.config import DatasetConfig, ModelsConfig
from bunny.core.error import UserError
from bunny.dataset import crop
from bunny.dataset.image_folder import ReadSize
from bunny.training.family import known_base
from bunny.training.family.contract import ALL_PARTS, LAYOUTS, ModelLayout

CONFIGS = ("*.json", "*/*.json", "*/*.txt", "*/*.model", "README.md")
SAFETY = ("safety_checker/model.safetensors", "safety_checker/*.json", "feature_extractor/*.json")

TOY = "toy"
TOY_FOLDER = Path(__file__).resolve().parents[2] / "demo" / "base"
AUTO = "auto"
NO_BASE = (
    "models.base_model: expected a base model, none is set; give a folder or a hub id "
    f"(photographed film: {known_base.BY_NAME['sdxl'].hub_id}, "
    f"drawn film: {known_base.BY_NAME['illustrious'].hub_id}), or toy to try the stages"
)
INDEX = "model_index.json"
PICKLES = (".bin", ".ckpt", ".pt", ".pth")
FULL_HASH_MAX = 256 << 20  # bytes; of larger files 64 blocks are hashed
HASH_BLOCK, HASH_BLOCKS = 1 << 20, 64
HASHED = (".json", ".txt", ".model", ".safetensors")

FLUX_PACK = 2  # latents a side of Flux's tokens
LARGE_PX, LARGE_UNIT_PX = 512, 64  # from here on sides go in steps of 64, as NovelAI's buckets do


def weight_patterns(layout: ModelLayout, *, is_half: bool = False) -> list[str]:
    """Files of a family's weights: whole or in shards, of the plain kind or the variant fp16."""
    ends = (".fp16.safetensors", ".fp16-*-of-*.safetensors", "-*-of-?????.fp16.safetensors")
    ends = ends if is_half else (".safetensors", "-*-of-?????.safetensors")
    return [f"{part}/{stem}{end}" for part, stem in layout.weights.items() for end in ends]


def _fetch_weights(model: str, layout: ModelLayout) -> Path:
    """Fetch the weights; as 16 bits where the hub has nothing else."""
    folder = fetch(model, [*CONFIGS, *weight_patterns(layout)])
    has_all = all(
        any((folder / part).glob(f"{stem}*.safetensors"))
        for part, stem in layout.weights.items()
        if part not in layout.optional or (folder / part).is_dir()
    )
    return folder if has_all else fetch(model, [*CONFIGS, *weight_patterns(layout, is_half=True)])


def fetch(model: str, allowed: Sequence[str]) -> Path:
    """Get the files of a hub model that match a pattern, or their copies in the local cache.

    Raises
    ------
    UserError
        If neither the hub nor the cache has it.
    """
    advice = "give a local folder, or set models.base_model to toy"
    return hub.fetch("base model", model, allowed, advice)


def is_on_hub(model: str) -> bool:
    """Whether a base model is named by its hub id and not by a folder that is there."""
    return hub.is_hub_id(model) and not Path(model).expanduser().exists()


def find_local(model: str) -> Path | None:
    """Files of a base model where they are the toy's or a folder's; None: they are on the hub."""
    if model == TOY:
        return TOY_FOLDER
    path = Path(model).expanduser()
    return path if model and path.is_dir() else None


def find_folder(model: str) -> Path:
    """Find the files of a base model on this machine; hub models are downloaded first.

    Raises
    ------
    UserError
        If it is neither a folder nor a hub id, or the hub did not give it.
    """
    if not model:
        raise UserError(NO_BASE)
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
    if not hub.is_hub_id(model):
        raise UserError(
            f"base model {model}: expected 'toy', a folder or a hub id owner/name, "
            "found no such folder; check models.base_model"
        )
    index = fetch(model, CONFIGS)
    return _fetch_weights(model, LAYOUTS[_read_family(index, model)])


def _read_family(folder: Path, model: str, wanted: str = AUTO) -> str:
    """The family that model_index.json names: sd, sdxl, sd3 or flux."""
    path = folder / INDEX
    if not path.exists():
        raise UserError(
            f"base model {model}: model_index.json not found in {folder}; use a "
            "folder written by save_pretrained"
        )
    kind = _read_json(path, model).get("_class_name")
    found = next((name for name, layout in LAYOUTS.items() if layout.pipeline == kind), None)
    if found is None:
        titles = ", ".join(layout.title for layout in LAYOUTS.values())
        raise UserError(
            f"base model {model}: expected one of {titles}, found "
            f"{kind}; choose a supported base model"
        )
    if wanted not in (AUTO, found):
        raise UserError(
            f"base model {model}: expected the family {wanted} (models.family), found "
            f"{found}; set models.family to auto or choose another base model"
        )
    return found


def check_folder(folder: Path, model: str, family: str = AUTO) -> str:
    """Refuse what is not a whole folder of safetensors; give the family that it is of.

    Raises
    ------
    UserError
        Naming the first part that is missing or wrong.
    """
    if not folder.is_dir():
        raise UserError(f"base model {model}: no files in {folder}; install the package again")
    family = _read_family(folder, model, family)
    layout = LAYOUTS[family]
    for part in layout.parts():
        if part not in layout.optional and not (folder / part).is_dir():
            raise UserError(
                f"base model {model}: folder {part} not found in {folder}; use a "
                "folder written by save_pretrained"
            )
    for part, stem in layout.weights.items():
        if (folder / part).is_dir():
            _check_weights(folder / part, stem, model)
    return family


def is_half_only(folder: Path, layout: ModelLayout) -> bool:
    """Whether a part comes as ``*.fp16.safetensors`` alone."""
    return any(
        (folder / part).is_dir()
        and all(".fp16" in p.name for p in (folder / part).glob(f"{stem}*.safetensors"))
        for part, stem in layout.weights.items()
    )


def hash_base(model: str) -> str:
    """Hash of a base that lies on this machine; of a hub id not fetched yet, its name.

    Cheap enough for a fingerprint: a file over 256 MiB is hashed by its size and 64 blocks.
    """
    folder = find_local(model)
    return hash_folder(folder) if folder else hashlib.sha256(model.encode()).hexdigest()


def hash_folder(folder: Path) -> str:
    """SHA-256 over names and contents of the model's configuration and weights, in name order."""
    digest = hashlib.sha256()
    files = sorted(
        path for part in ALL_PARTS for path in (folder / part).glob("*") if path.suffix in HASHED
    )
    for path in files:
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        _hash_into(digest, path)
    return digest.hexdigest()


def read_card(folder: Path) -> dict[str, Any]:
    """The model card of ours; empty for other models."""
    path = folder / "model_card.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def embedded_card() -> dict[str, Any]:
    """The model card of the embedded toy base; empty when its weights are not there."""
    try:
        check_folder(TOY_FOLDER, TOY)
    except UserError:
        return {}
    return read_card(TOY_FOLDER)


def read_licence(folder: Path) -> str | None:
    """Licence named by our model card or by the README's front matter."""
    card = read_card(folder)
    if "licence" in card:
        return str(card["licence"])
    readme = folder / "README.md"
    if not readme.exists():
        return None
    text = readme.read_text(encoding="utf-8")[:4000]
    named = re.search(r"^license_name:\s*(\S+)", text, re.M)  # beside "license: other"
    found = named or re.search(r"^license:\s*(\S+)", text, re.M)
    return found.group(1) if found else None


def _check_weights(part: Path, stem: str, model: str) -> None:
    """Refuse a part without safetensors."""
    if any(part.glob(f"{stem}*.safetensors")):
        return
    pickles = [p.name for p in part.iterdir() if p.suffix in PICKLES]
    found = f"{pickles[0]}, a pickle file, which can execute code" if pickles else "no weights"
    raise UserError(
        f"base model {model}: expected {part.name}/{stem}.safetensors, found {found}; "
        "save the model with safe_serialization=True"
    )


def _read_json(path: Path, model: str) -> dict[str, Any]:
    """A configuration file, or one sentence."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"base model {model}: {path.name} is not valid JSON "
            f"({' '.join(str(error).split())[:120]}); download the folder again"
        ) from error
    return found if isinstance(found, dict) else {}


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


def read_size(folder: Path, model: str) -> tuple[int, int]:
    """The picture side that a base was made for and the unit of the sides of its buckets.

    Parameters
    ----------
    folder : Path
        As `save_pretrained` writes it, of any family; only JSON is read.
    model : str
        As the settings name the base, for the sentence of a refusal.

    Returns
    -------
    resolution_px, unit_px : int

    Raises
    ------
    UserError
        If the folder is of no family that we know, or its configuration cannot be read.
    """
    layout = LAYOUTS[_read_family(folder, model)]
    denoiser = next(iter(layout.weights))
    try:
        config, vae = (
            json.loads((folder / part / "config.json").read_text(encoding="utf-8"))
            for part in (denoiser, "vae")
        )
        scale = 2 ** (len(vae["block_out_channels"]) - 1)
        side = config.get("sample_size")  # Flux's transformer has none: the VAE says it
        resolution = int(side) * scale if side else int(vae["sample_size"])
        if denoiser == "unet":
            unit = scale * 2 ** (len(config["block_out_channels"]) - 1)  # halved between levels
        else:
            unit = scale * (int(config["patch_size"]) if side else FLUX_PACK)
        return resolution, max(unit, LARGE_UNIT_PX) if resolution >= LARGE_PX else unit
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"base model {model}: expected {denoiser}/config.json and vae/config.json of a "
            f"{layout.title} folder, could not read them ({' '.join(str(error).split())})"
        ) from error


def resolution_of(model: str, family: str = AUTO) -> tuple[int, int]:
    """The picture side that a base was made for and the unit that sides must be multiples of.

    Parameters
    ----------
    model : str
        As `models.base_model`. Of a hub model that is not on this machine, the table of known bases
        is asked, then the hub for `model_index.json` alone.
    family : str
        As `models.family`; where it is not ``auto``, the hub need not be asked.

    Returns
    -------
    resolution_px, unit_px : int

    Raises
    ------
    UserError
        If the family is not one that is known, or cannot be learned without a hub.
    """
    if not is_on_hub(model):
        return read_size(find_folder(model), model)
    cached = hub.find_cached(model, CONFIGS)
    if cached is not None and (cached / INDEX).is_file() and (cached / "vae").is_dir():
        return read_size(cached, model)
    known = known_base.find(model)
    if known is not None and family in (AUTO, known.family):
        return known.resolution_px, LARGE_UNIT_PX
    if family == AUTO:
        advice = (
            "or set models.family (sd, sdxl, sd3 or flux), which tells the size of its pictures"
        )
        family = _read_family(hub.fetch("base model", model, (INDEX,), advice), model)
    return known_base.FAMILY_PX[family], LARGE_UNIT_PX


def choose_read_size(
    models: ModelsConfig, dataset: DatasetConfig, resolution_px: int = 0
) -> ReadSize:
    """The buckets that our trainer reads pictures in, and the most that it enlarges one.

    Parameters
    ----------
    models : ModelsConfig
        Without a base model, `resolution_px` says all.
    resolution_px : int
        In place of `models.resolution`; 0: that, else the base's own.

    Raises
    ------
    UserError
        As of `choose_resolution`.
    """
    side, unit = resolution_px or models.resolution, 1
    if models.base_model or not side:
        side, unit = choose_resolution(models.base_model, side, models.family)
    buckets = crop.sizes(side, math.lcm(dataset.bucket_step_px, unit))
    return ReadSize(buckets=buckets, max_upscale=dataset.max_upscale)


def choose_resolution(model: str, wanted: int, family: str = AUTO) -> tuple[int, int]:
    """Side that pictures are trained at and its unit; a `wanted` of 0 asks for the base's own.

    Raises
    ------
    UserError
        If the base cannot be trained at `wanted`.
    """
    own, unit = resolution_of(model, family)
    side = wanted or own
    if side % unit:
        raise UserError(
            f"models.resolution: expected a multiple of {unit} for this base model, "
            f"got {side}; 0 selects its own resolution, {own}"
        )
    return side, unit
