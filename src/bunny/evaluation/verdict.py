"""What the numbers mean, in sentences that a person can act on.

A pure function over tables. A sentence that blames something names the figure, the base's beside
it, and what to change; differences count only where their interval leaves zero out.
"""

from __future__ import annotations

import polars as pl

from bunny.evaluation import warning
from bunny.evaluation.summary import About, Figures, Finding, percent, plain

LEARNED = 0.8  # share of drawings recognised from which the character counts as learned
CLEAR = 0.25  # more of the drawings recognised than of the base's: worth more drawings to be sure
MAX_GAPS = 2
ONE = {"pose": "{value} pictures", "light": "pictures in {value} light", "shot_size": "{value}s"}


def judge(
    evaluation: pl.DataFrame, about: About, gaps: pl.DataFrame | None = None
) -> list[Finding]:
    """Judge one run.

    Parameters
    ----------
    evaluation : pl.DataFrame
        Table `evaluation` of one run.
    about : About
    gaps : pl.DataFrame, optional
        Of `dataset.gap.find_gaps`: named where the character was not learned well everywhere.

    Returns
    -------
    list of Finding
        The outcome first, then what to do about what is wrong.
    """
    figures = Figures(evaluation, about.character)
    if figures.chosen is None:
        return [plain("nothing", "Nothing was drawn, so nothing can be said.")]
    found = [_outcome(figures, about)]
    is_unlearned = found[0].kind == "not learned"
    for warn in warning.WARNINGS_UNLEARNED if is_unlearned else warning.WARNINGS:
        found += warn(figures, about)
    if found[0].tone != "good" or any(f.kind == "nobody" for f in found):
        found += _missing(gaps, about)
    return found


def _outcome(figures: Figures, about: About) -> Finding:
    """Whether it learned the character."""
    right, base = figures.value("recognised"), figures.value("recognised", step=0)
    identity = figures.row("identity")
    if right is None or identity is None:
        if right == 0 and base is not None:
            return _no_proof(about, right, base)
        return plain(
            "unmeasured",
            f"Whether it learned {about.character} could not be measured: held-out pictures of at "
            f"least two shots are needed to compare with, there are {about.num_held_out} pictures; "
            "raise models.held_out_share.",
        )
    gain = figures.row("gain recognised")
    is_more = bool(gain) and (gain["low"] if gain["low"] is not None else gain["value"]) > 0
    if not is_more and right - (base or 0.0) < CLEAR:
        return _no_proof(about, right, base)
    known = "" if base is None else f" (the base alone: {percent(base)})"
    text = (
        f"{percent(right)} of the drawings are recognised as {about.character}{known}; identity "
        f"{_with_interval(identity)}, where 1 is as the film's own pictures and 0 a stranger."
    )
    if not is_more:
        text = (
            f"It seems to learn {about.character}, but so few drawings prove nothing: {text} Give "
            "evaluation.seeds and evaluation.report_prompts more to be sure."
        )
        return plain("unsure", text)
    if right >= LEARNED:
        return Finding(kind="learned", tone="good", text=f"It learned {about.character}: {text}")
    text = f"It learned something of {about.character}, not all: {text} {_more(figures, about)}"
    return Finding(kind="partly", tone="plain", text=text)


def _no_proof(about: About, right: float, base: float | None) -> Finding:
    beside = "" if base is None else f", {percent(base)} without the adapter"
    text = (
        f"No proof that it learned {about.character}: {percent(right)} of the drawings are "
        f"recognised{beside}. Train longer (models.training_steps), raise models.lora_rank or "
        "models.learning_rate, or add pictures."
    )
    return Finding(kind="not learned", tone="bad", text=text)


def _more(figures: Figures, about: About) -> str:
    """What to do when a character is half learned."""
    if about.steps and figures.chosen == max(about.steps):
        return "The last checkpoint is the best: train longer (models.training_steps)."
    return "More steps did not help: raise models.lora_rank, or add pictures that differ."


def _missing(gaps: pl.DataFrame | None, about: About) -> list[Finding]:
    """The widest gaps of the set: value, how many pictures, how many were wanted."""
    if gaps is None or gaps.is_empty():
        return []
    mine = gaps.filter(pl.col("character") == about.character, pl.col("axis").is_in(list(ONE)))
    widest = mine.unique(["axis", "value"], keep="first", maintain_order=True).head(MAX_GAPS)
    total = about.num_images + about.num_held_out
    found = []
    for row in widest.iter_rows(named=True):
        what = ONE[row["axis"]].format(value=row["value"])
        can = "`bunny gaps` lists shots of the film that would fill it."
        if row["setting"] is None and not row["num_dropped"]:
            can = "the film has none that were dropped: add pictures from elsewhere."
        text = (
            f"Too few {what}: {row['num_pictures']} of {total}, {row['num_wanted']} wanted; {can}"
        )
        found.append(plain("gap", text))
    return found


def _with_interval(row: dict) -> str:
    if row["low"] is None:
        return f"{row['value']:.2f}"
    return f"{row['value']:.2f} ({row['low']:.2f} to {row['high']:.2f})"
