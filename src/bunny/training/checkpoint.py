"""Checkpoints of a fine-tune: states to resume from, and an adapter for each.

accelerate's `save_state` resumes bit for bit too, but writes file by file: a kill leaves half.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import pickle
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from bunny.core import atomic, file_hash
from bunny.dataset.image_folder import TrainingExample
from bunny.training import lora
from bunny.training.adapter_file import write
from bunny.training.base import Base
from bunny.training.distributed import ProcessGroup
from bunny.training.optimizer import AdapterOptimizer, MasterWeights
from bunny.training.settings import AdapterCheckpoint, Step, TrainingSettings

logger = logging.getLogger(__name__)

NUM_KEPT = 2  # states; each has the optimizer's two values a weight
STATE = "state.pt"

ADAPTER_FILE = "adapter.safetensors"
STEP_FILE = "step-{:06d}.safetensors"


def save(folder: Path, step: int, key: str, state: dict[str, Any]) -> Path:
    """Write ``checkpoint-<step>`` under a temporary name, rename it, drop all but the last two.

    Parameters
    ----------
    folder : Path
        Of the run.
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
    for old in sorted(folder.glob("checkpoint-*"))[:-NUM_KEPT]:
        atomic.remove_folder(old)
    return target


def load_newest(folder: Path, key: str, *, is_writer: bool = True) -> dict[str, Any] | None:
    """State of the newest readable checkpoint of a key.

    Parameters
    ----------
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
            logger.warning("checkpoint %s cannot be read (%s); using an older one", path.name, kind)
            continue
        if not isinstance(state, dict):
            logger.warning("checkpoint %s holds no state; using an older one", path.name)
            continue
        if state.get("key") == key:
            return state
        if is_writer:
            atomic.remove_folder(path)
    return None


def key_of(
    base: Base,
    train: Sequence[TrainingExample],
    held_out: Sequence[TrainingExample],
    settings: TrainingSettings,
    num_processes: int,
) -> str:
    """Hash of all that a run depends on; a checkpoint of another key is never taken up."""
    every = [*train, *held_out]
    facts = {
        "settings": settings.record(),
        "metadata": settings.metadata,
        "base": base.hash,
        "family": base.family.name,
        "num_processes": num_processes,
        "num_train": len(train),
        "use": [(e.role, e.repeats, e.mask is not None) for e in every],
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode())
    for example in every:
        digest.update(example.caption.encode() + b"\0")
        for one in example.variants:
            digest.update(f"{one.text}\0{one.share}\0".encode())
        for array in (example.picture, example.mask):
            digest.update(b"" if array is None else np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


class CheckpointWriter:
    """Writes and finds the files of one run; only the first process writes.

    Parameters
    ----------
    key : str
        See `key_of`.
    parts : mapping
        That carry the adapter.
    metadata : mapping
        Texts of the adapters' headers; the step comes on top.
    """

    def __init__(
        self,
        folder: Path,
        key: str,
        base: Base,
        parts: lora.Components,
        metadata: Mapping[str, str],
        processes: ProcessGroup,
    ) -> None:
        self.folder, self.key, self.base, self.parts = folder, key, base, parts
        self.metadata, self.processes = metadata, processes

    def newest(self) -> dict[str, Any] | None:
        """The state to go on from; adapters of steps that are not taken yet are removed."""
        state = load_newest(self.folder, self.key, is_writer=self.processes.is_first)
        done = state["curve"][-1]["step"] if state else 0
        if self.processes.is_first:
            for step, path in self._step_files():
                if step > done:
                    path.unlink()
        return state

    def save_state(
        self,
        step: int,
        curve: Sequence[Step],
        seconds: float,
        weights: MasterWeights,
        optimizer: AdapterOptimizer,
    ) -> None:
        """Write all that is needed to go on after a step, whole or not at all."""
        if not self.processes.is_first:
            return
        state = {
            "weights": weights.state(),
            "stepper": optimizer.state(),
            "curve": [asdict(s) for s in curve],
            "seconds": seconds,
        }
        save(self.folder, step, self.key, state)

    def save_adapter(self, step: int, weights: MasterWeights) -> None:
        """Write the adapter of a step; before its state, so that a kept step has its adapter."""
        if not self.processes.is_first:
            return
        with weights.shown(in_full=True):
            write.write_diffusers(
                self.folder / STEP_FILE.format(step),
                lora.state_dicts(self.parts),
                self.base.family.name,
                {**self.metadata, "step": str(step)},
            )

    @property
    def adapter_file(self) -> Path:
        """The run's adapter."""
        return self.folder / ADAPTER_FILE

    def finish(
        self, curve: Sequence[Step], weights: MasterWeights
    ) -> tuple[AdapterCheckpoint, ...]:
        """Make the last step's adapter the run's; returns those of all steps that are kept."""
        step = curve[-1].step
        last, path = self.folder / STEP_FILE.format(step), self.adapter_file
        if not last.exists():
            self.save_adapter(step, weights)
        if self.processes.is_first:
            atomic.write_file(path, lambda temporary: shutil.copyfile(last, temporary))
        self.processes.wait()
        held_out = {s.step: s.held_out_loss for s in curve}
        return tuple(
            AdapterCheckpoint(
                step=s, file=f, hash=file_hash.hash_file(f), held_out_loss=held_out.get(s)
            )
            for s, f in self._step_files()
        )

    def _step_files(self) -> list[tuple[int, Path]]:
        """Adapters of single steps, in order."""
        found = sorted(self.folder.glob("step-*.safetensors"))
        return sorted((int(p.stem.removeprefix("step-")), p) for p in found)
