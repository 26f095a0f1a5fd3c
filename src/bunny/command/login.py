"""Log-ins to the board and the lab: a password beside the token, and a limit on guesses.

The password is the user's: from `BUNNY_BOARD_PASSWORD`, in the environment or `.env`, or typed at
a prompt, never an argument of the command line, which others of the machine can read. It is hashed
at once and kept nowhere else.
"""

from __future__ import annotations

import getpass
import hmac
import ipaddress
import os
import re
import time
from collections import defaultdict, deque
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from bunny.core.error import UserError

if TYPE_CHECKING:
    from tornado.httputil import HTTPServerRequest

PASSWORD = "BUNNY_BOARD_PASSWORD"
MIN_LENGTH = 10  # characters of a password; with `MAX_WRONG` a minute few are ever tried
MAX_WRONG, WRONG_S = 10, 60.0  # wrong tries that an address may make in so many seconds
MAX_ALL = 100  # that all addresses together may make in that time
AUTHORIZATION = re.compile(r"(?:token|bearer)\s+(.+)", re.IGNORECASE)  # Jupyter's own pattern


def take_password(*, is_asked: bool) -> str:
    """Hash of the password that the user chose, as Jupyter checks it; empty where there is none.

    Parameters
    ----------
    is_asked : bool
        Ask for it at a prompt; else it is taken out of the environment.

    Raises
    ------
    UserError
        If it is too short, was mistyped, or nobody can be asked.
    """
    given = os.environ.pop(PASSWORD, "")
    if is_asked:
        try:
            given = getpass.getpass("Password for the board: ")
            again = getpass.getpass("Once more: ")
        except (EOFError, OSError) as error:
            raise UserError(
                f"--ask-password: expected a terminal for the prompt, found none; set {PASSWORD}"
            ) from error
        if given != again:
            raise UserError("--ask-password: the two passwords differ; type them again")
    if (is_asked or given) and len(given) < MIN_LENGTH:
        raise UserError(
            f"{'--ask-password' if is_asked else PASSWORD}: expected at least {MIN_LENGTH} "
            f"characters, got {len(given)}; choose a longer one"
        )
    if not given:
        return ""
    from jupyter_server.auth.security import passwd  # takes a second to import

    return passwd(given)


class GuessLimit:
    """Counts wrong tokens and log-in forms, of each address and of all together.

    Parameters
    ----------
    token : str
        Who shows it always passes.
    """

    def __init__(self, token: str) -> None:
        self._token = token.encode()
        self._wrong: defaultdict[str, deque[float]] = defaultdict(deque)
        self._all: deque[float] = deque()

    def has_token(self, request: HTTPServerRequest) -> bool:
        """Whether a request shows the token in its address or head; cookies do not count."""
        return any(hmac.compare_digest(one.encode(), self._token) for one in shown_tokens(request))

    def is_guessing(self, request: HTTPServerRequest) -> bool:
        """Whether an address tries tokens or passwords too often; this try is counted."""
        if self.has_token(request):
            return False
        is_form = request.method == "POST" and request.path.rstrip("/").endswith("/login")
        if not (shown_tokens(request) or is_form):
            return False
        for source in [one for one, tries in self._wrong.items() if not _is_full(tries, 1)]:
            del self._wrong[source]
        wrong = self._wrong[_source(request.remote_ip or "")]
        if _is_full(wrong, MAX_WRONG) or _is_full(self._all, MAX_ALL):
            return True
        wrong.append(time.monotonic())
        self._all.append(time.monotonic())
        return False


def _is_full(tries: deque[float], most: int) -> bool:
    """Whether so many tries are younger than `WRONG_S`; older ones are dropped."""
    now = time.monotonic()
    while tries and now - tries[0] > WRONG_S:
        tries.popleft()
    return len(tries) >= most


def _source(ip: str) -> str:
    """Whom an address belongs to: of IPv6 one has 2^64 of them.

    Examples
    --------
    >>> _source("192.0.2.7"), _source("2001:db8:1:2:aaaa::5")
    ('192.0.2.7', '2001:db8:1:2::/64')
    """
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return ip
    if address.version == 4:
        return ip
    return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))


def shown_tokens(request: HTTPServerRequest) -> list[str]:
    """Tokens in a request's address and head; nothing else of a request is taken for a token."""
    shown = [one for one in parse_qs(request.query).get("token", []) if one]
    found = AUTHORIZATION.match(request.headers.get("Authorization", ""))
    return [*shown, found[1]] if found else shown
