"""Clusters as folders: name, how many, how much of it is approved, how doubtful, which picture."""

from __future__ import annotations

import re
from typing import Any

import polars as pl

from bunny.view.board import query

FACE_OF = ("is_approved", "similarity")  # the picture of a folder: approved, then most central


def list_folders(table: pl.DataFrame, level: str) -> list[dict[str, Any]]:
    """Describe the clusters of a level, in the order of their names; the noise bucket first.

    Parameters
    ----------
    table : pl.DataFrame
        Of `query.number`.
    level : {"scene", "character"}

    Returns
    -------
    list of dict
        `id` ("" is the noise bucket, always there), `name` (None: nobody named it), `count`,
        `approved` (share in [0, 1]), `doubt` (mean, in [0, 1]), `row` of its picture (None: it is
        empty), `who`: at level scene, each set of characters with its count, the largest first.
    """
    items = table.lazy().filter(pl.col("level") == level)
    items = items.with_columns(pl.col("cluster_id").fill_null(query.NOISE).alias("id"))
    found = (
        items.sort(*FACE_OF, descending=True, nulls_last=True)
        .group_by("id", maintain_order=True)
        .agg(
            pl.col("name").drop_nulls().first(),
            pl.len().alias("count"),
            pl.col("is_approved").mean().alias("approved"),
            pl.col("doubt").mean(),
            pl.col("row").first(),
        )
        .collect()
        .to_dicts()
    )
    who = _who(items) if level == "scene" else {}
    if not any(folder["id"] == query.NOISE for folder in found):
        empty = {"name": None, "count": 0, "approved": 0.0, "doubt": 0.0, "row": None}
        found.append({"id": query.NOISE, **empty})
    for folder in found:
        folder["who"] = who.get(folder["id"], [])
    return sorted(found, key=_place)


def _place(folder: dict[str, Any]) -> tuple:
    """Noise, then named ones by name, then the rest by number: it does not move with the count."""
    text = folder["name"] or folder["id"]
    parts = [(1, int(p), "") if p.isdigit() else (0, 0, p) for p in _split(text.lower())]
    is_plain = folder["name"] is None or folder["name"] == folder["id"]
    return folder["id"] != query.NOISE, is_plain, parts, folder["id"]


def _split(text: str) -> list[str]:
    return [part for part in re.split(r"(\d+)", text) if part]


def _who(items: pl.LazyFrame) -> dict[str, list[dict[str, Any]]]:
    """Sub-folders of each scene: who is there."""
    rows = (
        items.filter(pl.col("id") != query.NOISE)
        .group_by("id", pl.col("who").list.join("\n").alias("key"))
        .agg(pl.len().alias("count"))
        .sort(["id", "count", "key"], descending=[False, True, False])
        .collect()
    )
    found: dict[str, list[dict[str, Any]]] = {}
    for cluster_id, key, count in rows.iter_rows():
        names = key.split("\n") if key else []
        found.setdefault(cluster_id, []).append({"who": names, "count": count})
    return found
