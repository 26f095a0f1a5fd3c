"""Stage clip with a served model that is shown the beginning, middle and end of each clip."""

import base64
import json
import re
import runpy
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from bunny.caption.trigger import CharacterWords
from bunny.clip import model_caption
from bunny.clip.model_caption import ClipQuestion
from bunny.core.config import Config
from bunny.core.error import UserError
from bunny.stage.clip import Clip
from bunny.table import store

HERE = Path(__file__).parent
service = SimpleNamespace(**runpy.run_path(str(HERE.parent / "caption" / "service.py")))
film = SimpleNamespace(**runpy.run_path(str(HERE / "test_clip.py")))
WALK = "walks from left to right through a wild place by day"
GOOD = f"Anna {WALK}."


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("film")
    film.write_film(root / "film.mkv")
    return film.prepare(root, root / "film.mkv")


def said(caption: str):
    return service.Reply(text=f"[[ ## caption ## ]]\n{caption}\n\n[[ ## completed ## ]]")


def run(space, url: str, **captioning):
    """Table `clip` of a run of the stage, and the result."""
    local = {"model": "seer", "endpoint_url": f"{url}/v1"}
    settings = {
        "clip": {**film.LIT, "caption_provider": "local"},
        "captioning": {
            "trigger_word": "sks {name}",
            "class_word": "woman",
            "local": local,
            "max_retries": 0,
            "batch_size": 1,
            **captioning,
        },
    }
    stage = Clip(Config.model_validate(settings), space.root, space.root)
    return store.read(space.table, "clip") if stage.execute() else None, stage.record()["note"]


def picture_of(body: dict) -> np.ndarray:
    jpeg = base64.b64decode(re.search(r"base64,([\w+/=]+)", json.dumps(body))[1])
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)


def red_at(picture: np.ndarray) -> float:
    """Middle of the columns that are mostly red somewhere, as a share of the width."""
    blue, green, red = (picture[..., k].astype(int) for k in range(3))
    is_red = (red > 170) & (blue < 90) & (green < 90)
    return float(np.nonzero(is_red.mean(axis=0) > 0.35)[0].mean() / picture.shape[1])


def test_a_model_sees_three_moments_of_a_clip(made):
    with service.serve(lambda n: said(GOOD)) as server:
        clip, note = run(made, server.url)
        assert clip["caption"].to_list() == [
            f"sks anna woman {WALK}, the camera is still",
            f"sks anna woman {WALK}, the camera pans right",
        ]
        assert clip["caption_provider"].to_list() == ["local", "local"]
        for row in clip.iter_rows(named=True):
            text = (made.root / row["file"]).with_suffix(".txt").read_text()
            assert text == f"{row['caption']}\n"
        assert "composed" not in note
        asked = [body for _, _, body in server.requests]
        assert len(asked) == 2
        assert "the camera is still" in str(asked[0]) and "anna is a character" in str(asked[0])
        assert "the clip lasts 2.1 s" in str(asked[0])  # 33 frames, 16 a second
        wide = model_caption.MOMENT_PX
        tiles = [picture_of(asked[0])[:, k * (wide + 8) : k * (wide + 8) + wide] for k in range(3)]
        places = [red_at(tile) for tile in tiles]
        # The block walks one of 320 pixels a frame; 32 frames at 16 a second are 48 of the film.
        assert places[2] - places[0] == pytest.approx(48 / 320, abs=0.01)
        assert places[1] - places[0] == pytest.approx(24 / 320, abs=0.01)
        made.stage("clip").joinpath("stage.json").unlink()
        again, _ = run(made, server.url)
        assert len(server.requests) == 2  # what was answered is not asked again
        assert again.equals(clip)


def test_a_clip_without_an_answer_keeps_the_composed_caption(made):
    replies = [said("Three frames show Anna."), said("The left panel shows Anna."), said(GOOD)]
    with service.serve(lambda n: replies[min(n, 2)]) as server:
        clip, note = run(made, server.url, temperature=0.5)
        assert clip["caption_provider"].to_list() == [None, "local"]
        assert "expected what happens in the clip" in clip["caption_error"][0]
        assert "expected what happens in the clip" in str(server.requests[1][2])
    assert clip["caption"][0] == "sks anna woman, the camera is still"
    assert "1 caption by a model, 1 composed (expected what happens" in note


def test_pictures_leave_this_machine_only_where_that_is_allowed(made):
    with pytest.raises(UserError, match=r"3 frames each of 2 clips go to local at far\.example"):
        run(made, "http://far.example", temperature=0.25)
    with service.serve(lambda n: said(GOOD)) as server:
        other = server.url.replace("127.0.0.1", "127.1")  # this machine, spelt as no loopback is
        clip, _ = run(made, other, temperature=0.25, allow_upload=True)
        assert clip["caption_provider"].to_list() == ["local", "local"]
        assert len(server.requests) == 2


def test_a_clip_is_asked_about_anew_where_the_answer_may_be_longer(made):
    with service.serve(lambda n: said(GOOD)) as server:
        for max_tokens in (310, 320, 310):
            run(made, server.url, max_tokens=max_tokens)
        assert [body["max_tokens"] for _, _, body in server.requests] == [310, 310, 320, 320]


def test_captions_of_clips_cost_no_more_than_is_set(made):
    """An answer may cost 0.3 USD (300 tokens) and does cost 0.007 (7 tokens)."""
    with service.serve(lambda n: said(GOOD)) as server:
        local = {"model": "dear", "endpoint_url": f"{server.url}/v1", "output_price_usd": 1000}
        clip, note = run(made, server.url, local=local, max_cost_usd=0.305)
    assert len(server.requests) == 1
    assert clip["caption_provider"].to_list() == ["local", None]
    assert "captioning.max_cost_usd 0.305 is reached" in note


def test_those_beside_are_named_where_the_model_names_them():
    clip = ClipQuestion(
        clip_id="c",
        path=Path("c.mp4"),
        sha256="0" * 64,
        names=("anna", "ben"),
        other_names=(),
        camera="pan left",
        seconds=2.0,
    )
    words = CharacterWords(triggers={"anna": "sks", "ben": "bbn"}, class_word="person")
    text = model_caption.write("Ben waves and Anna leaves as the camera pans left.", clip, words)
    assert text == "bbn person waves and sks person leaves as the camera pans left"
    alone = model_caption.write("Anna leaves.", clip, words)
    assert alone == "sks person leaves, the camera pans left"
