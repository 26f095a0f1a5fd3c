"""Stage finetune: a LoRA trained on a character's training pictures."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl

from bunny.contract.stage import BaseStage, StageOutput, StageResult, settings_of
from bunny.core import workspace
from bunny.core.config import ModelsConfig
from bunny.core.error import StageError, UserError
from bunny.dataset import approval, rights
from bunny.dataset.approval import Approval
from bunny.dataset.crop_caption import CaptionWords
from bunny.table import store
from bunny.trainer_format.check.picture_preview import TrainerPreview
from bunny.training import base as base_model
from bunny.training import run_record
from bunny.training.base import Base
from bunny.training.family import folder as family_folder
from bunny.training.run_record import RunRecord
from bunny.training.settings import TrainingError, TrainingSettings

if TYPE_CHECKING:
    from tqdm.auto import tqdm

    from bunny.dataset.image_folder import ReadSize, TrainingExample
    from bunny.training.settings import Step

PROGRESS_EVERY = 10  # steps
SAMPLES = 4  # times that sample pictures are drawn while training
SET_KEYS = ("max_images", "crop_margin", "held_out_share")  # read by stage dataset
MODEL_KEYS = tuple(key for key in ModelsConfig.model_fields if key not in SET_KEYS)
SAMPLE_PROMPTS = ("{subject}, medium shot, day", "{subject} on a beach, wide shot, day")


@dataclass(frozen=True, kw_only=True)
class _Examples:
    """What one adapter is trained on and judged by."""

    train: list[TrainingExample]
    held_out: list[TrainingExample]
    prior: list[TrainingExample]  # pictures of the class without the character


@dataclass(frozen=True, kw_only=True)
class _Set:
    """A character's training set on disk."""

    character: str
    words: CaptionWords
    rows: list[dict[str, Any]]  # of role subject


class Finetune(BaseStage):
    """Training pictures in; adapters and their loss curves out."""

    name: ClassVar[str] = "finetune"
    version: ClassVar[int] = 3
    reads: tuple[str, ...] = ("dataset", "cluster")
    is_corrected: ClassVar[bool] = True
    writes: ClassVar[tuple[str, ...]] = ("training_run", "training_step", "adapter")
    unit: ClassVar[str] = "step"
    _approvals: Mapping[str, Approval] = {}  # by character, where they are asked for

    def settings(self) -> dict[str, Any]:
        """How `models` says to train, the words for the character and the base's content."""
        approvals = {}
        if self.config.review.needs_approval:
            known = [asdict(one) for one in approval.read(self.output_dir)]
            approvals = {"approvals": known}
        return {
            **approvals,
            **settings_of(self.config, "models", *MODEL_KEYS),
            **settings_of(self.config, "dataset", "bucket_step_px", "max_upscale"),
            **settings_of(self.config, "captioning", "trigger_word", "class_word"),
            **settings_of(self.config, "rights"),
            "base_hash": family_folder.hash_base(self.config.models.base_model),
            "seed": self.config.seed,
        }

    def needs(self) -> tuple[str, ...]:
        """Sets, and checkpoints to go on from."""
        return ("dataset/*", f"{workspace.CHECKPOINT}/*")

    def has_files(self) -> bool:
        """Whether all adapters are there."""
        table = self.output_dir / "table"
        files = store.read(table, "training_run")["adapter_file"].drop_nulls().to_list()
        files += store.read(table, "adapter")["file"].to_list()
        return self.are_there(f"{workspace.CHECKPOINT}/{file}" for file in files)

    def execute(self) -> StageResult:
        """Do the stage; of several processes the first writes, the others only train along."""
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return super().execute()
        from bunny.training.distributed import ProcessGroup

        processes = ProcessGroup(_device())
        has_work = self.config.pipeline.force_rerun or not self.can_resume()
        if processes.is_first and has_work:  # before the others look for pictures
            self.fetch(*self.needs())
        has_work = processes.broadcast_object(has_work)
        if processes.is_first:
            return super().execute()
        work = self.run() if has_work else StageOutput(tables={}, num_items=0)
        rows = {name: frame.height for name, frame in work.tables.items()}
        return StageResult(
            name=self.name,
            status="done" if has_work else "skipped",
            seconds=0.0,
            rows=rows.get(self.writes[0], 0),
            failed=work.num_failed,
            peak_memory_mb=0.0,
            tables=rows,
        )

    def run(self) -> StageOutput:
        """Train on each character that has a set."""
        sets = self._sets()
        if not sets:
            tables = {name: store.from_rows(name, []) for name in self.writes}
            note = "no training pictures, so nothing to train on"
            return StageOutput(tables=tables, num_items=0, note=note)
        models, device = self.config.models, _device()
        precision = base_model.choose_precision(models.precision, device)
        loaded = base_model.load_base(
            models.base_model, device, family=models.family, precision=precision
        )
        cluster = self.read("cluster")
        tables = {name: [store.from_rows(name, [])] for name in self.writes}
        notes = []
        one = models.training_steps
        with self.bar(len(sets) * one) as bar:
            for index, made in enumerate(sets):
                on_step = self._step_counter(bar, index * one, len(sets) * one)
                trained, note = self._train(loaded, made, cluster, on_step)
                for name, own in trained.items():
                    tables[name].append(own)
                notes.append(note)
        joined = {name: store.check(name, pl.concat(own)) for name, own in tables.items()}
        runs = joined["training_run"]
        return StageOutput(
            tables=joined,
            num_items=runs.height,
            num_failed=int((runs["status"] == "failed").sum()),
            note="; ".join(notes),
        )

    # -- what is trained on -------------------------------------------------------------------

    def _sets(self) -> list[_Set]:
        """Sets of those whom the settings name, in their order; else the largest set."""
        table = self.read("dataset").filter(pl.col("role").fill_null("subject") == "subject")
        wanted = list(self.config.models.characters)
        counted = (
            table.group_by("character").len().sort(["len", "character"], descending=[True, False])
        )
        names = counted["character"].to_list()
        names = [name for name in wanted if name in names] if wanted else names[:1]
        table = table.filter(pl.col("character").is_in(names))
        missing = [f for f in table["file"] if not (self.output_dir / f).is_file()]
        if missing:
            raise StageError(
                f"stage finetune: expected the training picture {missing[0]}, found none"
                f"{f' (and {len(missing) - 1} more)' if missing[1:] else ''}; "
                "run stage dataset again"
            )
        if self.config.review.needs_approval:
            self._approvals = approval.check(self.read("dataset"), self.output_dir, names)
        return [self._set_of(name, table.filter(pl.col("character") == name)) for name in names]

    def _set_of(self, character: str, rows: pl.DataFrame) -> _Set:
        words = CaptionWords.of(self.config.captioning, character)
        return _Set(character=character, words=words, rows=rows.sort("file").to_dicts())

    def _examples(self, loaded: Base, made: _Set, folder: Path, run_folder: Path) -> _Examples:
        """Everything that the adapter of a character is trained on."""
        train, held_out = self._load(folder)
        prior = self._class_examples(loaded, made, folder, run_folder, train)
        return _Examples(train=train, held_out=held_out, prior=prior)

    def _load(self, folder: Path) -> tuple[list[TrainingExample], list[TrainingExample]]:
        """Train and held-out examples with their masks."""
        from bunny.dataset import image_folder

        has_masks = self.config.models.background_weight < 1
        masks = folder / image_folder.MASK_FOLDER if has_masks else None
        return image_folder.load_dataset(folder, self._read_size, masks)

    @cached_property
    def _read_size(self) -> ReadSize:
        """The buckets that pictures are read in."""
        return family_folder.choose_read_size(self.config.models, self.config.dataset)

    def _class_examples(
        self, loaded: Base, made: _Set, folder: Path, run_folder: Path, train: list[TrainingExample]
    ) -> list[TrainingExample]:
        """Pictures of the class without the character: of the film, drawn by the base, or none."""
        from bunny.dataset import image_folder
        from bunny.generation import class_image

        models = self.config.models
        if models.class_pictures == "none" or models.class_weight == 0:
            return []
        if models.class_pictures == "drawn":
            prompts = class_image.prompts([e.caption for e in train], made.words)
            size = class_image.common_size([e.picture for e in train])
            return class_image.draw(
                loaded, prompts, run_folder, size, models.num_class_pictures, self.config.seed
            )
        own = folder / image_folder.CLASS_FOLDER
        if not (own / "metadata.jsonl").is_file():
            raise UserError(
                "models.class_pictures: expected class pictures of the film in the training set, "
                "found none; set dataset.num_class_images above 0, or choose drawn or none"
            )
        found, _ = image_folder.load_dataset(own, self._read_size)
        return [replace(e, role=image_folder.CLASS) for e in found]

    # -- training -----------------------------------------------------------------------------

    def _train(
        self, loaded: Base, made: _Set, cluster: pl.DataFrame, on_step: Callable[[Step], None]
    ) -> tuple[dict[str, pl.DataFrame], str]:
        """Train one character: tables by name; what goes wrong becomes the run's error."""
        from bunny.dataset import image_folder
        from bunny.training import trainer

        space = workspace.from_film_dir(self.output_dir)
        name = image_folder.folder_name(made.character)
        run_id, run_folder = f"{space.film_id}-{name}", space.checkpoint / name
        if self.config.pipeline.force_rerun and _rank() == 0:
            shutil.rmtree(run_folder, ignore_errors=True)
        folder = self.output_dir / "dataset" / name
        seen = self._look(folder, loaded, made.words)
        examples = self._examples(loaded, made, folder, run_folder)
        known = RunRecord(
            run_id=run_id,
            character=made.character,
            words=made.words,
            base=loaded,
            settings=self._training_settings(made.words),
            num_images=len(examples.train),
            num_held_out=len(examples.held_out),
            num_class_pictures=len(examples.prior),
            coverage=_coverage(made, examples, cluster, self._read_size),
            set_hash=image_folder.hash_examples([*examples.train, *examples.held_out]),
        )
        texts = run_record.header_texts(known) | self._rights(loaded)
        texts |= approval.to_metadata(self._approvals, made.character)
        settings = replace(known.settings, metadata=texts)
        if not examples.train:
            error = image_folder.too_small(made.rows, self._read_size)
            return run_record.failed_tables(known, error), f"{made.character}: {error}"
        try:
            log_dir = space.log / "tensorboard" / run_id
            result = trainer.train_lora(
                loaded,
                [*examples.train, *examples.prior],
                examples.held_out,
                run_folder,
                settings,
                log_dir=log_dir,
                on_step=on_step,
            )
        except TrainingError as error:
            return run_record.failed_tables(known, str(error)), f"{made.character}: {error}"
        note = run_record.summary(known, result)
        return run_record.done_tables(known, result, space.checkpoint), f"{note}; {seen.to_line()}"

    def _look(self, folder: Path, loaded: Base, words: CaptionWords) -> TrainerPreview:
        """What our trainer will see of a set, and what it would drop or change."""
        from bunny.trainer_format.check import picture_preview
        from bunny.trainer_format.check.picture_file import CaptionRule

        most = loaded.tokenizer.model_max_length - 2  # beside the start and the end

        def count_tokens(text: str) -> int:
            return len(loaded.tokenizer(text).input_ids) - 2

        return picture_preview.preview_folder(
            folder,
            "ours",
            batch_size=self.config.models.batch_size,
            read_size=self._read_size,
            caption=CaptionRule(trigger=words.trigger, count_tokens=count_tokens, max_tokens=most),
        )

    def _rights(self, loaded: Base) -> dict[str, str]:
        """The set's rights record and the base's licence, for the adapter's header."""
        path = self.output_dir / "dataset" / rights.FILE
        if not path.is_file():
            return {}
        known = json.loads(path.read_text(encoding="utf-8"))
        base: rights.BaseModelRights = {
            "name": loaded.name,
            "licence": loaded.licence,
            "hash": loaded.hash,
        }
        return rights.to_metadata(rights.with_base(known, base))

    def _step_counter(self, bar: tqdm, before: int, total: int) -> Callable[[Step], None]:
        """What is told each step of a fine-tune that comes after `before` steps of others."""

        def on_step(step: Step) -> None:
            bar.update(before + step.step - bar.n)
            bar.set_postfix(loss=step.loss, refresh=False)
            if step.step % PROGRESS_EVERY == 0 and _rank() == 0:
                self._note_progress(before + step.step, total)

        return on_step

    def _training_settings(self, words: CaptionWords) -> TrainingSettings:
        """`models`, the seed, and the pictures that are drawn while training."""
        from bunny.generation import sampler

        return TrainingSettings(
            models=self.config.models,
            seed=self.config.seed,
            sample_every=max(1, self.config.models.training_steps // SAMPLES),
            sample_prompts=tuple(p.replace("{subject}", words.subject) for p in SAMPLE_PROMPTS),
            draw=sampler.draw_plain,
        )


def _rank() -> int:
    """Number of this process among those that train together."""
    return int(os.environ.get("RANK", "0"))


def _device() -> str:
    """The GPU, this process's own where several train together, or the CPU."""
    import torch

    if not torch.cuda.is_available():
        return "cpu"
    is_one = int(os.environ.get("WORLD_SIZE", "1")) == 1
    return "cuda" if is_one else f"cuda:{os.environ.get('LOCAL_RANK', '0')}"


def _coverage(
    made: _Set, examples: _Examples, cluster: pl.DataFrame, size: ReadSize
) -> dict[str, Any]:
    """How varied the set is; train and held-out come back from disk in the order of the rows."""
    from bunny.dataset import image_folder

    scenes = cluster.filter(pl.col("level") == "scene")
    place = dict(zip(scenes["item_id"], scenes["cluster_id"], strict=True))
    read = [r for r in made.rows if size.is_enough(r["width_px"], r["height_px"])]
    ordered = [r for split in ("train", "held-out") for r in read if r["split"] == split]
    pictures = [example.picture for example in (*examples.train, *examples.held_out)]
    return image_folder.measure_variety(pictures, ordered, place)
