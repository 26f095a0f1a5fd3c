"""Where the files of a base lie: found, told apart, checked, hashed; safetensors only."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from bunny.core.error import UserError
from bunny.training.family import hub
from bunny.training.family.layout import ALL_PARTS, LAYOUTS, Layout

TOY = "toy"
TOY_FOLDER = Path(__file__).resolve().parents[2] / "demo" / "base"
AUTO = "auto"
INDEX = "model_index.json"
PICKLES = (".bin", ".ckpt", ".pt", ".pth")
FULL_HASH_MAX = 256 << 20  # bytes; of larger files 64 blocks are hashed
HASH_BLOCK, HASH_BLOCKS = 1 << 20, 64
HASHED = (".json", ".txt", ".model", ".safetensors")


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
    if not hub.HUB_ID.match(model):
        raise UserError(
            f"base model {model}: expected 'toy', a folder or a hub id owner/name, found no such "
            "folder; check models.base_model"
        )
    index = hub.fetch(model, hub.CONFIGS)
    return hub.fetch_weights(model, LAYOUTS[tell_family(index, model)])


def tell_family(folder: Path, model: str, wanted: str = AUTO) -> str:
    """The family that model_index.json names: sd, sdxl, sd3 or flux.

    Parameters
    ----------
    folder : Path
    model : str
        As the settings name it, for the sentence of a refusal.
    wanted : str
        ``auto``, or the family that it must be.

    Raises
    ------
    UserError
        If there is no index, it names another kind of model, or not the wanted family.
    """
    path = folder / INDEX
    if not path.exists():
        raise UserError(
            f"base model {model}: expected model_index.json in {folder}, found none; "
            "give a folder as save_pretrained writes it"
        )
    kind = _read_json(path, model).get("_class_name")
    found = next((name for name, layout in LAYOUTS.items() if layout.pipeline == kind), None)
    if found is None:
        raise UserError(
            f"base model {model}: expected one of {', '.join(_titles())}, found another kind "
            f"({kind}); choose such a base"
        )
    if wanted not in (AUTO, found):
        raise UserError(
            f"base model {model}: expected the family {wanted} (models.family), found {found}; "
            "set models.family to auto or choose another base"
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
        raise UserError(
            f"base model {model}: expected files in {folder}, found none; install again"
        )
    family = tell_family(folder, model, family)
    layout = LAYOUTS[family]
    for part in layout.parts():
        if part not in layout.optional and not (folder / part).is_dir():
            raise UserError(
                f"base model {model}: expected a folder {part} in {folder}, found none; "
                "give a folder as save_pretrained writes it"
            )
    for part, stem in layout.weights.items():
        if (folder / part).is_dir():
            _check_weights(folder / part, stem, model)
    return family


def is_half_only(folder: Path, layout: Layout) -> bool:
    """Whether a part comes as ``*.fp16.safetensors`` alone."""
    return any(
        (folder / part).is_dir() and not _weights(folder / part, stem, is_half=False)
        for part, stem in layout.weights.items()
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
    found = f"{pickles[0]}, a pickle, which can run code" if pickles else "no weights"
    raise UserError(
        f"base model {model}: expected {part.name}/{stem}.safetensors, found {found}; "
        "save the model with safe_serialization=True"
    )


def _weights(part: Path, stem: str, *, is_half: bool) -> list[Path]:
    """Weight files of the plain kind or of the variant fp16."""
    return [p for p in part.glob(f"{stem}*.safetensors") if (".fp16" in p.name) == is_half]


def _titles() -> list[str]:
    return [layout.title for layout in LAYOUTS.values()]


def _read_json(path: Path, model: str) -> dict[str, Any]:
    """A configuration file, or one sentence."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"base model {model}: expected {path.name} to be JSON, could not read it "
            f"({' '.join(str(error).split())[:120]}); get the folder again"
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
