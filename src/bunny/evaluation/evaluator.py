"""Evaluator of one fine-tune: prompts, pictures, choice of a checkpoint, final measures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from bunny.contract.shard import Shards
from bunny.core import safe_path
from bunny.dataset.crop_caption import CaptionWords
from bunny.evaluation import agreement, checkpoint_choice, identity_model, run_metric, verdict
from bunny.evaluation.measure_picture import PictureMeasurer
from bunny.evaluation.settings import EvaluationInput, EvaluatorSettings
from bunny.generation import plan, request, sampler
from bunny.table import store
from bunny.training.base import Base

TRIGGER = "{trigger}"
CLASS_PROMPTS, PAIR_PROMPTS, OTHER_PROMPTS = 2, 2, 1  # of the report's, the first ones
MAX_OTHERS = 4  # other characters that are asked for by name
REPORT_SETS = (
    "report",
    "class",
    "pair",
    "other",
)  # drawn with the chosen checkpoint, and by the base

# Settings that drawings depend on; the others only judge them.
DRAWING_SETTINGS = ("choose_prompts", "report_prompts", "seeds", "num_steps", "guidance_scale")


@dataclass(frozen=True, kw_only=True)
class PictureJob:
    """One picture to draw: whom it asks for, in which words, from which seed."""

    prompt_set: str
    character: str
    prompt: str
    seed: int


@dataclass(frozen=True, kw_only=True)
class PromptSubjects:
    """The words for the trained character, for its kind, and for the film's other characters."""

    character: str
    subject: str  # trigger and class word
    class_word: str
    others: Mapping[str, str]  # character to its words


def _choice_jobs(
    cast: PromptSubjects, prompts: Sequence[str], seeds: Sequence[int]
) -> list[PictureJob]:
    """Drawing jobs of each checkpoint and of the base model, from which a checkpoint is chosen."""
    return _jobs("choose", cast.character, _fill(prompts, cast.subject), seeds)


def report_jobs(
    cast: PromptSubjects, prompts: Sequence[str], seeds: Sequence[int]
) -> dict[str, list[PictureJob]]:
    """Drawing jobs of the chosen checkpoint and the base model, by prompt set.

    Parameters
    ----------
    prompts : sequence of str
        Those for reporting.

    Returns
    -------
    dict
        ``report``; ``class``: the class word alone; ``pair``: the character beside another;
        ``other``: another alone. Sets with nothing to draw are left out.
    """
    open_prompts = [p for p in prompts if TRIGGER in p]
    sets = {"report": _jobs("report", cast.character, _fill(prompts, cast.subject), seeds)}
    alone = _fill(open_prompts[:CLASS_PROMPTS], cast.class_word) if cast.class_word else []
    sets["class"] = _jobs("class", cast.character, alone, seeds)
    others = list(cast.others.items())[:MAX_OTHERS]
    both = [
        prompt.replace(TRIGGER, f"{cast.subject} and {others[i % len(others)][1]}")
        for i, prompt in enumerate(open_prompts[:PAIR_PROMPTS])
        if others
    ]
    sets["pair"] = _jobs("pair", cast.character, both, seeds)
    sets["other"] = [
        job
        for name, words in others
        for job in _jobs("other", name, _fill(open_prompts[:OTHER_PROMPTS], words), seeds)
    ]
    return {name: jobs for name, jobs in sets.items() if jobs}


def count_pictures(
    cast: PromptSubjects, choose: Sequence[str], report: Sequence[str], seeds, num_steps: int
) -> int:
    """Number of pictures that an evaluation of `num_steps` checkpoints draws, the base model's
    included.
    """
    after = sum(len(jobs) for jobs in report_jobs(cast, report, seeds).values())
    return len(_choice_jobs(cast, choose, seeds)) * (num_steps + 1) + 2 * after


def _fill(prompts: Sequence[str], words: str) -> list[str]:
    return [prompt.replace(TRIGGER, words) for prompt in prompts]


def _jobs(prompt_set: str, character: str, prompts: Sequence[str], seeds) -> list[PictureJob]:
    return [
        PictureJob(prompt_set=prompt_set, character=character, prompt=prompt, seed=seed)
        for prompt in prompts
        for seed in seeds
    ]


class Evaluator:
    """The evaluation of one fine-tune.

    Parameters
    ----------
    loaded : Base
        The base model.
    run : dict
        Row of table `training_run`.
    agree : AgreementMeasure or None
        None where agreement with prompts is not measured.

    Raises
    ------
    UserError
        If the run was trained on another base.
    """

    def __init__(
        self,
        loaded: Base,
        run: dict[str, Any],
        given: EvaluationInput,
        settings: EvaluatorSettings,
        agree: agreement.AgreementMeasure | None,
    ) -> None:
        plan.check_run_base(loaded, run)
        self.base, self.run, self._given = loaded, run, given
        self.character, self.run_id = run["character"], run["run_id"]
        self.settings, self._captioning = settings.evaluation, settings.captioning
        self._seed = settings.seed
        self.cast = self._cast()
        self.checkpoint = self._checkpoints()
        self.sight = self._sight(settings, agree)
        self.num_pictures = count_pictures(
            self.cast,
            self.settings.choose_prompts,
            self.settings.report_prompts,
            self.settings.seeds,
            len(self.checkpoint),
        )

    def depends(self) -> dict[str, Any]:
        """All that the drawings depend on, as JSON values; what only judges them is left out."""
        values = self.settings.model_dump(mode="json")
        return {
            "settings": {f"evaluation.{key}": values[key] for key in DRAWING_SETTINGS},
            "base": self.base.hash,
            "adapters": {str(step): row["hash"] for step, row in self.checkpoint.items()},
            "cast": [self.cast.subject, *self.cast.others.values()],
        }

    def evaluate(
        self, shards: Shards, advance: Callable[[int], object]
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Draw, choose a checkpoint and measure.

        Parameters
        ----------
        shards : Shards
            Where drawings are kept; under a key of `depends`.
        advance : callable
            Told how many pictures were drawn, for progress.

        Returns
        -------
        tuple of two lists of dict
            Rows of tables `evaluation` and `evaluation_picture`.
        """

        def draw(step: int, name: str, jobs: list[PictureJob]) -> list[dict[str, Any]]:
            rows = self._draw(step, name, jobs, shards)
            advance(len(jobs))
            return rows

        settings = self.settings
        sets = {"choose": _choice_jobs(self.cast, settings.choose_prompts, settings.seeds)}
        steps = [0, *self.checkpoint]
        rows = [r for step in steps for r in draw(step, "choose", sets["choose"])]
        seen, vectors = self.sight.see(rows)
        choice = self._choose(seen)
        sets = report_jobs(self.cast, settings.report_prompts, settings.seeds)
        later = [
            row
            for step in (0, choice.step)
            for name, jobs in sets.items()
            for row in draw(step, name, jobs)
        ]
        more, more_vectors = self.sight.see(later)
        pictures = [*seen, *more, *self.sight.real(self.run_id)]
        numbers = {"num": settings.num_bootstrap, "seed": self._seed}
        found = run_metric.run_rows(
            store.from_rows("evaluation_picture", pictures),
            vectors | more_vectors,
            self.character,
            choice.step,
            **numbers,
        )
        found += run_metric.choice_rows(self.run_id, self.character, choice)
        for name, scale in self.sight.eyes.scales.items():
            found += run_metric.scale_rows(self.run_id, name, scale)
        tables = self._given.tables
        counts = identity_model.count_real(tables["label"], tables["frame"], self.character)
        found += run_metric.count_rows(self.run_id, self.character, *counts)
        return found, pictures

    def outcome(self, rows: Sequence[dict[str, Any]]) -> str:
        """Summary of the verdict: whether the character was learned, then what is wrong."""
        evaluation = store.from_rows("evaluation", rows)
        found = verdict.judge(
            evaluation, verdict.run_info(self.run, tuple(self.checkpoint), self.class_word)
        )
        return verdict.summarise(found)

    @property
    def class_word(self) -> str:
        """Class word of the character."""
        return self._captioning.class_word

    def _cast(self) -> PromptSubjects:
        def words(name: str) -> str:
            return CaptionWords.of(self._captioning, name).subject

        names = self._given.tables["label"]["character"].drop_nulls().unique().sort()
        others = [n for n in names if n != self.character and self.settings.has_other_characters]
        return PromptSubjects(
            character=self.character,
            subject=words(self.character),
            class_word=self.class_word,
            others={name: words(name) for name in others},
        )

    def _checkpoints(self) -> dict[int, dict[str, Any]]:
        """Step to file and hash of the checkpoints that are judged, in order."""
        rows = self._given.tables["adapter"].filter(
            pl.col("run_id") == self.run_id, pl.col("step") > 0
        )
        known = {row["step"]: row for row in rows.sort("step").iter_rows(named=True)}
        if not known:
            known = {
                max(1, self.run["num_steps"]): {
                    "file": self.run["adapter_file"],
                    "hash": self.run["adapter_hash"],
                    "held_out_loss": self.run["held_out_loss_last"],
                }
            }
        return {
            s: known[s]
            for s in checkpoint_choice.spread_steps(list(known), self.settings.max_checkpoints)
        }

    def _sight(
        self, settings: EvaluatorSettings, agree: agreement.AgreementMeasure | None
    ) -> PictureMeasurer:
        eyes = identity_model.load_identity_model(self._given, self.character, self.base, settings)
        dataset = self._given.tables["dataset"]
        return PictureMeasurer(self._given.film_dir, dataset, self.character, eyes, agree)

    def _draw(
        self, step: int, name: str, jobs: list[PictureJob], shards: Shards
    ) -> list[dict[str, Any]]:
        """Rows of one set of one checkpoint; a shard."""
        index = 10 * step + (("choose", *REPORT_SETS).index(name))
        files = []
        if shards.is_done(index):
            files = shards.get(index, "evaluation_picture")["file"].drop_nulls().to_list()
        if not files or not all((self._given.film_dir / f).is_file() for f in files):
            rows = self._draw_anew(step, name, jobs)
            made = {"evaluation_picture": store.from_rows("evaluation_picture", rows)}
            shards.put(index, made)
        return shards.get(index, "evaluation_picture").to_dicts()

    def _draw_anew(self, step: int, name: str, jobs: list[PictureJob]) -> list[dict[str, Any]]:
        """Draw jobs with a checkpoint, or with the base alone at step 0."""
        settings, adapter = self.settings, None
        if step:
            at = self.checkpoint[step]
            path = safe_path.join(self._given.checkpoint_dir, at["file"])
            adapter = request.WeightedAdapter(path=path, hash=at["hash"])
        drawings = [
            request.GenerationRequest(
                prompt=job.prompt,
                seed=job.seed,
                num_steps=settings.num_steps,
                guidance_scale=settings.guidance_scale,
                width_px=self.base.resolution_px,
                height_px=self.base.resolution_px,
            )
            for job in jobs
        ]
        rows: list[dict[str, Any]] = []
        for made in sampler.generate(self.base, drawings, adapter):
            job, stem = jobs[made.index], f"{step:06d}-{name}-{made.index:03d}"
            file = f"evaluation/{self.run_id}/{stem}.png"
            if made.picture is not None:
                about = {"run_id": self.run_id, "character": job.character}
                made.save(self._given.film_dir / file, about)
            rows.append(
                {
                    "picture_id": f"{self.run_id}-{stem}",
                    "run_id": self.run_id,
                    "character": job.character,
                    "step": step,
                    "prompt_set": name,
                    "prompt": job.prompt,
                    "seed": job.seed,
                    "file": None if made.picture is None else file,
                    "error": made.error,
                }
            )
        return rows

    def _choose(self, seen: list[dict[str, Any]]) -> checkpoint_choice.CheckpointChoice:
        """The checkpoint to go by."""
        scores = run_metric.scores_by_step(store.from_rows("evaluation_picture", seen))
        losses = {step: row["held_out_loss"] for step, row in self.checkpoint.items()}
        return checkpoint_choice.choose(
            scores or {step: {} for step in self.checkpoint},
            losses,
            is_measured=self.character in self.sight.eyes.scales,
            num=self.settings.num_bootstrap,
            seed=self._seed,
        )
