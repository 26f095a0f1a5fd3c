"""Gaps of a film's training sets, shots that would fill them, and the addition somebody chooses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from bunny.core.error import UserError
from bunny.dataset import addition, candidate, gap, lookalike
from bunny.dataset.addition import ANY_AXIS, Addition, Span
from bunny.dataset.appearance import measure_subjects
from bunny.dataset.lookalike import with_names

TABLES = (
    *candidate.TABLES,
    "shot",
    "region",
    "reference",
    "candidate",
    "dataset",
    "evaluation_picture",
)
KEYS = ["character", "axis", "value"]
UNSIGNED = {"addition_id": "", "time": "", "user": "", "reason": ""}  # says nothing of the set


@dataclass(frozen=True, kw_only=True)
class FilmGaps:
    """Gaps of a film's sets, shots that would fill them, and what was added so far."""

    film_id: str
    gaps: pl.DataFrame  # character, axis, value, num_pictures, num_wanted, num_seen, detail
    ways: pl.DataFrame  # of `gap.find_ways`: of every gap, and of axis any
    shots: pl.DataFrame  # table shot
    additions: Sequence[Addition]
    notes: Sequence[str]


def find_film_gaps(
    film_id: str,
    tables: Mapping[str, pl.DataFrame],
    additions: Sequence[Addition],
    character: str | None = None,
) -> FilmGaps:
    """Gaps of a film's sets and which of its shots would fill them.

    Parameters
    ----------
    tables : mapping
        Those of `TABLES`, as corrected.
    additions : sequence of Addition
        Those that hold.
    character : str, optional
        Whose set; by default all that there are.

    Raises
    ------
    UserError
        If there is no set yet, or none of that character.
    """
    names = _names(film_id, tables["candidate"], character)
    wanted = pl.col("character").is_in(names)
    views, pictures = tables["candidate"].filter(wanted), tables["dataset"].filter(wanted)
    text = views.with_columns(pl.col("reason").cast(pl.String))
    every = pl.concat([text, *[_lookalikes(name, tables, text.schema) for name in names]])
    gaps = _gaps(every, views, pictures, tables["evaluation_picture"])
    looked = [tables[t].select("shot_index", "timestamp_s") for t in ("frame", "extra_frame")]
    sparse = gap.find_sparse(views, pl.concat(looked), tables["shot"])
    whole = pl.DataFrame({"character": names, "axis": ANY_AXIS, "value": ""})
    return FilmGaps(
        film_id=film_id,
        gaps=gaps,
        ways=gap.find_ways(pl.concat([gaps.select(KEYS), whole]), every, sparse),
        shots=tables["shot"],
        additions=[one for one in additions if one.character in names],
        notes=gap.notes(views),
    )


def _names(film_id: str, views: pl.DataFrame, character: str | None) -> list[str]:
    """Characters that are meant."""
    names = views["character"].unique().sort().to_list()
    if not names:
        raise UserError(
            f"{film_id}: expected a training set, found none; run stage dataset, with "
            "reference pictures of a character that appears in the film"
        )
    if character is not None and character not in names:
        raise UserError(
            f"--character: expected a character with a training set ({', '.join(names)}), "
            f"got {character}; choose one, or set models.characters and run stage dataset"
        )
    return [character] if character else names


def _lookalikes(
    character: str, tables: Mapping[str, pl.DataFrame], schema: Mapping
) -> pl.DataFrame:
    """Views without a name that resemble a character, as rows of candidate."""
    like = lookalike.find(character, tables)
    known = set(like["subject_id"].to_list()) - set(tables["candidate"]["subject_id"].to_list())
    measured = measure_subjects({**tables, "label": like})
    named = {**tables, "label": with_names(tables["label"], like)}
    verdict = candidate.CandidateVerdict(reason=addition.UNLABELLED)
    rows = [
        candidate.to_row(view, verdict)
        for view in candidate.gather(character, named, measured)
        if view.subject_id in known
    ]
    return pl.DataFrame(rows, schema=schema)


def _gaps(
    every: pl.DataFrame, views: pl.DataFrame, pictures: pl.DataFrame, evaluated: pl.DataFrame
) -> pl.DataFrame:
    """Gaps of the set, then values that the trained model draws badly though the set has some."""
    found = gap.find_gaps(views, pictures).select(*KEYS, "num_pictures", "num_wanted", "num_seen")
    found = found.unique(KEYS, keep="first", maintain_order=True)
    names = views["character"].unique().to_list()
    weak = gap.find_weak(evaluated).filter(pl.col("character").is_in(names))
    found = found.join(weak, on=KEYS, how="left", maintain_order="left")
    rows = []
    for row in weak.join(found, on=KEYS, how="anti", maintain_order="left").iter_rows(named=True):
        is_it = (pl.col("character") == row["character"]) & (
            pl.col(row["axis"]).cast(pl.String) == row["value"]
        )
        number = {"num_pictures": pictures.filter(is_it).height, "num_wanted": None}
        rows.append({**row, **number, "num_seen": every.filter(is_it).height})
    return pl.concat([found, pl.DataFrame(rows, schema=found.schema)])


def choose_addition(
    found: FilmGaps, what: str, *, is_sure: bool = False, has_duplicates: bool = False
) -> tuple[Addition, int]:
    """The addition that `--add` names, unsigned, and how many views would come.

    Parameters
    ----------
    what : str
        A gap's name as `gap.gap_name` gives it (`light:dark`), or numbers of shots (`3,12`).
    is_sure, has_duplicates : bool
        Views whose label is uncertain, or that look like chosen ones, come in too.

    Raises
    ------
    UserError
        If there is no such gap or shot, nothing would come of it, or it was added already.
    """
    shots = _parse_shots(what, found.shots)
    row = _gap_of(found, what) if shots is None else _whole_set(found, what)
    ways = found.ways.filter(*(pl.col(key) == row[key] for key in KEYS))
    if shots is not None:
        ways = ways.filter(pl.col("shot_index").is_in(shots))
    good = gap.select_ways(ways, is_sure=is_sure, has_duplicates=has_duplicates)
    if shots is None:  # a gap's shots are not looked at again unless they are named
        good = good.filter(pl.col("needs").is_null() | (pl.col("needs") != "frames"))
    if good.is_empty():
        raise UserError(_nothing_to_add(what, row, ways))
    spans = _spans(found.shots, gap.shots_of(good))
    is_again = (good["needs"] == "frames").any()
    one = Addition(
        addition_id="",
        spans=spans,
        interval_s=gap.AGAIN_S if is_again else 0.0,
        is_sure=is_sure,
        has_duplicates=has_duplicates,
        **{key: row[key] for key in KEYS},
    )
    if any(replace(old, **UNSIGNED) == one for old in found.additions):
        raise UserError(
            f"--add {what}: already added; run the film to apply it, or see `bunny gaps`"
        )
    return one, int(good["num_views"].sum())


def _parse_shots(what: str, shots: pl.DataFrame) -> list[int] | None:
    """Numbers of shots; None: it is a gap's name."""
    parts = [part.strip() for part in what.split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts):
        return None
    missing = sorted({int(part) for part in parts} - set(shots["shot_index"].to_list()))
    if missing:
        raise UserError(
            f"--add {what}: expected shot numbers from 0 to {shots['shot_index'].max()}, got "
            f"{', '.join(map(str, missing))}"
        )
    return [int(part) for part in parts]


def _gap_of(found: FilmGaps, what: str) -> dict[str, str]:
    """The gap of that name."""
    rows = [
        row
        for row in found.gaps.iter_rows(named=True)
        if gap.gap_name(row["axis"], row["value"]) == what.replace(", ", ",")
    ]
    if len(rows) == 1:
        return rows[0]
    if rows:
        raise UserError(_ambiguous(what, [row["character"] for row in rows]))
    names = {gap.gap_name(row["axis"], row["value"]): None for row in found.gaps.to_dicts()}
    raise UserError(
        f"--add {what}: expected shot numbers or one of the gaps "
        f"({', '.join(names) or 'none'}); list them with `bunny gaps`"
    )


def _whole_set(found: FilmGaps, what: str) -> dict[str, str]:
    """All views of the one character that there is a set of."""
    names = found.ways.filter(pl.col("axis") == ANY_AXIS)["character"].unique().sort().to_list()
    if len(names) > 1:
        raise UserError(_ambiguous(what, names))
    return {"character": names[0] if names else "", "axis": ANY_AXIS, "value": ""}


def _ambiguous(what: str, names: Sequence[str]) -> str:
    return f"--add {what}: applies to several characters ({', '.join(names)}); add --character"


def _nothing_to_add(what: str, row: Mapping[str, str], ways: pl.DataFrame) -> str:
    """Why nothing would come of an addition."""
    needs = [n for n in ("sure", "duplicates") if (ways["needs"] == n).any()]
    if needs:
        flags = " or ".join(f"--{n}" for n in needs)
        return (
            f"--add {what}: expected unused views of {row['character']}, found only uncertain "
            f"or near-duplicate ones; check them and add {flags}"
        )
    return (
        f"--add {what}: expected unused views of {row['character']}, found none; choose other shots"
    )


def _spans(shots: pl.DataFrame, chosen: Sequence[int]) -> tuple[Span, ...]:
    """Frames of shots."""
    own = shots.filter(pl.col("shot_index").is_in(list(chosen))).sort("shot_index")
    return tuple(own.select("first_frame_index", "end_frame_index").iter_rows())
