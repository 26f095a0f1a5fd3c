"""Report sections on the model: fine-tune, generated pictures, accuracy on the sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import polars as pl

from bunny.character import label_score as naming
from bunny.video.shot import score
from bunny.view import tile
from bunny.view.plot import training
from bunny.view.report.section import (
    ReportData,
    ReportGroup,
    ReportPlot,
    ReportSection,
    ReportTable,
    group,
    plot,
)

CUT_TOLERANCE = 1  # frames; the usual tolerance of shot boundary benchmarks

NOTICEABLE = 0.02  # difference of mean similarity below which base and adapter are alike
MAX_PROMPTS = 12
MAX_DRAWINGS = 8  # of one prompt
TOY_NOTE = (
    "The base model is the toy base that ships with this package: it has the same parts as Stable "
    "Diffusion but is tiny, works at 128 pixels and was trained only on synthetic drawings. Its "
    "pictures show that the whole pipeline works, not how good a LoRA can be. For realistic "
    "pictures set models.base_model to a Stable Diffusion folder or Hub id and run again."
)


@dataclass(frozen=True, kw_only=True)
class PrecisionRecall:
    """Precision and recall of one kind of finding; None when there is nothing to divide by."""

    what: str
    precision: float | None
    recall: float | None
    num_right: int
    note: str


def _is_sample(film: pl.DataFrame) -> bool:
    """Whether this is the embedded sample, by content."""
    return not film.is_empty() and film["content_hash"][0] == _sample_hash()


def _score_sample(
    shot: pl.DataFrame, frame: pl.DataFrame, label: pl.DataFrame, characters: Sequence[str]
) -> list[PrecisionRecall]:
    """Judge shots and labels of the sample."""
    from bunny import demo

    return [
        score_cuts(shot, demo.truth("shot")),
        *score_names(label, frame, demo.truth("box"), characters),
    ]


def score_cuts(shot: pl.DataFrame, truth: pl.DataFrame) -> PrecisionRecall:
    """Match found shot beginnings with true ones; a gradual one counts anywhere in its span."""
    found = sorted(shot["first_frame_index"].to_list())[1:]
    result = score.score_boundaries(found, _spans(truth), tolerance=CUT_TOLERANCE)
    return PrecisionRecall(
        what="shots",
        precision=_ratio(result.num_hit, result.num_found),
        recall=_ratio(result.num_hit, result.num_true),
        num_right=result.num_hit,
        note=f"start within {CUT_TOLERANCE} frame, or inside a fade or dissolve",
    )


def score_names(
    label: pl.DataFrame, frame: pl.DataFrame, box: pl.DataFrame, characters: Sequence[str]
) -> list[PrecisionRecall]:
    """Precision and recall of names in the pictures taken, over all and for each character.

    Who had no reference cannot be named and is not missed.
    """
    asked = box.filter(pl.col("character").is_in(list(characters)))
    rows = naming.score_labels(label, frame, asked).sort(pl.col("character") != "all")
    return [
        PrecisionRecall(
            what="all labels" if row["character"] == "all" else f"label {row['character']}",
            precision=row["precision"],
            recall=row["recall"],
            num_right=row["num_right"],
            note=(
                f"labelled in {row['num_labelled']} frames, clearly visible in {row['num_true']}"
            ),
        )
        for row in rows.to_dicts()
    ]


def _spans(truth: pl.DataFrame) -> list[int | tuple[int, int]]:
    """Where each true shot but the first may begin: a frame, or a half-open span of frames."""
    rows = truth.sort("shot_index").to_dicts()[1:]
    return [
        row["first_frame_index"]
        if row["transition_first_frame_index"] is None
        else (row["transition_first_frame_index"], row["transition_end_frame_index"])
        for row in rows
    ]


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


@cache
def _sample_hash() -> str:
    from bunny import demo
    from bunny.core import file_hash

    path = demo.film_path()
    return file_hash.hash_file(path) if path.exists() else ""


def fine_tune(data: ReportData) -> ReportSection:
    """The runs and their loss."""
    run, step = data.table("training_run"), data.table("training_step")
    if run.is_empty():
        why = data.why_nothing("finetune", "No adapter was trained.")
        return ReportSection(id="fine-tune", title="Fine-tuning", missing=why)
    plots: list[ReportPlot] = []
    if not step.is_empty():
        plots = [plot(training.plot_loss(step), "loss by training step")]
    return ReportSection(
        id="fine-tune",
        title="Fine-tuning",
        notes=_base_notes(run["base_model"].to_list()) if data.table("picture").is_empty() else [],
        texts=[t for row in run.iter_rows(named=True) for t in _run_sentences(row)],
        grids=[ReportTable(rows=_run_facts(row)) for row in run.iter_rows(named=True)],
        plots=plots,
    )


def drawings(data: ReportData) -> ReportSection:
    """Generated pictures, the base model's beside the adapter's."""
    picture = data.table("picture")
    if picture.is_empty():
        why = data.why_nothing("generate", "No picture was generated.")
        return ReportSection(id="drawings", title="Generated pictures", missing=why)
    prompts = list(tile.drawings(data.root, picture).items())[:MAX_PROMPTS]
    groups: list[ReportGroup] = [
        group(tiles[:MAX_DRAWINGS], f"“{prompt}”", kind="pairs") for prompt, tiles in prompts
    ]
    has_several = training.has_several(picture)
    plots: list[ReportPlot] = []
    if picture["similarity"].drop_nulls().len() > 0:
        draw = training.plot_strength if has_several else training.plot_picture_similarity
        plots.append(plot(draw(picture), "similarity to held-out pictures"))
    if has_several:
        plots += training.grids(data.root, picture)
    words = (
        "For each prompt and seed: the base model alone, then each checkpoint and "
        "strength; the grid has all of them."
        if has_several
        else (
            "Each pair has the same prompt and seed: the base model alone, then with the adapter."
        )
    )
    return ReportSection(
        id="drawings",
        title="Generated pictures",
        texts=[words, *_similarity_sentences(picture)],
        notes=_base_notes(picture["base_model"].to_list()),
        plots=plots,
        groups=groups,
    )


def truth(data: ReportData) -> ReportSection | None:
    """Precision and recall, on a film whose truth is known; None for all other films."""
    if not _is_sample(data.table("film")):
        return None
    cast = sorted(set(data.table("reference")["character"].to_list()))
    scores = _score_sample(data.table("shot"), data.table("frame"), data.table("label"), cast)
    rows = [
        (s.what, _percent(s.precision), _percent(s.recall), str(s.num_right), s.note)
        for s in scores
    ]
    return ReportSection(
        id="truth",
        title="Accuracy",
        texts=["The ground truth of this film is known, so the results can be scored."],
        grids=[
            ReportTable(
                head=("what", "precision", "recall", "right", "definition"),
                rows=rows,
                numeric=(1, 2, 3),
            )
        ],
    )


def _base_notes(names: list[str]) -> list[str]:
    return [TOY_NOTE] if "toy" in names else []


def _run_sentences(row: dict) -> list[str]:
    """Say in words whether the losses fell."""
    if row["error"]:
        ended = f"ended with status {row['status']}: {row['error']}."
        return [f"The run for {row['character']} {ended}"]
    if row["held_out_loss_first"] is None or row["held_out_loss_last"] is None:
        why = "could be held out, so overfitting cannot be measured."
        return [f"No picture of {row['character']} {why}"]
    first, last = row["held_out_loss_first"], row["held_out_loss_last"]
    verb = "fell" if last < first else "did not fall"
    return [
        f"On held-out pictures of {row['character']} the loss {verb}: {first:.3f} "
        f"before, {last:.3f} after ({100 * (last - first) / first:+.1f} %)."
    ]


def _run_facts(row: dict) -> list[tuple[str, str]]:
    return [
        ("character", f"{row['character']}, trigger “{row['trigger']}”"),
        ("base", f"{row['base_model']}, licence {row['base_licence'] or 'unknown'}"),
        ("pictures", f"{row['num_images']} trained on, {row['num_held_out']} held out"),
        ("steps", f"{row['num_steps']} in {row['seconds']:.0f} s, seed {row['seed']}"),
        ("training loss", f"{_number(row['loss_first'])} → {_number(row['loss_last'])}"),
        ("adapter", row["adapter_file"] or "none"),
        ("state", row["status"]),
    ]


def _similarity_sentences(picture: pl.DataFrame) -> list[str]:
    means = dict(
        picture.drop_nulls("similarity")
        .group_by(training.model_word())
        .agg(pl.col("similarity").mean())
        .iter_rows()
    )
    base, adapter = means.get(training.BASE), means.get(training.ADAPTER)
    if base is None or adapter is None:
        return []
    gain = adapter - base
    word = "not noticeably more" if abs(gain) < NOTICEABLE else "more" if gain > 0 else "less"
    return [
        f"With the adapter the generated pictures are {word} like the held-out pictures of the "
        f"character: mean centred cosine similarity {base:.3f} without, {adapter:.3f} with (0: no "
        "more similar than a random picture of the film)."
    ]


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"
