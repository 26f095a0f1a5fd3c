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
    POST   /films/<entry>/start            run it, again if it ran before
    POST   /films/<entry>/cancel | remove
    POST   /films/known/<film_id>/start | reference    the same for a film of the workspace
    POST   /films/sample/start             run the bundled sample film
    GET    /films/<entry>/log              the end of what its run says
"""

from __future__ import annotations

import base64
import binascii
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

from jupyter_server.base.handlers import APIHandler, JupyterHandler
from tornado.httputil import HTTPServerRequest
from tornado.routing import Matcher
from tornado.web import authenticated

from bunny import demo
from bunny.batch import film_record
from bunny.batch.film_queue import ChecksumError, FilmQueue, OffsetError
from bunny.batch.film_record import RunningFilm
from bunny.batch.queued_film import QueuedFilm
from bunny.command import review, run
from bunny.contract.progress import describe_seconds
from bunny.core import disk_full, film_file, reference_folder, workspace
from bunny.core.error import UserError
from bunny.core.workspace import Workspace
from bunny.table import store

TUS_VERSION = "1.0.0"
MAX_PART = 64 << 20  # bytes of one request; a page sends less
ENTRY = "([0-9a-f]{16})"
BAD_CHECKSUM = 460  # of tus
ACTIONS = ("start", "cancel", "remove")


def _read_page() -> str:
    """The page with its style and script, one document that fetches nothing."""
    folder = resources.files("bunny.view.film_page")
    page, style, script = (
        (folder / name).read_text(encoding="utf-8") for name in ("page.html", "page.css", "page.js")
    )
    return page.replace("/* style */", style).replace("/* script */", script)


class FilmFolders:
    """The films of a data folder, among them those that did not come by the page."""

    def __init__(self, data: Path) -> None:
        self.data = data

    def find(self, film_id: str | None = None) -> dict[str, Workspace]:
        """Workspaces by film id; all, or the one of that id, if there is one."""
        found = workspace.find(workspace.project_root(), str(self.data), film_id)
        return {s.film_id: s for s in found if film_id in (None, s.film_id)}

    def get(self, film_id: str) -> Workspace:
        """The workspace of a film.

        Raises
        ------
        UserError
            If there is none.
        """
        found = self.find(film_id)
        if not found:
            raise UserError(f"{film_id}: expected a film of the list, found none; reload the page")
        return found[film_id]

    @cached_property
    def sample_id(self) -> str:
        """Film id of the bundled sample film."""
        film = demo.film_path()
        return workspace.make_film_id(film, workspace.hash_film(self.data, film))

    def make_sample(self) -> Workspace:
        """The workspace of the bundled sample film, with its references and settings."""
        root, references = workspace.project_root(), demo.reference_dir()
        space = workspace.create(root, str(self.data), demo.film_path(), references)
        workspace.save_settings(space, run.DEMO_SETTINGS)
        return space


def describe_known(space: Workspace) -> dict[str, Any]:
    """Describe a film of the workspace that is not in the queue, for the page."""
    place = film_file.locate(space.source()["film"])
    size = place.stat().st_size if isinstance(place, Path) and place.exists() else 0
    film = QueuedFilm(
        entry=f"known/{space.film_id}", name=place.name, size=size, user="", added_at=""
    )
    told = {"state": "here", "film_id": space.film_id, "received": size, "progress": ""}
    return _public(film) | _describe_space(space) | told | {"share": None}


def _describe_space(space: Workspace) -> dict[str, Any]:
    """Whether a film has a board, and the pictures of its characters."""
    folder = Path(space.source()["references"] or space.root / reference_folder.NAMED)
    files = [one.relative_to(folder) for one in reference_folder.list_pictures(folder)]
    names = Counter(one.parts[0] if len(one.parts) > 1 else one.stem for one in files)
    has_board = any(store.exists(space.table, table) for table in ("asset", "cluster"))
    return {"has_board": has_board, "references": names}


def _public(film: QueuedFilm) -> dict[str, Any]:
    """The fields of a film without paths of this machine."""
    return {k: v for k, v in asdict(film).items() if k not in ("film", "head", "content_hash")}


def describe(queue: FilmQueue, film: QueuedFilm, space: Workspace | None = None) -> dict[str, Any]:
    """Describe a film of the queue for the page, without paths of this machine.

    Parameters
    ----------
    space : Workspace, optional
        Of the film, once it ran.
    """
    known = {"received": queue.received(film), "references": queue.references(film)}
    known |= {"has_board": False} if space is None else _describe_space(space)
    said = film_record.read_all(queue.record_folder(film.entry))
    record = next(said, None) if film.state == "running" else None
    return (
        _public(film)
        | known
        | {
            "share": None if record is None else record.share,
            "progress": "" if record is None else _describe_progress(record),
        }
    )


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

    def initialize(self, queue: FilmQueue, folders: FilmFolders) -> None:
        """Take the queue and the films of the workspace."""
        self.queue, self.folders = queue, folders

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
    """Films of the queue, then the others of the workspace, then the sample."""

    @authenticated
    def get(self) -> None:
        """List them."""
        spaces = self.folders.find()
        queued = self.queue.films()
        films = [describe(self.queue, one, spaces.get(one.film_id or "")) for one in queued]
        rest = spaces.keys() - {one.film_id for one in queued}
        films += [describe_known(spaces[film_id]) for film_id in spaces if film_id in rest]
        has_sample = self.folders.sample_id in spaces
        self.finish(json.dumps({"films": films, "has_sample": has_sample}))


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
            film = self.queue.find(entry)
            name, file = self.get_query_argument("name"), self.get_query_argument("file")
            if film.film_id and self.folders.find(film.film_id):
                self.keep_with(self.folders.get(film.film_id), name, file)
                return
            stem, suffix, data = review.check_picture(file, self.request.body)
            self.queue.add_reference(entry, name, f"{stem}{suffix}", data)
            self.finish("{}")

        self.attempt(keep)

    def keep_with(self, space: Workspace, name: str, file: str) -> None:
        """Keep it with a film that ran."""
        review.add_references(space, name, [(file, self.request.body)])
        self.finish("{}")


class KnownHandler(ReferenceHandler):
    """Runs films of the workspace again and takes pictures of their characters."""

    @authenticated
    def post(self, film_id: str, action: str) -> None:
        """Do what the address says."""

        def act() -> None:
            space = self.folders.get(film_id)
            if action == "reference":
                names = self.get_query_argument("name"), self.get_query_argument("file")
                self.keep_with(space, *names)
            else:
                self.run(space)

        self.attempt(act)

    def run(self, space: Workspace) -> None:
        """Put a film on the list and let it run."""
        user = self.get_query_argument("user", "")
        film = self.queue.adopt(space.source()["film"], space.film_id, user)
        self.queue.start(film.entry)
        self.finish("{}")


class SampleHandler(KnownHandler):
    """Runs the bundled sample film."""

    @authenticated
    def post(self) -> None:
        """Put it on the list and let it run."""
        self.attempt(lambda: self.run(self.folders.make_sample()))


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


def make_routes(queue: FilmQueue, folders: FilmFolders) -> list[tuple]:
    """Addresses of the page with their handlers, for Tornado."""
    known = {"queue": queue, "folders": folders}
    handlers: dict[str, type] = {
        r"/films/?": PageHandler,
        r"/films/list": ListHandler,
        r"/films/upload/?": CreateHandler,
        rf"/films/upload/{ENTRY}": PartHandler,
        rf"/films/{ENTRY}/reference": ReferenceHandler,
        rf"/films/{ENTRY}/({'|'.join(ACTIONS)})": ActionHandler,
        rf"/films/{ENTRY}/log": LogHandler,
        r"/films/known/([a-z0-9-]+)/(start|reference)": KnownHandler,
        r"/films/sample/start": SampleHandler,
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
