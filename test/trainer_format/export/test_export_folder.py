"""An export comes into its place as a whole, and never over what is not an export."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from bunny.core import atomic
from bunny.core.error import UserError
from bunny.dataset.crop_caption import CaptionVariant
from bunny.trainer_format.export import folder


def _write(text):
    def write(target):
        (target / "deep").mkdir()
        (target / "deep" / "a.txt").write_text(text)
        return {"character": "anna"}

    return write


def test_an_export_replaces_an_earlier_one(tmp_path):
    output = tmp_path / "out" / "set"
    folder.replace_folder(output, "kohya", _write("one"))
    (output / "deep" / "a.txt").unlink()
    said = folder.replace_folder(output, "kohya", _write("two"))
    assert said == {"made_by": "diffusion-bunny", "format": "kohya", "character": "anna"}
    assert (output / "deep" / "a.txt").read_text() == "two"
    assert [p.name for p in output.parent.iterdir()] == ["set"]


def test_an_empty_folder_may_be_given(tmp_path):
    folder.replace_folder(tmp_path, "kohya", _write("one"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["deep", "export.json"]


@pytest.mark.parametrize("name", ["photo.jpg", "export.json", ".hidden"])
def test_other_files_are_never_written_over(tmp_path, name):
    (tmp_path / name).write_text("{}")
    with pytest.raises(UserError, match="expected an empty folder or an earlier export"):
        folder.replace_folder(tmp_path, "kohya", _write("one"))
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_what_was_put_into_an_export_is_kept(tmp_path):
    output = tmp_path / "set"
    folder.replace_folder(output, "kohya", _write("one"))
    (output / "deep" / "adapter.safetensors").write_text("hours of work")
    with pytest.raises(UserError, match=r"1 other files \(deep/adapter.safetensors\)"):
        folder.replace_folder(output, "kohya", _write("two"))
    assert (output / "deep" / "a.txt").read_text() == "one"


def test_a_caption_that_was_edited_is_kept(tmp_path):
    output = tmp_path / "set"
    folder.replace_folder(output, "kohya", _write("one"))
    (output / "deep" / "a.txt").write_text("one, in my words")
    told = r"found 1 edited since \(deep/a.txt\); choose another --output, or delete the folder"
    with pytest.raises(UserError, match=told):
        folder.replace_folder(output, "kohya", _write("two"))
    assert (output / "deep" / "a.txt").read_text() == "one, in my words"


@pytest.mark.parametrize(
    ("form", "names"),
    [
        ("kohya", ["img/2_anna/0000_0512x0512_sd.npz", "img/2_anna/metadata_cache.json"]),
        ("musubi", ["cache/clip-128x96x33/c1_00000-033_0128x0096_wan.safetensors"]),
        ("diffusion-pipe", ["clip/128x96x33/cache/wan/metadata/grouping_keys.json"]),
        ("ai-toolkit", ["clip/128x96x33/.aitk_size.json", "clip/a/_latent_cache/c.safetensors"]),
        ("simpletuner", ["cache/vae/clip/c1.pt", "clip/a/aspect_ratio_bucket_indices_clip.json"]),
        ("ltx", [".precomputed/latents/clip/128x96x33/c1.pt", ".DS_Store"]),
    ],
)
def test_what_the_trainer_keeps_in_a_set_is_in_nobodys_way(tmp_path, form, names):
    output = tmp_path / "set"
    folder.replace_folder(output, form, _write("one"))
    for name in names:
        atomic.write_bytes(output / name, b"of the old files")
    folder.replace_folder(output, form, _write("two"))
    assert not any((output / name).exists() for name in names)
    atomic.write_bytes(output / "cache" / "adapter.safetensors", b"hours of work")
    with pytest.raises(UserError, match=r"1 other files \(cache/adapter.safetensors\)"):
        folder.replace_folder(output, form, _write("three"))


def test_a_file_or_a_link_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "home").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "home")
    for name in ("file", "link"):
        with pytest.raises(UserError, match="expected a folder or a new path"):
            folder.replace_folder(tmp_path / name, "kohya", _write("one"))


def test_a_failure_leaves_what_was_there(tmp_path):
    output = tmp_path / "set"
    folder.replace_folder(output, "kohya", _write("one"))

    def fail(target):
        (target / "half.txt").write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        folder.replace_folder(output, "kohya", fail)
    assert (output / "deep" / "a.txt").read_text() == "one"
    assert [p.name for p in tmp_path.iterdir()] == ["set"]


@pytest.fixture
def load(monkeypatch, tmp_path):
    """`datasets.load_dataset`, offline, with its cache in the test's folder."""
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    import datasets

    datasets.disable_progress_bars()

    def load(*arguments, **options):
        return datasets.load_dataset(*arguments, **options, cache_dir=str(tmp_path / "cache"))

    return load


def _rgb(path):
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def _write_imagefolder(tmp_path, pictures, about):
    target = tmp_path / "set"
    target.mkdir()
    return target, folder.write_imagefolder(target, pictures, about)


def test_datasets_reads_the_same_pictures_and_captions(tmp_path, pictures, about, load):
    target, counts = _write_imagefolder(tmp_path, pictures, about)
    assert counts == {"train": 4, "test": 2, "class": 2}
    loaded = load("imagefolder", data_dir=str(target))
    assert {name: len(part) for name, part in loaded.items()} == {"train": 4, "test": 2}
    for name, part in (("train", pictures[:4]), ("test", pictures[4:6])):
        for got, put in zip(loaded[name], part, strict=True):
            assert np.array_equal(np.asarray(got["image"]), _rgb(put.file))
            assert got["text"] == put.caption
            assert got["image_id"] == put.columns["image_id"]
            assert got["repeats"] == put.repeats
    assert loaded["train"]["pose"] == [""] * 4
    assert loaded["test"]["pose"] == ["left", "right"]


def test_masks_come_back_as_pictures_and_white_where_there_was_none(
    tmp_path, pictures, about, load
):
    target, _ = _write_imagefolder(tmp_path, pictures, about)
    masks = [np.asarray(m) for m in load("imagefolder", data_dir=str(target))["train"]["mask"]]
    assert [m.shape for m in masks] == [(64, 64), (64, 64), (128, 64), (64, 64)]
    assert [int(m.min()) for m in masks] == [255, 255, 255, 0]
    assert masks[3].mean() == 127.5


def test_class_pictures_are_a_set_of_their_own(tmp_path, pictures, about, load):
    target, _ = _write_imagefolder(tmp_path, pictures, about)
    alone = load("imagefolder", data_dir=str(target / "class"))["train"]
    assert alone["text"] == ["woman in the snow", "a street"]
    by_card = load(str(target), "class")["train"]
    assert by_card["text"] == alone["text"]
    assert len(load(str(target))["train"]) == 4


def test_without_masks_held_out_and_class_nothing_is_made_for_them(tmp_path, pictures, about, load):
    target, counts = _write_imagefolder(tmp_path, pictures[:2], about)
    assert counts == {"train": 2, "test": 0, "class": 0}
    assert sorted(p.name for p in target.iterdir()) == ["README.md", "rights.json", "train"]
    assert "mask" not in load("imagefolder", data_dir=str(target))["train"].column_names


def test_captions_lie_beside_when_asked_for(tmp_path, pictures, about):
    from dataclasses import replace

    target, _ = _write_imagefolder(tmp_path, pictures, replace(about, has_txt=True))
    assert (target / "train" / "0001.txt").read_text() == 'zoë woman, "1" in the snow\n'


def test_the_card_says_what_is_missing(tmp_path, pictures, about):
    target, _ = _write_imagefolder(tmp_path, pictures, about)
    card = (target / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlicense: unknown\n")
    assert "**Licence of the film not given: do not publish.**" in card
    assert "| train | 4 |" in card


def test_a_missing_picture_is_said(table, tmp_path):
    (tmp_path / "dataset/Zoë/0001.png").unlink()
    with pytest.raises(UserError, match=r"1 of 9 files are missing \(first: 0001.png\)"):
        folder.read_pictures(table, tmp_path, "Zoë")


def test_repeats_are_the_tables_or_one_number_for_the_character(pictures):
    assert [p.repeats for p in folder.with_repeats(pictures, None)] == [1, 2, 2, 1, 1, 1, 1, 1]
    changed = folder.with_repeats(pictures, 5)
    assert [p.repeats for p in changed] == [5] * 6 + [1] * 2
    assert changed[0].columns["repeats"] == 5


def test_the_resolution_is_the_largest_that_half_of_the_pictures_allow(pictures):
    """Sides by area of those to be trained on: 64, 64, 400, 500 px."""
    sizes = [(64, 64), (64, 64), (400, 400), (625, 400)]
    made = [
        replace(pictures[0], columns={"width_px": w, "height_px": h}, is_held_out=False)
        for w, h in sizes
    ]
    assert folder.best_resolution(made, 1.0) == 384
    assert folder.best_resolution(made, 2.0) == 768
    assert folder.best_resolution(made[:3], 1.0) == 64
    assert (
        folder.best_resolution([replace(made[0], columns={"width_px": 9, "height_px": 9})], 1.0, 16)
        == 16
    )


def test_several_captions_are_columns_of_every_split(tmp_path, pictures, about, load):
    variants = (CaptionVariant(text="zoë", share=0.25), CaptionVariant(text="zoë, day", share=0.75))
    several = [replace(pictures[0], variants=variants), *pictures[1:]]
    target, _ = _write_imagefolder(tmp_path, several, about)
    loaded = load("imagefolder", data_dir=str(target))
    assert (loaded["train"][0]["texts"], loaded["train"][0]["shares"]) == (
        ["zoë", "zoë, day"],
        [0.25, 0.75],
    )
    assert loaded["train"][0]["text"] == pictures[0].caption
    assert loaded["test"][0]["texts"] == [pictures[4].caption]
    assert loaded["test"][0]["shares"] == [1.0]
