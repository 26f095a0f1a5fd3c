"""Logos are found where they stand before many places, and clips keep out of their way."""

import cv2
import numpy as np
import polars as pl
import pytest

from bunny.clip import overlay, write
from bunny.clip.preset import ClipForm
from bunny.table.box import CROP

SIZE = (640, 360)  # width, height
LOGO = (560, 20, 620, 60)  # upper right
FORM = ClipForm(fps=16.0, width_px=832, height_px=480)


def scene(seed: int) -> np.ndarray:
    """A place with edges of many sizes."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((*SIZE[::-1], 3), np.float32)
    for cells in (6, 18, 54):
        coarse = rng.uniform(0, 255, (cells, cells * 2, 3)).astype(np.float32)
        picture += cv2.resize(coarse, SIZE, interpolation=cv2.INTER_CUBIC) / 3
    return picture.clip(0, 255).astype(np.uint8)


def with_logo(picture: np.ndarray, share: float) -> np.ndarray:
    """Two white letters, as strong as `share`."""
    drawn = picture.copy()
    x0, y0, x1, y1 = LOGO
    for x in (x0, (x0 + x1) // 2 + 4):
        drawn[y0:y1, x : x + 22] = 255
        drawn[y0 + 12 : y1 - 12, x + 8 : x + 14] = picture[y0 + 12 : y1 - 12, x + 8 : x + 14]
    return cv2.addWeighted(drawn, share, picture, 1 - share, 0)


@pytest.mark.parametrize("share", [1.0, 0.6])
def test_a_logo_is_found_even_one_that_is_seen_through(share):
    found = overlay.find_overlays(with_logo(scene(n), share) for n in range(24))
    [(x0, y0, x1, y1)] = found
    box = np.array([x0 * SIZE[0], y0 * SIZE[1], x1 * SIZE[0], y1 * SIZE[1]])
    assert (box[:2] <= LOGO[:2]).all() and (box[2:] >= LOGO[2:]).all()
    assert np.abs(box - LOGO).max() <= 12  # pixels of the film; six of the small picture


def test_where_nothing_stays_or_everything_does_nothing_is_found():
    assert overlay.find_overlays(scene(n) for n in range(24)) == []
    assert overlay.find_overlays(scene(1) for _ in range(24)) == []  # one place, no logo
    assert overlay.find_overlays(with_logo(scene(n), 1.0) for n in range(9)) == []  # too few


def test_a_set_that_comes_back_is_outvoted_and_hides_no_logo():
    """Five of 19 scenes play at one place of black and white squares, whose edges are strongest."""
    squares = np.indices(SIZE[::-1]).sum(axis=0) // 40 % 2 * 255
    again = np.repeat(squares[..., None], 3, axis=2).astype(np.uint8)
    scenes = [again if n % 4 == 0 else scene(n) // 2 + 60 for n in range(19)]
    assert overlay.find_overlays(scenes) == []
    [(x0, y0, x1, y1)] = overlay.find_overlays(with_logo(one, 1.0) for one in scenes)
    assert x0 * SIZE[0] <= LOGO[0] and x1 * SIZE[0] >= LOGO[2] - 4
    assert y0 * SIZE[1] <= LOGO[1] and y1 * SIZE[1] >= LOGO[3] - 4


def test_one_kept_picture_of_each_scene_is_looked_at():
    cut = dict(zip(CROP, (0, 45, 640, 315), strict=True))
    frame = pl.DataFrame(
        [
            {
                "frame_id": f"f{i}",
                "frame_index": i,
                "shot_index": i // 2,
                "file": f"frame/{i}.jpg",
                **(cut if i < 9 else dict(zip(CROP, (0, 0, 640, 360), strict=True))),
            }
            for i in range(10)
        ]
    )
    quality = pl.DataFrame(
        {"frame_id": [f"f{i}" for i in range(10)], "is_kept": [i != 0 for i in range(10)]}
    )
    cluster = pl.DataFrame(
        {"level": ["scene"] * 3, "shot_index": [0, 1, 2], "scene_id": ["a", "b", "a"]}
    )
    rows = overlay.choose_pictures(frame, quality, cluster)
    # f0 is not kept, shot 2 is scene a again, shots 3 and 4 are no scene, f9 is cut otherwise
    assert rows["frame_id"].to_list() == ["f1", "f2", "f6", "f8"]
    assert overlay.make_rows([(0.5, 0.0, 1.0, 0.1)], rows) == [
        {
            "overlay_index": 0,
            "x0_px": 320,
            "y0_px": 45,
            "x1_px": 640,
            "y1_px": 72,
            "num_pictures": 4,
        }
    ]


def test_a_clip_keeps_out_of_the_logos_way():
    """The character stands left: what is right of x = 560 is left out."""
    boxes = [(100.0, 80.0, 300.0, 340.0)]
    region = overlay.choose_region(SIZE, boxes, [LOGO])
    assert region == (0.0, 0.0, 560.0, 360.0)
    crop = write.choose_crop_within(region, boxes, FORM, 1.5, "whole")
    assert crop.box[2] <= 560 and crop.box[0] <= 100 and crop.box[3] >= 340
    below = write.choose_crop_within((0.0, 60.0, 640.0, 360.0), boxes, FORM, 1.5, "whole")
    assert below.box[1] >= 60 and below.box[3] <= 360
