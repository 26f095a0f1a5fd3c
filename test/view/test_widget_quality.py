"""The explorer of notebook 02_filter: counts, what a move changes, presets, the number to keep."""

import shutil
from pathlib import Path

import yaml

from bunny.core import config
from bunny.core.config import Config, FilteringConfig
from bunny.quality import threshold_search
from bunny.table import store
from bunny.view.widget import quality

START = {key: getattr(Config().filtering, key) for key in quality.RANGE}


def _draw(space, settings):
    return quality._draw(quality.open_quality(space), settings.filtering)


def move(box, number: int, value: float) -> str:
    """Move a slider of an explorer; gives its page."""
    slider = box.children[number]
    (slider.children[0] if number == 0 else slider).value = value  # the first has a text beside it
    return box.children[-1].value


def test_a_slider_changes_counts_with_every_picture_gone(space, settings, monkeypatch):
    """The pictures are deleted and the opening of any file is an error."""
    box = quality.explore_quality(space, settings)
    before = box.children[-1].value
    shutil.rmtree(space.root / "frame")

    def refuse(*_args, **_kwargs):
        raise AssertionError("a file was opened")

    monkeypatch.setattr("builtins.open", refuse)
    monkeypatch.setattr("io.open", refuse)
    monkeypatch.setattr(Path, "open", refuse)
    page = move(box, 0, 0.8)
    assert page != before
    assert "<b>kept: 1</b>" in page
    assert "data:image/jpeg" in page


def test_the_page_is_what_the_stage_decides(space, settings, table):
    page = _draw(space, settings)(START)
    flagged = threshold_search.flag_frames(table("measure"), settings.filtering)[0]
    assert f"kept: {flagged['is_kept'].sum()}" in page


def test_static_page_is_the_same_without_sliders(space, settings):
    page = quality.explore_quality(space, settings, is_interactive=False)
    assert type(page).__name__ == "HTML"
    assert page.data == _draw(space, settings)(START)


def test_button_writes_the_choice_for_this_film(space, settings, tmp_path):
    box = quality.explore_quality(space, settings, root=tmp_path)
    move(box, 0, 0.37)
    button, message = box.children[-2].children
    button.click()
    path = tmp_path / "config" / f"local_{space.film_id}.yaml"
    assert yaml.safe_load(path.read_text())["filtering"]["blur_threshold"] == 0.37
    assert path.as_posix() in message.value


def test_slider_begins_at_a_setting_outside_its_range(space):
    settings = Config(filtering={"duplicate_distance": 60})
    box = quality.explore_quality(space, settings)
    assert box.children[4].value == 60


def controls(box):
    """Sliders by name, the preset buttons, the number to keep, the page."""
    blur, *others = box.children
    sliders = dict(zip(quality.RANGE, [blur.children[0], *others], strict=False))
    choice, about = box.children[-3].children
    return sliders, choice, about, box.children[-1]


def kept(space, config):
    flagged = threshold_search.flag_frames(store.read(space.table, "measure"), config)[0]
    return set(flagged.filter("is_kept")["frame_id"])


def test_a_move_says_what_it_newly_keeps_and_drops(space, settings):
    sliders, _, _, page = controls(quality.explore_quality(space, settings))
    assert "<b>0</b> newly kept, <b>0</b> newly dropped" in page.value
    start = settings.filtering
    for threshold in (0.5, 0.05):
        sliders["blur_threshold"].value = threshold
        moved = start.model_copy(update={"blur_threshold": threshold})
        now, before = kept(space, moved), kept(space, start)
        words = f"<b>{len(now - before)}</b> newly kept, <b>{len(before - now)}</b> newly dropped"
        assert words in page.value
        assert f"Newly kept: {len(now - before)}," in page.value
    assert now > before


def test_the_share_of_sharp_pictures_lost_stands_beside_the_slider(space, settings):
    box = quality.explore_quality(space, settings)
    slider, label = box.children[0].children
    assert label.value == quality.rate_text(0.17)
    slider.value = 1.0
    assert label.value == "drops 100 % of sharp and 100 % of clearly blurred pictures"
    assert label.value in box.children[-1].value


def test_saving_makes_it_what_moves_are_compared_with(space, settings, tmp_path):
    box = quality.explore_quality(space, settings, root=tmp_path)
    sliders, _, _, page = controls(box)
    sliders["blur_threshold"].value = 0.6
    assert "<b>0</b> newly dropped" not in page.value
    box.children[-2].children[0].click()
    sliders["min_contrast"].value = 0.021
    assert "<b>0</b> newly kept, <b>0</b> newly dropped" in page.value


def test_preset_buttons_move_the_sliders(space, settings, tmp_path):
    box = quality.explore_quality(space, settings, root=tmp_path)
    sliders, choice, _, page = controls(box)
    choice.value = "strict"
    assert sliders["blur_threshold"].value == 0.21
    assert f"<b>kept: {len(kept(space, FilteringConfig(preset='strict')))}</b>" in page.value
    box.children[-2].children[0].click()
    saved = config.load(tmp_path, film_id=space.film_id, environment={}).filtering
    assert saved == FilteringConfig(preset="strict")


def test_a_number_to_keep_is_solved_and_saved_as_such(space, settings, tmp_path):
    box = quality.explore_quality(space, settings, root=tmp_path)
    sliders, _, about, page = controls(box)
    about.value = 5
    assert "<b>kept: 5</b>" in page.value and "keep_about 5: 5 frames" in page.value
    solved = sliders["blur_threshold"].value
    assert solved > 0.17
    box.children[-2].children[0].click()
    saved = config.load(tmp_path, film_id=space.film_id, environment={}).filtering
    assert saved == FilteringConfig(keep_about=5)
    sliders["min_contrast"].value = 0.03
    assert about.value == 0 and abs(sliders["blur_threshold"].value - solved) < 1e-9
    assert "<b>kept: 5</b>" in page.value


def test_it_begins_with_a_number_to_keep(space):
    box = quality.explore_quality(space, Config(filtering={"keep_about": 4}))
    sliders, _, about, page = controls(box)
    assert about.value == 4 and "<b>kept: 4</b>" in page.value
    assert sliders["blur_threshold"].value > 0.21


def test_a_page_shows_a_few_pictures_of_each_kind(space, settings):
    page = _draw(space, settings)({"blur_threshold": 0.0})
    assert page.count("<img") <= 4 * quality.GALLERY
