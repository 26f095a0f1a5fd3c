"""Workspaces that older versions made, opened by today's program; see their README."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from small_project import QUICK, ROOT
from toy import model

from bunny.core import workspace
from bunny.core.config import ReviewConfig
from bunny.table import corrected, schema, store
from bunny.view.board import items, session

pytestmark = pytest.mark.slow

MATERIAL = Path(__file__).parent / "material" / "old_workspace"
FILM, FILM_ID = "short film.mp4", "short-film-97512643"
KINDS = ("first", "corrected")
OF_PEOPLE = ("feedback.jsonl", "addition.jsonl", "named")
SHOT = f"{FILM_ID}-s0000{{}}"


def make_project(folder, kind, *, is_fresh=False):
    """A project with the film, its references and the workspace; fresh: what people made alone."""
    (folder / "config").mkdir(parents=True)
    shutil.copy(ROOT / "config" / "main.yaml", folder / "config")
    setting = (MATERIAL / kind / "setting.yaml").read_text(encoding="utf-8")
    setting = setting.replace("/project/", f"{folder.as_posix()}/")
    (folder / "config" / "local_film.yaml").write_text(setting, encoding="utf-8")
    (folder / "config" / "local_quick.yaml").write_text(QUICK, encoding="utf-8")
    shutil.copy(MATERIAL / FILM, folder)
    shutil.copytree(MATERIAL / "reference", folder / "reference")
    return add_workspace(folder, "data", kind, is_fresh=is_fresh)


def add_workspace(folder, data, kind, *, is_fresh=False):
    """A copy of a workspace in a data folder of the project."""
    space = workspace.locate(folder, str(folder / data), FILM_ID)
    elsewhere = shutil.ignore_patterns("setting.yaml", "checkpoint")
    shutil.copytree(MATERIAL / kind, space.root, ignore=elsewhere)
    if (MATERIAL / kind / "checkpoint").exists():
        shutil.copytree(MATERIAL / kind / "checkpoint", space.checkpoint)
    if is_fresh:
        for name in ("table", "stage", "dataset"):
            shutil.rmtree(space.root / name)
    source = space.root / "source.json"
    places = {"/project/data": f"{folder.as_posix()}/{data}", "/project": folder.as_posix()}
    known = json.loads(source.read_text(encoding="utf-8"))
    for key, value in known.items():
        before = next((one for one in places if value.startswith(one)), "")
        known[key] = places.get(before, "") + value.removeprefix(before)
    source.write_text(json.dumps(known), encoding="utf-8")
    return space


@pytest.fixture(params=KINDS)
def opened(request, tmp_path, bunny, monkeypatch):
    """Which workspace, its copy, and a command line in its project."""
    space = make_project(tmp_path / "project", request.param)
    monkeypatch.chdir(tmp_path / "project")
    return request.param, space, bunny


@pytest.fixture
def old_corrected(tmp_path, bunny, monkeypatch):
    """The workspace with corrections, and a command line in its project."""
    space = make_project(tmp_path / "project", "corrected")
    monkeypatch.chdir(tmp_path / "project")
    return space, bunny


def content(folder, *names):
    """Bytes of all files below a folder, or of some of its entries, by name."""
    places = [folder / name for name in names] if names else [folder]
    files = [p for place in places for p in (place.rglob("*") if place.is_dir() else [place])]
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files if p.is_file()}


def test_status_says_what_is_stale_and_why(opened):
    kind, _, bunny = opened
    code, out, err = bunny("status", "--json")
    assert code == 0, err
    state = {one["name"]: one for one in json.loads(out)["films"][0]["stages"]}
    assert state["extract"]["state"] == "stale"
    assert "extraction.static_range" in state["extract"]["why"]
    assert state["review"]["state"] == ("never run" if kind == "first" else "stale")
    assert state["dataset"]["rows"] == (8 if kind == "first" else 6)


def test_doctor_names_versions_and_finds_only_the_pictures_missing(opened):
    kind, space, bunny = opened
    code, out, err = bunny("doctor", FILM_ID, "--workspace", "--json")
    assert code == 2, err
    report = json.loads(out)
    places = {one["place"]: one["remedy"] for one in report["problems"]}
    assert places == {"table/dataset.parquet": "run", "table/frame.parquet": "run"}
    assert report["num_tables"] == len(list(space.table.glob("*.parquet")))
    versions = {one["table"]: (one["version"], one["expected"]) for one in report["versions"]}
    assert versions["film"] == (1, 2) and versions["shot"] == (1, 1)
    assert len(versions) == report["num_tables"]
    assert ("identity" in versions) == (kind == "corrected")
    _, out, _ = bunny("doctor", FILM_ID, "--workspace")
    assert "film 1 (older: migrated when read" in out
    assert "shot 1, " in out


def test_a_packed_workspace_is_unpacked_as_it_was(opened, tmp_path):
    _, space, bunny = opened
    code, out, err = bunny("pack", FILM_ID, "--output", "old.zip")
    assert code == 0, err
    other = tmp_path / "other"
    code, out, err = bunny("unpack", "old.zip", "--data-dir", other, "--film", FILM)
    assert code == 0, err
    there = workspace.locate(tmp_path, str(other), FILM_ID)
    names = ["table", *(name for name in OF_PEOPLE if (space.root / name).exists())]
    assert content(there.root, *names) == content(space.root, *names)
    code, out, err = bunny("status", "--data-dir", other)
    assert code == 0 and "dataset   stale" in out, err


def test_a_timeline_names_the_film_where_it_is_now(opened):
    _, space, bunny = opened
    code, out, err = bunny("export", "timeline", FILM_ID, "--output", "cut.edl")
    assert code == 0, err
    assert "no film found" not in out and "3 clips" in out
    assert store.read(space.table, "film")["path"].item() == f"/project/{FILM}"


def test_search_finds_who_a_person_said_it_is(old_corrected):
    _, bunny = old_corrected
    code, out, err = bunny("search", "anna", "--json")
    assert code == 0, err
    named = {one["shot_index"]: one["who"] for one in json.loads(out)["shots"]}
    assert named[2] == ["anna"] and named[1] == ["bunny"]
    assert named[0] == []  # the bunny was rejected there


def test_corrections_are_read_before_the_first_run(old_corrected):
    space, bunny = old_corrected
    code, out, err = bunny("correct", "list", FILM_ID)
    assert code == 0, err
    assert "meadow" in out and "anna " in out
    assert "anna" in set(corrected.read_or_empty(space.table, "label")["character"])
    assert "meadow" in set(corrected.read_or_empty(space.table, "cluster")["cluster_id"])


def test_the_board_opens_with_every_correction(old_corrected):
    space, _ = old_corrected
    board = session.BoardSession(items.read_film(FILM_ID, space.root), ReviewConfig())
    assert [event.kind for event in board.events] == ["rename", "rename", "caption_edit", "reject"]
    table = {row["asset_id"]: row for row in board.table.iter_rows(named=True)}
    assert {table[SHOT.format(i)]["name"] for i in (0, 1)} == {"meadow"}
    assert table[f"{FILM_ID}-t00000"]["name"] == "anna"
    assert table[f"{FILM_ID}-d-f00000"]["rejected_from"] == ["bunny"]


def test_a_person_is_forgotten_in_tables_of_former_names_too(old_corrected):
    space, bunny = old_corrected
    shard = space.stage("detect") / "shard" / "face" / "key" / "000000" / "face.parquet"
    shard.parent.mkdir(parents=True)
    face = pl.read_parquet(space.table / "face.parquet", memory_map=False)
    face.write_parquet(shard, metadata={store.VERSION_KEY: "9"})
    code, out, err = bunny("forget", "anna", "--film", FILM_ID, "--yes")
    assert code == 0, err
    assert not shard.exists()  # what is not read cannot be looked through: all of it goes
    assert "3 faces and figures" in out and "1 correction" in out
    tables = {path.stem for path in space.table.glob("*.parquet")}
    assert {"label_corrected", "cluster_corrected"} <= tables
    assert not {"identity", "grouping"} & tables
    assert "anna" not in set(store.read(space.table, "label_corrected")["character"])
    _, out, _ = bunny("doctor", FILM_ID, "--workspace")
    assert "table/identity.parquet" not in out


def test_what_the_first_version_cannot_say_is_asked_for_in_one_sentence(
    tmp_path, bunny, monkeypatch
):
    make_project(tmp_path / "project", "first")
    monkeypatch.chdir(tmp_path / "project")
    code, _, err = bunny("correct", "list", FILM_ID)
    assert code == 2
    assert "found none; run stage review first" in err and "Traceback" not in err


@pytest.mark.slow
def test_a_run_gives_the_tables_of_a_fresh_one_and_keeps_what_people_made(opened):
    kind, space, bunny = opened
    made = [name for name in OF_PEOPLE if (space.root / name).exists()]
    before = content(space.root, *made)
    project = space.root.parents[2]
    fresh = add_workspace(project, "fresh", kind, is_fresh=True)
    for data in ("data", "fresh"):
        arguments = ("--references", "reference", "--until", "dataset", "--data-dir", data)
        code, _, err = bunny("run", FILM, *arguments)
        assert code == 0, err
    assert content(space.root, *made) == before
    old, new = content(space.table), content(fresh.table)
    assert old.keys() == new.keys()
    assert [name for name in new if old[name] != new[name]] == []
    assert {store.read_version(path) for path in space.table.glob("film.parquet")} == {2}
    (check_first if kind == "first" else check_corrected)(space)
    code, out, err = bunny("doctor", FILM_ID, "--workspace")
    assert code == 0 and "no problem" in out and "older" not in out, out


def check_first(space):
    """The person's name holds, and the shots that were added are in the set."""
    label = corrected.read_or_empty(space.table, "label")
    assert set(label.filter(pl.col("character") == "anna")["subject_type"]) == {"face"}
    chosen = store.read(space.table, "candidate").filter(pl.col("is_chosen"))
    shots = {(row["character"], row["shot_index"]) for row in chosen.iter_rows(named=True)}
    assert shots >= {("bunny", 1), ("anna", 2)}


def check_corrected(space):
    """All four corrections hold, in the tables that the old program named otherwise."""
    assert not (space.table / "identity.parquet").exists()
    assert not (space.table / "grouping.parquet").exists()
    asset = store.read(space.table, "asset")
    label = corrected.read_or_empty(space.table, "label")
    shot_of = dict(store.read(space.table, "frame").select("frame_id", "shot_index").iter_rows())
    named = {
        (row["character"], shot_of[row["frame_id"]])
        for row in label.iter_rows(named=True)
        if row["character"] and row["frame_id"] in shot_of
    }
    assert ("anna", 2) in named and ("bunny", 1) in named and ("bunny", 0) not in named
    assert "meadow" in set(corrected.read_or_empty(space.table, "cluster")["cluster_id"])
    edit = store.read(space.table, "caption_edit")
    assert edit["text"].to_list() == ["anna looks past the camera"]
    assert SHOT.format(2) in set(asset["asset_id"])
    assert store.read(space.table, "feedback").height == 4


def test_a_table_of_a_newer_program_is_left_as_it_is(old_corrected):
    space, bunny = old_corrected
    path = space.table / "label.parquet"
    pl.read_parquet(path, memory_map=False).write_parquet(path, metadata={store.VERSION_KEY: "7"})
    before = content(space.table)
    code, _, err = bunny("run", FILM, "--references", "reference", "--until", "detect")
    assert code == 2
    assert "expected version 1 of table label, found version 7" in err
    assert content(space.table) == before
    code, out, _ = bunny("doctor", FILM_ID, "--workspace", "--repair")
    assert "label 7 (newer, refused; expected 1)" in out
    assert (
        "table/label.parquet: has schema version 7, expected 1; a newer version of bunny wrote it"
        in out
    )
    assert content(space.table) == before


def test_a_table_that_nothing_migrates_is_made_again_by_its_stage(old_corrected, monkeypatch):
    space, bunny = old_corrected
    run = ("run", FILM, "--references", "reference", "--until", "filter")
    assert bunny(*run)[0] == 0
    monkeypatch.setitem(schema.VERSION, "shot", 2)  # as a later program without a migration
    code, _, err = bunny("export", "timeline", FILM_ID, "--output", "cut.edl")
    assert code == 2 and "found version 1; no migration leads there: run the film again" in err
    _, out, _ = bunny("doctor", FILM_ID, "--workspace")
    said = "table/shot.parquet: has schema version 1, expected 2; `bunny run` recreates it"
    assert said in out
    (space.root / "stage" / "state.json").unlink(missing_ok=True)  # of the program as it was
    _, out, _ = bunny("status", FILM_ID)
    assert "table shot now has a different schema" in out
    (space.root / "stage" / "state.json").unlink(missing_ok=True)
    assert bunny(*run)[0] == 0
    assert store.read_version(space.table / "shot.parquet") == 2


def draw_again(bunny, picture):
    """What `generate --again` says of a picture."""
    code, out, err = bunny("generate", "--again", picture, "--json")
    assert code == 0, err
    return json.loads(out.splitlines()[-1])


def test_an_older_fine_tune_draws_its_pictures_again(tmp_path, bunny, monkeypatch):
    """Its base lies elsewhere now, and its clips and pairs are tables of an older version."""
    project = tmp_path / "project"
    space = make_project(project, "trained")
    model.save_tiny(project / "base", seed=7)
    monkeypatch.chdir(project)
    code, out, err = bunny("status", "--json")
    assert code == 0, err
    rows = {one["name"]: one["rows"] for one in json.loads(out)["films"][0]["stages"]}
    assert rows["finetune"] == 1 and rows["clip"] > 0 and rows["pair"] > 0
    own = json.loads((space.root / "picture" / "own" / "index.jsonl").read_text(encoding="utf-8"))
    for picture in ("picture/bunny/000-000004-x1.png", f"picture/own/{own['file']}"):
        made = draw_again(bunny, space.root / picture)
        assert made["facts"]["largest_difference"] <= 1  # another processor drew the kept one
        assert draw_again(bunny, made["files"][0])["notes"] == ["identical, bit for bit"]
    kohya = ("--format", "kohya", "--output", "kohya.safetensors")
    code, out, err = bunny("export", "adapter", FILM_ID, *kohya)
    assert code == 0 and (project / "kohya.safetensors").stat().st_size > 0, err
    code, out, err = bunny("doctor", FILM_ID, "--workspace", "--json")
    report = json.loads(out)
    assert code == 2 and report["num_tables"] == len(list(space.table.glob("*.parquet"))), err
    assert {one["remedy"] for one in report["problems"]} == {"run"}
