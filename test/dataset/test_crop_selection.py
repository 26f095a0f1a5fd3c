"""Class pictures: the film without the character."""

import numpy as np
import polars as pl
import pytest
import table_row

from bunny.core.config import CaptioningConfig, DatasetConfig, FilteringConfig
from bunny.dataset import candidate, crop, crop_selection
from bunny.dataset.addition import Addition
from bunny.dataset.crop_caption import CaptionWords
from bunny.table import store

NOTHING = pl.DataFrame(
    schema={"subject_id": pl.String, "sharpness": pl.Float64, "luma": pl.Float64}
)
WORDS = CaptionWords(trigger="bunny", class_word="character", other_triggers={"anna": "anna"})


def choose(tables, number, **options):
    others = {"anna": candidate.gather("anna", tables, NOTHING)}
    rule = crop.CropSetting(shapes=((1024, 1024),))
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
            {"shot": 3, "text": "bunny character sleeps", "who": "anna"},
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


def test_no_frame_with_a_drawn_face_on_nobody(film_tables):
    tables = film(film_tables)
    box = {"x0_px": 10, "y0_px": 10, "x1_px": 40, "y1_px": 40}
    face = table_row.fill("drawn_face", {}, face_id="e-f0", frame_id="empty", shot_index=5, **box)
    found = choose(tables | {"drawn_face": store.from_rows("drawn_face", [face])}, 99)
    assert [c.view.frame_id for c in found] == ["f00002", "f00003", "f00005"]


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
    rule = crop.CropSetting(shapes=((1024, 1024),), dataset=DatasetConfig(max_upscale=4.0))
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
        "bunny", tables, views, crop.CropSetting(shapes=((1024, 1024),)), words, 9
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


def _reasons(tables, additions=(), **filtering):
    """Why each view of the bunny is not chosen, by its subject; empty where it is."""
    settings = crop_selection.CropSelectionSettings(
        captioning=CaptioningConfig(),
        filtering=FilteringConfig(**filtering),
        seed=0,
        crop=crop.CropSetting(shapes=((1024, 1024),)),
    )
    more = {"reference": store.from_rows("reference", [])}
    selector = crop_selection.CropSelector(tables | more, additions, settings)
    views, made = selector.choose("bunny")
    return {v.subject_id: one.reason for v, one in zip(views, made.verdicts, strict=True)}


@pytest.mark.parametrize(("threshold", "reason"), [(0.4, ""), (0.6, "filtered")])
def test_a_subject_in_a_blurred_frame_is_sharp_from_the_threshold_of_frames_on(
    film_tables, threshold, reason
):
    """A variance of 4.6 deviations is scored 0.5; the deviation is 0.2 of 255 grey levels."""
    tables = film_tables([{"shot": 0, "filter": "blurred", "signature": np.full(1024, 128)}])
    tiles = pl.Series([np.full(144, 4.6 * 51)], dtype=pl.Array(pl.Float32, 144))
    tables["measure"] = tables["measure"].with_columns(tile_sharpness=tiles)
    assert _reasons(tables, blur_threshold=threshold) == {"f00000-r0": reason}


@pytest.mark.parametrize(("distance", "reason"), [(5, ""), (6, "duplicate")])
def test_what_is_added_by_hand_looks_like_what_is_chosen_up_to_the_distance_that_is_set(
    film_tables, distance, reason
):
    """Hashes of both frames are 6 bits apart; the second one is too dark to be chosen."""
    tables = film_tables(
        [{"shot": 0, "phash": 0}, {"shot": 1, "phash": 0b111111, "filter": "dark"}]
    )
    by_hand = Addition(addition_id="a1", character="bunny", spans=((1, 2),))
    found = _reasons(tables, [by_hand], duplicate_distance=distance)
    assert found == {"f00000-r0": "", "f00001-r1": reason}
