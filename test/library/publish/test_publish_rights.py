"""Row-level security: readers see, sign what they write themselves, and change nothing."""

import uuid

import pytest
from adbc_driver_manager import Error

from bunny.core.error import UserError

FILM = "film-0a1b2c3d"
INSERT = (
    "INSERT INTO review_event (film_id, item_id, kind, text) "
    "SELECT film_id, id, 'comment', 'mine' FROM shots LIMIT 1"
)


@pytest.fixture
def people(database):
    """A reader role, two who are in it and one who is not; their names."""
    tail = uuid.uuid4().hex
    reader, *names = (f"{name}_{tail}" for name in ("reader", "alice", "bob", "stranger"))
    database.run(f"CREATE ROLE {reader} NOLOGIN", *(f"CREATE ROLE {name} LOGIN" for name in names))
    database.run(*(f"GRANT {reader} TO {name}" for name in names[:2]))
    return reader, *names


@pytest.fixture
def published(publish, people):
    """A published film that the people may read."""
    return publish(FILM, f"publish.reader_role={people[0]}")


def refused(database, user, statement):
    with pytest.raises(Error) as error:
        database.run(statement, user=user)
    return error.value.sqlstate


def test_readers_see_every_row_of_every_table(published, database, people):
    counts = "SELECT (SELECT count(*) FROM shots), (SELECT count(*) FROM embedding)"
    assert database.query(counts, user=people[1]) == [(4, 2)]
    assert published.note == ""


def test_a_stranger_sees_nothing(published, database, people):
    assert refused(database, people[3], f"SELECT 1 FROM {database.schema}.shots") == "42501"


def test_even_with_plain_rights_a_stranger_sees_no_row(published, database, people):
    stranger = people[3]
    database.run(
        f"GRANT USAGE ON SCHEMA {database.schema} TO {stranger}",
        f"GRANT ALL ON shots, review_event TO {stranger}",
    )
    assert database.query("SELECT count(*) FROM shots", user=stranger) == [(0,)]
    row = f"INSERT INTO review_event (film_id, kind) VALUES ('{FILM}', 'comment')"
    assert refused(database, stranger, row) == "42501"


def test_readers_sign_comments_with_their_own_name(published, database, people, publish):
    database.run(INSERT, user=people[1])
    database.run(INSERT, user=people[2])
    written = database.query("SELECT created_by, user_name, status FROM review_event ORDER BY 1")
    assert written == [(name, name, "new") for name in people[1:3]]
    assert publish(FILM, f"publish.reader_role={people[0]}").taken == 2


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO review_event (film_id, item_id, kind, created_by) "
        "SELECT film_id, id, 'approve', 'somebody' FROM shots LIMIT 1",
        "INSERT INTO review_event (film_id, item_id, kind, event) "
        "SELECT film_id, id, 'approve', '{}' FROM shots LIMIT 1",
        "INSERT INTO review_event (film_id, item_id, kind, origin) "
        "SELECT film_id, id, 'approve', 'board' FROM shots LIMIT 1",
        "INSERT INTO review_event (film_id, item_id, kind) "
        "SELECT film_id, id, 'merge' FROM shots LIMIT 1",
        f"INSERT INTO review_event (film_id, kind) VALUES ('{FILM}', 'comment')",
        "UPDATE review_event SET text = 'x'",
        "DELETE FROM review_event",
        "UPDATE shots SET cluster_id = 'x'",
        "DELETE FROM asset",
        "TRUNCATE shots",
    ],
)
def test_readers_may_do_nothing_else(published, database, people, statement):
    assert refused(database, people[1], statement) == "42501"


def test_a_comment_has_an_end(published, database, people):
    long = INSERT.replace("'mine'", "repeat('x', 4001)")
    assert refused(database, people[1], long) == "23514"
    database.run(INSERT.replace("'mine'", "repeat('x', 4000)"), user=people[1])


def test_without_the_role_only_the_owner_reads_and_that_is_said(publish, database):
    done = publish(FILM, "publish.reader_role=nobody_there")
    assert "no role 'nobody_there'" in done.note
    secured = database.query(
        "SELECT count(*) FROM pg_tables WHERE schemaname = $1 AND NOT rowsecurity", database.schema
    )
    assert secured == [(0,)]


def test_a_role_that_comes_later_gets_its_rights(publish, database, people):
    reader = f"late_{people[0]}"
    publish(FILM, f"publish.reader_role={reader}")
    database.run(f"CREATE ROLE {reader} NOLOGIN", f"GRANT {reader} TO {people[3]}")
    assert publish(FILM, f"publish.reader_role={reader}").note == ""
    assert database.query("SELECT count(*) FROM shots", user=people[3]) == [(4,)]


def test_row_level_security_can_be_left_out(publish, database):
    publish(FILM, "publish.has_row_security=false")
    secured = database.query(
        "SELECT count(*) FROM pg_tables WHERE schemaname = $1 AND rowsecurity", database.schema
    )
    assert secured == [(0,)]


def test_the_owner_is_no_reader(publish):
    with pytest.raises(UserError, match="reader_role: expected the role of read-only users"):
        publish(FILM, "publish.reader_role=postgres")


SUPABASE = (
    "CREATE SCHEMA auth",
    "CREATE FUNCTION auth.jwt() RETURNS jsonb LANGUAGE sql STABLE AS "
    "$$ SELECT nullif(current_setting('request.jwt.claims', true), '')::jsonb $$",
    "CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS "
    "$$ SELECT (auth.jwt() ->> 'sub')::uuid $$",
)
ALICE = "11111111-1111-4111-8111-111111111111"


def test_on_supabase_the_one_who_signed_in_is_the_author(film, other_database, people, monkeypatch):
    """`authenticator` becomes the reader role and puts claims into a setting, as PostgREST does."""
    from bunny.command import publish as command_publish

    reader, _, _, login = people
    other_database.run(
        *SUPABASE,
        "DO $$ BEGIN CREATE ROLE anon NOLOGIN; EXCEPTION WHEN duplicate_object THEN END $$",
        f"GRANT USAGE ON SCHEMA auth TO {reader}",
        "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO anon",
        f"ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO {reader}",
        f"GRANT {reader}, anon TO {login}",
    )
    monkeypatch.setenv("BUNNY_DATABASE_URL", other_database.address)
    command_publish.publish(FILM, None, [f"publish.reader_role={reader}"])
    claims = f'{{"sub": "{ALICE}", "email": "alice@example.org"}}'
    other_database.run(
        f"SET LOCAL ROLE {reader}", f"SET LOCAL request.jwt.claims = '{claims}'", INSERT, user=login
    )
    written = other_database.query("SELECT created_by, user_name FROM review_event")
    assert written == [(ALICE, "alice@example.org")]
    with pytest.raises(Error):  # nobody signed in: no author
        other_database.run(f"SET LOCAL ROLE {reader}", INSERT, user=login)
    with pytest.raises(Error) as error:
        other_database.run("SET LOCAL ROLE anon", "SELECT 1 FROM shots", user=login)
    assert error.value.sqlstate == "42501"
