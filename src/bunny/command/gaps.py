"""`bunny gaps`: gaps of a training set, shots that would fill them, and adding those.

Additions are recorded in `addition.jsonl` of the film's folder, see `bunny.dataset.addition`;
stage dataset applies them, and stage detect where more frames of a shot are to be searched.
"""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import polars as pl

from bunny.command import film_workspace
from bunny.core import workspace
from bunny.core.error import UserError
from bunny.core.workspace import Workspace
from bunny.dataset import addition, candidate, gap, lookalike
from bunny.dataset.addition import ANY_AXIS, Addition, Span
from bunny.dataset.appearance import measure_subjects
from bunny.dataset.lookalike import with_names
from bunny.table import corrected, store
from bunny.view.report import coverage_text

TABLES = (*candidate.TABLES, "shot", "region", "reference", "candidate", "dataset")
KEYS = ["character", "axis", "value"]

UNSIGNED = {"addition_id": "", "time": "", "user": "", "reason": ""}  # says nothing of the set


@dataclass(frozen=True, kw_only=True)
class GapReport:
    """What a film's sets lack, what would fill it, and what was added so far."""

    film_id: str
    gaps: pl.DataFrame  # character, axis, value, num_pictures, num_wanted, num_seen, detail
    ways: pl.DataFrame  # of `gap.find_ways`: of every gap, and of axis any
    shots: pl.DataFrame  # table shot
    additions: Sequence[Addition]
    notes: Sequence[str]

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
        lines = [f"{self.film_id}: {coverage_text.plural(self.gaps.height, 'gap')}"]
        for row in self.gaps.iter_rows(named=True):
            lines += coverage_text.fill_sentences(
                row, coverage_text.ways_of(row, self.ways, self.shots)
            )
        for one in self.additions:
            why = f" ({one.reason})" if one.reason else ""
            lines.append(f"added {one.addition_id}, {one.time}, {one.user}: {one.to_words()}{why}")
        return "\n".join([*lines, *[f"note: {note}" for note in self.notes]])


def list_gaps(
    film: str | None,
    data_dir: str | None = None,
    overrides: Sequence[str] = (),
    *,
    character: str | None = None,
) -> GapReport:
    """Say what a film's sets lack and which of its shots would fill that.

    Parameters
    ----------
    film : str or None
        A film_id or how it begins; None: the newest.
    character : str, optional
        Whose set; by default all that there are.

    Raises
    ------
    UserError
        If there is no such film, no set yet, or none of that character.
    """
    return find_gaps(film_workspace.open_film(film, data_dir, overrides)[0], character)


def find_gaps(space: Workspace, character: str | None) -> GapReport:
    """As `list_gaps`, of a film that is open."""
    tables = {name: corrected.read_or_empty(space.table, name) for name in TABLES}
    names = _names(space, tables["candidate"], character)
    wanted = pl.col("character").is_in(names)
    views, pictures = tables["candidate"].filter(wanted), tables["dataset"].filter(wanted)
    text = views.with_columns(pl.col("reason").cast(pl.String))
    every = pl.concat([text, *[_lookalikes(name, tables, text.schema) for name in names]])
    gaps = _gaps(every, views, pictures, store.read_or_empty(space.table, "evaluation_picture"))
    looked = [tables[t].select("shot_index", "timestamp_s") for t in ("frame", "extra_frame")]
    sparse = gap.find_sparse(views, pl.concat(looked), tables["shot"])
    whole = pl.DataFrame({"character": names, "axis": ANY_AXIS, "value": ""})
    return GapReport(
        film_id=space.film_id,
        gaps=gaps,
        ways=gap.find_ways(pl.concat([gaps.select(KEYS), whole]), every, sparse),
        shots=tables["shot"],
        additions=[one for one in addition.read(space.root) if one.character in names],
        notes=gap.notes(views),
    )


def _names(space: Workspace, views: pl.DataFrame, character: str | None) -> list[str]:
    """Characters that are meant."""
    names = views["character"].unique().sort().to_list()
    if not names:
        raise UserError(
            f"{space.film_id}: expected a training set, found none; run stage dataset, with "
            "reference pictures of a character that appears in the film"
        )
    if character is not None and character not in names:
        raise UserError(
            f"--character: expected a character with a training set ({', '.join(names)}), "
            f"got {character}; choose one, or set models.characters and run stage dataset"
        )
    return [character] if character else names


def _lookalikes(
    character: str, tables: Mapping[str, pl.DataFrame], schema: Mapping
) -> pl.DataFrame:
    """Views without a name that resemble a character, as rows of candidate."""
    like = lookalike.find(character, tables)
    known = set(like["subject_id"].to_list()) - set(tables["candidate"]["subject_id"].to_list())
    measured = measure_subjects({**tables, "label": like})
    named = {**tables, "label": with_names(tables["label"], like)}
    verdict = candidate.CandidateVerdict(reason=addition.UNLABELLED)
    rows = [
        candidate.to_row(view, verdict)
        for view in candidate.gather(character, named, measured)
        if view.subject_id in known
    ]
    return pl.DataFrame(rows, schema=schema)


def _gaps(
    every: pl.DataFrame, views: pl.DataFrame, pictures: pl.DataFrame, proof: pl.DataFrame
) -> pl.DataFrame:
    """Gaps of the set, then values that the trained model draws badly though the set has some."""
    found = gap.find_gaps(views, pictures).select(*KEYS, "num_pictures", "num_wanted", "num_seen")
    found = found.unique(KEYS, keep="first", maintain_order=True)
    names = views["character"].unique().to_list()
    weak = gap.find_weak(proof).filter(pl.col("character").is_in(names))
    found = found.join(weak, on=KEYS, how="left", maintain_order="left")
    rows = []
    for row in weak.join(found, on=KEYS, how="anti", maintain_order="left").iter_rows(named=True):
        is_it = (pl.col("character") == row["character"]) & (
            pl.col(row["axis"]).cast(pl.String) == row["value"]
        )
        number = {"num_pictures": pictures.filter(is_it).height, "num_wanted": None}
        rows.append({**row, **number, "num_seen": every.filter(is_it).height})
    return pl.concat([found, pl.DataFrame(rows, schema=found.schema)])


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
            lines[0] += f"; up to {coverage_text.plural(self.num_views, 'view')} more"
            lines.append("  undo with `bunny gaps --undo`")
        if one.interval_s:
            lines.append(f"  faces will be searched for there every {one.interval_s:g} s")
        stale = ", ".join(self.stale) or "nothing"
        return "\n".join([*lines, f"stale: {stale}; to apply it, run", f"  {self.command}"])


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
) -> AdditionChange:
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
    space, config = film_workspace.open_film(film, data_dir, overrides)
    with workspace.lock(space):
        found = find_gaps(space, character)
        wanted = {"is_sure": is_sure, "has_duplicates": has_duplicates}
        one, number = _choose(found, what, wanted)
        own = {"addition_id": addition.next_id(space.root), "reason": reason, **_signature()}
        one = replace(one, **own)
        addition.add(space.root, one)
    return AdditionChange(
        what="added",
        addition=one,
        num_views=number,
        stale=film_workspace.stale_stages(space, config),
        command=_run_command(space, data_dir, overrides),
    )


def undo(
    film: str | None,
    addition_id: str | None = None,
    data_dir: str | None = None,
    overrides: Sequence[str] = (),
    *,
    reason: str = "",
) -> AdditionChange:
    """Take an addition back, by default the newest.

    Raises
    ------
    UserError
        If there is none, or none of that name.
    """
    space, config = film_workspace.open_film(film, data_dir, overrides)
    with workspace.lock(space):
        active = {one.addition_id: one for one in addition.read(space.root)}
        name = addition_id or next(reversed(active), None)
        if name not in active:
            raise UserError(
                f"--undo: expected the id of an addition ({', '.join(active) or 'none yet'}), "
                f"got {name or 'no id'}; list them with `bunny gaps`"
            )
        addition.undo(space.root, name, reason=reason, **_signature())
    return AdditionChange(
        what="undone",
        addition=active[name],
        num_views=0,
        stale=film_workspace.stale_stages(space, config),
        command=_run_command(space, data_dir, overrides),
    )


def _choose(found: GapReport, what: str, wanted: Mapping[str, bool]) -> tuple[Addition, int]:
    """What `--add` means, unsigned, and how many views would come."""
    shots = _parse_shots(what, found.shots)
    row = _gap_of(found, what) if shots is None else _whole_set(found, what)
    ways = found.ways.filter(*(pl.col(key) == row[key] for key in KEYS))
    if shots is not None:
        ways = ways.filter(pl.col("shot_index").is_in(shots))
    good = gap.select_ways(ways, **wanted)
    if shots is None:  # a gap's shots are not looked at again unless they are named
        good = good.filter(pl.col("needs").is_null() | (pl.col("needs") != "frames"))
    if good.is_empty():
        raise UserError(_nothing_to_add(what, row, ways))
    spans = _spans(found.shots, gap.shots_of(good))
    is_again = (good["needs"] == "frames").any()
    one = Addition(
        addition_id="",
        spans=spans,
        interval_s=gap.AGAIN_S if is_again else 0.0,
        is_sure=wanted["is_sure"],
        has_duplicates=wanted["has_duplicates"],
        **{key: row[key] for key in KEYS},
    )
    if any(replace(old, **UNSIGNED) == one for old in found.additions):
        raise UserError(
            f"--add {what}: already added; run the film to apply it, or see `bunny gaps`"
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
            f"--add {what}: expected shot numbers from 0 to {shots['shot_index'].max()}, got "
            f"{', '.join(map(str, missing))}"
        )
    return [int(part) for part in parts]


def _gap_of(found: GapReport, what: str) -> dict[str, str]:
    """The gap of that name."""
    rows = [
        row
        for row in found.gaps.iter_rows(named=True)
        if gap.gap_name(row["axis"], row["value"]) == what.replace(", ", ",")
    ]
    if len(rows) == 1:
        return rows[0]
    if rows:
        raise UserError(_ambiguous(what, [row["character"] for row in rows]))
    names = {gap.gap_name(row["axis"], row["value"]): None for row in found.gaps.to_dicts()}
    raise UserError(
        f"--add {what}: expected shot numbers or one of the gaps "
        f"({', '.join(names) or 'none'}); list them with `bunny gaps`"
    )


def _whole_set(found: GapReport, what: str) -> dict[str, str]:
    """All views of the one character that there is a set of."""
    names = found.ways.filter(pl.col("axis") == ANY_AXIS)["character"].unique().sort().to_list()
    if len(names) > 1:
        raise UserError(_ambiguous(what, names))
    return {"character": names[0] if names else "", "axis": ANY_AXIS, "value": ""}


def _ambiguous(what: str, names: Sequence[str]) -> str:
    return f"--add {what}: applies to several characters ({', '.join(names)}); add --character"


def _nothing_to_add(what: str, row: Mapping[str, str], ways: pl.DataFrame) -> str:
    """Why nothing would come of an addition."""
    needs = [n for n in ("sure", "duplicates") if (ways["needs"] == n).any()]
    if needs:
        flags = " or ".join(f"--{n}" for n in needs)
        return (
            f"--add {what}: expected unused views of {row['character']}, found only uncertain "
            f"or near-duplicate ones; check them and add {flags}"
        )
    return (
        f"--add {what}: expected unused views of {row['character']}, found none; choose other shots"
    )


def _spans(shots: pl.DataFrame, chosen: Sequence[int]) -> tuple[Span, ...]:
    """Frames of shots."""
    own = shots.filter(pl.col("shot_index").is_in(list(chosen))).sort("shot_index")
    return tuple(own.select("first_frame_index", "end_frame_index").iter_rows())


def _signature() -> dict[str, str]:
    """Who changes the set, and when."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {"time": now, "user": film_workspace.login_name("unknown")}


def _run_command(space: Workspace, data_dir: str | None, overrides: Sequence[str]) -> str:
    """What to type to make the set again."""
    words = ["bunny", "run", space.source()["film"], "--until", "dataset"]
    words += [] if data_dir is None else ["--data-dir", data_dir]
    words += [word for setting in overrides for word in ("--set", setting)]
    return shlex.join(words)
