import shutil

import pytest

from bunny.view import html, thumbnail, tile
from bunny.view.widget import caption, character, dataset, quality, scene
from bunny.view.widget import explorer as widget_explorer


@pytest.mark.parametrize(
    "explorer",
    [
        quality.explore_quality,
        character.explore_people,
        scene.explore_scene,
        caption.explore_captions,
        dataset.explore_dataset,
    ],
)
def test_without_tables_it_says_which_stage_to_run(empty_space, settings, explorer):
    page = explorer(empty_space, settings, is_interactive=False).data
    assert "run stage" in page


def test_a_refused_choice_is_said_and_not_written(tmp_path):
    text = widget_explorer.save("x-00000000", "filtering", {"blur_threshold": 3.0}, tmp_path)
    assert "not saved" in text and "blur_threshold" in text
    assert not (tmp_path / "config").exists()


def test_scene_explorer_follows_its_threshold(space, settings):
    draw = scene.draw_scene(space, settings)
    values = {"scene_threshold": 0.85, "noise_threshold": 0.0}
    assert "<b>scenes: 3</b> · pictures in scenes: 24 · in no scene: 0" in draw(values)
    assert "<b>scenes: 1</b>" in draw(values | {"scene_threshold": -1.0, "noise_threshold": -1.0})


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
    svg = html.histogram([0.05, 0.05, 0.95, 7.0], 0.5, low=0, high=1, axis="a<b", bins=10)
    assert svg.count("<rect") == 2  # the value out of range falls into the last bar
    assert "a&lt;b: 2 of 4 below 0.5" in svg
    assert "x1='320.0'" in svg


def test_histogram_of_nothing():
    assert "0 of 0" in html.histogram([], 0.5, low=0, high=1, axis="x")


def test_counts_of_nothing():
    assert html.counts({}) == "<p>no rows</p>"
    assert html.counts({"kept": 2, "dark": 1}) == "<p><b>kept: 2</b> · dark: 1</p>"
