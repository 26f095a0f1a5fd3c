"""Base class of stages: fingerprint, resumable work, counts, record of the run.

A stage reads tables and writes tables. Its fingerprint is a hash of its own settings, the content
of the tables it reads, the outside inputs (film, references) and its code version; the same
fingerprint means there is nothing to do. Inside a stage work is put down in shards that survive a
kill, under a key that holds only what the costly part depends on, so a moved threshold finds the
measured shards and only decides again.
"""

import json
import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from bunny.contract import fingerprint as contract_fingerprint
from bunny.contract import machine, result
from bunny.contract.fingerprint import BegunRecord, FingerprintParts, StageRecord
from bunny.contract.progress import RunProgress
from bunny.contract.result import StageResult
from bunny.contract.shard import Shards, ShardWork, fill_missing
from bunny.core import atomic, film_file, json_file, log, reference_folder, telemetry, workspace
from bunny.core.config import Config
from bunny.core.error import BunnyError, StageError, UserError
from bunny.core.reference_folder import SourceRecord
from bunny.table import corrected, schema, store

logger = logging.getLogger(__name__)

MOST_LOGGED = 1000  # items that failed, of a table


@dataclass(frozen=True, kw_only=True)
class StageOutput:
    """What `run` of a stage gives back: its tables, how many items it had and how many failed."""

    tables: dict[str, pl.DataFrame]
    num_items: int
    num_failed: int = 0
    note: str = ""  # one sentence for the user, e.g. why there is nothing to train on


class BaseStage:
    """Common part of the seven stages; a stage gives names, settings and `run`."""

    name: ClassVar[str]
    version: ClassVar[int] = 1  # raise when the code gives other rows for the same input
    reads: tuple[str, ...] = ()
    writes: ClassVar[tuple[str, ...]] = ()
    uses_film: ClassVar[bool] = False  # the film itself is read
    uses_references: ClassVar[bool] = False
    is_corrected: ClassVar[bool] = False  # labels and clusters are read as people corrected them
    unit: ClassVar[str] = "frame"

    def __init__(self, config: Config, input_dir: Path, output_dir: Path) -> None:
        """`input_dir` and `output_dir` are folders of one film, usually the same one."""
        self.config = config
        self.input_dir = Path(input_dir)
        self.output_dir = Path(output_dir)
        self.folder = self.output_dir / "stage" / self.name
        self.progress: RunProgress | None = None  # of the run that the stage is a part of
        self._opened: list[Shards] = []
        self._is_wanted: Callable[[], bool] | None = None  # set where this process only helps
        self.source: SourceRecord = reference_folder.read_source(self.input_dir)

    # -- what a stage gives ------------------------------------------------------------------

    def settings(self) -> dict[str, Any]:
        """Settings that change this stage's tables, as JSON values."""
        return {}

    def has_files(self) -> bool:
        """Whether the files that its tables name are still there."""
        return True

    def needs(self) -> tuple[str, ...]:
        """Files besides tables and its own folder that `run` reads or replaces.

        Patterns of `workspace.fetch`: of a film whose data folder lies elsewhere only these come.
        """
        return ()

    def run(self) -> StageOutput:
        """Do the work; called by `execute` when there is something to do."""
        raise NotImplementedError

    def measure(self) -> object:
        """Do what several processes can share: fill shards, and write nothing else.

        Called by `assist`; stages that measure nothing for long leave it as it is.
        """
        return None

    # -- the contract ------------------------------------------------------------------------

    def parts(self) -> FingerprintParts:
        """All that the fingerprint is made of, by name, so that a change can be explained."""
        outside: dict[str, Any] = {}
        if self.uses_film:
            outside["film"] = self.source["content_hash"]
        if self.uses_references:
            outside["references"] = self.source["reference_hash"]
        return {
            "version": self.version,
            "settings": self.settings(),
            "outside": outside,
            "tables": {
                t: contract_fingerprint.table_hash(self.input_dir, self._stored(t))
                for t in self.reads
            },
        }

    def fingerprint(self) -> str:
        """SHA-256 over `parts`."""
        return contract_fingerprint.digest(self.parts())

    def can_resume(self) -> bool:
        """Whether its tables are there, whole, and of this fingerprint."""
        record = self.record()
        return (
            record.get("status") == "done"
            and record.get("fingerprint") == self.fingerprint()
            and all(
                contract_fingerprint.is_unchanged(self.output_dir, t, record["tables"].get(t))
                for t in self.writes
            )
            and self.has_files()
        )

    def record(self) -> StageRecord:
        """The stage.json of the last run; empty when there was none."""
        return contract_fingerprint.read_record(self.output_dir, self.name)

    def why_stale(self) -> str:
        """Say in a few words why there is something to do; of no use where there is nothing."""
        record = self.record()
        return (
            contract_fingerprint.explain(record.get("parts"), self.parts())
            or contract_fingerprint.explain_tables(self.output_dir, record.get("tables", {}))
            or "output files are missing"
        )

    def get_progress(self) -> float:
        """Share of the work that is done, in [0, 1]."""
        if self.can_resume():
            return 1.0
        try:
            state = json_file.read_object(self.folder / "progress.json")
            return min(1.0, state["done"] / state["total"]) if state["total"] else 0.0
        except (OSError, ValueError, KeyError, TypeError):
            return 0.0

    def execute(self) -> StageResult:
        """Do the stage, or nothing when it is up to date.

        Raises
        ------
        StageError
            When more than `pipeline.max_failed_share` of the items failed.
        TableVersionError
            When a newer program wrote a table that this stage would write over.
        """
        where = {"film": self.output_dir.name, "stage": self.name}
        with log.context(**where), telemetry.span(f"stage {self.name}", **where):
            return self._execute()

    def _execute(self) -> StageResult:
        started = time.monotonic()
        if self.can_resume() and not self.config.pipeline.force_rerun:
            telemetry.note(status="skipped")
            return self._result("skipped", started, self.record())
        for table in self.writes:
            store.check_not_newer(self.output_dir / "table", table)
        record: BegunRecord = {
            "name": self.name,
            "status": "running",
            "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        self._write_record(record)
        before = self._film_stamp()
        try:
            self.fetch(*self.needs(), f"stage/{self.name}/*")
            work = self.run()
            if self._film_stamp() != before:
                raise UserError(
                    f"{self.source['film']}: the file changed while it was being read; run again "
                    "when nothing is writing to it"
                )
        except (BunnyError, KeyboardInterrupt) as error:
            reason = "interrupted" if isinstance(error, KeyboardInterrupt) else str(error)
            self._write_record({**record, "status": "failed", "error": reason})
            raise
        for table in self.writes:
            store.write(self.output_dir / "table", table, work.tables[table])
        for shards in self._opened:
            shards.drop_others()
        return self._finish(record, work, started)

    def assist(self, is_wanted: Callable[[], bool]) -> None:
        """Help another process that runs this stage of this film; writes no table.

        Parameters
        ----------
        is_wanted : callable
            Whether that run still goes on; asked between two pieces of work.

        Raises
        ------
        NoLongerWantedError
            When it does no more.
        """
        self._is_wanted = is_wanted
        with log.context(film=self.output_dir.name, stage=self.name):
            self.measure()

    @property
    def num_shards_done(self) -> int:
        """Shards that this process has made."""
        return sum(shards.num_put for shards in self._opened)

    # -- helpers for stages ------------------------------------------------------------------

    def read(self, table: str) -> pl.DataFrame:
        """Read one of the tables that this stage declared in `reads`."""
        if table not in self.reads:
            raise StageError(f"stage {self.name} reads {table} without declaring it in `reads`")
        return store.read(self.input_dir / "table", self._stored(table))

    def fetch(self, *parts: str) -> None:
        """Bring files of the film here, where its data folder lies elsewhere."""
        workspace.fetch(workspace.from_film_dir(self.output_dir), parts)

    def are_there(self, files: Iterable[str]) -> bool:
        """Whether files of the film are here, or safe where its data folder lies."""
        return workspace.has_files(workspace.from_film_dir(self.output_dir), files)

    def inputs(self) -> tuple[str, ...]:
        """Tables that it goes by once all stages before it have run."""
        names = corrected.CORRECTED if self.is_corrected else {}
        return tuple(names.get(table, table) for table in self.reads)

    def _stored(self, table: str) -> str:
        """The table that is read for one of `reads`."""
        is_own = self.is_corrected
        return corrected.table_name(self.input_dir / "table", table) if is_own else table

    def shards(self, kind: str, depends: Mapping[str, Any]) -> Shards:
        """Open the shards of one kind of costly work.

        Parameters
        ----------
        kind : str
            Name of the work, e.g. "face"; a folder.
        depends : mapping of JSON values
            All that the work's result depends on besides the stage's version: settings, hashes of
            tables and outside inputs. Another value finds none of the shards made under this one.
        """
        key = contract_fingerprint.digest({"version": self.version, **depends})[:16]
        is_forced, is_helping = self.config.pipeline.force_rerun, self._is_wanted is not None
        shards = Shards(
            self.folder / "shard" / kind,
            key,
            None if is_helping else self._note_progress,
            num_parts=1 if is_forced else self.config.pipeline.num_parts,
            is_wanted=self._is_wanted or (lambda: True),
        )
        if not is_helping and (is_forced or not shards.is_readable()):
            shards.clear()
        self._opened.append(shards)
        return shards

    def fill(self, shards: Shards, items: pl.DataFrame, work: ShardWork, first: int = 0) -> None:
        """Fill the shards that are missing, in the threads of `pool`, see `fill_missing`."""
        with self.pool() as pool:
            fill_missing(shards, items, self.config.pipeline.shard_size, work, pool, first=first)

    def picture_hashes(self) -> dict[str, str]:
        """Hashes that change whenever the stored pictures do, for keys of shards.

        Table `frame` says which there are; made in another way they have the same names, and it is
        what was measured on them that differs.
        """
        return {
            name: contract_fingerprint.table_hash(self.input_dir, name)
            for name in ("frame", "measure")
        }

    @property
    def num_workers(self) -> int:
        """Threads for work on pictures; the results do not depend on it."""
        return (os.cpu_count() or 1) if self.config.pipeline.parallel_processing else 1

    def pool(self) -> AbstractContextManager[Executor]:
        """Threads for work on pictures."""
        return machine.thread_pool(self.num_workers)

    def bar(self, total: int | None, done: int = 0) -> AbstractContextManager[Any]:
        """Count items on the line of the run; a stage run by itself has a bar of its own."""
        if self._is_wanted is not None:
            return machine.progress_bar(self.name, self.unit, total, is_shown=False)
        if self.progress is not None:
            return self.progress.bar(total, done)
        return machine.progress_bar(self.name, self.unit, total, done)

    def _film_stamp(self) -> str:
        """Size and times of the film's file where this stage reads it; empty without one."""
        film = str(self.source.get("film") or "")
        return film_file.stamp(film_file.locate(film)) if self.uses_film else ""

    def _finish(self, begun: BegunRecord, work: StageOutput, started: float) -> StageResult:
        share = work.num_failed / work.num_items if work.num_items else 0.0
        too_many = share > self.config.pipeline.max_failed_share
        record: StageRecord = {
            **begun,
            "status": "failed" if too_many else "done",
            "fingerprint": self.fingerprint(),
            "parts": self.parts(),
            "seconds": round(time.monotonic() - started, 3),
            "peak_memory_mb": round(machine.peak_memory_mb(), 1),
            "num_items": work.num_items,
            "failed": work.num_failed,
            "note": work.note,
            "tables": {
                t: contract_fingerprint.table_record(self.output_dir, t, work.tables[t].height)
                for t in self.writes
            },
        }
        self._write_record(record)
        _log_errors(work.tables)
        telemetry.note(status=record["status"], items=work.num_items, failed=work.num_failed)
        logger.debug(
            "stage %s: %d items, %d failed%s",
            self.name,
            work.num_items,
            work.num_failed,
            f"; {work.note}" if work.note else "",
            extra={"stage": self.name, "seconds": record["seconds"], "failed": work.num_failed},
        )
        if too_many:
            raise StageError(
                f"stage {self.name}: {work.num_failed} of {work.num_items} items failed, more than "
                f"pipeline.max_failed_share {self.config.pipeline.max_failed_share}; "
                f"see column `error` of table {self.writes[0]}"
            )
        return self._result("done", started, record)

    def _result(self, status: str, started: float, record: StageRecord) -> StageResult:
        return result.from_record(record, self.writes, status, time.monotonic() - started)

    def _write_record(self, record: BegunRecord) -> None:
        atomic.write_bytes(
            self.folder / "stage.json", json.dumps(record, indent=1, default=str).encode()
        )

    def _note_progress(self, done: int, total: int) -> None:
        atomic.write_bytes(
            self.folder / "progress.json", json.dumps({"done": done, "total": total}).encode()
        )


def _log_errors(tables: Mapping[str, pl.DataFrame]) -> None:
    """Log the items that failed, each with its table and key, as many as one may want to read."""
    for name, table in tables.items():
        if "error" not in table.columns:
            continue
        bad = table.filter(pl.col("error").is_not_null()).head(MOST_LOGGED)
        for row in bad.iter_rows(named=True):
            item = "-".join(str(row[key]) for key in schema.TABLE[name].primary_key())
            logger.debug("%s %s: %s", name, item, row["error"], extra={"item": item})


def settings_of(config: Config, section: str, *keys: str) -> dict[str, Any]:
    """Keys with their section before them and values as in JSON; all keys when none is named."""
    values = getattr(config, section).model_dump(mode="json")
    return {f"{section}.{key}": values[key] for key in (keys or values)}


def unless_default(config: Config, *names: str) -> dict[str, Any]:
    """Settings by name ("detection.min_face_score", "seed"), those with another value than default.

    For what began to count after there were tables: those of the default stay up to date.
    """
    found = {}
    for name in names:
        section, _, key = name.rpartition(".")
        owner = getattr(config, section) if section else config
        if getattr(owner, key) != type(owner).model_fields[key].default:
            found[name] = getattr(owner, key)
    return found
