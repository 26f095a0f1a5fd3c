"""What a film asks a cluster for: cores, memory, and a GPU for its fine-tune."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bunny.batch.film_list import FINETUNE, FINETUNE_STAGES, PREPARE, PREPARE_STAGES
from bunny.contract import fingerprint
from bunny.core.error import UserError

GIB = 2**30
FILM_BYTES = int(1.3 * GIB)  # peak of a feature film, see memory_bank/progress.md
MARGIN = 1.25  # over the most that earlier films took
MAX_FILMS = 20  # the newest ones that are looked at
_RESOURCE = {"num_cpus": "CPU", "num_gpus": "GPU", "memory": "memory"}  # options of Ray's tasks


@dataclass(frozen=True, kw_only=True)
class FilmNeeds:
    """What a film asks for.

    Parameters
    ----------
    cpus : float
        Cores.
    gpus : float
        GPUs of its phase `FINETUNE`; the other phases ask for none.
    memory_bytes : mapping of str to int
        By phase; none asks for nothing.
    is_estimate : bool
        Whether memory was not given but follows from earlier films: then a smaller node is asked
        for all it has.
    """

    cpus: float
    gpus: float = 0.0
    memory_bytes: Mapping[str, int]
    is_estimate: bool = False

    def to_options(self, phase: str) -> dict[str, Any]:
        """Options of a task of Ray."""
        options: dict[str, Any] = {"num_cpus": self.cpus}
        if phase == FINETUNE:
            options["num_gpus"] = self.gpus
        if memory := self.memory_bytes.get(phase):
            options["memory"] = memory
        return options

    def num_slots(self, nodes: Iterable[Mapping[str, float]], phase: str) -> int:
        """Films that nodes can run at once.

        Parameters
        ----------
        nodes : iterable of mapping
            Amount by resource of each node, as Ray names them.
        """
        wanted = {_RESOURCE[name]: value for name, value in self.to_options(phase).items() if value}
        return sum(
            min(int(node.get(name, 0.0) / value + 1e-9) for name, value in wanted.items())
            for node in nodes
        )

    def fit(self, nodes: Iterable[Mapping[str, float]], phases: Iterable[str]) -> FilmNeeds:
        """Needs that some node can meet.

        Raises
        ------
        UserError
            If no node has as much as was asked for.
        """
        known, phases = list(nodes), set(phases)
        most = {
            name: max((node.get(name, 0.0) for node in known), default=0.0)
            for name in _RESOURCE.values()
        }
        if self.cpus > most["CPU"]:
            raise UserError(
                f"--cpus: expected at most {most['CPU']:g}, the cores of the largest node, got "
                f"{self.cpus:g}"
            )
        if FINETUNE in phases and self.gpus > most["GPU"]:
            raise UserError(
                f"--gpus: expected at most {most['GPU']:g}, the largest number of GPUs of any "
                f"node, got {self.gpus:g}"
            )
        wanted = max(self.memory_bytes.values(), default=0)
        if wanted > most["memory"] and not self.is_estimate:
            raise UserError(
                f"--memory: expected at most {most['memory'] / GIB:.1f} GiB, the memory of the "
                f"largest node, got {wanted / GIB:.1f} GiB"
            )
        fitted = FilmNeeds(
            cpus=self.cpus,
            gpus=self.gpus,
            memory_bytes={
                phase: min(value, self._largest(known, phase))
                for phase, value in self.memory_bytes.items()
            }
            if self.is_estimate
            else self.memory_bytes,
            is_estimate=self.is_estimate,
        )
        if any(not fitted.num_slots(known, phase) for phase in phases):
            raise UserError(
                "expected a node with enough cores, memory and GPUs for a film (--cpus, --memory, "
                "--gpus), found none with all of them; request less of one"
            )
        return fitted

    def _largest(self, nodes: Iterable[Mapping[str, float]], phase: str) -> int:
        """Memory of the largest node that has the GPUs of a phase."""
        gpus = self.gpus if phase == FINETUNE else 0.0
        sizes = (node.get("memory", 0.0) for node in nodes if node.get("GPU", 0.0) >= gpus)
        return int(max(sizes, default=0.0))


def estimate_memory(output: Path) -> dict[str, int]:
    """Memory that each phase of a film takes, in bytes, by films that ran before.

    Parameters
    ----------
    output : Path
        Folder of the films' workspaces.

    Returns
    -------
    dict
        By phase, `MARGIN` times the largest peak of its stages in the newest `MAX_FILMS` films,
        and at least `FILM_BYTES`. A film that is not divided ("") has the largest of both.
    """
    films = sorted(output.glob("*/source.json"), key=lambda path: path.stat().st_mtime)
    found = {
        phase: max([FILM_BYTES, *_peaks(films[-MAX_FILMS:], stages)])
        for phase, stages in ((PREPARE, PREPARE_STAGES), (FINETUNE, FINETUNE_STAGES))
    }
    return {"": max(found.values()), **found}


def _peaks(sources: Iterable[Path], stages: Iterable[str]) -> Iterable[int]:
    """Peaks of memory with their margin, in bytes."""
    names = tuple(stages)
    for source in sources:
        for name in names:
            peak = fingerprint.read_record(source.parent, name).get("peak_memory_mb")
            if peak is not None:
                yield int(MARGIN * peak * 2**20)
