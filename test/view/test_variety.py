import polars as pl
import pytest
from polars.testing import assert_frame_equal

from bunny.table import store
from bunny.view import variety


def embedding(vectors: dict) -> pl.DataFrame:
    rows = [{"frame_id": f, "model": "m", "vector": v} for f, v in vectors.items()]
    return store.from_rows("embedding", rows)


def dataset(rows: list[tuple[str, str, str]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["image_id", "frame_id", "character"], orient="row")


def test_distance_worked_out_by_hand():
    vectors = embedding({"a": [1.0, 0.0], "b": [0.6, 0.8], "c": [0.0, 2.0]})
    near = variety.nearest(dataset([(f"i{f}", f, "x") for f in "abc"]), vectors)
    assert near["nearest_id"].to_list() == ["ib", "ic", "ib"]
    assert near["distance"].to_list() == pytest.approx([0.4, 0.2, 0.2], abs=1e-6)


def test_characters_are_not_compared_with_each_other():
    vectors = embedding({"a": [1.0, 0.0], "b": [1.0, 0.0], "c": [0.0, 1.0]})
    near = variety.nearest(dataset([("1", "a", "x"), ("2", "b", "y"), ("3", "c", "x")]), vectors)
    assert near["image_id"].to_list() == ["1", "3"]
    assert near["distance"].to_list() == pytest.approx([1.0, 1.0])


def test_two_pictures_of_one_frame_are_the_same():
    near = variety.nearest(
        dataset([("1", "a", "x"), ("2", "a", "x")]), embedding({"a": [0.3, 0.4]})
    )
    assert near["distance"].to_list() == pytest.approx([0.0, 0.0], abs=1e-6)


@pytest.mark.parametrize("rows", [[], [("1", "a", "x")], [("1", "z", "x"), ("2", "z", "x")]])
def test_nothing_to_compare(rows):
    table = dataset(rows) if rows else store.from_rows("dataset", [])
    assert variety.nearest(table, embedding({"a": [1.0, 0.0]})).is_empty()


def test_blocks_give_what_one_block_gives(monkeypatch, table):
    whole = variety.nearest(table("dataset"), table("embedding"))
    monkeypatch.setattr(variety, "BLOCK", 5)
    found = variety.nearest(table("dataset"), table("embedding"))
    assert_frame_equal(found, whole, abs_tol=1e-6)  # sums of blocks differ in their last bits
