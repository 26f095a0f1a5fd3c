"""Rows of table `evaluation` from the measures of each picture (table `evaluation_picture`).

- ``identity``: 0 a stranger of the film, 1 as a held-out picture of the character (may be outside);
- ``recognised``: share taken for whom they were asked to show; ``nobody``: share without a face;
- ``agreement`` with the prompt; ``score``: what checkpoints are chosen by;
- ``nearest``: cosine to the nearest training picture; ``copied``: share flagged as copies;
- ``diversity``: distance between seeds of a prompt; ``vendi``: Vendi score over the seeds' number;
- ``gain identity``, ``gain agreement``, ``gain recognised``: checkpoint less base, same prompts
  and seeds;
- ``drift``: how far class prompts moved, in distances between two seeds of the base;
- ``leak``: share of class prompts' or others' pictures taken for the trained character;
- ``bleeding``: share of pictures of two in which two places look like the trained one;
- ``real recognised``, ``strangers recognised``: shares of the film's pictures with and without the
  character, of shots held out, that its recogniser takes for it; ``threshold``, ``score of real
  pictures``, ``score of strangers`` (medians); ``shots``: those it is labelled in;
- ``confusion``: share taken for `about`; ``chosen``: the chosen step; ``score over last``: of it
  less that of the last checkpoint.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import polars as pl

from bunny.dataset import vendi as dataset_vendi
from bunny.evaluation import bootstrap, checkpoint_choice, identity, proportion
from bunny.evaluation.bootstrap import Interval

Row = dict[str, Any]
Key = tuple[str, int]
GAINS = ("identity", "agreement")
SHARES = ("is_right", "nobody", "copied", "leak", "both")  # columns of 0 and 1
CONFUSED = ("report", "class", "other", "real")  # prompt sets of the confusion matrix


def pairwise(vector: np.ndarray, prompts: Sequence[Hashable]) -> dict[Hashable, float]:
    """Mean distance between the drawings of each prompt.

    Parameters
    ----------
    vector : np.ndarray, shape (n, d)
        One a drawing, none of length 0.
    prompts : sequence
        Of each drawing.

    Returns
    -------
    dict
        Prompt to mean of 1 minus cosine over pairs of its drawings, in [0, 2]; 0 when all seeds
        give the same picture. Prompts with one drawing are left out.
    """
    unit = dataset_vendi.unit_rows(vector)
    found = {}
    for prompt in dict.fromkeys(prompts):
        rows = unit[[p == prompt for p in prompts]]
        if len(rows) > 1:
            upper = np.triu_indices(len(rows), 1)
            found[prompt] = float(1 - (rows @ rows.T)[upper].mean())
    return found


def vendi(vector: np.ndarray, prompts: Sequence[Hashable]) -> dict[Hashable, float]:
    """Vendi score of the drawings of each prompt, over their number: in (0, 1], 1 all different.

    Parameters
    ----------
    vector : np.ndarray, shape (n, d)
    prompts : sequence
        Of each drawing.

    Notes
    -----
    `vendi.vendi_score`; relative to the number so that prompts with more seeds compare.
    """
    found = {}
    for prompt in dict.fromkeys(prompts):
        rows = vector[[p == prompt for p in prompts]]
        if len(rows) > 1:
            found[prompt] = dataset_vendi.vendi_score(rows) / len(rows)
    return found


def drift(
    before: Mapping[tuple[Hashable, Hashable], np.ndarray],
    after: Mapping[tuple[Hashable, Hashable], np.ndarray],
) -> dict[tuple[Hashable, Hashable], float]:
    """Change that an adapter makes to drawings of prompts that do not name its character.

    Parameters
    ----------
    before, after : mapping of (prompt, seed) to np.ndarray, shape (d,)
        Vectors of the base's drawings and of those with the adapter.

    Returns
    -------
    dict
        (prompt, seed) to the distance between the two, relative to the mean distance between two
        seeds of the base on one prompt: 0 is unmoved, 1 as different as another seed. Empty where
        the base has no two drawings of one prompt, or these are all the same.
    """
    keys = [key for key in before if key in after]
    if not keys:
        return {}
    names = list(before)
    own = pairwise(np.stack([before[k] for k in names]), [prompt for prompt, _ in names])
    scale = float(np.mean(list(own.values()))) if own else 0.0
    if not scale > 0:
        return {}
    one = dataset_vendi.unit_rows(np.stack([before[k] for k in keys]))
    two = dataset_vendi.unit_rows(np.stack([after[k] for k in keys]))
    moved = 1 - (one * two).sum(axis=1)
    return {key: float(value) / scale for key, value in zip(keys, moved, strict=True)}


def _with_measures(pictures: pl.DataFrame) -> pl.DataFrame:
    """Add each picture's part in the metrics to table `evaluation_picture`; null: not measured."""
    scores = [
        None
        if row["is_somebody"] is None and row["identity"] is None  # nobody looked
        else checkpoint_choice.score(row["identity"], row["agreement"], row["is_copy"])
        for row in pictures.iter_rows(named=True)
    ]
    known = pl.col("recognised").is_not_null()
    asked = (pl.col("recognised") == pl.col("character")).cast(pl.Float64)
    return pictures.with_columns(
        nobody=(~pl.col("is_somebody")).cast(pl.Float64),
        is_right=pl.when(known).then(asked),
        copied=pl.col("is_copy").cast(pl.Float64),
        both=pl.when(pl.col("num_alike").is_not_null()).then(
            (pl.col("num_alike") >= 2).cast(pl.Float64)
        ),
        score=pl.Series(scores, dtype=pl.Float64),
    )


def scores_by_step(pictures: pl.DataFrame) -> dict[int, dict[Key, float]]:
    """Score of each picture of the prompts for choosing, by step; the base is left out."""
    drawn = _with_measures(pictures).filter(pl.col("prompt_set") == "choose", pl.col("step") > 0)
    found: dict[int, dict[Key, float]] = {}
    for row in drawn.iter_rows(named=True):
        found.setdefault(row["step"], {})[row["prompt"], row["seed"]] = row["score"] or 0.0
    return found


def run_rows(
    pictures: pl.DataFrame,
    vectors: Mapping[str, np.ndarray],
    character: str,
    chosen: int,
    *,
    num: int = 1000,
    seed: int = 0,
) -> list[Row]:
    """All rows of one run.

    Parameters
    ----------
    pictures : pl.DataFrame
        Table `evaluation_picture` of one run.
    vectors : mapping of picture_id to np.ndarray, shape (d,)
        What drawings look like, for diversity and drift; those without one are left out of these.
    character : str
        The one it was trained on.
    chosen : int
        Step.
    num, seed : int
        Of the bootstrap.

    Returns
    -------
    list of dict
        Of table `evaluation`.
    """
    if pictures.is_empty():
        return []
    run_id = pictures["run_id"][0]
    measured = _with_measures(pictures)
    found: list[Row] = []

    def put(who: str, step: int, prompt_set: str, metric: str, value: Interval, about: str = ""):
        if value.n:
            key = {"run_id": run_id, "character": who, "step": step, "prompt_set": prompt_set}
            found.append(_row(key, metric, value, about))

    def mean(part: pl.DataFrame, column: str) -> Interval:
        values, prompts = part[column].to_list(), part["prompt"].to_list()
        found = bootstrap.mean(values, prompts, part["seed"].to_list(), num=num, seed=seed)
        return _widened(found) if column in SHARES else found

    drawn = measured.filter(pl.col("prompt_set") != "real")
    for (step, prompt_set, who), part in _parts(drawn, "step", "prompt_set", "character"):
        for metric, column in _metrics(prompt_set).items():
            put(who, step, prompt_set, metric, mean(part, column))
        if prompt_set in ("class", "other"):
            taken = (pl.col("recognised") == character).cast(pl.Float64)
            put(who, step, prompt_set, "leak", mean(part.with_columns(leak=taken), "leak"))
        if prompt_set == "report":
            for (prompt,), one in _parts(part, "prompt"):
                for metric in ("identity", "agreement"):
                    put(who, step, prompt_set, metric, mean(one, metric), prompt)
            for metric, value in _variety(part, vectors, num, seed).items():
                put(who, step, prompt_set, metric, value)
    for metric, value in _gains(drawn, chosen, num, seed).items():
        put(character, chosen, "report", f"gain {metric}", value)
    put(character, chosen, "class", "drift", _drift(drawn, vectors, chosen, num, seed))
    confused = measured.filter(pl.col("prompt_set").cast(pl.String).is_in(CONFUSED))
    for (step, prompt_set, who), part in _parts(confused, "step", "prompt_set", "character"):
        for about, share in _taken_for(part).items():
            value = Interval(value=share, low=None, high=None, n=part.height)
            put(who, step, prompt_set, "confusion", value, about)
    return found


def choice_rows(
    run_id: str, character: str, choice: checkpoint_choice.CheckpointChoice
) -> list[Row]:
    """The chosen step, and how much its score exceeds the last one's where that is another."""
    key = {"run_id": run_id, "character": character, "step": choice.step, "prompt_set": "choose"}
    chosen = Interval(value=float(choice.step), low=None, high=None, n=1)
    found = {"chosen": chosen} | ({"score over last": choice.over_last} if choice.over_last else {})
    return [_row(key, metric, value) for metric, value in found.items()]


def scale_rows(run_id: str, character: str, scale: identity.IdentityScale) -> list[Row]:
    """A character's scale, and what its recogniser makes of the film's own pictures."""
    one = {"low": None, "high": None}
    key = {"run_id": run_id, "character": character, "step": 0, "prompt_set": "real"}
    num_real, num_strangers = scale.real.n, scale.strangers.n
    found = {
        "real recognised": scale.real,
        "strangers recognised": scale.strangers,
        "threshold": Interval(value=scale.floor, n=num_real + num_strangers, **one),
        "score of real pictures": Interval(value=scale.one, n=num_real, **one),
        "score of strangers": Interval(value=scale.zero, n=num_strangers, **one),
    }
    return [_row(key, metric, value) for metric, value in found.items()]


def count_rows(run_id: str, character: str, num_pictures: int, num_shots: int) -> list[Row]:
    """The film's pictures of a character, and the shots they are from."""
    key = {"run_id": run_id, "character": character, "step": 0, "prompt_set": "real"}
    shots = Interval(value=float(num_shots), low=None, high=None, n=num_pictures)
    return [_row(key, "shots", shots)]


def _row(key: Row, metric: str, value: Interval, about: str = "") -> Row:
    """A row of table `evaluation`; `key` has the run, the character, the step and the set."""
    return {**key, "metric": metric, "about": about, **asdict(value)}


def _widened(share: Interval) -> Interval:
    """The wider of a share's bootstrap and Wilson intervals, at each end."""
    if share.value is None:
        return share
    wilson = proportion.of_share(share.value, share.n)
    lows = [low for low in (share.low, wilson.low) if low is not None]
    highs = [high for high in (share.high, wilson.high) if high is not None]
    return Interval(value=share.value, low=min(lows), high=max(highs), n=share.n)


def _metrics(prompt_set: str) -> dict[str, str]:
    """Metrics that are means of a column, by prompt set."""
    if prompt_set in ("choose", "report"):
        return {
            "identity": "identity",
            "recognised": "is_right",
            "nobody": "nobody",
            "agreement": "agreement",
            "nearest": "nearest",
            "copied": "copied",
            "score": "score",
        }
    if prompt_set == "pair":
        return {"bleeding": "both", "nobody": "nobody"}
    return {"agreement": "agreement"} | (
        {"recognised": "is_right"} if prompt_set == "other" else {}
    )


def _parts(table: pl.DataFrame, *keys: str) -> Sequence[tuple[tuple[Any, ...], pl.DataFrame]]:
    """Parts of a table by key, in order."""
    plain = table.with_columns(pl.col("prompt_set").cast(pl.String))
    parts = plain.sort("picture_id").partition_by(list(keys), as_dict=True, maintain_order=True)
    return list(parts.items())


def _variety(part: pl.DataFrame, vectors, num: int, seed: int) -> dict[str, Interval]:
    """Diversity and Vendi score of each prompt, prompts resampled."""
    shown = [(r["picture_id"], r["prompt"]) for r in part.to_dicts() if r["picture_id"] in vectors]
    if len(shown) < 2:
        return {}
    vector = np.stack([vectors[name] for name, _ in shown])
    prompts = [prompt for _, prompt in shown]
    measures = {"diversity": pairwise, "vendi": vendi}
    found = {}
    for metric, measure in measures.items():
        by_prompt = measure(vector, prompts)
        one = ["all seeds"] * len(by_prompt)
        values = list(by_prompt.values())
        found[metric] = bootstrap.mean(values, list(by_prompt), one, num=num, seed=seed)
    return found


def _gains(drawn: pl.DataFrame, chosen: int, num: int, seed: int) -> dict[str, Interval]:
    """Checkpoint less base on the prompts for reporting."""
    part = drawn.filter(pl.col("prompt_set") == "report")
    found = {
        metric: bootstrap.difference(
            _by_key(part, chosen, metric), _by_key(part, 0, metric), num=num, seed=seed
        )
        for metric in GAINS
    }
    found["recognised"] = proportion.difference(_share(part, chosen), _share(part, 0))
    return found


def _share(part: pl.DataFrame, step: int) -> Interval:
    """Share of a step's pictures that were recognised as whom they were asked to show."""
    known = part.filter(pl.col("step") == step)["is_right"].drop_nulls()
    return proportion.wilson(int(known.sum()), known.len())


def _by_key(part: pl.DataFrame, step: int, column: str) -> dict[Key, float | None]:
    rows_of = part.filter(pl.col("step") == step).select("prompt", "seed", column).iter_rows()
    return {(prompt, seed): value for prompt, seed, value in rows_of}


def _drift(drawn: pl.DataFrame, vectors, chosen: int, num: int, seed: int) -> Interval:
    """How far the class prompts moved."""
    part = drawn.filter(pl.col("prompt_set") == "class")
    before, after = (
        {
            (row["prompt"], row["seed"]): vectors[row["picture_id"]]
            for row in part.filter(pl.col("step") == step).iter_rows(named=True)
            if row["picture_id"] in vectors
        }
        for step in (0, chosen)
    )
    moved = drift(before, after)
    keys = list(moved)
    return bootstrap.mean(
        list(moved.values()), [k[0] for k in keys], [k[1] for k in keys], num=num, seed=seed
    )


def _taken_for(part: pl.DataFrame) -> dict[str, float]:
    """Share of pictures taken for each character."""
    known = part.drop_nulls("recognised")["recognised"]
    if known.is_empty():
        return {}
    counts = dict(known.value_counts(sort=False).iter_rows())
    return {name: counts[name] / known.len() for name in sorted(counts)}
