"""A character's training set drawn from many films at once.

The tables of all films are read as one film's: shots and frames are numbered on, places get the
film before their name, whatever each film calls the character becomes one name. What is chosen is
then `dataset.crop_selection`'s, by the same rules of variety.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from bunny.core.error import UserError
from bunny.dataset import candidate, crop, crop_selection, select, split
from bunny.dataset.addition import Addition
from bunny.dataset.view import CharacterView

TABLES = (*candidate.TABLES, "embedding", "drawn_face", "region", "figure", "film")
SHOT, FILM = "shot", "film"
PLANNED = {  # columns of `planned_rows`; `coverage` counts by them
    "film_id": pl.String,
    "shot_index": pl.Int64,
    "timestamp_s": pl.Float64,
    **dict.fromkeys(("place", "split", "pose", "shot_size", "light"), pl.String),
}


@dataclass(frozen=True, kw_only=True)
class FilmTables:
    """One film: its tables, and what it calls the character."""

    film_id: str
    tables: Mapping[str, pl.DataFrame]  # those of `TABLES`, as corrected
    name: str
    additions: Sequence[Addition] = ()  # that people made to its sets


@dataclass(frozen=True, kw_only=True)
class MergedFilms:
    """Tables of all films as of one, and where each begins in its numbers."""

    tables: Mapping[str, pl.DataFrame]
    film_id: Sequence[str]
    first_shot: Sequence[int]
    first_frame: Sequence[int]
    additions: Sequence[Addition] = ()  # to the character's set, with these numbers

    def film_of(self, shot_index: int) -> int:
        """Number of the film that a shot is of."""
        return max(i for i, first in enumerate(self.first_shot) if first <= shot_index)

    def as_in_film(self, one: crop.Crop) -> tuple[int, crop.Crop]:
        """Number of a crop's film, and the crop with that film's own numbers."""
        number = self.film_of(one.view.shot_index)
        view = replace(
            one.view,
            shot_index=one.view.shot_index - self.first_shot[number],
            frame_index=one.view.frame_index - self.first_frame[number],
        )
        return number, replace(one, view=view)


def merge(films: Sequence[FilmTables], character: str) -> MergedFilms:
    """Read many films' tables as one film's.

    Parameters
    ----------
    character : str
        What the character is called in the result; another one of that name, in a film that calls
        this one otherwise, gets the film before its name.

    Raises
    ------
    UserError
        If films were run with models whose vectors differ in length.
    """
    first_shot, first_frame, shot, frame = [], [], 0, 0
    parts: dict[str, list[pl.DataFrame]] = {name: [] for name in TABLES}
    for film in films:
        first_shot.append(shot)
        first_frame.append(frame)
        for name in TABLES:
            table = _shifted(film.tables[name], shot, frame)
            parts[name].append(_renamed(name, table, film, character))
        shot += _size(film.tables, "shot_index")
        frame += _size(film.tables, "frame_index")
    return MergedFilms(
        tables={name: _concat(name, own) for name, own in parts.items()},
        film_id=[film.film_id for film in films],
        first_shot=first_shot,
        first_frame=first_frame,
        additions=[
            one
            for film, first in zip(films, first_frame, strict=True)
            for one in _added(film, character, first)
        ],
    )


def _added(film: FilmTables, character: str, first_frame: int) -> Iterator[Addition]:
    """What people added to a film's set of the character, with the numbers of all films."""
    for one in film.additions:
        if one.character == film.name:
            place = f"{film.film_id}/{one.value}" if one.axis == "place" else one.value
            yield replace(
                one,
                addition_id=f"{film.film_id}/{one.addition_id}",
                character=character,
                value=place,
                spans=tuple((first_frame + start, first_frame + end) for start, end in one.spans),
            )


@dataclass(frozen=True, kw_only=True)
class PictureChoice:
    """What is chosen of a character from many films, with the numbers of `MergedFilms`."""

    crops: Sequence[crop.Crop]  # film by film
    views: Sequence[CharacterView]  # all that there are
    made: select.ViewSelection  # what becomes of each


def choose(
    merged: MergedFilms,
    character: str,
    settings: crop_selection.CropSelectionSettings,
    split_by: str = SHOT,
) -> PictureChoice:
    """Choose crops of a character from all films.

    Parameters
    ----------
    split_by : {"shot", "film"}
        What lies on one side of the split as a whole. By film, nothing is held out of one film.
    """
    selector = crop_selection.CropSelector(merged.tables, merged.additions, settings)
    views, made = selector.choose(character)
    crops = selector.make_crops(character, views, made)
    if split_by == FILM:
        crops = _split_by_film(merged, crops, settings)
    return PictureChoice(crops=crops, views=views, made=made)


def _split_by_film(
    merged: MergedFilms, crops: Sequence[crop.Crop], settings: crop_selection.CropSelectionSettings
) -> list[crop.Crop]:
    """Crops whose films lie on one side as a whole, without class pictures of held-out ones."""
    number = [merged.film_of(one.view.shot_index) for one in crops]
    own = [n for n, one in zip(number, crops, strict=True) if one.role == "subject"]
    side = split.split_shots(own, settings.crop.models.held_out_share, settings.seed)
    return [
        replace(one, split=side[n]) if one.role == "subject" else one
        for n, one in zip(number, crops, strict=True)
        if one.role == "subject" or side.get(n) != split.HELD_OUT
    ]


def planned_rows(merged: MergedFilms | None, crops: Sequence[crop.Crop]) -> pl.DataFrame:
    """What chosen crops are of, before they are cut: columns `PLANNED`, class pictures left out.

    Parameters
    ----------
    merged : MergedFilms or None
        None: without films there are no crops.
    crops : sequence of Crop
        From `choose`.
    """
    if merged is None:
        return pl.DataFrame(schema=PLANNED)
    rows = []
    for chosen in crops:
        number, one = merged.as_in_film(chosen)
        if one.role == "subject":
            row = {name: getattr(one.view, name, None) for name in PLANNED}
            about = {"split": one.split, "shot_size": one.window.shot_size}
            rows.append(row | about | {"film_id": merged.film_id[number]})
    return pl.DataFrame(rows, schema=PLANNED)


def coverage(rows: pl.DataFrame) -> pl.DataFrame:
    """What a set has of each film: one row a film, and one of all.

    Parameters
    ----------
    rows : pl.DataFrame
        Table `library_picture`, or from `planned_rows`.

    Returns
    -------
    pl.DataFrame
        `film_id` ("all" last), `pictures`, `held_out`, `shots`, `places`, then a count for each
        pose, framing and light that the set has, e.g. `pose frontal`.
    """
    cells = [
        (pl.col(column) == value).sum().alias(f"{column.replace('_', ' ')} {value}")
        for column in ("pose", "shot_size", "light")
        for value in rows[column].drop_nulls().unique().sort()
    ]
    counts = [
        pl.len().alias("pictures"),
        (pl.col("split") == split.HELD_OUT).sum().alias("held_out"),
        pl.struct("film_id", "shot_index").n_unique().alias("shots"),
        pl.struct("film_id", "place").n_unique().alias("places"),
        *cells,
    ]
    each = rows.group_by("film_id").agg(counts).sort("film_id")
    return pl.concat([each, rows.select(pl.lit("all").alias("film_id"), *counts)])


def _size(tables: Mapping[str, pl.DataFrame], column: str) -> int:
    """How many numbers a film's tables take."""
    own = [t[column].max() for t in tables.values() if column in t.columns and t.height]
    return 1 + max((int(n) for n in own if n is not None), default=-1)  # pyright: ignore[reportArgumentType]


def _shifted(table: pl.DataFrame, shot: int, frame: int) -> pl.DataFrame:
    """Numbered on."""
    by = {"shot_index": shot, "frame_index": frame}
    return table.with_columns(
        (pl.col(c) + n).cast(table.schema[c]) for c, n in by.items() if c in table.columns
    )


def _renamed(name: str, table: pl.DataFrame, film: FilmTables, character: str) -> pl.DataFrame:
    """With places of this film alone, and the character under its common name."""
    if name == "cluster":
        mark = pl.lit(f"{film.film_id}/")
        return table.with_columns(
            pl.concat_str(mark, pl.col(c)).alias(c) for c in ("cluster_id", "scene_id")
        )
    column = {"label": "character", "region": "candidate", "figure": "candidate"}.get(name)
    if column and film.name != character:
        who, other = pl.col(column), f"{film.film_id}/{character}"
        return table.with_columns(
            pl.when(who == film.name)
            .then(pl.lit(character))
            .when(who == character)
            .then(pl.lit(other))
            .otherwise(who)
            .alias(column)
        )
    return table


def _concat(name: str, tables: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """One table; vectors that are all null take the length of the others'."""
    filled = [table for table in tables if table.height] or list(tables[:1])
    width: dict[str, int] = {}
    for table in filled:
        for column, dtype in table.schema.items():
            size = dtype.size if isinstance(dtype, pl.Array) else 0
            if size and width.setdefault(column, size) != size:
                raise UserError(
                    f"table {name}: expected {column}s of the same length in all films, found "
                    f"{width[column]} and {size}; run the films with the same models"
                )
    same = [
        table.with_columns(
            pl.lit(None, pl.Array(pl.Float32, width[column])).alias(column)
            for column, dtype in table.schema.items()
            if isinstance(dtype, pl.Array) and not dtype.size and column in width
        )
        for table in filled
    ]
    return pl.concat(same, how="diagonal_relaxed")
