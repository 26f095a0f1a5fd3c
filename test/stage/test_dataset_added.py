"""What a person added to the set: in after a rerun, nothing else changed, gone when undone."""

import polars as pl
import pytest

from bunny.contract import fingerprint as contract_fingerprint
from bunny.core.config import Config
from bunny.dataset import addition
from bunny.dataset.addition import Addition
from bunny.stage.dataset import Dataset
from bunny.table import store

SHOT_2 = Addition(addition_id="a1", character="bunny", spans=((4, 6),))


def make(film_dir, base_folder, **sections) -> Dataset:
    models = {"base_model": str(base_folder), "held_out_share": 0.3}
    return Dataset(Config.model_validate({"models": models, **sections}), film_dir, film_dir)


def run(film_dir, base_folder, **sections) -> dict[str, dict]:
    """Rows of the tables by id, files of the set with their bytes, and the note."""
    result = make(film_dir, base_folder, **sections).execute()
    tables = {name: store.read(film_dir / "table", name) for name in ("dataset", "candidate")}
    files = {path: (film_dir / path).read_bytes() for path in tables["dataset"]["file"]}
    pictures = {
        row["image_id"]: {**row, "file": files[row["file"]]} for row in tables["dataset"].to_dicts()
    }
    views = {row["subject_id"]: row for row in tables["candidate"].to_dicts()}
    return {"pictures": pictures, "views": views, "note": result.note, "status": result.status}


def change_label(film_dir, shot: int, **values) -> None:
    table = store.read(film_dir / "table", "label")
    is_it = pl.col("shot_index") == shot
    changed = {k: pl.when(is_it).then(pl.lit(v)).otherwise(k) for k, v in values.items()}
    store.write(film_dir / "table", "label", table.with_columns(**changed))


@pytest.fixture
def shot_2_small(labelled_film):
    """The film with shot 2's views too small for the set."""
    change_label(labelled_film, 2, x1_px=36.0, x0_px=20.0)
    return labelled_film


def test_added_is_in_nothing_else_changes_undone_is_undone(shot_2_small, tiny_base_folder):
    before = run(shot_2_small, tiny_base_folder)
    fingerprint = make(shot_2_small, tiny_base_folder).fingerprint()
    small = {k for k, row in before["views"].items() if row["shot_index"] == 2}
    assert {before["views"][k]["reason"] for k in small} == {"small"}

    addition.add(shot_2_small, SHOT_2)
    stage = make(shot_2_small, tiny_base_folder)
    assert not stage.can_resume()
    why = contract_fingerprint.explain(stage.record()["parts"], stage.parts())
    assert why == "added by hand None -> ['bunny: frames 4-5']"
    after = run(shot_2_small, tiny_base_folder)
    new = after["pictures"].keys() - before["pictures"].keys()
    assert {after["pictures"][k]["subject_id"] for k in new} == small
    assert {k: after["pictures"][k] for k in before["pictures"]} == before["pictures"]
    others = before["views"].keys() - small
    assert {k: after["views"][k] for k in others} == {k: before["views"][k] for k in others}
    assert all(after["views"][k]["is_chosen"] for k in small)
    assert all(after["views"][k]["detail"].startswith("added by hand; else small") for k in small)
    assert "2 of them added by hand" in after["note"]
    sides = {(r["shot_index"], r["split"]) for r in after["pictures"].values()}
    assert len(sides) == 4 and {side for _, side in sides} == {"train", "held-out"}
    assert run(shot_2_small, tiny_base_folder)["status"] == "skipped"

    addition.undo(shot_2_small, "a1", time="", user="")
    assert make(shot_2_small, tiny_base_folder).fingerprint() == fingerprint
    assert run(shot_2_small, tiny_base_folder) == before


def test_more_than_the_set_may_have_comes_on_top(shot_2_small, tiny_base_folder):
    models = {"base_model": str(tiny_base_folder), "held_out_share": 0.3, "max_images": 3}

    def make_small():
        return Dataset(Config.model_validate({"models": models}), shot_2_small, shot_2_small)

    assert make_small().execute().rows == 3
    addition.add(shot_2_small, SHOT_2)
    assert make_small().execute().rows == 5


def test_doubt_about_who_it_is_needs_a_person_who_is_sure(labelled_film, tiny_base_folder):
    change_label(labelled_film, 2, confidence=0.3)
    before = run(labelled_film, tiny_base_folder)
    addition.add(labelled_film, SHOT_2)
    assert run(labelled_film, tiny_base_folder)["pictures"] == before["pictures"]
    sure = Addition(addition_id="a2", character="bunny", spans=((4, 6),), is_sure=True)
    addition.add(labelled_film, sure)
    after = run(labelled_film, tiny_base_folder)["pictures"]
    assert {row["shot_index"] for row in after.values()} == {0, 1, 2, 3}


def test_a_look_alike_without_a_name_comes_in_and_is_no_class_picture(
    labelled_film, tiny_base_folder
):
    label = store.read(labelled_film / "table", "label")
    rows = [
        {
            **{key: row[key] for key in ("frame_id", "shot_index", "x0_px", "y0_px")},
            **{key: row[key] for key in ("x1_px", "y1_px")},
            "region_id": row["subject_id"],
            "candidate": "bunny",
            "similarity": 0.7,
            "margin": 0.05,
            "model": "m",
        }
        for row in label.to_dicts()
    ]
    store.write(labelled_film / "table", "region", store.from_rows("region", rows))
    label = label.filter(pl.col("shot_index") != 2)
    store.write(labelled_film / "table", "label", label)
    classes = {"dataset": {"num_class_images": 2}}
    before = run(labelled_film, tiny_base_folder, **classes)
    roles = {(r["role"], r["shot_index"]) for r in before["pictures"].values()}
    assert ("class", 2) not in roles and ("subject", 2) not in roles
    addition.add(labelled_film, SHOT_2)
    assert run(labelled_film, tiny_base_folder, **classes)["pictures"] == before["pictures"]
    sure = Addition(addition_id="a2", character="bunny", spans=((4, 6),), is_sure=True)
    addition.add(labelled_film, sure)
    after = run(labelled_film, tiny_base_folder, **classes)
    roles = {(r["role"], r["shot_index"]) for r in after["pictures"].values()}
    assert ("subject", 2) in roles and ("class", 2) not in roles
    added = [row for row in after["views"].values() if row["shot_index"] == 2]
    assert len(added) == 2 and all(row["is_chosen"] for row in added)


def test_other_characters_additions_change_no_picture(shot_2_small, tiny_base_folder):
    before = run(shot_2_small, tiny_base_folder)
    other = Addition(addition_id="a1", character="carl", spans=((0, 8),), is_sure=True)
    addition.add(shot_2_small, other)
    after = run(shot_2_small, tiny_base_folder)
    assert after["pictures"] == before["pictures"] and after["views"] == before["views"]


def test_a_set_that_is_all_by_hand_has_two_sides(labelled_film, tiny_base_folder):
    for shot in range(4):
        change_label(labelled_film, shot, confidence=0.3)
    assert run(labelled_film, tiny_base_folder)["pictures"] == {}
    every = Addition(addition_id="a1", character="bunny", spans=((0, 8),), is_sure=True)
    addition.add(labelled_film, every)
    after = run(labelled_film, tiny_base_folder)["pictures"]
    assert {row["split"] for row in after.values()} == {"train", "held-out"}
