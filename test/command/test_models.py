"""`bunny models` against a local server that speaks the hub's protocol."""

import json
import os
import subprocess
import sys

import cv2
import full_disk
import hub_server
import numpy as np
import pytest
import table_row
import tiny_onnx

from bunny.character.drawn import anime_detector, ccip, medium, onnx_model
from bunny.command import models
from bunny.core import hub_model, workspace
from bunny.core.config import Config
from bunny.table import store

CCIP = hub_model.MODELS["ccip"]
PERSON = hub_model.MODELS["anime-person"]


def _read(folder, prefix):
    files = {f"{prefix}/{path.name}": path.read_bytes() for path in folder.iterdir()}
    return files | {"README.md": files[f"{prefix}/README.md"], f"{prefix}/model.ckpt": b"a pickle"}


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The hub with tiny models in the place of the real ones, and an empty cache."""
    net = tiny_onnx.save_ccip(tmp_path / "ccip")
    boxes = tiny_onnx.yolo([0.1, 0.1, 0.5, 0.9, 0.9])
    person = tiny_onnx.save_detector(tmp_path / "person", boxes)
    (person / "README.md").write_text(tiny_onnx.CARD)
    repositories = {
        CCIP.repository: _read(net, ccip.PUBLISHED.model),
        PERSON.repository: _read(person, anime_detector.KINDS["anime-person"].published.model),
    }
    with hub_server.HubServer(repositories) as server:
        hub_server.point_to(monkeypatch, server.address, tmp_path / "hub")
        yield server


def _listed(bunny):
    return {one["name"]: one for one in json.loads(bunny("models", "--json")[1])}


def test_a_group_is_fetched_once_listed_and_removed(hub, bunny, tmp_path):
    assert not any(one["is_here"] for one in _listed(bunny).values())
    code, out, _ = bunny("models", "get", "anime", "--debug")
    assert code == 0
    first, second, *used = out.splitlines()
    assert first.startswith("ccip: recognises anime characters, 0 MB, licence openrail (card of ")
    assert second.startswith("anime-person: detects anime figures, 0 MB, licence mit")
    assert used[0] == "ccip is here; detection.drawn_embedding: auto uses it in drawn film"
    assert not any(path.endswith(".ckpt") for path, _ in hub.sent)  # no pickle was asked for
    num_sent = len(hub.sent)
    assert "(already here)" in bunny("models", "get", "anime")[1] and len(hub.sent) == num_sent

    net = onnx_model.find_folder("x", "", ccip.PUBLISHED, (ccip.FEATURE,))
    assert (net.path / ccip.FEATURE).read_bytes() == (tmp_path / "ccip" / ccip.FEATURE).read_bytes()
    listed = _listed(bunny)
    assert [name for name, one in listed.items() if one["is_here"]] == ["ccip", "anime-person"]
    size = sum(len(data) for path, data in hub.repositories[CCIP.repository].items())
    assert 0 < listed["ccip"]["num_bytes"] < size  # all but the pickle, equal files once
    assert "ccip          yes   0 MB" in bunny("models")[1]

    would = json.loads(bunny("models", "remove", "anime", "--json")[1])
    assert not would["is_removed"] and would["names"] == [CCIP.repository, PERSON.repository]
    assert hub_model.is_here("ccip") and would["num_bytes"] > 0
    assert bunny("models", "remove", "ccip", "--yes", "--debug")[1].startswith(
        f"removed {CCIP.repository}"
    )
    assert not hub_model.is_here("ccip") and hub_model.is_here("anime-person")
    code, _, err = bunny("models", "remove", "ccip", "--yes")
    assert code == 2 and "not on this machine" in err


@pytest.mark.slow
def test_a_film_is_out_of_date_once_the_models_are_here_and_is_searched_with_them(hub, tmp_path):
    """In processes of their own, which know the hub by its address alone."""
    red, white = (0, 0, 255), (255, 255, 255)  # BGR
    for number in range(2):
        picture = np.full((120, 200, 3), white, np.uint8)
        picture[12:108, 20 : 100 + number] = red  # where the tiny detector sees a figure
        _write(tmp_path / "film" / f"{number}.png", picture)
    _write(tmp_path / "people" / "rose" / "1.png", np.full((64, 64, 3), red, np.uint8))
    _write(tmp_path / "people" / "moss" / "1.png", np.full((64, 64, 3), (0, 255, 0), np.uint8))
    cache = {"HF_ENDPOINT": hub.address, "HF_HUB_CACHE": str(tmp_path / "other")}

    def run(*words):
        command = [sys.executable, "-m", "bunny", *words]
        env = {**os.environ, **cache, "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    film = ("run", "film", "--references", "people", "--until", "detect", "--data-dir", "data")
    drawn = ("--set", "detection.medium=drawn")
    assert "searched with" not in run(*film, *drawn)
    assert "ccip is here" in run("models", "get", "anime")
    found = run("status", "--data-dir", "data", *drawn)
    assert "models for drawn shots None -> ccip and anime-person" in found
    assert "drawn film, searched with ccip and anime-person; found rose in 2" in run(*film, *drawn)
    assert "removed" in run("models", "remove", "anime", "--yes")
    assert "models for drawn shots ccip and anime-person -> None" in run(
        "status", "--data-dir", "data", *drawn
    )


def _write(path, picture):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture)


def test_a_download_that_is_cut_off_goes_on_where_it_stopped(hub, bunny, monkeypatch):
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda seconds: None)
    hub.fault = "cut"
    code, _, err = bunny("models", "get", "ccip")
    assert code == 2 and "the connection was cut off; run the same command again" in err
    assert not hub_model.is_here("ccip")
    hub.fault, before = "", len(hub.sent)
    assert bunny("models", "get", "ccip")[0] == 0 and hub_model.is_here("ccip")
    small = f"{ccip.PUBLISHED.model}/{ccip.THRESHOLD}"
    assert small in dict(hub.sent[:before]) and small not in dict(hub.sent[before:])


def test_a_file_with_another_hash_is_removed(hub, bunny):
    hub.fault = "garble"
    code, _, err = bunny("models", "get", "ccip")
    assert code == 2 and f"{ccip.FEATURE}" in err and "its hash is not the hub's" in err
    assert not hub_model.is_here("ccip")
    hub.fault = ""
    assert bunny("models", "get", "ccip")[0] == 0
    assert ccip.CcipNet().max_difference == pytest.approx(0.2)  # read from the hub's cache


def test_a_model_that_the_disk_has_no_room_for_is_not_begun(hub, bunny):
    hub.claimed_size = 10**16
    code, _, err = bunny("models", "get", "ccip")
    assert code == 2 and "no space left: expected 2" in err and "HF_HOME" in err
    assert hub.sent == []


def test_a_disk_that_fills_on_the_way_leaves_nothing_half_written(hub, bunny, tmp_path):
    name = f"{ccip.PUBLISHED.model}/{ccip.FEATURE}"
    hub.repositories[CCIP.repository][name] = bytes(300_000)
    with full_disk.full_after(200_000):
        code, _, err = bunny("models", "get", "ccip")
    assert code == 2 and "could not get" in err and "would exceed the size limit" in err
    assert not hub_model.is_here("ccip") and not list(tmp_path.rglob("*.incomplete"))


def test_what_the_hub_does_not_give_is_one_sentence(hub, bunny, monkeypatch):
    code, _, err = bunny("models", "get", "tagger")
    assert code == 2 and "the hub has no such repository" in err
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    code, _, err = bunny("models", "get", "ccip")
    assert code == 2 and "(http://127.0.0.1:9) could not be reached" in err
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    code, _, err = bunny("models", "get", "ccip")
    assert code == 2 and "HF_HUB_OFFLINE is set" in err


def test_an_unknown_name_is_refused_with_the_list(bunny):
    code, _, err = bunny("models", "get", "cip")
    assert code == 2 and "cip: expected a model of ccip, anime-person" in err
    assert "group anime (ccip and anime-person)" in err


def test_another_repository_in_the_cache_is_listed_and_removed_by_its_id(hub, bunny):
    from huggingface_hub import snapshot_download

    hub.repositories["somebody/model"] = {"weight.onnx": bytes(1000)}
    snapshot_download("somebody/model")
    listed = _listed(bunny)["somebody/model"]
    assert listed["is_here"] and (listed["purpose"], listed["num_bytes"]) == ("other", 1000)
    assert "freed 0 MB" in bunny("models", "remove", "somebody/model", "--yes")[1]
    assert "somebody/model" not in _listed(bunny)


@pytest.fixture
def drawn_film(tmp_path):
    """Tables of a film with two drawn shots of three, a reference and an unknown figure."""
    rows = {
        "shot_medium": [
            table_row.fill("shot_medium", shot_index=number, is_drawn=number > 0)
            for number in range(3)
        ],
        "reference": [table_row.fill("reference", reference_id="bunny/1.png")],
        "cluster": [table_row.fill("cluster", item_id="f-g00", cluster_id="figure-01")],
    }
    folder = tmp_path / "film"
    for name, own in rows.items():
        store.write(folder / "table", name, store.from_rows(name, own))
    return workspace.Workspace(film_id="film", root=folder, checkpoint=folder, log=folder)


def _hint(film, **detection):
    return models.hint(film, Config.model_validate({"detection": detection}))


def test_a_drawn_film_with_unknown_figures_says_what_would_name_them(
    drawn_film, tmp_path, monkeypatch
):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    assert _hint(drawn_film).endswith("better with `bunny models get anime` (253 MB)")
    assert _hint(drawn_film, drawn_embedding="") == ""
    hub_server.fill_cache(tmp_path / "hub", CCIP, tiny_onnx.save_ccip(tmp_path / "ccip"))
    assert _hint(drawn_film).endswith("(103 MB)")  # the detector is missing still


@pytest.mark.parametrize("name", ["shot_medium", "reference", "cluster"])
def test_a_film_that_they_would_not_help_says_nothing(drawn_film, name):
    kept = store.read(drawn_film.table, name)
    left = kept.filter(shot_index=2) if name == "shot_medium" else kept.clear()
    other = left.with_columns(is_drawn=False) if name == "shot_medium" else left
    store.write(drawn_film.table, name, other)
    assert _hint(drawn_film) == ""


def test_the_table_names_the_files_that_are_read():
    real = medium.ANIME_REAL_PUBLISHED
    read = {
        "ccip": (ccip.PUBLISHED, (ccip.FEATURE, ccip.METRIC, ccip.THRESHOLD), ()),
        "anime-real": (real, (medium.FILE, medium.LABELS), ()),
        **{
            name: (kind.published, (anime_detector.FILE,), anime_detector.SIDE_FILES)
            for name, kind in anime_detector.KINDS.items()
        },
    }
    for name, (published, needed, more) in read.items():
        model = hub_model.MODELS[name]
        assert model.repository == published.repository
        assert model.needed == tuple(f"{published.model}/{file}" for file in needed)
        assert model.more == tuple(f"{published.model}/{file}" for file in more)
        assert model.licence == onnx_model.licence_of(model.repository)
