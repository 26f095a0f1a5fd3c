"""A real S3 server over HTTP on this machine, and a proxy that breaks what goes through it."""

import http.client
import socket
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

BUCKET = "films"


@pytest.fixture(scope="module")
def server():
    """Address of an S3 server (moto's, which answers conditions as S3 does)."""
    from moto.server import ThreadedMotoServer

    one = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    one.start()
    yield "http://{}:{}".format(*one.get_host_and_port())
    one.stop()


@pytest.fixture
def s3(server, monkeypatch):
    """An empty bucket; gives its address, for this process and those it starts."""
    import boto3

    for name, value in {
        "AWS_ACCESS_KEY_ID": "who", "AWS_SECRET_ACCESS_KEY": "planted-secret-key",
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": server,
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    client = boto3.client("s3", endpoint_url=server)
    urllib.request.urlopen(f"{server}/moto-api/reset", b"").close()
    client.create_bucket(Bucket=BUCKET)
    yield f"s3://{BUCKET}/work"
    client.close()


class FaultProxy(ThreadingHTTPServer):
    """Hands requests on to a server, and breaks those that `plan` says."""

    daemon_threads = True

    def __init__(self, server):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.server = server.removeprefix("http://")
        self.count, self.struck, self.num_bytes = 0, [], 0  # bytes: of all answers
        self.plan = lambda number, method, path: None  # 500, 403, cut, torn, lost: what happens

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _handle(self):
        proxy = self.server
        proxy.count += 1
        length = self.headers.get("Content-Length")
        body = self._chunked() if length is None else self.rfile.read(int(length))
        fault = proxy.plan(proxy.count, self.command, self.path)
        if fault:
            proxy.struck.append((fault, self.command))
        if fault == "500":
            return self._answer(500, {}, b"")
        if fault == "403":
            return self._answer(403, {}, b"<Error><Code>AccessDenied</Code></Error>")
        if fault == "cut":
            return self._hang_up()
        there = http.client.HTTPConnection(proxy.server)
        headers = {k: v for k, v in self.headers.items() if k.lower() != "transfer-encoding"}
        headers["Content-Length"] = str(len(body))
        there.request(self.command, self.path, body, headers)
        answer = there.getresponse()
        data = answer.read()
        there.close()
        if fault == "lost":  # done there, and nobody hears of it
            return self._hang_up()
        if fault == "torn":
            self._answer(answer.status, dict(answer.getheaders()), data, len(data) // 2)
            return self._hang_up()
        self._answer(answer.status, dict(answer.getheaders()), data)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _handle  # noqa: N815

    def _chunked(self):
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return b""
        data = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def _answer(self, status, headers, data, sent=None):
        self.send_response(status)
        size = headers.get("Content-Length", str(len(data)))
        for name, value in headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection", "date",
                                    "server"):  # fmt: skip
                self.send_header(name, value)
        self.send_header("Content-Length", size if self.command == "HEAD" else str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.server.num_bytes += len(data[:sent])
            self.wfile.write(data[:sent])

    def _hang_up(self):
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_):
        pass


@pytest.fixture
def proxy(s3, server, monkeypatch):
    one = FaultProxy(server)
    thread = threading.Thread(target=one.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", one.address)
    yield one
    one.shutdown()
    one.server_close()
