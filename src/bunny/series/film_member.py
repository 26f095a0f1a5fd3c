"""Characters and unknown people of one film, each with the vector that films are compared by.

Besides whom it shows, a film says whom some of its faces and figures do not show: those that people
took out of a character.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from bunny.character import track
from bunny.character.drawn import figure_cluster
from bunny.contract import fingerprint
from bunny.table import corrected, store
from bunny.table.box import BOX

TABLES = ("face", "figure", "label", "cluster", "asset", "figure_vector", "subject_vector")
FACE, FIGURE = "face", "figure"
ON_CHARACTER = 0.7  # share of a figure inside a named region, or the reverse, that makes it one


@dataclass(frozen=True, kw_only=True)
class FilmMembers:
    """Members of a film; the columns are in the same order."""

    film_id: str
    rows: list[dict[str, Any]]  # of table `library_member`, without placement
    vector: list[np.ndarray]  # (d,) float32, unit length
    frames: list[set[str]]  # in which each is seen
    rejection: list[dict[str, Any]] = field(default_factory=list)  # of table `library_rejection`
    rejected_vector: list[np.ndarray] = field(default_factory=list)  # (d,) of each of those


def read_tables(folder: Path) -> dict[str, pl.DataFrame]:
    """What `collect` reads of a film's table folder, as corrected."""
    return {name: corrected.read_or_empty(folder, name) for name in TABLES}


def state(folder: Path) -> str:
    """Fingerprint of those tables: names and contents, the same on any machine; 16 hex digits."""
    paths = [store.find(folder, corrected.table_name(folder, name)) for name in TABLES]
    found = fingerprint.table_hashes(folder.parent, [path.stem for path in paths if path])
    return fingerprint.digest(found)[:16]


def collect(tables: Mapping[str, pl.DataFrame], film_id: str) -> FilmMembers:
    """Find whom a film shows: named characters first, then the most seen.

    Parameters
    ----------
    tables : mapping
        From `read_tables`.

    Returns
    -------
    FilmMembers
        A character with faces is known by them alone, a drawn one by its figures. Faces and
        figures of the noise bucket are nobody.
    """
    faces = _faces(tables)
    known = faces["name"].unique().to_list()
    figures = _figures(tables).filter(~pl.col("name").is_in(known))
    rejected = _rejected(tables["asset"])
    found: list[tuple[dict[str, Any], np.ndarray, set[str]]] = []
    for kind, views in ((FACE, faces), (FIGURE, figures)):
        for (name, is_named), own in views.group_by("name", "is_named", maintain_order=True):
            row = {
                "member_id": f"{film_id}/{name}",
                "film_id": film_id,
                "name": name,
                "is_named": is_named,
                "kind": kind,
                "model": own["model"][0],
                "num_views": own.height,
                "num_shots": own["shot_index"].n_unique(),
                "rejected_from": sorted(rejected.get(str(name), ())),
            }
            vector = track.mean_of_best(track.embedding_array(own), own["quality"].to_numpy())
            found.append((row, vector, set(own["frame_id"])))
    rejections = _rejections(tables, film_id)
    found.sort(key=lambda one: (not one[0]["is_named"], -one[0]["num_views"], one[0]["name"]))
    return FilmMembers(
        film_id=film_id,
        rows=[row for row, _, _ in found],
        vector=[vector for _, vector, _ in found],
        frames=[frames for _, _, frames in found],
        rejection=[row for row, _ in rejections],
        rejected_vector=[vector for _, vector in rejections],
    )


def _faces(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Faces of somebody: name, is_named, frame, shot, embedding, quality, model."""
    face = tables["face"].filter(pl.col("error").is_null()).drop_nulls("embedding")
    label = tables["label"].filter(pl.col("subject_type") == "face").drop_nulls("character")
    named = label.select(face_id="subject_id", name="character", is_named=pl.lit(True))
    both = pl.concat([named, _unknown(tables["cluster"]).rename({"item_id": "face_id"})])
    own = face.join(both.unique("face_id", keep="first"), on="face_id").sort("face_id")
    quality = track.view_quality(
        *(own[c].to_numpy() for c in ("score", "yaw", "size_px", "sharpness"))
    )
    own = own.with_columns(quality=pl.Series(quality, dtype=pl.Float64), model="recogniser")
    return own.select(*COLUMNS)


COLUMNS = ("name", "is_named", "frame_id", "shot_index", "embedding", "quality", "model")


def _figures(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """The same of drawn figures; one that lies on a named character is that character."""
    figure = tables["figure"].filter(pl.col("error").is_null()).drop_nulls("embedding")
    named = tables["label"].drop_nulls("character").filter(pl.col("subject_type") == "region")
    on = (
        figure.select("figure_id", "frame_id", *BOX)
        .join(named.select("frame_id", "character", *BOX), on="frame_id", suffix="_other")
        .filter(figure_cluster.covered_share() >= ON_CHARACTER)
        .select("figure_id", name="character", is_named=pl.lit(True))
    )
    alone = on.filter(pl.len().over("figure_id") == 1)  # on two characters it is no view of either
    both = pl.concat([alone, _unknown(tables["cluster"]).rename({"item_id": "figure_id"})])
    own = figure.join(both.unique("figure_id", keep="first"), on="figure_id").sort("figure_id")
    return own.with_columns(quality=pl.col("objectness").cast(pl.Float64)).select(*COLUMNS)


def _unknown(cluster: pl.DataFrame) -> pl.DataFrame:
    """Items of groups of unknown people and figures."""
    own = cluster.filter(pl.col("level") == "unknown").drop_nulls("cluster_id")
    return own.select("item_id", name="cluster_id", is_named=pl.lit(False))


def _rejected(asset: pl.DataFrame) -> dict[str, set[str]]:
    """Names that a person said a character or group is not, by what it is called."""
    own = asset.filter(pl.col("level") == "character").select(
        "rejected_from", name=pl.coalesce("name", "cluster_id")
    )
    found: dict[str, set[str]] = {}
    for names, name in own.drop_nulls("name").iter_rows():
        if names:
            found.setdefault(name, set()).update(names)
    return found


def _rejections(
    tables: Mapping[str, pl.DataFrame], film_id: str
) -> list[tuple[dict[str, Any], np.ndarray]]:
    """What people took out of a cluster, by each model that compares it; noise is no exception."""
    asset = tables["asset"].filter(pl.col("level") == "character")
    said = asset.select("asset_id", name="rejected_from").explode("name").drop_nulls("name")
    known = said.join(tables["figure_vector"], on="asset_id").sort("asset_id", "name", "model")
    length = _lengths(tables)
    found = []
    for asset_id, name, model, vector in known.select(
        "asset_id", "name", "model", "vector"
    ).iter_rows():
        row = {"film_id": film_id, "asset_id": asset_id, "name": name, "model": model}
        found.append((row, np.asarray(vector, np.float32)[: length.get(model)]))
    return found


def _lengths(tables: Mapping[str, pl.DataFrame]) -> dict[str, int]:
    """How many numbers a model's vectors have, without the zeros of table `figure_vector`."""
    found = {}
    for table, model, vector in (
        ("face", "recogniser", "embedding"),
        ("figure", "model", "embedding"),
        ("subject_vector", "model", "vector"),
    ):
        rows = tables[table].drop_nulls(vector).unique(model)
        found |= {name: len(own) for name, own in rows.select(model, vector).iter_rows()}
    return found
