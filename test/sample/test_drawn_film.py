"""Films of the benchmark of drawn films: what the truth says is what is drawn, twice the same."""

import sys
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl
import pytest

pytest.importorskip("skia")
sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))
import drawn_film

sys.path.pop(0)

from sample import style
from sample.script import ActorMotion, ScriptShot, place_shots

from bunny.demo import world

EVERY = [
    style.Style(name=n, variant=v) for n in style.STYLE_NAMES for v in range(style.NUM_VARIANTS)
]
SIZE = (drawn_film.WIDTH_PX, drawn_film.HEIGHT_PX)
CAT = world.Character(name="cat", species="cat", colour="purple", wear="green hat")
BEAR = world.Character(name="bear", species="bear", colour="red")


def film_of(drawn: style.Style, *shots: ScriptShot) -> drawn_film.Film:
    """A film of these shots; the bear has no reference."""
    return drawn_film.Film(
        name="f", seed=0, style=drawn, cast=(CAT, BEAR), shots=place_shots(shots)
    )


def shot(*parts: ActorMotion, seconds: float = 1.0, **more) -> ScriptShot:
    """A shot on a plain background."""
    return ScriptShot(setup_id="s", seconds=seconds, place="studio", parts=parts, **more)


def scene(*actors: world.Actor) -> world.Scene:
    """A plain scene."""
    return world.Scene(place="studio", actors=actors, seed=3)


@pytest.mark.parametrize("drawn", EVERY, ids=lambda d: f"{d.name}-{d.variant}")
def test_box_hugs_what_is_drawn(drawn):
    with_cat = scene(world.Actor(character=CAT, x=0.1, scale=0.5, wave=1.0))
    ground = style.plate(drawn, with_cat, *SIZE)
    picture, boxes = drawn_film.draw(film_of(drawn, shot()), with_cat, ground, 5)
    empty = style.finish(drawn, style.compose(ground, []), 5)
    shadow = style.compose(ground, [style.shadow_layer(drawn, with_cat, *SIZE)])
    untouched = np.abs(shadow.astype(int) - ground).max(axis=2) == 0
    changed = (np.abs(picture.astype(int) - empty).max(axis=2) > 60) & untouched
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    (box,) = boxes
    assert box["character"] == "cat" and box["has_reference"] and box["visible_share"] == 1.0
    assert box["x0_px"] == pytest.approx(columns[0], abs=3)
    assert box["x1_px"] == pytest.approx(columns[-1] + 1, abs=3)
    assert box["y0_px"] == pytest.approx(rows[0], abs=3)
    feet = 0.9 * SIZE[1]  # where the shadow lies
    assert feet - 6 <= box["y1_px"] <= feet + 10


def test_every_style_and_variant_looks_different():
    one = scene(world.Actor(character=CAT, scale=0.6), world.Actor(character=BEAR, x=0.4))
    drawn = [style.render(s, one, 160, 90) for s in (style.Style(name="sample"), *EVERY)]
    for first, second in combinations(drawn, 2):
        assert np.abs(first.astype(int) - second).mean() > 2


def test_a_sketch_has_other_lines_in_each_drawing_and_flat_shapes_do_not():
    actor = world.Actor(character=CAT)
    for name, is_moving in (("flat", False), ("cel", False), ("sketch", True)):
        one, two = (
            style.figure_layer(style.Style(name=name), scene(actor), actor, 160, 90, drawing)
            for drawing in (1, 2)
        )
        assert np.array_equal(one, two) != is_moving


def test_unknown_style_is_refused():
    with pytest.raises(ValueError, match="flat, cel, sketch"):
        style.Style(name="oil")
    with pytest.raises(ValueError, match="from 0 to 2"):
        style.Style(name="cel", variant=3)


def test_a_hidden_figure_and_one_past_the_edge_are_seen_in_part():
    far, near = world.Actor(character=CAT, y=0.88), world.Actor(character=BEAR, y=0.9, scale=0.62)
    shares = drawn_film.visible_shares(EVERY[0], scene(far, near), (far, near))
    assert shares[0] < 0.3 and shares[1] == 1.0
    edge = world.Actor(character=BEAR, x=SIZE[0] / SIZE[1] / 2)
    assert drawn_film.visible_shares(EVERY[0], scene(edge), (edge,))[0] == pytest.approx(
        0.5, abs=0.06
    )


def test_nobody_is_in_an_empty_shot():
    made = film_of(EVERY[0], shot(seconds=0.25))
    assert [boxes for _, _, boxes in drawn_film.drawings(made)] == [[], [], []]


def test_the_background_goes_with_the_camera():
    camera = ((0.3, 0.5, 1.5), (-0.1, 0.5, 1.5))
    ground = drawn_film._Ground(EVERY[0], shot(camera=camera))
    assert ground.width_px == SIZE[0] + 0.4 * 1.5 * SIZE[1]
    left, right = (
        ground.at(world.Scene(place="studio", camera=(x, 0.5, 1.5))) for x in (-0.1, 0.3)
    )
    assert np.array_equal(left, ground.picture[:, : SIZE[0]])
    assert np.array_equal(right, ground.picture[:, -SIZE[0] :])


def test_a_film_is_the_same_twice_and_its_boxes_cover_each_frame(tmp_path):
    walk = ActorMotion(character=CAT, x=(-0.3, 0.3), does="walk")
    made = film_of(EVERY[-1], shot(walk, seconds=0.5), shot(seconds=0.25))
    rows = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        rows.append(drawn_film.write_film(made, tmp_path / name))
    assert (tmp_path / "a" / "f.mp4").read_bytes() == (tmp_path / "b" / "f.mp4").read_bytes()
    assert rows[0] == rows[1]
    assert [row["frame_index"] for row in rows[0]] == list(range(12))
    assert drawn_film.plan(4) == drawn_film.plan(4)
    assert drawn_film.plan(4).shots != drawn_film.plan(5).shots


def test_casts_can_be_told_apart_and_have_look_alikes():
    casts = [drawn_film.cast_of(seed) for seed in range(20)]
    for seed, cast in enumerate(casts):
        drawn = drawn_film.style_of(seed)
        assert all(drawn_film.is_told(a, b, drawn) for a, b in combinations(cast, 2))
        assert is_alike(cast[0], cast[1])
        assert is_alike(cast[3], cast[0]) or is_alike(cast[3], cast[2])
    looks = [
        (drawn_film.style_of(s).name, c.species, c.colour, c.wear)
        for s, cast in enumerate(casts)
        for c in cast
    ]
    assert len(set(looks)) == len(looks) == 80
    assert len({c.name for cast in casts for c in cast}) == 80


def is_alike(one: world.Character, other: world.Character) -> bool:
    """Same species, or same colours and garment."""
    same_clothes = (one.colour, one.wear) == (other.colour, other.wear)
    return one.species == other.species or same_clothes


def test_grey_tells_furs_apart_by_lightness_alone():
    red, green = (world.Character(name="", species="cat", colour=c) for c in ("red", "green"))
    coloured, grey = style.Style(name="cel"), style.Style(name="sketch")
    # luma of (216, 66, 56) is 97.2 and of (96, 172, 78) 149.1: 52 apart; brown is 110.4
    assert drawn_film.is_told(red, green, coloured) and drawn_film.is_told(red, green, grey)
    brown = replace(red, colour="brown")
    assert not drawn_film.is_told(red, brown, grey)
    assert drawn_film.is_told(red, replace(brown, wear="red hat"), grey)
    hats = [replace(red, wear=f"{c} hat") for c in ("red", "blue")]
    assert not drawn_film.is_told(*hats, coloured)


def test_each_film_shows_all_of_the_cast_and_one_shot_without_them():
    for seed in range(6):
        made = drawn_film.plan(seed)
        shown = [{part.character for part in item.shot.parts} for item in made.shots]
        assert sum(not who for who in shown) == 1
        assert all(sum(one in who for who in shown) >= 2 for one in made.cast[:-1])
        assert any(made.cast[-1] in who for who in shown)
        assert 16 <= made.shots[-1].end_frame_index / 24 <= 24


def test_presence_at_its_thresholds():
    made = film_of(EVERY[0], *[shot(seconds=4 / 24)] * 5)
    tall = drawn_film.MUST_HEIGHT * SIZE[1]

    def rows(shot_index, heights, share):
        return [
            {"film": "f", "frame_index": 4 * shot_index + i, "shot_index": shot_index}
            | {"character": "cat", "has_reference": True, "visible_share": share, "yaw": 0.0}
            | {"x0_px": 0, "y0_px": 0, "x1_px": 9, "y1_px": height}
            for i, height in enumerate(heights)
        ]

    seen = [
        *rows(0, [tall, tall, tall - 1, tall - 1], 0.6),  # half of the frames: must
        *rows(1, [tall, tall - 1, tall - 1, tall - 1], 0.6),  # a quarter: may
        *rows(2, [tall] * 4, 0.59),  # too little of it inside: may
        *rows(3, [tall], 1.0),  # in one frame of four: may
    ]
    boxes = pl.DataFrame(seen, schema=drawn_film.BOX_SCHEMA, orient="row")
    found = drawn_film.presence(boxes, made, "cat")
    assert found == {"must": {"f": [0]}, "may": {"f": [4, 8, 12]}}
    assert drawn_film.presence(boxes, made, "bear") == {"must": {}, "may": {}}


@pytest.mark.parametrize("is_close", [True, False])
def test_references_have_the_size_that_a_user_cuts_out(is_close):
    made = drawn_film.plan(1)
    for number, character in enumerate(made.cast[:-1]):
        rng = np.random.default_rng(number)
        picture = drawn_film.reference(made, character, rng, is_close=is_close)
        assert min(picture.shape[:2]) >= 150 and max(picture.shape[:2]) <= 400
