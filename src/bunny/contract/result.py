"""How a stage ended, and what its work gives back."""

from dataclasses import dataclass

import polars as pl


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
class Work:
    """What `run` of a stage gives back: its tables, how many items it had and how many failed."""

    tables: dict[str, pl.DataFrame]
    num_items: int
    num_failed: int = 0
    note: str = ""  # one sentence for the user, e.g. why there is nothing to train on
