"""Sections of the report about the model: fine-tune, drawings, and truth."""

from __future__ import annotations

import polars as pl

from bunny.view import tile
from bunny.view.plot import generation, training
from bunny.view.report import truth as truth_of
from bunny.view.report.section import Data, Grid, Group, Plot, Section, group, plot

NOTICEABLE = 0.02  # difference of mean similarity below which base and adapter are alike
MAX_PROMPTS = 12
MAX_DRAWINGS = 8  # of one prompt
TOY_NOTE = (
    "The base is the toy base that comes with this package: the same parts as Stable Diffusion, "
    "but tiny, at 128 pixels, and trained on drawings of our own world only. Its pictures show "
    "that the whole way works, not how good a LoRA can be. For real pictures give "
    "models.base_model a Stable-Diffusion-shaped folder or hub id and run again."
)


def fine_tune(data: Data) -> Section:
    """The runs and their loss."""
    run, step = data.table("training_run"), data.table("training_step")
    if run.is_empty():
        why = data.why_nothing("finetune", "Nothing was trained.")
        return Section(id="fine-tune", title="The fine-tune", missing=why)
    plots: list[Plot] = []
    if not step.is_empty():
        plots = [plot(training.plot_loss(step), "loss over the steps")]
    return Section(
        id="fine-tune",
        title="The fine-tune",
        notes=_base_notes(run["base_model"].to_list()) if data.table("picture").is_empty() else [],
        texts=[t for row in run.iter_rows(named=True) for t in _run_sentences(row)],
        grids=[Grid(rows=_run_facts(row)) for row in run.iter_rows(named=True)],
        plots=plots,
    )


def drawings(data: Data) -> Section:
    """What the model drew, the base beside the adapter."""
    picture = data.table("picture")
    if picture.is_empty():
        why = data.why_nothing("generate", "Nothing was drawn.")
        return Section(id="drawings", title="What the model drew", missing=why)
    prompts = list(tile.drawings(data.root, picture).items())[:MAX_PROMPTS]
    groups: list[Group] = [
        group(tiles[:MAX_DRAWINGS], f"“{prompt}”", kind="pairs") for prompt, tiles in prompts
    ]
    has_several = generation.has_several(picture)
    draw_figure = training.plot_picture_similarity
    draw_figure = generation.plot_strength if has_several else draw_figure
    has_score = picture["similarity"].drop_nulls().len() > 0
    words = (
        "Of each prompt and seed: the base alone, then each checkpoint and strength; all of them "
        "are in the grid."
        if has_several
        else "Each pair has the same prompt and seed: the base alone, then with the adapter."
    )
    return Section(
        id="drawings",
        title="What the model drew",
        texts=[
            words,
            *_similarity_sentences(picture),
        ],
        notes=_base_notes(picture["base_model"].to_list()),
        plots=[
            *([plot(draw_figure(picture), "similarity to held-out pictures")] if has_score else []),
            *(generation.grids(data.root, picture) if has_several else []),
        ],
        groups=groups,
    )


def truth(data: Data) -> Section | None:
    """Precision and recall, on a film whose truth is known; None for all other films."""
    if not truth_of.is_known(data.table("film")):
        return None
    cast = sorted(set(data.table("reference")["character"].to_list()))
    scores = truth_of.scores(data.table("shot"), data.table("frame"), data.table("label"), cast)
    rows = [
        (s.what, _percent(s.precision), _percent(s.recall), str(s.num_right), s.note)
        for s in scores
    ]
    return Section(
        id="truth",
        title="How right it is",
        texts=["What is true of this film is known, so the tables can be judged."],
        grids=[
            Grid(
                head=("what", "precision", "recall", "right", "how it is counted"),
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
        return [f"The run for {row['character']} ended as {row['status']}: {row['error']}."]
    if row["held_out_loss_first"] is None or row["held_out_loss_last"] is None:
        return [f"No picture of {row['character']} could be held out, so overfitting is unknown."]
    first, last = row["held_out_loss_first"], row["held_out_loss_last"]
    verb = "fell" if last < first else "did not fall"
    return [
        f"On pictures of {row['character']} that were never trained on, the loss {verb}: "
        f"{first:.3f} before, {last:.3f} after ({100 * (last - first) / first:+.1f} %)."
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
        f"With the adapter the drawings are {word} like the held-out pictures of the character: "
        f"mean centred cosine similarity {base:.3f} without, {adapter:.3f} with "
        "(0 is as like as any picture of the film)."
    ]


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"
