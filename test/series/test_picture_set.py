"""Tables of many films read as one film's, by hand."""

from dataclasses import replace

import polars as pl
import pytest
import table_row

from bunny.core.config import Config
from bunny.core.error import UserError
from bunny.dataset import crop_selection
from bunny.dataset.addition import Addition
from bunny.dataset.crop import CropSetting
from bunny.series import picture_set
from bunny.series.picture_set import FilmTables


def film(film_id, name, names, num_shots=2, vector=(1.0, 0.0)):
    """A film with a labelled face in each frame, two frames a shot."""
    frames = [f"{film_id}-{k}" for k in range(2 * num_shots)]
    label = [
        {"subject_id": f"{one}-f00", "frame_id": one, "character": names[k % len(names)]}
        | {"shot_index": k // 2, "confidence": 1.0}
        for k, one in enumerate(frames)
    ]
    cluster = [
        {"item_id": one, "shot_index": k // 2, "cluster_id": "scene-001", "scene_id": "scene-001"}
        for k, one in enumerate(frames)
    ]
    embedding = [{"frame_id": one, "model": "m", "vector": list(vector)} for one in frames]
    rows = {"label": label, "cluster": cluster, "embedding": embedding}
    tables = {one: table_row.table(one, rows.get(one, [])) for one in picture_set.TABLES}
    return FilmTables(film_id=film_id, tables=tables, name=name)


def test_shots_are_numbered_on_and_places_and_names_kept_apart():
    films = [film("one", "anna", ["anna", "bert"]), film("two", "ann", ["ann", "anna"])]
    merged = picture_set.merge(films, "anna")
    label = merged.tables["label"].sort("frame_id")
    assert label["shot_index"].to_list() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert label["character"].to_list() == ["anna", "bert"] * 2 + ["anna", "two/anna"] * 2
    assert set(merged.tables["cluster"]["cluster_id"]) == {"one/scene-001", "two/scene-001"}
    assert [merged.film_of(shot) for shot in range(4)] == [0, 0, 1, 1]
    assert list(merged.first_shot) == [0, 2]


def test_what_people_added_to_a_films_set_counts_in_the_joint_one():
    """Spans are numbered on with the frames, places named with the film, others' left out."""
    given = [
        Addition(addition_id="a1", character="ann", spans=((1, 3),), is_sure=True),
        Addition(addition_id="a2", character="bert", spans=((0, 2),)),
        Addition(
            addition_id="a3", character="ann", spans=((0, 1),), axis="place", value="scene-001"
        ),
    ]
    measured = [{"frame_id": f"one-{k}", "frame_index": k, "shot_index": 0} for k in range(4)]
    one = film("one", "anna", ["anna"])
    frame = (
        one.tables["label"]
        .select("frame_id", "shot_index")
        .join(pl.DataFrame(measured).select("frame_id", frame_index="frame_index"), on="frame_id")
    )
    one = replace(one, tables={**one.tables, "frame": frame})
    merged = picture_set.merge([one, replace(film("two", "ann", ["ann"]), additions=given)], "anna")
    first, second = merged.additions
    assert (first.character, first.spans, first.is_sure) == ("anna", ((5, 7),), True)
    assert (second.addition_id, second.spans, second.value) == (
        "two/a3",
        ((4, 5),),
        "two/scene-001",
    )
    assert first.holds(5) and not first.holds(7)


def test_vectors_of_two_models_are_refused_and_missing_ones_are_not():
    other = film("two", "anna", ["anna"], vector=(1.0, 0.0, 0.0))
    with pytest.raises(UserError, match="vectors of the same length in all films, found 2 and 3"):
        picture_set.merge([film("one", "anna", ["anna"]), other], "anna")
    none = pl.lit(None, pl.Array(pl.Float32, 0)).alias("vector")
    embedding = other.tables["embedding"].with_columns(none)
    empty = FilmTables(film_id="two", tables={**other.tables, "embedding": embedding}, name="anna")
    merged = picture_set.merge([film("one", "anna", ["anna"]), empty], "anna")
    assert merged.tables["embedding"]["vector"].null_count() == 4


def test_which_films_are_held_out_follows_the_seed(film_tables):
    """Five films of a frame each: two fifths are held out, never the first of equals."""
    empty = film("one", "anna", ["anna"], num_shots=0).tables
    films = []
    for k, name in enumerate("abcde"):
        phash = k * 0x1111111111111111  # no two less than 16 bits apart
        own = film_tables([{"shot": 0, "frame_id": name, "who": "anna", "phash": phash}])
        films.append(FilmTables(film_id=name, tables={**empty, **own}, name="anna"))
    merged = picture_set.merge(films, "anna")
    held = []
    for seed in range(8):
        config = Config(
            models={"held_out_share": 0.4},
            dataset={"num_class_images": 0},
            seed=seed,
            filtering={"duplicate_distance": 0},
        )
        settings = crop_selection.CropSelectionSettings(
            captioning=config.captioning,
            filtering=config.filtering,
            seed=seed,
            crop=CropSetting(shapes=((1024, 1024),), dataset=config.dataset, models=config.models),
        )
        crops = picture_set.choose(merged, "anna", settings, picture_set.FILM).crops
        held.append({one.view.frame_id for one in crops if one.split == "held-out"})
    assert all(len(one) == 2 and "a" not in one for one in held)
    assert len({frozenset(one) for one in held}) > 1


def test_coverage_counts_each_film_and_all():
    rows = [
        {"file": f"{k}.png", "film_id": film_id, "image_id": str(k), "shot_index": shot}
        | {"split": side, "pose": "left", "shot_size": "wide"}
        for k, (film_id, shot, side) in enumerate(
            [("one", 0, "train"), ("one", 0, "train"), ("two", 0, "held-out")]
        )
    ]
    found = picture_set.coverage(table_row.table("library_picture", rows))
    columns = ("film_id", "pictures", "held_out", "shots", "pose left", "shot size wide")
    assert found.select(columns).rows() == [
        ("one", 2, 0, 1, 2, 2),
        ("two", 1, 1, 1, 1, 1),
        ("all", 3, 1, 2, 3, 3),
    ]
