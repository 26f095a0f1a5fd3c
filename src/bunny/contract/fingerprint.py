"""Fingerprints of stages and tables, and what changed since the last run.

Tables count by content. A file of the size and modification time that its writer noted is taken for
what it was; another time alone, as a copied, cloned or synchronised folder has it, asks for the
content hash, which is then kept in `stage/hash.json` so that the file is read once.
"""

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NotRequired, TypedDict, cast

from bunny.core import atomic, file_hash, json_file

logger = logging.getLogger(__name__)

HASHES = "hash.json"


class FileStamp(TypedDict):
    """Size and modification time of a file."""

    size: int
    mtime_ns: int


class KnownHash(FileStamp):
    """Content hash of a table's file, as `stage/hash.json` keeps it."""

    sha256: str


class TableRecord(KnownHash):
    """A table as the stage that wrote it left it."""

    rows: int
    schema_version: NotRequired[int]  # records from before versions were noted have none


class FingerprintParts(TypedDict):
    """All that a fingerprint is made of."""

    version: int
    settings: dict[str, Any]
    outside: dict[str, Any]  # hashes of the film, the references and more
    tables: dict[str, str]  # hashes


class BegunRecord(TypedDict):
    """The `stage.json` of a stage that runs, or that an error ended."""

    name: str
    status: str  # running, failed, done
    started_at: str
    error: NotRequired[str]


class StageRecord(BegunRecord):
    """The `stage.json` of a stage that came to its end; of another, only the keys above."""

    fingerprint: str
    parts: FingerprintParts
    seconds: float
    peak_memory_mb: float
    num_items: int
    failed: int
    note: str
    tables: dict[str, TableRecord]


RECORD_KINDS = {  # types of a record's values
    **dict.fromkeys(("name", "status", "started_at", "fingerprint", "note"), str),
    **dict.fromkeys(("parts", "tables"), dict),
    **dict.fromkeys(("seconds", "peak_memory_mb", "num_items", "failed"), int | float),
}


def read_record(film_dir: Path, stage: str) -> StageRecord:
    """The stage.json of a stage of a film; empty when there is none or it is damaged."""
    found = _read_json(film_dir / "stage" / stage / "stage.json")
    is_record = all(
        isinstance(found[key], kind) for key, kind in RECORD_KINDS.items() if key in found
    )
    is_record = is_record and all(isinstance(t, dict) for t in found.get("tables", {}).values())
    return cast("StageRecord", {"status": "", **found} if found and is_record else {})


def digest(value: object) -> str:
    """SHA-256, in hex, of a JSON value; the order of keys does not count."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def table_hash(film_dir: Path, table: str) -> str:
    """SHA-256 of a table's file; empty when there is none.

    Parameters
    ----------
    film_dir : Path
        Folder of the film, with `table/` and `stage/`.
    table : str
        Name of the table.

    Returns
    -------
    str
        From the writer's record or from `stage/hash.json` where size and time are those noted
        there; else the file is read.
    """
    return table_hashes(film_dir, [table])[table]


def table_hashes(film_dir: Path, tables: Iterable[str]) -> dict[str, str]:
    """SHA-256 of several tables' files by name, as `table_hash` gives them; records are read once.

    Parameters
    ----------
    film_dir : Path
        Folder of the film.
    tables : iterable of str
        Names of tables.
    """
    records = [path.parent.name for path in (film_dir / "stage").glob("*/stage.json")]
    noted = [read_record(film_dir, name).get("tables", {}) for name in records]
    found = {}
    for table in tables:
        path = _path(film_dir, table)
        stat = path.stat() if path.exists() else None
        known = (one[table] for one in noted if table in one)
        found[table] = (
            ""
            if stat is None
            else next((one["sha256"] for one in known if _is_stamped(stat, one)), "")
            or _content_hash(film_dir, table, stat)
        )
    return found


def table_record(film_dir: Path, table: str, num_rows: int) -> TableRecord:
    """What stage.json says of a table just written."""
    from bunny.table import schema

    path = _path(film_dir, table)
    return {
        "rows": num_rows,
        "sha256": file_hash.hash_file(path),
        **_stamp(path.stat()),
        "schema_version": schema.VERSION.get(table, 1),
    }


def is_readable(table: str, known: TableRecord) -> bool:
    """Whether migrations lead to today's schema from the one that `table_record` noted.

    A record that was made before versions were noted is of version 1.
    """
    from bunny.table import migration, schema

    wanted = schema.VERSION.get(table)
    return (
        wanted is None or migration.plan(table, known.get("schema_version", 1), wanted) is not None
    )


def is_unchanged(film_dir: Path, table: str, known: TableRecord | None) -> bool:
    """Whether a table's file has the content that `table_record` noted and can still be read.

    Parameters
    ----------
    film_dir : Path
        Folder of the film.
    table : str
        Name of the table.
    known : TableRecord or None
        What `table_record` gave; None: nothing was noted, so nothing is unchanged.
    """
    path = _path(film_dir, table)
    if not known or not path.exists() or not is_readable(table, known):
        return False
    stat = path.stat()
    if stat.st_size != known["size"]:
        return False
    return _is_stamped(stat, known) or _content_hash(film_dir, table, stat) == known["sha256"]


def explain(old: FingerprintParts | None, new: FingerprintParts) -> str:
    """Say in a few words which parts of a fingerprint changed; empty when none did.

    Examples
    --------
    >>> explain({"settings": {"filtering.blur_threshold": 0.2}},
    ...         {"settings": {"filtering.blur_threshold": 0.4}})
    'filtering.blur_threshold 0.2 -> 0.4'
    """
    if not old:
        return "never finished"
    words = []
    before, after = old.get("settings", {}), new.get("settings", {})
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) != after.get(key):
            words.append(f"{key} {before.get(key)} -> {after.get(key)}")
    for kind, word in (("outside", "{} changed"), ("tables", "table {} changed")):
        one, two = old.get(kind, {}), new.get(kind, {})
        names = sorted(one.keys() | two.keys())
        words += [word.format(name) for name in names if one.get(name) != two.get(name)]
    if old.get("version") != new.get("version"):
        words.append("the stage's code changed")
    return ", ".join(words)


def explain_tables(film_dir: Path, known: Mapping[str, TableRecord]) -> str:
    """Say which tables of a record are gone or hold something else; empty when none is.

    Parameters
    ----------
    film_dir : Path
        Folder of the film.
    known : mapping
        What `table_record` gave, by table.
    """
    words = []
    for table, noted in known.items():
        if not _path(film_dir, table).exists():
            words.append(f"table {table} is missing")
        elif not is_readable(table, noted):
            words.append(f"table {table} now has a different schema")
        elif not is_unchanged(film_dir, table, noted):
            words.append(f"table {table} was modified outside its stage")
    return ", ".join(words)


def _path(film_dir: Path, table: str) -> Path:
    return film_dir / "table" / f"{table}.parquet"


def _stamp(stat: os.stat_result) -> FileStamp:
    return {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns}


def _is_stamped(stat: os.stat_result, known: FileStamp | None) -> bool:
    """Whether a file has the size and time that were noted."""
    if not known:
        return False
    return (known.get("size"), known.get("mtime_ns")) == (stat.st_size, stat.st_mtime_ns)


def _content_hash(film_dir: Path, table: str, stat: os.stat_result) -> str:
    """Hash of a table's file, remembered by its size and time."""
    path = film_dir / "stage" / HASHES
    every: dict[str, KnownHash] = _read_json(path)
    if not _is_stamped(stat, every.get(table)):
        every[table] = {"sha256": file_hash.hash_file(_path(film_dir, table)), **_stamp(stat)}
        try:
            atomic.write_bytes(path, json.dumps(every, indent=1).encode())
        except OSError as error:  # a folder that may only be read is asked again next time
            logger.debug("%s: %s", path, error)
    return every[table]["sha256"]


def _read_json(path: Path) -> Any:
    """The object in a file; empty when there is none or it is damaged."""
    try:
        return json_file.read_object(path)
    except (OSError, ValueError):
        return {}
