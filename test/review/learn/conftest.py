"""Small libraries whose groups are known."""

import numpy as np
import polars as pl
import pytest
import table_row

from bunny.review.learn.item import NOBODY, Items
from bunny.table import store

MODEL = "made"


@pytest.fixture
def make_items():
    """Items from plain lists; unset: nobody said anything, nothing is barred."""

    def make(vector, start, said=None, group=None, barred=(), clusters=None):
        n = len(start)
        said = np.full(n, NOBODY) if said is None else np.asarray(said)
        size = clusters or int(max(*start, *said)) + 1
        bars = np.zeros((n, size), bool)
        for row, cluster in barred:
            bars[row, cluster] = True
        own = np.where(said == NOBODY, NOBODY, np.arange(n)) if group is None else group
        vector = np.asarray(vector, np.float32)
        return Items(
            asset_id=tuple(f"a{i:04d}" for i in range(n)),
            vector=vector / np.linalg.norm(vector, axis=1, keepdims=True),
            clusters=tuple(f"c{k}" for k in range(size)),
            start=np.asarray(start, np.int64),
            said=said.astype(np.int64),
            group=np.asarray(own, np.int64),
            barred=bars,
            is_fixed=said != NOBODY,
        )

    return make


@pytest.fixture
def make_asset():
    """Table asset from (asset_id, machine cluster, cluster, what was said) at level character.

    Said: "" nothing, "moved" by a person, "approved", "followed" (merged or propagated).
    """

    def make(rows, rejected=None):
        return table_row.table(
            "asset",
            [
                {
                    "asset_id": asset_id,
                    "level": "character",
                    "shot_index": k,
                    "cluster_id": cluster,
                    "machine_cluster_id": machine,
                    "doubt": 0.0 if said in ("moved", "approved") else 0.4,
                    "source": "machine" if said == "" else "person",
                    "is_approved": said == "approved",
                    "rejected_from": (rejected or {}).get(asset_id, []),
                }
                for k, (asset_id, machine, cluster, said) in enumerate(rows)
            ],
        )

    return make


@pytest.fixture
def make_vectors():
    """Table figure_vector."""

    def make(vectors, model=MODEL):
        rows = [{"asset_id": k, "model": model, "vector": np.array(v)} for k, v in vectors.items()]
        return store.from_rows("figure_vector", rows)

    return make


@pytest.fixture
def make_feedback():
    """Events as `record.feedback` gives them, from (kind, asset_ids), in order of time."""

    def make(*events, origin="board"):
        rows = [
            {
                "event_id": f"e{k}",
                "time": f"2026-01-01T00:00:{k:02d}.000000+00:00",
                "kind": kind,
                "origin": origin,
                "asset_ids": ids,
                "is_undone": False,
            }
            for k, (kind, ids) in enumerate(events)
        ]
        schema = {"asset_ids": pl.List(pl.String), "is_undone": pl.Boolean}
        return pl.DataFrame(rows, schema_overrides=schema)

    return make


@pytest.fixture(scope="session")
def lit():
    """Four people in eight dimensions, told apart by four small ones; light fills two others.

    (vectors (n, 8), who (n,)). By plain cosine people in one light look alike.
    """

    def make(n=160, light=2.0, seed=0):
        rng = np.random.default_rng(seed)
        who = rng.integers(0, 4, n)
        vector = np.zeros((n, 8))
        vector[np.arange(n), who] = 1
        vector[:, 4:6] = light * rng.normal(size=(n, 2))
        vector += 0.25 * rng.normal(size=vector.shape)
        return (vector / np.linalg.norm(vector, axis=1, keepdims=True)).astype(np.float32), who

    return make
