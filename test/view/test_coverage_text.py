import dataclasses

import numpy as np
import polars as pl
import pytest

from bunny.dataset import coverage, gap
from bunny.dataset.coverage import AlikePair
from bunny.view import tile
from bunny.view.report import coverage_text

ROW = {"character": "anna", "axis": "pose", "value": "left-profile", "subject_id": "s"}
ROW |= {"num_pictures": 0, "num_wanted": 7, "num_seen": 3, "num_dropped": 3}
ROW |= {"shot_index": 12, "timestamp_s": 41.2, "reason": "filtered", "detail": "blurred"}
ROW |= {"setting": "filtering.blur_threshold"}
FILLED = ("shot_index", "timestamp_s", "reason", "detail", "setting", "subject_id")
NOBODY = dict.fromkeys(FILLED) | {"num_dropped": 0}
DOUBTFUL = {"reason": "doubtful", "detail": "confidence 0.52, dataset.min_confidence is 0.6"}
SMALL = {"reason": "small", "detail": "enlarged 3.1 times, dataset.max_upscale is 2"}
LATER = {"shot_index": 15, "timestamp_s": 70.0, "num_dropped": 4}
CREDIT = {"detail": "credit", "setting": "filtering.drop_kinds"}


def gaps(*rows: dict) -> pl.DataFrame:
    return pl.DataFrame([ROW | row for row in rows], schema=gap.SCHEMA)


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        (
            [{}],
            "No left profile (7 wanted): shot 12 (0:41) has 3, dropped as blurred. "
            "To add them, lower filtering.blur_threshold (3).",
        ),
        (
            [
                DOUBTFUL | {"num_pictures": 2, "setting": "dataset.min_confidence"},
                SMALL | LATER | {"num_pictures": 2, "setting": "dataset.max_upscale"},
            ],
            "Only 2 left profiles (7 wanted): shot 12 (0:41) has 3, dropped as doubtful "
            "(confidence 0.52 < 0.6); shot 15 (1:10) has 4, dropped as small (enlarged 3.1 times "
            "> 2). To add them, raise dataset.max_upscale (4) or lower "
            "dataset.min_confidence (3).",
        ),
        (
            [{"axis": "light", "value": "dark"} | NOBODY | {"num_seen": 0}],
            "No labelled picture shows anna in the dark.",
        ),
        (
            [
                {"axis": axis, "value": value} | NOBODY | {"num_seen": 0}
                for axis, value in (("pose", "left-profile"), ("place", "hall"), ("light", "dark"))
            ],
            "No labelled picture shows anna in a left profile, in hall or in the dark.",
        ),
        (
            [{"axis": "place", "value": "scene-001"} | NOBODY],
            "No setting would add more of anna: pictures in scene-001 (0 of 7 wanted).",
        ),
        (
            [{"axis": "pose and size", "value": "left, wide"} | CREDIT],
            "No left three-quarter view as a wide shot (7 wanted): shot 12 (0:41) has 3, dropped "
            "as credit. To add them, shorten filtering.drop_kinds (3).",
        ),
    ],
)
def test_gaps_in_words(rows, line):
    assert "\n".join(coverage_text.sentences(gaps(*rows))) == line


def test_shots_past_the_third_are_counted_together():
    rows = [{"shot_index": 12 + n} for n in range(6)]
    assert "; 9 more in other shots. To add them, lower filtering.blur_threshold (18)." in (
        "\n".join(coverage_text.sentences(gaps(*rows)))
    )


def test_gaps_past_the_limit_are_counted():
    rows = [{"axis": "place", "value": f"scene-{n:03d}"} for n in range(9)]
    lines = coverage_text.sentences(gaps(*rows), 2)
    assert len(lines) == 3 and lines[-1] == "And 7 more gaps of this kind."


def test_characters_are_named_where_there_are_several():
    lines = coverage_text.sentences(gaps({}, {"character": "ben"}))
    assert [line.split(":")[0] for line in lines] == ["anna", "ben"]


def test_nothing_missing():
    assert coverage_text.sentences(gaps()) == ["No gap was found."]


def test_every_value_has_words():
    for axis, values in coverage.VALUE.items():
        for value in values:
            row = {"axis": axis, "value": value}
            for one in (row, NOBODY | row | {"num_seen": 0}):
                assert coverage_text.sentences(gaps(one))


@pytest.fixture
def summary(table) -> coverage.Coverage:
    """Twelve frontal pictures of 8 shots in three places, two looks."""
    vector = np.eye(2)[np.arange(12) % 2]
    return coverage.summarise(table("dataset"), vector)


def test_verdict_in_words(summary):
    words = coverage_text.verdict(summary)
    assert words == (
        "12 pictures of bunny from 8 shots, as diverse as 2.0 completely different ones "
        "(Vendi score); 12 of 15 pose-size cells empty; largest place scene-001, 42 %."
    )
    bare = dataclasses.replace(summary, vendi=None, num_shots=1)
    assert coverage_text.verdict(bare).startswith("12 pictures of bunny from 1 shot; 12 of 15")


def test_advice_where_something_is_wrong(summary, table):
    texts = coverage_text.advice(summary)
    assert any("12 pictures closely resemble another one" in text for text in texts)
    assert any("held-out loss will look better than it is" in text for text in texts)
    one_place = table("dataset").with_columns(place=pl.lit("sea"))
    assert coverage_text.advice(coverage.summarise(one_place)) == [
        "All pictures are in one place: the model will learn that place along with the character."
    ]
    most = table("dataset").with_columns(
        place=pl.when(pl.col("shot_index") < 6).then(pl.lit("sea")).otherwise("place")
    )
    assert "are in sea: the model will learn" in coverage_text.advice(coverage.summarise(most))[0]


def test_numbers_are_one_row_a_character(summary):
    row = coverage_text.numbers([summary, dataclasses.replace(summary, character="x")])
    assert row["character"].to_list() == ["bunny", "x"]
    assert row["empty cells"].to_list() == ["12 of 15"] * 2
    assert coverage_text.numbers([]).is_empty()


def test_alike_pairs_are_two_tiles(summary, tmp_path):
    pair = AlikePair(
        one_id="a",
        other_id="b",
        one_file="d/a.png",
        other_file="d/b.png",
        distance=0.0321,
        relation="other shot",
    )
    tiles = tile.alike_pairs(tmp_path, [dataclasses.replace(summary, pairs=(pair,))])
    assert [t.title for t in tiles] == ["1a: distance 0.032", "1b: distance 0.032"]
    assert [t.file for t in tiles] == [tmp_path / "d" / "a.png", tmp_path / "d" / "b.png"]
    assert {t.tone for t in tiles} == {"bad"}


def test_views_that_would_fill_a_gap_are_shown_once(space, table):
    candidate, dataset = table("candidate"), table("dataset")
    found = gap.find_gaps(candidate, dataset)
    tiles = tile.gap_fillers(space.root, found, candidate, table("frame"), 5)
    assert len(tiles) == 5 and len({t.file for t in tiles}) == 5
    assert tiles[0].title == "left-profile" and tiles[0].box == (20.0, 8.0, 60.0, 48.0)
    assert tiles[0].note.endswith(": blurred") and tiles[0].file.exists()
    unstored = tile.gap_fillers(space.root, found, candidate, table("frame").clear(), 2)
    assert [t.file for t in unstored] == [None, None]
