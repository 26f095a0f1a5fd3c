"""Indexes that grow: what is added or changed costs its own vectors, and nothing else is missed."""

import numpy as np
import pytest

from bunny.core.config import SearchConfig
from bunny.core.error import UserError
from bunny.library.search import graph_index, index
from bunny.library.search.graph_index import GraphIndex

SETTING = SearchConfig(exact_below=0, index_expansion_search=64)
FILMS = [("a", 120), ("b", 100), ("c", 80)]


@pytest.fixture(scope="module")
def vectors():
    """(300, 16), those of films a, b, c one after the other."""
    found = np.random.default_rng(0).standard_normal((300, 16)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


class Space:
    """Films with their vectors, which counts what is read of them."""

    def __init__(self, vectors, films):
        start = dict(zip("abc", (0, 120, 220), strict=True))
        rows = [start[name[0]] + i for name, number in films for i in range(number)]
        self.vectors, self.keys = vectors[rows], graph_index.make_keys(films)
        self.read = 0

    def load(self, rows):
        own = self.vectors if rows is None else self.vectors[rows]
        self.read += len(own)
        return own

    def refresh(self, folder, **given):
        return graph_index.refresh(folder, "picture", self.keys, self.load, SETTING, **given)

    def open(self, folder, **given):
        return GraphIndex(self.refresh(folder, **given), self.keys, self.load, SETTING)

    def recall(self, opened):
        """Share of the ten nearest of every tenth vector that are found."""
        every, hits = np.ones(len(self.keys), bool), 0
        queries = self.vectors[::10]
        for query in queries:
            rows, cosine = opened.nearest_among(query, 10, every)
            exact, _ = index.nearest_exact(self.vectors, query, 10)
            hits += len(set(rows.tolist()) & set(exact.tolist()))
            assert cosine == pytest.approx(self.vectors[rows] @ query, abs=2e-3)
            assert (np.diff(cosine) <= 0).all()
        return hits / (10 * len(queries))


def graphs(folder):
    return sorted(p.name for p in folder.glob("*.usearch"))


def test_keys_are_runs_by_what_the_part_is_called():
    keys = graph_index.make_keys([("a", 2), ("b", 1)])
    assert keys.dtype == np.uint64 and keys[1] - keys[0] == 1
    assert keys.tolist() == [*graph_index.make_keys([("a", 2)]), *graph_index.make_keys([("b", 1)])]
    assert graph_index.make_keys([]).size == 0
    # SHA-256 of "a" begins with ca978112ca1bbdca
    assert int(keys[0]) == 0xCA978112CA1BBDCA


def test_a_film_that_is_added_is_found_and_makes_no_graph_anew(vectors, tmp_path):
    old = Space(vectors, FILMS[:2])
    assert old.recall(old.open(tmp_path)) >= 0.98 and old.read == 220
    before = graphs(tmp_path)
    # film c comes first, so that every row is another one
    new = Space(vectors, [FILMS[2], *FILMS[:2]])
    opened = new.open(tmp_path)
    assert graphs(tmp_path) == before
    assert new.read == 80 and opened.rest.tolist() == list(range(80))
    assert new.recall(opened) >= 0.98
    found, _ = opened.nearest_among(new.vectors[5], 1, np.ones(300, bool))
    assert found.tolist() == [5]


def test_a_graph_grows_by_the_new_vectors_alone_once_they_are_many(vectors, tmp_path, monkeypatch):
    Space(vectors, FILMS[:2]).refresh(tmp_path)
    monkeypatch.setattr(graph_index, "MAX_REST", 80 * 16)
    new = Space(vectors, FILMS)
    new.refresh(tmp_path)
    assert new.read == 0  # exactly as many as are borne
    monkeypatch.setattr(graph_index, "MAX_REST", 80 * 16 - 1)
    opened = new.open(tmp_path)
    assert new.read == 80 and opened.rest.size == 0
    assert [name[-14:] for name in graphs(tmp_path)] == ["000002.usearch"]
    assert [p.suffix for p in sorted(tmp_path.glob("picture-*"))] == [".npy", ".usearch"]
    assert new.recall(opened) >= 0.98


def test_what_a_film_had_before_is_not_given(vectors, tmp_path):
    Space(vectors, FILMS).refresh(tmp_path)
    # c was run again: same vectors, other keys; a quarter of the graph would be made anew
    new = Space(vectors, [*FILMS[:2], ("c again", 60)])
    opened = new.open(tmp_path, is_whole=False)
    assert new.read == 60
    query = vectors[299]  # one that c does not have any more
    rows, cosine = opened.nearest_among(query, 300, np.ones(280, bool))
    assert sorted(rows.tolist()) == list(range(280)) and cosine[0] < 0.99


def test_a_graph_of_which_much_is_gone_is_made_anew(vectors, tmp_path):
    Space(vectors, FILMS).refresh(tmp_path)
    few = Space(vectors, [FILMS[0], FILMS[1]])  # 80 of 300 are gone: 27 %
    few.refresh(tmp_path, is_whole=False)
    assert few.read == 0  # other films may have them
    few.refresh(tmp_path)
    assert few.read == 220
    more = Space(vectors, [FILMS[0], FILMS[2], ("b again", 75)])
    more.refresh(tmp_path)
    assert len(index.view(more.refresh(tmp_path), SETTING)) == 275  # 100 of 220 were gone


def test_only_allowed_rows_are_given_however_far_they_lie(vectors, tmp_path):
    space = Space(vectors, FILMS)
    Space(vectors, FILMS[:2]).refresh(tmp_path)
    opened = space.open(tmp_path)
    allowed = np.zeros(300, dtype=bool)
    far = index.nearest_exact(vectors, vectors[0], 300)[0][-4:]
    allowed[far] = True
    rows, _ = opened.nearest_among(vectors[0], 3, allowed)
    assert rows.tolist() == far[:3].tolist()
    rows, cosine = opened.nearest_among(vectors[0], 3, np.zeros(300, bool))
    assert rows.size == 0 and cosine.size == 0


def test_spaces_settings_and_earlier_versions_beside_each_other(vectors, tmp_path):
    (tmp_path / "0123456789ab").mkdir()
    (tmp_path / "0123456789ab" / "picture-0123456789abcdef.usearch").write_bytes(b"old")
    (tmp_path / "picture-0123456789abcdef.usearch").write_bytes(b"old")
    space = Space(vectors, FILMS)
    own = space.refresh(tmp_path)
    face = graph_index.refresh(tmp_path, "picture-x", space.keys, space.load, SETTING)
    assert graphs(tmp_path) == sorted([own.name, face.name])
    assert not (tmp_path / "0123456789ab").exists()
    assert space.refresh(tmp_path) == own and space.read == 600
    given = tmp_path, "picture", space.keys, space.load
    # what a search spends is no part of a graph
    assert graph_index.refresh(*given, SearchConfig(index_expansion_search=999)) == own
    assert graph_index.refresh(*given, SearchConfig(index_connectivity=32)) != own
    assert not own.exists() and face.exists()


def test_a_failed_build_leaves_the_old_graph(vectors, tmp_path, monkeypatch):
    space = Space(vectors, FILMS[:2])
    path = space.refresh(tmp_path)
    monkeypatch.setattr(graph_index, "MAX_REST", 0)

    def broken(rows):
        raise OSError("disk full")

    new = Space(vectors, FILMS)
    with pytest.raises(OSError, match="disk full"):
        graph_index.refresh(tmp_path, "picture", new.keys, broken, SETTING)
    assert graphs(tmp_path) == [path.name] and len(index.view(path, SETTING)) == 220


def test_a_graph_without_its_keys_is_none(vectors, tmp_path):
    """As after a kill between the two files."""
    space = Space(vectors, FILMS)
    path = space.refresh(tmp_path)
    path.with_suffix(".npy").unlink()
    with pytest.raises(UserError, match="vector index was replaced; search again"):
        GraphIndex(path, space.keys, space.load, SETTING)
    assert len(index.view(space.refresh(tmp_path), SETTING)) == 300 and space.read == 600
