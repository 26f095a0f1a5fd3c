"""What each threshold takes away, alone and together with others; from tables, no pixel is read."""

from __future__ import annotations

import polars as pl

from bunny.quality import reason


def count_losses(measure: pl.DataFrame, threshold: reason.QualityThreshold) -> pl.DataFrame:
    """Count the frames that each reason of their own leaves out.

    Parameters
    ----------
    measure : pl.DataFrame
        Columns of the table `measure`.
    threshold : reason.QualityThreshold

    Returns
    -------
    pl.DataFrame
        `reason` (all but kept, duplicate and batch), `num_failed` (frames for which it holds) and
        `num_alone` (those for which no other does: what loosening this threshold would give back).
    """
    tests = reason.own_reasons(threshold, measure.columns)
    holds = measure.select(expr.fill_null(False).alias(name) for name, expr in tests)
    number = holds.select(n=pl.sum_horizontal(pl.all().cast(pl.UInt8))).to_series()
    return pl.DataFrame(
        {
            "reason": holds.columns,
            "num_failed": [int(holds[name].sum()) for name in holds.columns],
            "num_alone": [int((holds[name] & (number == 1)).sum()) for name in holds.columns],
        },
        schema={"reason": pl.String, "num_failed": pl.Int64, "num_alone": pl.Int64},
    )
