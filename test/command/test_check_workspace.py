"""`bunny doctor --workspace`: what it finds, what it removes, and what a run makes of it again."""

import json
import os
import shutil
from pathlib import Path

import pytest

from bunny.command import check_workspace
from bunny.core import workspace

pytestmark = pytest.mark.slow


@pytest.fixture
def space(small_project, tmp_path):
    """A copy of a small film on which every stage has run; times as they were."""
    folder = shutil.copytree(small_project.folder, tmp_path / "project")
    done = Path(small_project.done["workspace"])
    data = folder / done.parents[1].relative_to(small_project.folder)
    return workspace.locate(folder, str(data), done.name)


def check(space, **more):
    return check_workspace.check_workspaces([space], **more)


def damage(path, at=-20):
    """Another byte in the middle of a file, of the same size and time."""
    stat, data = path.stat(), bytearray(path.read_bytes())
    data[at] ^= 0xFF
    path.write_bytes(bytes(data))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_what_stages_wrote_is_whole(space):
    report = check(space)
    assert report.problems == ()
    assert report.num_tables > 30 and report.num_files > 20


def test_every_kind_of_damage_is_found_and_named(space):
    frames = sorted(space.frame.glob("*.png")) or sorted(space.frame.iterdir())
    frames[0].unlink()
    frames[1].write_bytes(b"")
    frames[2].write_bytes(frames[2].read_bytes()[:-99])
    damage(space.table / "shot.parquet")
    (space.table / "label.parquet").write_bytes(b"PAR1 cut")
    (space.table / "face.parquet").unlink()
    adapter = next(space.checkpoint.rglob("adapter.safetensors"))
    damage(adapter)
    (space.stage("caption") / "stage.json").write_text("{")
    (space.root / "feedback.jsonl").write_text('{"no": "event"}\nnot json\n')
    (space.table / ".frame.parquet.abc.tmp").write_bytes(b"half")
    found = {one.place: (one.remedy, one.what) for one in check(space).problems}
    missing = ("run", f"1 files that it names are missing (frame/{frames[0].name})")
    assert found.pop("table/frame.parquet") == missing
    assert found.pop("table/evaluation_picture.parquet") == missing  # the film's own pictures
    assert found.pop("feedback.jsonl")[0] == "person"
    assert found.pop("table/face.parquet") == ("run", "is missing")
    assert {place: remedy for place, (remedy, _) in found.items()} == dict.fromkeys(
        [
            f"frame/{frames[1].name}",
            f"frame/{frames[2].name}",
            "table/shot.parquet",
            "table/label.parquet",
            "stage/caption/stage.json",
            "table/.frame.parquet.abc.tmp",
            adapter.relative_to(space.checkpoint).as_posix(),
        ],
        "remove",
    )


def test_a_repaired_film_is_made_again_as_it_was(space, bunny, monkeypatch):
    monkeypatch.chdir(space.root.parents[2])
    data = str(space.root.parents[1])
    table, said = space.table / "quality.parquet", space.root / "feedback.jsonl"
    before = table.read_bytes()
    said.write_text("not json\n")
    damage(table)
    code, out, _ = bunny("doctor", space.film_id, "--workspace", "--data-dir", data)
    assert code == 2 and "table/quality.parquet" in out and "2 problems" in out
    code, out, _ = bunny("doctor --workspace --repair --json", space.film_id, "--data-dir", data)
    assert json.loads(out)["repaired"] == [f"{space.film_id}/table/quality.parquet"]
    assert said.read_text() == "not json\n"
    said.unlink()
    assert bunny("run", space.film_id, "--only", "filter", "--data-dir", data)[0] == 0
    assert table.read_bytes() == before
    assert bunny("doctor", "--workspace", "--data-dir", data)[0] == 0


def test_another_film_under_the_name_is_said(space, tmp_path):
    source = space.source()
    film = tmp_path / "film.mp4"
    film.write_bytes(b"another")
    path = space.root / "source.json"
    path.write_text(json.dumps(source | {"film": str(film)}))
    [found] = check(space).problems
    assert (found.remedy, found.what) == ("film", "the film film.mp4 has been replaced by another")
    film.unlink()
    [found] = check(space).problems
    assert found.what == "the film film.mp4 has been moved or deleted"
    path.write_text("[]")
    [found] = check(space).problems
    assert (found.place, found.remedy) == ("source.json", "person")


def test_options_of_the_workspace_want_it(bunny, tmp_path):
    for given in (["--repair"], ["--data-dir", str(tmp_path)], ["film"]):
        code, _, err = bunny("doctor", *given)
        assert code == 2 and "need --workspace" in err
    code, _, err = bunny("doctor", "nothing", "--workspace", "--data-dir", str(tmp_path))
    assert code == 2 and "expected a film whose id begins with nothing" in err
