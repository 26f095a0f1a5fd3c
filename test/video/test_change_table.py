"""Table change: shots decided over it are those of a new decode."""

import math
from fractions import Fraction

import mixed_film
import polars as pl
import pytest
import table_row

from bunny.core.config import ExtractionConfig
from bunny.table import store
from bunny.video import change_table, probe
from bunny.video.decode import Tally
from bunny.video.frame_selection import select_frames
from bunny.video.selection_event import ShotEnd

THRESHOLDS = (0.5, 0.75, 1.0, 2.0, 2.5, 3.0, 6.0)


@pytest.fixture(scope="module")
def info(tmp_path_factory):
    return probe.probe(mixed_film.write(tmp_path_factory.mktemp("film") / "mixed.mkv"))


def _extract(info, **setting):
    setting = ExtractionConfig(**setting)
    events = [e for e in select_frames(info, setting, Tally()) if isinstance(e, ShotEnd)]
    return [e.found for e in events], pl.concat([e.change for e in events])


@pytest.fixture(scope="module")
def change(info):
    return _extract(info)[1]


def test_a_row_a_frame(info, change):
    num_frames = sum(length for _, length, _ in mixed_film.SHOTS)
    num_frames += 3 * mixed_film.MIX + 2 * 2 * mixed_film.DARK
    assert change["frame_index"].to_list() == list(range(num_frames))
    assert change["pts"].to_list() == [500 + 41 * i for i in range(num_frames)]
    assert change["cut_score"].null_count() == 1 and change["cut_score"][0] is None
    assert change["cut_score"][70] > 2.0 and change["cut_veto"][70] == "none"
    assert set(change["frame_bytes"]) != {0}
    named = change.with_columns(film_id=pl.lit("film"), timestamp_s=pl.lit(0.0))
    assert store.check("change", named).height == num_frames


@pytest.mark.parametrize(
    ("threshold", "least"),
    [*((t, 4) for t in THRESHOLDS), (0.5, 1), (1.0, 10), (1.0, 45), (2.5, 45), (0.5, 200)],
)
def test_decided_shots_are_those_of_a_new_decode(info, change, threshold, least):
    setting = {"cut_threshold": threshold, "min_shot_frames": least}
    found, again = _extract(info, **setting)
    assert change_table.decide_shots(change, ExtractionConfig(**setting), info.rate) == found
    assert again.equals(change)


def test_thresholds_matter(info, change):
    def num_shots(**setting):
        return len(change_table.decide_shots(change, ExtractionConfig(**setting), info.rate))

    counts = [num_shots(cut_threshold=t) for t in THRESHOLDS]
    assert counts == sorted(counts, reverse=True) and len(set(counts)) > 3
    kinds = change_table.decide_shots(change, ExtractionConfig(), info.rate)
    assert {shot.transition_in for shot in kinds} == {"start", "cut", "fade", "dissolve"}
    assert num_shots(min_shot_frames=45) < num_shots()


def test_below_what_was_measured_is_refused(info, change):
    with pytest.raises(ValueError, match=r"at least 0\.5, .*, got 0\.49;"):
        change_table.decide_shots(change, ExtractionConfig(cut_threshold=0.49), info.rate)


def test_a_film_extracted_below_it_is_measured_as_far(info):
    found, change = _extract(info, cut_threshold=0.2)
    assert len(found) >= len(change_table.decide_shots(change, ExtractionConfig(), info.rate))
    assert change.filter(pl.col("cut_score") >= 0.2)["cut_veto"].ne("unmeasured").all()


def test_no_frames_no_shots():
    assert (
        change_table.decide_shots(store.from_rows("change", []), ExtractionConfig(), Fraction(24))
        == []
    )


def test_a_film_of_one_frame():
    row = table_row.fill("change", frame_bytes=1, contrast=0.1, brightness=0.5)
    (shot,) = change_table.decide_shots(
        store.from_rows("change", [row]), ExtractionConfig(), Fraction(0)
    )
    assert (shot.first_frame_index, shot.end_frame_index, shot.motion) == (0, 1, 0.0)
    assert math.isclose(shot.motion, 0)
