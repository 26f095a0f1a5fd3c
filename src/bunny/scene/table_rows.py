"""Scenes of a film as rows: where each frame is, and how far that can be relied on."""

import numpy as np
import polars as pl

from bunny.core.config import Clustering
from bunny.scene import agglomerative
from bunny.scene import stability as steady
from bunny.scene.incremental import NOISE, SceneThreshold
from bunny.table import store


def known(frame: pl.DataFrame, embedding: pl.DataFrame) -> pl.DataFrame:
    """Frames that have a scene vector, with it, in the order of the film."""
    both = frame.join(embedding.drop_nulls("vector"), on="frame_id")
    return both.sort("frame_index", "frame_id")


def rows(known: pl.DataFrame, wanted: Clustering) -> list[dict]:
    """Rows of table `cluster`, level `scene`.

    Parameters
    ----------
    known : pl.DataFrame
        From `known`.
    wanted : Clustering
        Section `clustering` of the settings.
    """
    found = agglomerative.group(_vector(known), _threshold(wanted), wanted.scene_method)
    made = []
    for i, (frame_id, shot_index) in enumerate(known.select("frame_id", "shot_index").rows()):
        is_noise = bool(found.cluster[i] == NOISE)
        scene_id = None if is_noise else f"scene-{found.cluster[i] + 1:03d}"
        made.append(
            {
                "item_id": frame_id,
                "level": "scene",
                "shot_index": shot_index,
                "cluster_id": scene_id,
                "scene_id": scene_id,
                "similarity": float(found.similarity[i]),
                "is_noise": is_noise,
            }
        )
    return made


def stability(known: pl.DataFrame, wanted: Clustering, seed: int) -> pl.DataFrame:
    """Table `stability` of the scenes; empty when `clustering.stability_runs` is 0."""
    found = steady.measure(
        _vector(known),
        known["shot_index"].to_numpy(),
        _threshold(wanted),
        num_runs=wanted.stability_runs,
        seed=seed,
    )
    return store.from_rows("stability", [{"level": "scene", **row} for row in found])


def note(stability: pl.DataFrame, method: str) -> str:
    """How sure the scenes are, to be read after their number; empty when it was not measured.

    The incremental way is asked about other orders of the shots; to the others they are all one,
    so they are asked about samples.

    Examples
    --------
    >>> rows = {"level": ["scene"], "method": ["incremental"], "compared_with": ["order"]}
    >>> note(pl.DataFrame(rows).with_columns(rand_index=0.934), "incremental")
    ' (stable to 0.93 under other orders)'
    """
    against = "order" if method == "incremental" else "sample"
    own = (pl.col("method") == method) & (pl.col("compared_with") == against)
    found = stability.filter(own, pl.col("level") == "scene")["rand_index"].to_list()
    words = "under other orders" if against == "order" else "in nine tenths of the shots"
    return f" (stable to {found[0]:.2f} {words})" if found else ""


def _threshold(wanted: Clustering) -> SceneThreshold:
    return SceneThreshold(
        join=wanted.scene_threshold, noise=min(wanted.noise_threshold, wanted.scene_threshold)
    )


def _vector(known: pl.DataFrame) -> np.ndarray:
    """Scene vectors, (n, d) float32."""
    return np.array(known["vector"].to_list(), dtype=np.float32)
