"""Rows of the tables film, shot, change, frame and measure, as extract writes them."""

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import asdict
from typing import Any

import polars as pl

from bunny.table import store
from bunny.table.box import CROP
from bunny.video.decode import Tally
from bunny.video.image_writer import FrameWriter
from bunny.video.probe import FilmInfo
from bunny.video.selection_event import SelectedFrame, ShotEnd

FOLDER_NOTE = {
    "pictures": "{count} pictures, each kept as a shot of its own; for the frames of a film, set "
    "extraction.folder=sequence",
    "sequence": "{count} pictures, read as the frames of a film at 24 a second; to keep each "
    "picture, set extraction.folder=pictures",
}


class ShotBatch:
    """Rows of the shots of one shard, while their pictures are still being written."""

    def __init__(self, film_id: str, info: FilmInfo) -> None:
        self._film_id, self._base = film_id, info.time_base
        self._open: dict[int, tuple[dict[str, Any], Future]] = {}  # their shot has not ended
        self._shots: list[dict[str, Any]] = []
        self._picks: list[tuple[dict[str, Any], Future]] = []
        self._changes: list[pl.DataFrame] = []

    def has_rows(self) -> bool:
        """Whether a shot has ended since the last tables."""
        return bool(self._shots)

    def add(self, pick: SelectedFrame, writer: FrameWriter) -> None:
        """Have a picture written; of two reasons for one frame the later stays."""
        index = pick.frame.index
        known = self._open.get(index)
        future = known[1] if known else writer.write(pick.frame, pick.crop)
        self._open[index] = (self._frame_row(pick), future)

    def end_shot(self, shot_index: int, event: ShotEnd) -> None:
        """Give the pictures so far to their shot."""
        mine = sorted(self._open.items())
        self._open = {}
        self._picks += [({**row, "shot_index": shot_index}, future) for _, (row, future) in mine]
        self._shots.append(self._shot_row(shot_index, event))
        if event.change is not None:
            self._changes.append(event.change)

    def tables(self) -> dict[str, pl.DataFrame]:
        """Wait for the pictures and give tables shot, change, frame, measure; begin anew."""
        frames, measures = [], []
        for row, future in self._picks:
            written = future.result()
            frames.append(
                row
                | {
                    "file": f"frame/{written.file}" if written.file else None,
                    "width_px": written.width_px,
                    "height_px": written.height_px,
                    **dict(zip(CROP, written.crop or (None,) * 4, strict=True)),
                    "error": written.error,
                }
            )
            measure = asdict(written.measure) if written.measure else {}
            measures.append({"frame_id": row["frame_id"], "error": written.error, **measure})
        rows = {"shot": self._shots, "frame": frames, "measure": measures}
        tables = {name: store.from_rows(name, part) for name, part in rows.items()}
        tables["change"] = self._change()
        self._shots, self._picks, self._changes = [], [], []
        return tables

    def _change(self) -> pl.DataFrame:
        """Table change of the shots so far."""
        if not self._changes:
            return store.from_rows("change", [])
        rows = pl.concat(self._changes)
        time_s = rows["pts"].to_numpy() * self._base.numerator / self._base.denominator
        named = rows.with_columns(film_id=pl.lit(self._film_id), timestamp_s=pl.Series(time_s))
        return store.check("change", named)

    def _shot_row(self, shot_index: int, event: ShotEnd) -> dict[str, Any]:
        found = event.found
        return {
            "film_id": self._film_id,
            "shot_index": shot_index,
            "first_frame_index": found.first_frame_index,
            "end_frame_index": found.end_frame_index,
            "start_s": float(event.start_pts * self._base),
            "end_s": float(event.end_pts * self._base),
            "start_pts": event.start_pts,
            "end_pts": event.end_pts,
            "transition_in": found.transition_in,
            "motion": found.motion,
            "luma_range": found.luma_range,
            "kind": event.kind,
        }

    def _frame_row(self, pick: SelectedFrame) -> dict[str, Any]:
        frame = pick.frame
        return {
            "frame_id": f"{self._film_id}-{frame.index:08d}",
            "film_id": self._film_id,
            "frame_index": frame.index,
            "pts": frame.pts,
            "time_base_num": frame.time_base.numerator,
            "time_base_den": frame.time_base.denominator,
            "timestamp_s": frame.time_s,
            "reason": pick.reason,
            "source_file": frame.source_file,
            "captured_at": frame.captured_at,
        }


def film_row(
    film_id: str, source: Mapping[str, Any], info: FilmInfo, tally: Tally
) -> dict[str, Any]:
    """Make the row of table `film`; `source` has `film` and `content_hash`."""
    if tally.start_pts is None or tally.end_pts is None:
        raise ValueError(f"{info.path}: expected times for its frames, found none")
    duration = (tally.end_pts - tally.start_pts) * info.time_base
    aspect = info.sample_aspect
    return {
        "film_id": film_id,
        "path": source["film"],
        "content_hash": source["content_hash"],
        "container": info.container,
        "codec": info.codec,
        "pixel_format": info.pixel_format,
        "width_px": info.width_px,
        "height_px": info.height_px,
        "frame_rate_num": info.rate.numerator,
        "frame_rate_den": info.rate.denominator,
        "time_base_num": info.time_base.numerator,
        "time_base_den": info.time_base.denominator,
        "start_s": float(tally.start_pts * info.time_base),
        "duration_s": float(duration),
        "rotation_deg": info.rotation_deg,
        "is_mirrored": info.is_mirrored,
        "sample_aspect_ratio": f"{aspect.numerator}:{aspect.denominator}",
        "color_transfer": info.color_transfer,
        "color_primaries": info.color_primaries,
        "is_interlaced": info.is_interlaced or tally.is_interlaced,
        "num_frames": tally.num_decoded,
        "num_frames_promised": info.num_frames_promised,
        "num_frames_failed": tally.num_failed,
        "stream_index": info.stream_index,
        "start_timecode": info.timecode,
        "has_audio": info.has_audio,
        "decoder": info.decoder,
    }


def film_note(info: FilmInfo, tally: Tally) -> str | None:
    """Irregularities of a film in words; None for an ordinary one."""
    promised, found = info.num_frames_promised, tally.num_decoded
    is_sparse = tally.num_packets > 0
    if info.decoder in FOLDER_NOTE:
        failed = f"; {tally.num_failed} could not be read" if tally.num_failed else ""
        return FOLDER_NOTE[info.decoder].format(count=promised) + failed
    notes = [
        (
            is_sparse,
            (
                f"{found} of {tally.num_packets} frames were decoded, as the sampling method "
                "requires"
            ),
        ),
        (
            promised and promised != found + tally.num_trimmed and not is_sparse,
            f"the container announces {promised} frames, but {found} were decoded",
        ),
        (tally.num_trimmed, f"an edit list trims {tally.num_trimmed} frames"),
        (tally.num_failed, f"{tally.num_failed} packets could not be decoded"),
        (tally.num_damaged, f"{tally.num_damaged} frames are damaged"),
        (tally.is_cut_short, "the file ends in an error"),
        (
            tally.num_derived,
            f"{tally.num_derived} missing timestamps were derived from the frame rate",
        ),
        (tally.num_moved, f"{tally.num_moved} timestamps repeat or go back and were shifted"),
        (info.decoder == "opencv", "decoded by OpenCV, which rounds timestamps"),
        (info.is_interlaced or tally.is_interlaced, "interlaced; combed frames were deinterlaced"),
        (
            info.color_transfer in ("pq", "hlg"),
            f"high dynamic range ({info.color_transfer}); frames are tone-mapped",
        ),
    ]
    return "; ".join(text for holds, text in notes if holds) or None
