"""`bunny caption`: captions of a film that is known, and what they would cost."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import bare_film
import cv2
import numpy as np
import polars as pl
import pytest

from bunny.core import workspace
from bunny.review import event_log
from bunny.table import store

BESIDE = Path(__file__).parents[1] / "caption"
STAGE = Path(__file__).parents[1] / "stage"
service = SimpleNamespace(**runpy.run_path(str(BESIDE / "service.py")))
make_tables = runpy.run_path(str(BESIDE / "table.py"))["make_tables"]


@pytest.fixture
def space(tmp_path):
    space = workspace.locate(tmp_path, "data", "film-0123abcd")
    bare_film.write_source(space.root)
    for name, table in make_tables(3).items():
        store.write(space.table, name, table)
        if name in ("label", "cluster"):
            store.write(space.table, f"{name}_corrected", table)
    (space.root / "frame").mkdir()
    for i in range(3):
        cv2.imwrite(str(space.root / "frame" / f"f{i}.png"), np.full((100, 200, 3), 9, np.uint8))
    return space


def test_the_estimate_names_model_pictures_and_cost(bunny, space):
    openai = ("--set", "captioning.providers=[openai,tags]", "--set", "captioning.openai.model=x")
    price = ("--set", "captioning.openai.output_price_usd=10", "--data-dir", "data")
    code, text, err = bunny("caption", "film", "--estimate", *openai, *price)
    assert code == 0, err
    assert text.startswith("film-0123abcd: openai x: 3 pictures, about ")
    assert text.endswith(" tokens, 0.0090 USD\n")  # 3 * 300 * 10 / 1,000,000
    code, text, _ = bunny("caption", "--estimate")
    assert text == "film-0123abcd: no picture is left to caption; nothing would be sent\n"


def test_captions_are_written_and_counted(bunny, space):
    code, text, err = bunny("caption", "film")
    assert (code, text) == (0, "film-0123abcd: 3 captions written, 0 failed\n"), err
    assert store.read(space.table, "caption")["provider"].to_list() == ["tags"] * 3
    assert bunny("caption", "film")[1] == "film-0123abcd: 3 captions were up to date\n"
    assert bunny("caption", "other")[0] == 2


@pytest.fixture
def edited(space):
    """The film with the items of its library: each frame is a shot of its own."""
    rows = [
        {"asset_id": f"film-0123abcd-s0000{i}", "level": "scene", "shot_index": min(i, 1)}
        | {"first_frame_index": i, "end_frame_index": i + 1, "timestamp_s": i / 24}
        | {"start_s": i / 24, "end_s": (i + 1) / 24, "doubt": 0.5, "source": "machine"}
        | {"is_approved": False, "rejected_from": [], "who": [], "comments": 0}
        for i in range(3)
    ]
    store.write(space.table, "asset", store.from_rows("asset", rows))
    return space


def test_the_audit_is_printed_and_written(bunny, space):
    assert bunny("caption", "film", "--audit")[0] == 2  # no caption yet
    assert bunny("caption", "film")[0] == 0
    table = store.read(space.table, "caption")
    wrong = pl.when(pl.col("frame_id") == "f0").then(pl.lit("a hare by night")).otherwise("text")
    store.write(space.table, "caption", table.with_columns(text=wrong))
    code, text, err = bunny("caption", "film", "--audit")
    assert code == 0, err
    assert "film-0123abcd: 3 captions audited, 1 with findings" in text
    assert "  missing_trigger         1" in text
    assert "  0.94  0:00.0 (f0)  no trigger word of: bunny; light: the caption says night" in text
    audited = store.read(space.table, "caption_audit")
    assert audited["doubt"].to_list() == pytest.approx([1 - 0.1 * 0.6, 0.0, 0.0])
    for name in ("word", "provider", "pair"):
        assert store.read(space.table, f"caption_audit_{name}").is_empty()


def test_words_are_replaced_after_a_preview_and_one_undo_takes_it_back(bunny, edited):
    assert bunny("caption", "film")[0] == 0
    before = store.read(edited.table, "caption")["text"].to_list()
    assert before == [
        "bunny character, medium shot, day",
        "bunny character and a person, close-up, night",
        "a black place, night",
    ]
    code, text, err = bunny("caption", "film", "--replace", "Night", "dark")
    assert code == 0, err
    assert text.startswith("film-0123abcd: 2 captions would change; nothing was changed; add --yes")
    assert "  f2: a black place, night\n   -> a black place, dark" in text
    assert not (edited.root / "feedback.jsonl").exists()
    own = ("--replace", "night", "by night", "--character", "bunny", "--yes")
    code, text, err = bunny("caption", "film", *own)
    assert code == 0, err
    assert "1 captions changed" in text and "bunny correct undo film-0123abcd" in text
    [event] = event_log.read(edited.root)
    assert [frame.text for frame in event.frames] == [
        "bunny character and a person, close-up, by night"
    ]
    assert bunny("correct", "undo", "film")[0] == 0
    assert bunny("correct", "caption", "film", "f2", "s00000", "--text", "a hat")[0] == 0
    events = event_log.read(edited.root)
    assert [e.kind for e in events[1:]] == ["undo", "frame_caption_edit", "caption_edit"]
    assert (events[2].frames[0].time_s, events[2].frames[0].text) == (2 / 24, "a hat")


def test_a_prompt_is_tuned_and_given_up_again(bunny, tmp_path):
    own = SimpleNamespace(**runpy.run_path(str(STAGE / "test_caption_optimize.py")))
    space = workspace.locate(tmp_path, "data", "film-0123abcd")
    own.film(space.root)
    assert bunny("caption", "film", "--optimize")[0] == 2  # nothing but tags is asked
    with own.server(by_example=own.WRITTEN) as running:
        chosen = ["captioning.providers=[local]", "captioning.local.model=seer"]
        chosen += [f"captioning.local.endpoint_url={running.url}/v1"]
        words = [word for one in chosen for word in ("--set", one)]
        code, text, err = bunny("caption", "film", "--optimize", *words)
    assert code == 0, err
    assert (
        "film-0123abcd: learned from 7 pictures (8 in all were edited by people); mean score"
        in text
    )
    assert "  examples       1.000\n" in text
    assert "now in use: examples, stage/caption/program/" in text
    code, text, err = bunny("caption", "film", "--no-optimize")
    assert "the built-in prompt is used again" in text, err
    assert "the built-in prompt was in use" in bunny("caption", "film", "--no-optimize")[1]


def test_options_that_exclude_each_other_are_refused(bunny, space):
    for words, says in (
        (
            ("--audit", "--estimate"),
            "expected only one of --estimate, --audit, --replace and --optimize",
        ),
        (("--yes",), "--character and --yes belong to --replace"),
        (("--replace", "a", "b", "--character", "anna"), "expected a library of shots"),
    ):
        code, _, err = bunny("caption", "film", *words)
        assert code == 2 and says in err


SECRETS = {
    "OPENAI_API_KEY": "sk-planted-openai-0123",
    "ANTHROPIC_API_KEY": "sk-planted-anthropic-0123",
    "AWS_SECRET_ACCESS_KEY": "planted-aws-secret-0123",
    "AWS_SESSION_TOKEN": "planted-aws-token-0123",
    "HF_TOKEN": "hf_planted0123",
}


def test_a_planted_secret_appears_in_no_output(bunny, space, tmp_path, monkeypatch):
    """A server says every secret in an error, in a refusal and in a caption with its tags."""
    (tmp_path / ".env").write_text("\n".join(f"{k}={v}" for k, v in SECRETS.items()))
    for name in SECRETS:
        monkeypatch.setenv(name, "")  # so that it is as before at the end
        monkeypatch.delenv(name)
    every = " ".join(SECRETS.values())
    replies = [
        service.Reply(status=500, body={"error": {"message": f"cannot use {every}"}}),
        service.Reply(text=f"I cannot help with {every}"),
        service.Reply(text=service.marked(f"bunny and {every}", f"day, {every}")),
    ]
    with service.serve(lambda n: replies[n % 3]) as server:
        own = f"captioning.openai.endpoint_url={server.url}/v1"
        chosen = ["captioning.providers=[openai]", "captioning.openai.model=gpt-4o-mini", own]
        chosen += ["captioning.max_retries=0", "captioning.batch_size=1"]
        chosen += ["pipeline.max_failed_share=1"]
        words = [word for one in chosen for word in ("--set", one)]
        code, out, err = bunny("caption", "film", *words, "--data-dir", "data", "--debug")
        assert len(server.requests) == 3, err
        assert SECRETS["OPENAI_API_KEY"] in server.requests[0][1]["Authorization"]
    assert code == 0, err
    text = str(store.read(space.table, "caption").to_dicts())
    assert text.count("<OPENAI_API_KEY>") >= 3  # error, refusal, caption
    written = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != ".env"]
    said = (out + err).encode() + b"".join(path.read_bytes() for path in written)
    assert len(written) > 8
    assert [name for name, secret in SECRETS.items() if secret.encode() in said] == []
