import json

import numpy as np
import pytest
from sample import render
from toy import judge_picture, judge_score, judge_train

from bunny.demo import judge_net, world

BEAR = world.Character(name="", species="bear", colour="red", wear="blue scarf")
FACTS = {"who": [("red", "bear", "blue scarf")], "place": "snow", "light": "night", "size": "wide"}


def checkered() -> np.ndarray:
    """A picture with edges everywhere."""
    board = np.indices((128, 128)).sum(axis=0) // 8 % 2 * 200 + 20
    return np.repeat(board[..., None], 3, axis=2).astype(np.uint8)


def scene(*actors: world.Actor) -> world.Scene:
    """Somewhere in the snow at night."""
    return world.Scene(place="snow", light="night", actors=actors)


def test_a_scene_is_told_from_left_to_right():
    pytest.importorskip("skia")
    fox = world.Character(name="", species="fox", colour="green")
    right, left = world.Actor(character=BEAR, x=0.2), world.Actor(character=fox, x=-0.2)
    picture, facts = judge_picture.render(scene(right, left))
    assert picture.shape == (128, 128, 3)
    assert facts == {
        "who": [("green", "fox", "none"), ("red", "bear", "blue scarf")],
        "place": "snow",
        "light": "night",
        "size": "medium",
    }


def test_who_is_hidden_or_outside_is_not_told_of():
    pytest.importorskip("skia")
    front = world.Actor(character=BEAR, y=0.9)
    behind = world.Actor(character=BEAR, y=0.85, scale=0.2)
    outside = world.Actor(character=BEAR, x=5.0)
    _, facts = judge_picture.render(scene(front, behind, outside))
    assert facts["who"] == [("red", "bear", "blue scarf")]


def test_who_is_hardly_seen_makes_no_picture():
    pytest.importorskip("skia")
    tiny = world.Actor(character=BEAR, scale=0.15)
    share = render.actor_mask(scene(tiny), 0, 128, 128).mean()
    assert judge_picture.SEEN_MIN < share < judge_picture.SEEN_SURE
    assert judge_picture.render(scene(tiny)) is None


def test_the_same_seed_draws_the_same_pictures_of_known_words():
    pytest.importorskip("skia")
    pictures, facts = judge_picture.render_many(30, seed=5)
    again, facts_again = judge_picture.render_many(30, seed=5)
    np.testing.assert_array_equal(pictures, again)
    assert facts == facts_again
    assert facts != judge_picture.render_many(30, seed=6)[1]
    goal = judge_train.targets(facts)
    assert goal["place"].shape == (30,)


def test_every_species_and_teal_are_among_what_is_drawn():
    rng = np.random.default_rng(0)
    scenes = [judge_picture.random_scene(rng) for _ in range(600)]
    who = [actor.character for one in scenes for actor in one.actors]
    assert {one.species for one in who} == set(world.SPECIES)
    worn = {one.wear.split()[0] for one in who} - {"none"}
    assert worn == set(judge_net.WEAR_COLOURS)
    empty = np.mean([not one.actors for one in scenes])
    assert 0.02 < empty < 0.09


def test_wearing_down_depends_on_its_generator_alone_and_keeps_the_size():
    picture = checkered()
    one = [judge_picture.degrade(picture, np.random.default_rng(i)) for i in range(20)]
    two = [judge_picture.degrade(picture, np.random.default_rng(i)) for i in range(20)]
    np.testing.assert_array_equal(one, two)
    assert one[0].shape == (128, 128, 3)
    assert np.mean([(worn != picture).any() for worn in one]) > 0.8
    np.testing.assert_array_equal(picture, checkered())


def test_a_round_trip_without_noise_is_what_the_autoencoder_draws():
    import torch
    from toy import model

    torch.manual_seed(0)
    vae = model.make_vae(widths=(8, 8, 8, 8))
    pictures = np.stack([checkered(), 255 - checkered()])
    plain = judge_picture.round_trip(vae, pictures, noise_max=0.0)
    assert plain.shape == pictures.shape
    assert plain.dtype == np.uint8
    other = judge_picture.round_trip(vae, pictures, seed=4, noise_max=0.0)
    np.testing.assert_array_equal(plain, other)
    noisy = judge_picture.round_trip(vae, pictures, noise_max=2.0)
    assert (noisy != plain).any()


def test_loss_is_the_sum_of_the_heads_surprise():
    import torch

    goal = {k: torch.from_numpy(v) for k, v in judge_train.targets([FACTS]).items()}
    words = {name: len(found) for name, found in judge_net.WORDS.items()}
    logits = torch.zeros((1, sum(words.values())))
    coins = sum(words[name] for name in judge_net.MULTI_LABEL) * np.log(2)
    dice = sum(np.log(words[name]) for name in judge_net.SINGLE_CHOICE)
    assert float(judge_train.loss(logits, goal)) == pytest.approx(coins + dice, rel=1e-5)


def test_questions_without_an_answer_teach_nothing():
    import torch

    nobody = FACTS | {"who": []}
    goal = {k: torch.from_numpy(v) for k, v in judge_train.targets([nobody]).items()}
    logits = torch.zeros((1, 55), requires_grad=True)
    judge_train.loss(logits, goal).backward()
    slopes = judge_net.split(logits.grad)
    for name in ("colour", "garment", "wear_colour", "size"):
        assert not slopes[name].any()
    assert slopes["species"].any()
    assert slopes["place"].any()


def test_training_goes_on_where_it_stopped(tmp_path):
    import torch

    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (8, 128, 128, 3)).astype(np.uint8)
    facts = [FACTS] * 8

    def run(folder, steps):
        torch.manual_seed(1)
        net = judge_net.make_net((4,))
        settings = judge_train.JudgeTraining(steps=steps, batch_size=2, warmup_steps=9)
        report = judge_train.train(net, pictures, pictures[:2], facts, folder, settings)
        return net.state_dict(), report

    whole, report = run(tmp_path / "whole", 4)
    run(tmp_path / "parts", 2)
    parts, _ = run(tmp_path / "parts", 4)
    assert report["steps"] == 4
    for name, part in whole.items():
        assert torch.equal(part, parts[name]), name


def test_answers_are_held_against_the_truth():
    facts = [FACTS, FACTS | {"who": [], "place": "camp"}]
    seen = {name: np.full((2, len(words)), 0.1) for name, words in judge_net.WORDS.items()}
    seen["species"][0, 0] = 0.9  # bear, right
    seen["species"][1, 3] = 0.8  # a mouse, but nobody is there
    seen["place"][:, 2] = 0.7  # snow: right, wrong
    compared = judge_score.compare(seen, facts)
    found = judge_score.accuracy(compared, "attribute")
    shares = {row["attribute"]: row for row in found.iter_rows(named=True)}
    assert (shares["species"]["accuracy"], shares["species"]["num_answers"]) == (0.5, 2)
    assert (shares["place"]["accuracy"], shares["place"]["num_answers"]) == (0.5, 2)
    assert shares["colour"]["num_answers"] == 1
    assert "nobody" in set(compared["size"])


def test_calibration_error_of_one_bin():
    import polars as pl

    sure = pl.DataFrame({"confidence": [0.95] * 4, "is_right": [True, True, True, False]})
    assert judge_score.calibration_error(sure) == pytest.approx(0.2)
    assert judge_score.calibration_error(sure.head(0)) == 0.0


def test_temperature_is_found_where_answers_are_too_sure():
    facts = [FACTS] * 9 + [FACTS | {"place": "camp", "light": "day"}]
    seen = {name: np.full((10, len(words)), 0.5) for name, words in judge_net.WORDS.items()}
    seen["light"] = np.tile([0.001, 0.001, 0.998], (10, 1))  # right nine times of ten
    fitted = judge_score.fit_temperature(seen, facts)
    assert fitted["light"] > 1.5
    json.dumps(fitted)


def test_near_characters_differ_in_one_thing():
    rng = np.random.default_rng(0)
    changed = set()
    for _ in range(40):
        other = judge_score.similar_character(rng, BEAR)
        differs = [
            k for k in ("species", "colour", "wear") if getattr(other, k) != getattr(BEAR, k)
        ]
        assert len(differs) == 1
        changed |= set(differs)
    assert changed == {"species", "colour", "wear"}
