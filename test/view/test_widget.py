import shutil
from pathlib import Path

import polars as pl
import pytest
import yaml

from bunny.config import Config
from bunny.table import store
from bunny.view import explore, fragment, thumbnail, tile, widget

START = {key: getattr(Config().filtering, key) for key in widget.QUALITY_RANGE}
LABEL = {key: getattr(Config().detection, key) for key in widget.LABEL_RANGE}


def move(box, number: int, value: float) -> str:
    """Move a slider of an explorer; gives its page."""
    box.children[number].value = value
    return box.children[-1].value


def test_a_slider_changes_counts_with_every_picture_gone(space, settings, monkeypatch):
    """The pictures are deleted and the opening of any file is an error."""
    box = widget.explore_quality(space, settings)
    before = box.children[-1].value
    shutil.rmtree(space.root / "frame")

    def refuse(*_args, **_kwargs):
        raise AssertionError("a file was opened")

    monkeypatch.setattr("builtins.open", refuse)
    monkeypatch.setattr("io.open", refuse)
    monkeypatch.setattr(Path, "open", refuse)
    page = move(box, 0, 0.9)
    assert page != before
    assert "<b>kept 1</b>" in page
    assert "data:image/jpeg" in page


def test_the_page_is_what_the_stage_decides(space, settings, table):
    page = widget.draw_quality(space, settings)(START)
    flagged = explore.judge_quality(table("measure"), settings.filtering.model_dump())
    assert f"kept {flagged['is_kept'].sum()}" in page


def test_static_page_is_the_same_without_sliders(space, settings):
    page = widget.explore_quality(space, settings, is_interactive=False)
    assert type(page).__name__ == "HTML"
    assert page.data == widget.draw_quality(space, settings)(START)


@pytest.mark.parametrize(
    "explorer", [widget.explore_quality, widget.explore_label, widget.explore_scene]
)
def test_without_tables_it_says_which_stage_to_run(empty_space, settings, explorer):
    page = explorer(empty_space, settings, is_interactive=False).data
    assert "run stage" in page


def test_button_writes_the_choice_for_this_film(space, settings, tmp_path):
    box = widget.explore_quality(space, settings, root=tmp_path)
    move(box, 0, 0.37)
    button, message = box.children[-2].children
    button.click()
    path = tmp_path / "config" / f"local_{space.film_id}.yaml"
    assert yaml.safe_load(path.read_text())["filtering"]["blur_threshold"] == 0.37
    assert path.as_posix() in message.value


def test_a_refused_choice_is_said_and_not_written(tmp_path):
    text = widget.save("x-00000000", "filtering", {"blur_threshold": 3.0}, tmp_path)
    assert "not saved" in text and "blur_threshold" in text
    assert not (tmp_path / "config").exists()


def test_slider_begins_at_a_setting_outside_its_range(space):
    settings = Config(filtering={"duplicate_distance": 60})
    box = widget.explore_quality(space, settings)
    assert box.children[4].value == 60


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
