"""What views keep between two looks."""

import polars as pl

from bunny.view import thumbnail

SCHEMA = {"key": pl.String, "vector": pl.List(pl.Float32)}


def test_gives_back_what_was_kept_in_order_of_keys(tmp_path):
    path = tmp_path / "kept.parquet"
    thumbnail.write_cache(path, SCHEMA, {"b": [1.0, 2.0], "a": []})
    assert list(thumbnail.read_cache(path, SCHEMA).items()) == [("a", []), ("b", [1.0, 2.0])]
    thumbnail.write_cache(path, SCHEMA, {})
    assert thumbnail.read_cache(path, SCHEMA) == {}


def test_a_missing_damaged_or_other_file_holds_nothing(tmp_path):
    path = tmp_path / "kept.parquet"
    assert thumbnail.read_cache(path, SCHEMA) == {}
    path.write_bytes(b"damaged")
    assert thumbnail.read_cache(path, SCHEMA) == {}
    pl.DataFrame({"key": ["a"], "other": [1]}).write_parquet(path)
    assert thumbnail.read_cache(path, SCHEMA) == {}
