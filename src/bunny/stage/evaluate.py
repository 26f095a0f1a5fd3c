"""Stage evaluate: likeness, agreement and copying of an adapter's pictures, with intervals."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from bunny.contract.stage import BaseStage, StageOutput, settings_of, unless_default
from bunny.core import workspace
from bunny.core.error import UserError
from bunny.evaluation import agreement
from bunny.evaluation.evaluator import Evaluator
from bunny.evaluation.settings import EvaluationInput, EvaluatorSettings
from bunny.table import store
from bunny.training import base as base_model
from bunny.training.base import Base
from bunny.training.family import folder

logger = logging.getLogger(__name__)


class Evaluate(BaseStage):
    """Adapters in; measures of their checkpoints, the pictures behind them, and a verdict out."""

    name: ClassVar[str] = "evaluate"
    version: ClassVar[int] = 2
    reads: tuple[str, ...] = (
        "frame",
        "label",
        "reference",
        "candidate",
        "dataset",
        "training_run",
        "adapter",
    )
    is_corrected: ClassVar[bool] = True
    writes: ClassVar[tuple[str, ...]] = ("evaluation", "evaluation_picture")
    uses_references: ClassVar[bool] = True
    unit: ClassVar[str] = "picture"

    def settings(self) -> dict[str, Any]:
        """All of `evaluation`, the base, the words, the seed, and what finds faces."""
        return {
            **unless_default(self.config, "seed", "detection.min_face_score"),
            **settings_of(self.config, "evaluation"),
            **settings_of(self.config, "captioning", "trigger_word", "class_word"),
            **settings_of(self.config, "detection", "face_detection_model", "recogniser"),
            "dataset.min_confidence": self.config.dataset.min_confidence,
            **settings_of(self.config, "models", "base_model", "family", "precision"),
            "base_hash": folder.hash_base(self.config.models.base_model),
        }

    def needs(self) -> tuple[str, ...]:
        """Adapters, real pictures to compare with, and its own drawings."""
        return (*workspace.ADAPTERS, "frame/*", "dataset/*", "evaluation/*")

    def has_files(self) -> bool:
        """Whether all pictures are there."""
        files = store.read(self.output_dir / "table", "evaluation_picture")["file"].drop_nulls()
        return self.are_there(files)

    def run(self) -> StageOutput:
        """Evaluate each finished fine-tune."""
        runs = self.read("training_run").filter(pl.col("status") == "done")
        if not runs.height:
            reason = "no finished fine-tune, so nothing to evaluate"
            empty = {name: store.from_rows(name, []) for name in self.writes}
            return StageOutput(tables=empty, num_items=0, note=reason)
        models = self.config.models
        loaded = base_model.load_base(
            models.base_model, family=models.family, precision=models.precision
        )
        agree, missing = self._agreement(loaded)
        given, settings = self._given(), self._evaluator_settings()
        jobs = [Evaluator(loaded, run, given, settings, agree) for run in runs.to_dicts()]
        drawn = [self.shards(f"evaluation-{job.run_id}", job.depends()) for job in jobs]
        rows: list[dict[str, Any]] = []
        pictures: list[dict[str, Any]] = []
        notes: list[str] = []
        with self.bar(sum(job.num_pictures for job in jobs)) as bar:
            for job, shards in zip(jobs, drawn, strict=True):
                found, seen = job.evaluate(shards, bar.update)
                rows += found
                pictures += seen
                notes += [
                    f"{job.character}: {job.outcome(found).rstrip('.')}",
                    f"recognised by {job.sight.eyes.name}",
                ]
        shown = store.from_rows("evaluation_picture", pictures)
        return StageOutput(
            tables={"evaluation": store.from_rows("evaluation", rows), "evaluation_picture": shown},
            num_items=shown.height,
            num_failed=int(shown["error"].is_not_null().sum()),
            note="; ".join([*notes, *([missing] if missing else [])]),
        )

    def _given(self) -> EvaluationInput:
        """Tables and folders of the film."""
        references = self.source["references"]
        return EvaluationInput(
            tables={name: self.read(name) for name in self.reads},
            film_dir=self.output_dir,
            checkpoint_dir=workspace.from_film_dir(self.output_dir).checkpoint,
            reference_dir=None if references is None else Path(references),
        )

    def _evaluator_settings(self) -> EvaluatorSettings:
        """The sections that an evaluation goes by."""
        return EvaluatorSettings(
            evaluation=self.config.evaluation,
            captioning=self.config.captioning,
            detection=self.config.detection,
            min_confidence=self.config.dataset.min_confidence,
            seed=self.config.seed,
        )

    def _agreement(self, loaded: Base) -> tuple[agreement.AgreementMeasure | None, str]:
        """What measures agreement with prompts, or why nothing does."""
        if self.config.evaluation.text_model:
            return agreement.load_clip(self.config.evaluation.text_model), ""
        if not loaded.is_toy:
            return None, (
                "prompt agreement was not measured: set evaluation.text_model to a CLIP model"
            )
        try:
            return agreement.load_toy(), ""
        except (UserError, ImportError) as error:
            return None, f"prompt agreement was not measured: {error}"
