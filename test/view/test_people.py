import polars as pl
import pytest

from bunny.character import subject as seen
from bunny.table import store
from bunny.view import tile


def test_everybody_of_a_film(space):
    """24 pictures: anna, ben, a stranger in turn; each stranger stands in a group of two."""
    table = {n: store.read(space.table, n) for n in ("label", "face", "cluster", "frame")}
    strangers = (
        table["label"]
        .filter(pl.col("character").is_null(), pl.col("subject_type") == "face")["subject_id"]
        .sort()
    )
    face = table["face"].with_columns(face_id=pl.col("face_id"))
    rows = [
        {
            "item_id": s,
            "level": "unknown",
            "shot_index": 0,
            "similarity": 0.5,
            "is_noise": False,
            "cluster_id": f"person-{i // 2 + 1:02d}",
        }
        for i, s in enumerate(strangers)
    ]
    cluster = store.from_rows("cluster", rows)
    found = seen.summarise(seen.subjects(table["label"], face, cluster, table["frame"]))
    names = found["name"].to_list()
    assert set(names[:3]) == {"anna", "ben", "bunny"} and names[3:] == sorted(names[3:])
    anna = found.row(names.index("anna"), named=True)
    assert (anna["num_faces"], anna["num_figures"], anna["num_shots"]) == (8, 0, 8)
    assert (anna["first_s"], anna["confidence"]) == (0.25, pytest.approx(0.9))
    first = found.row(3, named=True)
    assert (first["name"], first["num_faces"], first["confidence"]) == ("person-01", 2, 0.5)


def test_words_of_one_person():
    row = {"num_faces": 1, "num_figures": 0, "num_shots": 2, "first_s": 3.0, "last_s": 64.0}
    row |= {"confidence": 0.931, "is_named": True}
    assert tile.describe_person(row) == "1 face, 2 shots, 0:03–1:04, confidence 0.93"
    unknown = row | {"is_named": False, "num_figures": 3}
    assert tile.describe_person(unknown) == "1 face, 3 figures, 2 shots, 0:03–1:04, similarity 0.93"
