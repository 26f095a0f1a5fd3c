"""A server on loopback that speaks the part of the hub's protocol that its client asks for.

It gives the files of some repositories, tells their sizes and hashes, answers ranges, and breaks
what it is told to:

cut      each answer with a large file ends after half of what was asked, then the connection
garble   a large file has other bytes of the same number
"""

import hashlib
import json
import re
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

LARGE = ".onnx"  # stored by content, as the hub's large files are
RESOLVE = re.compile(r"/([^/]+/[^/]+)/resolve/[^/]+/(.+)")
TREE = re.compile(r"/api/models/([^/]+/[^/]+)/tree/[^/]+")
INFO = re.compile(r"/api/models/([^/]+/[^/]+)(/revision/[^/]+)?")


class HubServer(ThreadingHTTPServer):
    """Holds repositories: by ``owner/name`` their files, by path their bytes."""

    daemon_threads = True

    def __init__(self, repositories):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories, self.fault, self.sent = repositories, "", []  # sent: path and first byte
        self.claimed_size = 0  # size announced for large files; 0: their own

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self):
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self._thread.join()
        self.server_close()


def point_to(monkeypatch, address, cache):
    """Let the hub's client in this process ask that address and keep files in that folder."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", address)
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


def fill_cache(cache, model, folder):
    """Put the files of a folder into a hub's cache, as a download of a `HubModel` leaves them."""
    root = cache / f"models--{model.repository.replace('/', '--')}"
    (root / "refs").mkdir(parents=True)
    (root / "refs" / "main").write_text(_commit(model.repository))
    inside = model.needed[0].rpartition("/")[0]
    shutil.copytree(folder, root / "snapshots" / _commit(model.repository) / inside)


def _commit(name):
    return hashlib.sha1(name.encode()).hexdigest()


def _git_hash(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _handle(self):
        path = urlsplit(self.path).path
        for pattern, answer in ((RESOLVE, self._file), (TREE, self._tree), (INFO, self._info)):
            found = pattern.fullmatch(path)
            if found:
                files = self.server.repositories.get(found[1])
                return self._missing() if files is None else answer(files, *found.groups())
        return self._missing()

    do_GET = do_HEAD = _handle  # noqa: N815

    def _info(self, files, name, _):
        self._json(
            {"id": name, "sha": _commit(name), "siblings": [{"rfilename": one} for one in files]}
        )

    def _tree(self, files, _):
        rows = []
        for path, data in files.items():
            row = {"type": "file", "path": path, "size": len(data), "oid": _git_hash(data)}
            if path.endswith(LARGE):
                digest = hashlib.sha256(data).hexdigest()
                size = self.server.claimed_size or len(data)
                row |= {"size": size, "lfs": {"oid": digest, "size": size, "pointerSize": 130}}
            rows.append(row)
        self._json(rows)

    def _file(self, files, name, path):
        if path not in files:
            return self._missing("EntryNotFound")
        data = files[path]
        is_large = path.endswith(LARGE)
        etag = hashlib.sha256(data).hexdigest() if is_large else _git_hash(data)
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        start = int(asked[1]) if asked else 0
        body = data[start:]
        if is_large and self.server.fault == "garble":
            body = bytes(byte ^ 255 for byte in body)
        self.send_response(206 if asked else 200)
        self.send_header("X-Repo-Commit", _commit(name))
        self.send_header("ETag", f'"{etag}"')
        self.send_header("Accept-Ranges", "bytes")
        if is_large:
            self.send_header("X-Linked-Etag", f'"{etag}"')
            self.send_header("X-Linked-Size", str(self.server.claimed_size or len(data)))
        self.send_header("Content-Length", str(len(body)))
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if self.command == "HEAD":
            return None
        self.server.sent.append((path, start))
        if is_large and self.server.fault == "cut":
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
            return None
        return self.wfile.write(body)

    def _json(self, value):
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _missing(self, code="RepoNotFound"):
        self.send_response(404)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass
