"""Postgres setup: tables, links, comments and policies created, or only what differs changed.

The owner (whose address it is) may do all. With row-level security, members of the reader role see
every row and may add comments and approvals of their own; nobody else sees anything. On Supabase
`authenticated` are those who signed in and `anon` the rest; who writes is `auth.uid()`, elsewhere
the database's user.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from bunny.core.error import UserError
from bunny.library.publish import schema
from bunny.library.publish.connect import (
    ANONYMOUS,
    DatabaseServer,
    Destination,
    fetch_value,
    inspect_server,
    literal,
    quote,
)
from bunny.library.publish.schema import PostgresColumn, PostgresTable

if TYPE_CHECKING:
    from adbc_driver_manager.dbapi import Cursor

INSERTABLE = ("film_id", "item_id", "kind", "text", "reason")  # of review_event, by dashboards
READ_POLICY = "bunny_read"
WRITE_POLICY = "bunny_write"

STATE = "bunny_schema"
STATE_COMMENT = "version of the tables in this schema"


def prepare(
    cursor: Cursor, place: Destination, targets: Mapping[str, PostgresTable]
) -> DatabaseServer:
    """Bring the database's tables to what `targets` says, inside the caller's transaction.

    Parameters
    ----------
    targets : mapping
        As of `schema.targets`.

    Raises
    ------
    UserError
        If the server is too old, its tables are of a newer version, one of their names is taken by
        a table of somebody else's, or a column has another type.
    """
    server = inspect_server(cursor, place)
    _lock(cursor, place)
    known = _known_columns(cursor, place)
    state = _read_state(cursor, place, known)
    wanted = _fingerprint(place, targets, server)
    _check_owned(cursor, place, targets, known)
    if state == wanted and all(_is_whole(t, known) for t in targets.values()):
        return server
    _make_schema(cursor, place)
    for target in targets.values():
        _make_table(cursor, place, target, known.get(target.name, {}), server)
    for target in targets.values():
        grant(cursor, place, target.name, server)
    _write_state(cursor, place, wanted, server)
    return server


def _lock(cursor: Cursor, place: Destination) -> None:
    """One publisher at a time; the others wait for the end of this transaction."""
    key = int.from_bytes(hashlib.sha256(f"bunny/{place.schema}".encode()).digest()[:8], "big")
    cursor.execute("SELECT pg_advisory_xact_lock($1)", (key - 2**63,))
    cursor.fetchall()


def _known_columns(cursor: Cursor, place: Destination) -> dict[str, dict[str, str]]:
    """Type of each column of each table of the schema."""
    cursor.execute(
        "SELECT c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod) "
        "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "
        "WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')",
        (place.schema,),
    )
    known: dict[str, dict[str, str]] = {}
    for table, column, kind in cursor.fetchall():
        known.setdefault(table, {})[column] = kind
    return known


def _read_state(cursor: Cursor, place: Destination, known: Mapping) -> str | None:
    """Fingerprint of what was last made here; refuses what a newer version made."""
    if not {"version", "fingerprint"} <= known.get(STATE, {}).keys():
        return None
    cursor.execute(f"SELECT version, fingerprint FROM {place.table(STATE)}")
    rows = cursor.fetchall()
    version = max((row[0] for row in rows), default=0)
    if version > schema.VERSION:
        raise UserError(
            f"database: schema {place.schema} has tables of version {version}, "
            f"expected {schema.VERSION} or older; update Diffusion Bunny or set "
            "publish.schema_name to another schema"
        )
    return rows[0][1] if rows else None


def _check_owned(
    cursor: Cursor, place: Destination, targets: Mapping[str, PostgresTable], known: Mapping
) -> None:
    """Refuse to write into tables that somebody else made."""
    cursor.execute(
        "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = $1 AND "
        "starts_with(coalesce(obj_description(c.oid, 'pg_class'), ''), $2)",
        (place.schema, schema.MARK),
    )
    ours = {row[0] for row in cursor.fetchall()}
    foreign = sorted((targets.keys() | {STATE}) & known.keys() - ours)
    if foreign:
        raise UserError(
            f"database: table {place.schema}.{foreign[0]} exists and was not created by Diffusion "
            "Bunny (its comment does not say so); set publish.schema_name to another schema"
        )


def _is_whole(target: PostgresTable, known: Mapping[str, Mapping[str, str]]) -> bool:
    have = known.get(target.name, {})
    return all(have.get(column.name) == column.type for column in target.columns)


def _make_schema(cursor: Cursor, place: Destination) -> None:
    """Not `IF NOT EXISTS` alone, which wants the right to create even when it does nothing."""
    if not fetch_value(
        cursor, "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)", place.schema
    ):
        cursor.execute(f"CREATE SCHEMA {quote(place.schema)}")


def _make_table(
    cursor: Cursor,
    place: Destination,
    target: PostgresTable,
    have: Mapping[str, str],
    server: DatabaseServer,
) -> None:
    """Create a table or add the columns that it lacks."""
    for column in target.columns:
        if column.name in have and have[column.name] != column.type:
            raise UserError(
                f"database: expected {place.schema}.{target.name}.{column.name} to be "
                f"{column.type}, found {have[column.name]}; drop that table "
                "(publishing creates it again) or set publish.schema_name to another schema"
            )
    name = place.table(target.name)
    if not have:
        parts = [_column(column, server) for column in target.columns]
        parts.append(f"PRIMARY KEY ({', '.join(map(quote, target.key))})")
        parts += [
            f"FOREIGN KEY ({quote(column)}) REFERENCES {place.table(other)} "
            f"ON DELETE {on_delete} DEFERRABLE INITIALLY DEFERRED"
            for column, other, on_delete in target.links
        ]
        cursor.execute(f"CREATE TABLE {name} ({', '.join(parts)})")
        for column in target.indexes:
            cursor.execute(f"CREATE INDEX ON {name} ({quote(column)})")
    else:
        for column in target.columns:
            if column.name not in have:
                cursor.execute(f"ALTER TABLE {name} ADD COLUMN {_column(column, server)}")
    cursor.execute(f"COMMENT ON TABLE {name} IS {literal(schema.MARK + target.comment)}")
    for column in target.columns:
        if column.comment:
            comment = literal(column.comment)
            cursor.execute(f"COMMENT ON COLUMN {name}.{quote(column.name)} IS {comment}")


def _column(column: PostgresColumn, server: DatabaseServer) -> str:
    rule = column.rule.replace("{me}", current_user(server)).replace(
        "{my_name}", _current_user_name(server)
    )
    return f"{quote(column.name)} {column.type} {rule}".rstrip()


def _fingerprint(
    place: Destination, targets: Mapping[str, PostgresTable], server: DatabaseServer
) -> str:
    """What tables and rights are made of; the same: nothing is to be made."""
    parts = [schema.VERSION, repr(place), repr(server), INSERTABLE, [*map(repr, targets.values())]]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _write_state(
    cursor: Cursor, place: Destination, fingerprint: str, server: DatabaseServer
) -> None:
    name = place.table(STATE)
    cursor.execute(f"CREATE TABLE IF NOT EXISTS {name} (version integer, fingerprint text)")
    cursor.execute(f"COMMENT ON TABLE {name} IS {literal(schema.MARK + STATE_COMMENT)}")
    grant(cursor, place, STATE, server)
    cursor.execute(f"DELETE FROM {name}")
    cursor.execute(f"INSERT INTO {name} VALUES ($1, $2)", (schema.VERSION, fingerprint))


def grant(cursor: Cursor, place: Destination, table: str, server: DatabaseServer) -> None:
    """Row-level security of one table, its policies and the plain rights they need.

    Parameters
    ----------
    table : str
        Its name in the schema.
    server : DatabaseServer
        Roles that are not there get nothing, and that is no error: plain Postgres has no `anon`.
    """
    name = place.table(table)
    reader = quote(place.reader_role)
    for policy in (READ_POLICY, WRITE_POLICY):
        cursor.execute(f"DROP POLICY IF EXISTS {policy} ON {name}")
    if not place.has_row_security:
        cursor.execute(f"ALTER TABLE {name} DISABLE ROW LEVEL SECURITY")
        return
    cursor.execute(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY")
    cursor.execute(f"REVOKE ALL ON {name} FROM PUBLIC")
    if server.has_anonymous:
        cursor.execute(f"REVOKE ALL ON {name} FROM {quote(ANONYMOUS)}")
    if not server.has_reader:
        return
    cursor.execute(f"REVOKE ALL ON {name} FROM {reader}")
    cursor.execute(f"GRANT USAGE ON SCHEMA {quote(place.schema)} TO {reader}")
    cursor.execute(f"GRANT SELECT ON {name} TO {reader}")
    cursor.execute(f"CREATE POLICY {READ_POLICY} ON {name} FOR SELECT TO {reader} USING (true)")
    if table == schema.REVIEW_EVENT:
        cursor.execute(f"GRANT INSERT ({', '.join(map(quote, INSERTABLE))}) ON {name} TO {reader}")
        cursor.execute(
            f"CREATE POLICY {WRITE_POLICY} ON {name} FOR INSERT TO {reader} "
            f"WITH CHECK ({_may_write(server)})"
        )


def _may_write(server: DatabaseServer) -> str:
    kinds = ", ".join(literal(kind) for kind in schema.DASHBOARD_KINDS)
    return (
        f"created_by = {current_user(server)} AND origin = 'database' AND status = 'new' "
        f"AND event IS NULL AND kind IN ({kinds}) AND item_id IS NOT NULL"
    )


def current_user(server: DatabaseServer) -> str:
    """SQL for who writes. Never a setting of the session: on plain Postgres anybody may set one."""
    return "(auth.uid()::text)" if server.has_auth else "(current_user::text)"


def _current_user_name(server: DatabaseServer) -> str:
    """SQL for how dashboards call who writes."""
    if server.has_auth:
        return "(coalesce(auth.jwt() ->> 'email', auth.uid()::text))"
    return "(current_user::text)"
