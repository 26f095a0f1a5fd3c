"""`bunny library train`: one adapter of a character from two films, in a workspace of its own."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import polars as pl
import pytest
from photo_film import astronaut_pictures, make_film, run
from safetensors import safe_open
from small_project import command

from bunny.command import library_view
from bunny.core import workspace
from bunny.series import joint_workspace
from bunny.series.joint_workspace import JointOrigin
from bunny.table import store

pytestmark = pytest.mark.slow

SETTINGS = {
    "dataset.cut_from": "picture",
    "evaluation.choose_prompts": ["{trigger}"],
    "evaluation.max_checkpoints": 1,
    "evaluation.num_steps": 1,
    "evaluation.report_prompts": ["{trigger} on a beach"],
    "evaluation.seeds": [1],
    "filtering.duplicate_distance": 0,
    "generation.num_steps": 1,
    "generation.prompts": ["{trigger}"],
    "generation.seeds": [1],
    "models.batch_size": 1,
    "models.checkpoint_every": 2,
    "models.held_out_share": 0.4,
    "models.training_steps": 4,
    "pipeline.has_report": False,
    "review.needs_approval": True,
    "rights.film_licence": "CC0-1.0",
}
NOTEBOOK = Path(__file__).resolve().parents[2] / "notebook" / "14_series.ipynb"
CHARACTER = ("--character", "Eileen")


def sets(base):
    every = {**SETTINGS, "models.base_model": str(base)}
    return [w for key, value in every.items() for w in ("--set", f"{key}={json.dumps(value)}")]


@pytest.fixture
def films(tmp_path, bunny):
    """Two films of the astronaut that know her name."""
    one, two = astronaut_pictures()
    spaces = [make_film(tmp_path, "one", one), make_film(tmp_path, "two", two)]
    assert bunny("library", "add")[0] == 0
    assert bunny("library", "name", "identity-0001=Eileen")[0] == 0
    for space in spaces:
        run(space)
    assert bunny("library", "add")[0] == 0
    return spaces


def test_one_adapter_is_trained_on_the_pictures_of_all_films(films, bunny, tmp_path, tiny_folder):
    """Drawn, refused until it is approved, trained, evaluated, drawn with, and forgotten."""
    line = ("library", "train", *CHARACTER, *sets(tiny_folder))
    code, out, err = bunny(*line, "--until", "dataset", "--json")
    assert code == 0, err
    drawn = json.loads(out)
    assert drawn["is_drawn"] and drawn["stages"] == {}
    space = workspace.locate(tmp_path, "data", drawn["film_id"])
    _check_set(space, films, drawn["coverage"])
    code, _, err = bunny(*line)
    assert code == 2 and f"bunny approve {space.film_id} --character Eileen" in err
    assert bunny("approve", "series-eileen", "--by", "me")[0] == 0
    shutil.copytree(tmp_path / "data", tmp_path / "again")

    code, out, err = bunny(*line, "--json")
    assert code == 0, err
    done = json.loads(out)
    assert not done["is_drawn"]
    assert {n: s["status"] for n, s in done["stages"].items()} == dict.fromkeys(
        ("finetune", "evaluate", "generate"), "done"
    )
    _check_trained(space, films)
    code, out, err = bunny("generate", "series-eileen", "--prompt", "{trigger}", *sets(tiny_folder))
    assert code == 0 and "1 picture in" in out, err
    code, out, _ = bunny(*line, "--json")
    assert {s["status"] for s in json.loads(out)["stages"].values()} == {"skipped"}
    _check_other_commands(space, films, bunny, tiny_folder)
    _check_killed_run(space, tmp_path, line, bunny)

    code, out, _ = bunny("forget", "Eileen", "--film", "one-", "--json")
    assert space.film_id in {film["film_id"] for film in json.loads(out)["films"]}
    assert bunny("forget", "Eileen", "--yes")[0] == 0
    left = [
        p
        for p in (tmp_path / "data", tmp_path / "checkpoint", tmp_path / "log")
        for p in p.rglob("*eileen*")
    ]
    assert left == []


def _check_set(space, films, coverage):
    """The tables are a film's own: shots numbered on, frames of both, rights of both."""
    table = store.read(space.table, "dataset")
    films_of = {
        frame_id: film.film_id
        for film in films
        for frame_id in store.read(film.table, "frame")["frame_id"]
    }
    own = table.with_columns(film_id=pl.col("frame_id").replace_strict(films_of))
    shots = dict(own.group_by("film_id").agg(pl.col("shot_index").unique().sort()).iter_rows())
    assert shots == {films[0].film_id: [0, 1], films[1].film_id: [2, 3]}
    assert set(table["split"]) == {"train", "held-out"}
    assert coverage[-1]["pictures"] == table.height
    assert set(store.read(space.table, "frame")["film_id"]) == {film.film_id for film in films}
    assert set(store.read(space.table, "candidate")["shot_index"]) == {0, 1, 2, 3}
    assert set(store.read(space.table, "cluster")["item_id"]) == set(table["frame_id"])
    record = json.loads((space.root / "dataset/rights.json").read_text(encoding="utf-8"))
    assert [film["licence"] for film in record["films"]] == ["CC0-1.0"] * 2


def _check_trained(space, films):
    """The adapter says whose films and whose approval; the evaluation looked at both films."""
    row = store.read(space.table, "training_run").row(0, named=True)
    with safe_open(space.checkpoint / row["adapter_file"], "pt") as file:
        about = file.metadata()
    assert about["approved_by"] == "me"
    known = [film["file"] for film in json.loads(about["rights"])["films"]]
    assert known == ["one.mp4", "two.mp4"]
    assert row["num_held_out"] == store.read(space.table, "dataset")["split"].to_list().count(
        "held-out"
    )
    assert store.read(space.table, "evaluation").height
    assert store.read(space.table, "picture")["error"].null_count() == 2


def _check_other_commands(space, films, bunny, tiny_folder):
    """Commands on films are not disturbed by it, and those that name it work on it."""
    code, out, _ = bunny("status", "--json", *sets(tiny_folder))
    states = {film["film_id"]: film["stages"] for film in json.loads(out)["films"]}
    shown = {stage["name"]: stage["state"] for stage in states[space.film_id]}
    assert shown == dict.fromkeys(("finetune", "evaluate", "generate"), "done")
    assert len(states) == 3
    code, out, _ = bunny("doctor", "--workspace", "--json")
    assert space.film_id not in {one["film_id"] for one in json.loads(out)["problems"]}
    assert bunny("library", "add")[1].startswith("nothing new")
    code, _, err = bunny("run", space.film_id)
    assert code == 2 and "found a set built from many films" in err
    code, out, err = bunny("search", "Eileen", "--film", "series")
    assert code == 2 and "found 0" in err
    code, _, err = bunny("export set series-eileen --output exported", *sets(tiny_folder))
    assert code == 0, err
    record = json.loads(Path("exported/rights.json").read_text(encoding="utf-8"))
    assert [film["file"] for film in record["films"]] == ["one.mp4", "two.mp4"]
    assert record["approval"]["approved_by"] == "me"
    assert bunny("pack", "series-eileen", "--output", "series.zip")[0] == 0
    assert bunny("unpack", "series.zip", "--data-dir", "unpacked")[0] == 0
    code, out, _ = bunny("status", "series", "--data-dir", "unpacked", *sets(tiny_folder))
    assert code == 0 and out.count(" done ") == 3


def _check_killed_run(space, tmp_path, line, bunny):
    """The same set in another folder, killed while it trains: the same bytes in the end."""
    other = workspace.locate(tmp_path, "again", space.film_id)
    line = (*line, "--data-dir", "again", "--until", "finetune")
    running = subprocess.Popen(command(*line), cwd=tmp_path, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 300
    while not list(other.checkpoint.glob("*/checkpoint-*")):
        assert time.monotonic() < until and running.poll() is None
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.wait()
    code, _, err = bunny(*line)
    assert code == 0, err
    for own in sorted(space.root.glob("dataset/**/*.png")):
        assert own.read_bytes() == (other.root / own.relative_to(space.root)).read_bytes()
    found = [store.read(one.table, "adapter").sort("step") for one in (space, other)]
    assert found[0]["hash"].to_list() == found[1]["hash"].to_list() and found[0].height >= 2


OWN = (
    "dataset.cut_from=picture",
    "dataset.num_class_images=0",
    "models.held_out_share=0.4",
    "filtering.duplicate_distance=0",
)
ONLY_SETS = ("library", "train", "--until", "dataset", "--json", *(f"--set={key}" for key in OWN))


def test_sets_by_film_and_of_some_films_are_others(films, bunny, tmp_path):
    """Without a base model: only the sets are drawn; one that lost a file is drawn again."""
    by_film = json.loads(bunny(*ONLY_SETS, "--split", "film")[1])
    held = [row["held_out"] / row["pictures"] for row in by_film["coverage"][:-1]]
    assert sorted(held) == [0, 1]
    of_two = json.loads(bunny(*ONLY_SETS, "--film", "two-")[1])
    assert [row["film_id"] for row in of_two["coverage"]] == [films[1].film_id, "all"]
    both = json.loads(bunny(*ONLY_SETS)[1])
    assert len({one["film_id"] for one in (by_film, of_two, both)}) == 3
    space = workspace.locate(tmp_path, "data", both["film_id"])
    picture = space.root / store.read(space.table, "dataset")["file"][0]
    before = picture.read_bytes()
    assert not json.loads(bunny(*ONLY_SETS)[1])["is_drawn"]
    picture.unlink()
    assert json.loads(bunny(*ONLY_SETS)[1])["is_drawn"] and picture.read_bytes() == before
    assert json.loads(bunny(*ONLY_SETS, "--set", "seed=9")[1])["is_drawn"]
    assert bunny("status", of_two["film_id"])[0] == 0
    assert joint_workspace.read_origin(space.root / workspace.SERIES).films == {
        film.film_id: "Eileen" for film in films
    }
    _check_notebook(tmp_path, both["coverage"], list(OWN))


def _check_notebook(tmp_path, coverage, overrides):
    """It shows her in both films, and plans the set that was drawn."""
    copy = tmp_path / "executed.ipynb"
    given = {"data_dir": str(tmp_path / "data"), "is_interactive": False, "overrides": overrides}
    code = (
        "import pathlib; from bunny import notebook; "
        f"notebook.execute(pathlib.Path({str(NOTEBOOK)!r}), pathlib.Path({str(copy)!r}), {given!r})"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    book = nbformat.read(copy, as_version=4)
    shown = {cell.id: json.dumps(cell.get("outputs", ())) for cell in book.cells}
    assert shown["14-02"].count("Eileen") >= 2 and "image/png" in shown["14-04"]
    assert "no unknown person is in the library" in shown["14-06"]
    planned = library_view.plan(None, "shot", str(tmp_path / "data"), overrides).coverage()
    assert planned["pictures"].to_list() == [row["pictures"] for row in coverage]
    assert planned["held_out"].to_list() == [row["held_out"] for row in coverage]


def test_a_set_is_out_of_date_when_a_film_is_removed_and_gaps_are_filled_in_films(
    films, bunny, tmp_path
):
    """Who removes a film is told which sets had its pictures; the next one is drawn without it."""
    both = json.loads(bunny(*ONLY_SETS)[1])
    set_id = both["film_id"]
    one, two = (film.film_id for film in films)
    for option in (("--add", "0"), ("--undo",)):
        code, _, err = bunny("gaps", "series-eileen", *option)
        assert code == 2 and len(err.splitlines()) == 1
        assert f"found a set drawn from {one}, {two}; type `bunny gaps {one} --character" in err
        assert not (tmp_path / "data/output" / set_id / "addition.jsonl").exists()
    assert set_id not in bunny("library", "show")[1]
    code, out, err = bunny("library", "remove", "two-")
    assert code == 0, err
    assert out.splitlines()[-1] == (
        f"{set_id}: has pictures from it and is out of date; the next `bunny library train` "
        "rebuilds it without that film"
    )
    stale = f"{set_id}: out of date; `bunny library train --character Eileen` rebuilds it"
    assert bunny("library", "show")[1].splitlines()[-1] == stale
    drawn = json.loads(bunny(*ONLY_SETS)[1])
    assert drawn["is_drawn"] and drawn["film_id"] == set_id
    assert [row["film_id"] for row in drawn["coverage"]] == [one, "all"]
    space = workspace.locate(tmp_path, "data", set_id)
    assert set(store.read(space.table, "frame")["film_id"]) == {one}
    assert set_id not in bunny("library", "show")[1]
    assert "out of date" not in bunny("library", "remove", "two-")[1]


def test_what_cannot_be_trained_is_one_sentence(bunny):
    for options, words in (
        ((), "--character: expected one of the library (none is named)"),
        (("--split", "scene"), "--split: expected shot, film, got scene"),
        (("--until", "caption"), "--until: expected one of dataset, finetune, evaluate, generate"),
    ):
        code, _, err = bunny("library", "train", *options)
        assert code == 2 and words in err and len(err.splitlines()) == 1


def test_a_workspace_that_says_nothing_is_of_no_set(tmp_path):
    path = tmp_path / "series.json"
    assert joint_workspace.read_origin(path) is None
    origin = JointOrigin(
        identity_id="identity-0001", character="a", split="shot", films={"f": "b"}, only=["f"]
    )
    joint_workspace.write_origin(path, origin)
    assert joint_workspace.read_origin(path) == origin
    path.write_text('{"identity": 1}', encoding="utf-8")
    assert joint_workspace.read_origin(path) is None
