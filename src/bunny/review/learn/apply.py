"""What stage review asks: where would what was learned put the items that nobody placed?"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from bunny.review.learn import item, method, version

logger = logging.getLogger(__name__)

_SCHEMA = {
    "asset_id": pl.String,
    "cluster_id": pl.String,
    "similarity": pl.Float32,
    "margin": pl.Float32,
}


def current_hash(checkpoint: Path) -> str:
    """Hash of the version in use, for a fingerprint; the empty string where there is none.

    Parameters
    ----------
    checkpoint : Path
        The film's checkpoint folder (`Workspace.checkpoint`).
    """
    number = version.current(checkpoint)
    return str(version.read(checkpoint, number).about.get("hash", "")) if number else ""


def rescore(
    checkpoint: Path, asset: pl.DataFrame, vectors: pl.DataFrame | Sequence[pl.DataFrame]
) -> pl.DataFrame:
    """Where the version in use puts the items that no person placed.

    Parameters
    ----------
    checkpoint : Path
        The film's checkpoint folder.
    asset : pl.DataFrame
        Table asset with people's events replayed over the machine's clusters: what they placed are
        the examples.
    vectors : pl.DataFrame or sequence of them
        Tables shot_vector and figure_vector, or rows of them.

    Returns
    -------
    pl.DataFrame
        `asset_id`, `cluster_id` (null: the noise bucket), `similarity` (score in [-1, 1]),
        `margin`; a row for each item that nobody spoke of and whose level and model were learned.
        Empty where no version is in use. Never a cluster in `rejected_from`.
    """
    number = version.current(checkpoint)
    if not number:
        return pl.DataFrame(schema=_SCHEMA)
    learned = version.load(version.read(checkpoint, number))
    return apply(learned, item.collect(asset, vectors))


def apply(
    learned: dict[item.Key, method.Learned], items: dict[item.Key, item.Items]
) -> pl.DataFrame:
    """As `rescore`, of what is in memory."""
    found = [pl.DataFrame(schema=_SCHEMA)]
    for key, one in learned.items():
        own = items.get(key)
        if own is None:
            continue
        if own.vector.shape[1] > len(one.space.mean):
            logger.warning("%s, %s: vectors of another length, not used", *key)
            continue
        found.append(_one(one, _fill(own, len(one.space.mean))))
    return pl.concat(found).sort("asset_id")


def _one(learned: method.Learned, items: item.Items) -> pl.DataFrame:
    rows = np.flatnonzero(~items.is_fixed)
    cluster, similarity, margin = method.predict(learned, items, items.is_said, rows)
    names = [None if c == item.NOBODY else items.clusters[c] for c in cluster]
    return pl.DataFrame(
        {
            "asset_id": [items.asset_id[row] for row in rows],
            "cluster_id": names,
            "similarity": similarity,
            "margin": margin,
        },
        schema=_SCHEMA,
    )


def _fill(items: item.Items, dimension: int) -> item.Items:
    """Vectors filled up with zeros to the length that was learned on."""
    from dataclasses import replace

    missing = dimension - items.vector.shape[1]
    return replace(items, vector=np.pad(items.vector, ((0, 0), (0, missing))))
