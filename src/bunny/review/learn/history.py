"""What versions were learned of a film and how they did, as tables for lists and notebooks."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from bunny.review.learn import method, version

_VERSIONS = {
    "version": pl.Int64,
    "is_in_use": pl.Boolean,
    "time": pl.String,
    "corrections": pl.Int64,
    **dict.fromkeys(("level", "model", "method"), pl.String),
    **dict.fromkeys(("accuracy", "none", "gain", "gain_low", "gain_high"), pl.Float64),
}


def read_versions(checkpoint: Path) -> pl.DataFrame:
    """Versions of a film and how well they did when they were learned.

    Parameters
    ----------
    checkpoint : Path
        The film's checkpoint folder.

    Returns
    -------
    pl.DataFrame
        `version`, `is_in_use`, `time`, `corrections`, `level`, `model`, `method`, `accuracy`,
        `none` (accuracy without), `gain`, `gain_low`, `gain_high`, on corrections that neither
        trained nor chose; a row for each version, level and model that it learned.
    """
    in_use = version.current(checkpoint)
    rows = []
    for number in version.numbers(checkpoint):
        about = version.read(checkpoint, number).about
        for part in about["trials"]:
            each = {row["method"]: row for row in part["methods"]}
            if part["best"] == method.NONE:
                continue
            best = part.get("report") or each[part["best"]]  # versions of old have no report
            rows.append(
                {
                    "version": number,
                    "is_in_use": number == in_use,
                    "time": about["time"],
                    "corrections": about["corrections"],
                    "level": part["level"],
                    "model": part["model"],
                    "method": part["best"],
                    "none": best["accuracy"] - best["gain"],
                    **{k: best[k] for k in ("accuracy", "gain", "gain_low", "gain_high")},
                }
            )
    return pl.DataFrame(rows, schema=_VERSIONS)


def read_trials(checkpoint: Path, number: int | None = None) -> pl.DataFrame:
    """How methods did on held-out corrections, by the record of a version; for a notebook.

    Parameters
    ----------
    checkpoint : Path
        The film's checkpoint folder.
    number : int, optional
        The newest without it.

    Returns
    -------
    pl.DataFrame
        `level`, `model`, `method`, `accuracy`, `low`, `high`, `gain`, `gain_low`, `gain_high`,
        `is_best`; no rows where nothing was ever learned.
    """
    known = version.numbers(checkpoint)
    parts = version.read(checkpoint, number or known[-1]).about["trials"] if known else []
    rows = [
        {"level": p["level"], "model": p["model"], **row, "is_best": row["method"] == p["best"]}
        for p in parts
        for row in p["methods"]
    ]
    figures = ("accuracy", "low", "high", "gain", "gain_low", "gain_high")
    words = dict.fromkeys(("level", "model", "method"), pl.String)
    schema = {**words, **dict.fromkeys(figures, pl.Float64), "is_best": pl.Boolean}
    return pl.DataFrame(rows, schema=schema)
