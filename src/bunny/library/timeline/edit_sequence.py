"""Edit sequence of a timeline: chosen shots as clips with handles, and their markers.

Markers name the characters of a shot, search matches, training pictures and notes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from bunny.caption import shot_caption
from bunny.core.config import TimelineConfig
from bunny.core.error import UserError
from bunny.library.timeline import clip as cuts
from bunny.library.timeline import select_shots, timecode
from bunny.library.timeline.clip import Clip, EditSequence, Marker, Media
from bunny.library.timeline.timecode import FrameGrid

WHO, TRAINING, MATCH, NOTE = "BLUE", "GREEN", "YELLOW", "RED"  # colours
NOBODY = "no known character"
CAPTION_MAX = 120  # characters of a caption in a marker
Find = Callable[[str, str], pl.DataFrame]  # words, film_id: shots with score, matched_s, why


@dataclass(frozen=True, kw_only=True)
class SequenceOptions:
    """Options of one sequence; what holds for all is section `timeline`."""

    what: str  # which shots, see `select_shots.parse`
    form: str = "edl"  # format that is written: EDL has shorter reel names
    order: str = "film"  # or "score": the best match first
    has_markers: bool = True
    is_drop: bool | None = None  # drop-frame labels for a film without a timecode; None: no
    start: str = cuts.RECORD_START  # timecode at which the sequence begins


def make_sequence(
    film: Mapping[str, Any],
    tables: Mapping[str, pl.DataFrame],
    setting: TimelineConfig,
    wanted: SequenceOptions,
    find: Find | None = None,
) -> EditSequence:
    """Some shots of a film as an edit sequence.

    Parameters
    ----------
    film : mapping
        Its row of table `film`.
    tables : mapping
        Tables shot, frame, extra_frame, quality, caption, dataset, asset, cluster and label (the
        corrected one if there is one).
    find : callable or None
        The library's search, for ``search:words``.

    Raises
    ------
    UserError
        For shots or a start that cannot be.
    """
    timing = timecode.read_grid(film, tables["shot"], wanted.is_drop)
    kind, value = select_shots.parse(wanted.what)
    chosen = (
        _search(find, value, film["film_id"])
        if kind == "search"
        else select_shots.choose_shots(kind, value, tables)
    )
    if chosen.is_empty():
        raise UserError(f"--what {wanted.what}: expected shots, found none; choose others")
    shots = tables["shot"].join(chosen, on="shot_index", maintain_order="left")
    marks = {}
    if wanted.has_markers:
        marks = _markers(timing, shots, tables, value if kind == "dataset" else "")
    handles = setting.handle_frames
    clips = cuts.order_clips(
        [_clip(timing, row, handles, marks) for row in shots.to_dicts()], wanted.order
    )
    if wanted.has_markers and timing.notes:  # how the film's timing was adjusted
        text = "; ".join(timing.notes)
        note = Marker(frame=clips[0].first, name="note", text=text, color=NOTE)
        clips = (replace(clips[0], markers=(note, *clips[0].markers)), *clips[1:])
    longest = cuts.EDL_REEL_MAX if wanted.form == "edl" else cuts.REEL_MAX
    return EditSequence(
        name=wanted.what,
        media=_media(setting, film, timing, longest),
        clips=clips,
        record_start=_record_start(timing, wanted.start),
    )


def _who_markers(
    timing: FrameGrid, shots: pl.DataFrame, tables: Mapping[str, pl.DataFrame]
) -> dict[int, Marker]:
    """One marker a shot, at its first frame: who is in it, and its caption and sharpness."""
    people = _by_shot(
        tables["label"]
        .drop_nulls("character")
        .group_by("shot_index")
        .agg(pl.col("character").unique().sort().alias("value"))
    )
    words = shot_caption.newest(tables["caption"], tables["frame"])
    sharp = _by_shot(
        tables["frame"]
        .join(tables["quality"].select("frame_id", "blur_score"), on="frame_id")
        .group_by("shot_index")
        .agg(value=pl.col("blur_score").max())
    )
    found = {}
    for row in shots.select("shot_index", "start_pts").iter_rows(named=True):
        index = row["shot_index"]
        best = sharp.get(index)
        text = [words.get(index, "")[:CAPTION_MAX], "" if best is None else f"sharpness {best:.2f}"]
        found[index] = Marker(
            frame=timecode.frame_number(timing, row["start_pts"]),
            name=", ".join(people.get(index) or [NOBODY]),
            text="; ".join(t for t in text if t),
            color=WHO,
        )
    return found


def _training_markers(
    timing: FrameGrid, tables: Mapping[str, pl.DataFrame], character: str = ""
) -> dict[int, list[Marker]]:
    """One marker a training picture, at the frame that it was cut from, named by its image_id."""
    pictures = tables["dataset"]
    if character:
        pictures = pictures.filter(pl.col("character").str.to_lowercase() == character.lower())
    pts = pl.concat([tables[n].select("frame_id", "pts") for n in ("frame", "extra_frame")])
    rows = pictures.join(pts.unique("frame_id"), on="frame_id").sort("pts", "image_id")
    found: dict[int, list[Marker]] = {}
    for row in rows.iter_rows(named=True):
        found.setdefault(row["shot_index"], []).append(
            Marker(
                frame=timecode.frame_number(timing, row["pts"]),
                name=row["image_id"],
                text=f"training picture of {row['character']} ({row['split']})",
                color=TRAINING,
                image_id=row["image_id"],
            )
        )
    return found


def _match_marker(timing: FrameGrid, row: Mapping[str, Any]) -> Marker | None:
    """Marker at the frame that a search matched; None where a shot is meant as a whole."""
    if row["matched_s"] is None:
        return None
    first_s = float(timing.first_pts * timing.time_base)
    return Marker(
        frame=timecode.frame_at_second(
            timing, row["matched_s"] - first_s + float(1 / timing.rate) / 2
        ),
        name="match" if row["score"] is None else f"match {row['score']:.2f}",
        text=row["why"] or "",
        color=MATCH,
    )


def _by_shot(table: pl.DataFrame) -> dict[int, Any]:
    return dict(zip(table["shot_index"].to_list(), table["value"].to_list(), strict=True))


def _markers(
    timing: FrameGrid, shots: pl.DataFrame, tables: Mapping[str, pl.DataFrame], character: str
) -> dict[int, list[Marker]]:
    """All markers of each shot, in order of time."""
    who = _who_markers(timing, shots, tables)
    training = _training_markers(timing, tables, character)
    found = {}
    for row in shots.iter_rows(named=True):
        index = row["shot_index"]
        match = _match_marker(timing, row)
        found[index] = [who[index], *([match] if match else []), *training.get(index, [])]
    return found


def _clip(
    timing: FrameGrid, row: Mapping[str, Any], handles: int, marks: Mapping[int, list[Marker]]
) -> Clip:
    """One shot with handles; markers that lie outside are left out."""
    first, end = cuts.shot_frames(timing, row["start_pts"], row["end_pts"], handles)
    inside = (m for m in marks.get(row["shot_index"], ()) if first <= m.frame < end)
    return Clip(
        shot_index=row["shot_index"],
        first=first,
        end=end,
        markers=tuple(sorted(inside, key=lambda m: m.frame)),
        score=row["score"],
    )


def _media(
    setting: TimelineConfig, film: Mapping[str, Any], timing: FrameGrid, longest: int
) -> Media:
    path = cuts.media_path(setting.media_path, film["path"])
    return Media(
        film_id=film["film_id"],
        path=path,
        reel=cuts.choose_reel(setting.reel, path, longest),
        width_px=film["width_px"],
        height_px=film["height_px"],
        has_audio=film["has_audio"],
        clock=timing,
    )


def _search(find: Find | None, words: str, film_id: str) -> pl.DataFrame:
    """Shots that match words, best first."""
    if find is None:
        raise UserError(
            "--what search: search is not available here; give shot numbers, e.g. shots:3,7,12"
        )
    shots = find(words, film_id)
    if shots.is_empty():
        raise UserError(
            f'--what search: expected shots that match "{words}", found none in '
            f"{film_id}; try other words"
        )
    return shots.select(
        pl.col(name).cast(dtype, strict=False) for name, dtype in select_shots.CHOSEN.items()
    ).unique("shot_index", keep="first", maintain_order=True)


def _record_start(timing: FrameGrid, text: str) -> int:
    try:
        return timecode.from_record_timecode(timing, text)
    except ValueError as error:
        raise UserError(f"--start: {error}; e.g. {cuts.RECORD_START}") from error
