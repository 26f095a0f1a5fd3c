"""Web server of the review board: Voilà behind a check of each request's host, origin and token.

Voilà itself answers to any `Host`, so that a web page whose name an attacker points at 127.0.0.1
(DNS rebinding) could talk to it. Here a request must name this machine, must not come from another
site's page, and may not try tokens without end. Beyond this machine the connection is encrypted
unless somebody says that it need not be.
"""

from __future__ import annotations

import ipaddress
import logging
import posixpath
import re
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from bunny.command.login import GuessLimit
from bunny.core.error import UserError

if TYPE_CHECKING:
    from tornado.httputil import HTTPServerRequest

logger = logging.getLogger(__name__)

EVERY_ADDRESS = ("0.0.0.0", "::")
MAX_PORTS = 20  # tried after the first, when that is taken
METRICS, METRICS_TYPE = "/metrics", "text/plain; version=0.0.4; charset=utf-8"
FORBIDDEN, NOT_FOUND, TOO_MANY = 403, 404, 429  # HTTP status codes
TEMPLATES = "/voila/templates/"
TEMPLATE_FILE = re.compile(rf"{TEMPLATES}[^/]+/static/[^/].*")
SERVER_LOGGERS = ("tornado.access", "tornado.application", "tornado.general", "Voila", "traitlets")
TOKEN = re.compile(r"(token=)[^&\s'\"]+")
EMBEDDED = ("iframe", "frame", "embed", "object")  # Sec-Fetch-Dest of a page inside another
# A page's address holds the token: it is told to no other site, and no page shows this one inside.
HEADERS = {
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True, kw_only=True)
class Binding:
    """Where the board listens, and who may name it how; `certfile` None: not encrypted."""

    ip: str
    port: int
    certfile: Path | None = None
    keyfile: Path | None = None

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        return _is_loopback(self.ip)

    @property
    def url(self) -> str:
        """Its address without the token."""
        host = self.ip
        if self.is_local:
            host = "127.0.0.1" if self.ip == "localhost" else self.ip
        elif self.ip in EVERY_ADDRESS:
            host = socket.gethostname()
        return (
            f"http{'s' if self.certfile else ''}://{f'[{host}]' if ':' in host else host}"
            f":{self.port}/"
        )

    def is_named_by(self, host: str) -> bool:
        """Whether a `Host` header names this server.

        Beyond this machine any address in numbers does: a name that points here by an attacker's
        doing is no number.
        """
        name = re.sub(r":\d+$", "", host).strip("[]").rstrip(".").lower()
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            own = {"localhost"} if self.is_local else {"localhost", *_machine_names(), self.ip}
            return name in own
        return address.is_loopback or not self.is_local


def check_binding(
    ip: str, port: int, certfile: Path | None, keyfile: Path | None, *, is_unencrypted: bool
) -> Binding:
    """Where to listen, with a free port.

    Parameters
    ----------
    ip : str
        Address to listen on.
    port : int
        See `free_port`.
    certfile, keyfile : Path or None
        PEM files of a certificate and its key.
    is_unencrypted : bool
        Somebody accepts that others on the network can read the token and what is said.

    Raises
    ------
    UserError
        If other machines could read along and nobody accepted it, the files are no certificate and
        key, or no port is free.
    """
    if (certfile is None) != (keyfile is None):
        raise UserError("--certfile and --keyfile belong together; give both")
    if not _is_loopback(ip) and certfile is None and not is_unencrypted:
        raise UserError(
            f"--ip {ip}: expected --certfile and --keyfile, since other machines can reach this "
            "address and everyone on the network could read the token and the pictures; add them, "
            "or add --unencrypted to accept that"
        )
    binding = Binding(ip=ip, port=free_port(ip, port), certfile=certfile, keyfile=keyfile)
    _make_ssl_context(binding)
    return binding


def free_port(ip: str, wanted: int) -> int:
    """A port that can be listened on.

    Parameters
    ----------
    wanted : int
        0: any; else this one, or one of the 20 after it.

    Raises
    ------
    UserError
        If none of them is free, or `ip` is not an address of this machine.
    """
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    reason = ""
    for port in [0] if wanted == 0 else range(wanted, min(wanted + MAX_PORTS, 65535) + 1):
        with socket.socket(family) as one:
            try:
                one.bind((ip, port))
                return one.getsockname()[1]
            except OSError as error:
                reason = error.strerror or str(error)
    raise UserError(
        f"--ip {ip} --port {wanted}: cannot listen there ({reason}); "
        "choose another address or port, or --port 0 for any free port"
    )


def _make_ssl_context(binding: Binding) -> ssl.SSLContext | None:
    """The TLS settings of a server; None where it is not encrypted."""
    if binding.certfile is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(binding.certfile, binding.keyfile, password="")
    except (OSError, ssl.SSLError, ValueError) as error:
        raise UserError(
            f"--certfile {binding.certfile}: expected a certificate and its key without a "
            f"passphrase, as PEM, could not read them ({error}); check both files"
        ) from error
    return context


class TokenFilter(logging.Filter):
    """Takes tokens out of what servers log: addresses stand in their messages, query and all."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, cleaned."""
        record.msg, record.args = TOKEN.sub(r"\1<token>", record.getMessage()), ()
        return True


def hide_tokens() -> None:
    """Keep tokens out of what Tornado and Voilà log in this process."""
    for name in SERVER_LOGGERS:
        logging.getLogger(name).addFilter(TokenFilter())


class RequestGuard:
    """Decides which requests are answered at all.

    Parameters
    ----------
    token : str
        What a request has to show.
    """

    def __init__(self, binding: Binding, token: str) -> None:
        self._binding, self._limit = binding, GuessLimit(token)
        self.has_token = self._limit.has_token

    def refuse(self, request: HTTPServerRequest) -> int | None:
        """HTTP status to refuse a request with; None: it is answered."""
        if not self._binding.is_named_by(request.host) or not _is_same_origin(request):
            return FORBIDDEN
        if not _is_well_formed(request.path):
            return NOT_FOUND
        return TOO_MANY if self._limit.is_guessing(request) else None


@dataclass(frozen=True, kw_only=True)
class BoardServer:
    """How Voilà serves boards."""

    binding: Binding
    token: str
    hashed_password: str = ""  # for who does not have the token; empty: there is none
    template: str  # name of Voilà's
    idle_s: int  # after which the kernel of a page that went without saying so is ended
    routes: Sequence[tuple] = ()  # answered by other handlers than Voilà's, as Tornado takes them
    measure: Callable[[], bytes] | None = None  # served at ``/metrics`` to who shows the token


def run_voila(notebook: Path, begin: Callable[[], None], server: BoardServer) -> None:
    """Run Voilà in this process; the token stays off the command line, which others can read.

    Parameters
    ----------
    notebook : Path
        What each browser gets, run in a kernel of its own.
    begin : callable
        Called when it listens.
    """
    from jupyter_server import DEFAULT_STATIC_FILES_PATH
    from tornado.ioloop import IOLoop
    from traitlets.config import Config as Traits

    from bunny.command.identity_provider import LimitedIdentityProvider

    settings = Traits()
    settings.Voila.token = server.token
    settings.Voila.identity_provider_class = LimitedIdentityProvider
    settings.LimitedIdentityProvider.hashed_password = server.hashed_password
    settings.LimitedIdentityProvider.has_limit = False  # the guard counts, before any handler
    binding = server.binding
    settings.Voila.ip, settings.Voila.port = binding.ip, binding.port
    settings.Voila.open_browser = False  # it would open the address without the token
    settings.Voila.log_level = logging.ERROR  # of warnings none is for whoever reviews
    settings.Voila.notebook_path = str(notebook)
    settings.Voila.root_dir = str(notebook.parent)
    settings.Voila.tornado_settings = {
        "headers": HEADERS,
        "log_function": _log_request,
        "static_path": DEFAULT_STATIC_FILES_PATH,  # pages of Jupyter's, e.g. of errors, ask for it
    }
    settings.MappingKernelManager.cull_idle_timeout = server.idle_s
    settings.MappingKernelManager.cull_interval = max(1, server.idle_s // 4)
    settings.VoilaConfiguration.show_tracebacks = False
    settings.VoilaConfiguration.template = server.template
    settings.VoilaConfiguration.theme = "light"  # the board itself follows the system
    hide_tokens()
    IOLoop.current().add_callback(begin)
    served = _guarded_voila(RequestGuard(binding, server.token), server)
    served.launch_instance(argv=[], config=settings)


def _guarded_voila(guard: RequestGuard, server: BoardServer) -> Any:
    """The class of a Voilà that answers only what the guard lets through."""
    from tornado.httpserver import HTTPServer
    from tornado.ioloop import IOLoop
    from tornado.routing import Router
    from tornado.web import ErrorHandler, RequestHandler
    from voila.app import Voila

    binding, routes, measure = server.binding, server.routes, server.measure

    class MetricsHandler(RequestHandler):
        """Answers with what is measured."""

        def initialize(self, measure: Callable[[], bytes]) -> None:
            self.measure = measure

        def set_default_headers(self) -> None:
            for name, value in HEADERS.items():
                self.set_header(name, value)

        async def get(self) -> None:
            found = await IOLoop.current().run_in_executor(None, self.measure)
            self.set_header("Content-Type", METRICS_TYPE)
            self.finish(found)

    class GuardedRouter(Router):
        """Hands requests on to an application."""

        def __init__(self, app: Any) -> None:
            self.app = app

        def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
            status = guard.refuse(request)
            if status is None and measure and request.path == METRICS:
                if guard.has_token(request) and request.method == "GET":
                    given = {"measure": measure}
                    return self.app.get_handler_delegate(request, MetricsHandler, given)
                status = FORBIDDEN
            if status is None:
                return self.app.find_handler(request, **kwargs)
            return self.app.get_handler_delegate(request, ErrorHandler, {"status_code": status})

    class GuardedVoila(Voila):
        """Voilà, encrypted where there is a certificate."""

        name = Voila.name

        def init_handlers(self) -> Any:
            found: Any = super().init_handlers()
            return [*routes, *found]

        def listen(self) -> None:
            options = _make_ssl_context(binding)
            HTTPServer(GuardedRouter(self.app), ssl_options=options).listen(
                binding.port, binding.ip
            )
            self.ioloop = IOLoop.current()
            try:
                self.ioloop.start()
            except KeyboardInterrupt:
                logger.debug("stopped")
            finally:
                self.stop()

    return GuardedVoila


def _is_loopback(ip: str) -> bool:
    """Whether an address is reached by this machine alone, as all of 127.0.0.0/8 and ::1 are."""
    try:
        return ip == "localhost" or ipaddress.ip_address(ip).is_loopback
    except ValueError:
        return False


def _machine_names() -> set[str]:
    """Names of this machine, small letters."""
    name = socket.gethostname().lower()
    return {name, name.partition(".")[0], f"{name.partition('.')[0]}.local"}


def _is_well_formed(path: str) -> bool:
    """Whether a path is one for which Voilà's handlers of files have an answer, be it a refusal."""
    plain = unquote(path)
    if not plain.isprintable():
        return False
    found = (path, plain, posixpath.normpath(plain))
    return all(TEMPLATE_FILE.fullmatch(p) for p in found) or not plain.startswith(TEMPLATES)


def _is_same_origin(request: HTTPServerRequest) -> bool:
    """Whether a request comes from a page of this server, or from no page at all."""
    headers = request.headers
    origin = headers.get("Origin") or headers.get("Sec-WebSocket-Origin")
    if origin is not None and urlsplit(origin).netloc.lower() != request.host.lower():
        return False
    if headers.get("Sec-Fetch-Site", "none") not in ("cross-site", "same-site"):
        return True
    is_followed = headers.get("Sec-Fetch-Mode") == "navigate" and request.method == "GET"
    return is_followed and headers.get("Sec-Fetch-Dest", "document") not in EMBEDDED


def _log_request(handler: Any) -> None:
    """Note a request without its query, in which the token stands."""
    request = handler.request
    logger.debug("%d %s %s", handler.get_status(), request.method, request.path)
