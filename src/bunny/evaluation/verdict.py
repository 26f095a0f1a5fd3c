"""Verdict on a fine-tune: its metrics, warnings and advice in sentences.

A pure function over tables. The first sentence answers whether the character was learned, or says
that it cannot be judged, and why: the recogniser has to find the character in the film's own
held-out pictures, and not in strangers'. A sentence is said only where its 95 % interval allows it;
one that blames something names the figure, the base's beside it, and what to change.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from bunny.evaluation import identity, proportion
from bunny.evaluation.bootstrap import Interval

MAX_COPIED_SHARE = 0.1  # share of copies
CHANCE_COPIED = 0.01  # held-out pictures that would be flagged: `measure_picture.BASELINE_QUANTILE`
MAX_LEAK_SHARE = (
    0.25  # share above the base's of class prompts' or others' drawings that show the character
)
MAX_NOBODY_SHARE = 0.25  # share of drawings without a face, above the base's
MAX_BLEEDING = 0.25
MAX_DRIFT = 1.0  # as far as another seed
MIN_DIVERSITY = 0.5  # diversity relative to the base's
MAX_AGREEMENT_LOSS = 0.1  # agreement lost

MOST = 0.5  # share of drawings recognised that the interval has to exceed: learned
NEARLY_ALL = 0.9  # share that the interval has to leave out: learned in part only
MORE_PICTURES = "Raise evaluation.seeds or add to evaluation.report_prompts for a reliable result."
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
        """Other characters whose drawings are surely more often taken for the trained one."""
        found = []
        for (who, step, prompt_set, metric, _), row in sorted(self._rows.items()):
            if (step, prompt_set, metric) == (self.chosen, "other", "leak"):
                base = self._rows.get((who, 0, "other", "leak", ""))
                before = proportion.of_share(base["value"], base["n"]) if base else None
                more = proportion.of_share(row["value"], row["n"])
                more = proportion.difference(more, before) if before else more
                if (more.low or 0.0) > 0:
                    found.append((who, more.value or 0.0))
        return found

    def interval(
        self, metric: str, prompt_set: str = "report", step: int | None = None
    ) -> Interval:
        """Its value with the interval; all None where it was not measured."""
        row = self.row(metric, prompt_set, step)
        if row is None:
            return Interval(value=None, low=None, high=None, n=0)
        return Interval(value=row["value"], low=row["low"], high=row["high"], n=row["n"])

    def above_base(self, metric: str, prompt_set: str) -> Interval:
        """A share less the base's, with Newcombe's interval."""
        base = self.interval(metric, prompt_set, 0)
        if base.value is None:
            base = Interval(value=0.0, low=0.0, high=0.0, n=0)
        return proportion.difference(self.interval(metric, prompt_set), base)


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
    """Whether drawings show a face, where the character is recognised by it."""
    share = figures.interval("nobody")
    if share.value is None or (share.low or 0.0) <= MAX_NOBODY_SHARE:
        return []
    base = figures.value("nobody", step=0) or 0.0
    text = (
        f"No face is found in {percent(share.value)} of the generated pictures "
        f"({percent(base)} with the base model). "
    )
    if (figures.above_base("nobody", "report").low or 0.0) <= 0:
        text += "The base model draws as few faces for these prompts: prompt for closer views."
    else:
        text += (
            "The adapter degrades what the base model can draw: lower "
            "generation.lora_strength, models.learning_rate or the number of steps."
        )
    return [EvaluationFinding(kind="nobody", tone="bad", text=text)]


def _warn_of_copying(figures: RunMetrics, about: RunInfo) -> list[EvaluationFinding]:
    """Whether drawings are training pictures again."""
    share = figures.row("copied")
    if share is None or share["value"] < MAX_COPIED_SHARE:
        return []
    if (proportion.of_share(share["value"], share["n"]).low or 0.0) <= CHANCE_COPIED:
        return []
    text = (
        f"Copies training pictures: {percent(share['value'])} of the generated pictures are "
        "nearly identical to one. Train for fewer steps, lower the "
        f"rank{_rank(about)}, or add more varied pictures."
    )
    return [EvaluationFinding(kind="copies", tone="bad", text=text)]


def _warn_of_class_word(figures: RunMetrics, about: RunInfo) -> list[EvaluationFinding]:
    """Whether the class word still means what it meant."""
    leak, base = figures.value("leak", "class"), figures.value("leak", "class", 0) or 0.0
    more = figures.above_base("leak", "class")
    is_sure = (more.value or 0.0) >= MAX_LEAK_SHARE and (more.low or 0.0) > 0
    if leak is not None and is_sure and not calibration_problem(figures, about):
        text = (
            f"The class word was overwritten: “{about.class_word}” alone draws "
            f"{about.character} in {percent(leak)} of the pictures (base model: "
            f"{percent(base)}). Train for fewer steps, or set models.class_pictures "
            "to film or drawn with a models.class_weight below 1: class pictures "
            f"preserve the class, but {about.character} is then learned more slowly."
        )
        return [EvaluationFinding(kind="class word", tone="bad", text=text)]
    moved = figures.row("drift", "class")
    if moved is None or moved["low"] is None or moved["low"] <= MAX_DRIFT:
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
    if gain["high"] is None or gain["high"] >= 0:
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
    row, base_row = figures.interval("diversity"), figures.interval("diversity", step=0)
    now, base = row.value, base_row.value
    most = row.high if row.high is not None else now
    least = base_row.low if base_row.low is not None else base
    if now is None or most is None or not base or not least or most >= MIN_DIVERSITY * least:
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
    more = figures.above_base("bleeding", "pair")
    if share is not None and (more.value or 0.0) >= MAX_BLEEDING and (more.low or 0.0) > 0:
        text = (
            "Identity leaks to other characters: of the pictures with two "
            f"characters, {percent(share)} show two that look like {about.character} "
            f"(base model: {percent(base)}). Train with models.class_pictures, and on "
            f"pictures that show {about.character} together with others."
        )
        found.append(EvaluationFinding(kind="bleeds", tone="bad", text=text))
    taken = [(who, more) for who, more in figures.leaks() if more >= MAX_LEAK_SHARE]
    if taken:
        names = ", ".join(f"{who} (+{100 * more:.0f} percentage points)" for who, more in taken)
        text = (
            f"Other characters turn into {about.character} more often than with the base model: "
            f"{names}. Train with models.class_pictures."
        )
        found.append(EvaluationFinding(kind="others", tone="bad", text=text))
    return found


def _rank(about: RunInfo) -> str:
    """The rank to try instead."""
    if about.rank is None or about.rank < 2:
        return ""
    return f" (models.lora_rank: {about.rank // 2} instead of {about.rank})"


WARNINGS = (
    _warn_of_overtraining,
    _warn_of_nobody,
    _warn_of_copying,
    _warn_of_class_word,
    _warn_of_agreement,
    _warn_of_low_diversity,
    _warn_of_other_characters,
)
WARNINGS_UNLEARNED = (_warn_of_nobody, _warn_of_copying)  # before all else: learn it
WARNINGS_UNJUDGED = (  # what needs no recogniser
    _warn_of_copying,
    _warn_of_class_word,
    _warn_of_agreement,
    _warn_of_low_diversity,
)
BY_OUTCOME = {"not learned": WARNINGS_UNLEARNED, "cannot judge": WARNINGS_UNJUDGED}


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
    for warn in BY_OUTCOME.get(found[0].kind, WARNINGS):
        found += warn(figures, about)
    if found[0].tone != "good":
        found += _missing(gaps, about)
    return found


def summarise(findings: Sequence[EvaluationFinding]) -> str:
    """The answer to "did it learn the character?", then what is wrong, as one text."""
    wrong = [one.text for one in findings[1:] if one.tone == "bad"]
    return " ".join([findings[0].text, *wrong])


def calibration_problem(figures: RunMetrics, about: RunInfo) -> str:
    """Say why the recogniser cannot judge; empty where it can."""
    who, shots = about.character, figures.interval("shots", "real", 0)
    real = figures.interval("real recognised", "real", 0)
    strangers = figures.interval("strangers recognised", "real", 0)
    if shots.value is None:
        return "its recogniser was not tested on the film; run `bunny evaluate --force`"
    num_shots = int(shots.value)
    if identity.is_calibrated(real, strangers, num_shots):
        return ""
    if num_shots < identity.MIN_SHOTS or shots.n < identity.MIN_PICTURES:
        return (
            f"the film has {_count(shots.n, 'picture')} of {who} from {_count(num_shots, 'shot')}, "
            f"and the recogniser needs at least {identity.MIN_PICTURES} from {identity.MIN_SHOTS} "
            "to be tested"
        )
    if real.value is None or strangers.value is None:
        return f"the recogniser could not be tested on real pictures of {who}"
    if min(real.n, strangers.n) < identity.MIN_PICTURES:
        return (
            f"the recogniser was tested on {_count(real.n, 'real picture')} of {who} and "
            f"{strangers.n} without {who}, and needs at least {identity.MIN_PICTURES} of each"
        )
    pictures, others = f"real pictures of {who}", f"pictures without {who}"
    return (
        f"on held-out shots the recogniser finds {who} in {_of_all(real, pictures)}, "
        f"where {percent(identity.MIN_REAL_SHARE)} are needed, and in "
        f"{_of_all(strangers, others)}, where at most "
        f"{percent(identity.MAX_STRANGER_SHARE)} are allowed"
    )


def _outcome(figures: RunMetrics, about: RunInfo) -> EvaluationFinding:
    """Whether it learned the character."""
    who = about.character
    if problem := calibration_problem(figures, about):
        text = (
            f"Whether the adapter learned {who} cannot be judged: {problem}. Look at the generated "
            "pictures yourself."
        )
        return _neutral_finding("cannot judge", text)
    now, base = figures.interval("recognised"), figures.interval("recognised", step=0)
    if now.value is None or now.low is None or now.high is None:
        text = f"Whether the adapter learned {who} cannot be judged: no picture was measured."
        return _neutral_finding("cannot judge", text)
    gain = figures.above_base("recognised", "report")
    known = f"{who} is recognised in {_of_all(now, 'generated pictures')}"
    if base.value is not None:
        known += f", with the base model alone in {round(base.value * base.n)} of {base.n}"
    if (gain.low or 0.0) > 0:
        if now.high < NEARLY_ALL:
            text = f"The adapter partly learned {who}: {known}. {_more(figures, about)}"
            return EvaluationFinding(kind="partly", tone="plain", text=text)
        if now.low > MOST:
            text = f"The adapter learned {who}: {known}."
            return EvaluationFinding(kind="learned", tone="good", text=text)
        text = (
            f"The adapter learned something of {who}, but there are too few generated pictures to "
            f"tell how much: {known}. {MORE_PICTURES}"
        )
        return _neutral_finding("unsure", text)
    if now.low > MOST and (base.low or 0.0) > MOST:
        text = f"The base model draws {who} without the adapter: {known}."
        return _neutral_finding("known before", text)
    if now.high < MOST:
        text = (
            f"The adapter did not learn {who}: {known}. Train longer (models.training_steps), "
            "raise models.lora_rank or models.learning_rate, or add pictures."
        )
        return EvaluationFinding(kind="not learned", tone="bad", text=text)
    text = (
        f"There are too few generated pictures to tell whether the adapter learned {who}: {known}. "
        f"{MORE_PICTURES}"
    )
    return _neutral_finding("unsure", text)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _of_all(share: Interval, noun: str) -> str:
    """A count out of a total, with the interval."""
    counts = f"{round((share.value or 0.0) * share.n)} of {share.n} {noun}"
    if share.low is None or share.high is None:
        return counts
    return f"{counts} (95 % interval {100 * share.low:.0f} to {percent(share.high)})"


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
