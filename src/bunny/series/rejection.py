"""What people said in one film is not somebody, as it holds in all films.

A rejection names a character of its film. Whom that is in the library follows from the film's own
member of that name; without one, the identity of that name is meant. Nothing is decided here: what
is more like a rejected vector than like somebody is not that one, wherever films are compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from bunny.character import match
from bunny.character.drawn import figure_cluster
from bunny.review import rejected_elsewhere
from bunny.series import people_library
from bunny.series.film_member import FilmMembers
from bunny.series.people_library import PeopleLibrary
from bunny.table import store

TABLE = rejected_elsewhere.TABLE  # of a film


@dataclass(frozen=True, kw_only=True)
class RejectedVectors:
    """Vectors of one model, with whom they are not, in the same order."""

    scale: str  # of likeness
    identity_id: Sequence[str | None]  # null: no member of the film has the name
    name: Sequence[str]
    vector: np.ndarray  # (m, d)

    def nearest(self, vector: np.ndarray, identity_id: str | None, name: str | None) -> np.ndarray:
        """Similarity (n,) of vectors (n, d) to what is not somebody; -1 where nothing was said.

        See `of` for whom the id and the name mean.
        """
        return match.nearest_rejected(vector, self.of(identity_id, name), self.scale)

    def of(self, identity_id: str | None, name: str | None) -> np.ndarray:
        """Vectors (m, d) of what is not somebody.

        Parameters
        ----------
        identity_id : str or None
            None: everybody of that name is meant.
        name : str or None
            Of that identity.
        """
        own = [
            k
            for k, (one, called) in enumerate(zip(self.identity_id, self.name, strict=True))
            if _is_meant(one, called, identity_id, name)
        ]
        return self.vector[own]


def _is_meant(one: str | None, called: str, identity_id: str | None, name: str | None) -> bool:
    if one is not None and identity_id is not None:
        return one == identity_id
    return name is not None and called.casefold() == name.casefold()


def read(library: PeopleLibrary, model: str, scale: str, film_id: str = "") -> RejectedVectors:
    """Rejections of a model in all films but one.

    Parameters
    ----------
    film_id : str
        Of the film that is left out.
    """
    rows = resolve(library).filter(pl.col("model") == model, pl.col("film_id") != film_id)
    return RejectedVectors(
        scale=scale,
        identity_id=rows["identity_id"].to_list(),
        name=rows["name"].to_list(),
        vector=_vectors(library, model, rows),
    )


def with_film(
    known: RejectedVectors, new: FilmMembers, model: str, identity_id: Mapping[str, str]
) -> RejectedVectors:
    """With those of a film that is being added.

    Parameters
    ----------
    identity_id : mapping
        Of the film's members so far, by what the film calls them.
    """
    own = [k for k, row in enumerate(new.rejection) if row["model"] == model]
    if not own:
        return known
    names = [new.rejection[k]["name"] for k in own]
    vector = np.stack([new.rejected_vector[k] for k in own])
    return replace(
        known,
        identity_id=[*known.identity_id, *(identity_id.get(name) for name in names)],
        name=[*known.name, *names],
        vector=np.concatenate([known.vector, vector]) if len(known.vector) else vector,
    )


def resolve(library: PeopleLibrary) -> pl.DataFrame:
    """Table `library_rejection` with `identity_id`, null where the film has nobody of the name."""
    who = library.member.select("film_id", "name", "identity_id")
    return library.rejection.join(who, on=["film_id", "name"], how="left", maintain_order="left")


def films_concerned(before: PeopleLibrary, now: PeopleLibrary, films: Sequence[str]) -> list[str]:
    """Films that know somebody of whom some films say something else than before.

    Parameters
    ----------
    films : sequence of str
        Those that were added or removed.
    """
    is_own = pl.col("film_id").is_in(list(films))
    said = [
        set(resolve(one).filter(is_own).drop("vector_row").iter_rows()) for one in (before, now)
    ]
    changed = said[0] ^ said[1]
    column = [*now.rejection.drop("vector_row").columns, "identity_id"]
    rows = [dict(zip(column, row, strict=True)) for row in changed]
    who = {row["identity_id"] for row in rows} - {None}
    who |= {
        one
        for one, called in now.identity.drop_nulls("name").select("identity_id", "name").iter_rows()
        if any(_is_meant(row["identity_id"], row["name"], one, called) for row in rows)
    }
    member = now.member.filter("is_named", pl.col("identity_id").is_in(list(who)))
    return member["film_id"].unique().sort().to_list()


def likeness(
    library: PeopleLibrary, member: pl.DataFrame, identity_id: str, name: str
) -> pl.DataFrame:
    """Drawn members of an identity that are it still, by what people said in all films.

    Parameters
    ----------
    member : pl.DataFrame
        Rows of table `library_member`, those that are asked about.

    Returns
    -------
    pl.DataFrame
        Those that are not more like what people said is not it; `similarity` is the mean cosine to
        the identity's other members, null without others.
    """
    kept = []
    for (model,), own in member.partition_by("model", as_dict=True).items():
        others = library.member.filter(
            pl.col("identity_id") == identity_id, pl.col("model") == model
        ).join(own, on="member_id", how="anti")
        vector = _vectors(library, str(model), own)
        mean = np.full(own.height, np.nan, np.float32)
        if others.height:
            mean = (vector @ _vectors(library, str(model), others).T).mean(axis=1)
        nearest = read(library, str(model), figure_cluster.COSINE).nearest(
            vector, identity_id, name
        )
        is_own = nearest <= np.where(np.isnan(mean), 1, mean)
        like = pl.Series("similarity", mean, dtype=pl.Float32).fill_nan(None)
        kept.append(own.with_columns(like).filter(pl.Series(is_own)))
    return pl.concat(kept) if kept else member


def for_film(library: PeopleLibrary, film_id: str, given: Sequence[str] = ()) -> pl.DataFrame:
    """Table `rejected_elsewhere` of a film.

    Parameters
    ----------
    given : sequence of str
        Names of the library that the film has references of; it need not have found them yet.

    Returns
    -------
    pl.DataFrame
        What other films say of the characters that this one knows.
    """
    member = library.member.filter("is_named", pl.col("film_id") == film_id)
    own = dict(member.drop_nulls("identity_id").select("identity_id", "name").iter_rows())
    names = library.identity.filter(pl.col("name").is_in(list(given)))
    own = dict(names.select("identity_id", "name").iter_rows()) | own
    rows = resolve(library).filter(pl.col("film_id") != film_id)
    found = []
    for (model,), part in rows.partition_by("model", as_dict=True).items():
        vector = _vectors(library, str(model), part)
        for k, row in enumerate(part.iter_rows(named=True)):
            for character in _meant(library, row, own):
                about = {"said_in": row["film_id"], "asset_id": row["asset_id"], "model": model}
                found.append(about | {"character": character, "vector": vector[k].tolist()})
    table = store.from_rows(TABLE, found).with_columns(pl.col("vector").cast(pl.List(pl.Float32)))
    return table.sort("said_in", "asset_id", "character", "model")


def _meant(library: PeopleLibrary, row: Mapping, own: Mapping[str, str]) -> list[str]:
    """What a film calls those whom a rejection of another film is about."""
    if row["identity_id"] is not None:
        return [own[row["identity_id"]]] if row["identity_id"] in own else []
    called = dict(library.identity.drop_nulls("name").select("identity_id", "name").iter_rows())
    return [
        name
        for identity_id, name in own.items()
        if _is_meant(None, row["name"], identity_id, called.get(identity_id))
    ]


def _vectors(library: PeopleLibrary, model: str, rows: pl.DataFrame) -> np.ndarray:
    if rows.is_empty():
        return np.empty((0, 0), np.float32)
    every = people_library.read_vectors(library.folder, model)
    return np.asarray(every[rows["vector_row"].to_numpy()])
