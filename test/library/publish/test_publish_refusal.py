"""What goes wrong gets one sentence, and no sentence holds the address."""

import socket
import sys
import traceback

import pytest

from bunny.core import log
from bunny.core.error import BunnyError, UserError
from bunny.library.publish import connect

FILM = "film-0a1b2c3d"
SECRET = "hunter2hunter2"


def why(address):
    with pytest.raises(BunnyError) as caught, connect.session(address):
        pass
    told = "".join(traceback.format_exception(caught.value))  # as --debug shows it
    assert SECRET not in told
    assert "example.invalid" not in told
    return str(caught.value)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (f"postgresql://u:{SECRET}@example.invalid/db", "host name not found"),
        (f"postgresql://u:p@{SECRET}@example.invalid/db", "host name not found"),
        (f"postgresql://u:{SECRET}/db", "%40"),
        (f"postgresql://u:{SECRET}@127.0.0.1:port/db", "%40"),
        (f"postgresql://u:{SECRET}@127.0.0.1:1/db", "server is listening there"),
        (f"postgresql://u:{SECRET}@127.0.0.1:1/db?nonsense={SECRET}", "could not be parsed"),
        ("postgresql://u@/db?host=/nowhere", "server is listening there"),
    ],
)
def test_an_address_that_leads_nowhere_is_explained_without_it(address, expected):
    assert expected in why(address)


def test_a_server_that_never_answers_is_given_up():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        told = why(f"postgresql://u:{SECRET}@127.0.0.1:{port}/db?connect_timeout=2")
    assert "timed out" in told


@pytest.mark.parametrize("address", ["", "  ", f"mysql://u:{SECRET}@h/db", "host=h password=p"])
def test_an_address_of_another_form_is_refused_before_any_connection(address, monkeypatch):
    monkeypatch.setenv("BUNNY_DATABASE_URL", address)
    with pytest.raises(UserError, match="expected postgresql://user:password@host") as caught:
        connect.address_of_environment()
    assert SECRET not in str(caught.value)


def test_the_command_without_an_address_says_where_it_goes(bunny, film):
    code, out, err = bunny("publish")
    assert (code, out) == (2, "")
    assert "BUNNY_DATABASE_URL: expected postgresql://" in err


def test_the_address_of_dotenv_is_found_and_is_no_setting(bunny, film, tmp_path, monkeypatch):
    address = f"postgresql://u:{SECRET}@127.0.0.1:1/db"
    monkeypatch.setenv("BUNNY_DATABASE_URL", "")
    monkeypatch.delenv("BUNNY_DATABASE_URL")
    (tmp_path / ".env").write_text(f"BUNNY_DATABASE_URL={address}\n", encoding="utf-8")
    for arguments in (("publish",), ("publish", "--pull")):
        code, out, err = bunny(*arguments)
        assert (code, out) == (2, "")
        assert "server is listening there" in err
        assert SECRET not in err


def test_passwords_of_addresses_are_taken_out_of_every_text(monkeypatch):
    monkeypatch.setenv("BUNNY_DATABASE_URL", "postgresql://u:geheim%40tnis@host:5432/db")
    said = "at postgresql://u:geheim%40tnis@host:5432/db with geheim@tnis or geheim%40tnis"
    clean = "at <BUNNY_DATABASE_URL> with <BUNNY_DATABASE_URL> or <BUNNY_DATABASE_URL>"
    assert log.redact(said) == clean


def test_a_film_without_review_is_refused_before_any_connection(film, bunny, monkeypatch):
    monkeypatch.setenv("BUNNY_DATABASE_URL", f"postgresql://u:{SECRET}@127.0.0.1:1/db")
    (film / "table" / "asset.parquet").unlink()
    code, _, err = bunny("publish")
    assert code == 2
    assert "expected the tables of stage review, found none" in err


def test_a_driver_that_is_not_installed_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "adbc_driver_postgresql", None)
    assert "uv sync --extra postgres" in why(f"postgresql://u:{SECRET}@127.0.0.1:1/db")


class TestServer:
    """Refusals of a real server."""

    def test_a_right_password_with_odd_letters_serves_and_a_wrong_one_does_not(self, server):
        with connect.session(server.tcp_address()) as cursor:
            cursor.execute("SELECT 1")
            assert cursor.fetchone() == (1,)
        assert "refused this user and password" in why(server.tcp_address(password=SECRET))

    def test_a_database_that_is_not_there(self, server):
        assert "user or the database does not exist" in why(server.address("nowhere"))

    def test_no_rights(self, publish, database, server, monkeypatch):
        database.run("CREATE ROLE poor LOGIN")
        monkeypatch.setenv("BUNNY_DATABASE_URL", server.address(user="poor"))
        with pytest.raises(UserError, match=r"permission denied.*grant the permission to the user"):
            publish()

    def test_a_read_only_database(self, publish, server, monkeypatch):
        read_only = "&options=-c%20default_transaction_read_only%3Don"
        monkeypatch.setenv("BUNNY_DATABASE_URL", server.address() + read_only)
        with pytest.raises(UserError, match="the database is read-only"):
            publish()

    def test_tables_of_a_newer_version(self, publish, database):
        publish()
        database.run("UPDATE bunny_schema SET version = 99")
        with pytest.raises(UserError, match=r"tables of version 99, expected 1 or older; update"):
            publish()

    def test_tables_of_somebody_else_are_never_written_to(self, publish, database):
        database.run(
            f"CREATE SCHEMA {database.schema}",
            "CREATE TABLE picture (film_id text, mine integer)",
            "INSERT INTO picture VALUES ('film-0a1b2c3d', 7)",
        )
        with pytest.raises(
            UserError,
            match=(
                r"picture exists and was not created "
                r"by.*publish.schema_name"
            ),
        ):
            publish()
        assert database.tables() == 1
        assert database.query("SELECT mine FROM picture") == [(7,)]

    def test_a_column_of_another_type(self, publish, database):
        publish()
        database.run("ALTER TABLE asset ALTER COLUMN doubt TYPE text")
        with pytest.raises(UserError, match=r"asset\.doubt to be real, found text; drop"):
            publish()

    def test_a_statement_that_takes_too_long(self, server):
        brief = connect.session(server.address(), timeout_seconds=0.2)
        with pytest.raises(UserError, match=r"publish\.timeout_seconds"), brief as cursor:
            cursor.execute("SELECT pg_sleep(20)")
            cursor.fetchall()
