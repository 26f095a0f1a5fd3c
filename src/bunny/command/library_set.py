"""`bunny library set`: a character's training set drawn from all films."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from bunny.caption.trigger import trigger_word
from bunny.command import export_set, film_workspace, library, text_table
from bunny.core import atomic, file_hash, safe_path, workspace
from bunny.core.config import Config, RightsConfig
from bunny.core.error import UserError
from bunny.core.workspace import Workspace
from bunny.dataset import addition, crop, image_folder, rights
from bunny.dataset.rights import JoinedFilm, RightsRecord
from bunny.series import library_update, people_library, picture_set
from bunny.series.picture_set import FilmTables, MergedFilms, PictureChoice
from bunny.stage import dataset as stage_dataset
from bunny.table import corrected, store
from bunny.trainer_format.export import folder as export_folder
from bunny.trainer_format.export.folder import ExportInfo

FORMATS = ("imagefolder", "kohya")
MANIFEST = "manifest.jsonl"
PICTURES = frozenset({".png", ".jpg"})


@dataclass(frozen=True, kw_only=True)
class LibrarySet:
    """A set from many films and what it covers."""

    output: Path
    character: str
    form: str
    coverage: pl.DataFrame
    notes: Sequence[str]

    def to_json(self) -> str:
        """One JSON object on one line."""
        report = {
            "output": self.output.as_posix(),
            "character": self.character,
            "format": self.form,
            "coverage": self.coverage.to_dicts(),
            "notes": list(self.notes),
        }
        return json.dumps(report, ensure_ascii=False)

    def to_text(self) -> str:
        """Lines for a person."""
        return "\n".join([*text_table.lines(self.coverage), *self.notes, str(self.output)])


def check_split(split_by: str) -> None:
    """Refuse what nothing can be held out by."""
    export_set.check_choice("--split", split_by, (picture_set.SHOT, picture_set.FILM))


def draw_set(
    output: Path,
    character: str | None,
    *,
    form: str = "imagefolder",
    split_by: str = picture_set.SHOT,
    films: Sequence[str] = (),
    data_dir: str | None = None,
    overrides: Sequence[str] = (),
) -> LibrarySet:
    """Draw a set of a named identity from all its films.

    Parameters
    ----------
    output : Path
        Missing, empty, or an earlier export.
    character : str or None
        A name or identity of the library; None: the only named one.
    form : {"imagefolder", "kohya"}
    split_by : {"shot", "film"}
    films : sequence of str
        film_ids or how they begin; none: all.

    Raises
    ------
    UserError
        If nobody is called so, or no film shows a picture that serves.
    """
    export_set.check_choice("--format", form, FORMATS)
    check_split(split_by)
    export_folder.check_output(output)
    config = film_workspace.load_settings(data_dir, overrides)[1]
    source = open_source(character, films, data_dir, overrides)
    name, ready = source.name, source.films
    merged, chosen = source.choose(config, split_by)
    with TemporaryDirectory() as place:
        sources = cut(ready, merged, chosen.crops)
        least = config.dataset.mask_threshold
        written = image_folder.write_dataset(Path(place), name, sources, min_mask_quality=least)
        origin = origins(written.rows, chosen.crops, merged, ready, Path(place))
        record = source.rights()
        table = store.from_rows("dataset", written.rows)
        pictures = export_folder.read_pictures(table, Path(place), name)
        about = ExportInfo(
            character=name,
            trigger=trigger_word(config.captioning.trigger_word, name),
            class_word=config.captioning.class_word,
            rights=record,
            resolution_px=config.models.resolution
            or export_folder.best_resolution(
                pictures, config.dataset.max_upscale, config.dataset.bucket_step_px
            ),
            step_px=config.dataset.bucket_step_px,
            batch_size=config.models.batch_size,
        )

        def write(target: Path) -> dict[str, Any]:
            counts = export_set.WRITERS[form](target, pictures, about)
            write_manifest(target, origin)
            size = {"resolution_px": about.resolution_px, "batch_size": about.batch_size}
            return {"character": name, "trigger": about.trigger, "counts": counts, **size}

        export_folder.replace_folder(output, form, write)
    return LibrarySet(
        output=output,
        character=name,
        form=form,
        coverage=picture_set.coverage(read_manifest(output)),
        notes=[
            *source.notes,
            *(f"{image_id}: {error}" for image_id, error in written.errors.items()),
            *(f"rights: {note}" for note in record["notes"]),
        ],
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class SetFilm:
    """A film that a set is drawn from."""

    space: Workspace
    config: Config  # its own
    name: str  # that it has for the character


@dataclass(frozen=True, kw_only=True, eq=False)
class SetSource:
    """What a character's joint set can be drawn from."""

    name: str
    identity_id: str
    films: Sequence[SetFilm]  # at least one
    notes: Sequence[str]  # on films that show the character and are not among them

    def choose(self, config: Config, split_by: str) -> tuple[MergedFilms, PictureChoice]:
        """The films' tables as one, and what is chosen from them.

        Raises
        ------
        UserError
            If no film shows a picture that serves.
        """
        merged = picture_set.merge([_tables(one) for one in self.films], self.name)
        settings = stage_dataset.selection_settings(config)
        chosen = picture_set.choose(merged, self.name, settings, split_by)
        if not chosen.crops:
            raise UserError(
                f"{self.name}: expected views that may be trained on, found none in "
                f"{len(self.films)} films; see `bunny gaps FILM` on each"
            )
        return merged, chosen

    def rights(self) -> RightsRecord:
        """The films' rights records, joined."""
        return _join_rights([export_set.rights_record(f.space, f.config) for f in self.films])


def open_source(
    character: str | None,
    films: Sequence[str],
    data_dir: str | None = None,
    overrides: Sequence[str] = (),
) -> SetSource:
    """Open the films of a named identity.

    Parameters
    ----------
    character : str or None
        A name or identity of the library; None: the only named one.
    films : sequence of str
        film_ids or how they begin; none: all.

    Raises
    ------
    UserError
        If nobody is called so, or no film knows the name and was filtered.
    """
    known = people_library.read(library.library_folder(data_dir, overrides))
    name, member = _members(known, character, films)
    every = []
    for row in member.iter_rows(named=True):
        space, config = film_workspace.open_film(row["film_id"], data_dir, overrides, ())
        every.append(SetFilm(space=space, config=config, name=row["name"]))
    ready = [one for one in every if store.exists(one.space.table, "quality")]
    if not ready:
        raise UserError(f"{name}: expected films that were filtered, found none; run them first")
    left = [one.space.film_id for one in every if one not in ready]
    return SetSource(
        name=name,
        identity_id=str(member["identity_id"][0]),
        films=ready,
        notes=[
            *(f"{film_id}: left out, because it is not filtered yet" for film_id in left),
            *_unapplied(known, member),
        ],
    )


def _join_rights(records: Sequence[RightsRecord]) -> RightsRecord:
    """One rights record of many films; what one of them lacks is missing in all.

    Parameters
    ----------
    records : sequence of RightsRecord
        One a film.

    Returns
    -------
    RightsRecord
        As of one film, whose hash is that of the films' hashes, with `films`: each one's own.

    Examples
    --------
    >>> licensed = RightsConfig(film_licence="CC0-1.0", consent="all")
    >>> one = rights.make_record("a.mp4", "00", licensed)
    >>> joined = _join_rights([one, rights.make_record("b.mp4", "01", RightsConfig(consent="all"))])
    >>> joined["film"]["licence"], joined["consent"], [f["file"] for f in joined["films"]]
    ('', 'all', ['a.mp4', 'b.mp4'])
    """
    films: list[JoinedFilm] = [{**one["film"], "consent": one["consent"]} for one in records]
    digest = hashlib.sha256("".join(film["content_hash"] for film in films).encode()).hexdigest()

    def every(key: str) -> str:
        said = [film[key] for film in films]
        return "; ".join(dict.fromkeys(said)) if all(said) else ""

    models = {model["name"]: model for one in records for model in one["models"]}
    joined = rights.make_record(
        film_file="; ".join(film["file"] for film in films),
        film_hash=digest,
        given=RightsConfig(
            film_title=every("title"),
            film_licence=every("licence"),
            film_source=every("source"),
            consent=every("consent"),
        ),
        models=[models[name] for name in sorted(models)],
    )
    return {**joined, "films": films}


def _members(
    known: people_library.PeopleLibrary, character: str | None, films: Sequence[str]
) -> tuple[str, pl.DataFrame]:
    """Name of who is meant, and its named members by film."""
    named = known.identity.drop_nulls("name")
    if character is None:
        if named.height != 1:
            shown = ", ".join(named["name"].unique().sort()) or "none is named"
            raise UserError(f"--character: expected one of the library ({shown}), none given")
        character = str(named["identity_id"][0])
    found = library_update.find(known, character)
    own = named.filter(pl.col("identity_id") == found["identity_id"][0])
    if own.is_empty():
        raise UserError(
            f"{character}: expected a named identity; name it with `bunny library name "
            f"{character}=NAME` and run its films again"
        )
    found = found.filter("is_named").sort("film_id")
    if films:
        found = found.filter(
            pl.any_horizontal(pl.col("film_id").str.starts_with(one) for one in films)
        )
    if found.is_empty():
        raise UserError(
            f"{own['name'][0]}: expected films with this name, found none; run the films, then "
            "`bunny library add`"
        )
    return str(own["name"][0]), found


def _tables(film: SetFilm) -> FilmTables:
    return FilmTables(
        film_id=film.space.film_id,
        tables={n: corrected.read_or_empty(film.space.table, n) for n in picture_set.TABLES},
        name=film.name,
        additions=addition.read(film.space.root),
    )


def cut(
    films: Sequence[SetFilm], merged: MergedFilms, crops: Sequence[crop.Crop]
) -> Iterator[crop.CropSource]:
    """Crops with their frames, film by film; their numbers are the films' own."""
    own = [merged.as_in_film(one) for one in crops]
    for number, film in enumerate(films):
        folder, source = film.space.table, film.space.source()
        tables = {n: store.read_or_empty(folder, n) for n in ("film", "frame", "extra_frame")}
        reader = stage_dataset.crop_reader(film.config, film.space.root, source, tables)
        mine = [one for i, one in own if i == number]
        workspace.fetch(film.space, {one.view.file for one in mine if one.view.file})
        yield from reader.read(mine)


def origins(
    rows: Sequence[Mapping[str, Any]],
    crops: Sequence[crop.Crop],
    merged: MergedFilms,
    films: Sequence[SetFilm],
    place: Path,
) -> dict[str, dict[str, Any]]:
    """Where each written picture is from, by the SHA-256 of its file."""
    of_image = {one.image_id: merged.as_in_film(one) for one in crops}
    found = {}
    for row in rows:
        number, one = of_image[row["image_id"]]
        film, film_id = films[number], merged.film_id[number]
        source, digest = (
            film.space.source(),
            file_hash.hash_path(safe_path.join(place, row["file"])),
        )
        found[digest] = {
            "sha256": digest,
            "film_id": film_id,
            "film": Path(source["film"]).name,
            "film_hash": source["content_hash"],
            "film_licence": film.config.rights.film_licence or None,
            "frame_index": one.view.frame_index,
            "timestamp_s": one.view.timestamp_s,
            "place": (one.view.place or "").removeprefix(f"{film_id}/") or None,
            **{c: row[c] for c in ("image_id", "frame_id", "shot_index", "split")},
            **{c: row[c] for c in ("pose", "shot_size", "light")},
        }
    return found


def write_manifest(target: Path, origin: Mapping[str, dict[str, Any]], below: str = "") -> None:
    """One line a picture: its file and hash, and the film and frame that it is from."""
    lines = []
    for path in sorted((target / below).rglob("*")):
        digest = file_hash.hash_path(path) if path.suffix in PICTURES else ""
        if digest in origin:
            lines.append({"file": path.relative_to(target).as_posix(), **origin[digest]})
    rows = _to_table(lines).to_dicts()
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    atomic.write_bytes(target / MANIFEST, text.encode())


def read_manifest(output: Path) -> pl.DataFrame:
    """Table `library_picture` of a set."""
    text = (output / MANIFEST).read_text(encoding="utf-8")
    return _to_table([json.loads(line) for line in text.splitlines()])


def _to_table(lines: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Lines of a manifest, checked."""
    return store.from_rows("library_picture", lines)


def _unapplied(known: people_library.PeopleLibrary, member: pl.DataFrame) -> list[str]:
    """Films that show the character and do not know its name yet."""
    own = pl.col("identity_id") == member["identity_id"][0]
    more = known.member.filter(own, ~pl.col("is_named"))
    films = more["film_id"].unique().sort()
    return [
        (
            f"{film_id}: has unknown people who belong to this identity; run it, then `bunny "
            "library add`"
        )
        for film_id in films
    ]
