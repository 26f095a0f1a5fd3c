"""Cached values by key: read back in order, nothing from a missing or damaged file."""

import polars as pl

from bunny.table import content_cache

SCHEMA = {"key": pl.String, "vector": pl.List(pl.Float32)}


def test_gives_back_what_was_kept_in_order_of_keys(tmp_path):
    path = tmp_path / "kept.parquet"
    content_cache.write(path, SCHEMA, {"b": [1.0, 2.0], "a": []})
    assert list(content_cache.read(path, SCHEMA).items()) == [("a", []), ("b", [1.0, 2.0])]
    content_cache.write(path, SCHEMA, {})
    assert content_cache.read(path, SCHEMA) == {}


def test_a_missing_damaged_or_other_file_holds_nothing(tmp_path):
    path = tmp_path / "kept.parquet"
    assert content_cache.read(path, SCHEMA) == {}
    path.write_bytes(b"damaged")
    assert content_cache.read(path, SCHEMA) == {}
    pl.DataFrame({"key": ["a"], "other": [1]}).write_parquet(path)
    assert content_cache.read(path, SCHEMA) == {}
