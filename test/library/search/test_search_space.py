"""Vectors over films: frames get their best vector's cosine, by either way of looking."""

import numpy as np
import pytest

from bunny.core.config import SearchConfig
from bunny.library.search import index, vector_space
from bunny.table import store

EXACT = SearchConfig(exact_below=10**6)
GRAPH = SearchConfig(exact_below=0)


def unit(*rows):
    found = np.array(rows, np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


@pytest.fixture
def faces():
    """Frame 0 has two vectors, frames 1 and 2 share one, frame 3 has none."""
    vectors = unit([1, 0], [0, 1], [1, 1])
    pairs = np.array([0, 0, 1, 2]), np.array([0, 1, 2, 2])
    return vector_space.VectorSpace(
        "face",
        np.arange(3, dtype=np.uint64),
        pairs,
        lambda rows: vectors if rows is None else vectors[rows],
    )


@pytest.mark.parametrize("setting", [EXACT, GRAPH], ids=["exact", "graph"])
def test_cosines_by_hand(faces, setting, tmp_path):
    query, every = np.array([0, 1], np.float32), np.ones(4, dtype=bool)
    found = faces.cosines(query, every, 5, setting, tmp_path)
    assert found[:3] == pytest.approx([1, 0.5**0.5, 0.5**0.5], abs=2e-3)
    assert np.isnan(found[3])
    allowed = np.array([False, True, False, True])
    found = faces.cosines(query, allowed, 5, setting, tmp_path)
    assert np.isnan(found[[0, 2, 3]]).all() and found[1] == pytest.approx(0.5**0.5, abs=2e-3)
    assert bool(list(tmp_path.glob("*.usearch"))) == (setting is GRAPH)


def test_without_the_library_every_vector_is_compared(faces, tmp_path, monkeypatch):
    monkeypatch.setattr(index, "PACKAGE", "no_such_package")
    found = faces.cosines(np.array([0, 1], np.float32), np.ones(4, bool), 5, GRAPH, tmp_path)
    assert found[0] == pytest.approx(1)


def test_tables_of_films_are_joined_and_failed_rows_left_out(tmp_path):
    rows = {
        "a": [
            {"frame_id": "a1", "model": "m", "error": "unreadable"},
            {"frame_id": "a2", "model": "m", "vector": [1.0, 0.0]},
        ],
        "b": [
            {"frame_id": "b1", "model": "m", "vector": [0.0, 1.0]},
            {"frame_id": "gone", "model": "m", "vector": [1.0, 0.0]},
        ],
    }
    tables = [(tmp_path / f / "table", "embedding") for f in ("a", "b", "none")]
    for (folder, name), own in zip(tables, rows.values(), strict=False):
        store.write(folder, name, store.from_rows(name, own))
    made = vector_space.from_tables("picture", tables, {"a1": 0, "a2": 1, "b1": 2})
    query = np.array([0.6, 0.8], np.float32)
    found = made.cosines(query, np.ones(3, bool), 5, EXACT, tmp_path)
    assert np.isnan(found[0]) and found[1:] == pytest.approx([0.6, 0.8])
    assert made.of_rows(np.array([1])).tolist() == [[0, 1]]  # of b alone
    assert made.vectors.tolist() == [[1, 0], [0, 1], [1, 0]]
    same, b = (
        vector_space.from_tables("picture", some, {"b1": 0}) for some in (tables, tables[1:2])
    )
    assert same.keys.tolist() == made.keys.tolist() and b.keys.tolist() == made.keys[1:].tolist()
    store.write(tables[0][0], "embedding", store.from_rows("embedding", rows["b"]))
    other = vector_space.from_tables("picture", tables, {"b1": 0})
    assert other.keys[2:].tolist() == made.keys[1:].tolist()
    assert not set(other.keys[:2]) & set(made.keys)


def test_contents_are_asked_for_once_each():
    asked = []

    def make(contents, rows):
        asked.append((contents, rows))
        return unit([1, 0], [0, 1])

    a, b = vector_space.content_id("a"), vector_space.content_id("b")
    made = vector_space.from_contents("words", [a, b, None, a], make)
    query = np.array([1, 0], np.float32)
    found = made.cosines(query, np.ones(4, bool), 5, EXACT, None)
    assert found[[0, 1, 3]] == pytest.approx([1, 0, 1]) and np.isnan(found[2])
    made.cosines(query, np.ones(4, bool), 5, EXACT, None)
    assert asked == [([a, b], [0, 1])]
    again = vector_space.from_contents("words", [b, a], make)
    assert again.keys.tolist() == made.keys[::-1].tolist()
    again.of_rows(np.array([1]))
    assert asked[1:] == [([a], [1])]
