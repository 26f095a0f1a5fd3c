"""Which frames stage detect searches, and how."""

import numpy as np
import polars as pl
import pytest

from bunny.character import searched_frame
from bunny.character.label import ReferenceSet
from bunny.core.config import DetectionConfig
from bunny.video.extra_frame import NO_FRAMES

FRAME = pl.DataFrame(
    {"shot_index": [0, 1], "frame_index": [0, 40], "timestamp_s": [0.0, 4.0]},
    schema_overrides={"shot_index": pl.Int32},
)
MEDIUM = pl.DataFrame(
    {"shot_index": [0, 1], "is_drawn": [False, True]}, schema_overrides={"shot_index": pl.Int32}
)
SHOT = pl.DataFrame(  # two shots of four seconds at 10 frames a second
    {
        "shot_index": [0, 1],
        "first_frame_index": [0, 40],
        "end_frame_index": [40, 80],
        "start_s": [0.0, 4.0],
        "end_s": [4.0, 8.0],
        "transition_in": ["cut", "cut"],
    },
    schema_overrides={"shot_index": pl.Int32},
)


def references(**is_drawn: bool | None) -> pl.DataFrame:
    """Usable pictures without a face, by id."""
    rows = {"reference_id": list(is_drawn), "is_drawn": list(is_drawn.values())}
    known = pl.DataFrame(rows, schema_overrides={"is_drawn": pl.Boolean})
    return known.with_columns(route=pl.lit("region"), error=pl.lit(None, pl.String))


def split(known: pl.DataFrame, **wanted) -> tuple[list[int], list[int]]:
    both = searched_frame.split_frames(FRAME, known, MEDIUM, DetectionConfig(**wanted))
    return tuple(part["shot_index"].to_list() for part in both)


def test_windows_search_photographed_shots_and_figures_drawn_ones():
    assert split(references(cat=False, bunny=True)) == ([0], [1])
    assert split(references(cat=None)) == ([0], [1])  # not judged counts as photographed
    assert split(references(bunny=True)) == ([], [1])
    assert split(references()) == ([], [1])
    assert split(references(cat=False), is_drawn_enabled=False) == ([], [])


@pytest.mark.parametrize("named", ["drawn_detector", "drawn_embedding"])
def test_a_named_model_searches_every_frame_for_every_reference(named):
    both, wanted = references(cat=False, bunny=True), DetectionConfig(**{named: "somebody/model"})
    assert split(both, **{named: "somebody/model"}) == ([0, 1], [])
    assert split(references(), **{named: "somebody/model"}) == ([], [])
    assert searched_frame.window_references(both, wanted)["reference_id"].to_list() == [
        "cat",
        "bunny",
    ]
    plain = searched_frame.window_references(both, DetectionConfig())
    assert plain["reference_id"].to_list() == ["cat"]


def test_models_of_drawn_shots_compare_with_drawn_references():
    known = references(cat=False, bunny=True, owl=None)
    assert searched_frame.drawn_references(known)["reference_id"].to_list() == ["bunny"]


def test_a_bad_reference_is_compared_with_nothing():
    bad = references(cat=False).with_columns(error=pl.lit("found 2 faces"))
    assert split(bad) == ([], [1])
    assert searched_frame.window_references(bad, DetectionConfig()).is_empty()


def between(face: str = "", drawn: str = "", **wanted) -> tuple[list[int], list[int]]:
    cast = ReferenceSet(
        face={face: np.ones((1, 2), np.float32)} if face else {},
        drawn=frozenset([drawn] if drawn else []),
        num_pictured=1,
    )
    both = searched_frame.choose_between(SHOT, FRAME, cast, MEDIUM, FRAME[1:], **wanted)
    assert all(part.schema == NO_FRAMES.schema for part in both)
    return tuple(part["frame_index"].to_list() for part in both)


def test_frames_between_are_a_second_apart_in_the_shots_that_are_searched():
    assert between("anna", "bunny", interval_s=1.0) == ([10, 20, 30], [50, 60, 70])
    assert between("anna", interval_s=1.0) == ([10, 20, 30], [])
    assert between(drawn="bunny", interval_s=1.0) == ([], [50, 60, 70])
    assert between(interval_s=1.0) == ([], [])  # nobody is looked for
    assert between("anna", "bunny", interval_s=0.0) == ([], [])


def test_a_span_alone_is_searched_at_its_own_interval():
    assert between("anna", "bunny", interval_s=0.0, dense=[(0, 1, 2.0)]) == ([20], [])
