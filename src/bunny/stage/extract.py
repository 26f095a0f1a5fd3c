"""Stage extract: shots of a film and the pictures that stand for them.

One decode finds the shots, takes the frames, measures and writes them. A shard is a number of
finished shots; after a kill the film is taken up again at the codec's keyframe before the first
shot that is in no shard.
"""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import polars as pl
from av.error import FFmpegError

from bunny.contract import stage
from bunny.contract.shard import Shards
from bunny.core.error import StageError, UserError
from bunny.quality.measure import measure_frame
from bunny.table import scalar, store
from bunny.video import probe
from bunny.video.decode import Tally
from bunny.video.extraction_table import ShotBatch, film_note, film_row
from bunny.video.frame import PictureSetting
from bunny.video.frame_selection import Restart, SelectedFrame, SelectionSetting, select_frames
from bunny.video.image_writer import MAX_WORKERS, FrameWriter
from bunny.video.keyframe import KeyframeSetting
from bunny.video.probe import FilmInfo
from bunny.video.shot.fast_detector import ShotSetting

logger = logging.getLogger(__name__)

PICTURES_PER_SHOT = 3  # about; turns `pipeline.shard_size` pictures into shots
PROGRESS_EVERY = 10  # frames
PROGRESS_SECONDS = 1.0  # between two notes on disk of how far the film is
MAX_THREADS = 16  # more frames in flight take memory and win nothing
PICTURE_SUFFIXES = (".jpg", ".png", ".webp")


class Extract(stage.BaseStage):
    """Writes film, shot, frame and measure, and the pictures under `frame/`."""

    name = "extract"
    version = 4
    writes = ("frame", "film", "shot", "measure")
    _noted_at = float("-inf")
    uses_film = True

    def settings(self) -> dict[str, Any]:
        """All of section `extraction`."""
        return stage.settings_of(self.config, "extraction")

    def has_files(self) -> bool:
        """Whether every picture of the table `frame` is there."""
        named = _named(store.read(self.output_dir / "table", "frame"))
        return _pictures(self.output_dir).issuperset(named)

    def run(self) -> stage.StageOutput:
        """Decode the film and write its tables."""
        stream = self.config.extraction.video_stream
        path = _film_path(self.source["film"])
        info = probe.probe(path, stream_index=stream if stream >= 0 else None)
        size = max(1, self.config.pipeline.shard_size // PICTURES_PER_SHOT)
        depends = {"film": self.source["content_hash"], "settings": self.settings(), "shots": size}
        shards = self.shards("shot", depends)
        with _disk_errors(self.output_dir), _one_opencv_thread():
            tally = self._fill(shards, info, size)
            tables = {name: shards.collect(name) for name in ("shot", "frame", "measure")}
            _remove_others(self.output_dir, _named(tables["frame"]))
        note = film_note(info, tally)
        row = film_row(self.output_dir.name, self.source, info, tally)
        tables["film"] = store.from_rows("film", [{**row, "note": note}])
        failed = tables["frame"]["error"].is_not_null().sum()
        return stage.StageOutput(
            tables=tables,
            num_items=tables["frame"].height,
            num_failed=int(failed),
            note=note or "",
        )

    def _fill(self, shards: Shards, info: FilmInfo, size: int) -> Tally:
        """Decode and put every shard that is not there yet."""
        tally = Tally()
        number, end, restart = _done(self.output_dir, shards)
        batch = ShotBatch(self.output_dir.name, info)
        with self._writer(info) as writer, self._frames_bar(info) as note_frame:
            events = select_frames(
                info,
                self._pick_setting(),
                tally,
                num_threads=_num_threads() if self.config.pipeline.parallel_processing else 1,
                note_frame=note_frame,
                restart=restart,
            )
            for event in events:
                if isinstance(event, SelectedFrame):
                    if event.frame.index >= end:
                        batch.add(event, writer)
                    continue
                if event.found.end_frame_index <= end:
                    continue  # decoded again only because the film cannot be taken up inside
                batch.end_shot(number, event)
                number += 1
                if number % size == 0:
                    state = {"restart": asdict(event.restart) if event.restart else None}
                    shards.put((number - 1) // size, batch.tables(), state=state)
            if batch.has_rows():
                shards.put((number - 1) // size, batch.tables())
        self._check(info, tally)
        return tally

    def _writer(self, info: FilmInfo) -> FrameWriter:
        is_parallel = self.config.pipeline.parallel_processing
        return FrameWriter(
            self.output_dir / "frame",
            info,
            self.config.extraction.output_format,
            self.config.extraction.quality,
            measure_frame,
            num_workers=min(MAX_WORKERS, os.cpu_count() or 1) if is_parallel else 0,
            setting=PictureSetting(
                deinterlace=self.config.extraction.deinterlace,
                tone_curve=self.config.extraction.tone_curve,
            ),
        )

    def _pick_setting(self) -> SelectionSetting:
        setting = self.config.extraction
        return SelectionSetting(
            method=setting.method,
            interval_s=Fraction(setting.interval_seconds).limit_denominator(10**6),
            extra_interval_s=Fraction(setting.extra_interval_seconds).limit_denominator(10**6),
            is_cropped=setting.crop_bars,
            shot_detector=setting.shot_detector,
            shot=ShotSetting(
                cut_threshold=setting.cut_threshold, min_shot_frames=setting.min_shot_frames
            ),
            keyframe=KeyframeSetting(
                static_motion=setting.static_motion,
                frames_per_dynamic_shot=setting.frames_per_dynamic_shot,
            ),
        )

    @contextmanager
    def _frames_bar(self, info: FilmInfo) -> Iterator[Any]:
        """Bar over decoded frames; gives a function to tell of each."""
        total = info.num_frames_promised or 0
        with self.bar(total or None) as bar:

            def note_frame(frame) -> None:
                if frame.index % PROGRESS_EVERY == 0:
                    bar.update(max(0, frame.index + 1 - bar.n))
                    if total and time.monotonic() - self._noted_at > PROGRESS_SECONDS:
                        self._noted_at = time.monotonic()
                        self._note_progress(min(frame.index, total), total)

            yield note_frame

    def _check(self, info: FilmInfo, tally: Tally) -> None:
        """Refuse a film that gave too little.

        Raises
        ------
        UserError
            If no frame was decoded.
        StageError
            If more than `pipeline.max_failed_share` of them failed.
        """
        if not tally.num_decoded:
            raise UserError(
                f"{info.path}: expected a film, none of its frames could be decoded; it may be "
                "encrypted or damaged, copy or convert it again"
            )
        all_frames = tally.num_decoded + tally.num_failed
        if tally.num_failed > self.config.pipeline.max_failed_share * all_frames:
            raise StageError(
                f"{info.path}: expected frames that can be decoded, {tally.num_failed} of "
                f"{all_frames} could not, more than pipeline.max_failed_share "
                f"{self.config.pipeline.max_failed_share}; copy or convert the film again"
            )


def _film_path(film: str) -> Path:
    """The film as it was given; it may have been moved since.

    Raises
    ------
    UserError
        If it is no longer there.
    """
    path = Path(film)
    if not path.exists():
        raise UserError(f"{path}: expected the film, found no such file; run with its new path")
    return path


def _done(folder: Path, shards: Shards) -> tuple[int, int, Restart | None]:
    """What needs no work: shots whose shards are there with all their pictures.

    Returns
    -------
    num_shots : int
    end : int
        End of the last of them, in frames.
    restart : Restart or None
        How to go on after it; None: from the film's start.
    """
    num_shots, end, restart = 0, 0, None
    pictures = _pictures(folder)
    for number, index in enumerate(shards.done()):
        if number != index or not pictures.issuperset(_named(shards.get(index, "frame"))):
            break
        shot = shards.get(index, "shot")
        state = shards.state(index)
        if state is None:  # the film's last shots: all is done but the tally of its frames
            break
        num_shots, end = num_shots + shot.height, scalar.as_int(shot["end_frame_index"].max())
        restart = Restart.from_json(state["restart"])
    return num_shots, end, restart


def _named(frame: pl.DataFrame) -> set[str]:
    """Pictures that a table names."""
    return set(frame["file"].drop_nulls())


def _pictures(folder: Path) -> set[str]:
    """Pictures in `frame/`, named as in the table."""
    if not (folder / "frame").is_dir():
        return set()
    with os.scandir(folder / "frame") as entries:
        return {f"frame/{e.name}" for e in entries if e.name.endswith(PICTURE_SUFFIXES)}


def _remove_others(folder: Path, named: set[str]) -> None:
    """Remove pictures that no table names, and what a kill left half written."""
    for file in sorted(_pictures(folder) - named):
        (folder / file).unlink(missing_ok=True)
    for path in (folder / "frame").glob(".*.tmp"):
        path.unlink(missing_ok=True)


def _num_threads() -> int:
    """Threads of the decoder: one more than cores, so that one can wait."""
    if hasattr(os, "sched_getaffinity"):
        return min(MAX_THREADS, len(os.sched_getaffinity(0)) + 1)
    return min(MAX_THREADS, (os.cpu_count() or 1) + 1)


@contextmanager
def _one_opencv_thread() -> Iterator[None]:
    """Keep OpenCV from threads of its own: beside the decoder's they cost a quarter of the time."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    """Say in one sentence that a disk is full or may not be written.

    Raises
    ------
    UserError
        For any error of the operating system but those of reading the film.
    """
    try:
        yield
    except (FFmpegError, UserError):
        raise
    except OSError as error:
        raise UserError(
            f"{folder}: expected to write pictures and tables here, got "
            f"'{error.strerror or error}'; free space or give another --data-dir"
        ) from error
