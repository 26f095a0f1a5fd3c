"""A film's tables in a real Postgres: whole, the same twice, beside other films."""

import json

import polars as pl
import pytest

from bunny.table import store

pytestmark = pytest.mark.slow

FILM = "film-0a1b2c3d"
EVERY_ROW = """
    SELECT 'shots', xmin::text, id::text FROM shots
    UNION ALL SELECT 'pair', xmin::text, id::text FROM training_feedback
    UNION ALL SELECT 'asset', xmin::text, asset_id FROM asset
    UNION ALL SELECT 'vector', xmin::text, frame_id FROM embedding
"""  # xmin: the transaction that last wrote a row


def rewrite(film, name, change):
    table = store.read(film / "table", name)
    store.write(film / "table", name, change(table))


def changes(done):
    return {c.table: (c.added, c.changed, c.removed) for c in done.changes if c.is_any()}


def test_dashboards_find_shots_and_the_pairs_that_join_with_them(publish, database):
    publish()
    found = database.query(
        "SELECT shot_id, keyframe_path, frame_index, cluster_type, cluster_id, similarity_score, "
        "timestamp FROM shots ORDER BY asset_id"
    )
    assert found == [
        (f"{FILM}-s0", "frame/00000010.jpg", 10, "scene", "scene-001", 0.75, 0.4),
        (f"{FILM}-s1", "frame/00000060.jpg", 60, "noise", None, 0.75, 2.4),
        (f"{FILM}-s0", "frame/00000010.jpg", 10, "character", "anna", 0.75, 0.4),
        (f"{FILM}-s1", "frame/00000060.jpg", 60, "character", "anna", 0.75, 2.4),
    ]
    joined = database.query(
        "SELECT a.asset_id, p.asset_id, f.label FROM training_feedback f "
        "JOIN shots a ON a.id = f.anchor_id JOIN shots p ON p.id = f.positive_id"
    )
    assert joined == [(f"{FILM}-t0", f"{FILM}-t1", 1)]


def test_values_arrive_as_they_are(publish, database):
    publish()
    numbers = database.query("SELECT phash::text FROM quality ORDER BY frame_id")
    assert numbers == [("18446744073709551615",), ("7",)]
    vectors = database.query("SELECT vector, pg_typeof(vector)::text FROM embedding ORDER BY 1")
    assert vectors == [([0.25, -0.5, 1.0], "real[]"), ([1.0, 0.0, 0.125], "real[]")]
    ((text, tags, who),) = database.query("SELECT text, tags, characters FROM caption")
    assert text == 'Robert\'); DROP TABLE shots;-- "x" � ü'
    assert (tags, who) == (["snow", "day, 'quoted'", "{}"], None)


def test_publishing_twice_touches_no_row(publish, database):
    publish()
    before = sorted(database.query(EVERY_ROW))
    done = publish()
    assert changes(done) == {}
    assert sorted(database.query(EVERY_ROW)) == before
    assert len(before) == 11


def test_a_changed_row_changes_and_a_shrinking_table_loses_rows(publish, database, film):
    publish()
    moved = pl.when(pl.col("asset_id") == f"{FILM}-s1").then(pl.lit("scene-001"))
    rewrite(film, "asset", lambda t: t.with_columns(cluster_id=moved.otherwise("cluster_id")))
    rewrite(film, "embedding", lambda t: t.head(1))
    done = publish()
    assert changes(done) == {"shots": (0, 1, 0), "asset": (0, 1, 0), "embedding": (0, 0, 1)}
    assert database.query("SELECT count(*) FROM shots WHERE cluster_type = 'noise'") == [(0,)]
    assert database.query("SELECT frame_id FROM embedding") == [(f"{FILM}-00000010",)]


def test_a_table_that_became_empty_is_empty_there(publish, database, film):
    publish()
    rewrite(film, "asset", lambda t: t.clear())
    rewrite(film, "embedding", lambda t: t.clear())
    publish()
    counts = "SELECT (SELECT count(*) FROM shots), (SELECT count(*) FROM embedding)"
    assert database.query(counts) == [(0, 0)]
    pairs = "SELECT anchor_id, anchor_asset_id, label FROM training_feedback"
    assert database.query(pairs) == [(None, f"{FILM}-t0", 1)]


def test_a_table_that_the_film_does_not_have_is_left_alone_and_named(publish, database, film):
    publish()
    (film / "table" / "caption.parquet").unlink()
    done = publish()
    assert "caption" in done.missing
    assert database.query("SELECT count(*) FROM caption") == [(1,)]


def test_films_stand_side_by_side(publish, database, film, tmp_path, make_film):
    other = make_film(tmp_path, "other-99999999")
    publish()
    publish("other-99999999")
    assert database.query("SELECT film_id, count(*) FROM shots GROUP BY 1 ORDER BY 1") == [
        (FILM, 4),
        ("other-99999999", 4),
    ]
    rewrite(other, "asset", lambda t: t.head(1))
    publish("other-99999999")
    counts = "SELECT film_id, count(*) FROM asset GROUP BY 1 ORDER BY 1"
    assert database.query(counts) == [(FILM, 4), ("other-99999999", 1)]


def test_a_dry_run_counts_and_changes_nothing(publish, database):
    done = publish(is_dry_run=True)
    assert changes(done)["shots"] == (4, 0, 0)
    assert database.tables() == 0
    assert "nothing was changed" in done.to_text()


def test_a_column_that_is_new_here_is_added_there(publish, database):
    publish()
    database.run("ALTER TABLE asset DROP COLUMN doubt", "ALTER TABLE asset ADD COLUMN mine text")
    done = publish()
    assert changes(done) == {"asset": (0, 4, 0)}
    assert database.query("SELECT DISTINCT doubt, mine FROM asset") == [(0.5, None)]


def test_tables_say_what_they_are(publish, database):
    publish()
    (comment,) = database.query("SELECT obj_description('shots'::regclass, 'pg_class')")[0]
    assert comment.startswith("Diffusion Bunny: one item of the library")
    column = database.query(
        "SELECT col_description(attrelid, attnum) FROM pg_attribute "
        "WHERE attrelid = 'shots'::regclass AND attname = 'timestamp'"
    )
    assert column == [("seconds of the film",)]


def test_the_command_says_what_it_did(bunny, film, database, monkeypatch):
    monkeypatch.setenv("BUNNY_DATABASE_URL", database.address)
    schema = f"publish.schema_name={database.schema}"
    code, out, _ = bunny("publish", FILM, "--dry-run", "--set", schema)
    assert code == 0 and "4 added, 0 changed, 0 removed, of 4" in out
    assert "nothing was changed" in out and database.tables() == 0
    code, out, _ = bunny("publish", FILM, "--json", "--set", schema)
    assert code == 0
    assert json.loads(out)["changes"][0]["added"] == 4
    code, out, _ = bunny("publish", "--set", schema)
    assert (code, out.splitlines()[0]) == (0, f"{FILM}: nothing changed in the tables")
