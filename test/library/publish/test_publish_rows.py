"""Types, keys and ids of the database's rows; no server is needed."""

import uuid

import polars as pl
import pytest
import table_row

from bunny.library.publish import rows
from bunny.library.publish import schema as publish_schema
from bunny.table import schema, store

FILM = "film-0a1b2c3d"


def shot(index, **values):
    times = {"first_frame_index": 10 * index, "end_frame_index": 10 * index + 10}
    ids = {"asset_id": f"{FILM}-s{index}", "shot_index": index, "frame_id": f"f{index}"}
    return table_row.fill("asset", values, timestamp_s=0.4 * index, **ids, **times)


def made(*assets):
    frame = pl.DataFrame({"frame_id": ["f0"], "frame_index": [3], "file": ["frame/3.jpg"]})
    return rows.shots(FILM, store.from_rows("asset", assets), frame)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (pl.String(), "text"),
        (pl.Enum(["a"]), "text"),
        (pl.UInt8(), "smallint"),
        (pl.UInt32(), "bigint"),
        (pl.UInt64(), "numeric(20,0)"),
        (pl.Array(pl.Float32, 3), "real[]"),
        (pl.List(pl.String), "text[]"),
        (pl.List(pl.Struct({"a": pl.Int8})), "jsonb"),
        (pl.List(pl.List(pl.Float32)), "jsonb"),
    ],
)
def test_each_type_has_one_that_holds_all_its_values(dtype, expected):
    assert publish_schema.postgres_type(dtype) == expected


def test_a_type_nobody_declared_is_refused_by_name():
    with pytest.raises(TypeError, match="Duration"):
        publish_schema.postgres_type(pl.Duration())


def test_every_table_of_a_film_has_its_place_with_the_film_in_its_key():
    targets = publish_schema.targets()
    assert set(schema.TABLE) - {"search_vector"} == targets.keys() & set(schema.TABLE)
    assert targets["shot"].key == ("film_id", "shot_index")
    assert targets["embedding"].key == ("film_id", "frame_id", "model")
    assert targets["film"].names().count("film_id") == 1
    types = {c.name: c.type for c in targets["training_run"].columns}
    assert (types["config_json"], types["seed"]) == ("jsonb", "bigint")


def test_shots_begin_with_the_columns_that_dashboards_expect():
    assert publish_schema.SHOTS_TARGET.names()[:8] == [
        "id",
        "shot_id",
        "keyframe_path",
        "frame_index",
        "cluster_type",
        "cluster_id",
        "similarity_score",
        "timestamp",
    ]


def test_an_item_is_a_scene_a_character_or_noise():
    figure = shot(0, asset_id="t0", level="character", cluster_id="anna", x0_px=1.0)
    table = made(shot(0, cluster_id="scene-1"), shot(1), figure).sort("asset_id")
    assert table["cluster_type"].to_list() == ["scene", "noise", "character"]
    assert table["shot_id"].to_list() == [f"{FILM}-s0", f"{FILM}-s1", f"{FILM}-s0"]
    assert table["keyframe_path"].to_list() == ["frame/3.jpg", None, "frame/3.jpg"]


def test_ids_are_made_of_what_an_item_is_and_not_of_its_cluster_or_name():
    one = made(shot(0, cluster_id="scene-1"))["id"][0]
    other = made(shot(0, cluster_id="scene-9", asset_id="renamed", comments=4))["id"][0]
    assert one == other == str(uuid.uuid5(rows.NAMESPACE, f"{FILM}/scene/0/10//////1"))
    assert made(shot(0, end_frame_index=11))["id"][0] != one


def test_two_figures_in_one_place_have_two_ids():
    box = {"level": "character", "x0_px": 1.0, "y0_px": 1.0, "x1_px": 2.0, "y1_px": 2.0}
    table = made(shot(0, asset_id="a", **box), shot(0, asset_id="b", **box))
    assert table["id"].n_unique() == 2


def test_pairs_point_at_the_shots_and_keep_names_of_items_that_are_gone():
    shots = made(shot(0), shot(1))
    pairs = store.from_rows(
        "training_feedback",
        [
            {
                "anchor_id": f"{FILM}-s0",
                "positive_id": "gone",
                "label": 0,
                "level": "scene",
                "event_id": "e",
            }
        ],
    )
    table = rows.training_feedback(FILM, pairs, shots)
    ids = dict(shots.select("asset_id", "id").iter_rows())
    assert table.select("anchor_id", "positive_id", "positive_asset_id").row(0) == (
        ids[f"{FILM}-s0"],
        None,
        "gone",
    )


@pytest.mark.parametrize(
    "path", ["/home/anna/film.mp4", "C:\\Users\\anna\\film.mp4", "film.mp4", "~/a b/film.mp4"]
)
def test_folders_of_a_persons_machine_stay_there(path):
    table = pl.DataFrame({"path": [path], "film_id": [FILM]})
    assert rows.of_film(FILM, "film", table)["path"].to_list() == ["film.mp4"]


def test_what_travels_has_types_that_the_driver_sends():
    target = publish_schema.targets()["quality"]
    table = pl.DataFrame(
        {"film_id": [FILM], "phash": pl.Series([2**64 - 1], dtype=pl.UInt64), "reason": ["a\0b"]}
    )
    sent = rows.for_transport(table, target)
    assert sent.columns == target.names()
    assert sent.select("phash", "reason", "blur_score").row(0) == (str(2**64 - 1), "a�b", None)


def test_nested_values_travel_as_json_without_nul():
    column = publish_schema.PostgresColumn(name="x", type="jsonb")
    target = publish_schema.PostgresTable(name="t", columns=(column,), key=("x",), comment="")
    nested = pl.DataFrame({"x": [[{"a": "b\0"}], []]})
    assert rows.for_transport(nested, target)["x"].to_list() == ['[{"a": "b\\ufffd"}]', "[]"]
    text = pl.DataFrame({"x": ['{"a": "\\u0000"}']})
    assert rows.for_transport(text, target)["x"].to_list() == ['{"a": "\\ufffd"}']
