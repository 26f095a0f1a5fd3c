"""Timelines read back: EDL, FCP 7 XML, FCPXML and OTIO, as clips of a film.

Only what leads back is read: which part of which file a clip shows, and what our own comments say.
Any of the four forms is read without OpenTimelineIO, in exact fractions: its adapter for Final Cut
Pro X cuts 23.976 to 23 frames a second, and its EDL reader does not know the ";" of locators.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

from bunny.core.error import UserError
from bunny.library.timeline.clip import file_name

EVENT = re.compile(
    r"^\d+\s+(\S+)\s+(?:V\d*|AA?/V|B)\s+\S+\s+(?:\d+\s+)?"
    r"(\d\d:\d\d:\d\d[:;.,]\d\d)\s+(\d\d:\d\d:\d\d[:;.,]\d\d)\s"
)
OWN = re.compile(r"bunny shot:\s*(\S+)\s+(\d+)", re.IGNORECASE)
COMMENT = re.compile(r"^\*?\s*(FROM CLIP NAME|SOURCE FILE|FROM FILE):\s*(.+?)\s*$", re.IGNORECASE)
LARGEST = 64 << 20  # bytes

Found = TypeVar("Found")


@dataclass(frozen=True, kw_only=True)
class ReadClip:
    """A clip's part of a file: labels, or seconds from the file's first picture; half-open."""

    number: int  # from 1, as editors count events
    file: str  # name of the file it shows; empty when it is not said
    film_id: str = ""  # of a timeline of ours
    labels: tuple[str, str] | None = None  # source timecode
    seconds: tuple[Fraction, Fraction] | None = None


def read_clips(path: Path) -> list[ReadClip]:
    """Clips of an EDL, FCP 7 XML, FCPX XML or OTIO file, in the order of the file.

    Raises
    ------
    UserError
        If there is no such file, or it is none of the four or damaged.
    """
    if not path.is_file():
        raise UserError(f"{path}: timeline file not found; check the path")
    if path.stat().st_size > LARGEST:
        raise UserError(f"{path}: expected a timeline of at most 64 MiB; is this the film itself?")
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    try:
        return list(_clips(text, path))
    except (ElementTree.ParseError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path}: expected an EDL, FCP 7 XML, FCPX XML or OTIO timeline, could not read it "
            f"({type(error).__name__}: {error}); export it again"
        ) from error


def _clips(text: str, path: Path) -> Iterator[ReadClip]:
    """By what the text begins with, not by the file's name."""
    begin = text.lstrip()[:1]
    if begin == "{":
        return _from_otio(json.loads(text))
    if begin != "<":
        return _from_edl(text, path)
    root = ElementTree.fromstring(text)
    if root.tag == "fcpxml":
        return _from_fcpx(root)
    if root.tag == "xmeml":
        return _from_fcp7(root)
    raise ValueError(f"its root is <{root.tag}>")


def _from_edl(text: str, path: Path) -> Iterator[ReadClip]:
    """Events with what the comments below them say."""
    found: list[ReadClip] = []
    for line in text.splitlines():
        if event := EVENT.match(line):
            labels = (event[2], event[3])
            found.append(ReadClip(number=len(found) + 1, file="", labels=labels))
        elif found and (own := OWN.search(line)):
            found[-1] = replace(found[-1], film_id=own[1])
        elif found and (said := COMMENT.match(line)):
            is_name = said[1].upper() == "FROM CLIP NAME"
            if not (is_name and found[-1].file):
                found[-1] = replace(found[-1], file=file_name(said[2]))
    if not found:
        raise UserError(f"{path}: expected EDL events, found none; give a timeline file")
    return iter(found)


def _from_fcp7(root: ElementTree.Element) -> Iterator[ReadClip]:
    """Clip items of the first sequence; a file is described once and named by id afterwards."""
    files = {f.get("id"): f for f in root.iter("file") if f.find("pathurl") is not None}
    for number, clip in enumerate(root.iter("clipitem"), 1):
        file = clip.find("file")
        file = files.get(file.get("id"), file) if file is not None else None
        url = file.findtext("pathurl", "") if file is not None else ""
        rate = _fcp7_rate(_required(clip.find("rate"), "rate"))
        own = OWN.search(clip.findtext("logginginfo/description", ""))
        begin, end = (Fraction(_required(clip.findtext(tag), tag)) / rate for tag in ("in", "out"))
        yield ReadClip(
            number=number,
            file=_url_name(url) or clip.findtext("name", ""),
            film_id=own[1] if own else "",
            seconds=(begin, end),
        )


def _fcp7_rate(element: ElementTree.Element) -> Fraction:
    """Frames per second of a `rate`."""
    is_ntsc = element.findtext("ntsc", "FALSE").strip().upper() == "TRUE"
    timebase = Fraction(_required(element.findtext("timebase"), "timebase"))
    return timebase * (Fraction(1000, 1001) if is_ntsc else 1)


def _from_fcpx(root: ElementTree.Element) -> Iterator[ReadClip]:
    """Clips of the primary storyline; seconds count from the asset's start."""
    assets = {a.get("id"): a for a in root.iter("asset")}
    spine = root.find(".//sequence/spine")
    clips = [] if spine is None else [c for c in spine if c.tag in ("asset-clip", "clip", "video")]
    for number, clip in enumerate(clips, 1):
        inner = clip if clip.get("ref") else clip.find("video")
        asset = assets[_required(inner, "video").get("ref")]
        own = OWN.search(clip.findtext("note", ""))
        begin = _seconds(clip.get("start", asset.get("start", "0s")))
        begin -= _seconds(asset.get("start", "0s"))
        source = asset.get("src") or _required(asset.find("media-rep"), "media-rep").get("src")
        yield ReadClip(
            number=number,
            file=_url_name(_required(source, "src")),
            film_id=own[1] if own else "",
            seconds=(begin, begin + _seconds(_required(clip.get("duration"), "duration"))),
        )


def _seconds(text: str) -> Fraction:
    """Final Cut Pro X's time, e.g. ``1001/24000s``."""
    return Fraction(text.removesuffix("s"))


def _from_otio(data: object) -> Iterator[ReadClip]:
    """Clips wherever they stand in OpenTimelineIO's JSON."""
    for number, clip in enumerate(_otio_clips(data), 1):
        media = clip.get("media_reference") or {}
        key = clip.get("active_media_reference_key", "DEFAULT_MEDIA")
        media = (clip.get("media_references") or {}).get(key) or media
        available = media.get("available_range")
        part = _required(clip.get("source_range") or available, "source_range")
        begin = _otio_time(part["start_time"])
        first = _otio_time(available["start_time"]) if available else Fraction(0)
        yield ReadClip(
            number=number,
            file=_url_name(media.get("target_url") or "") or clip.get("name") or "",
            film_id=clip.get("metadata", {}).get("bunny", {}).get("film_id", ""),
            seconds=(begin - first, begin - first + _otio_time(part["duration"])),
        )


def _otio_clips(node: object) -> Iterator[dict[str, Any]]:
    """Depth first, in order."""
    if isinstance(node, dict) and str(node.get("OTIO_SCHEMA", "")).startswith("Clip."):
        yield node
    elif isinstance(node, dict):
        for value in (node.get("tracks"), node.get("children")):
            yield from _otio_clips(value)
    elif isinstance(node, list):
        for value in node:
            yield from _otio_clips(value)


def _otio_time(node: dict[str, Any]) -> Fraction:
    """Seconds; a rate near an NTSC one is that."""
    rate = Fraction(node["rate"])
    nominal = round(rate * Fraction(1001, 1000))
    ntsc = Fraction(nominal * 1000, 1001)
    is_ntsc = rate.denominator != 1 and nominal and abs(rate / ntsc - 1) < Fraction(1, 5000)
    return Fraction(node["value"]) / (ntsc if is_ntsc else rate)


def _required(found: Found | None, name: str) -> Found:
    """A part that a clip has to have.

    Raises
    ------
    ValueError
        If it is absent.
    """
    if found is None:
        raise ValueError(f"expected {name}, found none")
    return found


def _url_name(url: str) -> str:
    """Name of the file that a URL or path means."""
    if "://" not in url and not url.startswith("file:"):
        return file_name(url) if url else ""
    path = unquote(urlsplit(url).path)
    return file_name(path) if path.strip("/") else ""
