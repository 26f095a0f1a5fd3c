"""Stage 6: cut a character's training pictures and fine-tune a LoRA on them."""

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
from bunny.error import UserError
from bunny.stage.contract import BaseStage, Work, settings_of
from bunny.table import store
from bunny.training import base as base_model
from bunny.training import select
from bunny.training.base import Base

logger = logging.getLogger(__name__)

FEW_IMAGES = 8  # below it the note warns
PROGRESS_EVERY = 10  # steps
SAMPLES = 4  # times that sample pictures are drawn while training
SAMPLE_PROMPTS = ("{subject}, medium shot, day", "{subject} on a beach, wide shot, day")


@dataclass(frozen=True, kw_only=True)
class _Set:
    """A character's training set on disk."""

    character: str
    words: select.Words
    rows: list[dict[str, Any]]
    errors: list[str]


class Finetune(BaseStage):
    """Labels and captions in; training pictures, an adapter and its loss curve out."""

    name: ClassVar[str] = "finetune"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = ("frame", "quality", "label", "cluster", "caption")
    writes: ClassVar[tuple[str, ...]] = ("dataset", "training_run", "training_step")
    unit: ClassVar[str] = "step"

    def settings(self) -> dict[str, Any]:
        """All of `models`, the trigger, the margin and the base's content."""
        return {
            **settings_of(self.config, "models"),
            **settings_of(self.config, "captioning", "trigger_word", "class_word"),
            **settings_of(self.config, "filtering", "duplicate_distance"),
            "base_hash": base_model.hash_base(self.config.models.base_model),
            "seed": self.config.seed,
        }

    def has_files(self) -> bool:
        """Whether all training pictures and adapters are there."""
        table, space = self.output_dir / "table", workspace.of_film_dir(self.output_dir)
        pictures = store.read(table, "dataset")["file"].to_list()
        adapters = store.read(table, "training_run")["adapter_file"].drop_nulls().to_list()
        return all((self.output_dir / f).is_file() for f in pictures) and all(
            (space.checkpoint / f).is_file() for f in adapters
        )

    def run(self) -> Work:
        """Train on each chosen character."""
        tables = {name: self.read(name) for name in self.reads}
        chosen, reason = self._choose_characters(tables)
        if not chosen:
            return _empty(reason)
        loaded = base_model.load_base(self.config.models.base_model)
        resolution = _resolution(loaded, self.config.models.resolution)
        sets = [self._write_set(c, tables, resolution) for c in chosen]
        runs, steps, notes = [], [], [reason] if reason else []
        one = self.config.models.training_steps
        with self.bar(len(sets) * one) as bar:
            for index, made in enumerate(sets):
                on_step = self._step_counter(bar, index * one, len(sets) * one)
                run, curve, note = self._train(loaded, made, tables["cluster"], on_step)
                runs.append(run)
                steps += curve
                notes.append(note)
        return Work(
            tables={
                "dataset": store.from_rows("dataset", [r for made in sets for r in made.rows]),
                "training_run": store.from_rows("training_run", runs),
                "training_step": store.from_rows("training_step", steps),
            },
            num_items=len(runs),
            num_failed=sum(run["status"] == "failed" for run in runs),
            note="; ".join(notes),
        )

    def _choose_characters(self, tables: dict[str, pl.DataFrame]) -> tuple[list[str], str]:
        """Characters to train on, and what the user should know about the choice."""
        found = select.count_candidates(tables["label"], tables["frame"], tables["quality"])
        names = found["character"].to_list()
        wanted = list(self.config.models.characters)
        if not names:
            return [], "no kept picture has a labelled character, so there is nothing to train on"
        if not wanted:
            return names[:1], ""
        missing = [name for name in wanted if name not in names]
        reason = f"models.characters: no kept picture shows {', '.join(missing)}" if missing else ""
        if len(missing) == len(wanted):
            reason += f"; labelled are {', '.join(names)}"
        return [name for name in wanted if name in names], reason

    def _write_set(self, character: str, tables: dict[str, pl.DataFrame], resolution: int) -> _Set:
        """Choose, cut and write one character's pictures."""
        from bunny.training import dataset

        models = self.config.models
        selection = select.Selection(
            max_images=models.max_images,
            crop_margin=models.crop_margin,
            held_out_share=models.held_out_share,
            duplicate_distance=self.config.filtering.duplicate_distance,
            seed=self.config.seed,
        )
        template = self.config.captioning.trigger_word
        names = tables["label"]["character"].drop_nulls().unique(maintain_order=True)
        triggers = {name: tag.trigger_word(template, name) for name in names}
        words = select.Words(
            trigger=triggers.pop(character),
            class_word=self.config.captioning.class_word,
            other_triggers=triggers,
        )
        read = (tables[name] for name in ("label", "frame", "quality", "caption"))
        crops = select.choose(character, words, *read, selection)
        rows, errors = dataset.write_dataset(self.output_dir, character, crops, resolution)
        return _Set(character=character, words=words, rows=rows, errors=errors)

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
        train, held_out = dataset.load_dataset(self.output_dir / "dataset" / name, cache)
        settings = self._lora_settings(made.words)
        row = _run_row(run_id, made, loaded, settings.seed, len(train), len(held_out))
        facts = {
            "settings": asdict(settings),
            "coverage": _coverage(made, train, held_out, cluster),
            "left_out": made.errors,
            "set_hash": dataset.hash_examples([*train, *held_out]),
        }
        try:
            result = lora.train_lora(
                loaded,
                train,
                held_out,
                space.checkpoint / name,
                settings,
                metadata=_metadata(made.words, loaded, settings.rank, facts["set_hash"]),
                log_dir=space.log / "tensorboard" / run_id,
                on_step=on_step,
            )
        except lora.TrainingError as error:
            failed = {"num_steps": 0, "seconds": 0.0, "status": "failed", "error": str(error)}
            row |= {"config_json": json.dumps(facts), **failed}
            return row, [], f"{made.character}: {error}"
        done = _describe(result, space.checkpoint, facts)
        curve = [{"run_id": run_id, **asdict(step)} for step in result.curve]
        return {**row, **done}, curve, _note(made, loaded, len(train), result)

    def _step_counter(self, bar: Any, before: int, total: int) -> Callable[[Any], None]:
        """What is told each step of a fine-tune that comes after `before` steps of others."""

        def on_step(step: Any) -> None:
            bar.update(before + step.step - bar.n)
            bar.set_postfix(loss=step.loss, refresh=False)
            if step.step % PROGRESS_EVERY == 0:
                self._note_progress(before + step.step, total)

        return on_step

    def _lora_settings(self, words: select.Words) -> Any:
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


def _resolution(loaded: Base, wanted: int) -> int:
    """Side of the training pictures; 0 asks for the base's own."""
    side = wanted or loaded.resolution_px
    scale = 2 ** (len(loaded.vae.config.block_out_channels) - 1)
    unit = scale * 2 ** (len(loaded.unet.config.block_out_channels) - 1)
    if side % unit:
        raise UserError(
            f"models.resolution: expected a multiple of {unit} for this base, got {side}; "
            f"0 takes its own {loaded.resolution_px}"
        )
    return side


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


def _metadata(words: select.Words, loaded: Base, rank: int, set_hash: str) -> dict[str, str]:
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
