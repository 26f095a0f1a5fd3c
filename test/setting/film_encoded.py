"""Films that are encoded for the effects of settings: cuts, fields, bars, streams, light, faces."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import setting_effect
import tiny_onnx
from film_maker import RATE, by_hand, encode, encoded, texture
from skimage import data

KEYFRAMES = {"crf": "12", "g": "10", "keyint_min": "10", "sc_threshold": "0"}  # each ten frames
LOSSLESS = {"codec": "ffv1", "pix_fmt": "yuv444p"}
SHOT_BY_SHOT = {"pipeline": {"shard_size": 3}}  # each shot a shard, so that none is made anew

# -- extract ------------------------------------------------------------------------------------


def with_cuts(folder: Path) -> setting_effect.Film:
    """A shot of 24 frames that moves, one of 3, one of 33 that stands; a keyframe each 10."""
    moving = texture(1, width=320)
    pictures = [
        *(moving[:, 3 * i : 3 * i + 160] for i in range(24)),
        *[texture(2)] * 3,
        *[texture(3)] * 33,
    ]
    film = encode(folder / "film.mp4", pictures, options=KEYFRAMES)
    return encoded(folder, film, SHOT_BY_SHOT)


def with_dissolve(folder: Path) -> setting_effect.Film:
    """Two shots of 40 frames, the one dissolving into the other for 24 frames between them."""
    one, other = texture(1).astype(np.float32), texture(2).astype(np.float32)
    between = [one + (other - one) * (i + 1) / 25 for i in range(24)]
    pictures = [np.round(picture).astype(np.uint8) for picture in between]
    pictures = [texture(1)] * 40 + pictures + [texture(2)] * 40
    return encoded(
        folder, encode(folder / "film.mp4", pictures, options={"crf": "12"}), SHOT_BY_SHOT
    )


def with_streams(folder: Path) -> setting_effect.Film:
    """Two streams, the larger one second."""
    streams = [texture(1, 48, 64)] * 8, [texture(2, 96, 128)] * 8
    return encoded(folder, encode(folder / "film.mkv", *streams), SHOT_BY_SHOT)


def with_pictures(folder: Path) -> setting_effect.Film:
    """A folder of twelve numbered pictures that are the same."""
    film = folder / "film"
    film.mkdir()
    for number in range(12):
        cv2.imwrite(str(film / f"{number}.png"), texture(1))
    return encoded(folder, film, SHOT_BY_SHOT)


def with_bars(folder: Path) -> setting_effect.Film:
    """Twelve frames of 160x96 with bars of 16 lines above and below."""
    picture = np.zeros((96, 160, 3), np.uint8)
    picture[16:80] = texture(1, 64) // 2 + 100
    return encoded(folder, encode(folder / "film.mkv", [picture] * 12, **LOSSLESS), SHOT_BY_SHOT)


def with_fields(folder: Path) -> setting_effect.Film:
    """Frames woven of two moments, which the film does not say: bars 10 px on in odd lines."""
    bars = np.random.default_rng(0).integers(0, 255, (1, 170, 1), np.uint8)
    scene = np.repeat(np.repeat(bars, 64, axis=0), 3, axis=2)
    woven = scene[:, :160].copy()
    woven[1::2] = scene[1::2, 10:]
    film = encode(folder / "film.mkv", [woven] * 8, **LOSSLESS)
    return encoded(folder, film, SHOT_BY_SHOT | {"extraction": {"output_format": "png"}})


def with_light(folder: Path) -> setting_effect.Film:
    """Grey of 203 cd/m2 by PQ, in 10 bits: 58.1 % of the signal."""
    path = folder / "film.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p10le"
        marks = {"color_trc": 16, "color_primaries": 9, "colorspace": 9, "color_range": 1}
        frame = av.VideoFrame(96, 64, "yuv420p10le")
        for name, value in marks.items():
            setattr(stream.codec_context, name, value)
            setattr(frame, name, value)
        for plane, level in zip(frame.planes, (round(64 + 876 * 0.581), 512, 512), strict=True):
            plane.update(np.full((plane.height, plane.line_size // 2), level, "<u2").tobytes())
        for number in range(4):
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return encoded(folder, path, SHOT_BY_SHOT | {"extraction": {"output_format": "png"}})


# -- detect -------------------------------------------------------------------------------------

EILEEN = slice(20, 240), slice(110, 340)  # where her head and shoulders are in the picture


def with_face(folder: Path) -> setting_effect.Film:
    """Two seconds of Eileen Collins, her face 50 px high; frames 0 and 24 are kept."""
    film = encode(folder / "film.mp4", [_eileen()] * 48, options=KEYFRAMES)
    return _by_second(folder, film)


def with_woven_face(folder: Path) -> setting_effect.Film:
    """The same face woven of two moments, 3 px apart, which the film does not say."""
    picture = _eileen()
    picture[1::2, 3:] = picture[1::2, :-3].copy()
    return _by_second(folder, encode(folder / "film.mkv", [picture] * 48, **LOSSLESS))


def with_bright_face(folder: Path) -> setting_effect.Film:
    """The same face by PQ: white is 203 cd/m2, 58.1 % of the signal."""
    picture = np.round(_eileen() * 0.581).astype(np.uint8)
    marks = {"color_trc": 16, "color_primaries": 9, "colorspace": 9}
    deep = {"codec": "ffv1", "pix_fmt": "yuv444p10le", "marks": marks}
    return _by_second(folder, encode(folder / "film.mkv", [picture] * 48, **deep))


def _eileen() -> np.ndarray:
    """Eileen Collins, RGB, 160x128."""
    return cv2.resize(data.astronaut()[:256, 80:400], (160, 128), interpolation=cv2.INTER_AREA)


def _by_second(folder: Path, film: Path) -> setting_effect.Film:
    """A photographed film of which extract takes a frame each second, with a picture of Eileen."""
    settings = {
        "extraction": {"method": "interval", "interval_seconds": 1.0, "output_format": "png"},
        "detection": {
            "medium": "photographed",
            "is_drawn_enabled": False,
            "extra_interval_seconds": 0,
        },
    }
    references = {"eileen": np.ascontiguousarray(data.astronaut()[EILEEN][:, :, ::-1])}
    return encoded(folder, film, settings, references=references, stages=["extract"])


def with_small_face(folder: Path) -> setting_effect.Film:
    """One picture of 1280x720 with a face 14 px high."""
    head = data.astronaut()[EILEEN]
    picture = np.full((720, 1280, 3), 120, np.uint8)
    small = cv2.resize(head, None, fx=16 / 115, fy=16 / 115, interpolation=cv2.INTER_AREA)
    picture[400 : 400 + small.shape[0], 700 : 700 + small.shape[1]] = small[:, :, ::-1]
    settings = {
        "detection": {"medium": "photographed", "extra_interval_seconds": 0, "min_face_px": 8}
    }
    return by_hand(folder, settings, pictures=[picture])


RED, GREEN, BLUE = (0, 0, 255), (0, 255, 0), (255, 0, 0)  # BGR
LEFT, RIGHT = (0.05, 0.1, 0.35, 0.9), (0.6, 0.1, 0.95, 0.9)


def with_colours(folder: Path) -> setting_effect.Film:
    """Rose is red and moss is green: both in a frame, then rose beside blue, then blue alone.

    Models: `both` sees a figure at the left and one at the right, `left` only the former, `ccip`
    compares mean colours, `bright` calls bright pictures drawn and `dark` dark ones.
    """
    pictures = []
    for left, right in ((RED, GREEN), (RED, BLUE), (BLUE, BLUE)):
        picture = np.full((80, 120, 3), 255, np.uint8)
        for (x0, y0, x1, y1), colour in ((LEFT, left), (RIGHT, right)):
            picture[round(y0 * 80) : round(y1 * 80), round(x0 * 120) : round(x1 * 120)] = colour
        pictures.append(picture)
    model = folder / "model"
    tiny_onnx.save_ccip(model / "ccip")
    tiny_onnx.save_detector(model / "both", tiny_onnx.yolo([*LEFT, 0.9], [*RIGHT, 0.8]))
    tiny_onnx.save_detector(model / "left", tiny_onnx.yolo([*LEFT, 0.9]))
    tiny_onnx.save_classifier(model / "bright", labels=("anime", "real"))
    tiny_onnx.save_classifier(model / "dark", labels=("real", "anime"))
    references = {
        name: np.full((64, 64, 3), colour, np.uint8)
        for name, colour in (("rose", RED), ("moss", GREEN))
    }
    settings = {"detection": {"medium": "photographed", "extra_interval_seconds": 0}}
    return by_hand(folder, settings, pictures=pictures, references=references)
