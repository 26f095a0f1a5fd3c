"""Frames between the kept ones that are not searched, and why."""

import numpy as np
import polars as pl
import pytest
import table_row
from face_row import face_row

from bunny.character import search_effort
from bunny.character.label import ReferenceSet
from bunny.table import store

KEPT = (0, 48, 100, 148, 200, 248)  # two frames of each of three shots
SHOT = {index: index // 100 for index in KEPT}
BETWEEN = pl.DataFrame(
    [(0, 12), (0, 24), (1, 112), (1, 124), (2, 212), (2, 224)],
    schema=search_effort.SCHEMA,
    orient="row",
)
ANNA, BEN, NOBODY = np.eye(4, dtype=np.float32)[:3]
CAST = ReferenceSet(face={"anna": ANNA[None], "ben": BEN[None]}, drawn=frozenset(), num_pictured=0)


def _frames():
    return pl.DataFrame(
        {
            "frame_id": [f"f{index}" for index in KEPT],
            "frame_index": list(KEPT),
            "shot_index": list(SHOT.values()),
        },
        schema_overrides={"shot_index": pl.Int32},
    )


def _face(index, vector, size_px=112.0):
    more = {"pitch": 0.0, "sharpness": 500.0, "shot_index": SHOT[index]}
    return face_row(f"f{index}-f00", list(vector), side_px=size_px, frame_id=f"f{index}", **more)


def _change(levels_a_frame):
    """Table `change` of 300 frames that each differ by so many levels a pixel."""
    levels = round(levels_a_frame * search_effort.THUMBNAIL_PIXELS)
    number = range(300)
    change = {"frame_index": number, "timestamp_s": [i / 24 for i in number]}
    same = table_row.table("change", [{"luma_levels": levels, "contrast": 0.5, "brightness": 0.5}])
    return store.check("change", pl.DataFrame(change).join(same.drop(change), how="cross"))


def _skip(faces, *, change=1.0, between=BETWEEN, effort="balanced"):
    found = search_effort.FoundSoFar(
        shot=store.from_rows("shot", []),
        frame=_frames(),
        face=store.from_rows("face", faces),
        change=_change(change),
    )
    judged = search_effort.judge_tracks(found.face, found.frame, CAST)
    skipped = search_effort.skip_frames(between, found, judged, effort)
    return dict(skipped.select("frame_index", "reason").rows())


def _mixed(share):
    """Like Anna to `share`, else like nobody."""
    return ANNA * share + NOBODY * np.sqrt(1 - share**2)


def test_a_shot_without_a_face_is_not_searched():
    assert _skip([_face(0, _mixed(0.3)), _face(100, _mixed(0.3))]) == {
        212: "no-face",
        224: "no-face",
    }


@pytest.mark.parametrize(("share", "is_sure"), [(0.61, True), (0.59, False), (0.2, False)])
def test_who_is_surely_named_in_two_views_is_not_asked_for_again(share, is_sure):
    faces = [_face(index, _mixed(share)) for index in KEPT[:2]]
    found = _skip(faces, between=BETWEEN.head(2))
    assert found == ({12: "name-sure", 24: "name-sure"} if is_sure else {})


def test_one_view_is_not_enough_and_one_doubtful_face_keeps_the_shot():
    alone = BETWEEN.head(2)
    assert _skip([_face(0, ANNA)], between=alone) == {}
    sure = [_face(index, ANNA) for index in KEPT[:2]]
    other = _face(48, _mixed(0.3)) | {"face_id": "f48-f01", "x0_px": 500.0, "x1_px": 612.0}
    assert _skip([*sure, other], between=alone) == {}


@pytest.mark.parametrize(("size_px", "is_sure"), [(112.0, True), (20.0, False)])
def test_a_stranger_seen_clearly_is_nobody_and_one_far_away_is_in_doubt(size_px, is_sure):
    faces = [_face(index, NOBODY, size_px) for index in KEPT[:2]]
    assert bool(_skip(faces, between=BETWEEN.head(2))) is is_sure


def test_slow_movement_adds_up_until_a_frame_counts():
    faces = [_face(index, _mixed(0.3)) for index in KEPT]
    assert _skip(faces, change=0.01) == dict.fromkeys(BETWEEN["frame_index"].to_list(), "still")
    # 0.05 x 12 frames is below 1, 0.05 x 24 is above: the second of each shot is searched
    assert _skip(faces, change=0.05) == {12: "still", 112: "still", 212: "still"}


def test_many_frames_of_a_shot_are_thinned_evenly():
    many = pl.DataFrame({"shot_index": 0, "frame_index": range(49, 97)}).cast(search_effort.SCHEMA)
    found = _skip([_face(0, _mixed(0.3))], between=many, change=2.0)
    assert set(found.values()) == {"enough"}
    assert sorted(set(range(49, 97)) - set(found)) == list(range(52, 97, 4))


def test_thorough_skips_nothing_and_fast_everything():
    faces = [_face(0, ANNA), _face(48, ANNA)]
    assert _skip(faces, effort="thorough") == {}
    assert _skip(faces, effort="fast") == dict.fromkeys(BETWEEN["frame_index"].to_list(), "effort")


def test_shots_in_doubt_are_those_where_somebody_may_be_seen():
    faces = [
        *(_face(index, _mixed(0.3)) for index in KEPT[:2]),
        *(_face(index, _mixed(0.15)) for index in KEPT[2:4]),
        *(_face(index, _mixed(0.9)) for index in KEPT[4:]),
    ]
    found = store.from_rows("face", faces)
    assert search_effort.judge_tracks(found, _frames(), CAST).doubtful_shots == [0]
    assert search_effort.judge_tracks(found.clear(), _frames(), CAST).doubtful_shots == []
