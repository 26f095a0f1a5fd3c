"""Queries over the items of a board: filter, order and folders by cluster."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
import polars as pl

from bunny.core.error import UserError

NOISE = ""  # cluster of what belongs nowhere
STATUS = {
    "all": pl.lit(True),
    "open": ~pl.col("is_approved"),
    "approved": pl.col("is_approved"),
    "moved": pl.col("source") == "person",
    "commented": pl.col("comments") > 0,
    "rejected": pl.col("rejected_from").list.len() > 0,
}
LENGTH = pl.col("end_frame_index") - pl.col("first_frame_index")
AREA = (pl.col("x1_px") - pl.col("x0_px")) * (pl.col("y1_px") - pl.col("y0_px"))
SUGGESTED_NAME = pl.when(  # who a nameless drawn figure may be, until somebody said something of it
    pl.col("name").is_null(),
    pl.col("doubt") > 0,
    ~pl.col("rejected_from").list.contains(pl.col("perhaps")),
).then("perhaps")
WORDS = pl.concat_str(
    pl.col("cluster_id").fill_null("noise"),
    pl.col("name").fill_null(""),
    pl.col("who").list.join(" "),
    pl.format("shot {}", pl.col("shot_index")),
    pl.format("perhaps {}", SUGGESTED_NAME).fill_null(""),
    separator=" ",
).str.to_lowercase()
NO_QUESTION = 2**31 - 1
FILM_ORDER = ("first_frame_index", "row")
SORT: dict[str, tuple[pl.Expr, ...]] = {
    "doubt": (
        pl.when(pl.col("doubt") > 0).then("question").fill_null(NO_QUESTION),
        -pl.col("doubt"),
    ),
    "film": (),
    "size": (-pl.coalesce(AREA, LENGTH.cast(pl.Float64)),),
    "name": (pl.coalesce("name", "cluster_id").fill_null("\U0010ffff"),),
}

COVER_ORDER = ("is_approved", "similarity")  # the picture of a folder: approved, then most central


@dataclass(frozen=True, kw_only=True)
class BoardQuery:
    """Filter, order and folder that a board asks for.

    Attributes
    ----------
    level : {"scene", "character"}
    cluster : str or None
        None is everything, `NOISE` the noise bucket.
    who : tuple of str or None
        Exactly who is seen in a shot; None does not ask.
    search : str
        Words that all occur in cluster, name, who is there, `shot 12` or `perhaps bunny`.
    status : a key of `STATUS`
    sort : a key of `SORT`
        doubt: what one answer puts right stands together, what is worth most first
        (`review.active_learning`), then the most doubtful; size: the largest figure, or the
        longest shot.
    """

    level: str = "scene"
    cluster: str | None = None
    who: tuple[str, ...] | None = None
    search: str = ""
    status: str = "all"
    sort: str = "doubt"


class WhoCount(TypedDict):
    """A set of characters and the number of a scene's shots in which exactly they are."""

    who: list[str]
    count: int


class Folder(TypedDict):
    """A cluster as a board is sent it."""

    id: str  # "" is the noise bucket
    name: str | None  # None: nobody named it
    count: int
    approved: float  # share, in [0, 1]
    doubt: float  # mean, in [0, 1]
    row: int | None  # of its picture; None: it is empty
    who: list[WhoCount]  # at level scene, the largest first


def from_dict(values: Mapping[str, Any]) -> BoardQuery:
    """Read what a browser sent.

    Raises
    ------
    UserError
        For a level, status or sort that there is none of.
    """
    known = {"level": ("scene", "character"), "status": tuple(STATUS), "sort": tuple(SORT)}
    for key, allowed in known.items():
        if values.get(key, allowed[0]) not in allowed:
            raise UserError(f"{key}: expected one of {', '.join(allowed)}, got {values[key]!r}")
    who, cluster = values.get("who"), values.get("cluster")
    return BoardQuery(
        level=values.get("level", "scene"),
        cluster=None if cluster is None else str(cluster),
        who=None if who is None else tuple(str(name) for name in who),
        search=str(values.get("search", "")),
        status=values.get("status", "all"),
        sort=values.get("sort", "doubt"),
    )


def number_rows(asset: pl.DataFrame) -> pl.DataFrame:
    """Add `row`, each item's number for as long as a board is open, and `words` to search in."""
    later = {"question": pl.Int32, "perhaps": pl.String}  # films that were run before lack them
    missing = {c: pl.lit(None, dtype) for c, dtype in later.items() if c not in asset.columns}
    asset = asset.with_columns(**missing)
    return asset.with_row_index("row").with_columns(WORDS.alias("words"))


def match(query: BoardQuery) -> pl.Expr:
    """The condition that items of a numbered table must meet."""
    found = (pl.col("level") == query.level) & STATUS[query.status]
    if query.cluster is not None:
        found &= pl.col("cluster_id").fill_null(NOISE) == query.cluster
    if query.who is not None:
        found &= pl.col("who").list.join("\n") == "\n".join(query.who)
    for word in query.search.lower().split():
        found &= pl.col("words").str.contains(word, literal=True)
    return found


def select(table: pl.DataFrame, query: BoardQuery) -> np.ndarray:
    """Rows that are asked for, in order.

    Parameters
    ----------
    table : pl.DataFrame
        Of `number_rows`.

    Returns
    -------
    np.ndarray, shape (n,), int32
        Values of `row`; equals follow the film.
    """
    found = table.lazy().filter(match(query)).sort(*SORT[query.sort], *FILM_ORDER)
    return found.select(pl.col("row").cast(pl.Int32)).collect()["row"].to_numpy()


def keep_order(table: pl.DataFrame, query: BoardQuery, before: np.ndarray) -> np.ndarray:
    """Like `select`, but what was on the screen stays where it is.

    A correction changes doubt; were the items sorted again they would jump under the hand. Items
    that left are taken out; only where others came in are all of them sorted again.

    Parameters
    ----------
    before : np.ndarray, shape (m,), int32
        Rows as they are shown now.
    """
    wanted = table.filter(match(query))["row"].to_numpy()
    is_kept = np.isin(before, wanted)
    if int(is_kept.sum()) < len(wanted):
        return select(table, query)
    return before[is_kept]


def list_folders(table: pl.DataFrame, level: str) -> list[Folder]:
    """Describe the clusters of a level, in the order of their names; the noise bucket first.

    Parameters
    ----------
    table : pl.DataFrame
        From `number_rows`.
    level : {"scene", "character"}
    """
    items = table.lazy().filter(pl.col("level") == level)
    items = items.with_columns(pl.col("cluster_id").fill_null(NOISE).alias("id"))
    found = (
        items.sort(*COVER_ORDER, descending=True, nulls_last=True)
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
    if not any(folder["id"] == NOISE for folder in found):
        empty = {"name": None, "count": 0, "approved": 0.0, "doubt": 0.0, "row": None}
        found.append({"id": NOISE, **empty})
    who = _scene_characters(items) if level == "scene" else {}
    folders = [Folder(**folder, who=who.get(folder["id"], [])) for folder in found]
    return sorted(folders, key=_sort_key)


def _sort_key(folder: Folder) -> tuple:
    """Noise, then named ones by name, then the rest by number: it does not move with the count."""
    text = folder["name"] or folder["id"]
    parts = (p for p in re.split(r"(\d+)", text.lower()) if p)
    parts = [(1, int(p), "") if p.isdigit() else (0, 0, p) for p in parts]
    is_plain = folder["name"] is None or folder["name"] == folder["id"]
    return folder["id"] != NOISE, is_plain, parts, folder["id"]


def _scene_characters(items: pl.LazyFrame) -> dict[str, list[WhoCount]]:
    """Sub-folders of each scene: who is there."""
    rows = (
        items.filter(pl.col("id") != NOISE)
        .group_by("id", pl.col("who").list.join("\n").alias("key"))
        .agg(pl.len().alias("count"))
        .sort(["id", "count", "key"], descending=[False, True, False])
        .collect()
    )
    found: dict[str, list[WhoCount]] = {}
    for cluster_id, key, count in rows.iter_rows():
        names = key.split("\n") if key else []
        found.setdefault(cluster_id, []).append({"who": names, "count": count})
    return found
