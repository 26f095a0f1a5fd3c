"""Which labelled views there are and what speaks against each."""

import polars as pl
import pytest

from bunny.core.config import DatasetConfig, FilteringConfig
from bunny.dataset import candidate
from bunny.table import store

NOTHING = pl.DataFrame(
    schema={"subject_id": pl.String, "sharpness": pl.Float64, "luma": pl.Float64}
)


def gather(tables, who="bunny", subject=NOTHING):
    return candidate.gather(who, tables, subject)


def judge(tables, score=None):
    views = gather(tables)
    settings = DatasetConfig(), FilteringConfig()
    return candidate.judge(views, tables["quality"], score or {}, *settings)


def test_views_of_one_character_with_what_is_known(film_tables):
    tables = film_tables(
        [
            {"shot": 0, "type": "face", "box": (100, 50, 160, 140), "yaw": -0.4, "place": "s1"},
            {"shot": 1, "who": "anna"},
            {"shot": 2, "who": None},
            {"shot": 3, "light": 0.1},
        ]
    )
    face, region = gather(tables)
    assert (face.pose, face.shot_size, face.light) == ("left", "close-up", "medium")  # 90 of 360
    assert (face.place, face.sharpness, face.side_px) == ("s1", 100.0, 60.0)
    assert (region.pose, region.shot_size, region.light) == ("unknown", "wide", "dark")
    assert (region.place, region.sharpness, region.is_face) == (None, None, False)
    counts = candidate.count_views(tables["label"])
    assert counts.rows() == [("bunny", 2, 2), ("anna", 1, 1)]


def test_light_and_sharpness_of_the_subject_go_before_the_frame(film_tables):
    tables = film_tables([{"shot": 0, "light": 0.1}])
    measured = pl.DataFrame({"subject_id": ["f00000-r0"], "sharpness": [33.0], "luma": [0.9]})
    (view,) = gather(tables, subject=measured)
    assert (view.light, view.sharpness) == ("bright", 33.0)


def test_region_takes_its_turn_from_the_face_inside_it(film_tables):
    box = (90, 70, 210, 290)
    tables = film_tables(
        [
            {"shot": 0, "frame_id": "a", "box": box},
            {
                "shot": 0,
                "frame_id": "a",
                "type": "face",
                "who": None,
                "yaw": 0.8,
                "box": (120, 90, 180, 150),
            },
            {"shot": 0, "frame_id": "a", "type": "face", "who": None, "box": (400, 90, 440, 150)},
        ]
    )
    (view,) = gather(tables)
    assert view.pose == "right-profile"
    # the face inside is the bunny's own, the other one is somebody's
    assert [o.box for o in view.others] == [(400, 90, 440, 150)]


@pytest.mark.parametrize(
    ("subject", "reason", "detail"),
    [
        ({}, "", None),
        ({"confidence": 0.59}, "doubtful", "confidence 0.59, dataset.min_confidence is 0.6"),
        ({"confidence": 0.6}, "", None),
        ({"margin": 0.01}, "doubtful", "only 0.010 ahead of the second best character"),
        ({"margin": 0.02}, "", None),
        ({"margin": None}, "", None),
        ({"box": (0, 0, 23, 99)}, "small", "23 px, dataset.min_subject_px is 24"),
        ({"box": (0, 0, 24, 99)}, "", None),
        ({"filter": "dark"}, "filtered", "dark"),
        ({"filter": "batch"}, "filtered", "batch"),
        ({"filter": "duplicate"}, "", None),
        ({"filter": "unreadable"}, "unreadable", "the frame's picture cannot be read"),
        ({"filter": "blurred"}, "filtered", "blurred"),
        ({"type": "face", "sharpness": 9.5}, "soft", "9.5, dataset.min_subject_sharpness is 10"),
    ],
)
def test_what_speaks_against_a_view(film_tables, subject, reason, detail):
    (verdict,) = judge(film_tables([{"shot": 0, **subject}]))
    assert (verdict.reason, verdict.detail) == (reason, detail)


@pytest.mark.parametrize(
    ("score", "reason", "detail"),
    [(0.17, "", None), (0.16, "filtered", "blurred (subject sharpness 0.16 < 0.17)")],
)
def test_sharp_subject_of_a_blurred_frame_stays(film_tables, score, reason, detail):
    tables = film_tables([{"shot": 0, "filter": "blurred"}])
    (verdict,) = judge(tables, {"f00000-r0": score})
    assert (verdict.reason, verdict.detail) == (reason, detail)


def test_covered_subject_is_crowded(film_tables):
    def found(other):
        tables = film_tables(
            [
                {"shot": 0, "frame_id": "a", "box": (100, 100, 200, 200)},
                {"shot": 0, "frame_id": "a", "box": other, "who": "anna"},
            ]
        )
        return judge(tables)[0]

    assert found((149, 100, 300, 200)).detail == "anna covers more than half of the box"
    assert found((150, 100, 300, 200)).reason == ""


def test_frames_looked_at_besides_have_no_file_and_borrow_a_caption(film_tables):
    tables = film_tables(
        [
            {"shot": 0, "index": 0, "text": "bunny runs"},
            {"shot": 0, "index": 9, "text": "bunny sits"},
            {"shot": 0, "index": 5, "extra": True},
            {"shot": 0, "index": 6, "frame_id": "two", "extra": True},
            {
                "shot": 0,
                "index": 6,
                "frame_id": "two",
                "extra": True,
                "who": "anna",
                "box": (400, 80, 500, 280),
            },
        ]
    )
    views = {v.frame_index: v for v in gather(tables)}
    assert views[5].file is None and views[0].file == "frame/f00000.png"
    assert views[5].text == "bunny sits"  # 4 frames off; the other is 5 off
    assert views[6].text is None  # nobody else's caption: anna is in this frame
    assert [v.reason for v in judge(tables)] == [""] * 4


def test_rows_fit_the_table(film_tables):
    tables = film_tables([{"shot": 0}, {"shot": 1, "filter": "dark"}])
    views, verdicts = gather(tables), judge(tables)
    rows = [candidate.to_row(*pair, 0.5) for pair in zip(views, verdicts, strict=True)]
    table = store.from_rows("candidate", rows)
    assert table["is_chosen"].to_list() == [True, False]
    assert table["reason"].to_list() == ["chosen", "filtered"]
    assert table["size_px"].to_list() == [100, 100]
