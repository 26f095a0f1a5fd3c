"""Settings of the training set, each seen in what is cut from eight drawn frames of 128x96 px."""

import json

import cv2
import polars as pl
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
    """A frame is 96 px high, and 128 / 96 = 1.33: no trainer reads less than 128 px."""
    pictures, _ = cut(dataset={"max_upscale": most})
    assert bool(pictures.height) == is_cut


def test_a_set_has_as_many_pictures_as_is_set(cut):
    pictures, _ = cut(models={"max_images": 3})
    assert pictures.height == 3


@pytest.mark.parametrize("resolution", [0, 64])
def test_pictures_keep_the_films_size_whatever_the_trainer_reads(cut, resolution):
    pictures, _ = cut(models={"resolution": resolution})
    for row in pictures.to_dicts():
        window = (row["x1_px"] - row["x0_px"], row["y1_px"] - row["y0_px"])
        assert (row["width_px"], row["height_px"]) == window


@pytest.mark.parametrize(("most", "side"), [(1536, 192), (128, 128)])
def test_larger_pictures_are_shrunk_to_the_size_that_is_set(cut, labelled_film, most, side):
    """A box of 192 x 192 px in a frame of twice the size."""
    for name in ("frame", "label"):
        table = store.read(labelled_film / "table", name)
        sides = [c for c in table.columns if c.endswith("_px")]
        store.write(labelled_film / "table", name, table.with_columns(pl.col(sides) * 2))
    for path in (labelled_film / "frame").glob("*.png"):
        cv2.imwrite(str(path), cv2.resize(cv2.imread(str(path)), None, fx=2, fy=2))
    pictures, _ = cut(dataset={"max_px": most})
    assert pictures["width_px"].max() == side


@pytest.mark.parametrize(("is_wide", "windows"), [(False, {"c0"}), (True, {"c0", "c1"})])
def test_wider_windows_are_cut_only_where_that_is_set(cut, is_wide, windows):
    pictures, _ = cut(dataset={"has_wider_crops": is_wide})
    assert {name.rpartition("-")[2] for name in pictures["image_id"]} & {"c0", "c1"} == windows


@pytest.mark.parametrize(("step", "has_fitting"), [(64, True), (512, False)])
def test_buckets_go_by_the_step_that_is_set(cut, step, has_fitting):
    """A box is 40 x 60 px; steps of 512 px leave 1 x 4 and the square."""
    wanted = {"aspect": "buckets", "bucket_step_px": step, "max_upscale": 8.0}
    pictures, _ = cut(models={"crop_margin": 0.0}, dataset=wanted)
    shapes = {round(w / h, 1) for w, h in pictures.select("width_px", "height_px").rows()}
    assert (0.7 in shapes) == has_fitting


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
    wanted = {"has_wider_crops": True, "max_upscale": 8.0}
    pictures, _ = cut(models={"crop_margin": margin}, dataset=wanted)
    assert sorted({row["x1_px"] - row["x0_px"] for row in pictures.to_dicts()}) == sides
