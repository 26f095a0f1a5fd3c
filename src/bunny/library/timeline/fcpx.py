"""Final Cut Pro X XML (FCPXML 1.8), written.

Written here, since OpenTimelineIO's adapter has no frame duration for 23.976 and 59.94 and no
start of a sequence; it also cuts rates to whole numbers when it reads. Times are fractions of a
second, each a whole number of frame durations. The output keeps Apple's FCPXMLv1_8.dtd: elements
stand in its order, and each attribute that it requires is there.
"""

from __future__ import annotations

from fractions import Fraction
from xml.etree import ElementTree

from bunny.library.timeline.clip import Clip, EditSequence, file_url, one_line

VERSION = "1.8"
FORMAT, ASSET = "r1", "r2"  # ids of the two resources
REEL_KEY = "com.apple.proapps.studio.reel"


def to_text(cut: EditSequence) -> str:
    """Write a cut as an FCPXML document.

    Returns
    -------
    str
        With declaration and document type; one asset, one sequence, one `asset-clip` a clip.
    """
    root = ElementTree.Element("fcpxml", version=VERSION)
    _resources(ElementTree.SubElement(root, "resources"), cut)
    event = ElementTree.SubElement(
        ElementTree.SubElement(root, "library"), "event", name=one_line(cut.media.film_id)
    )
    project = ElementTree.SubElement(event, "project", name=one_line(cut.name))
    _sequence(project, cut)
    ElementTree.indent(root)
    body = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE fcpxml>\n{body}\n'


def _time_text(number: int, rate: Fraction) -> str:
    """A number of frames as seconds: ``2002/24000s``, or ``5s`` where they are whole.

    Examples
    --------
    >>> _time_text(2, Fraction(24000, 1001))
    '2002/24000s'
    """
    seconds = number / rate
    if seconds.denominator == 1:
        return f"{seconds.numerator}s"
    return f"{number * rate.denominator}/{rate.numerator}s"


def _resources(parent: ElementTree.Element, cut: EditSequence) -> None:
    """The film and its form."""
    media, timing = cut.media, cut.media.clock
    ElementTree.SubElement(
        parent,
        "format",
        id=FORMAT,
        frameDuration=f"{timing.rate.denominator}/{timing.rate.numerator}s",
        width=str(media.width_px),
        height=str(media.height_px),
    )
    sound = {"hasAudio": "1", "audioSources": "1"} if media.has_audio else {}
    asset = ElementTree.SubElement(
        parent,
        "asset",
        {
            "id": ASSET,
            "name": one_line(media.name),
            "src": file_url(media.path),
            "start": _time_text(timing.start_number, timing.rate),
            "duration": _time_text(timing.num_frames, timing.rate),
            "hasVideo": "1",
            "format": FORMAT,
            **sound,
        },
    )
    _metadata(asset, media.reel)


def _sequence(project: ElementTree.Element, cut: EditSequence) -> None:
    """The clips, one after the other."""
    timing = cut.media.clock
    sequence = ElementTree.SubElement(
        project,
        "sequence",
        format=FORMAT,
        duration=_time_text(cut.length, timing.rate),
        tcStart=_time_text(cut.record_start, timing.rate),
        tcFormat=_counting(cut),
    )
    if timing.notes:
        ElementTree.SubElement(sequence, "note").text = one_line("; ".join(timing.notes))
    spine = ElementTree.SubElement(sequence, "spine")
    for clip, at in zip(cut.clips, cut.records(), strict=True):
        _clip(spine, cut, clip, at)


def _clip(spine: ElementTree.Element, cut: EditSequence, clip: Clip, at: int) -> None:
    """One clip with its markers; their times are of the film, as the clip's own start."""
    media, timing = cut.media, cut.media.clock
    element = ElementTree.SubElement(
        spine,
        "asset-clip",
        ref=ASSET,
        name=f"{one_line(media.name)} shot {clip.shot_index}",
        offset=_time_text(at, timing.rate),
        start=_time_text(timing.start_number + clip.first, timing.rate),
        duration=_time_text(clip.length, timing.rate),
        format=FORMAT,
        tcFormat=_counting(cut),
    )
    ElementTree.SubElement(element, "note").text = f"bunny shot: {media.film_id} {clip.shot_index}"
    for marker in clip.markers:
        ElementTree.SubElement(
            element,
            "marker",
            start=_time_text(timing.start_number + marker.frame, timing.rate),
            duration=_time_text(1, timing.rate),
            value=one_line(marker.name),
            note=one_line(marker.text),
        )
    _metadata(element, media.reel)


def _metadata(parent: ElementTree.Element, reel: str) -> None:
    """The reel, where Final Cut Pro X shows it."""
    held = ElementTree.SubElement(parent, "metadata")
    ElementTree.SubElement(held, "md", key=REEL_KEY, value=reel)


def _counting(cut: EditSequence) -> str:
    return "DF" if cut.media.clock.is_drop else "NDF"
