"""Selection of frames without decoding every one: keyframes, intervals, pictures of a folder."""

from collections.abc import Callable, Iterator
from typing import cast

import numpy as np

from bunny.core.config import ExtractionConfig
from bunny.video import decode, keyframe, packet_index
from bunny.video import frame as video_frame
from bunny.video.decode import SeekPoint, Tally
from bunny.video.frame import DecodedFrame
from bunny.video.probe import FilmInfo
from bunny.video.selection_event import Restart, SelectedFrame, ShotEnd
from bunny.video.shot import frame_difference
from bunny.video.shot.fast_detector import FoundShot
from bunny.video.shot.luma_range import NUM_CELLS, luma_range, measure_cells

# Two keyframes of one shot may be seconds apart: only unlike pictures part them.
COARSE_CHANGE = 0.05  # least compensated difference
COARSE_LIKENESS = 0.6  # most correlation


def select_pictures(
    info: FilmInfo,
    extraction: ExtractionConfig,
    tally: Tally,
    told: Callable[[DecodedFrame], None],
    restart: Restart | None,
) -> Iterator[SelectedFrame | ShotEnd]:
    """As `frame_selection.select_frames`, for a folder of pictures: each is taken, as a shot."""
    last = (info.num_frames_promised or 0) - 1
    for frame in decode.iterate_frames(info, tally, anchor=restart.anchor if restart else None):
        told(frame)
        end = frame.index + 1
        found = FoundShot(
            first_frame_index=frame.index,
            end_frame_index=end,
            transition_in="cut" if frame.index else "start",
            transition_out="end" if frame.index == last else "cut",
            motion=0.0,
            luma_range=0.0,
        )
        has_box = extraction.crop_bars and frame.error is None
        box = keyframe.shot_content_box([frame]) if has_box else None
        yield SelectedFrame(frame=frame, reason="shot-median", crop=box)
        anchor = SeekPoint(
            index=end,
            pts=frame.pts + 1,
            num_decoded=tally.num_decoded,
            start_pts=cast(int, tally.start_pts),
        )
        following = Restart(
            first_frame_index=end, first_pts=frame.pts + 1, transition_in="cut", anchor=anchor
        )
        yield ShotEnd(
            found=found,
            kind="static",
            start_pts=frame.pts,
            end_pts=frame.pts + 1,
            restart=following if tally.is_clean and frame.index != last else None,
        )


def select_sparse(
    info: FilmInfo,
    extraction: ExtractionConfig,
    tally: Tally,
    num_threads: int,
    told: Callable[[DecodedFrame], None],
    restart: Restart | None,
) -> Iterator[SelectedFrame | ShotEnd] | None:
    """As `frame_selection.select_frames`, for methods keyframe and interval.

    None for method interval where decoding every frame costs no more.
    """
    anchor = restart.anchor if restart else None
    if extraction.method == "keyframe":
        frames = decode.iterate_frames(
            info, tally, is_keyframe_only=True, num_threads=num_threads, anchor=anchor
        )
    else:
        packets = packet_index.scan(info)
        if packets is None:
            return None
        interval_s = keyframe.exact_seconds(extraction.interval_seconds)
        wanted = packet_index.at_interval(packets, interval_s, info.time_base)
        if packet_index.plan_seeks(packets, wanted).share > packet_index.MAX_DECODED_SHARE:
            return None
        found = packet_index.plan_seeks(packets, wanted[wanted >= (anchor.index if anchor else 0)])
        if anchor:
            tally.num_decoded, tally.is_interlaced = anchor.num_decoded, anchor.is_interlaced
            tally.num_trimmed = anchor.num_trimmed
        frames = packet_index.decode_wanted(info, packets, found, tally, num_threads=num_threads)
    return _SparseSelection(info, extraction, tally, restart).run(frames, told)


class _SparseSelection:
    """Shots of the frames taken."""

    def __init__(self, info, extraction, tally: Tally, restart: Restart | None) -> None:
        self._info, self._extraction, self._tally = info, extraction, tally
        self._held = keyframe.HeldFrames()
        self._first = restart.first_frame_index if restart else 0
        self._first_pts = restart.first_pts if restart else None
        self._transition = restart.transition_in if restart else "start"
        self._moves: list[float] = []
        self._cells: list[bytes] = []  # of the frames of the running shot
        self._num_before = 0  # frames decoded before this one

    def run(self, frames, told) -> Iterator[SelectedFrame | ShotEnd]:
        """Yield the frames, and the shots that they tell apart."""
        before, last = None, -1
        for frame in frames:
            told(frame)
            thumb = video_frame.thumb(frame, self._info)
            self._first_pts = frame.pts if self._first_pts is None else self._first_pts
            if before is not None:
                if _is_other_shot(before, thumb, self._extraction.cut_threshold):
                    yield from self._end(frame.index, frame.pts, "cut", frame.is_keyframe)
                else:
                    self._moves.append(frame_difference.plain_difference(before, thumb))
            self._cells.append(measure_cells(thumb[..., 0]))
            before, last = thumb, frame.index
            self._held.add(frame)
            for old, box in self._held.overflow(frame.index):
                yield self._pick(old, box)
        if before is not None:
            end = max(last + 1, self._tally.num_packets)
            end_pts = max(cast(int, self._tally.end_pts), cast(int, self._first_pts) + 1)
            yield from self._end(end, end_pts, "end", False)

    def _end(self, index: int, pts: int, transition: str, is_key: bool):
        """Yield the frames of the running shot, and the shot, and begin the next."""
        cells = np.frombuffer(b"".join(self._cells), np.uint8).reshape(-1, NUM_CELLS)
        found = FoundShot(
            first_frame_index=self._first,
            end_frame_index=index,
            transition_in=self._transition,
            transition_out=transition,
            motion=sum(self._moves) / len(self._moves) if self._moves else 0.0,
            luma_range=luma_range(cells),
        )
        frames, boxes = self._held.take(found)
        box = keyframe.shot_content_box((), boxes)
        for frame in frames.values():
            yield self._pick(frame, box)
        yield ShotEnd(
            found=found,
            kind=keyframe.shot_kind(found, self._extraction),
            start_pts=cast(int, self._first_pts),
            end_pts=pts,
            restart=self._restart(index, pts, transition) if transition != "end" else None,
        )
        self._first, self._first_pts, self._transition = index, pts, transition
        self._moves, self._cells = [], []

    def _restart(self, index: int, pts: int, transition: str) -> Restart | None:
        """Go on at this frame, which is the last that was decoded."""
        if not self._tally.is_clean or self._info.decoder != "pyav":
            return None
        anchor = SeekPoint(
            index=index,
            pts=pts,
            num_decoded=self._tally.num_decoded - 1,
            start_pts=cast(int, self._tally.start_pts),
            is_interlaced=self._tally.is_interlaced,
            num_trimmed=self._tally.num_trimmed,
        )
        return Restart(
            first_frame_index=index, first_pts=pts, transition_in=transition, anchor=anchor
        )

    def _pick(self, frame: DecodedFrame, box) -> SelectedFrame:
        return SelectedFrame(
            frame=frame,
            reason=self._extraction.method,
            crop=box if self._extraction.crop_bars else None,
        )


def _is_other_shot(before, thumb, threshold: float) -> bool:
    """Whether two frames are of different shots."""
    return (
        frame_difference.compensated_difference(before, thumb) >= COARSE_CHANGE * threshold
        and frame_difference.correlation(before, thumb) < COARSE_LIKENESS
    )
