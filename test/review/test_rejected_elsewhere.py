"""What people of other films rejected, as it holds here: by vectors in a plane."""

import numpy as np
import polars as pl
import pytest
import table_row

from bunny.review import rejected_elsewhere
from bunny.review.learn import item, triplet
from bunny.table import store


def unit(degrees):
    return [float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees)))]


def assets(clusters):
    """Figures f0, f1, …, each in a shot of its own."""
    return table_row.table(
        "asset",
        [
            {"asset_id": f"f{k}", "level": "character", "shot_index": k, "doubt": 0.4}
            | {"cluster_id": cluster, "machine_cluster_id": cluster}
            for k, cluster in enumerate(clusters)
        ],
    )


def vectors(angles, model="net"):
    rows = [
        {"asset_id": f"f{k}", "model": model, "vector": unit(angle)}
        for k, angle in enumerate(angles)
    ]
    return store.from_rows("figure_vector", rows)


def rejected(*angles, name="anna", model="net"):
    rows = [
        {
            "said_in": "other",
            "asset_id": f"t{k}",
            "character": name,
            "model": model,
            "vector": unit(angle),
        }
        for k, angle in enumerate(angles)
    ]
    return store.from_rows("rejected_elsewhere", rows)


def references(*angles, model="net"):
    rows = [
        {
            "reference_id": f"anna/{k}.png",
            "character": "anna",
            "content_hash": "0",
            "route": "face",
            "num_faces": 1,
            "recogniser": model,
            "face_embedding": unit(angle),
        }
        for k, angle in enumerate(angles)
    ]
    return store.from_rows("reference", rows)


NONE = store.from_rows("reference", [])


@pytest.mark.parametrize(
    ("angle", "found"), [(80, {}), (30, {"f2": {"anna"}}), (11, {"f1": {"anna"}, "f2": {"anna"}})]
)
def test_a_face_is_held_against_the_reference_pictures(angle, found):
    """A reference at 0 degrees; faces at 4, 6 and 20; what is nearer to `angle` is not Anna."""
    asset, own = assets(["anna"] * 3), vectors([4, 6, 20])
    assert rejected_elsewhere.find(asset, own, references(0), rejected(angle)) == found


def test_a_figure_is_held_against_the_others_of_its_cluster_and_one_alone_stays():
    asset, own = assets(["anna", "anna", "anna", "bert"]), vectors([0, 4, 30, 31])
    found = rejected_elsewhere.find(asset, own, NONE, rejected(32))
    assert found == {"f2": {"anna"}, "f3": {"anna"}}  # nor does it come in by what is learned
    alone = assets(["anna", "bert", "bert", "bert"])
    assert "f0" not in rejected_elsewhere.find(alone, own, NONE, rejected(1))


def test_other_models_and_characters_that_are_not_there_say_nothing():
    asset, own = assets(["anna", "anna"]), vectors([0, 10])
    for said in (rejected(10, model="other"), rejected(10, name="carl")):
        assert not rejected_elsewhere.find(asset, own, NONE, said).get("f1", set()) & {"anna"}


def test_what_other_films_rejected_is_learned_from_as_if_it_were_rejected_here():
    """Anna's two are confirmed; the other film's figure is the negative of their triplets."""
    asset = assets(["anna", "anna", "bert"]).with_columns(
        is_approved=pl.Series([True, True, False])
    )
    own = vectors([0, 10, 90])
    without = triplet.collect_triplets(item.collect(asset, own)["character", "net"])
    more, longer = rejected_elsewhere.add_examples(asset, own, rejected(20))
    items = item.collect(more, longer)["character", "net"]
    place = items.asset_id.index("other/t0")
    assert [(row, items.clusters[c]) for row, c in np.argwhere(items.barred)] == [(place, "anna")]
    made = triplet.collect_triplets(items)
    anchors = {items.asset_id[k] for k in made[made[:, 2] == place][:, 0]}
    assert anchors == {"f0", "f1"} and len(made) > len(without)
    assert not items.is_said[place] and items.start[place] == item.NOBODY
    for said in (rejected(20, name="carl"), rejected()):
        assert rejected_elsewhere.add_examples(asset, own, said)[0].height == 3


def test_what_is_learned_puts_nothing_where_another_film_says_it_is_not():
    asset = assets(["anna", "bert"])
    barred = {"f0": {"anna", "carl"}, "f1": {"anna"}}
    found = rejected_elsewhere.bar(asset, barred)["rejected_from"].to_list()
    assert found == [["carl"], ["anna"]]  # f0 is in it by a person's word
