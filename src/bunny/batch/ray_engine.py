"""Ray as the engine of a batch: each film is a task, or two, on one machine or a cluster."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bunny.batch.engine import Attempt, FilmOutcome, FilmRunner
from bunny.batch.film_list import FINETUNE, PREPARE, FilmTask
from bunny.batch.film_needs import FilmNeeds
from bunny.core import exit_code
from bunny.core.error import UserError

CONNECT_S = 10.0
NUM_LOST = 3  # workers that a film may lose before it is put aside
NODE_DIGITS = 8  # of a node's id, where people read it
LOOK_S = 10.0  # between two looks at which nodes there are


@dataclass(frozen=True, kw_only=True)
class NodePlaces:
    """Where the processes of films work; paths mean the same on every node."""

    root: Path  # the project's folder
    data_dir: str | None  # the option of `bunny run`
    log_dir: Path  # of what each film's process writes
    record_dir: Path | None = None  # of records of films that run, see `film_record`


@dataclass(kw_only=True)
class _Chain:
    """A film on its way through its phases."""

    task: FilmTask
    left: list[FilmTask]  # phases to come
    attempts: tuple[Attempt, ...] = ()


def run_ray(
    tasks: Sequence[FilmTask],
    places: NodePlaces,
    needs: FilmNeeds,
    *,
    address: str | None,
    helpers: Sequence[FilmTask] = (),
    divide: Callable[[FilmTask], Sequence[FilmTask]] = lambda task: (task,),
    note_slots: Callable[[int, int], None] = lambda all_films, finetunes: None,
) -> Iterator[FilmOutcome]:
    """Run films as tasks of Ray; outcomes as they come.

    Parameters
    ----------
    places : NodePlaces
        On a disk that all nodes share.
    needs : FilmNeeds
        Of a film.
    address : str, optional
        Of a cluster, e.g. ``ray://head:10001`` or ``auto``; None: that of variable RAY_ADDRESS,
        else a cluster of this machine alone, which ends with the batch.
    helpers : sequence of FilmTask
        Ask for as much as a film, after all films; see `film_list.part_tasks`.
    divide : callable
        A film's phases; one begins, anywhere, once that before it is done. See
        `film_list.to_phases`.
    note_slots : callable
        Told now and then how many films, and how many fine-tunes, the nodes can run at once.

    Notes
    -----
    A film whose worker is lost is run again elsewhere, where it goes on from what is on the disk.

    Raises
    ------
    UserError
        If Ray is not installed, no cluster answers, or no node has what a film asks for.
    """
    ray = _import_ray()
    is_ours = not ray.is_initialized()
    if is_ours:
        # Without an address Ray itself would join whatever cluster was last started here.
        address = address or os.environ.get("RAY_ADDRESS") or "local"
        _check_answers(address)
        _connect(ray, address)
    helping: list[Any] = []
    try:
        chains = [_Chain(task=task, left=list(divide(task))) for task in tasks]
        phases = {one.phase for chain in chains for one in chain.left}
        needs = needs.fit(_nodes(ray), phases)
        engine = _Submitter(ray, places, needs)
        waiting = {engine.run(chain.left.pop(0)): chain for chain in chains}
        helping += [engine.assist(task, number) for number, task in enumerate(helpers)]
        first = PREPARE if PREPARE in phases else min(phases, default="")
        while waiting:
            nodes = list(_nodes(ray))
            finetunes = needs.num_slots(nodes, FINETUNE) if FINETUNE in phases else 0
            note_slots(needs.num_slots(nodes, first), finetunes)
            ready, _ = ray.wait(list(waiting), num_returns=1, timeout=LOOK_S)
            for one in ready:
                chain = waiting.pop(one)
                outcome = _outcome(ray, one, chain.task)
                chain.attempts += outcome.attempts
                if outcome.status == "done" and chain.left:
                    waiting[engine.run(chain.left.pop(0))] = chain
                else:
                    yield FilmOutcome(task=chain.task, attempts=chain.attempts)
    finally:
        for one in helping:
            ray.cancel(one)  # those that run end by themselves
        if is_ours:
            ray.shutdown()


class _Submitter:
    """Gives Ray a film's phase or its helper, with what that needs."""

    def __init__(self, ray: Any, places: NodePlaces, needs: FilmNeeds) -> None:
        self._ray, self._places, self._needs = ray, places, needs
        self._threads = max(1, int(needs.cpus))

    def run(self, task: FilmTask) -> Any:
        """Submit a phase; its future outcome."""
        options = {**self._needs.to_options(task.phase), "max_retries": NUM_LOST}
        return self._ray.remote(**options)(_run_one).remote(task, self._places, self._threads)

    def assist(self, task: FilmTask, number: int) -> Any:
        """Submit a helper, which is not sent again when it is lost."""
        phase = PREPARE if self._needs.gpus else ""
        options = {**self._needs.to_options(phase), "max_retries": 0}
        own = replace(task, phase=phase)
        remote = self._ray.remote(**options)(_help_one)
        return remote.remote(own, number, self._places, self._threads)


def _nodes(ray: Any) -> Iterator[Mapping[str, float]]:
    """Resources of the nodes that live."""
    return (node["Resources"] for node in ray.nodes() if node["Alive"])


def _check_answers(address: str | None) -> None:
    """Refuse an address where nobody listens: Ray itself would try for minutes."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_S).close()
    except OSError as error:
        raise UserError(
            f"--address {address}: expected a Ray cluster, could not connect ({error}); start one "
            "with `ray start --head`"
        ) from error


def _connect(ray: Any, address: str) -> None:
    """Join a cluster, or start one here, which Ray gives half a minute."""
    try:
        ray.init(address=address, log_to_driver=False, include_dashboard=False, logging_level=40)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UserError(
            f"--address {address}: expected a Ray cluster, could not connect "
            f"({str(error).splitlines()[0]}); start one with `ray start --head`"
        ) from error
    except Exception as error:
        if "timed out" not in str(error):
            raise
        raise UserError(
            "--engine ray: Ray did not start on this machine in time; wait until the machine is "
            "less busy, or use --engine local"
        ) from error


def _run_one(task: FilmTask, places: NodePlaces, num_threads: int) -> FilmOutcome:
    """The work of a task, in a worker of Ray."""
    return _runner(places, num_threads).run(task)


def _help_one(task: FilmTask, number: int, places: NodePlaces, num_threads: int) -> None:
    """The work of a helper's task, in a worker of Ray."""
    _runner(places, num_threads).assist(task, number)


def _runner(places: NodePlaces, num_threads: int) -> FilmRunner:
    """What runs films in a worker of Ray, which knows its node and whether others were lost."""
    import ray

    context = ray.get_runtime_context()
    return FilmRunner(
        places.root,
        places.data_dir,
        places.log_dir,
        num_threads,
        places.record_dir,
        node=f"{socket.gethostname()} {context.get_node_id()[:NODE_DIGITS]}",
    )


def _outcome(ray: Any, ready: Any, task: FilmTask) -> FilmOutcome:
    """The outcome of a task; one whose workers were all lost has failed."""
    try:
        return ray.get(ready)
    except ray.exceptions.RayError as error:
        why = f"lost its worker {NUM_LOST + 1} times ({type(error).__name__})"
        return FilmOutcome(
            task=task, attempts=(Attempt(exit_code=exit_code.FAILED, seconds=0.0, error=why),)
        )


def _import_ray() -> Any:
    # under `uv run` Ray would copy the project's folder to each worker, films and all
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    try:
        import ray
    except ImportError as error:
        raise UserError(
            "--engine ray needs the package ray, which is not installed; add it with `uv sync "
            "--extra ray`"
        ) from error
    return ray
