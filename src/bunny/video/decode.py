"""Frames of a film in presentation order with exact times, one at a time.

What cannot be decoded is counted and skipped. Times are the container's own; where it gives none,
or they repeat or go back, they are continued at the film's rate and the tally says so.
"""

import logging
from collections.abc import Iterator
from fractions import Fraction

import cv2

from bunny.video import stream
from bunny.video.decode_progress import Anchor, Clock, Tally
from bunny.video.frame import DecodedFrame
from bunny.video.probe import FilmInfo, list_pictures, read_picture
from bunny.video.stream import DamageError, SeekError, Way

logger = logging.getLogger(__name__)


def iterate_frames(
    info: FilmInfo,
    tally: Tally | None = None,
    *,
    is_keyframe_only: bool = False,
    num_threads: int = 0,
    anchor: Anchor | None = None,
) -> Iterator[DecodedFrame]:
    """Decode a film; memory does not grow with its length.

    Parameters
    ----------
    info : FilmInfo
        From `probe.probe`.
    tally : Tally, optional
        Counts what is decoded, skipped and mended; complete when the iteration ends.
    is_keyframe_only : bool
        Decode the codec's keyframes (I-frames) alone. `index` is still the presentation order
        among all frames, counted from the packets; where the container gives packets no times
        it is the packet's number, which is exact when the film has no B-frames.
        OpenCV and folders cannot skip: they give every frame.
    num_threads : int
        Of the decoder; 0 lets it choose. At the first damage the film is decoded again by one
        thread up to where it was: only that patches and counts holes the same way each time.
    anchor : Anchor, optional
        Begin at this keyframe, by seeking; where the container cannot seek to it exactly, the
        film is decoded from its start and the frames before the keyframe are left out.

    Yields
    ------
    DecodedFrame
        With `index` rising, by 1 when all are decoded, and `pts` strictly rising.
    """
    tally = Tally() if tally is None else tally
    first = anchor.index if anchor else 0
    if info.decoder != "pyav":
        read = _folder_frames if info.decoder == "folder" else _opencv_frames
        yield from (frame for frame in read(info, tally) if frame.index >= first)
        return
    decode = stream.keyframes if is_keyframe_only else stream.all_frames
    for way in _ways(anchor, num_threads):
        try:
            for frame in decode(info, tally, way):
                if frame.index >= first:
                    first = frame.index + 1
                    yield frame
            return
        except (DamageError, SeekError) as error:
            logger.info("%s: %s; decoded again from its start", info.path.name, error)
            tally.__init__()


def _ways(anchor: Anchor | None, num_threads: int) -> Iterator[Way]:
    """Ways to decode, the next for when one cannot be gone to the end; the last always can."""
    if anchor:
        yield Way(num_threads=num_threads, anchor=anchor)
    if num_threads != 1:
        yield Way(num_threads=num_threads)
    yield Way(num_threads=1, is_strict=False)


def _opencv_frames(info: FilmInfo, tally: Tally) -> Iterator[DecodedFrame]:
    clock = Clock(info, tally)
    capture = cv2.VideoCapture(str(info.path))
    try:
        while True:
            is_read, picture = capture.read()
            if not is_read:
                return
            seconds = Fraction(capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000
            pts = None if seconds < 0 else round(seconds / info.time_base)
            yield _array_frame(picture, tally.num_decoded, clock.take(pts), info, tally)
    finally:
        capture.release()


def _folder_frames(info: FilmInfo, tally: Tally) -> Iterator[DecodedFrame]:
    clock = Clock(info, tally)
    for number, path in enumerate(list_pictures(info.path)):
        picture = read_picture(path)
        if picture is None:
            tally.num_failed += 1
            logger.warning("%s: expected a picture, could not read it; left out", path.name)
            continue
        yield _array_frame(picture, tally.num_decoded, clock.take(number), info, tally)


def _array_frame(picture, index: int, pts: int, info: FilmInfo, tally: Tally) -> DecodedFrame:
    tally.num_decoded += 1
    return DecodedFrame(
        index=index, pts=pts, time_base=info.time_base, raw=picture, is_keyframe=True
    )
