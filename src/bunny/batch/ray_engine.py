"""Ray as the engine of a batch: each film is a task on one machine or a cluster."""

import os
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bunny.batch.engine import Attempt, FilmOutcome, FilmRunner
from bunny.batch.film_list import FilmTask
from bunny.core.error import UserError

CONNECT_S = 10.0
NUM_LOST = 3  # workers that a film may lose before it is put aside


def run_ray(
    tasks: Sequence[FilmTask],
    *,
    address: str | None,
    root: Path,
    data_dir: str | None,
    log_dir: Path,
    cpus: float,
    memory_bytes: int = 0,
    helpers: Sequence[FilmTask] = (),
) -> Iterator[FilmOutcome]:
    """Run films as tasks of Ray; outcomes as they come.

    Parameters
    ----------
    tasks : sequence of FilmTask
        Paths must mean the same on every node, e.g. on a shared disk.
    address : str, optional
        Of a cluster, e.g. ``ray://head:10001`` or ``auto``; None: that of variable RAY_ADDRESS,
        else a cluster of this machine alone, which ends with the batch.
    root, data_dir, log_dir : Path, str or None, Path
        The project's folder, the option of `bunny run`, and what each film's process writes to.
    cpus : float
        That a film asks for.
    memory_bytes : int
        That a film asks for; 0: nothing.
    helpers : sequence of FilmTask
        Ask for as much as a film, after all films; see `film_list.part_tasks`.

    Notes
    -----
    A film whose worker is lost is run again elsewhere, where it goes on from what is on the disk.

    Raises
    ------
    UserError
        If Ray is not installed, no cluster answers, or none of its nodes has so many cores.
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
        _check_cpus(ray, cpus)
        options: dict[str, Any] = {"num_cpus": cpus, "max_retries": NUM_LOST}
        if memory_bytes:
            options["memory"] = memory_bytes
        remote = ray.remote(**options)(_run_one)
        threads = max(1, int(cpus))
        waiting = {remote.remote(task, root, data_dir, log_dir, threads): task for task in tasks}
        help_one = ray.remote(**{**options, "max_retries": 0})(_help_one)
        for number, task in enumerate(helpers):
            helping.append(help_one.remote(task, number, root, data_dir, log_dir, threads))
        while waiting:
            [ready], _ = ray.wait(list(waiting), num_returns=1)
            yield _outcome(ray, ready, waiting.pop(ready))
    finally:
        for one in helping:
            ray.cancel(one)  # those that run end by themselves
        if is_ours:
            ray.shutdown()


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
            "--engine ray: expected Ray to start on this machine, it did not within its time; wait "
            "until the machine is less busy, or use --engine local"
        ) from error


def _run_one(
    task: FilmTask, root: Path, data_dir: str | None, log_dir: Path, num_threads: int
) -> FilmOutcome:
    """The work of a task, in a worker of Ray."""
    return FilmRunner(root, data_dir, log_dir, num_threads).run(task)


def _help_one(
    task: FilmTask,
    number: int,
    root: Path,
    data_dir: str | None,
    log_dir: Path,
    num_threads: int,
) -> None:
    """The work of a helper's task, in a worker of Ray."""
    FilmRunner(root, data_dir, log_dir, num_threads).assist(task, number)


def _outcome(ray: Any, ready: Any, task: FilmTask) -> FilmOutcome:
    """The outcome of a task; one whose workers were all lost has failed."""
    try:
        return ray.get(ready)
    except ray.exceptions.RayError as error:
        why = f"lost its worker {NUM_LOST + 1} times ({type(error).__name__})"
        return FilmOutcome(task=task, attempts=(Attempt(exit_code=1, seconds=0.0, error=why),))


def _check_cpus(ray: Any, cpus: float) -> None:
    """Refuse a film that no node could ever take."""
    most = max(
        (node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]), default=0
    )
    if cpus > most:
        raise UserError(
            f"--cpus: expected at most {most:g}, the cores of the largest node, got {cpus:g}"
        )


def _import_ray() -> Any:
    # under `uv run` Ray would copy the project's folder to each worker, films and all
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    try:
        import ray
    except ImportError as error:
        raise UserError(
            "--engine ray: expected the package ray, it is not installed; add it with "
            "`uv sync --extra ray`"
        ) from error
    return ray
