"""What a run leaves on disk: states to go on from, and adapters that can be loaded."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from bunny.table import store
from bunny.training import checkpoint, lora
from bunny.training.adapter_file import safetensors_file, write
from bunny.training.base import Base
from bunny.training.distributed import Crowd
from bunny.training.master_weights import Weights
from bunny.training.optimizer_step import Stepper
from bunny.training.settings import Example, Kept, LoraSettings, Step

ADAPTER = "adapter.safetensors"
STEP_FILE = "step-{:06d}.safetensors"


def key_of(
    base: Base,
    train: Sequence[Example],
    held_out: Sequence[Example],
    settings: LoraSettings,
    metadata: dict[str, str],
    num_processes: int,
) -> str:
    """Hash of all that a run depends on; a checkpoint of another key is never taken up."""
    every = [*train, *held_out]
    facts = {
        "settings": asdict(settings),
        "metadata": metadata,
        "base": base.hash,
        "family": base.family.name,
        "num_processes": num_processes,
        "num_train": len(train),
        "use": [(e.role, e.repeats, e.mask is not None) for e in every],
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode())
    for example in every:
        digest.update(example.caption.encode() + b"\0")
        for array in (example.picture, example.mask):
            digest.update(b"" if array is None else np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


class Keeper:
    """Writes and finds the files of one run; only the first process of a crowd writes.

    Parameters
    ----------
    folder : Path
    key : str
        See `key_of`.
    base : Base
    parts : mapping
        That carry the adapter.
    metadata : dict
        Texts of the adapters' headers; the step comes on top.
    crowd : Crowd
    """

    def __init__(
        self,
        folder: Path,
        key: str,
        base: Base,
        parts: lora.Parts,
        metadata: dict[str, str],
        crowd: Crowd,
    ) -> None:
        self.folder, self.key, self.base, self.parts = folder, key, base, parts
        self.metadata, self.crowd = metadata, crowd

    def newest(self) -> dict[str, Any] | None:
        """The state to go on from; adapters of steps that are not taken yet are removed."""
        state = checkpoint.load_newest(self.folder, self.key, is_writer=self.crowd.is_first)
        done = state["curve"][-1]["step"] if state else 0
        if self.crowd.is_first:
            for step, path in self._step_files():
                if step > done:
                    path.unlink()
        return state

    def keep_state(
        self, step: int, curve: Sequence[Step], seconds: float, weights: Weights, stepper: Stepper
    ) -> None:
        """Write all that is needed to go on after a step, whole or not at all."""
        if not self.crowd.is_first:
            return
        state = {
            "weights": weights.state(),
            "stepper": stepper.state(),
            "curve": [asdict(s) for s in curve],
            "seconds": seconds,
        }
        checkpoint.save(self.folder, step, self.key, state)

    def keep_adapter(self, step: int, weights: Weights) -> None:
        """Write the adapter of a step; before its state, so that a kept step has its adapter."""
        if not self.crowd.is_first:
            return
        with weights.shown(in_full=True):
            write.write_diffusers(
                self.folder / STEP_FILE.format(step),
                lora.states(self.parts),
                self.base.family.name,
                {**self.metadata, "step": str(step)},
            )

    def finish(self, curve: Sequence[Step], weights: Weights) -> dict[str, Any]:
        """Make the last step's adapter the run's; gives that and all that are kept."""
        step = curve[-1].step
        last, path = self.folder / STEP_FILE.format(step), self.folder / ADAPTER
        if not last.exists():
            self.keep_adapter(step, weights)
        if self.crowd.is_first:
            store.write_file(path, lambda temporary: shutil.copyfile(last, temporary))
        self.crowd.wait()
        held_out = {s.step: s.held_out_loss for s in curve}
        kept = [
            Kept(step=s, file=f, hash=safetensors_file.hash_file(f), held_out_loss=held_out.get(s))
            for s, f in self._step_files()
        ]
        return {"adapter_file": path, "adapter_hash": kept[-1].hash, "kept": tuple(kept)}

    def _step_files(self) -> list[tuple[int, Path]]:
        """Adapters of single steps, in order."""
        found = sorted(self.folder.glob("step-*.safetensors"))
        return sorted((int(p.stem.removeprefix("step-")), p) for p in found)
