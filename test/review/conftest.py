"""A small library made by hand: shots of one second each, figures in them."""

import itertools
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
import table_row

from bunny.review.state import ReviewState
from bunny.table import store

OPEN = {"similarity": 0.9, "margin": 0.3, "doubt": 0.5}
BOXES = {"left": (0.1, 0.2, 0.3, 0.6), "right": (0.6, 0.2, 0.8, 0.6)}


def shot_row(index: int, cluster: str | None, prefix: str = "film") -> dict:
    """Shot `index` plays from `index` to `index + 1` seconds."""
    return table_row.fill(
        "asset",
        asset_id=f"{prefix}-s{index:05d}",
        shot_index=index,
        start_s=float(index),
        end_s=index + 1.0,
        timestamp_s=index + 0.5,
        cluster_id=cluster,
        machine_cluster_id=cluster,
        **OPEN,
    )


def figure_row(name: str, shot: int, side: str, cluster: str | None, jitter: float = 0.0) -> dict:
    """A figure on one side of a shot, seen at its tenths 0.1, 0.5 and 0.9."""
    boxes = [(shot + t, *(v + jitter for v in BOXES[side])) for t in (0.1, 0.5, 0.9)]
    return table_row.fill(
        "asset",
        asset_id=name,
        level="character",
        shot_index=shot,
        start_s=shot + 0.1,
        end_s=shot + 0.94,
        timestamp_s=shot + 0.5,
        subject_id=f"{name}-best",
        boxes=list(itertools.chain.from_iterable(boxes)),
        cluster_id=cluster,
        machine_cluster_id=cluster,
        **OPEN,
    )


def table(rows: list[dict]) -> pl.DataFrame:
    """Table `asset`."""
    return store.from_rows("asset", rows)


def vectors(angles: dict[str, float]) -> pl.DataFrame:
    """Table `shot_vector` of unit vectors in a plane, by angle in degrees."""
    return store.from_rows(
        "shot_vector",
        [
            {"asset_id": i, "model": "plane", "vector": [np.cos(a), np.sin(a)]}
            for i, a in ((i, np.radians(d)) for i, d in angles.items())
        ],
    )


def where(state: ReviewState) -> dict[str, str | None]:
    """Cluster of each item."""
    return {i: state.cluster_of(i) for i in state.content.ids}


@pytest.fixture(scope="session")
def shots() -> pl.DataFrame:
    """Shots 0 to 2 are scene-001, 3 to 5 scene-002, 6 is noise."""
    clusters = ["scene-001"] * 3 + ["scene-002"] * 3 + [None]
    return table([shot_row(i, cluster) for i, cluster in enumerate(clusters)])


@pytest.fixture(scope="session")
def figures() -> pl.DataFrame:
    """In shots 0 to 2 bunny left and person-01 right; in shot 3 pip left."""
    rows = [figure_row(f"film-t{i}", i, "left", "bunny") for i in range(3)]
    rows += [figure_row(f"film-u{i}", i, "right", "person-01") for i in range(3)]
    return table([*rows, figure_row("film-t3", 3, "left", "pip")])


@pytest.fixture(scope="session")
def lib() -> SimpleNamespace:
    """What makes libraries by hand."""
    return SimpleNamespace(
        shot_row=shot_row, figure_row=figure_row, table=table, vectors=vectors, where=where
    )
