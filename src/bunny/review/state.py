"""State of the library after corrections: items, clusters, names, captions, comments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
import polars as pl

from bunny.core.error import UserError
from bunny.review import cluster_reference, replay, undo
from bunny.review.anchor import AssetIndex
from bunny.review.event_log import TICK, AssetAnchor, ClusterRef, Event, Level, moment, order_key
from bunny.review.reassign import Reassignment
from bunny.review.snapshot import NOISE, SOURCE, LinkEvidence, Snapshot

NUM_KEPT = 40  # moments of the replay that are kept, to go back to
NOISE_THRESHOLD = 0.5  # as `clustering.noise_threshold`


class ReviewState:
    """Items and the events that were said of them; made by `ReviewState.of`.

    Attributes
    ----------
    content : AssetIndex
        The items, by their content.
    now : Snapshot
        Where they are after all events so far.
    """

    def __init__(self, content: AssetIndex, fall: Reassignment) -> None:
        self.content = content
        self._fall = fall
        self._every: dict[str, Event] = {}
        self._latest = datetime.min.replace(tzinfo=UTC)  # time of an event known, or made here
        self._undone: set[str] = set()
        self._done: list[Event] = []
        self._kept: dict[int, Snapshot] = {0: replay.start(content)}
        self.now = self._kept[0].copy()

    @classmethod
    def of(
        cls,
        asset: pl.DataFrame,
        vectors: pl.DataFrame | None = None,
        *,
        noise_threshold: float = NOISE_THRESHOLD,
    ) -> ReviewState:
        """Start at the machine's clusters.

        Parameters
        ----------
        asset : pl.DataFrame
            Table `asset`; `machine_cluster_id` is where everything starts.
        vectors : pl.DataFrame, optional
            Table `shot_vector`: without it a rejected shot always falls to noise.
        noise_threshold : float
            Least cosine to the next best cluster that a rejected shot falls to.
        """
        content = AssetIndex(asset)
        return cls(content, Reassignment(content, vectors, noise_threshold))

    # -- events ------------------------------------------------------------------------------

    @property
    def num_events(self) -> int:
        """Events that are known, undone ones too; each counts once."""
        return len(self._every)

    @property
    def events(self) -> list[Event]:
        """Events that hold, in order of replay."""
        return list(self._done)

    @property
    def every(self) -> list[Event]:
        """All events that are known, undone ones and undos too, by time."""
        return sorted(self._every.values(), key=order_key)

    def replay(self, events: Iterable[Event]) -> ReviewState:
        """Add events to those that are known, whatever their order; gives itself."""
        new = {e.event_id: e for e in events if e.event_id not in self._every}
        self._every |= new
        self._latest = max((self._latest, *map(moment, new.values())))
        self._replay_all()
        return self

    def apply(self, event: Event) -> list[str]:
        """Add one event; the same as a replay of all with it.

        Returns
        -------
        list of str
            Ids of the items that changed: cluster, its name, source, approval, comments.
        """
        before, names = self.now.copy(), dict(self.now.folders)
        if event.event_id not in self._every:
            self._every[event.event_id] = event
            self._latest = max(self._latest, moment(event))
            is_last = not self._done or order_key(event) > order_key(self._done[-1])
            is_undone = any(e.undoes == event.event_id for e in self._every.values())
            if is_last and event.kind != "undo" and not is_undone:
                self._step(event)
            else:
                self._replay_all()
        return self._changed(before, names)

    def is_undone(self, event_id: str) -> bool:
        """Whether an event is known and holds no longer."""
        return event_id in self._undone

    # -- what is where -----------------------------------------------------------------------

    def cluster_of(self, asset_id: str) -> str | None:
        """Id of the cluster that an item is in; None is noise."""
        return self._id(int(self.now.cluster[self.item(asset_id)]))

    def members(self, cluster_id: str, level: Level) -> list[str]:
        """Ids of a cluster's items, in order of the table; "" is the noise bucket."""
        if cluster_id == "":
            is_level = self.content.is_scene == (level == "scene")
            own = np.flatnonzero((self.now.cluster == NOISE) & is_level)
        else:
            own = self.now.members(self.number(cluster_id, level))
        return [self.content.ids[i] for i in own]

    def clusters(self, level: Level) -> pl.DataFrame:
        """Clusters with `cluster_id`, `name` (null: nobody named it), `size`, the largest first."""
        size = Counter(self.now.cluster.tolist())
        rows = [
            (f.cluster_id, f.name or None, size[n])
            for n, f in self.now.folders.items()
            if f.level == level and size[n]
        ]
        schema = {"cluster_id": pl.String, "name": pl.String, "size": pl.Int64}
        found = pl.DataFrame(rows, schema=schema, orient="row")
        return found.sort("size", "cluster_id", descending=[True, False])

    def find_cluster(self, name: str, level: Level) -> str | None:
        """Id of the cluster of that id or name; None if there is none."""
        number = self.now.ids.get((level, name))
        number = self.now.named(level, name) if number is None else number
        return None if number is None else self.now.folders[number].cluster_id

    def captions(self) -> dict[str, tuple[str, str]]:
        """Words that people gave shots, and who did, by asset_id."""
        return {self.content.ids[i]: value for i, value in self.now.captions.items()}

    def frame_captions(self) -> dict[tuple[float, str], tuple[str, str]]:
        """Words that people gave single pictures, and who did, by time and source file."""
        return dict(self.now.frame_captions)

    def comments(self, asset_id: str) -> list[Event]:
        """Comments on an item, the oldest first."""
        item = self.item(asset_id)
        return [
            e for e in self._done if e.kind == "comment" and item in self.now.touched[e.event_id][0]
        ]

    def touched(self, event_id: str) -> tuple[list[str], str | None]:
        """Items and cluster that an event means in today's tables."""
        if event_id in self.now.touched:
            items, number = self.now.touched[event_id]
        else:
            event = self._every[event_id]
            items, number = tuple(self.content.match_all(event.level, event.items)), None
            if event.cluster is not None:
                number = cluster_reference.find(self.content, self.now, event.level, event.cluster)
        cluster = None if number is None else self._id(self.now.final(number))
        return [self.content.ids[i] for i in items], cluster

    def evidence(self) -> list[LinkEvidence]:
        """Similarity constraints from the events, the oldest first."""
        return list(self.now.evidence)

    def frame(self) -> pl.DataFrame:
        """Table `asset` as it is now; similarity, margin and doubt of what moved are no longer so.

        Of items that a person placed `doubt` is 0. `doubt.measure` gives the others theirs anew.
        """
        now, content = self.now, self.content
        ids = {n: f.cluster_id for n, f in now.folders.items()}
        names = {n: f.name or None for n, f in now.folders.items()}
        cluster = now.cluster.tolist()
        who = self._who()
        asset = content.asset.with_columns(
            pl.Series("cluster_id", [ids.get(n) for n in cluster], dtype=pl.String),
            pl.Series("name", [names.get(n) for n in cluster], dtype=pl.String),
            pl.Series("source", [SOURCE[s] for s in now.source.tolist()], dtype=pl.String),
            pl.Series("is_approved", now.is_approved),
            pl.Series("comments", now.num_comments.copy()),
            self._rejected_from(ids),
            pl.Series("said", now.is_said),
            pl.Series("who", [who.get(s, []) for s in content.asset["shot_index"].to_list()]),
        )
        doubt = pl.when("said").then(0.0).otherwise("doubt").cast(pl.Float32).alias("doubt")
        return asset.with_columns(doubt, pl.col("who").cast(pl.List(pl.String))).drop("said")

    def with_learned(self, place: pl.DataFrame) -> pl.DataFrame:
        """The items from which to replay once more, with what was learned under people's words.

        Parameters
        ----------
        place : pl.DataFrame
            `asset_id` and `cluster_id` (null: noise) of items that nobody spoke of, with clusters
            as they are called now.

        Returns
        -------
        pl.DataFrame
            Table `asset`: an item that is elsewhere than now starts there, with source `learned`.
            A cluster of the machine's is called by the machine's id for that.
        """
        first = {n: f.cluster_id for n, f in self._kept[0].folders.items()}
        start, source = (
            self.content.asset["machine_cluster_id"].to_list(),
            ["machine"] * len(self.content.ids),
        )
        for asset_id, cluster_id in place.select("asset_id", "cluster_id").iter_rows():
            item = self.item(asset_id)
            level: Level = "scene" if self.content.is_scene[item] else "character"
            number = NOISE if cluster_id is None else self.now.ids.get((level, cluster_id))
            if number is None or number == self.now.cluster[item] or self.now.is_said[item]:
                continue
            start[item] = first.get(number, cluster_id)
            source[item] = "learned"
        return self.content.asset.with_columns(
            pl.Series("machine_cluster_id", start, dtype=pl.String),
            pl.Series("source", source).cast(self.content.asset.schema["source"]),
        )

    # -- for what makes events ---------------------------------------------------------------

    def next_time(self) -> str:
        """Time of an event made now, in ISO 8601.

        It is the clock's, or a microsecond after the newest event that is known or was made here:
        a correction comes after those that its maker saw, even if the clock was set back (a hybrid
        logical clock; Kulkarni et al. 2014).
        """
        self._latest = max(datetime.now(UTC), self._latest + TICK)
        return self._latest.isoformat(timespec="microseconds")

    def item(self, asset_id: str) -> int:
        """Row of an item.

        Raises
        ------
        UserError
            If there is none of that id.
        """
        row = self.content.row.get(asset_id)
        if row is None:
            raise UserError(
                f"{asset_id}: no shot or figure of this film has this id; list them "
                "with `bunny correct list FILM`"
            )
        return row

    def number(self, cluster_id: str, level: Level) -> int:
        """Number of a cluster in `now`.

        Raises
        ------
        UserError
            If there is none of that id at that level.
        """
        number = self.now.ids.get((level, cluster_id))
        if number is None:
            raise UserError(
                f"{cluster_id}: no cluster of level {level} has this id; list them "
                "with `bunny correct list FILM`"
            )
        return number

    def level_of(self, asset_ids: Sequence[str]) -> Level:
        """Level of items.

        Raises
        ------
        UserError
            If there are none, or shots and figures at once.
        """
        levels = {bool(self.content.is_scene[self.item(asset_id)]) for asset_id in asset_ids}
        if len(levels) != 1:
            got = "none" if not levels else "shots and figures at once"
            raise UserError(
                f"items: expected shots or figures, got {got}; choose items of one kind"
            )
        return "scene" if levels.pop() else "character"

    def anchors(self, asset_ids: Iterable[str]) -> tuple[AssetAnchor, ...]:
        """Items as the record keeps them."""
        return tuple(self.content.anchor(self.item(asset_id)) for asset_id in asset_ids)

    def refer(
        self,
        cluster_id: str,
        level: Level,
        limit: int,
        exclude: Iterable[str] = (),
        *,
        is_whole: bool = False,
    ) -> ClusterRef:
        """A cluster as the record keeps it; items that are spoken of stand for it only alone.

        `is_whole` adds all members that the machine put there, so that parts of it are known again.
        Those that people brought are not among them: their own events bring them, or, once undone,
        do not.
        """
        if cluster_id == "":
            return ClusterRef(cluster_id="")
        number, left_out = self.number(cluster_id, level), [self.item(i) for i in exclude]
        own = cluster_reference.central_members(self.content, self.now, number, limit, left_out)
        own = own or cluster_reference.central_members(self.content, self.now, number, limit)
        is_own = (self.now.cluster == number) & (self._kept[0].cluster == number)
        members = np.flatnonzero(is_own).tolist() if is_whole else ()
        return ClusterRef(
            cluster_id=cluster_id,
            name=self.now.folders[number].name,
            exemplars=tuple(self.content.anchor(i) for i in own),
            members=tuple(self.content.anchor(i) for i in members),
        )

    # -- inside ------------------------------------------------------------------------------

    def _id(self, number: int) -> str | None:
        return None if number == NOISE else self.now.folders[number].cluster_id

    def _step(self, event: Event) -> None:
        place = len(self._done)
        self._kept.setdefault(place, self.now.copy())
        if place > NUM_KEPT:
            self._kept.pop(place - NUM_KEPT, None)
        replay.step(self.content, self._fall, self.now, event)
        self._done.append(event)

    def _replay_all(self) -> None:
        self._undone = undo.undone(self._every.values())
        self._follow(replay.holding(self._every.values()))

    def _follow(self, wanted: Sequence[Event]) -> None:
        """Go back to where `wanted` parts from what was done, and on from there."""
        same = 0
        while same < min(len(wanted), len(self._done)) and (
            wanted[same].event_id == self._done[same].event_id
        ):
            same += 1
        if same < len(self._done):
            back = max(place for place in self._kept if place <= same)
            self.now = self._kept[back].copy()
            self._kept = {place: kept for place, kept in self._kept.items() if place <= back}
            self._done = self._done[:back]
        for event in wanted[len(self._done) :]:
            self._step(event)

    def _changed(self, before: Snapshot, names: Mapping) -> list[str]:
        now = self.now
        differs = before.cluster != now.cluster
        for one, other in (
            (before.source, now.source),
            (before.is_said, now.is_said),
            (before.is_approved, now.is_approved),
            (before.num_comments, now.num_comments),
        ):
            differs |= one != other
        for number in names.keys() | now.folders.keys():
            if names.get(number) != now.folders.get(number):
                differs |= now.cluster == number
        items = set(np.flatnonzero(differs).tolist())
        items |= {
            i
            for i in before.cannot.keys() | now.cannot.keys()
            if before.cannot.get(i) != now.cannot.get(i)
        }
        items |= {
            i
            for i in before.captions.keys() | now.captions.keys()
            if before.captions.get(i) != now.captions.get(i)
        }
        both = dict(before.frame_captions.items() ^ now.frame_captions.items())
        items |= {i for time_s, _ in both if (i := self.content.shot_at(time_s)) is not None}
        return [self.content.ids[i] for i in sorted(items)]

    def _rejected_from(self, ids: Mapping[int, str]) -> pl.Series:
        barred: list[list[str]] = [[] for _ in self.content.ids]
        for item, numbers in self.now.cannot.items():
            barred[item] = sorted({ids[n] for n in numbers if n in ids})
        return pl.Series("rejected_from", barred, dtype=pl.List(pl.String))

    def _who(self) -> dict[int, list[str]]:
        """Named characters of each shot, sorted."""
        names = {n: f.name for n, f in self.now.folders.items() if f.level == "character"}
        found: dict[int, set[str]] = {}
        shots = self.content.asset["shot_index"].to_list()
        for item in np.flatnonzero(~self.content.is_scene & (self.now.cluster != NOISE)).tolist():
            if name := names.get(int(self.now.cluster[item])):
                found.setdefault(shots[item], set()).add(name)
        return {shot: sorted(own) for shot, own in found.items()}
