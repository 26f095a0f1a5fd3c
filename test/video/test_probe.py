"""What a film is, and what is refused, in one sentence."""

import struct
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from bunny.core.error import UserError
from bunny.video import probe


def _grey(height=48, width=64, num=3):
    return [np.full((height, width, 3), 90, np.uint8)] * num


def test_says_what_the_container_says(tmp_path, film_tools):
    path = film_tools.write(tmp_path / "a.mp4", _grey())
    info = probe.probe(path)
    assert (info.codec, info.pixel_format, info.decoder) == ("h264", "yuv420p", "pyav")
    assert (info.width_px, info.height_px, info.rate) == (64, 48, Fraction(24))
    assert (info.num_frames_promised, info.has_audio, info.rotation_deg) == (3, False, 0)


@pytest.mark.parametrize(
    ("aspect", "size"),
    [
        (Fraction(2), (128, 48)),
        (Fraction(1, 2), (64, 96)),
        (Fraction(2992, 2997), (64, 48)),  # a rounding, not a lens
    ],
)
def test_pixels_become_square_without_losing_any(tmp_path, film_tools, aspect, size):
    path = film_tools.write(tmp_path / "a.mp4", _grey(), aspect=aspect)
    info = probe.probe(path)
    assert (info.width_px, info.height_px) == size


@pytest.mark.parametrize(("rotation", "size"), [(90, (48, 64)), (180, (64, 48)), (270, (48, 64))])
def test_rotation_swaps_sides(tmp_path, film_tools, rotation, size):
    path = film_tools.write(tmp_path / "a.mp4", _grey(), rotation=rotation)
    info = probe.probe(path)
    assert (info.width_px, info.height_px, info.rotation_deg) == (*size, rotation)


def test_the_largest_stream_is_the_film(tmp_path):
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as out:
        streams = []
        for width in (32, 96):
            stream = out.add_stream("libx264", rate=24)
            stream.width, stream.height, stream.pix_fmt = width, 32, "yuv420p"
            streams.append(stream)
        for index in range(3):
            for stream in streams:
                frame = av.VideoFrame(stream.width, 32, "yuv420p")
                frame.pts, frame.time_base = index, Fraction(1, 24)
                out.mux(stream.encode(frame))
        for stream in streams:
            out.mux(stream.encode(None))
    info = probe.probe(path)
    assert (info.stream_index, info.width_px) == (1, 96)


@pytest.mark.parametrize(("codec", "suffix"), [("libsvtav1", "mp4"), ("libvpx-vp9", "webm")])
def test_other_codecs_open(tmp_path, film_tools, codec, suffix):
    path = film_tools.write(tmp_path / f"a.{suffix}", _grey(96, 128), codec=codec)
    assert probe.probe(path).width_px == 128


def test_names_with_a_colon_and_other_signs_open(tmp_path, film_tools):
    path = film_tools.write(tmp_path / "plain.mp4", _grey())
    odd = path.rename(tmp_path / "http: é 'x' %20 [1] #?.mp4")
    assert probe.probe(odd).codec == "h264"


def _write_audio(path):
    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", "stereo")
        frame.rate, frame.pts = 44100, 0
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def _write_index_lost(path, film_tools):
    film_tools.write(path, _grey(num=30))
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"moov") - 4])


def _write_encrypted(path, film_tools):
    """What a decoder without the key sees: the right index over noise."""
    film_tools.write(path, _grey(num=30))
    data = bytearray(path.read_bytes())
    at = data.index(b"mdat") + 4
    end = data.index(b"moov") - 4
    data[at:end] = np.random.default_rng(0).integers(0, 255, end - at, np.uint8).tobytes()
    path.write_bytes(data)


def _write_y4m(path, rate):
    frames = (b"FRAME\n" + bytes(16 * 16 * 3 // 2)) * 4
    path.write_bytes(f"YUV4MPEG2 W16 H16 {rate} Ip A1:1 C420\n".encode() + frames)


def _write_gif(path, side_px):
    """A small animation whose head promises another size."""
    first, second = (Image.new("L", (16, 16), light) for light in (0, 200))
    first.save(path, "GIF", save_all=True, append_images=[second])
    data = bytearray(path.read_bytes())
    data[6:10] = struct.pack("<HH", side_px, side_px)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p, t: p.write_bytes(b"It was a dark and stormy night.\n" * 50), "found a text"),
        (lambda p, t: p.write_bytes("Grüße, 日本\n".encode() * 1000), "found a text"),
        (lambda p, t: p.write_bytes(b"PK\x03\x04" + bytes(500)), "found a ZIP archive"),
        (lambda p, t: p.write_bytes(b""), "0 bytes"),
        (lambda p, t: p.write_bytes(np.random.default_rng(0).bytes(5000)), "a file that FFmpeg"),
        (
            lambda p, t: (
                cv2.imwrite(str(p.with_suffix(".png")), _grey()[0])
                and p.with_suffix(".png").rename(p)
            ),
            "picture",
        ),
        (lambda p, t: _write_audio(p), "only audio in it"),
        (_write_index_lost, "without its index (moov atom)"),
        (_write_encrypted, "cannot be decoded"),
        (lambda p, t: _write_y4m(p, "F1000000000:1"), "found 1e+09 where at most 10000"),
        (lambda p, t: _write_gif(p, 12000), "found 12000x12000 px where at most"),
    ],
    ids=[
        "text",
        "utf8",
        "zip",
        "empty",
        "random",
        "picture",
        "audio",
        "no-moov",
        "encrypted",
        "rate",
        "size",
    ],
)
def test_what_is_no_film_is_refused_in_one_sentence(tmp_path, film_tools, make, words):
    path = tmp_path / "x.mp4"
    make(path, film_tools)
    with pytest.raises(UserError) as caught:
        probe.probe(path)
    text = str(caught.value)
    assert words in text
    assert text.startswith(f"{path}: expected a film, found ") and ";" in text
    assert "\n" not in text and "Traceback" not in text


def test_a_folder_without_a_readable_picture_is_refused(tmp_path):
    (tmp_path / "1.png").write_bytes(b"x")
    with pytest.raises(UserError, match="without readable pictures"):
        probe.probe(tmp_path)


def test_shown_size_by_hand():
    assert probe.shown_size(720, 576, Fraction(16, 15), 0) == (768, 576)
    assert probe.shown_size(720, 576, Fraction(16, 15), 90) == (576, 768)
    assert probe.shown_size(720, 480, Fraction(8, 9), 0) == (720, 540)
