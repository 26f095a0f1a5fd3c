"""Where the tables go, and what there is on the server that tables and rights depend on."""

from dataclasses import dataclass
from typing import Any

from bunny.core.error import UserError
from bunny.library.publish.connect import ADDRESS, quote

MIN_SERVER = 130_000  # gen_random_uuid without an extension
ANONYMOUS = "anon"  # Supabase gives this role every right on new tables


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the tables go and who may read them."""

    schema: str
    has_row_security: bool
    reader_role: str

    def table(self, name: str) -> str:
        """A table's full name as SQL wants it."""
        return f"{quote(self.schema)}.{quote(name)}"


@dataclass(frozen=True, kw_only=True)
class Server:
    """What there is on the server that rights depend on."""

    has_reader: bool
    has_anonymous: bool
    has_auth: bool  # Supabase's functions that say who signed in


def look(cursor: Any, place: Place) -> Server:
    """See what the server has.

    Raises
    ------
    UserError
        If it is too old, or the reader role is the owner, who would lose rights of its own.
    """
    version = int(one(cursor, "SELECT current_setting('server_version_num')"))
    if version < MIN_SERVER:
        raise UserError(
            f"{ADDRESS}: expected Postgres 13 or newer, got {version // 10_000}; upgrade the server"
        )
    if one(cursor, "SELECT current_user::text") == place.reader_role:
        raise UserError(
            f"publish.reader_role: expected the role of those who only read, {place.reader_role} "
            f"is the user of {ADDRESS}; name another role"
        )
    role = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)"
    return Server(
        has_reader=one(cursor, role, place.reader_role),
        has_anonymous=one(cursor, role, ANONYMOUS),
        has_auth=one(
            cursor,
            "SELECT count(*) = 2 FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
            "WHERE n.nspname = 'auth' AND p.proname IN ('uid', 'jwt') AND p.pronargs = 0",
        ),
    )


def one(cursor: Any, query: str, *values: Any) -> Any:
    """The first value that a query gives; `values` stand for $1, $2, …"""
    cursor.execute(query, values or None)
    return cursor.fetchone()[0]


def text(value: str) -> str:
    """A literal for statements that take no parameters; only texts of this package come here."""
    return "'" + value.replace("'", "''") + "'"
