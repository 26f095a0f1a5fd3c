"""Checkpoints of a fine-tune: written whole or not at all, found again by what they are of."""

from __future__ import annotations

import logging
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

from bunny.core import atomic

logger = logging.getLogger(__name__)

KEPT = 2  # states; each has the optimizer's two values a weight
STATE = "state.pt"


def save(folder: Path, step: int, key: str, state: dict[str, Any]) -> Path:
    """Write ``checkpoint-<step>`` under a temporary name, rename it, drop all but the last two.

    Parameters
    ----------
    folder : Path
        Of the run.
    step : int
    key : str
        Hash of all that the run depends on.
    state : dict
        Tensors, numbers, texts, lists and dicts of them.

    Returns
    -------
    Path
        The checkpoint's folder; a kill at any moment leaves it, or the older ones, whole.
    """
    import torch

    target = folder / f"checkpoint-{step:06d}"
    temporary = folder / f".checkpoint-{step:06d}.tmp"
    for dead in folder.glob(".checkpoint-*"):  # of a run that was killed while it wrote
        shutil.rmtree(dead, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        with (temporary / STATE).open("wb") as stream:
            torch.save({**state, "key": key}, stream)
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    atomic.replace_folder(temporary, target)
    for old in sorted(folder.glob("checkpoint-*"))[:-KEPT]:
        atomic.remove_folder(old)
    return target


def load_newest(folder: Path, key: str, *, is_writer: bool = True) -> dict[str, Any] | None:
    """State of the newest readable checkpoint of a key.

    Parameters
    ----------
    folder : Path
    key : str
    is_writer : bool
        Remove checkpoints of other keys.

    Returns
    -------
    dict or None
        None when there is none. Damaged ones are passed over, with a warning.
    """
    import torch

    for path in sorted(folder.glob("checkpoint-*"), reverse=True):
        try:
            state = torch.load(path / STATE, weights_only=True, map_location="cpu")
        except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
            kind = type(error).__name__
            logger.warning("%s cannot be read (%s); an older one is taken", path.name, kind)
            continue
        if state.get("key") == key:
            return state
        if is_writer:
            atomic.remove_folder(path)
    return None
