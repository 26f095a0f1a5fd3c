"""Postgres connection: address, session, server, and its errors in one sentence.

The client library repeats parts of the address in its messages (a password with an unescaped @ is
taken for a host name, and named as one that cannot be found), so its words are never passed on
from connecting, and only the server's own first line from later.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote as percent

from bunny.core.error import BunnyError, UserError

ADDRESS = "BUNNY_DATABASE_URL"
CONNECT_SECONDS = 10
LOCK_SECONDS = 30  # waiting for another publisher
# The network may vanish without a word: the system gives up on unanswered bytes after 30 s.
_NETWORK = {
    "connect_timeout": str(CONNECT_SECONDS),
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
    "application_name": "bunny publish",
}
_FORM = f"{ADDRESS}: expected postgresql://user:password@host:5432/database"
_ENCODE = "letters such as @ : / in a password must be written %40 %3A %2F"

# What the client library says when it cannot connect, and what that means.
_CONNECTING: tuple[tuple[str, str], ...] = (
    (
        "password authentication failed",
        "expected the database's user and password, they were refused; mend them",
    ),
    ("no password supplied", "expected a password, the address holds none; add it"),
    (
        "no pg_hba.conf entry",
        "expected to be let in, the server refuses this user from this "
        "machine; allow it there (pg_hba.conf, or Supabase's network restrictions)",
    ),
    (
        "does not exist",
        "expected a user and a database that are there, the server knows one of "
        "them not; mend the address",
    ),
    (
        "could not translate host name",
        f"expected a known host, its name was not found; mend the address ({_ENCODE})",
    ),
    (
        "Connection refused",
        "expected a Postgres server, nothing listens there; start it or mend host and port",
    ),
    (
        "No such file or directory",
        "expected a Postgres server, nothing listens there; start it or mend host and port",
    ),
    (
        "timeout expired",
        "expected an answer, none came in time; is the server up and reachable from here?",
    ),
    (
        "server closed the connection",
        "expected a Postgres server, what listens there hung up; mend host and port",
    ),
    ("too many", "expected a free connection, the server has none; try again later"),
    ("starting up", "expected a server that is ready, it is starting up; try again"),
    ("SSL", "expected an encrypted connection to work, it did not; mend sslmode in the address"),
    ("invalid", f"expected an address that can be read, its parts cannot; {_ENCODE}"),
)

# SQLSTATE (Postgres manual, appendix A), by full code or class.
_STATE: dict[str, str] = {
    "42501": "expected the right to do this, the server says '{said}'; grant it to the user of "
    f"{ADDRESS} or take the owner's address",
    "25006": "expected a database that can be written, it is read-only; take the primary's address",
    "55P03": f"expected the tables within {LOCK_SECONDS} s, something else holds them (another "
    "publish?); try again",
    "57014": "expected each step to end within publish.timeout_seconds, '{said}'; raise it",
    "57P": "expected the server to stay, it ended the connection ('{said}'); publish again, "
    "nothing is done by halves or twice",
    "08": "expected the server to stay, it is gone; publish again, nothing is done by halves or "
    "twice",
    "53": "expected room on the server, it says '{said}'; make room and publish again",
    "40": "expected no other writer, '{said}'; publish again",
}
_MINE = ("57P", "08", "53", "40")  # no setting of the user's mends these

MIN_SERVER = 130_000  # gen_random_uuid without an extension
ANONYMOUS = "anon"  # Supabase gives this role every right on new tables


class DatabaseError(BunnyError):
    """The database broke off, or refused for a reason that is not the user's (exit code 1)."""


def address_of_environment() -> str:
    """The address that the environment holds.

    Raises
    ------
    UserError
        If there is none, or it is no address of a Postgres.
    """
    address = os.environ.get(ADDRESS, "").strip()
    if not address:
        raise UserError(f"{_FORM} in .env or the environment, found none; set it")
    if not address.startswith(("postgresql://", "postgres://")):
        raise UserError(f"{_FORM}, it begins otherwise; mend it")
    return address


@contextmanager
def session(address: str, *, timeout_seconds: float = 600) -> Iterator[Any]:
    """A cursor in one transaction that becomes visible whole at the end, or not at all.

    Parameters
    ----------
    address : str
        As of `address_of_environment`.
    timeout_seconds : float
        Of one statement.

    Yields
    ------
    adbc_driver_manager.dbapi.Cursor
        Call `.connection.rollback()` to leave all as it was.

    Raises
    ------
    UserError
        If the driver is not installed, or the address, password or rights do not serve.
    DatabaseError
        If the server goes away or refuses for another reason.
    """
    connection = _connect(address)
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {int(timeout_seconds * 1000)}")
            cursor.execute(f"SET LOCAL lock_timeout = {LOCK_SECONDS * 1000}")
            # nobody's functions or operators stand in for the server's own
            cursor.execute("SET LOCAL search_path = pg_catalog, pg_temp")
            yield cursor
        connection.commit()
    except _driver_error() as error:
        raise explain(error) from None  # its text may hold the address
    finally:
        _close(connection)


def explain(error: Exception) -> BunnyError:
    """The sentence for an error that the server gave to a statement."""
    state = getattr(error, "sqlstate", None)
    if state is None and type(error).__name__ != "OperationalError":
        return DatabaseError(f"database: expected the driver to send the tables, got {error}")
    state = state or "08000"
    details = dict(getattr(error, "details", None) or ())
    primary = details.get(b"PG_DIAG_MESSAGE_PRIMARY") or details.get("PG_DIAG_MESSAGE_PRIMARY")
    said = primary.decode(errors="replace") if isinstance(primary, bytes) else primary or state
    for code, sentence in _STATE.items():
        if state.startswith(code):
            kind = DatabaseError if code in _MINE else UserError
            return kind(f"database: {sentence.format(said=said)}")
    return DatabaseError(f"database: expected it to take the tables, it says '{said}' ({state})")


def _connect(address: str) -> Any:
    """An open connection, no transaction begun."""
    try:
        from adbc_driver_postgresql import dbapi
    except ImportError as error:
        raise UserError(
            "publish: expected the Postgres driver, it is not installed; run "
            "`uv sync --extra postgres`"
        ) from error
    try:
        return dbapi.connect(_with_timeouts(address))
    except dbapi.Error as error:
        sentence = _why_not_connected(str(error))
        raise UserError(f"{ADDRESS}: {sentence}") from None  # its text may hold the address


def _why_not_connected(text: str) -> str:
    for part, sentence in _CONNECTING:
        if part in text:
            return sentence
    return f"expected to reach the database, it could not be reached; check the address ({_ENCODE})"


def _with_timeouts(address: str) -> str:
    """The address with limits for a network that does not answer; the user's own win."""
    _, sign, query = address.partition("?")
    given = {part.partition("=")[0] for part in query.split("&")}
    more = [f"{name}={percent(value)}" for name, value in _NETWORK.items() if name not in given]
    return address + ("&" if sign else "?") + "&".join(more)


def _driver_error() -> type[Exception]:
    from adbc_driver_manager import Error

    return Error


def _close(connection: Any) -> None:
    """Close, which rolls back what was not committed; a broken one cannot be closed in order."""
    try:
        connection.close()
    except _driver_error():
        return


def quote(name: str) -> str:
    """An identifier as SQL wants it, whatever its letters."""
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True, kw_only=True)
class Destination:
    """Where the tables go and who may read them."""

    schema: str
    has_row_security: bool
    reader_role: str

    def table(self, name: str) -> str:
        """A table's full name as SQL wants it."""
        return f"{quote(self.schema)}.{quote(name)}"


@dataclass(frozen=True, kw_only=True)
class DatabaseServer:
    """What there is on the server that rights depend on."""

    has_reader: bool
    has_anonymous: bool
    has_auth: bool  # Supabase's functions that say who signed in


def inspect_server(cursor: Any, place: Destination) -> DatabaseServer:
    """See what the server has.

    Raises
    ------
    UserError
        If it is too old, or the reader role is the owner, who would lose rights of its own.
    """
    version = int(fetch_value(cursor, "SELECT current_setting('server_version_num')"))
    if version < MIN_SERVER:
        raise UserError(
            f"{ADDRESS}: expected Postgres 13 or newer, got {version // 10_000}; upgrade the server"
        )
    if fetch_value(cursor, "SELECT current_user::text") == place.reader_role:
        raise UserError(
            f"publish.reader_role: expected the role of those who only read, {place.reader_role} "
            f"is the user of {ADDRESS}; name another role"
        )
    role = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)"
    return DatabaseServer(
        has_reader=fetch_value(cursor, role, place.reader_role),
        has_anonymous=fetch_value(cursor, role, ANONYMOUS),
        has_auth=fetch_value(
            cursor,
            "SELECT count(*) = 2 FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
            "WHERE n.nspname = 'auth' AND p.proname IN ('uid', 'jwt') AND p.pronargs = 0",
        ),
    )


def fetch_value(cursor: Any, query: str, *values: Any) -> Any:
    """The first value that a query gives; `values` stand for $1, $2, …"""
    cursor.execute(query, values or None)
    return cursor.fetchone()[0]


def literal(value: str) -> str:
    """A literal for statements that take no parameters; only texts of this package come here."""
    return "'" + value.replace("'", "''") + "'"
