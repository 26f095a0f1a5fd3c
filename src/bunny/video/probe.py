"""Film metadata before decoding, and refusal of files that are no film.

A film is a file with a moving picture that FFmpeg's libraries (through PyAV) or OpenCV can open,
or a folder of pictures, in natural order (2 before 10): its frames, or each a shot of its own.
"""

import logging
import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NoReturn

import av
import cv2
from av.container import InputContainer
from av.error import FFmpegError

from bunny.core import film_file
from bunny.core.error import UserError
from bunny.core.film_file import FilmAddress, FilmPlace
from bunny.video import container as video_container
from bunny.video import picture_folder

logger = logging.getLogger(__name__)

# Pictures a second of a folder, which carries no rate: film frames, or one after the other.
FOLDER_RATE = {"sequence": Fraction(24), "pictures": Fraction(1)}
SQUARE_TOLERANCE = 0.01  # pixels this near to square are square: such ratios come from rounding
OPENCV_TIME_BASE = Fraction(1, 1_000_000)  # OpenCV gives milliseconds as a float
MAX_PIXELS = 1 << 27  # pixels of a displayed frame; 16K (15360x8640) is allowed
MAX_RATE = 10_000  # frames a second: detectors look over parts of a second, however many frames
MAX_SAMPLE_ASPECT = 8  # a ratio beyond is damage, not a lens
# ISO/IEC 23091-2 code points of transfer characteristics, as FFmpeg names them.
TRANSFER = {
    1: "bt709",
    4: "gamma22",
    5: "gamma28",
    6: "smpte170m",
    7: "smpte240m",
    8: "linear",
    11: "iec61966-2-4",
    12: "bt1361e",
    13: "srgb",
    14: "bt2020-10",
    15: "bt2020-12",
    16: "pq",
    17: "smpte428",
    18: "hlg",
}
# Of primaries: those that need a conversion to be shown as BT.709.
PRIMARIES = {1: "bt709", 9: "bt2020", 12: "p3-d65"}
QUIET = "-8"  # FFmpeg's AV_LOG_QUIET


class _NoFrameError(Exception):
    """A film opens and none of its frames decodes."""


@dataclass(frozen=True, kw_only=True)
class FilmInfo:
    """Container metadata of a film; at most one frame is decoded.

    `width_px` and `height_px` are of the picture as shown: rotated, with square pixels.
    """

    path: FilmPlace
    decoder: str  # pyav or opencv; of a folder: pictures or sequence
    container: str
    codec: str
    pixel_format: str | None
    stream_index: int
    stored_width_px: int
    stored_height_px: int
    width_px: int
    height_px: int
    rate: Fraction  # average; 0 when unknown
    time_base: Fraction
    rotation_deg: int  # counter-clockwise turn that shows the picture upright
    sample_aspect: Fraction  # width of a pixel over its height
    color_transfer: str | None
    is_interlaced: bool
    num_frames_promised: int | None
    has_audio: bool
    is_mirrored: bool = False  # left and right are exchanged before the turn
    color_primaries: str | None = None  # bt709, bt2020 or p3-d65; null: unknown or another
    peak_nits: float | None = None  # brightest light of an HDR film, cd/m2
    timecode: str | None = None  # SMPTE timecode of the first frame

    @property
    def local_path(self) -> Path:
        """Path of a film that OpenCV opens, or of a folder; these are never streamed."""
        return Path(str(self.path))


def probe(
    path: FilmPlace,
    *,
    decoder: str | None = None,
    stream_index: int | None = None,
    folder: str = "auto",
) -> FilmInfo:
    """Open a film and say what it is.

    Parameters
    ----------
    path : Path or FilmAddress
        A file, a folder of pictures, or a film's address.
    decoder : {"pyav", "opencv"}, optional
        Which library opens a file; by default PyAV, and OpenCV for what PyAV cannot.
    stream_index : int, optional
        Which of a file's streams; by default the largest moving picture.
    folder : {"auto", "pictures", "sequence"}
        What a folder holds: pictures of which each is a shot of its own, or the frames of a film;
        `auto` asks `picture_folder.tell_kind`.

    Raises
    ------
    UserError
        If it is no film; one sentence says what it is instead and what to do. If it has no such
        stream; the sentence names those there are.
    """
    if isinstance(path, Path) and path.is_dir():
        return _probe_folder(path, folder)
    if decoder == "opencv":
        return _probe_opencv(path) or _refuse(path, "a file that OpenCV cannot open")
    if video_container.is_encrypted(path):
        _refuse(path, "an encrypted film (DRM); use a copy without protection")
    try:
        return _probe_pyav(path, stream_index)
    except _NoFrameError:
        found = None if stream_index is not None else _probe_opencv(path)
        return found or _refuse(
            path,
            ("a film that cannot be decoded because it is damaged or encrypted; convert it"),
        )
    except FFmpegError as error:
        reason = video_container.describe_content(path)
        found = None if reason else _probe_opencv(path)
        if found is None:
            raise _error(
                path, reason or f"a file that FFmpeg cannot open ({_words(error)})"
            ) from error
        logger.info(
            "%s: opened with OpenCV because PyAV could not open it (%s)", path.name, _words(error)
        )
        return found


def shown_size(width_px: int, height_px: int, aspect: Fraction, rotation_deg: int):
    """Size (width, height) of a picture made upright with square pixels; no pixel is given up."""
    if aspect > 1:
        width_px = round(width_px * aspect)
    elif aspect < 1:
        height_px = round(height_px / aspect)
    return (height_px, width_px) if rotation_deg % 180 else (width_px, height_px)


def _probe_pyav(path: FilmPlace, stream_index: int | None) -> FilmInfo:
    with film_file.open_container(path) as container:
        stream = _choose_stream(path, _film_streams(path, container), stream_index)
        context = stream.codec_context
        aspect = _aspect(stream.sample_aspect_ratio)
        rate = video_container.standard_rate(
            stream.average_rate or stream.guessed_rate or Fraction(0)
        )
        _check_bounds(path, shown_size(context.width, context.height, aspect, 0), rate)
        first = _first_frame(container, stream)
        if first is None:
            raise _NoFrameError
        rotation, is_mirrored = video_container.orientation(first)
        width, height = shown_size(context.width, context.height, aspect, rotation)
        return FilmInfo(
            path=path,
            decoder="pyav",
            container=container.format.name,
            codec=stream.codec.canonical_name,  # not the decoder's, which is libdav1d for AV1
            pixel_format=context.pix_fmt,
            stream_index=stream.index,
            stored_width_px=context.width,
            stored_height_px=context.height,
            width_px=width,
            height_px=height,
            rate=rate,
            time_base=stream.time_base,
            rotation_deg=rotation,
            sample_aspect=aspect,
            color_transfer=TRANSFER.get(int(context.color_trc)),
            is_interlaced=bool(first.interlaced_frame),
            num_frames_promised=stream.frames if stream.frames > 0 else None,
            has_audio=bool(container.streams.audio),
            is_mirrored=is_mirrored,
            color_primaries=PRIMARIES.get(int(context.color_primaries)),
            peak_nits=video_container.peak_nits(first),
            timecode=video_container.timecode(container, stream),
        )


def _film_streams(path: FilmPlace, container: InputContainer) -> list[av.VideoStream]:
    """Streams that can be decoded as a film; a file without one is refused."""
    name = container.format.name
    if name.endswith("_pipe") or name == "image2":
        _refuse(path, "a still picture; give a film, or a folder of pictures")
    if name in ("tty", "bin", "xbin", "adf", "idf"):
        _refuse(path, "a text")
    streams = [s for s in container.streams.video if _is_moving(s)]
    if not streams:
        kinds = sorted({s.type for s in container.streams})
        _refuse(path, f"only {' and '.join(kinds)} in it" if kinds else "no stream")
    known = [s for s in streams if s.codec_context is not None and s.codec_context.width]
    if not known:
        _refuse(path, "an unknown or encrypted codec; convert it to H.264")
    return known


def _choose_stream(path: FilmPlace, streams: list, index: int | None):
    """The stream of an index, or the largest."""
    if index is None:
        return max(streams, key=lambda s: (s.width * s.height, -s.index))
    for stream in streams:
        if stream.index == index:
            return stream
    known = ", ".join(f"{s.index} ({s.width}x{s.height})" for s in streams)
    raise UserError(f"{path}: stream {index} is not a video stream; expected one of {known}")


def _is_moving(stream) -> bool:
    """Whether a video stream is a film, not a cover picture or a thumbnail."""
    disposition = stream.disposition
    kinds = type(disposition)
    return not disposition & (kinds.attached_pic | kinds.timed_thumbnails)


def _first_frame(container, stream) -> av.VideoFrame | None:
    """The first frame that decodes: PyAV tells rotation and interlacing of frames only."""
    try:
        for packet in container.demux(stream):
            try:
                for frame in packet.decode():
                    return frame
            except FFmpegError:
                continue
    except FFmpegError as error:
        logger.debug("%s: reading stopped: %s", container.name, error)
    return None


def _probe_opencv(path: FilmPlace) -> FilmInfo | None:
    """What OpenCV says, when it opens the file and gives a frame; it opens no address."""
    if isinstance(path, FilmAddress):
        return None
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", QUIET)  # read when a file is opened
    capture = cv2.VideoCapture(str(path))
    try:
        if not capture.isOpened():
            return None
        size = [capture.get(p) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)]
        rate = Fraction(min(max(0.0, capture.get(cv2.CAP_PROP_FPS)), 1e9)).limit_denominator(1001)
        _check_bounds(path, (int(size[0]), int(size[1])), rate)
        is_read, picture = capture.read()
        if not is_read or picture is None:
            return None
        promised = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        height, width = picture.shape[:2]
        fourcc = int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little", signed=True)
        return FilmInfo(
            path=path,
            decoder="opencv",
            container=path.suffix.lstrip(".").lower() or "unknown",
            codec=fourcc.decode("ascii", "replace").strip("\0 ") or "unknown",
            pixel_format="bgr24",
            stream_index=0,
            stored_width_px=width,
            stored_height_px=height,
            width_px=width,
            height_px=height,
            rate=rate,
            time_base=OPENCV_TIME_BASE,
            rotation_deg=0,  # OpenCV turns the picture itself
            sample_aspect=Fraction(1),
            color_transfer=None,
            is_interlaced=False,
            num_frames_promised=promised if promised > 0 else None,  # it may be negative
            has_audio=False,
        )
    finally:
        capture.release()


def _probe_folder(folder: Path, kind: str) -> FilmInfo:
    paths = picture_folder.list_pictures(folder)
    found = (picture_folder.read_picture(path) for path in paths)
    picture = next((p for p in found if p is not None), None)
    if picture is None:
        _refuse(folder, "a folder without readable pictures; give the film file itself")
    height, width = picture.shape[:2]
    kind = picture_folder.tell_kind(paths) if kind == "auto" else kind
    return FilmInfo(
        path=folder,
        decoder=kind,
        container="folder",
        codec=paths[0].suffix.lstrip(".").lower(),
        pixel_format="bgr24",
        stream_index=0,
        stored_width_px=width,
        stored_height_px=height,
        width_px=width,
        height_px=height,
        rate=FOLDER_RATE[kind],
        time_base=1 / FOLDER_RATE[kind],
        rotation_deg=0,
        sample_aspect=Fraction(1),
        color_transfer=None,
        is_interlaced=False,
        num_frames_promised=len(paths),
        has_audio=False,
    )


def _check_bounds(path: FilmPlace, size: tuple[int, int], rate: Fraction) -> None:
    """Refuse a header whose numbers are damage, or meant to fill the memory, before decoding."""
    if size[0] * size[1] > MAX_PIXELS:
        most = f"at most {MAX_PIXELS / 1e6:.0f} million pixels a frame"
        _refuse(path, f"{size[0]}x{size[1]} px where {most} are read; scale it down")
    if rate > MAX_RATE:
        most = f"at most {MAX_RATE} frames per second"
        _refuse(path, f"{float(rate):g} where {most} are read; convert it to its true frame rate")


def _aspect(value: Fraction | None) -> Fraction:
    """Pixel aspect ratio; 1 when it is absent, absurd or all but square."""
    if not value or not 1 / MAX_SAMPLE_ASPECT <= value <= MAX_SAMPLE_ASPECT:
        return Fraction(1)
    return Fraction(1) if abs(value - 1) < SQUARE_TOLERANCE else Fraction(value)


def _words(error: FFmpegError) -> str:
    """FFmpeg's own words for an error, without code and path."""
    return (error.strerror or type(error).__name__).rstrip(".").lower()


def _error(path: FilmPlace, found: str) -> UserError:
    check = "copy it to this machine" if isinstance(path, FilmAddress) else "check the file"
    advice = "" if ";" in found else f"; {check}, or convert it to MP4 with H.264"
    return UserError(f"{path}: expected a film, found {found}{advice}")


def _refuse(path: FilmPlace, found: str) -> NoReturn:
    raise _error(path, found)
