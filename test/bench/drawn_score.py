"""Scores of names by character and shot, against truth that says who must and who may be named.

A label belongs to the shot of the truth that its frame lies in, whatever shots the product found.
A character that must be in a shot is right when it is named there and missed when it is not; a
name in a shot where its character neither must nor may be is wrong, and so is every name from
another film. Where somebody may be, and in the shot that a reference was cut from, nothing counts.

Of the right names some stand on somebody else in the same shot. Where the truth has boxes, a name
is on its figure when the middle of its surest label lies in the figure's box of that frame.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

SURE = 0.9  # a wrong name of this confidence or more is counted apart
EDGES = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
JUDGED = {
    "film": pl.String,
    "style": pl.String,
    "character": pl.String,
    "shot_start": pl.Int64,
    "outcome": pl.String,  # right, missed, wrong, may
    "confidence": pl.Float64,  # the highest of the shot; null where missed
    "is_on_figure": pl.Boolean,  # of that label; null where the truth has no box
}
BOX = ("x0_px", "y0_px", "x1_px", "y1_px")


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A film and its shots."""

    name: str
    path: Path
    shot_starts: tuple[int, ...]
    style: str = "film"

    def shot_of(self, frame_index: int) -> int:
        """First frame of the shot that a frame lies in."""
        return self.shot_starts[int(np.searchsorted(self.shot_starts, frame_index, "right")) - 1]


@dataclass(frozen=True, kw_only=True)
class Character:
    """Somebody, and the shots of each film that must or may show them, by first frame."""

    name: str
    film: str | None  # that the reference is of; None: a person of no film here
    files: tuple[Path, ...] = ()
    cut_from: tuple[int, tuple[int, int, int, int]] | None = None  # frame, box; in place of files
    cut_path: Path | None = None  # the film that it is cut from
    must: dict[str, list[int]] = field(default_factory=dict)
    may: dict[str, list[int]] = field(default_factory=dict)

    def is_of(self, clip: Clip) -> bool:
        """Whether a name in this film could be right."""
        return clip.name in (self.film, *self.must, *self.may)

    def own_shot(self, clip: Clip) -> int | None:
        """First frame of the shot that the reference was cut from, if it is of this film."""
        is_here = self.cut_from is not None and self.film == clip.name
        return clip.shot_of(self.cut_from[0]) if is_here else None


def read_truth(file: Path, folder: Path) -> tuple[list[Clip], list[Character]]:
    """Read a truth.json; the paths in it are relative to `folder`."""
    said = json.loads(file.read_text())
    clips = [
        Clip(
            name=name,
            path=folder / one["file"],
            shot_starts=tuple(one["shot_starts"]),
            style=one.get("style", "film"),
        )
        for name, one in said["films"].items()
    ]
    cast = []
    for name, one in said["characters"].items():
        reference = one["reference"]
        cut = (reference["frame"], tuple(reference["box"])) if "frame" in reference else None
        files = tuple(folder / path for path in reference.get("files", ()))
        path = folder / said["films"][one["film"]]["file"]
        given = {"film": one["film"], "must": one["must"], "may": one["may"], "cut_path": path}
        cast.append(Character(name=name, files=files, cut_from=cut, **given))
    return clips, cast


def judge(
    label: pl.DataFrame,
    frame: pl.DataFrame,
    clip: Clip,
    cast: Iterable[Character],
    boxes: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Say of every name in a shot, and of everyone who should be there, what became of it.

    Parameters
    ----------
    label, frame : pl.DataFrame
        The tables of these names, as stage detect wrote them.
    clip : Clip
    cast : iterable of Character
        All whose references were given.
    boxes : pl.DataFrame, optional
        `frame_index`, `character` and the box of each figure in each frame of this film.

    Returns
    -------
    pl.DataFrame
        Columns of `JUDGED`; one row a character and shot.
    """
    said = names_by_shot(label, frame, clip)
    place = {} if boxes is None else _places(boxes)
    rows = []
    for one in cast:
        must, may = one.must.get(clip.name, ()), one.may.get(clip.name, ())
        own = one.own_shot(clip)
        for start in clip.shot_starts:
            name = said.get((one.name, start))
            if start == own or (name is None and start not in must):
                continue
            outcome = "missed" if name is None else "wrong"
            if name is not None and start in (*must, *may):
                outcome = "right" if start in must else "may"
            is_on = name.is_on(place) if name and place and outcome == "right" else None
            confidence = name.confidence if name else None
            rows.append((clip.name, clip.style, one.name, start, outcome, confidence, is_on))
    return pl.DataFrame(rows, schema=JUDGED, orient="row")


class Name(NamedTuple):
    """The surest label of a character in a shot; the middle of its box in the film's pixels."""

    character: str
    frame_index: int
    confidence: float
    x: float
    y: float

    def is_on(self, place: dict[tuple[int, str], tuple[float, ...]]) -> bool:
        """Whether its middle lies in the character's box."""
        box = place.get((self.frame_index, self.character))
        return box is not None and box[0] <= self.x <= box[2] and box[1] <= self.y <= box[3]


def names_by_shot(
    label: pl.DataFrame, frame: pl.DataFrame, clip: Clip
) -> dict[tuple[str, int], Name]:
    """Surest label of each (character, first frame of the truth's shot) that is named."""
    crop = [
        pl.col(f"crop_{axis}0_px").fill_null(0)
        for axis in "xy"
        if f"crop_{axis}0_px" in frame.columns
    ]
    left, top = crop or (pl.lit(0), pl.lit(0))
    where = frame.select("frame_id", "frame_index", left=left, top=top)
    named = (
        label.drop_nulls("character")
        .join(where, on="frame_id")
        .select(
            "character",
            "frame_index",
            "confidence",
            x=(pl.col("x0_px") + pl.col("x1_px")) / 2 + pl.col("left"),
            y=(pl.col("y0_px") + pl.col("y1_px")) / 2 + pl.col("top"),
        )
    )
    best: dict[tuple[str, int], Name] = {}
    for name in map(Name._make, named.sort("confidence").iter_rows()):
        best[name.character, clip.shot_of(name.frame_index)] = name
    return best


def _places(boxes: pl.DataFrame) -> dict[tuple[int, str], tuple[float, ...]]:
    """Boxes by frame and character."""
    columns = boxes.select("frame_index", "character", *BOX)
    return {(index, who): tuple(box) for index, who, *box in columns.iter_rows()}


def count(judged: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """Count right (and of these on the figure), missed, wrong, and surely wrong, in groups."""
    outcome, on_figure = pl.col("outcome"), pl.col("is_on_figure")
    return judged.group_by(by, maintain_order=True).agg(
        right=(outcome == "right").sum(),
        on_figure=pl.when(on_figure.count() > 0).then(on_figure.sum()),  # null without boxes
        missed=(outcome == "missed").sum(),
        wrong=(outcome == "wrong").sum(),
        wrong_sure=((outcome == "wrong") & (pl.col("confidence") >= SURE)).sum(),
    )


def reliability(judged: pl.DataFrame, edges: Sequence[float] = EDGES) -> pl.DataFrame:
    """Of names so sure, how many are right.

    Parameters
    ----------
    judged : pl.DataFrame
    edges : sequence of float
        Rising, from 0 to 1; a bin has its lower edge, the last also its upper one.

    Returns
    -------
    pl.DataFrame
        `low`, `high`, `num_named`, `confidence` (mean), `share_right`; bins without names are
        left out.
    """
    named = judged.filter(pl.col("outcome").is_in(["right", "wrong"]))
    index = np.searchsorted(edges[1:-1], named["confidence"].to_numpy(), "right")
    return (
        named.with_columns(bin=pl.Series(index, dtype=pl.Int64))
        .group_by("bin")
        .agg(
            num_named=pl.len(),
            confidence=pl.col("confidence").mean(),
            share_right=(pl.col("outcome") == "right").mean(),
        )
        .sort("bin")
        .select(
            low=pl.col("bin").replace_strict(dict(enumerate(edges[:-1])), return_dtype=pl.Float64),
            high=pl.col("bin").replace_strict(dict(enumerate(edges[1:])), return_dtype=pl.Float64),
            num_named="num_named",
            confidence="confidence",
            share_right="share_right",
        )
    )


def calibration_error(bins: pl.DataFrame) -> float | None:
    """Expected calibration error: mean gap between confidence and share right, by names.

    Notes
    -----
    Naeini, Cooper & Hauskrecht 2015, "Obtaining Well Calibrated Probabilities Using Bayesian
    Binning", AAAI. None where nobody was named.
    """
    if bins.is_empty():
        return None
    gap = (bins["confidence"] - bins["share_right"]).abs()
    return float((gap * bins["num_named"]).sum() / bins["num_named"].sum())
