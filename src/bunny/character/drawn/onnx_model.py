"""ONNX models from a hub or a folder: files, licence, input and output.

A hub repository is brought into the hub's local cache and then read like any folder, so a model
that is there once needs no network. Only `.onnx`, `.json` and the card are fetched: no pickles.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from bunny.core import hub, onnx_session
from bunny.core.error import UserError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


HUB_LICENCE = {  # by their cards
    "google/owlv2-": "apache-2.0",
    "facebook/dinov2-": "apache-2.0",
    "deepghs/ccip_onnx": "openrail",
    "deepghs/anime_face_detection": "mit",
    "deepghs/anime_head_detection": "mit",
    "deepghs/anime_person_detection": "mit",
    "deepghs/anime_real_cls": "openrail",
}


def licence_of(source: str) -> str:
    """Licence of a model by its card.

    Parameters
    ----------
    source : str
        Local folder (its ``README.md`` begins with ``license:`` between two lines of dashes) or
        hub id.

    Returns
    -------
    str
        ``unknown`` where nothing says it.
    """
    card = Path(source) / "README.md"
    if card.is_file():
        parts = card.read_text(encoding="utf-8", errors="replace").split("---")
        head = parts[1] if len(parts) > 2 else ""
        found = re.search(r"^license:\s*(\S+)", head, flags=re.MULTILINE)
        return found[1] if found else "unknown"
    return next((v for prefix, v in HUB_LICENCE.items() if source.startswith(prefix)), "unknown")


@dataclass(frozen=True, kw_only=True)
class PublishedModel:
    """Published source of a kind of model: a hub repository and one of its models."""

    repository: str  # owner/name
    model: str  # folder in it


@dataclass(frozen=True, kw_only=True)
class ModelFolder:
    """Files of one model on this machine."""

    key: str  # the setting that named it, for messages
    path: Path
    licence: str  # `unknown` where nothing says it

    @property
    def name(self) -> str:
        """Name of the model in tables."""
        return self.path.name

    def read_json(self, file: str) -> Any:
        """Content of a JSON file beside the model; None without one.

        Raises
        ------
        UserError
            If it is there and no JSON.
        """
        path = self.path / file
        if not path.is_file():
            return None
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UserError(
                f"{self.key}: expected JSON in {path}, could not parse it ({error}); "
                "download it again"
            ) from error


class OnnxModel:
    """One network, loaded once; several threads may run it.

    Parameters
    ----------
    file : str
        Of the folder.
    input_name, output_name : str
        As its authors name them.
    input_rank : int
        4 for pictures (batch, 3, height, width), 2 for vectors.
    num_threads : int
        That one run may use. With frames in several threads already, 1 is fastest.

    Raises
    ------
    UserError
        If the file is no ONNX model or another kind of network.
    """

    def __init__(
        self,
        folder: ModelFolder,
        file: str,
        *,
        input_name: str,
        output_name: str,
        input_rank: int = 4,
        num_threads: int = 1,
    ) -> None:
        self._folder, self._path = folder, folder.path / file
        self._input, self._output = input_name, output_name
        self._session = self._load(num_threads)
        taken = {one.name: one.shape for one in self._session.get_inputs()}
        given = {one.name: one.shape for one in self._session.get_outputs()}
        self._shape = taken.get(input_name, [])
        is_right = list(taken) == [input_name] and output_name in given
        if not is_right or len(self._shape) != input_rank:
            wanted = "(batch, 3, height, width)" if input_rank == 4 else "(batch, size)"
            raise UserError(
                f"{folder.key}: expected {self._path} to take {input_name} {wanted} "
                f"and return {output_name}, found that it takes {_describe(taken)} "
                f"and returns {_describe(given)}; choose a model with these inputs "
                "and outputs"
            )

    @property
    def size_px(self) -> tuple[int, int] | None:
        """Width and height that the network insists on; None where it takes any."""
        height, width = self._shape[-2:]
        is_fixed = isinstance(height, int) and isinstance(width, int)
        return (width, height) if is_fixed else None

    @property
    def metadata(self) -> dict[str, str]:
        """Metadata that the exporter wrote into the file."""
        return dict(self._session.get_modelmeta().custom_metadata_map)

    @property
    def licence(self) -> str:
        """Licence by the card, and the file's own where it names one."""
        card, own = self._folder.licence, self.metadata.get("license", "")
        return f"{card}; the file itself says {own}" if own else card

    def run(self, value: np.ndarray) -> np.ndarray:
        """Run the network on one input, float32.

        Raises
        ------
        UserError
            If it does not take an input of that shape.
        """
        try:
            found = self._session.run([self._output], {self._input: np.float32(value)})
            return np.asarray(found[0])
        except Exception as error:
            raise UserError(
                f"{self._folder.key}: {self._path} could not be run on an input of "
                f"shape {value.shape} ({hub.one_line(error)}); choose a model with "
                "this input"
            ) from error

    def _load(self, num_threads: int) -> InferenceSession:
        try:
            return onnx_session.load_session(self._path, num_threads=num_threads)
        except Exception as error:  # the runtime's own errors share no other class
            raise UserError(
                f"{self._folder.key}: expected an ONNX model in {self._path}, could "
                f"not load it ({hub.one_line(error)}); download it again"
            ) from error


def find_folder(
    key: str,
    source: str,
    published: PublishedModel,
    needed: Sequence[str],
    more: Sequence[str] = (),
) -> ModelFolder:
    """Find a model's files, in a folder or by way of the hub.

    Parameters
    ----------
    key : str
        The setting that names it.
    source : str
        A folder, a hub id ``owner/name`` or ``owner/name/model``; empty: as published.
    published : PublishedModel
        What holds for the parts that `source` leaves out.
    needed, more : sequence of str
        Files that must and that may be there.

    Raises
    ------
    UserError
        If `source` is neither, lacks a file or cannot be had.
    """
    source = source or published.repository
    root, model = Path(source), published.model
    licence = "unknown"
    if not root.is_dir():
        repository, model = _read_hub_id(key, source, published)
        root = _fetch(key, repository, model, needed, more)
        licence = licence_of(repository)
    is_inside = (root / model).is_dir() and not (root / needed[0]).is_file()
    path = root / model if is_inside else root
    missing = [file for file in needed if not (path / file).is_file()]
    if missing:
        raise UserError(
            f"{key}: expected {', '.join(needed)} in {root} or its folder {model}, "
            f"missing {', '.join(missing)}; download {published.model} of {published.repository}"
        )
    cards = [licence_of(str(one)) for one in (path, root, path.parent)]
    known = next((card for card in cards if card != "unknown"), licence)
    return ModelFolder(key=key, path=path.resolve(), licence=known)


def is_cached(published: PublishedModel, file: str) -> bool:
    """Whether the hub's local cache has a file of a model; the network is not asked."""
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return False
    return isinstance(
        try_to_load_from_cache(published.repository, f"{published.model}/{file}"), str
    )


def to_pixels(
    image: np.ndarray,
    size_px: tuple[int, int],
    *,
    resample: Image.Resampling,
    mean: Sequence[float] = (0, 0, 0),
    scale: Sequence[float] = (1, 1, 1),
) -> np.ndarray:
    """Make a picture the input of a network.

    Parameters
    ----------
    image : np.ndarray, shape (height, width, 3), uint8, BGR
    size_px : tuple of int
        Width and height it is stretched to, without keeping its aspect.
    resample : Image.Resampling
        Pillow's filter, which also averages where it shrinks.
    mean, scale : sequence of float, length 3
        RGB, for values in [0, 1]: the mean is taken off, then it is divided by the scale.

    Returns
    -------
    np.ndarray, shape (1, 3, height, width), float32
    """
    picture = Image.fromarray(np.ascontiguousarray(image[:, :, ::-1]))
    value = np.asarray(picture.resize(size_px, resample), np.float32) / 255
    value = (value - np.asarray(mean, np.float32)) / np.asarray(scale, np.float32)
    return np.ascontiguousarray(value.transpose(2, 0, 1)[None])


def _read_hub_id(key: str, source: str, published: PublishedModel) -> tuple[str, str]:
    """Repository and model of ``owner/name`` or ``owner/name/model``."""
    owner_name, model = "/".join(source.split("/")[:2]), "/".join(source.split("/")[2:])
    if not hub.is_hub_id(owner_name) or "/" in model:
        raise UserError(
            f"{key}: expected a folder or a hub id owner/name or owner/name/model, "
            f"found no folder {source}"
        )
    return owner_name, model or published.model


def _fetch(
    key: str, repository: str, model: str, needed: Sequence[str], more: Sequence[str]
) -> Path:
    """Folder of the hub's local cache with a model's files; fetched unless they are there."""
    allowed = ["README.md", *(f"{model}/{file}".removeprefix("/") for file in (*needed, *more))]
    cached = hub.find_cached(repository, allowed)
    if cached and all((cached / model / file).is_file() for file in needed):
        return cached
    advice = f"or download {model or repository} and give its folder"
    return hub.fetch(key, repository, allowed, advice)


def _describe(shapes: dict[str, Sequence]) -> str:
    """Names and shapes in words."""
    return ", ".join(f"{n} ({', '.join(map(str, shape))})" for n, shape in shapes.items()) or "none"
