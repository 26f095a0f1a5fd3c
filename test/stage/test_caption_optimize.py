"""Prompts tuned by people's captions, with a local server whose answers depend on the prompt."""

import json
import runpy
from pathlib import Path
from types import SimpleNamespace

import bare_film
import pytest

from bunny.caption import program, tuned_prompt
from bunny.core.config import Config
from bunny.core.error import UserError
from bunny.stage.caption import Caption
from bunny.table import store

pytestmark = pytest.mark.slow

BESIDE = Path(__file__).parents[1] / "caption"
service = SimpleNamespace(**runpy.run_path(str(BESIDE / "service.py")))
make_tables = runpy.run_path(str(BESIDE / "table.py"))["make_tables"]
WRITTEN = "bunny hops in a yellow raincoat, medium shot"  # by a person
WRITTEN_BY_MODEL = "bunny character hops in a yellow raincoat, medium shot"  # the class is put in
PLAIN_CAPTION = "bunny character stands in a coat, medium shot"
PLAIN, WORSE = "bunny stands in a coat, medium shot", "a hare"
HINT = "Always say the colour of the raincoat."
NUM_FRAMES = 12
AWAY = {"model": "m", "endpoint_url": "http://a.example/v1"}


def film(folder: Path, num_edited: int = 8) -> Path:
    """Twelve pictures of bunny in six shots; of the first ones people wrote the captions."""
    bare_film.write_source(folder)
    tables = make_tables(NUM_FRAMES)
    shot, medium = (tables[name].row(0, named=True) for name in ("shot", "shot_medium"))
    frames = [row | {"shot_index": i // 2} for i, row in enumerate(tables["frame"].to_dicts())]
    label = tables["label"].row(0, named=True)
    rows = {
        "frame": frames,
        "quality": [row | {"brightness": 0.4} for row in tables["quality"].to_dicts()],
        "cluster": tables["cluster"].to_dicts(),
        "shot": [shot | {"shot_index": i} for i in range(7)],
        "shot_medium": [medium | {"shot_index": i} for i in range(7)],
        "face": [],
        "region": [],
        "label": [
            label | {"subject_id": f"f{i}-r", "frame_id": f"f{i}", "shot_index": i // 2}
            for i in range(NUM_FRAMES)
        ],
        "frame_caption_edit": [
            {"frame_id": f"f{i}", "text": WRITTEN, "user": "ana"} for i in range(num_edited)
        ],
    }
    for name, own in rows.items():
        store.write(folder / "table", name, store.from_rows(name, own))
    (folder / "frame").mkdir()
    import cv2
    import numpy as np

    for i in range(NUM_FRAMES):
        picture = np.full((100, 200, 3), 10 * i + 50, np.uint8)
        cv2.imwrite(str(folder / "frame" / f"f{i}.png"), picture)
    return folder


def told(body: dict) -> tuple[str, str]:
    """Instructions and examples of a request, as text."""
    texts = []
    for message in body["messages"]:
        content = message["content"]
        parts = [{"text": content}] if isinstance(content, str) else content
        texts.append(" ".join(part.get("text", "") for part in parts))
    return texts[0], " ".join(texts[1:-1])


def server(*, by_example: str = PLAIN, by_hint: str = PLAIN):
    """Answers by what it is told; asked for new instructions, it adds a sentence."""

    def reply(body: dict):
        head, examples = told(body)
        if "new_instruction" in head:
            return service.Reply(text=json.dumps({"new_instruction": f"Describe it. {HINT}"}))
        if "raincoat" in examples:
            return service.Reply(text=service.marked(by_example))
        return service.Reply(text=service.marked(by_hint if HINT in head else PLAIN))

    return service.serve(by_body=reply)


def stage(folder: Path, url: str, **more) -> Caption:
    chosen = {
        "providers": ["local"],
        "local": {"model": "seer", "endpoint_url": f"{url}/v1"},
        "max_retries": 0,
        **more,
    }
    return Caption(Config.model_validate({"captioning": chosen}), folder, folder)


def texts(folder: Path) -> dict[str, str]:
    rows = store.read(folder / "table", "caption").filter(version=1)
    return dict(rows.select("frame_id", "text").iter_rows())


def test_examples_that_help_are_used_and_going_back_asks_nothing_again(tmp_path):
    film(tmp_path)
    with server(by_example=WRITTEN) as running:
        stage(tmp_path, running.url).execute()
        before, asked = texts(tmp_path), len(running.requests)
        assert set(before.values()) == {PLAIN_CAPTION} and asked == NUM_FRAMES
        found = stage(tmp_path, running.url).optimize()
        assert found.is_better and found.best.kind == "examples"
        # people's words came out on all held-out pictures that they wrote of, and no rule is broken
        assert found.scores["examples"] == pytest.approx(1.0)
        assert found.scores["ours"] < 0.9
        assert not stage(tmp_path, running.url).can_resume()
        stage(tmp_path, running.url).execute()
        assert set(texts(tmp_path).values()) == {WRITTEN_BY_MODEL}
        hashes = set(store.read(tmp_path / "table", "caption").filter(version=1)["prompt_hash"])
        assert hashes == {found.best.prompt_hash}
        asked = len(running.requests)
        assert tuned_prompt.switch_off(tmp_path / "stage" / "caption")
        stage(tmp_path, running.url).execute()
        assert texts(tmp_path) == before
        assert len(running.requests) == asked  # ours are kept apart from the tuned prompt's
        assert stage(tmp_path, running.url).can_resume()


def test_instructions_that_help_are_found_by_reflection_and_saved_without_pictures(tmp_path):
    film(tmp_path)
    with server(by_example=WORSE, by_hint=WRITTEN) as running:
        found = stage(tmp_path, running.url).optimize()
    assert found.is_better and found.best.kind == "instructions"
    assert found.scores["examples"] < found.scores["ours"] < found.scores["instructions"]
    [path] = (tmp_path / "stage" / "caption" / "program").glob("?" * 16 + ".json")
    saved = json.loads(path.read_text())
    assert HINT in saved["state"]["signature"]["instructions"]
    assert saved["scores"] == dict(found.scores) and saved["is_better"]
    assert (saved["num_train"] + saved["num_held_out"]) == NUM_FRAMES
    assert "base64" not in path.read_text()


def test_what_does_worse_on_held_out_pictures_is_refused_and_kept_beside(tmp_path):
    film(tmp_path)
    with server(by_example=WORSE, by_hint=WORSE) as running:
        found = stage(tmp_path, running.url).optimize()
    assert not found.is_better
    assert max(v for k, v in found.scores.items() if k != "ours") < found.scores["ours"]
    folder = tmp_path / "stage" / "caption"
    assert tuned_prompt.read_current(folder) is None
    assert not (folder / "program" / "current.json").exists()
    assert [json.loads(p.read_text())["is_better"] for p in (folder / "program").iterdir()] == [
        False
    ]
    assert not tuned_prompt.switch_off(folder)


def test_a_server_that_gives_no_answer_and_a_limit_on_costs_end_it(tmp_path, caplog):
    film(tmp_path)
    dead = "http://127.0.0.1:9"
    with pytest.raises(UserError, match="seer gave no answer"):
        stage(tmp_path, dead).optimize()
    with server(by_example=WRITTEN) as running:
        local = {"model": "seer", "endpoint_url": f"{running.url}/v1", "output_price_usd": 1000}
        # an answer may cost 0.3 USD (300 tokens) and does cost 0.007 (7 tokens)
        found = stage(tmp_path, running.url, local=local, max_cost_usd=0.38).optimize()
        assert found.best is None and not found.is_better
        assert "captioning.max_cost_usd 0.38 is reached" in caplog.text
        with pytest.raises(UserError, match=r"max_cost_usd 0\.1 is reached"):
            stage(tmp_path, running.url, local=local | {"model": "b"}, max_cost_usd=0.1).optimize()


def test_kept_answers_do_not_stand_for_the_permission_to_send_pictures(tmp_path):
    film(tmp_path)
    with server() as running:
        stage(tmp_path, running.url).execute()
    with pytest.raises(UserError, match=r"up to 12 frames go to local at a\.example to tune"):
        stage(tmp_path, "http://a.example").optimize()


def test_new_instructions_may_be_as_long_as_the_longest_answer_that_is_set(tmp_path):
    """Else they have 2000 tokens, which is more than an answer has by default."""
    film(tmp_path)
    with server(by_example=WORSE, by_hint=WRITTEN) as running:
        stage(tmp_path, running.url, max_tokens=2500).optimize()
    asked = [body for _, _, body in running.requests]
    told_anew = [body["max_tokens"] for body in asked if "new_instruction" in told(body)[0]]
    assert told_anew and set(told_anew) == {2500}


@pytest.mark.parametrize(
    ("edited", "more", "says"),
    [
        (3, {}, "expected at least 4 pictures of two shots with a person's caption, got 3 of 2"),
        (8, {"providers": ["tags"]}, "expected one of openai, anthropic, local, bedrock in"),
        (8, {"providers": ["clip", "tags"]}, "in captioning.providers, got clip, tags; only"),
        (8, {"local": AWAY}, "allow_upload"),
        (3, {"local": AWAY, "allow_upload": True}, "expected at least 4 pictures of two shots"),
    ],
)
def test_what_cannot_be_tuned_is_refused_before_anything_is_sent(tmp_path, edited, more, says):
    film(tmp_path, num_edited=edited)
    with server() as running:
        with pytest.raises(UserError, match=says):
            stage(tmp_path, running.url, **more).optimize()
        assert running.requests == []


def test_a_tuned_prompt_names_no_model_address_key_or_picture(tmp_path, caplog):
    film(tmp_path)
    own = program.signature().dump_state()
    address = {"type": "image_url", "image_url": {"url": "http://198.51.100.1/x.png"}}
    picture = f"<<CUSTOM-TYPE-START-IDENTIFIER>>{[address]}<<CUSTOM-TYPE-END-IDENTIFIER>>"
    demo = {"facts": [picture], "names": ["bunny"], "caption": "a raincoat", "picture": picture}
    with server() as other, server(by_example=WRITTEN) as running:
        lm = {"model": "openai/x", "model_type": "chat", "api_base": f"{other.url}/v1"}
        request = {"api_base": f"{other.url}/v1", "api_key": "k"}
        state = {"signature": own, "demos": [demo], "lm": lm, "config": request, "forward": "x"}
        tuned = tuned_prompt.TunedPrompt(
            kind="examples", base_hash=program.prompt_hash(), state=state
        )
        tuned_prompt.write(tmp_path / "stage" / "caption", tuned, is_used=True)
        stage(tmp_path, running.url).execute()
        assert other.requests == []
        bodies = [body for _, _, body in running.requests]
    assert set(texts(tmp_path).values()) == {WRITTEN_BY_MODEL}  # its example was told
    contents = [m["content"] for body in bodies for m in body["messages"]]
    parts = [one for content in contents if isinstance(content, list) for one in content]
    pictures = [one["image_url"]["url"][:5] for one in parts if one["type"] == "image_url"]
    assert pictures == ["data:"] * NUM_FRAMES  # one a question, none of the example
    assert "ignored: config, forward, lm" in caplog.text


@pytest.mark.attack
def test_a_tuned_prompt_that_was_changed_by_hand_is_refused(tmp_path):
    state = {"signature": {"instructions": "Look.", "fields": []}, "demos": []}
    tuned = tuned_prompt.TunedPrompt(kind="examples", base_hash="00", state=state)
    path = tuned_prompt.write(tmp_path, tuned, is_used=True)
    assert tuned_prompt.read_current(tmp_path) == tuned
    path.write_text(path.read_text().replace('"demos": []', '"demos": [1]'))
    with pytest.raises(UserError, match="go back to our own with `bunny caption FILM --no-opt"):
        tuned_prompt.read_current(tmp_path)
    for content in ("[1]", "null", '"text"', '{"kind": 1}', None):
        path.unlink() if content is None else path.write_text(content)
        with pytest.raises(UserError, match="expected a tuned prompt, could not read it"):
            tuned_prompt.read_current(tmp_path)
    assert tuned_prompt.switch_off(tmp_path)
    assert tuned_prompt.read_current(tmp_path) is None
