"""`bunny export timeline`: shots as EDL, FCP 7 XML, FCPXML or OpenTimelineIO."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bunny.command import film_workspace
from bunny.command.option.common import FilmOptions
from bunny.command.option.export import TimelineExport
from bunny.core import atomic, film_file, input_path
from bunny.core.error import UserError
from bunny.core.workspace import Workspace
from bunny.library.timeline import edit_sequence, edl, export_record, fcpx, otio, timecode
from bunny.library.timeline.clip import EditSequence
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
            f"{timecode.rate_text(timing.rate)}{kind} as {self.form}",
            f"  {self.output}",
            *(f"  note: {note}" for note in timing.notes),
        ]
        if not self.is_film_there:
            place = self.cut.media.path
            what = "editors open no" if film_file.is_address(place) else "no film found at"
            lines.append(
                f"  note: {what} {place}; relink it in the editor, or set timeline.media_path"
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
    chosen: FilmOptions, options: TimelineExport, find: edit_sequence.Find | None = None
) -> ExportedTimeline:
    """Write some shots of a film as a timeline.

    Parameters
    ----------
    options : TimelineExport
        For `what` see `select_shots.parse`. Without a format the ending of `output` decides, else
        it is edl.
    find : callable, optional
        The library's search, for ``search:words``.

    Raises
    ------
    UserError
        For a format, order, shots, start or output that cannot be.
    """
    form, what = _form(options.form, options.output), options.what
    if options.order not in ORDERS:
        raise UserError(f"--order: expected {' or '.join(ORDERS)}, got {options.order}; choose one")
    handles = options.handles
    more = [] if handles is None else [f"timeline.handle_frames={handles}"]
    space, config = film_workspace.open_film(
        chosen.film, chosen.data_dir, [*chosen.overrides, *more], ()
    )
    place = _output_path(space, options.output, form, what)
    wanted = edit_sequence.SequenceOptions(
        what=what,
        form=form,
        order=options.order,
        has_markers=options.has_markers,
        is_drop=options.is_drop,
        start=options.start,
    )
    tables = {name: store.read_or_empty(space.table, name) for name in TABLES}
    tables["label"] = corrected.read_or_empty(space.table, "label")
    film = film_workspace.film_row(space)
    cut = edit_sequence.make_sequence(film, tables, config.timeline, wanted, find)
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


def export_shots(
    film: str | None, what: str, output: Path | None = None, *, data_dir: str | None = None
) -> ExportedTimeline:
    """Write shots of a film as a timeline, all else as by default; see `export`."""
    return export(
        FilmOptions(film=film, data_dir=data_dir), TimelineExport(what=what, output=output)
    )


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
    input_path.check_output_file(output)
    if not output.parent.is_dir():
        raise UserError(f"{output}: the folder {output.parent} does not exist; create it first")
    return output
