"""Bodies of HTTP answers, read to a limit of bytes and of time.

A server that the settings name may be broken or hostile: an answer that never ends, or that is
small on the wire and gigabytes once inflated, must not fill the memory.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any

MAX_BYTES = 1 << 20  # inflated; the longest answer of a caption model has a few kilobytes
CHUNK = 1 << 16


def bounded(chunks: Iterable[bytes], seconds: float, max_bytes: int = MAX_BYTES) -> Iterator[bytes]:
    """Give the chunks of a body on, as long as it stays within its limits.

    Parameters
    ----------
    chunks : iterable of bytes
        As they arrive, already inflated.
    seconds : float
        For the whole body, from the first chunk that is asked for.
    max_bytes : int
        Largest body.

    Raises
    ------
    ValueError
        If it is larger.
    TimeoutError
        If it takes longer.
    """
    until, size = time.monotonic() + seconds, 0
    for chunk in chunks:
        size += len(chunk)
        if size > max_bytes:
            raise ValueError(f"expected an answer of at most {max_bytes} bytes, got a longer one")
        if time.monotonic() > until:
            raise TimeoutError(f"no whole answer within {seconds:g} s")
        yield chunk


def bound_client(client: Any, seconds: float, max_bytes: int = MAX_BYTES) -> Any:
    """Make a boto3 client read answers through `bounded`, which botocore reads whole.

    Objects that are streamed are left to whoever reads them.
    """
    from botocore import exceptions
    from urllib3.exceptions import HTTPError, ReadTimeoutError

    def send(request: Any, **_: Any) -> Any:
        is_stream, request.stream_output = request.stream_output, True
        answer = client._endpoint.http_session.send(request)
        if is_stream and answer.status_code < 300:
            return answer
        try:
            data = b"".join(bounded(answer.raw.stream(CHUNK), seconds, max_bytes))
        except (TimeoutError, ReadTimeoutError) as error:
            raise exceptions.ReadTimeoutError(endpoint_url=request.url, error=error) from error
        except HTTPError as error:
            raise exceptions.ConnectionClosedError(endpoint_url=request.url) from error
        except ValueError as error:
            raise exceptions.HTTPClientError(error=error) from error
        finally:
            answer.raw.close()
        answer.raw = SimpleNamespace(stream=lambda: iter((data,)))
        return answer

    client.meta.events.register("before-send", send)
    return client
