"""Tables of other schema versions: migrated, read under a former name, or refused."""

import polars as pl
import pytest

from bunny.core import exit_code
from bunny.table import corrected, migration, schema, store
from bunny.table.migration import Migration


def step(first, last, change=lambda frame: frame, table="caption"):
    return Migration(table=table, from_version=first, to_version=last, change=change)


def test_the_plan_goes_step_by_step_and_takes_the_longest():
    known = [step(1, 2), step(2, 3), step(3, 4), step(2, 4), step(1, 9), step(1, 4, table="face")]
    planned = migration.plan("caption", 1, 4, known)
    assert [(one.from_version, one.to_version) for one in planned] == [(1, 2), (2, 4)]
    assert migration.plan("caption", 4, 4, known) == ()


@pytest.mark.parametrize("found", [0, 3, 5])
def test_where_no_steps_lead_there_is_no_plan(found):
    assert migration.plan("caption", found, 4, [step(1, 4), step(3, 5)]) is None


def write_raw(folder, name, frame, version=None):
    """A file as another version wrote it."""
    about = None if version is None else {store.VERSION_KEY: str(version)}
    folder.mkdir(exist_ok=True)
    frame.write_parquet(folder / f"{name}.parquet", metadata=about)


def test_a_version_is_in_the_file_and_is_1_where_it_is_not(tmp_path):
    path = store.write(tmp_path, "film", store.from_rows("film", []))
    about = pl.read_parquet_metadata(path)
    assert (about["bunny.table"], about["bunny.schema_version"]) == ("film", "2")
    assert store.read_version(path) == 2
    write_raw(tmp_path, "shot", store.from_rows("shot", []))
    assert store.read_version(tmp_path / "shot.parquet") == 1


def test_the_first_films_are_read_with_what_they_did_not_say(tmp_path):
    film = store.from_rows("film", []).drop("is_mirrored", "stream_index")
    write_raw(tmp_path, "film", film)
    assert store.read(tmp_path, "film").columns == schema.TABLE["film"].column_names()
    write_raw(tmp_path, "film", film, version=2)
    with pytest.raises(store.DamagedTableError, match="is_mirrored, stream_index"):
        store.read(tmp_path, "film")


def test_a_newer_table_is_refused_with_what_to_do(tmp_path):
    write_raw(tmp_path, "shot", store.from_rows("shot", []), version=4)
    with pytest.raises(store.TableVersionError) as refused:
        store.read(tmp_path, "shot")
    said = str(refused.value)
    assert "expected version 1 of table shot, found version 4" in said
    assert "update this one" in said and exit_code.of_error(refused.value) == 2
    for ask in (store.scan, store.check_not_newer, store.read_or_empty):
        with pytest.raises(store.TableVersionError):
            ask(tmp_path, "shot")


def test_an_older_one_that_nothing_leads_from_is_to_be_made_again(tmp_path, monkeypatch):
    write_raw(tmp_path, "shot", store.from_rows("shot", []))
    monkeypatch.setitem(schema.VERSION, "shot", 2)
    with pytest.raises(store.TableVersionError, match=r"found version 1; .*run the film again"):
        store.read(tmp_path, "shot")
    store.check_not_newer(tmp_path, "shot")  # its stage may write over it


def test_a_version_that_is_no_number_is_damage(tmp_path):
    write_raw(tmp_path, "shot", store.from_rows("shot", []), version="two")
    with pytest.raises(store.DamagedTableError, match="delete it and run the film again"):
        store.read(tmp_path, "shot")


def test_steps_are_applied_in_order_and_their_failure_is_one_sentence(tmp_path, monkeypatch):
    rows = store.from_rows("feedback", []).rename({"text": "words"})
    write_raw(tmp_path, "feedback", rows)
    monkeypatch.setitem(schema.VERSION, "feedback", 3)
    steps = (
        step(1, 2, lambda frame: frame.rename({"words": "said"}), "feedback"),
        step(2, 3, lambda frame: frame.rename({"said": "text"}), "feedback"),
    )
    monkeypatch.setattr(migration, "MIGRATIONS", steps)
    assert store.read(tmp_path, "feedback").columns == schema.TABLE["feedback"].column_names()
    assert store.scan(tmp_path, "feedback").collect().columns[:2] == rows.columns[:2]
    write_raw(tmp_path, "feedback", rows.rename({"words": "other"}))
    with pytest.raises(store.DamagedTableError, match="delete it and run the film again"):
        store.read(tmp_path, "feedback")


def test_a_column_that_was_renamed_retyped_and_split_arrives(tmp_path, monkeypatch):
    name = "shot_medium"
    row = {"shot_index": 3, "num_frames": 2, "drawn_probability": 0.75, "is_drawn": True}
    whole = store.from_rows(name, [row])
    first = whole.select(shot=pl.col("shot_index").cast(pl.String), said=pl.lit("drawn 0.75"))
    rest = whole.drop("shot_index", "is_drawn", "drawn_probability")
    write_raw(tmp_path, name, first.hstack(rest))

    def rename(frame):
        return frame.rename({"shot": "shot_index"}).cast({"shot_index": pl.Int32})

    def split(frame):
        words = pl.col("said").str.split(" ").list
        return frame.with_columns(
            is_drawn=words.get(0) == "drawn", drawn_probability=words.get(1).cast(pl.Float32)
        ).drop("said")

    monkeypatch.setitem(schema.VERSION, name, 3)
    steps = (step(1, 2, rename, name), step(2, 3, split, name))
    monkeypatch.setattr(migration, "MIGRATIONS", steps)
    table = store.read(tmp_path, name)
    assert table.columns == schema.TABLE[name].column_names() and table.equals(whole)


def label_rows(source):
    return store.from_rows("label_corrected", []).with_columns(
        pl.lit(source, pl.Enum(["reference", "cluster", "person"])).alias("source")
    )


def test_a_table_is_found_by_its_former_name_until_it_is_written(tmp_path):
    write_raw(tmp_path, "identity", label_rows("person"))
    assert store.exists(tmp_path, "label_corrected")
    assert corrected.table_name(tmp_path, "label") == "label_corrected"
    table = store.read(tmp_path, "label_corrected")
    assert table.schema["source"] == schema.TABLE["label_corrected"].columns()["source"].dtype
    store.write(tmp_path, "label_corrected", table)
    assert [path.name for path in tmp_path.iterdir()] == ["label_corrected.parquet"]


def test_values_that_an_enum_does_not_have_are_refused(tmp_path):
    other = store.from_rows("shot", []).cast({"kind": pl.String})
    one = pl.DataFrame({c: ["panned" if c == "kind" else None] for c in other.columns})
    write_raw(tmp_path, "shot", one.cast({"kind": pl.Enum(["panned"])}))
    with pytest.raises(store.DamagedTableError, match="values of table shot in columns"):
        store.read(tmp_path, "shot")
