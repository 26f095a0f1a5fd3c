"""`bunny compare` on copies of a small run, in which labels and records are changed by hand."""

import json
import re
import shutil
from pathlib import Path

import polars as pl
import pytest

from bunny.table import store


@pytest.fixture(scope="module")
def run(small_project) -> Path:
    """The film's folder of the small project, which is only looked at."""
    return Path(small_project.done["workspace"])


def copied(run: Path, folder: Path) -> Path:
    """Tables, pictures and records of the run under another data folder."""
    target = folder / "output" / run.name
    for name in ("table", "stage", "frame", "dataset"):
        others = shutil.ignore_patterns(".*.tmp")  # written by a test beside this one
        shutil.copytree(run / name, target / name, ignore=others)
    shutil.copy(run / "source.json", target)
    return target


def change(film_dir: Path, name: str, row: int, **values) -> dict:
    """Change a row of a table; gives the row as it was."""
    table = store.read(film_dir / "table", name).with_row_index()
    is_row = pl.col("index") == row
    table = table.with_columns(
        pl.when(is_row).then(pl.lit(value, table[key].dtype)).otherwise(pl.col(key)).alias(key)
        for key, value in values.items()
    )
    before = store.read(film_dir / "table", name).row(row, named=True)
    store.write(film_dir / "table", name, table.drop("index"))
    return before


def change_record(film_dir: Path, stage: str, edit) -> None:
    path = film_dir / "stage" / stage / "stage.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    edit(record)
    path.write_text(json.dumps(record), encoding="utf-8")


@pytest.fixture
def changed(run, tmp_path):
    """The copy, and what was changed in it."""
    other = copied(run, tmp_path / "other")
    labels = store.read(other / "table", "label_corrected").with_row_index()
    stored = store.read(other / "table", "frame")["frame_id"].to_list()
    is_stored = pl.col("frame_id").is_in(stored)
    [first, *_] = labels.filter(pl.col("character") == "bunny", is_stored)["index"]
    [between, *_] = labels.filter(pl.col("character") == "bunny", ~is_stored)["index"]
    label = change(other, "label_corrected", first, character="bruno")
    frame = change(other, "quality", 0, is_kept=False, reason="blurred")
    dataset = store.read(other / "table", "dataset")
    gone = dataset.row(0, named=True)
    store.write(other / "table", "dataset", dataset[1:])

    def detect(record):
        record["parts"]["settings"]["detection.min_face_px"] = 40
        record["seconds"] = 123.5
        record["tables"]["label"]["rows"] += 2

    change_record(other, "detect", detect)
    score = store.read(other / "table", "evaluation").with_row_index()
    [scored, *_] = score.filter(pl.col("value").is_not_null())["index"]
    old = change(other, "evaluation", scored, value=0.125)
    return {
        "film": other,
        "label": label,
        "between": between,
        "frame": frame,
        "gone": gone,
        "score": old,
    }


def test_a_copy_differs_in_nothing(bunny, run, tmp_path):
    other = copied(run, tmp_path / "other")
    code, out, err = bunny("compare", run, other, "--json")
    assert code == 0, err
    found = json.loads(out)
    parts = ("settings", "counts", "seconds", "scores", "items", "notes")
    assert [found[part] for part in parts] == [[]] * 6
    tables = {name: store.read(run / "table", name).height for name in ("frame", "shot")}
    assert found["num_compared"]["frame"] == tables["frame"]
    assert found["num_compared"]["shot"] == tables["shot"] == 3


def test_what_was_changed_by_hand_is_found_and_nothing_else(bunny, run, changed, tmp_path):
    where = f"{tmp_path / 'other'}:three"
    code, out, err = bunny("compare", run, where, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["settings"] == [
        {"where": "detect", "what": "detection.min_face_px", "one": 24, "other": 40}
    ]
    rows = store.read(run / "table", "label").height
    gone = changed["gone"]
    count = store.read(run / "table", "dataset").filter(
        character=gone["character"], split=gone["split"]
    )
    left = count.height - 1 or None  # no such row when none is left
    assert found["counts"] == [
        {"where": "rows", "what": "label", "one": rows, "other": rows + 2},
        {
            "where": "set pictures",
            "what": f"bunny, {gone['split']}",
            "one": count.height,
            "other": left,
        },
    ]
    [seconds] = found["seconds"]
    assert (seconds["what"], seconds["other"]) == ("detect", 123.5)
    [score] = found["scores"]
    assert (score["one"], score["other"]) == (changed["score"]["value"], 0.125)
    assert changed["score"]["metric"] in score["what"]
    prefix = f"{run.name}-"
    items = {(item["kind"], item["key"]): (item["one"], item["other"]) for item in found["items"]}
    figure = changed["label"]["subject_id"].removeprefix(prefix)
    assert items.pop(("figure", figure)) == ("bunny", "bruno")
    frame = changed["frame"]["frame_id"].removeprefix(prefix)
    assert items.pop(("frame", frame)) == (changed["frame"]["reason"], "blurred")
    picture = f"{gone['character']}: {gone['image_id'].removeprefix(prefix)}"
    assert items.pop(("set picture", picture)) == (gone["split"], "absent")
    [((kind, key), (before, after))] = items.items()  # the shot that the figure is in
    assert kind == "shot" and key.startswith("from frame ")
    assert "bruno" in after and "bruno" not in before


def test_lines_for_people(bunny, run, changed):
    code, out, _ = bunny("compare", run, changed["film"], "--debug")
    assert code == 0
    assert "settings: 1 differ\n  detect: detection.min_face_px  24 -> 40\n" in out
    assert re.search(r"figures: 1 of \d+ have a different label\n +1 bunny -> bruno\n", out)
    assert re.search(r"set pictures: 1 of \d+ have a different label", out)


def test_the_page_shows_pictures_up_to_their_limit(bunny, run, changed, tmp_path):
    path = tmp_path / "page.html"
    change(changed["film"], "quality", 1, is_kept=False, reason="dark")
    change(changed["film"], "label_corrected", changed["between"], character=None)
    line = ("compare", run, changed["film"], "--html", path)
    code, out, _ = bunny(*line, "--pictures", 1)
    assert code == 0 and f"page: {path}" in out
    page = path.read_text(encoding="utf-8")
    assert page.count("<img") == 4  # one of each kind that differs
    assert "2 of 6 frames differ; 1 shown." in page
    assert "2 of 19 figures differ; 1 shown (1 without a stored picture)." in page
    assert "bunny → bruno" in page and "No label differs" not in page
    assert bunny(*line)[0] == 0
    assert path.read_text(encoding="utf-8").count("<img") == 5


def test_scenes_go_by_their_frames_and_not_by_their_names(bunny, run, tmp_path):
    """All is scene-001; in the copy shot 1 is `sea`, shot 2 `hall` and shot 0 in no scene."""
    other = copied(run, tmp_path / "other")
    known = store.read(run / "table", "cluster_corrected")
    names = {0: None, 1: "sea", 2: "hall"}
    is_scene = pl.col("level") == "scene"
    new = pl.col("shot_index").replace_strict(names, return_dtype=pl.String)
    changed = known.with_columns(
        cluster_id=pl.when(is_scene).then(new).otherwise("cluster_id"),
        is_noise=pl.when(is_scene).then(new.is_null()).otherwise("is_noise"),
    )
    store.write(other / "table", "cluster_corrected", changed)
    path = tmp_path / "page.html"
    code, out, err = bunny("compare", run, other, "--json", "--html", path)
    assert code == 0, err
    found = json.loads(out)["scenes"]
    assert found["matched"] == [["scene-001", "sea"]]
    assert found["changes"] == [{"kind": "split", "one": ["scene-001"], "other": ["sea", "hall"]}]
    [moved] = found["moved"]
    assert (moved["one"], moved["other"]) == ("scene-001", "no scene")
    assert moved["shot"] == "from frame 00000000"
    page = path.read_text(encoding="utf-8")
    assert "scene-001 split into sea, hall" in page and "scene-001 → no scene" in page
    assert page.count("<img") == 4  # three scenes and a shot
    _, out, _ = bunny("compare", run, other)
    line = "scenes: 1 of 1 scenes match one of 2, 1 split, 1 shot moved\n"
    assert f"{line}  scene-001 split into sea, hall\n" in out


def test_runs_of_two_films_are_compared_by_what_can_be(bunny, run, changed):
    path = changed["film"] / "source.json"
    source = json.loads(path.read_text(encoding="utf-8"))
    source |= {"content_hash": "f" * 64, "film": "shore.mp4"}
    path.write_text(json.dumps(source), encoding="utf-8")
    shutil.rmtree(changed["film"] / "stage" / "generate")
    code, out, _ = bunny("compare", run, changed["film"], "--json")
    found = json.loads(out)
    assert code == 0 and found["items"] == [] and found["num_compared"] == {}
    assert "the films differ (three shots.mp4 and shore.mp4)" in found["notes"][0]
    assert found["notes"][1].startswith("stage generate ran in data:three-shots-")
    assert found["settings"][0]["what"] == "detection.min_face_px"
    _, out, _ = bunny("compare", run, changed["film"])
    assert "note: the films differ" in out


def test_what_is_no_run_is_refused(bunny, run, tmp_path):
    for other, says in (("nothing", "found no such film"), (run, "found the same folder")):
        code, _, err = bunny("compare", run, other)
        assert code == 2 and says in err
    copied(run, tmp_path / "data")
    code, out, err = bunny("compare", run, "three", "--data-dir", "data", "--json")
    assert code == 0, err
    assert json.loads(out)["items"] == []


def test_the_page_has_the_project_and_runs_are_looked_for_in_the_folder_that_is_set(
    bunny, tmp_path, monkeypatch
):
    """Runs of which nothing is left but where the film is from can be compared, too."""
    for name, start in (("one", "0"), ("two", "1")):
        folder = tmp_path / "elsewhere" / "output" / f"{name}-{start * 8}"
        folder.mkdir(parents=True)
        source = {"film": f"{name}.mp4", "content_hash": start * 64, "references": None}
        (folder / "source.json").write_text(json.dumps(source), encoding="utf-8")
    monkeypatch.setenv("BUNNY_PROJECT__NAME", "night shift")
    monkeypatch.setenv("BUNNY_PROJECT__VERSION", "7.8.9")
    monkeypatch.setenv("BUNNY_PROJECT__DATA_DIR", "elsewhere")
    code, _, err = bunny("compare", "one", "two", "--html", "page.html")
    assert code == 0, err
    assert "night shift 7.8.9" in Path("page.html").read_text(encoding="utf-8")
    code, _, err = bunny("compare", "one", "three")
    assert code == 2 and "found no such film in elsewhere/output;" in err
