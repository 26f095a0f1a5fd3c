"""`bunny pack` and `bunny unpack`: the same film on another machine, or one sentence."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest

from bunny.command import pack
from bunny.core import file_hash, workspace
from bunny.core.error import UserError


@pytest.fixture
def packed(small_project, tmp_path, monkeypatch):
    """The archive of a small film on which every stage has run, in its project."""
    monkeypatch.chdir(small_project.folder)
    done = Path(small_project.done["workspace"])
    report = pack.pack(done.name, tmp_path / "film.zip", data_dir=str(done.parents[1]))
    assert Path(report.path) == tmp_path / "film.zip"
    return done, tmp_path / "film.zip"


def hashes(folder):
    return {
        path.relative_to(folder).as_posix(): file_hash.hash_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_another_machine_has_the_same_film_and_nothing_to_do(
    small_project, packed, bunny, tmp_path, monkeypatch
):
    monkeypatch.chdir(small_project.folder)  # for its settings
    done, archive = packed
    data = tmp_path / "other" / "data"
    code, out, _ = bunny("unpack", archive, "--data-dir", data, "--json")
    space = workspace.locate(tmp_path / "other", str(data), done.name)
    assert code == 0 and json.loads(out)["path"] == str(space.root)
    here = {
        name: value
        for name, value in hashes(done).items()
        if name not in (*pack.OWN, "source.json")
    }
    there = hashes(space.root)
    assert here.items() <= there.items()
    assert all(name.startswith(pack.GIVEN) or name == "source.json" for name in there.keys() - here)
    code, out, _ = bunny("status", done.name, "--data-dir", data, "--json")
    [film] = json.loads(out)["films"]
    assert {one["name"]: one["why"] for one in film["stages"] if one["state"] != "done"} == {}


def test_the_same_film_packs_to_the_same_bytes(packed, tmp_path):
    done, archive = packed
    again = pack.pack(done.name, tmp_path / "again.zip", data_dir=str(done.parents[1]))
    assert Path(again.path).read_bytes() == archive.read_bytes()
    with zipfile.ZipFile(archive) as opened:
        manifest = json.loads(opened.read("manifest.json"))
        names = opened.namelist()
    assert manifest["rights"]["notes"] == list(again.notes) != []
    assert not any("/log/" in name or name.endswith(".lock") for name in names)


def test_without_pictures_nobody_is_shown(packed, bunny, tmp_path):
    done, _ = packed
    data, target = done.parents[1], tmp_path / "bare.zip"
    code, out, _ = bunny("pack", done.name, "--no-pictures", "-o", target, "--data-dir", data)
    assert code == 0 and "without pictures" in out
    code, out, _ = bunny("pack --pictures --json --output", target, done.name, "--data-dir", data)
    assert json.loads(out)["has_pictures"]
    bunny("pack", done.name, "--no-pictures", "-o", target, "--data-dir", data)
    with zipfile.ZipFile(target) as opened:
        kinds = {Path(name).suffix for name in opened.namelist()}
    assert kinds.isdisjoint({".png", ".jpg", ".html", ".webp"}) and ".parquet" in kinds


def rewritten(archive, target, change):
    """The archive with its entries changed: `change` gets and gives a dict of name to bytes."""
    with zipfile.ZipFile(archive) as opened:
        entries = {name: opened.read(name) for name in opened.namelist()}
    with zipfile.ZipFile(target, "w") as out:
        for name, data in change(entries).items():
            out.writestr(name, data)
    return target


def with_manifest(entries, **more):
    return entries | {"manifest.json": json.dumps(json.loads(entries["manifest.json"]) | more)}


def outside(entries):
    name = "film/../../../outside.txt"
    files = json.loads(entries["manifest.json"])["files"] | {name: "0" * 64}
    return with_manifest(entries, files=files) | {name: b"x"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (outside, "expected the files that its manifest lists, found film/../../../outside.txt"),
        (lambda e: e | {"film/more.txt": b"x"}, "found film/more.txt"),
        (lambda e: {n: d for n, d in e.items() if not n.endswith("shot.parquet")}, "shot.parquet"),
        (lambda e: with_manifest(e, version=9), "of version 1, found 9"),
        (lambda e: with_manifest(e, film_id="../x"), "expected the files that its manifest lists"),
        (lambda e: with_manifest(e, film=None), "expected an archive of `bunny pack`"),
        (lambda e: {n: d for n, d in e.items() if n != "manifest.json"}, "could not read it"),
        (lambda e: e | {"film/table/shot.parquet": b"x"}, "shot.parquet as it was packed"),
    ],
)
def test_an_archive_that_is_not_as_it_was_packed_leaves_nothing(packed, tmp_path, change, words):
    _, archive = packed
    other = rewritten(archive, tmp_path / "other.zip", change)
    with pytest.raises(UserError) as said:
        pack.unpack(other, data_dir=str(tmp_path / "new" / "data"))
    assert words in str(said.value)
    assert not list((tmp_path / "new").rglob("*.parquet"))
    assert not (tmp_path / "outside.txt").exists()


def test_what_is_no_archive_or_is_there_is_refused(packed, bunny, tmp_path):
    done, archive = packed
    data = tmp_path / "new" / "data"
    for given, words in (
        (tmp_path / "none.zip", "found no such file"),
        (done / "source.json", "could not read it"),
    ):
        code, _, err = bunny("unpack", given, "--data-dir", data)
        assert code == 2 and words in err and len(err.splitlines()) == 1
    other = tmp_path / "other.mp4"
    other.write_bytes(b"another film")
    code, _, err = bunny("unpack", archive, "--film", other, "--data-dir", data)
    assert code == 2 and "expected the film that was packed" in err
    assert bunny("unpack", archive, "--data-dir", data)[0] == 0
    code, _, err = bunny("unpack", archive, "--data-dir", data)
    assert code == 2 and "expected a data folder without" in err


def test_a_full_disk_is_said_before_anything_is_written(packed, tmp_path, monkeypatch):
    _, archive = packed
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10_000))
    with pytest.raises(UserError, match="GB free in"):
        pack.unpack(archive, data_dir=str(tmp_path / "new" / "data"))
    assert not list((tmp_path / "new").rglob("*.parquet"))
