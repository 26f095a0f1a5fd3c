"""What people look at of the library: members with pictures, what would be named, a planned set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from bunny.character import subject
from bunny.command import characters, film_workspace, library, library_set
from bunny.command.library_reference import Offer
from bunny.core import atomic, input_path
from bunny.core.error import UserError
from bunny.series import people_library, picture_set
from bunny.view import contact_sheet, tile
from bunny.view.tile import Tile

COLUMNS = {
    "member_id": pl.String,
    "film_id": pl.String,
    "called": pl.String,  # by the film
    "identity_id": pl.String,  # null: the noise bucket
    "name": pl.String,  # null: unknown
    "kind": pl.String,
    "num_views": pl.Int64,
    "num_shots": pl.Int64,
}


@dataclass(frozen=True, kw_only=True)
class SeriesPeople:
    """Who is in which films."""

    folder: Path  # of the library
    member: pl.DataFrame  # of `COLUMNS`, named identities first
    picture: dict[str, Tile]  # by member_id, of those that have one


@dataclass(frozen=True, kw_only=True)
class PlannedSet:
    """What a joint set would be drawn from; no picture is cut."""

    rows: pl.DataFrame  # of `picture_set.PLANNED`
    note: str  # why there is none, or what is to be known

    def coverage(self) -> pl.DataFrame:
        """What it has of each film, see `picture_set.coverage`."""
        return picture_set.coverage(self.rows)


def read(
    film: str = "", data_dir: str | None = None, overrides: Sequence[str] = ()
) -> SeriesPeople:
    """Read who is in the library, with the best picture of each in each film.

    Parameters
    ----------
    film : str
        Only identities that this film has, by its id or how it begins; empty: all.
    """
    known = people_library.read(library.library_folder(data_dir, overrides))
    names = known.identity.select("identity_id", "name")
    member = (
        known.member.rename({"name": "called"})
        .join(names, on="identity_id", how="left", maintain_order="left")
        .select(pl.col(name).cast(kind) for name, kind in COLUMNS.items())
        .sort(pl.col("name").is_null(), "identity_id", "member_id", nulls_last=True)
    )
    if film:
        own = member.filter(pl.col("film_id").str.starts_with(film))
        is_own = pl.col("identity_id").is_in(own["identity_id"].drop_nulls().to_list())
        member = member.filter(is_own | pl.col("member_id").is_in(own["member_id"].to_list()))
    picture: dict[str, Tile] = {}
    for film_id in member["film_id"].unique().sort():
        picture |= _best_pictures(film_id, data_dir, overrides)
    return SeriesPeople(folder=known.folder, member=member, picture=picture)


def _best_pictures(film_id: str, data_dir: str | None, overrides: Sequence[str]) -> dict[str, Tile]:
    """Best picture of everybody in a film, by member_id."""
    try:
        space, _ = film_workspace.open_film(film_id, data_dir, overrides)
    except UserError:  # its folder is gone; the library keeps what it knows
        return {}
    found = subject.summarise(characters.read_subjects(space))
    return {f"{film_id}/{one.title}": one for one in tile.people(space.root, found) if one.file}


def plan(
    character: str | None = None,
    split_by: str = picture_set.SHOT,
    data_dir: str | None = None,
    overrides: Sequence[str] = (),
) -> PlannedSet:
    """Say what a character's joint set would hold, as `bunny library set` and `train` choose.

    Parameters
    ----------
    character : str or None
        A name or identity of the library; None: the only named one.
    split_by : {"shot", "film"}
    """
    library_set.check_split(split_by)
    config = film_workspace.load_settings(data_dir, overrides)[1]
    try:
        source = library_set.open_source(character or None, (), data_dir, overrides)
        merged, chosen = source.choose(config, split_by)
    except UserError as error:
        return PlannedSet(rows=picture_set.planned_rows(None, ()), note=str(error))
    rows = picture_set.planned_rows(merged, chosen.crops)
    return PlannedSet(rows=rows, note="; ".join(source.notes))


def write_sheet(
    offers: Sequence[Offer], path: Path, data_dir: str | None = None, overrides: Sequence[str] = ()
) -> None:
    """Draw the best picture of each group that would get a name, film by film.

    Parameters
    ----------
    path : Path
        A PNG file.

    Raises
    ------
    UserError
        If `path` is a folder.
    """
    input_path.check_output_file(path)
    own = [one for one in offers if one.cluster]
    picture: dict[str, Tile] = {}
    for film_id in dict.fromkeys(one.film_id for one in own):
        picture |= _best_pictures(film_id, data_dir, overrides)
    rows: dict[str, list[Tile]] = {}
    for one in own:
        found = picture.get(f"{one.film_id}/{one.cluster}")
        tile = Tile(
            file=None if found is None else found.file,
            box=None if found is None else found.box,
            title=f"{one.cluster}: {one.name}",
            note=one.describe(),
        )
        rows.setdefault(one.film_id, []).append(tile)
    atomic.write_bytes(path, contact_sheet.to_png(contact_sheet.rows(rows)))
