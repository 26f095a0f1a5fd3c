"""Films as tasks of a real Ray cluster of several node processes, one of which is lost."""

import gc
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import polars as pl
import pytest
from workspace_difference import MEASURED

from bunny import demo, pipeline
from bunny.batch import engine, film_list, film_record, ray_engine
from bunny.batch.engine import FilmOutcome
from bunny.batch.film_list import FilmTask
from bunny.batch.film_needs import FilmNeeds
from bunny.batch.film_record import RunningFilm
from bunny.batch.ray_engine import NodePlaces
from bunny.core.error import UserError

pytestmark = pytest.mark.slow

os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"  # before the import, as `run_ray` does
ray = pytest.importorskip("ray")


@pytest.fixture(scope="module")
def cluster(quick_ray):
    """A head without cores and two nodes of one core each; gives the cluster and the nodes."""
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "include_dashboard": False}
    made, nodes = None, []
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", quick_ray)
        warnings.simplefilter("ignore", ResourceWarning)  # processes of a start that failed
        try:
            made = Cluster(initialize_head=True, head_node_args=head)
            for _ in range(2):
                nodes.append(made.add_node(num_cpus=1, object_store_memory=80 * 2**20))
            made.wait_for_nodes()
        except Exception as error:
            if "timed out during startup" not in str(error):
                raise
            if made:
                made.shutdown()
            made = None
        gc.collect()
    if made is None:
        pytest.skip("Ray gives its agents 15 s to start (its issue 65983), too few here")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", quick_ray)  # for nodes that tests add
        yield made, nodes
    ray.shutdown()
    made.shutdown()


def add_node(made, **more):
    """One more node; the test is skipped where Ray does not start one in its time."""
    try:
        return made.add_node(num_cpus=1, object_store_memory=80 * 2**20, **more)
    except Exception as error:
        if "timed out during startup" not in str(error):
            raise
    return pytest.skip("Ray gives its agents 15 s to start (its issue 65983), too few here")


NEEDS = FilmNeeds(cpus=1, memory_bytes={})
QUICK = ("pipeline.has_report=false",)
TRAINED = {
    "adapter",
    "training_run",
    "training_step",
    "evaluation",
    "evaluation_picture",
    "picture",
}


def places(folder: Path, name: str = "data", root: Path | None = None) -> NodePlaces:
    return NodePlaces(
        root=root or folder,
        data_dir=str(folder / name),
        log_dir=folder / "log",
        record_dir=folder / "running",
    )


def tables(data: Path) -> dict[str, pl.DataFrame]:
    """All tables, less what is measured of the machine."""
    return {
        path.relative_to(data).as_posix(): pl.read_parquet(path).drop(MEASURED, strict=False)
        for path in sorted(data.glob("output/*/table/*.parquet"))
    }


@contextmanager
def watching(folder: Path, act: Callable[[RunningFilm], bool]) -> Iterator[list[RunningFilm]]:
    """Give records of films that run to a function until it says True; gives those it saw."""
    is_over, seen = threading.Event(), []

    def watch():
        while not is_over.wait(0.05):
            for film in film_record.read_all(folder / "running"):
                seen.append(film)
                if act(film):
                    return

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        is_over.set()
        thread.join()


@pytest.mark.parametrize(
    ("needs", "says"),
    [
        (FilmNeeds(cpus=4, memory_bytes={}), r"--cpus: expected at most 1, .* got 4"),
        (FilmNeeds(cpus=1, gpus=1, memory_bytes={}), r"--gpus: expected at most 0, .* got 1"),
    ],
)
def test_a_film_that_no_node_can_take_is_refused(cluster, tmp_path, needs, says):
    made, _ = cluster
    tasks = [FilmTask(film="a.mp4", phase=film_list.FINETUNE)]
    with pytest.raises(UserError, match=says):
        list(ray_engine.run_ray(tasks, places(tmp_path), needs, address=made.address))


def test_a_lost_node_costs_nothing_and_results_are_those_of_one_machine(cluster, tmp_path, film):
    made, nodes = cluster
    films = [film(name, seconds=6) for name in ("one", "two", "three")]
    tasks = [FilmTask(film=str(path), until="filter") for path in films]
    tasks.append(FilmTask(film=str(tmp_path / "nothing.mp4")))
    lost = nodes.pop(0)
    slots = set()

    def lose(film: RunningFilm) -> bool:
        is_there = film.node.endswith(f" {lost.node_id[:8]}") and film.process is not None
        if is_there:
            made.remove_node(lost, allow_graceful=False)  # SIGKILL
        return is_there

    with watching(tmp_path, lose) as seen:
        found = {
            Path(one.task.film).stem: one
            for one in ray_engine.run_ray(
                tasks,
                places(tmp_path),
                NEEDS,
                address=made.address,
                note_slots=lambda *numbers: slots.add(numbers),
            )
        }
    assert {name: one.status for name, one in found.items()} == {
        **dict.fromkeys(("one", "two", "three"), "done"),
        "nothing": "refused",
    }
    again = found[Path(seen[-1].film).stem]  # the one that lost its worker
    assert [one.error for one in again.attempts] == ["lost its worker", ""]
    assert again.attempts[0].node == seen[-1].node != again.attempts[1].node
    assert (2, 0) in slots
    alone = engine.FilmRunner(tmp_path, str(tmp_path / "alone"), tmp_path / "log", 1)
    assert {one.status for one in engine.run_local(tasks[:3], alone, 1)} == {"done"}
    ours, theirs = tables(tmp_path / "data"), tables(tmp_path / "alone")
    assert ours.keys() == theirs.keys()
    assert len(ours) >= 3 * 5
    assert all(ours[name].equals(theirs[name]) for name in ours)


def test_a_helper_on_another_node_changes_nothing(cluster, tmp_path, film):
    made, nodes = cluster
    nodes.append(add_node(made))  # one was lost
    long = film("long", seconds=60)
    tasks, helpers = film_list.part_tasks(
        [FilmTask(film=str(long), until="filter")], {str(long): 60.0}, 20.0, most=2
    )
    data = ("shared", "alone")
    for name, more in zip(data, (helpers, []), strict=True):
        [done] = ray_engine.run_ray(
            tasks, places(tmp_path, name), NEEDS, address=made.address, helpers=more
        )
        assert done.status == "done"
    assert (tmp_path / "log" / "long-assist-0.log").exists()
    ours, theirs = (tables(tmp_path / name) for name in data)
    assert ours.keys() == theirs.keys() and len(ours) >= 5
    assert all(ours[name].equals(theirs[name]) for name in ours)


def test_fine_tunes_go_where_a_gpu_is_through_a_lost_node_and_one_that_always_crashes(
    cluster, tmp_path, small_project
):
    """All stages of the small film: its first phase anywhere, the second where a GPU is declared.

    Two nodes declare one. That of the fine-tune is lost. Then fine-tunes are made to crash.
    """
    made, _ = cluster
    with_gpu = {node.node_id[:8]: node for node in (add_node(made, num_gpus=1) for _ in range(2))}
    own = places(tmp_path, root=small_project.folder)
    references = str(demo.reference_dir())
    task = FilmTask(film=str(small_project.film), references=references, settings=QUICK)

    def run(task: FilmTask, act: Callable[[RunningFilm], bool]) -> FilmOutcome:
        needs = FilmNeeds(cpus=1, gpus=1, memory_bytes={})
        with watching(tmp_path, act):
            [found] = ray_engine.run_ray(
                [task],
                own,
                needs,
                address=made.address,
                divide=lambda one: film_list.to_phases(one, tuple(pipeline.STAGE)),
            )
        return found

    def lose(film: RunningFilm) -> bool:
        if film.phase != film_list.FINETUNE or film.process is None:
            return False
        made.remove_node(with_gpu[film.node[-8:]], allow_graceful=False)
        return True

    done = run(task, lose)
    first, lost, last = done.attempts
    assert [(one.phase, one.error) for one in done.attempts] == [
        ("prepare", ""),
        ("finetune", "lost its worker"),
        ("finetune", ""),
    ]
    assert {lost.node[-8:], last.node[-8:]} == set(with_gpu)
    assert done.status == "done" and "finetune" not in first.report["stages"]
    ours, theirs = tables(tmp_path / "data"), tables(small_project.folder / "data")
    assert ours.keys() == theirs.keys() and len(ours) > 30
    other = {name for name in ours if not ours[name].equals(theirs[name])}
    # With another number of threads PyTorch adds in another order.
    assert {Path(name).stem for name in other} <= TRAINED

    def crash(film: RunningFilm) -> bool:
        if film.phase == film_list.FINETUNE and film.process is not None:
            with suppress(ProcessLookupError):  # it has just ended: the next one is killed
                os.kill(film.process, signal.SIGSEGV)
        return False

    longer = FilmTask(film=task.film, settings=(*QUICK, "models.training_steps=6"))
    bad = run(longer, crash)
    assert bad.status == "failed" and bad.film_id == small_project.done["film_id"]
    assert [one.phase for one in bad.attempts] == ["prepare", *["finetune"] * 3]
    assert {one.error for one in bad.attempts[1:]} == {"crashed (SIGSEGV)"}


def test_a_cluster_that_does_not_answer(tmp_path):
    with pytest.raises(UserError, match="expected a Ray cluster, could not connect"):
        list(
            ray_engine.run_ray(
                [FilmTask(film="a.mp4")], places(tmp_path), NEEDS, address="127.0.0.1:9"
            )
        )
