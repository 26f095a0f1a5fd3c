"""Rows of table `evaluation` from hand-made pictures, and the sentences that follow from them."""

import json

import numpy as np
import polars as pl
import pytest

from bunny.dataset import gap
from bunny.evaluation import checkpoint_choice, proportion, run_metric, verdict
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
    """Prompts x two seeds with the base and with step 600."""
    keys = [(chr(97 + prompt), seed) for prompt in range(len(chosen) // 2) for seed in (1, 2)]
    return [
        picture(step, "report", prompt, seed, **values)
        for step, rows in ((0, base), (600, chosen))
        for (prompt, seed), values in zip(keys, rows, strict=True)
    ]


def scale_of(real: int = 20, strangers: int = 0, n: int = 20) -> IdentityScale:
    """A recogniser that finds `real` of `n` pictures, and takes `strangers` of `n` for bunny."""
    return IdentityScale(
        zero=0.1,
        one=0.5,
        floor=0.2,
        real=proportion.wilson(real, n),
        strangers=proportion.wilson(strangers, n),
        num_shots=5,
    )


def evaluate(
    pictures: list[dict], vectors=None, step: int = 600, over=None, scale=None, shots: int = 5
) -> pl.DataFrame:
    shown = store.from_rows("evaluation_picture", pictures)
    rows = run_metric.run_rows(shown, vectors or {}, "bunny", step, num=200)
    choice = checkpoint_choice.CheckpointChoice(step=step, reason="", over_last=over)
    rows += run_metric.choice_rows("r", "bunny", choice)
    rows += run_metric.scale_rows("r", "bunny", scale or scale_of())
    rows += run_metric.count_rows("r", "bunny", 25, shots)
    return store.from_rows("evaluation", rows)


def value(evaluation: pl.DataFrame, **where):
    found = evaluation.filter([pl.col(k) == v for k, v in ({"about": ""} | where).items()])
    return found["value"].item()


def say(evaluation: pl.DataFrame, about: RunInfo = ABOUT, gaps=None) -> dict[str, str]:
    return {f.kind: f.text for f in verdict.judge(evaluation, about, gaps)}


def drawn(right: int, n: int = 8) -> list[dict]:
    """So many of the pictures recognised, the others as nobody in particular."""
    return [seen("bunny")] * right + [seen("unknown", 0.1)] * (n - right)


NOBODY, RIGHT = drawn(0), drawn(8)


def test_the_short_verdict_begins_with_whether_it_learned():
    chosen = [{**one, "is_copy": True} for one in drawn(5)]  # too few to be sure, and bad besides
    found = verdict.judge(evaluate(report(drawn(2), chosen)), ABOUT)
    assert [one.tone for one in found[:2]] == ["plain", "bad"]
    assert verdict.summarise(found) == f"{found[0].text} {found[1].text}"
    assert found[0].text.startswith("There are too few generated pictures to tell")


# -- rows ---------------------------------------------------------------------------------------


def test_means_by_step_and_set():
    chosen = [seen("bunny", 1.0), seen("bunny", 0.8), seen("pip", 0.2), seen("nobody", 0.0)]
    found = evaluate(report(drawn(0, 4), chosen))
    at = {"step": 600, "prompt_set": "report", "character": "bunny"}
    assert value(found, metric="identity", **at) == pytest.approx(0.5)
    assert value(found, metric="recognised", **at) == 0.5
    assert value(found, metric="nobody", **at) == 0.25
    assert value(found, metric="identity", about="a", **(at)) == pytest.approx(0.9)
    assert value(found, metric="gain recognised", **at) == 0.5
    assert value(found, metric="gain identity", **at) == pytest.approx(0.4)
    half = found.filter(pl.col("metric") == "recognised", pl.col("step") == 600)
    # the bootstrap of two prompts and two seeds is 0 to 1; Wilson's of 2 in 4 is 0.15 to 0.85
    assert (half["low"].item(), half["high"].item()) == (0.0, 1.0)
    shares = found.filter(pl.col("metric") == "confusion", pl.col("step") == 600)
    assert dict(shares.select("about", "value").iter_rows()) == {
        "bunny": 0.5,
        "nobody": 0.25,
        "pip": 0.25,
    }


def test_what_was_not_measured_has_no_row():
    blind = [{"file": "x.png"}] * 4
    found = evaluate(report(blind, blind))
    drawings = found.filter(pl.col("prompt_set").cast(pl.String) != "real")
    assert set(drawings["metric"]) == {"chosen"}


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


def test_an_interval_has_width_where_every_picture_is_recognised():
    found = evaluate(report(NOBODY, RIGHT)).filter(
        pl.col("metric") == "recognised", pl.col("step") == 600
    )
    assert found["low"].item() == pytest.approx(8 / (8 + 1.959964**2), abs=1e-6)  # Wilson's


def test_scale_rows_have_the_rates_with_intervals_and_numbers():
    rows = store.from_rows("evaluation", run_metric.scale_rows("r", "bunny", scale_of(19, 1)))
    assert value(rows, metric="score of real pictures") == 0.5
    assert value(rows, metric="threshold") == 0.2
    at = {
        row["metric"]: (row["value"], row["n"], round(row["low"], 2), round(row["high"], 2))
        for row in rows.filter(pl.col("metric").str.ends_with("recognised")).to_dicts()
    }
    assert at == {
        "real recognised": (0.95, 20, 0.76, 0.99),
        "strangers recognised": (0.05, 20, 0.01, 0.24),
    }


# -- verdict ------------------------------------------------------------------------------------


def test_a_character_that_was_learned():
    found = verdict.judge(evaluate(report(NOBODY, RIGHT)), ABOUT)
    assert (found[0].kind, found[0].tone) == ("learned", "good")
    assert found[0].text == (
        "The adapter learned bunny: bunny is recognised in 8 of 8 generated pictures (95 % "
        "interval 68 to 100 %), with the base model alone in 0 of 8."
    )
    assert len(found) == 1


@pytest.mark.parametrize(
    ("right", "n", "base", "kind"),
    [
        (9, 10, 0, "learned"),  # Wilson 0.60 to 0.98
        (18, 20, 0, "learned"),  # 0.70 to 0.97
        (6, 8, 0, "unsure"),  # 0.41 to 0.93: neither most of them nor surely fewer than nine of ten
        (20, 32, 0, "partly"),  # 0.45 to 0.77
        (4, 8, 0, "partly"),  # 0.22 to 0.78, the base at most 0.32
        (3, 8, 0, "unsure"),  # 0.14 to 0.69: the base's may be as high
        (0, 8, 0, "not learned"),  # at most 0.32
        (0, 2, 0, "unsure"),  # 0 to 0.66
        (16, 16, 16, "known before"),
    ],
)
def test_a_sentence_is_said_only_where_its_interval_allows_it(right, n, base, kind):
    rows = report(drawn(base, n), drawn(right, n))
    for index, row in enumerate(rows):  # a prompt for each picture: the bootstrap is no wider
        row["prompt"], row["seed"] = str(index % n), 1
    assert verdict.judge(evaluate(rows), ABOUT)[0].kind == kind


def test_the_base_that_draws_it_as_well_is_named():
    found = verdict.judge(evaluate(report(RIGHT, RIGHT)), ABOUT)
    assert (found[0].kind, found[0].tone) == ("known before", "plain")
    assert found[0].text.startswith("The base model draws bunny without the adapter: bunny is")


def test_what_was_not_learned_gets_no_advice_to_learn_less():
    base = [seen("unknown", 0.1, agreement=0.9)] * 8
    found = verdict.judge(evaluate(report(base, [{**base[0], "agreement": 0.2}] * 8)), ABOUT)
    assert {f.kind for f in found} == {"not learned"}
    assert found[0].tone == "bad" and "models.training_steps" in found[0].text


@pytest.mark.parametrize(
    ("scale", "shots", "why"),
    [
        (
            scale_of(67, 7, 100),
            5,
            "on held-out shots the recogniser finds bunny in 67 of 100 real pictures of bunny "
            "(95 % interval 57 to 75 %), where 95 % are needed, and in 7 of 100 pictures without "
            "bunny (95 % interval 3 to 14 %), where at most 5 % are allowed",
        ),
        (
            scale_of(18, 0, 18),
            5,
            "the recogniser was tested on 18 real pictures of bunny and 18 without bunny, and "
            "needs at least 19 of each",
        ),
        (
            scale_of(),
            2,
            "the film has 25 pictures of bunny from 2 shots, and the recogniser needs at least 19 "
            "from 4 to be tested",
        ),
    ],
)
def test_a_recogniser_that_fails_on_the_film_judges_nothing(scale, shots, why):
    rows = report(NOBODY, [{**one, "is_copy": True} for one in RIGHT])
    rows += [picture(0, "class", "a", s, **seen("unknown")) for s in (1, 2)]
    rows += [picture(600, "class", "a", s, **seen("bunny")) for s in (1, 2)]
    found = verdict.judge(evaluate(rows, scale=scale, shots=shots), ABOUT)
    assert found[0].text == (
        f"Whether the adapter learned bunny cannot be judged: {why}. Look at the generated "
        "pictures yourself."
    )
    assert [f.kind for f in found] == ["cannot judge", "copies"]  # no word of who is in a picture


def test_half_learned_says_what_to_do():
    """Twelve of twenty-four: surely more than the base, surely fewer than nine of ten."""
    keys = [(str(p), s) for p in range(12) for s in (1, 2)]
    rows = [picture(0, "report", p, s, **seen("unknown", 0.0)) for p, s in keys]
    rows += [
        picture(600, "report", p, s, **seen("bunny" if int(p) < 6 else "unknown")) for p, s in keys
    ]
    found = verdict.judge(evaluate(rows), ABOUT)
    assert (found[0].kind, found[0].tone) == ("partly", "plain")
    assert found[0].text.startswith(
        "The adapter partly learned bunny: bunny is recognised in 12 of 24 generated pictures"
    )
    assert "raise models.lora_rank" in found[0].text
    last = RunInfo(**{**vars_of(), "steps": (300, 600)})
    assert "train longer (models.training_steps)" in verdict.judge(evaluate(rows), last)[0].text


def test_few_drawings_prove_nothing_and_gaps_of_the_set_are_named():
    chosen = drawn(6)
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
    assert "too few generated pictures to tell how much: bunny is recognised in 6 of 8" in (
        found[0].text
    )
    texts = [f.text for f in found if f.kind == "gap"]
    assert texts == [
        "Too few right-profile pictures: 3 of 95 (10 wanted). `bunny gaps` lists the shots "
        "that would fill the gap.",
        "Too few dark pictures: 0 of 95 (9 wanted). No dropped view would "
        "fill the gap: add pictures from elsewhere.",
    ]


def test_copies_are_named_with_the_rank_to_try():
    chosen = [seen("bunny", is_copy=i < 2) for i in range(8)]
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


def test_faces_that_are_missing_are_blamed_on_the_adapter_or_the_base():
    """Fourteen of sixteen are at least 0.64; half of eight may be as few as 0.22."""
    chosen = [seen("bunny"), seen("bunny"), *[seen("nobody", None)] * 14]
    there = [seen("pip", 0.1)] * 16
    assert "The adapter degrades" in say(evaluate(report(there, chosen)))["nobody"]
    base = [seen("nobody", None)] * 16
    assert "prompt for closer views" in say(evaluate(report(base, chosen)))["nobody"]
    half = [seen("bunny")] * 4 + [seen("nobody", None)] * 4
    assert "nobody" not in say(evaluate(report(there[:8], half)))


def test_bleeding_and_others_that_turn_into_it():
    rows = report(NOBODY, RIGHT)
    for step, alike, who in ((0, 1, "pip"), (600, 2, "bunny")):
        rows += [picture(step, "pair", "ab", s, **seen(who, num_alike=alike)) for s in (1, 2)]
        rows += [picture(step, "other", "p", s, **seen(who), character="pip") for s in (1, 2)]
    said = say(evaluate(rows))
    assert "of the pictures with two characters, 100 % show two" in said["bleeds"]
    assert said["others"] == (
        "Other characters turn into bunny more often than with the base model: "
        "pip (+100 percentage points). Train with models.class_pictures."
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
    base = [seen("unknown", 0.1, agreement=0.9)] * 8
    chosen = [seen("bunny", agreement=0.5)] * 8
    rows = report(base, chosen)
    same = np.array([1.0, 0.0])
    vectors = {
        r["picture_id"]: same if r["step"] or r["seed"] == 1 else np.array([0.0, 1.0]) for r in rows
    }
    said = say(evaluate(rows, vectors))
    assert "agreement with the prompts is 0.50, with the base model 0.90" in said["listens less"]
    assert "diversity is 0.0 times that of the base model" in said["sameness"]


def test_unmeasured_and_empty_are_said():
    blind = [{"file": "x.png"}] * 4
    assert "no picture was measured" in say(evaluate(report(blind, blind)))["cannot judge"]
    assert set(say(store.from_rows("evaluation", []))) == {"nothing"}


def test_what_is_known_of_a_run_comes_from_its_row():
    run = {"character": "bunny", "num_images": 3, "num_held_out": 1, "num_steps": 20}
    config = json.dumps({"settings": {"rank": 4}})
    about = verdict.run_info({**run, "config_json": config}, (10, 20), "rabbit")
    assert (about.rank, about.steps, about.num_images) == (4, (10, 20), 3)
    assert verdict.run_info({**run, "config_json": "{}"}, (), "").rank is None
