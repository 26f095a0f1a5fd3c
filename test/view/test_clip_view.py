"""Clips in views: the section of the report, strips in the notebook, the explorer of thresholds."""

import base64
import io
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import table_row
import yaml
from PIL import Image

from bunny.clip import write
from bunny.core.config import Config
from bunny.table import store
from bunny.view.report import clip as report_clip
from bunny.view.report.section import ReportData
from bunny.view.widget import clip as widget_clip

WAN = Config.model_validate({"clip": {"preset": "wan"}})


def clip_row(number, name="anna", **more):
    return table_row.fill(
        "clip",
        more,
        clip_id=f"{name}-{number}",
        character=name,
        shot_index=number,
        start_s=3.0 * number,
        end_s=3.0 * number + 33 / 16,
        height_px=32,
        crop_y1_px=32,
        motion=2.0,
        coverage=1.0,
        frame_indices=list(range(33)),
        file=f"clip/{name}/{number}.mp4",
        caption="anna",
        sha256="0" * 64,
    )


def candidate(number, reason="chosen", name="anna"):
    return table_row.fill(
        "clip_candidate",
        clip_id=f"{name}-{number}",
        character=name,
        shot_index=number,
        end_s=2.0,
        coverage=1.0,
        motion=2.0,
        sharpness=50.0,
        is_chosen=reason == "chosen",
        reason=reason,
    )


@pytest.fixture
def film(empty_space):
    """Two clips that go from black to white, and one that cannot be read."""
    rows = [clip_row(0), clip_row(1, camera="pan left", split="held-out"), clip_row(2, "ben")]
    for row in rows[:2]:
        pictures = (np.full((32, 64, 3), 7 * i, np.uint8) for i in range(33))
        write.write_clip(empty_space.root / row["file"], pictures, 16.0, (64, 32))
    tried = [*(candidate(i) for i in range(3)), candidate(5, "absent"), candidate(6, "absent")]
    store.write(empty_space.table, "clip", store.from_rows("clip", rows))
    store.write(empty_space.table, "clip_candidate", store.from_rows("clip_candidate", tried))
    (empty_space.stage("clip")).mkdir(parents=True)
    (empty_space.stage("clip") / "stage.json").write_text(json.dumps({"status": "done"}))
    return empty_space


def data(space, config=WAN):
    return ReportData(root=space.root, film_id=space.film_id, config=config)


def picture(uri):
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_the_report_counts_clips_and_says_what_was_left_out(film):
    found = report_clip.clips(data(film))
    assert found.texts == [
        "3 clips at 16 frames per second, 64 x 32 px; 1 held out.",
        "Runs of frames left out: 2 absent.",
    ]
    assert list(found.grids[0].rows) == [
        ("anna", "pan left", "1", "2.1"),
        ("anna", "static", "1", "2.1"),
        ("ben", "static", "1", "2.1"),
    ]


def test_strips_go_from_the_first_frame_to_the_last_and_loops_move(film):
    strips, loops = report_clip.clips(data(film)).groups
    assert len(strips.tiles) == len(loops.tiles) == 2  # the third cannot be read
    strip = np.asarray(picture(strips.tiles[0].uri).convert("L")).astype(int)
    assert strip.shape == (75, 750)
    middles = strip[37, 75::150]
    assert middles[0] < 8 and middles[-1] > 215 and (np.diff(middles) > 40).all()
    loop = picture(loops.tiles[0].uri)
    assert (loop.format, loop.n_frames, loop.width) == ("WEBP", 17, 160)


def test_without_clips_there_is_a_sentence_or_no_section(film):
    assert report_clip.clips(data(film, Config())) is None
    store.write(film.table, "clip", store.from_rows("clip", []))
    assert report_clip.clips(data(film)).missing == "No clip was made."
    (film.stage("clip") / "stage.json").unlink()
    assert report_clip.clips(data(film)) is None


def test_the_notebook_shows_strips(film):
    page = report_clip.show_strips(film.root, store.read(film.table, "clip")).data
    assert page.count("<img") == 2 and "33 frames, pan left" in page
    none = report_clip.show_strips(film.root, store.from_rows("clip", []))
    assert none.data == "<p>no clip</p>"


@pytest.fixture
def measured(empty_space):
    """Two shots of 4 s: Anna is in all of the first and in a quarter of the second."""
    frames, boxes = [], []
    for index in range(192):
        at = {"shot_index": index // 96, "frame_index": index}
        sizes = {"width_px": 64, "height_px": 32, "sharpness": 90.0, "scene_score": 0.0}
        frames.append(at | sizes | {"timestamp_s": index / 24, "change": 2.0 + index // 96})
        if index < 120:
            box = table_row.box(0.0, 0.0, 9.0, 9.0)
            boxes.append(at | box | {"character": "anna", "is_labelled": True, "likeness": 1.0})
    shots = [
        {"shot_index": i, "first_frame_index": 96 * i, "end_frame_index": 96 * i + 96}
        | {"start_s": 4.0 * i, "end_s": 4.0 * i + 4}
        for i in (0, 1)
    ]
    for name, rows in {"clip_frame": frames, "clip_box": boxes, "shot": shots}.items():
        table_row.write(empty_space.table, name, rows)
    for name in ("frame", "quality", "cluster"):
        table_row.write(empty_space.table, name, [])
    return empty_space


def test_the_explorer_chooses_anew_over_tables(measured):
    draw = widget_clip.draw_clips(measured, WAN)
    start = {key: getattr(WAN.clip, key) for key in widget_clip.CLIP_RANGE}
    page = draw(start)
    assert "<b>clips: 1</b>" in page and "left out (absent): 1" in page
    assert "<b>0</b> new, <b>0</b> removed" in page
    page = draw(start | {"min_coverage": 0.4})
    assert "<b>clips: 2</b>" in page and "<b>1</b> new, <b>0</b> removed" in page
    page = draw(start | {"min_motion": 2.5})
    assert "<b>clips: 0</b>" in page and "<b>0</b> new, <b>1</b> removed" in page
    assert (
        "left out (frozen): 1" in page and "2.00 levels per frame, clip.min_motion is 2.5" in page
    )


def test_a_move_opens_no_file_and_the_button_saves(measured, tmp_path, monkeypatch):
    box = widget_clip.explore_clips(measured, WAN, root=tmp_path)

    def refuse(*_args, **_more):
        raise AssertionError("a file was opened")

    with monkeypatch.context() as patch:
        patch.setattr("builtins.open", refuse)
        patch.setattr(Path, "open", refuse)
        patch.setattr(pl, "read_parquet", refuse)
        box.children[0].value = 0.4
    assert "<b>clips: 2</b>" in box.children[-1].value
    box.children[-2].children[0].click()
    saved = yaml.safe_load((tmp_path / "config" / f"local_{measured.film_id}.yaml").read_text())
    assert saved["clip"]["min_coverage"] == 0.4


def test_a_film_that_was_not_measured_says_so(empty_space):
    page = widget_clip.explore_clips(empty_space, Config(), is_interactive=False).data
    assert "set clip.preset and run stage clip" in page
