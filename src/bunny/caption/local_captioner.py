"""Captioners that are on this machine already: a server on loopback, or a model in the hub's cache.

Only loopback is contacted, directly and without following redirects, and only for
`captioning.providers: [auto]`. Cached models are loaded as local folders, without asking the hub
for a newer version.
"""

import http.client
import json
import os
import re
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bunny.caption.provider import is_away
from bunny.core import atomic, http_body
from bunny.core.config import CaptioningConfig

AUTO, TAGS = "auto", "tags"
KEPT = "captioner.json"  # in the stage's folder: who captioned this film before
OLLAMA_PORT, VLLM_PORT = 11434, 8000  # their defaults
TIMEOUT_S = 2.0
# vLLM does not tell which models see; these are the names of families that do.
SEES = re.compile(
    r"vl\b|vl-|vl[\d.]|llava|vision|pixtral|molmo|internvl|minicpm-?v|moondream|idefics|smolvlm"
    r"|gemma-?3|florence|ovis|aria\b",
    re.IGNORECASE,
)
# `model_type` of models that provider transformers runs, the better ones first.
MODEL_TYPES = (
    "qwen3_vl",
    "qwen2_5_vl",
    "qwen2_vl",
    "internvl",
    "gemma3",
    "llava_onevision",
    "llava_next",
    "llava",
    "smolvlm",
    "idefics3",
    "florence2",
    "blip-2",
    "blip",
)
EXAMPLE = "qwen2.5vl:3b"  # in Ollama's library, 3 GB
SUGGESTION = f"`ollama pull {EXAMPLE}`"


@dataclass(frozen=True, kw_only=True)
class LocalCaptioner:
    """A captioner of this machine, as the settings would name it."""

    provider: str  # local, transformers, tagger or clip
    model: str
    endpoint_url: str = ""

    @property
    def place(self) -> str:
        """Where it is, for a line to the user."""
        if self.endpoint_url:
            return f"at {urlsplit(self.endpoint_url).netloc}"
        return "in the hub's cache" if "models--" in self.model else "as the settings say"

    @property
    def name(self) -> str:
        """The model's name without the folders of the cache."""
        cached = re.search(r"models--(.+?)[/\\]", self.model)
        return cached[1].replace("--", "/") if cached else self.model


def resolve(captioning: CaptioningConfig, folder: Path) -> CaptioningConfig:
    """The settings with a captioner of this machine in the place of `auto`.

    Parameters
    ----------
    folder : Path
        The stage's, where `keep` noted who captioned the film before; that one counts while
        nobody is found, so that a server that was stopped undoes no captions.
    """
    if AUTO not in captioning.providers:
        return captioning
    found = find(captioning) or _kept(folder)
    if found is None:
        return captioning.model_copy(update={"providers": (TAGS,)})
    section = getattr(captioning, found.provider)
    own: dict[str, Any] = {"model": found.model}
    if found.endpoint_url:
        own["endpoint_url"] = found.endpoint_url
    return captioning.model_copy(
        update={
            "providers": (found.provider, TAGS),
            found.provider: section.model_copy(update=own),
        }
    )


def keep(captioning: CaptioningConfig, folder: Path) -> LocalCaptioner | None:
    """Note who captions a film, of settings from `resolve`; None: nobody but the tables."""
    name = captioning.providers[0]
    if name == TAGS:
        return None
    section = getattr(captioning, name)
    url = getattr(section, "endpoint_url", "")
    used = LocalCaptioner(provider=name, model=section.model, endpoint_url=url)
    atomic.write_bytes(folder / KEPT, json.dumps(asdict(used)).encode())
    return used


def find(captioning: CaptioningConfig) -> LocalCaptioner | None:
    """The first captioner of: the settings' own models, servers on loopback, the hub's cache."""
    own = captioning.local
    url = own.endpoint_url
    if url and not is_away(urlsplit(url).hostname or ""):
        if own.model:
            return LocalCaptioner(provider="local", model=own.model, endpoint_url=url)
        if model := _served_model(url):
            return LocalCaptioner(provider="local", model=model, endpoint_url=url)
    for name in ("transformers", "tagger", "clip"):
        if model := getattr(captioning, name).model:
            return LocalCaptioner(provider=name, model=model)
    for port in (OLLAMA_PORT, VLLM_PORT):
        url = f"http://127.0.0.1:{port}/v1"
        if model := _served_model(url):
            return LocalCaptioner(provider="local", model=model, endpoint_url=url)
    return next(_cached_models(), None)


def _served_model(url: str) -> str:
    """A model of a server that sees pictures; empty: none, or nobody answers as one does."""
    parts = urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    listed = _ask(host, port, "/api/tags")  # Ollama's own
    for model in _entries(listed, "models"):
        name = str(model.get("name", ""))
        shown = _ask(host, port, "/api/show", {"model": name}) or {}
        if "vision" in (shown.get("capabilities") or ()):
            return name
    listed = _ask(host, port, "/v1/models")
    for model in _entries(listed, "data"):
        name = str(model.get("id", ""))
        if model.get("owned_by") == "vllm" and SEES.search(name):
            return name
    return ""


def _entries(answer: dict[str, Any] | None, key: str) -> list[dict[str, Any]]:
    """The list of a server's answer, as far as it is one."""
    found = (answer or {}).get(key)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _ask(host: str, port: int, path: str, body: dict | None = None) -> dict[str, Any] | None:
    """A server's answer in JSON; None where there is none. Redirects are not followed."""
    data = None if body is None else json.dumps(body)
    head = {"Content-Type": "application/json"} if data else {}
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    with closing(connection), suppress(OSError, http.client.HTTPException, ValueError):
        connection.request("POST" if data else "GET", path, data, head)
        answer = connection.getresponse()
        chunks = iter(lambda: answer.read1(http_body.CHUNK), b"")
        found = json.loads(b"".join(http_body.bounded(chunks, TIMEOUT_S)))
        is_good = answer.status == http.client.OK and isinstance(found, dict)
        return found if is_good else None
    return None


def _cached_models() -> Iterator[LocalCaptioner]:
    """Captioners whose files are whole in the hub's cache, the better ones first."""
    folders = sorted(_cache().glob("models--*/snapshots/*"))
    of_type = {folder: _model_type(folder) for folder in folders}
    for wanted in MODEL_TYPES:
        for folder, kind in of_type.items():
            if kind == wanted and any(folder.glob("*.safetensors")):
                yield LocalCaptioner(provider="transformers", model=str(folder))
    for folder in folders:
        if (folder / "selected_tags.csv").is_file() and (folder / "model.onnx").is_file():
            yield LocalCaptioner(provider="tagger", model=str(folder))


def _cache() -> Path:
    """Folder of the hub's cache."""
    home = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface"))
    return Path(os.environ.get("HF_HUB_CACHE", home / "hub"))


def _model_type(folder: Path) -> str:
    with suppress(OSError, ValueError):
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return str(found.get("model_type", "")) if isinstance(found, dict) else ""
    return ""


def _kept(folder: Path) -> LocalCaptioner | None:
    """Who captioned the film before, if `find` could give it: a film's folder names no other."""
    with suppress(OSError, ValueError, TypeError, AttributeError, RecursionError):
        kept = LocalCaptioner(**json.loads((folder / KEPT).read_text(encoding="utf-8")))
        if kept.provider == "local":
            is_here = not is_away(urlsplit(kept.endpoint_url).hostname or "")
        else:
            is_known = kept.provider in ("transformers", "tagger", "clip") and not kept.endpoint_url
            path = Path(kept.model)
            is_cached = path.resolve().is_relative_to(_cache().resolve())
            is_gone = path.is_absolute() and not path.exists()  # from another machine, or deleted
            is_here = is_known and (is_cached or is_gone)
        return kept if is_here else None
    return None
