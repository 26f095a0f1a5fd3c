"""Corrections outside the board: open the library, say something of it, show and export it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from bunny.command import run
from bunny.core.error import UserError
from bunny.review import create_event, log, look_alike
from bunny.review.event import Event, Level
from bunny.review.state import State
from bunny.table import store

if TYPE_CHECKING:
    from bunny.core.config import Config
    from bunny.core.workspace import Workspace

SHOWN = 12  # ids that a preview names
VECTORS = {"scene": "shot_vector", "character": "figure_vector"}


@dataclass(frozen=True, kw_only=True)
class Library:
    """A film's items as of the record, and where they lie."""

    space: Workspace
    config: Config
    state: State

    @property
    def user(self) -> str:
        """Who says things here: the setting, else who is logged in."""
        return self.config.review.user or run.login("somebody")

    def say(self, events: Sequence[Event]) -> int:
        """Put events down and apply them; gives how many the record has."""
        number = log.append(self.space.root, events)
        for event in events:
            self.state.apply(event)
        return number

    def vectors(self, level: Level) -> pl.DataFrame:
        """What items of a level are compared by."""
        return store.read_or_empty(self.space.table, VECTORS[level])


def open_library(
    film: str | None = None, data_dir: str | None = None, overrides: Sequence[str] = ()
) -> Library:
    """Open a film's library with all that was said of it.

    Raises
    ------
    UserError
        If there is no such film, or stage review has not run.
    """
    space, config = run.open_film(film, data_dir, overrides)
    return Library(space=space, config=config, state=open_state(space, config))


def open_state(space: Workspace, config: Config) -> State:
    """The state of a film's library: its items, and every event of the record.

    Raises
    ------
    UserError
        If stage review has not run.
    """
    if not store.exists(space.table, "asset"):
        raise UserError(
            f"{space.film_id}: expected a library of shots and figures, found none; "
            "run the film until stage review first"
        )
    vectors = store.read_or_empty(space.table, "shot_vector")
    state = State.of(
        store.read(space.table, "asset"),
        vectors,
        noise_threshold=config.clustering.noise_threshold,
    )
    return state.replay(log.read(space.root))


def find_items(state: State, names: Sequence[str], level: Level | None = None) -> list[str]:
    """Ids of items that are given by id, by how an id ends (`s00007`), or as a cluster's name.

    Raises
    ------
    UserError
        If a name is none of these, or could be several items.
    """
    found: list[str] = []
    for name in names:
        ends = [i for i in state.content.ids if i == name or i.endswith(f"-{name}")]
        clusters = [
            (cluster, one)
            for one in (("scene", "character") if level is None else (level,))
            if (cluster := state.find_cluster(name, one)) is not None
        ]
        if len(ends) == 1:
            found += ends
        elif not ends and len(clusters) == 1:
            found += state.members(*clusters[0])
        else:
            raise UserError(f"{name}: {_not_one(len(ends), [one for _, one in clusters])}")
    return list(dict.fromkeys(found))


def find_level(state: State, cluster: str, level: Level | None) -> Level:
    """The level at which there is a cluster of that name.

    Raises
    ------
    UserError
        If there is none, or one at both levels and none is given.
    """
    found = [one for one in ("scene", "character") if state.find_cluster(cluster, one) is not None]
    if level is not None:
        found = [one for one in found if one == level]
    if len(found) == 1:
        return found[0]
    if found:
        raise UserError(f"{cluster}: {_not_one(0, found)}")
    where = f" at level {level}" if level else ""
    raise UserError(
        f"{cluster}: expected a cluster{where}, there is none of that id or name; "
        "`bunny correct list FILM` shows them"
    )


def look_alikes(
    library: Library, asset_ids: Sequence[str], cluster_id: str | None = None
) -> pl.DataFrame:
    """What looks like items, as the settings have it; see `propagate.look_alikes`."""
    wanted = library.config.review
    level = library.state.level_of(asset_ids)
    return look_alike.look_alikes(
        library.state,
        library.vectors(level),
        asset_ids,
        wanted.propagate_similarity,
        wanted.max_propagated,
        cluster_id=cluster_id,
    )


def describe(library: Library, event: Event) -> str:
    """One line on what an event says."""
    ids, cluster = library.state.touched(event.event_id)
    what = f"{len(ids)} items" if len(ids) != 1 else ids[0]
    words = [event.event_id[:8], event.time[:19], event.user, event.kind]
    words += [what] if ids else []
    words += [f"-> {_called(library, cluster, event)}"] if cluster else []
    words += [f"'{event.text}'"] if event.text else []
    words += [f"({event.reason})"] if event.reason else []
    words += ["[undone]"] if library.state.is_undone(event.event_id) else []
    return " ".join(words)


def list_clusters(library: Library) -> str:
    """Clusters of both levels with their sizes and the noise buckets."""
    lines = []
    for level in ("scene", "character"):
        lines.append(f"{level}:")
        for row in library.state.clusters(level).iter_rows(named=True):
            name = f" {row['name']}" if row["name"] not in (None, row["cluster_id"]) else ""
            lines.append(f"  {row['cluster_id']:<16} {row['size']:>6}{name}")
        lines.append(f"  {'(noise)':<16} {len(library.state.members('', level)):>6}")
    return "\n".join(lines)


def find_event(state: State, start: str, user: str) -> Event:
    """The event whose id begins so; the user's last one that holds for "".

    Raises
    ------
    UserError
        If there is none, or several.
    """
    if not start:
        last = create_event.last_by(state, user)
        if last is None:
            raise UserError(f"undo: expected something that {user} said and that holds, found none")
        return last
    found = [e for e in state.every if e.event_id.startswith(start)]
    if len(found) != 1:
        raise UserError(
            f"undo {start}: expected the beginning of one event's id, it is that of {len(found)}; "
            "`bunny correct list FILM --events` shows them"
        )
    return found[0]


def export_feedback(
    film: str | None,
    output: Path | None = None,
    data_dir: str | None = None,
    *,
    has_events: bool = False,
) -> str:
    """Write pairs (anchor, positive, label), or the record itself, as JSON lines.

    Parameters
    ----------
    output : Path, optional
        File to write; None: `export/feedback.jsonl` of the film.

    Raises
    ------
    UserError
        If stage review has not run, or the file cannot be written.
    """
    from bunny.review import constraint

    library = open_library(film, data_dir)
    out = output or library.space.root / "export" / "feedback.jsonl"
    if has_events:
        rows = [event.to_dict() for event in log.read(library.space.root)]
    else:
        pairs = constraint.pairs(library.state)
        columns = {"anchor": "anchor_id", "positive": "positive_id", "label": "label"}
        rows = pairs.select(**columns).to_dicts()
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    try:
        store.write_bytes(out, lines.encode())
    except OSError as error:
        raise UserError(f"{out}: expected to write there, got '{error.strerror}'") from error
    return f"{out}: {len(rows)} {'events' if has_events else 'pairs'}"


def _not_one(num_items: int, levels: Sequence[Level]) -> str:
    """What is wrong with a name that is not that of exactly one thing."""
    if len(levels) > 1:
        return "expected one cluster, there is a place and a character of that name; give --level"
    if num_items + len(levels) == 0:
        return (
            "expected a shot, figure or cluster, there is none of that id or name; "
            "`bunny correct list FILM CLUSTER` shows ids"
        )
    return f"expected one shot or figure, {num_items} ids end so; give more of the id"


def name_of(library: Library, cluster: str, level: Level | None) -> str:
    """What people call a cluster; "" if nobody named it."""
    if level is None:
        return ""
    named = library.state.clusters(level).filter(pl.col("cluster_id") == cluster)
    return (named["name"].first() or "") if named.height else ""


def _called(library: Library, cluster: str, event: Event) -> str:
    """A cluster's id, and its name where it has another."""
    name = name_of(library, cluster, event.level)
    return f"{cluster} '{name}'" if name and name not in (cluster, event.text) else cluster
