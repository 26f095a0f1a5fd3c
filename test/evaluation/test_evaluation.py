"""The measures of the proof: intervals, identity, copying, diversity, choice of a checkpoint."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from bunny.core.config import CaptioningConfig, DetectionConfig, EvaluationConfig
from bunny.evaluation import (
    bootstrap,
    checkpoint_choice,
    evaluator,
    face_identity,
    identity,
    measure_picture,
    proportion,
    run_metric,
)
from bunny.evaluation.face_identity import DescribedRegions, Gallery
from bunny.evaluation.identity import IdentityScale
from bunny.evaluation.settings import EvaluationInput, EvaluatorSettings
from bunny.table import store

PROMPTS = ["a", "a", "b", "b"]
SEEDS = [1, 2, 1, 2]


def seen(*vectors, boxes=None) -> DescribedRegions:
    vector = np.array(vectors, np.float32).reshape(len(vectors), -1)
    box = np.array(boxes or [[0, 0, 1, 1]] * len(vectors), np.float32).reshape(-1, 4)
    return DescribedRegions(vector=vector, box=box)


def at(degrees: float) -> list[float]:
    """A unit vector in the plane."""
    return [float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees)))]


# -- bootstrap --------------------------------------------------------------------------------


def test_mean_leaves_out_what_is_missing():
    found = bootstrap.mean([1.0, None, float("nan"), 0.0], PROMPTS, SEEDS)
    assert (found.value, found.n) == (0.5, 2)


def test_nothing_gives_nothing_and_one_picture_no_bounds():
    assert bootstrap.mean([None], ["a"], [1]) == bootstrap.Interval(
        value=None, low=None, high=None, n=0
    )
    one = bootstrap.mean([0.3], ["a"], [1])
    assert (one.value, one.low, one.high) == (0.3, None, None)


def test_interval_of_equal_values_has_no_width():
    found = bootstrap.mean([0.4] * 4, PROMPTS, SEEDS, num=50)
    assert found.low == pytest.approx(0.4) and found.high == pytest.approx(0.4)


def test_prompts_are_resampled_whole():
    """All of prompt a is 0, all of b is 1: a resample of prompts alone gives 0, a half, or 1."""
    found = bootstrap.mean([0.0, 0.0, 1.0, 1.0], PROMPTS, SEEDS, num=400, seed=3)
    assert (found.value, found.low, found.high) == (0.5, 0.0, 1.0)


def test_interval_is_the_same_for_the_same_seed_and_narrows_with_more_prompts():
    rng = np.random.default_rng(0)
    few, many = rng.random(8), rng.random(200)
    one = bootstrap.mean(list(few), [i // 2 for i in range(8)], [i % 2 for i in range(8)], seed=1)
    two = bootstrap.mean(list(few), [i // 2 for i in range(8)], [i % 2 for i in range(8)], seed=1)
    wide = bootstrap.mean(list(many), list(range(200)), [0] * 200)
    assert one == two
    assert wide.high - wide.low < one.high - one.low


def test_interval_covers_the_mean_it_estimates():
    """Of 60 experiments with prompt effects, the 95 % interval holds the truth in nearly all."""
    rng = np.random.default_rng(5)
    hits = 0
    for _ in range(60):
        effect = rng.normal(size=12)
        values = [e + rng.normal(scale=0.5) for e in effect for _ in range(3)]
        prompts = [p for p in range(12) for _ in range(3)]
        found = bootstrap.mean(values, prompts, [0, 1, 2] * 12, num=200)
        hits += found.low <= 0 <= found.high
    assert hits >= 50


def test_difference_is_paired():
    one = {("a", 1): 0.9, ("b", 1): 0.5, ("c", 1): 1.0}
    other = {("a", 1): 0.7, ("b", 1): 0.3, ("c", 1): None}
    found = bootstrap.difference(one, other, num=20)
    assert (found.value, found.n) == (pytest.approx(0.2), 2)
    assert found.low == pytest.approx(0.2)  # every pair differs by as much


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="2 values, 1 prompts and 2 seeds"):
        bootstrap.mean([1.0, 2.0], ["a"], [1, 2])


# -- shares -----------------------------------------------------------------------------------


def test_wilson_has_width_where_all_or_none_count():
    """With 8 pictures: 8 / (8 + 1.96 ** 2) = 0.676 from below; of 0 in 8 the mirror image."""
    every, none = proportion.wilson(8, 8), proportion.wilson(0, 8)
    assert (every.value, every.high, none.low) == (1.0, 1.0, 0.0)
    assert every.low == pytest.approx(8 / (8 + 1.959964**2), abs=1e-6)
    assert none.high == pytest.approx(1 - every.low)
    assert proportion.wilson(0, 0).value is None
    assert proportion.of_share(7 / 8, 8) == proportion.wilson(7, 8)


def test_a_difference_of_shares_by_newcombe():
    """His example: 56 of 70 less 48 of 80 is 0.2, 0.0524 to 0.3339."""
    found = proportion.difference(proportion.wilson(56, 70), proportion.wilson(48, 80))
    assert found.value == pytest.approx(0.2)
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=1e-4)
    assert proportion.difference(proportion.wilson(1, 2), proportion.wilson(0, 0)).value is None


# -- identity ---------------------------------------------------------------------------------


def crops(*degrees: float, shots: list[int]) -> Gallery:
    return Gallery(vector=np.array([at(d) for d in degrees]), shot=np.array(shots))


def test_likeness_is_of_the_best_face_to_the_nearest_crop():
    gallery = crops(0, 0, 0, 90, shots=[0] * 4)
    assert face_identity.likeness(seen(at(60), at(20)), gallery) == pytest.approx(
        np.cos(np.radians(20)), abs=1e-6
    )


def test_likeness_without_faces_or_crops_is_no_number():
    gallery = crops(0, shots=[0])
    nobody = DescribedRegions(vector=np.empty((0, 2), np.float32), box=np.empty((0, 4), np.float32))
    assert np.isnan(face_identity.likeness(nobody, gallery))
    assert np.isnan(face_identity.likeness(seen(at(0)), gallery.without(0)))


def real(*scores: float, shots: int = 4) -> list[tuple[int, float]]:
    return [(index % shots, score) for index, score in enumerate(scores)]


def test_the_threshold_lies_between_what_19_of_20_reach_and_what_1_of_20_reaches():
    """With 19 pictures rank 1 is the lowest real picture (10) and the highest stranger (2)."""
    scale = identity.make_scale(real(*range(10, 29)), [*range(-16, 3)])
    assert scale.floor == 6  # halfway
    assert (scale.zero, scale.one) == (-7, 19)  # medians
    assert (scale.real.value, scale.real.n, scale.strangers.value) == (1.0, 19, 0.0)
    assert scale.is_calibrated and scale.num_shots == 4
    assert [scale.to_identity(x) for x in (-7, 6, 19)] == [0.0, 0.5, 1.0]


def test_ranks_leave_one_of_forty_outside():
    """With 39 pictures the second rank counts: one of each kind may be far off."""
    scale = identity.make_scale(real(-50, *range(10, 48)), [99, *range(-36, 2)])
    assert scale.floor == (10 + 1) / 2
    assert scale.real.value == pytest.approx(38 / 39)
    assert scale.strangers.value == pytest.approx(1 / 39)
    assert scale.is_calibrated


def test_a_recogniser_that_mixes_them_up_is_not_calibrated():
    scale = identity.make_scale(real(*range(20)), [*range(-10, 10)])
    assert scale.floor == 4.5  # between 0, the lowest, and 9, the highest stranger
    assert (scale.real.value, scale.strangers.value) == (0.75, 0.25)
    assert not scale.is_calibrated


@pytest.mark.parametrize(("num", "shots"), [(18, 4), (19, 3)])
def test_too_few_pictures_or_shots_calibrate_nothing(num, shots):
    scale = identity.make_scale(real(*[10.0] * num, shots=shots), [0.0] * 19)
    assert scale.real.value == 1.0 and scale.strangers.value == 0.0
    assert not scale.is_calibrated


def test_pictures_without_a_face_count_as_not_recognised():
    missing = float("nan")
    scale = identity.make_scale(real(*[0.6] * 9, missing), [missing] * 20, fallback=(0.0, 0.363))
    assert (scale.zero, scale.real.value, scale.strangers.value) == (0.0, 0.9, 0.0)
    assert identity.make_scale(real(missing), [0.1]) is None
    assert identity.make_scale(real(1.0), []) is None  # no stranger, no authors to ask


def test_nothing_can_be_told_where_strangers_are_as_like():
    scale = identity.make_scale(real(*[1.0] * 19), [1.0] * 19)
    assert np.isnan(scale.to_identity(1.0))


def scale_of(floor: float, one: float, *, is_calibrated: bool = True) -> IdentityScale:
    return IdentityScale(
        zero=0.0,
        one=one,
        floor=floor,
        real=proportion.wilson(20 if is_calibrated else 10, 20),
        strangers=proportion.wilson(0, 20),
        num_shots=4,
    )


def test_the_judged_character_needs_its_own_threshold_alone():
    scales = {"anna": scale_of(0.3, 1.0), "ben": scale_of(0.3, 0.5), "cara": scale_of(0.3, 1.0)}
    scores = {"anna": 0.6, "ben": 0.4, "cara": 0.2}
    assert identity.recognise(scores, scales, "anna") == "anna"  # though ben leads on his scale
    assert identity.recognise(scores, scales, "cara") == "ben"
    assert identity.recognise({"anna": 0.1}, scales, "anna") == "unknown"
    assert identity.recognise(scores, scales, "anna", is_somebody=False) == "nobody"
    doubtful = scales | {"ben": scale_of(0.3, 0.5, is_calibrated=False)}
    assert identity.recognise(scores, doubtful, "cara") == "anna"


def test_faces_that_overlap_count_once():
    gallery = crops(0, shots=[0])
    boxes = [[0, 0, 0.5, 1], [0.1, 0, 0.6, 1], [0.6, 0, 1, 1], [0.6, 0, 1, 1]]
    found = seen(at(0), at(5), at(10), at(80), boxes=boxes)
    assert face_identity.count_alike(found, gallery, 0.5) == 2
    assert face_identity.count_alike(found, gallery, 0.99) == 1  # the second place is 0.985 like


# -- diversity, drift, copying -------------------------------------------------------------------


def test_diversity_is_within_a_prompt():
    vector = np.array([at(0), at(90), at(10), at(10)])
    assert run_metric.pairwise(vector, PROMPTS) == {"a": pytest.approx(1), "b": pytest.approx(0)}
    assert run_metric.vendi(vector, PROMPTS) == {"a": pytest.approx(1), "b": pytest.approx(0.5)}


def test_drift_is_measured_in_distances_between_seeds():
    before = {("a", 1): np.array(at(0)), ("a", 2): np.array(at(60))}  # 0.5 apart
    after = {("a", 1): np.array(at(0)), ("a", 2): np.array(at(150))}  # 0 and 1 away
    moved = run_metric.drift(before, after)
    assert moved == {("a", 1): pytest.approx(0), ("a", 2): pytest.approx(2)}
    assert run_metric.drift({("a", 1): np.array(at(0))}, after) == {}  # one seed: no scale


def test_a_mirrored_training_picture_is_found():
    train = np.array([[at(0), at(40)], [at(180), at(90)]])  # as they are; mirrored
    index, cosine = measure_picture.nearest(np.array([at(90), at(3)]), train)
    assert index.tolist() == [1, 0]
    assert cosine == pytest.approx([1.0, np.cos(np.radians(3))])


def test_copies_are_nearer_than_held_out_pictures_come():
    train = np.array([[at(0), at(1), at(60)]])
    held_out = np.array([at(60 + 15 + i) for i in range(12)])
    near = measure_picture.baseline(train, np.array([1, 1, 2]), held_out)
    usual = [np.cos(np.radians(15 + i)) for i in range(12)]
    assert near.threshold == pytest.approx(np.quantile(usual, 0.99))
    assert near.train == pytest.approx(np.cos(np.radians([60, 59, 59])))  # of other shots
    few = measure_picture.baseline(train, np.array([1, 1, 2]), held_out[:1])
    assert few.threshold < np.cos(np.radians(15))  # training pictures are asked too
    assert measure_picture.baseline(train, np.array([1, 1, 1]), held_out[:0]).threshold is None


# -- choice and plan -----------------------------------------------------------------------------


def test_score_of_a_drawing():
    assert checkpoint_choice.score(0.8, 0.5, False) == pytest.approx(0.4)
    assert checkpoint_choice.score(1.4, None, None) == 1.0
    assert checkpoint_choice.score(-0.2, 1.0, False) == 0.0
    assert (
        checkpoint_choice.score(0.9, 0.9, True) == checkpoint_choice.score(None, 0.9, False) == 0.0
    )


def test_an_earlier_checkpoint_is_chosen_only_where_it_is_surely_better():
    scores = {
        100: {("a", 1): 0.2, ("a", 2): 0.4},
        200: {("a", 1): 0.7, ("a", 2): 0.9},
        300: {("a", 1): 0.6, ("a", 2): 1.0},  # as good on the whole
        400: {("a", 1): 0.1, ("a", 2): 0.2},
    }
    doubtful = checkpoint_choice.choose({step: scores[step] for step in (100, 200, 300)}, num=50)
    assert (doubtful.step, doubtful.over_last) == (300, None)
    assert "no other is significantly better (step 200 scores 0.80)" in doubtful.reason
    sure = checkpoint_choice.choose({step: scores[step] for step in (100, 200, 400)}, num=50)
    assert sure.step == 200
    assert sure.over_last.value == pytest.approx(0.65)  # (0.6 + 0.7) / 2
    assert checkpoint_choice.choose({100: scores[100], 200: scores[200]}).over_last is None


def test_without_identity_the_held_out_loss_decides():
    scores = {100: {}, 200: {}}
    found = checkpoint_choice.choose(scores, {100: 0.3, 200: 0.4}, is_measured=False)
    assert (found.step, "held-out loss" in found.reason) == (100, True)
    assert checkpoint_choice.choose(scores, {}, is_measured=False).step == 200
    with pytest.raises(ValueError, match="at least one checkpoint"):
        checkpoint_choice.choose({})


def test_steps_are_spread_and_the_last_is_among_them():
    assert checkpoint_choice.spread_steps([300, 100, 200], 5) == [100, 200, 300]
    assert checkpoint_choice.spread_steps(range(100, 800, 100), 3) == [100, 400, 700]
    assert checkpoint_choice.spread_steps([100, 200], 1) == [200]


def test_plan_asks_for_the_character_its_kind_and_the_others():
    cast = evaluator.PromptSubjects(
        character="bunny",
        subject="bunny rabbit",
        class_word="rabbit",
        others={"bruno": "bruno rabbit", "pip": "pip rabbit"},
    )
    prompts = ["{trigger} on a beach", "{trigger} in snow", "{trigger} at home", "a plain room"]
    sets = evaluator.report_jobs(cast, prompts, [1, 2])
    words = {name: list(dict.fromkeys(job.prompt for job in jobs)) for name, jobs in sets.items()}
    assert words["report"][0] == "bunny rabbit on a beach" and len(sets["report"]) == 8
    assert words["class"] == ["rabbit on a beach", "rabbit in snow"]
    assert words["pair"] == [
        "bunny rabbit and bruno rabbit on a beach",
        "bunny rabbit and pip rabbit in snow",
    ]
    assert words["other"] == ["bruno rabbit on a beach", "pip rabbit on a beach"]
    assert {job.character for job in sets["other"]} == {"bruno", "pip"}
    # choose: 1 prompt x 2 seeds x (base + 3); the rest with base and the chosen
    assert evaluator.count_pictures(cast, prompts[:1], prompts, [1, 2], 3) == 8 + 2 * (
        8 + 4 + 4 + 4
    )


def test_plan_of_a_film_with_one_character_has_no_company():
    cast = evaluator.PromptSubjects(character="bunny", subject="bunny", class_word="", others={})
    assert set(evaluator.report_jobs(cast, ["{trigger} on a beach"], [1])) == {"report"}


class Planning(evaluator.Evaluator):
    """An evaluation that looks at no picture."""

    def _sight(self, settings, agree):
        return None


def test_the_class_alone_is_asked_for_by_the_word_that_is_set():
    run = {
        "run_id": "r",
        "character": "bunny",
        "base_hash": "b",
        "num_steps": 1,
        "adapter_file": "a",
        "adapter_hash": "a",
        "held_out_loss_last": None,
    }
    given = EvaluationInput(
        tables={name: store.from_rows(name, []) for name in ("label", "adapter")},
        film_dir=Path(),
        checkpoint_dir=Path(),
        reference_dir=None,
    )
    settings = EvaluatorSettings(
        evaluation=EvaluationConfig(),
        captioning=CaptioningConfig(class_word="rabbit"),
        detection=DetectionConfig(),
        min_confidence=0.6,
        seed=0,
    )
    made = Planning(SimpleNamespace(hash="b"), run, given, settings, None)
    sets = evaluator.report_jobs(made.cast, ["{trigger} in snow"], [1])
    assert [job.prompt for job in sets["class"]] == ["rabbit in snow"]
