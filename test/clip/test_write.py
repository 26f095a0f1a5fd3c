"""Clips as files: exact frames, rate and size, read back; sound; crops that keep the character."""

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from bunny.clip import write
from bunny.clip.preset import ClipForm
from bunny.core import file_hash

FORM = ClipForm(fps=16.0, width_px=832, height_px=480)


def pictures(num=33, size=(128, 96)):
    """A bright block that moves by 2 pixels a frame over a grey ramp."""
    out = []
    for i in range(num):
        one = np.repeat(np.linspace(40, 180, size[0], dtype=np.uint8)[None], size[1], axis=0)
        one = np.stack([one] * 3, axis=-1).copy()
        one[20:50, 2 * i : 2 * i + 30] = (40, 90, 230)
        out.append(one)
    return out


def decode(path):
    with av.open(str(path)) as film:
        stream = film.streams.video[0]
        frames = list(film.decode(stream))
        return stream.average_rate, frames


@pytest.mark.parametrize("fps", [16.0, 24.0, 25.0, 23.976])
def test_a_clip_has_its_frames_rate_and_size(tmp_path, fps):
    path = tmp_path / "clip" / "one.mp4"
    assert write.write_clip(path, pictures(), fps, (128, 96)) == 33
    rate, frames = decode(path)
    assert float(rate) == pytest.approx(fps, abs=1e-3)
    assert len(frames) == 33 and frames[0].key_frame
    assert {(f.width, f.height, f.format.name) for f in frames} == {(128, 96, "yuv420p")}
    assert [f.time for f in frames] == pytest.approx([i / fps for i in range(33)], abs=1e-3)
    read = frames[10].to_ndarray(format="bgr24").astype(int)
    assert np.abs(read - pictures()[10]).mean() < 4
    assert [p.name for p in path.parent.iterdir()] == ["one.mp4"]


def test_the_same_pictures_give_the_same_bytes(tmp_path):
    """Whatever freed memory holds; x264's code for AVX-512 reads it with B-frames at this size."""
    size, rng, hashes = (192, 320), np.random.default_rng(0), set()
    wall = cv2.resize(rng.integers(0, 255, (40, 24, 3), np.uint8), size)
    turned = [
        cv2.warpAffine(wall, cv2.getRotationMatrix2D((96, 160), 3 * i, 1 + 0.03 * i), size)
        for i in range(17)
    ]
    for _ in range(5):
        junk = [rng.integers(0, 255, rng.integers(10_000, 900_000), np.uint8) for _ in range(60)]
        del junk[::2]
        write.write_clip(tmp_path / "one.mp4", turned, 16.0, size)
        hashes.add(file_hash.hash_file(tmp_path / "one.mp4"))
    assert len(hashes) == 1


def test_what_cannot_be_encoded_leaves_nothing(tmp_path):
    wrong = [*pictures(3), np.zeros((96, 131, 3), np.uint8)]

    def stop():
        yield from pictures(3)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write.write_clip(tmp_path / "one.mp4", stop(), 16.0, (128, 96))
    with pytest.raises(write.ClipError):
        write.write_clip(tmp_path / "one.mp4", wrong, 16.0, (130, 95))
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def film(tmp_path):
    """Three seconds with a tone that begins at 1 s."""
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=24)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = out.add_stream("pcm_s16le", rate=32_000, layout="mono")
        for i in range(72):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), i, np.uint8), "bgr24")
            frame.pts, frame.time_base = i, Fraction(1, 24)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        time = np.arange(96_000) / 32_000
        tone = np.where(time >= 1, np.sin(2 * np.pi * 440 * time), 0) * 12_000
        made = av.AudioFrame.from_ndarray(tone.astype(np.int16)[None], "s16", "mono")
        made.rate, made.pts, made.time_base = 32_000, 0, Fraction(1, 32_000)
        out.mux(audio.encode(made))
        out.mux(audio.encode(None))
    return path


def test_sound_is_cut_to_the_sample(film):
    """Half a second before the tone, half a second of it."""
    parts = list(write.read_sound(film, 0.5, 1.0))
    sound = np.concatenate([one.to_ndarray() for one in parts], axis=1)
    assert sound.shape == (2, 48_000)
    assert np.abs(sound[:, :23_900]).max() < 0.01 < 0.2 < np.abs(sound[:, 24_100:]).max()


def test_a_clip_with_sound_has_it_and_a_silent_film_has_none(film, tmp_path):
    target = tmp_path / "one.mp4"
    sound = write.read_sound(film, 0.5, 33 / 16)
    write.write_clip(target, pictures(), 16.0, (128, 96), sound)
    assert write.has_sound(film) and write.has_sound(target)
    with av.open(str(target)) as opened:
        stream = opened.streams.audio[0]
        length = sum(frame.samples for frame in opened.decode(stream)) / stream.rate
    assert length == pytest.approx(33 / 16, abs=0.05)
    silent = tmp_path / "silent.mp4"
    write.write_clip(silent, pictures(), 16.0, (128, 96))
    assert not write.has_sound(silent) and list(write.read_sound(silent, 0.0, 1.0)) == []
    assert not write.has_sound(tmp_path / "none.mp4")


@pytest.mark.parametrize("framing", ["whole", "subject"])
@pytest.mark.parametrize(
    "boxes",
    [[(900.0, 100.0, 1100.0, 500.0), (1000.0, 120.0, 1200.0, 520.0)], [(0.0, 0.0, 60.0, 90.0)], []],
)
def test_a_crop_keeps_the_character_in_the_picture(framing, boxes):
    crop = write.choose_crop((1280, 720), boxes, FORM, 1.5, framing)
    x0, y0, x1, y1 = crop.box
    assert 0 <= x0 < x1 <= 1280 and 0 <= y0 < y1 <= 720
    assert crop.size[0] % 32 == crop.size[1] % 32 == 0
    assert crop.size[0] * crop.size[1] <= FORM.area_px
    assert (x1 - x0) / (y1 - y0) == pytest.approx(crop.size[0] / crop.size[1], rel=0.03)
    assert crop.size[0] <= 1.5 * (x1 - x0) + 1
    for box in boxes:
        assert x0 <= box[0] and y0 <= box[1] and box[2] <= x1 and box[3] <= y1
    if framing == "subject" and boxes:
        assert x1 - x0 < 900


def test_the_whole_picture_loses_only_what_sides_of_32_cost():
    crop = write.choose_crop((1920, 1080), [(500.0, 200.0, 900.0, 900.0)], FORM, 1.0, "whole")
    assert crop.size == (832, 448)
    x0, y0, x1, y1 = crop.box
    assert (x1 - x0) * (y1 - y0) / (1920 * 1080) > 0.95


def test_pictures_are_cut_and_scaled():
    picture = np.zeros((100, 200, 3), np.uint8)
    picture[:, 100:] = 255
    crop = write.ClipCrop(box=(80, 0, 120, 40), size=(64, 64))
    made = write.fit(picture, crop)
    assert made.shape == (64, 64, 3)
    assert (made[:, :28] < 10).all() and (made[:, 36:] > 245).all()
