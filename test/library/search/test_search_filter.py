"""Filters, on the film of conftest."""

import polars as pl
import pytest
import table_row

from bunny.command import search
from bunny.core.error import UserError
from bunny.library.search import ranking
from bunny.library.search.ranking import SearchFilter


@pytest.fixture
def known(meadow):
    return search.open_library().known


def shots(known, **wanted):
    rows = known.frame.filter(ranking.allowed(SearchFilter(**wanted), known))
    return sorted(rows["shot_index"].unique())


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, [0, 1, 2, 3]),
        ({"who": ("bunny",)}, [0, 2]),
        ({"who": ("bunny", "bruno")}, [2]),
        ({"without": ("bunny",)}, [1, 3]),
        ({"who": ("bruno",), "without": ("bunny",)}, [1]),
        ({"light": ("night",)}, [1]),
        ({"light": ("night", "day")}, [0, 1, 2, 3]),
        ({"place": ("scene-001",)}, [0, 2]),
        ({"place": ("Place-002",)}, [1]),
        ({"shot_size": ("close-up",)}, [0, 1, 2]),  # boxes as high as the picture
        ({"shot_size": ("wide",)}, []),
        ({"start_s": 6.0}, [1, 2, 3]),  # the second frame of shot 1 is at 6.0
        ({"end_s": 4.0}, [0]),  # half-open
        ({"start_s": 4.0, "end_s": 8.0}, [1]),
        ({"min_sharpness": 0.8}, [0, 2, 3]),
        ({"is_approved": True}, []),
    ],
)
def test_filter(known, wanted, found):
    assert shots(known, **wanted) == found


def test_approved_and_named_places_come_from_assets(meadow):
    rows = [
        {"asset_id": f"s{n}", "shot_index": n, "timestamp_s": 4.0 * n, "cluster_id": cluster}
        | {"name": name, "source": source, "is_approved": n == 2}
        for n, cluster, name, source in (
            (0, "scene-001", "Meadow", "machine"),
            (1, "scene-001", "Meadow", "person"),  # somebody moved it there
            (2, "scene-001", "Meadow", "machine"),
            (3, None, None, "machine"),
        )
    ]
    table_row.write(meadow.table, "asset", rows)
    known = search.open_library().known
    assert shots(known, is_approved=True) == [2]
    assert shots(known, place=("meadow",)) == [0, 1, 2]
    assert shots(known, place=("scene-002",)) == []
    assert known.shot["asset_id"].to_list() == ["s0", "s1", "s2", "s3"]
    assert known.frame.filter(pl.col("shot_index") == 1)["sentence"][0].endswith(", Meadow")


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"who": ("bunny", "zoe")}, "--who zoe: expected one of bruno, bunny"),
        ({"without": ("Bunny",)}, "--without Bunny: expected one of bruno, bunny"),
        ({"place": ("beach",)}, "--place beach: expected one of scene-001, scene-002"),
        ({"shot_size": ("tiny",)}, "--shot-size tiny: expected one of close-up, medium, wide"),
        ({"light": ("noon",)}, "--light noon: expected one of day, dusk, night"),
        ({"start_s": 5.0, "end_s": 4.0}, "--from 5 --to 4: the start must be before"),
    ],
)
def test_what_is_not_there_is_refused(known, wanted, words):
    with pytest.raises(UserError, match=words):
        ranking.check(SearchFilter(**wanted), known)


def test_an_empty_filter_knows_it():
    assert SearchFilter().is_empty() and not SearchFilter(is_approved=True).is_empty()
    assert not SearchFilter(start_s=0.0).is_empty()
