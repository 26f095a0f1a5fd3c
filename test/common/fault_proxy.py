"""A proxy over HTTP to S3 that counts what goes through it, and breaks what it is told to.

500, 403     refused, nothing is done
slowdown     503 SlowDown, as S3 throttles
cut          the connection ends before anything is done
lost         it is done, then the connection ends without an answer
torn         half of the answer, then the connection ends
hang         half of the answer, then nothing more for `pause_s`
late         it is done, and answered only after `pause_s`
delayed      it is done only after `pause_s`, when the client may have given up and asked again
trickle      the answer comes in 20 pieces over `pause_s`

Whoever lists a bucket is refused, since S3's lists were once allowed to lag, and other servers' do;
but for commands that look for what can be deleted (`allows_lists`). Headers that are `ignored`
never reach the server, as on one that does not know them.
"""

import http.client
import re
import socket
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FaultProxy(ThreadingHTTPServer):
    """Hands requests on to a server, and breaks those that `plan` says."""

    daemon_threads = True

    def __init__(self, server):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.server = server.removeprefix("http://")
        self.count, self.struck, self.num_bytes = 0, [], 0  # bytes: of all answers
        self.asked, self.done, self.num_lists = [], [], 0  # done: faults whose request came through
        self.allows_lists, self.delay_s = False, 0.0  # before each request
        self.now, self.most = 0, 0  # requests at this moment, and at most
        self._counting = threading.Lock()
        self.pause_s, self._ended = 1.0, threading.Event()
        self.ignored = ()  # in lower case
        self.plan = lambda number, method, path: None  # gives one of the faults, or None

    def pause(self, share=1.0):
        self._ended.wait(self.pause_s * share)

    def shutdown(self):
        self._ended.set()
        super().shutdown()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _handle(self):
        proxy = self.server
        with proxy._counting:
            proxy.count += 1
            proxy.now += 1
            proxy.most = max(proxy.most, proxy.now)
        try:
            proxy._ended.wait(proxy.delay_s)
            self._hand_on(proxy)
        finally:
            with proxy._counting:
                proxy.now -= 1

    def _hand_on(self, proxy):
        proxy.asked.append((self.command, self.path))
        length = self.headers.get("Content-Length")
        body = self._chunked() if length is None else self.rfile.read(int(length))
        fault = proxy.plan(proxy.count, self.command, self.path)
        if self.command == "GET" and re.fullmatch(r"/[^/?]*/?(\?.*)?", self.path):
            proxy.num_lists += 1
            fault = fault if proxy.allows_lists else "403"
        if fault:
            proxy.struck.append((fault, self.command))
        if fault == "500":
            return self._answer(500, {}, b"")
        if fault == "403":
            return self._answer(403, {}, b"<Error><Code>AccessDenied</Code></Error>")
        if fault == "slowdown":
            return self._answer(503, {}, b"<Error><Code>SlowDown</Code></Error>")
        if fault == "cut":
            return self._hang_up()
        if fault == "delayed":
            proxy.pause()
        there = http.client.HTTPConnection(proxy.server)
        left = ("transfer-encoding", *proxy.ignored)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in left}
        headers["Content-Length"] = str(len(body))
        there.request(self.command, self.path, body, headers)
        answer = there.getresponse()
        data = answer.read()
        there.close()
        proxy.done += [fault] if fault else []
        if fault == "lost":  # done there, and nobody hears of it
            return self._hang_up()
        headers = dict(answer.getheaders())
        if fault == "late":
            proxy.pause()
        if fault in ("torn", "hang"):
            self._answer(answer.status, headers, data, len(data) // 2)
            if fault == "hang":
                proxy.pause()
            return self._hang_up()
        pieces = 20 if fault == "trickle" else 1
        self._answer(answer.status, headers, data, pieces=pieces)

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

    def _answer(self, status, headers, data, sent=None, pieces=1):
        self.send_response(status)
        size = headers.get("Content-Length", str(len(data)))
        for name, value in headers.items():
            if name.lower() not in (
                "content-length",
                "transfer-encoding",
                "connection",
                "date",
                "server",
            ):
                self.send_header(name, value)
        self.send_header("Content-Length", size if self.command == "HEAD" else str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.server.num_bytes += len(data[:sent])
            size = -(-len(data[:sent]) // pieces) or 1
            for at in range(0, len(data[:sent]), size):
                self.wfile.write(data[:sent][at : at + size])
                if pieces > 1:
                    self.server.pause(1 / pieces)

    def _hang_up(self):
        self.close_connection = True
        with suppress(OSError):  # the client has gone already
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)

    def handle(self):
        with suppress(OSError):
            super().handle()

    def log_message(self, *_):
        pass
