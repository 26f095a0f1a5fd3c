"""Vectors are computed once for each content."""

import numpy as np
import pytest

from bunny.library.search import vector_space
from bunny.table import store


@pytest.fixture
def asked():
    return []


def maker(texts, asked):
    def make(places):
        asked.append([texts[i] for i in places])
        return np.array([[len(texts[i]), 1.0] for i in places], np.float32)

    return make


def get(folder, texts, asked, model="m"):
    ids = [vector_space.content_id(t) for t in texts]
    return vector_space.cached_vectors(folder, model, ids, maker(texts, asked))


def test_only_what_is_new_is_computed(tmp_path, asked):
    assert get(tmp_path, ["a", "bb"], asked).tolist() == [[1, 1], [2, 1]]
    assert get(tmp_path, ["bb", "ccc", "a"], asked).tolist() == [[2, 1], [3, 1], [1, 1]]
    assert get(tmp_path, ["ccc"], asked).tolist() == [[3, 1]]
    assert asked == [["a", "bb"], ["ccc"]]


def test_table_is_of_its_schema_and_of_one_model(tmp_path, asked):
    get(tmp_path, ["a", "bb"], asked)
    get(tmp_path, ["a"], asked, model="other")
    table = store.check("search_vector", store.read(tmp_path, "search_vector"))
    assert table["model"].to_list() == ["other"]
    assert asked == [["a", "bb"], ["a"]]


def test_a_kill_loses_at_most_a_shard(tmp_path, asked, monkeypatch):
    monkeypatch.setattr(vector_space, "SHARD", 2)
    texts = ["a", "bb", "ccc"]
    whole = maker(texts, asked)

    def dies(places):
        if 2 in places:
            raise KeyboardInterrupt
        return whole(places)

    with pytest.raises(KeyboardInterrupt):
        vector_space.cached_vectors(
            tmp_path, "m", [vector_space.content_id(t) for t in texts], dies
        )
    get(tmp_path, texts, asked)
    assert asked == [["a", "bb"], ["ccc"]]


def test_nothing_to_keep(tmp_path, asked):
    assert get(tmp_path / "none", [], asked).shape == (0, 0)
    assert not (tmp_path / "none").exists() and asked == []
