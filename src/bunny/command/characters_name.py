"""`bunny characters --name person-02=anna`: an unknown person becomes a character of the film.

The person's best views are cut out of the stored pictures and become reference pictures, so the
name outlives every new run. Each is looked at by the detector first: one that shows no face, two
faces or somebody else would spoil the character. Unknown drawn figures (`figure-01=luffy`) are
named in the same way; no face is looked for in theirs (`command.figure_reference`).
"""

import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import polars as pl

from bunny.character import reference
from bunny.character.face import detect
from bunny.character.face import recogniser as face_recogniser
from bunny.command import characters, figure_reference, run
from bunny.core import image_file, reference_folder, workspace
from bunny.core.config import Config
from bunny.core.error import UserError
from bunny.core.workspace import Workspace
from bunny.table import store
from bunny.view import character
from bunny.view.tile import BOX, UNKNOWN

logger = logging.getLogger(__name__)

MARGIN = 0.6  # around a face in a reference picture, in shares of its larger side
MIN_PX = 160  # shorter side; smaller crops are enlarged, as recognisers do anyway
MAX_TRIES = 15  # views that are looked at to find `people.MAX_VIEWS` good ones
PERSON = re.compile(r"(person|figure)-\d+")


@dataclass(frozen=True, kw_only=True)
class Named:
    """Who got a name, from which pictures, and what is to do next."""

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
            f"  {folder}  (delete the folder to take the name back)",
            f"stale: {', '.join(self.stale) or 'nothing'}; to apply the name run",
            f"  {self.command}",
        ]
        return "\n".join(lines)


def name_person(
    film: str | None,
    choice: str,
    data_dir: str | None = None,
    overrides: Sequence[str] = (),
    *,
    is_added: bool = False,
) -> Named:
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
    space, config = run.open_film(film, data_dir, overrides)
    person, sign, name = (part.strip() for part in choice.partition("="))
    if not sign or not person or not name:
        raise UserError(f"--name {choice}: expected PERSON=NAME, e.g. person-02=anna")
    source = space.source()
    name = _check_name(name, source, is_added)
    faces = _faces_of(space, person)
    with workspace.lock(space):
        _check_nameless(space, person, faces)
        is_drawn = (faces["subject_type"] == "region").all()
        pictures = (_write_figures if is_drawn else _write_views)(space, config, name, faces)
        film_of = {key: source[key] for key in ("film", "content_hash")}
        workspace.write_source(space, film_of, reference_folder.given(source))
    return Named(
        person=person,
        name=name,
        pictures=pictures,
        stale=characters.stale_stages(space, config),
        command=characters.run_command(source, data_dir),
    )


def _check_name(name: str, source: Mapping, is_added: bool) -> str:
    """The name as it will stand in the tables."""
    reference.check_name(name)
    if PERSON.fullmatch(name) or name in (UNKNOWN, "scene"):
        raise UserError(
            f"--name …={name}: expected a character's name, this is how people without one are "
            "called; choose another"
        )
    folder = source.get("references")
    known = reference.list_sources(Path(folder)) if folder else []
    taken = {s.character.casefold(): s.character for s in known}
    if name.casefold() not in taken:
        return name
    if not is_added:
        raise UserError(
            f"--name …={name}: expected a new name, {taken[name.casefold()]} is a character of "
            "this film already; choose another, or add --add to give that character these views"
        )
    return taken[name.casefold()]


def _faces_of(space: Workspace, person: str) -> pl.DataFrame:
    """Faces of an unknown person, or views of a drawn figure, see `people.subjects`."""
    if not store.exists(space.table, "cluster"):
        raise UserError(
            f"{space.film_id}: expected unknown people that were grouped, found none; "
            "run the film until stage cluster first"
        )
    unknown = characters.read_subjects(space).filter(~pl.col("is_named"))
    found = unknown.filter(pl.col("name") == person)
    if found.is_empty():
        names = unknown["name"].unique().sort().to_list()
        shown = ", ".join(names[:8]) + (" …" if len(names) > 8 else "")
        raise UserError(
            f"--name {person}=…: expected one of the unknown people ({shown or 'there is none'}); "
            "`bunny characters` shows them"
        )
    return found


def _check_nameless(space: Workspace, person: str, faces: pl.DataFrame) -> None:
    """Refuse a person whose views serve a name already."""
    files = {_file_name(space, subject_id) for subject_id in faces["subject_id"]}
    for path in reference_folder.pictures(space.root / reference_folder.NAMED):
        if path.name in files:
            raise UserError(
                f"--name {person}=…: expected somebody without a name, it was named "
                f"{path.parent.name} before; run the film to apply that, or delete {path.parent}"
            )


def _write_views(space: Workspace, config: Config, name: str, faces: pl.DataFrame) -> list[Path]:
    """Cut, check and write the best views; gives their paths."""
    shown = faces.filter(pl.col("subject_type") == "face").drop_nulls("file")
    face = store.read(space.table, "face")
    with TemporaryDirectory() as folder:
        sources = []
        for row in shown[character.choose_views(shown, MAX_TRIES)].iter_rows(named=True):
            picture = _cut(space, row, face)
            if picture is not None:
                path = Path(folder) / _file_name(space, row["subject_id"])
                path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
                sources.append(
                    reference.Source(reference_id=row["subject_id"], character=name, path=path)
                )
        good = _serving(sources, face, config)[: character.MAX_VIEWS] if sources else []
        if not good:
            raise UserError(
                f"--name …={name}: expected a picture that shows the person's face alone, "
                f"none of {shown.height} does; give reference pictures of your own"
            )
        target = space.root / reference_folder.NAMED / name
        for source in good:
            store.write_bytes(target / source.path.name, source.path.read_bytes())
    return [target / source.path.name for source in good]


def _write_figures(
    space: Workspace, _config: Config, name: str, figures: pl.DataFrame
) -> list[Path]:
    """Cut and write the best views of a drawn figure; gives their paths."""
    good = figure_reference.cut_views(space, figures)
    if not good:
        raise UserError(
            f"--name …={name}: expected a picture that shows the figure alone, none of "
            f"{figures.height} does; give reference pictures of your own"
        )
    target = space.root / reference_folder.NAMED / name
    paths = [target / _file_name(space, subject_id) for subject_id, _ in good]
    for path, (_, picture) in zip(paths, good, strict=True):
        store.write_bytes(path, cv2.imencode(".png", _enlarge(picture))[1].tobytes())
    return paths


def _serving(
    sources: list[reference.Source], face: pl.DataFrame, config: Config
) -> list[reference.Source]:
    """Those in which the detector finds one face, and the recogniser the same person."""
    wanted = config.detection
    recogniser = face_recogniser.choose_recogniser(wanted.recogniser, wanted.face_detection_model)
    vectors = face.filter(pl.col("recogniser") == recogniser).select("face_id", "embedding")
    stored = dict(vectors.iter_rows())
    measured = reference.measure(
        sources,
        detect.load_detector(wanted.face_detection_model, has_small_faces=wanted.has_small_faces),
        face_recogniser.load_recogniser(recogniser),
        min_score=wanted.min_face_score,
    )
    good = []
    for found in measured:
        vector = stored.get(found.source.reference_id)
        if found.error is not None or found.face_embedding is None:
            logger.debug("%s: %s", found.source.path.name, found.error or "no face")
        elif vector is None or (
            _alike(found.face_embedding, vector, recogniser) >= wanted.similarity_threshold
        ):
            good.append(found.source)
    return good


def _alike(one: np.ndarray, other: Sequence[float], recogniser: str) -> float:
    return float(face_recogniser.to_similarity(one @ np.asarray(other, np.float32), recogniser))


def _cut(space: Workspace, row: Mapping, face: pl.DataFrame) -> np.ndarray | None:
    """One face with its surroundings and nobody else's, BGR; None when that cannot be had."""
    image = image_file.read(space.root / row["file"])
    if image is None:
        return None
    is_other = (pl.col("frame_id") == row["frame_id"]) & (pl.col("face_id") != row["subject_id"])
    others = face.filter(is_other).select(BOX).rows()
    box = character.crop_alone([row[c] for c in BOX], others, image.shape[1::-1], MARGIN)
    if box is None:
        return None
    x0, y0, x1, y1 = box
    return _enlarge(image[y0:y1, x0:x1])


def _enlarge(picture: np.ndarray) -> np.ndarray:
    """A picture whose shorter side has `MIN_PX` at least."""
    factor = MIN_PX / min(picture.shape[:2])
    if factor <= 1:
        return picture
    return cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)


def _file_name(space: Workspace, subject_id: str) -> str:
    """Name of a view; it tells which face it is, so that nobody is named twice."""
    return f"{reference_folder.PREFIX}{subject_id.removeprefix(space.film_id + '-')}.png"
