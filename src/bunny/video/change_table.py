"""Table `change`: what shots are decided on, of each decoded frame, and the decision over it.

Written by extract with shot detectors `fast` and `accurate`. The shots of `fast` follow from it at
any threshold from `meter.MEASURED_FROM` on, exactly as a new decode would find them.
"""

import math
from array import array
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import polars as pl

from bunny.core.config import ExtractionConfig
from bunny.table import schema
from bunny.video.frame import THUMB_LONG_PX, THUMB_SHORT_PX, DecodedFrame
from bunny.video.shot import meter
from bunny.video.shot.cut import NEIGHBOURS, VETOES, CutScore
from bunny.video.shot.dissolve import MAX_REACH, DissolveScore
from bunny.video.shot.fast_detector import FastDetector, FoundShot
from bunny.video.shot.luma_range import NUM_CELLS
from bunny.video.shot.meter import MEASURED_FROM, Measured
from bunny.video.shot.window import Boundary

NUM_PX = THUMB_LONG_PX * THUMB_SHORT_PX
FADE = (
    "fade_first_index",
    "fade_end_index",
    "fade_flank_first_index",
    "fade_flank_end_index",
    "fade_known_index",
)
# Columns that are made of what the record holds; `film_id` and `timestamp_s` come with the shard.
KINDS = {
    "pts": "q",
    "frame_bytes": "q",
    "luma_levels": "q",
    "moved": "d",
    "contrast": "d",
    "brightness": "d",
}


class ChangeRecord:
    """Rows of frames whose shot has not ended, few bytes each, however long the shot is."""

    def __init__(self) -> None:
        self._first: int | None = None  # frame of the first row held
        self._columns = {name: array(kind) for name, kind in KINDS.items()}
        self._cells = bytearray()  # `NUM_CELLS` of each frame
        self._score, self._veto = array("d"), array("b")
        self._fades: dict[int, tuple[Boundary, int]] = {}
        self._dissolves: dict[int, tuple[DissolveScore, ...]] = {}

    def add(self, frame: DecodedFrame, measured: Measured | None) -> None:
        """Take the next frame and what became known with it; None: nothing is measured."""
        if measured is None:
            return
        if self._first is None:
            self._first = frame.index
        values = (
            frame.pts,
            frame.num_bytes,
            measured.levels,
            measured.moved,
            measured.spread,
            measured.light - measured.spread,
        )
        for column, value in zip(self._columns.values(), values, strict=True):
            column.append(value)
        self._cells += measured.cells
        self._score.append(math.nan)
        self._veto.append(VETOES.index("unmeasured"))
        self._note(measured, frame.index)

    def end(self, measured: Measured | None) -> None:
        """Take what became known with the end of the film."""
        if measured is not None and self._first is not None:
            self._note(measured, self._first + len(self._score))

    def take(self, first: int, end: int) -> pl.DataFrame | None:
        """Rows of the frames of a finished shot; they and those before it are forgotten here."""
        if self._first is None:
            return None
        here = slice(first - self._first, end - self._first)
        columns: dict[str, Any] = {name: column[here] for name, column in self._columns.items()}
        cells = self._cells[here.start * NUM_CELLS : here.stop * NUM_CELLS]
        columns["luma_cells"] = np.frombuffer(bytes(cells), np.uint8).reshape(-1, NUM_CELLS)
        columns["cut_score"] = [None if math.isnan(s) else s for s in self._score[here]]
        columns["cut_veto"] = [VETOES[v] for v in self._veto[here]]
        fades = [self._fades.get(i) for i in range(first, end)]
        columns |= dict(zip(FADE, zip(*map(_fade_row, fades), strict=True), strict=True))
        dissolves = [self._dissolves.get(i) for i in range(first, end)]
        for name in ("steps", "weight", "limit"):
            values = [scores and [getattr(s, name) for s in scores] for scores in dissolves]
            columns[f"dissolve_{name}"] = values
        self._forget(end)
        declared = schema.TABLE["change"].columns()
        data = {"frame_index": range(first, end)} | columns
        return pl.DataFrame(
            {name: pl.Series(name, v, dtype=declared[name].dtype) for name, v in data.items()}
        )

    def _note(self, measured: Measured, known: int) -> None:
        """Put what became known at a frame into the rows that it is about."""
        first = self._first or 0
        for cut in measured.cuts:
            row = cut.index - first
            if row >= 0:
                self._score[row], self._veto[row] = cut.score, VETOES.index(cut.veto)
        for fade in measured.fades:
            self._fades[fade.index] = fade, known
        self._dissolves |= {centre: scores for centre, scores in measured.dissolves if scores}

    def _forget(self, end: int) -> None:
        num_rows = end - (self._first or 0)
        for column in (*self._columns.values(), self._score, self._veto):
            del column[:num_rows]
        del self._cells[: num_rows * NUM_CELLS]
        for held in (self._fades, self._dissolves):
            for index in [i for i in held if i < end]:
                del held[index]
        self._first = end


def steps(change: pl.DataFrame, step: int) -> Iterator[Measured]:
    """What became known with each frame of a film, in order, and at last with its end.

    Parameters
    ----------
    change : pl.DataFrame
        Table of that name, of a whole film.
    step : int
        `FastDetector.step`.
    """
    count = change.height
    cuts, dissolves, fades = _cuts(change), _dissolves(change), _fades(change)
    levels = change["luma_levels"].to_list()
    cells = change["luma_cells"].to_numpy()
    reach = MAX_REACH * step
    for newest in range(count):
        cut, centre = cuts.get(newest - NEIGHBOURS), newest - reach
        yield Measured(
            levels=levels[newest],
            num_px=NUM_PX,
            cells=cells[newest].tobytes(),
            cuts=(cut,) if cut else (),
            fades=tuple(fades.get(newest, ())),
            dissolves=((centre, dissolves.get(centre, ())),),
        )
    last_cuts, centres = meter.last_places(count, step)
    yield Measured(
        cuts=tuple(cuts[i] for i in last_cuts if i in cuts),
        fades=tuple(fades.get(count, ())),
        dissolves=tuple((centre, dissolves.get(centre, ())) for centre in centres),
    )


def decide_shots(
    change: pl.DataFrame, extraction: ExtractionConfig, rate: Fraction
) -> list[FoundShot]:
    """Shots of a film at other thresholds, without decoding it.

    Parameters
    ----------
    change : pl.DataFrame
        Table of that name, of a whole film that was extracted with shot detector `fast`.
    extraction : ExtractionConfig
        `cut_threshold` at least `MEASURED_FROM`.
    rate : Fraction
        Frames a second, as the film's container has it; 0 when unknown.

    Returns
    -------
    list of FoundShot
        As detector `fast` finds them; empty of an empty table.

    Raises
    ------
    ValueError
        If the threshold is lower than what was measured for.
    """
    if extraction.cut_threshold < MEASURED_FROM:
        raise ValueError(
            f"cut_threshold: expected at least {MEASURED_FROM}, the lowest threshold that frames "
            f"are measured for, got {extraction.cut_threshold:g}; extract the film again"
        )
    detector = FastDetector(extraction, rate)
    *every, last = steps(change, detector.step)
    shots = [shot for measured in every for shot in detector.decide(measured)]
    return shots + detector.decide_end(last)


def _cuts(change: pl.DataFrame) -> dict[int, CutScore]:
    """Cut scores by frame."""
    rows = change.select("frame_index", "cut_score", pl.col("cut_veto").cast(pl.String))
    return {
        index: CutScore(index=index, score=score, veto=veto)
        for index, score, veto in rows.drop_nulls("cut_score").iter_rows()
    }


def _dissolves(change: pl.DataFrame) -> dict[int, tuple[DissolveScore, ...]]:
    """Dissolve scores by centre."""
    names = ("dissolve_steps", "dissolve_weight", "dissolve_limit")
    rows = change.drop_nulls("dissolve_steps").select("frame_index", *names)
    return {
        index: tuple(
            DissolveScore(steps=s, weight=w, limit=limit)
            for s, w, limit in zip(*scores, strict=True)
        )
        for index, *scores in rows.iter_rows()
    }


def _fades(change: pl.DataFrame) -> Mapping[int, list[Boundary]]:
    """Fades by the frame with which they became known."""
    found: dict[int, list[Boundary]] = {}
    rows = change.drop_nulls("fade_known_index").select("frame_index", *FADE)
    for index, first, end, flank_first, flank_end, known in rows.iter_rows():
        fade = Boundary(
            index=index,
            kind="fade",
            strength=1.0,
            span=(first, end),
            flank=(flank_first, flank_end),
        )
        found.setdefault(known, []).append(fade)
    return found


def _fade_row(found: tuple[Boundary, int] | None) -> tuple[int | None, ...]:
    """Values of the columns `FADE`."""
    if found is None:
        return (None,) * len(FADE)
    fade, known = found
    return (*fade.span, *(fade.flank or (None, None)), known)
