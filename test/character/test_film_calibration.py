"""What a film teaches about its own faces."""

import numpy as np
import polars as pl
import pytest
from face_row import face_row

from bunny.character import calibrate, film_calibration, label, track
from bunny.core.config import DetectionConfig
from bunny.table import store

PEOPLE = np.eye(8, dtype=np.float32)
FRAME = pl.DataFrame(
    {"frame_id": [f"f{i:02d}" for i in range(12)], "frame_index": range(0, 120, 10)}
)


def _film(num_frames=12):
    """In each frame, a shot of its own, two of six people; together they are alike by 0.2."""
    rows = []
    for i in range(num_frames):
        for number, who in enumerate((i % 6, (i + 1) % 6)):
            vector = np.sqrt(0.8) * PEOPLE[who] + np.sqrt(0.2) * PEOPLE[7]
            names = {"frame_id": f"f{i:02d}", "shot_index": i}
            rows.append(face_row(f"f{i:02d}-{number}", vector, x_px=300.0 * number, **names))
    return track.link_tracks(store.from_rows("face", rows), FRAME, "film")


def _study(reference, num_frames=12, **options):
    face, tracks = _film(num_frames)
    return film_calibration.fit(
        face, tracks, reference, **{"threshold": 0.4, "is_adapted": True, **options}
    )


def test_strangers_of_frames_and_references_are_counted():
    """12 pairs at 0.2; 24 tracks against two people: 0.894 to themselves, 0 to the other."""
    found = _study({"anna": PEOPLE[:1], "ben": PEOPLE[1:2]})
    assert found.pair.height == 12 and found.pair["similarity"].to_list() == pytest.approx(
        [0.2] * 12
    )
    assert found.estimate.num_different == 12 + 24
    assert found.estimate.threshold == pytest.approx(12 * 0.2 / 36)
    row = film_calibration.to_row(found, 0.4)
    store.from_rows("calibration", [row])
    assert row["source"] == "film" and not row["is_adapted"] and "not adapted" in row["note"]
    assert row["threshold"] == pytest.approx(0.4 - calibrate.MAX_STEP)  # 36/86 of -0.333, bounded


def test_a_fixed_threshold_holds_and_what_was_found_is_still_told():
    row = film_calibration.to_row(_study({"anna": PEOPLE[:1]}), 0.4, is_fixed=True)
    assert (row["threshold"], row["source"]) == (0.4, "settings")
    assert "strangers in this film reach" in row["note"]


def test_nothing_known_leaves_the_setting():
    assert film_calibration.threshold(None, 0.37) == 0.37
    row = film_calibration.to_row(_study({}, num_frames=3), 0.37)
    assert (row["threshold"], row["source"], row["num_different"]) == (0.37, "settings", 3)


def test_no_face():
    face, tracks = track.link_tracks(store.from_rows("face", []), FRAME, "film")
    found = film_calibration.fit(face, tracks, {"a": PEOPLE[:1]}, threshold=0.4, is_adapted=True)
    assert found.pair.height == 0 and film_calibration.to_row(found, 0.4)["threshold"] == 0.4


def test_labels_follow_the_films_threshold_unless_it_is_fixed():
    """At 0.38 a face is named where the film lowers the threshold from 0.4 to 0.32."""
    face, tracks = _film()
    reference = np.sqrt(0.1444) * PEOPLE[0] + np.sqrt(1 - 0.1444) * PEOPLE[6]
    cast = label.ReferenceSet(
        face={"anna": reference[None] / np.linalg.norm(reference)},
        drawn=frozenset(),
        num_pictured=1,
    )
    region = store.from_rows("region", [])
    named = {}
    for calibration in ("film", "fixed"):
        setting = DetectionConfig(
            similarity_threshold=0.36, min_margin=0.0, calibration=calibration, is_adapted=False
        )
        learned = label.calibrate_film(face, tracks, cast, setting)
        rows = label.decide(face, tracks, region, cast, setting, learned)
        named[calibration] = sum(row["character"] == "anna" for row in rows)
        assert label.calibration_row(setting, learned)["threshold"] == pytest.approx(
            label.face_threshold(setting, learned)
        )
    assert named == {"film": 4, "fixed": 0}  # similarity 0.38 x 0.894 = 0.340; the film says 0.28
