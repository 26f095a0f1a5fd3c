"""The figures of one run, and what is known of it beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing found: good, bad or plain, and the sentence for it."""

    kind: str
    tone: str
    text: str


@dataclass(frozen=True, kw_only=True)
class About:
    """What is known of the run beside its figures."""

    character: str
    class_word: str
    num_images: int
    num_held_out: int
    rank: int | None = None
    training_steps: int | None = None
    steps: tuple[int, ...] = ()  # checkpoints that were judged


class Figures:
    """The values of one run by step, prompt set and metric."""

    def __init__(self, evaluation: pl.DataFrame, character: str) -> None:
        self.character = character
        self._rows = {
            (r["character"], r["step"], r["prompt_set"], r["metric"], r["about"]): r
            for r in evaluation.iter_rows(named=True)
        }
        chosen = [r["value"] for r in self._rows.values() if r["metric"] == "chosen"]
        self.chosen = int(chosen[0]) if chosen else None

    def row(self, metric: str, prompt_set: str = "report", step: int | None = None) -> dict | None:
        """A row of the run's character with the chosen checkpoint, or another step."""
        at = self.chosen if step is None else step
        return self._rows.get((self.character, at, prompt_set, metric, ""))

    def value(self, metric: str, prompt_set: str = "report", step: int | None = None):
        """Its value; None where it was not measured."""
        row = self.row(metric, prompt_set, step)
        return None if row is None else row["value"]

    def leaks(self) -> list[tuple[str, float]]:
        """Other characters whose drawings are taken for the trained one, and by how much more."""
        found = []
        for (who, step, prompt_set, metric, _), row in sorted(self._rows.items()):
            if (step, prompt_set, metric) == (self.chosen, "other", "leak"):
                base = self._rows.get((who, 0, "other", "leak", ""))
                found.append((who, row["value"] - (base["value"] if base else 0.0)))
        return found

    def real(self) -> list[tuple[str, float, int]]:
        """Each character's real pictures: the share recognised, and their number."""
        return [
            (who, row["value"] if about == who else 0.0, row["n"])
            for (who, _, prompt_set, metric, about), row in sorted(self._rows.items())
            if (prompt_set, metric) == ("real", "confusion") and about == who
        ]


def about_run(run: Mapping[str, Any], steps: Sequence[int], class_word: str) -> About:
    """What the verdict has to know of a run beside its figures.

    Parameters
    ----------
    run : mapping
        A row of table `training_run`.
    steps : sequence of int
        Of the checkpoints that were judged.
    class_word : str
    """
    settings = json.loads(run["config_json"] or "{}").get("settings", {})
    return About(
        character=run["character"],
        class_word=class_word,
        num_images=run["num_images"],
        num_held_out=run["num_held_out"],
        rank=settings.get("rank"),
        training_steps=run["num_steps"],
        steps=tuple(steps),
    )


def plain(kind: str, text: str) -> Finding:
    """A finding that neither praises nor blames."""
    return Finding(kind=kind, tone="plain", text=text)


def percent(share: float) -> str:
    """A share as people write it."""
    return f"{100 * share:.0f} %"
