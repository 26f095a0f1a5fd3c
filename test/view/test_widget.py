import shutil

import polars as pl
import pytest

from bunny.config import Config
from bunny.table import store
from bunny.view import explore, fragment, slider, thumbnail, tile, widget, widget_quality

LABEL = {key: getattr(Config().detection, key) for key in widget.LABEL_RANGE}


@pytest.mark.parametrize(
    "explorer", [widget_quality.explore_quality, widget.explore_label, widget.explore_scene]
)
def test_without_tables_it_says_which_stage_to_run(empty_space, settings, explorer):
    page = explorer(empty_space, settings, is_interactive=False).data
    assert "run stage" in page


def test_a_refused_choice_is_said_and_not_written(tmp_path):
    text = slider.save("x-00000000", "filtering", {"blur_threshold": 3.0}, tmp_path)
    assert "not saved" in text and "blur_threshold" in text
    assert not (tmp_path / "config").exists()


def test_label_explorer_counts_and_changes(space, settings):
    draw = widget.draw_label(space, settings)
    assert "0 change" in draw(LABEL)
    page = draw(LABEL | {"similarity_threshold": 0.99, "drawn_threshold": 1.0})
    assert "<b>unknown 24</b>" in page
    assert "anna → unknown" in page and "bunny → unknown" in page


def test_names_are_escaped(space, settings):
    evil = "<script>alert(1)</script>"
    rows = store.read(space.table, "reference").to_dicts()
    rows[0]["character"] = evil
    store.write(space.table, "reference", store.from_rows("reference", rows))
    page = widget.draw_label(space, settings)(LABEL)
    assert "<script>" not in page and "&lt;script&gt;" in page


def test_a_face_exactly_at_the_threshold_has_its_name(space):
    seen = explore.read_seen(space.table)
    start = explore.judge_labels(seen, LABEL).filter(pl.col("character") == "anna")
    least = float(1 - start["distance"].cast(pl.Float64).max())
    loose = explore.judge_labels(seen, LABEL | {"similarity_threshold": least - 1e-4})
    strict = explore.judge_labels(seen, LABEL | {"similarity_threshold": least + 1e-4})
    assert explore.count_names(strict)["anna"] == explore.count_names(loose)["anna"] - 1


def test_changes_count_a_figure_of_one_table_only():
    one = pl.DataFrame({"subject_id": ["a", "b"], "character": ["x", None]})
    two = pl.DataFrame({"subject_id": ["b", "c"], "character": [None, "y"]})
    assert explore.changes(one, two).rows() == [("a", "x", None), ("c", None, "y")]


def test_scene_explorer_follows_its_threshold(space, settings):
    draw = widget.draw_scene(space, settings)
    values = {"scene_threshold": 0.85, "noise_threshold": 0.0}
    assert "<b>scenes 3</b> · pictures in them 24 · in none 0" in draw(values)
    assert "<b>scenes 1</b>" in draw(values | {"scene_threshold": -1.0, "noise_threshold": -1.0})


def test_thumbnails_are_made_once(tmp_path, space):
    tiles = {"a": tile.Tile(file=next((space.root / "frame").iterdir()))}
    cache = tmp_path / "t.parquet"
    first = thumbnail.load(cache, tiles)
    changed = cache.stat().st_mtime_ns
    assert thumbnail.load(cache, tiles) == first
    assert cache.stat().st_mtime_ns == changed
    shutil.rmtree(space.root / "frame")
    assert thumbnail.load(cache, tiles) == first


def test_a_new_picture_gives_a_new_thumbnail(tmp_path, space):
    one, two = sorted((space.root / "frame").iterdir())[:2]
    cache = tmp_path / "t.parquet"
    first = thumbnail.load(cache, {"a": tile.Tile(file=one)})
    shutil.copy(two, one)
    assert thumbnail.load(cache, {"a": tile.Tile(file=one)}) != first


def test_a_damaged_cache_is_made_again(tmp_path, space):
    cache = tmp_path / "t.parquet"
    cache.write_bytes(b"no parquet")
    tiles = {"a": tile.Tile(file=next((space.root / "frame").iterdir()))}
    assert thumbnail.load(cache, tiles)["a"].startswith("data:image/jpeg;base64,")


def test_histogram_by_hand():
    svg = fragment.histogram([0.05, 0.05, 0.95, 7.0], 0.5, low=0, high=1, axis="a<b", bins=10)
    assert svg.count("<rect") == 2  # the value out of range falls into the last bar
    assert "a&lt;b: 2 of 4 below 0.5" in svg
    assert "x1='320.0'" in svg


def test_histogram_of_nothing():
    assert "0 of 0" in fragment.histogram([], 0.5, low=0, high=1, axis="x")


def test_counts_of_nothing():
    assert fragment.counts({}) == "<p>nothing to count</p>"
    assert fragment.counts({"kept": 2, "dark": 1}) == "<p><b>kept 2</b> · dark 1</p>"
