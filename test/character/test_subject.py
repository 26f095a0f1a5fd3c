import numpy as np
import polars as pl
import table_row

from bunny.character import subject as seen


def test_the_best_view_has_a_picture():
    rows = [("big", None, 0.9), ("small", "a.jpg", 0.2), ("mid", "b.jpg", 0.5)]
    anna = {"name": "anna", "is_named": True, "subject_type": "face", "confidence": 0.7}
    anna |= {"shot_index": 0, "timestamp_s": 1.0, **table_row.box(0.0, 0.0, 0.0, 0.0)}
    subject = pl.DataFrame([{"subject_id": s, "file": f, "view": v, **anna} for s, f, v in rows])
    assert seen.summarise(subject)["subject_id"].to_list() == ["mid"]


def test_views_are_of_different_shots_and_sides():
    """The second best is of the same shot and side as the best: it is worth 0.8 * 0.3 * 0.6 and,
    after the third, once more 0.6 of that: less than the profile, 0.3 * 0.3."""
    views = pl.DataFrame(
        {"view": [0.9, 0.8, 0.6, 0.3], "shot_index": [0, 0, 1, 1], "yaw": [0.0, 0.1, 0.1, 0.9]}
    )
    assert seen.choose_views(views, 3) == [0, 2, 3]
    assert seen.choose_views(views.with_columns(yaw=pl.lit(None)), 2) == [0, 2]
    assert seen.choose_views(views.head(0)) == []
    assert sorted(seen.choose_views(views)) == [0, 1, 2, 3]


def test_a_crop_leaves_others_out():
    """A face of 10 px with a margin of 0.6: 6 px each side, inside the picture."""
    box = (20, 20, 30, 30)
    assert seen.crop_alone(box, [], (100, 100), 0.6) == (14, 14, 36, 36)
    assert seen.crop_alone(box, [], (32, 100), 0.6) == (14, 14, 32, 36)
    assert seen.crop_alone(box, [(34, 20, 44, 30)], (100, 100), 0.6) == (17, 17, 33, 33)
    assert seen.crop_alone(box, [(31, 20, 44, 30)], (100, 100), 0.6) == (20, 20, 30, 30)
    assert seen.crop_alone(box, [(29, 20, 44, 30)], (100, 100), 0.6) is None


def test_views_of_a_drawn_figure_are_unlike_each_other():
    """The second is as the first (worth 0.8 * 0.6); the third, less clear, shows another side."""
    views = pl.DataFrame(
        {"view": [0.9, 0.8, 0.5], "shot_index": [0, 1, 2], "yaw": [None] * 3},
        schema_overrides={"yaw": pl.Float32},
    )
    vector = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert seen.choose_views(views, 2, vector) == [0, 2]
    assert seen.choose_views(views, 2, np.tile([1.0, 0.0], (3, 1))) == [0, 1]
