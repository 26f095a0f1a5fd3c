"""`bunny forget`: nothing of a person is left in a film's workspace, all of the others is."""

import hashlib
import json
import shutil
import signal
import subprocess
import time
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest
from photo_film import NUM_FRAMES, astronaut_pictures, make_film, run
from small_project import command, run_arguments

from bunny.character import forgotten
from bunny.core import workspace
from bunny.review import event_log
from bunny.series import people_library
from bunny.table import schema, store

pytestmark = pytest.mark.slow

GONE = "bunny"


def copy(project, folder):
    """A copy of the project in which every stage has run, and its film's workspace."""
    shutil.copytree(project.folder, folder)
    done = Path(project.done["workspace"])
    data = folder / done.parents[1].relative_to(project.folder)
    return workspace.locate(folder, str(data), done.name)


def vectors_of(space, ids):
    """Embeddings of these faces or figures in tables and shards, as bytes."""
    found = set()
    for path in space.root.rglob("*.parquet"):
        frame = store.read(path.parent, path.stem) if path.stem in schema.TABLE else None
        for key in ("face_id", "figure_id", "subject_id", "asset_id"):
            for column in ("embedding", "vector"):
                if frame is not None and {key, column} <= set(frame.columns):
                    own = frame.filter(pl.col(key).is_in(ids))[column].drop_nulls()
                    found |= {np.asarray(one, np.float32).tobytes() for one in own}
    return found


def names_in(space, name):
    """Columns of tables that have the name, in a word of their own."""
    found = set()
    for path in sorted(space.root.rglob("*.parquet")):
        for column, kind in pl.read_parquet_schema(path).items():
            values = pl.read_parquet(path, columns=[column], memory_map=False)[column]
            if kind == pl.List(pl.String):
                values = values.explode()
            elif kind != pl.String:
                continue
            is_own = values.str.contains(rf"(?i)(^|[^\w]){name}($|[^\w])").fill_null(value=False)
            if is_own.any():
                found.add(f"{path.stem}.{column}")
    return found


def content(space):
    """Hash of every file of a workspace but locks."""
    return {
        path.relative_to(home).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for home in (space.root, space.checkpoint)
        for path in sorted(home.rglob("*"))
        if path.is_file() and ".lock" not in path.name
    }


def correct(space, bunny):
    """What people said of the bunny, and of others."""
    asset = store.read(space.table, "asset").filter(pl.col("level") == "character")
    own = asset.filter(pl.col("name") == GONE)["asset_id"].to_list()
    other = asset.filter(pl.col("name") != GONE)["asset_id"].to_list()
    film = space.film_id
    assert bunny("correct", "approve", film, own[0])[0] == 0
    assert bunny("correct", "comment", film, other[0], "--text", "beside Bunny, left")[0] == 0
    return own, other


@pytest.fixture(scope="module")
def original(small_project, tmp_path_factory):
    return copy(small_project, tmp_path_factory.mktemp("forget") / "project")


@pytest.fixture
def space(small_project, tmp_path, bunny, monkeypatch):
    space = copy(small_project, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    return space


def test_it_says_first_and_removes_nothing(space, bunny):
    before = content(space)
    code, out, _ = bunny("forget", GONE, "--data-dir", "data")
    assert code == 0
    num = store.read(space.table, "dataset").filter(pl.col("character") == GONE).height
    assert f"{num} training pictures" in out
    assert "nothing was removed yet; add --yes to remove it" in out
    assert content(space) == before


def test_nothing_of_the_person_is_left_and_all_of_the_others(space, small_project, bunny):
    tables = {one: store.read_or_empty(space.table, one) for one in schema.TABLE}
    own, other = correct(space, bunny)
    label = tables["label_corrected"]
    subjects = label.filter(pl.col("character") == GONE)["subject_id"].to_list()
    secret = vectors_of(space, [*subjects, *own])
    assert secret and subjects
    options = ("--yes", "--note", "request 7", "--by", "Mia", "--json", "--debug")
    code, out, err = bunny("forget", GONE, "--film", "three", *options)
    assert code == 0, err
    (film,) = json.loads(out)["films"]
    assert film["counts"]["adapters"] >= 1 and film["counts"]["corrections"] == 1
    left = {name for name in names_in(space, GONE) if not name.endswith(".model")}
    assert left == {"film.path"} & left  # tables of its own figures say which model made them
    every = [
        np.asarray(one, np.float32).tobytes()
        for path in space.root.rglob("*.parquet")
        for column, kind in pl.read_parquet_schema(path).items()
        if isinstance(kind, pl.Array | pl.List) and kind.inner == pl.Float32
        for one in pl.read_parquet(path, columns=[column])[column].drop_nulls()
    ]
    assert every and not secret & set(every)
    assert not (space.root / "dataset" / GONE).exists()
    assert not list(space.checkpoint.rglob("*.safetensors"))
    after = store.read(space.table, "label_corrected")
    assert after.equals(label.filter(~pl.col("subject_id").is_in(subjects)))
    assert store.read(space.table, "frame").equals(tables["frame"])
    (event,) = event_log.read(space.root)
    assert event.text == "beside person, left" and event.items[0].asset_id == other[0]
    (record,) = forgotten.read(space.root)
    assert (record.by, record.note, len(record.tracks) > 0) == ("Mia", "request 7", True)
    assert GONE not in (space.root / forgotten.FILE).read_text()
    assert bunny("forget", GONE)[0] == 2
    _run_again(space, small_project, label)


def _run_again(space, project, label):
    """The next run finds the others where they were, and nobody in the places."""
    arguments = run_arguments(space.root.parents[2] / project.film.name, space.root.parents[1])
    done = subprocess.run(
        command(*arguments, "--until", "cluster"),
        cwd=space.root.parents[2],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = store.read(space.table, "label")
    assert GONE not in found["character"].to_list()
    others = label.filter((pl.col("character") != GONE) & (pl.col("source") != "person"))
    assert others.height
    known = set(zip(found["frame_id"], found["character"], strict=True))
    kept = set(zip(others["frame_id"], others["character"], strict=True))
    assert len(kept - known) <= 1  # a margin is to the second best, who is another one now


def inside(image, box, edge=12):
    """Pixels of a box, without its edges."""
    x0, y0, x1, y1 = (round(side) for side in box)
    return image[y0 + edge : y1 - edge, x0 + edge : x1 - edge].astype(float)


def test_what_shows_others_goes_too_and_does_not_come_back(space, small_project, bunny):
    """The one training picture of shot 0 has a group of one figure in it; shot 1 has none of it."""
    before = {name: store.read(space.table, name) for name in ("dataset", "frame", "candidate")}
    own = before["dataset"].filter(shot_index=0).row(0, named=True)
    figure = store.read(space.table, "figure").filter(frame_id=own["frame_id"], candidate="pip")
    is_other = pl.col("item_id").is_in(figure["figure_id"].to_list())
    is_other &= pl.col("level") == "unknown"
    for name in ("cluster", "cluster_corrected"):
        grouped = store.read(space.table, name).with_columns(
            cluster_id=pl.when(is_other).then(pl.lit("figure-01")).otherwise("cluster_id"),
            similarity=pl.when(is_other).then(pl.lit(1, pl.Float32)).otherwise("similarity"),
            is_noise=pl.col("is_noise") & ~is_other,
        )
        store.write(space.table, name, grouped)
    path = space.root / before["frame"].filter(frame_id=own["frame_id"])["file"].item()
    whole = cv2.imread(str(path))
    others = {row["file"]: content(space)[row["file"]] for row in before["dataset"].to_dicts()}
    code, out, err = bunny("forget", "figure-01", "--film", "three", "--others", "--yes")
    assert code == 0, err
    assert "1 training picture of bunny with them, 2 adapters of bunny" in out
    assert "1 picture of the film to paint over" in out
    left = store.read(space.table, "dataset")
    assert left.equals(before["dataset"].filter(pl.col("image_id") != own["image_id"]))
    stored = content(space)
    assert own["file"] not in stored
    assert all(stored[file] == others[file] for file in left["file"])
    lines = (space.root / "dataset" / "bunny" / "metadata.jsonl").read_text().splitlines()
    names = [Path(file).name for file in left["file"]]
    assert [json.loads(line)["file_name"] for line in lines] == names
    candidate = store.read(space.table, "candidate").filter(subject_id=own["subject_id"])
    assert candidate.select("is_chosen", "reason").row(0) == (False, "crowded")
    assert store.read(space.table, "adapter").is_empty()
    assert not list(space.checkpoint.rglob("*.safetensors"))
    frame = before["frame"].filter(frame_id=own["frame_id"]).row(0, named=True)
    boxes = forgotten.boxes_in(frame, forgotten.hidden(space.root))
    assert boxes
    painted = cv2.imread(str(path))
    for box in boxes:
        assert inside(whole, box).std() > 8 and inside(painted, box).std(axis=(0, 1)).max() < 2
    beside = np.abs(painted[:, -100:].astype(int) - whole[:, -100:]).mean()
    assert beside < 2  # encoded once more
    known = path.read_bytes()
    assert bunny("forget", "--others", "--film", "three", "--yes")[0] == 0
    assert path.read_bytes() == known  # what is painted is left as it is
    path.unlink()
    project = space.root.parents[2]
    line = run_arguments(project / small_project.film.name, space.root.parents[1])
    done = subprocess.run(
        command(*line, "--until", "dataset"), cwd=project, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    again = cv2.imread(str(path))
    for box in boxes:
        assert inside(again, box).std(axis=(0, 1)).max() < 2
    hidden = forgotten.hidden_boxes(space.root, store.read(space.table, "frame"))
    made = store.read(space.table, "dataset").join(hidden, on="frame_id", suffix="_hidden")
    meet = [
        (pl.max_horizontal(f"{k}0_px", f"{k}0_px_hidden"))
        < pl.min_horizontal(f"{k}1_px", f"{k}1_px_hidden")
        for k in "xy"
    ]
    assert store.read(space.table, "dataset").height and made.filter(*meet).is_empty()


def test_a_kill_on_the_way_is_made_good_by_the_same_command(
    space, original, bunny, tmp_path, monkeypatch
):
    whole = tmp_path / "whole"
    shutil.copytree(original.root.parents[2], whole)
    monkeypatch.chdir(whole)
    assert bunny("forget", GONE, "--yes", "--others")[0] == 0
    expected = content(workspace.locate(whole, "data", space.film_id))
    monkeypatch.chdir(tmp_path / "project")
    line = command("forget", GONE, "--yes", "--others")
    struck = 0
    while True:
        process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        while process.poll() is None and not (space.root / forgotten.FILE).exists():
            time.sleep(0.002)
        time.sleep(0.02 * struck)
        if process.poll() is not None or struck == 3:
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        struck += 1
        process.stderr.close()
    assert process.wait() == 0, process.stderr.read()
    process.stderr.close()
    assert struck >= 1
    changing = {forgotten.FILE, "stage/hash.json", "source.json"}
    found = {name: value for name, value in content(space).items() if name not in changing}
    assert found == {name: value for name, value in expected.items() if name not in changing}


def test_somebody_unnamed_is_forgotten_in_a_film_and_not_found_again(tmp_path, bunny):
    whole, _ = astronaut_pictures()
    space = make_film(tmp_path, "one", whole)
    assert store.read(space.table, "face").height == NUM_FRAMES
    code, out, err = bunny("forget", "person-01", "--film", "one", "--yes")
    assert code == 0, err
    assert f"{NUM_FRAMES} faces and figures" in out
    assert store.read(space.table, "face").height == 0
    shutil.rmtree(space.stage("detect"))  # nothing that was measured is kept
    run(space)
    assert store.read(space.table, "face").height == 0
    code, _, err = bunny("forget", "person-01", "--film", "one")
    assert (code, "expected the name of a character" in err) == (2, True)


def test_a_place_named_by_hand_is_painted_over_from_then_on(tmp_path, bunny):
    """The face is found in two shots; the place is of the first alone."""
    whole, _ = astronaut_pictures()
    space = make_film(tmp_path, "one", whole)
    face = (
        store.read(space.table, "face")
        .filter(pl.col("frame_id").str.ends_with("0"))
        .row(0, named=True)
    )
    box = [round(face[f"{side}_px"]) for side in ("x0", "y0", "x1", "y1")]
    frame_id = face["frame_id"]
    for wrong, words in (
        (("one-9", *box), "expected the id of a frame"),
        ((frame_id, 0, 0, 513, 9), "X0 < X1 <= 512"),
        ((frame_id, 9, 0, 9, 9), "got 9 0 9 9"),
    ):
        code, _, err = bunny("forget", "--box", *map(str, wrong), "--yes")
        assert (code, words in err) == (2, True), err
    assert not (space.root / forgotten.FILE).exists()
    code, out, err = bunny("forget", "--box", frame_id, *map(str, box), "--others", "--yes")
    assert code == 0, err
    assert "2 faces and figures, 1 box drawn by hand" in out
    assert "2 pictures of the film to paint over" in out
    (entry,) = forgotten.read(space.root)
    assert [(one.start_s, one.end_s) for one in entry.tracks if len(one.boxes) == 1] == [(0.0, 2.0)]
    assert store.read(space.table, "face")["shot_index"].to_list() == [1, 1]
    for number in range(NUM_FRAMES):
        image = cv2.imread(str(space.root / f"frame/{number:08d}.png"))
        assert (inside(image, box, 0).std(axis=(0, 1)).max() < 0.5) == (number < 2)
    shutil.rmtree(space.stage("detect"))
    run(space)
    assert store.read(space.table, "face")["shot_index"].to_list() == [1, 1]
    code, _, err = bunny("forget")
    assert (code, "expected a name, --box or --others" in err) == (2, True)
    code, _, err = bunny("forget", "--others", "--film", "one", "--yes")
    assert code == 0, err


def test_the_library_of_all_films_forgets_too(tmp_path, bunny):
    whole, near = astronaut_pictures()
    spaces = make_film(tmp_path, "one", whole), make_film(tmp_path, "two", near)
    bunny("library", "add")
    assert bunny("library", "name", f"{spaces[0].film_id}:person-01=Eileen")[0] == 0
    for space in spaces:
        run(space)
    bunny("library", "add")
    folder = tmp_path / "data" / people_library.FOLDER
    (vectors,) = folder.rglob("*.f32")
    assert np.fromfile(vectors, np.float32).any()
    code, out, err = bunny("forget", "Eileen", "--yes")
    assert code == 0, err
    assert out.count("faces and figures") == 2 and "the library of all films: 2 members" in out
    assert not np.fromfile(vectors, np.float32).any()
    library = people_library.read(folder)
    assert library.member.is_empty() and library.reference.is_empty()
    assert library.identity["name"].to_list() == [None]
    assert not list(tmp_path.rglob("*Eileen*"))
    for space in spaces:
        run(space)
        assert store.read(space.table, "face").is_empty()
