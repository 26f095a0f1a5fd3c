"""Agreement of groups of faces with people."""

from collections.abc import Sequence

import polars as pl


def score_groups(group: Sequence[str | int | None], person: Sequence[str]) -> dict[str, float]:
    """How well groups of faces agree with people.

    Parameters
    ----------
    group : sequence, length n
        Which group each face is in; None for noise.
    person : sequence of str, length n
        Who it is.

    Returns
    -------
    dict
        `purity`: share of the grouped faces that are of their group's commonest person;
        `noise_share`: share of all faces that are in none; `num_groups`; `groups_per_person`: mean
        over the people that are in any. NaN where there is nothing to divide by.

    Notes
    -----
    Purity alone is best when nothing is grouped, groups per person when all is one: read both.
    """
    rows = pl.DataFrame({"group": [None if g is None else str(g) for g in group], "who": person})
    known = rows.drop_nulls("group")
    most = known.group_by("group", "who").len().group_by("group").agg(pl.col("len").max())
    spread = known.group_by("who").agg(pl.col("group").n_unique())["group"].mean()
    nan = float("nan")
    return {
        "purity": most["len"].sum() / known.height if known.height else nan,
        "noise_share": 1 - known.height / rows.height if rows.height else nan,
        "num_groups": float(most.height),
        "groups_per_person": nan if spread is None else float(spread),
    }
