"""Containers, codecs and folders of pictures: each frame's content is known and comes out."""

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from bunny.core.error import UserError
from bunny.video import decode, letterbox, probe
from bunny.video import frame as video_frame
from bunny.video.decode import Tally

LEVELS = [40, 80, 120, 160, 200, 60, 100, 140]  # grey of each frame
FAST = {
    "libx264": {"g": "4"},
    "libx265": {"x265-params": "log-level=none", "preset": "ultrafast"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
    "libsvtav1": {"preset": "12"},
}
PIXELS = {"prores_ks": "yuv422p10le", "mjpeg": "yuvj420p", "gif": "rgb8", "huffyuv": "yuv422p"}


def _write(path, codec, levels=LEVELS, *, size=(128, 96), mux=None, options=None):
    pix_fmt = PIXELS.get(codec, "yuv420p")
    with av.open(str(path), "w", options=mux or {}) as out:
        stream = out.add_stream(codec, rate=24, options=options or FAST.get(codec, {}))
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        stream.codec_context.thread_count = 1
        for index, level in enumerate(levels):
            image = np.full((size[1], size[0], 3), level, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pix_fmt)
            frame.pts, frame.time_base = index, Fraction(1, 24)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def _levels(info, tally=None):
    frames = decode.iterate_frames(info, tally)
    return np.array([int(np.median(video_frame.to_bgr(frame, info))) for frame in frames])


@pytest.mark.parametrize(
    ("container", "codecs"),
    [
        ("mp4", "libx264 libx265 libsvtav1 libvpx-vp9 mpeg2video mpeg4 mjpeg"),
        ("mov", "libx264 libx265 mpeg2video mpeg4 prores_ks mjpeg"),
        ("mkv", "libx264 libx265 libsvtav1 libvpx-vp9 mpeg2video mpeg4 prores_ks mjpeg ffv1"),
        ("avi", "libx264 mpeg2video mpeg4 mjpeg huffyuv wmv2"),
        ("webm", "libsvtav1 libvpx-vp9 libvpx"),
        ("mpg", "mpeg1video mpeg2video"),
        ("vob", "mpeg2video"),
        ("ts", "libx264 libx265 mpeg2video"),
        ("m2ts", "libx264"),
        ("mxf", "mpeg2video prores_ks"),
        ("flv", "libx264"),
        ("wmv", "wmv2"),
        ("gif", "gif"),
    ],
)
def test_every_frame_of_every_kind_comes_out(tmp_path, container, codecs):
    for codec in codecs.split():
        path = _write(tmp_path / f"{codec}.{container}", codec)
        info, tally = probe.probe(path), Tally()
        found = _levels(info, tally)
        assert info.decoder == "pyav" and (info.width_px, info.height_px) == (128, 96), codec
        tolerance = 20 if codec == "gif" else 5  # GIF is made with 256 fixed colours
        assert len(found) == len(LEVELS), codec
        assert np.abs(found - LEVELS).max() <= tolerance, codec
        assert tally.num_failed == tally.num_damaged == 0, codec


def _write_streams(path, sizes):
    with av.open(str(path), "w") as out:
        streams = []
        for width, height in sizes:
            stream = out.add_stream("libx264", rate=24)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            streams.append(stream)
        for index in range(3):
            for number, stream in enumerate(streams):
                image = np.full((stream.height, stream.width, 3), 60 + 40 * number, np.uint8)
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                frame.pts, frame.time_base = index, Fraction(1, 24)
                out.mux(stream.encode(frame.reformat(format="yuv420p")))
        for stream in streams:
            out.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.ts"])
def test_a_stream_is_chosen_by_size_or_index(tmp_path, name):
    path = _write_streams(tmp_path / name, [(64, 48), (128, 96), (96, 64)])
    assert (probe.probe(path).stream_index, probe.probe(path).width_px) == (1, 128)
    info = probe.probe(path, stream_index=2)
    assert (info.stream_index, info.width_px, info.height_px) == (2, 96, 64)
    assert np.abs(_levels(info) - 140).max() <= 3


def test_a_wrong_stream_is_refused_with_those_there_are(tmp_path):
    path = _write_streams(tmp_path / "a.mkv", [(64, 48), (128, 96)])
    with pytest.raises(UserError) as caught:
        probe.probe(path, stream_index=7)
    assert "stream 7" in str(caught.value) and "0 (64x48), 1 (128x96)" in str(caught.value)


@pytest.mark.parametrize("codec", ["huffyuv", "wmv2", "gif"])
def test_a_codec_that_the_container_cannot_name_is_refused(tmp_path, codec):
    path = _write(tmp_path / "a.mpg", codec)  # muxed, and nobody can tell what it is
    with pytest.raises(UserError, match="expected a film, found"):
        probe.probe(path)


def test_an_encrypted_mp4_is_refused_as_such(tmp_path):
    key = {
        "encryption_scheme": "cenc-aes-ctr",
        "encryption_key": "76a6c65c5ea762046bd749a2e632ccbb",
        "encryption_kid": "a7e61c373e219033c21091fa607bf3b8",
    }
    path = _write(tmp_path / "a.mp4", "libx264", mux=key)
    with pytest.raises(UserError, match="encrypted"):
        probe.probe(path)


def test_a_film_that_promises_more_gives_what_it_has(tmp_path):
    noise = list(np.random.default_rng(0).integers(20, 230, 60))
    mux = {"movflags": "faststart"}  # the index comes first, and outlives the cut
    path = _write(tmp_path / "whole.mp4", "mjpeg", noise, mux=mux)
    data = path.read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(data[: data.index(b"mdat") + (len(data) - data.index(b"mdat")) // 2])
    info, tally = probe.probe(cut), Tally()
    found = _levels(info, tally)
    assert info.num_frames_promised == 60 and 25 <= len(found) <= 31
    whole = len(found) - tally.num_damaged
    assert np.abs(found[:whole] - noise[:whole]).max() <= 5


@pytest.mark.parametrize("is_mirrored", [False, True])
@pytest.mark.parametrize("turn", [0, 90, 180, 270])
@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
def test_mirrored_and_turned_films_are_shown_as_players_do(tmp_path, name, turn, is_mirrored):
    one = 1 << 16
    cos, sin = [(1, 0), (0, -1), (-1, 0), (0, 1)][turn // 90]  # counter-clockwise, y downward
    matrix = [cos * one, sin * one, 0, -sin * one, cos * one, 0, 0, 0, 1 << 30]
    if is_mirrored:
        matrix[0], matrix[1] = -matrix[0], -matrix[1]
    image = np.full((64, 96, 3), 40, np.uint8)
    image[:32, :48], image[:32, 48:] = 220, 130  # top left and top right
    with av.open(str(tmp_path / name), "w") as out:
        stream = out.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.set_display_matrix(matrix)
        frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
        frame.pts, frame.time_base = 0, Fraction(1, 24)
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    info = probe.probe(tmp_path / name)
    assert (info.rotation_deg, info.is_mirrored) == (turn, is_mirrored)
    shown = video_frame.to_bgr(next(decode.iterate_frames(info)), info)
    wanted = np.rot90(image[:, ::-1] if is_mirrored else image, turn // 90)
    assert shown.shape == wanted.shape == (info.height_px, info.width_px, 3)
    assert np.abs(shown.astype(int) - wanted).mean() < 4


def _folder(tmp_path, pictures):
    for name, image in pictures.items():
        assert cv2.imwrite(str(tmp_path / name), image)
    info, tally = probe.probe(tmp_path, folder="sequence"), Tally()
    return info, tally, list(decode.iterate_frames(info, tally))


def test_gaps_in_the_numbering_are_closed(tmp_path):
    images = {f"f{n:03d}.png": np.full((8, 8, 3), n, np.uint8) for n in (1, 2, 7, 100)}
    _, _, frames = _folder(tmp_path, images)
    assert [(f.index, f.pts, int(f.raw[0, 0, 0])) for f in frames] == [
        (0, 0, 1),
        (1, 1, 2),
        (2, 2, 7),
        (3, 3, 100),
    ]


def test_pictures_of_other_sizes_are_whole_frames(tmp_path):
    shapes = {"1.png": (60, 80, 3), "2.png": (80, 60, 3), "3.png": (20, 31, 3)}
    images = {name: np.full(shape, 90, np.uint8) for name, shape in shapes.items()}
    info, tally, frames = _folder(tmp_path, images)
    assert (info.width_px, info.height_px, tally.num_decoded) == (80, 60, 3)
    for frame, shape in zip(frames, shapes.values(), strict=True):
        assert video_frame.thumb(frame, info).shape == (36, 64, 3)
        assert video_frame.luma(frame).shape == shape[:2]
        assert letterbox.content_vote(video_frame.luma(frame)) == (0, 0, shape[1], shape[0])
        cropped = video_frame.to_bgr(frame, info, crop=(10, 0, 70, 60))
        assert cropped.shape == ((60, 60, 3) if shape == (60, 80, 3) else shape)


def test_sixteen_bits_are_rounded(tmp_path):
    codes = np.array([0, 128, 129, 257 * 100 + 128, 257 * 100 + 129, 65535], np.uint16)
    image = np.repeat(codes[None, :, None], 4, axis=0).repeat(3, axis=2)
    _, _, frames = _folder(tmp_path, {"1.png": image, "2.tif": image})
    for frame in frames:
        assert frame.raw.dtype == np.uint8
        assert frame.raw[0, :, 0].tolist() == [0, 0, 1, 100, 101, 255]


@pytest.mark.parametrize(("dtype", "most"), [(np.uint8, 255), (np.uint16, 65535)])
def test_what_is_transparent_is_black(tmp_path, dtype, most):
    image = np.full((4, 6, 4), most, dtype)
    image[:, :2, 3], image[:, 2:4, 3] = 0, most // 5  # 51 of 255
    _, _, frames = _folder(tmp_path, {"1.png": image})
    assert frames[0].raw[0, :, 1].tolist() == [0, 0, 51, 51, 255, 255]


@pytest.mark.parametrize(("dtype", "level"), [(np.uint8, 120), (np.uint16, 120 * 257)])
def test_grey_pictures_become_three_channels(tmp_path, dtype, level):
    _, _, frames = _folder(tmp_path, {"1.png": np.full((4, 6), level, dtype)})
    assert frames[0].raw.shape == (4, 6, 3) and int(frames[0].raw[0, 0, 2]) == 120


def _with_exif(jpeg: bytes, orientation: int) -> bytes:
    """A JPEG with an APP1 segment that holds the orientation tag alone (Exif 2.3)."""
    tiff = b"MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01"
    body = b"Exif\x00\x00" + tiff + orientation.to_bytes(2, "big") + bytes(6)
    return jpeg[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + jpeg[2:]


@pytest.mark.parametrize(
    ("orientation", "bright"),  # where the stored top left corner is shown
    [(1, (0, 0)), (2, (0, -1)), (3, (-1, -1)), (6, (0, -1)), (8, (-1, 0))],
)
def test_exif_orientation_is_applied(tmp_path, orientation, bright):
    image = np.full((32, 48, 3), 30, np.uint8)
    image[:16, :16] = 220
    data = cv2.imencode(".jpg", image)[1].tobytes()
    (tmp_path / "1.jpg").write_bytes(_with_exif(data, orientation))
    info = probe.probe(tmp_path)
    shown = next(decode.iterate_frames(info)).raw
    assert shown.shape[:2] == (info.height_px, info.width_px)
    assert shown.shape[:2] == ((48, 32) if orientation >= 5 else (32, 48))
    assert shown[bright].min() > 190 and (shown > 125).all(axis=2).sum() == pytest.approx(256, 0.1)
