"""`bunny gaps`: what a film's training set lacks and which of its shots would fill that.

See `command.gaps_add` for adding them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from bunny.command import run
from bunny.core.error import UserError
from bunny.core.workspace import Workspace
from bunny.dataset import added_view, addition, candidate, gap, gap_fill, lookalike_search
from bunny.dataset.addition import ANY, Addition
from bunny.dataset.lookalike import with_names
from bunny.dataset.subject import measure_subjects
from bunny.stage import dataset as dataset_stage
from bunny.table import corrected, store
from bunny.view.report import gap_text

TABLES = (*dataset_stage.READ_TO_CHOOSE, "shot", "region", "reference", "candidate", "dataset")
KEYS = ["character", "axis", "value"]


@dataclass(frozen=True, kw_only=True)
class Gaps:
    """What a film's sets lack, what would fill it, and what was added so far."""

    film_id: str
    gaps: pl.DataFrame  # character, axis, value, num_pictures, num_wanted, num_seen, detail
    ways: pl.DataFrame  # of `fill.find_ways`: of every gap, and of axis any
    shots: pl.DataFrame  # table shot
    additions: Sequence[Addition]
    notes: Sequence[str]

    def to_json(self) -> str:
        """One JSON object on one line."""
        found = [
            {
                **row,
                "gap": gap_fill.name_of(row["axis"], row["value"]),
                "ways": gap_text.ways_of(row, self.ways, self.shots),
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
        lines = [f"{self.film_id}: {gap_text.plural(self.gaps.height, 'gap')}"]
        for row in self.gaps.iter_rows(named=True):
            lines += gap_text.sentences(row, gap_text.ways_of(row, self.ways, self.shots))
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
) -> Gaps:
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
    return find(run.open_film(film, data_dir, overrides)[0], character)


def find(space: Workspace, character: str | None) -> Gaps:
    """As `list_gaps`, of a film that is open."""
    tables = {name: corrected.read_or_empty(space.table, name) for name in TABLES}
    names = _names(space, tables["candidate"], character)
    wanted = pl.col("character").is_in(names)
    views, pictures = tables["candidate"].filter(wanted), tables["dataset"].filter(wanted)
    text = views.with_columns(pl.col("reason").cast(pl.String))
    every = pl.concat([text, *[_lookalikes(name, tables, text.schema) for name in names]])
    gaps = _gaps(every, views, pictures, store.read_or_empty(space.table, "proof_picture"))
    looked = [tables[t].select("shot_index", "timestamp_s") for t in ("frame", "extra_frame")]
    sparse = gap_fill.find_sparse(views, pl.concat(looked), tables["shot"])
    whole = pl.DataFrame({"character": names, "axis": ANY, "value": ""})
    return Gaps(
        film_id=space.film_id,
        gaps=gaps,
        ways=gap_fill.find_ways(pl.concat([gaps.select(KEYS), whole]), every, sparse),
        shots=tables["shot"],
        additions=[one for one in addition.read(space.root) if one.character in names],
        notes=gap_fill.notes(views),
    )


def _names(space: Workspace, views: pl.DataFrame, character: str | None) -> list[str]:
    """Characters that are meant."""
    names = views["character"].unique().sort().to_list()
    if not names:
        raise UserError(
            f"{space.film_id}: expected a training set, found none; run the film until stage "
            "dataset, with references of a character that is in it"
        )
    if character is not None and character not in names:
        raise UserError(
            f"--character: expected one of those with a training set ({', '.join(names)}), "
            f"got {character}; name one, or set models.characters and run stage dataset"
        )
    return [character] if character else names


def _lookalikes(
    character: str, tables: Mapping[str, pl.DataFrame], schema: Mapping
) -> pl.DataFrame:
    """Views without a name that resemble a character, as rows of candidate."""
    like = lookalike_search.find(character, tables)
    known = set(like["subject_id"].to_list()) - set(tables["candidate"]["subject_id"].to_list())
    measured = measure_subjects({**tables, "label": like})
    named = {**tables, "label": with_names(tables["label"], like)}
    verdict = candidate.Verdict(reason=added_view.UNLABELLED)
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
    weak = gap_fill.find_weak(proof).filter(pl.col("character").is_in(names))
    found = found.join(weak, on=KEYS, how="left", maintain_order="left")
    rows = []
    for row in weak.join(found, on=KEYS, how="anti", maintain_order="left").iter_rows(named=True):
        is_it = (pl.col("character") == row["character"]) & (
            pl.col(row["axis"]).cast(pl.String) == row["value"]
        )
        number = {"num_pictures": pictures.filter(is_it).height, "num_wanted": None}
        rows.append({**row, **number, "num_seen": every.filter(is_it).height})
    return pl.concat([found, pl.DataFrame(rows, schema=found.schema)])
