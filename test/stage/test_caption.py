"""Stage caption on small films: offline, and with models behind a real local server."""

import base64
import hashlib
import json
import logging
import shutil
import socket
from pathlib import Path

import caption_film
import cv2
import numpy as np
import pytest
import tiny_captioner
from PIL import Image

from bunny.contract.shard import Shards
from bunny.core.error import StageError, UserError
from bunny.table import store

service = caption_film.service
Reply = service.Reply
KEY = "sk-very-secret-0123456789"
RED = caption_film.RED
_film, _stage, _captions = caption_film.write, caption_film.stage, caption_film.captions


@pytest.fixture
def local():
    """Settings of a local server at an address."""
    return caption_film.local


def test_offline_captions_of_the_kept_frames(tmp_path):
    result = _stage(_film(tmp_path)).execute()
    assert (result.status, result.rows, result.failed) == ("done", 3, 0)
    one, two, three = _captions(tmp_path)
    assert one["text"] == "bunny character, medium shot, day"
    tags = "bunny, solo, medium shot, day, still, place-000, green background"
    assert one["tags"] == tags.split(", ")
    assert two["text"] == "bunny character and a person, close-up, night"
    assert three["text"] == "a grey place, night"
    assert (one["characters"], three["characters"]) == (["bunny"], [])
    assert {(c["version"], c["provider"], c["model"]) for c in _captions(tmp_path)} == {
        (1, "tags", None)
    }


def test_colours_of_the_background_are_said_where_that_is_set(tmp_path):
    _stage(_film(tmp_path), has_background_colours=True).execute()
    one, two, three = _captions(tmp_path)
    assert one["text"] == "bunny character in a green place, medium shot, day"
    assert two["text"] == "bunny character and a person in a blue place, close-up, night"
    assert three["text"] == "a grey place, night"
    assert not _stage(tmp_path).can_resume()


def test_words_for_characters_are_settings(tmp_path):
    _stage(_film(tmp_path), trigger_word="sks {name}", class_word="rabbit").execute()
    assert _captions(tmp_path)[0]["text"].startswith("sks bunny rabbit, medium shot")
    assert not _stage(tmp_path).can_resume()
    assert _stage(tmp_path, trigger_word="sks {name}", class_word="rabbit").can_resume()
    other = {"trigger_word": "sks {name}", "class_word": "rabbit", "local": {"model": "x"}}
    assert _stage(tmp_path, **other).can_resume()


def test_a_missing_or_damaged_picture_fails_alone(tmp_path):
    _film(tmp_path)
    (tmp_path / "frame" / "f0.png").unlink()
    (tmp_path / "frame" / "f1.png").write_bytes(b"no picture")
    assert _stage(tmp_path, share=0.9).execute().failed == 2
    one, two, three = _captions(tmp_path)
    assert (one["status"], two["status"], three["status"]) == ("failed", "failed", "done")
    assert "f0.png" in one["error"]
    assert two["error"] == ("frame/f1.png: could not decode this picture; run stage extract again")


def test_a_film_without_kept_frames_gives_an_empty_table(tmp_path):
    assert _stage(_film(tmp_path, 0)).execute().rows == 0
    assert _captions(tmp_path) == []


def _edit(folder: Path, text: str) -> None:
    rows = [{"shot_index": 0, "text": text, "user": "ana"}]
    store.write(folder / "table", "caption_edit", store.from_rows("caption_edit", rows))


def test_words_that_a_person_gave_a_shot_are_the_next_version(tmp_path):
    """Shot 0 has frame f0 alone; the machine's caption of it stays beside."""
    _stage(_film(tmp_path)).execute()
    _edit(tmp_path, "a hare on grass")
    assert not _stage(tmp_path).can_resume()
    assert _stage(tmp_path).execute().rows == 4
    _, edited, *_ = rows = _captions(tmp_path)
    assert [(row["frame_id"], row["version"]) for row in rows] == [
        ("f0", 1),
        ("f0", 2),
        ("f1", 1),
        ("f2", 1),
    ]
    assert (edited["provider"], edited["status"], edited["model"]) == ("person", "done", None)
    assert edited["text"] == "bunny, a hare on grass"
    assert edited["note"] == "added in front: bunny"
    assert (edited["characters"], edited["tags"]) == (["bunny"], rows[0]["tags"])
    _edit(tmp_path, "bunny on grass")
    _stage(tmp_path).execute()
    edited = _captions(tmp_path)[1]
    assert (edited["text"], edited["note"]) == ("bunny on grass", None)
    assert _stage(tmp_path).can_resume()


def test_words_of_a_single_picture_go_over_those_of_its_shot(tmp_path):
    """Shot 1 has f1 and f2; f1 alone got words of its own, which make the stage stale."""
    _stage(_film(tmp_path)).execute()
    rows = [{"shot_index": 1, "text": "a street", "user": "ana"}]
    store.write(tmp_path / "table", "caption_edit", store.from_rows("caption_edit", rows))
    _stage(tmp_path).execute()
    rows = [{"frame_id": "f1", "text": "bunny waits", "user": "ben"}]
    table = store.from_rows("frame_caption_edit", rows)
    store.write(tmp_path / "table", "frame_caption_edit", table)
    assert not _stage(tmp_path).can_resume()
    _stage(tmp_path).execute()
    edited = {r["frame_id"]: r["text"] for r in _captions(tmp_path) if r["version"] == 2}
    assert edited == {"f1": "bunny waits", "f2": "a street"}
    assert _stage(tmp_path).can_resume()


def test_what_cannot_be_asked_says_why_and_the_note_tells_all(tmp_path, local):
    _film(tmp_path)
    (tmp_path / "frame" / "f1.png").unlink()
    with service.serve(lambda n: Reply(text=service.marked("a hare"))) as server:
        result = _stage(tmp_path, **local(server.url)).execute()
        assert len(server.requests) == 2
    row = _captions(tmp_path)[1]
    assert row["status"] == "failed" and "f1.png" in row["error"]
    assert result.note == (
        "trigger words added to 1 caption, 1 caption failed; retry with `--only caption --force`"
    )


def test_an_older_version_of_the_stage_is_told_by_its_fingerprint(tmp_path, local):
    parts = _stage(_film(tmp_path)).parts()
    assert isinstance(parts["version"], int) and parts["version"] >= 2
    assert set(parts["settings"]) == {
        f"captioning.{key}" for key in ("providers", "trigger_word", "class_word")
    }
    asked = _stage(tmp_path, **local("http://x")).parts()["settings"]
    more = {f"captioning.{key}" for key in ("local.model", "max_tokens", "temperature")}
    assert set(asked) == {*parts["settings"], *more}
    said = _stage(tmp_path, max_tag_share=0.9).parts()["settings"]
    assert set(said) == {*parts["settings"], "captioning.max_tag_share"}


def test_a_model_is_asked_once_per_picture_and_never_again(tmp_path, local):
    _film(tmp_path)
    with service.serve(lambda n: Reply()) as server:
        settings = local(server.url)
        result = _stage(tmp_path, **settings).execute()
        assert (result.rows, result.failed, len(server.requests)) == (3, 0, 3)
        before = _captions(tmp_path)
        _stage(tmp_path, **settings).execute()
        _stage(tmp_path, force=True, **settings).execute()
        assert len(server.requests) == 3
        assert _captions(tmp_path) == before
        _stage(tmp_path, **local(server.url, model="other")).execute()
        assert len(server.requests) == 6
        _stage(tmp_path, force=True, **settings).execute()
        assert len(server.requests) == 6
    one, _, three = before
    assert one["text"] == "bunny character runs over grass, medium shot, day"
    assert one["tags"] == ["bunny", "grass", "day", "place-000"]
    assert (one["provider"], one["model"], len(one["prompt_hash"])) == ("local", "seer", 16)
    assert (one["input_tokens"], one["output_tokens"], one["cost_usd"]) == (11, 7, None)
    assert three["note"] is None


@pytest.mark.parametrize(
    ("key", "value", "num_asked"),
    [
        ("model", "other", 3),
        ("temperature", 0.7, 3),
        ("max_tokens", 77, 3),
        ("batch_size", 1, 0),
        ("max_retries", 1, 0),
        ("timeout_seconds", 11, 0),
        ("endpoint_url", None, 0),  # the same model served elsewhere
    ],
)
def test_what_shapes_an_answer_is_asked_anew_and_nothing_else_is(
    tmp_path, local, key, value, num_asked
):
    """Counted at the server; what was once paid for is never asked again."""
    _film(tmp_path)
    with service.serve(lambda n: Reply()) as server, service.serve(lambda n: Reply()) as moved:
        settings = local(server.url)
        _stage(tmp_path, **settings).execute()
        assert len(server.requests) == 3
        changed = local(server.url, **{key: value or f"{moved.url}/v1"})
        assert _stage(tmp_path, **changed).can_resume() == (num_asked == 0)
        for one in (changed, settings, changed):
            _stage(tmp_path, force=True, **one).execute()
        assert len(server.requests) + len(moved.requests) == 3 + num_asked
        sent = [body.get(key) for _, _, body in server.requests]
    if key in ("model", "temperature", "max_tokens"):
        assert sent[3:] == [value] * 3 and value not in sent[:3]


def test_another_prompt_is_asked_anew(tmp_path, local):
    from bunny.caption import program

    _film(tmp_path)
    with service.serve(lambda n: Reply()) as server:
        _stage(tmp_path, **local(server.url)).execute()
        words = program.signature().instructions
        for text, num_requests in ((f"{words} Be brief.", 6), (words, 6)):
            program.signature().instructions = text
            program.prompt_hash.cache_clear()
            _stage(tmp_path, force=True, **local(server.url)).execute()
            assert len(server.requests) == num_requests
    program.prompt_hash.cache_clear()
    assert "Be brief." in json.dumps(server.requests[5][2])


def test_a_changed_picture_is_asked_about_anew_and_a_dropped_one_never(tmp_path, local):
    _film(tmp_path)
    with service.serve(lambda n: Reply()) as server:
        _stage(tmp_path, **local(server.url)).execute()
        cv2.imwrite(str(tmp_path / "frame" / "f2.png"), np.full((100, 200, 3), 7, np.uint8))
        _stage(tmp_path, force=True, **local(server.url)).execute()
        assert len(server.requests) == 3 + 1
        quality = store.read(tmp_path / "table", "quality")
        store.write(tmp_path / "table", "quality", quality.head(2))
        _stage(tmp_path, force=True, **local(server.url)).execute()
        assert len(server.requests) == 4


def test_an_answer_that_was_paid_for_is_found_by_its_number_in_later_versions(tmp_path, local):
    """The number is of the picture, how it is sent, the words of the question, and the model."""
    _film(tmp_path)
    with service.serve(lambda n: Reply()) as server:
        _stage(tmp_path, **local(server.url, max_tokens=99, temperature=0.5)).execute()
    prompt = _captions(tmp_path)[0]["prompt_hash"]
    told = [
        ["bunny is a character", "solo", "medium shot", "day", "still"],
        ["bunny is a character", "2 figures", "close-up", "night", "in motion"],
        ["nobody", "night", "in motion"],
    ]
    numbers = set()
    for i, facts in enumerate(told):
        picture = hashlib.sha256((tmp_path / "frame" / f"f{i}.png").read_bytes()).hexdigest()
        asked = [picture, 768, 85, prompt, "local", "seer", 99, 0.5, facts]
        numbers.add(int(hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:15], 16))
    kept = tmp_path / "stage" / "caption" / "answer"
    assert {int(path.stem) for path in (kept / "v2").iterdir()} == numbers
    rows = store.read(tmp_path / "table", "caption").rows(named=True)
    for number, row in zip(sorted(numbers), rows, strict=True):  # as the version before kept them
        text = {**row, "text": f"an answer to {row['frame_id']}"}
        Shards(kept, "v1").put(number, {"caption": store.from_rows("caption", [text])})
    before = {json.loads(p.read_text())["frame_id"] for p in (kept / "v2").iterdir()}
    shutil.rmtree(kept / "v2")
    with service.serve(lambda n: Reply()) as again:
        asked = local(again.url, max_tokens=99, temperature=0.5)
        _stage(tmp_path, force=True, **asked).execute()
        assert again.requests == []
    assert before == {"f0", "f1", "f2"}
    assert all("an answer to f" in row["text"] for row in _captions(tmp_path))


def test_a_new_label_asks_about_that_picture_alone(tmp_path, local):
    _film(tmp_path)
    with service.serve(lambda n: Reply()) as server:
        _stage(tmp_path, **local(server.url)).execute()
        label = store.read(tmp_path / "table", "label")
        store.write(tmp_path / "table", "label", label.head(3))  # the stranger of f1 is gone
        _stage(tmp_path, **local(server.url)).execute()
        assert len(server.requests) == 4


def test_a_forgotten_trigger_is_put_in_front_and_noted(tmp_path, local):
    _film(tmp_path)
    with service.serve(lambda n: Reply(text=service.marked("a hare on grass"))) as server:
        stage = _stage(tmp_path, **local(server.url))
        result = stage.execute()
    one, _, three = _captions(tmp_path)
    assert (one["text"], one["note"]) == (
        "bunny character, a hare on grass",
        "added in front: bunny",
    )
    assert (three["text"], three["note"]) == ("a hare on grass", None)
    assert result.note == "trigger words added to 2 captions"


def test_refusals_and_garbage_are_rows_and_not_paid_for_twice(tmp_path, local):
    _film(tmp_path)
    garbage = Reply(text="???")
    replies = [Reply(text="I'm sorry, I can't."), garbage, garbage, Reply()]
    with service.serve(lambda n: replies[n]) as server:
        settings = local(server.url, batch_size=1)
        result = _stage(tmp_path, share=0.9, **settings).execute()
        _stage(tmp_path, force=True, share=0.9, **settings).execute()
        assert len(server.requests) == 4
    assert [c["status"] for c in _captions(tmp_path)] == ["refused", "failed", "done"]
    assert [c["input_tokens"] for c in _captions(tmp_path)] == [11, 22, 11]
    assert result.failed == 2


def test_the_next_provider_answers_what_the_first_refuses_and_the_row_says_why(tmp_path, local):
    """f0 is captioned, f1 refused, f2 answered by garbage; tags answer those two."""
    _film(tmp_path)
    garbage = Reply(text="???")
    replies = [Reply(), Reply(text="I'm sorry, I can't."), garbage, garbage]
    with service.serve(lambda n: replies[n]) as server:
        asked = local(server.url, batch_size=1) | {"providers": ["local", "tags"]}
        result = _stage(tmp_path, **asked).execute()
        _stage(tmp_path, force=True, **asked).execute()
        assert len(server.requests) == 4
    one, two, three = _captions(tmp_path)
    assert (one["provider"], one["fallback_reason"]) == ("local", None)
    assert (two["provider"], two["model"], two["input_tokens"]) == ("tags", None, None)
    assert two["text"] == "bunny character and a person, close-up, night"
    assert two["fallback_reason"] == "local: the model refused: I'm sorry, I can't."
    assert three["fallback_reason"].startswith("local: expected a caption, got")
    assert result.failed == 0
    assert result.note.startswith("2 captions by a fallback provider (see column fallback_reason)")


def test_a_rejected_key_ends_the_run_or_gives_way_to_the_next(tmp_path, monkeypatch):
    _film(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    rejected = Reply(status=401, body={"error": {"message": f"Incorrect API key: {KEY}"}})
    with service.serve(lambda n: rejected) as server:
        one = {"model": "gpt-4o-mini", "endpoint_url": f"{server.url}/v1"}
        with pytest.raises(UserError, match="OPENAI_API_KEY"):
            _stage(tmp_path, providers=["openai"], openai=one).execute()
        _stage(tmp_path, providers=["openai", "tags"], openai=one).execute()
    rows = _captions(tmp_path)
    assert {row["provider"] for row in rows} == {"tags"}
    assert all("HTTP 401" in row["fallback_reason"] for row in rows)
    assert KEY not in str(rows)


def test_models_on_this_machine_caption_a_film_without_network(tmp_path):
    blip = tiny_captioner.save_blip(tmp_path / "blip")
    tagger = tiny_captioner.save_tagger(tmp_path / "tagger")
    film = _film(tmp_path / "film")
    _stage(
        film, providers=["transformers"], transformers={"model": str(blip)}, max_tokens=2
    ).execute()
    one, _, three = _captions(film)
    assert (one["text"], one["note"]) == ("bunny character, rabbit rabbit", "added in front: bunny")
    assert (three["text"], three["provider"]) == ("rabbit rabbit", "transformers")
    own = {"model": str(tagger), "general_threshold": 0.9}  # half white: blue 0.93, others less
    _stage(film, providers=["tagger", "tags"], tagger=own).execute()
    one, two, three = _captions(film)
    assert (two["text"], two["provider"]) == ("bunny character and a person, o_o", "tagger")
    assert two["tags"] == ["bunny", "o_o", "place-001"]
    assert (one["text"], one["provider"]) == ("bunny character, medium shot, day", "tags")
    assert three["fallback_reason"] == "tagger: no tag reaches captioning.tagger.general_threshold"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"providers": ["bedrock"]}, r"captioning\.bedrock\.model"),
        ({"providers": ["transformers", "tags"]}, r"captioning\.transformers\.model"),
        ({"providers": ["tagger", "tags"]}, r"captioning\.tagger\.model"),
        ({"providers": ["clip", "tags"]}, r"captioning\.clip\.model"),
    ],
)
def test_a_provider_without_a_model_is_refused_even_where_another_follows(tmp_path, changes, says):
    with pytest.raises(UserError, match=says):
        _stage(_film(tmp_path), **changes).execute()


def test_a_limit_on_costs_ends_the_run_with_what_it_has(tmp_path, local):
    """An answer may cost 0.12 USD and does cost 0.007: of 0.13 two are asked for, of 0.14 three."""
    _film(tmp_path, 12)
    with service.serve(lambda n: Reply()) as server:
        asked = local(server.url, batch_size=1, max_tokens=120)
        asked["local"]["output_price_usd"] = 1000.0
        result = _stage(tmp_path, max_cost_usd=0.1305, **asked).execute()
        assert (result.status, result.failed, len(server.requests)) == ("done", 0, 2)
        rows = _captions(tmp_path)
        assert [r["status"] for r in rows] == ["done"] * 2 + ["failed"] * 10
        assert rows[1]["cost_usd"] == pytest.approx(0.007)
        assert rows[2]["error"].startswith("captioning.max_cost_usd 0.1305 is reached")
        assert result.note.endswith(
            "10 pictures left without a caption: captioning.max_cost_usd was reached"
        )
        assert _stage(tmp_path, max_cost_usd=0.1305, **asked).can_resume()
        _stage(tmp_path, max_cost_usd=0.1345, **asked).execute()  # a new run, its own limit
        assert len(server.requests) == 5
        _stage(tmp_path, max_cost_usd=0.13, **(asked | {"providers": ["local", "tags"]})).execute()
    rows = _captions(tmp_path)
    assert {row["status"] for row in rows} == {"done"}
    assert rows[11]["fallback_reason"].startswith("local: captioning.max_cost_usd 0.13 is reached")


def test_the_cost_is_said_before_the_first_request(tmp_path, local, caplog):
    _film(tmp_path)
    caplog.set_level(logging.INFO)
    with service.serve(lambda n: Reply()) as server:
        asked = local(server.url, max_tokens=100)
        asked["local"]["output_price_usd"] = 10.0
        [before] = _stage(tmp_path, **asked).estimate()
        assert server.requests == []
        assert (before.num_pictures, before.cost_usd) == (3, pytest.approx(3 * 100 * 10 / 1e6))
        _stage(tmp_path, **asked).execute()
        assert f"caption: {before.to_text()}" in caplog.messages
        [after] = _stage(tmp_path, **asked).estimate()
        assert (after.num_pictures, after.cost_usd) == (0, 0)
        frame = tmp_path / "frame" / "f2.png"
        cv2.imwrite(str(frame), np.full((100, 200, 3), 7, np.uint8))
        [one] = _stage(tmp_path, **asked).estimate()  # by what the other answers took
        assert (one.num_tokens, one.cost_usd) == (11 + 7, pytest.approx(7 * 10 / 1e6))


def test_a_dead_server_fails_the_stage_and_a_rerun_asks_only_what_is_missing(tmp_path, local):
    _film(tmp_path, 12)
    with service.serve(lambda n: Reply() if n < 3 else Reply(status=500, body={})) as server:
        with pytest.raises(StageError, match="9 of 12 items failed"):
            _stage(tmp_path, **local(server.url, batch_size=1)).execute()
        assert len(server.requests) == 8  # three answers, then five failures in a row
        rows = _captions(tmp_path)
        assert [r["status"] for r in rows] == ["done"] * 3 + ["failed"] * 9
        assert "HTTP 500" in rows[3]["error"]
        assert rows[11]["error"].startswith("request skipped")
    with service.serve(lambda n: Reply()) as again:
        _stage(tmp_path, **local(again.url)).execute()
        assert len(again.requests) == 9
    assert {c["status"] for c in _captions(tmp_path)} == {"done"}


def test_no_key_appears_in_tables_logs_or_errors(tmp_path, monkeypatch, caplog):
    _film(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    broken = Reply(status=500, body={"error": {"message": f"cannot use {KEY}"}})
    with service.serve(lambda n: broken if n else Reply()) as server:
        url = f"{server.url}/v1"
        asked = {"providers": ["openai"], "openai": {"model": "gpt-4o-mini", "endpoint_url": url}}
        _stage(tmp_path, share=1.0, max_retries=0, batch_size=1, **asked).execute()
        assert server.requests[0][1]["Authorization"] == f"Bearer {KEY}"
    assert [c["status"] for c in _captions(tmp_path)] == ["done", "failed", "failed"]
    assert "<OPENAI_API_KEY>" in _captions(tmp_path)[1]["error"]
    assert KEY not in str(_captions(tmp_path)) + caplog.text
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert written and not any(KEY.encode() in path.read_bytes() for path in written)


def test_a_missing_key_is_refused_before_anything_is_sent(tmp_path, monkeypatch):
    _film(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with service.serve(lambda n: Reply()) as server:
        asked = {
            "providers": ["openai"],
            "openai": {"model": "gpt-4o-mini", "endpoint_url": server.url},
        }
        with pytest.raises(UserError, match="OPENAI_API_KEY"):
            _stage(tmp_path, **asked).execute()
        assert server.requests == []
    assert _stage(tmp_path, **asked).record()["status"] == "failed"


@pytest.mark.parametrize(
    ("providers", "says"),
    [
        (
            ["openai"],
            r"up to 3 frames \(f0 to f2\) go to openai at api\.openai\.com, whole, as JPEG",
        ),
        (["bedrock", "tags"], r"bedrock at bedrock-runtime\.us-east-1\.amazonaws\.com"),
        (["local", "anthropic"], r"up to 3 frames .* anthropic at api\.anthropic\.com"),
        (["local"], None),
    ],
)
def test_no_picture_leaves_the_machine_unless_that_is_allowed(
    tmp_path, monkeypatch, providers, says
):
    """Nothing is asked here: the addresses are not those of servers."""
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(name, KEY)
    asked = {name: {"model": "m"} for name in ("openai", "bedrock", "anthropic")}
    asked["local"] = {"model": "m", "endpoint_url": "http://127.0.0.1:9/v1"}
    stage = _stage(_film(tmp_path), share=1.0, providers=providers, max_retries=0, **asked)
    if says is None:
        assert stage.execute().failed == 3
        return
    with pytest.raises(UserError, match=rf"captioning\.allow_upload: .*{says}"):
        stage.execute()


def test_an_upload_is_said_where_it_is_allowed_and_kept_answers_need_none(
    tmp_path, local, monkeypatch, caplog
):
    """A name that is not this machine's, though it leads here."""
    _film(tmp_path)
    caplog.set_level(logging.INFO)
    whole = socket.getaddrinfo

    def lead_here(host, *more, **given):
        return whole(host.replace("far.example", "127.0.0.1"), *more, **given)

    monkeypatch.setattr(socket, "getaddrinfo", lead_here)
    with service.serve(lambda n: Reply()) as server:
        asked = local(server.url.replace("127.0.0.1", "far.example"))
        with pytest.raises(UserError, match=r"local at far\.example"):
            _stage(tmp_path, **asked).execute()
        assert server.requests == []
        _stage(tmp_path, allow_upload=True, **asked).execute()
        assert len(server.requests) == 3
        _stage(tmp_path, force=True, **asked).execute()
        assert len(server.requests) == 3
    assert [m for m in caplog.messages if "far.example" in m] == [
        "caption: up to 3 frames (f0 to f2) go to local at far.example, whole, as JPEG of at most "
        "768 px without metadata"
    ]


def test_crops_show_the_figures_alone_and_frames_without_any_stay_here(tmp_path, local):
    """The bunny of f0 has the box (60, 20, 120, 80) and is red; f2 shows nobody."""
    _film(tmp_path)
    with service.serve(lambda n: Reply()) as server:
        asked = local(server.url, batch_size=1) | {"providers": ["local", "tags"]}
        _stage(tmp_path, send="crop", **asked).execute()
        assert len(server.requests) == 2
        _stage(tmp_path, **asked).execute()  # whole frames are other questions
        assert len(server.requests) == 5
        _stage(tmp_path, send="crop", **asked).execute()
        assert len(server.requests) == 5
    sent = _sent(server.requests[0])
    assert sent.shape == (60, 60, 3)
    assert np.abs(sent.reshape(-1, 3).mean(axis=0) - RED).max() < 3
    assert _captions(tmp_path)[2]["provider"] == "tags"
    assert "nobody is seen in this frame" in _captions(tmp_path)[2]["fallback_reason"]


def test_a_pictures_metadata_is_not_sent(tmp_path, local):
    _film(tmp_path)
    exif = Image.Exif()
    exif[0x010E], exif[0x0131] = "planted-description", "planted-software"
    Image.new("RGB", (64, 48), (9, 99, 9)).save(tmp_path / "frame" / "f0.png", exif=exif)
    assert b"planted" in (tmp_path / "frame" / "f0.png").read_bytes()
    with service.serve(lambda n: Reply()) as server:
        _stage(tmp_path, **local(server.url, batch_size=1)).execute()
    assert b"planted" not in _sent_bytes(server.requests[0])
    assert b"Exif" not in _sent_bytes(server.requests[0])


def _sent_bytes(request) -> bytes:
    """The picture of a request to a server like OpenAI's."""
    blocks = request[2]["messages"][1]["content"]
    [sent] = [b["image_url"]["url"] for b in blocks if b["type"] == "image_url"]
    return base64.b64decode(sent.partition(",")[2])


def _sent(request) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(_sent_bytes(request), np.uint8), cv2.IMREAD_COLOR)


def test_large_pictures_are_sent_small(tmp_path, local):
    _film(tmp_path)
    cv2.imwrite(str(tmp_path / "frame" / "f0.png"), np.zeros((900, 1800, 3), np.uint8))
    with service.serve(lambda n: Reply()) as server:
        _stage(tmp_path, **local(server.url, batch_size=1)).execute()
    assert _sent(server.requests[0]).shape == (384, 768, 3)
