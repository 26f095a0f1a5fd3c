"""Regions that CCIP compared: how a figure's frames vote and from where on it is its candidate.

Unlike windows, a box is where a detector saw a figure, and CCIP's threshold holds for two single
pictures. So frames in which the figure is not seen say nothing against it: only its own track
votes, and there is no penalty for having no rival.
"""

from collections.abc import Sequence

import polars as pl

from bunny.character.drawn import ccip

# As `drawn.WEIGHT`, the centre of similarity as far below the usual threshold as there.
WEIGHT = (14.0, 0.47, 4.0, 0.10)


def is_compared(region: pl.DataFrame) -> bool:
    """Whether CCIP compared the rows of a table `region`; all of one are of one model."""
    return bool(region["model"].str.contains(ccip.NAME, literal=True).any())


def vote(region: pl.LazyFrame) -> pl.LazyFrame:
    """Let the regions of a figure's track vote on each of them.

    Parameters
    ----------
    region : pl.LazyFrame
        Rows of table `region`, `track_id` by `figure.link_regions`.

    Returns
    -------
    pl.LazyFrame
        `region` with `support`: half its own similarity, half the mean of its track.
    """
    together = pl.col("similarity").mean().over("track_id")
    support = (0.5 * pl.col("similarity") + 0.5 * together).cast(pl.Float32)
    return region.with_columns(support.alias("support"))


def select_regions(
    region: pl.LazyFrame, characters: Sequence[str], *, threshold: float, min_margin: float
) -> pl.LazyFrame:
    """Keep the regions that are their candidate.

    Parameters
    ----------
    region : pl.LazyFrame
        With `support`.
    characters : sequence of str
        Those that are looked for by this route.
    threshold : float
        On the scale of `ccip.to_similarity`, inclusive; `ccip.SAME` is the model's own.
    min_margin : float
        By which the best must beat the second, inclusive.
    """
    return region.filter(
        pl.col("candidate").is_in(list(characters)),
        pl.col("support") >= threshold,
        pl.col("margin") >= min_margin,
    )
