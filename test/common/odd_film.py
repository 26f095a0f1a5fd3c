"""Odd and broken films under 100 KB, made by PyAV; what is in each is known by how it is made.

Unless a kind says otherwise: 64 frames of 96x64 at 24 a second, in three shots that begin at the
frames `SHOTS`, each frame with its number drawn in (`read_number`).
"""

import struct
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np

SHOTS = (0, 20, 50)
NUM_FRAMES = 64
WIDTH, HEIGHT = 96, 64
RATE = Fraction(24)
NTSC = Fraction(30000, 1001)
WEBM_CUT = 158  # at 6583 ms, which times 24 is 157.99
NUM_CUT_OFF = 40  # frames before the place where a film is cut off
DAMAGED = (30, 35)  # first and end of the frames whose bytes are flipped
MENDED = 36  # the codec's keyframe after them
SLOW = range(20, 50)  # frames of the variable frame rate that last twice as long
DIGIT_PX = 8
NUM_BITS = 6
NUM_NUMBERS = 1 << NUM_BITS


def texture(seed: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """RGB picture of soft spots, another for each seed."""
    coarse = np.random.default_rng(seed).integers(20, 235, (8, 12, 3), np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def draw_number(picture: np.ndarray, number: int) -> np.ndarray:
    """Add six blocks: the number's Gray code, in which neighbours differ by one block."""
    picture = picture.copy()
    for bit in range(NUM_BITS):
        value = 210 if (number ^ number >> 1) >> bit & 1 else 60
        picture[:DIGIT_PX, bit * DIGIT_PX : (bit + 1) * DIGIT_PX] = value
    return picture


def read_number(picture: np.ndarray) -> int:
    """Read back what `draw_number` added, from a picture of one or three channels."""
    half = DIGIT_PX // 2
    code = 0
    for bit in range(NUM_BITS):
        code |= int(picture[half, bit * DIGIT_PX + half].mean() > 135) << bit
    return code ^ code >> 1 ^ code >> 2 ^ code >> 3 ^ code >> 4 ^ code >> 5


@cache
def pictures(width: int = WIDTH, height: int = HEIGHT, firsts: tuple = SHOTS, num=NUM_FRAMES):
    """Frames of shots that begin at `firsts`; the number counts modulo 64."""
    seeds = [sum(first <= index for first in firsts) for index in range(num)]
    return [
        draw_number(texture(seed, width, height), index % NUM_NUMBERS)
        for index, seed in enumerate(seeds)
    ]


def write(
    path: Path,
    frames,
    pts=None,
    *,
    time_base=1 / RATE,
    rate=RATE,
    codec="libx264",
    pix_fmt="yuv420p",
    options=None,
    mux=None,
    container=None,
    prepare=None,
) -> Path:
    """Encode RGB pictures; `pts` are in units of `time_base`, `prepare` gets the stream."""
    pts = range(len(frames)) if pts is None else pts
    with av.open(str(path), "w", format=container, options=mux or {}) as out:
        stream = out.add_stream(codec, rate=rate, options=options or {})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pix_fmt
        stream.time_base = stream.codec_context.time_base = time_base
        stream.codec_context.thread_count = 1
        if prepare:
            prepare(stream)
        for picture, at in zip(frames, pts, strict=True):
            out.mux(stream.encode(_frame(picture, at, time_base, pix_fmt)))
        out.mux(stream.encode(None))
    return path


def _frame(picture, at, time_base, pix_fmt):
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pix_fmt)
    frame.pts, frame.time_base = at, time_base
    return frame


def _packets(path: Path) -> list[tuple[int, int]]:
    """Place and size in the file of each packet of a film without B-frames."""
    with av.open(str(path)) as film:
        return [(p.pos, p.size) for p in film.demux(video=0) if p.size]


def make(name: str, folder: Path) -> Path:
    """Make the film of a name of `MAKE` in a folder."""
    path = folder / name
    MAKE[name](path)
    return path


def seconds(name: str, index: int) -> float:
    """Time of a frame after the film's first; after the last one: of its end."""
    if name == "variable rate.mp4":
        return float((index + min(max(index - SLOW.start, 0), len(SLOW))) / RATE)
    rate = {"ntsc.mp4": NTSC, "animated.gif": 10}.get(name, RATE)
    return float(index / Fraction(rate))


def zero_bytes(path):
    path.write_bytes(b"")


def random_bytes(path):
    path.write_bytes(np.random.default_rng(0).bytes(4096))


def text(path):
    path.write_text("The film lies on the other disk.\n")


def still_picture(path):
    data = cv2.imencode(".jpg", pictures()[0])[1]
    path.write_bytes(data.tobytes())


def audio_only(path):
    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=44100)
        _mux_silence(out, stream, 20)


def _mux_silence(out, stream, count):
    for index in range(count):
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", "stereo")
        frame.rate, frame.pts = 44100, 1024 * index
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


def index_cut_off(path):
    """An MP4 has its index at the end unless told otherwise."""
    write(path, pictures())
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"moov") - 4])


def noise(path):
    """What a decoder without the key sees of an encrypted film: the right index over noise."""
    write(path, pictures())
    data = bytearray(path.read_bytes())
    at, end = data.index(b"mdat") + 4, data.index(b"moov") - 4
    data[at:end] = np.random.default_rng(0).bytes(end - at)
    path.write_bytes(data)


def cut_off(path):
    """The index comes first and outlives the cut, which falls between two frames."""
    write(path, pictures(), options={"bf": "0"}, mux={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: _packets(path)[NUM_CUT_OFF][0]])


def promises_more(path):
    """The header of the AVI's stream (strh) says 640 frames."""
    write(path, pictures(), codec="mjpeg", pix_fmt="yuvj420p")
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.index(b"strh") + 8 + 32, 640)
    path.write_bytes(data)


def bits_flipped(path):
    write(path, pictures(), codec="mpeg4", options={"g": "12", "bf": "0"})
    data = bytearray(path.read_bytes())
    for at, size in _packets(path)[slice(*DAMAGED)]:
        for byte in range(at + size // 3, at + size, 5):
            data[byte] ^= 0xFF
    path.write_bytes(data)


def one_frame(path):
    write(path, pictures()[:1])


def three_frames(path):
    write(path, pictures()[:3])


def one_keyframe(path):
    write(path, pictures(), options={"g": "1000", "sc_threshold": "0"})


def black(path):
    write(path, [np.zeros((HEIGHT, WIDTH, 3), np.uint8)] * NUM_FRAMES)


def photo(path):
    write(path, [texture(7)] * NUM_FRAMES)


def variable_rate(path):
    """From 1 s on; the frames of the second shot last two of 24."""
    lengths = [2 if index in SLOW else 1 for index in range(NUM_FRAMES)]
    write(path, pictures(), [24 + sum(lengths[:index]) for index in range(NUM_FRAMES)])


def starts_late(path):
    write(path, pictures(), range(72, 72 + NUM_FRAMES))


def starts_between(path):
    """At 24 s and 10 thousandths, as a piece cut out of a longer film may."""
    ticks = [24_010 + round(index * 1000 / RATE) for index in range(NUM_FRAMES)]
    write(path, pictures(), ticks, time_base=Fraction(1, 1000))


def ntsc(path):
    write(path, pictures(), rate=NTSC, time_base=1 / NTSC)


def rotated(path):
    write(path, pictures(), prepare=lambda stream: stream.set_display_rotation(90))


def portrait(path):
    write(path, pictures(HEIGHT, WIDTH))


def tiny(path):
    small = [cv2.resize(texture(seed), (28, 16)) for seed in (1, 2, 3)]
    write(path, [small[sum(first <= i for first in SHOTS) - 1] for i in range(NUM_FRAMES)])


def odd_size(path):
    write(path, pictures(95, 63), pix_fmt="yuv444p")


def ten_bits(path):
    options = {"x265-params": "log-level=none", "preset": "ultrafast"}
    write(path, pictures(), codec="libx265", pix_fmt="yuv420p10le", options=options)


def interlaced(path):
    options = {"flags": "+ildct+ilme", "top": "1", "b": "2000000"}
    write(path, pictures(), codec="mpeg2video", options=options)


def anamorphic(path):
    def widen(stream):
        stream.codec_context.sample_aspect_ratio = Fraction(2)

    write(path, pictures(), prepare=widen)


def motion_jpeg(path):
    write(path, pictures(), codec="mjpeg", pix_fmt="yuvj420p")


def b_frames_in_avi(path):
    write(path, pictures(), codec="mpeg4", options={"bf": "2", "g": "12"})


def plain(path):
    write(path, pictures(), container="mp4")


def animated(path):
    """Of a tenth of a second each."""
    frames = [draw_number(np.full((HEIGHT, WIDTH, 3), 96, np.uint8), i) for i in range(17)]
    write(path, frames, time_base=Fraction(1, 10), rate=10, codec="gif", pix_fmt="rgb8")


def two_streams(path):
    """The first is smaller, and of one shot."""
    with av.open(str(path), "w") as out:
        streams = []
        for width, height in ((48, 32), (WIDTH, HEIGHT)):
            stream = out.add_stream("libx264", rate=RATE)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            streams.append((stream, width))
        for index, picture in enumerate(pictures()):
            for stream, width in streams:
                shown = picture if width == WIDTH else texture(9, 48, 32)
                out.mux(stream.encode(_frame(shown, index, 1 / RATE, "yuv420p")))
        for stream, _ in streams:
            out.mux(stream.encode(None))


def with_sound(path):
    with av.open(str(path), "w") as out:
        sound = out.add_stream("aac", rate=44100)
        stream = out.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for index, picture in enumerate(pictures()):
            out.mux(stream.encode(_frame(picture, index, 1 / RATE, "yuv420p")))
        out.mux(stream.encode(None))
        _mux_silence(out, sound, 20)


def webm(path):
    """Times are whole milliseconds there; the cut falls where rounding down loses a frame."""
    frames = pictures(firsts=(0, WEBM_CUT), num=WEBM_CUT + 26)
    options = {"deadline": "realtime", "cpu-used": "8", "b": "500k"}
    write(path, frames, codec="libvpx", options=options)


def av1(path):
    """OpenCV's own FFmpeg may open this and decode nothing."""
    write(path, pictures(), codec="libsvtav1", options={"preset": "12"})


def live(path):
    """A recording without a length in its head; OpenCV makes a negative frame count of it."""
    write(path, pictures(), mux={"live": "1"})


MAKE = {
    "zero bytes.mp4": zero_bytes,
    "random bytes.mp4": random_bytes,
    "text.mp4": text,
    "index cut off.mp4": index_cut_off,
    "audio only.mp4": audio_only,
    "still picture.mp4": still_picture,
    "noise.mp4": noise,
    "cut off.mp4": cut_off,
    "promises more.avi": promises_more,
    "bits flipped.mp4": bits_flipped,
    "one frame.mp4": one_frame,
    "three frames.mp4": three_frames,
    "one keyframe.mp4": one_keyframe,
    "black.mp4": black,
    "photo.mp4": photo,
    "variable rate.mp4": variable_rate,
    "starts late.mp4": starts_late,
    "starts between.mp4": starts_between,
    "ntsc.mp4": ntsc,
    "rotated.mp4": rotated,
    "portrait.mp4": portrait,
    "tiny.mp4": tiny,
    "odd size.mp4": odd_size,
    "ten bits.mp4": ten_bits,
    "interlaced.mpg": interlaced,
    "anamorphic.mp4": anamorphic,
    "motion jpeg.avi": motion_jpeg,
    "nom de fichier é 日本 (1) [x].avi": b_frames_in_avi,
    "no extension": plain,
    "animated.gif": animated,
    "two streams.mkv": two_streams,
    "with sound.mp4": with_sound,
    "cut at 158.webm": webm,
    "av1.mp4": av1,
    "live.mkv": live,
}
