"""kohya's folders, read back by a reader that follows the rules of sd-scripts and no code of ours.

Its rules: repeats are what stands before the first underscore of a folder's name, the class tokens
what comes after; pictures are png, jpg, jpeg, webp, bmp in lower or upper case, one level deep; the
caption is the first line of the text file of the same name, else the class tokens. From a
configuration, a data set whose `validation_split` is 1 is held out, and one in which every folder
has a `conditioning_data_dir` needs a mask of the picture's name and size for every picture.
"""

import tomllib
from dataclasses import replace

import cv2
import numpy as np
import pytest

from bunny.dataset.crop_caption import CaptionVariant
from bunny.trainer_format.check import kohya_folder
from bunny.trainer_format.export import kohya

LOWER = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
EXTENSIONS = {*LOWER, *(extension.upper() for extension in LOWER)}
# Of sd-scripts' configuration; it refuses others.
BUCKET_KEYS = {"enable_bucket", "resolution", "min_bucket_reso", "max_bucket_reso"}
DATASET_KEYS = {"bucket_reso_steps", "batch_size", "validation_split", "subsets"}
SUBSET_KEYS = {"caption_extension", "image_dir", "enable_wildcard", "num_repeats", "class_tokens"}
KNOWN_KEYS = BUCKET_KEYS | DATASET_KEYS | SUBSET_KEYS | {"is_reg", "conditioning_data_dir"}


def _read_folder(folder, tokens):
    """Pictures of one folder: pixels and caption."""
    found = []
    for path in sorted(p for p in folder.iterdir() if p.suffix in EXTENSIONS):
        caption, beside = tokens, path.with_suffix(".txt")
        if beside.is_file():
            caption = beside.read_text(encoding="utf-8").splitlines()[0].strip()
        found.append((cv2.imread(str(path)), caption))
    return found


def _read_by_names(root):
    """What `--train_data_dir` or `--reg_data_dir` gives: (repeats, class tokens, pictures)."""
    found = []
    for folder in sorted(root.iterdir()):
        head, *rest = folder.name.split("_")
        found.append((int(head), "_".join(rest), _read_folder(folder, "_".join(rest))))
    return found


def _write(tmp_path, pictures, about):
    target = tmp_path / "set"
    target.mkdir()
    return target, kohya.write(target, pictures, about)


def test_folders_give_back_repeats_pictures_and_captions(tmp_path, pictures, about):
    target, counts = _write(tmp_path, pictures, about)
    assert counts == {"img": 4, "val": 2, "reg": 2}
    once, twice = _read_by_names(target / "img")
    assert (once[:2], twice[:2]) == ((1, "zoë woman"), (2, "zoë woman"))
    for (_, _, got), put in ((once, [pictures[0], pictures[3]]), (twice, pictures[1:3])):
        assert [caption for _, caption in got] == [p.caption for p in put]
        for (pixels, _), one in zip(got, put, strict=True):
            assert np.array_equal(pixels, cv2.imread(str(one.file)))
    (reg,) = _read_by_names(target / "reg")
    assert reg[:2] == (1, "woman")
    assert [caption for _, caption in reg[2]] == ["woman in the snow", "a street"]


def test_the_configuration_names_the_same_folders_and_holds_out_val(tmp_path, pictures, about):
    target, _ = _write(tmp_path, pictures, about)
    config = tomllib.loads((target / "dataset.toml").read_text(encoding="utf-8"))
    train, held_out = config["datasets"]
    keys = {k for part in (config["general"], train, held_out) for k in part}
    keys |= {k for part in (train, held_out) for subset in part["subsets"] for k in subset}
    assert keys <= KNOWN_KEYS
    assert config["general"]["resolution"] == 64
    assert (config["general"]["min_bucket_reso"], config["general"]["max_bucket_reso"]) == (32, 128)
    assert train["batch_size"] == 2
    read = [
        (s["image_dir"], s.get("num_repeats", 1), s["class_tokens"], s.get("is_reg", False))
        for s in train["subsets"]
    ]
    assert read == [
        ("img/1_zoë woman", 1, "zoë woman", False),
        ("img/2_zoë woman", 2, "zoë woman", False),
        ("reg/1_woman", 1, "woman", True),
    ]
    assert held_out["validation_split"] == 1.0
    (val,) = held_out["subsets"]
    got = _read_folder(target / val["image_dir"], None)
    assert [caption for _, caption in got] == [p.caption for p in pictures[4:6]]


def test_masks_pair_with_every_picture(tmp_path, pictures, about):
    target, _ = _write(tmp_path, pictures, about)
    config = tomllib.loads((target / "dataset_masked.toml").read_text(encoding="utf-8"))
    masked, others, held_out = config["datasets"]
    (reg,) = others["subsets"]  # `is_reg` needs training pictures in the same data set
    assert reg == {"image_dir": "reg/1_woman", "class_tokens": "woman"}
    plain = tomllib.loads((target / "dataset.toml").read_text(encoding="utf-8"))
    assert held_out == plain["datasets"][-1]
    shares = []
    for subset in masked["subsets"]:
        names = sorted(p.stem for p in (target / subset["image_dir"]).glob("*.png"))
        masks = sorted((target / subset["conditioning_data_dir"]).iterdir())
        assert [m.stem for m in masks] == names
        for mask in masks:
            white = cv2.imread(str(mask), cv2.IMREAD_GRAYSCALE)
            picture = cv2.imread(str(target / subset["image_dir"] / mask.name))
            assert white.shape == picture.shape[:2]
            shares.append(white.mean() / 255)
    assert shares == [1.0, 0.5, 1.0, 1.0]  # 0000 and 0003 once, 0001 and 0002 twice


def test_without_masks_there_is_no_configuration_for_them(tmp_path, pictures, about):
    target, _ = _write(tmp_path, pictures[:2], about)
    names = sorted(p.name for p in target.iterdir())
    assert names == ["README.md", "dataset.toml", "img", "rights.json"]


def test_captions_come_in_one_file_too_when_asked_for(tmp_path, pictures, about):
    target, _ = _write(tmp_path, pictures, replace(about, has_jsonl=True))
    lines = (target / "metadata.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 4
    assert '"file_name": "img/2_zoë woman/0001.png"' in lines[1]


@pytest.mark.parametrize(
    ("subject", "name"),
    [
        ("../../etc/passwd", "3_etc passwd"),
        ('AC/DC: "live"?', "3_AC DC live"),
        ("a_b c", "3_a_b c"),
        ("Zoe\u0308", "3_Zoë"),
        ("line\nbreak\x07", "3_line break"),
        ("[x]*", "3_x"),
        (" . ", "3_subject"),
    ],
)
def test_folder_names_are_safe_and_read_back(tmp_path, subject, name):
    assert kohya_folder.folder_name(3, subject) == name
    (tmp_path / name).mkdir()
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert kohya_folder.parse_folder(name) == (3, name[2:])


def test_long_names_fit_a_file_system(tmp_path):
    name = kohya_folder.folder_name(1, "ü" * 300)
    (tmp_path / name).mkdir()
    assert name == "1_" + "ü" * 100


def test_several_captions_are_lines_as_often_as_their_shares(tmp_path, pictures, about):
    """0.5, 0.3 and 0.2 are 5, 3 and 2 lines of ten; sd-scripts draws one of them each time."""
    variants = tuple(
        CaptionVariant(text=text, share=share)
        for text, share in (("zoë", 0.3), ("zoë in the snow", 0.5), ("zoë, snow", 0.2))
    )
    several = [replace(pictures[0], variants=variants), *pictures[1:]]
    target, _ = _write(tmp_path, several, about)
    assert "enable_wildcard = true" in (target / "dataset.toml").read_text(encoding="utf-8")
    texts = [p.read_text(encoding="utf-8") for p in sorted((target / "img").rglob("*.txt"))]
    [lines] = [text.splitlines() for text in texts if len(text.splitlines()) > 1]
    assert lines == ["zoë in the snow"] * 5 + ["zoë"] * 3 + ["zoë, snow"] * 2
    assert len(texts) == 4


def test_one_caption_needs_no_wildcards(tmp_path, pictures, about):
    target, _ = _write(tmp_path, pictures, about)
    assert "enable_wildcard" not in (target / "dataset.toml").read_text(encoding="utf-8")
