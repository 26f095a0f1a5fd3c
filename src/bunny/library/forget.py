"""Erasing of one person from a film's tables: whose rows go, and what is left of the others'.

Only rows are decided here; which files and records go with them is the command's business.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from bunny.character import forgotten
from bunny.character.forgotten import ForgottenTrack
from bunny.table.box import BOX

SOMEBODY = "person"  # stands in sentences where the name stood
IDS = (
    "face_id",
    "region_id",
    "figure_id",
    "subject_id",
    "item_id",
    "asset_id",
    "track_id",
    "best_face_id",
    "one_id",
    "other_id",
    "anchor_id",
    "positive_id",
    "run_id",
)
FOUND_IN = {"face": "face_id", "region": "region_id", "figure": "figure_id"}
NAMING = ("label_corrected", "cluster_corrected", "label", "cluster")  # erased last, in this order
WORDS = frozenset(
    {
        "text",
        "text_short",
        "text_long",
        "text_tags",
        "answer",
        "subject",
        "clothes",
        "action",
        "caption",
        "instruction",
        "prompt",
        "negative_prompt",
        "about",
        "detail",
        "note",
        "config_json",
        "error",
        "tags",
        "variant_captions",
        "blend",
    }
)
FILES = ("file", "mask_file", "adapter_file")


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody in a film's tables."""

    name: str  # of a character, or of a group of unknown people: person-02
    subjects: frozenset[str]  # face_id, region_id, figure_id
    tracks: frozenset[str]
    runs: frozenset[str]  # of training

    @property
    def ids(self) -> frozenset[str]:
        """All ids that are nobody else's."""
        return self.subjects | self.tracks | self.runs

    def is_named_in(self, text: str) -> bool:
        """Whether a text has the name as a word."""
        return _pattern(self.name).search(text) is not None


def find(tables: Mapping[str, pl.DataFrame], name: str) -> Person:
    """All that is known to be one person, by labels, groups and tracks.

    Parameters
    ----------
    tables : mapping
        By name; those that a film does not have are empty.
    name : str
        A character, or a group of unknown people.
    """
    label, cluster = (
        tables[f"{one}_corrected"] if tables[f"{one}_corrected"].height else tables[one]
        for one in ("label", "cluster")
    )
    own_cluster = cluster.filter(
        (pl.col("character") == name)
        | ((pl.col("level") != "scene") & (pl.col("cluster_id") == name))
    )
    subjects = {*label.filter(pl.col("character") == name)["subject_id"], *own_cluster["item_id"]}
    asset = tables["asset"].filter(pl.col("level") == "character")
    tracks = set(asset.filter(pl.any_horizontal(pl.col("name", "cluster_id") == name))["asset_id"])
    for table, key in FOUND_IN.items():
        own = tables[table].filter(pl.col(key).is_in(subjects))
        tracks |= set(own["track_id"].drop_nulls())
    for table, key in FOUND_IN.items():
        subjects |= set(tables[table].filter(pl.col("track_id").is_in(tracks))[key])
    runs = tables["training_run"].filter(pl.col("character") == name)["run_id"]
    return Person(
        name=name, subjects=frozenset(subjects), tracks=frozenset(tracks), runs=frozenset(runs)
    )


def is_known(tables: Mapping[str, pl.DataFrame], who: Person) -> bool:
    """Whether any table has the person."""
    named = (
        frame.filter(pl.col("character") == who.name).height
        for frame in tables.values()
        if "character" in frame.columns
    )
    return bool(who.ids) or any(named)


def known_names(tables: Mapping[str, pl.DataFrame]) -> list[str]:
    """Names that `find` would find somebody by."""
    characters = [tables[one]["character"] for one in ("reference", "label_corrected", "label")]
    unknown = tables["cluster_corrected"].filter(pl.col("level") == "unknown")["cluster_id"]
    found = {name for column in (*characters, unknown) for name in column.drop_nulls()}
    return sorted(found)


def tracks_of(tables: Mapping[str, pl.DataFrame], who: Person) -> list[ForgottenTrack]:
    """Where in the film the person is, one entry a track; a view without a track is one."""
    shot = tables["shot"].select("shot_index", "start_s", "end_s")
    size = ["frame_id", "timestamp_s", "width_px", "height_px", *forgotten.CROP]
    frames = {
        row["frame_id"]: row
        for table in ("frame", "extra_frame")
        for row in tables[table]
        .select(*size, "shot_index")
        .join(shot, on="shot_index")
        .iter_rows(named=True)
    }
    rows: dict[str, list[dict[str, Any]]] = {}
    for table, key in FOUND_IN.items():
        own = tables[table].filter(pl.col(key).is_in(who.subjects))
        for row in own.select(key, "track_id", "frame_id", *BOX).sort(key).iter_rows(named=True):
            if row["frame_id"] in frames:
                rows.setdefault(row["track_id"] or row[key], []).append(row)
    return [forgotten.make_track(own, frames) for own in rows.values()]


def erase(frame: pl.DataFrame, who: Person) -> pl.DataFrame:
    """A table without a person: their rows dropped, their name taken out of the others'.

    Parameters
    ----------
    frame : pl.DataFrame
        Any table of a film, or a part of one.

    Returns
    -------
    pl.DataFrame
        With the same columns; the very table that was given where nothing changed.
    """
    kept = frame.filter(~_is_own(frame, who))
    kept = _without_choices(kept, who)
    changed = [
        _without_name(kept[column], who.name)
        for column, kind in kept.schema.items()
        if column in WORDS or kind == pl.List(pl.String)
    ]
    kept = kept.with_columns(changed)
    return frame if kept.equals(frame) else kept


def files_of(frame: pl.DataFrame, who: Person) -> list[str]:
    """Files that the rows which `erase` drops name, in their order."""
    gone = frame.filter(_is_own(frame, who))
    found = [name for column in FILES if column in gone.columns for name in gone[column]]
    if "files" in gone.columns:
        found += [name for names in gone["files"].drop_nulls() for name in names]
    return [name for name in dict.fromkeys(found) if name is not None]


def _is_own(frame: pl.DataFrame, who: Person) -> pl.Series:
    """Which rows go, one bool a row."""
    by = [pl.col(column).is_in(who.ids) for column in IDS if column in frame.columns]
    if "character" in frame.columns:
        by.append(pl.col("character").cast(pl.String) == who.name)
    if "candidate" in frame.columns and "figure_id" not in frame.columns:
        by.append(pl.col("candidate") == who.name)
    if "choices" in frame.columns:
        by.append(pl.col("choices").list.contains(who.name))
    if not by:
        return pl.repeat(value=False, n=frame.height, eager=True)
    gone = pl.any_horizontal(one.fill_null(value=False) for one in by)
    return frame.select(gone.alias("gone"))["gone"]


def _without_choices(frame: pl.DataFrame, who: Person) -> pl.DataFrame:
    """Others' rows that said whom they are most like: not this person any more."""
    if "figure_id" in frame.columns and "candidate" in frame.columns:
        is_like = (pl.col("candidate") == who.name).fill_null(value=False)
        frame = frame.with_columns(
            pl.when(~is_like).then(pl.col(column))
            for column in ("candidate", "similarity", "margin", "score")
        )
    for column in ("perhaps", "recognised"):
        if column in frame.columns:
            is_name = (pl.col(column) == who.name).fill_null(value=False)
            frame = frame.with_columns(pl.when(~is_name).then(pl.col(column)))
    return frame


def _without_name(values: pl.Series, name: str) -> pl.Series:
    """Text without the name; of lists, entries that are the name, or end with it, are left out."""
    pattern = _pattern(name)
    if values.dtype == pl.String:
        found = [value and pattern.sub(SOMEBODY, value) for value in values]
        return pl.Series(values.name, found, values.dtype)
    if values.dtype != pl.List(pl.String):
        return values
    lists = [
        own and [pattern.sub(SOMEBODY, one) for one in own if one.rpartition("/")[2] != name]
        for own in (None if own is None else list(own) for own in values)
    ]
    return pl.Series(values.name, lists, values.dtype)


def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(name)}(?!\w)", re.IGNORECASE)


def erase_words(text: str, name: str) -> str:
    """A sentence without a name.

    Examples
    --------
    >>> erase_words("Anna waves; annabel does not", "anna")
    'person waves; annabel does not'
    """
    return _pattern(name).sub(SOMEBODY, text)
