"""Table rows, header texts and the summary of a fine-tune."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bunny.dataset.crop_caption import CaptionWords
from bunny.training.base import Base
from bunny.training.settings import LoraResult, LoraSettings

FEW_IMAGES = 8  # below it the note warns


def run_row(
    run_id: str,
    character: str,
    words: CaptionWords,
    loaded: Base,
    seed: int,
    counts: tuple[int, int],
) -> dict[str, Any]:
    """The part of a run's row that is known before training; `counts` of train and held-out."""
    return {
        "run_id": run_id,
        "character": character,
        "trigger": words.trigger,
        "base_model": loaded.name,
        "base_hash": loaded.hash,
        "base_licence": loaded.licence,
        "seed": seed,
        "num_images": counts[0],
        "num_held_out": counts[1],
    }


def adapter_metadata(
    words: CaptionWords, loaded: Base, settings: LoraSettings, set_hash: str
) -> dict[str, str]:
    """Metadata for the adapter's header; rank and step come with the weights.

    Parameters
    ----------
    words : CaptionWords
    loaded : Base
    settings : LoraSettings
    set_hash : str
        Of the training pictures and their captions.

    Returns
    -------
    dict
        Texts.
    """
    known = {
        "trigger": words.trigger,
        "subject": words.subject,
        "base_model": loaded.name,
        "base_hash": loaded.hash,
        "base_licence": loaded.licence or "",
        "resolution_px": str(loaded.resolution_px),
        "rank": str(settings.rank),
        "alpha": str(settings.alpha),
        "set_hash": set_hash,
        "sample_prompts": json.dumps(settings.sample_prompts, ensure_ascii=False),
    }
    kind = getattr(loaded.family.noise, "kind", "")
    return {**known, **({"prediction_type": kind} if kind else {})}


def result_row(result: LoraResult, checkpoint: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """The part of a run's row that training decides.

    Parameters
    ----------
    result : LoraResult
    checkpoint : Path
        Folder that the adapter's path is told from.
    facts : dict
        Further ones for ``config_json``.
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
    said = {
        **facts,
        "learned": learned,
        "has_fallen": result.has_fallen,
        "stopped_early": result.stopped_early,
        "remarks": list(result.remarks),
    }
    return {
        "config_json": json.dumps(said),
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


def adapter_rows(
    run_id: str, character: str, result: LoraResult, checkpoint: Path
) -> list[dict[str, Any]]:
    """Rows of table ``adapter``: one a kept checkpoint.

    Parameters
    ----------
    run_id, character : str
    result : LoraResult
    checkpoint : Path
        Folder that the files are told from.
    """
    last = result.kept[-1].step
    return [
        {
            "run_id": run_id,
            "step": kept.step,
            "character": character,
            "file": kept.file.relative_to(checkpoint).as_posix(),
            "hash": kept.hash,
            "held_out_loss": kept.held_out_loss,
            "is_last": kept.step == last,
        }
        for kept in result.kept
    ]


def step_rows(run_id: str, result: LoraResult) -> list[dict[str, Any]]:
    """Rows of table ``training_step``: the curve of a `LoraResult`."""
    return [{"run_id": run_id, **asdict(step)} for step in result.curve]


def summary(
    character: str, loaded: Base, num_train: int, num_class: int, result: LoraResult
) -> str:
    """One sentence that says how it went, the bad included.

    Parameters
    ----------
    character : str
    loaded : Base
    num_train, num_class : int
        Pictures of the character and of its class.
    result : LoraResult
    """
    words = [f"{character}: {num_train} pictures"]
    if num_train < FEW_IMAGES:
        words.append("which is few")
    if num_class:
        words.append(f"{num_class} class pictures")
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
    if loaded.is_toy:
        words.append("on the toy base model, which only demonstrates the pipeline")
    return ", ".join(words)
