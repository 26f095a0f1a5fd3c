"""A captioner of this machine is found: by a real local server and in a made cache of the hub."""

import contextlib
import http.server
import json
import threading
import time

import pytest

from bunny.caption import local_captioner
from bunny.caption.local_captioner import LocalCaptioner
from bunny.core.config import CaptioningConfig
from bunny.core.config.captioning import ServedCaptionConfig, TransformersCaptionConfig

SEES, READS = {"capabilities": ["completion", "vision"]}, {"capabilities": ["completion"]}
OLLAMA = {
    "/api/tags": {"models": [{"name": "llama3:8b"}, {"name": "qwen2.5vl:3b"}]},
    "/api/show": lambda body: SEES if body["model"] == "qwen2.5vl:3b" else READS,
}
VLLM = {
    "/v1/models": {
        "data": [
            {"id": "meta-llama/Llama-3-8B", "owned_by": "vllm"},
            {"id": "Qwen/Qwen2.5-VL-7B-Instruct", "owned_by": "vllm"},
        ]
    }
}


@contextlib.contextmanager
def _serve(answers, redirect="", pause_s=0.0):
    """A server on loopback; gives its address and the paths that were asked for."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["content-length"]))))

        def _answer(self, body) -> None:
            asked.append(self.path)
            found = answers.get(self.path)
            raw = json.dumps(found(body) if callable(found) else found).encode()
            self.send_response(302 if redirect else 200 if found else 404)
            if redirect:
                self.send_header("Location", redirect)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                for at in range(0, len(raw), 1 if pause_s else len(raw)):
                    self.wfile.write(raw[at:] if not pause_s else raw[at : at + 1])
                    time.sleep(pause_s)

        def log_message(self, *args) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """No server on the usual ports and an empty cache, whatever runs on this machine."""
    monkeypatch.setattr(local_captioner, "OLLAMA_PORT", 9)  # nobody answers on port "discard"
    monkeypatch.setattr(local_captioner, "VLLM_PORT", 9)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))


def _auto(url="", **changes):
    local = ServedCaptionConfig(endpoint_url=url)
    return CaptioningConfig(providers="auto", local=local, **changes)


@pytest.mark.parametrize(
    ("answers", "model"),
    [(OLLAMA, "qwen2.5vl:3b"), (VLLM, "Qwen/Qwen2.5-VL-7B-Instruct")],
)
def test_the_model_of_a_server_that_sees_pictures_is_taken(answers, model):
    with _serve(answers) as (url, _):
        found = local_captioner.find(_auto(url))
        assert found == LocalCaptioner(provider="local", model=model, endpoint_url=url)
        assert found.place == f"at {url.removeprefix('http://').removesuffix('/v1')}"


def test_the_usual_ports_are_tried(monkeypatch):
    with _serve(OLLAMA) as (url, _):
        monkeypatch.setattr(local_captioner, "OLLAMA_PORT", int(url.split(":")[2][:-3]))
        assert local_captioner.find(_auto()).endpoint_url == url


@pytest.mark.parametrize(
    "answers",
    [
        {},
        {"/api/tags": {"models": [{"name": "llama3:8b"}]}, "/api/show": READS},
        {"/v1/models": {"data": [{"id": "qwen-vl", "owned_by": "somebody"}]}},
        {"/api/tags": ["no object"], "/v1/models": {"data": "no list"}},
    ],
)
def test_other_servers_are_left_alone(answers):
    with _serve(answers) as (url, _):
        assert local_captioner.find(_auto(url)) is None


def test_nothing_is_asked_elsewhere():
    """A redirect is not followed, and an address of another machine not asked."""
    with _serve({}) as (other, asked), _serve({}, redirect=f"{other}/models") as (url, _):
        assert local_captioner.find(_auto(url)) is None
        assert asked == []
    assert local_captioner.find(_auto("http://203.0.113.1:11434/v1")) is None


def test_a_model_in_the_hubs_cache_is_taken_as_a_folder(tmp_path):
    folders = {}
    for name, kind in (("org--blip", "blip"), ("org--qwen", "qwen2_vl"), ("org--text", "llama")):
        folders[kind] = tmp_path / "hub" / f"models--{name}" / "snapshots" / "abc"
        folders[kind].mkdir(parents=True)
        (folders[kind] / "config.json").write_text(json.dumps({"model_type": kind}))
        (folders[kind] / "model.safetensors").touch()
    found = local_captioner.find(_auto())
    assert found == LocalCaptioner(provider="transformers", model=str(folders["qwen2_vl"]))
    assert (found.name, found.place) == ("org/qwen", "in the hub's cache")
    (folders["qwen2_vl"] / "model.safetensors").unlink()  # not whole: the next one
    assert local_captioner.find(_auto()).model == str(folders["blip"])
    own = _auto(transformers=TransformersCaptionConfig(model="my/florence"))
    assert local_captioner.find(own).model == "my/florence"  # the settings' own goes first


def test_a_film_keeps_its_captioner_while_the_server_is_stopped(tmp_path):
    with _serve(OLLAMA) as (url, _):
        used = local_captioner.resolve(_auto(url), tmp_path)
        assert used.providers == ("local", "tags")
        assert (used.local.model, used.local.endpoint_url) == ("qwen2.5vl:3b", url)
        local_captioner.keep(used, tmp_path)
    again = local_captioner.resolve(_auto(url), tmp_path)
    assert (again.providers, again.local.model) == (("local", "tags"), "qwen2.5vl:3b")


@pytest.mark.parametrize(
    "kept",
    [
        {"provider": "local", "model": "m", "endpoint_url": "http://198.51.100.1/v1"},
        {"provider": "openai", "model": "m", "endpoint_url": ""},
        {"provider": "openai", "model": "m", "endpoint_url": "http://127.0.0.1:9/v1"},
        {"provider": "transformers", "model": "somebody/model"},
        {"provider": "transformers", "model": "HERE"},
        {"provider": ["local"], "model": 1},
    ],
)
def test_a_films_folder_names_no_captioner_elsewhere(tmp_path, kept):
    kept = {name: str(tmp_path) if value == "HERE" else value for name, value in kept.items()}
    (tmp_path / local_captioner.KEPT).write_text(json.dumps(kept))
    settings = CaptioningConfig(providers=("auto",))
    assert local_captioner.resolve(settings, tmp_path).providers == ("tags",)


def test_without_any_the_tables_answer(tmp_path):
    used = local_captioner.resolve(_auto(), tmp_path)
    assert used.providers == ("tags",)
    assert local_captioner.keep(used, tmp_path) is None
    plain = CaptioningConfig()
    assert local_captioner.resolve(plain, tmp_path) is plain


def test_auto_stands_alone():
    with pytest.raises(ValueError, match="auto alone"):
        CaptioningConfig(providers=("auto", "tags"))


def test_a_server_that_never_ends_is_not_waited_for(monkeypatch, tmp_path):
    """Each byte comes within the time for the next, the whole never does."""
    monkeypatch.setattr(local_captioner, "TIMEOUT_S", 0.2)
    with _serve(VLLM, pause_s=0.05) as (url, _):
        started = time.monotonic()
        assert local_captioner.find(_auto(url)) is None
        assert time.monotonic() - started < 2.0
