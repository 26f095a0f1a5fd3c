"""Scores of the benchmark of drawn films, on labels made by hand."""

import json
import sys
from pathlib import Path

import polars as pl
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))
import drawn_score

sys.path.pop(0)

CLIP = drawn_score.Clip(name="a", path=Path("a.mp4"), shot_starts=(0, 10, 20, 30), style="cel")
MAX = drawn_score.Character(
    name="max", film="a", cut_from=(12, (0, 0, 5, 5)), must={"a": [0, 10, 20]}, may={"a": [30]}
)
EVA = drawn_score.Character(name="eva", film="b", must={"b": [0], "a": [30]})
TOM = drawn_score.Character(name="tom", film="c", must={"c": [0, 10]})


def tables(
    *said: tuple[int, str | None, float], box=(0, 0, 10, 10)
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Tables label and frame of (frame, character, confidence), all at one place."""
    label = pl.DataFrame(
        [(f"id-{index}", who, sure, *box) for index, who, sure in said],
        schema={"frame_id": pl.String, "character": pl.String, "confidence": pl.Float32}
        | dict.fromkeys(drawn_score.BOX, pl.Float32),
        orient="row",
    )
    frames = sorted({index for index, _, _ in said})
    ids = [f"id-{index}" for index in frames]
    frame = pl.DataFrame(
        {"frame_id": ids, "frame_index": frames},
        schema={"frame_id": pl.String, "frame_index": pl.Int64},
    )
    return label, frame


def outcomes(*said) -> dict[tuple[str, int], str]:
    """What became of each (character, shot)."""
    judged = drawn_score.judge(*tables(*said), CLIP, [MAX, EVA, TOM])
    columns = judged.select("character", "shot_start", "outcome")
    return {(who, start): outcome for who, start, outcome in columns.iter_rows()}


def test_right_missed_and_wrong_as_counted_by_hand():
    found = outcomes(
        (9, "max", 0.8),  # last frame of the first shot: right
        (10, "max", 0.9),  # his reference's own shot: does not count
        (31, "max", 0.9),  # may be there: does not count
        (5, "eva", 0.7),  # she is in the last shot only: wrong
        (25, "tom", 0.95),  # of another film: wrong
        (25, None, 0.5),  # unknown
    )
    assert found == {
        ("max", 0): "right",
        ("max", 20): "missed",
        ("max", 30): "may",
        ("eva", 0): "wrong",
        ("eva", 30): "missed",
        ("tom", 20): "wrong",
    }


def test_a_name_counts_once_a_shot_with_its_highest_confidence():
    judged = drawn_score.judge(
        *tables((1, "tom", 0.6), (2, "tom", 0.92), (8, "tom", 0.7)), CLIP, [TOM]
    )
    assert judged["confidence"].to_list() == [pytest.approx(0.92)]
    counted = drawn_score.count(judged, ["style"]).row(0, named=True)
    assert counted == {
        "style": "cel",
        "right": 0,
        "on_figure": None,
        "missed": 0,
        "wrong": 1,
        "wrong_sure": 1,
    }


def test_whoever_got_no_reference_is_neither_missed_nor_named():
    judged = drawn_score.judge(*tables((1, "max", 0.9)), CLIP, [TOM])
    assert judged.is_empty()


@pytest.mark.parametrize(("left", "is_on"), [(0.0, True), (5.0, True), (5.5, False), (90.0, False)])
def test_a_right_name_may_stand_on_somebody_else(left, is_on):
    label, frame = tables((1, "max", 0.8), (2, "max", 0.9))  # their middle is (5, 5)
    boxes = pl.DataFrame(
        [
            (1, "max", 0.0, 0.0, 10.0, 10.0),
            (2, "max", left, 0.0, left + 10, 10.0),
            (2, "eva", 0.0, 0.0, 10.0, 10.0),
        ],
        schema=["frame_index", "character", *drawn_score.BOX],
        orient="row",
    )
    judged = drawn_score.judge(label, frame, CLIP, [MAX], boxes).filter(outcome="right")
    assert judged["is_on_figure"].to_list() == [is_on]  # the surest label, in frame 2, decides
    assert drawn_score.count(judged, ["film"])["on_figure"].to_list() == [int(is_on)]
    cropped = frame.with_columns(crop_x0_px=pl.Series([None, 90]), crop_y0_px=pl.lit(0))
    judged = drawn_score.judge(label, cropped, CLIP, [MAX], boxes).filter(outcome="right")
    assert judged["is_on_figure"].to_list() == [left == 90.0]  # its middle is (95, 5)
    without = drawn_score.judge(label, frame, CLIP, [MAX]).filter(outcome="right")
    assert without["is_on_figure"].to_list() == [None]


def test_reliability_and_calibration_error_by_hand():
    rows = [
        ("right", 0.9),
        ("right", 0.92),
        ("wrong", 0.94),
        ("wrong", 0.5),
        ("missed", None),
        ("may", 0.99),
    ]
    judged = pl.DataFrame(
        [("a", "cel", "max", i, outcome, sure, None) for i, (outcome, sure) in enumerate(rows)],
        schema=drawn_score.JUDGED,
        orient="row",
    )
    bins = drawn_score.reliability(judged, (0.0, 0.5, 0.9, 1.0))
    assert bins.select("low", "high", "num_named").rows() == [(0.5, 0.9, 1), (0.9, 1.0, 3)]
    assert bins["confidence"].to_list() == pytest.approx([0.5, 0.92])
    assert bins["share_right"].to_list() == pytest.approx([0.0, 2 / 3])
    # (1 * |0.5 - 0| + 3 * |0.92 - 2/3|) / 4
    assert drawn_score.calibration_error(bins) == pytest.approx((0.5 + 3 * (0.92 - 2 / 3)) / 4)


def test_no_names_have_no_calibration_error():
    bins = drawn_score.reliability(pl.DataFrame(schema=drawn_score.JUDGED))
    assert bins.is_empty() and drawn_score.calibration_error(bins) is None


def test_truth_is_read_in_both_forms_of_reference(tmp_path):
    said = {
        "films": {"a": {"file": "a.mp4", "shot_starts": [0, 10]}},
        "characters": {
            "max": {
                "film": "a",
                "reference": {"frame": 3, "box": [1, 2, 3, 4]},
                "must": {"a": [10]},
                "may": {},
            },
            "eva": {"film": "a", "reference": {"files": ["a/1.png"]}, "must": {}, "may": {}},
        },
    }
    (tmp_path / "truth.json").write_text(json.dumps(said))
    (clip,), (first, second) = drawn_score.read_truth(tmp_path / "truth.json", tmp_path)
    assert clip.shot_of(9) == 0 and clip.shot_of(10) == 10 and clip.style == "film"
    assert first.cut_path == tmp_path / "a.mp4"
    assert first.cut_from == (3, (1, 2, 3, 4)) and first.own_shot(clip) == 0
    assert second.files == (tmp_path / "a/1.png",) and second.own_shot(clip) is None
