"""Settings of captions: each provider's own section, models on this machine, several captions."""

import contextlib
import re
import threading
import time

import polars as pl
import pytest
import tiny_captioner
from caption_film import captions, service, stage, write

from bunny.core.config.captioning import CaptionVariantsConfig
from bunny.core.error import StageError

SERVED = ("bedrock", "openai", "anthropic", "local")
NOWHERE = {"model": "nobody", "endpoint_url": "http://127.0.0.1:9"}


@pytest.fixture(autouse=True)
def credentials(monkeypatch, tmp_path):
    """Keys that no service knows, and no profile of whoever runs the tests."""
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "AWS_ACCESS_KEY_ID"):
        monkeypatch.setenv(name, "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    for name in ("AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_BEARER_TOKEN_BEDROCK", "LOCAL_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def ask(folder, name, script=lambda _: service.Reply(), more=None, **own):
    """Let one provider caption a film by a server; what the server got, and when."""
    moments = []

    def reply(number):
        moments.append(time.monotonic())
        return script(number)

    others = {other: NOWHERE for other in SERVED if other != name}
    with service.serve(reply) as server:
        url = server.url if name == "bedrock" else f"{server.url}/v1"
        asked = {"providers": [name], "max_retries": 0, "batch_size": 1, **others, **(more or {})}
        stage(folder, **asked, **{name: {"model": "seer", "endpoint_url": url, **own}}).execute()
    return server.requests, moments


@pytest.mark.parametrize("name", SERVED)
def test_each_provider_is_asked_by_its_own_section(tmp_path, name):
    """In the others' sections are a model that does not exist and an address where nobody is."""
    prices = {"input_price_usd": 1.0, "output_price_usd": 2.0}
    requests, _ = ask(write(tmp_path), name, **prices)
    asked = [re.search(r"/model/(\w+)/", path) for path, _, _ in requests]
    models = [
        found[1] if found else body["model"]
        for found, (_, _, body) in zip(asked, requests, strict=True)
    ]
    assert models == ["seer"] * 3
    rows = captions(tmp_path)
    assert {row["model"] for row in rows} == {"seer"}
    assert [row["cost_usd"] for row in rows] == [pytest.approx((11 + 2 * 7) / 1e6)] * 3


@pytest.mark.parametrize("name", SERVED)
@pytest.mark.parametrize(
    ("limit", "least_s"),
    [
        # One request may go out at once, the next two seconds later.
        ({"requests_per_minute": 30}, 0.9),
        # 7000 tokens may go out at once; two answers of 4550 have to wait for 2100 at 700 a second.
        ({"tokens_per_minute": 42_000}, 1.3),
    ],
)
def test_no_more_is_asked_in_a_minute_than_is_set(tmp_path, name, limit, least_s):
    """The first request may be a second on its way: its client is only made then."""
    _, moments = ask(write(tmp_path, num_frames=2), name, more={"max_tokens": 4550}, **limit)
    assert len(moments) == 2
    assert moments[1] - moments[0] > least_s


@pytest.mark.parametrize("number", [1, 3])
def test_as_many_requests_are_under_way_as_are_set(tmp_path, number):
    """Each waits for its answer until three are there, or for a second."""
    third, lock = threading.Barrier(3), threading.Lock()
    waiting, most = 0, 0

    def wait():
        nonlocal waiting, most
        with lock:
            waiting += 1
            most = max(most, waiting)
        with contextlib.suppress(threading.BrokenBarrierError):
            third.wait(timeout=20 if number == 3 else 1)
        with lock:
            waiting -= 1

    more = {"batch_size": number}
    ask(write(tmp_path), "local", lambda _: service.Reply(before=wait), more=more)
    assert most == number


def here(folder, name, model, **own):
    """Caption a film by a model on this machine."""
    share = own.pop("share", 0.5)
    more = {"max_tokens": own.pop("max_tokens", 1)}
    asked = {"providers": [name], name: {"model": str(model), **own}}
    stage(folder, force=True, share=share, **more, **asked).execute()
    return captions(folder)


def test_pictures_are_shown_at_once_as_many_as_are_set(tmp_path, monkeypatch):
    """The first alone, while the others are read."""
    from bunny.caption import image_to_text

    blip, film, sizes = tiny_captioner.save_blip(tmp_path / "blip"), write(tmp_path / "film"), []
    whole = image_to_text.ImageToText.caption_batch

    def count(self, questions):
        sizes.append(len(questions))
        return whole(self, questions)

    monkeypatch.setattr(image_to_text.ImageToText, "caption_batch", count)
    here(film, "transformers", blip, batch_size=1)
    here(film, "transformers", blip, batch_size=2, max_tokens=2)
    assert sizes == [1, 1, 1, 1, 2]


def test_a_model_computes_on_the_device_that_is_set(tmp_path):
    """A device that this machine lacks is refused by torch."""
    blip, film = tiny_captioner.save_blip(tmp_path / "blip"), write(tmp_path / "film")
    here(film, "transformers", blip, device="cpu")
    with pytest.raises((StageError, RuntimeError, AssertionError), match=r"(?i)mps"):
        here(film, "transformers", blip, device="mps", max_tokens=2)


def test_clip_chooses_by_the_model_words_and_probability_that_are_set(tmp_path):
    """A word alone in its group has probability 1, one of two has less."""
    folders = [tiny_captioner.save_clip(tmp_path / name) for name in ("one", "two")]
    film = write(tmp_path / "film")
    for name, words in {"grass": "grass", "both": "grass, snow"}.items():
        text = f'place: {{template: "{{word}}", says: "in {{word}}", words: [{words}]}}\n'
        (tmp_path / f"{name}.yaml").write_text(text)

    def words(folder, name, least):
        own = {"vocabulary": str(tmp_path / f"{name}.yaml"), "min_probability": least}
        rows = here(film, "clip", folder, share=1.0, **own)
        assert {row["model"] for row in rows} <= {str(folder), None}
        return {word for row in rows for word in row["tags"] or () if word in ("grass", "snow")}

    assert words(folders[0], "grass", 0.99) == {"grass"}
    assert words(folders[1], "both", 0.99) == set()
    assert words(folders[1], "both", 0.0) & {"grass", "snow"}


@pytest.mark.parametrize(
    ("name", "other"), [("short", "long"), ("long", "tags"), ("tags", "short")]
)
def test_a_picture_has_several_captions_by_the_shares_that_are_set(tmp_path, name, other):
    shares = {name: 0.25, other: 0.75}
    stage(write(tmp_path), variants=shares).execute()
    rows = pl.DataFrame(captions(tmp_path), infer_schema_length=None)
    filled = {key for key in ("short", "long", "tags") if rows[f"text_{key}"].null_count() < 3}
    assert filled == {name, other}
    assert CaptionVariantsConfig(**shares).shares == shares
