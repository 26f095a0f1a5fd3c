"""One film that somebody added from a browser: what is known of it, its name, its states."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pydantic

from bunny.core import atomic
from bunny.core.error import UserError

State = Literal[
    "uploading", "checking", "ready", "waiting", "running", "done", "refused", "failed", "cancelled"
]
MAX_BYTES = 120  # longest file name, without the suffix
SUFFIXES = frozenset(
    {
        ".mp4",
        ".mkv",
        ".mov",
        ".webm",
        ".avi",
        ".m4v",
        ".mpg",
        ".mpeg",
        ".ts",
        ".mts",
        ".m2ts",
        ".mxf",
        ".ogv",
        ".wmv",
        ".flv",
        ".3gp",
        ".gif",
    }
)
ENTRY = re.compile(r"[0-9a-f]{16}")
STARTABLE: tuple[State, ...] = ("ready", "done", "refused", "failed", "cancelled")
HEAD_BYTES = 1 << 20  # by whose SHA-256 an upload that was cut off is known again


@dataclass(frozen=True, kw_only=True)
class QueuedFilm:
    """One film of the queue."""

    entry: str  # 16 hexadecimal digits
    name: str  # of its file
    size: int  # bytes
    user: str  # who added it
    added_at: str  # UTC, ISO 8601
    state: State = "uploading"
    head: str = ""  # SHA-256 of its first `HEAD_BYTES`, as whoever sends it says; "" unknown
    film: str | None = None  # path, once it was received whole and is a film
    film_id: str | None = None  # its workspace, once it ran
    error: str = ""  # why it was refused or failed
    is_unwanted: bool = False  # somebody cancelled it while it ran
    started_at: str = ""  # of the last attempt
    ended_at: str = ""
    content_hash: str = ""  # SHA-256, once it was received whole


def clean_name(name: str) -> str:
    """A film's file name without folders, that every system takes.

    Raises
    ------
    UserError
        If its suffix is none of a film.
    """
    name = unicodedata.normalize("NFC", re.split(r"[/\\]", name)[-1]).strip()
    name = "".join(c for c in name if c.isprintable())
    stem, suffix = Path(name).stem.strip(" ."), Path(name).suffix
    if suffix.lower() not in SUFFIXES:
        raise UserError(
            f"{name[:80] or 'the file'}: expected a film ({', '.join(sorted(SUFFIXES))}), got "
            f"'{suffix}'; convert it"
        )
    stem = re.sub(atomic.FORBIDDEN, "-", stem).lstrip(".-")
    stem = atomic.cut_name(stem, MAX_BYTES).strip(" .") or "film"
    fault = atomic.portable_name_error(stem + suffix)
    return f"film-{stem}{suffix}" if fault else f"{stem}{suffix}"


def describe(film: QueuedFilm) -> str:
    """Its state, and why."""
    return f"{film.state} ({film.error})" if film.error else film.state


def read(path: Path) -> QueuedFilm | None:
    """What is known of a film; None where it is gone, damaged, or was never written whole."""
    try:
        found = pydantic.TypeAdapter(QueuedFilm).validate_json(path.read_bytes(), strict=True)
    except (OSError, ValueError):
        return None
    return found if found.entry == path.parent.name else None


def now() -> str:
    """The time, UTC, ISO 8601 with microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds")
