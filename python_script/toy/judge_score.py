"""Scores of the toy judge: accuracy, calibration, and recognition of one character."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from sample import render

from bunny.demo import judge_net, world
from toy import judge_picture, judge_train

NUM_BINS = 10
TEMPERATURES = np.geomspace(0.5, 4.0, 43)
TINY = 1e-6


def compare(
    seen: dict[str, np.ndarray], facts: Sequence[dict[str, Any]], look: str = "clean"
) -> pl.DataFrame:
    """Hold the judge's answers against the truth.

    Parameters
    ----------
    seen : dict of str to np.ndarray, shape (n, words)
        Of `toy_judge.Judge.probabilities`.
    facts : sequence of dict
        Of the n pictures, as `toy_judge_net.targets` reads them.
    look : str
        Name of how the pictures were worn down.

    Returns
    -------
    pl.DataFrame
        look, picture, attribute, size, is_right (the k most probable words are the k true ones),
        confidence (smallest probability among those k). Questions without an answer have no row.
    """
    rows = []
    for name, goal in judge_train.targets(facts).items():
        for index, truth in enumerate(goal):
            wanted = (
                {int(truth)} if name in judge_net.SINGLE_CHOICE else set(np.flatnonzero(truth > 0))
            )
            if not wanted or judge_train.UNKNOWN in wanted:
                continue
            chances = seen[name][index]
            top = np.argsort(-chances, kind="stable")[: len(wanted)]
            rows.append(
                {
                    "look": look,
                    "picture": index,
                    "attribute": name,
                    "size": facts[index]["size"] if facts[index]["who"] else "nobody",
                    "is_right": set(top.tolist()) == wanted,
                    "confidence": float(chances[top].min()),
                }
            )
    return pl.DataFrame(rows)


def accuracy(compared: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Share of right answers and their number, for each value of the columns `by`."""
    right = pl.col("is_right")
    return compared.group_by(by, maintain_order=True).agg(
        right.mean().alias("accuracy"), right.len().alias("num_answers")
    )


def calibration_error(compared: pl.DataFrame) -> float:
    """Expected calibration error (Naeini et al. 2015) over ten bins of confidence, in [0, 1]."""
    if compared.is_empty():
        return 0.0
    bins = (pl.col("confidence") * NUM_BINS).floor().clip(0, NUM_BINS - 1)
    gaps = compared.group_by(bins.alias("bin")).agg(
        (pl.col("is_right").mean() - pl.col("confidence").mean()).abs().alias("gap"),
        pl.len().alias("count"),
    )
    return float((gaps["gap"] * gaps["count"]).sum() / len(compared))


def fit_temperature(
    seen: dict[str, np.ndarray], facts: Sequence[dict[str, Any]]
) -> dict[str, float]:
    """Find what each head's logits should be divided by to be as sure as it is right.

    Parameters
    ----------
    seen : dict of str to np.ndarray, shape (n, words)
        Probabilities at temperature 1 of pictures that are not used to report figures.
    facts : sequence of dict

    Returns
    -------
    dict of str to float
        For each head, of `TEMPERATURES` the one with the least cross-entropy (Guo et al. 2017).
    """
    goal = judge_train.targets(facts)
    return {
        name: float(min(TEMPERATURES, key=lambda t: _surprise(name, seen[name], goal[name], t)))
        for name in judge_net.WORDS
    }


def _surprise(name: str, chances: np.ndarray, goal: np.ndarray, temperature: float) -> float:
    """Mean cross-entropy of a head after its temperature is changed."""
    chances = np.clip(chances.astype(np.float64), TINY, 1 - TINY)
    if name in judge_net.SINGLE_CHOICE:
        known = goal >= 0
        changed = chances[known] ** (1 / temperature)
        changed /= changed.sum(axis=1, keepdims=True)
        return float(-np.log(changed[np.arange(len(changed)), goal[known]]).mean())
    known = goal[:, 0] >= 0
    logits = np.log(chances[known] / (1 - chances[known])) / temperature
    return float((np.logaddexp(0, logits) - goal[known] * logits).mean())


def scene_of(rng: np.random.Generator, character: world.Character) -> world.Scene:
    """Make up a scene with one character alone."""
    while True:
        scene = render.random_scene(rng, world.SPECIES)
        if len(scene.actors) == 1:
            actor = dataclasses.replace(scene.actors[0], character=character)
            return dataclasses.replace(scene, actors=(actor,))


def similar_character(rng: np.random.Generator, character: world.Character) -> world.Character:
    """Change one thing about a character: its species, its colour, or what it wears."""
    changed = str(rng.choice(("species", "colour", "wear")))
    choices = {
        "species": world.SPECIES,
        "colour": world.COLOURS,
        "wear": tuple(
            f"{colour} {garment}" for garment in world.GARMENTS for colour in judge_net.WEAR_COLOURS
        ),
    }[changed]
    others = [word for word in choices if word != getattr(character, changed)]
    return dataclasses.replace(character, **{changed: str(rng.choice(others))})


def draw_test_sets(
    character: world.Character, count: int, seed: int
) -> dict[str, tuple[np.ndarray, list[dict[str, Any]]]]:
    """Draw pictures of a character, of ones that differ in one thing, and of anybody else.

    Returns
    -------
    dict of str to tuple
        ``is``, ``near`` and ``other``: each `count` pictures and their facts.
    """
    makers = {
        "is": lambda rng: scene_of(rng, character),
        "near": lambda rng: scene_of(rng, similar_character(rng, character)),
        "other": judge_picture.random_scene,
    }
    return {
        name: judge_picture.render_many(count, seed + index, make)
        for index, (name, make) in enumerate(makers.items())
    }
