"""`bunny export adapter`: a checkpoint as a file for diffusers, kohya or ComfyUI."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from bunny.command import film_workspace
from bunny.command.option.common import FilmOptions
from bunny.command.option.export import AdapterExport
from bunny.core import file_hash, input_path, safe_path, workspace
from bunny.core.config import Config
from bunny.core.error import UserError
from bunny.core.workspace import Workspace
from bunny.dataset.image_folder import folder_name
from bunny.generation import plan
from bunny.table import store
from bunny.training import base as bases
from bunny.training.adapter_file import layer, read, safetensors_file, write
from bunny.training.family import folder as family_folder

CHOSEN, LAST = "chosen", "last"
DERIVED = ("format", write.PEFT_TEXT)  # texts that are written anew
DORA_NOTE = {
    "diffusers": "",
    "kohya": "DoRA: in this format diffusers ignores the magnitudes, and A1111 and ComfyUI apply "
    "a different formula; prefer --format diffusers or comfy",
    "comfy": "DoRA adjusted to this base model: correct in ComfyUI, but not in other tools",
}


@dataclass(frozen=True, kw_only=True)
class ExportedAdapter:
    """What was exported."""

    output: Path
    form: str
    character: str
    step: int
    adapter: read.AdapterFile  # as it was trained
    hash: str  # of the written file
    notes: Sequence[str]

    def to_text(self) -> str:
        """Lines for a person."""
        kind = "DoRA" if self.adapter.is_dora else "LoRA"
        layers = sum(len(layers) for layers in self.adapter.parts.values())
        size = self.output.stat().st_size / 1e6
        lines = [
            f"{self.character} as {self.form}: {kind} of rank {self.adapter.rank}, {layers} layers "
            f"({', '.join(self.adapter.components)}), step {self.step}, {size:.1f} MB",
            f"  {self.output}",
            f"  SHA-256 {self.hash}",
            *(f"  {note}" for note in self.notes),
        ]
        return "\n".join(lines)

    def to_json(self) -> str:
        """One JSON object on one line."""
        said = {
            "output": str(self.output),
            "format": self.form,
            "character": self.character,
            "step": self.step,
            "adapter": "dora" if self.adapter.is_dora else "lora",
            "rank": self.adapter.rank,
            "components": self.adapter.components,
            "hash": self.hash,
            "notes": list(self.notes),
        }
        return json.dumps(said)


def export(chosen: FilmOptions, options: AdapterExport) -> ExportedAdapter:
    """Write a film's adapter in the form of another tool.

    Parameters
    ----------
    options : AdapterExport
        `output` is a file that is missing, or such an export. The step is ``chosen`` by the
        evaluation (else the last), ``last``, or one that was kept.

    Raises
    ------
    UserError
        For a film without an adapter, a step that was not kept, a changed or broken file, and what
        the format cannot hold.
    """
    form = options.form
    if form not in write.FORMS:
        raise UserError(f"--format: expected {', '.join(write.FORMS)}, got {form}; choose one")
    space, config = film_workspace.open_film(
        chosen.film, chosen.data_dir, chosen.overrides, (*workspace.ADAPTERS, "export/*")
    )
    row, notes = _choose(space, options.character, options.step)
    source = _source(space, row)
    name = f"{folder_name(row['character'])}-{form}.safetensors"
    target = options.output or space.root / "export" / "adapter" / name
    _check_output(target, source)
    folder = _base_folder(config)
    adapter = read.read(source, shape=_shape(folder))
    captions, base = _captions(space, row["character"]), None
    if form == "comfy" and adapter.is_dora:
        models = config.models
        loaded = bases.load_base(models.base_model, device="cpu", family=models.family)
        base = read.components_of(loaded.family)
        read.check_fits(adapter, base)
    texts = _texts(adapter, row, film_workspace.today(), folder)
    family = adapter.family or "sd"
    target_form = write.AdapterForm(name=form, shape=_shape(folder), captions=captions, base=base)
    digest = write.write_parts(target, adapter.parts, family, texts, target_form)
    notes += [DORA_NOTE[form]] if adapter.is_dora and DORA_NOTE[form] else []
    notes += [f"rights: {texts['rights_note']}"] if texts.get("rights_note") else []
    return ExportedAdapter(
        output=target,
        form=form,
        character=row["character"],
        step=row["step"],
        adapter=adapter,
        hash=digest,
        notes=notes,
    )


def _choose(space: Workspace, character: str | None, step: str) -> tuple[dict[str, Any], list[str]]:
    """The row of the checkpoint that is meant, and what the user should know."""
    rows = _rows(space)
    names = rows["character"].unique().sort().to_list()
    if character is None and len(names) == 1:
        character = names[0]
    if character not in names:
        got = f"got {character}" if character else "none given"
        raise UserError(
            f"--character: expected a character with an adapter ({', '.join(names)}), {got}; "
            "choose one"
        )
    rows = rows.filter(pl.col("character") == character).sort("step")
    steps = [str(kept) for kept in rows["step"]]
    if step not in (CHOSEN, LAST, *steps):
        raise UserError(
            f"--step: expected chosen, last or the step of a checkpoint ({', '.join(steps)}), got "
            f"{step}; choose one"
        )
    evaluation = store.read_or_empty(space.table, "evaluation")
    found, note = plan.select_checkpoints(
        space.checkpoint, rows, evaluation, rows["run_id"][0], step
    )
    row = rows.row(by_predicate=pl.col("file") == found[-1].file, named=True)
    return row, [note] if note else []


def _rows(space: Workspace) -> pl.DataFrame:
    """Table `adapter`; where it is empty, the last ones by table `training_run`."""
    rows = store.read_or_empty(space.table, "adapter")
    if not rows.is_empty():
        return rows
    runs = store.read_or_empty(space.table, "training_run")
    runs = runs.filter(pl.col("adapter_file").is_not_null() & pl.col("adapter_hash").is_not_null())
    if runs.is_empty():
        raise UserError(
            f"{space.film_id}: expected a fine-tune, found none; run stage finetune first"
        )
    return runs.select(
        "run_id",
        pl.col("num_steps").alias("step"),
        "character",
        pl.col("adapter_file").alias("file"),
        pl.col("adapter_hash").alias("hash"),
        pl.lit(True).alias("is_last"),
    )


def _source(space: Workspace, row: Mapping[str, Any]) -> Path:
    """The checkpoint's file, if it is still the one of the table."""
    path = safe_path.join(space.checkpoint, row["file"])
    if not path.is_file() or file_hash.hash_file(path) != row["hash"]:
        found = "a file with different content" if path.is_file() else "no such file"
        raise UserError(
            f"{path}: expected the adapter that stage finetune wrote, found {found}; "
            "run stage finetune again"
        )
    return path


def _check_output(target: Path, source: Path) -> None:
    """Refuse to write over anything but an export of ours."""
    input_path.check_output_file(target)
    if target.exists() and target.resolve() == source.resolve():
        raise UserError(f"{target}: this is the checkpoint file itself; give another --output")
    if not target.exists():
        return
    try:
        is_ours = "made_by" in safetensors_file.read_texts(target)
    except UserError:
        is_ours = False
    if not is_ours:
        raise UserError(
            f"{target}: expected a new file or an earlier export, found another kind of file; give "
            "another --output"
        )


def _base_folder(config: Config) -> Path | None:
    """The base's folder if it lies on this machine; a hub model is not fetched for its names."""
    return family_folder.find_local(config.models.base_model)


def _shape(folder: Path | None) -> layer.UnetShape | None:
    """Block numbers of the base's UNet; None: SDXL's own."""
    found = _settings(folder, "unet/config.json")
    return layer.shape_of(found) if "up_block_types" in found else None


def _settings(folder: Path | None, inner: str) -> dict[str, Any]:
    """A JSON file of the base; empty if it has none."""
    path = None if folder is None else folder / inner
    return json.loads(path.read_text(encoding="utf-8")) if path and path.is_file() else {}


def _captions(space: Workspace, character: str) -> list[str]:
    """Captions that the character was trained on."""
    rows = store.read_or_empty(space.table, "dataset")
    is_own = (pl.col("character") == character) & (pl.col("split") == "train")
    is_subject = pl.col("role").fill_null("subject") == "subject"
    return rows.filter(is_own & is_subject)["caption"].to_list()


def _texts(
    adapter: read.AdapterFile, row: Mapping[str, Any], date: str, folder: Path | None
) -> dict[str, Any]:
    """The checkpoint's own texts, with what an export adds."""
    kept = {key: text for key, text in adapter.texts.items() if key not in DERIVED}
    kind = _settings(folder, "scheduler/scheduler_config.json").get("prediction_type")
    said = {"step": row["step"], "prediction_type": kind, "date": date or None}
    return {"title": row["character"], **kept, **{k: v for k, v in said.items() if v is not None}}
