"""Raw requests to a server of this machine, as an attacker writes them: nothing is normalised."""

import http.client
import ssl
from dataclasses import dataclass

TRAVERSALS = (
    "../../../../../../../../etc/passwd",
    "..%2f..%2f..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
    "%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "..\\..\\..\\..\\..\\..\\..\\etc\\passwd",
    "....//....//....//....//....//....//etc/passwd",
    "%2fetc%2fpasswd",
    "/etc/passwd",
    "static/../../../../../../../../../../etc/passwd%00.png",
)
WEB_SOCKET = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg==",
}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a server answered."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


def ask(
    port: int,
    path: str,
    method: str = "GET",
    *,
    host: str | None = None,
    body: str = "",
    tls: ssl.SSLContext | None = None,
    **headers: str,
) -> Answer:
    """Send one request to 127.0.0.1; `_` in names of headers stands for `-`."""
    if tls is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    else:
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=120, context=tls)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", f"127.0.0.1:{port}" if host is None else host)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        if body:
            connection.putheader("Content-Type", "application/x-www-form-urlencoded")
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body.encode() if body else None)
        answer = connection.getresponse()
        content = b"" if answer.status == 101 else answer.read()
        return Answer(status=answer.status, headers=answer.headers, body=content)
    finally:
        connection.close()


def cookies(answer: Answer) -> str:
    """The cookies that an answer sets, as a browser sends them back."""
    found = answer.headers.get_all("Set-Cookie") or []
    return "; ".join(one.partition(";")[0] for one in found)
