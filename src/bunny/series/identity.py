"""Identities of many films: each film's members are placed among those of all other films.

Two people under one identity spoil every set that is drawn from it, one person under two is mended
by a name; so the rules are those of a film's own groups (`character.cluster`), held on average, and
a margin to the second best besides. What was placed before is never moved by another film: an id
stays, whatever comes after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from bunny.character import cluster, match
from bunny.character.drawn import figure_cluster
from bunny.character.face import recogniser as face_recogniser
from bunny.core.config import ClusteringConfig, DetectionConfig
from bunny.series import people_library, rejection
from bunny.series.film_member import FIGURE, FilmMembers
from bunny.series.people_library import PeopleLibrary
from bunny.series.rejection import RejectedVectors

SAME_MEMBER = 0.95  # cosine of a member to itself before its film was run again


@dataclass(frozen=True, kw_only=True)
class PlacementSetting:
    """Settings that a single film is judged by."""

    clustering: ClusteringConfig = field(default_factory=ClusteringConfig)
    detection: DetectionConfig = field(default_factory=DetectionConfig)

    def pair_threshold(self, kind: str) -> float:
        """Mean similarity of a member to those of an identity, from which it is one of them."""
        if kind == FIGURE:
            return max(0.0, self.clustering.figure_threshold)
        return max(0.0, self.clustering.character_threshold) ** 2


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Who each of a film's members is, in their order, and what changes for others."""

    identity_id: list[str | None]  # null: the noise bucket
    similarity: list[float | None]
    source: list[str]
    created: list[dict[str, Any]] = field(default_factory=list)  # of table `library_identity`
    named: dict[str, str] = field(default_factory=dict)  # identity_id: name that it got
    joined: dict[str, str] = field(default_factory=dict)  # member_id of others: identity_id


def place(library: PeopleLibrary, new: FilmMembers, setting: PlacementSetting) -> Placement:
    """Say for each member of a film whom of the library it is.

    Parameters
    ----------
    library : PeopleLibrary
        May hold the same film from before: its members tell which ids stay, and are to be dropped.

    Returns
    -------
    Placement
        A named member keeps its name: it is the identity of that name if it looks like it, else an
        unnamed one that it surely is, else one of its own. An unknown one joins what it surely is;
        unknown ones of two films and more that agree become a new identity.

    Notes
    -----
    Costs one comparison with the vectors of the same kind and model, and nothing of other films.
    """
    count = len(new.rows)
    placed = Placement(
        identity_id=[None] * count, similarity=[None] * count, source=["machine"] * count
    )
    names = dict(library.identity.select("identity_id", "name").iter_rows())
    state = _State(next_number=library.next_number(), names=names)
    spaces = sorted({(row["kind"], row["model"]) for row in new.rows})
    for kind, model in spaces:
        own = [i for i, row in enumerate(new.rows) if (row["kind"], row["model"]) == (kind, model)]
        space = _Space.read(library, new, own, kind, model)
        others = rejection.read(library, model, space.scale, new.film_id)
        rejected = rejection.with_film(others, new, model, {})
        _keep_said(space, new, own, placed)
        _place_named(space, new, own, placed, state, setting, rejected)
        known = {new.rows[i]["name"]: placed.identity_id[i] for i in own}
        known = {name: one for name, one in known.items() if one is not None}
        rejected = rejection.with_film(others, new, model, known)
        _place_unknown(space, new, own, placed, state, setting, rejected)
        _join_noise(space, new, own, placed, state, setting, rejected)
        _group_rest(space, new, own, placed, state, setting)
    return placed


@dataclass
class _State:
    """What grows while a film is placed."""

    next_number: int
    names: dict[str, str | None]

    def create(self, placed: Placement, row: dict[str, Any], name: str | None) -> str:
        """A new identity."""
        made = people_library.identity_id(self.next_number)
        self.next_number += 1
        self.names[made] = name
        placed.created.append(
            {
                "identity_id": made,
                "kind": row["kind"],
                "name": name,
                "named_in": row["film_id"] if name else None,
                "first_film_id": row["film_id"],
            }
        )
        return made


@dataclass(frozen=True, kw_only=True)
class _Space:
    """Members of one kind and model, and how like the new ones are to them."""

    kind: str
    scale: str  # name of the scale of likeness
    member: pl.DataFrame  # live ones, of this film too
    vector: np.ndarray  # (m, d) of them
    new: np.ndarray  # (q, d)
    similarity: np.ndarray  # (q, m)
    identity: list[str]  # those that members have, sorted
    mean: np.ndarray  # (q, len(identity)) mean likeness to their members

    @classmethod
    def read(
        cls, library: PeopleLibrary, new: FilmMembers, own: Sequence[int], kind: str, model: str
    ) -> _Space:
        """Compare a film's members with all others."""
        is_own = (pl.col("kind") == kind) & (pl.col("model") == model)
        member = library.member.filter(is_own).sort("identity_id", "member_id")
        every = people_library.read_vectors(library.folder, model)
        fresh = np.stack([new.vector[i] for i in own])
        rows = member["vector_row"].to_numpy()
        vector = np.asarray(every[rows]) if len(rows) else np.empty((0, fresh.shape[1]), "f4")
        scale = figure_cluster.COSINE if kind == FIGURE else model
        similarity = face_recogniser.to_similarity(fresh @ vector.T, scale)
        is_placed = member["identity_id"].is_not_null().to_numpy()
        placed = member.filter(pl.Series(is_placed))["identity_id"]
        identity = placed.unique(maintain_order=True).to_list()
        mean = np.empty((len(own), 0), np.float32)
        if identity:
            starts = np.flatnonzero(np.r_[True, placed.to_numpy()[1:] != placed.to_numpy()[:-1]])
            sums = np.add.reduceat(similarity[:, is_placed], starts, axis=1)
            mean = sums / np.diff(np.r_[starts, len(placed)])
        return cls(
            kind=kind,
            scale=scale,
            member=member,
            vector=vector,
            new=fresh,
            similarity=similarity,
            identity=identity,
            mean=mean,
        )

    def is_noise(self, film_id: str) -> np.ndarray:
        """Unknown members of other films that are nobody yet, (m,) bool."""
        return self.member.select(
            pl.all_horizontal(
                pl.col("identity_id").is_null(), pl.col("film_id") != film_id, ~pl.col("is_named")
            ).alias("is_noise")
        )["is_noise"].to_numpy()


def _keep_said(space: _Space, new: FilmMembers, own: Sequence[int], placed: Placement) -> None:
    """Where a person placed a member, it stays there when its film was run again."""
    said = (pl.col("film_id") == new.film_id) & (pl.col("source") == "person")
    for column in np.flatnonzero(space.member.select(said).to_series().to_numpy()):
        row = int(np.argmax(space.similarity[:, column]))
        if space.similarity[row, column] >= SAME_MEMBER:
            known = space.member.row(int(column), named=True)
            placed.identity_id[own[row]] = known["identity_id"]
            placed.similarity[own[row]] = known["similarity"]
            placed.source[own[row]] = "person"


def _place_named(
    space, new, own, placed, state, setting: PlacementSetting, rejected: RejectedVectors
) -> None:
    """Members with a name: the identity of that name, an unnamed one, or one of their own."""
    for row, index in enumerate(own):
        member = new.rows[index]
        if not member["is_named"] or placed.identity_id[index] is not None:
            continue
        taken = {placed.identity_id[i] for i in own} - {None}
        like = space.mean[row]
        same = [
            k
            for k, one in enumerate(space.identity)
            if state.names.get(one) == member["name"] and one not in taken
        ]
        best = max(same, key=lambda k: like[k], default=None)
        if best is None or like[best] < setting.detection.similarity_threshold:
            like = _without_rejected(space, row, member["name"], rejected)
            best = _unnamed(space, like, taken, state, setting)
            if best is not None:
                placed.named[space.identity[best]] = member["name"]
                state.names[space.identity[best]] = member["name"]
        if best is None:
            placed.identity_id[index] = state.create(placed, member, member["name"])
        else:
            placed.identity_id[index] = space.identity[best]
            placed.similarity[index] = float(like[best])


def _without_rejected(space, row: int, name: str, rejected: RejectedVectors) -> np.ndarray:
    """Likeness (i,) to identities, none to one of which people said that it is not this name."""
    like = space.mean[row].copy()
    nearest = rejected.nearest(space.vector, None, name)  # of each member
    said = np.array([name in names for names in space.member["rejected_from"]], dtype=bool)
    of = space.member["identity_id"].to_list()
    for column, one in enumerate(space.identity if (nearest > -1).any() or said.any() else ()):
        own = [k for k, identity_id in enumerate(of) if identity_id == one]
        if said[own].any() or nearest[own].mean() > like[column]:
            like[column] = -1.0
    return like


def _unnamed(space, like: np.ndarray, taken, state, setting: PlacementSetting) -> int | None:
    """The identity that a member surely is, if it has no name."""
    if not len(like):
        return None
    order = np.argsort(-like, kind="stable")
    best, margin = int(order[0]), match.NO_RIVAL
    if len(order) > 1:
        margin = float(like[order[0]] - like[order[1]])
    is_like = like[best] >= setting.pair_threshold(space.kind)
    is_sure = is_like and margin >= setting.detection.min_margin
    is_free = space.identity[best] not in taken and state.names.get(space.identity[best]) is None
    return best if is_sure and is_free else None


def _place_unknown(
    space, new, own, placed, state, setting: PlacementSetting, rejected: RejectedVectors
) -> None:
    """Unknown members join what they surely are, none twice in a frame."""
    rows = [k for k, i in enumerate(own) if placed.identity_id[i] is None]
    if not rows or not space.identity:
        return
    like = space.mean[rows].copy()
    for column, one in enumerate(space.identity):
        name = state.names.get(one)
        said = np.array([name in new.rows[own[row]]["rejected_from"] for row in rows])
        nearest = rejected.nearest(space.new[rows], one, name)
        like[said | (nearest > like[:, column]), column] = -1.0
    found = match.decide(
        space.identity,
        like,
        threshold=setting.pair_threshold(space.kind),
        min_margin=setting.detection.min_margin,
    )
    said = [i for i in own if placed.identity_id[i] is not None]
    character = [*[placed.identity_id[i] for i in said], *found.character]
    similarity = np.r_[np.full(len(said), np.inf), found.similarity]
    frames = [new.frames[i] for i in said] + [new.frames[own[k]] for k in rows]
    kept = match.resolve_conflicts(character, similarity, frames)[len(said) :]
    for k, row in enumerate(rows):
        if kept[k] is not None:
            placed.identity_id[own[row]] = kept[k]
            placed.similarity[own[row]] = float(found.similarity[k])


def _join_noise(
    space, new, own, placed, state, setting: PlacementSetting, rejected: RejectedVectors
) -> None:
    """Other films' noise that is like a new member surely is who that one is; one of each film."""
    rows = [k for k, i in enumerate(own) if placed.identity_id[i] is not None]
    threshold = setting.pair_threshold(space.kind)
    is_near = space.similarity[rows].max(axis=0, initial=-1) >= threshold
    near = np.flatnonzero(space.is_noise(new.film_id) & is_near)
    if not rows or not len(near):
        return
    others = space.member[near]
    is_placed = space.member["identity_id"].is_not_null().to_numpy()
    every = [
        *space.member["identity_id"].drop_nulls(),
        *(str(placed.identity_id[own[k]]) for k in rows),
    ]
    film = [*space.member["film_id"].filter(pl.Series(is_placed)), *[new.film_id] * len(rows)]
    cosine = space.vector[near] @ np.concatenate([space.vector[is_placed], space.new[rows]]).T
    like = face_recogniser.to_similarity(cosine, space.scale)
    names, code = np.unique(every, return_inverse=True)
    identity, size = names.tolist(), np.bincount(code)
    mean = np.stack([np.bincount(code, weights=row) / size for row in like])
    for column, one in enumerate(identity):
        name = state.names.get(one)
        said = np.array([name in names for names in others["rejected_from"]], dtype=bool)
        nearest = rejected.nearest(space.vector[near], one, name)
        mean[said | (nearest > mean[:, column]), column] = -1.0
    margin = setting.detection.min_margin
    found = match.decide(identity, mean, threshold=threshold, min_margin=margin)
    known = [(one, {film_id}) for one, film_id in zip(every, film, strict=True)]
    kept = match.resolve_conflicts(
        [*(one for one, _ in known), *found.character],
        np.r_[np.full(len(known), np.inf), found.similarity],
        [*(films for _, films in known), *({film_id} for film_id in others["film_id"])],
    )[len(known) :]
    for member_id, one in zip(others["member_id"], kept, strict=True):
        if one is not None:
            placed.joined[member_id] = one


def _group_rest(space, new, own, placed, state, setting: PlacementSetting) -> None:
    """Unknown members that nobody knows, with those of other films' noise that are like them."""
    rows = [k for k, i in enumerate(own) if placed.identity_id[i] is None]
    threshold = setting.pair_threshold(space.kind)
    is_near = space.similarity[rows].max(axis=0, initial=-1) >= threshold
    is_free = ~space.member["member_id"].is_in(list(placed.joined)).to_numpy()
    near = np.flatnonzero(space.is_noise(new.film_id) & is_near & is_free)
    if not rows or not len(near):
        return
    others = space.member[near]
    film = np.array([new.film_id] * len(rows) + others["film_id"].to_list())
    one, other = np.triu_indices(len(film), 1)
    is_one_film = film[one] == film[other]  # its own groups say that they are two
    num_views = [new.rows[own[k]]["num_views"] for k in rows] + others["num_views"].to_list()
    tracks = cluster.UnknownTracks(
        embedding=np.concatenate([space.new[rows], space.vector[near]]),
        num_faces=np.array(num_views),
        recogniser=space.scale,
        apart=np.stack([one[is_one_film], other[is_one_film]], axis=1),
        is_enough=np.zeros(len(film), bool),
    )
    group, similarity = cluster.group_unknown(tracks, threshold**0.5, twin=np.inf)
    for number in range(group.max() + 1):
        members = np.flatnonzero(group == number)
        mine = [k for k in members if k < len(rows)]
        if not mine:  # they are like somebody new, but no more like each other than before
            continue
        made = state.create(placed, new.rows[own[rows[mine[0]]]], None)
        for k in members:
            if k < len(rows):
                placed.identity_id[own[rows[k]]] = made
                placed.similarity[own[rows[k]]] = float(similarity[k])
            else:
                placed.joined[others["member_id"][int(k) - len(rows)]] = made
