import json

import numpy as np
import pytest
from sample import render
from sample.script import CLOVER
from toy import judge_picture, judge_score, judge_train

from bunny import demo
from bunny.core.error import UserError
from bunny.demo import judge as demo_judge
from bunny.demo import judge_net, judge_prompt, world

BEAR = {"who": [("red", "bear", "blue scarf")], "place": "snow", "light": "night", "size": "wide"}


@pytest.fixture(scope="module")
def untrained(tmp_path_factory) -> demo_judge.ToyJudge:
    """A judge of few weights, written and read back."""
    import torch

    torch.manual_seed(3)
    folder = tmp_path_factory.mktemp("judge")
    demo_judge.save(folder, judge_net.make_net((8, 8)), {"widths": [8, 8]})
    return demo_judge.ToyJudge.load(folder)


@pytest.fixture(scope="module")
def judge() -> demo_judge.ToyJudge:
    """The judge of the sample world."""
    return demo_judge.ToyJudge.load()


@pytest.fixture(scope="module")
def renders():
    """Pictures of a seed that no training drew."""
    pytest.importorskip("skia")
    return judge_picture.render_many(60, seed=777_001)


def noise(count: int, height: int = 64, width: int = 64) -> np.ndarray:
    """Pictures of nothing."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, height, width, 3)).astype(np.uint8)


class Oracle(demo_judge.ToyJudge):
    """A judge whose answers are given: the rules around it are what is tested."""

    def __init__(self, facts):
        self.words = judge_net.WORDS
        self.facts = facts

    def probabilities(self, pictures):
        found = judge_train.targets(self.facts)
        for name in judge_net.SINGLE_CHOICE:
            found[name] = np.eye(len(self.words[name]), dtype=np.float32)[found[name]]
        return {name: np.clip(part, 0.1, 0.9) for name, part in found.items()}


def test_answers_are_probabilities_of_the_words(untrained):
    seen = untrained.probabilities(noise(3))
    assert {name: part.shape for name, part in seen.items()} == {
        name: (3, len(words)) for name, words in untrained.words.items()
    }
    for name, part in seen.items():
        assert ((part >= 0) & (part <= 1)).all()
        if name in judge_net.SINGLE_CHOICE:
            np.testing.assert_allclose(part.sum(axis=1), 1, atol=1e-5)


def test_a_picture_is_judged_alike_alone_and_among_others(untrained):
    pictures = noise(70)
    among = untrained.probabilities(pictures)["place"][69]
    alone = untrained.probabilities(pictures[69:])["place"][0]
    np.testing.assert_allclose(among, alone, atol=1e-5)


def test_of_an_oblong_picture_the_middle_counts(untrained):
    picture = noise(1, 64, 100)
    seen = untrained.probabilities(picture)["light"]
    np.testing.assert_array_equal(seen, untrained.probabilities(picture[:, :, 18:82])["light"])


def test_no_pictures_have_no_answers(untrained):
    assert untrained.probabilities(noise(0))["species"].shape == (0, 12)
    assert untrained.agreement(noise(0), []).shape == (0,)


@pytest.mark.parametrize(
    "pictures",
    [noise(1, 63, 64), noise(1)[0], noise(1).astype(np.float32), noise(1)[..., :1]],
    ids=["small", "one", "float", "grey"],
)
def test_what_is_no_picture_is_refused(untrained, pictures):
    with pytest.raises(ValueError, match="expected uint8 RGB"):
        untrained.probabilities(pictures)


def test_temperature_softens_answers(untrained):
    softer = demo_judge.ToyJudge(untrained.net, {"temperature": {"place": 4.0}})
    plain = untrained.probabilities(noise(4))
    soft = softer.probabilities(noise(4))
    assert (soft["place"].max(axis=1) < plain["place"].max(axis=1)).all()
    np.testing.assert_array_equal(soft["light"], plain["light"])


def test_a_folder_without_a_judge_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"judge\.safetensors not found.*make_judge\.py"):
        demo_judge.ToyJudge.load(tmp_path)


def test_a_judge_of_other_words_is_refused(tmp_path):
    demo_judge.save(tmp_path, judge_net.make_net((8,)), {"widths": [8]})
    file = tmp_path / demo_judge.CONFIG_FILE
    config = json.loads(file.read_text())
    config["words"]["place"].append("moon")
    file.write_text(json.dumps(config))
    with pytest.raises(UserError, match="another vocabulary"):
        demo_judge.ToyJudge.load(tmp_path)


def test_details_say_what_was_found_instead():
    prompt = "a red fox with a blue hat in the snow, wide shot, day"
    table = Oracle([BEAR]).details(noise(1), [prompt])
    assert table.schema == judge_prompt.DETAIL_SCHEMA
    rows = {row["attribute"]: row for row in table.iter_rows(named=True)}
    assert {name for name, row in rows.items() if row["is_right"]} == {
        "colour",
        "wear_colour",
        "place",
        "size",
    }
    assert (rows["species"]["said"], rows["species"]["found"]) == ("fox", "bear")
    assert rows["species"]["probability"] == pytest.approx(0.1)
    assert rows["colour"]["probability"] == pytest.approx(0.9)
    assert (rows["light"]["said"], rows["light"]["found"]) == ("day", "night")


def test_agreement_is_the_share_of_what_is_asked_for():
    judge = Oracle([BEAR, BEAR, BEAR])
    prompts = ["a red fox in the snow, wide shot", "a red bear with a scarf", "a photo"]
    np.testing.assert_allclose(judge.agreement(noise(3), prompts), [0.75, 1.0, np.nan])


def test_of_two_figures_each_word_counts():
    two = BEAR | {"who": [("red", "bear", "none"), ("green", "frog", "none")]}
    table = Oracle([two]).details(noise(1), ["a blue bear and a green owl"])
    found = {row["said"]: (row["found"], row["is_right"]) for row in table.iter_rows(named=True)}
    assert found == {
        "bear": ("bear", True),
        "owl": ("frog", False),
        "green": ("green", True),
        "blue": ("red", False),
    }


def test_a_trigger_is_judged_by_its_meaning():
    bunny = BEAR | {"who": [("white", "rabbit", "teal overalls")]}
    judge = Oracle([bunny, BEAR])
    prompts = ["bunnyhero bunny in the snow"] * 2
    meaning = {"bunnyhero bunny": CLOVER}
    np.testing.assert_allclose(judge.agreement(noise(2), prompts, meaning), [1.0, 0.2])


def test_a_prompt_for_each_picture_is_asked_for(untrained):
    with pytest.raises(ValueError, match="found 1 prompts for 2 pictures"):
        untrained.agreement(noise(2), ["a bear"])


def test_a_character_is_the_product_of_what_it_is():
    judge = Oracle([BEAR, BEAR])
    asked = {"species": "bear", "colour": "red", "garment": "blue scarf"}
    np.testing.assert_allclose(judge.says_character(noise(2), **asked), [0.9**4] * 2, rtol=1e-5)
    np.testing.assert_allclose(
        judge.says_character(noise(2), species="rabbit", garment="scarf"), [0.09] * 2, rtol=1e-5
    )


def test_unknown_characters_are_refused(untrained):
    with pytest.raises(ValueError, match=r"colour: expected one of red.*found 'teal'"):
        untrained.says_character(noise(1), colour="teal")
    with pytest.raises(ValueError, match="expected a species, a colour or a garment"):
        untrained.says_character(noise(1))


def test_targets_of_one_nobody_and_two():
    nobody = {"who": [], "place": "camp", "light": "day", "size": "wide"}
    goal = judge_train.targets([BEAR, nobody])
    assert goal["species"][0].tolist() == [1.0] + [0.0] * 11
    assert goal["species"][1].tolist() == [0.0] * 11 + [1.0]
    assert goal["garment"][0].tolist() == [0, 1, 0, 0, 0, 0]
    assert set(goal["garment"][1]) == {judge_train.UNKNOWN}
    assert goal["size"].tolist() == [2, judge_train.UNKNOWN]
    assert goal["count"].tolist() == [1, 0]
    with pytest.raises(ValueError, match=r"place: expected one of meadow.*found 'moon'"):
        judge_train.targets([BEAR | {"place": "moon"}])


def test_the_judge_is_small_and_says_how_good_it_is(judge):
    folder = demo.film_path().parent / "judge"
    assert (folder / demo_judge.WEIGHT_FILE).stat().st_size <= 1_500_000
    figures = judge.config["figures"]
    assert figures["accuracy"]["clean"]["species"] > 0.9
    assert judge.config["licence"] == "MIT"


def test_the_judge_knows_pictures_it_never_saw(judge, renders):
    pictures, facts = renders
    compared = judge_score.compare(judge.probabilities(pictures), facts)
    right = dict(judge_score.accuracy(compared, "attribute").select("attribute", "accuracy").rows())
    assert min(right["species"], right["garment"]) > 0.8, right
    assert min(right[name] for name in ("colour", "place", "light", "size")) > 0.93, right


def test_renders_agree_with_their_captions_and_not_with_others(judge):
    pytest.importorskip("skia")
    rng = np.random.default_rng(777_002)
    scenes = [render.random_scene(rng, world.SPECIES) for _ in range(24)]
    pictures = np.stack([render.render(scene, 128, 128) for scene in scenes])
    prompts = [world.caption(scene) for scene in scenes]
    assert judge.agreement(pictures, prompts).mean() > 0.9
    assert judge.agreement(pictures, prompts[1:] + prompts[:1]).mean() < 0.5


def test_the_judge_tells_the_films_bunny_from_others(judge):
    pytest.importorskip("skia")
    asked = {"species": CLOVER.species, "colour": CLOVER.colour, "garment": CLOVER.wear}
    likes = judge_score.draw_test_sets(CLOVER, 24, seed=777_003)
    share = {
        name: (judge.says_character(pictures, **asked) >= 0.5).mean()
        for name, (pictures, _) in likes.items()
    }
    assert share["is"] > 0.75, share
    assert share["other"] < 0.05, share
    assert share["near"] < 0.3, share
