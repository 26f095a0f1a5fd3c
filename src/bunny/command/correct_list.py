"""What `bunny correct` shows beside events: items, clusters that are new, what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import polars as pl

from bunny.command import correct
from bunny.command.correct import Library
from bunny.core.error import UserError
from bunny.review.event import Event, Level
from bunny.view import style

NOISE = ("noise", "(noise)")  # how people call the bucket


def list_items(library: Library, cluster: str, level: Level | None = None) -> str:
    """The items of a cluster, a line each: id, time in the film, who is in the shot.

    Parameters
    ----------
    cluster : str
        Its id or name; "noise" is the bucket of a level.
    level : {"scene", "character"}, optional
        Needed where both have it.

    Raises
    ------
    UserError
        If there is none, or one at both levels and none is given.
    """
    if cluster in NOISE:
        if level is None:
            raise UserError(
                f"{cluster}: expected one bucket, there is one of shots and one of figures; "
                "give --level scene or --level character"
            )
        ids = library.state.members("", level)
    else:
        level = correct.find_level(library.state, cluster, level)
        ids = library.state.members(library.state.find_cluster(cluster, level), level)
    rows = library.state.frame().filter(pl.col("asset_id").is_in(ids)).sort("start_s", "asset_id")
    lines = []
    for row in rows.iter_rows(named=True):
        span = f"{style.clock(row['start_s'])}-{style.clock(row['end_s'])}"
        about = [*row["who"], *(["approved"] if row["is_approved"] else [])]
        lines.append(f"  {row['asset_id']}  {span}  {', '.join(about)}".rstrip())
    return "\n".join(lines) or "  nothing"


def cluster_ids(library: Library) -> set[str]:
    """Ids of the clusters of both levels."""
    both = (library.state.clusters(level)["cluster_id"] for level in ("scene", "character"))
    return {one for ids in both for one in ids}


def say_new(library: Library, events: Sequence[Event], before: set[str]) -> list[str]:
    """Sentences on clusters that items were moved to and that were not there before.

    Parameters
    ----------
    before : set of str
        From `cluster_ids`, before the events.
    """
    said = []
    for event in events:
        _, cluster = library.state.touched(event.event_id)
        if event.kind == "assign" and cluster and cluster not in before:
            kind = "place" if event.level == "scene" else "character"
            name = correct.name_of(library, cluster, event.level) or cluster
            said.append(
                f"there was no {kind} '{name}': a new one was made; "
                f"`bunny correct undo {library.space.film_id}` takes it back"
            )
    return list(dict.fromkeys(said))


def next_command(library: Library, data_dir: str | None) -> str:
    """What to type so that captions and the training set follow."""
    where = "" if data_dir is None else f" --data-dir {shlex.quote(data_dir)}"
    command = f"bunny run {library.space.film_id} --until dataset{where}"
    return f"captions and training set follow with: {command}"
