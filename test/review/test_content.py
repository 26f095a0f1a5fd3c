"""Which of today's items an anchor stands for, when ids, cuts and boxes are others."""

import pytest

from bunny.review.anchor import AssetIndex, iou
from bunny.review.event_log import AssetAnchor


def test_a_shot_is_known_by_its_time_though_its_id_is_anothers(shots):
    content = AssetIndex(shots)
    anchor = AssetAnchor(start_s=2.0, end_s=3.0, asset_id="film-s00005")  # the hint is wrong
    assert content.match("scene", anchor) == (2,)


def test_a_shot_answers_when_half_of_it_is_covered(shots):
    content = AssetIndex(shots)
    assert content.match("scene", AssetAnchor(start_s=0.5, end_s=2.4)) == (0, 1)
    assert content.match("scene", AssetAnchor(start_s=0.51, end_s=1.49)) == ()


def test_both_halves_of_a_shot_that_was_cut_anew_answer(lib):
    halves = [lib.shot_row(0, None) | {"end_s": 0.4}, lib.shot_row(1, None) | {"start_s": 0.4}]
    assert AssetIndex(lib.table(halves)).match("scene", AssetAnchor(start_s=0.0, end_s=2.0)) == (
        0,
        1,
    )


@pytest.mark.parametrize("jitter", [0.0, 0.02, 0.05])
def test_a_figure_is_known_by_its_place_when_detected_again(lib, figures, jitter):
    old = AssetIndex(figures)
    again = AssetIndex(
        lib.table(
            [lib.figure_row(f"new-{side}", 1, side, None, jitter) for side in ("right", "left")]
        )
    )
    left = again.row["new-left"]
    assert again.match("character", old.anchor(old.row["film-t1"])) == (left,)
    assert again.match("scene", old.anchor(old.row["film-t1"])) == ()


def test_a_figure_that_is_not_there_any_more_is_lost(lib, figures):
    old = AssetIndex(figures)
    again = AssetIndex(
        lib.table([lib.figure_row("new", 1, "right", None), lib.figure_row("far", 7, "left", None)])
    )
    assert again.match("character", old.anchor(old.row["film-t1"])) == ()


def test_both_parts_of_a_broken_track_answer(lib, figures):
    anchor = AssetIndex(figures).anchor(0)
    row = lib.figure_row("a", 0, "left", None)
    first = row | {"boxes": row["boxes"][:5], "end_s": 0.2}
    rest = row | {"asset_id": "b", "boxes": row["boxes"][5:], "start_s": 0.45}
    assert AssetIndex(lib.table([first, rest])).match("character", anchor) == (0, 1)


def test_anchor_keeps_first_middle_and_last_view(figures):
    anchor = AssetIndex(figures).anchor(0)
    assert [box[0] for box in anchor.boxes] == [0.1, 0.5, 0.9]
    assert anchor.boxes[0][1:] == (0.1, 0.2, 0.3, 0.6)
    assert (anchor.start_s, anchor.end_s) == (0.1, 0.94)


def test_iou_by_hand():
    assert iou((0, 0, 2, 2), (0, 0, 2, 1)) == 0.5
    assert iou((0, 0, 1, 1), (1, 0, 2, 1)) == 0
