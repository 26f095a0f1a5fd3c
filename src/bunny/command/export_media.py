"""`bunny export clips` and `bunny export pairs`: clips and pairs in the format of a trainer."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from bunny.caption.trigger import trigger_word
from bunny.clip import preset, rate
from bunny.command import export_set, film_workspace
from bunny.command.export_set import ExportedSet
from bunny.command.option.common import FilmOptions
from bunny.command.option.export import ClipExport, PairExport
from bunny.contract import fingerprint
from bunny.core import film_file, image_file, safe_path
from bunny.core.config import Config
from bunny.core.error import UserError
from bunny.core.workspace import Workspace
from bunny.dataset import image_folder as sets
from bunny.table import store
from bunny.trainer_format.check import clip_preview
from bunny.trainer_format.export import configuration, folder, media
from bunny.trainer_format.export.folder import ExportInfo
from bunny.trainer_format.export.media import MediaFolder, TrainingClip, TrainingPair, TrainingStill
from bunny.video.extra_frame import ExtraFrameReader

CLIP_COLUMNS = ("clip_id", "character", "shot_index", "start_s", "end_s", "camera", "sha256")
PAIR_COLUMNS = ("pair_id", "character", "kind", "reference_frame_ids", "sha256")
STILL_COLUMNS = ("image_id", "character", "frame_id")
LOADING = """## Loading

{words} Paths in it are of the machine and folder that the set was exported to: export again after
moving it. `manifest.jsonl` says of each file where in the film it lies."""
PARTS = ("clip/*", "pair/*", "dataset/*", "export/*")
LOADING_WORD = {
    "musubi": "Pass `dataset.toml` to musubi-tuner's scripts as `--dataset_config`.",
    "diffusion-pipe": "Name `dataset.toml` as `dataset` in diffusion-pipe's configuration.",
    "ai-toolkit": "Put the list from `datasets.yaml` under `datasets` in ai-toolkit's job.",
    "simpletuner": "Pass `multidatabackend.json` to SimpleTuner as `--data_backend_config`.",
    "diffsynth": "Add the lines of `arguments.txt` to the arguments of DiffSynth-Studio.",
    "ltx": "Pass the lines of `arguments.txt` to LTX-2's `process_dataset.py`.",
    "finetrainers": "Pass `training.json` to finetrainers as `--dataset_config`.",
}


def export_clips(film: FilmOptions, options: ClipExport) -> ExportedSet:
    """Write a character's clips in the format of a trainer.

    Parameters
    ----------
    options : ClipExport
        `output` is a folder that is missing, empty, or such an export. The model ``auto`` is the
        trainer's first one of the clips' frame rate, else its first one. Clips of another rate than
        the model's are written again from the film.

    Raises
    ------
    UserError
        For a film without clips, a file that is missing, a model that the trainer does not train,
        and what the folder cannot be.
    """
    form = options.form
    export_set.check_choice("--format", form, tuple(configuration.WRITERS))
    space, config = film_workspace.open_film(film.film, film.data_dir, film.overrides, PARTS)
    table = store.read_or_empty(space.table, "clip")
    if table.is_empty():
        raise _nothing_found(space, "clip", "clip", "clip.preset=wan")
    who = export_set.choose_character(table, options.character, "clips")
    rows = table.filter(character=who).sort("clip_id")
    train = list(_of_training(rows).iter_rows(named=True))
    chosen = _choose_model(options.model, form, {row["fps"] for row in train})
    _check_files([_clip_file(row, space.root) for row in train], "clips", "clip")
    stills = _stills(space, who) if options.has_stills else []

    def write(target: Path) -> tuple[list[MediaFolder], dict[str, int]]:
        with tempfile.TemporaryDirectory(dir=target) as scratch:
            ready, changed = _at_rate(space, config, train, chosen, Path(scratch))
            counts = {"clips": len(ready), "stills": len(stills), **changed}
            counts["held out and left out"] = rows.height - len(train)
            return media.write_clips(target, [_clip(r, space.root) for r in ready], stills), counts

    place = options.output or space.root / "export" / f"clips-{form}" / sets.folder_name(who)
    return _export(space, config, options.form, who, chosen, place, write)


def export_pairs(film: FilmOptions, options: PairExport) -> ExportedSet:
    """Write a character's pairs of one kind in the format of a trainer; as `export_clips`.

    Parameters
    ----------
    options : PairExport
        Its kind is ``reference``, ``edit`` or ``clip`` (references of clips); never two in one
        folder.
    """
    form, kind = options.form, options.kind
    export_set.check_choice("--format", form, tuple(configuration.WRITERS))
    export_set.check_choice("--kind", kind, (media.REFERENCE, media.EDIT, media.OF_CLIP))
    is_clip = kind == media.OF_CLIP
    limits = configuration.MAX_OF_CLIP if is_clip else configuration.MAX_REFERENCES
    most = limits.get(form, 0)
    if not most:
        what = "references of clips" if is_clip else "references from folders"
        raise UserError(
            f"--format: expected a trainer that loads {what}, got {form}; choose "
            f"{', '.join(f for f, n in limits.items() if n)}"
        )
    space, config = film_workspace.open_film(film.film, film.data_dir, film.overrides, PARTS)
    table = store.read_or_empty(space.table, "training_pair")
    chosen = table.filter(pl.col("kind").cast(pl.String) == kind, pl.col("reason").is_null())
    if chosen.is_empty():
        raise _nothing_found(space, "pair", f"{kind} pair", f"pair.kinds=[{kind}]")
    who = export_set.choose_character(chosen, options.character, f"{kind} pairs")
    rows = chosen.filter(pl.col("character") == who, pl.col("error").is_null()).sort("pair_id")
    clip = store.read_or_empty(space.table, "clip")
    clips = {row["clip_id"]: row for row in clip.iter_rows(named=True)}
    train = list(_of_training(rows).iter_rows(named=True))
    files = [safe_path.join(space.root, file) for row in train for file in row["files"]]
    _check_files(files, "pairs", "pair")
    wanted = {row["target_clip_id"] for row in train} - {None}
    if gone := wanted - clips.keys():
        raise UserError(
            f"pairs: expected their {len(wanted)} clips in table clip, {len(gone)} are gone "
            f"(first: {min(gone)}); run stage pair again with --force"
        )

    def write(target: Path) -> tuple[list[MediaFolder], dict[str, int]]:
        with tempfile.TemporaryDirectory(dir=target) as scratch:
            own = [clips[name] for name in sorted(wanted)]
            own, changed = _at_rate(space, config, own, "wan", Path(scratch))
            ready = {row["clip_id"]: row for row in own}
            kept = [row for row in train if not is_clip or row["target_clip_id"] in ready]
            pairs = [_pair(row, space.root, ready) for row in kept]
            used = sum(min(len(p.references), most) for p in pairs)
            counts = {"pairs": len(pairs), "references": used}
            left_out = sum(len(p.references) for p in pairs) - used
            counts |= {"references left out": left_out} if left_out else {}
            counts |= {**changed, "held out and left out": rows.height - len(train)}
            return media.write_pairs(target, pairs, most), counts

    place = options.output or space.root / "export" / f"pairs-{kind}-{form}" / sets.folder_name(who)
    return _export(space, config, options.form, who, "wan", place, write)


Write = Callable[[Path], tuple[list[MediaFolder], dict[str, int]]]


def _export(
    space: Workspace, config: Config, form: str, who: str, model: str, place: Path, write: Write
) -> ExportedSet:
    """Media, configuration, card and rights, written as one folder."""
    place = place.expanduser().absolute()
    record = export_set.exported_rights(space, config, who)
    counts: dict[str, int] = {}

    def fill(target: Path) -> dict[str, Any]:
        folders, written = write(target)
        counts.update(written)
        for name, text in configuration.WRITERS[form](folders, place).items():
            folder.write_text(target / name, text)
        info = ExportInfo(
            character=who,
            trigger=trigger_word(config.captioning.trigger_word, who),
            class_word=config.captioning.class_word,
            rights=record,
            resolution_px=0,
        )
        loading = LOADING.format(words=LOADING_WORD[form])
        folder.write_card(target, info, counts, loading, "")
        about = {"model": model, "place": place.as_posix()}
        return {"character": who, "trigger": info.trigger, **about, "counts": counts}

    folder.replace_folder(place, form, fill)
    found = clip_preview.preview_folder(place, form, model=model)
    return ExportedSet(
        output=place, form=form, character=who, counts=counts, notes=record["notes"], findings=found
    )


def _nothing_found(space: Workspace, stage: str, what: str, setting: str) -> UserError:
    """The error of a film without clips or pairs: whether they were looked for, and what to do."""
    note = fingerprint.read_record(space.root, stage).get("note", "")
    if not note or (stage == "pair" and what not in note):  # its note counts the kinds it made
        return UserError(
            f"{space.film_id}: expected {what}s, found none, because stage {stage} has not looked "
            f"for them; run `bunny run {space.film_id} --until {stage} --set {setting}`"
        )
    return UserError(
        f"{space.film_id}: expected {what}s, but stage {stage} found none that is suitable "
        f"({note}); change the settings of section {stage} or correct labels with `bunny review`, "
        "then run it again"
    )


def _of_training(rows: pl.DataFrame) -> pl.DataFrame:
    """Without held-out ones."""
    return rows.filter(pl.col("split").cast(pl.String) == "train")


def _check_files(files: Sequence[Path], what: str, stage: str) -> None:
    """Refuse a set without files or with missing ones."""
    if not files:
        raise UserError(
            f"{what}: expected at least one for training, found only held-out ones; add more"
        )
    gone = [file for file in files if not file.is_file()]
    if gone:
        raise UserError(
            f"{what}: {len(gone)} of {len(files)} files are missing (first: {gone[0].name}); run "
            f"stage {stage} again with --force"
        )


def _choose_model(model: str, form: str, rates: Collection[float]) -> str:
    """The video model to write for; of a trainer's own the first of the clips' rate, or its first.

    Raises
    ------
    UserError
        If the trainer does not train the model.
    """
    known = configuration.MODELS[form]
    if model == "auto":
        return next((name for name in known if {preset.FORM[name].fps} == set(rates)), known[0])
    export_set.check_choice("--model", model, ("auto", *preset.FORM))
    configuration.check_model(form, model)
    return model


def _at_rate(
    space: Workspace, config: Config, rows: Sequence[dict[str, Any]], model: str, folder: Path
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Rows of clips at a model's rate, those of another written again into a folder, and counts.

    Raises
    ------
    UserError
        If the film is missing, or no clip is long enough.
    """
    form = preset.FORM[model]
    others = [row for row in rows if row["fps"] != form.fps]
    if not others:
        return [*rows], {}
    film = space.source()["film"]
    tables = [store.read_or_empty(space.table, name) for name in ("film", "frame", "clip_frame")]
    reader = ExtraFrameReader(config.extraction, film, *tables[:2])
    if not reader.is_present():
        raise UserError(
            f"{film}: expected the film, to write {len(others)} clips again at {form.fps:g} frames "
            f"per second for {model} (they have {others[0]['fps']:g}), found none; run the film "
            "with its new path"
        )
    found = rate.write_at_rate(others, tables[2], form, reader, film_file.locate(film), folder)
    made = {row["clip_id"]: row for row in found}
    ready = [made.get(row["clip_id"], row) for row in rows]
    ready = [row for row in ready if row["fps"] == form.fps]
    if not ready:
        raise UserError(
            f"clips: expected one of at least {rate.MIN_FRAMES} frames at {form.fps:g} frames per "
            f"second for {model}, found none; run stage clip with clip.preset={model}"
        )
    counts = {f"written again at {form.fps:g} fps": len(made)}
    if len(made) < len(others):
        counts["too short and left out"] = len(others) - len(made)
    return ready, counts


def _clip_file(row: dict[str, Any], root: Path) -> Path:
    """File of a clip: the film's own, or the one that was written again."""
    file = row["file"]
    return file if isinstance(file, Path) else safe_path.join(root, file)


def _clip(row: dict[str, Any], root: Path) -> TrainingClip:
    return TrainingClip(
        file=_clip_file(row, root),
        caption=" ".join(row["caption"].split()),
        width_px=row["width_px"],
        height_px=row["height_px"],
        num_frames=row["num_frames"],
        fps=row["fps"],
        columns={name: row[name] for name in CLIP_COLUMNS},
    )


def _stills(space: Workspace, who: str) -> list[TrainingStill]:
    """Training pictures of the character."""
    rows = export_set.read_training_set(space).filter(
        pl.col("character") == who,
        pl.col("split").cast(pl.String) == "train",
        pl.col("role").cast(pl.String).fill_null("subject") == "subject",
    )
    stills = [
        TrainingStill(
            file=safe_path.join(space.root, row["file"]),
            caption=" ".join(row["caption"].split()),
            width_px=row["width_px"],
            height_px=row["height_px"],
            columns={name: row[name] for name in STILL_COLUMNS},
        )
        for row in rows.sort("image_id").iter_rows(named=True)
    ]
    _check_files([still.file for still in stills], "training pictures", "dataset")
    return stills


def _pair(row: dict[str, Any], root: Path, clips: Mapping[str, dict[str, Any]]) -> TrainingPair:
    target, *references = (safe_path.join(root, file) for file in row["files"])
    clip = clips.get(row["target_clip_id"] or "")
    if clip is not None:
        target = _clip_file(clip, root)
        width, height = clip["width_px"], clip["height_px"]
    else:
        picture = image_file.read(target) if target.is_file() else None
        height, width = (0, 0) if picture is None else picture.shape[:2]
    return TrainingPair(
        pair_id=row["pair_id"],
        kind=row["kind"],
        target=target,
        references=tuple(references),
        instruction=" ".join(row["instruction"].split()),
        width_px=width,
        height_px=height,
        num_frames=clip["num_frames"] if clip else 1,
        fps=clip["fps"] if clip else 0.0,
        columns={name: row[name] for name in PAIR_COLUMNS},
    )
