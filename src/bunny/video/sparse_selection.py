"""Frames taken without decoding all: the codec's keyframes, or equal times by jumping.

Shots are then told apart by the frames taken alone, so they begin at one of them.
"""

from collections.abc import Callable, Iterator

from bunny.video import decode, frame_buffer, keyframe, packet_index
from bunny.video import frame as video_frame
from bunny.video.decode_progress import Anchor, Tally
from bunny.video.frame import DecodedFrame
from bunny.video.frame_event import Pick, Restart, ShotEnd
from bunny.video.probe import FilmInfo
from bunny.video.shot import frame_difference
from bunny.video.shot.one_pass import FoundShot

# Two keyframes of one shot may be seconds apart: only unlike pictures part them.
COARSE_CHANGE = 0.05  # least compensated difference
COARSE_LIKENESS = 0.6  # most correlation


def pick_frames(
    info: FilmInfo,
    setting,
    tally: Tally,
    num_threads: int,
    told: Callable[[DecodedFrame], None],
    restart: Restart | None,
) -> Iterator[Pick | ShotEnd] | None:
    """As `pick.pick_frames`, for methods keyframe and interval.

    None for method interval where decoding every frame costs no more.
    """
    anchor = restart.anchor if restart else None
    if setting.method == "keyframe":
        frames = decode.iterate_frames(
            info, tally, is_keyframe_only=True, num_threads=num_threads, anchor=anchor
        )
    else:
        packets = packet_index.scan(info)
        if packets is None:
            return None
        wanted = packet_index.at_interval(packets, setting.interval_s, info.time_base)
        if packet_index.plan(packets, wanted).share > packet_index.MOST_SHARE:
            return None
        found = packet_index.plan(packets, wanted[wanted >= (anchor.index if anchor else 0)])
        if anchor:
            tally.num_decoded, tally.is_interlaced = anchor.num_decoded, anchor.is_interlaced
            tally.num_trimmed = anchor.num_trimmed
        frames = packet_index.iterate_wanted(info, packets, found, tally, num_threads=num_threads)
    return _Coarse(info, setting, tally, restart).run(frames, told)


class _Coarse:
    """Shots of the frames taken."""

    def __init__(self, info, setting, tally: Tally, restart: Restart | None) -> None:
        self._info, self._setting, self._tally = info, setting, tally
        self._held = frame_buffer.Held()
        self._first = restart.first_frame_index if restart else 0
        self._first_pts = restart.first_pts if restart else None
        self._transition = restart.transition_in if restart else "start"
        self._moves: list[float] = []
        self._num_before = 0  # frames decoded before this one

    def run(self, frames, told) -> Iterator[Pick | ShotEnd]:
        """Yield the frames, and the shots that they tell apart."""
        before, last = None, -1
        for frame in frames:
            told(frame)
            thumb = video_frame.thumb(frame, self._info)
            self._first_pts = frame.pts if self._first_pts is None else self._first_pts
            if before is not None:
                if _is_other_shot(before, thumb, self._setting.shot.cut_threshold):
                    yield from self._end(frame.index, frame.pts, "cut", frame.is_keyframe)
                else:
                    self._moves.append(frame_difference.plain_difference(before, thumb))
            before, last = thumb, frame.index
            self._held.add(frame)
            for old, box in self._held.overflow(frame.index):
                yield self._pick(old, box)
        if before is not None:
            end = max(last + 1, self._tally.num_packets)
            yield from self._end(end, max(self._tally.end_pts, self._first_pts + 1), "end", False)

    def _end(self, index: int, pts: int, transition: str, is_key: bool):
        """Yield the frames of the running shot, and the shot, and begin the next."""
        found = FoundShot(
            first_frame_index=self._first,
            end_frame_index=index,
            transition_in=self._transition,
            transition_out=transition,
            motion=sum(self._moves) / len(self._moves) if self._moves else 0.0,
        )
        frames, boxes = self._held.take(found)
        box = frame_buffer.content_box((), boxes)
        for frame in frames.values():
            yield self._pick(frame, box)
        yield ShotEnd(
            found=found,
            kind=keyframe.kind_of(found, self._setting.keyframe),
            start_pts=self._first_pts,
            end_pts=pts,
            restart=self._restart(index, pts, transition) if transition != "end" else None,
        )
        self._first, self._first_pts, self._transition = index, pts, transition
        self._moves = []

    def _restart(self, index: int, pts: int, transition: str) -> Restart | None:
        """Go on at this frame, which is the last that was decoded."""
        if not self._tally.is_clean or self._info.decoder != "pyav":
            return None
        anchor = Anchor(
            index=index,
            pts=pts,
            num_decoded=self._tally.num_decoded - 1,
            start_pts=self._tally.start_pts,
            is_interlaced=self._tally.is_interlaced,
            num_trimmed=self._tally.num_trimmed,
        )
        return Restart(
            first_frame_index=index, first_pts=pts, transition_in=transition, anchor=anchor
        )

    def _pick(self, frame: DecodedFrame, box) -> Pick:
        return Pick(
            frame=frame,
            reason=self._setting.method,
            crop=box if self._setting.is_cropped else None,
        )


def _is_other_shot(before, thumb, threshold: float) -> bool:
    """Whether two frames are of different shots."""
    return (
        frame_difference.compensated_difference(before, thumb) >= COARSE_CHANGE * threshold
        and frame_difference.likeness(before, thumb) < COARSE_LIKENESS
    )
