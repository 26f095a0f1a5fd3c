"""The sample world: the same scene gives the same picture, boxes hug what is drawn."""

import dataclasses

import numpy as np
import pytest
from sample import render

from bunny.demo import world

BEAR = world.Character(name="b", species="bear", colour="red", wear="blue scarf")
FROG = world.Character(name="f", species="frog", colour="green")
FOX = world.Character(name="x", species="fox", colour="orange", wear="white overalls")


def scene(*actors: world.Actor, **more) -> world.Scene:
    """A plain scene, so that only actors and their shadows differ from the background."""
    return world.Scene(**({"place": "studio", "actors": actors, "seed": 3} | more))


def bear(**more) -> world.Actor:
    """The bear in the middle."""
    return world.Actor(**({"character": BEAR, "x": 0.0, "scale": 0.6} | more))


@pytest.fixture(autouse=True, scope="module")
def _needs_skia():
    """Drawing needs skia, which only those who make the sample have."""
    pytest.importorskip("skia")


def test_same_scene_gives_same_bytes():
    one = render.random_scene(np.random.default_rng(5))
    two = render.random_scene(np.random.default_rng(5))
    assert one == two
    assert np.array_equal(render.render(one, 96, 64), render.render(two, 96, 64))


@pytest.mark.parametrize("place", world.PLACES)
def test_every_place_and_light_differs(place):
    pictures = [
        render.render(world.Scene(place=place, light=light, seed=1), 64, 48)
        for light in world.LIGHTS
    ]
    assert all(picture.shape == (48, 64, 3) for picture in pictures)
    assert all(picture.dtype == np.uint8 for picture in pictures)
    day, dusk, night = (float(picture.mean()) for picture in pictures)
    assert day > dusk > night


@pytest.mark.parametrize("species", world.SPECIES)
@pytest.mark.parametrize("yaw", [-1.0, 0.0, 0.6])
def test_box_hugs_what_is_drawn(species, yaw):
    character = world.Character(name="c", species=species, colour="purple", wear="green hat")
    actor = world.Actor(character=character, x=0.1, scale=0.55, yaw=yaw, wave=1.0, y=0.95)
    full = scene(actor)
    found = render.actor_box(full, 0, 160, 120)
    with_actor = render.render(full, 160, 120).astype(int)
    without = render.render(scene(), 160, 120).astype(int)
    changed = np.abs(with_actor - without).max(axis=2) > 90  # the soft shadow changes less
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    assert found.x0 == pytest.approx(columns[0], abs=2)
    assert found.x1 == pytest.approx(columns[-1] + 1, abs=2)
    assert found.y0 == pytest.approx(rows[0], abs=2)
    assert found.y1 == pytest.approx(rows[-1] + 1, abs=3)
    assert found.visible_share == 1.0


def test_box_is_clipped_and_half_an_actor_is_half_seen():
    edge = scene(bear(x=0.5))  # the right edge of a square picture is x = 0.5
    found = render.actor_box(edge, 0, 100, 100)
    assert found.x1 == 100.0
    assert found.visible_share == pytest.approx(0.5, abs=0.06)


def test_actor_outside_has_no_box():
    assert render.actor_box(scene(bear(x=3.0)), 0, 100, 100) is None


def test_nearer_actor_hides_the_farther_one():
    far, near = bear(y=0.88), bear(character=FOX, y=0.9, scale=0.62)
    both = scene(far, near)
    assert render.actor_box(both, 0, 100, 100).visible_share < 0.3
    assert render.actor_box(both, 1, 100, 100).visible_share == 1.0


def test_equal_actors_at_one_spot_do_not_both_count_as_seen():
    twins = scene(bear(), bear(character=dataclasses.replace(BEAR, name="twin")))
    shares = [render.actor_box(twins, i, 100, 100).visible_share for i in (0, 1)]
    assert shares == [0.0, 1.0]


@pytest.mark.parametrize(
    ("change", "word"), [({"place": "moon"}, "moon"), ({"light": "noon"}, "noon")]
)
def test_unknown_word_is_refused(change, word):
    with pytest.raises(ValueError, match=word):
        render.render(dataclasses.replace(scene(), **change), 8, 8)


def test_unknown_species_is_refused():
    dragon = world.Character(name="d", species="dragon", colour="red")
    with pytest.raises(ValueError, match="dragon"):
        render.render(scene(world.Actor(character=dragon)), 8, 8)


def test_words_of_a_caption():
    one = scene(bear(), place="snow", camera=(0.0, 0.5, 1.0))
    assert world.caption(one) == "a red bear with a blue scarf in the snow, medium shot, day"
    frog = world.Actor(character=FROG, x=-0.3, scale=0.5)
    two = scene(bear(x=0.3), frog, place="kitchen", light="night", camera=(0.0, 0.5, 2.0))
    assert world.caption(two) == (
        "a green frog and a red bear with a blue scarf in a kitchen, close-up, night"
    )
    assert world.describe(FOX) == "an orange fox with white overalls"


@pytest.mark.parametrize(
    ("share", "size"),
    [(0.0, "wide"), (0.479, "wide"), (0.48, "medium"), (1.149, "medium"), (1.15, "close-up")],
)
def test_shot_size_at_its_thresholds(share, size):
    assert world.size_of(share) == size


def test_random_scenes_cover_the_world_and_know_no_rabbit():
    rng = np.random.default_rng(0)
    scenes = [render.random_scene(rng) for _ in range(600)]
    assert "rabbit" not in world.BASE_SPECIES
    species = {actor.character.species for item in scenes for actor in item.actors}
    assert species == set(world.BASE_SPECIES)
    assert {item.place for item in scenes} == set(world.PLACES)
    assert {item.light for item in scenes} == set(world.LIGHTS)
    assert {world.shot_size(item) for item in scenes} == set(world.SHOT_SIZES)
    pairs = sum(len(item.actors) == 2 for item in scenes) / len(scenes)
    assert pairs == pytest.approx(0.15, abs=0.05)
    assert all("rabbit" not in world.caption(item) for item in scenes)


def test_whoever_is_asked_for_is_in_random_scenes():
    item = render.random_scene(np.random.default_rng(1), species=("owl",))
    assert {actor.character.species for actor in item.actors} == {"owl"}
