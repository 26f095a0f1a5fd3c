"""How right the tables are on the embedded sample, whose truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import polars as pl

from bunny.character import label_score as naming
from bunny.video.shot import score

CUT_TOLERANCE = 1  # frames; the usual tolerance of shot boundary benchmarks


@dataclass(frozen=True, kw_only=True)
class Score:
    """Precision and recall of one kind of finding; None when there is nothing to divide by."""

    what: str
    precision: float | None
    recall: float | None
    num_right: int
    note: str


def is_known(film: pl.DataFrame) -> bool:
    """Whether this is the embedded sample, by content."""
    return not film.is_empty() and film["content_hash"][0] == _sample_hash()


def scores(
    shot: pl.DataFrame, frame: pl.DataFrame, label: pl.DataFrame, characters: Sequence[str]
) -> list[Score]:
    """Judge shots and labels of the sample.

    Parameters
    ----------
    shot, frame, label : pl.DataFrame
        Tables of the run.
    characters : sequence of str
        Who had a reference and could be named.
    """
    from bunny import demo

    return [
        score_cuts(shot, demo.truth("shot")),
        *score_names(label, frame, demo.truth("box"), characters),
    ]


def score_cuts(shot: pl.DataFrame, truth: pl.DataFrame) -> Score:
    """Match found shot beginnings with true ones; a gradual one counts anywhere in its span."""
    found = sorted(shot["first_frame_index"].to_list())[1:]
    result = score.score_boundaries(found, _spans(truth), tolerance=CUT_TOLERANCE)
    return Score(
        what="shots",
        precision=_ratio(result.num_hit, result.num_found),
        recall=_ratio(result.num_hit, result.num_true),
        num_right=result.num_hit,
        note=f"a beginning within {CUT_TOLERANCE} frame, or inside a fade or dissolve",
    )


def score_names(
    label: pl.DataFrame, frame: pl.DataFrame, box: pl.DataFrame, characters: Sequence[str]
) -> list[Score]:
    """Precision and recall of names in the pictures taken, over all and for each character.

    Who had no reference cannot be named and is not missed.
    """
    asked = box.filter(pl.col("character").is_in(list(characters)))
    rows = naming.score_labels(label, frame, asked).sort(pl.col("character") != "all")
    return [
        Score(
            what="names, all" if row["character"] == "all" else f"name {row['character']}",
            precision=row["precision"],
            recall=row["recall"],
            num_right=row["num_right"],
            note=f"named in {row['num_labelled']} pictures, well visible in {row['num_true']}",
        )
        for row in rows.to_dicts()
    ]


def _spans(truth: pl.DataFrame) -> list[int | tuple[int, int]]:
    """Where each true shot but the first may begin: a frame, or a half-open span of frames."""
    rows = truth.sort("shot_index").to_dicts()[1:]
    return [
        row["first_frame_index"]
        if row["transition_first_frame_index"] is None
        else (row["transition_first_frame_index"], row["transition_end_frame_index"])
        for row in rows
    ]


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


@cache
def _sample_hash() -> str:
    from bunny import demo
    from bunny.core import workspace

    path = demo.film_path()
    return workspace.hash_file(path) if path.exists() else ""
