"""Every odd or broken film gives a right result or one sentence, soon, and no damaged table."""

import time

import pytest

from bunny import workspace
from bunny.config import Config
from bunny.error import UserError
from bunny.stage.extract import Extract
from bunny.stage.filter import Filter
from bunny.table import store

MOST_SECONDS = 60  # on a busy machine; each takes one or two

REFUSED = {
    "01": "0 bytes",
    "02": "nothing that FFmpeg can open",
    "03": "found a text",
    "05": "without its index",
    "09": "only audio",
    "28": "still picture",
}
# What the file's name promises: columns of the table film, and shots where they are known.
FILM = {
    "04": {"num_frames": 127, "num_frames_promised": 275},
    "06": {"num_frames": 300},
    "07": {"num_frames": 1},
    "08": {"num_frames": 3},
    "10": {"width_px": 360, "height_px": 640, "rotation_deg": 90},
    "11": {"num_frames": 140, "start_s": 9998 / 11988},
    "12": {"width_px": 333, "height_px": 187, "pixel_format": "yuv444p"},
    "13": {"codec": "hevc", "pixel_format": "yuv420p10le"},
    "14": {"is_interlaced": True, "codec": "mpeg2video"},
    "15": {"codec": "mjpeg", "num_frames": 120},
    "16": {"width_px": 1280, "height_px": 360, "sample_aspect_ratio": "2:1"},
    "17": {"num_frames": 275},
    "18": {"num_frames": 125},
    "19": {"width_px": 640, "height_px": 800},
    "20": {"start_s": 46082 / 11988},
    "21": {"width_px": 720, "height_px": 528},
    "22": {"codec": "mpeg4"},
    "23": {"num_frames": 275},
    "24": {"frame_rate_num": 30000, "frame_rate_den": 1001, "num_frames": 150},
    "25": {"container": "gif", "num_frames": 17},
    "26": {"width_px": 360, "height_px": 640},
    "27": {"width_px": 28, "height_px": 16},
    "29": {"start_s": 300024 / 12288},
}
HAMILTON = [0, 20, 82, 211]
FIRST_FRAMES = {
    "04": [0, 20, 82],
    "07": [0],
    "08": [0],
    "10": HAMILTON,
    "18": [0],
    "19": [0],
    "20": HAMILTON,
    "23": HAMILTON,
}
NOTE = {
    "04": "the container promises 275 frames, 127 were decoded",
    "14": "interlaced",
    "17": "frames are damaged",
}


def _path(material, number):
    return next((material / "malformed").glob(f"{number}*"))


def _run(tmp_path, film):
    space = workspace.create(tmp_path, "data", film, None)
    for kind in (Extract, Filter):
        kind(Config(), space.root, space.root).execute()
    return space, {
        name: store.check(name, store.read(space.table, name))
        for name in ("film", "shot", "frame", "measure", "quality")
    }


def test_every_file_has_an_expected_outcome(material):
    numbers = {p.name[:2] for p in (material / "malformed").iterdir()}
    assert numbers == REFUSED.keys() | FILM.keys()


@pytest.mark.parametrize("number", sorted(REFUSED))
def test_what_is_no_film_is_refused_in_one_sentence(tmp_path, material, number):
    path = _path(material, number)
    with pytest.raises(UserError) as caught:
        _run(tmp_path, path)
    text = str(caught.value)
    assert REFUSED[number] in text
    assert text.startswith(f"{path}: expected") and "\n" not in text and len(text) < 400
    assert not list(tmp_path.rglob("*.parquet"))


@pytest.mark.parametrize("number", sorted(FILM))
def test_what_is_a_film_gives_whole_tables(tmp_path, material, number):
    started = time.monotonic()
    space, tables = _run(tmp_path, _path(material, number))
    assert time.monotonic() - started < MOST_SECONDS
    film, shot, frame = (tables[name] for name in ("film", "shot", "frame"))
    found = film.row(0, named=True)
    for column, value in FILM[number].items():
        assert found[column] == pytest.approx(value) if isinstance(value, float) else (
            found[column] == value
        ), column  # fmt: skip
    assert NOTE.get(number, "") in (found["note"] or "")
    firsts, ends = shot["first_frame_index"].to_list(), shot["end_frame_index"].to_list()
    assert firsts[0] == 0 and firsts[1:] == ends[:-1] and ends[-1] == found["num_frames"]
    assert firsts == FIRST_FRAMES.get(number, firsts)
    assert frame.height > 0 and frame["error"].null_count() == frame.height
    assert all((space.root / file).stat().st_size > 0 for file in frame["file"])
    for row in frame.iter_rows(named=True):  # bars are cut off
        assert row["width_px"] == row["crop_x1_px"] - row["crop_x0_px"] <= found["width_px"]
        assert row["height_px"] == row["crop_y1_px"] - row["crop_y0_px"] <= found["height_px"]
    times = frame["timestamp_s"].to_list()
    assert times == sorted(times) and times[0] >= found["start_s"]
    assert times[-1] <= found["start_s"] + found["duration_s"]
    assert tables["quality"]["frame_id"].to_list() == frame["frame_id"].to_list()
    assert shot["start_s"][0] == pytest.approx(found["start_s"])


def test_a_folder_without_pictures_and_a_missing_film_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="without pictures"):
        _run(tmp_path, tmp_path / "empty")
    with pytest.raises(UserError, match="no such file"):
        _run(tmp_path, tmp_path / "none.mp4")
