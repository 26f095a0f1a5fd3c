"""`bunny characters`: characters found in a film, with a picture each; names for unknown ones.

The person's best views are cut out of the stored pictures and become reference pictures, so the
name outlives every new run. Each is looked at by the detector first: one that shows no face, two
faces or somebody else would spoil the character. Unknown drawn figures (`figure-01=luffy`) are
named in the same way; no face is looked for in theirs (`dataset.reference_picture`).
"""

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from bunny.character import reference, subject
from bunny.command import film_workspace
from bunny.core import atomic, reference_folder, safe_path, workspace
from bunny.core.config import Config
from bunny.core.error import UserError
from bunny.core.workspace import Workspace
from bunny.dataset import reference_picture
from bunny.table import corrected, store
from bunny.view import contact_sheet, tile
from bunny.view.tile import UNKNOWN

CONTACT_SHEET, FOLDER = "characters.png", "character"  # in the film's folder
PICTURE_PX = 320
COLUMNS = ("name", "is_named", "num_faces", "num_figures", "num_shots", "first_s", "last_s")

PERSON = re.compile(r"(person|figure)-\d+")


@dataclass(frozen=True, kw_only=True)
class CharacterList:
    """Everybody in a film, and where their pictures are."""

    space: Workspace
    people: pl.DataFrame  # of `subject.summarise`
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
        lines = [f"{self.space.film_id}: {len(rows)} characters found"]
        lines += [f"  {row['name']:{width}}  {tile.describe_person(row)}" for row in rows]
        lines += [f"  {note}" for note in self.notes]
        return "\n".join([*lines, str(self.sheet)])


def list_characters(
    film: str | None, data_dir: str | None = None, overrides: Sequence[str] = ()
) -> CharacterList:
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
    space, config = film_workspace.open_film(film, data_dir, overrides, ("frame/*", "character/*"))
    if not store.exists(space.table, "label"):
        raise UserError(
            f"{space.film_id}: expected labelled faces, found none; run stage detect first"
        )
    found = subject.summarise(read_subjects(space))
    tiles = tile.people(space.root, found)
    sheet = space.root / CONTACT_SHEET
    atomic.write_bytes(sheet, contact_sheet.to_png(contact_sheet.sheet(tiles)))
    shutil.rmtree(space.root / FOLDER, ignore_errors=True)
    for one in tiles:
        picture = contact_sheet.to_jpeg(contact_sheet.thumbnail(one, (PICTURE_PX, PICTURE_PX)))
        atomic.write_bytes(portrait(space, one.title), picture)
    return CharacterList(space=space, people=found, sheet=sheet, notes=_notes(space, config))


def read_subjects(space: Workspace) -> pl.DataFrame:
    """Faces and figures of everybody, see `subject.subjects`."""
    names = ("label", "face", "cluster", "figure")
    table = {name: corrected.read_or_empty(space.table, name) for name in names}
    frame = pl.concat(
        store.read_or_empty(space.table, name).select("frame_id", "timestamp_s", "file")
        for name in ("frame", "extra_frame")
    )
    return subject.subjects(table["label"], table["face"], table["cluster"], frame, table["figure"])


def portrait(space: Workspace, name: str) -> Path:
    """Where somebody's picture lies."""
    return safe_path.join(space.root / FOLDER, f"{name}.jpg")


def run_command(source: Mapping[str, Any], data_dir: str | None) -> str:
    """What to type to bring faces and groups of a film up to date."""
    import shlex

    place = "" if data_dir is None else f" --data-dir {shlex.quote(data_dir)}"
    return f"bunny run {shlex.quote(source['film'])} --until cluster{place}"


def _notes(space: Workspace, config: Config) -> list[str]:
    """What a reader of the list has to know beside it."""
    if not store.exists(space.table, "cluster"):
        return ["unknown people are not grouped yet; run stage cluster"]
    cluster = corrected.read_or_empty(space.table, "cluster").filter(pl.col("level") == "unknown")
    alone = cluster.filter(pl.col("cluster_id").is_null())["item_id"]
    figure = store.read_or_empty(space.table, "figure")["figure_id"]
    drawn = alone.is_in(figure.to_list()).sum()
    counts = ((len(alone) - drawn, "unknown faces"), (drawn, "unknown drawn figures"))
    notes = [f"{number} {what} that match no other" for number, what in counts if number]
    old = [
        name for name in film_workspace.stale_stages(space, config) if name in ("detect", "cluster")
    ]
    return notes + ([f"out of date: {', '.join(old)}; see `bunny status`"] if old else [])


@dataclass(frozen=True, kw_only=True)
class NamedCharacter:
    """The character that got a name, its reference pictures, and what to run next."""

    person: str
    name: str
    pictures: Sequence[Path]
    stale: Sequence[str]
    command: str

    def to_json(self) -> str:
        """One JSON object on one line."""
        return json.dumps(
            {
                "person": self.person,
                "name": self.name,
                "pictures": [path.as_posix() for path in self.pictures],
                "stale": list(self.stale),
                "command": self.command,
            }
        )

    def to_text(self) -> str:
        """Lines for a person."""
        folder = self.pictures[0].parent
        lines = [
            f"{self.person} is now {self.name}: {len(self.pictures)} reference pictures in",
            f"  {folder}  (delete this folder to undo)",
            f"stale: {', '.join(self.stale) or 'nothing'}; to apply the name, run",
            f"  {self.command}",
        ]
        return "\n".join(lines)


def name_character(
    film: str | None,
    choice: str,
    data_dir: str | None = None,
    overrides: Sequence[str] = (),
    *,
    is_added: bool = False,
) -> NamedCharacter:
    """Give an unknown person or drawn figure a name.

    Parameters
    ----------
    film : str or None
        A film_id or how it begins; None: the newest.
    choice : str
        `person-02=anna`, or `figure-01=luffy`.
    is_added : bool
        The name may be that of a character there is: the views are added to its references.

    Raises
    ------
    UserError
        If the person is unknown, has a name already or no picture that serves, or the name is
        taken or cannot be a name, or unknown people were not grouped yet.
    """
    space, config = film_workspace.open_film(film, data_dir, overrides, ("frame/*",))
    person, sign, name = (part.strip() for part in choice.partition("="))
    if not sign or not person or not name:
        raise UserError(f"--name {choice}: expected PERSON=NAME, e.g. person-02=anna")
    source = space.source()
    name = _check_name(name, source, is_added)
    faces = _faces_of(space, person)
    with workspace.lock(space):
        _check_nameless(space, person, faces)
        views = reference_picture.ViewSource(
            root=space.root,
            film_id=space.film_id,
            tables={
                table: corrected.read_or_empty(space.table, table)
                for table in reference_picture.TABLES
            },
        )
        is_drawn = (faces["subject_type"] == "region").all()
        pictures = (reference_picture.write_figures if is_drawn else reference_picture.write_faces)(
            views, config.detection, name, faces
        )
        workspace.update_references(space)
    return NamedCharacter(
        person=person,
        name=name,
        pictures=pictures,
        stale=film_workspace.stale_stages(space, config),
        command=run_command(source, data_dir),
    )


def _check_name(name: str, source: Mapping, is_added: bool) -> str:
    """The name as it will stand in the tables."""
    reference.check_name(name)
    if PERSON.fullmatch(name) or name in (UNKNOWN, "scene"):
        raise UserError(
            f"--name …={name}: expected a character's name, but this one is reserved for unnamed "
            "people; choose another"
        )
    folder = source.get("references")
    known = reference.list_files(Path(folder)) if folder else []
    taken = {s.character.casefold(): s.character for s in known}
    if name.casefold() not in taken:
        return name
    if not is_added:
        raise UserError(
            f"--name …={name}: {taken[name.casefold()]} is already a character of this film; "
            "choose another name, or use --add to add these views to that character"
        )
    return taken[name.casefold()]


def _faces_of(space: Workspace, person: str) -> pl.DataFrame:
    """Faces of an unknown person, or views of a drawn figure, see `subject.subjects`."""
    if not store.exists(space.table, "cluster"):
        raise UserError(
            f"{space.film_id}: expected groups of unknown people, found none; run stage cluster "
            "first"
        )
    unknown = read_subjects(space).filter(~pl.col("is_named"))
    found = unknown.filter(pl.col("name") == person)
    if found.is_empty():
        names = unknown["name"].unique().sort().to_list()
        shown = ", ".join(names[:8]) + (" …" if len(names) > 8 else "")
        raise UserError(
            f"--name {person}=…: expected one of the unknown people ({shown or 'none'}); "
            "list them with `bunny characters`"
        )
    return found


def _check_nameless(space: Workspace, person: str, faces: pl.DataFrame) -> None:
    """Refuse a person whose views serve a name already."""
    files = {
        reference_picture.file_name(space.film_id, subject_id) for subject_id in faces["subject_id"]
    }
    for path in reference_folder.list_pictures(space.root / reference_folder.NAMED):
        if path.name in files:
            raise UserError(
                f"--name {person}=…: already named {path.parent.name}; run the film to apply that "
                f"name, or delete {path.parent} to undo it"
            )
