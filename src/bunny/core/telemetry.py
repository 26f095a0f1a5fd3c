"""Traces of runs by OpenTelemetry, where its packages are installed; else nothing.

Spans go to the provider of the process (as of `opentelemetry-instrument`). If there is none and the
standard variables of the environment name an OTLP endpoint, one that sends them there is made.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from typing import Any

from bunny.core import log

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
SERVICE = "diffusion-bunny"


@contextmanager
def span(name: str, **attributes: str | int | float) -> Iterator[None]:
    """Time a part of a run as a span; its attributes are named ``bunny.<name>``.

    An error ends it with its class and sentence, free of secrets and without a traceback.

    Parameters
    ----------
    name : str
        E.g. ``run`` or ``stage detect``.
    **attributes
        E.g. film, stage.
    """
    if not _is_wanted():
        yield
        return
    from opentelemetry import trace
    from opentelemetry.trace import Status, StatusCode

    own = {f"bunny.{key}": value for key, value in attributes.items()}
    with trace.get_tracer("bunny").start_as_current_span(
        name, attributes=own, record_exception=False, set_status_on_exception=False
    ) as current:
        try:
            yield
        except BaseException as error:
            said = log.redact(f"{type(error).__name__}: {error}")
            current.set_status(Status(StatusCode.ERROR, said))
            raise


def note(**attributes: Any) -> None:
    """Add attributes to the span that is open, if there is one."""
    if _is_wanted():
        from opentelemetry import trace

        own = {f"bunny.{key}": value for key, value in attributes.items()}
        trace.get_current_span().set_attributes(own)


@cache
def _is_wanted() -> bool:
    """Whether the packages are there; makes the provider when it is asked first."""
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.trace") is None:
        return False
    is_off = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if is_off or not any(os.environ.get(name) for name in ENDPOINTS):
        return not is_off
    from opentelemetry import trace

    exporter = "opentelemetry.exporter.otlp.proto.http"
    is_ours = isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
    if is_ours and find_spec("opentelemetry.sdk") and _has(exporter):
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        own = {} if "OTEL_SERVICE_NAME" in os.environ else {"service.name": SERVICE}
        provider = TracerProvider(resource=Resource.create(own))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        trace.set_tracer_provider(provider)
    return True


def _has(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
