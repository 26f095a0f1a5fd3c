"""Settings of the training set, each seen in what is cut from eight drawn frames of 128x96 px."""

import json

import pytest

from bunny.core.config import Config
from bunny.stage.dataset import Dataset
from bunny.table import store


@pytest.fixture
def cut(labelled_film, tiny_base_folder):
    """Cut the set by settings: the tables dataset and candidate."""

    def run(models=None, **sections):
        wanted = {"base_model": str(tiny_base_folder), "held_out_share": 0.0, **(models or {})}
        config = Config.model_validate({"models": wanted, **sections})
        Dataset(config, labelled_film, labelled_film).execute()
        return [store.read(labelled_film / "table", name) for name in ("dataset", "candidate")]

    return run


@pytest.mark.parametrize(
    ("dataset", "reason"),
    [
        ({"min_confidence": 0.9}, None),  # of each label
        ({"min_confidence": 0.91}, "doubtful"),
        ({"min_subject_px": 40}, None),  # as wide as each box
        ({"min_subject_px": 41}, "small"),
    ],
)
def test_views_are_left_out_by_the_thresholds_that_are_set(cut, dataset, reason):
    pictures, candidates = cut(dataset=dataset)
    left_out = set(candidates["reason"].cast(str)) - {"chosen", "duplicate"}
    assert left_out == ({reason} if reason else set())
    assert bool(pictures.height) == (reason is None)


@pytest.mark.parametrize(("most", "is_cut"), [(1.3, False), (1.4, True)])
def test_a_picture_is_enlarged_no_more_than_is_set(cut, most, is_cut):
    """A frame is 96 px high, and 128 / 96 = 1.33."""
    pictures, _ = cut(models={"resolution": 128}, dataset={"max_upscale": most})
    assert bool(pictures.height) == is_cut


def test_a_set_has_as_many_pictures_as_large_as_is_set(cut):
    pictures, _ = cut(models={"max_images": 3, "resolution": 64})
    assert pictures.height == 3
    assert set(pictures.select("width_px", "height_px").rows()) == {(64, 64)}


@pytest.mark.parametrize(("is_wide", "windows"), [(False, {"c0"}), (True, {"c0", "c1"})])
def test_wider_windows_are_cut_only_where_that_is_set(cut, is_wide, windows):
    pictures, _ = cut(dataset={"has_wider_crops": is_wide})
    assert {name.rpartition("-")[2] for name in pictures["image_id"]} & {"c0", "c1"} == windows


@pytest.mark.parametrize(("step", "is_wide"), [(32, True), (128, False)])
def test_buckets_go_by_the_step_that_is_set(cut, step, is_wide):
    models = {"resolution": 128, "crop_margin": 0.0}
    wanted = {"aspect": "buckets", "bucket_step_px": step, "max_upscale": 8.0}
    pictures, _ = cut(models=models, dataset=wanted)
    sides = {side for size in pictures.select("width_px", "height_px").rows() for side in size}
    assert all(side % step == 0 for side in sides) and (len(sides) > 1) == is_wide


@pytest.mark.parametrize(("share", "number"), [(0.0, 0), (0.5, 2)])
def test_shots_are_held_out_by_the_share_that_is_set(cut, share, number):
    """Of four shots."""
    pictures, _ = cut(models={"held_out_share": share})
    assert pictures.filter(split="held-out")["shot_index"].n_unique() == number


def test_rights_that_are_set_stand_in_the_record_of_the_set(cut, labelled_film):
    known = {"film_title": "Owl", "film_licence": "CC0-1.0", "film_source": "attic"}
    cut(rights={**known, "consent": "given"})
    [record] = (labelled_film / "dataset").rglob("rights.json")
    written = json.loads(record.read_text(encoding="utf-8"))
    assert {f"film_{key}": written["film"][key] for key in ("title", "licence", "source")} == known
    assert written["consent"] == "given"


@pytest.mark.parametrize(("margin", "sides"), [(0.2, [60, 84]), (0.5, [60, 96])])
def test_the_margin_around_a_subject_is_the_one_that_is_set(cut, margin, sides):
    """A box is 60 px high: 60 * 1.4 = 84; 60 * 2 is more than the 96 px of the frame."""
    pictures, _ = cut(models={"crop_margin": margin}, dataset={"has_wider_crops": True})
    assert sorted({row["x1_px"] - row["x0_px"] for row in pictures.to_dicts()}) == sides
