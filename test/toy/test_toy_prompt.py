import numpy as np
import pytest
from sample import render
from toy import caption

from bunny.demo import judge_prompt, world

CLOVER = world.Character(name="bunny", species="rabbit", colour="white", wear="teal overalls")


def test_a_prompt_is_read_word_by_word():
    assert judge_prompt.parse("a red bear with a blue scarf in the snow, medium shot, night") == {
        "species": ("bear",),
        "colour": ("red",),
        "garment": ("scarf",),
        "wear_colour": ("blue",),
        "place": ("snow",),
        "light": ("night",),
        "size": ("medium",),
    }


def test_two_figures_name_the_words_of_both_in_the_worlds_order():
    read = judge_prompt.parse("a green frog with a hat and an orange bear, close-up")
    assert read == {
        "species": ("bear", "frog"),
        "colour": ("orange", "green"),
        "garment": ("hat",),
        "size": ("close-up",),
    }


def test_colours_of_a_background_and_of_clothes_are_no_figures():
    read = judge_prompt.parse("a fox with a red hat, green and blue background")
    assert "colour" not in read
    assert read["wear_colour"] == ("red",)


def test_what_is_refused_is_not_asked_for():
    assert "garment" not in judge_prompt.parse("a pig without a red hat in a kitchen")
    assert judge_prompt.parse("a pig, no scarf") == {"species": ("pig",)}


def test_bright_and_dark_are_light_only_as_a_clause():
    assert "light" not in judge_prompt.parse("a dark red bear")
    assert judge_prompt.parse("a red bear, dark")["light"] == ("night",)
    assert judge_prompt.parse("a red bear at sunset")["light"] == ("dusk",)


def test_several_places_are_kept_as_alternatives():
    assert judge_prompt.parse("a red bear in a snowy forest")["place"] == ("forest", "snow")


def test_a_trigger_means_its_character_unless_dressed_otherwise():
    meaning = {"bunnyhero bunny": CLOVER}
    plain = judge_prompt.parse("BunnyHero  bunny on a beach", meaning)
    assert plain == {
        "species": ("rabbit",),
        "colour": ("white",),
        "garment": ("overalls",),
        "wear_colour": ("teal",),
        "place": ("beach",),
    }
    dressed = judge_prompt.parse("bunnyhero bunny with a red hat and a bear with a bow", meaning)
    assert dressed["garment"] == ("hat", "bow")
    assert dressed["wear_colour"] == ("red",)
    assert dressed["colour"] == ("white",)


def test_strange_words_are_passed_over():
    assert judge_prompt.parse("bunnyhero walks to the moon") == {}
    assert judge_prompt.parse("") == {}


@pytest.mark.parametrize("seed", range(3))
def test_captions_of_the_world_and_of_the_bases_training_are_read_back(seed):
    rng = np.random.default_rng(seed)
    for _ in range(100):
        scene = render.random_scene(rng, world.SPECIES)
        who = [actor.character for actor in scene.actors]
        read = judge_prompt.parse(world.caption(scene))
        assert set(read["species"]) == {one.species for one in who}
        assert set(read["colour"]) == {one.colour for one in who}
        worn = {one.wear.split()[-1] for one in who} - {"none"}
        assert set(read.get("garment", ())) == worn
        assert read["place"] == (scene.place,)
        assert read["light"] == (scene.light,)
        assert read["size"] == (world.shot_size(scene),)
        facts = {
            "who": [(one.colour, one.species, one.wear) for one in who],
            "place": world.PLACES[scene.place],
            "size": world.shot_size(scene),
            "light": scene.light,
            "background": ["red", "green"],
        }
        varied = judge_prompt.parse(caption.vary_caption(facts, rng))
        for name, words in varied.items():
            assert set(words) <= set(read[name]), name
