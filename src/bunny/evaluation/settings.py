"""Settings of an evaluation, and the tables and folders of the film that it reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from bunny.core.config import CaptioningConfig, DetectionConfig, EvaluationConfig


@dataclass(frozen=True, kw_only=True)
class EvaluatorSettings:
    """Sections of the settings that an evaluation uses, and two settings of others."""

    evaluation: EvaluationConfig
    captioning: CaptioningConfig
    detection: DetectionConfig
    min_confidence: float  # of labels of other characters
    seed: int


@dataclass(frozen=True, kw_only=True)
class EvaluationInput:
    """What a film gives to the evaluation of its fine-tunes: tables and folders."""

    tables: Mapping[str, pl.DataFrame]  # frame, label, reference, candidate, dataset, adapter
    film_dir: Path  # pictures are read from it and drawn into it
    checkpoint_dir: Path  # that files of table `adapter` lie in
    reference_dir: Path | None  # the user's pictures
