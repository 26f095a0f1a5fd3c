"""A kill in the middle leaves the database as it was."""

import subprocess
import sys
import threading
import time

import pytest

from bunny.library.publish.connect import DatabaseError
from bunny.table import store

pytestmark = pytest.mark.slow

FILM = "film-0a1b2c3d"
WAIT_S = 120
COUNTS = "SELECT (SELECT count(*) FROM shots), (SELECT count(*) FROM embedding)"
# `asset` is written after `shots`: whoever holds it stops a publish half-way
HOLD = "LOCK TABLE asset IN SHARE MODE"


@pytest.fixture
def changed(publish, film):
    """A published film whose tables lost rows since."""
    publish()
    for name in ("asset", "embedding"):
        table = store.read(film / "table", name)
        store.write(film / "table", name, table.head(1))


def wait_for_publish(database):
    """Until a publish waits for a table; gives the number of its process on the server."""
    query = (
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'bunny publish' "
        "AND wait_event_type = 'Lock'"
    )
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        found = database.query(query)
        if found:
            return found[0][0]
        time.sleep(0.05)
    raise TimeoutError("no publish came to wait")


def wait_until_gone(database, pid):
    end = time.monotonic() + WAIT_S
    while database.query("SELECT 1 FROM pg_stat_activity WHERE pid = $1", pid):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_killed_publish_leaves_the_old_rows(changed, database, publish):
    command = [sys.executable, "-m", "bunny", "publish", FILM]
    command += ["--set", f"publish.schema_name={database.schema}"]
    with database.cursor() as holder:
        holder.execute(HOLD)
        process = subprocess.Popen(command)
        try:
            pid = wait_for_publish(database)
        finally:
            process.kill()
            process.wait()
    wait_until_gone(database, pid)
    assert database.query(COUNTS) == [(4, 2)]
    publish()
    assert database.query(COUNTS) == [(1, 1)]


def test_a_server_that_ends_the_connection_leaves_the_old_rows(changed, database, publish):
    said = []

    def run():
        try:
            publish()
        except DatabaseError as error:
            said.append(str(error))

    with database.cursor() as holder:
        holder.execute(HOLD)
        thread = threading.Thread(target=run)
        thread.start()
        pid = wait_for_publish(database)
        database.query("SELECT pg_terminate_backend($1::integer)", pid)
        thread.join(WAIT_S)
    assert "nothing is written in part" in said[0]
    assert database.query(COUNTS) == [(4, 2)]


def test_dashboards_read_on_while_it_is_published(changed, database, publish):
    with database.cursor() as holder:
        holder.execute(HOLD)
        thread = threading.Thread(target=publish)
        thread.start()
        wait_for_publish(database)
        assert database.query(COUNTS) == [(4, 2)]
    thread.join(WAIT_S)
    assert database.query(COUNTS) == [(1, 1)]
