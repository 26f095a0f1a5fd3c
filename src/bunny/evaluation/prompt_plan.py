"""What is drawn to judge an adapter: prompts for choosing, for reporting, and for what must stay.

A prompt holds ``{trigger}``, which becomes the words for whom it asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

TRIGGER = "{trigger}"
CLASS_PROMPTS, PAIR_PROMPTS, OTHER_PROMPTS = 2, 2, 1  # of the report's, the first ones
MAX_OTHERS = 4  # other characters that are asked for by name
AFTER = ("report", "class", "pair", "other")  # drawn with the chosen checkpoint, and by the base


@dataclass(frozen=True, kw_only=True)
class Job:
    """One picture to draw: whom it asks for, in which words, from which seed."""

    prompt_set: str
    character: str
    prompt: str
    seed: int


@dataclass(frozen=True, kw_only=True)
class Cast:
    """The words for the trained character, for its kind, and for the film's other characters."""

    character: str
    subject: str  # trigger and class word
    class_word: str
    others: Mapping[str, str]  # character to its words


def choosing(cast: Cast, prompts: Sequence[str], seeds: Sequence[int]) -> list[Job]:
    """What each checkpoint, and the base, draws so that one can be chosen."""
    return _jobs("choose", cast.character, _fill(prompts, cast.subject), seeds)


def reporting(cast: Cast, prompts: Sequence[str], seeds: Sequence[int]) -> dict[str, list[Job]]:
    """What the chosen checkpoint and the base draw, by prompt set.

    Parameters
    ----------
    cast : Cast
    prompts : sequence of str
        Those for reporting.
    seeds : sequence of int

    Returns
    -------
    dict
        ``report``; ``class``: the class word alone; ``pair``: the character beside another;
        ``other``: another alone. Sets with nothing to draw are left out.
    """
    open_prompts = [p for p in prompts if TRIGGER in p]
    sets = {"report": _jobs("report", cast.character, _fill(prompts, cast.subject), seeds)}
    alone = _fill(open_prompts[:CLASS_PROMPTS], cast.class_word) if cast.class_word else []
    sets["class"] = _jobs("class", cast.character, alone, seeds)
    others = list(cast.others.items())[:MAX_OTHERS]
    both = [
        prompt.replace(TRIGGER, f"{cast.subject} and {others[i % len(others)][1]}")
        for i, prompt in enumerate(open_prompts[:PAIR_PROMPTS])
        if others
    ]
    sets["pair"] = _jobs("pair", cast.character, both, seeds)
    sets["other"] = [
        job
        for name, words in others
        for job in _jobs("other", name, _fill(open_prompts[:OTHER_PROMPTS], words), seeds)
    ]
    return {name: jobs for name, jobs in sets.items() if jobs}


def count(cast: Cast, choose: Sequence[str], report: Sequence[str], seeds, num_steps: int) -> int:
    """How many pictures an evaluation of `num_steps` checkpoints draws, the base's among them."""
    after = sum(len(jobs) for jobs in reporting(cast, report, seeds).values())
    return len(choosing(cast, choose, seeds)) * (num_steps + 1) + 2 * after


def _fill(prompts: Sequence[str], words: str) -> list[str]:
    return [prompt.replace(TRIGGER, words) for prompt in prompts]


def _jobs(prompt_set: str, character: str, prompts: Sequence[str], seeds) -> list[Job]:
    return [
        Job(prompt_set=prompt_set, character=character, prompt=prompt, seed=seed)
        for prompt in prompts
        for seed in seeds
    ]
