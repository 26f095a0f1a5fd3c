"""How doubtful corrected items are when their correction is taken back.

Stage review writes doubt 0 for what a person placed. The board shows that as well, but what is
undone on it is the machine's again, and doubtful as the machine's choice is.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from bunny.review import doubt as review_doubt

SAID = (pl.col("doubt") == 0) & ((pl.col("source") == "person") | pl.col("is_approved"))


def give_back(
    asset: pl.DataFrame,
    vectors: Mapping[str, pl.DataFrame | None],
    floor: Mapping[str, float] | None = None,
) -> pl.DataFrame:
    """Write the doubt of the machine's choice for items that a person had placed.

    Parameters
    ----------
    asset : pl.DataFrame
        Table `asset`.
    vectors : mapping of level to pl.DataFrame or None
        Tables `shot_vector` and `figure_vector`.
    floor : mapping of level to float, optional
        As in `score.measure`; default `score.FLOOR`.

    Returns
    -------
    pl.DataFrame
        `asset` with `doubt` in (0, 1] for them, 0.5 without a vector. What named a figure surely
        (`certainty` of `score.measure`) is known to stage review alone: until it runs, a figure's
        doubt is from its vectors.
    """
    said = asset.select(SAID.fill_null(False)).to_series().to_numpy()
    if not said.any():
        return asset
    row = {asset_id: i for i, asset_id in enumerate(asset["asset_id"])}
    cluster = asset["machine_cluster_id"].rank("dense").cast(pl.Int64).fill_null(0).to_numpy() - 1
    found = np.full(asset.height, 0.5)
    for level, table in vectors.items():
        if table is None:
            continue
        for part in table.drop_nulls("vector").partition_by("model"):
            own = np.array([row.get(i, -1) for i in part["asset_id"]], np.int64)
            vector = np.asarray(part["vector"].to_numpy(), np.float32).reshape(len(own), -1)
            own, vector = own[own >= 0], vector[own >= 0]
            if said[own].any():
                alike = review_doubt.compare(vector, cluster[own])
                found[own] = review_doubt.doubt_of(
                    *alike, cluster[own] >= 0, (floor or review_doubt.FLOOR)[level]
                )
    doubt = np.where(said, np.clip(found, 0, 1), asset["doubt"].to_numpy())
    return asset.with_columns(pl.Series("doubt", doubt, dtype=pl.Float32))
