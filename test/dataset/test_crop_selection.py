"""Class pictures: the film without the character."""

import polars as pl

from bunny.dataset import candidate, crop, crop_selection
from bunny.dataset.crop_caption import CaptionWords

NOTHING = pl.DataFrame(
    schema={"subject_id": pl.String, "sharpness": pl.Float64, "luma": pl.Float64}
)
WORDS = CaptionWords(trigger="bunny", class_word="character", other_triggers={"anna": "anna"})


def choose(tables, number, **options):
    others = {"anna": candidate.gather("anna", tables, NOTHING)}
    rule = crop.CropSetting(sizes=((64, 64),))
    return crop_selection.choose_crops("bunny", tables, others, rule, WORDS, number, **options)


def film(film_tables):
    anna = {"who": "anna", "box": (300, 100, 340, 180), "text": "anna character runs, wide shot"}
    tables = film_tables(
        [
            {"shot": 0, "frame_id": "both", **anna},
            {"shot": 0, "frame_id": "both", "who": "bunny", "box": (100, 100, 140, 180)},
            {"shot": 1, **anna},
            {"shot": 1, **anna},
            {"shot": 2, "who": None},  # somebody: it may be the bunny
            {"shot": 3, "text": "bunny character sleeps", **{"who": "anna"}},
            {"shot": 4, "who": "anna", "filter": "dark"},
            {"shot": 5, "who": "anna", "frame_id": "empty", "text": "a red place, day"},
        ]
    )
    nobody = pl.col("frame_id") != "empty"
    return tables | {"label": tables["label"].filter(nobody)}


def test_no_frame_with_the_character_or_somebody_unknown(film_tables):
    found = choose(film(film_tables), 99)
    assert [c.view.frame_id for c in found] == ["f00002", "f00003", "f00005", "empty"]
    assert {c.role for c in found} == {"class"} and {c.split for c in found} == {"train"}
    assert len({c.image_id for c in found}) == 4
    assert all(c.view.character == "bunny" for c in found)  # whose set it is


def test_captions_name_nobody(film_tables):
    captions = [c.caption for c in choose(film(film_tables), 99)]
    assert captions[0] == "character runs"  # no framing: a region is a figure, or its head alone
    assert captions[2] == "character sleeps"
    assert captions[3] == "a red place, day"
    assert not any("anna" in c or "bunny" in c for c in captions)


def test_words_of_framing_are_those_that_the_subject_would_get(film_tables):
    near = {"who": "anna", "box": (200, 0, 400, 360), "text": "anna character runs, wide shot"}
    far = {"who": "anna", "box": (300, 100, 310, 116), "text": "anna character runs, medium shot"}
    tables = film_tables([{"shot": 0, **near}, {"shot": 1, **far}])
    own = CaptionWords(trigger="anna", class_word="character")
    rule = crop.CropSetting(sizes=((64, 64),), max_upscale=4.0)
    views = candidate.gather("anna", tables, NOTHING)
    windows = [crop.windows(view, rule) for view in views]
    middle = [found[len(found) // 2] for found in windows]
    of_anna = [crop.caption_of(v, w, own) for v, w in zip(views, middle, strict=True)]
    found = crop_selection.choose_crops("bunny", tables, {"anna": views}, rule, WORDS, 9)
    assert [c.caption for c in found] == [text.replace("anna ", "") for text in of_anna]
    assert found[0].caption == "character runs, close-up"


def test_who_is_outside_the_window_is_not_counted(film_tables):
    text = "anna character and ben character dance"
    two = {"shot": 0, "frame_id": "two", "text": text}
    tables = film_tables(
        [
            {**two, "who": "anna", "box": (100, 100, 140, 180)},
            {**two, "who": "ben", "box": (560, 100, 600, 180)},
        ]
    )
    words = CaptionWords(
        trigger="bunny", class_word="character", other_triggers={"anna": "anna", "ben": "ben"}
    )
    views = {"anna": candidate.gather("anna", tables, NOTHING)}
    found = crop_selection.choose_crops(
        "bunny", tables, views, crop.CropSetting(sizes=((64, 64),)), words, 9
    )
    assert [c.caption for c in found] == ["character dance"]


def test_places_are_cut_from_the_middle_and_people_around_them(film_tables):
    found = choose(film(film_tables), 99)
    empty, anna = found[3].window, found[0].window
    assert (empty.x0_px, empty.y0_px, empty.x1_px, empty.y1_px) == (140, 0, 500, 360)
    assert anna.x0_px <= 300 and anna.x1_px >= 340 and anna.x1_px - anna.x0_px < 360


def test_spread_over_shots_and_not_from_held_out_ones(film_tables):
    tables = film(film_tables)
    assert [c.view.shot_index for c in choose(tables, 3)] == [1, 3, 5]
    assert [c.view.shot_index for c in choose(tables, 9, forbidden={1, 5})] == [3]
    assert choose(tables, 0) == []
