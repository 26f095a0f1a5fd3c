"""From measures to names; nothing here reads a pixel."""

import dataclasses

import numpy as np
import polars as pl
import pytest
import table_row
from face_row import face_row

from bunny.character import label, track
from bunny.character.drawn import ccip, figure_label
from bunny.core.config import DetectionConfig
from bunny.table import store

ANNA, BEN, CARL = np.eye(3, dtype=np.float32)
SETTING = DetectionConfig(similarity_threshold=0.4, calibration="fixed", is_adapted=False)
FRAME = pl.DataFrame({"frame_id": ["f0", "f1"], "frame_index": [0, 10]})
CAST = label.ReferenceSet(
    face={"anna": ANNA[None], "ben": BEN[None]}, drawn=frozenset({"toon"}), num_pictured=3
)


def _mixed(cosine):
    """A face with this cosine to Anna and none to Ben."""
    return cosine * ANNA + np.sqrt(1 - cosine**2) * CARL


def _face(face_id, vector, x=0.0):
    return face_row(face_id, vector, x_px=x, side_px=40.0, sharpness=100.0)


def _region(frame_id, candidate, support, margin=0.2):
    ids = {"region_id": f"{frame_id}-{candidate}", "frame_id": frame_id, "candidate": candidate}
    own = {"similarity": support, "support": support, "margin": margin, "model": "m"}
    return table_row.fill("region", **ids, **own, **table_row.box(0.0, 0.0, 100.0, 100.0))


def _names(faces, regions=(), cast=CAST, setting=SETTING):
    face = store.from_rows("face", faces)
    face, tracks = track.link_tracks(face, FRAME, "film")
    region = store.from_rows("region", regions)
    rows = label.decide(face, tracks, region, cast, setting)
    store.from_rows("label", rows)  # keeps the schema
    return {row["subject_id"]: row["character"] for row in rows}


def test_tracks_have_numbers_frames_and_a_best_face():
    faces = [_face("f1a", ANNA), {**_face("f0a", ANNA), "yaw": 0.9}, _face("f0b", BEN, x=200)]
    face, rows = track.link_tracks(store.from_rows("face", faces), FRAME, "film")
    ids = dict(face.select("face_id", "track_id").iter_rows())
    assert ids == {"f0a": "film-t00000", "f1a": "film-t00000", "f0b": "film-t00001"}
    anna = rows[0]
    assert (anna["first_frame_index"], anna["last_frame_index"], anna["num_faces"]) == (0, 10, 2)
    assert anna["best_face_id"] == "f1a"
    assert store.from_rows("track", rows).height == 2


@pytest.mark.parametrize(("threshold", "num_strangers"), [(0.3, 0), (0.5, 1)])
def test_who_is_no_character_at_the_threshold_that_is_set_is_a_stranger(threshold, num_strangers):
    """Of one character, a face like her by 0.4: below the threshold she is somebody else."""
    face, tracks = track.link_tracks(
        store.from_rows("face", [_face("f0a", _mixed(0.4))]), FRAME, "f"
    )
    cast = dataclasses.replace(CAST, face={"anna": ANNA[None]})
    setting = SETTING.model_copy(update={"similarity_threshold": threshold})
    learned = label.calibrate_film(face, tracks, cast, setting)
    assert learned.estimate.num_different == num_strangers


def test_no_face_is_no_track():
    face, rows = track.link_tracks(store.from_rows("face", []), FRAME, "film")
    assert face.height == 0 and rows == []


def test_a_track_carries_its_faces():
    weak = _mixed(0.35)  # alone below 0.4; with the clear view of the same track above
    assert _names([_face("f0a", weak)]) == {"f0a": None}
    assert _names([_face("f0a", weak), _face("f1a", _mixed(0.9))]) == {"f0a": "anna", "f1a": "anna"}


def test_two_faces_of_a_frame_are_two_people():
    faces = [_face("f0a", _mixed(0.9)), _face("f0b", _mixed(0.6), x=300)]
    assert _names(faces) == {"f0a": "anna", "f0b": None}


def test_a_face_named_by_another_of_the_film_says_so():
    """0.3 to the reference is too little; 0.94 to a surely named track elsewhere is enough."""
    sure = {**_face("f0a", _mixed(0.6)), "size_px": 112.0}
    weak = {**_face("f1a", _mixed(0.3)), "size_px": 112.0, "shot_index": 1}
    face, tracks = track.link_tracks(store.from_rows("face", [sure, weak]), FRAME, "film")
    rows = label.decide(face, tracks, store.from_rows("region", []), CAST, SETTING)
    store.from_rows("label", rows)
    assert [(row["character"], row["source"]) for row in rows] == [
        ("anna", "reference"),
        ("anna", "cluster"),
    ]
    assert rows[1]["distance"] == pytest.approx(0.7)  # still to the reference


def test_no_references_leave_everybody_unknown():
    nobody = label.ReferenceSet(face={}, drawn=frozenset(), num_pictured=0)
    assert _names([_face("f0a", ANNA)], cast=nobody) == {"f0a": None}


def test_a_region_is_named_only_for_characters_looked_for_by_look():
    regions = [_region("f0", "toon", 0.45), _region("f0", "anna", 0.9), _region("f1", "toon", 0.44)]
    assert _names([], regions) == {"f0-toon": "toon"}


@pytest.mark.parametrize(
    ("cosine", "support", "x", "named"),
    [(0.3, 0.6, 0, True), (0.19, 0.6, 0, False), (0.3, 0.44, 0, False), (0.3, 0.6, 300, False)],
)
def test_a_second_witness_helps_a_face_that_leans_the_same_way(cosine, support, x, named):
    found = _names([_face("f0a", _mixed(cosine), x=x)], [_region("f0", "anna", support)])
    assert found["f0a"] == ("anna" if named else None)


def test_a_witness_names_nobody_twice_in_a_frame():
    faces = [_face("f0a", _mixed(0.9), x=300), _face("f0b", _mixed(0.3))]
    assert _names(faces, [_region("f0", "anna", 0.6)])["f0b"] is None


def test_the_cast_is_read_from_the_references():
    def row(reference_id, route, vector=None, error=None):
        return {
            "reference_id": reference_id,
            "character": reference_id[0],
            "content_hash": "h",
            "route": route,
            "num_faces": 1,
            "face_embedding": vector,
            "error": error,
        }

    rows = [
        row("a/1", "face", ANNA),
        row("a/2", "face", BEN),
        row("b/1", "region"),
        row("c/1", "face", error="expected one face, found 2"),
    ]
    cast = label.read_reference_set(store.from_rows("reference", rows))
    assert set(cast.face) == {"a"} and cast.face["a"].shape == (2, 3)
    assert cast.drawn == {"b"} and cast.num_pictured == 2


def _label_rows(*regions, faces=(), cast=CAST, **setting):
    face, tracks = track.link_tracks(store.from_rows("face", list(faces)), FRAME, "film")
    table = store.from_rows("region", list(regions))
    rows = label.decide(face, tracks, table, cast, SETTING.model_copy(update=setting))
    return {row["subject_id"]: row for row in rows}


def test_the_row_of_a_region():
    """1 / (1 + exp(-2.92)): slope 14 around 0.42 for the support, 4 around 0.10 for the margin."""
    row = _label_rows({**_region("f0", "toon", 0.6), "similarity": 0.7})["f0-toon"]
    assert (row["subject_type"], row["character"], row["source"]) == ("region", "toon", "reference")
    assert (row["frame_id"], row["shot_index"], row["x0_px"], row["y1_px"]) == ("f0", 0, 0, 100)
    assert row["distance"] == pytest.approx(0.3) and row["margin"] == pytest.approx(0.2)
    assert row["confidence"] == pytest.approx(0.948828, abs=1e-5)


def test_without_a_rival_more_is_asked_and_no_margin_is_told():
    alone = dataclasses.replace(CAST, face={}, num_pictured=1)
    regions = [_region("f0", "toon", 0.57), _region("f1", "toon", 0.56)]
    rows = _label_rows(*regions, cast=alone)
    assert list(rows) == ["f0-toon"] and rows["f0-toon"]["margin"] is None
    table = store.from_rows("region", regions)
    assert label.figure_threshold(table, alone, SETTING) == pytest.approx(0.45 + 0.12)
    assert label.figure_threshold(table, CAST, SETTING) == 0.45


def test_what_ccip_compared_goes_by_its_own_threshold_and_weight():
    """1 / (1 + exp(-2.22)): as for windows, the centre at 0.47."""
    regions = [
        {**_region(f"f{i}", "toon", support), "model": ccip.NAME, "track_id": "t"}
        for i, support in enumerate((0.6, 0.55))
    ]
    table = store.from_rows("region", regions)
    assert label.figure_threshold(table, CAST, SETTING) == 0.5
    setting = SETTING.model_copy(update={"ccip_threshold": 0.6})
    assert label.figure_threshold(table, CAST, setting) == 0.6
    rows = _label_rows(*regions, ccip_threshold=0.6)
    assert list(rows) == ["f0-toon"]
    assert rows["f0-toon"]["confidence"] == pytest.approx(0.902025, abs=1e-5)
    assert len(_label_rows(*regions, ccip_threshold=0.55)) == 2


def test_where_ccip_names_somebody_the_built_in_search_is_not_heard():
    """In f0 of the same character, in f1 of the same place; in f2 it is alone, on f3 elsewhere."""

    def row(frame_id, candidate, model, x=0.0):
        sides = table_row.box(x, 0.0, x + 100.0, 100.0)
        ids = {"region_id": f"{frame_id}-{candidate}-{model}", "model": model}
        return {**_region(frame_id, candidate, 0.95), **ids, **sides}

    figure = figure_label.MODEL
    rows = [
        row("f0", "toon", ccip.NAME),
        row("f0", "toon", figure, x=500.0),
        row("f1", "toon", ccip.NAME),
        row("f1", "moon", figure, x=50.0),
        row("f2", "toon", figure),
        row("f3", "toon", ccip.NAME),
        row("f3", "moon", figure, x=90.0),
        row("f3", "toon", "windows"),
    ]
    cast = dataclasses.replace(CAST, drawn=frozenset({"toon", "moon"}), num_figures=2)
    found = _label_rows(*rows, cast=cast)
    assert list(found) == [
        "f3-toon-windows",
        *(f"f{number}-toon-ccip" for number in (0, 1, 3)),
        f"f2-toon-{figure}",
        f"f3-moon-{figure}",
    ]
    by_ccip, by_window = found["f3-toon-ccip"], found["f3-toon-windows"]
    assert by_ccip["confidence"] < by_window["confidence"]  # centres at 0.47 and 0.42


def test_drawn_figures_go_by_their_own_threshold():
    def figure(frame_id, support):
        return {**_region(frame_id, "toon", support), "model": figure_label.MODEL}

    regions = [figure("f0", 0.95), figure("f1", 0.87)]
    two = dataclasses.replace(CAST, num_figures=2)
    assert list(_label_rows(*regions, cast=two)) == ["f0-toon", "f1-toon"]
    assert list(_label_rows(*regions, cast=two, figure_score=0.9)) == ["f0-toon"]
    assert _label_rows(*regions, cast=two, figure_presence=0.96) == {}


def test_windows_are_voted_on_and_drawn_figures_keep_their_support():
    """Seen in one of two frames: half of 0.6, and half of its mean over the shot, 0.3."""
    regions = [
        {**_region("f0", "anna", 0.9), "model": figure_label.MODEL},
        {**_region("f0", "toon", 0.6, margin=0.10), "support": 0.0},
        {**_region("f1", "ben", 0.6, margin=0.09), "support": 0.0},
    ]
    num_frames = pl.DataFrame({"shot_index": [0], "num_frames": [2]})
    table = store.from_rows("region", regions)
    voted = label.vote(table, num_frames, SETTING)
    assert voted["candidate"].to_list() == ["toon", "ben", "anna"]  # figures last
    assert voted["support"].to_list() == pytest.approx([0.45, 0.0, 0.9])
    assert voted.columns == table.columns
    wide = SETTING.model_copy(update={"drawn_margin": 0.05})
    assert label.vote(table, num_frames, wide)["support"][1] == pytest.approx(0.45)


def test_what_ccip_compared_is_voted_on_by_track():
    rows = [
        {
            **_region("f0", "toon", 0.0),
            "similarity": similarity,
            "model": ccip.NAME,
            "track_id": "t",
        }
        for similarity in (0.4, 0.8)
    ]
    table = store.from_rows("region", [{**row, "region_id": str(i)} for i, row in enumerate(rows)])
    num_frames = pl.DataFrame({"shot_index": [0], "num_frames": [2]})
    voted = label.vote(table, num_frames, SETTING)
    assert voted["support"].to_list() == pytest.approx([0.5, 0.7])


def test_a_witness_says_how_sure_it_is():
    """As the row of a region with support 0.6; the first of two faces has the name."""
    faces = [_face("f0a", _mixed(0.3)), _face("f0b", _mixed(0.31), x=50)]
    found = _label_rows(_region("f0", "anna", 0.6), faces=faces)
    assert found["f0a"]["character"] == "anna" and found["f0b"]["character"] is None
    assert found["f0a"]["confidence"] == pytest.approx(0.948828, abs=1e-5)
    assert found["f0a"]["distance"] == pytest.approx(0.7)


@pytest.mark.parametrize(("to_ben", "named"), [(0.19, "anna"), (0.21, None)])
def test_a_witness_needs_a_face_that_leans_clearly(to_ben, named):
    vector = 0.3 * ANNA + to_ben * BEN + np.sqrt(1 - 0.09 - to_ben**2) * CARL
    found = _names([_face("f0a", vector)], [_region("f0", "anna", 0.6)])
    assert found["f0a"] == named
