"""`bunny where`: from a picture to the film and back, on a small film."""

import json
import shutil
from fractions import Fraction

import cv2
import numpy as np
import pytest
import table_row

from bunny.command import export_timeline, where
from bunny.core.error import UserError
from bunny.library.timeline import find_picture, locate
from bunny.table import box as table_box
from bunny.table import store

from .conftest import FILM, write_film

TV = Fraction(30000, 1001)


def ask(owl, *what, **options):
    return where.where(*map(str, what), data_dir=str(owl.data), **options)


def test_a_training_picture_by_its_id(owl, tmp_path):
    export_timeline.export_shots(None, "shots:0,1", tmp_path / "a.edl", data_dir=str(owl.data))
    answer = ask(owl, "i2")
    (place,) = answer.places
    assert answer.how == "by its image_id"
    assert place["frame_id"] == f"{FILM}-00000040"
    assert (place["shot_index"], place["frame_index"], place["frame"]) == (1, 40, 40)
    assert (place["timecode"], place["second"]) == ("00:00:01:15", 1.6)
    # stored at half size below 45 lines of bars: 10 20 30 40 lies at twice that, 45 lower
    assert place["box"] == [20, 85, 60, 125]
    assert (place["character"], place["split"], place["labels"]) == (
        "Owl",
        "held-out",
        ["Fox", "Owl"],
    )
    (timeline,) = place["timelines"]
    assert timeline == {"file": str((tmp_path / "a.edl").resolve()), "clips": [2], "is_there": True}
    (tmp_path / "a.edl").unlink()
    assert "a.edl #2 (moved or deleted since)" in ask(owl, "i2").to_text()


@pytest.mark.parametrize(
    ("what", "how"),
    [(f"{FILM}-00000012", "by its frame_id"), (f"{FILM}-00000012-r00Owl", "by its subject_id")],
)
def test_a_frame_and_a_subject_by_id(owl, what, how):
    answer = ask(owl, what)
    assert (answer.how, answer.places[0]["frame_index"]) == (how, 12)
    assert answer.places[0]["caption"] == "an owl & a tree"


def test_files_of_the_films_folder(owl):
    assert ask(owl, owl.root / "dataset/Owl/i1.png").places[0]["image_id"] == "i1"
    assert ask(owl, owl.root / "frame/00000030.png").places[0]["frame_index"] == 30


def test_a_renamed_copy_is_found_by_its_bytes_and_a_changed_one_by_its_look(owl, tmp_path):
    copy = tmp_path / "holiday.png"
    shutil.copyfile(owl.root / "dataset/Owl/i1.png", copy)
    answer = ask(owl, copy)
    assert (answer.how, answer.places[0]["image_id"]) == ("identical to a stored picture", "i1")
    small = cv2.resize(cv2.imread(str(owl.root / "frame/00000040.png")), (320, 158))
    cv2.imwrite(str(tmp_path / "x.jpg"), small, [cv2.IMWRITE_JPEG_QUALITY, 60])
    answer = ask(owl, tmp_path / "x.jpg")
    assert answer.how.startswith("looks like a frame of the film (")
    assert answer.places[0]["frame_index"] == 40


def test_a_picture_of_another_film_is_nobodys(owl, tmp_path):
    image = np.random.default_rng(9).integers(0, 255, (40, 60, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "x.png"), image)
    with pytest.raises(UserError, match="found neither it nor a similar frame in owl-0a0a0a0a"):
        ask(owl, tmp_path / "x.png")
    (tmp_path / "x.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match="expected a picture, could not read it"):
        ask(owl, tmp_path / "x.png")


def test_a_picture_of_an_exported_set(owl, tmp_path):
    cv2.imwrite(str(tmp_path / "0000.png"), np.full((8, 8, 3), 90, np.uint8))
    row = {"file_name": "0000.png", "image_id": "i0"}
    (tmp_path / "metadata.jsonl").write_text(json.dumps(row), encoding="utf-8")
    answer = ask(owl, tmp_path / "0000.png")
    assert (answer.how, answer.places[0]["image_id"]) == ("by the metadata.jsonl next to it", "i0")
    copy = owl.root / "export" / "kohya" / "0007.png"
    copy.parent.mkdir(parents=True)
    shutil.copyfile(owl.root / "dataset/Owl/i0.png", copy)
    assert ask(owl, "i0").places[0]["exports"] == [str(copy)]


def test_a_drawing_leads_to_its_adapters_set(owl, tmp_path):
    from PIL import Image

    from bunny.generation import provenance

    row = {
        "run_id": "run-1",
        "step": 10,
        "character": "Owl",
        "file": "Owl/a.safetensors",
        "hash": "f" * 64,
        "is_last": True,
    }
    store.write(owl.root / "table", "adapter", store.from_rows("adapter", [row]))
    facts = {"adapters": [{"file": "a", "hash": "f" * 64, "strength": 1.0}], "seed": 3}
    provenance.save_png(tmp_path / "d.png", Image.new("RGB", (16, 16)), facts)
    answer = ask(owl, tmp_path / "d.png")
    assert answer.how == "generated with run-1, which was trained on these 2 training pictures"
    assert [p["image_id"] for p in answer.places] == ["i0", "i1"]  # not the held-out one


def test_a_drawing_that_was_measured_leads_to_the_nearest(owl):
    drawn = {"picture_id": "p1", "run_id": "run-1", "character": "Owl", "step": 10}
    seen = {"prompt_set": "report", "file": None, "nearest": 0.75, "nearest_id": "i1"}
    table = store.from_rows("evaluation_picture", [{**drawn, **seen}])
    store.write(owl.root / "table", "evaluation_picture", table)
    answer = ask(owl, "p1")
    assert answer.how == "generated; most similar training picture (cosine similarity 0.750)"
    assert [p["image_id"] for p in answer.places] == ["i1"]


@pytest.mark.parametrize("film", ["owl", FILM, "My Owl & co.mp4"])
def test_from_a_timecode_back_to_the_pictures(owl, film):
    answer = ask(owl, f"{film}@00:00:00:12")
    assert [p["image_id"] for p in answer.places] == ["i0", "i1"]
    assert "2 training pictures of this frame, 2 of the shot" in answer.how
    near = ask(owl, f"{film}@1.64")  # frame 41, one after i2's
    assert [p["image_id"] for p in near.places] == ["i2"]
    assert "no training pictures of this frame, 1 of the shot" in near.how


def test_from_a_second_of_a_film_that_begins_later(tmp_path):
    base = Fraction(1, 30_000)
    film = write_film(tmp_path / "data", TV, base, 30_030, start_timecode="01:00:00;00")
    answer = ask(film, second=1.001 + 12 * 1001 / 30_000 + 0.001)
    assert [(p["image_id"], p["timecode"]) for p in answer.places] == [
        ("i0", "01:00:00;12"),
        ("i1", "01:00:00;12"),
    ]
    assert ask(film, "owl@01:00:00:12").how == answer.how


@pytest.mark.parametrize("name", ["a.edl", "a.xml", "a.fcpxml", "a.otio"])
@pytest.mark.parametrize(("rate", "start"), [(Fraction(25), None), (TV, "01:00:00;00")])
def test_from_a_clip_back_to_the_pictures(tmp_path, name, rate, start):
    film = write_film(tmp_path / "data", rate, Fraction(1, 30_000), 1000, start_timecode=start)
    export_timeline.export_shots(None, "shots", tmp_path / name, data_dir=str(film.data))
    for number, images in ((1, ["i0", "i1"]), (2, ["i2"]), (3, [])):
        answer = ask(film, clip=f"{tmp_path / name}#{number}")
        assert [p["image_id"] for p in answer.places] == images
        assert f"shot {number - 1}," in answer.how


def test_another_editors_list_of_the_same_file(owl, tmp_path):
    path = tmp_path / "a.edl"
    path.write_text(
        "TITLE: x\n001  AX  V  C  00:00:00:10 00:00:00:20 00:00:00:00 00:00:00:10\n"
        "* FROM CLIP NAME: My Owl & co.mp4\n"
        "002  AX  V  C  00:00:00:10 00:00:00:20 00:00:00:10 00:00:00:20\n"
        "* FROM CLIP NAME: other.mp4\n",
        encoding="utf-8",
    )
    assert [p["image_id"] for p in ask(owl, clip=f"{path}#1").places] == ["i0", "i1"]
    with pytest.raises(UserError, match="expected a clip of a known film"):
        ask(owl, clip=f"{path}#2")
    with pytest.raises(UserError, match="expected a clip number from 1 to 2"):
        ask(owl, clip=f"{path}#3")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ((), "expected exactly one of PICTURE"),
        (("i0", "--second", "1"), "expected exactly one of PICTURE"),
        (("nothing",), "found no such file and no such id in owl-0a0a0a0a"),
        (("--second", "99"), "which runs from 00:00:00:00 to 00:00:02:24"),
        (("bear@00:00:00:00",), "expected a film named bear"),
        (("owl@00:00:00:25",), "expected a timecode that exists at 25 fps"),
        (("--clip", "a.edl"), "expected FILE#NUMBER"),
        (("--clip", "a.edl#1"), "timeline file not found"),
    ],
)
def test_what_cannot_be_is_one_sentence(bunny, owl, options, sentence):
    code, out, error = bunny("where", "--data-dir", owl.data, *options)
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert sentence in error


def test_the_command_answers_in_json(bunny, owl):
    code, out, _ = bunny("where", "i0", "--data-dir", owl.data, "--json")
    answer = json.loads(out)
    assert (code, answer["asked"], answer["places"][0]["timecode"]) == (0, "i0", "00:00:00:12")


def test_a_film_without_a_rate_does_not_hide_the_others(owl):
    other = owl.data / "output" / "bad-0b0b0b0b"
    shutil.copytree(owl.root, other)
    film = store.read(other / "table", "film").to_dicts()[0]
    bad = {**film, "film_id": "bad-0b0b0b0b", "frame_rate_num": 0}
    store.write(other / "table", "film", store.from_rows("film", [bad]))
    assert ask(owl, "i0").places[0]["film_id"] == FILM
    with pytest.raises(UserError, match="frame rate of the film is unknown"):
        ask(owl, "i0", film="bad")


def test_likeness_wants_both_hash_and_picture():
    look = find_picture.PictureHash(phash=0b1111, signature=np.arange(1024).astype(np.uint8))
    hashes = np.array([0b1111, 0b1110, 2**64 - 1], np.uint64)
    same, flat = look.signature, np.full(1024, 7, np.uint8)
    found = find_picture.nearest(look, hashes, np.stack([flat, same, same]))
    assert (found.index, found.bits) == (1, 1)
    assert found.correlation == pytest.approx(1)
    assert find_picture.nearest(look, hashes[[0, 2]], np.stack([flat, same])) is None
    assert find_picture.nearest(look, hashes[:0], np.zeros((0, 1024), np.uint8)) is None


def test_a_box_without_a_crop_stays():
    frame = dict.fromkeys((*table_box.CROP, "width_px", "height_px"))
    assert locate.film_box(frame, (1, 2, 3, 4)) == [1, 2, 3, 4]


def test_the_command_looks_in_the_film_that_is_named(bunny, owl):
    other = owl.root.with_name("newer-0b0b0b0b")
    shutil.copytree(owl.root, other)
    store.write(other / "table", "dataset", store.from_rows("dataset", []))
    asked = ("where", "i0", "--data-dir", owl.data)
    assert bunny(*asked)[0] == bunny(*asked, "--film", "owl")[0] == 0
    code, _, error = bunny(*asked, "--film", "newer")
    assert code == 2 and "found no such file and no such id" in error


def test_a_pair_by_its_id_and_by_its_files(owl):
    files = ["pair/reference/Owl/p-target.png", "pair/reference/Owl/p-reference-1.png"]
    reference = {"frame_ids": [f"{FILM}-00000040"], "s": [1.6], "shot_indices": [1]}
    row = {f"reference_{key}": value for key, value in reference.items()}
    row |= {"pair_id": "Owl-reference-0000", "character": "Owl", "instruction": "an owl"}
    row |= {"target_frame_id": f"{FILM}-00000012", "target_s": 0.48, "files": files}
    table_row.write(owl.root / "table", "training_pair", [row | {"sha256": ["a", "b"]}])
    (owl.root / "pair/reference/Owl").mkdir(parents=True)
    for file in files:
        shutil.copyfile(owl.root / "frame/00000030.png", owl.root / file)
    answer = ask(owl, "Owl-reference-0000")
    assert [place["frame_index"] for place in answer.places] == [12, 40]
    (place,) = ask(owl, owl.root / files[1]).places
    assert place["frame_index"] == 40


def _save(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)
    return path


def test_a_picture_of_an_export_is_found_after_the_set_changed(owl, tmp_path):
    gone = f"{FILM}-00000030-f00-c0"  # no longer in the training set
    file = _save(tmp_path / "ex" / "img" / "1_owl" / "0000.png", np.zeros((8, 8), np.uint8))
    record = {"sources": {"img/1_owl/0000.png": gone}}
    (tmp_path / "ex" / "export.json").write_text(json.dumps(record), encoding="utf-8")
    answer = ask(owl, file)
    assert answer.how == "by the export.json of its export; it is no longer in the training set"
    assert answer.places[0]["frame_index"] == 30
    beside = _save(tmp_path / "tar" / "000000.png", np.zeros((8, 8), np.uint8))
    row = {"image_id": "i1", "frame_id": f"{FILM}-00000012"}
    beside.with_suffix(".json").write_text(json.dumps(row), encoding="utf-8")
    assert ask(owl, beside).how == "by 000000.json"
    assert ask(owl, beside).places[0]["image_id"] == "i1"


def test_a_frame_that_is_no_longer_kept_is_found_by_its_number(owl, tmp_path):
    pts = round(Fraction(33, 25) / Fraction(1, 12800))
    row = table_row.fill("change", film_id=FILM, frame_index=33, pts=pts, timestamp_s=1.32)
    store.write(owl.root / "table", "change", store.from_rows("change", [row]))
    file = _save(tmp_path / "set" / "a.png", np.zeros((8, 8), np.uint8))
    line = json.dumps({"file_name": "a.png", "image_id": f"{FILM}-00000033-f00-c0"})
    (file.parent / "metadata.jsonl").write_text(line, encoding="utf-8")
    (place,) = ask(owl, file).places
    assert (place["shot_index"], place["timecode"], place["second"]) == (1, "00:00:01:08", 1.32)
    other = json.dumps({"file_name": "a.png", "image_id": "fox-0b0b0b0b-00000033-f00-c0"})
    (file.parent / "metadata.jsonl").write_text(other, encoding="utf-8")
    with pytest.raises(UserError, match=r"comes from fox-0b0b0b0b-00000033-f00-c0 according to"):
        ask(owl, file)


@pytest.mark.parametrize("side", [200, 128, 320])
def test_a_crop_without_a_record_is_found_in_its_frame(owl, tmp_path, side):
    frame = cv2.imread(str(owl.root / "frame/00000040.png"))
    crop = cv2.resize(frame[60:260, 300:500], (side, side), interpolation=cv2.INTER_AREA)
    answer = ask(owl, _save(tmp_path / "crop.png", crop))
    assert answer.how.startswith("looks like a part of a frame of the film (")
    assert answer.places[0]["frame_index"] == 40
