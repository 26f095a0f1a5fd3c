"""Stage extract: shots of a film and the pictures that stand for them.

One decode finds the shots, takes the frames, measures and writes them. A shard is a number of
finished shots; after a kill the film is taken up again at the codec's keyframe before the first
shot that is in no shard.

Settings that only decide (`DECIDED`) are applied to table `change` when nothing else has changed:
of the film only the pictures of new shots are decoded. The tables and pictures are those of a full
extract.
"""

import json
import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from av.error import FFmpegError

from bunny.character import forgotten
from bunny.contract import machine, stage
from bunny.contract.shard import POLL_S, Shards
from bunny.core import atomic, disk_full, film_file
from bunny.core.config import ExtractionConfig
from bunny.core.error import StageError, UserError
from bunny.core.film_file import FilmPlace
from bunny.quality.measure import measure_frame
from bunny.table import scalar, schema, store
from bunny.table.box import CROP
from bunny.video import image_writer, probe, selection_replay
from bunny.video.decode import Tally
from bunny.video.extraction_table import ShotBatch, film_note, film_row
from bunny.video.frame_selection import select_frames
from bunny.video.image_writer import MAX_WORKERS, FrameWriter
from bunny.video.letterbox import Box
from bunny.video.probe import FilmInfo
from bunny.video.range_extraction import RangeExtraction
from bunny.video.selection_event import Restart, SelectedFrame
from bunny.video.selection_replay import ReplayError, ShotPlan
from bunny.video.shot.meter import MEASURED_FROM

logger = logging.getLogger(__name__)

PICTURES_PER_SHOT = 3  # about; turns `pipeline.shard_size` pictures into shots
PROGRESS_EVERY = 10  # frames
PROGRESS_SECONDS = 1.0  # between two notes on disk of how far the film is
SHARDED = ("shot", "change", "frame", "measure")  # tables
# Settings that decide over table `change`; of the others every one changes the pictures.
DECIDED = (
    "cut_threshold",
    "min_shot_frames",
    "static_range",
    "frames_per_dynamic_shot",
    "extra_interval_seconds",
)
FIRST_FINISHED = 2  # schema version of the film in such files that do not say theirs
FINISHED = "finished.json"  # beside the shards of a film that was gone through to its end
REPLACED = "replaced.json"  # beside shards whose pictures may have been written over


@dataclass(frozen=True, kw_only=True)
class Finished:
    """Shards that hold a whole film."""

    shards: Shards
    setting: ExtractionConfig
    film: dict[str, Any]  # row of table `film`


class Extract(stage.BaseStage):
    """Writes film, shot, change, frame and measure, and the pictures under `frame/`."""

    name = "extract"
    version = 8
    writes = ("frame", "film", "shot", "change", "measure")
    _noted_at = float("-inf")
    uses_film = True

    def settings(self) -> dict[str, Any]:
        """All of section `extraction`."""
        return stage.settings_of(self.config, "extraction")

    def needs(self) -> tuple[str, ...]:
        """Pictures of before, of which most may stay."""
        return ("frame/*",)

    def has_files(self) -> bool:
        """Whether every picture of the table `frame` is there."""
        named = image_writer.named_pictures(store.read(self.output_dir / "table", "frame"))
        gone = set(named) - image_writer.stored_pictures(self.output_dir)
        return self.are_there(gone)

    def run(self) -> stage.StageOutput:
        """Decode the film, or decide again over what was measured, and write its tables."""
        info, size = self._probe(), self._shots_a_shard
        shards = self.shards("shot", self._depends())
        if (shards.folder / REPLACED).exists():
            shards.clear()
            self.shards("range", self._depends()).clear()
        with _disk_errors(self.output_dir), machine.one_opencv_thread():
            row = self._decide_again(shards, info, size)
            if row is None:
                row = self._extract(shards, info, size)
            tables = {name: shards.collect(name) for name in SHARDED}
            image_writer.remove_others(
                self.output_dir, image_writer.named_pictures(tables["frame"])
            )
        tables["film"] = store.from_rows("film", [row])
        failed = tables["frame"]["error"].is_not_null().sum()
        return stage.StageOutput(
            tables=tables,
            num_items=tables["frame"].height,
            num_failed=int(failed),
            note=row["note"] or "",
        )

    def measure(self) -> None:
        """Extract time ranges of the film, once the process that is helped has planned them."""
        info = self._probe()
        ranges = self._ranges(info)
        while not ranges.read_plan():
            ranges.shards.check_wanted()
            time.sleep(POLL_S)
        with _disk_errors(self.output_dir), machine.one_opencv_thread():
            ranges.fill(lambda frame: None)

    def _probe(self) -> FilmInfo:
        stream = self.config.extraction.video_stream
        return probe.probe(
            _film_path(self.source["film"]),
            stream_index=stream if stream >= 0 else None,
            folder=self.config.extraction.folder,
        )

    @property
    def _shots_a_shard(self) -> int:
        return max(1, self.config.pipeline.shard_size // PICTURES_PER_SHOT)

    def _depends(self) -> dict[str, Any]:
        """What the shards depend on."""
        film, size = self.source["content_hash"], self._shots_a_shard
        return {"film": film, "settings": self.settings(), "shots": size}

    def _ranges(self, info: FilmInfo) -> RangeExtraction:
        """The film's time ranges, which several processes may share."""
        return RangeExtraction(
            self.shards("range", self._depends()),
            self.output_dir.name,
            info,
            self.config.extraction,
            partial(self._writer, info),
            self._num_threads,
        )

    def _extract(self, shards: Shards, info: FilmInfo, size: int) -> dict[str, Any]:
        """Decode the film; gives the row of table `film`."""
        _mark_replaced(shards)
        tally = self._fill_ranges(shards, info, size) or self._fill(shards, info, size)
        row = film_row(self.output_dir.name, self.source, info, tally)
        row["note"] = film_note(info, tally)
        if tally.is_clean and info.decoder == "pyav":
            self._note_finished(shards, row)
        return row

    def _note_finished(self, shards: Shards, row: dict[str, Any]) -> None:
        """Say beside the shards that they hold the whole film, and of which settings."""
        setting = self.config.extraction.model_dump(mode="json")
        noted = {"version": self.version, "extraction": setting, "film": row}
        noted["film_schema"] = schema.VERSION["film"]
        atomic.write_bytes(shards.folder / FINISHED, json.dumps(noted).encode())

    def _decide_again(self, shards: Shards, info: FilmInfo, size: int) -> dict[str, Any] | None:
        """Fill the shards from those of other decisions; gives the row of table `film`.

        None where there are none to go by: then the film has to be decoded.
        """
        old = self._find_finished(shards)
        if old is None:
            return None
        tables = {name: old.shards.collect(name) for name in SHARDED}
        change, end_pts = tables["change"], scalar.as_int(tables["shot"]["end_pts"].max())
        before, now = (
            selection_replay.plan_shots(change, info, setting, end_pts)
            for setting in (old.setting, self.config.extraction)
        )
        ends = [plan.found.end_frame_index for plan in before]
        if ends != tables["shot"]["end_frame_index"].to_list():
            return None  # shots were not decided on this table
        same = selection_replay.equal_plans(before, now)
        is_lost = pl.col("file").is_not_null() & ~pl.col("file").is_in(
            image_writer.stored_pictures(self.output_dir)
        )
        lost = set(tables["frame"].filter(is_lost)["shot_index"])
        same = {index: place for index, place in same.items() if place not in lost}
        if old.shards.folder != shards.folder:
            _mark_replaced(shards)
        try:
            read = self._read_shots(info, now, same)
        except ReplayError as error:
            logger.info("%s: %s; the whole film is decoded", info.path.name, error)
            return None
        shards.clear()
        merged = selection_replay.merge_tables(tables, read, same)
        for number, part in enumerate(selection_replay.part_tables(merged, size)):
            shards.put(number, part)
        row = {**old.film, "path": self.source["film"]}
        self._note_finished(shards, row)
        logger.debug("extract: %d shots, pictures of %d read", len(now), len(now) - len(same))
        return row

    def _find_finished(self, shards: Shards) -> Finished | None:
        """Shards of a whole film that differ from these in nothing but decisions."""
        now = self.config.extraction
        is_decidable = now.method == "shot" and now.shot_detector == "fast"
        if self.config.pipeline.force_rerun or not is_decidable:
            return None
        if now.cut_threshold < MEASURED_FROM:
            return None
        for folder in (shards.folder, *_siblings(shards)):
            noted = _read_json(folder / FINISHED)
            by = _read_json(folder / REPLACED).get("by", shards.folder.name)
            is_read = noted.get("film_schema", FIRST_FINISHED) == schema.VERSION["film"]
            if not is_read or noted.get("version") != self.version or by != shards.folder.name:
                continue
            setting = ExtractionConfig.model_validate(noted["extraction"])
            is_same_film = noted["film"]["content_hash"] == self.source["content_hash"]
            if is_same_film and _undecided(setting) == _undecided(now):
                old = Shards(folder.parent, folder.name)
                if old.is_readable():
                    return Finished(shards=old, setting=setting, film=noted["film"])
        return None

    def _read_shots(
        self, info: FilmInfo, plans: list[ShotPlan], same: Mapping[int, int]
    ) -> dict[str, pl.DataFrame]:
        """Rows of every shot, and of the pictures of those that are not as before."""
        batch, every = (ShotBatch(self.output_dir.name, info) for _ in range(2))
        new = {plan: index for index, plan in enumerate(plans) if index not in same}
        setting = self.config.extraction
        num_wanted = sum(len(plan.wanted) for plan in new)
        with self._writer(info) as writer, self.bar(num_wanted) as bar:
            for event in selection_replay.read_shots(info, list(new), setting, self._num_threads):
                if isinstance(event, SelectedFrame):
                    batch.add(event, writer)
                else:
                    batch.end_shot(new[event], selection_replay.shot_end(event))
                    bar.update(len(event.wanted))
            tables = batch.tables()
        for index, plan in enumerate(plans):
            every.end_shot(index, selection_replay.shot_end(plan))
        return tables | {"shot": every.tables()["shot"]}

    def _fill(self, shards: Shards, info: FilmInfo, size: int) -> Tally:
        """Decode and put every shard that is not there yet."""
        tally = Tally()
        number, end, restart = _done(self.output_dir, shards)
        batch = ShotBatch(self.output_dir.name, info)
        with self._writer(info) as writer, self._frames_bar(info) as note_frame:
            events = select_frames(
                info,
                self.config.extraction,
                tally,
                num_threads=self._num_threads,
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

    def _fill_ranges(self, shards: Shards, info: FilmInfo, size: int) -> Tally | None:
        """Decode the film in time ranges, together with others; None: it cannot be divided."""
        num_parts = self.config.pipeline.num_parts
        if num_parts == 1 or self.config.pipeline.force_rerun:
            return None
        ranges = self._ranges(info)
        is_begun = bool(shards.done()) and not ranges.read_plan()  # in one pass
        shards.folder.mkdir(parents=True, exist_ok=True)  # see `_mark_replaced`
        if is_begun or not ranges.plan(num_parts):
            return None
        with self._frames_bar(info) as note_frame:
            ranges.fill(note_frame)
        joined = ranges.join()
        stored = image_writer.stored_pictures(self.output_dir)
        if joined is None or not stored.issuperset(image_writer.named_pictures(joined[0]["frame"])):
            return None
        shards.clear()
        for number, part in enumerate(selection_replay.part_tables(joined[0], size)):
            shards.put(number, part)
        self._check(info, joined[1])
        return joined[1]

    def _writer(self, info: FilmInfo) -> FrameWriter:
        is_parallel = self.config.pipeline.parallel_processing
        return FrameWriter(
            self.output_dir / "frame",
            info,
            self.config.extraction,
            measure_frame,
            num_workers=min(MAX_WORKERS, os.cpu_count() or 1) if is_parallel else 0,
            paint=self._hide if self._hidden else None,
        )

    def _hide(self, picture: np.ndarray, time_s: float, box: Box) -> np.ndarray:
        """The picture without people who were forgotten; its measures are the film's."""
        size = {"height_px": picture.shape[0], "width_px": picture.shape[1]}
        frame = {"timestamp_s": time_s, **size, **dict(zip(CROP, box, strict=True))}
        found = forgotten.hide(picture, frame, self._hidden)
        return picture if found is None else found

    @cached_property
    def _hidden(self) -> list[forgotten.ForgottenTrack]:
        """Places that no stored picture shows."""
        return forgotten.hidden(self.output_dir)

    @property
    def _num_threads(self) -> int:
        """Threads of the decoder."""
        return machine.decoder_threads() if self.config.pipeline.parallel_processing else 1

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
                f"{info.path}: no frame can be decoded; the film may be encrypted or damaged: copy "
                "or convert it again"
            )
        all_frames = tally.num_decoded + tally.num_failed
        if tally.num_failed > self.config.pipeline.max_failed_share * all_frames:
            raise StageError(
                f"{info.path}: {tally.num_failed} of {all_frames} frames could not be decoded, "
                f"more than pipeline.max_failed_share {self.config.pipeline.max_failed_share}; "
                "copy or convert the film again"
            )


def _undecided(setting: ExtractionConfig) -> dict[str, Any]:
    """Settings that change what is measured or the pictures."""
    return setting.model_dump(mode="json", exclude=set(DECIDED))


def _siblings(shards: Shards) -> list[Path]:
    """Folders of shards that were made under other settings."""
    folders = shards.folder.parent.glob("*")
    return sorted(f for f in folders if f.is_dir() and f != shards.folder)


def _mark_replaced(shards: Shards) -> None:
    """Say that pictures of other shards may be written over for these, before any is."""
    for folder in _siblings(shards):
        if not _read_json(folder / REPLACED):
            by = json.dumps({"by": shards.folder.name})
            atomic.write_bytes(folder / REPLACED, by.encode())


def _read_json(path: Path) -> dict[str, Any]:
    """The object in a file; empty when there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _film_path(film: str) -> FilmPlace:
    """The film as it was given; it may have been moved since.

    Raises
    ------
    UserError
        If it is no longer there.
    """
    path = film_file.locate(film)
    if not path.exists():
        raise UserError(f"{path}: the film is no longer there; run again with its new path")
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
    pictures = image_writer.stored_pictures(folder)
    for number, index in enumerate(shards.done()):
        if number != index or not pictures.issuperset(
            image_writer.named_pictures(shards.get(index, "frame"))
        ):
            break
        shot = shards.get(index, "shot")
        state = shards.state(index)
        if state is None:  # the film's last shots: all is done but the tally of its frames
            break
        num_shots, end = num_shots + shot.height, scalar.as_int(shot["end_frame_index"].max())
        restart = Restart.from_json(state["restart"])
    return num_shots, end, restart


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
        what = f"{folder}: cannot write pictures and tables here"
        raise disk_full.write_error(what, error) from error
