"""Figures of a film that look more like what people in other films said is not a character.

Table `rejected_elsewhere` is written by `bunny library`. It holds vectors, since a figure of
another film is no item of this one. Names that the machine gave to what is more like one of these
than like the character are taken back, nothing learned brings them again, and `bunny learn` has the
vectors among its examples, as if the items had been rejected here. A person's word in the film
stands above: it is replayed afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from bunny.character import match
from bunny.review import asset_table
from bunny.review.learn import threshold_rule

TABLE = "rejected_elsewhere"


def take_names_back(
    tables: Mapping[str, pl.DataFrame], rejected: pl.DataFrame, film_id: str
) -> tuple[pl.DataFrame, dict[str, set[str]]]:
    """Table `label` without the names that figures must not have, and which those are.

    Parameters
    ----------
    tables : mapping
        Those of `asset_table.TABLES`, embedding, subject_vector and reference.
    rejected : pl.DataFrame
        Table `rejected_elsewhere`.

    Returns
    -------
    label : pl.DataFrame
    barred : dict of str to set of str
        See `find`.
    """
    if rejected.is_empty():
        return tables["label"], {}
    vectors = asset_table.figure_vectors(tables)
    machine = asset_table.machine_assets(tables, asset_table.shot_vectors(tables, film_id), film_id)
    barred = find(machine, vectors, tables["reference"], rejected)
    of = dict(asset_table.subjects_of(tables).select("subject_id", "asset_id").iter_rows())
    is_out = [
        name in barred.get(of.get(subject_id, ""), ())
        for subject_id, name in tables["label"].select("subject_id", "character").iter_rows()
    ]
    own = pl.when(~pl.Series(is_out, dtype=pl.Boolean)).then("character")
    return tables["label"].with_columns(character=own), barred


def find(
    asset: pl.DataFrame, vectors: pl.DataFrame, reference: pl.DataFrame, rejected: pl.DataFrame
) -> dict[str, set[str]]:
    """Characters that figures are not, by asset_id.

    Parameters
    ----------
    asset : pl.DataFrame
        Table `asset`, as the machine has it.
    vectors : pl.DataFrame
        Table `figure_vector`.
    rejected : pl.DataFrame
        Table `rejected_elsewhere`.

    Notes
    -----
    A face is compared with the character's reference pictures. A drawn figure, or a face of a
    character without them, is compared as learning does it (`threshold_rule.score`): with the
    others of its cluster; one that is alone there is left as it is.
    """
    found: dict[str, set[str]] = {}
    own = asset.filter(pl.col("level") == "character")
    for (name, model), said in rejected.partition_by("character", "model", as_dict=True).items():
        rows = own.join(vectors.filter(pl.col("model") == model), on="asset_id").sort("asset_id")
        if rows.is_empty():
            continue
        given = reference.filter(
            pl.col("character") == name,
            pl.col("recogniser") == model,
            pl.col("error").is_null(),
            pl.col("face_embedding").is_not_null(),
        )
        lists = [rows["vector"], said["vector"], given["face_embedding"]]
        width = max(len(vector) for one in lists for vector in one)
        vector, wrong, right = (_matrix(one, width) for one in lists)
        nearest = match.nearest_rejected(vector, wrong, str(model))
        if len(right):
            like = match.compare(vector, {str(name): right}, str(model))[1][:, 0]
        else:
            member = np.where((rows["cluster_id"] == name).fill_null(value=False), 0, -1)
            like = threshold_rule.score(vector, member, np.zeros(len(vector), bool), 1)[:, 0]
            like = match.face_recogniser.to_similarity(like, str(model))
            like[like <= -1] = 1.0  # nobody to compare it with
        for asset_id in rows["asset_id"].filter(pl.Series(nearest > like)):
            found.setdefault(asset_id, set()).add(str(name))
    return found


def bar(asset: pl.DataFrame, barred: Mapping[str, set[str]]) -> pl.DataFrame:
    """Table `asset` with these characters among those that items are not in, for what is learned.

    Parameters
    ----------
    barred : mapping
        From `find`; a cluster that the item is in nevertheless, by a person's word, is no part.
    """
    names = [
        sorted({*rejected, *(barred.get(asset_id, set()) - {cluster_id})})
        for asset_id, cluster_id, rejected in asset.select(
            "asset_id", "cluster_id", "rejected_from"
        ).iter_rows()
    ]
    return asset.with_columns(pl.Series("rejected_from", names, dtype=pl.List(pl.String)))


def add_examples(
    asset: pl.DataFrame, vectors: pl.DataFrame, rejected: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Tables `asset` and `figure_vector` with what was rejected in other films, to learn from.

    Parameters
    ----------
    rejected : pl.DataFrame
        Table `rejected_elsewhere`; of a character that the film does not have nothing is added.

    Returns
    -------
    asset, vectors : pl.DataFrame
        Each face or figure of another film is an item in the noise bucket that people rejected.
    """
    known = asset.filter(pl.col("level") == "character")["cluster_id"].drop_nulls()
    own = rejected.filter(pl.col("character").is_in(known.to_list())).with_columns(
        asset_id=pl.concat_str("said_in", pl.lit("/"), "asset_id")
    )
    if own.is_empty():
        return asset, vectors
    items = own.group_by("asset_id", maintain_order=True).agg(rejected_from="character")
    shot = -1 - pl.int_range(items.height, dtype=pl.Int32)  # none of this film
    rows = items.with_columns(
        pl.lit("character").cast(asset.schema["level"]).alias("level"),
        pl.lit("person").cast(asset.schema["source"]).alias("source"),
        pl.col("rejected_from").list.unique(maintain_order=True),
        shot_index=shot,
        is_approved=pl.lit(value=False),
        doubt=pl.lit(1.0, asset.schema["doubt"]),
    )
    width = max((len(one) for table in (vectors, own) for one in table["vector"]), default=0)
    both = [
        pl.DataFrame(
            {
                **{name: table[name].to_list() for name in ("asset_id", "model")},
                "vector": _matrix(table["vector"], width).tolist(),
            },
            schema={"asset_id": pl.String, "model": pl.String, "vector": pl.List(pl.Float32)},
        )
        for table in (vectors, own.unique(["asset_id", "model"], maintain_order=True))
    ]
    return pl.concat([asset, rows], how="diagonal"), pl.concat(both)


def _matrix(vectors: pl.Series, width: int) -> np.ndarray:
    """(n, width) float32; shorter ones end in zeros."""
    found = np.zeros((len(vectors), width), np.float32)
    for row, vector in zip(found, vectors, strict=True):
        row[: len(vector)] = vector
    return found
