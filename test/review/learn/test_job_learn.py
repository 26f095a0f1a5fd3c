"""`bunny learn` on tables built here: learned, used by stage review, taken back."""

import json
import shutil

import numpy as np
import pytest
import table_row
from typer.testing import CliRunner

from bunny.cli import app
from bunny.command import learn
from bunny.core import workspace
from bunny.core.config import Config
from bunny.core.error import UserError
from bunny.review import create_event, event_log
from bunny.review.create_event import EventContext
from bunny.review.learn import version
from bunny.review.state import ReviewState
from bunny.stage.review import Review
from bunny.table import store

NUM = 120
QUICK = ("review.learn_method=correlation",)


@pytest.fixture
def film(tmp_path, monkeypatch, built):
    """A film of its own for each test; where its shots belong; which are in a wrong cluster."""
    root, truth, wrong = built
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return workspace.find(tmp_path, "data")[0], truth, wrong


@pytest.fixture(scope="module")
def built(tmp_path_factory, lit):
    """A film of 120 shots in four places; every sixth is in the wrong cluster."""
    root = tmp_path_factory.mktemp("film")
    path = root / "film.mp4"
    path.write_bytes(b"film")
    space = workspace.create(root, "data", path, None)
    vector, who = lit(n=NUM)
    wrong = np.arange(NUM) % 6 == 0
    place = np.where(wrong, (who + 1) % 4, who)
    ids = [f"{space.film_id}-{k:08d}" for k in range(NUM)]
    film = {"film_id": space.film_id, "path": "film.mp4", "pixel_format": "yuv420p"}
    film |= {"frame_rate_num": 25, "time_base_den": 25, "duration_s": 120.0, "num_frames": 25 * NUM}
    tables = {
        "film": [film],
        "shot": [
            {"film_id": space.film_id, "shot_index": k, "start_pts": k, "end_pts": k + 1}
            | {"first_frame_index": 25 * k, "end_frame_index": 25 * k + 25}
            for k in range(NUM)
        ],
        "frame": [
            {"frame_id": ids[k], "film_id": space.film_id, "shot_index": k, "pts": k}
            | {"frame_index": 25 * k + 5, "time_base_den": 1, "timestamp_s": k + 0.2}
            | {"width_px": 64, "height_px": 36, "reason": "shot-median"}
            for k in range(NUM)
        ],
        "embedding": [
            {"frame_id": ids[k], "model": "layout", "vector": vector[k]} for k in range(NUM)
        ],
        "cluster": [
            {"item_id": ids[k], "shot_index": k, "similarity": 0.9}
            | dict.fromkeys(("cluster_id", "scene_id"), f"scene-{place[k]:03d}")
            for k in range(NUM)
        ],
    }
    for name in (*Review.reads, "extra_frame"):
        table_row.write(space.table, name, tables.get(name, []))
    review(space)
    return root, [f"scene-{k:03d}" for k in who], wrong


def review(space):
    return Review(Config(), space.root, space.root).execute()


def say(space, truth, rows):
    """A person puts items right, one by one."""
    state = ReviewState.of(store.read(space.table, "asset"))
    ids = store.read(space.table, "asset").sort("shot_index")["asset_id"].to_list()
    for row in rows:
        one, place = ids[row], truth[row]
        act = create_event.approve if state.cluster_of(one) == place else create_event.assign
        event = act(state, EventContext(user="mia"), [one], place)
        state.apply(event)
        event_log.append(space.root, [event])


def where(space):
    asset = store.read(space.table, "asset").sort("shot_index")
    return asset["cluster_id"].to_list(), asset["source"].cast(str).to_list()


def test_learned_used_and_taken_back(film):
    space, truth, wrong = film
    say(space, truth, range(72))
    done = learn.learn(None, None, QUICK)
    assert (done.num_corrections, done.version, done.in_use) == (72, 1, 1)
    assert "version 1 deployed" in done.to_text()
    assert "scenes (layout): accuracy on 72 held-out items in 72 groups" in done.to_text()
    part = json.loads(done.to_json())["parts"][0]
    assert part["best"] == "correlation"

    before = where(space)[0]
    review(space)
    after, source = where(space)
    right = [sum(p == t for p, t in zip(w[72:], truth[72:], strict=True)) for w in (before, after)]
    assert right[0] == NUM - 72 - wrong[72:].sum()
    assert right[1] > right[0]
    assert source[72:].count("learned") >= right[1] - right[0]
    assert "learned" not in source[:72]

    again = learn.learn(None, None, QUICK)  # the tables now hold what version 1 moved
    assert json.loads(again.to_json())["parts"] == json.loads(done.to_json())["parts"]

    assert learn.roll_back(None).in_use == 1
    assert learn.roll_back(None).in_use == 0
    review(space)
    assert "learned" not in where(space)[1]
    with pytest.raises(UserError, match="--to"):
        learn.roll_back(None)


def test_too_few_corrections(film):
    space, truth, _ = film
    say(space, truth, range(3))
    with pytest.raises(UserError, match=r"expected 10 corrections .* got 3"):
        learn.learn(None)
    assert version.numbers(space.checkpoint) == []


def test_not_better_not_deployed(film):
    space, truth, wrong = film
    say(space, truth, np.flatnonzero(~wrong)[:30].tolist())  # all were right before
    done = learn.learn(None, None, QUICK)
    assert (done.version, done.in_use) == (0, 0)
    assert "no method was better" in done.to_text()


def test_the_command_line(film):
    space, truth, _ = film
    say(space, truth, range(72))
    runner = CliRunner()
    setting = ["--set", QUICK[0]]
    assert "version 1 deployed" in runner.invoke(app, ["learn", *setting]).output
    listed = runner.invoke(app, ["learn", "--list"]).output
    assert "version 1 is in use" in listed
    assert "correlation" in listed
    said = json.loads(runner.invoke(app, ["learn", "--list", "--json"]).output)
    assert (said["in_use"], [row["version"] for row in said["versions"]]) == (1, [1])
    assert "no learned version is in use" in runner.invoke(app, ["learn", "--rollback"]).output
    assert "version 1" in runner.invoke(app, ["learn", "--rollback", "--to", "1"]).output
    assert version.current(space.checkpoint) == 1
    assert isinstance(runner.invoke(app, ["learn", "--list", "--to", "1"]).exception, UserError)
    assert isinstance(runner.invoke(app, ["learn", "--to", "9"]).exception, UserError)


def test_a_rejected_shot_falls_as_in_the_stage(film):
    """What is learned from begins where stage review has it under the same threshold."""
    space, _, _ = film
    asset = store.read(space.table, "asset")
    one = asset["asset_id"][0]
    event_log.append(
        space.root, [create_event.reject(ReviewState.of(asset), EventContext(user="mia"), [one])]
    )
    where = []
    for threshold in (-1.0, 1.0):
        state, _, _ = learn._read(space, Config(clustering={"noise_threshold": threshold}))
        where += state.filter(state["asset_id"] == one)["cluster_id"].to_list()
    assert where[0] not in (None, asset["cluster_id"][0]) and where[1] is None
