"""Safetensors files: same bytes for the same content, written atomically, never a pickle."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bunny.core import atomic, log
from bunny.core.error import UserError

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


def write_file(path: Path, tensors: Mapping[str, Any], texts: Mapping[str, str]) -> str:
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
    data = save({name: _plain(tensors[name]) for name in sorted(tensors)})
    length = int.from_bytes(data[:LENGTH_BYTES], "little")
    body = data[LENGTH_BYTES + length :]
    header = json.loads(data[LENGTH_BYTES : LENGTH_BYTES + length])
    header["__metadata__"] = {**_clean(texts), **_hash_texts(texts, body), "format": "pt"}
    content = _encode(header) + body
    atomic.write_bytes(path, content)
    return hashlib.sha256(content).hexdigest()


def read_header(path: Path) -> dict[str, Any]:
    """The header of a safetensors file after checks that open no tensor.

    Parameters
    ----------
    path : Path

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


def read_tensors(path: Path) -> dict[str, Any]:
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


def _plain(tensor: Any) -> Any:
    """A copy of its own on the CPU."""
    return tensor.detach().cpu().contiguous().clone()


def _clean(texts: Mapping[str, str]) -> dict[str, str]:
    """Texts without folders of this machine and secrets of its environment."""
    return {str(key): log.redact(_without_folders(str(text))) for key, text in texts.items()}


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
