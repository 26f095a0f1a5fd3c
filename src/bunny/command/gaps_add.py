"""`bunny gaps --add`: shots come into a training set because a person says so; and back out.

What is added is put down in `addition.jsonl` of the film's folder, see `bunny.dataset.addition`;
stage dataset obeys it, and stage detect where more frames of a shot are to be looked at.
"""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import polars as pl

from bunny.command import characters, gaps, run
from bunny.command.gaps import KEYS, Gaps
from bunny.core import workspace
from bunny.core.error import UserError
from bunny.core.workspace import Workspace
from bunny.dataset import addition, gap_fill
from bunny.dataset.addition import ANY, Addition, Span
from bunny.view.report import gap_text

SIGNED = {"addition_id": "", "time": "", "user": "", "reason": ""}  # says nothing of the set


@dataclass(frozen=True, kw_only=True)
class Changed:
    """What was added or taken back, and what to run to apply it."""

    what: str  # added, taken back
    addition: Addition
    num_views: int  # that may come in, look-alikes among themselves counted; 0 when taken back
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
            lines[0] += f"; up to {gap_text.plural(self.num_views, 'view')} more"
            lines.append("  take it back with `bunny gaps --undo`")
        if one.interval_s:
            lines.append(f"  faces are looked for there every {one.interval_s:g} s")
        stale = ", ".join(self.stale) or "nothing"
        return "\n".join([*lines, f"stale: {stale}; to apply it run", f"  {self.command}"])


def add(
    film: str | None,
    what: str,
    data_dir: str | None = None,
    overrides: Sequence[str] = (),
    *,
    character: str | None = None,
    is_sure: bool = False,
    has_duplicates: bool = False,
    reason: str = "",
) -> Changed:
    """Add shots to a set; put down for good, applied by the next run.

    Parameters
    ----------
    film, character
        As of `command.gaps.list_gaps`.
    what : str
        A gap's name as `bunny gaps` gives it (`light:dark`), or numbers of shots (`3,12`).
    is_sure, has_duplicates : bool
        Views whose label is uncertain, or that look like chosen ones, come in too.
    reason : str
        Kept in the record.

    Raises
    ------
    UserError
        If there is no such gap or shot, or nothing would come of it.
    """
    space, config = run.open_film(film, data_dir, overrides)
    with workspace.lock(space):
        found = gaps.find(space, character)
        wanted = {"is_sure": is_sure, "has_duplicates": has_duplicates}
        one, number = _choose(found, what, wanted)
        own = {"addition_id": addition.next_id(space.root), "reason": reason, **_signature()}
        one = replace(one, **own)
        addition.add(space.root, one)
    return Changed(
        what="added",
        addition=one,
        num_views=number,
        stale=characters.stale_stages(space, config),
        command=_run_command(space, data_dir, overrides),
    )


def undo(
    film: str | None,
    addition_id: str | None = None,
    data_dir: str | None = None,
    overrides: Sequence[str] = (),
    *,
    reason: str = "",
) -> Changed:
    """Take an addition back, by default the newest.

    Raises
    ------
    UserError
        If there is none, or none of that name.
    """
    space, config = run.open_film(film, data_dir, overrides)
    with workspace.lock(space):
        active = {one.addition_id: one for one in addition.read(space.root)}
        name = addition_id or next(reversed(active), None)
        if name not in active:
            raise UserError(
                f"--undo: expected something that was added ({', '.join(active) or 'nothing was'}),"
                f" got {name or 'no name'}; `bunny gaps` lists it"
            )
        addition.undo(space.root, name, reason=reason, **_signature())
    return Changed(
        what="taken back",
        addition=active[name],
        num_views=0,
        stale=characters.stale_stages(space, config),
        command=_run_command(space, data_dir, overrides),
    )


def _choose(found: Gaps, what: str, wanted: Mapping[str, bool]) -> tuple[Addition, int]:
    """What `--add` means, unsigned, and how many views would come."""
    shots = _parse_shots(what, found.shots)
    row = _gap_of(found, what) if shots is None else _whole(found, what)
    ways = found.ways.filter(*(pl.col(key) == row[key] for key in KEYS))
    if shots is not None:
        ways = ways.filter(pl.col("shot_index").is_in(shots))
    good = gap_fill.to_bring(ways, **wanted)
    if shots is None:  # a gap's shots are not looked at again unless they are named
        good = good.filter(pl.col("needs").is_null() | (pl.col("needs") != "frames"))
    if good.is_empty():
        raise UserError(_nothing(what, row, ways))
    spans = _spans(found.shots, gap_fill.shots_of(good))
    is_again = (good["needs"] == "frames").any()
    one = Addition(
        addition_id="",
        spans=spans,
        interval_s=gap_fill.AGAIN_S if is_again else 0.0,
        **{key: row[key] for key in KEYS},
        **wanted,
    )
    if any(replace(old, **SIGNED) == one for old in found.additions):
        raise UserError(
            f"--add {what}: expected something new, it was added before; run the film to apply "
            "it, or see `bunny gaps`"
        )
    return one, int(good["num_views"].sum())


def _parse_shots(what: str, shots: pl.DataFrame) -> list[int] | None:
    """Numbers of shots; None: it is a gap's name."""
    parts = [part.strip() for part in what.split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts):
        return None
    missing = sorted({int(part) for part in parts} - set(shots["shot_index"].to_list()))
    if missing:
        raise UserError(
            f"--add {what}: expected shots from 0 to {shots['shot_index'].max()}, got "
            f"{', '.join(map(str, missing))}"
        )
    return [int(part) for part in parts]


def _gap_of(found: Gaps, what: str) -> dict[str, str]:
    """The gap of that name."""
    rows = [
        row
        for row in found.gaps.iter_rows(named=True)
        if gap_fill.name_of(row["axis"], row["value"]) == what.replace(", ", ",")
    ]
    if len(rows) == 1:
        return rows[0]
    if rows:
        raise UserError(_which(what, [row["character"] for row in rows]))
    names = {gap_fill.name_of(row["axis"], row["value"]): None for row in found.gaps.to_dicts()}
    raise UserError(
        f"--add {what}: expected numbers of shots or one of the gaps "
        f"({', '.join(names) or 'there is none'}); `bunny gaps` lists them"
    )


def _whole(found: Gaps, what: str) -> dict[str, str]:
    """All views of the one character that there is a set of."""
    names = found.ways.filter(pl.col("axis") == ANY)["character"].unique().sort().to_list()
    if len(names) > 1:
        raise UserError(_which(what, names))
    return {"character": names[0] if names else "", "axis": ANY, "value": ""}


def _which(what: str, names: Sequence[str]) -> str:
    return f"--add {what}: expected --character, for {' and '.join(names)} are meant; name one"


def _nothing(what: str, row: Mapping[str, str], ways: pl.DataFrame) -> str:
    """Why nothing would come of an addition."""
    needs = [n for n in ("sure", "duplicates") if (ways["needs"] == n).any()]
    if needs:
        flags = " or ".join(f"--{n}" for n in needs)
        return (
            f"--add {what}: expected views of {row['character']} that were left out, found only "
            f"uncertain or repeated ones; look at them and add {flags}"
        )
    return (
        f"--add {what}: expected views of {row['character']} that were left out, found none; "
        "name other shots"
    )


def _spans(shots: pl.DataFrame, chosen: Sequence[int]) -> tuple[Span, ...]:
    """Frames of shots."""
    own = shots.filter(pl.col("shot_index").is_in(list(chosen))).sort("shot_index")
    return tuple(own.select("first_frame_index", "end_frame_index").iter_rows())


def _signature() -> dict[str, str]:
    """Who changes the set, and when."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {"time": now, "user": run.login("unknown")}


def _run_command(space: Workspace, data_dir: str | None, overrides: Sequence[str]) -> str:
    """What to type to make the set again."""
    words = ["bunny", "run", space.source()["film"], "--until", "dataset"]
    words += [] if data_dir is None else ["--data-dir", data_dir]
    words += [word for setting in overrides for word in ("--set", setting)]
    return shlex.join(words)
