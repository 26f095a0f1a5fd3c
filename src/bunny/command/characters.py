"""`bunny characters`: who was found in a film, with a picture each; see `command.characters_name` for naming."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from bunny import pipeline
from bunny.command import run
from bunny.core.config import Config
from bunny.core.error import UserError
from bunny.core.workspace import Workspace
from bunny.table import corrected, store
from bunny.view import character, contact_sheet

SHEET, FOLDER = "characters.png", "character"  # in the film's folder
PICTURE_PX = 320
COLUMNS = ("name", "is_named", "num_faces", "num_figures", "num_shots", "first_s", "last_s")


@dataclass(frozen=True, kw_only=True)
class Found:
    """Everybody in a film, and where their pictures are."""

    space: Workspace
    people: pl.DataFrame  # of `people.summarise`
    sheet: Path
    notes: Sequence[str]

    def to_json(self) -> str:
        """One JSON object on one line."""
        rows = [
            {
                **{key: row[key] for key in (*COLUMNS, "confidence")},
                "picture": portrait(self.space, row["name"]).as_posix(),
            }
            for row in self.people.iter_rows(named=True)
        ]
        report = {
            "film_id": self.space.film_id,
            "sheet": self.sheet.as_posix(),
            "characters": rows,
            "notes": list(self.notes),
        }
        return json.dumps(report)

    def to_text(self) -> str:
        """Lines for a person."""
        rows = list(self.people.iter_rows(named=True))
        width = max((len(row["name"]) for row in rows), default=0)
        lines = [f"{self.space.film_id}: {len(rows)} found"]
        lines += [f"  {row['name']:{width}}  {character.describe(row)}" for row in rows]
        lines += [f"  {note}" for note in self.notes]
        return "\n".join([*lines, str(self.sheet)])


def list_people(
    film: str | None, data_dir: str | None = None, overrides: Sequence[str] = ()
) -> Found:
    """Say who was found; write a contact sheet, and a picture each into its own folder.

    Parameters
    ----------
    film : str or None
        A film_id or how it begins; None: the newest.

    Raises
    ------
    UserError
        If there is no such film, or stage detect has not run.
    """
    space, config = run.open_film(film, data_dir, overrides)
    if not store.exists(space.table, "label"):
        raise UserError(
            f"{space.film_id}: expected faces that were compared with the references, found none; "
            "run stage detect first"
        )
    found = character.summarise(read_subjects(space))
    tiles = character.tiles(space.root, found)
    sheet = space.root / SHEET
    store.write_bytes(sheet, contact_sheet.to_png(contact_sheet.sheet(tiles)))
    shutil.rmtree(space.root / FOLDER, ignore_errors=True)
    for tile in tiles:
        picture = contact_sheet.to_jpeg(contact_sheet.thumbnail(tile, (PICTURE_PX, PICTURE_PX)))
        store.write_bytes(portrait(space, tile.title), picture)
    return Found(space=space, people=found, sheet=sheet, notes=_notes(space, config))


def read_subjects(space: Workspace) -> pl.DataFrame:
    """Faces and figures of everybody, see `people.subjects`."""
    names = ("label", "face", "cluster", "figure")
    table = {name: corrected.read_or_empty(space.table, name) for name in names}
    frame = pl.concat(
        store.read_or_empty(space.table, name).select("frame_id", "timestamp_s", "file")
        for name in ("frame", "extra_frame")
    )
    return character.subjects(
        table["label"], table["face"], table["cluster"], frame, table["figure"]
    )


def portrait(space: Workspace, name: str) -> Path:
    """Where somebody's picture lies."""
    return space.root / FOLDER / f"{name}.jpg"


def stale_stages(space: Workspace, config: Config) -> list[str]:
    """Stages that ran and would give something else now."""
    return [s.name for s in pipeline.status(space, config) if s.state == "stale"]


def run_command(source: Mapping[str, Any], data_dir: str | None) -> str:
    """What to type to bring faces and groups of a film up to date."""
    import shlex

    place = "" if data_dir is None else f" --data-dir {shlex.quote(data_dir)}"
    return f"bunny run {shlex.quote(source['film'])} --until cluster{place}"


def _notes(space: Workspace, config: Config) -> list[str]:
    """What a reader of the list has to know beside it."""
    if not store.exists(space.table, "cluster"):
        return ["unknown people are not grouped yet: run stage cluster"]
    cluster = corrected.read_or_empty(space.table, "cluster").filter(pl.col("level") == "unknown")
    alone = cluster.filter(pl.col("cluster_id").is_null())["item_id"]
    figure = store.read_or_empty(space.table, "figure")["figure_id"]
    drawn = alone.is_in(figure.to_list()).sum()
    counts = ((len(alone) - drawn, "faces of nobody"), (drawn, "drawn figures of nobody"))
    notes = [f"{number} {what} who was found again" for number, what in counts if number]
    old = [name for name in stale_stages(space, config) if name in ("detect", "cluster")]
    return notes + ([f"out of date: {', '.join(old)}; see `bunny status`"] if old else [])
