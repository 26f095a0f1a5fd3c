"""Ranking: frames that pass the filters, their scores joined, the best shots with their best frame.

A question may have several parts (words, a picture, a face); each gives frames a score in [0, 1],
and the mean counts. Of words, half is what stands there word by word and half what sentence vectors
say: on the sample film each alone was worse (see bench_search_words).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import polars as pl

from bunny.core.error import UserError
from bunny.library.search.catalogue import Catalogue

SHOT_SIZE = ("close-up", "medium", "wide")
LIGHT = ("day", "dusk", "night")

WORD_SHARE = 0.5  # of word by word, against sentence vectors
WHO_BONUS = 1e-3  # breaks ties for frames that show whom the filter asks for

SHOTS = {
    "film_id": pl.String,
    "shot_index": pl.Int32,
    "start_s": pl.Float64,
    "end_s": pl.Float64,
    "matched_s": pl.Float64,
    "score": pl.Float32,
    "why": pl.String,
    "frame_id": pl.String,  # the frame that matched
    "file": pl.String,  # its picture, or that of the nearest stored frame of the shot
    "who": pl.List(pl.String),  # in the shot
    "place": pl.String,
    "sentence": pl.String,
    "asset_id": pl.String,
}


@dataclass(frozen=True, kw_only=True)
class QueryPart:
    """One part of a question, answered for every frame of the catalogue."""

    score: np.ndarray  # (n,) float32 in [0, 1]; NaN: says nothing of this frame
    why: Callable[[int], str]  # of a frame, in a few words


def blend(share: np.ndarray | None, cosine: np.ndarray | None) -> np.ndarray:
    """Join what stands there word by word with what sentence vectors say.

    Parameters
    ----------
    share : np.ndarray, shape (n,), float32, or None
        From `keyword.match`; None: the query has no word that any text has.
    cosine : np.ndarray, shape (n,), float32, or None
        Of the query's vector and the texts'; None: there is no model. NaN: not compared.

    Returns
    -------
    np.ndarray, shape (n,), float32
        In [0, 1].
    """
    if cosine is None:
        return np.asarray(share, dtype=np.float32)
    meaning = np.clip(np.nan_to_num(cosine, nan=0.0), 0, 1)
    if share is None:
        return meaning.astype(np.float32)
    return (WORD_SHARE * share + (1 - WORD_SHARE) * meaning).astype(np.float32)


def max_per_row(rows: np.ndarray, value: np.ndarray, size: int) -> np.ndarray:
    """Values of some rows laid over all of them; NaN elsewhere, the largest where rows repeat."""
    found = np.full(size, -np.inf, dtype=np.float32)
    np.maximum.at(found, rows, value.astype(np.float32))
    return np.where(np.isneginf(found), np.float32(np.nan), found)


def rank_shots(
    known: Catalogue,
    parts: Sequence[QueryPart],
    allowed: np.ndarray,
    limit: int,
    *,
    who: Sequence[str] = (),
) -> pl.DataFrame:
    """Shots that answer a question, the best first.

    Parameters
    ----------
    parts : sequence of QueryPart
        None: every allowed shot answers alike, in order of film and time.
    allowed : np.ndarray, shape (n,), bool
        Frames that may be answered with.
    limit : int
        Shots at most.
    who : sequence of str
        Whom the filter asks for: among equal frames of a shot, one that shows them.

    Returns
    -------
    pl.DataFrame
        Columns of `SHOTS`. `score` is in [0, 1]; 1 where nothing was asked.
    """
    score = _total(parts, known.frame.height)
    row = pl.int_range(pl.len()).alias("row")
    frame = known.frame.with_columns(row, score=pl.Series(score), is_allowed=pl.Series(allowed))
    frame = frame.filter(pl.col("is_allowed") & pl.col("score").is_not_nan())
    shown = sum((pl.col("who").list.contains(n).cast(pl.Float32) for n in who), pl.lit(0.0))
    key = ["film_id", "shot_index"]
    best = (
        frame.with_columns(rank=pl.col("score") + WHO_BONUS * shown)
        .sort("rank", "row", descending=[True, False])
        .unique(key, keep="first", maintain_order=True)
        .sort("rank", "film_id", "timestamp_s", descending=[True, False, False])
        .head(limit)
    )
    best = best.join(known.shot, on=key, how="left", maintain_order="left")
    why = ["; ".join(text for p in parts if (text := p.why(row))) for row in best["row"]]
    return (
        best.with_columns(
            why=pl.Series(why, dtype=pl.String),
            matched_s="timestamp_s",
            file=pl.coalesce("file", pl.Series(_stand_in(known.frame, best), dtype=pl.String)),
            who="shot_who",
            place=pl.coalesce("place_name", "place"),
        )
        .select(*SHOTS)
        .cast(pl.Schema(SHOTS))
    )


def _total(parts: Sequence[QueryPart], size: int) -> np.ndarray:
    """Mean over the parts; a frame of which some part says nothing is none of the answers."""
    if not parts:
        return np.ones(size, dtype=np.float32)
    return np.asarray(np.mean([p.score for p in parts], axis=0, dtype=np.float32))


def _stand_in(frame: pl.DataFrame, best: pl.DataFrame) -> list[str | None]:
    """For each matched frame the stored picture of its shot that is nearest in time."""
    wanted = best.select("film_id", "shot_index", at="timestamp_s", number=pl.int_range(pl.len()))
    near = (
        frame.drop_nulls("file")
        .join(wanted, on=["film_id", "shot_index"])
        .sort((pl.col("timestamp_s") - pl.col("at")).abs(), "frame_id")
        .unique("number", keep="first", maintain_order=True)
    )
    found = dict(near.select("number", "file").iter_rows())
    return [found.get(i) for i in range(best.height)]


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
    """Mask of the rows of `known.frame` that pass the filters."""
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
