"""Places of people who were forgotten: kept without a name, painted over before detection."""

import numpy as np
import pytest

from bunny.character import forgotten
from bunny.character.forgotten import Forgetting, ForgottenTrack
from bunny.core.error import UserError

CROP = {"crop_x0_px": 0, "crop_y0_px": 40, "crop_x1_px": 200, "crop_y1_px": 140}
FRAME = {"timestamp_s": 1.0, "width_px": 100, "height_px": 50, **CROP}  # half size, bars cut off
TRACK = ForgottenTrack(start_s=0.0, end_s=2.0, boxes=((0.5, 20, 60, 40, 80), (1.5, 60, 60, 80, 80)))


def test_a_place_is_painted_where_the_person_is_at_that_time():
    image = np.arange(100 * 50 * 3, dtype=np.uint8).reshape(50, 100, 3)
    shown = forgotten.hide(image, FRAME, [TRACK])
    # at 1 s the box is 40 to 60 across, 60 to 80 down: with 15 % more 37 to 63, 57 to 83 of the
    # film, so 18 to 32, 8 to 22 of the picture
    changed = (shown != image).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert (columns.min(), columns.max() + 1, rows.min(), rows.max() + 1) == (18, 32, 8, 22)
    assert np.unique(shown[8:22, 18:32].reshape(-1, 3), axis=0).shape[0] == 1
    assert image[10, 20].tolist() != shown[10, 20].tolist()  # the picture that was given stays


def test_other_shots_and_pictures_without_anybody_are_the_same_object():
    image = np.zeros((50, 100, 3), np.uint8)
    assert forgotten.hide(image, FRAME | {"timestamp_s": 2.0}, [TRACK]) is image
    assert forgotten.hide(image, FRAME, []) is image
    assert forgotten.hide(None, FRAME, [TRACK]) is None


def test_a_place_beyond_the_edge_paints_what_is_inside():
    image = np.full((50, 100, 3), 9, np.uint8)
    image[0, 0] = 200
    outside = ForgottenTrack(start_s=0, end_s=2, boxes=((1.0, -50, 0, 10, 45),))
    shown = forgotten.hide(image, FRAME, [outside])
    assert shown.shape == image.shape and shown[0, 0, 0] == 9


def test_the_record_is_read_as_it_was_written(tmp_path):
    entry = Forgetting(
        at="2026-11-23T12:00:00+00:00", by="Mia", note="7", counts={"faces": 2}, tracks=(TRACK,)
    )
    forgotten.append(tmp_path, entry)
    assert forgotten.read(tmp_path) == [entry]
    assert forgotten.settings(tmp_path)["forgotten"][0]["boxes"][0] == (0.5, 20, 60, 40, 80)
    assert forgotten.settings(tmp_path / "other") == {}
    (tmp_path / forgotten.FILE).write_text('{"at": "now", "tracks": [{"boxes": [[1, 2]]}]}\n')
    with pytest.raises(UserError, match="line 1: expected a record that `bunny forget` wrote"):
        forgotten.read(tmp_path)
