"""Encoded pictures and captions on disk, by a hash of all that they depend on."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bunny.table import store

logger = logging.getLogger(__name__)

Tensors = dict[str, Any]


class Cache:
    """A folder of safetensors files; a rerun on the same pictures starts at once.

    Parameters
    ----------
    folder : Path or None
        None keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.used: set[str] = set()

    def get(
        self,
        kind: str,
        facts: Sequence[Any],
        arrays: Sequence[np.ndarray],
        encode: Callable[[], Tensors],
    ) -> Tensors:
        """Tensors of these facts and arrays; else made, and put down whole or not at all.

        Parameters
        ----------
        kind : str
            Begins the file's name.
        facts : sequence
            Plain values.
        arrays : sequence of np.ndarray
        encode : callable
            Makes the tensors.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        if self.folder is None:
            return _in_order(encode())
        path = self.folder / f"{kind}-{_key(facts, arrays)}.safetensors"
        self.used.add(path.name)
        if path.is_file():
            try:
                return load_file(path)
            except (SafetensorError, OSError) as error:
                logger.warning("%s cannot be read (%s); it is made again", path.name, error)
        made = _in_order(encode())
        self._put(path, made)
        return made

    def drop_others(self) -> None:
        """Forget files that nobody asked for since this was opened."""
        if self.folder is None or not self.folder.is_dir():
            return
        for path in self.folder.iterdir():
            if path.name not in self.used:
                path.unlink(missing_ok=True)

    def _put(self, path: Path, made: Tensors) -> None:
        """Write a file under another name, then rename it."""
        from safetensors.torch import save_file

        tensors = {name: w.cpu() for name, w in made.items()}
        store.write_file(path, lambda temporary: save_file(tensors, temporary))


def _in_order(made: Tensors) -> Tensors:
    """Tensors laid out as a file would give them: another layout gives other last bits."""
    return {name: tensor.contiguous() for name, tensor in made.items()}


def _key(facts: Sequence[Any], arrays: Sequence[np.ndarray]) -> str:
    """Hash of all that encoded things depend on."""
    digest = hashlib.sha256(repr(list(facts)).encode())
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:24]
