"""Single numbers of a table."""

import polars as pl
import pytest

from bunny.table import scalar


def test_numbers_come_out_as_they_are():
    column = pl.Series([2, 5, 3])
    assert scalar.as_int(column.max()) == 5
    assert scalar.as_float(column.mean()) == pytest.approx(10 / 3)
    assert scalar.as_float(column.min()) == 2.0
    assert isinstance(scalar.as_float(column.min()), float)


def test_no_rows_have_no_maximum():
    nothing = pl.Series([], dtype=pl.Int64)
    with pytest.raises(TypeError, match="expected a number, got None"):
        scalar.as_int(nothing.max())
    with pytest.raises(TypeError, match="expected a number, got 'five'"):
        scalar.as_float("five")
