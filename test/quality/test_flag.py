"""Decisions from stored measures."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bunny.core.config import FilteringConfig
from bunny.quality.flag import count_reasons, flag
from bunny.quality.reason import sharpness_expr
from bunny.table import store

GOOD = {"blur_score": 0.5, "brightness": 0.5, "contrast": 0.2}


def _measure(*rows):
    """A measure table; hashes differ by default."""
    full = []
    for index, row in enumerate(rows):
        phash = int("10" * 32, 2) ^ (2**64 - 1 if index % 2 else 0) ^ (0xFF << 8 * (index % 8))
        full.append({"frame_id": f"f-{index:08d}", "phash": phash, **GOOD, **row})
    return store.from_rows("measure", full)


def _flag(table, **threshold):
    return flag(table.lazy(), FilteringConfig(**threshold)).collect()


def _reasons(*rows, **threshold):
    return _flag(_measure(*rows), **threshold)["reason"].to_list()


def test_each_reason_in_its_order():
    rows = (
        {},
        {"blur_score": 0.16},
        {"brightness": 0.05, "blur_score": 0.0},
        {"brightness": 0.97},
        {"contrast": 0.02, "blur_score": 0.0},
        {"error": "no picture", "brightness": 0.0},
        {"blur_score": None},
    )
    wanted = ["kept", "blurred", "dark", "bright", "flat", "unreadable", "unreadable"]
    assert _reasons(*rows, min_contrast=0.03) == wanted


def test_exactly_at_a_threshold_is_kept():
    rows = ({"blur_score": 0.17}, {"brightness": 0.06}, {"brightness": 0.96}, {"contrast": 0.03})
    assert _reasons(*rows, min_contrast=0.03) == ["kept"] * 4


SIDES = {"content_x0_px": 0, "content_y0_px": 40, "content_x1_px": 400, "content_y1_px": 100}


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        ({"smear": 0.2, "contrast": 0.12}, 0.2),  # nothing to correct
        ({"smear": 0.4}, 0.12065),  # odds 0.25 exp(-0.6)
        ({"smear": 0.9}, 0.09226),  # no more than at 0.5: odds 0.25 exp(-0.9)
        (SIDES, 0.14793),  # 400 of 480 px: odds 0.25 / 1.44
        ({**SIDES, "content_x1_px": 64}, 0.1),  # no less than of 320 px: odds 0.25 / 2.25
        ({**SIDES, "content_x1_px": 3840}, 0.2),
        ({"contrast": 0.06}, 1 / 3),  # odds 0.25 * 2
        ({"contrast": 0.001}, 0.5),  # odds 0.25 * 4
        ({"blur_score": 1.0, "smear": 0.9}, 1.0),
        ({"blur_score": 0.0, "contrast": 0.01}, 0.0),
    ],
)
def test_sharpness_corrects_the_score(row, wanted):
    table = _measure({"blur_score": 0.2, **row})
    assert table.select(sharpness_expr(table.columns)).item() == pytest.approx(wanted, abs=1e-5)


def test_sharpness_is_the_score_where_nothing_else_was_measured():
    table = pl.DataFrame({"blur_score": [0.3, None]}, schema={"blur_score": pl.Float32})
    assert table.select(sharpness_expr(table.columns))["sharpness"].to_list() == [
        pytest.approx(0.3),
        None,
    ]


def test_a_moved_frame_is_blurred_though_its_score_passes():
    assert _reasons({"blur_score": 0.2, "smear": 0.2}, {"blur_score": 0.2, "smear": 0.5}) == [
        "kept",
        "blurred",
    ]


def test_the_table_fits_its_schema_and_has_every_row():
    table = _flag(_measure({}, {"blur_score": 0.0}))
    checked = store.check("quality", table)
    assert checked["is_kept"].to_list() == [True, False]
    assert checked["duplicate_of"].to_list() == [None, None]


def test_no_rows():
    table = _flag(_measure())
    assert table.height == 0
    assert store.check("quality", table).height == 0
    assert count_reasons(table.lazy()).collect().height == 0


def test_duplicates_name_the_frame_that_stays():
    rows = ({"phash": 0, "blur_score": 0.4}, {"phash": 0b1111, "blur_score": 0.6}, {"phash": 2**40})
    table = _flag(_measure(*rows), duplicate_distance=4)
    # The third is 1 bit from the first, which goes, and 5 from the second, which stays.
    assert table["reason"].to_list() == ["duplicate", "kept", "kept"]
    assert table["duplicate_of"].to_list() == ["f-00000001", None, None]
    assert _flag(_measure(*rows[:2]), duplicate_distance=3)["is_kept"].to_list() == [True, True]


def test_a_bad_frame_is_nobodys_duplicate():
    rows = ({"phash": 5, "blur_score": 0.1}, {"phash": 5, "blur_score": 0.5})
    table = _flag(_measure(*rows))
    assert table["reason"].to_list() == ["blurred", "kept"]
    assert table["duplicate_of"].to_list() == [None, None]


def test_best_of_batch():
    rows = [{"blur_score": s} for s in (0.3, 0.9, 0.5, 0.6, 0.4, 0.35, 0.3)]
    reasons = _reasons(*rows, batch_size=3, duplicate_distance=0)
    assert reasons == ["batch", "kept", "batch", "kept", "batch", "batch", "kept"]
    reasons = _reasons(*rows, batch_size=3, keep_best_per_batch=2, duplicate_distance=0)
    assert reasons == ["batch", "kept", "kept", "kept", "kept", "batch", "kept"]


def test_batches_do_not_move_when_other_thresholds_do():
    rows = [{"blur_score": s} for s in (0.3, 0.9, 0.5, 0.6)]
    reasons = _reasons(*rows, batch_size=2, blur_threshold=0.95, duplicate_distance=0)
    assert reasons == ["blurred"] * 4
    reasons = _reasons(*rows, batch_size=2, blur_threshold=0.4, duplicate_distance=0)
    assert reasons == ["blurred", "kept", "batch", "kept"]


def test_counts():
    table = _flag(_measure({}, {"blur_score": 0.0}, {"blur_score": 0.1}, {}), duplicate_distance=0)
    counts = count_reasons(table.lazy()).collect()
    assert dict(counts.iter_rows()) == {"kept": 2, "blurred": 2}


def test_it_stays_lazy_and_keeps_other_columns():
    lazy = flag(_measure({}).lazy().with_columns(extra=pl.lit(1)), FilteringConfig())
    assert isinstance(lazy, pl.LazyFrame)
    assert lazy.select("extra", "is_kept").collect().row(0) == (1, True)
    assert lazy.filter(pl.col("is_kept")).head(1).collect().height == 1


@pytest.mark.parametrize("low", [0.0, 0.3])
@settings(max_examples=20, deadline=None)
@given(scores=st.lists(st.floats(0, 1, width=32), max_size=12), step=st.floats(0, 0.5))
def test_a_stricter_blur_threshold_never_calls_more_frames_sharp(low, scores, step):
    table = _measure(*({"blur_score": s} for s in scores))
    sharp = [
        set(_flag(table, blur_threshold=t).filter(pl.col("reason") != "blurred")["frame_id"])
        for t in (low, low + step)
    ]
    assert sharp[1] <= sharp[0]


def test_frames_that_are_no_pictures_are_dropped():
    card = {"dynamic_range": 0.9, "background_share": 0.95}
    rows = (
        {"text_lines": 1, **card},
        {"text_lines": 6, **card},
        {"text_lines": 0, "dynamic_range": 0.01, "background_share": 1.0, "brightness": 0.01},
        {"text_lines": 0, "dynamic_range": 0.01, "background_share": 1.0, "brightness": 0.5},
        {"text_lines": 1, "dynamic_range": 0.9, "background_share": 0.3},
    )
    assert _reasons(*rows) == ["title", "credit", "black", "blank", "kept"]
    kept = _reasons(*rows, drop_kinds=("credit",))
    assert kept == ["kept", "credit", "dark", "kept", "kept"]


def test_smear_blocks_and_subtitles_are_let_pass_until_asked_for():
    rows = ({"smear": 0.7}, {"blockiness": 0.6}, {"subtitle_share": 0.05})
    assert _reasons(*rows) == ["kept"] * 3
    strict = {"max_smear": 0.6, "max_blockiness": 0.5, "max_subtitle_share": 0.01}
    assert _reasons(*rows, **strict) == ["smeared", "blocky", "subtitled"]
    at = {"max_smear": 0.7, "max_blockiness": 0.6, "max_subtitle_share": 0.05}
    assert _reasons(*rows, **at) == ["kept"] * 3


def test_measures_of_older_films_lack_the_newer_columns():
    old = ["frame_id", "blur_score", "brightness", "contrast", "phash", "error"]
    table = _flag(_measure({"phash": 1}, {"phash": 0}).select(old), max_smear=0.1)
    assert table["reason"].to_list() == ["kept", "duplicate"]
    assert table["duplicate_similarity"].to_list() == [None, None]


def test_a_group_is_recorded_on_the_frame_that_stays_too():
    rows = (
        {"phash": 0, "blur_score": 0.4},
        {"phash": 0b11, "blur_score": 0.6},
        {"phash": 2**40 - 1},
    )
    table = _flag(_measure(*rows))
    assert table["duplicate_group"].to_list() == ["f-00000001", "f-00000001", None]
    assert table["duplicate_bits"].to_list() == [2, None, None]


def test_pictures_that_differ_are_no_duplicates_whatever_their_hash():
    one, two = ([i * k % 200 for i in range(1024)] for k in (1, 7))
    rows = (
        {"phash": 0, "signature": one},
        {"phash": 0, "signature": two},
        {"phash": 0, "signature": one, "blur_score": 0.6},
    )
    table = _flag(_measure(*rows))
    assert table["reason"].to_list() == ["duplicate", "kept", "kept"]
    assert table["duplicate_similarity"].to_list() == [pytest.approx(1, abs=1e-5), None, None]
    assert _flag(_measure(*rows), duplicate_structure=0.0)["is_kept"].sum() == 1


def test_the_best_good_frame_of_a_group_stays():
    """The sharpest is too bright: another of its group stays, and both are one picture still."""
    rows = (
        {"phash": 0, "blur_score": 0.9, "brightness": 0.99},
        {"phash": 0b11, "blur_score": 0.3},
        {"phash": 0b1100, "blur_score": 0.5},
    )
    table = _flag(_measure(*rows))
    assert table["reason"].to_list() == ["bright", "duplicate", "kept"]
    assert table["duplicate_of"].to_list() == [None, "f-00000002", None]


def test_strictness_is_recorded():
    table = _flag(_measure({"blur_score": 0.21}, {"blur_score": None}))
    assert table["strictness"].to_list() == [pytest.approx(2, abs=1e-5), None]


@pytest.mark.parametrize(
    ("row", "threshold", "reason"),
    [
        ({"brightness": 0.2}, {"min_brightness": 0.21}, "dark"),
        ({"brightness": 0.8}, {"max_brightness": 0.79}, "bright"),
        ({"contrast": 0.1}, {"min_contrast": 0.11}, "flat"),
    ],
)
def test_light_is_judged_by_the_thresholds_that_are_set(row, threshold, reason):
    assert _reasons(row) == ["kept"]
    assert _reasons(row, **threshold) == [reason]
