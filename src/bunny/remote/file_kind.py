"""Kinds of files of a film's folder: of this machine alone, records of people, heavy ones."""

from __future__ import annotations

from collections.abc import Collection
from fnmatch import fnmatchcase

from bunny.core import atomic

ALL = ("*",)  # parts of a film, see `is_part`
BASE = ".remote.json"  # beside the film: what was last the same on both sides
OWN = {".lock", ".lock.json", BASE, "stage/state.json", "stage/hash.json"}  # of one machine
RECORDS = (  # of people; lines of both sides are kept
    "film/feedback.jsonl",
    "film/addition.jsonl",
    "film/approval.jsonl",
    "film/forgotten.jsonl",
    "film/timeline.jsonl",
)
HEAVY = (  # fetched when somebody asks for them; the rest, which every command may read, always
    "film/frame/*",
    "film/dataset/*",
    "film/clip/*",
    "film/pair/*",
    "film/picture/*",
    "film/evaluation/*",
    "film/character/*",
    "film/characters.png",
    "film/export/*",
    "film/report*.html",
    "film/thumbnail.parquet",
    "film/variety.parquet",
    "film/stage/*/shard/*",
    "film/stage/*/answer/*",
    "checkpoint/*",
)
LIGHT = ("checkpoint/review/*",)  # of these; stages are up to date by what was learned


def is_own(name: str) -> bool:
    """Whether a file is of this machine alone, by its name in the manifest."""
    return name.removeprefix("film/") in OWN and name.startswith("film/")


def is_passing(file_name: str) -> bool:
    """Whether a file is half written, or a lock beside a record."""
    return file_name.startswith(".") and file_name.endswith(
        (".tmp", atomic.GONE, ".lock", ".there")
    )


def is_heavy(name: str) -> bool:
    """Whether a file is fetched only when it is asked for."""
    return _matches(name, HEAVY) and not _matches(name, LIGHT)


def is_part(name: str, parts: Collection[str]) -> bool:
    """Whether a file is among those that are asked for, see `workspace.fetch`."""
    own = name.removeprefix("film/")
    return own in parts or _matches(own, parts)


def _matches(name: str, patterns: Collection[str]) -> bool:
    return any(fnmatchcase(name, one) for one in patterns)
