"""Stage generate: the prompts drawn with each character's adapter and with the base alone."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl

from bunny.contract.stage import BaseStage, StageOutput, settings_of
from bunny.core import workspace
from bunny.core.config import Config
from bunny.dataset.crop_caption import CaptionWords
from bunny.generation import grid, plan, provenance, request, sampler, similarity
from bunny.generation.plan import GridColumn
from bunny.generation.request import GenerationRequest
from bunny.generation.sampler import GeneratedPicture
from bunny.table import store
from bunny.training import base as base_model
from bunny.training.base import Base
from bunny.training.family import folder as family_folder

if TYPE_CHECKING:
    from tqdm.auto import tqdm

    from bunny.contract.shard import Shards

logger = logging.getLogger(__name__)

NOTE_TOKENS = "{} prompts are too long for the text encoder; their ends are ignored"
NOTE_CHECKER = "the base model has no safety checker, so the pictures were not checked"
NOTE_NEGATIVE = "the negative prompt has no effect at a guidance scale of 1 or less"


@dataclass(frozen=True, kw_only=True)
class _Task:
    """One fine-tune's part of the work."""

    run: dict[str, Any]
    drawings: list[GenerationRequest]
    columns: list[GridColumn]
    folder: str  # of the pictures, relative to the film's


class Generate(BaseStage):
    """Adapters in; pictures with their provenance, a grid and their likeness out."""

    name: ClassVar[str] = "generate"
    version: ClassVar[int] = 2
    reads: tuple[str, ...] = ("frame", "quality", "dataset", "training_run", "adapter")
    writes: ClassVar[tuple[str, ...]] = ("picture",)
    unit: ClassVar[str] = "picture"

    def __init__(self, config: Config, input_dir: Path, output_dir: Path) -> None:
        """The evaluation is read where it decides and there is one."""
        super().__init__(config, input_dir, output_dir)
        is_asked = config.generation.checkpoints == "chosen"
        if is_asked and store.exists(self.input_dir / "table", "evaluation"):
            self.reads = (*self.reads, "evaluation")

    def settings(self) -> dict[str, Any]:
        """All of `generation`, the base and the words for the character."""
        return {
            **settings_of(self.config, "generation"),
            **settings_of(self.config, "captioning", "trigger_word", "class_word"),
            **settings_of(self.config, "models", "base_model", "family", "precision"),
            "base_hash": family_folder.hash_base(self.config.models.base_model),
        }

    def needs(self) -> tuple[str, ...]:
        """Adapters, real pictures to compare with, and its own drawings."""
        return (*workspace.ADAPTERS, "frame/*", "dataset/*", "picture/*")

    def has_files(self) -> bool:
        """Whether all pictures are there."""
        return self.are_there(store.read(self.output_dir / "table", "picture")["file"].drop_nulls())

    def run(self) -> StageOutput:
        """Draw for each finished fine-tune."""
        runs = self.read("training_run").filter(pl.col("status") == "done")
        if not runs.height:
            reason = "no finished fine-tune, so nothing to generate with"
            return StageOutput(
                tables={"picture": store.from_rows("picture", [])}, num_items=0, note=reason
            )
        models = self.config.models
        loaded = base_model.load_base(
            models.base_model, family=models.family, precision=models.precision
        )
        notes: list[str] = []
        tasks = [self._task(loaded, run, notes) for run in runs.to_dicts()]
        rows: list[dict[str, Any]] = []
        total = sum(len(task.drawings) * len(task.columns) for task in tasks)
        with self.bar(total) as bar:
            for task in tasks:
                drawn = self._score(self._draw_task(loaded, task, bar, total), task)
                rows += drawn
                notes.append(similarity.likeness_note(task.run["character"], drawn))
                self._write_grid(task, drawn)
        self._forget_old_shards()
        notes += self._warnings(loaded, [d for task in tasks for d in task.drawings])
        table = store.from_rows("picture", rows)
        failed = int(table["error"].is_not_null().sum())
        flagged = int(table["is_flagged"].sum() or 0)
        notes += [f"the safety checker flagged {flagged} pictures"] if flagged else []
        return StageOutput(
            tables={"picture": table},
            num_items=table.height,
            num_failed=failed - flagged,
            note="; ".join(dict.fromkeys(notes)),
        )

    def _task(self, loaded: Base, run: dict[str, Any], notes: list[str]) -> _Task:
        """What is drawn for one fine-tune."""
        settings, character = self.config.generation, run["character"]
        plan.check_run_base(loaded, run)
        space = workspace.from_film_dir(self.output_dir)
        known = "evaluation" in self.reads
        evaluation = self.read("evaluation") if known else store.from_rows("evaluation", [])
        strengths = settings.strengths or (settings.lora_strength,)
        columns, note = plan.run_columns(
            settings, run, strengths, space.checkpoint, self.read("adapter"), evaluation
        )
        notes += [f"{character}: {note}"] if note else []
        return _Task(
            run=run,
            drawings=self._drawings(character),
            columns=columns,
            folder=f"picture/{Path(run['adapter_file']).parent.name}",
        )

    def _drawings(self, character: str) -> list[GenerationRequest]:
        """Prompts of the settings with the character's words, from each frame, with each seed."""
        settings, captioning = self.config.generation, self.config.captioning
        words = CaptionWords.of(captioning, character)
        starts = plan.load_init_frames(
            self.input_dir, self.read("frame"), settings.init_frames, settings.init_strength
        )
        return plan.requests(settings, words.subject, starts)

    def _draw_task(self, loaded: Base, task: _Task, bar: tqdm, total: int) -> list[dict[str, Any]]:
        """Rows of all pictures of one fine-tune; what draws is changed as seldom as can be."""
        batches = sampler.split_batches(task.drawings, self.config.generation.batch_size)
        rows: list[dict[str, Any]] = []
        for column in task.columns:
            rows += self._draw_column(loaded, task, column, batches, bar, total)
        return rows

    def _draw_column(
        self,
        loaded: Base,
        task: _Task,
        column: GridColumn,
        batches: Sequence[Sequence[int]],
        bar: tqdm,
        total: int,
    ) -> list[dict[str, Any]]:
        """Rows of what one checkpoint draws at one strength; a batch is a shard."""
        is_checked = self.config.generation.has_safety_checker
        depends = {
            "base": loaded.hash,
            "precision": self.config.models.precision,
            "adapters": [(a.hash, a.strength) for a in column.adapters],
            "drawings": [repr(drawing) for drawing in task.drawings],
            "batches": [list(indices) for indices in batches],
            "has_safety_checker": is_checked,
        }
        shards = self.shards(f"{task.run['run_id']}-{column.key}", depends)
        pending = [i for i, _ in enumerate(batches) if not self._is_drawn(shards, i)]
        bar.update(sum(len(batches[i]) for i in range(len(batches)) if i not in pending))
        if pending:
            shards.drop_others()  # their files are about to be overwritten
        made = sampler.generate_batches(
            loaded,
            task.drawings,
            [batches[i] for i in pending],
            column.adapters,
            has_safety_checker=is_checked,
        )
        for index, drawn in zip(pending, made, strict=True):
            rows = [self._keep(task, column, one) for one in drawn]
            shards.put(index, {"picture": store.from_rows("picture", rows)})
            bar.update(len(drawn))
            self._note_progress(bar.n, total)
        return shards.collect("picture").to_dicts()

    def _is_drawn(self, shards: Shards, index: int) -> bool:
        """Whether the shard and all its files are there."""
        if not shards.is_done(index):
            return False
        files = shards.get(index, "picture")["file"].drop_nulls()
        return all((self.output_dir / file).is_file() for file in files)

    def _keep(self, task: _Task, column: GridColumn, drawn: GeneratedPicture) -> dict[str, Any]:
        """Write one picture; gives its row."""
        drawing, run, facts = task.drawings[drawn.index], task.run, drawn.provenance
        name = f"{drawn.index:03d}-{column.key}"
        file = f"{task.folder}/{name}.png" if drawn.picture is not None else None
        step = column.checkpoint.step if column.checkpoint else None
        if file is not None and drawn.picture is not None:
            about = {"run_id": run["run_id"], "character": run["character"], "step": step}
            about["film_id"] = workspace.from_film_dir(self.output_dir).film_id
            drawn.save(self.output_dir / file, about)
        beside = facts["adapters"][1:]
        return {
            "picture_id": f"{run['run_id']}-{name}",
            "run_id": run["run_id"],
            "character": run["character"],
            "file": file,
            **{key: facts[key] for key in provenance.PICTURE_COLUMNS},
            "negative_prompt": drawing.negative_prompt or None,
            "adapter_file": column.checkpoint.file if column.checkpoint else None,
            "step": step,
            "strength": column.strength,
            "blend": json.dumps(beside) if beside else None,
            "scheduler": facts["scheduler_class"],
            "is_flagged": drawn.is_flagged if facts["safety_checker"] == "on" else None,
            "error": drawn.error,
        }

    def _score(self, rows: list[dict[str, Any]], task: _Task) -> list[dict[str, Any]]:
        """Fill `similarity`: likeness to crops of the character that were not trained on."""
        held_out = self.read("dataset").filter(
            pl.col("character") == task.run["character"], pl.col("split") == "held-out"
        )
        kept = self.read("quality").filter(pl.col("is_kept")).select("frame_id")
        frames = self.read("frame").join(kept, on="frame_id").sort("frame_index")
        return similarity.add_similarity(
            self.output_dir, rows, held_out["file"].to_list(), frames["file"].drop_nulls().to_list()
        )

    def _write_grid(self, task: _Task, rows: Sequence[dict[str, Any]]) -> None:
        """Lay the pictures out with their labels in ``grid.png``."""
        place = {f"{task.run['run_id']}-{i:03d}": i for i, _ in enumerate(task.drawings)}
        keys = {column.key for column in task.columns}
        files = {}
        for row in rows:
            key = next(k for k in keys if row["picture_id"].endswith(f"-{k}"))
            files[place[row["picture_id"].removesuffix(f"-{key}")], key] = row["file"]
        grid.write_grid(
            self.output_dir,
            self.output_dir / task.folder / "grid.png",
            files,
            task.drawings,
            task.columns,
            {"run_id": task.run["run_id"], "adapter_hash": task.run["adapter_hash"]},
        )

    def _warnings(self, loaded: Base, drawings: Sequence[GenerationRequest]) -> list[str]:
        """What was asked for and has no effect; each once."""
        cut = request.truncated_prompts(loaded, [d.prompt for d in drawings])
        settings = self.config.generation
        is_checker_missing = (
            request.safety_checker_state(loaded, settings.has_safety_checker)
            == request.CHECKER_NONE
        )
        is_negative_idle = bool(settings.negative_prompt) and settings.guidance_scale <= 1
        notes = [NOTE_TOKENS.format(len(cut))] if cut else []
        notes += [NOTE_CHECKER] if is_checker_missing else []
        return notes + ([NOTE_NEGATIVE] if is_negative_idle else [])

    def _forget_old_shards(self) -> None:
        """Remove the shards of grids that were asked for before."""
        used = {shards.folder.parent for shards in self._opened}
        for folder in (self.folder / "shard").glob("*"):
            if folder not in used:
                shutil.rmtree(folder, ignore_errors=True)
