import polars as pl
import pytest
import table_row
from face_row import face_row

from bunny.table import store
from bunny.view.widget import track_table

BOX = {"x0_px": 0.0, "y0_px": 0.0, "x1_px": 30.0, "y1_px": 40.0}


def face(face_id, track_id, frame, *, size=40.0, score=0.9):
    own = {"track_id": track_id, "score": score, "sharpness": 100.0, "x1_px": 30.0}
    return face_row(face_id, [1.0, 0.0], side_px=size, frame_id=frame, **own)


def region(region_id, candidate, frame, shot=0, track_id=None):
    ids = {"region_id": region_id, "frame_id": frame, "candidate": candidate}
    own = {"shot_index": shot, "track_id": track_id, "similarity": 0.5, "margin": 0.2}
    return table_row.fill("region", BOX, model="net", **ids, **own)


def decided(*rows):
    """Rows of (subject, character, similarity, slack)."""
    number = dict.fromkeys(("similarity", "margin", "confidence", "slack"), pl.Float32)
    rows = [(*row[:3], 0.1, 0.8, row[3]) for row in rows]
    schema = {"subject_id": pl.String, "character": pl.String} | number
    return pl.DataFrame(rows, schema=schema, orient="row")


@pytest.fixture
def subject():
    """Track t0 of two faces, t1 of one, a bunny in two shots; frame c has no picture."""
    faces = [face("a-f0", "t0", "a"), face("c-f0", "t0", "c", size=90.0), face("b-f0", "t1", "b")]
    regions = [region("a-r0", "bunny", "a"), region("b-r0", "bunny", "b", shot=1)]
    frame = pl.DataFrame(
        {"frame_id": ["a", "b", "c"], "timestamp_s": [1.0, 2.0, 3.0], "file": ["a", "b", None]}
    )
    tables = (store.from_rows("face", faces), store.from_rows("region", regions))
    return track_table.list_subjects(*tables, frame, {"t0": "anna"})


DECIDED = decided(
    ("a-f0", "anna", 0.5, 0.1),
    ("c-f0", "anna", 0.5, 0.1),
    ("b-f0", None, 0.38, -0.02),
    ("a-r0", "bunny", 0.6, 0.15),
    ("b-r0", None, 0.1, -0.35),
)


def test_the_best_view_has_a_picture(subject):
    """The largest face of t0 is in a frame whose picture is not stored."""
    (track,) = track_table.describe(subject, DECIDED).filter(track_id="t0").to_dicts()
    assert (track["subject_id"], track["file"], track["nearest"]) == ("a-f0", "a", "anna")
    assert (track["num_pictures"], track["num_named"], track["size_px"]) == (2, 2, 90.0)
    assert (track["start_s"], track["end_s"]) == (1.0, 3.0)


def test_a_figure_is_a_track_in_each_shot(subject):
    tracks = track_table.describe(subject, DECIDED)
    figures = tracks.filter(kind="figure").select("track_id", "character", "nearest")
    assert sorted(figures.rows()) == [
        ("shot 0 bunny", "bunny", "bunny"),
        ("shot 1 bunny", None, "bunny"),
    ]


def test_figures_that_were_followed_keep_their_track():
    empty = store.from_rows("face", [])
    rows = [region("a-r0", "bunny", "a", track_id="s0-0"), region("b-r0", "bunny", "b")]
    frame = pl.DataFrame({"frame_id": ["a", "b"], "timestamp_s": [1.0, 2.0], "file": ["a", "b"]})
    found = track_table.list_subjects(empty, store.from_rows("region", rows), frame, {})
    assert sorted(found["track_id"]) == ["s0-0 bunny", "shot 0 bunny"]


def test_doubt_is_nearness_to_the_threshold(subject):
    doubt = dict(track_table.describe(subject, DECIDED).select("track_id", "doubt").iter_rows())
    assert doubt["t1"] == pytest.approx(0.98)
    assert doubt["t0"] == pytest.approx(0.9)
    assert doubt["shot 1 bunny"] == pytest.approx(0.65)


def test_a_name_against_the_thresholds_is_all_doubt(subject):
    """Lost to a likelier face in the same frame; given by a second witness."""
    odd = decided(("a-f0", None, 0.8, 0.4), ("b-f0", "anna", 0.2, -0.2))
    assert track_table.describe(subject, odd)["doubt"].to_list() == [1.0, 1.0]


def test_exactly_at_the_threshold_is_no_contradiction(subject):
    """1 - distance of float32 may miss the threshold by 1e-8."""
    at = decided(("b-f0", "anna", 0.4, -3e-8))
    row = track_table.describe(subject, at).row(0, named=True)
    assert row["doubt"] == pytest.approx(1.0) and row["character"] == "anna"


def test_nobody_to_compare_with_has_no_doubt(subject):
    (track,) = track_table.describe(subject, decided(("b-f0", None, None, None))).to_dicts()
    assert track["slack"] is None and track["doubt"] is None


@pytest.mark.parametrize(
    ("name", "sort", "tracks"),
    [
        ("everybody", "doubt", ["t1", "t0", "shot 0 bunny"]),
        ("everybody", "time", ["shot 0 bunny", "t0", "t1"]),
        ("everybody", "size", ["t0", "shot 0 bunny", "t1"]),
        ("unknown", "doubt", ["t1"]),
        ("bunny", "doubt", ["shot 0 bunny"]),
        ("anna", "doubt", ["t0"]),
    ],
)
def test_who_is_shown_in_which_order(subject, name, sort, tracks):
    """A figure that misses its name by 0.35 is only a place that was compared."""
    found = track_table.select(track_table.describe(subject, DECIDED), name, sort)
    assert found["track_id"].to_list() == tracks


def test_just_missed_ones_are_shown_with_the_character(subject):
    near = DECIDED.with_columns(
        slack=pl.when(pl.col("subject_id") == "b-r0").then(-0.05).otherwise("slack")
    )
    found = track_table.select(track_table.describe(subject, near), "bunny")
    assert found["track_id"].to_list() == ["shot 1 bunny", "shot 0 bunny"]


def test_an_order_that_is_none(subject):
    with pytest.raises(ValueError, match="expected one of doubt, size, time, got 'mood'"):
        track_table.select(track_table.describe(subject, DECIDED), sort="mood")


def test_counts_by_hand(subject):
    assert track_table.count(subject, DECIDED) == {
        "anna": (2, 1, 1),
        "bunny": (1, 1, 1),
        "unknown": (1, 1, 1),
    }


def test_who_changes(subject):
    after = decided(
        ("a-f0", None, 0.5, -0.1),
        ("c-f0", None, 0.5, -0.1),
        ("b-f0", "ben", 0.38, 0.02),
        ("a-r0", "bird", 0.6, 0.1),
        ("b-r0", None, 0.1, -0.35),
    )
    found = track_table.changed(subject, DECIDED, after)
    assert found.select("track_id", "before", "after", "kind", "num_pictures").rows() == [
        ("t0", "anna", None, "loses", 2),
        ("shot 0 bunny", "bunny", "bird", "changes", 1),
        ("t1", None, "ben", "gains", 1),
    ]
    assert track_table.changed(subject, DECIDED, DECIDED).is_empty()


def test_the_picture_of_a_change_shows_who_changes(subject):
    """Of track t0 only the face without a picture loses its name."""
    after = DECIDED.with_columns(
        character=pl.when(pl.col("subject_id") == "c-f0").then(None).otherwise("character")
    )
    (row,) = track_table.changed(subject, DECIDED, after).to_dicts()
    assert (row["subject_id"], row["num_pictures"]) == ("c-f0", 1)
