"""Location of frames and training pictures in the film, and the answers of `bunny where`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import polars as pl

from bunny.core import file_hash
from bunny.core.error import UserError
from bunny.library.timeline import export_record as timeline_written
from bunny.library.timeline import read, timecode
from bunny.library.timeline.clip import file_name
from bunny.library.timeline.export_record import TimelineRecord
from bunny.library.timeline.timecode import FrameGrid
from bunny.table import store
from bunny.table.box import BOX, CROP

PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp"})
SHOWN = 12  # places that the text lists
CLIP = re.compile(r"(?P<file>.+)#(?P<number>\d+)")
FEW = 24  # answers up to which exports are searched for copies


@dataclass(frozen=True, kw_only=True)
class SourceFilm:
    """One film, as far as locating a picture in it needs.

    `tables` has frame (extra frames included), shot, dataset, label (the corrected one if there is
    one), caption, picture, evaluation_picture, adapter, training_run.
    """

    root: Path  # the film's folder
    film: Mapping[str, Any]
    timing: FrameGrid
    tables: Mapping[str, pl.DataFrame]
    timelines: Sequence[TimelineRecord] = ()


class ShowingTimeline(TypedDict):
    """An exported timeline that shows a frame."""

    file: str
    clips: list[int]  # from 1
    is_there: bool


class Place(TypedDict):
    """Place in a film, and what is known of it; one of the places of `bunny where --json`.

    The keys that may be missing are of training pictures, `end_second` of clips.
    """

    film_id: str
    film: str  # path
    shot_index: int
    frame_index: int
    frame_id: str
    timecode: str
    second: float  # the film's own time
    frame: int  # on the editor's grid
    file: str | None  # the stored picture or clip
    labels: list[str]  # who is seen in it
    caption: str | None
    timelines: list[ShowingTimeline]
    character: NotRequired[str]
    split: NotRequired[str]
    box: NotRequired[list[float]]  # the crop in the film's picture as shown, pixels
    image_id: NotRequired[str]
    role: NotRequired[str]
    exports: NotRequired[list[str]]  # files of exported sets with the same content
    end_second: NotRequired[float]


class ShotSpan(TypedDict):
    """Span of a shot on the editor's grid."""

    shot_index: int
    first: int
    end: int


def all_frames(frame: pl.DataFrame, extra: pl.DataFrame) -> pl.DataFrame:
    """Kept frames and those that detection looked at besides; a kept one wins."""
    both = pl.concat([frame, extra.select(frame.columns)], how="vertical_relaxed")
    return both.unique("frame_id", keep="first", maintain_order=True)


def locate_frame(source: SourceFilm, frame_id: str) -> Place | None:
    """Locate a frame in its film; None for a frame that the film does not have."""
    rows = source.tables["frame"].filter(frame_id=frame_id).to_dicts()
    if not rows:
        return None
    row = rows[0]
    number = timecode.frame_number(source.timing, row["pts"])
    who = source.tables["label"].filter(frame_id=frame_id).drop_nulls("character")
    return {
        "film_id": source.film["film_id"],
        "film": source.film["path"],
        "shot_index": row["shot_index"],
        "frame_index": row["frame_index"],
        "frame_id": frame_id,
        "timecode": timecode.source_timecode(source.timing, number),
        "second": row["timestamp_s"],
        "frame": number,
        "file": row["file"],
        "labels": who["character"].unique().sort().to_list(),
        "caption": _caption(source, frame_id),
        "timelines": _timelines(source, number),
    }


def locate_dropped_frame(source: SourceFilm, frame_id: str) -> Place | None:
    """Locate a frame that was kept once by its number in the film; None outside the film."""
    film_id, _, index = frame_id.rpartition("-")
    if film_id != source.film["film_id"] or not index.isdigit():
        return None
    change = store.read_or_empty(source.root / "table", "change")
    rows = change.filter(frame_index=int(index)).select("pts", "timestamp_s").rows()
    if not rows:
        return None
    number = timecode.frame_number(source.timing, rows[0][0])
    shot = shot_at(source, number)
    return {
        "film_id": film_id,
        "film": source.film["path"],
        "shot_index": shot["shot_index"] if shot else 0,
        "frame_index": int(index),
        "frame_id": frame_id,
        "timecode": timecode.source_timecode(source.timing, number),
        "second": rows[0][1],
        "frame": number,
        "file": None,
        "labels": [],
        "caption": None,
        "timelines": _timelines(source, number),
    }


def locate_picture(source: SourceFilm, image_id: str) -> Place | None:
    """Locate the source of a training picture; None for one that is not in the film's set."""
    rows = source.tables["dataset"].filter(image_id=image_id).to_dicts()
    place = locate_frame(source, rows[0]["frame_id"]) if rows else None
    if place is None:
        return None
    row = rows[0]
    frame = source.tables["frame"].filter(frame_id=row["frame_id"]).row(0, named=True)
    return {
        **place,
        "image_id": image_id,
        "file": row["file"],
        "caption": row["caption"],
        "character": row["character"],
        "split": row["split"],
        "role": row["role"] or "subject",
        "box": film_box(frame, [row[c] for c in BOX]),
    }


def locate_clip(source: SourceFilm, clip: Mapping[str, Any]) -> Place:
    """Locate the first frame of a row of table `clip`."""
    number = number_at_second(source.timing, clip["start_s"])
    index = clip["frame_indices"][0]
    return {
        "film_id": source.film["film_id"],
        "film": source.film["path"],
        "shot_index": clip["shot_index"],
        "frame_index": index,
        "frame_id": f"{source.film['film_id']}-{index:08d}",
        "timecode": timecode.source_timecode(source.timing, number),
        "second": clip["start_s"],
        "end_second": clip["end_s"],
        "frame": number,
        "file": clip["file"],
        "labels": sorted({clip["character"], *clip["also_shown"]}),
        "caption": clip["caption"],
        "timelines": _timelines(source, number),
        "character": clip["character"],
        "split": clip["split"],
        "box": [float(clip[column]) for column in CROP],
    }


def film_box(frame: Mapping[str, Any], box: Sequence[float]) -> list[float]:
    """A box of a stored picture in the film's picture, where bars are not cut off.

    Examples
    --------
    A picture of 640x270 that is lines 45 to 585 of 1280x720 stored at half size:
    10, 20, 30, 40 is 20, 85, 60, 125.
    """
    if any(frame[c] is None for c in (*CROP, "width_px", "height_px")):
        return [float(v) for v in box]
    x0, y0, x1, y1 = (frame[c] for c in CROP)
    across, down = (x1 - x0) / frame["width_px"], (y1 - y0) / frame["height_px"]
    shifts, scales = (x0, y0, x0, y0), (across, down, across, down)
    parts = zip(box, scales, shifts, strict=True)
    return [round(v * scale + shift, 2) for v, scale, shift in parts]


def _pictures_between(source: SourceFilm, first: int, end: int) -> list[str]:
    """Training pictures whose frame is in a span of the editor's grid, in film order."""
    pts = source.tables["frame"].select("frame_id", "pts")
    rows = source.tables["dataset"].join(pts, on="frame_id").sort("pts", "image_id")
    pairs = rows.select("image_id", "pts").iter_rows()
    return [i for i, p in pairs if first <= timecode.frame_number(source.timing, p) < end]


def shot_at(source: SourceFilm, number: int) -> ShotSpan | None:
    """The shot that shows a place of the grid, with its span there; None outside the film."""
    for row in source.tables["shot"].iter_rows(named=True):
        first = timecode.frame_number(source.timing, row["start_pts"])
        end = timecode.frame_number(source.timing, row["end_pts"])
        if first <= number < max(end, first + 1):
            return {"shot_index": row["shot_index"], "first": first, "end": max(end, first + 1)}
    return None


def number_at_second(timing: FrameGrid, second: float) -> int:
    """The picture that is shown at a second of the film's own time."""
    begin = timing.first_pts * timing.time_base
    exact = Fraction(second).limit_denominator(10**6)
    return timecode.frame_at_second(timing, exact - begin)


def number_at(source: SourceFilm, when: str) -> int:
    """Place on the editor's grid of a source timecode (``01:00:12:05``) or a second (``12.5s``).

    Raises
    ------
    UserError
        If the film has no such timecode.
    """
    if ":" not in when:
        return number_at_second(source.timing, float(when.removesuffix("s")))
    try:
        return timecode.from_source_timecode(source.timing, when)
    except ValueError as error:
        raise UserError(f"{when}: {error}") from error


def answer_at(source: SourceFilm, number: int, asked: str) -> LocationAnswer:
    """Training pictures of the shot at a place, those of the nearest frames first.

    Parameters
    ----------
    number : int
        Place on the editor's grid.
    asked : str
        The question as the answer repeats it.

    Raises
    ------
    UserError
        If the place is outside the film.
    """
    shot = shot_at(source, number)
    if shot is None:
        end = timecode.source_timecode(source.timing, source.timing.num_frames - 1)
        raise UserError(
            f"{asked}: expected a time inside {source.film['film_id']}, which runs from "
            f"{timecode.source_timecode(source.timing, 0)} to {end}"
        )
    ids = _pictures_between(source, shot["first"], shot["end"])
    places = [p for i in ids if (p := locate_picture(source, i))]
    places.sort(key=lambda p: abs(p["frame"] - number))
    here = sum(p["frame"] == number for p in places)
    how = (
        f"{source.film['film_id']} shot {shot['shot_index']}, frame {number} of the film "
        f"({timecode.source_timecode(source.timing, number)}); {_count(here)} of this frame, "
        f"{len(places)} of the shot"
    )
    return make_answer(source, asked, how, places)


def answer_clip(clip: str, known: Sequence[SourceFilm]) -> LocationAnswer:
    """Training pictures inside a clip of a timeline.

    Parameters
    ----------
    clip : str
        ``FILE#3``: the third clip of a timeline, from 1.
    known : sequence of SourceFilm
        Films that the clip may show; of equals the last.

    Raises
    ------
    UserError
        If there is no such clip, or it shows none of these films.
    """
    named = CLIP.fullmatch(clip)
    if not named:
        raise UserError(f"--clip: expected FILE#NUMBER, e.g. cut.edl#3, got {clip}; add the number")
    pieces = read.read_clips(Path(named["file"]).expanduser())
    found = [p for p in pieces if p.number == int(named["number"])]
    if not found:
        raise UserError(f"--clip {clip}: expected a clip number from 1 to {len(pieces)}")
    piece = found[0]
    mine = _film_of(piece, known)
    timing = mine.timing
    try:
        first, end = _span(piece, timing)
    except ValueError as error:
        raise UserError(f"--clip {clip}: {error}; does the clip belong to another film?") from error
    ids = _pictures_between(mine, first, end)
    places = [p for i in ids if (p := locate_picture(mine, i))]
    ends = [s for n in (first, end - 1) if (s := shot_at(mine, n))]
    shots = " to ".join(dict.fromkeys(str(s["shot_index"]) for s in ends))
    span = f"{timecode.source_timecode(timing, first)} to {timecode.source_timecode(timing, end)}"
    how = f"{mine.film['film_id']} shot {shots or 'none'}, {span}; {_count(len(places))}"
    return make_answer(mine, clip, how, places)


def _film_of(piece: read.ReadClip, known: Sequence[SourceFilm]) -> SourceFilm:
    """The film that a clip shows: as our comment says, else by the file's name."""
    for one in reversed(known):
        if piece.film_id == one.film["film_id"]:
            return one
    for one in reversed(known):
        if piece.file and piece.file == file_name(one.film["path"]):
            return one
    films = ", ".join(k.film["film_id"] for k in known)
    raise UserError(
        f"expected a clip of a known film ({films}), got {piece.film_id or piece.file}; "
        "give the --data-dir of that film"
    )


def _span(piece: read.ReadClip, timing: timecode.FrameGrid) -> tuple[int, int]:
    """A clip's part on the grid."""
    if piece.labels:
        return timecode.from_source_timecode(
            timing, piece.labels[0]
        ), timecode.from_source_timecode(timing, piece.labels[1])
    if piece.seconds is None:
        raise ValueError(f"clip {piece.number}: expected labels or seconds, found neither")
    first, end = (int(s * timing.rate + timecode.HALF) for s in piece.seconds)
    return first, end


def _count(number: int) -> str:
    return f"{number or 'no'} training picture{'s' * (number != 1)}"


def _caption(source: SourceFilm, frame_id: str) -> str | None:
    """The frame's newest caption."""
    rows = source.tables["caption"].filter(frame_id=frame_id, status="done").drop_nulls("text")
    return rows.sort("version")["text"].to_list()[-1] if len(rows) else None


def _timelines(source: SourceFilm, number: int) -> list[ShowingTimeline]:
    """Timelines that show a frame."""
    found: list[ShowingTimeline] = []
    for written in source.timelines:
        if clips := timeline_written.clips_at(written, number):
            is_there = Path(written.file).exists()
            found.append({"file": written.file, "clips": clips, "is_there": is_there})
    return found


@dataclass(frozen=True, kw_only=True)
class LocationAnswer:
    """Places of the film that belong to what was asked, and how that was found out."""

    asked: str
    how: str
    places: Sequence[Place]

    def to_text(self) -> str:
        """Lines for a person."""
        lines = [f"{self.asked}: {self.how}"]
        for place in self.places[:SHOWN]:
            lines += _lines(place)
        if len(self.places) > SHOWN:
            lines.append(f"  and {len(self.places) - SHOWN} more (--json lists all)")
        return "\n".join(lines)

    def to_json(self) -> str:
        """One JSON object on one line."""
        return json.dumps({"asked": self.asked, "how": self.how, "places": list(self.places)})


def make_answer(
    source: SourceFilm, asked: str, how: str, places: Sequence[Place]
) -> LocationAnswer:
    """An answer of one film; places of training pictures say where exported copies of them lie.

    Parameters
    ----------
    places : sequence of Place
        In order.
    """
    return LocationAnswer(asked=asked, how=how, places=_with_exports(source, list(places)))


def _with_exports(source: SourceFilm, places: list[Place]) -> list[Place]:
    """Places with where copies of their training pictures lie in the film's exported sets."""
    folder = source.root / "export"
    if not folder.is_dir() or len(places) > FEW:
        return places
    copies = [
        (f.as_posix(), f) for f in sorted(folder.rglob("*")) if f.suffix.lower() in PICTURE_SUFFIXES
    ]
    found: list[Place] = []
    for place in places:
        file = source.root / (place["file"] or "")
        is_set = "image_id" in place and file.is_file()
        found.append({**place, "exports": same_content(file, copies) if is_set else []})
    return found


def same_content(path: Path, known: Iterable[tuple[str, Path]]) -> list[str]:
    """Keys of the files that hold the same bytes.

    Parameters
    ----------
    known : iterable of (key, file)
        Missing files are passed over; only those of the same size are read.
    """
    size, mine = path.stat().st_size, ""
    found = []
    for key, file in known:
        try:
            if file.stat().st_size != size:
                continue
            mine = mine or file_hash.hash_file(path)
            if file_hash.hash_file(file) == mine:
                found.append(key)
        except OSError:
            continue
    return found


def _lines(place: Place) -> list[str]:
    """A place for a person."""
    name = place.get("image_id") or place["frame_id"]
    who = f"{place.get('character')} ({place.get('split')})"
    lines = [
        f"  {name}",
        f"    {file_name(place['film'])} shot {place['shot_index']}, frame {place['frame_index']}, "
        f"{place['timecode']}, {place['second']:.3f} s",
    ]
    if "image_id" in place:
        box = " ".join(f"{v:g}" for v in place.get("box", ()))
        lines.append(f"    set of {who}: {place['file']}")
        lines.append(f"    box in the film's picture: {box}")
    elif "end_second" in place:
        span = f"{place['second']:.3f} to {place['end_second']:.3f} s"
        lines.append(f"    clip of {who}: {place['file']}, {span}")
    elif place["file"]:
        lines.append(f"    picture: {place['file']}")
    if place["labels"]:
        lines.append(f"    seen: {', '.join(place['labels'])}")
    if place["caption"]:
        lines.append(f"    caption: {place['caption']}")
    lines += [f"    exported: {file}" for file in place.get("exports", [])]
    for timeline in place["timelines"]:
        clips = ", ".join(f"#{n}" for n in timeline["clips"])
        gone = "" if timeline["is_there"] else " (moved or deleted since)"
        lines.append(f"    timeline: {timeline['file']} {clips}{gone}")
    return lines
