"""Films as tasks of a real Ray cluster of several node processes, one of which is lost."""

import gc
import os
import threading
import time
import warnings
from pathlib import Path

import polars as pl
import pytest

from bunny.batch import engine, film_list, ray_engine
from bunny.batch.film_list import FilmTask
from bunny.core.error import UserError

os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"  # before the import, as `run_ray` does
ray = pytest.importorskip("ray")


@pytest.fixture(scope="module")
def cluster():
    """A head without cores and two nodes of one core each; gives the cluster and the nodes."""
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "include_dashboard": False}
    made, nodes = None, []
    with warnings.catch_warnings():
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
    yield made, nodes
    ray.shutdown()
    made.shutdown()


def tables(data: Path) -> dict[str, pl.DataFrame]:
    return {
        path.relative_to(data).as_posix(): pl.read_parquet(path)
        for path in sorted(data.glob("output/*/table/*.parquet"))
    }


def test_a_film_that_no_node_can_take_is_refused(cluster, tmp_path):
    made, _ = cluster
    with pytest.raises(UserError, match=r"--cpus: expected at most 1, .* got 4"):
        list(
            ray_engine.run_ray(
                [FilmTask(film="a.mp4")],
                address=made.address,
                root=tmp_path,
                data_dir=None,
                log_dir=tmp_path,
                cpus=4,
            )
        )


def test_a_lost_node_costs_nothing_and_results_are_those_of_one_machine(cluster, tmp_path, film):
    made, nodes = cluster
    films = [film(name, seconds=6) for name in ("one", "two", "three")]
    tasks = [FilmTask(film=str(path), until="filter") for path in films]
    tasks.append(FilmTask(film=str(tmp_path / "nothing.mp4")))

    def lose_one():
        while not list((tmp_path / "data").glob("output/*/source.json")):
            time.sleep(0.05)
        made.remove_node(nodes[0], allow_graceful=False)

    loser = threading.Thread(target=lose_one)
    loser.start()
    found = {
        Path(one.task.film).stem: one.status
        for one in ray_engine.run_ray(
            tasks,
            address=made.address,
            root=tmp_path,
            data_dir=str(tmp_path / "data"),
            log_dir=tmp_path / "log",
            cpus=1,
        )
    }
    loser.join()
    assert found == {"one": "done", "two": "done", "three": "done", "nothing": "refused"}
    alone = engine.FilmRunner(tmp_path, str(tmp_path / "alone"), tmp_path / "log", 1)
    assert {one.status for one in engine.run_local(tasks[:3], alone, 1)} == {"done"}
    ours, theirs = tables(tmp_path / "data"), tables(tmp_path / "alone")
    assert ours.keys() == theirs.keys()
    assert len(ours) >= 3 * 5
    assert all(ours[name].equals(theirs[name]) for name in ours)


def test_a_helper_on_another_node_changes_nothing(cluster, tmp_path, film):
    made, _ = cluster
    made.add_node(num_cpus=1, object_store_memory=80 * 2**20)  # one was lost
    long = film("long", seconds=60)
    tasks, helpers = film_list.part_tasks(
        [FilmTask(film=str(long), until="filter")], {str(long): 60.0}, 20.0, most=2
    )
    options = {"address": made.address, "root": tmp_path, "log_dir": tmp_path / "log", "cpus": 1}
    data = [tmp_path / name for name in ("shared", "alone")]
    for place, more in zip(data, (helpers, []), strict=True):
        [done] = ray_engine.run_ray(tasks, data_dir=str(place), helpers=more, **options)
        assert done.status == "done"
    assert (tmp_path / "log" / "long-assist-0.log").exists()
    ours, theirs = map(tables, data)
    assert ours.keys() == theirs.keys() and len(ours) >= 5
    assert all(ours[name].equals(theirs[name]) for name in ours)


def test_a_cluster_that_does_not_answer(tmp_path):
    with pytest.raises(UserError, match="expected a Ray cluster, could not connect"):
        list(
            ray_engine.run_ray(
                [FilmTask(film="a.mp4")],
                address="127.0.0.1:9",
                root=tmp_path,
                data_dir=None,
                log_dir=tmp_path,
                cpus=1,
            )
        )
