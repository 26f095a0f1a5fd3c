"""Versions are kept, one is in use, and what was damaged is refused."""

import json

import numpy as np
import polars as pl
import pytest

from bunny.core.error import UserError
from bunny.review.learn import linear_map, method, threshold_rule, version

KEY = ("character", "made")
TURN = linear_map.LinearMap(
    mean=np.array([0.5, 0.0], np.float32),
    down=np.array([[0.0, 1.0], [1.0, 0.0]], np.float32),
    up=np.eye(2, dtype=np.float32),
    is_residual=False,
)


def learned(made=TURN, **rule):
    return {
        KEY: method.FittedMethod(
            method="correlation", space=made, rule=threshold_rule.ThresholdRule(**rule)
        )
    }


def test_a_version_comes_back_as_it_was(tmp_path):
    made = version.save(tmp_path, learned(join=0.5, move=0.1), {"corrections": 12})
    again = version.load(version.read(tmp_path, made.number))[KEY]
    assert (made.number, made.about["corrections"]) == (1, 12)
    assert again.rule == threshold_rule.ThresholdRule(join=0.5, move=0.1)
    assert np.array_equal(again.space.apply(np.eye(2)), TURN.apply(np.eye(2)))
    files = sorted(path.name for path in (tmp_path / "review" / "v001").iterdir())
    assert files == ["about.json", "adapter.safetensors"]


def test_use_and_going_back(tmp_path):
    assert (version.current(tmp_path), version.current_hash(tmp_path)) == (0, "")
    for move in (0.1, 0.2):
        version.save(tmp_path, learned(move=move), {})
    hashes = []
    for number in (1, 2, 1, 0):
        version.use(tmp_path, number)
        assert version.current(tmp_path) == number
        hashes.append(version.current_hash(tmp_path))
    assert hashes[0] == hashes[2] != hashes[1]
    assert hashes[3] == ""
    assert version.numbers(tmp_path) == [1, 2]


def test_an_unknown_version_is_refused(tmp_path):
    version.save(tmp_path, learned(), {})
    with pytest.raises(UserError, match="version 7: expected one of 1"):
        version.use(tmp_path, 7)
    assert version.current(tmp_path) == 0


@pytest.mark.parametrize("name", ["adapter.safetensors", "about.json"])
def test_what_was_changed_is_refused(tmp_path, name):
    made = version.save(tmp_path, learned(move=0.1), {})
    path = made.folder / name
    if name == "about.json":
        about = json.loads(path.read_text())
        about["parts"][0]["move"] = -1.0
        path.write_text(json.dumps(about))
    else:
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
    with pytest.raises(UserError, match="rollback"):
        version.load(version.read(tmp_path, 1))


def test_a_broken_pointer_is_refused(tmp_path):
    version.save(tmp_path, learned(), {})
    (tmp_path / "review" / "current.json").write_text("{")
    with pytest.raises(UserError, match="delete the file"):
        version.current_hash(tmp_path)


ROWS = [
    ("a", "person-01", "anna", "approved"),
    ("b", "person-01", "anna", ""),
    ("c", "person-02", "bob", "approved"),
    ("d", "person-02", "bob", ""),  # looks like anna
    ("e", None, None, ""),  # looks like bob, not quite
    ("f", "person-02", "bob", "approved"),
]
VECTORS = {
    "a": [1, 0, 0],
    "b": [0.96, 0.28, 0],
    "c": [0, 1, 0],
    "d": [0.8, 0.6, 0],
    "e": [0, 0.6, 0.8],
    "f": [0.0, 1.0, 0.0],
}


def rescore(tmp_path, make_asset, make_vectors, rejected=None, **rule):
    version.save(tmp_path, learned(linear_map.identity(3), **rule), {})
    version.use(tmp_path, version.numbers(tmp_path)[-1])
    found = version.rescore(tmp_path, make_asset(ROWS, rejected), [make_vectors(VECTORS)])
    return dict(found.select("asset_id", "cluster_id").iter_rows()), found


def test_nothing_in_use_nothing_said(tmp_path, make_asset, make_vectors):
    found = version.rescore(tmp_path, make_asset(ROWS), make_vectors(VECTORS))
    assert found.is_empty()
    assert found.schema["cluster_id"] == pl.String


def test_only_what_nobody_placed_moves(tmp_path, make_asset, make_vectors):
    place_of, found = rescore(tmp_path, make_asset, make_vectors, join=0.5, move=0.1)
    assert place_of == {"b": "anna", "d": "anna", "e": "bob"}
    d = found.row(by_predicate=pl.col("asset_id") == "d", named=True)
    anna = np.array([1.96, 0.28]) / np.hypot(1.96, 0.28)  # centroid of a and b
    assert d["similarity"] == pytest.approx((anna @ [0.8, 0.6] + 0.8) / 2, abs=1e-5)
    assert d["margin"] == pytest.approx(d["similarity"] - 0.6, abs=1e-5)


def test_thresholds_hold(tmp_path, make_asset, make_vectors):
    place_of, _ = rescore(tmp_path, make_asset, make_vectors, join=0.7, move=0.9)
    assert place_of == {"b": "anna", "d": "bob", "e": None}


def test_never_where_a_person_said_no(tmp_path, make_asset, make_vectors):
    rejected = {"d": ["anna"], "e": ["anna", "bob"]}
    place_of, _ = rescore(tmp_path, make_asset, make_vectors, rejected, join=-1.0, move=-1.0)
    assert place_of["d"] == "bob"
    assert place_of["e"] is None


def test_vectors_of_another_model_are_left_alone(tmp_path, make_asset, make_vectors):
    version.save(tmp_path, learned(linear_map.identity(3), join=0, move=0), {})
    version.use(tmp_path, 1)
    other = make_vectors(VECTORS, model="another")
    assert version.rescore(tmp_path, make_asset(ROWS), other).is_empty()
    longer = make_vectors({k: [*v, 0.1] for k, v in VECTORS.items()})
    assert version.rescore(tmp_path, make_asset(ROWS), longer).is_empty()
