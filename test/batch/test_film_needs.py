"""What films ask a cluster for: by hand, on nodes that are made up."""

import json

import pytest

from bunny.batch import film_needs
from bunny.batch.film_needs import GIB, FilmNeeds
from bunny.core.error import UserError

SMALL = {"CPU": 4.0, "memory": 4.0 * GIB}
LARGE = {"CPU": 16.0, "memory": 64.0 * GIB, "GPU": 2.0}


def needs(gib=2.0, is_estimate=False, **more):
    memory = dict.fromkeys(("", "prepare", "finetune"), int(gib * GIB))
    return FilmNeeds(memory_bytes=memory, is_estimate=is_estimate, **{"cpus": 2.0, **more})


def test_only_a_fine_tune_asks_for_a_gpu():
    own = needs(gpus=0.5)
    assert own.to_options("prepare") == {"num_cpus": 2.0, "memory": 2 * GIB}
    assert own.to_options("finetune") == {"num_cpus": 2.0, "num_gpus": 0.5, "memory": 2 * GIB}
    assert FilmNeeds(cpus=1, memory_bytes={}).to_options("") == {"num_cpus": 1}


def test_films_at_once_are_what_each_node_has_least_of():
    own = needs(gib=3.0, gpus=1.0)
    assert own.num_slots([SMALL], "prepare") == 1  # two by cores, one by memory
    assert own.num_slots([SMALL, LARGE], "prepare") == 1 + 8
    assert own.num_slots([SMALL, LARGE], "finetune") == 2


@pytest.mark.parametrize(
    ("own", "says"),
    [
        (needs(cpus=17.0), "--cpus: expected at most 16, .* got 17"),
        (needs(gpus=3.0), "--gpus: expected at most 2, .* got 3"),
        (needs(gib=65.0), r"--memory: expected at most 64.0 GiB, .* got 65.0 GiB"),
    ],
)
def test_what_no_node_has_is_refused(own, says):
    with pytest.raises(UserError, match=says):
        own.fit([SMALL, LARGE], ["prepare", "finetune"])


def test_one_node_must_have_all_of_it():
    with pytest.raises(UserError, match="a node with enough cores, memory and GPUs"):
        needs(cpus=8.0, gpus=1.0).fit([{**SMALL, "GPU": 1.0}, {**LARGE, "GPU": 0.0}], ["finetune"])
    assert needs(gpus=9.0).fit([SMALL], ["prepare"]).gpus == 9.0  # no fine-tune, no GPU


def test_an_estimate_asks_a_smaller_node_for_all_it_has():
    fitted = needs(gib=100.0, is_estimate=True, gpus=1.0).fit(
        [SMALL, {**LARGE, "GPU": 0.0, "memory": 90.0 * GIB}, LARGE], ["prepare", "finetune"]
    )
    assert fitted.memory_bytes["prepare"] == 90 * GIB
    assert fitted.memory_bytes["finetune"] == 64 * GIB  # the largest node with a GPU


def test_memory_follows_from_earlier_films(tmp_path):
    assert set(film_needs.estimate_memory(tmp_path).values()) == {int(1.3 * GIB)}
    peaks = {"a": {"detect": 2000.0, "finetune": 4000.0}, "b": {"detect": 1000.0}}
    for name, stages in peaks.items():
        for stage, peak in stages.items():
            place = tmp_path / name / "stage" / stage / "stage.json"
            place.parent.mkdir(parents=True)
            place.write_text(json.dumps({"peak_memory_mb": peak}), encoding="utf-8")
        (tmp_path / name / "source.json").write_text("{}", encoding="utf-8")
    assert film_needs.estimate_memory(tmp_path) == {
        "": 5000 * 2**20,  # a quarter more than 4000 MiB
        "prepare": 2500 * 2**20,
        "finetune": 5000 * 2**20,
    }
