"""Changes of the library: a film added or removed, an identity named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from bunny.core.error import UserError
from bunny.series import people_library
from bunny.series.film_member import FilmMembers
from bunny.series.identity import Placement
from bunny.series.people_library import PeopleLibrary
from bunny.table import store


def add_film(
    library: PeopleLibrary, new: FilmMembers, placed: Placement, film: Mapping[str, Any]
) -> PeopleLibrary:
    """Put a film's members where they were placed; its vectors are on disk when this returns.

    Parameters
    ----------
    placed : Placement
        From `identity.place`.
    film : mapping
        Row of table `library_film`.
    """
    rows = [dict(row) for row in new.rows]
    rest = library.member.filter(pl.col("film_id") != new.film_id)
    rejections = [dict(row) for row in new.rejection]
    every = [*rows, *rejections]
    vectors = [*new.vector, *new.rejected_vector]
    for model in sorted({row["model"] for row in every}):
        own = [i for i, row in enumerate(every) if row["model"] == model]
        # Behind all rows that the tables on disk name, this film's from before among them.
        first = library.next_row(model)
        people_library.append_vectors(
            library.folder, model, first, np.stack([vectors[i] for i in own])
        )
        for k, i in enumerate(own):
            every[i]["vector_row"] = first + k
    for i, row in enumerate(rows):
        row |= {
            "identity_id": placed.identity_id[i],
            "similarity": placed.similarity[i],
            "source": placed.source[i],
        }
    joined = pl.col("member_id").replace_strict(placed.joined, default=None, return_dtype=pl.String)
    if placed.joined:
        rest = rest.with_columns(identity_id=pl.coalesce("identity_id", joined))
    identity = _named(library.identity, placed.named, new.film_id)
    return replace(
        library,
        identity=_more("library_identity", identity, placed.created),
        member=_more("library_member", rest, rows),
        rejection=_more(
            "library_rejection",
            library.rejection.filter(pl.col("film_id") != new.film_id),
            rejections,
        ),
        film=_more(
            "library_film", library.film.filter(pl.col("film_id") != new.film_id), [dict(film)]
        ),
    )


def remove_film(library: PeopleLibrary, film_id: str) -> PeopleLibrary:
    """Take a film out, with its members, its rejections and the references that come from it.

    Its rows stay in the files of vectors, zeroed by the command, until a film is added over them.
    Identities keep their ids and names.
    """
    return replace(
        library,
        film=library.film.filter(pl.col("film_id") != film_id),
        member=library.member.filter(pl.col("film_id") != film_id),
        rejection=library.rejection.filter(pl.col("film_id") != film_id),
        reference=library.reference.filter(pl.col("film_id") != film_id),
    )


def find(library: PeopleLibrary, what: str) -> pl.DataFrame:
    """Members that words mean: an identity's id or name, or `FILM:NAME` of one film.

    Parameters
    ----------
    what : str
        E.g. "identity-0003", "anna", "reel-1a2b:person-02".

    Returns
    -------
    pl.DataFrame
        Rows of table `library_member`, at least one.

    Raises
    ------
    UserError
        If nothing, or more than one identity, is meant.
    """
    film, sign, name = what.rpartition(":")
    member = library.member
    if sign:
        found = member.filter(pl.col("film_id").str.starts_with(film), pl.col("name") == name)
    else:
        ids = library.identity.filter(
            (pl.col("identity_id") == what)
            | (pl.col("name").str.to_lowercase() == what.casefold()).fill_null(False)
        )["identity_id"]
        found = member.filter(pl.col("identity_id").is_in(ids.to_list()))
    if found.is_empty():
        raise UserError(
            f"{what}: expected an identity (identity-0001), a name, or FILM:person-02 of a film "
            "in the library, found none; list them with `bunny library show`"
        )
    who = found["identity_id"].unique().to_list()
    if len(who) > 1 or (sign and found.height > 1):
        shown = ", ".join(sorted(one or "noise" for one in who))
        raise UserError(f"{what}: expected one identity, found {shown}; give its id")
    return found


def name_identity(library: PeopleLibrary, what: str, name: str | None) -> tuple[PeopleLibrary, str]:
    """Name an identity, or take its name away; a member of the noise bucket becomes one.

    Parameters
    ----------
    what : str
        See `find`.
    name : str or None
        None takes it away. That of another identity of the kind joins the two: a person says so.
        A film's member whose identity has another name leaves that one alone and goes to its own.

    Returns
    -------
    library : PeopleLibrary
    identity_id : str
        Of who has the name now.
    """
    found = find(library, what)
    kind, own = found["kind"][0], found["identity_id"][0]
    identity, member = library.identity, library.member
    old = dict(identity.select("identity_id", "name").iter_rows()).get(own)
    if name and ":" in what and old is not None and old.casefold() != name.casefold():
        own = None
    if own is None:
        own = people_library.identity_id(library.next_number())
        row = {"identity_id": own, "kind": kind, "first_film_id": found["film_id"][0]}
        identity = _more("library_identity", identity, [row])
        member = _moved(member, pl.col("member_id").is_in(found["member_id"].to_list()), own)
    same = identity.filter(
        (pl.col("name").str.to_lowercase() == (name or "").casefold()).fill_null(False),
        pl.col("kind") == kind,
        pl.col("identity_id") != own,
    ).sort("identity_id")
    if name and same.height:
        target, name = same["identity_id"][0], same["name"][0]
        member = _moved(member, pl.col("identity_id") == own, target)
        own = target
    is_own = pl.col("identity_id") == own
    identity = identity.with_columns(
        name=pl.when(is_own).then(pl.lit(name, pl.String)).otherwise("name"),
        named_in=pl.when(is_own).then(pl.lit(None, pl.String)).otherwise("named_in"),
    )
    return replace(library, identity=identity, member=member), own


def _moved(member: pl.DataFrame, which: pl.Expr, identity_id: str) -> pl.DataFrame:
    """Members that a person put elsewhere."""
    source = member.schema["source"]
    return member.with_columns(
        identity_id=pl.when(which).then(pl.lit(identity_id)).otherwise("identity_id"),
        source=pl.when(which).then(pl.lit("person").cast(source)).otherwise("source"),
    )


def _named(identity: pl.DataFrame, named: Mapping[str, str], film_id: str) -> pl.DataFrame:
    """Identities with the names that a film gave them."""
    if not named:
        return identity
    new = pl.col("identity_id").replace_strict(dict(named), default=None, return_dtype=pl.String)
    return identity.with_columns(
        name=pl.coalesce(new, "name"),
        named_in=pl.when(new.is_not_null()).then(pl.lit(film_id)).otherwise("named_in"),
    )


def _more(name: str, table: pl.DataFrame, rows: list[dict[str, Any]]) -> pl.DataFrame:
    """A table with further rows."""
    if not rows:
        return table
    return pl.concat([table, store.from_rows(name, rows).select(table.columns)])
