"""Spans of runs, stages and shards, seen by the in-memory exporter of OpenTelemetry."""

import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import span_record
from opentelemetry import trace

from bunny.contract import machine
from bunny.core import telemetry


@pytest.fixture
def spans():
    with span_record.recorded() as finished:
        yield finished


def test_spans_are_nested_and_carry_film_stage_and_results(spans):
    inner_span = telemetry.span("stage detect", film="meadow", stage="detect")
    with telemetry.span("run", film="meadow"), inner_span:
        telemetry.note(items=7)
    inner, outer = spans()
    assert inner.parent.span_id == outer.context.span_id
    assert dict(outer.attributes) == {"bunny.film": "meadow"}
    assert dict(inner.attributes) == {
        "bunny.film": "meadow",
        "bunny.stage": "detect",
        "bunny.items": 7,
    }


def test_spans_of_threads_lie_in_the_span_that_gave_the_work(spans):
    def work(number):
        with telemetry.span("item", number=number):
            return number

    with telemetry.span("run"), machine.thread_pool(2) as pool:
        assert list(pool.map(work, range(3))) == [0, 1, 2]
    *items, outer = spans()
    assert {span.parent.span_id for span in items} == {outer.context.span_id} and len(items) == 3


def test_errors_are_told_without_secrets_and_tracebacks(spans, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    with pytest.raises(ValueError), telemetry.span("run"):
        raise ValueError("key sk-very-secret is wrong")
    [span] = spans()
    assert span.status.description == "ValueError: key <OPENAI_API_KEY> is wrong"
    assert span.status.status_code is trace.StatusCode.ERROR and span.events == ()


def test_an_endpoint_in_the_environment_gets_the_spans(tmp_path):
    """A process of its own, whose spans go by OTLP to a server that notes their names."""
    got = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self):
            got.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    code = "from bunny.core import telemetry\nwith telemetry.span('stage x', film='meadow'): pass"
    address = f"http://127.0.0.1:{server.server_port}"
    own = {"OTEL_EXPORTER_OTLP_ENDPOINT": address, "OTEL_EXPORTER_OTLP_COMPRESSION": "none"}
    try:
        subprocess.run([sys.executable, "-c", code], env=os.environ | own, check=True, timeout=120)
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | own | {"OTEL_SDK_DISABLED": "true"},
            check=True,
            timeout=120,
        )
    finally:
        server.shutdown()
        server.server_close()
    [(path, body)] = got
    assert path == "/v1/traces" and b"stage x" in body and b"meadow" in body
    assert b"diffusion-bunny" in body
