"""SMPTE timecode, and the frame grid of a film as an editor counts it.

It is derived when it is shown, never stored: the number is exact, the label counts whole frames.
Own, because it is short and exact: the package `timecode` rounds rates to two decimals,
`scenedetect` knows no drop-frame. OpenTimelineIO's opentime (0.18) gives the same labels at 24 to
60 fps within a day, but refuses every other rate, e.g. 15 or 120 fps, and begins 29.97 fps without
drop-frame anew after 24 hours of the clock, not of labels; it is also an optional dependency.

An editor lays a film on a grid of its nominal rate, beginning at 0 with the first picture, whatever
its time stamp. A frame of constant rate falls on its own index; frames of a film of variable rate,
or after missing ones, fall on the nearest place of the grid, as editors conform them. All is
computed in fractions of the exact presentation times, so nothing drifts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import Any

import polars as pl

from bunny.core.error import UserError
from bunny.table import scalar

NTSC = Fraction(1000, 1001)  # of 30: 29.97
DROP_PER_MINUTE = {30: 2, 60: 4}  # labels left out, but each tenth minute; SMPTE ST 12-1
HOURS = 24  # after which labels begin anew
FORM = re.compile(r"(\d{2}):(\d{2}):(\d{2})([:;.,])(\d{2,3})")

# What editors offer for a sequence; a film of no countable rate is conformed to the nearest.
EDITOR_RATES = tuple(
    sorted({Fraction(n) * u for n in (24, 30, 48, 60) for u in (1, NTSC)} | {25, 50})
)
INTERLACED = "interlaced film: frames are counted, not fields; the field order is that of the file"
HALF = Fraction(1, 2)
SLACK = 1  # frames by which rounded time stamps may put a frame beside its index


def to_timecode(frame_number: int, rate: Fraction, is_drop: bool = False) -> str:
    """Label of a frame.

    Parameters
    ----------
    frame_number : int
        0 is 00:00:00:00; labels begin anew after 24 hours of them.
    rate : Fraction
        Frames per second: a whole number, or one times 1000 / 1001.
    is_drop : bool
        Drop-frame: labels, not frames, are left out so that they keep to the clock; at 30000/1001
        and 60000/1001 only.

    Returns
    -------
    str
        "HH:MM:SS:FF", with drop-frame "HH:MM:SS;FF".

    Raises
    ------
    ValueError
        If the number is negative, or the rate has no such timecode.

    Notes
    -----
    SMPTE ST 12-1.
    """
    nominal, dropped = _counting(rate, is_drop)
    if frame_number < 0:
        raise ValueError(f"frame number: expected 0 or more, got {frame_number}")
    minute = 60 * nominal - dropped
    tens, rest = divmod(frame_number, 10 * minute + dropped)
    if dropped and rest >= minute + dropped:  # the first minute of ten is whole
        rest += (rest - dropped) // minute * dropped
    label = tens * 600 * nominal + rest
    seconds, frame = divmod(label, nominal)
    hours, minutes = seconds // 3600 % HOURS, seconds // 60 % 60
    mark, width = ";" if is_drop else ":", max(2, len(str(nominal - 1)))
    return f"{hours:02d}:{minutes:02d}:{seconds % 60:02d}{mark}{frame:0{width}d}"


def from_timecode(text: str, rate: Fraction) -> int:
    """Frame number of a label; drop-frame when its last mark is ";", "." or ",".

    Raises
    ------
    ValueError
        If it is no timecode, or one that does not occur at this rate.
    """
    found = FORM.fullmatch(text.strip())
    if not found:
        raise ValueError(f"expected a timecode such as 01:02:03:04 or 01:02:03;04, got {text!r}")
    hours, minutes, seconds, frame = (int(found[i]) for i in (1, 2, 3, 5))
    is_drop = found[4] != ":"
    nominal, dropped = _counting(rate, is_drop)
    is_dropped = seconds == 0 and frame < dropped and minutes % 10
    if hours >= HOURS or minutes > 59 or seconds > 59 or frame >= nominal or is_dropped:
        raise ValueError(f"expected a timecode that exists at {float(rate):.6g} fps, got {text!r}")
    minutes += 60 * hours
    return (60 * minutes + seconds) * nominal + frame - dropped * (minutes - minutes // 10)


@lru_cache(maxsize=64)
def _counting(rate: Fraction, is_drop: bool) -> tuple[int, int]:
    """Frames that a second's labels count, and labels dropped a minute."""
    nominal = int(rate + Fraction(1, 2))
    if nominal < 1 or rate not in (nominal, nominal * NTSC):
        raise ValueError(f"expected an integer frame rate, or one times 1000/1001, got {rate}")
    if not is_drop:
        return nominal, 0
    if rate == nominal or nominal not in DROP_PER_MINUTE:
        raise ValueError(f"expected 30000/1001 or 60000/1001 for drop-frame, got {rate}")
    return nominal, DROP_PER_MINUTE[nominal]


@dataclass(frozen=True, kw_only=True)
class FrameGrid:
    """The grid of one film; numbers count from its first picture."""

    rate: Fraction  # frames per second, whole or times 1000 / 1001
    time_base: Fraction  # seconds per unit of PTS
    first_pts: int
    num_frames: int  # on the grid
    start_number: int = 0  # what the first picture's timecode counts
    is_drop: bool = False
    notes: tuple[str, ...] = ()


def read_grid(
    film: Mapping[str, Any], shot: pl.DataFrame, is_drop: bool | None = None
) -> FrameGrid:
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
            f"{film['film_id']}: the frame rate of the film is unknown; remux it with "
            "its frame rate (ffmpeg -r) and run it again"
        )
    if shot.is_empty():
        raise UserError(f"{film['film_id']}: no shots found; run stage extract first")
    base = Fraction(film["time_base_num"], film["time_base_den"])
    rate = conform_rate(told)
    first_pts = scalar.as_int(shot["start_pts"].min())
    last_pts = scalar.as_int(shot["end_pts"].max())
    start_number, drops, note = _start_label(film, rate, is_drop)
    grid = FrameGrid(
        rate=rate,
        time_base=base,
        first_pts=first_pts,
        num_frames=0,
        start_number=start_number,
        is_drop=drops,
    )
    notes = (_conformed(grid, told, shot), note, INTERLACED if film["is_interlaced"] else None)
    return replace(
        grid, num_frames=max(1, frame_number(grid, last_pts)), notes=tuple(n for n in notes if n)
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


def frame_number(clock: FrameGrid, pts: int) -> int:
    """Place of a picture on the grid, from its presentation time; halves go up."""
    return int(((pts - clock.first_pts) * clock.time_base * clock.rate + HALF) // 1)


def frame_at_second(clock: FrameGrid, second: Fraction | float) -> int:
    """The picture that is shown `second` s after the first one; it is shown until the next."""
    exact = second if isinstance(second, Fraction) else Fraction(second).limit_denominator(10**6)
    return int(exact * clock.rate // 1)


def source_timecode(clock: FrameGrid, number: int) -> str:
    """Source timecode of a picture, e.g. ``01:00:12:05``; with drop-frame ``01:00:12;05``."""
    return to_timecode(clock.start_number + number, clock.rate, clock.is_drop)


def from_source_timecode(clock: FrameGrid, text: str) -> int:
    """The picture that a source timecode names.

    Labels begin anew after a day, so one before the film's first is taken to be of the next day.

    Raises
    ------
    ValueError
        If it is no timecode that occurs at the film's rate.
    """
    found = from_timecode(_marked(text, clock), clock.rate) - clock.start_number
    return found if found >= 0 else found + _day(clock)


def record_timecode(clock: FrameGrid, number: int) -> str:
    """Timecode of a place in a sequence of this rate and way of counting."""
    return to_timecode(number, clock.rate, clock.is_drop)


def from_record_timecode(clock: FrameGrid, text: str) -> int:
    """The place that a sequence's timecode names; see `from_source_timecode`."""
    return from_timecode(_marked(text, clock), clock.rate)


def _marked(text: str, clock: FrameGrid) -> str:
    """A label with the mark of its way of counting: people and editors write ":" for both."""
    text = text.strip()
    says_drop = text[8:9] in (";", ".", ",") and can_drop(clock.rate)
    return f"{text[:8]}{';' if clock.is_drop or says_drop else ':'}{text[9:]}"


def _day(clock: FrameGrid) -> int:
    """Labels of a day."""
    last = f"23:59:59{';' if clock.is_drop else ':'}{int(clock.rate + HALF) - 1:02d}"
    return from_timecode(last, clock.rate) + 1


def _start_label(
    film: Mapping[str, Any], rate: Fraction, is_drop: bool | None
) -> tuple[int, bool, str | None]:
    """Number of the first label, whether labels are dropped, and what was wrong with the label."""
    text = (film["start_timecode"] or "").strip()
    if text:
        try:
            return from_timecode(text, rate), text[8] != ":", None
        except ValueError:
            note = (
                f"the film's start timecode {text} does not exist at "
                f"{rate_text(rate)}; 0 is used instead"
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


def _conformed(grid: FrameGrid, told: Fraction, shot: pl.DataFrame) -> str | None:
    """What is done where times do not follow the rate; None where they do."""
    pairs = shot.select("start_pts", "first_frame_index").iter_rows()
    off = max(abs(frame_number(grid, pts) - index) for pts, index in pairs)
    if told == grid.rate and off <= SLACK:
        return None
    return (
        f"variable frame rate or missing frames ({float(told):.6g} fps on average): conformed to "
        f"{rate_text(grid.rate)}; each cut is moved to the nearest frame at that rate"
    )
