"""Snapshot of a library at one moment of a replay.

Clusters are called by a number for as long as a replay lasts; `NamedCluster` says what they are
called outside. What changes is either an array, a dictionary of values that never change, or a
list that only grows, so that a copy is cheap: going back to a moment is what undoes an event.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from bunny.review.event_log import Level

NOISE = -1
MACHINE, LEARNED, PERSON = 0, 1, 2  # who put an item where it is
SOURCE = ("machine", "learned", "person")
UNNAMED = re.compile(r"(person|figure)-(\d+|[0-9a-f]{8,})")  # people; drawn figures
NONE: frozenset[int] = frozenset()


@dataclass(frozen=True, kw_only=True)
class NamedCluster:
    """A cluster: its id and what people call it, "" if nobody named it."""

    level: Level
    cluster_id: str
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class LinkEvidence:
    """Items of which an event says that they belong together (1) or not (0)."""

    event_id: str
    label: int
    level: Level
    items: tuple[int, ...]
    others: tuple[int, ...]


@dataclass(kw_only=True)
class Snapshot:
    """Arrays over n items and what is known of clusters by number."""

    cluster: np.ndarray  # (n,) int32, or `NOISE`
    source: np.ndarray  # (n,) int8, index into `SOURCE`
    is_said: np.ndarray  # (n,) bool: a person said of this very item where it belongs
    is_approved: np.ndarray  # (n,) bool
    num_comments: np.ndarray  # (n,) int32
    folders: dict[int, NamedCluster]
    called: dict[tuple[Level, str], int]  # by name now, or one that it had before
    ids: dict[tuple[Level, str], int]
    cannot: dict[int, frozenset[int]] = field(default_factory=dict)  # by item: rejected from
    left: dict[int, frozenset[int]] = field(default_factory=dict)  # by item: a person took it out
    captions: dict[int, tuple[str, str]] = field(default_factory=dict)  # by shot: text, user
    # By time and source file of a picture: text, user; the latest last.
    frame_captions: dict[tuple[float, str], tuple[str, str]] = field(default_factory=dict)
    touched: dict[str, tuple[tuple[int, ...], int | None]] = field(default_factory=dict)
    held: dict[int, frozenset[int]] = field(default_factory=dict)  # by number: whom its name is for
    into: dict[int, int] = field(default_factory=dict)  # merged clusters, into which
    evidence: list[LinkEvidence] = field(default_factory=list)
    next_number: int = 0

    def copy(self) -> Snapshot:
        """The same moment, that may go on by itself."""
        return Snapshot(
            cluster=self.cluster.copy(),
            source=self.source.copy(),
            is_said=self.is_said.copy(),
            is_approved=self.is_approved.copy(),
            num_comments=self.num_comments.copy(),
            folders=dict(self.folders),
            called=dict(self.called),
            ids=dict(self.ids),
            cannot=dict(self.cannot),
            left=dict(self.left),
            captions=dict(self.captions),
            frame_captions=dict(self.frame_captions),
            touched=dict(self.touched),
            held=dict(self.held),
            into=dict(self.into),
            evidence=list(self.evidence),
            next_number=self.next_number,
        )

    def add(self, level: Level, cluster_id: str, name: str = "") -> int:
        """Make an empty cluster; gives its number."""
        number = self.next_number
        self.next_number += 1
        self.folders[number] = NamedCluster(level=level, cluster_id=cluster_id, name=name)
        self.ids[level, cluster_id] = number
        if name:
            self.called[level, name] = number
        return number

    def rename(self, number: int, name: str, cluster_id: str) -> None:
        """Call a cluster otherwise; its former name still leads to it."""
        old = self.folders[number]
        self.ids.pop((old.level, old.cluster_id), None)
        self.folders[number] = NamedCluster(level=old.level, cluster_id=cluster_id, name=name)
        self.ids[old.level, cluster_id] = number
        if name:
            self.called[old.level, name] = number

    def move(self, items: Iterable[int], number: int, source: int) -> None:
        """Put items into a cluster or `NOISE`."""
        own = list(items)
        self.cluster[own] = number
        self.source[own] = source

    def members(self, number: int) -> np.ndarray:
        """Items of a cluster, in order."""
        return np.flatnonzero(self.cluster == number)

    def forbid(self, item: int, numbers: Iterable[int]) -> None:
        """An item is not in these clusters, and nothing but a person may bring it back."""
        self.cannot[item] = self.cannot.get(item, NONE) | frozenset(numbers)

    def hold(self, number: int, items: Iterable[int]) -> None:
        """A person named a cluster for these items, or said that they belong to a named one."""
        self.held[number] = self.held.get(number, NONE) | frozenset(items)

    def allow(self, item: int, number: int) -> None:
        """A person says that an item belongs into a cluster, whatever was said before."""
        for known in (self.cannot, self.left):
            if item in known and number in known[item]:
                rest = known[item] - {number}
                if rest:
                    known[item] = rest
                else:
                    del known[item]

    def leave(self, item: int, number: int) -> None:
        """A person took an item out of a cluster; no machine puts it back."""
        if number != NOISE:
            self.left[item] = self.left.get(item, NONE) | {number}

    def barred(self, item: int) -> frozenset[int]:
        """Clusters into which nothing but a person puts an item."""
        return self.cannot.get(item, NONE) | self.left.get(item, NONE)

    def named(self, level: Level, name: str) -> int | None:
        """Number of the cluster that is called so now."""
        number = self.formerly(level, name)
        return number if number is not None and self.folders[number].name == name else None

    def formerly(self, level: Level, name: str) -> int | None:
        """Number of the cluster that is called so, or was and nothing else is."""
        number = self.called.get((level, name))
        return None if number is None else self.final(number)

    def final(self, number: int) -> int:
        """Cluster that a cluster was merged into, or itself."""
        while number in self.into:
            number = self.into[number]
        return number


def machine_name(level: Level, cluster_id: str) -> str:
    """Automatic name of a cluster: characters by their names, all others none.

    Examples
    --------
    >>> machine_name("character", "anna"), machine_name("character", "person-02")
    ('anna', '')
    """
    is_name = level == "character" and not UNNAMED.fullmatch(cluster_id)
    return cluster_id if is_name else ""
