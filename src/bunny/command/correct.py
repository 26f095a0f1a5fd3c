"""`bunny correct`: corrections from the command line: find items, record events, list clusters."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from bunny.command import film_workspace
from bunny.core.error import UserError
from bunny.review import create_event, event_log, look_alike
from bunny.review.event_log import Event, Level
from bunny.review.state import ReviewState
from bunny.table import store
from bunny.view import style

SHOWN = 12  # ids that a preview names
VECTORS = {"scene": "shot_vector", "character": "figure_vector"}

LEVELS: tuple[Level, ...] = ("scene", "character")
NOISE = ("noise", "(noise)")  # names of the items that are in no cluster

if TYPE_CHECKING:
    from bunny.core.config import Config
    from bunny.core.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class ReviewedFilm:
    """A film's items as of the record, and where they lie."""

    space: Workspace
    config: Config
    state: ReviewState

    @property
    def user(self) -> str:
        """Who says things here: the setting, else who is logged in."""
        return self.config.review.user or film_workspace.login_name("somebody")

    def say(self, events: Sequence[Event]) -> int:
        """Put events down and apply them; gives how many the record has."""
        number = event_log.append(self.space.root, events)
        for event in events:
            self.state.apply(event)
        return number

    def vectors(self, level: Level) -> pl.DataFrame:
        """What items of a level are compared by."""
        return store.read_or_empty(self.space.table, VECTORS[level])


def open_reviewed_film(
    film: str | None = None, data_dir: str | None = None, overrides: Sequence[str] = ()
) -> ReviewedFilm:
    """Open a film's library with all that was said of it.

    Raises
    ------
    UserError
        If there is no such film, or stage review has not run.
    """
    space, config = film_workspace.open_film(film, data_dir, overrides, ())
    return ReviewedFilm(space=space, config=config, state=open_state(space, config))


def open_state(space: Workspace, config: Config) -> ReviewState:
    """The state of a film's library: its items, and every event of the record.

    Raises
    ------
    UserError
        If stage review has not run.
    """
    if not store.exists(space.table, "asset"):
        raise UserError(
            f"{space.film_id}: expected a library of shots and figures, found none; "
            "run stage review first"
        )
    vectors = store.read_or_empty(space.table, "shot_vector")
    state = ReviewState.of(
        store.read(space.table, "asset"), vectors, noise_threshold=config.clustering.noise_threshold
    )
    return state.replay(event_log.read(space.root))


def find_items(state: ReviewState, names: Sequence[str], level: Level | None = None) -> list[str]:
    """Ids of items that are given by id, by how an id ends (`s00007`), or as a cluster's name.

    Raises
    ------
    UserError
        If a name is none of these, or could be several items.
    """
    found: list[str] = []
    for name in names:
        ends = [i for i in state.content.ids if i == name or i.endswith(f"-{name}")]
        clusters: list[tuple[str, Level]] = [
            (cluster, one)
            for one in (LEVELS if level is None else (level,))
            if (cluster := state.find_cluster(name, one)) is not None
        ]
        if len(ends) == 1:
            found += ends
        elif not ends and len(clusters) == 1:
            found += state.members(*clusters[0])
        else:
            raise UserError(f"{name}: {_not_one(len(ends), [one for _, one in clusters])}")
    return list(dict.fromkeys(found))


def split_frames(library: ReviewedFilm, names: Sequence[str]) -> tuple[pl.DataFrame, list[str]]:
    """Rows of table `frame` whose frame_id was named, and the names that are no frame's."""
    frame = store.read_or_empty(library.space.table, "frame")
    found = frame.filter(pl.col("frame_id").is_in(list(names)))
    known = set(found["frame_id"])
    return found, [name for name in names if name not in known]


def find_level(state: ReviewState, cluster: str, level: Level | None) -> Level:
    """The level at which there is a cluster of that name.

    Raises
    ------
    UserError
        If there is none, or one at both levels and none is given.
    """
    found: list[Level] = [one for one in LEVELS if state.find_cluster(cluster, one) is not None]
    if level is not None:
        found = [level] if level in found else []
    if len(found) == 1:
        return found[0]
    if found:
        raise UserError(f"{cluster}: {_not_one(0, found)}")
    where = f" at level {level}" if level else ""
    raise UserError(
        f"{cluster}: no cluster{where} has this id or name; list clusters with "
        "`bunny correct list FILM`"
    )


def find_look_alikes(
    library: ReviewedFilm, asset_ids: Sequence[str], cluster_id: str | None = None
) -> pl.DataFrame:
    """What looks like items, as the settings have it; see `look_alike.look_alikes`."""
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


def describe(library: ReviewedFilm, event: Event) -> str:
    """One line on what an event says."""
    ids, cluster = library.state.touched(event.event_id)
    what = f"{len(ids)} items" if len(ids) != 1 else ids[0]
    words = [event.event_id[:8], event.time[:19], event.user, event.kind]
    words += [what] if ids else []
    words += [f"-> {_cluster_label(library, cluster, event)}"] if cluster else []
    words += [f"'{event.text}'"] if event.text else []
    words += [f"{len(event.frames)} captions"] if len(event.frames) > 1 else []
    words += [f"'{event.frames[0].text}'"] if len(event.frames) == 1 else []
    words += [f"({event.reason})"] if event.reason else []
    words += ["[undone]"] if library.state.is_undone(event.event_id) else []
    return " ".join(words)


def list_clusters(library: ReviewedFilm) -> str:
    """Clusters of both levels with their sizes and the noise buckets."""
    lines = []
    for level in ("scene", "character"):
        lines.append(f"{level}:")
        for row in library.state.clusters(level).iter_rows(named=True):
            name = f" {row['name']}" if row["name"] not in (None, row["cluster_id"]) else ""
            lines.append(f"  {row['cluster_id']:<16} {row['size']:>6}{name}")
        lines.append(f"  {'(noise)':<16} {len(library.state.members('', level)):>6}")
    return "\n".join(lines)


def find_event(state: ReviewState, start: str, user: str) -> Event:
    """The event whose id begins so; the user's last one that holds for "".

    Raises
    ------
    UserError
        If there is none, or several.
    """
    if not start:
        last = create_event.last_event_by(state, user)
        if last is None:
            raise UserError(f"undo: {user} has no correction left to undo")
        return last
    found = [e for e in state.every if e.event_id.startswith(start)]
    if len(found) != 1:
        raise UserError(
            f"undo {start}: expected the first characters of one event id, but {len(found)} events "
            "match; list them with `bunny correct list FILM --events`"
        )
    return found[0]


def _not_one(num_items: int, levels: Sequence[Level]) -> str:
    """What is wrong with a name that is not that of exactly one thing."""
    if len(levels) > 1:
        return "both a place and a character have this name; add --level scene or --level character"
    if num_items + len(levels) == 0:
        return (
            "no shot, figure or cluster has this id or name; "
            "list ids with `bunny correct list FILM CLUSTER`"
        )
    return f"{num_items} shots or figures have ids with this ending; give more of the id"


def _cluster_name(library: ReviewedFilm, cluster: str, level: Level | None) -> str:
    """What people call a cluster; "" if nobody named it."""
    if level is None:
        return ""
    named = library.state.clusters(level).filter(pl.col("cluster_id") == cluster)
    return str(named["name"].first() or "") if named.height else ""


def _cluster_label(library: ReviewedFilm, cluster: str, event: Event) -> str:
    """A cluster's id, and its name where it has another."""
    name = _cluster_name(library, cluster, event.level)
    return f"{cluster} '{name}'" if name and name not in (cluster, event.text) else cluster


def list_items(library: ReviewedFilm, cluster: str, level: Level | None = None) -> str:
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
                f"{cluster}: shots and figures both have items in no cluster; add --level scene or "
                "--level character"
            )
        ids = library.state.members("", level)
    else:
        level = find_level(library.state, cluster, level)
        cluster_id = library.state.find_cluster(cluster, level)
        ids = [] if cluster_id is None else library.state.members(cluster_id, level)
    rows = library.state.frame().filter(pl.col("asset_id").is_in(ids)).sort("start_s", "asset_id")
    lines = []
    for row in rows.iter_rows(named=True):
        span = f"{style.clock(row['start_s'])}-{style.clock(row['end_s'])}"
        about = [*row["who"], *(["approved"] if row["is_approved"] else [])]
        lines.append(f"  {row['asset_id']}  {span}  {', '.join(about)}".rstrip())
    return "\n".join(lines) or "  no items"


def cluster_ids(library: ReviewedFilm) -> set[str]:
    """Ids of the clusters of both levels."""
    both = (library.state.clusters(level)["cluster_id"] for level in ("scene", "character"))
    return {one for ids in both for one in ids}


def describe_new_clusters(
    library: ReviewedFilm, events: Sequence[Event], before: set[str]
) -> list[str]:
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
            name = _cluster_name(library, cluster, event.level) or cluster
            said.append(
                f"created the new {kind} '{name}'; "
                f"undo with `bunny correct undo {library.space.film_id}`"
            )
    return list(dict.fromkeys(said))


def next_command(library: ReviewedFilm, data_dir: str | None) -> str:
    """What to type so that captions and the training set follow."""
    where = "" if data_dir is None else f" --data-dir {shlex.quote(data_dir)}"
    command = f"bunny run {library.space.film_id} --until dataset{where}"
    return f"to update captions and the training set, run: {command}"
