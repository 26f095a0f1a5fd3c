"""Models behind real HTTP: who is asked, what is refused, what is tried again."""

import base64
import json
import os
import re
import runpy
import subprocess
import sys
import time
import tracemalloc
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from bunny.caption import limit, program, provider
from bunny.caption.answer import CaptionQuestion, ProviderStopped
from bunny.caption.cost import Budget
from bunny.caption.fallback import FallbackChain, ProviderEntry
from bunny.caption.tuned_prompt import TunedPrompt
from bunny.core.error import UserError

service = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("service.py"))))
Reply = service.Reply
KEY = "sk-very-secret-0123456789"
PICTURE = cv2.imencode(".jpg", np.full((8, 8, 3), 200, np.uint8))[1].tobytes()
QUESTION = CaptionQuestion(frame_id="f0", picture=PICTURE, facts=("solo", "day"), names=("bunny",))


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(limit, "FIRST_PAUSE_S", 0.01)


@pytest.fixture(autouse=True)
def keys(monkeypatch, tmp_path):
    """Keys of our own, no profile and no instance service."""
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, KEY)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    for name in ("AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_BEARER_TOKEN_BEDROCK", "LOCAL_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def _model(name: str, url: str, **changes) -> provider.ServedModel:
    model = {"openai": "gpt-4o-mini", "anthropic": "claude-sonnet-4-5"}.get(name, "seer:7b")
    known = {"model": model, "timeout_seconds": 5.0, "max_retries": 2, "max_tokens": 120}
    address = url if name == "bedrock" else f"{url}/v1"
    return service.served_model(name, **({"endpoint_url": address} | known | changes))


def _ask(name: str, *replies, **changes):
    """Ask one question of a server that gives the replies in turn, the last one for ever."""
    with service.serve(lambda n: replies[min(n, len(replies) - 1)]) as server:
        answer = program.Captioner(_model(name, server.url, **changes)).ask(QUESTION)
    return answer, server.requests


@pytest.mark.parametrize("name", ["openai", "anthropic", "local", "bedrock"])
def test_each_provider_gives_caption_tags_and_tokens(name):
    answer, requests = _ask(name, Reply())
    assert answer.status == "done"
    assert answer.text == "bunny character runs over grass, medium shot, day"
    assert answer.tags == ("grass", "day")
    assert (answer.input_tokens, answer.output_tokens) == (11, 7)
    assert len(requests) == 1


def test_openai_gets_the_picture_the_key_and_the_limits():
    answer, [(path, headers, body)] = _ask("openai", Reply())
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert (body["model"], body["max_completion_tokens"]) == ("gpt-4o-mini", 120)
    assert body["temperature"] == 0
    blocks = body["messages"][1]["content"]
    [sent] = [b["image_url"]["url"] for b in blocks if b["type"] == "image_url"]
    assert base64.b64decode(sent.partition(",")[2]) == PICTURE
    text = body["messages"][0]["content"] + "".join(b.get("text", "") for b in blocks)
    assert "training a text-to-image model" in text
    assert '["bunny"]' in text
    assert answer.cost_usd > 0


def test_a_local_server_never_sees_the_key_of_openai(monkeypatch):
    answer, [(path, headers, body)] = _ask("local", Reply())
    assert path == "/v1/chat/completions"
    assert KEY not in str(headers)
    assert (body["model"], body["max_tokens"]) == ("seer:7b", 120)
    assert answer.cost_usd is None
    monkeypatch.setenv("LOCAL_API_KEY", "mine-12345")
    _, [(_, headers, _)] = _ask("local", Reply())
    assert headers["Authorization"] == "Bearer mine-12345"


def test_anthropic_and_bedrock_get_the_picture_in_their_own_form():
    _, [(path, headers, body)] = _ask("anthropic", Reply())
    assert (path, headers["x-api-key"]) == ("/v1/messages", KEY)
    [image] = [b for b in body["messages"][0]["content"] if b["type"] == "image"]
    assert base64.b64decode(image["source"]["data"]) == PICTURE
    _, [(path, headers, body)] = _ask("bedrock", Reply(), region="eu-west-3")
    assert path == "/model/seer%3A7b/converse"
    assert "/eu-west-3/bedrock/" in headers["Authorization"]
    [image] = [b["image"] for b in body["messages"][0]["content"] if "image" in b]
    assert image["format"] == "jpeg"
    assert base64.b64decode(image["source"]["bytes"]) == PICTURE
    assert body["inferenceConfig"] == {"maxTokens": 120, "temperature": 0.0}


@pytest.mark.parametrize("name", ["openai", "anthropic", "local", "bedrock"])
@pytest.mark.parametrize("status", [429, 503])
def test_a_passing_failure_is_tried_again(name, status):
    again = Reply(status=status, body={"message": "slow down"}, headers={"Retry-After": "0"})
    answer, requests = _ask(name, again, Reply())
    assert answer.status == "done"
    assert len(requests) == 2


@pytest.mark.parametrize("name", ["openai", "anthropic", "local", "bedrock"])
def test_a_lasting_failure_is_given_up_after_the_retries(name):
    answer, requests = _ask(name, Reply(status=500, body={"error": {"message": "broken"}}))
    assert (answer.status, answer.is_answered) == ("failed", False)
    assert answer.error.startswith("server (HTTP 500)")
    assert len(requests) == 3


@pytest.mark.parametrize("name", ["openai", "bedrock"])
def test_a_server_that_never_answers_is_a_timeout(name):
    answer, requests = _ask(name, Reply(delay_s=1.5), timeout_seconds=0.2, max_retries=0)
    assert (answer.status, answer.is_answered) == ("failed", False)
    assert "timeout" in answer.error
    assert len(requests) == 1


def test_nobody_at_the_address_is_a_failure_of_transport():
    with service.serve(lambda n: Reply()) as server:
        url = server.url
    answer = program.Captioner(_model("local", url, max_retries=0)).ask(QUESTION)
    assert answer.status == "failed"
    assert answer.error.startswith("transport")


@pytest.mark.parametrize(
    "reply",
    [
        Reply(text="I'm sorry, I can't help with that."),
        Reply(text=service.marked("I cannot describe real people.")),
        Reply(text=None, refusal="I will not."),
        Reply(text="", finish="content_filter"),
    ],
)
def test_a_refusal_is_known_as_one(reply):
    answer, requests = _ask("openai", reply)
    assert (answer.status, answer.text) == ("refused", None)
    assert "refused" in answer.error
    assert (answer.is_answered, answer.input_tokens) == (True, 11)
    assert len(requests) == 1


CUT = Reply(text="[[ ## caption ## ]]\nbunny on gr", finish="length")


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        (Reply(text=""), "expected a caption, got"),
        (Reply(text="blah blah"), "blah blah"),
        (Reply(text=service.marked("")), "expected a caption"),
        (Reply(body={"odd": 1}), "expected a caption"),
        (CUT, "cut off at captioning.max_tokens"),
    ],
)
def test_a_bad_answer_is_asked_for_once_more_with_its_fault_named(reply, fault):
    answer, requests = _ask("local", reply, Reply())
    assert (answer.status, answer.text) == ("done", Reply().text.split("\n")[1])
    first, second = (json.dumps(body) for _, _, body in requests)
    assert fault in second
    assert fault not in first
    answer, requests = _ask("local", reply)
    assert (answer.status, answer.is_answered) == ("failed", True)
    assert fault in answer.error
    assert len(requests) == 2


def test_both_askings_are_paid_for():
    answer, _ = _ask("openai", Reply(text="blah blah"), Reply())
    assert (answer.input_tokens, answer.output_tokens) == (22, 14)


@pytest.mark.parametrize("name", ["openai", "anthropic", "local", "bedrock"])
def test_half_a_json_is_tried_again(name):
    answer, requests = _ask(name, Reply(body='{"choices": [{"mess'), Reply())
    assert answer.status == "done"
    assert len(requests) == 2


@pytest.mark.parametrize("name", ["openai", "anthropic", "local", "bedrock"])
def test_a_wrong_model_name_ends_the_asking(name):
    unknown = Reply(status=404, body={"error": {"message": "no such model"}, "message": "none"})
    with pytest.raises(UserError, match="check the key and the model name"):
        _ask(name, unknown)


@pytest.mark.parametrize("name", ["openai", "bedrock"])
def test_a_trickle_of_bytes_is_no_answer(name):
    """Each byte comes within the time for the next, the whole never does."""
    started = time.monotonic()
    slow = Reply(trickle_s=0.15)
    answer, _ = _ask(name, slow, timeout_seconds=0.5, connect_timeout_seconds=0.1, max_retries=0)
    assert answer.status == "failed"
    assert answer.error == "timeout: no whole answer within 0.5 s"
    assert time.monotonic() - started < 5


LONG = service.GOOD + " " * (4 << 20)
FLOODS = {
    "endless": Reply(body="x" * (1 << 16), is_endless=True),
    "refused endlessly": Reply(status=500, body="x" * (1 << 16), is_endless=True),
    "long": Reply(text=LONG),
    "inflated": Reply(text=LONG, headers={"Content-Encoding": "gzip"}),
    "inflated twice": Reply(headers={"Content-Encoding": "gzip, gzip"}),
}


@pytest.mark.parametrize("name", ["openai", "anthropic", "local", "bedrock"])
@pytest.mark.parametrize("flood", FLOODS)
def test_an_answer_of_any_length_is_read_to_a_limit(name, flood):
    with service.serve(lambda n: FLOODS[flood] if n == 0 else Reply()) as server:
        answer = program.Captioner(_model(name, server.url, max_retries=1)).ask(QUESTION)
        assert server.num_endless << 16 < 64 << 20  # limit and buffers of the connection
    assert (answer.status, len(server.requests)) == ("done", 2)


@pytest.mark.parametrize("name", ["openai", "anthropic", "local", "bedrock"])
def test_a_connection_that_is_reset_is_tried_again(name):
    answer, requests = _ask(name, Reply(is_reset=True), Reply())
    assert (answer.status, len(requests)) == ("done", 2)


def test_an_expired_key_ends_the_asking_and_is_not_said():
    body = {"message": "The security token included in the request is expired"}
    headers = {"x-amzn-errortype": "ExpiredTokenException"}
    with pytest.raises(UserError, match="AWS credentials failed"):
        _ask("bedrock", Reply(status=403, body=body, headers=headers))


@pytest.mark.parametrize("name", ["openai", "anthropic", "bedrock"])
def test_a_rejected_key_is_one_sentence_without_the_key(name):
    body = {"error": {"message": f"Incorrect API key provided: {KEY}"}, "message": f"no {KEY}"}
    with pytest.raises(UserError) as caught:
        _ask(name, Reply(status=401 if name != "bedrock" else 403, body=body))
    text = str(caught.value)
    assert KEY not in text
    assert "\n" not in text
    assert {"openai": "OPENAI", "anthropic": "ANTHROPIC", "bedrock": "AWS"}[name] in text


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("openai", "OPENAI_API_KEY"),
        ("anthropic", "ANTHROPIC_API_KEY"),
        ("bedrock", "AWS_ACCESS_KEY_ID"),
    ],
)
def test_a_missing_credential_is_named_before_anything_is_sent(monkeypatch, name, variable):
    monkeypatch.delenv(variable)
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(UserError, match=variable):
        program.Captioner(_model(name, "http://127.0.0.1:9"))


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"model": ""}, r"captioning\.local\.model"),
        ({"endpoint_url": ""}, r"captioning\.local\.endpoint_url"),
        ({"endpoint_url": "localhost:1"}, r"captioning\.local\.endpoint_url"),
        ({"endpoint_url": "http://me:secret1@host/v1"}, "without user and password"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes, key):
    known = {"model": "m", "endpoint_url": "http://x"} | changes
    with pytest.raises(UserError, match=key):
        service.served_model("local", **known)


def test_a_provider_without_an_address_is_refused():
    local = service.served_model("local", model="m", endpoint_url="http://x")
    with pytest.raises(UserError, match=r"captioning\.providers"):
        replace(local, provider="tags")


def test_an_unknown_profile_is_refused():
    with pytest.raises(UserError, match=r"aws\.profile"):
        provider.make_lm(_model("bedrock", "http://127.0.0.1:9", profile="nobody"))


def test_reasoning_models_are_given_what_they_take():
    lm = provider.make_lm(_model("openai", "http://127.0.0.1:9", model="gpt-5"))
    assert lm.kwargs["max_completion_tokens"] == provider.REASONING_MIN_TOKENS
    assert lm.kwargs["temperature"] is None


def test_pauses_double_follow_the_server_and_have_an_end(monkeypatch):
    monkeypatch.setattr(limit, "FIRST_PAUSE_S", 1.0)
    assert [limit.pause_s(n, None) for n in (1, 2, 3, 9)] == [1, 2, 4, 60]
    assert limit.pause_s(1, 70) == 70


def test_a_server_that_asks_to_wait_too_long_has_failed():
    busy = Reply(status=429, body={}, headers={"Retry-After": "900"})
    answer, requests = _ask("local", busy)
    assert (answer.status, len(requests)) == ("failed", 1)


def test_what_the_server_asks_for_is_obeyed_by_all_threads():
    """Of four requests three are told to wait; nor does the fourth send before that is over."""
    moments = []

    def reply(n):
        moments.append(time.monotonic())
        wait = Reply(status=429, body={}, headers={"Retry-After": "1"})
        return wait if n < 3 else Reply()

    with service.serve(reply) as server:
        captioner = program.Captioner(_model("local", server.url, batch_size=1))
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(captioner.ask, [QUESTION] * 4))
    assert [answer.status for answer in answers] == ["done"] * 4
    assert moments[3] - moments[2] > 0.9


def test_requests_at_once_go_down_when_there_are_too_many():
    busy = Reply(status=429, body={}, headers={"Retry-After": "0"})
    with service.serve(lambda n: busy if n == 0 else Reply()) as server:
        captioner = program.Captioner(_model("local", server.url, batch_size=8))
        captioner.ask(QUESTION)
        assert captioner.limit.allowed == 4
        for _ in range(5):
            captioner.ask(QUESTION)
        assert captioner.limit.allowed == 5


def test_prices_of_the_settings_are_what_it_cost():
    prices = {"input_price_usd": 2.0, "output_price_usd": 10.0}
    answer, _ = _ask("local", Reply(), **prices)
    assert answer.cost_usd == pytest.approx((11 * 2 + 7 * 10) / 1e6)


def test_no_request_is_sent_that_could_cost_more_than_is_left():
    """An answer may cost 120 tokens at 1 USD for a thousand; it does cost 7."""
    budget = Budget(0.25)
    with service.serve(lambda n: Reply()) as server:
        model = _model("local", server.url, output_price_usd=1000.0)
        captioner = program.Captioner(model, budget)
        for _ in range(19):
            captioner.ask(QUESTION)
        assert budget.spent_usd == pytest.approx(19 * 0.007)  # 0.133; 0.12 more is too much
        with pytest.raises(ProviderStopped, match=r"captioning\.max_cost_usd 0\.25 is reached"):
            captioner.ask(QUESTION)
    assert len(server.requests) == 19


def test_what_a_tuning_request_may_cost_goes_by_the_longest_answer_that_is_set():
    """Each of 450 tokens may cost 0.001 USD; a second request would pass the limit."""
    model = _model("local", "http://x", max_tokens=450, output_price_usd=1000.0)
    budget = Budget(0.6)
    captioner = program.Captioner(model, budget)
    captioner.set_aside(captioner.program, captioner.asked(QUESTION))
    assert budget.spent_usd == pytest.approx(0.45)
    with pytest.raises(ProviderStopped, match="is reached"):
        captioner.set_aside(captioner.program, captioner.asked(QUESTION))


FAULTS = service.faults(0, 2.8)


@pytest.mark.parametrize("name", ["openai", "anthropic", "bedrock"])
def test_no_caption_is_lost_or_asked_for_twice_with_every_fault_on_a_schedule(name):
    """Every third request goes wrong, in each way once or more."""
    paid = Counter()

    def reply(n):
        if n % 3 == 1:
            return FAULTS[n // 3 % len(FAULTS)]
        return Reply()

    kept = {}
    with service.serve(reply) as server:
        model = _model(name, server.url, timeout_seconds=2.0, max_retries=6, batch_size=4)
        captioner = program.Captioner(model)
        entry = ProviderEntry(
            name=name, load=lambda: captioner, num_in_flight=4, kept=kept.get, keep=kept.__setitem__
        )
        make = lambda i: replace(QUESTION, facts=(f"picture {i};",))  # noqa: E731
        states = list(FallbackChain([entry], make).ask(range(24)))
        for n, (_, _, body) in enumerate(server.requests):
            if n % 3 != 1:
                paid[re.search(r"picture (\d+);", json.dumps(body)).group(1)] += 1
    assert {state.answer.status for state in states} == {"done"}
    assert sorted(kept) == list(range(24))
    assert paid == dict.fromkeys(map(str, range(24)), 1)
    assert len(server.requests) > 24 + len(FAULTS)


def test_pictures_are_not_kept_in_memory():
    """Of forty pictures of 200 kB each nothing stays."""
    large = replace(QUESTION, picture=PICTURE + bytes(200_000))
    with service.serve(lambda n: Reply()) as server:
        captioner = program.Captioner(_model("local", server.url))
        for _ in range(3):
            captioner.ask(large)
        server.requests.clear()
        tracemalloc.start()
        for _ in range(40):
            captioner.ask(large)
            server.requests.clear()
        grown, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert grown < 2_000_000


def test_the_prompt_has_a_hash():
    assert re.fullmatch("[0-9a-f]{16}", program.prompt_hash())


def test_dspy_leaves_the_home_folder_alone_and_keeps_no_pictures(tmp_path):
    code = (
        "from bunny.caption import provider\n"
        "from bunny.core.config import Config\n"
        "local = {'model': 'm', 'endpoint_url': 'http://x'}\n"
        "config = Config.model_validate({'captioning': {'local': local}})\n"
        "own = {'captioning': config.captioning, 'aws': config.aws}\n"
        "provider.make_lm(provider.ServedModel(provider='local', **own))\n"
    )
    environment = {**os.environ, "HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    environment.pop("DSPY_CACHEDIR", None)
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, timeout=120)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("host", "away"),
    [
        ("localhost", False),
        ("127.0.0.1", False),
        ("127.8.9.1", False),
        ("::1", False),
        ("bunny.localhost", False),
        ("192.168.0.7", True),
        ("localhost.example", True),
        ("api.openai.com", True),
        ("", True),
    ],
)
def test_a_server_on_loopback_is_not_away(host, away):
    assert provider.is_away(host) is away


@pytest.mark.parametrize(
    ("name", "url", "host"),
    [
        ("local", "http://[::1]:8000/v1", "::1"),
        ("openai", "", "api.openai.com"),
        ("anthropic", "", "api.anthropic.com"),
        ("bedrock", "", "bedrock-runtime.us-east-1.amazonaws.com"),
        ("bedrock", "https://proxy.example:1/x", "proxy.example"),
    ],
)
def test_the_machine_that_is_asked(name, url, host):
    assert service.served_model(name, model="m", endpoint_url=url).host == host


def test_a_request_waits_for_as_many_tokens_as_its_answer_may_have():
    taken = []
    with service.serve(lambda n: Reply()) as server:
        for max_tokens in (100, 450):
            captioner = program.Captioner(_model("local", server.url, max_tokens=max_tokens))
            request = captioner.limit.request
            captioner.limit.request = lambda n, own=request: taken.append(n) or own(n)
            captioner.ask(QUESTION)
    assert taken[1] - taken[0] == 350


def test_bedrock_is_reached_in_the_region_that_is_set():
    model = service.served_model("bedrock", model="m", region="eu-west-3")
    assert model.host == "bedrock-runtime.eu-west-3.amazonaws.com"


@pytest.mark.parametrize(
    ("name", "profile", "where"),
    [
        ("bedrock", "", "the AWS credentials"),
        ("bedrock", "film", "profile film"),
        ("openai", "film", "OPENAI_API_KEY"),
        ("local", "", "LOCAL_API_KEY"),
    ],
)
def test_a_credential_is_named_by_where_it_comes_from(name, profile, where):
    assert _model(name, "http://x", profile=profile).credential_name == where


@pytest.mark.parametrize(
    ("name", "key"),
    [("bedrock", None), ("local", "kept"), ("openai", "sk-1"), ("anthropic", "sk-2")],
)
def test_each_provider_reads_its_own_key(monkeypatch, name, key):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-2")
    monkeypatch.setenv("LOCAL_API_KEY", "kept")
    _, [(_, headers, _)] = _ask(name, Reply())
    sent = [said for said in ("sk-1", "sk-2", "kept") if said in str(headers)]
    assert sent == ([] if key is None else [key])


@pytest.mark.parametrize("state", [{}, {"demos": 1}, {"signature": []}])
@pytest.mark.attack
def test_a_tuned_prompt_with_the_state_of_no_program_is_refused(state):
    tuned = TunedPrompt(kind="examples", base_hash="00", state=state)
    with pytest.raises(UserError, match="expected the state of a dspy program"):
        program.Captioner(_model("local", "http://127.0.0.1:9"), tuned=tuned)
