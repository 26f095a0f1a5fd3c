"""SMPTE timecode: a label of a frame, made from its number and the film's rational rate.

It is derived when it is shown, never stored: the number is exact, the label counts whole frames.
Own, because it is short and exact: the package `timecode` rounds rates to two decimals,
OpenTimelineIO's opentime computes in doubles, `scenedetect` knows no drop-frame. It stands beside
the domains since films, searches and timelines all show it.
"""

import re
from fractions import Fraction
from functools import lru_cache

NTSC = Fraction(1000, 1001)  # of 30: 29.97
DROP_PER_MINUTE = {30: 2, 60: 4}  # labels left out, but each tenth minute; SMPTE ST 12-1
HOURS = 24  # after which labels begin anew
FORM = re.compile(r"(\d{2}):(\d{2}):(\d{2})([:;.,])(\d{2,3})")


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
        raise ValueError(f"expected a frame number of 0 or more, got {frame_number}")
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
        raise ValueError(f"expected a timecode as 01:02:03:04 or 01:02:03;04, got {text!r}")
    hours, minutes, seconds, frame = (int(found[i]) for i in (1, 2, 3, 5))
    is_drop = found[4] != ":"
    nominal, dropped = _counting(rate, is_drop)
    is_dropped = seconds == 0 and frame < dropped and minutes % 10
    if hours >= HOURS or minutes > 59 or seconds > 59 or frame >= nominal or is_dropped:
        raise ValueError(f"expected a timecode that occurs at {float(rate):.6g} fps, got {text!r}")
    minutes += 60 * hours
    return (60 * minutes + seconds) * nominal + frame - dropped * (minutes - minutes // 10)


def timecode_of(
    pts: int,
    time_base: Fraction,
    rate: Fraction,
    *,
    start_pts: int = 0,
    start: str | None = None,
    is_drop: bool = False,
) -> str:
    """Label of the moment at which a frame is shown.

    Parameters
    ----------
    pts, start_pts : int
        Times of the frame and of the film's first frame, in units of `time_base`.
    time_base : Fraction
        Seconds.
    rate : Fraction
        Of the timecode. A film of variable rate has none of its own: its frames get the label of
        the nearest frame of this rate, some get the same and some labels are nobody's. In a film
        of constant rate whose times are rounded the nearest is the right one.
    start : str, optional
        Timecode of the first frame (`FilmInfo.timecode`); it then says whether labels are dropped.
    is_drop : bool
        Used without `start`.

    Raises
    ------
    ValueError
        As `to_timecode` and `from_timecode`; if the frame lies before 00:00:00:00.
    """
    first = from_timecode(start, rate) if start else 0
    is_drop = FORM.fullmatch(start.strip())[4] != ":" if start else is_drop
    number = ((pts - start_pts) * time_base * rate + Fraction(1, 2)) // 1
    return to_timecode(first + number, rate, is_drop)


@lru_cache(maxsize=64)
def _counting(rate: Fraction, is_drop: bool) -> tuple[int, int]:
    """Frames that a second's labels count, and labels dropped a minute."""
    nominal = int(rate + Fraction(1, 2))
    if nominal < 1 or rate not in (nominal, nominal * NTSC):
        raise ValueError(f"expected a whole rate, or one times 1000/1001, got {rate}")
    if not is_drop:
        return nominal, 0
    if rate == nominal or nominal not in DROP_PER_MINUTE:
        raise ValueError(f"expected 30000/1001 or 60000/1001 for drop-frame, got {rate}")
    return nominal, DROP_PER_MINUTE[nominal]
