"""Up to which strictness each frame is good: one number that puts a film's frames in order."""

from __future__ import annotations

import numpy as np
import polars as pl

from bunny.core.config import filter_preset

# Threshold to the column that it judges; `min_` and `blur_` ask for at least, `max_` for at most.
COLUMN = {
    "blur_threshold": "blur_score",
    "min_brightness": "brightness",
    "max_brightness": "brightness",
    "min_contrast": "contrast",
    "max_smear": "smear",
    "max_blockiness": "blockiness",
    "max_subtitle_share": "subtitle_share",
}


def measure_strictness(measure: pl.DataFrame, without: frozenset[str] = frozenset()) -> np.ndarray:
    """The highest strictness at which every threshold still lets a frame pass.

    Parameters
    ----------
    measure : pl.DataFrame
        Columns of the table `measure`.
    without : frozenset of str
        Thresholds that are left out.

    Returns
    -------
    np.ndarray, shape (rows,), float64
        In [-1, 3]; NaN where nothing was measured.
    """
    found = np.full(measure.height, filter_preset.HIGHEST)
    for key, column in COLUMN.items():
        if key not in without and column in measure.columns:
            values = measure[column].cast(pl.Float64).to_numpy()
            found = np.fmin(found, highest(key, values))
    is_unreadable = measure["blur_score"].is_null().to_numpy()
    found[is_unreadable] = np.nan
    return found


def highest(key: str, values: np.ndarray) -> np.ndarray:
    """The highest strictness at which values pass one threshold.

    Parameters
    ----------
    key : str
        A key of `preset.PATH`.
    values : np.ndarray, shape (n,), float64
        NaN passes at every strictness.

    Returns
    -------
    np.ndarray, shape (n,), float64
        In [-1, 3]; of equal thresholds the highest strictness.
    """
    nodes = np.array(filter_preset.PATH[key])
    if key.startswith("max_"):
        nodes, values = -nodes, -values
    levels = np.arange(nodes.size) + filter_preset.LOWEST
    found = np.interp(values, nodes, levels)
    return np.where(np.isnan(values), filter_preset.HIGHEST, found)
