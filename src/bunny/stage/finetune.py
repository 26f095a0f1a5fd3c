"""Stage 7: fine-tune a LoRA on a character's training pictures."""

import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from bunny import workspace
from bunny.caption import tag
from bunny.error import StageError
from bunny.stage.contract import BaseStage, Work, settings_of
from bunny.table import store
from bunny.training import base as base_model
from bunny.training import rights
from bunny.training.base import Base
from bunny.training.check.finding import Findings
from bunny.training.words import Words

logger = logging.getLogger(__name__)

FEW_IMAGES = 8  # below it the note warns
PROGRESS_EVERY = 10  # steps
SAMPLES = 4  # times that sample pictures are drawn while training
MODEL_KEYS = (
    *("base_model", "characters", "lora_rank", "lora_alpha", "learning_rate"),
    *("training_steps", "batch_size", "checkpoint_every"),
)
SAMPLE_PROMPTS = ("{subject}, medium shot, day", "{subject} on a beach, wide shot, day")


@dataclass(frozen=True, kw_only=True)
class _Set:
    """A character's training set on disk."""

    character: str
    words: Words
    rows: list[dict[str, Any]]  # of role subject


class Finetune(BaseStage):
    """Training pictures in; an adapter and its loss curve out."""

    name: ClassVar[str] = "finetune"
    version: ClassVar[int] = 2
    reads: ClassVar[tuple[str, ...]] = ("dataset", "cluster")
    writes: ClassVar[tuple[str, ...]] = ("training_run", "training_step")
    unit: ClassVar[str] = "step"

    def settings(self) -> dict[str, Any]:
        """How `models` says to train, the words for the character and the base's content."""
        return {
            **settings_of(self.config, "models", *MODEL_KEYS),
            **settings_of(self.config, "captioning", "trigger_word", "class_word"),
            **settings_of(self.config, "rights"),
            "base_hash": base_model.hash_base(self.config.models.base_model),
            "seed": self.config.seed,
        }

    def has_files(self) -> bool:
        """Whether all adapters are there."""
        table, space = self.output_dir / "table", workspace.of_film_dir(self.output_dir)
        adapters = store.read(table, "training_run")["adapter_file"].drop_nulls().to_list()
        return all((space.checkpoint / f).is_file() for f in adapters)

    def run(self) -> Work:
        """Train on each character that has a set."""
        sets = self._sets()
        if not sets:
            return _empty("there is no training picture, so there is nothing to train on")
        loaded = base_model.load_base(self.config.models.base_model)
        cluster = self.read("cluster")
        runs, steps, notes = [], [], []
        one = self.config.models.training_steps
        with self.bar(len(sets) * one) as bar:
            for index, made in enumerate(sets):
                on_step = self._step_counter(bar, index * one, len(sets) * one)
                run, curve, note = self._train(loaded, made, cluster, on_step)
                runs.append(run)
                steps += curve
                notes.append(note)
        return Work(
            tables={
                "training_run": store.from_rows("training_run", runs),
                "training_step": store.from_rows("training_step", steps),
            },
            num_items=len(runs),
            num_failed=sum(run["status"] == "failed" for run in runs),
            note="; ".join(notes),
        )

    def _sets(self) -> list[_Set]:
        """The characters' sets, in the order in which the settings name them."""
        table = self.read("dataset").filter(pl.col("role").fill_null("subject") == "subject")
        wanted = list(self.config.models.characters)
        names = table["character"].unique().sort().to_list()
        names.sort(key=lambda name: wanted.index(name) if name in wanted else len(wanted))
        missing = [f for f in table["file"] if not (self.output_dir / f).is_file()]
        if missing:
            raise StageError(
                f"stage finetune: expected the training picture {missing[0]}, found none"
                f"{f' (and {len(missing) - 1} more)' if missing[1:] else ''}; "
                "run the stage dataset again"
            )
        return [self._set_of(name, table.filter(pl.col("character") == name)) for name in names]

    def _set_of(self, character: str, rows: pl.DataFrame) -> _Set:
        captioning = self.config.captioning
        trigger = tag.trigger_word(captioning.trigger_word, character)
        words = Words(trigger=trigger, class_word=captioning.class_word)
        return _Set(character=character, words=words, rows=rows.sort("file").to_dicts())

    def _train(
        self, loaded: Base, made: _Set, cluster: pl.DataFrame, on_step: Callable[[Any], None]
    ) -> tuple[dict[str, Any], list[dict[str, Any]], str]:
        """Train one character; what goes wrong becomes the run's error."""
        from bunny.training import dataset, lora

        space = workspace.of_film_dir(self.output_dir)
        name = dataset.folder_name(made.character)
        run_id = f"{space.film_id}-{name}"
        if self.config.pipeline.force_rerun:
            shutil.rmtree(space.checkpoint / name, ignore_errors=True)
        cache = self.folder / "datasets_cache"
        shutil.rmtree(cache, ignore_errors=True)
        folder = self.output_dir / "dataset" / name
        seen = self._look(folder, loaded, made.words)
        train, held_out = dataset.load_dataset(folder, cache)
        settings = self._lora_settings(made.words)
        row = _run_row(run_id, made, loaded, settings.seed, len(train), len(held_out))
        facts = {
            "settings": asdict(settings),
            "coverage": _coverage(made, train, held_out, cluster),
            "set_hash": dataset.hash_examples([*train, *held_out]),
        }
        try:
            result = lora.train_lora(
                loaded,
                train,
                held_out,
                space.checkpoint / name,
                settings,
                metadata={
                    **_metadata(made.words, loaded, settings.rank, facts["set_hash"]),
                    **self._rights(loaded),
                },
                log_dir=space.log / "tensorboard" / run_id,
                on_step=on_step,
            )
        except lora.TrainingError as error:
            failed = {"num_steps": 0, "seconds": 0.0, "status": "failed", "error": str(error)}
            row |= {"config_json": json.dumps(facts), **failed}
            return row, [], f"{made.character}: {error}"
        done = _describe(result, space.checkpoint, facts)
        curve = [{"run_id": run_id, **asdict(step)} for step in result.curve]
        note = f"{_note(made, loaded, len(train), result)}; {seen.to_line()}"
        return {**row, **done}, curve, note

    def _look(self, folder: Path, loaded: Base, words: Words) -> Findings:
        """What our trainer will see of a set, and what it would drop or change."""
        from bunny.training import faithful

        most = loaded.tokenizer.model_max_length - 2  # beside the start and the end

        def count_tokens(text: str) -> int:
            return len(loaded.tokenizer(text).input_ids) - 2

        return faithful.look(
            folder,
            "ours",
            batch_size=self.config.models.batch_size,
            trigger=words.trigger,
            count_tokens=count_tokens,
            max_tokens=most,
        )

    def _rights(self, loaded: Base) -> dict[str, str]:
        """The set's rights record and the base's licence, for the adapter's header."""
        path = self.output_dir / "dataset" / rights.FILE
        if not path.is_file():
            return {}
        known = json.loads(path.read_text(encoding="utf-8"))
        base = {"name": loaded.name, "licence": loaded.licence, "hash": loaded.hash}
        return rights.to_metadata(rights.with_base(known, base))

    def _step_counter(self, bar: Any, before: int, total: int) -> Callable[[Any], None]:
        """What is told each step of a fine-tune that comes after `before` steps of others."""

        def on_step(step: Any) -> None:
            bar.update(before + step.step - bar.n)
            bar.set_postfix(loss=step.loss, refresh=False)
            if step.step % PROGRESS_EVERY == 0:
                self._note_progress(before + step.step, total)

        return on_step

    def _lora_settings(self, words: Words) -> Any:
        """The fine-tune's settings from `models`."""
        from bunny.training import lora

        models = self.config.models
        return lora.LoraSettings(
            rank=models.lora_rank,
            alpha=models.lora_alpha,
            learning_rate=models.learning_rate,
            warmup_steps=min(20, models.training_steps),
            steps=models.training_steps,
            batch_size=models.batch_size,
            checkpoint_every=models.checkpoint_every,
            sample_every=max(1, models.training_steps // SAMPLES),
            sample_prompts=tuple(p.replace("{subject}", words.subject) for p in SAMPLE_PROMPTS),
            seed=self.config.seed,
        )


def _empty(reason: str) -> Work:
    """Nothing to train on."""
    tables = {name: store.from_rows(name, []) for name in Finetune.writes}
    return Work(tables=tables, num_items=0, note=reason)


def _run_row(
    run_id: str, made: _Set, loaded: Base, seed: int, num_images: int, num_held_out: int
) -> dict[str, Any]:
    """The part of a run's row that is known before training."""
    return {
        "run_id": run_id,
        "character": made.character,
        "trigger": made.words.trigger,
        "base_model": loaded.name,
        "base_hash": loaded.hash,
        "base_licence": loaded.licence,
        "seed": seed,
        "num_images": num_images,
        "num_held_out": num_held_out,
    }


def _metadata(words: Words, loaded: Base, rank: int, set_hash: str) -> dict[str, str]:
    """What the adapter's header says of itself."""
    return {
        "trigger": words.trigger,
        "subject": words.subject,
        "base_model": loaded.name,
        "base_hash": loaded.hash,
        "rank": str(rank),
        "set_hash": set_hash,
    }


def _coverage(made: _Set, train: list, held_out: list, cluster: pl.DataFrame) -> dict[str, Any]:
    """How varied the set is; train and held-out come back from disk in the order of the rows."""
    from bunny.training import dataset

    scenes = cluster.filter(pl.col("level") == "scene")
    place = dict(zip(scenes["item_id"], scenes["cluster_id"], strict=True))
    ordered = [r for split in ("train", "held-out") for r in made.rows if r["split"] == split]
    pictures = [example.picture for example in (*train, *held_out)]
    return dataset.coverage(pictures, ordered, place)


def _describe(result: Any, checkpoint: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """The part of a run's row that training decides."""
    held_out_first, held_out_last = result.held_out()
    learned = {"layers": result.num_adapted, "layers_unchanged": result.num_zero}
    return {
        "config_json": json.dumps({**facts, "learned": learned, "has_fallen": result.has_fallen}),
        "num_steps": result.curve[-1].step,
        "seconds": result.seconds,
        "loss_first": result.loss_first(),
        "loss_last": result.loss_last(),
        "held_out_loss_first": held_out_first,
        "held_out_loss_last": held_out_last,
        "adapter_file": result.adapter_file.relative_to(checkpoint).as_posix(),
        "adapter_hash": result.adapter_hash,
        "status": "done",
    }


def _note(made: _Set, loaded: Base, num_train: int, result: Any) -> str:
    """One sentence that says how it went, the bad included."""
    words = [f"{made.character}: {num_train} pictures"]
    if num_train < FEW_IMAGES:
        words.append("which is few")
    words.append(f"loss {result.loss_first():.3f} -> {result.loss_last():.3f}")
    first, last = result.held_out()
    if first is not None and last is not None:
        words.append(f"held-out {first:.3f} -> {last:.3f}")
        if last > first:
            words.append("so it learns these pictures by heart")
    if not result.has_fallen:
        words.append("the loss did not fall")
    if result.num_zero:
        words.append(f"{result.num_zero} of {result.num_adapted} layers learned nothing")
    if loaded.is_toy:
        words.append("on the toy base, which only shows the way")
    return ", ".join(words)
