"""Row-level security: policies and grants of the published tables.

The owner (whose address it is) may do all. With row-level security, members of the reader role see
every row and may add comments and approvals of their own; nobody else sees anything. On Supabase
`authenticated` are those who signed in and `anon` the rest; who writes is `auth.uid()`, elsewhere
the database's user.
"""

from typing import Any

from bunny.library.publish import schema
from bunny.library.publish.connect import ANONYMOUS, DatabaseServer, Destination, literal, quote

INSERTABLE = ("film_id", "item_id", "kind", "text", "reason")  # of review_event, by dashboards
READ_POLICY = "bunny_read"
WRITE_POLICY = "bunny_write"


def grant(cursor: Any, place: Destination, table: str, server: DatabaseServer) -> None:
    """Row-level security of one table, its policies and the plain rights they need.

    Parameters
    ----------
    cursor : adbc_driver_manager.dbapi.Cursor
    place : Destination
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


def current_user_name(server: DatabaseServer) -> str:
    """SQL for how dashboards call who writes."""
    if server.has_auth:
        return "(coalesce(auth.jwt() ->> 'email', auth.uid()::text))"
    return "(current_user::text)"
