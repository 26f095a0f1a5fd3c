"""Prompt optimisation by people's edits and the audit's rules, judged on held-out shots.

Two kinds are tried: examples (dspy's BootstrapFewShot, with people's captions as labels) and
instructions (dspy's GEPA, which has the model read what was found fault with). One is used only
where it does better than our prompt on pictures that neither has seen.
"""

import contextlib
import io
import json
import logging
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bunny.caption import audit, program, provider_report
from bunny.caption.answer import CaptionAnswer, CaptionQuestion, ProviderStopped
from bunny.caption.cost import Budget
from bunny.caption.metadata_facts import Facts
from bunny.caption.provider import ServedModel, import_dspy, make_lm
from bunny.caption.tuned_prompt import TunedPrompt
from bunny.core.error import UserError
from bunny.table import store

MIN_EDITED = 4  # pictures with a person's caption
MAX_UNEDITED = 20  # pictures that are judged by the rules alone
HELD_OUT_SHARE = 0.4  # of the shots
MIN_GAIN = 0.02  # mean score on the held-out pictures
MAX_EXAMPLES = 4  # in a prompt
GOOD = 0.9  # score from which an answer of the model may be an example
CALLS_PER_PICTURE = 6  # of GEPA, at most about
REFLECTION_TOKENS = 2000  # of a new instruction
SEED = 0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class TuningPicture:
    """A picture to learn from."""

    question: CaptionQuestion
    facts: Facts
    shot_index: int
    edited: str = ""  # a person's caption; "": judged by the rules alone


@dataclass(frozen=True, kw_only=True)
class OptimizeResult:
    """What was tried, and what did best."""

    scores: Mapping[str, float]  # mean on the held-out pictures by kind; "ours" is our own prompt
    best: TunedPrompt | None  # None: nothing could be tried
    is_better: bool  # whether `best` gains at least `MIN_GAIN` over ours
    num_train: int
    num_edited: int
    num_held_out: int


def split_by_shot(
    pictures: Sequence[TuningPicture],
) -> tuple[list[TuningPicture], list[TuningPicture]]:
    """Pictures to learn from and held-out ones, of different shots; seeded.

    Raises
    ------
    UserError
        If fewer than `MIN_EDITED` have a person's caption, or these are of one shot.
    """
    edited = sorted({one.shot_index for one in pictures if one.edited})
    number = sum(bool(one.edited) for one in pictures)
    if number < MIN_EDITED or len(edited) < 2:
        raise UserError(
            f"optimize: expected at least {MIN_EDITED} pictures of two shots with a person's "
            f"caption, got {number} of {len(edited)}; edit more in notebook 05_caption"
        )
    other = sorted({one.shot_index for one in pictures} - set(edited))
    draw, held = random.Random(SEED), set()
    for shots in (edited, other):
        draw.shuffle(shots)
        held |= set(shots[: max(round(HELD_OUT_SHARE * len(shots)), int(shots is edited))])
    return (
        [one for one in pictures if one.shot_index not in held],
        [one for one in pictures if one.shot_index in held],
    )


def score(
    picture: TuningPicture, text: str | None, triggers: Mapping[str, str]
) -> tuple[float, str]:
    """How good a caption is, in [0, 1], and what is wrong with it.

    Notes
    -----
    One less the doubt of the audit's rules; where a person wrote a caption, the mean of that and
    the agreement with it (`provider_report.agreement`).
    """
    if not text:
        return 0.0, "no caption was written"
    doubt, reasons = _doubt(picture.facts, text, triggers)
    if not picture.edited:
        return 1 - doubt, "; ".join(reasons) or "nothing is wrong"
    told = (*triggers.values(), *triggers)
    same = provider_report.agreement(text, picture.edited, told)
    said = [*reasons, f"a person wrote: {picture.edited!r}"]
    return (1 - doubt + same) / 2, "; ".join(said)


def optimize(
    pictures: Sequence[TuningPicture],
    model: ServedModel,
    triggers: Mapping[str, str],
    *,
    ask: Callable[[TuningPicture, TunedPrompt | None], CaptionAnswer],
    budget: Budget | None = None,
    current: TunedPrompt | None = None,
) -> OptimizeResult:
    """Tune the prompt on some shots and judge it on the others.

    Parameters
    ----------
    model : ServedModel
        The one that is asked.
    triggers : mapping
        Trigger word of every character.
    ask : callable
        The answer about a picture with a prompt (None: ours); kept answers are not paid again.
    budget : Budget, optional
        What may be spent; what is found until then is judged.
    current : TunedPrompt, optional
        The one in use, which has to be beaten too.

    Raises
    ------
    UserError
        As `split_by_shot`, or if the model answers nothing, or the limit on costs comes before the
        held-out pictures are judged.
    """
    train, held_out = split_by_shot(pictures)
    found: list[TunedPrompt] = []
    judge = _Judge(triggers)
    most = 3 * len(held_out) + (CALLS_PER_PICTURE + 2) * len(train)
    logger.info("optimize: at most about %d requests to %s", most, model.name)

    def mean(tuned: TunedPrompt | None) -> float:
        try:
            answers = [ask(one, tuned) for one in held_out]
        except ProviderStopped as stop:
            raise UserError(f"optimize: {stop}; what was answered is kept") from stop
        if tuned is None and not any(answer.is_answered for answer in answers):
            raise UserError(f"optimize: {model.name} gave no answer ({answers[0].error})")
        pairs = zip(held_out, answers, strict=True)
        return float(np.mean([judge(one, answer.text)[0] for one, answer in pairs]))

    scores = {"ours": mean(None)}
    found += [] if current is None else [replace(current, kind="in use")]
    for make in (_with_examples, _with_instructions):
        try:
            tuned = make(train, lambda: program.Captioner(model, budget), judge)
        except ProviderStopped as stop:
            logger.warning("optimize: stopped early (%s)", stop)
            break
        found += [] if tuned is None else [tuned]
    for one in found:
        scores[one.kind] = mean(one)
    best = max(found, key=lambda one: scores[one.kind], default=None)
    if best is not None:
        best = replace(best, scores=scores, num_train=len(train), num_held_out=len(held_out))
    return OptimizeResult(
        scores=scores,
        best=best,
        is_better=best is not None and scores[best.kind] - scores["ours"] >= MIN_GAIN,
        num_train=len(train),
        num_edited=sum(bool(one.edited) for one in pictures),
        num_held_out=len(held_out),
    )


class _Judge:
    """`score` with the trigger words of a film."""

    def __init__(self, triggers: Mapping[str, str]) -> None:
        self.triggers = triggers

    def __call__(self, picture: TuningPicture, text: str | None) -> tuple[float, str]:
        return score(picture, text, self.triggers)

    def metric(self, gold: Any, pred: Any, *_: Any) -> Any:
        """As dspy asks: a score with the words for it."""
        value, feedback = self(gold.known, getattr(pred, "caption", None))
        return import_dspy().Prediction(score=value, feedback=feedback)


def _with_examples(
    train: Sequence[TuningPicture], load: Callable[[], program.Captioner], judge: _Judge
) -> TunedPrompt | None:
    """Our prompt with examples: people's captions, and answers that the rules find good."""
    dspy, captioner = import_dspy(), load()
    tuner = dspy.BootstrapFewShot(
        metric=lambda gold, pred, trace=None: judge.metric(gold, pred).score,
        metric_threshold=GOOD,
        max_bootstrapped_demos=MAX_EXAMPLES // 2,
        max_labeled_demos=MAX_EXAMPLES,
        max_errors=1,
    )
    examples = _examples(captioner, [one for one in train if one.edited])
    with _asking(captioner):
        found = tuner.compile(_student(captioner), trainset=examples)
    demos = [_without_picture(demo) for demo in found.predictors()[0].demos]
    own = dspy.Predict(program.signature())
    own.demos = [dspy.Example(**demo) for demo in demos if "caption" in demo]
    return _tuned("examples", own) if own.demos else None


def _with_instructions(
    train: Sequence[TuningPicture], load: Callable[[], program.Captioner], judge: _Judge
) -> TunedPrompt | None:
    """Our prompt with instructions that the model wrote after reading the faults."""
    dspy, captioner = import_dspy(), load()
    own = captioner.model.captioning
    longer = {"max_tokens": max(REFLECTION_TOKENS, own.max_tokens), "temperature": 1}
    reflecting = replace(captioner.model, captioning=own.model_copy(update=longer))
    half = max(1, len(train) // 2)
    tuner = dspy.GEPA(
        metric=judge.metric,
        max_metric_calls=CALLS_PER_PICTURE * len(train),
        reflection_lm=make_lm(reflecting),
        num_threads=1,
        seed=SEED,
    )
    examples = _examples(captioner, train)
    with _asking(captioner):
        found = tuner.compile(
            _student(captioner), trainset=examples[half:] or examples, valset=examples[:half]
        )
    own = found.predictors()[0]
    if own.signature.instructions == program.signature().instructions:
        return None
    return _tuned("instructions", own)


def _student(captioner: program.Captioner) -> Any:
    """The program as a `dspy.Module` that keeps to the limits on requests and costs."""
    dspy = import_dspy()

    class CaptionStudent(dspy.Module):
        def __init__(self) -> None:
            super().__init__()
            self.predict = dspy.Predict(program.signature())

        def forward(self, **asked: Any) -> Any:
            captioner.set_aside(self.predict, asked)
            return captioner.call(self.predict, asked)

    return CaptionStudent()


@contextlib.contextmanager
def _asking(captioner: program.Captioner) -> Iterator[None]:
    """The model for dspy's optimisers, which print nothing and log no picture."""
    dspy = import_dspy()
    loud = logging.getLogger("dspy")
    level = loud.level
    loud.setLevel(logging.CRITICAL)
    try:
        with (
            dspy.context(lm=captioner.lm.copy(), adapter=captioner.adapter),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            yield
    finally:
        loud.setLevel(level)


def _examples(captioner: program.Captioner, pictures: Sequence[TuningPicture]) -> list[Any]:
    """Pictures as dspy's optimisers take them; `known` is what the metric reads."""
    dspy = import_dspy()
    found = []
    for one in pictures:
        asked = captioner.asked(one.question)
        labels = {"caption": one.edited} if one.edited else {}
        found.append(dspy.Example(**asked, **labels, known=one).with_inputs(*asked))
    return found


def _without_picture(demo: Any) -> dict[str, Any]:
    """The words of an example: pictures would be sent, and paid, with every question."""
    fields = program.signature().fields
    return {key: demo[key] for key in fields if key != "picture" and key in demo}


def _tuned(kind: str, predict: Any) -> TunedPrompt:
    # through JSON, so that it is now what it will be when it is read again
    state = json.loads(json.dumps(predict.dump_state()))
    return TunedPrompt(kind=kind, base_hash=program.prompt_hash(), state=state)


def _doubt(facts: Facts, text: str, triggers: Mapping[str, str]) -> tuple[float, list[str]]:
    """Doubt of one caption by the audit's rules, and the reasons."""
    row = {
        "frame_id": facts.frame_id,
        "version": 1,
        "text": text,
        "characters": list(facts.characters),
        "provider": "model",
        "status": "done",
    }
    table = store.from_rows("caption", [row])
    found = audit.audit_captions(table, [facts], {facts.frame_id: 0}, triggers).captions
    return found["doubt"][0], found["reasons"][0].to_list()
