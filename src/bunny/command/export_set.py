"""`bunny export set`: a training set in the format of another trainer."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from bunny.caption.trigger import trigger_word
from bunny.command import film_workspace
from bunny.command.option.common import FilmOptions
from bunny.command.option.export import SetExport
from bunny.contract import fingerprint
from bunny.core import exit_code, safe_path
from bunny.core.config import Config
from bunny.core.error import UserError
from bunny.core.workspace import Workspace
from bunny.dataset import approval, rights
from bunny.dataset import image_folder as sets
from bunny.dataset.rights import RightsRecord
from bunny.table import store
from bunny.trainer_format.check import picture_preview
from bunny.trainer_format.check.clip_preview import FormatPreview
from bunny.trainer_format.check.picture_file import CaptionRule
from bunny.trainer_format.check.picture_preview import TrainerPreview
from bunny.trainer_format.export import folder, kohya, onetrainer, webdataset
from bunny.trainer_format.export.folder import ExportInfo, ExportPicture
from bunny.training.family import folder as family_folder
from bunny.training.family import known_base

WRITERS = {
    "imagefolder": folder.write_imagefolder,
    "kohya": kohya.write,
    "onetrainer": onetrainer.write,
    "webdataset": webdataset.write,
}
CAPTIONS = ("txt", "jsonl")
RIGHTS_TABLES = ("face", "reference", "region", "figure", "embedding", "caption")


@dataclass(frozen=True, kw_only=True)
class ExportedSet:
    """An exported set of pictures, clips or pairs, and what its trainer will read."""

    output: Path
    form: str
    character: str
    counts: dict[str, int]
    notes: Sequence[str]
    findings: TrainerPreview | FormatPreview | None  # None: no trainer is known for the format

    @property
    def exit_code(self) -> int:
        """2 where the trainer would lose or change clips or pairs, else 0."""
        found = self.findings
        return found.exit_code if isinstance(found, FormatPreview) else exit_code.DONE

    def to_text(self) -> str:
        """Lines for a person."""
        counts = ", ".join(f"{number} {name}" for name, number in self.counts.items())
        lines = [f"{self.character} as {self.form}: {counts}", f"  {self.output}"]
        lines += [f"  {note}" for note in self.notes]
        if self.findings is not None:
            lines.append(f"  {self.findings.to_line()}")
        return "\n".join(lines)

    def to_json(self) -> str:
        """One JSON object on one line."""
        said = {
            "output": str(self.output),
            "format": self.form,
            "character": self.character,
            "counts": self.counts,
            "notes": list(self.notes),
            "findings": json.loads(self.findings.to_json()) if self.findings else None,
        }
        return json.dumps(said, ensure_ascii=False)


def export(chosen: FilmOptions, options: SetExport) -> ExportedSet:
    """Write a character's training set in the format of another tool.

    Parameters
    ----------
    options : SetExport
        `output` is a folder that is missing, empty, or such an export.

    Raises
    ------
    UserError
        For a film without a set, and what the format, the folder or the number cannot be.
    """
    form, captions = options.form, options.captions
    check_choice("--format", form, tuple(WRITERS))
    if captions is not None:
        check_choice("--captions", captions, CAPTIONS)
    if options.output is not None:
        folder.check_output(options.output)
    number = _parse_repeats(options.repeats)
    space, config = film_workspace.open_film(
        chosen.film, chosen.data_dir, chosen.overrides, ("dataset/*", "export/*")
    )
    table = read_training_set(space)
    who = choose_character(table, options.character, "a training set")
    pictures = folder.with_repeats(folder.read_pictures(table, space.root, who), number)
    pictures, side, said = choose_pictures(pictures, form, options, config)
    record = exported_rights(space, config, who)
    about = ExportInfo(
        character=who,
        trigger=trigger_word(config.captioning.trigger_word, who),
        class_word=config.captioning.class_word,
        rights=record,
        resolution_px=side,
        step_px=min(config.dataset.bucket_step_px, side),
        batch_size=config.models.batch_size,
        has_txt=captions == "txt",
        has_jsonl=captions == "jsonl",
    )
    place = options.output or space.root / "export" / form / sets.folder_name(who)
    counts: dict[str, int] = {}

    def write(target: Path) -> dict[str, Any]:
        counts.update(WRITERS[form](target, pictures, about))
        sources = folder.list_sources(target, pictures)
        said = {"character": who, "trigger": about.trigger, "counts": counts, "sources": sources}
        return {**said, "resolution_px": about.resolution_px, "batch_size": about.batch_size}

    folder.replace_folder(place, form, write)
    return ExportedSet(
        output=place,
        form=form,
        character=who,
        counts=counts,
        notes=[*said, *(f"rights: {note}" for note in record["notes"])],
        findings=_preview_export(place, form, about),
    )


def choose_pictures(
    pictures: Sequence[ExportPicture], form: str, options: SetExport, config: Config
) -> tuple[list[ExportPicture], int, list[str]]:
    """The pictures that are large enough for a trainer, its resolution, and what to say of both.

    Parameters
    ----------
    pictures : sequence of ExportPicture
        Of one character.
    options : SetExport
        Its `resolution_px`, else that of its `base`, else of `models.base_model` if that is not the
        toy, else what most of the pictures allow. Where neither is given, a format without a
        resolution of its own gets all pictures.

    Raises
    ------
    UserError
        If no training picture is large enough.
    """
    most = config.dataset.max_upscale
    best = folder.best_resolution(pictures, most, config.dataset.bucket_step_px)
    side = options.resolution_px or _base_resolution(options.base, config)
    side = side or config.models.resolution or best
    if form != "kohya" and not (options.resolution_px or options.base):
        return list(pictures), best, []
    size = folder.read_size(side, config.dataset.bucket_step_px, most)
    kept = [one for one in pictures if folder.is_enough(one, size)]
    if not any(not one.is_class and not one.is_held_out for one in kept):
        raise UserError(
            f"--resolution: expected pictures large enough for {side} px (enlarged at most "
            f"{most:g} times, dataset.max_upscale), found none; use --resolution {best}"
        )
    said = [f"resolution {side} px"]
    if len(kept) < len(pictures):
        said[0] += f"; {len(pictures) - len(kept)} pictures are too small for it and left out"
    if side < best:
        said.append(
            f"the pictures are large enough for more than {side} px: with --resolution {best} and "
            "a base model made for it, they train better"
        )
    return kept, side, said


def _base_resolution(base: str | None, config: Config) -> int:
    """Side of the pictures of a base; 0 where none is named."""
    models = config.models
    if base is None:
        if models.base_model in ("", family_folder.TOY):
            return 0
        return family_folder.choose_resolution(models.base_model, models.resolution, models.family)[
            0
        ]
    known = known_base.BY_NAME.get(base)
    if known is not None:
        return known.resolution_px
    if "/" not in base:
        raise UserError(
            f"--base: expected {', '.join(known_base.BY_NAME)}, a hub id or a folder, got {base}"
        )
    return family_folder.resolution_of(base, models.family)[0]


def exported_rights(space: Workspace, config: Config, character: str) -> RightsRecord:
    """The rights record of today's export of a character's set, with who approved the set.

    Raises
    ------
    UserError
        If `review.needs_approval` is set and nobody approved the set as it is.
    """
    record = rights_record(space, config, film_workspace.today())
    if config.review.needs_approval:
        table = store.read_or_empty(space.table, "dataset")
        approved = approval.check(table, space.root, [character])[character]
        record["approval"] = approved.to_metadata()
    return record


def rights_record(space: Workspace, config: Config, date: str = "") -> RightsRecord:
    """Put together the rights of what comes of a film, see `rights.make_record`.

    A joint set of many films has those of all of them, as it was drawn.
    """
    source = space.source()
    if space.is_series:
        text = safe_path.join(space.root, f"dataset/{rights.FILE}").read_text(encoding="utf-8")
        joined: RightsRecord = json.loads(text)
        return {**joined, "date": date} if date else joined
    tables = {name: store.read_or_empty(space.table, name) for name in RIGHTS_TABLES}
    return rights.make_record(
        film_file=Path(source["film"]).name,
        film_hash=source["content_hash"],
        given=config.rights,
        models=rights.used_models(tables),
        date=date,
    )


def read_training_set(space: Workspace) -> pl.DataFrame:
    """Table `dataset` with at least one row."""
    table = store.read_or_empty(space.table, "dataset")
    if table.is_empty():
        said = fingerprint.read_record(space.root, "dataset").get("note", "")
        why = ", ".join(said.splitlines()) or "stage dataset has not run"
        raise UserError(
            f"{space.film_id}: expected a training set, found none ({why}); it needs reference "
            "pictures of a character that appears in the film"
        )
    return table


def choose_character(table: pl.DataFrame, wanted: str | None, what: str) -> str:
    """The character of a table that is meant; `what` it has rows of goes into the refusal."""
    names = table["character"].unique().sort().to_list()
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted is not None and wanted in names:
        return wanted
    got = "none given" if wanted is None else f"got {wanted}"
    raise UserError(
        f"--character: expected a character with {what} ({', '.join(names)}), {got}; choose one"
    )


def _parse_repeats(text: str) -> int | None:
    """Repeats of every picture; None: those of the table."""
    if text == "auto":
        return None
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 10_000:
        raise UserError(f"--repeats: expected auto or a number from 1 to 10000, got {text!r}")
    return int(text)


def check_choice(option: str, got: str, choices: Sequence[str]) -> None:
    """Refuse a value of an option that is not one of its choices."""
    if got not in choices:
        raise UserError(f"{option}: expected {', '.join(choices)}, got {got}; choose one")


def _preview_export(place: Path, form: str, about: ExportInfo) -> TrainerPreview | None:
    """What the trainer of a format will see of it."""
    if form not in picture_preview.TRAINERS:
        return None
    return picture_preview.preview_folder(
        place,
        form,
        resolution_px=0 if form == "kohya" else about.resolution_px,
        batch_size=about.batch_size,
        caption=CaptionRule(trigger=about.trigger),
    )
