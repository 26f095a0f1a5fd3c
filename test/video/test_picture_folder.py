"""Folders of pictures: order, reading, capture times, and what kind a folder is."""

import builtins
from datetime import datetime
from fractions import Fraction

import cv2
import numpy as np
import pytest
from PIL import Image

from bunny.core.config import ExtractionConfig
from bunny.core.error import UserError
from bunny.video import decode, extra_frame, picture_folder, probe
from bunny.video.decode import Tally
from bunny.video.frame_selection import select_frames
from bunny.video.selection_event import SelectedFrame, ShotEnd


def _texture(seed, width=160, height=96):
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 10, 3), np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def _photographs(folder, count=10, name="IMG_{:04d}.jpg"):
    """Pictures of different things, numbered as a camera does."""
    return _write(folder, [_texture(seed) for seed in range(count)], name)


def _rendered(folder, count=10, name="{:04d}.png"):
    """A picture that drifts by a pixel a frame."""
    wide = _texture(1, width=160 + count)
    return _write(folder, [wide[:, i : i + 160] for i in range(count)], name)


def _write(folder, pictures, name):
    folder.mkdir(exist_ok=True)
    paths = [folder / name.format(number) for number in range(1, len(pictures) + 1)]
    for path, picture in zip(paths, pictures, strict=True):
        cv2.imwrite(str(path), picture)
    return paths


def test_pictures_are_listed_in_natural_order(tmp_path):
    for name in ("b10.png", "b9.png", "a2.PNG", "B1.png", "b9.txt", "c.HEIC", "c.avif"):
        (tmp_path / name).write_bytes(b"x")
    names = [p.name for p in picture_folder.list_pictures(tmp_path)]
    assert names == ["a2.PNG", "B1.png", "b9.png", "b10.png", "c.avif", "c.HEIC"]


def test_rendered_frames_are_a_sequence_and_photographs_are_not(tmp_path):
    assert picture_folder.tell_kind(_rendered(tmp_path / "frames")) == "sequence"
    assert picture_folder.tell_kind(_photographs(tmp_path / "photos")) == "pictures"


@pytest.mark.parametrize("why", ["gap", "name", "size", "few"])
def test_a_sequence_has_no_gap_no_other_name_and_one_size(tmp_path, why):
    paths = _rendered(tmp_path / "frames", 7 if why == "few" else 10)
    if why == "gap":
        paths[4].unlink()
    if why == "name":
        paths[4].rename(tmp_path / "frames" / "frame 0005.png")
    if why == "size":
        cv2.imwrite(str(paths[4]), _texture(1, width=80))
    listed = picture_folder.list_pictures(tmp_path / "frames")
    assert picture_folder.tell_kind(listed) == "pictures"


def test_a_sequence_has_three_alike_neighbours_of_four(tmp_path):
    """Of 12 pairs 3 may differ: 3 cuts are a film, and 4 are not."""
    for cuts, kind in ((3, "sequence"), (4, "pictures")):
        pictures = [_texture(min(number, cuts)) for number in range(13)]
        paths = _write(tmp_path / str(cuts), pictures, "{:02d}.png")
        assert picture_folder.tell_kind(paths) == kind


def test_a_damaged_frame_makes_no_other_kind(tmp_path):
    paths = _rendered(tmp_path / "frames", 20)
    paths[3].write_bytes(b"damaged")
    assert picture_folder.tell_kind(paths) == "sequence"


def test_the_setting_wins_over_what_a_folder_looks_like(tmp_path):
    _photographs(tmp_path / "photos")
    info = probe.probe(tmp_path / "photos", folder="sequence")
    assert (info.decoder, info.rate) == ("sequence", Fraction(24))
    info = probe.probe(tmp_path / "photos")
    assert (info.decoder, info.rate, info.time_base) == ("pictures", Fraction(1), Fraction(1))


def _half_and_half():
    """Blue on the left, red on the right; BGR, 8 x 4."""
    picture = np.zeros((4, 8, 3), np.uint8)
    picture[:, :4, 0] = picture[:, 4:, 2] = 255
    return picture


@pytest.mark.parametrize("suffix", ["png", "tiff", "jpg", "webp", "avif", "heic"])
def test_a_picture_is_turned_as_its_exif_says(tmp_path, suffix):
    if suffix == "heic":
        pytest.importorskip("pillow_heif").register_heif_opener()
    large = cv2.resize(_half_and_half(), (128, 64), interpolation=cv2.INTER_NEAREST)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise: left becomes top
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(large[..., ::-1]).save(path, exif=exif.tobytes())
    found = picture_folder.read_picture(path)
    assert found.shape == (128, 64, 3)
    assert found[16, 32].argmax() == 0 and found[112, 32].argmax() == 2
    assert found[16, 32].max() > 200 and found[112, 32].max() > 200


def test_what_is_transparent_in_avif_shows_black(tmp_path):
    picture = np.zeros((64, 64, 4), np.uint8)
    picture[...] = (250, 250, 250, 255)
    picture[:32, :, 3] = 0
    Image.fromarray(picture).save(tmp_path / "a.avif")
    found = picture_folder.read_picture(tmp_path / "a.avif")
    assert found[8, 8].max() < 10 and found[56, 8].min() > 240


def test_heic_without_its_package_is_one_sentence(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name == "pillow_heif":
            raise ImportError(name)
        return real(name, *rest)

    (tmp_path / "a.heic").write_bytes(b"x")
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r"diffusion-bunny\[heic\]"):
        picture_folder.read_picture(tmp_path / "a.heic")


@pytest.mark.parametrize("name", ["a.heic", "a.avif", "a.jpg", "a.png"])
def test_a_damaged_picture_is_none(tmp_path, name):
    (tmp_path / name).write_bytes(b"no picture at all")
    assert picture_folder.read_picture(tmp_path / name) is None
    assert picture_folder.read_capture_time(tmp_path / name) is None


@pytest.mark.parametrize(
    ("tags", "time"),
    [
        ({0x9003: "2024:05:17 10:20:30"}, datetime(2024, 5, 17, 10, 20, 30)),
        ({0x9003: "2024:05:17 10:20:30", 0x9291: "25"}, datetime(2024, 5, 17, 10, 20, 30, 250_000)),
        (
            {0x9004: "2001:01:02 03:04:05", 0x9003: "0000:00:00 00:00:00"},
            datetime(2001, 1, 2, 3, 4, 5),
        ),
        ({0x9003: "yesterday"}, None),
        ({}, None),
    ],
)
def test_capture_time_is_that_of_the_exif(tmp_path, tags, time):
    exif = Image.Exif()
    exif[0x0132] = "2030:01:01 00:00:00"  # the file's last change
    exif.get_ifd(0x8769).update(tags)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg", exif=exif)
    assert picture_folder.read_capture_time(tmp_path / "a.jpg") == time


def _select(info, tally, restart=None):
    events = list(select_frames(info, ExtractionConfig(), tally, restart=restart))
    taken = [event for event in events if isinstance(event, SelectedFrame)]
    return taken, [event for event in events if isinstance(event, ShotEnd)]


def test_each_picture_is_taken_as_a_shot_of_its_own(tmp_path):
    paths = _photographs(tmp_path / "photos", 5)
    cv2.imwrite(str(paths[1]), _texture(1, width=48, height=200))
    paths[3].write_bytes(b"damaged")
    tally = Tally()
    taken, ends = _select(probe.probe(tmp_path / "photos"), tally)
    assert [one.frame.index for one in taken] == [0, 1, 2, 3, 4]
    assert [one.frame.source_file for one in taken] == [p.name for p in paths]
    assert [one.frame.error is None for one in taken] == [True, True, True, False, True]
    assert taken[1].frame.raw.shape == (200, 48, 3)
    spans = [(end.found.first_frame_index, end.found.end_frame_index) for end in ends]
    assert spans == [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]
    assert [end.start_pts for end in ends] == [0, 1, 2, 3, 4]
    assert [end.found.transition_in for end in ends] == ["start", *["cut"] * 4]
    assert (tally.num_decoded, tally.num_failed, tally.end_pts) == (4, 1, 5)


def test_reading_goes_on_where_it_stopped(tmp_path):
    _photographs(tmp_path / "photos", 5)
    info = probe.probe(tmp_path / "photos")
    _, ends = _select(info, Tally())
    tally = Tally()
    taken, again = _select(info, tally, restart=ends[2].restart)
    assert [one.frame.index for one in taken] == [3, 4]
    assert [end.start_pts for end in again] == [3, 4]
    assert (tally.num_decoded, tally.start_pts, tally.end_pts) == (5, 0, 5)
    assert ends[4].restart is None


def test_bars_of_a_still_are_cut_off_whatever_its_size(tmp_path):
    bright = [_texture(number, width=160, height=96) // 2 + 100 for number in range(2)]
    still = np.zeros((240, 320, 3), np.uint8)
    still[40:200] = _texture(9, width=320, height=160) // 2 + 100
    _write(tmp_path / "stills", [*bright, still], "{}.png")
    taken, _ = _select(probe.probe(tmp_path / "stills"), Tally())
    assert [one.crop for one in taken[:2]] == [(0, 0, 160, 96)] * 2
    assert taken[2].crop == (0, 40, 320, 200)


def test_pictures_are_read_again_by_their_place(tmp_path):
    paths = _photographs(tmp_path / "photos", 5, name="{}.png")
    paths[1].write_bytes(b"damaged")
    info = probe.probe(tmp_path / "photos")
    found = list(
        extra_frame.read_pictures(info, {1: None, 3: (10, 20, 50, 60)}, ExtractionConfig())
    )
    assert [one.frame.index for one in found] == [1, 3]
    assert found[0].picture is None and "2.png" in found[0].error
    assert np.array_equal(found[1].picture, _texture(3)[20:60, 10:50])


def test_only_wanted_pictures_are_opened(tmp_path):
    paths = _photographs(tmp_path / "photos", 4)
    info, tally = probe.probe(tmp_path / "photos"), Tally()
    for path in (paths[0], paths[1], paths[3]):
        path.write_bytes(b"damaged")
    found = list(decode.read_pictures(info, tally, {2}))
    assert [one.index for one in found] == [2]
    assert (tally.num_decoded, tally.num_failed) == (1, 0)
