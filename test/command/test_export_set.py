"""`bunny export` and `bunny check` on the workspace of a film, through the command line."""

import hashlib
import json
import tarfile
import tomllib

import cv2
import numpy as np
import polars as pl
import pytest
from set_on_disk import make_set

from bunny.core import atomic, workspace
from bunny.table import store


@pytest.fixture
def space(tmp_path):
    """The workspace of a film with a set of anna."""
    film = tmp_path / "My Film.mp4"
    film.write_bytes(b"a film")
    space = workspace.create(tmp_path, "data", film, None)
    store.write(space.table, "dataset", store.from_rows("dataset", make_set(space, "anna", 4, 0)))
    return space


def _add_bo(space):
    rows = [*store.read(space.table, "dataset").to_dicts(), *make_set(space, "bo", 3, 50)]
    store.write(space.table, "dataset", store.from_rows("dataset", rows))


def _digest(folder):
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_a_set_is_exported_for_kohya_and_looked_at_as_kohya_would(bunny, space, tmp_path):
    code, out, err = bunny("export", "kohya", "--output", "out", "--set", "captioning.class_word=w")
    assert (code, err) == (0, "")
    names = sorted(p.name for p in (tmp_path / "out" / "img" / "2_anna w").iterdir())
    assert names == [f"{i:04d}.{e}" for i in range(3) for e in ("png", "txt")]
    assert "anna as kohya: 3 img, 1 val, 0 reg" in out
    assert "3 pictures, 2 repeats, 1 bucket, 1 step per epoch at batch size 8, dropped 0" in out
    assert "rights: licence of the film not given: do not publish" in out
    assert json.loads((tmp_path / "out" / "export.json").read_text())["trigger"] == "anna"


@pytest.mark.parametrize("form", ["imagefolder", "kohya", "onetrainer", "webdataset"])
@pytest.mark.parametrize("way", ["link", "linked folder", "path"])
def test_a_set_that_names_files_elsewhere_is_not_exported(bunny, space, tmp_path, form, way):
    secret = tmp_path / "secret.png"
    secret.write_bytes((space.root / "dataset" / "anna" / "0000.png").read_bytes())
    place = {"link": "dataset/anna/own.png", "linked folder": "near/secret.png"}.get(
        way, str(secret)
    )
    (space.root / "dataset" / "anna" / "own.png").symlink_to(secret)
    (space.root / "near").symlink_to(tmp_path)
    table = pl.read_parquet(space.table / "dataset.parquet").with_columns(file=pl.lit(place))
    table.write_parquet(space.table / "dataset.parquet")
    code, _, err = bunny("export", "set", "--format", form, "--output", "out")
    assert code == 2 and "leads out of it" in err and len(err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("form", ["imagefolder", "kohya", "onetrainer", "webdataset"])
def test_every_format_exports_twice_alike_with_its_rights(bunny, space, tmp_path, form):
    rights = ["--set", "rights.film_licence=CC-BY-3.0", "--set", "rights.film_title=Mine"]
    command = ["export", "set", "--format", form, "--output", "out", *rights]
    assert bunny(*command)[0] == 0
    first = _digest(tmp_path / "out")
    assert bunny(*command)[0] == 0
    assert _digest(tmp_path / "out") == first
    code, out, err = bunny("check", "out")
    if form == "onetrainer":
        assert code == 2 and "a trainer whose rules check knows, got one for onetrainer" in err
    else:
        assert code == 0 and "3 pictures" in out and "at batch size 8" in out
        assert "assumed" not in out and ("(WebDataset)" in out) == (form == "webdataset")
    record = json.loads((tmp_path / "out" / "rights.json").read_text())
    assert record["film"] == {
        "title": "Mine",
        "file": "My Film.mp4",
        "content_hash": hashlib.sha256(b"a film").hexdigest(),
        "licence": "CC-BY-3.0",
        "source": "",
    }
    assert str(tmp_path) not in (tmp_path / "out" / "rights.json").read_text()
    assert "license: cc-by-3.0" in (tmp_path / "out" / "README.md").read_text()


def test_without_a_place_it_lies_with_the_film(bunny, space):
    assert bunny("export", "imagefolder")[0] == 0
    assert (space.root / "export" / "imagefolder" / "anna" / "train" / "0002.png").is_file()


def test_repeats_may_be_given(bunny, space, tmp_path):
    assert bunny("export", "kohya", "--output", "out", "--repeats", 7)[0] == 0
    assert [p.name[:6] for p in (tmp_path / "out" / "img").iterdir()] == ["7_anna"]


def test_of_two_sets_one_must_be_named(bunny, space, tmp_path):
    _add_bo(space)
    code, _, err = bunny("export", "kohya", "--output", "out")
    assert code == 2
    assert "expected a character with a training set (anna, bo), none given" in err
    assert bunny("export", "kohya", "--output", "out", "--character", "bo")[0] == 0
    assert [p.name[:4] for p in (tmp_path / "out" / "img").iterdir()] == ["2_bo"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--format", "csv"], "--format: expected imagefolder, kohya, onetrainer, webdataset"),
        (["--repeats", "0"], "--repeats: expected auto or a number from 1 to 10000, got '0'"),
        (["--repeats", "many"], "got 'many'"),
        (["--captions", "xml"], "--captions: expected txt, jsonl, got xml"),
        (["--character", "eve"], "got eve"),
        (["--output", "My Film.mp4"], "expected a folder or a new path, found something else"),
        (["--output", "data"], "expected an empty folder or an earlier export"),
        (["no-such-film"], "begins with no-such-film"),
    ],
)
def test_what_cannot_be_exported_is_one_sentence(bunny, space, arguments, words):
    code, _, err = bunny("export", "set", *arguments)
    assert code == 2
    assert words in err and len(err.strip().splitlines()) == 1


def test_a_film_without_a_set_is_refused(bunny, space):
    store.write(space.table, "dataset", store.from_rows("dataset", []))
    for command in (["export", "kohya"], ["check"]):
        code, _, err = bunny(*command)
        assert code == 2
        assert "expected a training set, found none (stage dataset has not run)" in err
    record = {"note": "anna: 0 pictures, not found in the film\nbo: 0 pictures of 3 views"}
    atomic.write_bytes(space.stage("dataset") / "stage.json", json.dumps(record).encode())
    why = "found none (anna: 0 pictures, not found in the film, bo: 0 pictures of 3 views)"
    assert why in bunny("export", "kohya")[2]


def test_check_looks_at_all_sets_of_a_film(bunny, space):
    _add_bo(space)
    code, out, _ = bunny("check", "--json")
    assert code == 0
    sets = json.loads(out)["sets"]
    assert [(s["num_pictures"], s["num_held_out"]) for s in sets] == [(3, 1), (2, 1)]
    assert all(s["trainer"] == "ours" and s["batch_size"] == 8 for s in sets)


def test_check_fails_on_what_would_be_lost(bunny, space):
    (space.root / "dataset" / "anna" / "0001.png").write_bytes(b"")
    code, out, _ = bunny("check")
    assert code == 2
    assert "stops training 1: 0 bytes" in out
    assert "2 pictures, 2 repeats" in out


def test_check_of_a_folder(bunny, space, tmp_path):
    assert bunny("export", "kohya", "--output", "out")[0] == 0
    assert bunny("check", "out", "--trigger", "anna")[0] == 0
    (tmp_path / "out" / "img" / "loose.png").write_bytes(b"x")
    code, out, _ = bunny("check", "out")
    assert code == 2 and "its folder is not listed in dataset.toml" in out
    code, _, err = bunny("check", "My Film.mp4")
    assert code == 2 and "found a file" in err
    code, _, err = bunny("check", "out", "--trainer", "other")
    assert code == 2 and "--trainer: expected ours, kohya, imagefolder" in err


@pytest.mark.parametrize("form", ["imagefolder", "kohya", "webdataset"])
def test_a_set_of_each_format_goes_where_it_is_told_and_is_whose_it_is_told(
    bunny, space, tmp_path, form
):
    _add_bo(space)
    options = ("--character", "bo", "--output", "out", "--set", "rights.film_licence=CC0-1.0")
    code, out, _ = bunny("export", form, *options)
    assert code == 0 and out.startswith(f"bo as {form}: ")
    assert "license: cc0-1.0" in (tmp_path / "out" / "README.md").read_text()
    assert not (space.root / "export").exists()


def _in_shards(folder, ending):
    """Files of an ending in the shards of pictures to train with, by name."""
    (path,) = (folder / "train").glob("*.tar")
    with tarfile.open(path) as shard:
        names = [name for name in shard.getnames() if name.endswith(ending)]
        return {name: shard.extractfile(name).read() for name in names}


def test_repeats_stand_beside_every_picture_of_the_other_formats(bunny, space, tmp_path):
    assert bunny("export", "imagefolder", "--output", "a", "--repeats", "5")[0] == 0
    lines = (tmp_path / "a" / "train" / "metadata.jsonl").read_text().splitlines()
    assert [json.loads(line)["repeats"] for line in lines] == [5, 5, 5]
    assert bunny("export", "webdataset", "--output", "b", "--repeats", "5")[0] == 0
    told = [json.loads(one)["repeats"] for one in _in_shards(tmp_path / "b", ".json").values()]
    assert told == [5, 5, 5]


def test_captions_are_written_as_well_where_the_format_needs_none(bunny, space, tmp_path):
    def files(name):
        found = sorted(p for p in (tmp_path / name).rglob("*") if p.is_file())
        return {p.relative_to(tmp_path / name).as_posix() for p in found}

    for form, kind in (("imagefolder", "txt"), ("kohya", "jsonl"), ("webdataset", "txt")):
        assert bunny("export", form, "--output", form)[0] == 0
        assert bunny("export", form, "--output", f"{form}+", "--captions", kind)[0] == 0
    assert files("imagefolder+") - files("imagefolder") == {
        *(f"train/000{i}.txt" for i in range(3)),
        "test/0000.txt",
    }
    (more,) = files("kohya+") - files("kohya")
    lines = [json.loads(one) for one in (tmp_path / "kohya+" / more).read_text().splitlines()]
    assert lines[2] == {
        "file_name": "img/2_anna character/0002.png",
        "text": "anna woman in the snow",
    }
    assert len(lines) == 3
    assert files("webdataset+") == files("webdataset")  # a caption is in each sample anyway
    assert len(_in_shards(tmp_path / "webdataset+", ".txt")) == 3


def test_check_counts_with_the_batch_and_the_side_it_is_given(bunny, space):
    def look(*options):
        (one,) = json.loads(bunny("check", "out", "--json", *options)[1])["sets"]
        enlarged = [found["reason"] for found in one["found"] if found["effect"] == "changed"]
        return one["buckets"], one["steps_per_epoch"], enlarged

    assert bunny("export", "kohya", "--output", "out")[0] == 0
    twice = ["64x64 is upscaled to 128x128"] * 3  # dataset.max_upscale allows it
    assert look("--batch-size", "8") == ({"128x128": 6}, 1, twice)
    assert look("--batch-size", "2") == ({"128x128": 6}, 3, twice)
    assert look("--resolution", "64") == ({"64x64": 6}, 1, [])
    code, out, err = bunny("check", "out", "--resolution", "32")
    assert (code, out) == (2, "") and "one kohya bucket step, 64 px, got 32" in err


def test_the_batch_of_the_settings_counts_where_none_is_given(bunny, space):
    """Three pictures twice: by twos, three steps an epoch."""
    two = ("--set", "models.batch_size=2")
    code, out, _ = bunny("export", "kohya", "--output", "out", *two)
    assert code == 0 and "3 steps per epoch at batch size 2" in out
    (one,) = json.loads(bunny("check", "--json", *two)[1])["sets"]
    assert one["batch_size"] == 2


def test_a_set_is_checked_for_the_trigger_word_that_is_set(bunny, space):
    """Captions say anna, so with another template each of the four lacks its word."""
    options = ("check", "--json", "--set", "captioning.trigger_word=sks {name}")
    (one,) = json.loads(bunny(*options)[1])["sets"]
    lacking = "the trigger word 'sks anna' is not in the caption"
    assert [found["reason"] for found in one["found"]] == [lacking] * 4


def _add_sizes(space, sizes):
    """Give the pictures of the set other sides, as far as the table and their files say."""
    rows = store.read(space.table, "dataset").to_dicts()
    for row, side in zip(rows, sizes, strict=True):
        cv2.imwrite(str(space.root / row["file"]), np.full((side, side, 3), side % 256, np.uint8))
        row |= {"width_px": side, "height_px": side}
    store.write(space.table, "dataset", store.from_rows("dataset", rows))


def test_a_set_is_exported_at_the_resolution_of_the_base_that_is_named(bunny, space, tmp_path):
    """Pictures of 600, 600 and 300 px, enlarged twice at most; the last one is held out."""
    _add_sizes(space, [600, 600, 300, 600])

    def export(*options):
        code, out, err = bunny("export", "kohya", "--output", "out", *options)
        toml = tomllib.loads((tmp_path / "out" / "dataset.toml").read_text())
        return (
            code,
            toml["general"]["resolution"],
            len(list((tmp_path / "out").rglob("img/*/*.png"))),
            out + err,
        )

    assert export("--base", "sdxl")[:3] == (0, 1024, 2)
    assert "1 pictures are too small" not in export("--base", "sd15")[3]
    code, side, number, said = export("--base", "sd15")
    assert (code, side, number) == (0, 512, 3)
    assert "the pictures are large enough for more than 512 px: with --resolution 1024" in said
    assert export()[:3] == (0, 1024, 2)  # what half of the pictures allow
    assert export("--resolution", "256")[:3] == (0, 256, 3)
    assert export("--base", "somebody/flux.1-anime")[:2] == (0, 1024)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--base", "sd3000"), "--base: expected sd21, sd15, pony, illustrious"),
        (("--base", "some/body"), "or set models.family (sd, sdxl, sd3 or flux)"),
        (("--resolution", "1024"), "found none; use --resolution 128"),
    ],
)
def test_a_base_or_resolution_that_does_not_serve_is_one_sentence(bunny, space, options, words):
    """The pictures have 64 px."""
    code, _, err = bunny("export", "kohya", "--output", "out", *options)
    assert code == 2 and words in err and len(err.strip().splitlines()) == 1


def test_check_shows_what_our_trainer_reads_at_a_resolution(bunny, space):
    _add_sizes(space, [600, 600, 300, 600])
    (one,) = json.loads(bunny("check", "--json", "--resolution", "1024")[1])["sets"]
    assert (one["num_pictures"], one["buckets"]) == (2, {"1024x1024": 4})
    (reason,) = {one["reason"] for one in one["found"] if "left out" in one["reason"]}
    assert reason == "300x300 is left out: too small for 1024x1024 (enlarged 3.4 times)"
    (one,) = json.loads(bunny("check", "--json", "--resolution", "512")[1])["sets"]
    assert (one["num_pictures"], one["buckets"]) == (3, {"512x512": 6})


@pytest.mark.parametrize("form", ["set", "imagefolder", "webdataset"])
def test_other_formats_leave_out_what_is_too_small_only_where_a_size_is_asked_for(
    bunny, space, tmp_path, form
):
    """One of three pictures to train with has 300 px, and 1024 px are more than twice as many."""
    _add_sizes(space, [600, 600, 300, 600])
    assert "3 train, 1 test" in bunny("export", form, "--output", "all")[1]
    assert "2 train, 1 test" in bunny("export", form, "--output", "a", "--resolution", "1024")[1]
    assert "2 train, 1 test" in bunny("export", form, "--output", "b", "--base", "flux1")[1]
