"""Verdict on a fine-tune: its metrics, warnings and advice in sentences.

A pure function over tables. A sentence that blames something names the figure, the base's beside
it, and what to change; differences count only where their interval leaves zero out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

MAX_COPIED_SHARE = 0.1  # share of copies
MAX_LEAK_SHARE = (
    0.25  # share above the base's of class prompts' or others' drawings that show the character
)
MAX_NOBODY_SHARE = 0.25  # share of drawings without anybody, above the base's
MAX_BLEEDING = 0.25
MAX_DRIFT = 1.0  # as far as another seed
MIN_DIVERSITY = 0.5  # diversity relative to the base's
MAX_AGREEMENT_LOSS = 0.1  # agreement lost
MIN_REAL_RECOGNISED = 0.7  # of real pictures recognised; below it the recogniser cannot be trusted
MIN_REAL = 5  # real pictures behind identity, below which it is shaky

MIN_LEARNED_SHARE = 0.8  # share of drawings recognised from which the character counts as learned
CLEAR_GAIN = (
    0.25  # more of the drawings recognised than of the base's: worth more drawings to be sure
)
MAX_GAPS = 2
GAP_WORDS = {
    "pose": "{value} pictures",
    "light": "{value} pictures",
    "shot_size": "{value}s",
}


@dataclass(frozen=True, kw_only=True)
class EvaluationFinding:
    """One thing found: good, bad or plain, and the sentence for it."""

    kind: str
    tone: str
    text: str


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """Facts about the run besides its figures."""

    character: str
    class_word: str
    num_images: int
    num_held_out: int
    rank: int | None = None
    training_steps: int | None = None
    steps: tuple[int, ...] = ()  # checkpoints that were judged


class RunMetrics:
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


def run_info(run: Mapping[str, Any], steps: Sequence[int], class_word: str) -> RunInfo:
    """Facts about a run, besides its figures, that the verdict needs.

    Parameters
    ----------
    run : mapping
        A row of table `training_run`.
    steps : sequence of int
        Of the checkpoints that were judged.
    """
    settings = json.loads(run["config_json"] or "{}").get("settings", {})
    return RunInfo(
        character=run["character"],
        class_word=class_word,
        num_images=run["num_images"],
        num_held_out=run["num_held_out"],
        rank=settings.get("rank"),
        training_steps=run["num_steps"],
        steps=tuple(steps),
    )


def _neutral_finding(kind: str, text: str) -> EvaluationFinding:
    """A finding that neither praises nor blames."""
    return EvaluationFinding(kind=kind, tone="plain", text=text)


def percent(share: float) -> str:
    """A share as people write it."""
    return f"{100 * share:.0f} %"


def _warn_of_recogniser(figures: RunMetrics, about: RunInfo) -> list[EvaluationFinding]:
    """Whether the recogniser tells the film's own pictures apart."""
    found = [
        _neutral_finding(
            "unsure recogniser",
            f"The recogniser itself recognises only {percent(share)} of {number} real "
            f"pictures of {who}, so the results for {who} are equally uncertain.",
        )
        for who, share, number in figures.real()
        if share < MIN_REAL_RECOGNISED
    ]
    real = figures.row("likeness of real pictures", "real", 0)
    if real and real["n"] < MIN_REAL:
        few = f"Identity rests on {real['n']} held-out picture{'s' * (real['n'] != 1)}"
        found.append(
            _neutral_finding(
                "few real", f"{few}: raise models.held_out_share for a more reliable result."
            )
        )
    if figures.value("is across shots", "real", 0) == 0:
        found.append(
            _neutral_finding(
                "one shot",
                "All held-out pictures are from one shot, so the reference value 1 stands for "
                "nearly identical pictures, and generated pictures score lower than they should.",
            )
        )
    return found


def _warn_of_overtraining(figures: RunMetrics, about: RunInfo) -> list[EvaluationFinding]:
    """Whether training went on for too long."""
    if not about.steps or figures.chosen == max(about.steps):
        return []
    last = max(about.steps)
    best, end = (figures.row("score", "choose", step) for step in (figures.chosen, last))
    if best is None or end is None:
        return []
    over = figures.row("score over last", "choose")
    is_sure = bool(over) and over["low"] is not None and over["low"] > 0
    text = (
        f"Stop at step {figures.chosen}: it scored {best['value']:.2f} on the "
        f"selection prompts, step {last} scored {end['value']:.2f}"
    )
    if is_sure:
        text += f". Set models.training_steps to about {figures.chosen}, or lower the rank."
        return [EvaluationFinding(kind="stop", tone="bad", text=text)]
    text += ", but with so few pictures the later checkpoints are not shown to be worse."
    return [_neutral_finding("stop", text)]


def _warn_of_nobody(figures: RunMetrics, about: RunInfo) -> list[EvaluationFinding]:
    """Whether drawings show anybody."""
    share, base = figures.value("nobody"), figures.value("nobody", step=0) or 0.0
    if share is None or share < MAX_NOBODY_SHARE:
        return []
    text = (
        f"No character is found in {percent(share)} of the generated pictures "
        f"({percent(base)} with the base model). "
    )
    if base >= MAX_NOBODY_SHARE:
        text += "The base model draws no figure for these prompts either: prompt for closer views."
    else:
        text += (
            "The adapter degrades what the base model can draw: lower "
            "generation.lora_strength, models.learning_rate or the number of steps."
        )
    return [EvaluationFinding(kind="nobody", tone="bad", text=text)]


def _warn_of_copying(figures: RunMetrics, about: RunInfo) -> list[EvaluationFinding]:
    """Whether drawings are training pictures again."""
    share = figures.value("copied")
    if share is None or share < MAX_COPIED_SHARE:
        return []
    text = (
        f"Copies training pictures: {percent(share)} of the generated pictures are "
        "nearly identical to one. Train for fewer steps, lower the "
        f"rank{_rank(about)}, or add more varied pictures."
    )
    return [EvaluationFinding(kind="copies", tone="bad", text=text)]


def _warn_of_class_word(figures: RunMetrics, about: RunInfo) -> list[EvaluationFinding]:
    """Whether the class word still means what it meant."""
    leak, base = figures.value("leak", "class"), figures.value("leak", "class", 0) or 0.0
    if leak is not None and leak - base >= MAX_LEAK_SHARE:
        text = (
            f"The class word was overwritten: “{about.class_word}” alone draws "
            f"{about.character} in {percent(leak)} of the pictures (base model: "
            f"{percent(base)}). Train for fewer steps, or set models.class_pictures "
            "to film or drawn with a models.class_weight below 1: class pictures "
            f"preserve the class, but {about.character} is then learned more slowly."
        )
        return [EvaluationFinding(kind="class word", tone="bad", text=text)]
    moved = figures.row("drift", "class")
    low = None if moved is None else moved["low"] if moved["low"] is not None else moved["value"]
    if moved is None or low is None or low <= MAX_DRIFT:
        return []
    text = (
        f"Pictures without {about.character} changed {moved['value']:.1f} times as "
        "much as they do from one seed to another. Set models.class_pictures to film "
        "or drawn, or train for fewer steps."
    )
    return [EvaluationFinding(kind="drift", tone="bad", text=text)]


def _warn_of_agreement(figures: RunMetrics, about: RunInfo) -> list[EvaluationFinding]:
    """Whether it still draws what is asked."""
    gain = figures.row("gain agreement")
    if gain is None or gain["value"] > -MAX_AGREEMENT_LOSS:
        return []
    if gain["high"] is not None and gain["high"] >= 0:
        return []
    now, base = figures.value("agreement"), figures.value("agreement", step=0)
    text = (
        f"Prompts are followed less closely: agreement with the prompts is {now:.2f}, "
        f"with the base model {base:.2f}. Lower generation.lora_strength, train for "
        f"fewer steps, or lower the rank{_rank(about)}."
    )
    return [EvaluationFinding(kind="listens less", tone="bad", text=text)]


def _warn_of_low_diversity(figures: RunMetrics, about: RunInfo) -> list[EvaluationFinding]:
    """Whether seeds still differ."""
    now, base = figures.value("diversity"), figures.value("diversity", step=0)
    if now is None or not base or now >= MIN_DIVERSITY * base:
        return []
    text = (
        "Pictures of one prompt look alike for every seed: their diversity is "
        f"{now / base:.1f} times that of the base model. Train for fewer steps, or on "
        "pictures of more poses and places."
    )
    return [EvaluationFinding(kind="sameness", tone="bad", text=text)]


def _warn_of_other_characters(figures: RunMetrics, about: RunInfo) -> list[EvaluationFinding]:
    """Warn if other characters turn into this one."""
    found = []
    share, base = figures.value("bleeding", "pair"), figures.value("bleeding", "pair", 0) or 0.0
    if share is not None and share - base >= MAX_BLEEDING:
        text = (
            "Identity leaks to other characters: of the pictures with two "
            f"characters, {percent(share)} show two that look like {about.character} "
            f"(base model: {percent(base)}). Train with models.class_pictures, and on "
            f"pictures that show {about.character} together with others."
        )
        found.append(EvaluationFinding(kind="bleeds", tone="bad", text=text))
    taken = [(who, more) for who, more in figures.leaks() if more >= MAX_LEAK_SHARE]
    if taken:
        names = ", ".join(
            f"{who} ({percent(more)} more often than with the base model)" for who, more in taken
        )
        text = (
            f"Other characters turn into {about.character}: {names}. Train with "
            "models.class_pictures."
        )
        found.append(EvaluationFinding(kind="others", tone="bad", text=text))
    return found


def _rank(about: RunInfo) -> str:
    """The rank to try instead."""
    if about.rank is None or about.rank < 2:
        return ""
    return f" (models.lora_rank: {about.rank // 2} instead of {about.rank})"


WARNINGS = (
    _warn_of_recogniser,
    _warn_of_overtraining,
    _warn_of_nobody,
    _warn_of_copying,
    _warn_of_class_word,
    _warn_of_agreement,
    _warn_of_low_diversity,
    _warn_of_other_characters,
)
WARNINGS_UNLEARNED = (
    _warn_of_recogniser,
    _warn_of_nobody,
    _warn_of_copying,
)  # before all else: learn it


def judge(
    evaluation: pl.DataFrame, about: RunInfo, gaps: pl.DataFrame | None = None
) -> list[EvaluationFinding]:
    """Judge one run.

    Parameters
    ----------
    evaluation : pl.DataFrame
        Table `evaluation` of one run.
    gaps : pl.DataFrame, optional
        Of `dataset.gap.find_gaps`: named where the character was not learned well everywhere.

    Returns
    -------
    list of EvaluationFinding
        The outcome first, then what to do about what is wrong.
    """
    figures = RunMetrics(evaluation, about.character)
    if figures.chosen is None:
        return [
            _neutral_finding("nothing", "No picture was generated, so nothing can be evaluated.")
        ]
    found = [_outcome(figures, about)]
    is_unlearned = found[0].kind == "not learned"
    for warn in WARNINGS_UNLEARNED if is_unlearned else WARNINGS:
        found += warn(figures, about)
    if found[0].tone != "good" or any(f.kind == "nobody" for f in found):
        found += _missing(gaps, about)
    return found


def summarise(findings: Sequence[EvaluationFinding]) -> str:
    """The answer to "did it learn the character?", then what is wrong, as one text."""
    wrong = [one.text for one in findings[1:] if one.tone == "bad"]
    return " ".join([findings[0].text, *wrong])


def _outcome(figures: RunMetrics, about: RunInfo) -> EvaluationFinding:
    """Whether it learned the character."""
    right, base = figures.value("recognised"), figures.value("recognised", step=0)
    identity = figures.row("identity")
    if right is None or identity is None:
        if right == 0 and base is not None:
            return _not_learned(about, right, base)
        return _neutral_finding(
            "unmeasured",
            f"Whether the adapter learned {about.character} could not be measured: held-out "
            "pictures of at least two shots are needed to compare with, and there are "
            f"{about.num_held_out} held-out pictures; raise models.held_out_share.",
        )
    gain = figures.row("gain recognised")
    is_more = bool(gain) and (gain["low"] if gain["low"] is not None else gain["value"]) > 0
    if not is_more and right - (base or 0.0) < CLEAR_GAIN:
        return _not_learned(about, right, base)
    known = "" if base is None else f" (base model alone: {percent(base)})"
    text = (
        f"{percent(right)} of the generated pictures are recognised as "
        f"{about.character}{known}; identity {_with_interval(identity)}, where 1 is "
        "as similar as the film's own pictures and 0 is another person."
    )
    if not is_more:
        text = (
            f"The adapter seems to have learned {about.character}, but there are too "
            f"few generated pictures to be sure: {text} Raise evaluation.seeds and "
            "add to evaluation.report_prompts for a reliable result."
        )
        return _neutral_finding("unsure", text)
    if right >= MIN_LEARNED_SHARE:
        return EvaluationFinding(
            kind="learned", tone="good", text=f"The adapter learned {about.character}: {text}"
        )
    text = f"The adapter partly learned {about.character}: {text} {_more(figures, about)}"
    return EvaluationFinding(kind="partly", tone="plain", text=text)


def _not_learned(about: RunInfo, right: float, base: float | None) -> EvaluationFinding:
    beside = "" if base is None else f", {percent(base)} without the adapter"
    text = (
        f"No evidence that the adapter learned {about.character}: {percent(right)} of "
        f"the generated pictures are recognised{beside}. Train longer "
        "(models.training_steps), raise models.lora_rank or models.learning_rate, or add pictures."
    )
    return EvaluationFinding(kind="not learned", tone="bad", text=text)


def _more(figures: RunMetrics, about: RunInfo) -> str:
    """What to do when a character is half learned."""
    if about.steps and figures.chosen == max(about.steps):
        return "The last checkpoint is the best: train longer (models.training_steps)."
    return "More steps did not help: raise models.lora_rank, or add more varied pictures."


def _missing(gaps: pl.DataFrame | None, about: RunInfo) -> list[EvaluationFinding]:
    """The widest gaps of the set: value, how many pictures, how many were wanted."""
    if gaps is None or gaps.is_empty():
        return []
    mine = gaps.filter(
        pl.col("character") == about.character, pl.col("axis").is_in(list(GAP_WORDS))
    )
    widest = mine.unique(["axis", "value"], keep="first", maintain_order=True).head(MAX_GAPS)
    total = about.num_images + about.num_held_out
    found = []
    for row in widest.iter_rows(named=True):
        what = GAP_WORDS[row["axis"]].format(value=row["value"])
        can = "`bunny gaps` lists the shots that would fill the gap."
        if row["setting"] is None and not row["num_dropped"]:
            can = "No dropped view would fill the gap: add pictures from elsewhere."
        text = (
            f"Too few {what}: {row['num_pictures']} of {total} ({row['num_wanted']} wanted). {can}"
        )
        found.append(_neutral_finding("gap", text))
    return found


def _with_interval(row: dict) -> str:
    if row["low"] is None:
        return f"{row['value']:.2f}"
    return f"{row['value']:.2f} ({row['low']:.2f} to {row['high']:.2f})"
