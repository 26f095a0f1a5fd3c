"""Every setting of section publish does what it says, from the command line to the server.

`test/setting/seen_in.yaml` names these tests.
"""

import threading
import uuid

import pytest

from bunny.command import publish as command_publish
from bunny.review import event_log as record

FILM = "film-0a1b2c3d"
HELD_S = 1.5  # for which somebody else keeps a table after the second attempt began


@pytest.fixture
def command(bunny, film, database, monkeypatch):
    """`bunny publish` with settings, into a schema of the test's own."""
    monkeypatch.setenv("BUNNY_DATABASE_URL", database.address)

    def run(*settings):
        own = [f"publish.schema_name={database.schema}", *settings]
        return bunny("publish", FILM, *(part for text in own for part in ("--set", text)))

    return run


@pytest.fixture
def roles(database):
    """Two roles that nobody gave any right."""
    names = [f"{name}_{uuid.uuid4().hex}" for name in ("reader", "editor")]
    database.run(*(f"CREATE ROLE {name} NOLOGIN" for name in names))
    return names


def test_the_schema_name_says_where_tables_go(command, database):
    other = f"{database.schema}_b"
    count = "SELECT count(*) FROM pg_tables WHERE schemaname = $1 AND tablename = 'shots'"
    found = []
    for name in (database.schema, other):
        assert command(f"publish.schema_name={name}")[0] == 0
        found.append([database.query(count, one)[0][0] for one in (database.schema, other)])
    assert found == [[1, 0], [1, 1]]


@pytest.mark.parametrize("has_security", [True, False])
def test_row_security_is_on_where_it_is_set(command, database, has_security):
    assert command(f"publish.has_row_security={str(has_security).lower()}")[0] == 0
    secured = "SELECT DISTINCT rowsecurity FROM pg_tables WHERE schemaname = $1"
    assert database.query(secured, database.schema) == [(has_security,)]


def test_the_reader_role_alone_may_read(command, database, roles):
    may = "SELECT has_table_privilege($1, $2, 'SELECT')"
    for number, role in enumerate(roles):
        schema = f"{database.schema}_{number}"
        assert command(f"publish.reader_role={role}", f"publish.schema_name={schema}")[0] == 0
        found = [database.query(may, one, f"{schema}.shots")[0][0] for one in roles]
        assert found == [one == role for one in roles]


def test_a_step_that_takes_longer_than_the_timeout_is_given_up(command, database):
    assert command()[0] == 0
    is_held, is_over = threading.Event(), threading.Event()

    def hold():
        with database.cursor() as cursor:
            cursor.execute("LOCK TABLE shots IN ACCESS EXCLUSIVE MODE")
            is_held.set()
            is_over.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    is_held.wait()
    try:
        code, _, said = command("publish.timeout_seconds=0.2")
        assert (code, "publish.timeout_seconds" in said) == (2, True), said
        threading.Timer(HELD_S, is_over.set).start()
        assert command("publish.timeout_seconds=60")[0] == 0  # waits until the table is free
    finally:
        is_over.set()
        holder.join()


@pytest.mark.parametrize("number", [1, 2])
def test_an_approval_of_a_dashboard_remembers_so_many_members(command, database, film, number):
    assert command()[0] == 0
    database.run(
        "INSERT INTO review_event (film_id, item_id, kind) "
        f"SELECT film_id, id, 'approve' FROM shots WHERE asset_id = '{FILM}-t0'"
    )
    own = (f"publish.schema_name={database.schema}", f"review.exemplars={number}")
    assert command_publish.publish(FILM, None, own).taken == 1
    [event] = record.read(film)
    assert len(event.cluster.exemplars) == number
