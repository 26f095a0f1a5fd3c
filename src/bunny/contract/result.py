"""Results and states of stages; nothing here needs tables, so it is imported at once."""

from collections.abc import Iterable
from dataclasses import dataclass

from bunny.contract.fingerprint import StageRecord


@dataclass(frozen=True, kw_only=True)
class StageResult:
    """How a stage ended."""

    name: str
    status: str  # done, skipped (nothing to do), failed
    seconds: float
    rows: int  # of the stage's first table
    failed: int  # items that became rows with an error
    peak_memory_mb: float
    tables: dict[str, int]  # rows of each table
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class StageState:
    """What `bunny status` says of one stage of one film."""

    name: str
    state: str  # done, stale, failed, unfinished, never run
    why: str  # of stale and failed; empty otherwise
    progress: float
    rows: int | None
    seconds: float | None
    finished_at: str | None


def from_record(
    record: StageRecord, writes: Iterable[str], status: str, seconds: float
) -> StageResult:
    """Result of a stage by its stage.json.

    Parameters
    ----------
    record : StageRecord
        Of a stage that finished.
    writes : iterable of str
        The tables it writes, the main one first.
    status : {"done", "skipped"}
    """
    rows = {table: record["tables"][table]["rows"] for table in writes}
    return StageResult(
        name=record["name"],
        status=status,
        seconds=round(seconds, 3),
        rows=next(iter(rows.values())),
        failed=record["failed"],
        peak_memory_mb=record["peak_memory_mb"],
        tables=rows,
        note=record.get("note", ""),
    )
