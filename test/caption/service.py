"""A real local server that speaks as OpenAI, Anthropic and Bedrock do, as a script tells it."""

import contextlib
import gzip
import http.server
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from bunny.caption.provider import ServedModel
from bunny.core.config import AwsConfig, CaptioningConfig
from bunny.core.config.captioning import ServedCaptionConfig


def marked(caption: str, tags: str = "grass, day") -> str:
    """An answer in the form that the program asks for."""
    return f"[[ ## caption ## ]]\n{caption}\n\n[[ ## tags ## ]]\n{tags}\n\n[[ ## completed ## ]]"


GOOD = marked("bunny character runs over grass, medium shot, day")


def served_model(provider: str, **changes: Any) -> ServedModel:
    """A model of a provider; changes are fields of its own section, of `aws` or `captioning`."""

    def own(kind: Any) -> dict[str, Any]:
        return {key: changes.pop(key) for key in kind.model_fields if key in changes}

    section, aws = ServedCaptionConfig(**own(ServedCaptionConfig)), AwsConfig(**own(AwsConfig))
    captioning = CaptioningConfig(**{provider: section, **changes})
    return ServedModel(provider=provider, captioning=captioning, aws=aws)


@dataclass
class Reply:
    """What the server says next: a text in the provider's form, or a bare status and body."""

    text: str | None = GOOD
    status: int = 200
    body: Any = None  # sent as it is when given (str) or as JSON
    is_endless: bool = False  # the body comes again and again, until the client hangs up
    delay_s: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    refusal: str | None = None
    finish: str | None = None
    before: Callable[[], None] | None = None  # called before the answer is sent
    trickle_s: float = 0.0  # between two bytes of the body
    is_reset: bool = False  # the connection breaks instead of an answer


def faults(wait_s: int, delay_s: float) -> tuple[Reply, ...]:
    """Each way in which an answer goes wrong; the last is slow."""
    return (
        Reply(status=429, body={}, headers={"Retry-After": str(wait_s)}),
        *(Reply(status=status, body={}) for status in (429, 500, 529)),
        Reply(is_reset=True),
        Reply(body='{"choices": [{"mess'),
        Reply(text="no caption at all"),
        Reply(delay_s=delay_s),
    )


@dataclass
class Service:
    """Address of the running server and what it was asked."""

    url: str = ""
    requests: list[tuple[str, dict, dict]] = field(default_factory=list)  # path, headers, body
    num_endless: int = 0  # bodies of endless answers that were taken


def _openai(body: dict, reply: Reply) -> dict:
    message = {"role": "assistant", "content": reply.text, "refusal": reply.refusal}
    choice = {"index": 0, "message": message, "finish_reason": reply.finish or "stop"}
    usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    head = {"id": "x", "object": "chat.completion", "created": 1, "model": body["model"]}
    return head | {"choices": [choice], "usage": usage}


def _anthropic(body: dict, reply: Reply) -> dict:
    head = {"id": "m", "type": "message", "role": "assistant", "model": body["model"]}
    usage = {"input_tokens": 11, "output_tokens": 7}
    content = [{"type": "text", "text": reply.text}] if reply.text is not None else []
    return head | {"content": content, "stop_reason": reply.finish or "end_turn", "usage": usage}


def _bedrock(body: dict, reply: Reply) -> dict:
    content = [{"text": reply.text}] if reply.text is not None else []
    return {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": reply.finish or "end_turn",
        "usage": {"inputTokens": 11, "outputTokens": 7, "totalTokens": 18},
        "metrics": {"latencyMs": 1},
    }


@contextlib.contextmanager
def serve(
    script: Callable[[int], Reply] | None = None, by_body: Callable[[dict], Reply] | None = None
) -> Iterator[Service]:
    """Run the server; `script` gives the reply to request number n, counted from 0.

    `by_body` gives the reply to what a request asks instead.
    """
    service, lock = Service(), threading.Lock()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """List a model as vLLM does."""
            listed = {"object": "list", "data": [{"id": "seer-vl", "owned_by": "vllm"}]}
            is_known = self.path == "/v1/models"
            raw = json.dumps(listed if is_known else {}).encode()
            self.send_response(200 if is_known else 404)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with lock:
                service.requests.append((self.path, dict(self.headers), body))
                number = len(service.requests) - 1
                reply = by_body(body) if by_body else script(number)  # may look at the request
            time.sleep(reply.delay_s)
            if reply.before is not None:
                reply.before()
            if reply.is_reset:
                linger = struct.pack("ii", 1, 0)  # closes with RST
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.close_connection = True
                self.connection.close()
                return
            answer = reply.body
            if answer is None and reply.status == 200:
                form = _bedrock if self.path.endswith("/converse") else _openai
                form = _anthropic if self.path.endswith("/messages") else form
                answer = form(body, reply)
            raw = (answer if isinstance(answer, str) else json.dumps(answer or {})).encode()
            for _ in range(reply.headers.get("Content-Encoding", "").count("gzip")):
                raw = gzip.compress(raw)
            with contextlib.suppress(ConnectionError):
                self.send_response(reply.status)
                self.send_header("Content-Type", "application/json")
                if not reply.is_endless:
                    self.send_header("Content-Length", str(len(raw)))
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                for i in range(len(raw) if reply.trickle_s else 0):
                    self.wfile.write(raw[i : i + 1])
                    time.sleep(reply.trickle_s)
                if not reply.trickle_s:
                    self.wfile.write(raw)
                while reply.is_endless:
                    service.num_endless += 1
                    self.wfile.write(raw)

        def log_message(self, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    service.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
