"""Effects of the settings of captions: of models, seen by a real server that notes what it gets."""

from __future__ import annotations

import contextlib
import json
import re
import runpy
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from setting_effect import Effect, Seen

from bunny.core.error import StageError

BESIDE = Path(__file__).parents[1] / "caption"
service = SimpleNamespace(**runpy.run_path(str(BESIDE / "service.py")))
Reply = service.Reply
LOCAL = {
    "captioning.provider": "local",
    "captioning.model": "seer",
    "captioning.max_retries": 0,
    "captioning.batch_size": 1,
    "pipeline.max_failed_share": 1.0,
}
BEDROCK = {**LOCAL, "captioning.provider": "bedrock"}
AGAIN = Reply(status=429, body={}, headers={"Retry-After": "0"})
ENVIRONMENT = {"ANTHROPIC_API_KEY": "sk-a", "AWS_EC2_METADATA_DISABLED": "true"}
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
UNSET = (*KEYS, "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_BEARER_TOKEN_BEDROCK", "LOCAL_API_KEY")
PROFILES = "".join(
    f"[{name}]\naws_access_key_id = AKID{name.upper()}\naws_secret_access_key = s\n"
    for name in ("default", "one", "two")
)
MEETING_S = 1.0  # after which no further request comes
Script = Callable[[int], Any]


def _ask(
    seen: Seen, script: Script = lambda _: Reply(), more: Mapping[str, Any] | None = None
) -> list:
    """Let a server caption the film's six pictures; gives path, headers and body of what it got."""
    profiles = seen.data / "profiles"
    profiles.write_text(PROFILES, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch, service.serve(script) as server:
        for name in UNSET:
            patch.delenv(name, raising=False)
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        patch.setenv("AWS_CONFIG_FILE", str(profiles))
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(profiles))
        place = "" if seen.config.captioning.provider == "bedrock" else "/v1"
        address = {"captioning.endpoint_url": f"{server.url}{place}"}
        seen.run("caption", more={**address, **(more or {})})
    return server.requests


def _asked(key: str) -> Callable[[Seen], set]:
    """What stands under a key of all requests."""
    return lambda seen: {body[key] for _, _, body in _ask(seen)}


def _model(seen: Seen) -> tuple[set, set]:
    """The model that was asked and that the table names."""
    return _asked("model")(seen), set(seen.table("caption")["model"])


def _provider(seen: Seen) -> tuple[set, set]:
    """The provider's way to be asked, and what the table says."""
    paths = {path for path, _, _ in _ask(seen)}
    return paths, set(seen.table("caption")["provider"])


def _signed(pattern: str) -> Callable[[Seen], set]:
    """What the signature of the requests to Amazon holds."""
    return lambda seen: {
        re.search(pattern, headers["Authorization"]).group(1) for _, headers, _ in _ask(seen)
    }


def _num_failed(script: Script) -> Callable[[Seen], int]:
    """How many of the six captions failed with a server that answers so."""

    def look(seen: Seen) -> int:
        try:
            _ask(seen, script)
        except StageError as error:
            raise AssertionError(f"the share of failures is free here: {error}") from error
        return Counter(seen.table("caption")["status"].cast(str))["failed"]

    return look


def _most_at_once(seen: Seen) -> int:
    """Requests that waited for their answer at the same time; a third one lets all be answered."""
    third, lock = threading.Barrier(3), threading.Lock()
    waiting, most = 0, 0

    def wait() -> None:
        nonlocal waiting, most
        with lock:
            waiting += 1
            most = max(most, waiting)
        with contextlib.suppress(threading.BrokenBarrierError):
            third.wait(timeout=MEETING_S)
        with lock:
            waiting -= 1

    _ask(seen, lambda _: Reply(before=wait))
    return most


def _which_address(seen: Seen) -> tuple[int, int]:
    """How many requests two servers got, of which the setting names one by its number."""
    with service.serve(lambda _: Reply()) as first, service.serve(lambda _: Reply()) as second:
        url = {"first": first.url, "second": second.url}[seen.config.captioning.endpoint_url]
        seen.run("caption", more={"captioning.endpoint_url": f"{url}/v1"})
    return len(first.requests), len(second.requests)


def _words(seen: Seen) -> dict[str, str]:
    """What stands for the character: in captions, in the set, in an export, told to a model."""
    seen.bunny("export", "kohya")
    root = seen.space.root
    beside = (root / "dataset" / "bunny" / "metadata.jsonl").read_text().splitlines()[0]
    [exported] = (path for path in (root / "export").rglob("img/*") if path.is_dir())
    found = {
        "caption": seen.table("caption").filter(version=1)["text"][0],
        "dataset": seen.table("dataset")["caption"][0],
        "beside": json.loads(beside)["text"],
        "export": re.sub(r"^\d+_", "", exported.name),
    }
    found = {name: re.split(r" in a |,", text)[0] for name, text in found.items()}
    [(_, _, body), *_] = _ask(seen, more=LOCAL)
    told = re.search(r"(\w*bunny) is a (\w+)", json.dumps(body)).groups()
    return {**found, "model": " ".join(told)}


def _said(seen: Seen) -> tuple[bool, bool]:
    """Whether captions, and whether tags, say more than who is seen."""
    table = seen.table("caption").filter(version=1, status="done")
    is_more = [bool(re.search(r",| in an? ", text)) for text in table["text"]]
    return any(is_more), any(table["tags"].list.len() > 1)


def _same(words: str) -> dict[str, str]:
    return dict.fromkeys(("caption", "dataset", "beside", "export", "model"), words)


EFFECT = {
    "captioning.provider": Effect(
        values=("local", "anthropic"),
        given={**LOCAL, "captioning.model": "claude-sonnet-4-5"},
        look=_provider,
        gives=(
            ({"/v1/chat/completions"}, {"local"}),
            ({"/v1/messages"}, {"anthropic"}),
        ),
    ),
    "captioning.model": Effect(
        values=("seer", "ear"),
        given=LOCAL,
        look=_model,
        gives=(({"seer"}, {"seer"}), ({"ear"}, {"ear"})),
    ),
    "captioning.max_tokens": Effect(
        values=(50, 170), given=LOCAL, look=_asked("max_tokens"), gives=({50}, {170})
    ),
    "captioning.temperature": Effect(
        values=(0.25, 0.75), given=LOCAL, look=_asked("temperature"), gives=({0.25}, {0.75})
    ),
    "captioning.endpoint_url": Effect(
        values=("first", "second"), given=LOCAL, look=_which_address, gives=((6, 0), (0, 6))
    ),
    "captioning.timeout_seconds": Effect(
        values=(0.2, 20.0),
        given={**LOCAL, "captioning.batch_size": 6},
        look=_num_failed(lambda n: Reply(delay_s=0.6 if n == 0 else 0)),
        gives=(1, 0),
    ),
    "captioning.max_retries": Effect(
        values=(0, 1),
        given=LOCAL,
        look=_num_failed(lambda n: Reply() if n else AGAIN),
        gives=(1, 0),
    ),
    "captioning.batch_size": Effect(values=(1, 3), given=LOCAL, look=_most_at_once, gives=(1, 3)),
    "captioning.trigger_word": Effect(
        values=("{name}", "sks{name}"),
        stages=("caption", "dataset"),
        look=_words,
        gives=(_same("bunny character"), _same("sksbunny character")),
    ),
    "captioning.class_word": Effect(
        values=("character", "rabbit"),
        stages=("caption", "dataset"),
        look=_words,
        gives=(_same("bunny character"), _same("bunny rabbit")),
    ),
    "captioning.max_tag_share": Effect(
        values=(1.0, 0.0),
        stages=("caption",),
        look=_said,
        gives=((True, True), (False, True)),
        says="whether captions say more than who is seen, and whether the tags do",
    ),
    "aws.region": Effect(
        values=("eu-west-3", "us-east-2"),
        given={**BEDROCK, "aws.profile": "one"},
        look=_signed(r"/([\w-]+)/bedrock/"),
        gives=({"eu-west-3"}, {"us-east-2"}),
    ),
    "aws.profile": Effect(
        values=("one", "two"),
        given=BEDROCK,
        look=_signed(r"Credential=(\w+)/"),
        gives=({"AKIDONE"}, {"AKIDTWO"}),
    ),
}
