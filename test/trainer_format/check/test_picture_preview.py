"""What trainers see of folders with every kind of mistake in them."""

import json
import shutil
import tarfile

import numpy as np
import pytest
from PIL import Image

from bunny.core.error import UserError
from bunny.trainer_format.check import picture_preview
from bunny.trainer_format.check.picture_file import CaptionRule

ZOE = CaptionRule(trigger="zoe")


def _paint(path, size=(64, 64), seed=0, mode="RGB", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(pixels).convert(mode).save(path, **options)


@pytest.mark.parametrize("is_lenient", [False, True])
def test_a_cut_picture_is_seen_whatever_pillow_was_told(tmp_path, is_lenient, monkeypatch):
    from PIL import ImageFile

    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", is_lenient)
    own = _kohya(tmp_path)
    path = own / "1.png"
    path.write_bytes(path.read_bytes()[:-2000])
    (problem,) = [p for p in _look(tmp_path).found if p.effect == "stops"]
    assert problem.file.endswith("1.png") and "cannot be read" in problem.reason
    assert is_lenient == ImageFile.LOAD_TRUNCATED_IMAGES


def _kohya(folder, name="2_zoe woman", number=3, caption="zoe woman in the snow"):
    """A clean folder as kohya wants it."""
    for index in range(number):
        _paint(folder / name / f"{index}.png", seed=index)
        (folder / name / f"{index}.txt").write_text(caption)
    return folder / name


def _imagefolder(folder, names, **columns):
    """Pictures with metadata.jsonl."""
    for name in names:
        _paint(folder / name, seed=int.from_bytes(name.encode()))
    rows = [{"file_name": n, "text": "zoe woman", **columns} for n in names]
    folder.joinpath("metadata.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))


def _said(findings, effect=None):
    """(file, reason) of an effect."""
    return [(f.file, f.reason) for f in findings.found if effect in (None, f.effect)]


def _look(folder, trainer="kohya", **options):
    return picture_preview.preview_folder(
        folder, trainer, **{"resolution_px": 64, "step_px": 32, **options}
    )


def test_a_clean_folder_of_kohya(tmp_path):
    _kohya(tmp_path)
    _paint(tmp_path / "reg" / "1_woman" / "0.png", seed=9)
    (tmp_path / "reg" / "1_woman" / "0.txt").write_text("a woman")
    shutil.move(tmp_path / "2_zoe woman", tmp_path / "img" / "2_zoe woman")
    findings = _look(tmp_path, batch_size=4, caption=ZOE)
    assert _said(findings) == []
    assert (findings.num_pictures, findings.num_with_repeats, findings.num_class) == (3, 6, 6)
    assert findings.buckets == {(64, 64): 12}  # class pictures are repeated up to as many
    assert findings.steps_per_epoch == 3
    assert findings.exit_code == 0
    assert findings.to_line() == (
        "3 pictures, 2 repeats, 6 class pictures, 1 bucket, 3 steps per epoch at batch "
        "size 4, dropped 0"
    )


def test_kohya_fills_batches_within_a_bucket(tmp_path):
    own = _kohya(tmp_path, number=3)
    _paint(own / "3.png", (128, 32), seed=3)
    (own / "3.txt").write_text("zoe woman")
    findings = _look(tmp_path, batch_size=4)
    assert findings.buckets == {(64, 64): 6, (128, 32): 2}
    assert findings.steps_per_epoch == 3  # 6 in two batches of 4, 2 in one of their own


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("zoe woman/9.png", "folder 'zoe woman' has no repeats: only <repeats>_<name> is read"),
        ("0_zoe/9.png", "folder '0_zoe' has no repeats: only <repeats>_<name> is read"),
        ("9.png", "lies beside the picture folders: only folders named <repeats>_<name> are"),
        ("2_zoe woman/deep/9.png", "in a nested folder: only one level is read"),
        ("2_zoe woman/9.Png", "extension .Png in mixed case is not read: rename it to .png"),
        ("2_zoe woman/9.gif", "extension .gif is not read: expected png, jpg, jpeg, webp or bmp"),
        ("2_zoe woman/.9.png", "hidden file (name starts with a dot)"),
    ],
)
def test_pictures_that_kohya_passes_over(tmp_path, place, reason):
    _kohya(tmp_path)
    _paint(tmp_path / place, seed=9, format="GIF" if place.endswith("gif") else "PNG")
    findings = _look(tmp_path)
    ((file, said),) = _said(findings, "dropped")
    assert file == place and said.startswith(reason)
    assert findings.num_pictures == 3 and findings.exit_code == 2


@pytest.mark.parametrize(
    "place",
    [
        ".ipynb_checkpoints/9.png",
        "2_zoe woman/.ipynb_checkpoints/9.png",
        "__MACOSX/2_zoe woman/._9.png",
        "2_zoe woman/Thumbs.db",
        "2_zoe woman/.DS_Store",
    ],
)
def test_rubbish_is_told_and_does_no_harm(tmp_path, place):
    _kohya(tmp_path)
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / place).write_bytes(b"rubbish")
    findings = _look(tmp_path)
    assert _said(findings) == [(place, "unrelated file of another program: remove it")]
    assert findings.exit_code == 0


@pytest.mark.parametrize(
    ("content", "effect", "reason"),
    [
        (None, "changed", "no caption: the folder name is used instead"),
        (b"", "stops", "empty caption file"),
        (b"\nzoe woman", "changed", "empty caption: trained without a prompt"),
        (b"zoe woman\nin the snow", "changed", "more than one line: only the first is read"),
        (b"zo\xeb", "stops", "caption is not UTF-8"),
        (b"\xef\xbb\xbfzoe woman", "changed", "starts with a byte order mark"),
        (b"a woman", "doubt", "the trigger word 'zoe' is not in the caption"),
        (b"zoes woman", "doubt", "the trigger word 'zoe' is not in the caption"),
        (b"zoe" + b" a" * 75, "changed", "caption longer than 75 tokens: the rest is truncated"),
    ],
)
def test_captions_as_kohya_reads_them(tmp_path, content, effect, reason):
    own = _kohya(tmp_path)
    (own / "1.txt").unlink()
    if content is not None:
        (own / "1.txt").write_bytes(content)
    findings = _look(tmp_path, caption=ZOE)
    assert any(said.startswith(reason) for _, said in _said(findings, effect))
    assert {file.rpartition("/")[2][0] for file, _ in _said(findings)} == {"1"}


def test_75_tokens_are_not_too_many_and_a_tokenizer_is_asked(tmp_path):
    _kohya(tmp_path, caption="zoe" + " a" * 74)
    assert _said(_look(tmp_path)) == []
    twice = CaptionRule(count_tokens=lambda text: 2 * len(text.split()))
    findings = _look(tmp_path, caption=twice)
    assert len(_said(findings, "changed")) == 3


def _broken(kind, path):
    """One picture with something wrong."""
    if kind == "zero":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_bytes(b"no picture at all")
    elif kind.startswith("cut"):
        _paint(path, seed=7, format=kind[4:])
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif kind == "gone":
        path.symlink_to(path.with_name("nowhere.png"))
    elif kind == "alpha":
        image = Image.new("RGBA", (64, 64), (255, 0, 0, 255))
        image.putpixel((3, 3), (0, 0, 0, 0))
        image.save(path)
    elif kind == "animated":
        frames = [Image.new("RGB", (64, 64), (v, 0, 0)) for v in (0, 90, 180)]
        frames[0].save(path, format="WEBP", save_all=True, append_images=frames[1:], lossless=True)
    elif kind == "grey16":
        Image.fromarray(np.full((64, 64), 40_000, np.uint16)).save(path)
    elif kind == "lying":
        exif = Image.Exif()
        exif[0x0112] = 6
        _paint(path, seed=7, exif=exif)
    else:
        _paint(path, seed=7, mode=kind, format="TIFF" if kind == "CMYK" else "PNG")


@pytest.mark.parametrize(
    ("kind", "effect", "reason"),
    [
        ("zero", "stops", "0 bytes"),
        ("text", "stops", "cannot be read (not a picture)"),
        ("cut PNG", "stops", "cannot be read"),
        ("cut JPEG", "stops", "cannot be read"),
        ("gone", "stops", "file not found"),
        ("alpha", "changed", "transparent"),
        ("animated", "changed", "3 pictures in one file: only the first is read"),
        ("grey16", "changed", "more than 8 bits per channel"),
        ("CMYK", "changed", "CMYK"),
        ("P", "doubt", "palette image: 256 colours at most"),
        ("lying", "changed", "rotated by its EXIF orientation"),
    ],
)
def test_pictures_that_stop_or_change(tmp_path, kind, effect, reason):
    own = _kohya(tmp_path)
    (own / "1.png").unlink()
    _broken(kind, own / "1.png")
    findings = _look(tmp_path)
    assert [(f.file, f.effect) for f in findings.found] == [("2_zoe woman/1.png", effect)]
    assert findings.found[0].reason.startswith(reason)
    assert findings.exit_code == (2 if effect == "stops" else 0)
    assert findings.num_pictures == (2 if effect == "stops" else 3)


def test_what_is_kept_as_it_is_is_not_told(tmp_path):
    own = _kohya(tmp_path)
    Image.new("RGBA", (64, 64), (255, 0, 0, 255)).save(own / "0.png")  # opaque alpha
    _paint(own / "1.png", seed=7, mode="L")
    shutil.move(own / "2.png", own / "2.PNG")
    findings = _look(tmp_path)
    assert _said(findings) == [] and findings.num_pictures == 3


def test_datasets_turns_a_picture_that_lies_and_kohya_does_not(tmp_path):
    _imagefolder(tmp_path, ["0.png"])
    exif = Image.Exif()
    exif[0x0112] = 6
    _paint(tmp_path / "0.png", (64, 64), exif=exif)
    assert _said(_look(tmp_path, "imagefolder")) == []


def test_small_and_long_pictures_are_enlarged_and_cut(tmp_path):
    own = _kohya(tmp_path, number=1)
    _paint(own / "small.png", (32, 32), seed=5)
    _paint(own / "long.png", (640, 64), seed=6)
    for name in ("small", "long"):
        (own / f"{name}.txt").write_text("zoe woman")
    changed = dict(_said(_look(tmp_path), "changed"))
    assert changed["2_zoe woman/small.png"] == "32x32 is upscaled to 64x64"
    # 10:1 goes to 128 x 32: 320 x 32 of which 128 stay
    assert changed["2_zoe woman/long.png"] == "60% cropped: 640x64 to 128x32"
    smaller = _look(tmp_path, no_upscale=True)
    assert (32, 32) in smaller.buckets


def test_pictures_below_one_step_stop_kohya_when_nothing_is_enlarged(tmp_path):
    own = _kohya(tmp_path, number=1)
    _paint(own / "0.png", (20, 20))
    findings = _look(tmp_path, no_upscale=True)
    reason = "20x20 is smaller than one bucket step"
    assert _said(findings, "stops") == [("2_zoe woman/0.png", reason)]


def test_the_same_pixels_are_found_in_another_file_format(tmp_path):
    own = _kohya(tmp_path)
    with Image.open(own / "0.png") as image:
        image.save(own / "again.bmp")
    (own / "again.txt").write_text("zoe woman")
    findings = _look(tmp_path)
    reason = "identical to 2_zoe woman/0.png"
    assert _said(findings, "doubt") == [("2_zoe woman/again.bmp", reason)]


def test_held_out_pictures_that_were_trained_on_leak(tmp_path):
    _imagefolder(tmp_path / "train", ["0.png", "1.png"])
    _imagefolder(tmp_path / "test", ["2.png"])
    assert _look(tmp_path, "imagefolder").exit_code == 0
    shutil.copy(tmp_path / "train" / "1.png", tmp_path / "test" / "2.png")
    findings = _look(tmp_path, "imagefolder")
    reason = "held out, but identical to train/1.png"
    assert _said(findings, "leaks") == [("test/2.png", reason)]
    assert (findings.num_pictures, findings.num_held_out, findings.exit_code) == (2, 1, 2)


def test_two_captions_and_captions_without_pictures(tmp_path):
    own = _kohya(tmp_path)
    (own / "0.caption").write_text("zoe")
    (own / "7.txt").write_text("zoe")
    shutil.copy(own / "0.png", own / "0.jpg")
    assert {reason for _, reason in _said(_look(tmp_path), "doubt")} == {
        "second caption file for a picture: only .txt is read",
        "caption without a picture",
        "shares its caption with 0.jpg",
        "identical to 2_zoe woman/0.jpg",
    }


def test_a_link_out_of_the_folder_is_told(tmp_path):
    own = _kohya(tmp_path / "set")
    shutil.move(own / "0.png", tmp_path / "elsewhere.png")
    (own / "0.png").symlink_to(tmp_path / "elsewhere.png")
    (_, reason), *more = _said(_look(tmp_path / "set"), "doubt")
    assert reason.startswith("a link to a file outside the folder") and not more


def test_too_many_class_pictures_are_not_used(tmp_path):
    _kohya(tmp_path / "img", "1_zoe", 2)
    _kohya(tmp_path / "reg", "1_woman", 3)
    for index in range(3):
        _paint(tmp_path / "reg" / "1_woman" / f"{index}.png", seed=50 + index)
    findings = _look(tmp_path)
    assert findings.num_class == 2
    assert [file for file, _ in _said(findings, "doubt")] == ["reg/1_woman/2.png"]


def test_a_configuration_decides_which_folders_are_read(tmp_path):
    _kohya(tmp_path / "img", "1_zoe", 2)
    _kohya(tmp_path / "img", "5_new", 1)
    _paint(tmp_path / "img" / "5_new" / "0.png", seed=77)
    (tmp_path / "dataset.toml").write_text(
        "[general]\nresolution = 64\nbucket_reso_steps = 32\nmin_bucket_reso = 32\n"
        "max_bucket_reso = 128\n[[datasets]]\nbatch_size = 3\n[[datasets.subsets]]\n"
        'image_dir = "img/1_zoe"\nnum_repeats = 4\n[[datasets.subsets]]\nimage_dir = "img/gone"\n'
    )
    findings = picture_preview.preview_folder(tmp_path)
    assert (findings.trainer, findings.resolution_px, findings.batch_size) == ("kohya", 64, 3)
    assert (findings.num_with_repeats, findings.steps_per_epoch) == (8, 3)
    assert _said(findings, "dropped") == [
        ("img/5_new/0.png", "its folder is not listed in dataset.toml"),
        ("img/gone", "listed in dataset.toml, but there is no such folder"),
    ]


@pytest.mark.parametrize("level", ["general", "datasets", "subsets"])
def test_kohya_draws_from_all_lines_where_its_configuration_says_so(tmp_path, level):
    home = _kohya(tmp_path / "img", "1_zoe", 2)
    (home / "0.txt").write_text("zoe woman\nin the snow\n")
    told = dict.fromkeys(("general", "datasets", "subsets"), "")
    told[level] = "enable_wildcard = true\nnum_repeats = 3\n"
    (tmp_path / "dataset.toml").write_text(
        f"[general]\nresolution = 64\n{told['general']}[[datasets]]\n{told['datasets']}"
        f'[[datasets.subsets]]\nimage_dir = "img/1_zoe"\n{told["subsets"]}'
    )
    findings = picture_preview.preview_folder(tmp_path, caption=ZOE)
    assert findings.num_with_repeats == 6
    assert _said(findings) == [("img/1_zoe/0.png", "the trigger word 'zoe' is not in the caption")]
    text = (tmp_path / "dataset.toml").read_text().replace("true", "false")
    (tmp_path / "dataset.toml").write_text(text)
    findings = picture_preview.preview_folder(tmp_path, caption=ZOE)
    assert _said(findings) == [("img/1_zoe/0.txt", "more than one line: only the first is read")]


def test_what_nobody_said_is_told_as_assumed(tmp_path):
    _imagefolder(tmp_path, ["a.png"])
    findings = picture_preview.preview_folder(tmp_path)
    assert "assumed: 512 px and batch size 1, which the training script" in findings.to_text()
    findings = picture_preview.preview_folder(tmp_path, resolution_px=64, batch_size=2)
    assert "assumed" not in findings.to_text()


def test_shards_are_read_as_datasets_reads_them(tmp_path):
    source = tmp_path / "source"
    _kohya(source, "1_zoe", 3)
    (source / "1_zoe" / "2.txt").unlink()
    for split, names in (("train", "012"), ("test", "0")):
        (tmp_path / "set" / split).mkdir(parents=True)
        with tarfile.open(tmp_path / "set" / split / "set-0.tar", "w") as shard:
            for path in sorted((source / "1_zoe").iterdir()):
                if path.stem in names:
                    shard.add(path, path.name)
    (tmp_path / "set" / "train" / "set-1.tar").write_bytes(b"no tar" * 200)
    findings = picture_preview.preview_folder(tmp_path / "set", resolution_px=64, batch_size=2)
    assert (findings.trainer, findings.num_pictures, findings.num_held_out) == ("webdataset", 3, 1)
    assert findings.folder == (tmp_path / "set").as_posix()
    leaks = [("test/set-0/000000-0.png", "held out, but identical to set-0/000000-0.png")]
    assert _said(findings, "leaks") == leaks
    assert [file for file, _ in _said(findings, "stops")] == ["train/set-1.tar"]
    plain = [("train/set-0/000002-2.png", "no caption: trained without a prompt")]
    assert _said(findings, "changed") == plain


def test_a_configuration_that_is_no_toml_is_refused(tmp_path):
    (tmp_path / "dataset.toml").write_text("[general\n")
    with pytest.raises(UserError, match=r"dataset.toml: expected kohya's dataset configuration"):
        picture_preview.preview_folder(tmp_path)


MISTAKES = {  # of an imagefolder: file, what becomes of it
    "train/9.png": ("dropped", "not in the metadata"),
    "9.png": ("dropped", "outside the folders train, validation and test"),
    "train/.ipynb_checkpoints/0.png": ("doubt", "unrelated file"),
    "train/__old/9.png": ("dropped", "hidden, or in a hidden folder"),
    "other/9.png": ("dropped", "outside the folders train, validation and test"),
}


@pytest.mark.parametrize("place", MISTAKES)
def test_datasets_passes_over_what_we_say(tmp_path, place, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    import datasets

    datasets.disable_progress_bars()
    folder = tmp_path / "set"
    _imagefolder(folder / "train", ["0.png", "1.png"])
    _imagefolder(folder / "test", ["2.png"])
    _paint(folder / place, seed=500)
    findings = _look(folder, "imagefolder")
    effect, reason = MISTAKES[place]
    ((file, said),) = _said(findings, effect)
    assert file == place and said.startswith(reason)
    cache = str(tmp_path / "cache")
    loaded = datasets.load_dataset("imagefolder", data_dir=str(folder), cache_dir=cache)
    assert len(loaded["train"]) == findings.num_pictures == 2
    assert len(loaded["test"]) == findings.num_held_out == 1


def test_a_picture_called_test_takes_the_others_away(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    import datasets

    datasets.disable_progress_bars()
    for name in ("0.png", "1.png", "zoe-test-2.png"):
        _paint(tmp_path / "set" / name, seed=len(name))
    findings = _look(tmp_path / "set", "imagefolder")
    assert [file for file, _ in _said(findings, "dropped")] == ["0.png", "1.png"]
    assert findings.num_pictures == 0 and "nothing to train on" in findings.to_text()
    cache = str(tmp_path / "cache")
    loaded = datasets.load_dataset("imagefolder", data_dir=str(tmp_path / "set"), cache_dir=cache)
    assert {name: len(part) for name, part in loaded.items()} == {"test": 1}


def test_a_picture_below_two_folders_named_for_a_split_counts_as_datasets_counts(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    import datasets

    datasets.disable_progress_bars()
    for name in ("train/my-train-2/0.png", "train/1.png"):
        _paint(tmp_path / "set" / name, seed=len(name))
    findings = _look(tmp_path / "set", "imagefolder")
    cache = str(tmp_path / "cache")
    loaded = datasets.load_dataset("imagefolder", data_dir=str(tmp_path / "set"), cache_dir=cache)
    assert len(loaded["train"]) == findings.num_with_repeats == 3
    assert findings.num_pictures == 2


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("no json", "cannot be read"),
        ('{"name": "0.png"}', "expected a file_name in each row"),
        ('{"file_name": "../0.png"}', "metadata.jsonl names a file outside its folder"),
        ('{"file_name": "gone.png", "text": "zoe"}', "file not found"),
    ],
)
def test_metadata_that_stops_a_trainer(tmp_path, line, reason):
    (tmp_path / "metadata.jsonl").write_text(line)
    findings = _look(tmp_path, "imagefolder")
    ((_, said),) = _said(findings, "stops")
    assert said.startswith(reason) and findings.exit_code == 2


def test_our_own_set_with_class_pictures_and_masks(tmp_path):
    _imagefolder(tmp_path, ["0.png", "1.png"], repeats=3, split="train")
    _imagefolder(tmp_path / "class", ["0.png"], repeats=1, split="train", role="class")
    _paint(tmp_path / "class" / "0.png", seed=60)
    _paint(tmp_path / "masks" / "0.png", seed=61, mode="L")
    _paint(tmp_path / "left.png", seed=62)
    findings = picture_preview.preview_folder(tmp_path, batch_size=4, caption=ZOE)
    assert findings.trainer == "ours"
    assert (findings.num_pictures, findings.num_with_repeats, findings.num_class) == (2, 6, 1)
    assert (findings.steps_per_epoch, findings.buckets) == (2, {(64, 64): 6})
    assert _said(findings) == [("left.png", "not in metadata")]


def test_words_and_json_say_the_same(tmp_path):
    own = _kohya(tmp_path, number=5)
    for index in range(5):
        (own / f"{index}.txt").unlink()
    findings = _look(tmp_path)
    said = json.loads(findings.to_json())
    assert said["count"] == {"stops": 0, "dropped": 0, "leaks": 0, "changed": 5, "doubt": 0}
    assert said["buckets"] == {"64x64": 10} and said["is_good"] is True
    text = findings.to_text()
    assert "changed 5: no caption: the folder name is used instead" in text
    assert "2_zoe woman/2.png and 2 more" in text


def test_what_is_no_folder_of_pictures_is_refused(tmp_path):
    with pytest.raises(UserError, match="found no such folder"):
        picture_preview.preview_folder(tmp_path / "no")
    with pytest.raises(UserError, match="found none of them; give --trainer"):
        picture_preview.preview_folder(tmp_path)
    with pytest.raises(
        UserError, match="expected one of ours, kohya, imagefolder, webdataset, got auto1111"
    ):
        picture_preview.preview_folder(tmp_path, "auto1111")
    assert picture_preview.preview_folder(tmp_path, "kohya").exit_code == 2
