"""Shot selection for a timeline: by number, cluster, character or training set.

`what` is ``shots``, ``shots:3,7,12``, ``cluster:kitchen``, ``cluster:kitchen/bunny`` (in that place
with that character), ``character:bunny``, ``dataset``, ``dataset:bunny``; ``search:words`` is the
job's, since the library's search is another domain's part of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import polars as pl

from bunny.core.error import UserError

KINDS = ("shots", "cluster", "character", "dataset", "search")
NEEDS_VALUE = ("cluster", "character", "search")
CHOSEN = {
    "shot_index": pl.Int32,
    "score": pl.Float64,  # null: none is better than another
    "matched_s": pl.Float64,  # the film's own time; null: the shot as a whole
    "why": pl.String,
}
NAMED = 8  # names that an error lists


def parse(what: str) -> tuple[str, str]:
    """Kind and value of `what`, quotes taken off.

    Raises
    ------
    UserError
        For an unknown kind, or one that wants a value and has none.
    """
    kind, _, value = what.partition(":")
    kind, value = kind.strip().lower(), value.strip()
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1].strip()
    if kind not in KINDS or (kind in NEEDS_VALUE and not value):
        raise UserError(
            '--what: expected shots, shots:3,7, search:"words", cluster:NAME, '
            f"character:NAME, dataset or dataset:NAME, got {what!r}"
        )
    return kind, value


def choose_shots(kind: str, value: str, tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """The shots that are meant, in film order.

    Parameters
    ----------
    kind, value : str
        As `parse` gives them, but for search.
    tables : mapping
        Tables shot, asset, cluster, label (the corrected one if there is one) and dataset;
        empty ones where a stage did not run.

    Returns
    -------
    pl.DataFrame
        Columns of `CHOSEN`, one row a shot.

    Raises
    ------
    UserError
        If there is no such shot, cluster, character or set; it names some that there are.
    """
    chosen = {"shots": _shots, "cluster": _cluster, "character": _character, "dataset": _dataset}
    indices = chosen[kind](value, tables)
    return _from_indices(indices, f"{kind}: {value}" if value else kind)


def _from_indices(indices: list[int], why: str) -> pl.DataFrame:
    """Shots by number, each once and in film order, as `choose_shots` gives them."""
    return pl.DataFrame(
        {"shot_index": sorted(set(indices))}, schema={"shot_index": pl.Int32}
    ).select(
        "shot_index",
        score=pl.lit(None, pl.Float64),
        matched_s=pl.lit(None, pl.Float64),
        why=pl.lit(why),
    )


def _shots(value: str, tables: Mapping[str, pl.DataFrame]) -> list[int]:
    """All of them, or those with a number."""
    known = tables["shot"]["shot_index"].to_list()
    if not value:
        return known
    wanted = re.split(r"[,\s]+", value.strip(", "))
    if not all(w.isascii() and w.isdigit() for w in wanted):
        raise UserError(f"--what shots: expected shot numbers as in shots:3,7,12, got {value!r}")
    missing = sorted({int(w) for w in wanted} - set(known))
    if missing:
        raise UserError(
            f"--what shots: expected shot numbers from 0 to {max(known)}, got "
            f"{', '.join(map(str, missing))}; the report lists the shots"
        )
    return [int(w) for w in wanted]


def _cluster(value: str, tables: Mapping[str, pl.DataFrame]) -> list[int]:
    """Shots in a cluster by its id or name; after corrections where stage review ran."""
    found = _in_cluster(value, tables)
    place, _, who = value.rpartition("/")
    if not found and place and who:
        seen = set(_seen(tables).filter(_alike("character", who))["shot_index"])
        found = [i for i in _in_cluster(place, tables) if i in seen]
    if not found:
        raise _none("cluster", value, _clusters(tables))
    return found


def _in_cluster(value: str, tables: Mapping[str, pl.DataFrame]) -> list[int]:
    asset, machine = tables["asset"], tables["cluster"]
    if not asset.is_empty():
        wanted = _alike("cluster_id", value) | _alike("name", value)
        found = asset.filter(wanted)["shot_index"].to_list()
        if found or "/" not in value:
            return found
    voted = (
        machine.filter((pl.col("level") != "scene") | ~pl.col("is_noise"))
        .filter(_alike("cluster_id", value))
        .group_by("shot_index", "level")
        .len()
    )
    scenes = _majority(machine).filter(_alike("cluster_id", value))
    figures = voted.filter(pl.col("level") != "scene")
    return [*scenes["shot_index"], *figures["shot_index"]]


def _majority(cluster: pl.DataFrame) -> pl.DataFrame:
    """The scene cluster that most frames of a shot are in."""
    return (
        cluster.filter(level="scene")
        .group_by("shot_index", "cluster_id")
        .len()
        .sort("shot_index", "len", "cluster_id", descending=[False, True, False], nulls_last=True)
        .unique("shot_index", keep="first", maintain_order=True)
    )


def _clusters(tables: Mapping[str, pl.DataFrame]) -> list[str]:
    """What clusters are called: by name where they have one."""
    asset = tables["asset"]
    if asset.is_empty():
        return _names(tables["cluster"].filter(level="scene"), "cluster_id")
    return _names(asset.with_columns(called=pl.coalesce("name", "cluster_id")), "called")


def _character(value: str, tables: Mapping[str, pl.DataFrame]) -> list[int]:
    """Shots where somebody is seen."""
    seen = _seen(tables)
    found = seen.filter(_alike("character", value))["shot_index"].to_list()
    if not found:
        raise _none("character", value, _names(seen, "character"))
    return found


def _seen(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Who is in which shot."""
    return tables["label"].drop_nulls("character")


def _dataset(value: str, tables: Mapping[str, pl.DataFrame]) -> list[int]:
    """Shots that training pictures came from."""
    pictures = tables["dataset"]
    if value and pictures.filter(_alike("character", value)).is_empty():
        raise _none("training set of a character", value, _names(pictures, "character"))
    found = pictures.filter(_alike("character", value)) if value else pictures
    if found.is_empty():
        raise UserError(
            "--what dataset: no training set found; run the film up to stage dataset first"
        )
    return found["shot_index"].to_list()


def _alike(column: str, value: str) -> pl.Expr:
    """Whether a name is this one, whatever its case."""
    return pl.col(column).str.to_lowercase().eq(value.lower()).fill_null(value=False)


def _names(table: pl.DataFrame, column: str) -> list[str]:
    return table[column].drop_nulls().unique().sort().to_list()


def _none(kind: str, value: str, names: list[str]) -> UserError:
    some = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" * (len(names) > NAMED))
    return UserError(
        f"expected a {kind} named {value!r}, found none; there "
        f"{'is' if len(names) == 1 else 'are'} {some or 'none in this film'}"
    )
