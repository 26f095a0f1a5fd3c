"""Rows of table `evaluation` from hand-made pictures, and the sentences that follow from them."""

import json

import numpy as np
import polars as pl
import pytest

from bunny.dataset import gap
from bunny.evaluation import checkpoint_choice, run_metric, verdict
from bunny.evaluation.bootstrap import Interval
from bunny.evaluation.identity import IdentityScale
from bunny.evaluation.verdict import RunInfo
from bunny.table import store

ABOUT = RunInfo(
    character="bunny",
    class_word="rabbit",
    num_images=81,
    num_held_out=14,
    rank=16,
    training_steps=900,
    steps=(300, 600, 900),
)


def picture(step: int, prompt_set: str, prompt: str, seed: int, **values) -> dict:
    number = f"{step}-{prompt_set}-{prompt}-{seed}-{values.get('character', 'bunny')}"
    row = {"picture_id": number, "run_id": "r", "character": "bunny", "step": step}
    return {**row, "prompt_set": prompt_set, "prompt": prompt, "seed": seed, **values}


def seen(who: str, identity: float = 0.9, **more) -> dict:
    is_somebody = who != "nobody"
    return {"recognised": who, "is_somebody": is_somebody, "identity": identity, **more}


def report(base: list[dict], chosen: list[dict]) -> list[dict]:
    """Two prompts x two seeds with the base and with step 600."""
    keys = [("a", 1), ("a", 2), ("b", 1), ("b", 2)]
    return [
        picture(step, "report", prompt, seed, **values)
        for step, rows in ((0, base), (600, chosen))
        for (prompt, seed), values in zip(keys, rows, strict=True)
    ]


def evaluate(pictures: list[dict], vectors=None, step: int = 600, over=None) -> pl.DataFrame:
    shown = store.from_rows("evaluation_picture", pictures)
    rows = run_metric.run_rows(shown, vectors or {}, "bunny", step, num=200)
    choice = checkpoint_choice.CheckpointChoice(step=step, reason="", over_last=over)
    return store.from_rows("evaluation", rows + run_metric.choice_rows("r", "bunny", choice))


def value(evaluation: pl.DataFrame, **where):
    found = evaluation.filter([pl.col(k) == v for k, v in ({"about": ""} | where).items()])
    return found["value"].item()


def say(evaluation: pl.DataFrame, about: RunInfo = ABOUT, gaps=None) -> dict[str, str]:
    return {f.kind: f.text for f in verdict.judge(evaluation, about, gaps)}


NOBODY = [seen("nobody", 0.1)] * 4
RIGHT = [seen("bunny")] * 4


def test_the_short_verdict_begins_with_whether_it_learned():
    chosen = [seen("bunny"), *[seen("nobody", 0.1)] * 3]  # too few to be sure, and bad besides
    found = verdict.judge(evaluate(report(NOBODY, chosen)), ABOUT)
    assert [one.tone for one in found[:2]] == ["plain", "bad"]
    assert verdict.summarise(found) == f"{found[0].text} {found[1].text}"
    assert found[0].text.startswith("The adapter seems to have learned bunny")


# -- rows ---------------------------------------------------------------------------------------


def test_means_by_step_and_set():
    chosen = [seen("bunny", 1.0), seen("bunny", 0.8), seen("pip", 0.2), seen("nobody", 0.0)]
    found = evaluate(report(NOBODY, chosen))
    at = {"step": 600, "prompt_set": "report", "character": "bunny"}
    assert value(found, metric="identity", **at) == pytest.approx(0.5)
    assert value(found, metric="recognised", **at) == 0.5
    assert value(found, metric="nobody", **at) == 0.25
    assert value(found, metric="identity", about="a", **(at)) == pytest.approx(0.9)
    assert value(found, metric="gain recognised", **at) == 0.5
    assert value(found, metric="gain identity", **at) == pytest.approx(0.4)
    shares = found.filter(pl.col("metric") == "confusion", pl.col("step") == 600)
    assert dict(shares.select("about", "value").iter_rows()) == {
        "bunny": 0.5,
        "nobody": 0.25,
        "pip": 0.25,
    }


def test_what_was_not_measured_has_no_row():
    blind = [{"file": "x.png"}] * 4
    found = evaluate(report(blind, blind))
    assert set(found["metric"]) == {"chosen"}


def test_the_score_counts_nobody_as_nothing_and_copies_too():
    chosen = [seen("bunny", 1.0, agreement=0.5), seen("bunny", 1.0, is_copy=True)]
    chosen += [seen("nobody", None), seen("bunny", 0.5)]
    drawn = [picture(600, "choose", "a", seed, **row) for seed, row in enumerate(chosen)]
    base = picture(0, "choose", "a", 0, **seen("bunny", 1.0))
    scores = run_metric.scores_by_step(store.from_rows("evaluation_picture", [*drawn, base]))
    assert scores == {600: {("a", 0): 0.5, ("a", 1): 0.0, ("a", 2): 0.0, ("a", 3): 0.5}}


def test_drift_and_diversity_come_from_the_vectors():
    rows = report(RIGHT, RIGHT)
    rows += [picture(s, "class", "a", seed, **seen("nobody")) for s in (0, 600) for seed in (1, 2)]
    one, two = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    vectors = {row["picture_id"]: one if row["seed"] == 1 else two for row in rows}
    vectors["600-class-a-1-bunny"] = two  # moved as far as another seed; the other did not move
    found = evaluate(rows, vectors)
    assert value(found, metric="diversity", step=600, prompt_set="report") == pytest.approx(1)
    assert value(found, metric="drift", prompt_set="class") == pytest.approx(0.5)


def test_scale_rows_keep_the_schema():
    scale = IdentityScale(
        zero=0.1, one=0.5, floor=0.2, is_across=True, num_real=7, num_strangers=30
    )
    rows = store.from_rows("evaluation", run_metric.scale_rows("r", "bunny", scale))
    assert value(rows, metric="likeness of real pictures") == 0.5
    assert rows.filter(pl.col("metric") == "floor")["n"].item() == 30


# -- verdict ------------------------------------------------------------------------------------


def test_a_character_that_was_learned():
    found = verdict.judge(evaluate(report(NOBODY, RIGHT)), ABOUT)
    assert (found[0].kind, found[0].tone) == ("learned", "good")
    assert found[0].text.startswith(
        "The adapter learned bunny: 100 % of the generated pictures are recognised as "
        "bunny (base model alone: 0 %); "
        "identity 0.90 (0.90 to 0.90)"
    )
    assert len(found) == 1


def test_no_proof_when_the_base_does_as_well():
    found = verdict.judge(evaluate(report(RIGHT, RIGHT)), ABOUT)
    assert (found[0].kind, found[0].tone) == ("not learned", "bad")
    assert ("100 % of the generated pictures are recognised, 100 % without the adapter") in found[
        0
    ].text
    assert "models.training_steps" in found[0].text


def test_what_was_not_learned_gets_no_advice_to_learn_less():
    less = [seen("nobody", 0.1, agreement=0.2)] * 4
    found = verdict.judge(evaluate(report([seen("nobody", 0.1, agreement=0.9)] * 4, less)), ABOUT)
    assert {f.kind for f in found} == {"not learned", "nobody"}


def test_half_learned_says_what_to_do():
    """Three of four prompts, both seeds: sure to be more than the base, short of all."""
    keys = [(p, s) for p in "abcdefgh" for s in (1, 2)]
    rows = [picture(0, "report", p, s, **seen("nobody", 0.0)) for p, s in keys]
    who = {"g": seen("nobody", 0.0), "h": seen("nobody", 0.0)}
    rows += [picture(600, "report", p, s, **who.get(p, seen("bunny"))) for p, s in keys]
    found = verdict.judge(evaluate(rows), ABOUT)
    assert (found[0].kind, found[0].tone) == ("partly", "plain")
    assert (
        "75 % of the generated pictures are recognised as bunny (base model alone: 0 %)"
    ) in found[0].text
    assert "raise models.lora_rank" in found[0].text
    last = RunInfo(**{**vars_of(), "steps": (300, 600)})
    assert "train longer (models.training_steps)" in verdict.judge(evaluate(rows), last)[0].text


def test_few_drawings_prove_nothing_and_gaps_of_the_set_are_named():
    chosen = [seen("bunny"), seen("bunny"), seen("bunny"), seen("nobody", 0.0)]
    keys = ("character", "axis", "value", "num_pictures", "num_wanted", "num_dropped", "setting")
    values = [
        ("bunny", "pose", "right-profile", 3, 10, 5, "dataset.min_confidence"),
        ("bunny", "light", "dark", 0, 9, 0, None),
        ("pip", "pose", "left", 0, 1, None, None),
    ]
    rows = [dict(zip(keys, row, strict=True)) for row in values]
    gaps = pl.DataFrame(rows, schema=gap.SCHEMA)
    found = verdict.judge(evaluate(report(NOBODY, chosen)), ABOUT, gaps)
    assert found[0].kind == "unsure"
    assert "too few generated pictures to be sure: 75 %" in found[0].text
    texts = [f.text for f in found if f.kind == "gap"]
    assert texts == [
        "Too few right-profile pictures: 3 of 95 (10 wanted). `bunny gaps` lists the shots "
        "that would fill the gap.",
        "Too few dark pictures: 0 of 95 (9 wanted). No dropped view would "
        "fill the gap: add pictures from elsewhere.",
    ]


def test_copies_are_named_with_the_rank_to_try():
    chosen = [seen("bunny", is_copy=i == 0) for i in range(4)]
    said = say(evaluate(report(NOBODY, chosen)))
    assert said["copies"].startswith("Copies training pictures: 25 % of the generated pictures")
    assert "models.lora_rank: 8 instead of 16" in said["copies"]


def test_a_forgotten_class_word():
    rows = report(NOBODY, RIGHT)
    rows += [picture(0, "class", "a", s, **seen("nobody")) for s in (1, 2)]
    rows += [picture(600, "class", "a", s, **seen("bunny")) for s in (1, 2)]
    said = say(evaluate(rows))
    assert (
        "“rabbit” alone draws bunny in 100 % of the pictures (base model: 0 %)"
        in said["class word"]
    )
    assert "Train for fewer steps, or set models.class_pictures" in said["class word"]


def test_nobody_found_blames_the_adapter_or_the_base():
    chosen = [seen("bunny"), seen("bunny"), seen("nobody", 0.0), seen("nobody", 0.0)]
    there = [seen("pip", 0.1)] * 4
    assert "The adapter degrades" in say(evaluate(report(there, chosen)))["nobody"]
    assert "prompt for closer views" in say(evaluate(report(NOBODY, chosen)))["nobody"]


def test_bleeding_and_others_that_turn_into_it():
    rows = report(NOBODY, RIGHT)
    for step, alike, who in ((0, 1, "pip"), (600, 2, "bunny")):
        rows += [picture(step, "pair", "ab", s, **seen(who, num_alike=alike)) for s in (1, 2)]
        rows += [picture(step, "other", "p", s, **seen(who), character="pip") for s in (1, 2)]
    said = say(evaluate(rows))
    assert "of the pictures with two characters, 100 % show two" in said["bleeds"]
    assert said["others"] == (
        "Other characters turn into bunny: pip (100 % more often than with the base model). "
        "Train with models.class_pictures."
    )


def test_stop_where_later_steps_are_surely_worse():
    rows = report(NOBODY, RIGHT)
    rows += [picture(600, "choose", "c", s, **seen("bunny", 0.9)) for s in (1, 2)]
    rows += [picture(900, "choose", "c", s, **seen("bunny", 0.3)) for s in (1, 2)]
    sure = Interval(value=0.6, low=0.4, high=0.7, n=2)
    said = say(evaluate(rows, over=sure))
    assert said["stop"].startswith("Stop at step 600: it scored 0.90")
    assert "models.training_steps to about 600" in said["stop"]
    unsure = Interval(value=0.6, low=-0.1, high=0.7, n=2)
    assert ("the later checkpoints are not shown to be worse") in say(evaluate(rows, over=unsure))[
        "stop"
    ]
    assert "stop" not in say(
        evaluate(report(NOBODY, RIGHT)), RunInfo(**{**vars_of(), "steps": (600,)})
    )


def vars_of() -> dict:
    return {k: getattr(ABOUT, k) for k in ABOUT.__dataclass_fields__}


def test_less_obedient_and_less_varied():
    base = [seen("nobody", 0.1, agreement=0.9)] * 4
    chosen = [seen("bunny", agreement=0.5)] * 4
    rows = report(base, chosen)
    same = np.array([1.0, 0.0])
    vectors = {
        r["picture_id"]: same if r["step"] or r["seed"] == 1 else np.array([0.0, 1.0]) for r in rows
    }
    said = say(evaluate(rows, vectors))
    assert "agreement with the prompts is 0.50, with the base model 0.90" in said["listens less"]
    assert "diversity is 0.0 times that of the base model" in said["sameness"]


def test_an_unsure_recogniser_is_said():
    rows = report(NOBODY, RIGHT)
    for i in range(4):
        who = "pip" if i == 0 else "bunny"
        real = picture(0, "real", "", i, **seen(who), character="pip")
        rows.append({**real, "prompt": None, "seed": None})
    said = say(evaluate(rows))
    assert "recognises only 25 % of 4 real pictures of pip" in said["unsure recogniser"]


def test_unmeasured_and_empty_are_said():
    blind = [{"file": "x.png"}] * 4
    assert "could not be measured" in say(evaluate(report(blind, blind)))["unmeasured"]
    assert set(say(store.from_rows("evaluation", []))) == {"nothing"}


def test_what_is_known_of_a_run_comes_from_its_row():
    run = {"character": "bunny", "num_images": 3, "num_held_out": 1, "num_steps": 20}
    config = json.dumps({"settings": {"rank": 4}})
    about = verdict.run_info({**run, "config_json": config}, (10, 20), "rabbit")
    assert (about.rank, about.steps, about.num_images) == (4, (10, 20), 3)
    assert verdict.run_info({**run, "config_json": "{}"}, (), "").rank is None
