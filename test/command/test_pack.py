"""`bunny pack` and `bunny unpack`: the same film on another machine, or one sentence."""

import hashlib
import io
import json
import shutil
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import polars as pl
import pytest
from set_on_disk import make_set

from bunny.command import pack
from bunny.core import file_hash, workspace
from bunny.core.error import UserError
from bunny.table import store


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


@pytest.fixture
def small(tmp_path, monkeypatch):
    """The archive of a workspace with a training set, a reference, an adapter and settings."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    (home / "film.mp4").write_bytes(b"a film")
    references = home / "people"
    references.mkdir()
    (references / "anna.jpg").write_bytes(b"a picture")
    (references / "diary.txt").write_text("no picture")
    space = workspace.create(home, "data", home / "film.mp4", references)
    store.write(space.table, "dataset", store.from_rows("dataset", make_set(space, "anna", 3, 0)))
    space.checkpoint.mkdir(parents=True)
    (space.checkpoint / "adapter.safetensors").write_bytes(b"weights")
    (space.root / "dataset" / "rights.json").write_text('{"notes": ["ask"]}')
    workspace.save_settings(space, ["models.training_steps=700"])
    pack.pack(space.film_id, tmp_path / "small.zip")
    return space, tmp_path / "small.zip"


def changed(entries, name, data):
    """Entries in which a file has other content, with its right hash."""
    manifest = json.loads(entries["manifest.json"])
    manifest["files"][name] = hashlib.sha256(data).hexdigest()
    return entries | {name: data, "manifest.json": json.dumps(manifest)}


def replaced(place, value):
    """Change one field of the manifest, `a: b` for a nested one."""

    def change(entries):
        manifest = at = json.loads(entries["manifest.json"])
        *way, last = place.split(": ")
        for step in way:
            at = at[step]
        at[last] = value
        return entries | {"manifest.json": json.dumps(manifest)}

    return change


def table(**columns):
    """Change columns of the table of the training set."""

    def change(entries):
        name = "film/table/dataset.parquet"
        rows = pl.read_parquet(io.BytesIO(entries[name])).with_columns(**columns)
        data = io.BytesIO()
        rows.write_parquet(data)
        return changed(entries, name, data.getvalue())

    return change


def with_file(name, data=b"x"):
    return lambda entries: changed(entries, name, data)


def tuned(**state):
    """Change the archive's tuned prompt."""
    words = {"signature": {"instructions": "Look.", "fields": []}, "demos": []}
    about = {"kind": "examples", "base_hash": "00", "state": words | state}
    digest = hashlib.sha256(json.dumps(["00", words | state], sort_keys=True).encode())
    name = digest.hexdigest()[:16]
    home = "film/stage/caption/program"

    def change(entries):
        entries = changed(entries, f"{home}/{name}.json", json.dumps(about).encode())
        current = json.dumps({"prompt_hash": name}).encode()
        return changed(entries, f"{home}/current.json", current)

    return change


WRONG = [None, True, 7, -1.5, "", "x", "../x", [], ["x"], {}, {"x": 1}]
FITS = {  # fields of the manifest, and which of those values they may have
    "form": [],
    "version": [],
    "film_id": [],
    "film": [],
    "film: name": ["", "x", "../x"],
    "film: sha256": [],
    "has_pictures": [True],
    "rights": [{}, {"x": 1}],
    "rights: notes": [[], ["x"]],
    "files": [],
    "files: film/table/dataset.parquet": [],
}
MALFORMED = {
    "deep": lambda e: e | {"manifest.json": b"[" * 100_000},
    "no JSON": lambda e: e | {"manifest.json": b"\xff{"},
    "absolute": with_file("/film/x"),
    "drive": with_file("film/C:/x"),
    "device": with_file("film/aux.png"),
    "backslash": with_file("film/..\\..\\x"),
    "upwards": with_file("film/a/../../x"),
    "elsewhere": with_file("home/x"),
    "control": with_file("film/\x1b[2J"),
    "too long": with_file("film/" + "x" * 300),
    "folder and file": lambda e: with_file("film/a/b")(with_file("film/a")(e)),
    "folder": with_file("film/folder/"),
    "record of another machine": with_file("film/stage/state.json"),
    "source": with_file("film/source.json", b"{}"),
    "lock": with_file("film/.lock"),
    "two references": with_file("film/reference_given/anna.jpg"),
    "tables a file": lambda e: with_file("film/table")(
        {n: d for n, d in e.items() if n != "film/table/dataset.parquet"}
    ),
    "references a file": lambda e: with_file("film/named/anna/1.jpg")(
        with_file("film/reference")(e)
    ),
    "no table": with_file("film/table/frame.parquet"),
    "empty table": with_file("film/table/frame.parquet", b""),
    "path": table(file=pl.lit("/etc/passwd")),
    "path upwards": table(mask_file=pl.lit("../../../x.png")),
    "type": table(shot_index=pl.lit("first")),
    "rule": table(width_px=pl.lit(-1)),
    "own settings": with_file("film/own_setting.json", b'{"a": 1}'),
    "own settings deep": with_file("film/own_setting.json", b"[" * 100_000),
    "rights": with_file("film/dataset/rights.json", b'{"notes": 3}'),
    "tuned prompt": tuned(signature=3),
    "tuned prompt's examples": tuned(demos=[1]),
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_a_malformed_archive_is_refused_in_a_sentence_and_leaves_nothing(
    small, bunny, tmp_path, kind
):
    refuse(small[1], bunny, tmp_path, MALFORMED[kind])


@pytest.mark.parametrize("field", FITS)
def test_a_manifest_with_a_field_of_another_kind_is_refused(small, bunny, tmp_path, field):
    for value in [one for one in WRONG if json.dumps(one) not in map(json.dumps, FITS[field])]:
        refuse(small[1], bunny, tmp_path, replaced(field, value))


def refuse(archive, bunny, tmp_path, change):
    data = tmp_path / "new" / "data"
    other = rewritten(archive, tmp_path / "other.zip", change)
    code, out, err = bunny("unpack", other, "--data-dir", data)
    assert (code, out, len(err.splitlines())) == (2, "", 1), err
    assert "\x1b" not in err
    assert not [path for path in data.rglob("*") if path.is_file() or path.name != "output"]


def test_damaged_bytes_of_an_archive_are_refused_or_change_nothing(small, bunny, tmp_path):
    archive = small[1]
    whole = archive.read_bytes()
    damaged = [whole[:size] for size in (0, 10, len(whole) // 2, len(whole) - 1)]
    for at in range(3, len(whole), len(whole) // 15):
        damaged.append(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
    for number, data in enumerate(damaged):
        (tmp_path / "bad.zip").write_bytes(data)
        folder = tmp_path / f"{number}"
        code, _, err = bunny("unpack", tmp_path / "bad.zip", "--data-dir", folder)
        assert code in (0, 2) and (code == 0) == (err == ""), err
        files = {p.name for p in folder.rglob("*") if p.is_file()}
        assert bool(files) == (code == 0)


@pytest.mark.parametrize("method", ["two of one name", "lzma", "link"])
def test_odd_entries_are_refused_or_plain_files(small, bunny, tmp_path, method):
    def write(target):
        with zipfile.ZipFile(small[1]) as opened, zipfile.ZipFile(target, "w") as out:
            for name in opened.namelist():
                entry = zipfile.ZipInfo(name)
                if method == "link":
                    entry.external_attr = 0o120777 << 16
                kind = zipfile.ZIP_LZMA if method == "lzma" else zipfile.ZIP_DEFLATED
                out.writestr(entry, opened.read(name), kind)
            if method == "two of one name":
                with pytest.warns(UserWarning, match="Duplicate name"):
                    out.writestr("film/table/dataset.parquet", b"x")

    write(tmp_path / "odd.zip")
    data = tmp_path / "new" / "data"
    code, _, err = bunny("unpack", tmp_path / "odd.zip", "--data-dir", data)
    assert code == (0 if method == "link" else 2), err
    assert not any(path.is_symlink() for path in data.rglob("*"))
    assert any(path.is_file() for path in data.rglob("*")) == (code == 0)


def test_a_manifest_that_inflates_to_gigabytes_takes_no_memory(tmp_path):
    bomb = tmp_path / "bomb.zip"
    with (
        zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as out,
        out.open("manifest.json", "w") as entry,
    ):
        for _ in range(80):
            entry.write(b" " * (1 << 20))
    tracemalloc.start()
    with pytest.raises(UserError, match=r"manifest\.json of 83886080 bytes"):
        pack.unpack(bomb, data_dir=str(tmp_path / "data"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_what_a_film_may_not_say_is_left_and_listed(small, bunny, tmp_path):
    space, archive = small
    own = ["captioning.providers=[local]", "captioning.allow_upload=true", "clip.preset=wan"]
    settings = with_file("film/own_setting.json", json.dumps(own).encode())
    other = rewritten(
        archive, tmp_path / "other.zip", lambda e: tuned(lm={"model": "m"})(settings(e))
    )
    code, out, _ = bunny("unpack", other, "--data-dir", tmp_path / "new", "--json")
    left = ["captioning.providers", "captioning.allow_upload", "lm of the tuned prompt"]
    assert code == 0 and json.loads(out)["ignored"] == left
    made = workspace.locate(tmp_path, str(tmp_path / "new"), space.film_id)
    assert made.own_settings() == ["clip.preset=wan"]
    code, out, _ = bunny("unpack", other, "--data-dir", tmp_path / "newer")
    assert f"not taken from the archive: {', '.join(left)}" in out


def test_a_film_with_a_name_that_is_a_path_names_no_file_elsewhere(small, tmp_path):
    for number, name in enumerate(
        ["/etc/passwd", "..\\..\\passwd", "s3://bucket/passwd", "C:passwd"]
    ):
        other = rewritten(small[1], tmp_path / "other.zip", replaced("film: name", name))
        report = pack.unpack(other, data_dir=str(tmp_path / f"{number}"))
        source = json.loads((Path(report.path) / "source.json").read_text())
        assert source["film"] == "passwd"


def test_pack_takes_of_the_users_folder_pictures_alone_and_follows_no_link(small, tmp_path):
    space, _ = small
    (tmp_path / "secret.txt").write_text("secret")
    (space.root / "frame").symlink_to(tmp_path)
    (space.root / "link.json").symlink_to(tmp_path / "secret.txt")
    pack.pack(space.film_id, tmp_path / "again.zip")
    with zipfile.ZipFile(tmp_path / "again.zip") as opened:
        names = opened.namelist()
    assert "reference/anna.jpg" in names
    assert not [n for n in names if "diary" in n or "secret" in n or "link" in n]


KILLED = """
import os, sys
from bunny.command import pack
from bunny.core import atomic
if sys.argv[1] == "pack":
    def die(path, manifest, files):
        path.write_bytes(b"half")
        os._exit(9)
    pack._write_zip = die
    pack.pack(None, pack.Path(sys.argv[2]))
rename, left = atomic.rename, [int(sys.argv[1])]
def mortal(old, new):
    if not left[0]:
        os._exit(9)
    left[0] -= 1
    rename(old, new)
atomic.rename = mortal
pack.unpack(pack.Path(sys.argv[2]), data_dir=sys.argv[3])
os._exit(9)
"""


@pytest.mark.parametrize("num_renames", [0, 1, 2, 3])
def test_an_unpack_killed_anywhere_leaves_no_film_or_a_whole_one(
    small, bunny, tmp_path, num_renames
):
    space, archive = small
    data = tmp_path / "new"
    command = [sys.executable, "-c", KILLED, str(num_renames), archive, data]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 9
    films = list((data / "output").glob(f"{space.film_id}/source.json"))
    assert len(films) == len(list(data.glob("output/[!.]*"))) == (num_renames == 3)
    code, _, err = bunny("unpack", archive, "--data-dir", data)
    assert code == (0 if num_renames < 3 else 2), err
    assert not [p for p in data.rglob(".*") if p.name != ".hash.json"]
    made = workspace.locate(tmp_path, str(data), space.film_id)
    assert (made.checkpoint / "adapter.safetensors").read_bytes() == b"weights"
    assert Path(made.source()["references"]) == made.root / pack.GIVEN


def test_a_pack_that_was_killed_leaves_nothing_after_the_next(small, tmp_path):
    space, _ = small
    target = tmp_path / "out" / "film.zip"
    command = [sys.executable, "-c", KILLED, "pack", target]
    assert subprocess.run(command, check=False).returncode == 9
    assert [p.name for p in target.parent.iterdir()] != []
    pack.pack(space.film_id, target)
    assert list(target.parent.iterdir()) == [target]


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
        (lambda e: with_manifest(e, film_id="../x"), "could not read it (film_id: "),
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
