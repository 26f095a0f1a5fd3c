"""Which shots are meant, from tables made by hand."""

import pytest
import table_row

from bunny.core.error import UserError
from bunny.library.timeline import select_shots
from bunny.table import store

from .conftest import cluster_row, label_row, set_row, shot_table


def asset_row(asset_id, shot, cluster, name=None, level="scene"):
    ids = {"asset_id": asset_id, "level": level, "cluster_id": cluster, "name": name}
    return table_row.fill("asset", shot_index=shot, **ids)


@pytest.fixture
def tables():
    machine = [cluster_row(i, c) for i, c in ((0, "a"), (12, "b"), (20, "b"), (30, "a"))]
    return {
        "shot": shot_table(),
        "asset": store.from_rows("asset", []),
        "cluster": store.from_rows("cluster", machine),
        "label": store.from_rows(
            "label", [label_row(12, "Owl"), label_row(30, "Fox"), label_row(40, None)]
        ),
        "dataset": store.from_rows("dataset", [set_row("i0", 55, "train")]),
    }


@pytest.mark.parametrize(
    ("what", "shots"),
    [
        ("shots", [0, 1, 2]),
        ("shots:2, 0,2", [0, 2]),
        ("cluster:b", [0]),  # two of three frames of shot 0 are in b
        ("cluster:A", [1]),
        ("cluster:b/owl", [0]),
        ("character:fox", [1]),
        ("dataset", [2]),
        ('dataset:"owl"', [2]),
    ],
)
def test_shots(tables, what, shots):
    chosen = select_shots.choose_shots(*select_shots.parse(what), tables)
    assert chosen["shot_index"].to_list() == shots
    assert dict(chosen.schema) == select_shots.CHOSEN


def test_corrections_go_before_what_the_machine_said(tables):
    rows = [
        asset_row("s0", 0, "a", "kitchen"),
        asset_row("s1", 1, "b"),
        asset_row("s2", 2, "a", "kitchen"),
        asset_row("t0", 1, "owls", "Owl", level="character"),
    ]
    tables = {**tables, "asset": store.from_rows("asset", rows)}
    for value, shots in (("Kitchen", [0, 2]), ("a", [0, 2]), ("b", [1]), ("owl", [1])):
        found = select_shots.choose_shots("cluster", value, tables)
        assert found["shot_index"].to_list() == shots
    both = select_shots.choose_shots("cluster", "kitchen/owl", tables)
    assert both["shot_index"].to_list() == [0]


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("shots:7", "expected shot numbers from 0 to 2, got 7"),
        ("shots:a", "expected shot numbers as in shots:3,7,12, got 'a'"),
        ("cluster:c", "expected a cluster named 'c', found none; there are a, b"),
        ("cluster:b/fox", "expected a cluster named 'b/fox'"),
        ("character:bear", "there are Fox, Owl"),
        ("dataset:fox", "there is Owl"),
    ],
)
def test_what_is_not_there(tables, what, sentence):
    with pytest.raises(UserError, match=sentence):
        select_shots.choose_shots(*select_shots.parse(what), tables)


@pytest.mark.parametrize("what", ["", "scene:a", "cluster", "cluster:", 'search:""', "character: "])
def test_what_is_not_understood(what):
    with pytest.raises(UserError, match="--what: expected shots, shots:3,7"):
        select_shots.parse(what)


def test_quotes_and_colons_stay_in_the_words():
    assert select_shots.parse('search:"owl: the film"') == ("search", "owl: the film")
    assert select_shots.parse("Search:it's late") == ("search", "it's late")
