"""Postgres connection: address, session, server, and its errors in one sentence.

The client library repeats parts of the address in its messages (a password with an unescaped @ is
taken for a host name, and named as one that cannot be found), so its words are never passed on
from connecting, and only the server's own first line from later.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote as percent

from bunny.core.error import BunnyError, UserError

if TYPE_CHECKING:
    from adbc_driver_manager.dbapi import Connection, Cursor

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
_ENCODE = "special characters such as @ : / in a password must be percent-encoded: %40 %3A %2F"
_NOBODY = "no Postgres server is listening there; start it or check host and port"

# What the client library says when it cannot connect, and what that means.
_CONNECTING = {
    "password authentication failed": "the database refused this user and password; check both",
    "no password supplied": "the address contains no password; add it",
    "no pg_hba.conf entry": "the server does not accept this user from this machine; allow it "
    "there (pg_hba.conf, or Supabase's network restrictions)",
    "does not exist": "the user or the database does not exist on the server; check the address",
    "could not translate host name": f"host name not found; check the address ({_ENCODE})",
    "Connection refused": f"connection refused: {_NOBODY}",
    "No such file or directory": _NOBODY,
    "timeout expired": "connection timed out; is the server running and reachable from here?",
    "server closed the connection": "the server closed the connection; is it Postgres? check host "
    "and port",
    "too many": "the server has no free connections; try again later",
    "starting up": "the server is still starting up; try again",
    "SSL": "the encrypted connection failed; check sslmode in the address",
    "invalid": f"the address could not be parsed; {_ENCODE}",
}

# SQLSTATE (Postgres manual, appendix A), by full code or class.
_STATE: dict[str, str] = {
    "42501": f"permission denied: the server says '{{said}}'; grant the permission to the user "
    f"of {ADDRESS} or use the owner's address",
    "25006": "the database is read-only; use the address of the primary server",
    "55P03": f"the tables are locked and were not released within {LOCK_SECONDS} s (another "
    "publish?); try again",
    "57014": "a step took longer than publish.timeout_seconds ('{said}'); raise it",
    "57P": "the server ended the connection ('{said}'); publish again: nothing is written "
    "in part or twice",
    "08": "the connection to the server was lost; publish again: nothing is written in "
    "part or twice",
    "53": "the server is out of space or memory ('{said}'); free some and publish again",
    "40": "another process wrote at the same time ('{said}'); publish again",
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
        raise UserError(f"{_FORM}, got an address with another prefix; fix it")
    return address


@contextmanager
def session(address: str, *, timeout_seconds: float = 600) -> Iterator[Cursor]:
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
        return DatabaseError(f"database: the driver could not send the tables: {error}")
    state = state or "08000"
    details = dict(getattr(error, "details", None) or ())
    primary = details.get(b"PG_DIAG_MESSAGE_PRIMARY") or details.get("PG_DIAG_MESSAGE_PRIMARY")
    said = primary.decode(errors="replace") if isinstance(primary, bytes) else primary or state
    for code, sentence in _STATE.items():
        if state.startswith(code):
            kind = DatabaseError if code in _MINE else UserError
            return kind(f"database: {sentence.format(said=said)}")
    return DatabaseError(f"database: writing the tables failed: '{said}' ({state})")


def _connect(address: str) -> Connection:
    """An open connection, no transaction begun."""
    try:
        from adbc_driver_postgresql import dbapi
    except ImportError as error:
        raise UserError(
            "publish: the Postgres driver is not installed; run `uv sync --extra postgres`"
        ) from error
    try:
        return dbapi.connect(_with_timeouts(address))
    except dbapi.Error as error:
        sentence = _why_not_connected(str(error))
        raise UserError(f"{ADDRESS}: {sentence}") from None  # its text may hold the address


def _why_not_connected(text: str) -> str:
    for part, sentence in _CONNECTING.items():
        if part in text:
            return sentence
    return f"the database could not be reached; check the address ({_ENCODE})"


def _with_timeouts(address: str) -> str:
    """The address with limits for a network that does not answer; the user's own win."""
    _, sign, query = address.partition("?")
    given = {part.partition("=")[0] for part in query.split("&")}
    more = [f"{name}={percent(value)}" for name, value in _NETWORK.items() if name not in given]
    return address + ("&" if sign else "?") + "&".join(more)


def _driver_error() -> type[Exception]:
    from adbc_driver_manager import Error

    return Error


def _close(connection: Connection) -> None:
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
    """Destination of the tables, and who may read them."""

    schema: str
    has_row_security: bool
    reader_role: str

    def table(self, name: str) -> str:
        """A table's full name as SQL wants it."""
        return f"{quote(self.schema)}.{quote(name)}"


@dataclass(frozen=True, kw_only=True)
class DatabaseServer:
    """Facts about the server that the access rights depend on."""

    has_reader: bool
    has_anonymous: bool
    has_auth: bool  # Supabase's functions that say who signed in


def inspect_server(cursor: Cursor, place: Destination) -> DatabaseServer:
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
            "publish.reader_role: expected the role of read-only users, but "
            f"{place.reader_role} is the user of {ADDRESS}; name another role"
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


def fetch_value(cursor: Cursor, query: str, *values: object) -> Any:
    """The first value that a query gives; `values` stand for $1, $2, …"""
    cursor.execute(query, values or None)
    return cursor.fetchall()[0][0]


def fetch_rows(cursor: Cursor) -> list[dict[str, Any]]:
    """Rows that the query gave which was executed last, by name of the column."""
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def literal(value: str) -> str:
    """A literal for statements that take no parameters; only texts of this package come here."""
    return "'" + value.replace("'", "''") + "'"
