"""`bunny where` of a clip: by its id, by its file, by a copy of the file."""

import shutil

import pytest
import table_row

from bunny.command import where
from bunny.core import atomic, file_hash
from bunny.core.error import UserError
from bunny.table import store

from .conftest import FILM


@pytest.fixture
def clip(owl):
    """A clip of the second shot, from 1.6 s on."""
    path = owl.root / "clip" / "Owl" / "Owl-1.mp4"
    atomic.write_bytes(path, b"clip")
    row = table_row.fill(
        "clip",
        clip_id="Owl-1",
        character="Owl",
        shot_index=1,
        start_s=1.6,
        end_s=3.6,
        height_px=32,
        crop_x0_px=4,
        crop_y0_px=2,
        crop_x1_px=60,
        crop_y1_px=30,
        motion=1.0,
        coverage=1.0,
        also_shown=["Fox"],
        frame_indices=[40, 42],
        file="clip/Owl/Owl-1.mp4",
        caption="Owl flies",
        sha256=file_hash.hash_file(path),
    )
    store.write(owl.root / "table", "clip", store.from_rows("clip", [row]))
    return path


def test_a_clip_leads_back_to_its_film(owl, clip, tmp_path):
    copy = tmp_path / "renamed.mp4"
    shutil.copyfile(clip, copy)
    for what, how in (
        ("Owl-1", "by its clip_id"),
        (clip, "a clip in the film's folder"),
        (copy, "identical to a clip"),
    ):
        answer = where.where(str(what), data_dir=str(owl.data))
        [place] = answer.places
        assert answer.how == how
        assert (place["shot_index"], place["frame_index"], place["frame"]) == (1, 40, 40)
        assert (place["frame_id"], place["timecode"]) == (f"{FILM}-00000040", "00:00:01:15")
        assert (place["labels"], place["box"]) == (["Fox", "Owl"], [4, 2, 60, 30])
        said = "clip of Owl (train): clip/Owl/Owl-1.mp4, 1.600 to 3.600 s"
        assert said in answer.to_text() and "Owl flies" in answer.to_json()


def test_a_film_that_is_no_clip_is_refused(owl, clip, tmp_path):
    other = tmp_path / "other.mp4"
    other.write_bytes(b"another")
    with pytest.raises(UserError, match="expected a picture"):
        where.where(str(other), data_dir=str(owl.data))
