"""Pairs in the report: how many of which kind, why not more, and rows of pictures."""

import base64
import io
import json

import cv2
import numpy as np
import pytest
from PIL import Image

from bunny.clip import write
from bunny.core import atomic
from bunny.core.config import Config
from bunny.table import store
from bunny.view.report import page, pair
from bunny.view.report.section import ReportData

CONFIG = Config.model_validate({"pair": {"kinds": ["reference", "edit", "clip"]}})


def row(number, kind, files, **more):
    return {
        "pair_id": f"anna-{kind}-{number}",
        "kind": kind,
        "character": "anna",
        "split": "train",
        "target_frame_id": "f",
        "target_s": 2.0 * number,
        "target_shot_index": 0,
        "reference_frame_ids": ["g"] * (len(files or []) - 1),
        "reference_s": [9.0],
        "reference_shot_indices": [1],
        "instruction": "anna walks",
        "files": files,
        "sha256": [],
    } | more


@pytest.fixture
def film(empty_space):
    """A reference pair of red and blue, an edit, a clip with a reference, one without a picture."""
    root = empty_space.root
    for name, colour in (("red", (0, 0, 255)), ("blue", (255, 0, 0)), ("green", (0, 255, 0))):
        pixels = np.full((100, 100, 3), colour, np.uint8)
        atomic.write_bytes(root / f"{name}.png", cv2.imencode(".png", pixels)[1].tobytes())
    shades = (np.full((32, 64, 3), 7 * i, np.uint8) for i in range(33))
    write.write_clip(root / "clip.mp4", shades, 16.0, (64, 32))
    rows = [
        row(1, "reference", ["red.png", "blue.png"]),
        row(2, "reference", ["red.png", "gone.png"], split="held-out"),
        row(3, "edit", ["red.png", "blue.png"]),
        row(4, "clip", ["clip.mp4", "green.png"]),
        row(5, "reference", None, reason="alone"),
    ]
    store.write(empty_space.table, "training_pair", store.from_rows("training_pair", rows))
    empty_space.stage("pair").mkdir(parents=True)
    (empty_space.stage("pair") / "stage.json").write_text(json.dumps({"status": "done"}))
    return empty_space


def data(space, config=CONFIG):
    return ReportData(root=space.root, film_id=space.film_id, config=config)


def colours(picture, places):
    """Colour channels that are lit, left to right, at these shares of the width."""
    image = Image.open(io.BytesIO(base64.b64decode(picture.uri.partition(",")[2]))).convert("RGB")
    shown = [image.getpixel((int(x * image.width), image.height // 2)) for x in places]
    return ["".join("rgb"[k] for k in range(3) if one[k] > 128) for one in shown]


def test_pairs_are_counted_and_shown_by_kind(film):
    found = pair.pairs(data(film))
    assert found.texts == ["4 pairs, 1 held out.", "Left out: 1 reference alone."]
    assert found.grids[0].rows == [
        ("clip", "anna", "1", "1.0"),
        ("edit", "anna", "1", "1.0"),
        ("reference", "anna", "2", "1.0"),
    ]
    by_kind = {group.title: group.tiles for group in found.groups}
    assert list(by_kind) == ["Reference", "Edit", "Clip"]
    [reference] = by_kind["Reference"]  # the other one's picture is gone
    assert colours(reference, (0.25, 0.75)) == ["r", "b"]
    assert colours(by_kind["Edit"][0], (0.25, 0.75)) == ["b", "r"]  # before, then after
    first, last, green = colours(by_kind["Clip"][0], (0.15, 0.6, 0.95))
    assert (first, last, green) == ("", "rgb", "g")
    assert "anna 0:08" in page.render(data(film))


def test_without_pairs_there_is_no_section_or_its_reason(film):
    assert pair.pairs(data(film, Config())) is None
    store.write(film.table, "training_pair", store.from_rows("training_pair", []))
    assert pair.pairs(data(film)).missing == "No pair was made."
