"""`bunny gaps`: gaps of a training set, shots that would fill them, and adding those.

Additions are recorded in `addition.jsonl` of the film's folder, see `bunny.dataset.addition`;
stage dataset applies them, and stage detect where more frames of a shot are to be searched.
"""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from bunny.command import film_workspace, joint_set
from bunny.command.option.character import GapOptions
from bunny.command.option.common import FilmOptions
from bunny.core import workspace
from bunny.core.error import UserError
from bunny.core.workspace import Workspace
from bunny.dataset import addition, film_gap, gap
from bunny.dataset.addition import Addition
from bunny.table import corrected
from bunny.view import style
from bunny.view.report import coverage_text


@dataclass(frozen=True, kw_only=True)
class GapReport(film_gap.FilmGaps):
    """Gaps of a film in words."""

    def to_json(self) -> str:
        """One JSON object on one line."""
        found = [
            {
                **row,
                "gap": gap.gap_name(row["axis"], row["value"]),
                "ways": coverage_text.ways_of(row, self.ways, self.shots),
            }
            for row in self.gaps.iter_rows(named=True)
        ]
        added_so_far = [
            {"addition": one.addition_id, "words": one.to_words(), "reason": one.reason}
            for one in self.additions
        ]
        report = {"film_id": self.film_id, "gaps": found, "added": added_so_far}
        return json.dumps({**report, "notes": list(self.notes)})

    def to_text(self) -> str:
        """Lines for a person."""
        lines = [f"{self.film_id}: {style.plural(self.gaps.height, 'gap')}"]
        for row in self.gaps.iter_rows(named=True):
            lines += coverage_text.fill_sentences(
                row, coverage_text.ways_of(row, self.ways, self.shots)
            )
        for one in self.additions:
            why = f" ({one.reason})" if one.reason else ""
            lines.append(f"added {one.addition_id}, {one.time}, {one.user}: {one.to_words()}{why}")
        return "\n".join([*lines, *[f"note: {note}" for note in self.notes]])


@dataclass(frozen=True, kw_only=True)
class AdditionChange:
    """What was added or undone, and what to run to apply it."""

    what: str  # added, undone
    addition: Addition
    num_views: int  # that may come in, look-alikes among themselves counted; 0 when undone
    stale: Sequence[str]
    command: str

    def to_json(self) -> str:
        """One JSON object on one line."""
        return json.dumps(
            {
                "what": self.what,
                "addition": self.addition.addition_id,
                "words": self.addition.to_words(),
                "num_views": self.num_views,
                "stale": list(self.stale),
                "command": self.command,
            }
        )

    def to_text(self) -> str:
        """Lines for a person."""
        one = self.addition
        lines = [f"{self.what} {one.addition_id}, {one.to_words()}"]
        if self.what == "added":
            lines[0] += f"; up to {style.plural(self.num_views, 'view')} more"
            lines.append("  undo with `bunny gaps --undo`")
        if one.interval_s:
            lines.append(f"  faces will be searched for there every {one.interval_s:g} s")
        stale = ", ".join(self.stale) or "nothing"
        return "\n".join([*lines, f"stale: {stale}; to apply it, run", f"  {self.command}"])


def run(chosen: FilmOptions, options: GapOptions) -> GapReport | AdditionChange:
    """List what a film's sets lack, add shots to a set, or undo that.

    What is added is recorded and applied by the next run.

    Parameters
    ----------
    options : GapOptions
        `add` is a gap's name as the list gives it (`light:dark`), or numbers of shots (`3,12`).

    Raises
    ------
    UserError
        If there is no such film, set, gap, shot or addition, or nothing would come of it.
    """
    if options.add is not None and options.is_undone:
        raise UserError("--add and --undo cannot be combined; give one of them")
    space, config = film_workspace.open_film(chosen.film, chosen.data_dir, chosen.overrides, ())
    if options.is_undone:
        one, number = _undo(space, options), 0
    elif options.add is not None:
        one, number = _add(space, options, options.add)
    else:
        return GapReport(**vars(_find(space, options.character)))
    return AdditionChange(
        what="undone" if options.is_undone else "added",
        addition=one,
        num_views=number,
        stale=film_workspace.stale_stages(space, config),
        command=_run_command(space, chosen),
    )


def _add(space: Workspace, options: GapOptions, what: str) -> tuple[Addition, int]:
    """Record an addition; with how many views may come in."""
    _check_film(space, f"--add {shlex.quote(what)}", options.character)
    with workspace.lock(space):
        one, number = film_gap.choose_addition(
            _find(space, options.character),
            what,
            is_sure=options.is_sure,
            has_duplicates=options.has_duplicates,
        )
        own = {"addition_id": addition.next_id(space.root), "reason": options.reason}
        one = replace(one, **own, **_signature())
        addition.add(space.root, one)
    return one, number


def _undo(space: Workspace, options: GapOptions) -> Addition:
    """Take an addition back, by default the newest."""
    _check_film(space, "--undo", None)
    with workspace.lock(space):
        active = {one.addition_id: one for one in addition.read(space.root)}
        name = options.addition_id or next(reversed(active), None)
        if name not in active:
            raise UserError(
                f"--undo: expected the id of an addition ({', '.join(active) or 'none yet'}), "
                f"got {name or 'no id'}; list them with `bunny gaps`"
            )
        addition.undo(space.root, name, reason=options.reason, **_signature())
    return active[name]


def _check_film(space: Workspace, option: str, character: str | None) -> None:
    """Refuse a set that is drawn from many films: what people add to the films' sets is in it."""
    origin = joint_set.read_origin(space)
    if origin is None:
        return
    film_id, name = next(iter(origin.films.items()))
    raise UserError(
        f"{space.film_id}: expected a film for {option}, found a set drawn from "
        f"{', '.join(origin.films)}; type `bunny gaps {film_id} --character "
        f"{shlex.quote(character or name)} {option}` with the film that has the shot, then "
        f"`bunny library train --character {shlex.quote(origin.character)}`, which reads it"
    )


def _find(space: Workspace, character: str | None) -> film_gap.FilmGaps:
    """Gaps of a film that is open."""
    tables = {name: corrected.read_or_empty(space.table, name) for name in film_gap.TABLES}
    return film_gap.find_film_gaps(space.film_id, tables, addition.read(space.root), character)


def _signature() -> dict[str, str]:
    """Who changes the set, and when."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {"time": now, "user": film_workspace.login_name("unknown")}


def _run_command(space: Workspace, chosen: FilmOptions) -> str:
    """What to type to make the set again."""
    words = ["bunny", "run", space.source()["film"], "--until", "dataset"]
    words += [] if chosen.data_dir is None else ["--data-dir", chosen.data_dir]
    words += [word for setting in chosen.overrides for word in ("--set", setting)]
    return shlex.join(words)
