"""Nearest vectors: compared one by one, and by a graph that gives the same on small sets."""

import numpy as np
import pytest

from bunny.core.config import SearchConfig
from bunny.core.error import UserError
from bunny.library.search import index

SETTING = SearchConfig(exact_below=10, index_expansion_search=64)


@pytest.fixture(scope="module")
def vectors():
    rng = np.random.default_rng(0)
    found = rng.standard_normal((300, 16)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_nearest_by_hand_with_ties_in_order_of_row():
    vector = np.array([[0, 1], [1, 0], [0.6, 0.8], [1, 0]], np.float32)
    rows, cosine = index.nearest_exact(vector, np.array([1, 0], np.float32), 3)
    assert rows.tolist() == [1, 3, 2]
    assert cosine == pytest.approx([1, 1, 0.6])
    rows, _ = index.nearest_exact(vector, np.array([1, 0], np.float32), 9, np.array([0, 2]))
    assert rows.tolist() == [2, 0]
    rows, _ = index.nearest_exact(vector[:0], np.array([1, 0], np.float32), 3)
    assert rows.size == 0


def test_blocks_change_nothing(vectors, monkeypatch):
    whole = index.nearest_exact(vectors, vectors[5], 7)
    monkeypatch.setattr(index, "BLOCK", 13)
    parts = index.nearest_exact(vectors, vectors[5], 7)
    assert whole[0].tolist() == parts[0].tolist()
    assert whole[1] == pytest.approx(parts[1], abs=1e-6)


def test_graph_gives_what_comparing_all_gives(vectors, tmp_path):
    path = tmp_path / "a.usearch"
    index.build(path, vectors, SETTING, threads=1)  # by several, the graph depends on who was first
    graph = index.view(path, SETTING)
    assert len(graph) == 300
    hits = 0
    for query in vectors[::10]:
        rows, cosine = index.nearest(graph, query, 10)
        exact, _ = index.nearest_exact(vectors, query, 10)
        hits += len(set(rows.tolist()) & set(exact.tolist()))
        assert cosine == pytest.approx(vectors[rows] @ query, abs=2e-3)
    assert hits >= 0.98 * 300


def test_a_graph_grows_and_keeps_what_it_has(vectors, tmp_path):
    keys = np.arange(300, dtype=np.uint64) + 10**15
    old, new = tmp_path / "old.usearch", tmp_path / "new.usearch"
    index.build(old, vectors[:200], SETTING, keys=keys[:200], threads=1)
    before = old.read_bytes()
    index.build(new, vectors[200:], SETTING, keys=keys[200:], grown_from=old, threads=1)
    graph = index.view(new, SETTING)
    assert len(graph) == 300 and old.read_bytes() == before
    for row in (0, 150, 250):
        found, cosine = index.nearest(graph, vectors[row], 1)
        assert found.tolist() == [10**15 + row] and cosine == pytest.approx([1], abs=2e-3)


def test_absent_library_is_said_in_one_sentence(monkeypatch, tmp_path, vectors):
    monkeypatch.setattr(index, "PACKAGE", "no_such_package")
    with pytest.raises(
        UserError, match=("package usearch, which is not installed; run `uv sync --extra search")
    ):
        index.build(tmp_path / "a", vectors, SETTING)


def test_an_index_that_is_gone_is_said_in_one_sentence(tmp_path):
    with pytest.raises(UserError, match=r"gone\.usearch: vector index not found"):
        index.view(tmp_path / "gone.usearch", SETTING)
