"""Which pictures are trained on, how they are cut and split."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bunny.table import store
from bunny.training import select
from bunny.training.select import Selection, Words

BUNNY = Words(trigger="bunny", class_word="character")


def tables(subjects: list[dict]) -> dict[str, pl.DataFrame]:
    """One 640x360 frame a subject unless `frame_id` is given."""
    frames, qualities, labels = {}, {}, []
    for i, s in enumerate(subjects):
        frame_id = s.get("frame_id", f"f{i:03d}")
        frames[frame_id] = {
            "frame_id": frame_id,
            "film_id": "film",
            "shot_index": s["shot"],
            "frame_index": i,
            "pts": i,
            "time_base_num": 1,
            "time_base_den": 24,
            "timestamp_s": i / 24,
            "file": f"frame/{frame_id}.png",
            "width_px": 640,
            "height_px": 360,
            "reason": "keyframe",
        }
        qualities[frame_id] = {
            "frame_id": frame_id,
            "phash": s.get("phash", (i * 0x9E3779B97F4A7C15) % 2**64),
            "blur_score": s.get("blur", 0.5),
            "is_kept": s.get("kept", True),
            "reason": "kept",
        }
        x0, y0, x1, y1 = s.get("box", (100, 80, 200, 280))
        labels.append(
            {
                "subject_id": f"{frame_id}-r{i}",
                "subject_type": s.get("type", "region"),
                "character": s.get("who", "bunny"),
                "frame_id": frame_id,
                "shot_index": s["shot"],
                "x0_px": x0,
                "y0_px": y0,
                "x1_px": x1,
                "y1_px": y1,
                "margin": s.get("margin", 0.2),
                "confidence": s.get("confidence", 0.9),
                "source": "reference",
            }
        )
    return {
        "label": store.from_rows("label", labels),
        "frame": store.from_rows("frame", frames.values()),
        "quality": store.from_rows("quality", qualities.values()),
        "caption": store.from_rows("caption", []),
    }


def choose(subjects: list[dict], **options) -> list[select.Crop]:
    options = {"held_out_share": 0.0, "has_wider_crops": False, **options}
    return select.choose("bunny", BUNNY, **tables(subjects), selection=Selection(**options))


def test_crop_is_a_square_around_the_subject_inside_the_picture():
    one, two = choose([{"shot": 0}], crop_margin=0.25, has_wider_crops=True)[:2]
    # 100x200 around (150, 180): side 200 from (50, 80); side 300 from (0, 30)
    assert (one.x0_px, one.y0_px, one.x1_px, one.y1_px) == (50, 80, 250, 280)
    assert (two.x0_px, two.y0_px, two.x1_px, two.y1_px) == (0, 30, 300, 330)
    assert [one.shot_size, two.shot_size] == ["medium", "medium"]  # 0.7 * 200 of 200, of 300
    assert one.caption == "bunny character, medium shot"
    assert one.image_id != two.image_id


def test_crop_is_moved_and_shrunk_to_fit():
    (crop,) = choose([{"shot": 0, "box": (600, 0, 640, 360)}])
    assert (crop.x0_px, crop.y0_px, crop.x1_px, crop.y1_px) == (280, 0, 640, 360)
    assert crop.shot_size == "close-up"  # as high as the picture


def test_each_further_crop_is_clearly_larger():
    small = {"shot": 0, "box": (300, 200, 360, 260)}
    crops = choose([small], has_wider_crops=True, crop_margin=0.5)
    assert [c.x1_px - c.x0_px for c in crops] == [60, 120, 360]
    assert [c.shot_size for c in crops] == ["medium", "wide", "wide"]  # 0.7 of 1, 1/2, 1/6
    crops = choose([small], has_wider_crops=True, crop_margin=0.1)  # 72 is less than 1.25 * 60
    assert [c.x1_px - c.x0_px for c in crops] == [60, 360]


def test_face_is_cut_with_head_and_shoulders():
    face = {"shot": 0, "box": (300, 100, 350, 150), "type": "face"}
    crops = choose([face], has_wider_crops=True)
    # 50 * (1 + 2 * 0.9) = 140, 50 * (1 + 4 * 0.9) = 230, the height
    assert [c.x1_px - c.x0_px for c in crops] == [140, 230, 360]
    assert [c.shot_size for c in crops] == ["close-up", "medium", "medium"]


def test_unkept_uncertain_tiny_and_strange_are_left_out():
    subjects = [
        {"shot": 0},
        {"shot": 1, "kept": False},
        {"shot": 2, "margin": 0.01},
        {"shot": 3, "box": (0, 0, 23, 100)},
        {"shot": 4, "who": "anna"},
        {"shot": 5, "who": None},
    ]
    assert [c.shot_index for c in choose(subjects)] == [0]
    assert [c.shot_index for c in choose([{"shot": 2, "margin": 0.02}])] == [2]  # at the limit


def test_near_copies_in_a_shot_count_once_but_not_across_shots():
    same = {"phash": 7}
    other_place = {"phash": 7, "box": (400, 80, 500, 280)}
    subjects = [
        {"shot": 0, **same},
        {"shot": 0, **same},
        {"shot": 0, **other_place},
        {"shot": 1, **same},
    ]
    assert [c.shot_index for c in choose(subjects)] == [0, 0, 1]


def test_pictures_are_spread_over_shots_and_alone_comes_first():
    subjects = [{"shot": 0} for _ in range(5)] + [{"shot": 1}, {"shot": 2}]
    assert [c.shot_index for c in choose(subjects, max_images=4)] == [0, 0, 1, 2]
    pair = [
        {"shot": 0, "frame_id": "both"},
        {"shot": 0, "frame_id": "both", "who": "anna"},
        {"shot": 0, "frame_id": "alone", "confidence": 0.5},
    ]
    assert [c.frame_id for c in choose(pair, max_images=1)] == ["alone"]


def test_no_label_gives_no_crop():
    assert choose([]) == []


def test_candidates_are_counted_by_shot_then_frame():
    subjects = [
        {"shot": 0},
        {"shot": 1},
        *[{"shot": 0, "who": "anna"} for _ in range(5)],
        *[{"shot": shot, "who": "bo"} for shot in (0, 1, 1)],
    ]
    found = tables(subjects)
    counts = select.count_candidates(found["label"], found["frame"], found["quality"])
    assert counts.rows() == [("bo", 2, 3), ("bunny", 2, 2), ("anna", 1, 5)]


@settings(deadline=None)
@given(
    shots=st.lists(st.integers(0, 12), max_size=60),
    share=st.floats(0, 0.9),
    seed=st.integers(0, 1000),
)
def test_split_law(shots, share, seed):
    selection = Selection(held_out_share=share, seed=seed)
    split = select.split_shots(shots, selection)
    assert set(split) == set(shots)
    sides = set(split.values())
    if len(set(shots)) >= 2 and share > 0:
        assert sides == {"train", "held-out"}
    else:
        assert sides <= {"train"}
    assert select.split_shots(list(reversed(shots)), selection) == split


@settings(deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=30))
def test_a_shot_is_on_one_side_only(shots):
    crops = choose([{"shot": shot} for shot in shots], held_out_share=0.3, has_wider_crops=True)
    sides: dict[int, set[str]] = {}
    for crop in crops:
        sides.setdefault(crop.shot_index, set()).add(crop.split)
    assert all(len(side) == 1 for side in sides.values())


@pytest.mark.parametrize(
    ("text", "size", "expected"),
    [
        (
            "bunny character in a kitchen, wide shot, day",
            "close-up",
            "bunny character in a kitchen, close-up, day",
        ),
        ("a hill, day", "medium", "bunny character, a hill, day, medium shot"),
        ("A Bunny runs", "wide", "A Bunny runs, wide shot"),
        ("", "wide", "bunny character, wide shot"),
    ],
)
def test_caption_of_a_crop(text, size, expected):
    assert select.crop_caption(text, BUNNY, size) == expected


def test_who_is_outside_the_crop_leaves_its_caption():
    subjects = [
        {"shot": 0, "frame_id": "both", "box": (20, 100, 120, 200)},
        {"shot": 0, "frame_id": "both", "box": (500, 100, 600, 200), "who": "Anna"},
    ]
    found = tables(subjects)
    found["caption"] = store.from_rows(
        "caption",
        [
            {
                "frame_id": "both",
                "version": 1,
                "text": "anna character and bunny character on a hill, wide shot",
                "provider": "tags",
                "status": "done",
            }
        ],
    )
    words = Words(trigger="bunny", class_word="character", other_triggers={"Anna": "anna"})
    selection = Selection(has_wider_crops=False)
    (crop,) = select.choose("bunny", words, **found, selection=selection)
    assert crop.caption == "bunny character on a hill, medium shot"
    words = Words(trigger="anna", class_word="character", other_triggers={"bunny": "bunny"})
    (crop,) = select.choose("Anna", words, **found, selection=selection)
    assert crop.caption == "anna character on a hill, medium shot"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bunny character and anna character run", "bunny character run"),
        ("anna, bunny and bo run", "anna, bunny and bo run"),
        ("bunny and Anna run", "bunny run"),
        ("annabel and bunny run", "annabel and bunny run"),
    ],
)
def test_words_without(text, expected):
    words = Words(trigger="bunny", class_word="character", other_triggers={"Anna": "anna"})
    assert words.without(text, ["Anna"]) == expected
