"""Effects of the settings of captions: of models, seen by a real server that notes what it gets."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import runpy
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import polars as pl
import pytest
import tiny_captioner
from setting_effect import Effect, Seen, less

from bunny.caption import image_to_text, zero_shot
from bunny.core.error import StageError, UserError
from bunny.table import store

BESIDE = Path(__file__).parents[1] / "caption"
service = SimpleNamespace(**runpy.run_path(str(BESIDE / "service.py")))
Reply = service.Reply
LOCAL = {
    "captioning.providers": ["local"],
    "captioning.local.model": "seer",
    "captioning.max_retries": 0,
    "captioning.batch_size": 1,
    "pipeline.max_failed_share": 1.0,
}
BEDROCK = {
    **LOCAL,
    "captioning.providers": ["bedrock"],
    "captioning.bedrock.model": "seer",
}
SERVED = ("bedrock", "openai", "anthropic", "local")
AGAIN = Reply(status=429, body={}, headers={"Retry-After": "0"})
ENVIRONMENT = {
    "ANTHROPIC_API_KEY": "sk-a",
    "OPENAI_API_KEY": "sk-o",
    "AWS_EC2_METADATA_DISABLED": "true",
}
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
    with _credentials(seen), service.serve(script) as server:
        more = more or {}
        names = more.get("captioning.providers", seen.config.captioning.providers)
        seen.run("caption", more={**_addresses(names, server.url), **more})
    return server.requests


@contextlib.contextmanager
def _credentials(seen: Seen):
    """Keys that no service knows, and no others."""
    profiles = seen.data / "profiles"
    profiles.write_text(PROFILES, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        for name in UNSET:
            patch.delenv(name, raising=False)
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        patch.setenv("AWS_CONFIG_FILE", str(profiles))
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(profiles))
        yield


def _addresses(names: Iterable[str], url: str) -> dict[str, str]:
    """Where the providers that are served find the server."""
    return {
        f"captioning.{name}.endpoint_url": url if name == "bedrock" else f"{url}/v1"
        for name in names
        if name in SERVED
    }


def _asked(key: str) -> Callable[[Seen], set]:
    """What stands under a key of all requests."""
    return lambda seen: {body[key] for _, _, body in _ask(seen)}


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


def _which_address(name: str) -> Callable[[Seen], tuple[int, int]]:
    """How many requests two servers got, of which the setting names one by its number."""

    def look(seen: Seen) -> tuple[int, int]:
        with (
            _credentials(seen),
            service.serve(lambda _: Reply()) as first,
            service.serve(lambda _: Reply()) as second,
        ):
            chosen = getattr(seen.config.captioning, name).endpoint_url
            url = {"first": first.url, "second": second.url}[chosen]
            seen.run("caption", more=_addresses([name], url))
        return len(first.requests), len(second.requests)

    return look


def _served_model(seen: Seen) -> set:
    """The model that was asked, by the path or the body of the requests."""
    found = set()
    for path, _, body in _ask(seen):
        in_path = re.search(r"/model/(\w+)/converse", path)
        found.add(in_path.group(1) if in_path else body["model"])
    return found | set(seen.table("caption")["model"])


def _here(name: str, save: Callable[[Path], Path], look: Callable[[Seen], Any]) -> Callable:
    """What a model on this machine, made on the spot, brings."""

    def run(seen: Seen) -> Any:
        folder = save(seen.data / name)
        more = {"captioning.providers": [name], f"captioning.{name}.model": str(folder)}
        seen.run("caption", more=more)
        return look(seen)

    return run


def _captions(seen: Seen) -> list[str]:
    """Captions of the machine, without who is seen."""
    texts = seen.table("caption").filter(version=1, status="done")["text"]
    return sorted({text.rsplit(", ", 1)[-1] for text in texts})


def _two_models(name: str, first: Callable, second: Callable) -> Callable[[Seen], Any]:
    """Captions by the one of two models that the setting names."""

    def look(seen: Seen) -> Any:
        for folder, save in (("one", first), ("two", second)):
            save(seen.data / folder)
        chosen = getattr(seen.config.captioning, name).model
        folder = seen.data / chosen
        more = {"captioning.providers": [name], f"captioning.{name}.model": str(folder)}
        seen.run("caption", more=more)
        return Path(seen.table("caption")["model"][0]).name, _captions(seen)

    return look


def _num_tags(category: int) -> Callable[[Seen], int]:
    """How often the tagger gave green grass (0) or its own character (4)."""
    tag = {0: "green grass", 4: "hare"}[category]
    return lambda seen: sum(tag in (tags or []) for tags in seen.table("caption")["tags"].to_list())


def _batches(seen: Seen) -> list[int]:
    """How many pictures the model was shown at once."""
    sizes = []
    with pytest.MonkeyPatch.context() as patch:
        whole = image_to_text.ImageToText.caption_batch

        def count(self: Any, questions: Any) -> Any:
            sizes.append(len(questions))
            return whole(self, questions)

        patch.setattr(image_to_text.ImageToText, "caption_batch", count)
        _here("transformers", tiny_captioner.save_blip, lambda _: None)(seen)
    return sizes


def _device(seen: Seen) -> str:
    """Where the model computed: a device that this machine lacks is refused by torch."""
    try:
        _here("transformers", tiny_captioner.save_blip, lambda _: None)(seen)
    except Exception as error:  # torch's own
        return type(error).__name__
    return "computed"


def _vocabulary(seen: Seen) -> list[str]:
    """Captions with the words of one of two vocabularies."""
    for name in ("grass", "snow"):
        words = f'place: {{template: "{{word}}", says: "in {{word}}", words: [{name}]}}\n'
        (seen.root / f"{name}.yaml").write_text(words)
    look = _here("clip", tiny_captioner.save_clip, lambda seen: seen.table("caption")["text"])
    said = " ".join(text or "" for text in look(seen).to_list())
    return [name for name in ("grass", "snow") if name in said]


def _num_words(seen: Seen) -> int:
    """How many words of the vocabulary were chosen for the six pictures."""
    look = _here("clip", tiny_captioner.save_clip, lambda seen: seen.table("caption"))
    words = [tags or [] for tags in look(seen)["tags"].to_list()]
    own = {w for group in zero_shot.read_vocabulary(zero_shot.OWN_VOCABULARY) for w in group.words}
    return sum(tag in own for tags in words for tag in tags)


def _asked_here(seen: Seen) -> list:
    """What the processor was given as text."""
    told = []
    with pytest.MonkeyPatch.context() as patch:
        whole = image_to_text.ImageToText._prepare

        def note(self: Any, questions: Any, pictures: Any) -> Any:
            processor = self._processor
            self._processor = lambda **inputs: (
                told.append(inputs.get("text")) or processor(**inputs)
            )
            ready = whole(self, questions, pictures)
            self._processor = processor
            return ready

        patch.setattr(image_to_text.ImageToText, "_prepare", note)
        one = {"captioning.transformers.batch_size": 1}
        folder = tiny_captioner.save_blip(seen.data / "transformers")
        more = {"captioning.providers": ["transformers"], **one}
        seen.run("caption", more={**more, "captioning.transformers.model": str(folder)})
    return [told[0]]


def _seconds(seen: Seen) -> float:
    """Seconds between the first request and the last."""
    moments = []

    def reply(_: int) -> Any:
        moments.append(time.monotonic())
        return Reply()

    _ask(seen, reply)
    assert len(moments) == 6
    return moments[-1] - moments[0]


def _millionths_usd(seen: Seen) -> int:
    """What the six captions cost, in millionths of a dollar."""
    _ask(seen)
    return round(seen.table("caption")["cost_usd"].sum() * 1e6)


def _seconds_to_connect(seen: Seen) -> float:
    """Seconds until a server whose queue is full is given up."""
    with contextlib.ExitStack() as opened:
        server = opened.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(4):  # the queue is full: whoever comes next is not answered
            waiting = opened.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        port = server.getsockname()[1]
        started = time.monotonic()
        seen.run("caption", more=_addresses(["local"], f"http://127.0.0.1:{port}"))
    return time.monotonic() - started


def _is_sent_away(seen: Seen) -> str:
    """Whether pictures are offered to a machine whose name nobody has."""
    try:
        seen.run("caption", more=_addresses(["local"], "http://nobody.invalid"))
    except UserError:
        return "refused"
    return "tried"


def _size_sent(seen: Seen) -> set[int]:
    """Widths in pixels of the pictures that the server got."""
    found = set()
    for _, _, body in _ask(seen):
        sent = re.search(r"base64,([^\"]+)", json.dumps(body)).group(1)
        pixels = np.frombuffer(base64.b64decode(sent), np.uint8)
        found.add(cv2.imdecode(pixels, cv2.IMREAD_COLOR).shape[1])
    return found


def _order(seen: Seen) -> tuple[set, bool]:
    """Who answered when the local server refuses, and whether the row says why."""
    refused = lambda _: Reply(text="I cannot help with that.")  # noqa: E731
    _ask(seen, refused)
    table = seen.table("caption").filter(version=1)
    return set(table["provider"]), bool(table["fallback_reason"].is_not_null().all())


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


def _first_text(seen: Seen) -> str:
    return seen.table("caption").filter(version=1)["text"][0]


def _shares(name: str) -> Callable[[Seen], tuple[int, list[float]]]:
    """How many captions of a kind there are, and its share in the set."""

    def look(seen: Seen) -> tuple[int, list[float]]:
        texts = seen.table("caption").filter(version=1)[f"text_{name}"].drop_nulls()
        row = seen.table("dataset").row(0, named=True)
        return len(texts), [share for share in row["variant_shares"] or () if share == 0.25]

    return look


def _sides(seen: Seen) -> int:
    """Captions that say who is on the left, with somebody else beside the film's bunny."""
    folder = seen.space.table
    label = store.read(folder, "label")
    boxes = {"x0_px": pl.lit(0.0, pl.Float32), "x1_px": pl.lit(4.0, pl.Float32)}
    other = label.with_columns(
        pl.lit("bear").alias("character"), pl.col("subject_id") + "-b", **boxes
    )
    store.write(folder, "label", pl.concat([label, other.select(label.columns)]))
    seen.run("caption")
    return sum("on the left" in text for text in seen.table("caption")["text"])


def _replaced(seen: Seen) -> str:
    (seen.root / "words.csv").write_text("day,sunlight\n")
    seen.run("caption")
    return _first_text(seen)


def _same(words: str) -> dict[str, str]:
    """The words everywhere; a model is told the same whatever they are, so it is asked once."""
    same = dict.fromkeys(("caption", "dataset", "beside", "export"), words)
    return same | {"model": "bunny character"}


EFFECT = {
    "captioning.providers": Effect(
        values=(("local",), ("local", "tags")),
        given={**LOCAL, "pipeline.max_failed_share": 1.0},
        look=_order,
        gives=(({"local"}, False), ({"tags"}, True)),
        says="who answered after a refusal, and whether the rows say why",
    ),
    **{
        f"captioning.{name}.model": Effect(
            values=("seer", "ear"),
            given={**LOCAL, "captioning.providers": [name]},
            look=_served_model,
            gives=({"seer"}, {"ear"}),
        )
        for name in SERVED
    },
    **{
        f"captioning.{name}.endpoint_url": Effect(
            values=("first", "second"),
            given={
                **LOCAL,
                "captioning.providers": [name],
                f"captioning.{name}.model": "claude-seer",
            },
            look=_which_address(name),
            gives=((6, 0), (0, 6)),
        )
        for name in SERVED
    },
    **{
        f"captioning.{name}.{key}": Effect(
            values=values,
            given={
                **LOCAL,
                "captioning.providers": [name],
                f"captioning.{name}.model": "claude-seer",
            },
            look=look,
            **out,
        )
        for name in SERVED
        for key, values, look, out in (
            ("requests_per_minute", (0, 120), _seconds, {"holds": lambda a, b: b > a + 1.0}),
            ("tokens_per_minute", (0, 30_000), _seconds, {"holds": lambda a, b: b > a + 1.0}),
            ("input_price_usd", (1.0, 2.0), _millionths_usd, {"gives": (66, 132)}),
            ("output_price_usd", (1.0, 2.0), _millionths_usd, {"gives": (42, 84)}),
        )
    },
    "captioning.allow_upload": Effect(
        values=(False, True),
        given={**LOCAL, "captioning.batch_size": 6, "captioning.timeout_seconds": 1.0},
        look=_is_sent_away,
        gives=("refused", "tried"),
        says="what becomes of pictures for a server on another machine",
    ),
    "captioning.send": Effect(
        values=("frame", "crop"),
        given=LOCAL,
        look=_size_sent,
        holds=lambda whole, part: whole == {640} and min(part) < 600,
        says="widths of the pictures that are sent",
    ),
    "captioning.max_cost_usd": Effect(
        values=(0.0, 0.1305),  # an answer may cost 0.12 and does cost 0.007
        given={
            **LOCAL,
            "captioning.max_tokens": 120,
            "captioning.local.output_price_usd": 1000.0,
        },
        look=lambda seen: len(_ask(seen)),
        gives=(6, 2),
        says="requests",
    ),
    "captioning.connect_timeout_seconds": Effect(
        values=(0.3, 3.0),
        given={**LOCAL, "captioning.batch_size": 6},
        look=_seconds_to_connect,
        holds=lambda short, long: short < long - 1.5,
    ),
    "captioning.transformers.model": Effect(
        values=("one", "two"),
        given={"captioning.max_tokens": 2},
        look=_two_models(
            "transformers",
            tiny_captioner.save_blip,
            lambda folder: tiny_captioner.save_blip(folder, "grass"),
        ),
        gives=(("one", ["rabbit rabbit"]), ("two", ["grass grass"])),
    ),
    "captioning.transformers.prompt": Effect(
        values=("", "a"),
        given={"captioning.max_tokens": 1},
        look=lambda seen: _asked_here(seen),
        gives=([None], [["a"]]),
        says="what the model is told beside the picture",
    ),
    "captioning.transformers.batch_size": Effect(
        values=(1, 5),
        given={"captioning.max_tokens": 1},
        look=_batches,
        gives=([1] * 6, [1, 5]),
        says="pictures at once; the first alone, while the others come",
    ),
    "captioning.transformers.device": Effect(
        values=("cpu", "mps"),
        given={"captioning.max_tokens": 1},
        look=_device,
        holds=lambda own, other: own == "computed" != other,
    ),
    "captioning.tagger.model": Effect(
        values=("one", "two"),
        given={"captioning.tagger.general_threshold": 0.0},
        look=lambda seen: _two_models(
            "tagger",
            tiny_captioner.save_tagger,
            lambda folder: tiny_captioner.save_tagger(folder, 16),
        )(seen)[0],
        gives=("one", "two"),
    ),
    "captioning.tagger.general_threshold": Effect(
        values=(0.0, 1.0),
        given={"captioning.tagger.character_threshold": 0.0, "pipeline.max_failed_share": 1.0},
        look=_here("tagger", tiny_captioner.save_tagger, _num_tags(0)),
        gives=(6, 0),
    ),
    "captioning.tagger.character_threshold": Effect(
        values=(0.0, 1.0),
        given={"captioning.tagger.general_threshold": 0.0},
        look=_here("tagger", tiny_captioner.save_tagger, _num_tags(4)),
        gives=(6, 0),
    ),
    "captioning.clip.model": Effect(
        values=("one", "two"),
        look=lambda seen: _two_models("clip", tiny_captioner.save_clip, tiny_captioner.save_clip)(
            seen
        )[0],
        given={"captioning.clip.min_probability": 0.0},
        gives=("one", "two"),
    ),
    "captioning.clip.vocabulary": Effect(
        values=("{root}/grass.yaml", "{root}/snow.yaml"),
        look=_vocabulary,
        gives=(["grass"], ["snow"]),
    ),
    "captioning.clip.min_probability": Effect(
        values=(0.0, 1.0),
        given={"pipeline.max_failed_share": 1.0},
        look=_num_words,
        holds=less,
    ),
    "captioning.style": Effect(
        values=("sentence", "tags"),
        stages=("caption",),
        look=_first_text,
        gives=(
            "bunny character, close-up, day",
            "bunny character, solo, close-up, day, green background, white background",
        ),
    ),
    **{
        f"captioning.variants.{name}": Effect(
            values=(0.0, 0.25),
            given={f"captioning.variants.{other}": 0.75},
            stages=("caption", "dataset"),
            look=_shares(name),
            gives=((0, []), (6, [0.25])),
            says="captions of that kind, and its share in the set",
        )
        for name, other in (("short", "long"), ("long", "tags"), ("tags", "short"))
    },
    "captioning.has_sides": Effect(
        values=(True, False),
        look=_sides,
        holds=lambda said, unsaid: said > 0 == unsaid,
        says="captions of two characters that say who is on the left",
    ),
    "captioning.keep_tags": Effect(
        values=((), ("day",)),
        given={"captioning.max_tag_share": 0.0},
        stages=("caption",),
        look=lambda seen: sum("day" in text for text in seen.table("caption")["text"]),
        gives=(0, 6),
    ),
    "captioning.prune_tags": Effect(
        values=((), ("day",)),
        stages=("caption",),
        look=lambda seen: sum("day" in text for text in seen.table("caption")["text"]),
        gives=(6, 0),
    ),
    "captioning.replacements": Effect(
        values=("", "{root}/words.csv"),
        look=_replaced,
        gives=("bunny character, close-up, day", "bunny character, close-up, sunlight"),
    ),
    "captioning.max_caption_tokens": Effect(
        values=(0, 4),
        stages=("caption",),
        look=_first_text,
        gives=("bunny character, close-up, day", "bunny character"),
    ),
    "captioning.has_background_colours": Effect(
        values=(False, True),
        stages=("caption",),
        look=lambda seen: sum("place" in text for text in seen.table("caption")["text"]),
        gives=(0, 6),
        says="captions that name the background",
    ),
    "captioning.max_tokens": Effect(
        values=(50, 170), given=LOCAL, look=_asked("max_tokens"), gives=({50}, {170})
    ),
    "captioning.temperature": Effect(
        values=(0.25, 0.75), given=LOCAL, look=_asked("temperature"), gives=({0.25}, {0.75})
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
