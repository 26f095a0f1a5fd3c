"""What a frame is, from its measures alone."""

import dataclasses

import cv2
import numpy as np
import polars as pl
import pytest

from bunny.quality import measure, reason
from bunny.table import store

PICTURE = {"brightness": 0.4, "dynamic_range": 0.7, "background_share": 0.3, "text_lines": 0}


def _kinds(*changes):
    rows = [PICTURE | change for change in changes]
    table = pl.DataFrame(rows, infer_schema_length=None)
    return table.select(reason.kind_expr())["kind"].to_list()


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({}, "picture"),
        ({"brightness": 0.06, "dynamic_range": 0.08}, "black"),
        ({"brightness": 0.061, "dynamic_range": 0.08}, "picture"),
        ({"brightness": 0.06, "dynamic_range": 0.081}, "picture"),  # night
        ({"dynamic_range": 0.08, "background_share": 0.98}, "blank"),
        ({"dynamic_range": 0.08, "background_share": 0.979}, "picture"),  # fog
        ({"text_lines": 1, "background_share": 0.9}, "title"),
        ({"text_lines": 4, "background_share": 1.0, "brightness": 0.01}, "title"),
        ({"text_lines": 5, "background_share": 0.9}, "credit"),
        ({"text_lines": 5, "background_share": 0.7}, "credit"),  # on a gradient
        ({"text_lines": 4, "background_share": 0.89}, "picture"),
        ({"text_lines": 7, "background_share": 0.69}, "picture"),  # a street of signs
        ({"text_lines": 8, "background_share": 0.1}, "credit"),
        ({"text_lines": 1, "background_share": 1.0, "dynamic_range": 0.0}, "title"),
        ({"text_lines": 0, "background_share": 0.95}, "picture"),
    ],
)
def test_kinds_at_their_thresholds(change, wanted):
    assert _kinds(change) == [wanted]


def test_frames_without_measures_have_no_kind():
    empty = dict.fromkeys(PICTURE)
    assert _kinds({}, empty) == ["picture", None]
    table = store.from_rows("measure", [{"frame_id": "a", "error": "unreadable"}])
    kinds = table.select(reason.kind_expr())["kind"]
    assert kinds.to_list() == [None] and kinds.dtype == pl.Enum(reason.KINDS)


def _card(*lines, ground=0, ink=255):
    picture = np.full((720, 1280, 3), ground, np.uint8)
    for index, line in enumerate(lines):
        cv2.putText(picture, line, (300, 200 + 60 * index), 2, 1.2, (ink,) * 3, 2)
    return picture


def test_made_frames_are_what_they_were_made(photos):
    names = [f"Name of person {chr(65 + i)}" for i in range(8)]
    rng = np.random.default_rng(0)
    noisy = rng.normal(12, 2, (720, 1280, 3)).clip(0, 255).astype(np.uint8)
    wanted = [
        ("black", _card()),
        ("black", noisy),
        ("blank", _card(ground=255)),
        ("blank", _card(ground=128)),
        ("title", _card("The beginning")),
        ("title", _card("The end of it", "and after", ground=230, ink=20)),
        ("credit", _card(*names)),
        *(("picture", picture) for picture in photos.values()),
        *(("picture", (picture * 0.3).astype(np.uint8)) for picture in photos.values()),
    ]
    rows = [
        {"frame_id": f"{i:02d}", **dataclasses.asdict(measure.measure_frame(picture))}
        for i, (_, picture) in enumerate(wanted)
    ]
    table = store.from_rows("measure", rows).with_columns(reason.kind_expr())
    assert table["kind"].to_list() == [name for name, _ in wanted]


def test_a_real_trailer_with_cards_and_credits(material):
    film = cv2.VideoCapture(str(material / "video" / "sintel_trailer-720p.mp4"))
    wanted = {
        0: "black",
        156: "picture",
        240: "title",
        552: "picture",
        792: "picture",
        900: "picture",
        1044: "title",
        1200: "credit",
        1224: "black",
    }
    rows = []
    for index in range(max(wanted) + 1):
        film.grab()
        if index in wanted:
            row = dataclasses.asdict(measure.measure_frame(film.retrieve()[1]))
            rows.append({"frame_id": f"{index:08d}", **row})
    table = store.from_rows("measure", rows).with_columns(reason.kind_expr())
    assert dict(zip(wanted, table["kind"].to_list(), strict=True)) == wanted
