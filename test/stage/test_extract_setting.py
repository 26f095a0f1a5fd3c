"""Settings of stage extract whose effect needs a film of its own kind to be seen."""

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from bunny.core import workspace
from bunny.core.config import Config, ExtractionConfig
from bunny.stage.extract import Extract
from bunny.table import store
from bunny.video import extra_frame

RATE = 24


def encode(path, *streams, codec="ffv1", pix_fmt="yuv444p", options=None):
    """Encode RGB pictures, one stream for each sequence."""
    with av.open(str(path), "w") as out:
        made = [out.add_stream(codec, rate=RATE, options=options) for _ in streams]
        for stream, pictures in zip(made, streams, strict=True):
            stream.height, stream.width = pictures[0].shape[:2]
            stream.pix_fmt = pix_fmt
        for stream, pictures in zip(made, streams, strict=True):
            for number, picture in enumerate(pictures):
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, RATE)
                out.mux(stream.encode(frame.reformat(format=pix_fmt)))
            out.mux(stream.encode(None))
    return path


def texture(seed, height=96, width=160):
    """A soft picture of its own, RGB."""
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 10, 3), np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def extract(folder, film, **extraction):
    """The film's folder after the stage."""
    space = workspace.create(folder, "data", film, None)
    Extract(Config.model_validate({"extraction": extraction}), space.root, space.root).execute()
    return space


def size(space):
    """Width and height of the first stored picture."""
    return store.read(space.table, "frame").select("width_px", "height_px").row(0)


@pytest.mark.parametrize(("detector", "starts"), [("fast", [0, 52]), ("scenedetect-content", [0])])
def test_a_dissolve_of_a_second_is_found_by_the_detector_that_knows_them(
    tmp_path, detector, starts
):
    one, other = texture(1).astype(np.float32), texture(2).astype(np.float32)
    between = [np.round(one + (other - one) * (i + 1) / 25).astype(np.uint8) for i in range(24)]
    pictures = [texture(1)] * 40 + between + [texture(2)] * 40
    film = encode(
        tmp_path / "film.mp4", pictures, codec="libx264", pix_fmt="yuv420p", options={"crf": "12"}
    )
    space = extract(tmp_path, film, shot_detector=detector)
    assert store.read(space.table, "shot")["first_frame_index"].to_list() == starts


@pytest.mark.parametrize(("number", "wanted"), [(-1, (128, 96)), (0, (64, 48))])
def test_pictures_are_of_the_largest_stream_unless_one_is_set(tmp_path, number, wanted):
    film = encode(tmp_path / "film.mkv", [texture(1, 48, 64)] * 8, [texture(2, 96, 128)] * 8)
    assert size(extract(tmp_path, film, video_stream=number)) == wanted


@pytest.mark.parametrize(("is_cropped", "height"), [(True, 64), (False, 96)])
def test_bars_are_cut_off_unless_they_are_to_stay(tmp_path, is_cropped, height):
    """Bars of 16 lines above and below."""
    picture = np.zeros((96, 160, 3), np.uint8)
    picture[16:80] = texture(1, 64) // 2 + 100
    film = encode(tmp_path / "film.mkv", [picture] * 12)
    assert size(extract(tmp_path, film, crop_bars=is_cropped)) == (160, height)


@pytest.mark.parametrize(("mode", "is_combed"), [("on", False), ("off", True)])
def test_frames_between_are_deinterlaced_as_the_kept_ones(tmp_path, mode, is_combed):
    """Frames are woven of two moments, which the film does not say: odd lines are 10 px on."""
    bars = np.random.default_rng(0).integers(0, 255, (1, 170, 1), np.uint8)
    scene = np.repeat(np.repeat(bars, 64, axis=0), 3, axis=2)
    woven = scene[:, :160].copy()
    woven[1::2] = scene[1::2, 10:]
    film = encode(tmp_path / "film.mkv", [woven] * 8)
    kept = extract(tmp_path, film, deinterlace=mode, output_format="png")
    tables = [store.read(kept.table, name) for name in ("film", "frame")]
    [between] = extra_frame.ExtraFrameReader(
        ExtractionConfig(deinterlace=mode), film, *tables
    ).pictures({5: None})
    [stored] = [cv2.imread(str(path)) for path in (kept.root / "frame").iterdir()]
    for picture in (stored, between.picture):
        steps = np.abs(np.diff(picture.astype(int), axis=0)).max()
        assert (steps > 20) == is_combed
