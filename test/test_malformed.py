"""Every odd or broken film gives a right result or one sentence, soon, and no damaged table.

Films are made by `odd_film`, so what is in them is known to the frame; those of the folder of real
films beside the checkout are looked at too where it is there.
"""

import time

import cv2
import odd_film
import pytest

from bunny.core import workspace
from bunny.core.config import Config
from bunny.core.error import UserError
from bunny.stage.extract import Extract
from bunny.stage.filter import Filter
from bunny.table import store
from bunny.video import probe

MOST_SECONDS = 60  # on a busy machine; each takes one or two

MADE_REFUSED = {
    "zero bytes.mp4": "0 bytes",
    "random bytes.mp4": "a file that FFmpeg cannot open",
    "text.mp4": "found a text",
    "index cut off.mp4": "without its index (moov atom)",
    "audio only.mp4": "only audio",
    "still picture.mp4": "a still picture",
    "noise.mp4": "cannot be decoded",
}
ANY = object()
USUAL = {
    "width_px": odd_film.WIDTH,
    "height_px": odd_film.HEIGHT,
    "num_frames": odd_film.NUM_FRAMES,
    "frame_rate_num": 24,
    "frame_rate_den": 1,
    "start_s": 0.0,
    "rotation_deg": 0,
    "sample_aspect_ratio": "1:1",
    "is_interlaced": False,
    "has_audio": False,
    "decoder": "pyav",
    "note": None,
}
UPRIGHT = {"width_px": 64, "height_px": 96}
# Where the table film differs from `USUAL`.
MADE_FILM = {
    "cut off.mp4": {
        "num_frames": 40,
        "num_frames_promised": 64,
        "note": "the container announces 64 frames, but 40 were decoded",
    },
    "promises more.avi": {
        "num_frames_promised": 640,
        "note": "the container announces 640 frames, but 64 were decoded",
    },
    "bits flipped.mp4": {"num_frames": ANY, "num_frames_promised": 64, "note": ANY},
    "one frame.mp4": {"num_frames": 1},
    "three frames.mp4": {"num_frames": 3},
    "one keyframe.mp4": {},
    "black.mp4": {},
    "photo.mp4": {},
    "variable rate.mp4": {
        "start_s": 1.0,
        "frame_rate_num": 768,
        "frame_rate_den": 47,
    },  # 64 / (94 / 24)
    "starts late.mp4": {"start_s": 3.0},
    "starts between.mp4": {"start_s": 24.01},
    "ntsc.mp4": {"frame_rate_num": 30000, "frame_rate_den": 1001},
    "rotated.mp4": {**UPRIGHT, "rotation_deg": 90},
    "portrait.mp4": UPRIGHT,
    "tiny.mp4": {"width_px": 28, "height_px": 16},
    "odd size.mp4": {"width_px": 95, "height_px": 63, "pixel_format": "yuv444p"},
    "ten bits.mp4": {"codec": "hevc", "pixel_format": "yuv420p10le"},
    "interlaced.mpg": {
        "codec": "mpeg2video",
        "is_interlaced": True,
        "start_s": ANY,  # the muxer's choice
        "note": "interlaced; combed frames were deinterlaced",
    },
    "anamorphic.mp4": {"width_px": 192, "sample_aspect_ratio": "2:1"},
    "motion jpeg.avi": {"codec": "mjpeg", "container": "avi"},
    "nom de fichier é 日本 (1) [x].avi": {"codec": "mpeg4", "container": "avi"},
    "no extension": {"codec": "h264", "container": "mov,mp4,m4a,3gp,3g2,mj2"},
    "animated.gif": {"container": "gif", "num_frames": 17, "frame_rate_num": 10},
    "two streams.mkv": {"stream_index": 1},
    "with sound.mp4": {"has_audio": True, "codec": "h264"},
    "cut at 158.webm": {"num_frames": odd_film.WEBM_CUT + 26, "codec": "vp8"},
    "av1.mp4": {"num_frames_promised": 64, "codec": "av1"},
    "live.mkv": {"num_frames_promised": None},
}
MADE_FIRST_FRAMES = {
    "cut off.mp4": [0, 20],
    "one frame.mp4": [0],
    "three frames.mp4": [0],
    "black.mp4": [0],
    "photo.mp4": [0],
    "animated.gif": [0],
    "cut at 158.webm": [0, odd_film.WEBM_CUT],
}
NO_NUMBER = ("black.mp4", "photo.mp4", "tiny.mp4")
UNDO = {
    "rotated.mp4": lambda shown: cv2.rotate(shown, cv2.ROTATE_90_CLOCKWISE),
    "anamorphic.mp4": lambda shown: cv2.resize(shown, (odd_film.WIDTH, odd_film.HEIGHT)),
}
# Of the folder beside the checkout.
REFUSED = {
    "01": "0 bytes",
    "02": "a file that FFmpeg cannot open",
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
    "04": "the container announces 275 frames, but 127 were decoded",
    "14": "interlaced",
    "17": "frames are damaged",
}


def _path(material, number):
    return next((material / "malformed").glob(f"{number}*"))


def _run(tmp_path, film, **settings):
    space = workspace.create(tmp_path, "data", film, None)
    for kind in (Extract, Filter):
        kind(Config.model_validate(settings), space.root, space.root).execute()
    return space, {
        name: store.check(name, store.read(space.table, name))
        for name in ("film", "shot", "frame", "measure", "quality")
    }


def _check_refused(tmp_path, path, words):
    with pytest.raises(UserError) as caught:
        _run(tmp_path, path)
    text = str(caught.value)
    assert words in text
    assert text.startswith(f"{path}: expected") and "\n" not in text and len(text) < 400
    assert not list(tmp_path.rglob("*.parquet"))


def _check_whole(tmp_path, path):
    """Run both stages in time; tables hold together. Gives the workspace and the tables."""
    started = time.monotonic()
    space, tables = _run(tmp_path, path)
    assert time.monotonic() - started < MOST_SECONDS
    shot, frame = tables["shot"], tables["frame"]
    found = tables["film"].row(0, named=True)
    firsts, ends = shot["first_frame_index"].to_list(), shot["end_frame_index"].to_list()
    assert firsts[0] == 0 and firsts[1:] == ends[:-1] and ends[-1] == found["num_frames"]
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
    return space, tables


def test_every_made_film_has_an_expected_outcome():
    assert odd_film.MAKE.keys() == MADE_REFUSED.keys() | MADE_FILM.keys()


@pytest.mark.parametrize("name", MADE_REFUSED)
def test_what_is_made_as_no_film_is_refused_in_one_sentence(tmp_path, name):
    _check_refused(tmp_path, odd_film.make(name, tmp_path), MADE_REFUSED[name])


@pytest.mark.parametrize("name", MADE_FILM)
def test_an_odd_film_gives_the_tables_of_what_was_put_into_it(tmp_path, name):
    path = odd_film.make(name, tmp_path)
    space, tables = _check_whole(tmp_path, path)
    film, shot, frame = (tables[name] for name in ("film", "shot", "frame"))
    found = film.row(0, named=True)
    wanted = {**USUAL, **MADE_FILM[name]}
    unlike = {
        column: (value, found[column])
        for column, value in wanted.items()
        if value is not ANY and found[column] != value
    }
    assert not unlike
    firsts = MADE_FIRST_FRAMES.get(name, list(odd_film.SHOTS))
    tick = 0.0006 if path.suffix in (".mkv", ".webm") or name == "starts between.mp4" else 1e-6
    start_s = found["start_s"]
    starts = [start_s + odd_film.seconds(name, index) for index in firsts]
    assert shot["start_s"].to_list() == pytest.approx(starts, abs=tick)
    end = found["duration_s"] + start_s
    assert shot["end_s"].to_list() == pytest.approx([*starts[1:], end], abs=tick)
    if name == "bits flipped.mp4":
        return
    assert shot["first_frame_index"].to_list() == firsts
    indices = frame["frame_index"].to_list()
    times = [start_s + odd_film.seconds(name, index) for index in indices]
    assert frame["timestamp_s"].to_list() == pytest.approx(times, abs=tick)
    if name not in NO_NUMBER:
        assert [_number(space.root / file, name) for file in frame["file"]] == [
            index % odd_film.NUM_NUMBERS for index in indices
        ]


def _number(picture, name):
    """The number that was drawn into a frame, read from the picture that was kept."""
    shown = cv2.imread(str(picture))
    return odd_film.read_number(UNDO.get(name, lambda same: same)(shown))


def test_flipped_bits_cost_some_frames_and_move_no_other(tmp_path):
    """Frames outside the keyframe's group that was hit show at their own times what they show."""
    space, tables = _run(tmp_path, odd_film.make("bits flipped.mp4", tmp_path))
    first, end = odd_film.DAMAGED
    (film,) = tables["film"].iter_rows(named=True)
    assert 64 - (end - first) <= film["num_frames"] <= 64
    assert "frames are damaged" in film["note"]
    seen = {
        round(row["timestamp_s"] * 24): _number(space.root / row["file"], "")
        for row in tables["frame"].iter_rows(named=True)
    }
    whole = {at: number for at, number in seen.items() if not first <= at < odd_film.MENDED}
    assert len(whole) >= 4 and max(whole) > 50
    assert all(at == number for at, number in whole.items())


@pytest.mark.parametrize(("name", "is_kept"), [("photo.mp4", True), ("black.mp4", False)])
def test_a_shot_that_is_one_picture_gives_it_once(tmp_path, name, is_kept):
    lenient = {"blur_threshold": 0.1}  # a photograph of 96 px counts as soft
    _, tables = _run(tmp_path, odd_film.make(name, tmp_path), filtering=lenient)
    assert tables["shot"]["kind"].to_list() == ["static"]
    assert tables["frame"]["reason"].to_list() == ["shot-median"]
    assert tables["quality"]["is_kept"].to_list() == [is_kept]


def test_opencv_promises_no_negative_number_of_frames(tmp_path):
    path = odd_film.make("live.mkv", tmp_path)
    assert cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FRAME_COUNT) < 0
    info = probe.probe(path, decoder="opencv")
    assert (info.decoder, info.num_frames_promised, info.width_px) == ("opencv", None, 96)


def test_what_opencv_opens_and_cannot_decode_is_refused(tmp_path):
    path = odd_film.make("noise.mp4", tmp_path)
    assert cv2.VideoCapture(str(path)).isOpened()
    with pytest.raises(UserError, match="expected a film, found a file that OpenCV cannot open"):
        probe.probe(path, decoder="opencv")


@pytest.mark.parametrize("number", sorted(REFUSED))
def test_what_is_no_film_is_refused_in_one_sentence(tmp_path, material, number):
    _check_refused(tmp_path, _path(material, number), REFUSED[number])


def test_every_file_has_an_expected_outcome(material):
    numbers = {p.name[:2] for p in (material / "malformed").iterdir()}
    assert numbers == REFUSED.keys() | FILM.keys()


@pytest.mark.parametrize("number", sorted(FILM))
def test_what_is_a_film_gives_whole_tables(tmp_path, material, number):
    _, tables = _check_whole(tmp_path, _path(material, number))
    found = tables["film"].row(0, named=True)
    for column, value in FILM[number].items():
        assert (
            found[column] == pytest.approx(value)
            if isinstance(value, float)
            else (found[column] == value)
        ), column
    assert NOTE.get(number, "") in (found["note"] or "")
    firsts = tables["shot"]["first_frame_index"].to_list()
    assert firsts == FIRST_FRAMES.get(number, firsts)


def test_a_folder_without_pictures_and_a_missing_film_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="without pictures"):
        _run(tmp_path, tmp_path / "empty")
    with pytest.raises(UserError, match="no such file"):
        _run(tmp_path, tmp_path / "none.mp4")
