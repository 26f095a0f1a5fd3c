"""`bunny caption`: captions of a film that is known, and what they would cost."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from bunny.core import atomic, workspace
from bunny.table import store

BESIDE = Path(__file__).parents[1] / "caption"
service = SimpleNamespace(**runpy.run_path(str(BESIDE / "service.py")))
make_tables = runpy.run_path(str(BESIDE / "table.py"))["make_tables"]


@pytest.fixture
def space(tmp_path):
    space = workspace.locate(tmp_path, "data", "film-0123abcd")
    source = b'{"film": "x", "content_hash": "c", "references": null, "reference_hash": ""}'
    atomic.write_bytes(space.root / "source.json", source)
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
    assert text.endswith(" tokens, 0.0036 USD\n")  # 3 * 120 * 10 / 1,000,000
    code, text, _ = bunny("caption", "--estimate")
    assert text == "film-0123abcd: no picture is left to ask about; nothing would be sent\n"


def test_captions_are_written_and_counted(bunny, space):
    code, text, err = bunny("caption", "film")
    assert (code, text) == (0, "film-0123abcd: 3 captions written, 0 failed\n"), err
    assert store.read(space.table, "caption")["provider"].to_list() == ["tags"] * 3
    assert bunny("caption", "film")[1] == "film-0123abcd: 3 captions were up to date\n"
    assert bunny("caption", "other")[0] == 2


SECRETS = {
    "OPENAI_API_KEY": "sk-planted-openai-0123",
    "ANTHROPIC_API_KEY": "sk-planted-anthropic-0123",
    "AWS_SECRET_ACCESS_KEY": "planted-aws-secret-0123",
    "AWS_SESSION_TOKEN": "planted-aws-token-0123",
    "HF_TOKEN": "hf_planted0123",
}


@pytest.mark.server
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
