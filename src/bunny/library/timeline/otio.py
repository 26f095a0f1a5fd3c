"""OpenTimelineIO timelines, and Final Cut Pro 7 XML through its adapter.

The adapter writes that form well once told what it cannot know: drop-frame, the picture's size
(Premiere wants it for the sequence), reels, what a marker says. Its markers count from the file's
first frame, as the form asks; OpenTimelineIO's own count from the source timecode.
"""

from __future__ import annotations

from fractions import Fraction
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

from bunny.core.error import UserError
from bunny.library.timeline import timecode
from bunny.library.timeline.clip import Clip, EditSequence, Marker, file_url, one_line

FCP7 = "fcp_xml"  # name of the adapter, and of its part of the metadata
EXTRA = "pip install 'diffusion-bunny[timeline]'"


def to_otio(cut: EditSequence) -> str:
    """Write a cut as an .otio file's JSON.

    Raises
    ------
    UserError
        Without OpenTimelineIO.
    """
    otio = _package("otio_json")
    return otio.adapters.write_to_string(_timeline(otio, cut), "otio_json")


def to_fcp7(cut: EditSequence) -> str:
    """Write a cut as Final Cut Pro 7 XML, which Premiere and Resolve read.

    Raises
    ------
    UserError
        Without OpenTimelineIO and its adapter; for a rate that editors have no timecode of.
    """
    otio = _package(FCP7)
    timing = cut.media.clock
    if timing.rate not in timecode.EDITOR_RATES:
        raise UserError(
            f"fcp7: expected one of the rates {', '.join(map(_plain, timecode.EDITOR_RATES))} fps, "
            f"got {timecode.rate_text(timing.rate)}; choose --format fcpx, otio or edl"
        )
    text = otio.adapters.write_to_string(_timeline(otio, cut, is_fcp7=True), FCP7)
    return _mended(text, timing.num_frames)


def _timeline(otio: ModuleType, cut: EditSequence, *, is_fcp7: bool = False) -> object:
    """The cut as OpenTimelineIO's objects; see `_marker` for what differs for the adapter."""
    time, rate = otio.opentime.RationalTime, float(cut.media.clock.rate)
    timeline = otio.schema.Timeline(
        name=one_line(cut.name), global_start_time=time(cut.record_start, rate)
    )
    timeline.metadata["bunny"] = _own(cut)
    track = otio.schema.Track(name="V1", kind=otio.schema.TrackKind.Video)
    for clip in cut.clips:
        track.append(_clip(otio, cut, clip, is_fcp7=is_fcp7))
    timeline.tracks.append(track)
    if is_fcp7:
        timeline.metadata[FCP7] = {"timecode": _timecode(cut), "media": _picture(cut)}
    return timeline


def _clip(otio: ModuleType, cut: EditSequence, clip: Clip, *, is_fcp7: bool) -> object:
    """One clip: source range in source timecode, the whole film as what is available."""
    media, timing = cut.media, cut.media.clock
    rate = float(timing.rate)

    def span(first: int, length: int) -> object:
        time = otio.opentime.RationalTime
        return otio.opentime.TimeRange(time(first, rate), time(length, rate))

    reference = otio.schema.ExternalReference(
        target_url=file_url(media.path, "localhost" if is_fcp7 else ""),
        available_range=span(timing.start_number, timing.num_frames),
    )
    reference.name = media.name
    made = otio.schema.Clip(
        name=f"{one_line(media.name)} shot {clip.shot_index}",
        media_reference=reference,
        source_range=span(timing.start_number + clip.first, clip.length),
    )
    made.metadata["bunny"] = {"film_id": media.film_id, "shot_index": clip.shot_index}
    made.metadata["cmx_3600"] = {"reel": media.reel}
    if is_fcp7:
        about = f"bunny shot: {media.film_id} {clip.shot_index}"
        made.metadata[FCP7] = {"logginginfo": {"description": about}}
        reference.metadata[FCP7] = {
            "timecode": _timecode(cut),
            "media": _picture(cut, is_file=True),
        }
    origin = 0 if is_fcp7 else timing.start_number
    made.markers.extend(
        _marker(otio, m, span(origin + m.frame, 1), is_fcp7=is_fcp7) for m in clip.markers
    )
    return made


def _marker(otio: ModuleType, marker: Marker, where: object, *, is_fcp7: bool) -> object:
    """One marker."""
    made = otio.schema.Marker(name=one_line(marker.name), marked_range=where, color=marker.color)
    made.comment = one_line(marker.text)
    if marker.image_id:
        made.metadata["bunny"] = {"image_id": marker.image_id}
    if is_fcp7:
        made.metadata[FCP7] = {"comment": one_line(marker.text)}
    return made


def _mended(text: str, num_frames: int) -> str:
    """The adapter's text with one rate a clip, and as its duration the whole file's, as asked."""
    root = ElementTree.fromstring(text)
    for clip in root.iter("clipitem"):
        for second in clip.findall("rate")[1:]:
            clip.remove(second)
        if (duration := clip.find("duration")) is not None:
            duration.text = str(num_frames)
    ElementTree.indent(root)
    body = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE xmeml>\n{body}\n'


def _own(cut: EditSequence) -> dict[str, Any]:
    """What our own reader wants exactly."""
    timing = cut.media.clock
    return {
        "film_id": cut.media.film_id,
        "rate": f"{timing.rate.numerator}/{timing.rate.denominator}",
        "is_drop": timing.is_drop,
        "notes": list(timing.notes),
    }


def _timecode(cut: EditSequence) -> dict[str, Any]:
    """How the adapter is told of drop-frame and reel."""
    return {
        "displayformat": "DF" if cut.media.clock.is_drop else "NDF",
        "reel": {"name": cut.media.reel},
    }


def _picture(cut: EditSequence, *, is_file: bool = False) -> dict[str, Any]:
    """Size and rate of the pictures; of the file also whether it has sound."""
    rate = cut.media.clock.rate
    samples = {
        "rate": {
            "timebase": str(round(rate)),
            "ntsc": "FALSE" if rate.denominator == 1 else "TRUE",
        },
        "width": str(cut.media.width_px),
        "height": str(cut.media.height_px),
        "pixelaspectratio": "square",
    }
    if not is_file:
        return {"video": {"format": {"samplecharacteristics": samples}}}
    sound = {"audio": {"channelcount": "2"}} if cut.media.has_audio else {}
    return {"video": {"samplecharacteristics": samples}, **sound}


def _plain(rate: Fraction | int) -> str:
    return f"{round(float(rate), 3):g}"


def _package(adapter: str) -> ModuleType:
    """OpenTimelineIO with an adapter, or one sentence that names the extra."""
    try:
        import opentimelineio

        try:
            opentimelineio.adapters.from_name(adapter)
        except opentimelineio.exceptions.NotSupportedError as error:
            raise UserError(
                f"this format needs the OpenTimelineIO adapter {adapter}, which is not "
                f"installed; {EXTRA}, or choose --format edl or fcpx"
            ) from error
    except ImportError as error:
        raise UserError(
            f"this format needs OpenTimelineIO, which is not installed; {EXTRA}, or "
            "choose --format edl or fcpx"
        ) from error
    return opentimelineio
