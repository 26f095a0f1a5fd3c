"""Search filters: conditions on characters, place, shot size, light and time."""

from __future__ import annotations

from dataclasses import dataclass, fields

import polars as pl

from bunny.core.error import UserError
from bunny.library.search.catalogue import Catalogue

SHOT_SIZE = ("close-up", "medium", "wide")
LIGHT = ("day", "dusk", "night")


@dataclass(frozen=True, kw_only=True)
class SearchFilter:
    """Conditions, all of which hold; empty ones ask nothing.

    Who is meant by shot (anywhere in it), the rest by picture.
    """

    who: tuple[str, ...] = ()  # each of them
    without: tuple[str, ...] = ()  # none of them
    place: tuple[str, ...] = ()  # one of them: a name that people gave, "scene-003" or "place-003"
    shot_size: tuple[str, ...] = ()  # one of close-up, medium, wide
    light: tuple[str, ...] = ()  # one of day, dusk, night
    start_s: float | None = None
    end_s: float | None = None
    min_sharpness: float = 0.0  # in [0, 1]
    is_approved: bool = False  # only shots that a person approved

    def is_empty(self) -> bool:
        """Whether nothing is asked."""
        return all(getattr(self, f.name) == f.default for f in fields(self))


def check(wanted: SearchFilter, known: Catalogue) -> None:
    """Refuse names that the films do not have: an empty answer would hide the slip.

    Raises
    ------
    UserError
        With what there is.
    """
    people = set(known.shot["shot_who"].explode().drop_nulls())
    _check("--who", wanted.who, people)
    _check("--without", wanted.without, people)
    names = known.frame.select(place_name=pl.col("place_name").str.to_lowercase(), place="place")
    places = set(names["place"].drop_nulls())
    offered = places | set(names["place_name"].drop_nulls())
    _check("--place", tuple(_place(p) for p in wanted.place), offered)
    _check("--shot-size", wanted.shot_size, set(SHOT_SIZE))
    _check("--light", wanted.light, set(LIGHT))
    start_s, end_s = wanted.start_s, wanted.end_s
    if start_s is not None and end_s is not None and start_s > end_s:
        raise UserError(
            f"--from {start_s:g} --to {end_s:g}: the start must be before the end; swap them"
        )


def allowed(wanted: SearchFilter, known: Catalogue) -> pl.Series:
    """Mask of the rows of `known.frame` that pass the filters.

    Returns
    -------
    pl.Series of bool
    """
    rows = known.frame.join(
        known.shot, on=["film_id", "shot_index"], how="left", maintain_order="left"
    )
    every = pl.repeat(True, pl.len(), dtype=pl.Boolean)
    return rows.select(pl.all_horizontal(every, *_conditions(wanted))).to_series().rename("")


def _conditions(wanted: SearchFilter) -> list[pl.Expr]:
    found = [pl.col("shot_who").list.contains(name) for name in wanted.who]
    found += [~pl.col("shot_who").list.contains(name) for name in wanted.without]
    if wanted.place:
        places = [_place(p) for p in wanted.place]
        named = pl.col("place_name").str.to_lowercase().is_in(places)
        found.append((named | pl.col("place").is_in(places)).fill_null(value=False))
    for column in ("shot_size", "light"):
        if own := getattr(wanted, column):
            found.append(pl.col(column).is_in(list(own)).fill_null(value=False))
    if wanted.start_s is not None:
        found.append(pl.col("timestamp_s") >= wanted.start_s)
    if wanted.end_s is not None:
        found.append(pl.col("timestamp_s") < wanted.end_s)
    if wanted.min_sharpness > 0:
        sharp = pl.col("sharpness") >= wanted.min_sharpness
        found.append(sharp.fill_null(value=False))
    if wanted.is_approved:
        found.append(pl.col("is_approved"))
    return found


def _place(name: str) -> str:
    """A place as the tables have it: tags call `scene-003` place-003."""
    name = name.strip().lower()
    return name.replace("place-", "scene-", 1) if name.startswith("place-") else name


def _check(option: str, names: tuple[str, ...], known: set[str]) -> None:
    unknown = [n for n in names if n not in known]
    if unknown:
        there = ", ".join(sorted(known)) or "none"
        raise UserError(f"{option} {unknown[0]}: expected one of {there}")
