"""`bunny export timeline`: shots as EDL, FCP 7 XML, FCPXML or OpenTimelineIO."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from bunny.command import film_workspace
from bunny.core import atomic
from bunny.core.config import Config
from bunny.core.error import UserError
from bunny.core.workspace import Workspace
from bunny.library.timeline import clip as cuts
from bunny.library.timeline import edl, export_record, fcpx, marker, otio, select_shots, timecode
from bunny.library.timeline.clip import Clip, EditSequence, Marker, Media
from bunny.table import corrected, store

WRITERS: dict[str, Callable[[EditSequence], str]] = {
    "edl": edl.to_text,
    "fcp7": otio.to_fcp7,
    "fcpx": fcpx.to_text,
    "otio": otio.to_otio,
}
SUFFIX = {"edl": ".edl", "fcp7": ".xml", "fcpx": ".fcpxml", "otio": ".otio"}
NAME_MAX = 60  # characters of a file name made from `what`
ORDERS = ("film", "score")
TABLES = ("shot", "frame", "extra_frame", "quality", "caption", "dataset", "asset", "cluster")
Find = Callable[[str, str], pl.DataFrame]  # words, film_id: shots with score, matched_s, why


@dataclass(frozen=True, kw_only=True)
class ExportedTimeline:
    """A timeline that was written."""

    output: Path
    form: str
    cut: EditSequence
    is_film_there: bool  # where the timeline says, as far as this machine sees

    def to_text(self) -> str:
        """Lines for a person."""
        timing, clips = self.cut.media.clock, self.cut.clips
        marked = sum(len(c.markers) for c in clips)
        kind = (
            f" {'drop' if timing.is_drop else 'non-drop'}" if timecode.can_drop(timing.rate) else ""
        )
        lines = [
            f"{self.cut.name}: {len(clips)} clips, {marked} markers, "
            f"{float(self.cut.length / timing.rate):.2f} s at "
            f"{timecode.rate_text(timing.rate)}{kind}"
            f" as {self.form}",
            f"  {self.output}",
            *(f"  note: {note}" for note in timing.notes),
        ]
        if not self.is_film_there:
            place = self.cut.media.path
            lines.append(
                f"  note: no film found at {place}; relink it in the editor, or set "
                "timeline.media_path"
            )
        if self.form == "edl":
            lines.append(
                f"  set the sequence to {timecode.rate_text(timing.rate)} before importing it"
            )
        return "\n".join(lines)

    def to_json(self) -> str:
        """One JSON object on one line."""
        rate = self.cut.media.clock.rate
        return json.dumps(
            {
                "file": str(self.output),
                "format": self.form,
                "film_id": self.cut.media.film_id,
                "rate": f"{rate.numerator}/{rate.denominator}",
                "is_drop_frame": self.cut.media.clock.is_drop,
                "clips": [[c.shot_index, c.first, c.end] for c in self.cut.clips],
                "num_markers": sum(len(c.markers) for c in self.cut.clips),
                "notes": list(self.cut.media.clock.notes),
            }
        )


def export(
    film: str | None,
    what: str,
    output: Path | None = None,
    *,
    form: str | None = None,
    order: str = "film",
    has_markers: bool = True,
    is_drop: bool | None = None,
    start: str = cuts.RECORD_START,
    find: Find | None = None,
    data_dir: str | None = None,
    overrides: Sequence[str] = (),
) -> ExportedTimeline:
    """Write some shots of a film as a timeline.

    Parameters
    ----------
    film : str or None
        A film_id or how it begins; None: the newest.
    what : str
        Which shots, see `choose`.
    output : Path or None
        File to write; None: in `export/timeline` of the film's folder.
    form : str or None
        One of `WRITERS`; None: by the ending of `output`, else edl.
    order : str
        ``film``, or ``score``: the best match first.
    has_markers : bool
    is_drop : bool or None
        Drop-frame labels for a film that names no timecode itself; None: not dropped.
    start : str
        Timecode at which the sequence begins.
    find : callable or None
        The library's search, for ``search:words``.

    Raises
    ------
    UserError
        For a format, order, shots, start or output that cannot be.
    """
    form = _form(form, output)
    if order not in ORDERS:
        raise UserError(f"--order: expected {' or '.join(ORDERS)}, got {order}; choose one")
    space, config = film_workspace.open_film(film, data_dir, overrides)
    place = _output_path(space, output, form, what)
    cut = make_cut(
        space,
        config,
        what,
        form=form,
        order=order,
        has_markers=has_markers,
        is_drop=is_drop,
        start=start,
        find=find,
    )
    atomic.write_bytes(place, WRITERS[form](cut).encode())
    export_record.add(
        space.root,
        export_record.TimelineRecord(
            file=str(place.resolve()),
            form=form,
            what=what,
            time=datetime.now(UTC).isoformat(timespec="seconds"),
            clips=tuple((c.first, c.end) for c in cut.clips),
        ),
    )
    is_there = bool(config.timeline.media_path) or Path(cut.media.path).is_file()
    return ExportedTimeline(output=place, form=form, cut=cut, is_film_there=is_there)


def make_cut(
    space: Workspace,
    config: Config,
    what: str,
    *,
    form: str = "edl",
    order: str = "film",
    has_markers: bool = True,
    is_drop: bool | None = None,
    start: str = cuts.RECORD_START,
    find: Find | None = None,
) -> EditSequence:
    """Some shots of a film as a cut; parameters as of `export`."""
    tables = read_tables(space)
    film = store.read(space.table, "film").row(0, named=True)
    timing = timecode.read_grid(film, tables["shot"], is_drop)
    kind, value = select_shots.parse(what)
    chosen = (
        _search(find, value, space)
        if kind == "search"
        else select_shots.choose_shots(kind, value, tables)
    )
    if chosen.is_empty():
        raise UserError(f"--what {what}: expected shots, found none; choose others")
    shots = tables["shot"].join(chosen, on="shot_index", maintain_order="left")
    marks = {}
    if has_markers:
        marks = _markers(timing, shots, tables, value if kind == "dataset" else "")
    handles = config.timeline.handle_frames
    clips = cuts.order_clips(
        [_clip(timing, row, handles, marks) for row in shots.to_dicts()], order
    )
    if has_markers and (note := marker.note_marker(timing, clips[0].first)):
        first = clips[0]
        clips = (Clip(**{**vars(first), "markers": (note, *first.markers)}), *clips[1:])
    media = _media(config, film, timing, cuts.EDL_REEL_MAX if form == "edl" else cuts.REEL_MAX)
    return EditSequence(
        name=what, media=media, clips=clips, record_start=_record_start(timing, start)
    )


def read_tables(space: Workspace) -> dict[str, pl.DataFrame]:
    """Tables that timelines are made of; `label` as corrected, if it was."""
    tables = {name: store.read_or_empty(space.table, name) for name in TABLES}
    return {**tables, "label": corrected.read_or_empty(space.table, "label")}


def _markers(
    timing: timecode.FrameGrid, shots: pl.DataFrame, tables: dict[str, pl.DataFrame], character: str
) -> dict[int, list[Marker]]:
    """All markers of each shot, in order of time."""
    who = marker.who_markers(timing, shots, tables)
    training = marker.training_markers(timing, tables, character)
    found = {}
    for row in shots.iter_rows(named=True):
        index = row["shot_index"]
        match = marker.match_marker(timing, row)
        found[index] = [who[index], *([match] if match else []), *training.get(index, [])]
    return found


def _clip(
    timing: timecode.FrameGrid, row: dict[str, Any], handles: int, marks: dict[int, list[Marker]]
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


def _media(config: Config, film: dict[str, Any], timing: timecode.FrameGrid, longest: int) -> Media:
    path = cuts.media_path(config.timeline.media_path, film["path"])
    return Media(
        film_id=film["film_id"],
        path=path,
        reel=cuts.choose_reel(config.timeline.reel, path, longest),
        width_px=film["width_px"],
        height_px=film["height_px"],
        has_audio=film["has_audio"],
        clock=timing,
    )


def _search(find: Find | None, words: str, space: Workspace) -> pl.DataFrame:
    """Shots that match words, best first."""
    if find is None:
        raise UserError(
            "--what search: search is not available here; give shot numbers, e.g. shots:3,7,12"
        )
    shots = find(words, space.film_id)
    if shots.is_empty():
        raise UserError(
            f'--what search: expected shots that match "{words}", found none in '
            f"{space.film_id}; try other words"
        )
    return shots.select(
        pl.col(name).cast(dtype, strict=False) for name, dtype in select_shots.CHOSEN.items()
    ).unique("shot_index", keep="first", maintain_order=True)


def _record_start(timing: timecode.FrameGrid, text: str) -> int:
    try:
        return timecode.from_record_timecode(timing, text)
    except ValueError as error:
        raise UserError(f"--start: {error}; e.g. {cuts.RECORD_START}") from error


def _form(form: str | None, output: Path | None) -> str:
    """The format, by its name or by the file's ending."""
    if form is None:
        endings = {ending: name for name, ending in SUFFIX.items()}
        return endings.get(output.suffix.lower(), "edl") if output else "edl"
    if form not in WRITERS:
        raise UserError(f"--format: expected {', '.join(WRITERS)}, got {form}; choose one")
    return form


def _output_path(space: Workspace, output: Path | None, form: str, what: str) -> Path:
    """Where to write."""
    if output is None:
        name = re.sub(r"[^\w\-]+", "-", what).strip("-") or "timeline"
        if len(name) > NAME_MAX:  # long lists of shots begin alike
            name = f"{name[:NAME_MAX]}-{hashlib.sha256(what.encode()).hexdigest()[:8]}"
        return space.root / "export" / "timeline" / f"{name}{SUFFIX[form]}"
    output = output.expanduser()
    if output.is_dir():
        raise UserError(f"{output}: expected an output file, got a folder; give a file name in it")
    if not output.parent.is_dir():
        raise UserError(f"{output}: the folder {output.parent} does not exist; create it first")
    return output
