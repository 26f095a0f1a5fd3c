"""The board's page "Films": films are dropped on it, wait in a queue and run in the background.

Parts of a film arrive by the tus protocol (https://tus.io/protocols/resumable-upload, version
1.0.0, with creation, termination and checksums), which other programs speak too. Whoever may not
see the board may not see this page, and the same rules of host and origin hold.

    GET    /films                          the page
    GET    /films/list                     films of the queue as JSON
    POST   /films/upload                   begin to send a film
    HEAD   /films/upload/<entry>           how much of it has arrived
    PATCH  /films/upload/<entry>           the next part of it
    DELETE /films/upload/<entry>           stop sending it
    POST   /films/<entry>/reference        a picture of a character: ?name=anna&file=anna.jpg
    POST   /films/<entry>/start            run it; also retry
    POST   /films/<entry>/cancel | remove
    GET    /films/<entry>/log              the end of what its run says
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from dataclasses import asdict
from importlib import resources
from typing import Any

from jupyter_server.base.handlers import APIHandler, JupyterHandler
from tornado.httputil import HTTPServerRequest
from tornado.routing import Matcher
from tornado.web import authenticated

from bunny.batch import film_record
from bunny.batch.film_queue import ChecksumError, FilmQueue, OffsetError
from bunny.batch.film_record import RunningFilm
from bunny.batch.queued_film import QueuedFilm
from bunny.contract.progress import describe_seconds
from bunny.core import disk_full
from bunny.core.error import UserError

TUS_VERSION = "1.0.0"
MAX_PART = 64 << 20  # bytes of one request; a page sends less
ENTRY = "([0-9a-f]{16})"
BAD_CHECKSUM = 460  # of tus
ACTIONS = ("start", "cancel", "remove")
CheckPicture = Callable[[str, bytes], tuple[str, str, bytes]]


def _read_page() -> str:
    """The page with its style and script, one document that fetches nothing."""
    folder = resources.files("bunny.view.film_page")
    page, style, script = (
        (folder / name).read_text(encoding="utf-8") for name in ("page.html", "page.css", "page.js")
    )
    return page.replace("/* style */", style).replace("/* script */", script)


def describe(queue: FilmQueue, film: QueuedFilm) -> dict[str, Any]:
    """What the page is told of a film; no path of this machine."""
    known = asdict(film)
    for key in ("film", "head", "content_hash"):
        known.pop(key)
    known["received"] = queue.received(film)
    known["references"] = queue.references(film)
    said = film_record.read_all(queue.record_folder(film.entry))
    record = next(said, None) if film.state == "running" else None
    return known | {
        "share": None if record is None else record.share,
        "progress": "" if record is None else _describe_progress(record),
    }


def _describe_progress(record: RunningFilm) -> str:
    """Stage, share done and time left of the film that runs."""
    words = [record.stage or "starting", f"{100 * record.share:.0f} %"]
    if record.seconds_left is not None:
        words.append(f"about {describe_seconds(record.seconds_left)} left")
    return ", ".join(words)


class PageHandler(JupyterHandler):
    """The page itself."""

    def initialize(self, **_: Any) -> None:
        """Take what all handlers get."""

    @authenticated
    def get(self) -> None:
        """Answer with it."""
        self.set_header("Cache-Control", "no-store")
        self.finish(_read_page().replace("{xsrf}", self.xsrf_token.decode()))


class QueueHandler(APIHandler):
    """What is common to requests of the page: faults are one sentence."""

    def initialize(self, queue: FilmQueue, check_picture: CheckPicture) -> None:
        """Take the queue, and what refuses files that are no picture."""
        self.queue, self.check_picture = queue, check_picture

    def say(self, status: int, sentence: str) -> None:
        """Answer with a fault."""
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps({"error": sentence}))

    def attempt(self, act: Callable[[], None]) -> None:
        """Answer by `act`, or with its fault."""
        try:
            act()
        except UserError as error:
            self.say(400, str(error))
        except OffsetError as error:
            self.set_header("Upload-Offset", str(error.offset))
            self.say(409, f"{error}; ask for Upload-Offset and go on from there")
        except ChecksumError as error:
            self.say(BAD_CHECKSUM, str(error))
        except OSError as error:
            self.say(507, disk_full.describe(error) or f"cannot be kept: {error.strerror}")


class ListHandler(QueueHandler):
    """Films of the self.queue."""

    @authenticated
    def get(self) -> None:
        """List them."""
        self.finish(
            json.dumps({"films": [describe(self.queue, one) for one in self.queue.films()]})
        )


class TusHandler(QueueHandler):
    """Headers that every answer about an upload has."""

    def set_default_headers(self) -> None:
        """Say which version of the protocol is spoken."""
        super().set_default_headers()
        self.set_header("Tus-Resumable", TUS_VERSION)
        self.set_header("Cache-Control", "no-store")

    def options(self, *_: str) -> None:
        """Say what of it is."""
        self.set_header("Tus-Version", TUS_VERSION)
        self.set_header("Tus-Extension", "creation,termination,checksum")
        self.set_header("Tus-Checksum-Algorithm", "sha256")
        self.set_status(204)

    def number(self, header: str) -> int:
        """Bytes that a header names; anything else is refused."""
        text = self.request.headers.get(header, "")
        if not text.isascii() or not text.isdigit() or len(text) > 15:
            raise UserError(f"{header}: expected a number of bytes, got '{text[:40]}'")
        return int(text)


class CreateHandler(TusHandler):
    """Begins an upload."""

    @authenticated
    def post(self) -> None:
        """Begin it, or go on with one that was cut off."""
        self.attempt(self._create)

    def _create(self) -> None:
        told = read_metadata(self.request.headers.get("Upload-Metadata", ""))
        film = self.queue.add(
            told.get("filename", ""),
            self.number("Upload-Length"),
            told.get("user", ""),
            told.get("head", ""),
        )
        self.set_header("Location", f"/films/upload/{film.entry}")
        self.set_header("Upload-Offset", str(self.queue.received(film)))
        self.set_status(201)
        self.finish()


class PartHandler(TusHandler):
    """Goes on with an upload."""

    @authenticated
    def head(self, entry: str) -> None:
        """Say how much has arrived."""
        try:
            film = self.queue.find(entry)
        except UserError:
            self.set_status(404)
            return
        self.set_header("Upload-Offset", str(self.queue.received(film)))
        self.set_header("Upload-Length", str(film.size))

    @authenticated
    def patch(self, entry: str) -> None:
        """Keep the next part."""
        self.attempt(lambda: self._receive(entry))

    @authenticated
    def delete(self, entry: str) -> None:
        """Stop it."""
        self.attempt(lambda: self._cancel(entry))

    def _receive(self, entry: str) -> None:
        if len(self.request.body) > MAX_PART:
            self.say(413, f"expected parts of at most {MAX_PART >> 20} MiB; send smaller ones")
            return
        digest = read_checksum(self.request.headers.get("Upload-Checksum", ""))
        offset = self.queue.receive(entry, self.number("Upload-Offset"), self.request.body, digest)
        self.set_header("Upload-Offset", str(offset))
        self.set_status(204)
        self.finish()

    def _cancel(self, entry: str) -> None:
        self.queue.cancel(entry)
        self.set_status(204)
        self.finish()


class ReferenceHandler(QueueHandler):
    """Takes pictures of characters."""

    @authenticated
    def post(self, entry: str) -> None:
        """Keep a picture."""

        def keep() -> None:
            stem, suffix, data = self.check_picture(
                self.get_query_argument("file"), self.request.body
            )
            self.queue.add_reference(
                entry, self.get_query_argument("name"), f"{stem}{suffix}", data
            )
            self.finish(json.dumps(describe(self.queue, self.queue.find(entry))))

        self.attempt(keep)


class ActionHandler(QueueHandler):
    """Starts, cancels and removes films."""

    @authenticated
    def post(self, entry: str, action: str) -> None:
        """Do what the address says."""

        def act() -> None:
            getattr(self.queue, action)(entry)
            self.finish("{}")

        self.attempt(act)


class LogHandler(QueueHandler):
    """What the run of a film says."""

    @authenticated
    def get(self, entry: str) -> None:
        """Answer with its end."""

        def answer() -> None:
            self.finish(json.dumps({"log": self.queue.read_log(self.queue.find(entry))}))

        self.attempt(answer)


def make_routes(queue: FilmQueue, check_picture: CheckPicture) -> list[tuple]:
    """Addresses of the page with their handlers, for Tornado.

    Parameters
    ----------
    check_picture : callable
        From name and content of a file to its stem, suffix and content; refuses what is no picture.
    """
    known = {"queue": queue, "check_picture": check_picture}
    handlers: dict[str, type] = {
        r"/films/?": PageHandler,
        r"/films/list": ListHandler,
        r"/films/upload/?": CreateHandler,
        rf"/films/upload/{ENTRY}": PartHandler,
        rf"/films/{ENTRY}/reference": ReferenceHandler,
        rf"/films/{ENTRY}/({'|'.join(ACTIONS)})": ActionHandler,
        rf"/films/{ENTRY}/log": LogHandler,
    }
    return [(address, handler, known) for address, handler in handlers.items()]


class NoFilmMatcher(Matcher):
    """Matches the first page where its address names no film."""

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        """An empty dictionary where it matches."""
        return {} if request.path == "/" and "film" not in request.arguments else None


# Where there is no film yet, this page is what is seen first.
FIRST_PAGE: list[tuple] = [(NoFilmMatcher(), PageHandler, {})]


def read_metadata(header: str) -> dict[str, str]:
    """Names and values of a tus `Upload-Metadata` header.

    Raises
    ------
    UserError
        If a value is not UTF-8 text in Base64.

    Examples
    --------
    >>> read_metadata("filename ZmlsbS5tcDQ=,is_public")
    {'filename': 'film.mp4', 'is_public': ''}
    """
    found = {}
    for pair in header.split(","):
        key, _, value = pair.strip().partition(" ")
        try:
            found[key] = base64.b64decode(value, validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise UserError(f"Upload-Metadata: expected Base64 of UTF-8 for {key[:40]}") from error
    return found


def read_checksum(header: str) -> bytes | None:
    """SHA-256 of a part by its tus `Upload-Checksum` header; None without one.

    Raises
    ------
    UserError
        For another algorithm, or what is no Base64.
    """
    if not header:
        return None
    algorithm, _, value = header.partition(" ")
    try:
        digest = base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise UserError("Upload-Checksum: expected sha256 and Base64") from error
    if algorithm != "sha256":
        raise UserError(f"Upload-Checksum: expected sha256, got {algorithm[:20]}")
    return digest
