"""The explorer of notebook 01: shots at other thresholds."""

import change_rows
import pytest
import yaml

from bunny.core.config import Config
from bunny.table import store
from bunny.view.widget import shot

START = {"cut_threshold": 1.0, "min_shot_frames": 4}


@pytest.fixture
def space(space):
    store.write(space.table, "change", change_rows.table(space.film_id))
    return space


@pytest.mark.parametrize(
    ("values", "counts"),
    [
        ({}, "<b>shots: 3</b> · cut: 2"),
        ({"cut_threshold": 1.2}, "<b>shots: 3</b> · cut: 2"),  # exactly the score of frame 25
        ({"cut_threshold": 1.25}, "<b>shots: 2</b> · cut: 1"),
        ({"cut_threshold": 5.0}, "<b>shots: 1</b>"),
        ({"min_shot_frames": 16}, "<b>shots: 1</b>"),  # 10 frames before, 15 from 25 on
        ({"min_shot_frames": 11}, "<b>shots: 2</b> · cut: 1"),
    ],
)
def test_counts_follow_the_thresholds(space, settings, values, counts):
    assert counts in shot.draw_shots(space, settings)(START | values)


def test_it_says_what_a_move_changes(space, settings):
    draw = shot.draw_shots(space, settings)
    assert "<b>0</b> new boundaries, <b>0</b> removed" in draw(START)
    page = draw(START | {"cut_threshold": 2.0})
    assert "<b>0</b> new boundaries, <b>1</b> removed" in page and "Removed boundaries: 1" in page
    assert "before 0:01" in page
    high = shot.draw_shots(space, Config(extraction={"cut_threshold": 5.0}))
    assert "<b>2</b> new boundaries, <b>0</b> removed" in high(START)


def test_a_slider_moves_the_page_and_the_button_saves(space, settings, tmp_path):
    box = shot.explore_shot(space, settings, root=tmp_path)
    box.children[0].value = 2.0
    assert "<b>shots: 2</b>" in box.children[-1].value
    box.children[-2].children[0].click()
    path = tmp_path / "config" / f"local_{space.film_id}.yaml"
    assert yaml.safe_load(path.read_text())["extraction"] == START | {"cut_threshold": 2.0}


def test_static_page_is_the_same_without_sliders(space, settings):
    page = shot.explore_shot(space, settings, is_interactive=False)
    assert page.data == shot.draw_shots(space, settings)(START)


def test_without_the_table_it_says_which_stage_to_run(empty_space, settings):
    assert "run stage extract" in shot.draw_shots(empty_space, settings)(START)


def test_what_is_not_measured_is_said(space):
    low = shot.draw_shots(space, Config(extraction={"cut_threshold": 0.3}))
    assert "at least 0.5" in low(START | {"cut_threshold": 0.3})
    other = shot.draw_shots(space, Config(extraction={"shot_detector": "transnet"}))
    assert "shot_detector fast" in other(START)
