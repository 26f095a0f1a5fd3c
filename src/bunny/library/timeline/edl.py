"""CMX 3600 edit decision lists, written.

Written here, since OpenTimelineIO's adapter names no FCM, begins every record at 0, drops labels
whenever the rate allows it, and leaves markers out. It reads ours back (`test/library/timeline`),
but for markers of drop-frame lists, whose ";" it does not know. Markers are Avid's locators.
"""

from __future__ import annotations

from bunny.core.error import UserError
from bunny.library.timeline import timecode
from bunny.library.timeline.clip import Clip, EditSequence, one_line

MAX_EVENTS = 999  # CMX 3600: event numbers have three digits
MAX_RATE = 100  # frames of a label have two digits
TEXT_MAX = 200  # characters of a comment


def to_text(cut: EditSequence) -> str:
    """Write a cut as an EDL.

    Parameters
    ----------
    cut : EditSequence
        Its reel has at most 8 characters.

    Returns
    -------
    str
        One event a clip: ``* FROM CLIP NAME`` is the film's file, ``* SOURCE FILE`` its path,
        ``* BUNNY SHOT`` the film and shot it is, ``* LOC`` its markers at record time.

    Raises
    ------
    UserError
        For more events than an EDL numbers, or a rate whose labels it cannot hold.
    """
    timing = cut.media.clock
    if len(cut.clips) > MAX_EVENTS:
        raise UserError(
            f"edl: expected at most {MAX_EVENTS} clips, got {len(cut.clips)}; choose "
            "--format fcp7, fcpx or otio, or export fewer clips"
        )
    if timing.rate > MAX_RATE:
        raise UserError(
            f"edl: expected at most {MAX_RATE} fps, got {timecode.rate_text(timing.rate)}; choose "
            "--format fcpx or otio"
        )
    lines = [
        f"TITLE: {one_line(cut.name, TEXT_MAX)}",
        f"FCM: {'DROP' if timing.is_drop else 'NON-DROP'} FRAME",
        "",
    ]
    said = [  # below the first event: readers refuse comments above it
        f"* RATE: {timecode.rate_text(timing.rate)}",
        *(f"* NOTE: {one_line(note, TEXT_MAX)}" for note in timing.notes),
    ]
    for number, (clip, at) in enumerate(zip(cut.clips, cut.records(), strict=True), 1):
        lines += [*_event(cut, number, clip, at), *said, ""]
        said = []
    return "\n".join(lines) + "\n"


def _event(cut: EditSequence, number: int, clip: Clip, at: int) -> list[str]:
    """The line of an edit and its comments."""
    media, timing = cut.media, cut.media.clock
    times = (
        timecode.source_timecode(timing, clip.first),
        timecode.source_timecode(timing, clip.end),
        timecode.record_timecode(timing, at),
        timecode.record_timecode(timing, at + clip.length),
    )
    return [
        f"{number:03d}  {media.reel:<8} V     C        {' '.join(times)}",
        f"* FROM CLIP NAME: {one_line(media.name, TEXT_MAX)}",
        f"* SOURCE FILE: {one_line(media.path)}",
        f"* BUNNY SHOT: {media.film_id} {clip.shot_index}",
        *(_locator(cut, clip, at, m) for m in clip.markers),
    ]


def _locator(cut: EditSequence, clip: Clip, at: int, marker) -> str:
    """A marker where it is seen in the sequence."""
    when = timecode.record_timecode(cut.media.clock, at + marker.frame - clip.first)
    text = " | ".join(t for t in (marker.name, marker.text) if t)
    return f"* LOC: {when} {marker.color:<8}{one_line(text, TEXT_MAX)}"
