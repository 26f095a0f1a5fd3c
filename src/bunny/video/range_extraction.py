"""Extraction in time ranges of a film, which several processes share.

A range gives the shots that begin in it. It is decoded from a codec's keyframe far enough before
its first frame for the shot detector to know what it would know from the film's start, and on
until the first shot ends behind its last frame. So the ranges overlap, and a shot on a border
belongs to the range that it begins in. Whether each range begins with the very shot that the one
before it ends at is checked when they are joined; where one does not, the film is decoded in one
pass.
"""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import polars as pl

from bunny.contract.shard import Shards, share
from bunny.core import atomic
from bunny.core.config import ExtractionConfig
from bunny.video import packet_index
from bunny.video.decode import SeekPoint, Tally
from bunny.video.extraction_table import ShotBatch
from bunny.video.frame import DecodedFrame
from bunny.video.frame_selection import select_frames
from bunny.video.image_writer import FrameWriter
from bunny.video.probe import FilmInfo
from bunny.video.selection_event import Restart, SelectedFrame, ShotEnd
from bunny.video.shot import detector

logger = logging.getLogger(__name__)

RANGES = "ranges.json"
RANGES_A_PART, CHEAP_OVERLAPS = 4, 16
TABLES = ("shot", "change", "frame", "measure")


@dataclass(frozen=True, kw_only=True)
class TimeRange:
    """Frames in which the shots of a range begin."""

    first: int
    end: int | None  # None: the film's end
    restart: Restart | None  # where decoding begins; None: at the film's start


def plan_ranges(info: FilmInfo, extraction: ExtractionConfig, num_parts: int) -> list[TimeRange]:
    """Divide a film into ranges of equal length.

    Parameters
    ----------
    info : FilmInfo
        From `probe.probe`.
    num_parts : int
        Processes that share the film. Each has one range, or up to four where the overlap is then
        no more than a sixteenth of a range: the last one to finish is not far behind. Each range
        is as long as its overlap at least.

    Returns
    -------
    list of TimeRange
        Empty where the film cannot be divided: its frames are not known by their packets, or the
        shot detector has to see it from the start.
    """
    if extraction.method != "shot" or num_parts < 2:
        return []
    found = detector.make_detector(extraction, info.rate)
    packets = packet_index.scan(info) if found.warmup is not None else None
    if packets is None or found.warmup is None:
        return []
    overlap = found.warmup + found.lag
    each = max(1, len(packets) // (CHEAP_OVERLAPS * overlap * num_parts))
    count = min(min(each, RANGES_A_PART) * num_parts, len(packets) // overlap)
    starts = [0, *(len(packets) * k // count for k in range(1, count))]
    keys = np.flatnonzero(packets.is_keyframe)
    ranges: list[TimeRange] = []
    for first, end in zip(starts, [*starts[1:], None], strict=True):
        key = int(keys[max(0, np.searchsorted(keys, first - overlap, side="right") - 1)])
        ranges.append(TimeRange(first=first, end=end, restart=_restart(packets, key)))
    return ranges if count > 1 else []


def _restart(packets: packet_index.Packets, key: int) -> Restart | None:
    """State to decode from a keyframe as if a shot began there; None: from the film's start."""
    if key == 0:
        return None
    pts = int(packets.pts[key])
    anchor = SeekPoint(index=key, pts=pts, num_decoded=key, start_pts=int(packets.pts[0]))
    return Restart(first_frame_index=key, first_pts=pts, transition_in="start", anchor=anchor)


def select_range(
    info: FilmInfo,
    extraction: ExtractionConfig,
    part: TimeRange,
    tally: Tally,
    num_threads: int = 0,
    note_frame: Callable[[DecodedFrame], None] | None = None,
) -> Iterator[SelectedFrame | ShotEnd]:
    """As `select_frames`, for the shots that begin in a range.

    Ends early at the first damage, where the tally is no longer clean.
    """
    begun = part.restart.first_frame_index if part.restart else 0
    events = select_frames(
        info,
        extraction,
        tally,
        num_threads=num_threads,
        note_frame=note_frame,
        restart=part.restart,
    )
    for event in events:
        if not tally.is_clean:
            return
        is_own = begun >= part.first
        if is_own:
            yield event
        if isinstance(event, ShotEnd):
            begun = event.found.end_frame_index
            if part.end is not None and begun >= part.end:
                return


class RangeExtraction:
    """The ranges of one film, in shards of one range each.

    Parameters
    ----------
    shards : Shards
        Of a kind of their own, under a key of all that the pictures depend on.
    make_writer : callable
        Opens what writes the pictures.
    num_threads : int
        Of the decoder; 0 lets it choose.
    """

    def __init__(
        self,
        shards: Shards,
        film_id: str,
        info: FilmInfo,
        extraction: ExtractionConfig,
        make_writer: Callable[[], AbstractContextManager[FrameWriter]],
        num_threads: int,
    ) -> None:
        self.shards, self._film_id, self._info = shards, film_id, info
        self._extraction, self._make_writer = extraction, make_writer
        self._num_threads = num_threads
        self._file: Path = shards.folder / RANGES
        self._ranges: list[TimeRange] = []

    def plan(self, num_parts: int) -> bool:
        """Divide the film, for all processes; gives whether it can be divided."""
        if not self.read_plan():
            self._ranges = plan_ranges(self._info, self._extraction, num_parts)
            if self._ranges:
                text = json.dumps([asdict(part) for part in self._ranges])
                atomic.write_bytes(self._file, text.encode())
        return bool(self._ranges)

    def read_plan(self) -> bool:
        """Read how another process divided the film; gives whether one did."""
        if self._file.exists():
            parts = json.loads(self._file.read_text(encoding="utf-8"))
            self._ranges = [
                TimeRange(**{**part, "restart": Restart.from_json(part["restart"])})
                for part in parts
            ]
        return bool(self._ranges)

    def fill(self, note_frame: Callable[[DecodedFrame], None]) -> None:
        """Extract the ranges that no other process works on, and wait for the others."""

        def extract(indices: Sequence[int]) -> None:
            for index in indices:
                self._extract(index, note_frame)

        share(self.shards, [[index] for index in range(len(self._ranges))], extract)

    def _extract(self, index: int, note_frame: Callable[[DecodedFrame], None]) -> None:
        tally, batch = Tally(), ShotBatch(self._film_id, self._info)
        number, transition = 0, None
        with self._make_writer() as writer:
            events = select_range(
                self._info,
                self._extraction,
                self._ranges[index],
                tally,
                self._num_threads,
                note_frame,
            )
            for event in events:
                if isinstance(event, SelectedFrame):
                    batch.add(event, writer)
                    continue
                self.shards.check_wanted()
                batch.end_shot(number, event)
                number, transition = number + 1, event.found.transition_out
            tables = batch.tables()
        state = {"tally": asdict(tally), "transition_out": transition}
        self.shards.put(index, tables, len(self._ranges), state=state)

    def join(self) -> tuple[dict[str, pl.DataFrame], Tally] | None:
        """Tables of the whole film and the count of its frames.

        None where a frame was damaged, or a range does not begin where the one before it ends.
        """
        states = [self.shards.state(index) or {} for index in range(len(self._ranges))]
        tallies = [Tally(**state["tally"]) for state in states]
        tables: dict[str, list[pl.DataFrame]] = {name: [] for name in TABLES}
        shots, due = 0, (0, "start", tallies[0].start_pts)
        for index, state in enumerate(states):
            shot = self.shards.get(index, "shot")
            if not tallies[index].is_clean:
                return None
            if not shot.height:
                continue  # a shot that began before goes on to the range's end
            begun = shot.row(0, named=True)
            if (begun["first_frame_index"], begun["transition_in"], begun["start_pts"]) != due:
                logger.info("%s: shot borders differ near frame %d", self._info.path.name, due[0])
                return None
            for name in TABLES:
                rows = self.shards.get(index, name)
                if "shot_index" in rows.columns:
                    rows = rows.with_columns(pl.col("shot_index") + shots)
                tables[name].append(rows)
            shots += shot.height
            ended = shot.row(-1, named=True)
            due = (ended["end_frame_index"], state["transition_out"], ended["end_pts"])
        if due[1] != "end":
            return None
        whole = tallies[-1]
        whole.start_pts = tallies[0].start_pts
        whole.is_interlaced = any(tally.is_interlaced for tally in tallies)
        return {name: pl.concat(parts) for name, parts in tables.items()}, whole
