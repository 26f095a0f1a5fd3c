"""A film's frames as an editor counts them: whole numbers at one rate, with timecode.

An editor lays a film on a grid of its nominal rate, beginning at 0 with the first picture, whatever
its time stamp. A frame of constant rate falls on its own index; frames of a film of variable rate,
or after missing ones, fall on the nearest place of the grid, as editors conform them. All is
computed in fractions of the exact presentation times, so nothing drifts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import polars as pl

from bunny.core.error import UserError
from bunny.library.timeline import timecode

NTSC = timecode.NTSC
# What editors offer for a sequence; a film of no countable rate is conformed to the nearest.
EDITOR_RATES = tuple(
    sorted({Fraction(n) * u for n in (24, 30, 48, 60) for u in (1, NTSC)} | {25, 50})
)
HALF = Fraction(1, 2)
SLACK = 1  # frames by which rounded time stamps may put a frame beside its index


@dataclass(frozen=True, kw_only=True)
class Clock:
    """The grid of one film; numbers count from its first picture."""

    rate: Fraction  # frames per second, whole or times 1000 / 1001
    time_base: Fraction  # seconds per unit of PTS
    first_pts: int
    num_frames: int  # on the grid
    start_number: int = 0  # what the first picture's timecode counts
    is_drop: bool = False
    notes: tuple[str, ...] = ()


def read_clock(film: Mapping[str, Any], shot: pl.DataFrame, is_drop: bool | None = None) -> Clock:
    """The grid of a film.

    Parameters
    ----------
    film : mapping
        The row of table `film`.
    shot : pl.DataFrame
        Table `shot`, with at least one row.
    is_drop : bool, optional
        Whether labels are dropped where the film itself names no timecode; None: they are not.

    Raises
    ------
    UserError
        If the rate is unknown, there is no shot, or labels cannot be dropped at the rate.
    """
    told = Fraction(film["frame_rate_num"], film["frame_rate_den"])
    if told <= 0:
        raise UserError(
            f"{film['film_id']}: expected a film with a known frame rate, it says none; "
            "wrap it anew with its rate (ffmpeg -r) and run it again"
        )
    if shot.is_empty():
        raise UserError(f"{film['film_id']}: expected shots, found none; run stage extract")
    base = Fraction(film["time_base_num"], film["time_base_den"])
    rate = conform_rate(told)
    first_pts = int(shot["start_pts"].min())
    last_pts = int(shot["end_pts"].max())
    start_number, drops, note = _start(film, rate, is_drop)
    grid = Clock(
        rate=rate,
        time_base=base,
        first_pts=first_pts,
        num_frames=0,
        start_number=start_number,
        is_drop=drops,
    )
    notes = (_conformed(grid, told, shot), note, _interlaced(film))
    return Clock(
        **{
            **vars(grid),
            "num_frames": max(1, frame_number(grid, last_pts)),
            "notes": tuple(n for n in notes if n),
        }
    )


def conform_rate(rate: Fraction) -> Fraction:
    """The rate of the grid: `rate` where timecode can count it, else the nearest of an editor's.

    Examples
    --------
    >>> conform_rate(Fraction(2731, 100))
    Fraction(25, 1)
    """
    nominal = round(rate) if rate < 1 else int(rate + HALF)
    if nominal >= 1 and rate in (nominal, nominal * NTSC):
        return rate
    return Fraction(min(EDITOR_RATES, key=lambda known: abs(known - rate)))


def frame_number(clock: Clock, pts: int) -> int:
    """Place of a picture on the grid, from its presentation time; halves go up."""
    return int(((pts - clock.first_pts) * clock.time_base * clock.rate + HALF) // 1)


def number_at(clock: Clock, second: Fraction | float) -> int:
    """The picture that is shown `second` s after the first one; it is shown until the next."""
    exact = second if isinstance(second, Fraction) else Fraction(second).limit_denominator(10**6)
    return int(exact * clock.rate // 1)


def second_of(clock: Clock, number: int) -> Fraction:
    """Seconds from the first picture to this one, exactly."""
    return number / clock.rate


def pts_of(clock: Clock, number: int) -> Fraction:
    """Presentation time of a place on the grid, in units of the film's time base."""
    return clock.first_pts + number / clock.rate / clock.time_base


def label(clock: Clock, number: int) -> str:
    """Source timecode of a picture, e.g. ``01:00:12:05``; with drop-frame ``01:00:12;05``."""
    return timecode.to_timecode(clock.start_number + number, clock.rate, clock.is_drop)


def number_of(clock: Clock, text: str) -> int:
    """The picture that a source timecode names.

    Labels begin anew after a day, so one before the film's first is taken to be of the next day.

    Raises
    ------
    ValueError
        If it is no timecode that occurs at the film's rate.
    """
    found = timecode.from_timecode(_marked(text, clock), clock.rate) - clock.start_number
    return found if found >= 0 else found + _day(clock)


def record_label(clock: Clock, number: int) -> str:
    """Timecode of a place in a sequence of this rate and way of counting."""
    return timecode.to_timecode(number, clock.rate, clock.is_drop)


def record_number(clock: Clock, text: str) -> int:
    """The place that a sequence's timecode names; see `number_of`."""
    return timecode.from_timecode(_marked(text, clock), clock.rate)


def _marked(text: str, clock: Clock) -> str:
    """A label with the mark of its way of counting: people and editors write ":" for both."""
    text = text.strip()
    says_drop = text[8:9] in (";", ".", ",") and can_drop(clock.rate)
    return f"{text[:8]}{';' if clock.is_drop or says_drop else ':'}{text[9:]}"


def _day(clock: Clock) -> int:
    """Labels of a day."""
    last = f"23:59:59{';' if clock.is_drop else ':'}{int(clock.rate + HALF) - 1:02d}"
    return timecode.from_timecode(last, clock.rate) + 1


def _start(
    film: Mapping[str, Any], rate: Fraction, is_drop: bool | None
) -> tuple[int, bool, str | None]:
    """Number of the first label, whether labels are dropped, and what was wrong with the label."""
    text = (film["start_timecode"] or "").strip()
    if text:
        try:
            return timecode.from_timecode(text, rate), text[8] != ":", None
        except ValueError:
            note = (
                f"the film's start timecode {text} does not occur at {rate_text(rate)}: 0 instead"
            )
    else:
        note = None
    if is_drop and not can_drop(rate):
        raise UserError(
            f"--drop-frame: expected a film of 29.97 or 59.94 fps, got {rate_text(rate)}; "
            "leave it out"
        )
    return 0, bool(is_drop), note


def can_drop(rate: Fraction) -> bool:
    """Whether drop-frame timecode is defined: at 30000/1001 and 60000/1001."""
    return rate in (30 * NTSC, 60 * NTSC)


def rate_text(rate: Fraction) -> str:
    """E.g. ``25 fps`` or ``23.976 fps``."""
    return f"{round(float(rate), 3):g} fps"


def _conformed(grid: Clock, told: Fraction, shot: pl.DataFrame) -> str | None:
    """What is done where times do not follow the rate; None where they do."""
    pairs = shot.select("start_pts", "first_frame_index").iter_rows()
    off = max(abs(frame_number(grid, pts) - index) for pts, index in pairs)
    if told == grid.rate and off <= SLACK:
        return None
    return (
        f"variable frame rate or missing frames ({float(told):.6g} fps on average): conformed to "
        f"{rate_text(grid.rate)}, each cut on the nearest frame of that rate"
    )


def _interlaced(film: Mapping[str, Any]) -> str | None:
    """What a person has to know of an interlaced film."""
    if not film["is_interlaced"]:
        return None
    return "interlaced film: frames are counted, not fields; the field order is the file's own"
