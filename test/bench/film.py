"""Films to measure with, made by PyAV: real material or the sample, enlarged to 1080p."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import cycle
from pathlib import Path

import av
import numpy as np

from bunny import demo

WIDTH, HEIGHT, RATE = 1920, 1080, 24
GRAIN = 4  # grey levels, uniform: drawn film has none, and decodes faster than film does
ENCODING = {"preset": "veryfast", "crf": "20"}


def sources(material: Path | None) -> list[Path]:
    """Films of a folder that are at least 720 lines high, or the sample film."""
    found = []
    for path in sorted(material.iterdir()) if material else []:
        try:
            with av.open(str(path)) as container:
                if container.streams.video and container.streams.video[0].height >= 720:
                    found.append(path)
        except (av.FFmpegError, IsADirectoryError):
            continue
    return found or [Path(demo.__file__).parent / "sample.mp4"]


def make(path: Path, material: Path | None = None, seconds: int = 130) -> Path:
    """Write a 1080p H.264 film of so many seconds, unless it is there."""
    if path.exists():
        return path
    temporary = path.with_suffix(".part.mp4")
    with av.open(str(temporary), "w") as out:
        stream = out.add_stream("libx264", rate=RATE, options=ENCODING)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for index, frame in enumerate(_frames(sources(material), seconds * RATE)):
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    temporary.replace(path)
    return path


def repeat(film: Path, path: Path, seconds: int) -> Path:
    """Write a film that runs `film` over and over for so many seconds, without encoding."""
    if path.exists():
        return path
    temporary = path.with_suffix(".part.mp4")
    with av.open(str(film)) as source, av.open(str(temporary), "w") as out:
        stream = source.streams.video[0]
        copy = out.add_stream_from_template(stream)
        packets = [p for p in source.demux(stream) if p.size]
        length = stream.duration
        times = [(p.pts, p.dts) for p in packets]
        for turn in range(round(seconds / float(length * stream.time_base))):
            for packet, (pts, dts) in zip(packets, times, strict=True):
                packet.pts, packet.dts = pts + turn * length, dts + turn * length
                packet.stream = copy
                out.mux(packet)
    temporary.replace(path)
    return path


def _frames(paths: Iterable[Path], count: int) -> Iterator[av.VideoFrame]:
    grain = np.random.default_rng(0).integers(0, 2 * GRAIN, (4, HEIGHT, WIDTH), np.uint8)
    for path in cycle(paths):
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                if not count:
                    return
                count -= 1
                large = frame.reformat(WIDTH, HEIGHT, "yuv420p", interpolation="BICUBIC")
                planes = large.to_ndarray()
                luma = planes[:HEIGHT]
                np.clip(luma, 16, 235 - GRAIN, out=luma)
                luma += grain[count % len(grain)]
                made = av.VideoFrame.from_ndarray(planes, format="yuv420p")
                made.pict_type = 0
                yield made
