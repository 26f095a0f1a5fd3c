"""Safetensors files and the texts of their headers, as trainers and web UIs read them.

The same content gives the same bytes; files are written atomically and are never pickles.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bunny
from bunny.core import atomic, log
from bunny.core.error import UserError
from bunny.training.adapter_file.layer import ComponentLayers, LoraLayer

if TYPE_CHECKING:
    import torch

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
HEADER_MAX = 16 << 20  # bytes; SDXL with every layer adapted has under 1 MiB of header
LENGTH_BYTES = 8
# How other files begin: zip (torch.save since 1.6), gzip, HDF5, NumPy.
FOREIGN = (b"PK\x03\x04", b"\x1f\x8b", b"\x89HDF", b"\x93NUMPY")
HASH_TEXTS = {"modelspec.hash_sha256": "0x{}", "sshs_model_hash": "{}"}
# An absolute path with a folder; not the slashes of a URL or of "and/or".
PATH = re.compile(
    r"(?<![\w:/.])(?:~?/(?:[^\s\"',;\\/]+/)+|[A-Za-z]:[\\/]+(?:[^\s\"',;\\/]+[\\/]+)+)([^\s\"',;\\/]+)"
)
WHOLE_PATH = re.compile(r"(?:~?/|[A-Za-z]:[\\/]).*?([^\\/]+)[\\/]*")
MADE_BY = "Diffusion Bunny"
# As sd-scripts names them: library/sai_model_spec.py, sdxl_model_util.py, networks/lora_*.py.
ARCHITECTURE = {
    "sd1": "stable-diffusion-v1/lora",
    "sd2": "stable-diffusion-v2-512/lora",
    "sd2_v": "stable-diffusion-v2-768-v/lora",
    "sdxl": "stable-diffusion-xl-v1-base/lora",
    "sd3": "stable-diffusion-3/lora",
    "flux": "flux-1/lora",
}
VERSION = {"sd1": "sd_v1", "sd2": "sd_v2", "sdxl": "sdxl_base_v1-0", "sd3": "sd3", "flux": "flux1"}
IMPLEMENTATION = {
    "sdxl": "https://github.com/Stability-AI/generative-models",
    "flux": "https://github.com/black-forest-labs/flux",
}
MODULE = {"sd3": "networks.lora_sd3", "flux": "networks.lora_flux"}
SD2_WIDTH = 1024  # of its text encoder (OpenCLIP ViT-H); 768 in 1.x
SPEC = "1.0.1"  # of modelspec, https://github.com/Stability-AI/ModelSpec
HASHES = ("modelspec.hash_sha256", "sshs_model_hash")  # `write_file` fills them in
MAX_TAGS = 500  # of the table of words; more would swell the header


def write_file(path: Path, tensors: Mapping[str, torch.Tensor], texts: Mapping[str, str]) -> str:
    """Write tensors and texts; the bytes depend on them alone.

    Parameters
    ----------
    path : Path
        Ends in ``.safetensors``; replaced at once when all is written.
    tensors : mapping
        Name to torch.Tensor.
    texts : mapping
        Of the header. Paths lose their folders and secrets of the environment their values. Keys of
        `HASH_TEXTS` get the hash of the weights (all after the header, as the model specification
        says).

    Returns
    -------
    str
        SHA-256 of the file.

    Raises
    ------
    UserError
        If there is nothing to write, or the name ends otherwise.
    """
    from safetensors.torch import save

    if path.suffix != ".safetensors":
        raise UserError(f"{path}: expected a file name ending in .safetensors")
    if not tensors:
        raise UserError(f"{path}: no weights to write; train some layers")
    data = save({k: tensors[k].detach().cpu().contiguous().clone() for k in sorted(tensors)})
    length = int.from_bytes(data[:LENGTH_BYTES], "little")
    body = data[LENGTH_BYTES + length :]
    header = json.loads(data[LENGTH_BYTES : LENGTH_BYTES + length])
    clean = {str(k): log.redact(_without_folders(str(text))) for k, text in texts.items()}
    header["__metadata__"] = {**clean, **_hash_texts(texts, body), "format": "pt"}
    content = _encode(header) + body
    atomic.write_bytes(path, content)
    return hashlib.sha256(content).hexdigest()


def read_header(path: Path) -> dict[str, Any]:
    """The header of a safetensors file after checks that open no tensor.

    Returns
    -------
    dict
        Name to ``dtype``, ``shape``, ``data_offsets``; texts under ``__metadata__``.

    Raises
    ------
    UserError
        If it is no file, a pickle (by name or content), too large a header, cut off or broken.
    """
    if not path.is_file():
        raise UserError(f"{path}: adapter file not found; check the name")
    if path.suffix.lower() in PICKLES:
        raise UserError(
            f"{path}: expected .safetensors, found {path.suffix}, a pickle format "
            "that can execute code; get the adapter as safetensors"
        )
    with path.open("rb") as stream:
        start = stream.read(LENGTH_BYTES)
        _check_start(path, start)
        length = int.from_bytes(start, "little")
        size = path.stat().st_size
        if length > min(HEADER_MAX, size - LENGTH_BYTES):
            raise UserError(
                f"{path}: expected a safetensors header of at most {HEADER_MAX} bytes "
                f"and a complete file, but the header claims {length} of {size} "
                "bytes; download the file again"
            )
        text = stream.read(length)
    header = _parse(path, text)
    _check_spans(path, header, size - LENGTH_BYTES - length)
    return header


def read_texts(path: Path) -> dict[str, str]:
    """Texts in a file's header."""
    return dict(read_header(path).get("__metadata__", {}))


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Tensors of a checked file, by name; the file is not kept open or mapped.

    Raises
    ------
    UserError
        As `read_header`, or if safetensors itself refuses the file.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    read_header(path)
    try:
        return load(path.read_bytes())
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(
            f"{path}: not a valid safetensors file "
            f"({' '.join(str(error).split())[:160]}); download it again"
        ) from error


def _without_folders(text: str) -> str:
    """Paths by their last part alone."""
    whole = WHOLE_PATH.fullmatch(text)
    return whole[1] if whole else PATH.sub(r"\1", text)


def _hash_texts(texts: Mapping[str, str], body: bytes) -> dict[str, str]:
    """Hash of the weights where the texts have a place for it."""
    digest = hashlib.sha256(body).hexdigest()
    return {key: form.format(digest) for key, form in HASH_TEXTS.items() if key in texts}


def _encode(header: dict[str, Any]) -> bytes:
    """Length and header in order of names, padded to 8 bytes: safetensors orders it at random."""
    texts = dict(sorted(header.pop("__metadata__").items()))
    text = json.dumps({"__metadata__": texts, **dict(sorted(header.items()))}).encode()
    text += b" " * (-len(text) % LENGTH_BYTES)
    return len(text).to_bytes(LENGTH_BYTES, "little") + text


def _check_start(path: Path, start: bytes) -> None:
    """Refuse other containers under this name."""
    # A pickle begins with 0x80 and its version; read as a length that is far too long a header.
    is_pickle = start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")
    if start.startswith(FOREIGN) or (is_pickle and int.from_bytes(start, "little") > HEADER_MAX):
        raise UserError(
            f"{path}: expected safetensors, found a pickle or an archive under that "
            "name, which can execute code; get the adapter as safetensors"
        )
    if len(start) < LENGTH_BYTES:
        raise UserError(
            f"{path}: expected safetensors, found only {len(start)} bytes; download the file again"
        )


def _parse(path: Path, text: bytes) -> dict[str, Any]:
    """The header as a dict of dicts."""
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict) or not all(isinstance(v, dict) for v in header.values()):
        raise UserError(
            f"{path}: expected a safetensors header, found something else; download the file again"
        )
    texts = header.get("__metadata__", {})
    if not all(isinstance(v, str) for v in texts.values()):
        raise UserError(
            f"{path}: expected text values in the header, found other values; download "
            "the file again"
        )
    return header


def _check_spans(path: Path, header: Mapping[str, Any], size: int) -> None:
    """Tensors must lie one after the other and end with the file."""
    try:
        spans = sorted(tuple(v["data_offsets"]) for k, v in header.items() if k != "__metadata__")
        ends = [0, *(end for _, end in spans)]
        is_whole = all(begin == end for (begin, _), end in zip(spans, ends, strict=False))
    except (KeyError, TypeError, ValueError):
        is_whole, ends = False, [-1]
    if not is_whole or ends[-1] != size:
        raise UserError(
            f"{path}: expected {ends[-1]} bytes of weights after the header, found "
            f"{size}; the file is truncated or damaged, download it again"
        )


def own_texts(
    parts: ComponentLayers, family: str, metadata: Mapping[str, object]
) -> dict[str, str]:
    """Our texts: those given, and what the weights say.

    Parameters
    ----------
    metadata : mapping
        E.g. trigger, subject, base_model, base_hash, base_licence, set_hash, step, sample_prompts
        (a list becomes JSON) and `rights.to_metadata`; None is left out.

    Returns
    -------
    dict
        Strings; ``rank`` and ``alpha`` are given ones, else those of most layers.
    """
    rank, alpha = common_rank(parts)
    is_dora = any(layer.magnitude is not None for layer in _all(parts))
    said = {
        "rank": rank,
        "alpha": alpha,
        **metadata,
        "family": family,
        "adapter": "dora" if is_dora else "lora",
        "components": ", ".join(sorted(parts)),
        "made_by": f"{MADE_BY} {bunny.__version__}",
    }
    return {key: _text(value) for key, value in said.items() if value is not None}


def kohya_texts(
    parts: ComponentLayers, family: str, own: Mapping[str, str], captions: Sequence[str] = ()
) -> dict[str, str]:
    """Texts that sd-scripts, ComfyUI, A1111 and model managers show or decide by.

    Parameters
    ----------
    own : mapping
        From `own_texts`.
    captions : sequence of str
        Of the training set; their words between commas are counted in ``ss_tag_frequency``.

    Returns
    -------
    dict
        Keys ``ss_...`` of sd-scripts and ``modelspec...`` of the SAI model specification.
    """
    rank, alpha = common_rank(parts)
    version, kind = _version_of(parts, family), _prediction(own)
    is_v = kind == "v" and family == "sd"
    subject = own.get("subject") or own.get("trigger") or "character"
    said = {
        "ss_network_module": MODULE.get(family, "networks.lora"),
        "ss_network_dim": rank,
        "ss_network_alpha": alpha,
        "ss_base_model_version": VERSION.get(version, version) + ("_v" if is_v else ""),
        "ss_v2": version == "sd2",
        "ss_output_name": subject.replace(" ", "_"),
        "ss_sd_model_name": own.get("base_model"),
        "ss_sd_model_hash": own.get("base_hash"),
        "ss_steps": own.get("step"),
        "ss_num_train_images": len(captions) or None,
        "ss_tag_frequency": json.dumps({subject: _count_tags(captions)}) if captions else None,
        "ss_network_args": _network_args(parts),
        **_modelspec(f"{version}_v" if is_v and version == "sd2" else version, own, subject),
        **dict.fromkeys(HASHES, ""),
    }
    if own.get("adapter") == "dora":
        said["ss_network_module"] = "lycoris.kohya"
    return {key: _text(value) for key, value in said.items() if value is not None}


def _version_of(parts: ComponentLayers, family: str) -> str:
    """Family, and of ``sd`` which one: ``sd2`` where the text that it reads is 1024 wide."""
    if family != "sd":
        return family
    widths = {
        int(layer.down.shape[1])
        for own, layer in parts.get("unet", {}).items()
        if own.endswith(("attn2.to_k", "attn2.to_v"))
    }
    return "sd2" if widths == {SD2_WIDTH} else "sd1"


def common_rank(parts: ComponentLayers) -> tuple[int, float]:
    """Rank and alpha of most layers."""
    pairs = Counter((layer.rank, layer.alpha) for layer in _all(parts))
    return pairs.most_common(1)[0][0] if pairs else (0, 0.0)


def _count_tags(captions: Sequence[str]) -> dict[str, int]:
    """Count the comma-separated tags in captions, the most frequent first.

    Examples
    --------
    >>> _count_tags(["bun character, snow", "bun character"])
    {'bun character': 2, 'snow': 1}
    """
    counts = Counter(tag.strip() for text in captions for tag in text.split(",") if tag.strip())
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return dict(ordered[:MAX_TAGS])


def _modelspec(version: str, own: Mapping[str, str], subject: str) -> dict[str, str | None]:
    """The model specification's keys; what is not known is left out."""
    trigger = own.get("trigger")
    side = own.get("resolution_px")
    return {
        "modelspec.sai_model_spec": SPEC,
        "modelspec.architecture": ARCHITECTURE.get(version, f"{version}/lora"),
        "modelspec.implementation": IMPLEMENTATION.get(version, "diffusers"),
        "modelspec.title": own.get("title") or subject,
        "modelspec.resolution": f"{side}x{side}" if side else None,
        "modelspec.description": own.get("rights_film"),
        "modelspec.author": own.get("author"),
        "modelspec.date": own.get("date"),
        "modelspec.license": _licence(own),
        "modelspec.trigger_phrase": trigger,
        "modelspec.usage_hint": f"Use {subject!r} in the prompt" if trigger else None,
        "modelspec.prediction_type": _prediction(own),
        "modelspec.implementation_version": own.get("made_by"),
    }


def _prediction(own: Mapping[str, str]) -> str | None:
    """What the base predicts as the specification names it: ``epsilon`` or ``v``."""
    kind = own.get("prediction_type", "")
    return {"v_prediction": "v", "v": "v", "epsilon": "epsilon"}.get(kind)


def _licence(own: Mapping[str, str]) -> str | None:
    """Licence of the adapter where one is given, else of what it was made from."""
    if own.get("licence"):
        return own["licence"]
    sources = {"film": own.get("rights_film"), "base model": own.get("rights_base_model")}
    return "; ".join(f"{k}: {v}" for k, v in sources.items() if v) or None


def _network_args(parts: ComponentLayers) -> str | None:
    """Rank and alpha of 3x3 convolutions, and what makes it a DoRA, as sd-scripts notes them."""
    said: dict[str, str] = {}
    spatial = [la for la in _all(parts) if la.down.ndim == 4 and la.down.shape[-1] > 1]
    if spatial:
        said |= {"conv_dim": str(spatial[0].rank), "conv_alpha": str(spatial[0].alpha)}
    if any(layer.magnitude is not None for layer in _all(parts)):
        said |= {"algo": "lora", "dora_wd": "True", "wd_on_output": "True"}
    return json.dumps(said) if said else None


def _all(parts: ComponentLayers) -> list[LoraLayer]:
    """Layers of all components."""
    return [layer for layers in parts.values() for layer in layers.values()]


def _text(value: object) -> str:
    """A value as a header takes it."""
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
