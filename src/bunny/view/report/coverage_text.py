"""Sentences about the coverage and the gaps of a training set, and the shots to fill them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from bunny.dataset import addition
from bunny.dataset import gap as dataset_gap
from bunny.dataset.coverage import Coverage
from bunny.view import style

MAX_GAPS = 12
MAX_SHOTS, MAX_SETTINGS = 3, 3  # named for each gap
ONE_SIDED = 0.5  # share of one place from which the model learns the place with the character
TWINS = 0.25  # share of pictures with a look-alike from which the set is smaller than it seems
NAME = {
    "left-profile": "left profile",
    "left": "left three-quarter view",
    "frontal": "frontal view",
    "right": "right three-quarter view",
    "right-profile": "right profile",
    "close-up": "close-up",
    "medium": "medium shot",
    "wide": "wide shot",
}
LIGHT = {"dark": "in the dark", "medium": "in medium light", "bright": "in bright light"}
THRESHOLD = re.compile(  # in a detail: "confidence 0.52, dataset.min_confidence is 0.6"
    r"(?P<what>[^,]*?(?P<value>\d+(?:\.\d+)?)[^,]*), \w+\.\w+ is (?P<bound>\d+(?:\.\d+)?)"
)
RAISE = ("max_", "keep_best")  # keys that let more in when they are raised, not lowered

MAX_WAYS = 5  # named for each gap
INSTRUCTION = {
    None: "can be added with --add",
    "sure": "check it; if it shows the character, add it with --add and --sure",
    "duplicates": "similar to a selected one; can be added with --add and --duplicates",
    "frames": "to examine more frames of this shot, use --add with its number",
    "never": "cannot be used",
}


def verdict(summary: Coverage) -> str:
    """Sum up a set in one sentence.

    Examples
    --------
    "71 pictures of bunny from 12 shots, as diverse as 13 completely different ones (Vendi score);
    8 of 15 pose-size cells empty; largest place scene-001, 31 %."
    """
    who = f" of {summary.character}" if summary.character else ""
    head = f"{style.plural(summary.num_pictures, 'picture')}{who}"
    head += f" from {style.plural(summary.num_shots, 'shot')}"
    if summary.vendi is not None:
        head += f", as diverse as {_round(summary.vendi)} completely different ones (Vendi score)"
    parts = [head, empty_cells(summary)]
    place = summary.balance["place"]
    if place.largest is not None:
        parts.append(f"largest place {place.largest}, {_percent(place.largest_share)}")
    return "; ".join(parts) + "."


def empty_cells(summary: Coverage) -> str:
    """Say how many cells of a set are empty.

    Examples
    --------
    "8 of 15 pose-size cells empty".
    """
    cells = "pose-size cells empty" if summary.has_pose else "sizes empty (poses are unknown)"
    return f"{summary.num_empty} of {summary.num_cells} {cells}"


def advice(summary: Coverage) -> list[str]:
    """Say what is wrong with a set's balance and what a person can do; nothing when it is well."""
    found = []
    place = summary.balance["place"]
    if place.largest is not None and len(place.count) > 1 and place.largest_share >= ONE_SIDED:
        found.append(
            f"{_percent(place.largest_share)} of the pictures are in {place.largest}: "
            "the model will learn that place along with the character."
        )
    if len(place.count) == 1:
        found.append(
            "All pictures are in one place: the model will learn that place along with "
            "the character."
        )
    if summary.num_alike and summary.num_alike >= TWINS * summary.num_pictures:
        found.append(
            f"{style.plural(summary.num_alike, 'picture')} closely resemble another one, "
            "so the training set is smaller than it seems. Raise "
            "filtering.duplicate_distance to drop near duplicates."
        )
    if summary.held_out_distance is not None and summary.held_out_distance < 0.05:
        found.append(
            "A held-out picture is almost identical to a training picture (distance "
            f"{summary.held_out_distance:.3f}): the held-out loss will look better than it is."
        )
    return found


def numbers(summaries: Iterable[Coverage]) -> pl.DataFrame:
    """Give the numbers of each character's set, one row a character."""
    return pl.DataFrame(
        [
            {
                "character": s.character,
                "pictures": s.num_pictures,
                "shots": s.num_shots,
                "Vendi score": s.vendi,
                "share of the most common look": s.commonest_share,
                "empty cells": f"{s.num_empty} of {s.num_cells}",
                "effective places": s.balance["place"].effective,
                "share of the largest place": s.balance["place"].largest_share,
                "near duplicates": s.num_alike,
                "held-out distance": s.held_out_distance,
            }
            for s in summaries
        ]
    )


def sentences(gaps: pl.DataFrame, limit: int = MAX_GAPS) -> list[str]:
    """Give the lines of `describe`."""
    if gaps.is_empty():
        return ["No gap was found."]
    groups = [
        group.to_dicts()
        for group in gaps.partition_by("character", "axis", "value", maintain_order=True)
    ]
    fillable = [rows for rows in groups if rows[0]["setting"]]
    is_one = gaps["character"].n_unique() == 1
    lines = [
        ("" if is_one else f"{rows[0]['character']}: ") + _sentence(rows)
        for rows in fillable[:limit]
    ]
    if len(fillable) > limit:
        lines.append(f"And {style.plural(len(fillable) - limit, 'more gap')} of this kind.")
    return lines + _out_of_reach([rows for rows in groups if not rows[0]["setting"]])


def reason_of(row: Mapping[str, Any]) -> str:
    """Reason why a view was dropped, from its `reason` and `detail`.

    Examples
    --------
    >>> reason_of({"reason": "soft", "detail": "8.1, dataset.min_subject_sharpness is 10"})
    'soft (8.1 < 10)'
    >>> reason_of({"reason": "filtered", "detail": "blurred"})
    'blurred'
    """
    if not row["detail"]:
        return row["reason"]
    found = THRESHOLD.fullmatch(row["detail"])
    if found:
        value, bound = float(found["value"]), float(found["bound"])
        sign = "<" if value < bound else ">"
        return f"{row['reason']} ({found['what']} {sign} {found['bound']})"
    return row["detail"] if row["reason"] == "filtered" else f"{row['reason']} ({row['detail']})"


def _out_of_reach(groups: list[list[dict]]) -> list[str]:
    """Say for each character in one line what no setting brings in."""
    lines = []
    for name in dict.fromkeys(rows[0]["character"] for rows in groups):
        own = [rows[0] for rows in groups if rows[0]["character"] == name]
        never = [_within(r["axis"], r["value"]) for r in own if not r["num_seen"]]
        no_more = [
            f"{many(r['axis'], r['value'])} ({r['num_pictures']} of {r['num_wanted']} wanted)"
            for r in own
            if r["num_seen"]
        ]
        if never:
            *first, last = never
            seen = f"{', '.join(first)} or {last}" if first else last
            lines.append(f"No labelled picture shows {name} {seen}.")
        if no_more:
            lines.append(f"No setting would add more of {name}: {', '.join(no_more)}.")
    return lines


def _sentence(rows: list[dict]) -> str:
    """One gap: what is missing, who would fill it, what to change."""
    first = rows[0]
    what = _what(first["axis"], first["value"], first["num_pictures"])
    head = f"{'Only ' if first['num_pictures'] else ''}{what} ({first['num_wanted']} wanted)"
    shots = [_shot(row) for row in rows[:MAX_SHOTS]]
    rest = sum(row["num_dropped"] for row in rows[MAX_SHOTS:])
    more = f"; {rest} more in other shots" if rest else ""
    return f"{head}: {'; '.join(shots)}{more}. {_action(rows)}"


def _what(axis: str, value: str, number: int) -> str:
    if number > 1:
        return f"{number} {many(axis, value)}"
    return f"{number or 'No'} {_one(axis, value)}"


def _one(axis: str, value: str) -> str:
    if axis == "light":
        return f"picture {LIGHT[value]}"
    if axis == "place":
        return f"picture in {value}"
    if axis == "pose and size":
        pose, size = value.split(", ")
        return f"{NAME[pose]} as a {NAME[size]}"
    return NAME[value]


def _within(axis: str, value: str) -> str:
    """The same after a name: ``in the dark``, ``in a close-up``."""
    text = _one(axis, value)
    return text.removeprefix("picture ") if axis in ("light", "place") else f"in a {text}"


def many(axis: str, value: str) -> str:
    """Views with a value of an axis, in the plural.

    Examples
    --------
    >>> many("pose", "left"), many("light", "dark")
    ('left three-quarter views', 'pictures in the dark')
    """
    first, space, rest = _one(axis, value).partition(" ")
    if first in ("picture", "view"):
        return f"{first}s{space}{rest}"
    if axis == "pose and size":
        pose, _, size = _one(axis, value).partition(" as a ")
        pose = pose.replace("view", "views") if "view" in pose else f"{pose}s"
        return f"{pose} as a {size}"
    return f"{_one(axis, value)}s"


def _shot(row: dict) -> str:
    where = f"shot {row['shot_index']} ({style.clock(row['timestamp_s'])})"
    return f"{where} has {row['num_dropped']}, dropped as {reason_of(row)}"


def _action(rows: list[dict]) -> str:
    """What to change and how many views each setting would bring, the most first."""
    number: Counter[str] = Counter()
    for row in rows:
        if row["setting"]:
            number[row["setting"]] += row["num_dropped"]
    words = [f"{_verb(key)} {key} ({count})" for key, count in number.most_common(MAX_SETTINGS)]
    text = " or ".join(words)
    return f"To add them, {text}."


def _verb(key: str) -> str:
    if key.endswith("drop_kinds"):
        return "shorten"
    return "raise" if key.split(".")[1].startswith(RAISE) else "lower"


def _round(value: float) -> str:
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"


def ways_of(
    gap: Mapping[str, Any], ways: pl.DataFrame, shots: pl.DataFrame
) -> list[dict[str, Any]]:
    """The ways to fill one gap, with the shots' times in seconds and what to do.

    Parameters
    ----------
    gap : mapping
        `character`, `axis`, `value`.
    ways : pl.DataFrame
        From `gap.find_ways`.
    shots : pl.DataFrame
        Table shot.
    """
    times = shots.select("shot_index", "start_s", "end_s")
    own = ways.filter(*(pl.col(key) == gap[key] for key in ("character", "axis", "value")))
    rows = own.drop("character", "axis", "value").join(
        times, on="shot_index", how="left", maintain_order="left"
    )
    return [row | {"to_do": INSTRUCTION[row["needs"]]} for row in rows.iter_rows(named=True)]


def fill_sentences(gap: Mapping[str, Any], ways: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lines about one gap.

    Parameters
    ----------
    gap : mapping
        `character`, `axis`, `value`, `num_pictures`, `num_wanted`, `said_by`, `detail`.
    ways : sequence of mapping
        From `ways_of`.
    """
    name = dataset_gap.gap_name(gap["axis"], gap["value"])
    head = f"{gap['character']} {name}: {gap['num_pictures']} in the set"
    if gap["num_wanted"] is not None:
        head += f", {gap['num_wanted']} wanted"
    head += f"; {gap['detail']}" if gap["detail"] else ""
    if not ways:
        return [f"{head}; no view in the film would fill it"]
    rest = sum(way["num_views"] for way in ways[MAX_WAYS:])
    more = (
        [f"  and {style.plural(rest, 'more view')} in other shots; use --json to list them"]
        if rest
        else []
    )
    return [head, *[f"  {_way(way)}" for way in ways[:MAX_WAYS]], *more]


def _way(way: Mapping[str, Any]) -> str:
    where = f"shot {way['shot_index']} ({_clock(way)})"
    if way["reason"] == dataset_gap.SPARSE:
        return f"{where}: sampled {way['detail']}; {way['to_do']}"
    why = "unlabelled" if way["reason"] == addition.UNLABELLED else reason_of(way)
    return f"{where}: {style.plural(way['num_views'], 'view')}, {why}; {way['to_do']}"


def _clock(way: Mapping[str, Any]) -> str:
    if way["start_s"] is None:
        return style.clock(way["timestamp_s"])
    return f"{style.clock(way['start_s'])}-{style.clock(way['end_s'])}"
