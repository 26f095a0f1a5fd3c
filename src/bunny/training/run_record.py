"""Record of a fine-tune: its table rows, the texts of its adapters' headers, and its summary."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from bunny.dataset.crop_caption import CaptionWords
from bunny.table import store
from bunny.training.base import Base
from bunny.training.settings import LoraResult, TrainingSettings

FEW_IMAGES = 8  # below it the note warns


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What is known of a fine-tune before it trains."""

    run_id: str
    character: str
    words: CaptionWords
    base: Base
    settings: TrainingSettings
    num_images: int
    num_held_out: int
    num_class_pictures: int
    coverage: Mapping[str, object]  # see `image_folder.measure_variety`
    set_hash: str  # of the training pictures and their captions


def header_texts(known: RunRecord) -> dict[str, str]:
    """Write the texts for the adapters' headers; rank and step come with the weights."""
    base, settings = known.base, known.settings
    texts = {
        "trigger": known.words.trigger,
        "subject": known.words.subject,
        "base_model": base.name,
        "base_hash": base.hash,
        "base_licence": base.licence or "",
        "resolution_px": str(base.resolution_px),
        "rank": str(settings.models.lora_rank),
        "alpha": str(settings.models.lora_alpha),
        "set_hash": known.set_hash,
        "sample_prompts": json.dumps(settings.sample_prompts, ensure_ascii=False),
    }
    kind = getattr(base.family.noise, "kind", "")
    return {**texts, **({"prediction_type": kind} if kind else {})}


def failed_tables(known: RunRecord, error: str) -> dict[str, pl.DataFrame]:
    """Make table ``training_run`` of a fine-tune that could not go on."""
    row = _run_row(known, {}) | {"num_steps": 0, "seconds": 0.0, "status": "failed", "error": error}
    return {"training_run": store.from_rows("training_run", [row])}


def done_tables(known: RunRecord, result: LoraResult, checkpoint: Path) -> dict[str, pl.DataFrame]:
    """Make the tables of a finished fine-tune.

    Parameters
    ----------
    checkpoint : Path
        Folder that the adapters' paths are relative to.

    Returns
    -------
    dict
        ``training_run``; ``training_step``, the loss curve; ``adapter``, one row a checkpoint.
    """
    held_out, probe = result.held_out(), result.probe()
    learned = {
        "layers": result.num_adapted,
        "layers_unchanged": result.num_zero,
        "output_change": result.output_change,
        "output_size": result.output_size,
        "probe_loss_first": probe[0],
        "probe_loss_last": probe[1],
    }
    outcome = {
        "learned": learned,
        "has_fallen": result.has_fallen,
        "stopped_early": result.stopped_early,
        "remarks": list(result.remarks),
    }
    run = _run_row(known, outcome) | {
        "num_steps": result.curve[-1].step,
        "seconds": result.seconds,
        "loss_first": result.loss_first(),
        "loss_last": result.loss_last(),
        "held_out_loss_first": held_out[0],
        "held_out_loss_last": held_out[1],
        "adapter_file": result.adapter_file.relative_to(checkpoint).as_posix(),
        "adapter_hash": result.adapter_hash,
        "status": "done",
    }
    steps = [{"run_id": known.run_id, **asdict(step)} for step in result.curve]
    adapters = [
        {
            "run_id": known.run_id,
            "step": kept.step,
            "character": known.character,
            "file": kept.file.relative_to(checkpoint).as_posix(),
            "hash": kept.hash,
            "held_out_loss": kept.held_out_loss,
            "is_last": kept.step == result.kept[-1].step,
        }
        for kept in result.kept
    ]
    rows = {"training_run": [run], "training_step": steps, "adapter": adapters}
    return {name: store.from_rows(name, own) for name, own in rows.items()}


def _run_row(known: RunRecord, outcome: Mapping[str, object]) -> dict[str, object]:
    """The part of a run's row that is known before training, with what ``config_json`` records."""
    facts = {
        "settings": known.settings.record(),
        "coverage": known.coverage,
        "set_hash": known.set_hash,
        "num_class_pictures": known.num_class_pictures,
        **outcome,
    }
    return {
        "run_id": known.run_id,
        "character": known.character,
        "trigger": known.words.trigger,
        "base_model": known.base.name,
        "base_hash": known.base.hash,
        "base_licence": known.base.licence,
        "seed": known.settings.seed,
        "num_images": known.num_images,
        "num_held_out": known.num_held_out,
        "config_json": json.dumps(facts),
    }


def summary(known: RunRecord, result: LoraResult) -> str:
    """Summarise in one sentence how the training went, the bad included."""
    words = [f"{known.character}: {known.num_images} pictures"]
    if known.num_images < FEW_IMAGES:
        words.append("which is few")
    if known.num_class_pictures:
        words.append(f"{known.num_class_pictures} class pictures")
    words.append(f"loss {result.loss_first():.3f} -> {result.loss_last():.3f}")
    first, last = result.probe()
    if first is not None and last is not None:
        words.append(f"at fixed noise {first:.3f} -> {last:.3f}")
    if not result.has_fallen:
        words.append("the loss did not fall")
    first, last = result.held_out()
    if first is not None and last is not None:
        words.append(f"held-out {first:.3f} -> {last:.3f}")
        if last > first:
            words.append("so it is overfitting")
    if result.num_zero:
        words.append(f"{result.num_zero} of {result.num_adapted} layers did not change")
    share = result.output_change / result.output_size if result.output_size else float("inf")
    words.append(f"the adapter changes the base model's output by {share:.1%}")
    if result.stopped_early:
        words.append(
            f"stopped early at step {result.curve[-1].step}: the held-out loss no longer improved"
        )
    words += result.remarks
    if known.base.is_toy:
        words.append("on the toy base model, which only demonstrates the pipeline")
    return ", ".join(words)
