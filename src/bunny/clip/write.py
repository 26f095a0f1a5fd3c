"""Clips written as H.264 in MP4 and read again before they count."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.codec.context import Flags
from av.error import FFmpegError

from bunny.clip.preset import SIDE_STEP, ClipForm, choose_size
from bunny.core import atomic, film_file
from bunny.core.error import BunnyError
from bunny.core.film_file import FilmPlace
from bunny.table.box import Box
from bunny.video.extra_frame import ExtraFrameReader

CRF = 14  # visually lossless: trainers encode the pictures into latents
# No B-frames: with them, x264 on AVX-512 gives other bytes from run to run at some widths (its
# macroblock tree differs, not with asm=AVX2). Files are a fifth larger at the same quality.
X264 = "open-gop=0:keyint=250:bframes=0"
MIN_PSNR_DB = 30.0  # of what is read back against what was written, on average
AUDIO_RATE, AUDIO_LAYOUT = 48_000, "stereo"
MARGIN = 0.25  # of the subject's boxes, around them, with framing subject


class ClipError(BunnyError):
    """A clip that could not be written, or that reads otherwise than it was written."""


@dataclass(frozen=True, kw_only=True)
class ClipCrop:
    """What is cut out of the shot's picture, and the size that it is written at."""

    box: tuple[int, int, int, int]
    size: tuple[int, int]  # width, height


def choose_crop(
    size: tuple[int, int], boxes: Sequence[Box], form: ClipForm, max_upscale: float, framing: str
) -> ClipCrop:
    """The fixed crop of a clip: it keeps the character's boxes, as far as the picture does.

    Parameters
    ----------
    size : (int, int)
        Width and height of the shot's picture.
    boxes : sequence of Box
        Of the character in the clip's frames.
    framing : {"whole", "subject"}
        The whole picture but for what the sides of 32 cost, or the boxes with a margin.
    """
    width, height = size
    union = _union(boxes, size)
    if framing == "subject" and boxes:
        x0, y0, x1, y1 = union
        more_x, more_y = MARGIN * (x1 - x0), MARGIN * (y1 - y0)
        cut = (
            max(0, x0 - more_x),
            max(0, y0 - more_y),
            min(width, x1 + more_x),
            min(height, y1 + more_y),
        )
        wide = max(cut[2] - cut[0], SIDE_STEP / max_upscale)
        high = max(cut[3] - cut[1], SIDE_STEP / max_upscale)
        wide, high = max(wide, high * 0.5), max(high, wide * 0.5)  # no slits
    else:
        wide, high = float(width), float(height)
    wide, high = min(wide, width), min(high, height)
    written = choose_size(math.floor(wide), math.floor(high), form, max_upscale)
    ratio = written[0] / written[1]
    wide, high = (wide, wide / ratio) if wide / ratio <= high else (high * ratio, high)
    if framing == "subject":  # rather more around the subject than less of it
        grow = min(
            width / wide,
            height / high,
            max(1.0, (union[2] - union[0]) / wide, (union[3] - union[1]) / high),
        )
        wide, high = wide * grow, high * grow
    left = _place((union[0] + union[2]) / 2, wide, width)
    top = _place((union[1] + union[3]) / 2, high, height)
    return ClipCrop(
        box=(left, top, min(width, left + round(wide)), min(height, top + round(high))),
        size=written,
    )


def choose_crop_within(
    region: Box, boxes: Sequence[Box], form: ClipForm, max_upscale: float, framing: str
) -> ClipCrop:
    """As `choose_crop`, of a part of the shot's picture.

    Parameters
    ----------
    region : Box
        The part, in pixels of the picture, as `boxes`.
    boxes, form, max_upscale, framing
        As of `choose_crop`.
    """
    left, top = math.ceil(region[0]), math.ceil(region[1])
    size = (math.floor(region[2]) - left, math.floor(region[3]) - top)
    inside = [(x0 - left, y0 - top, x1 - left, y1 - top) for x0, y0, x1, y1 in boxes]
    found = choose_crop(size, inside, form, max_upscale, framing)
    x0, y0, x1, y1 = found.box
    return ClipCrop(box=(left + x0, top + y0, left + x1, top + y1), size=found.size)


def _union(boxes: Sequence[Box], size: tuple[int, int]) -> Box:
    if not boxes:
        return (0.0, 0.0, float(size[0]), float(size[1]))
    low = [max(0.0, min(box[side] for box in boxes)) for side in (0, 1)]
    high = [min(float(size[side]), max(box[side + 2] for box in boxes)) for side in (0, 1)]
    return (low[0], low[1], high[0], high[1])


def _place(middle: float, length: float, whole: int) -> int:
    """Left or upper side of a length around a middle, inside the whole."""
    return int(np.clip(round(middle - length / 2), 0, max(0, whole - round(length))))


def fit(picture: np.ndarray, crop: ClipCrop) -> np.ndarray:
    """Cut and scale a picture of the shot; BGR, uint8."""
    x0, y0, x1, y1 = crop.box
    cut = picture[y0:y1, x0:x1]
    shrinks = cut.shape[1] > crop.size[0]
    way = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return cv2.resize(cut, crop.size, interpolation=way)


def read_frames(
    reader: ExtraFrameReader,
    frames: Mapping[str, Sequence[int]],
    boxes: Mapping[int, tuple[int, int, int, int] | None],
    crops: Mapping[str, ClipCrop],
) -> Iterator[tuple[str, dict[int, np.ndarray]]]:
    """Decode the frames of clips in one pass over the film.

    Parameters
    ----------
    frames : mapping of str to sequence of int
        Indices of the film's frames in each clip, rising.
    boxes : mapping of int to box or None
        Part of the film's picture that each frame is cut to first; None: all of it.
    crops : mapping of str to ClipCrop
        What each clip shows of that part.

    Yields
    ------
    str, dict of int to np.ndarray
        Each clip with its pictures by index, BGR, uint8, as soon as all are decoded; without those
        that could not be.
    """
    users: dict[int, list[str]] = {}
    for name, indices in frames.items():
        for index in dict.fromkeys(indices):
            users.setdefault(index, []).append(name)
    if not users:
        return
    held: dict[str, dict[int, np.ndarray]] = {name: {} for name in frames}
    for done in reader.pictures({index: boxes.get(index) for index in users}):
        for name in users[done.frame.index]:
            if done.picture is not None:
                held[name][done.frame.index] = fit(done.picture, crops[name])
            if done.frame.index == frames[name][-1]:
                yield name, held.pop(name)
    yield from held.items()  # the film ended before


def write_clip(
    path: Path,
    pictures: Iterable[np.ndarray],
    fps: float,
    size: tuple[int, int],
    sound: Iterable[av.AudioFrame] | None = None,
) -> int:
    """Write a clip atomically, read it again and compare.

    Parameters
    ----------
    pictures : iterable of np.ndarray, shape (height, width, 3), uint8, BGR
    size : (int, int)
        Width and height, multiples of 32.
    sound : iterable of av.AudioFrame, optional
        From `read_sound`.

    Returns
    -------
    int
        Number of frames.

    Raises
    ------
    ClipError
        If it reads otherwise than it was written, or the encoder failed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        small = _encode(temporary, pictures, fps, size, sound)
        _check(temporary, small, fps, size)
        atomic.replace(temporary, path)
    except FFmpegError as error:
        raise ClipError(f"{path.name}: {' '.join(str(error).split())}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return len(small)


def _encode(
    path: Path,
    pictures: Iterable[np.ndarray],
    fps: float,
    size: tuple[int, int],
    sound: Iterable[av.AudioFrame] | None,
) -> list[np.ndarray]:
    """Encode; gives small copies of the pictures, to compare with what is read back."""
    rate, small = Fraction(fps).limit_denominator(1001), []
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with av.open(str(path), "w", format="mp4", options=options) as out:
        stream = out.add_stream("libx264", rate=rate, options={"crf": str(CRF), "preset": "fast"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.thread_count = 1  # the same bytes on every machine
        stream.codec_context.options |= {"x264-params": X264}
        stream.codec_context.flags |= Flags.bitexact
        audio = out.add_stream("aac", rate=AUDIO_RATE, layout=AUDIO_LAYOUT) if sound else None
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, "bgr24").reformat(
                format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG"
            )
            frame.pts, frame.time_base = index, 1 / rate
            out.mux(stream.encode(frame))
            small.append(_shrink(picture))
        out.mux(stream.encode(None))
        if audio is not None:
            for one in sound or ():
                out.mux(audio.encode(one))
            out.mux(audio.encode(None))
    return small


def _check(path: Path, small: Sequence[np.ndarray], fps: float, size: tuple[int, int]) -> None:
    """Read a clip and compare count, rate, size, times and pictures."""
    errors = []
    with av.open(str(path)) as film:
        stream = film.streams.video[0]
        rate = Fraction(stream.average_rate or 0)
        for index, frame in enumerate(film.decode(stream)):
            if index >= len(small):
                raise ClipError(f"{path.name}: expected {len(small)} frames, found more")
            if abs(float(frame.time or 0) - index / fps) > 0.5 / fps:
                raise ClipError(f"{path.name}: frame {index} is not at its time")
            if (frame.width, frame.height) != size or (index == 0 and not frame.key_frame):
                raise ClipError(f"{path.name}: frame {index} is not as it was written")
            picture = frame.to_ndarray(format="bgr24", src_colorspace="ITU709")
            errors.append(np.mean((_shrink(picture).astype(float) - small[index]) ** 2))
    if len(errors) != len(small) or abs(float(rate) - fps) > 1e-3:
        raise ClipError(
            f"{path.name}: expected {len(small)} frames at {fps:g} a second, found {len(errors)} "
            f"at {float(rate):g}"
        )
    psnr = 10 * math.log10(255**2 / max(1e-9, float(np.mean(errors)))) if errors else 0.0
    if psnr < MIN_PSNR_DB:
        raise ClipError(f"{path.name}: reads back at {psnr:.1f} dB, expected {MIN_PSNR_DB:g}")


def _shrink(picture: np.ndarray) -> np.ndarray:
    size = (max(1, picture.shape[1] // 4), max(1, picture.shape[0] // 4))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def read_sound(film: FilmPlace, start_s: float, seconds: float) -> Iterator[av.AudioFrame]:
    """Sound of a span, 48 kHz stereo, from its first sample on; nothing where there is none.

    Parameters
    ----------
    start_s : float
        Film time, counted as the frames' is.
    """
    with film_file.open_container(film) as opened:
        if not opened.streams.audio:
            return
        stream = opened.streams.audio[0]
        opened.seek(int(max(0.0, start_s - 1.0) * av.time_base))
        resampler = av.AudioResampler(format="fltp", layout=AUDIO_LAYOUT, rate=AUDIO_RATE)
        wanted, done = round(seconds * AUDIO_RATE), 0
        for frame in opened.decode(stream):
            for one in resampler.resample(frame):
                at = round((float(one.time or 0.0) - start_s) * AUDIO_RATE)
                samples = one.to_ndarray()[:, max(0, -at) :]
                samples = samples[:, : wanted - done]
                if not samples.shape[1]:
                    continue
                made = av.AudioFrame.from_ndarray(
                    np.ascontiguousarray(samples, dtype=np.float32),
                    format="fltp",
                    layout=AUDIO_LAYOUT,
                )
                made.rate, made.pts, made.time_base = AUDIO_RATE, done, Fraction(1, AUDIO_RATE)
                done += samples.shape[1]
                yield made
            if done >= wanted:
                return


def has_sound(film: FilmPlace) -> bool:
    """Whether a film has a sound track."""
    try:
        with film_file.open_container(film) as opened:
            return bool(opened.streams.audio)
    except FFmpegError:
        return False
