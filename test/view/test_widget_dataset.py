"""The explorer of notebook 06_dataset: pictures by place and size at another aspect and margin."""

import shutil
from pathlib import Path

import polars as pl
import pytest
import yaml

from bunny.core import config
from bunny.table import store
from bunny.view.widget import dataset

SQUARE = {"aspect": "square", "crop_margin": 0.3, "character": "bunny"}


SIDE_PX, TOP_PX = 16.0, 19.0  # of the subject's box in frames of 96x54 px


@pytest.fixture
def large() -> config.Config:
    """Settings under which 16 px are enough."""
    wanted = {"max_upscale": 8.0, "min_subject_px": 4, "bucket_step_px": 64}
    return config.Config.model_validate({"dataset": wanted})


@pytest.fixture
def bunny_space(space, table):
    """The film with one subject a frame, a square in the middle of its picture."""
    box = {"x0_px": 40.0, "y0_px": TOP_PX, "x1_px": 40 + SIDE_PX, "y1_px": TOP_PX + SIDE_PX}
    label = table("label").filter(character="bunny")
    box = {name: pl.lit(value, pl.Float32) for name, value in box.items()}
    store.write(space.table, "label", label.with_columns(**box))
    return space


@pytest.fixture
def opened(bunny_space, large):
    return dataset.open_dataset(bunny_space, large)


def test_the_settings_as_they_are_change_nothing(opened):
    now = dataset.decide(opened, SQUARE)
    assert now.picked and now == opened.before["bunny"]
    page = dataset.draw(opened, SQUARE)
    assert f"<b>pictures: {len(now.picked)}</b>" in page
    assert "<b>0</b> new, <b>0</b> removed" in page and "→" not in page
    assert "16 to 54 px (too small for 512)" in page  # 54 px are 432 at eight times the size


def test_every_view_is_chosen_or_has_a_reason(opened, table):
    views = table("label").filter(character="bunny").height
    now = dataset.decide(opened, SQUARE)
    assert len({view.subject_id for view, _ in now.picked}) + sum(now.reasons.values()) == views
    assert now.count().total() == len(now.picked)


def test_buckets_take_the_shape_of_the_picture(opened):
    """The whole 96x54 picture goes into a wide bucket, a square box into the square one."""
    now = dataset.decide(opened, SQUARE | {"aspect": "buckets", "crop_margin": 0.0})
    sizes = {window.size for _, window in now.picked}
    assert (16, 16) in sizes and any(width > height for width, height in sizes)
    assert all(w.size[0] == w.size[1] for _, w in dataset.decide(opened, SQUARE).picked)


def test_margin_decides_the_second_window(opened):
    """16 px with half of it on each side are 32; the tight window and the whole picture stay."""

    def heights(margin: float) -> set[int]:
        now = dataset.decide(opened, SQUARE | {"crop_margin": margin})
        return {window.y1_px - window.y0_px for _, window in now.picked}

    assert heights(0.0) == {16, 54}
    assert heights(0.5) == {16, 32, 54}


def test_it_compares_with_the_margin_that_is_set(bunny_space, large):
    """Beyond the margin on each side a window of 16 px reaches 8 px further, not 5."""
    models = large.models.model_copy(update={"crop_margin": 0.5})
    opened = dataset.open_dataset(bunny_space, large.model_copy(update={"models": models}))
    assert opened.before["bunny"] == dataset.decide(opened, SQUARE | {"crop_margin": 0.5})
    assert opened.before["bunny"] != dataset.decide(opened, SQUARE)


def test_page_counts_the_subjects_that_a_margin_changes(opened):
    """16 px in a frame 54 px high have room for half a box on each side; without one none has."""
    num = len({view.subject_id for view, _ in dataset.decide(opened, SQUARE).picked})
    page = dataset.draw(opened, SQUARE | {"crop_margin": 0.5})
    assert f"a crop margin of 0.50 changes the crops of {num} of {num} subjects" in page
    page = dataset.draw(opened, SQUARE | {"crop_margin": 0.0})
    assert f"a crop margin of 0.00 changes the crops of 0 of {num} subjects" in page


def test_window_stands_where_it_is_cut(opened):
    view, window = dataset.decide(opened, SQUARE).picked[0]
    page = dataset.draw(opened, SQUARE)
    assert f"left:{window.x0_px / 96:.1%};top:{window.y0_px / 54:.1%}" in page
    assert view.frame_size == (96, 54)


def test_a_move_opens_no_picture_and_the_button_saves(bunny_space, large, tmp_path, monkeypatch):
    box = dataset.explore_dataset(bunny_space, large, root=tmp_path)
    before = box.children[-1].value
    shutil.rmtree(bunny_space.root / "frame")

    def refuse(*_args, **_kwargs):
        raise AssertionError("a file was opened")

    with monkeypatch.context() as patch:
        patch.setattr("builtins.open", refuse)
        patch.setattr(Path, "open", refuse)
        box.children[0].value = "buckets"
        box.children[1].value = 1.0
    assert box.children[-1].value != before
    box.children[-2].children[0].click()
    saved = yaml.safe_load((tmp_path / "config" / f"local_{bunny_space.film_id}.yaml").read_text())
    assert saved == {"dataset": {"aspect": "buckets"}, "models": {"crop_margin": 1.0}}


def test_places_are_counted_by_size():
    """Two places before, a picture moved from one to the other."""
    before = dataset.Counter({("sea", "wide"): 2, ("hill", "medium"): 1})
    now = dataset.Counter({("sea", "wide"): 1, ("hill", "medium"): 2})
    page = dataset.count_table(before, now)
    assert page.index("hill") < page.index("sea")  # the most pictures first
    assert "2 → 1" in page and "1 → 2" in page
    assert page.endswith("3</td></tr></table>")  # all in all as before
