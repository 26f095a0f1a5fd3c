"""A schema that changes has its version raised, by the committed record of the schemas."""

import json

import schema_version

from bunny.table import migration, schema

RENEW = "run python_script/schema_version.py and commit test/table/schema_version.json"


def kept():
    return json.loads(schema_version.RECORD.read_text(encoding="utf-8"))


def test_versions_are_raised_where_older_files_would_not_be_read():
    wrong = schema_version.unraised(kept(), schema_version.describe())
    advice = "raise them in schema.VERSION, add migrations to table/migration.py, then " + RENEW
    assert not wrong, "\n".join([*wrong, advice])


def test_the_record_is_of_the_schemas_of_today():
    assert kept() == schema_version.describe(), f"schemas changed: {RENEW}"


def table(version=1, key=("a",), **columns):
    return {"version": version, "key": list(key), "columns": {"a": "String", **columns}}


def test_what_breaks_older_files_is_named():
    old = table(b="Int32", c="Enum x|y", d="Float32?", e="String")
    new = table(b="Int64", c="Enum x", d="Float32", f="Boolean")
    assert schema_version.breaking_changes(old, new) == [
        "column b was Int32, is Int64",
        "column c was Enum x|y, is Enum x",
        "column d was Float32?, is Float32",
        "column e is gone",
        "column f is new and may not be null",
    ]
    keys = schema_version.breaking_changes(old, {**old, "key": ["a", "b"]})
    assert keys == ["the key was ['a'], is ['a', 'b']"]


def test_columns_that_may_be_null_and_more_values_break_nothing():
    old = table(c="Enum x|y", d="Float32")
    new = table(c="Enum x|z|y?", d="Float32?", f="Boolean?")
    assert schema_version.breaking_changes(old, new) == []


def test_a_raised_version_may_break():
    old, new = {"t": table(b="Int32")}, {"t": table(b="Int64")}
    assert schema_version.unraised(old, new) == ["t: column b was Int32, is Int64"]
    new["t"]["version"] = 2
    assert schema_version.unraised(old, new) == []


def test_the_script_leaves_the_record_as_it_is(monkeypatch, tmp_path):
    record = tmp_path / "record.json"
    monkeypatch.setattr(schema_version, "RECORD", record)
    schema_version.main()
    assert record.read_bytes() == (
        schema_version.Path(__file__).with_name("schema_version.json").read_bytes()
    )


def test_every_table_has_a_version_and_every_migration_ends_at_one_of_them():
    assert schema.VERSION.keys() == schema.TABLE.keys()
    assert min(schema.VERSION.values()) == 1
    for step in migration.MIGRATIONS:
        assert 1 <= step.from_version < step.to_version <= schema.VERSION[step.table]
    for name in migration.ALWAYS_MIGRATED:
        today = schema.VERSION[name]
        plans = [migration.plan(name, version, today) for version in range(1, today)]
        assert None not in plans, f"{name}: people made it; add a migration from each version"
    assert {*migration.FORMER_NAME} <= {*schema.TABLE}
    assert not {*migration.FORMER_NAME.values()} & {*schema.TABLE}
