"""Unknown people of a film as rows: who is one person, and how far that can be relied on."""

from collections.abc import Callable

import numpy as np
import polars as pl

from bunny.character import cluster as person
from bunny.core.config import Clustering
from bunny.scene import stability as steady
from bunny.table import store

PREFIX = "person"
Group = Callable[[pl.DataFrame, Clustering, str], pl.DataFrame]  # items, settings, method
BOX = ["x0_px", "y0_px", "x1_px", "y1_px"]


def nameless(label: pl.DataFrame, face: pl.DataFrame) -> pl.DataFrame:
    """Faces that nobody is known by, with a vector.

    A face inside an accepted region of its frame is that drawn character's own and left out.

    Parameters
    ----------
    label, face : pl.DataFrame
        Tables of stage 3.

    Returns
    -------
    pl.DataFrame
        Rows of `face`, by track.
    """
    names = label.filter(pl.col("subject_type") == "face").select("subject_id", "character")
    unknown = names.filter(pl.col("character").is_null()).rename({"subject_id": "face_id"})
    found = face.join(unknown, on="face_id", how="semi").drop_nulls("embedding")
    found = found.join(_inside_regions(found, label), on="face_id", how="anti")
    return found.sort("track_id", "face_id")


def rows(nameless: pl.DataFrame, wanted: Clustering) -> list[dict]:
    """Rows of table `cluster`, level `unknown`: `person-01` and on, or noise.

    Parameters
    ----------
    nameless : pl.DataFrame
        From `nameless`.
    wanted : Clustering
        Section `clustering` of the settings.
    """
    return to_rows(_group(nameless, wanted, wanted.unknown_method), PREFIX)


def to_rows(found: pl.DataFrame, prefix: str) -> list[dict]:
    """Rows of table `cluster`, level `unknown`.

    Parameters
    ----------
    found : pl.DataFrame
        Id of the item, `shot_index`, `group` (negative: noise) and `similarity`, in that order.
    prefix : str
        Groups are called `<prefix>-01` and on.
    """
    return [
        {
            "item_id": item_id,
            "level": "unknown",
            "shot_index": shot_index,
            "cluster_id": None if group == person.NOISE else f"{prefix}-{group + 1:02d}",
            "similarity": similarity,
            "is_noise": group == person.NOISE,
        }
        for item_id, shot_index, group, similarity in found.rows()
    ]


def stability(nameless: pl.DataFrame, wanted: Clustering, seed: int) -> pl.DataFrame:
    """Table `stability` of the unknown people; no way depends on the order of their faces."""

    return measure_stability("unknown", nameless, _group, wanted, seed)


def measure_stability(
    level: str, nameless: pl.DataFrame, group: Group, wanted: Clustering, seed: int
) -> pl.DataFrame:
    """Table `stability` of items without a name, faces or drawn figures, grouped in one way.

    Parameters
    ----------
    level : str
        What the rows are called: unknown or figure.
    nameless : pl.DataFrame
        With `shot_index`.
    group : callable
        Gives column `group` in order of the items.
    """

    def find(taken: np.ndarray, method: str) -> np.ndarray:
        return group(nameless[taken], wanted, method)["group"].to_numpy()

    found = steady.compare(
        nameless["shot_index"].to_numpy(),
        find,
        tuple(person.METHOD),
        num_runs=wanted.stability_runs,
        seed=seed,
    )
    return store.from_rows("stability", [{"level": level, **row} for row in found])


def note(stability: pl.DataFrame, method: str) -> str:
    """How sure the people are, to be read after their number; empty when it was not measured.

    Examples
    --------
    >>> rows = {"level": ["unknown"], "method": ["hdbscan"], "compared_with": ["sample"]}
    >>> note(pl.DataFrame(rows).with_columns(rand_index=0.934), "hdbscan")
    ' (stable to 0.93 in nine tenths of the shots)'
    """
    own = (pl.col("level") == "unknown") & (pl.col("method") == method)
    found = stability.filter(own, pl.col("compared_with") == "sample")["rand_index"].to_list()
    return f" (stable to {found[0]:.2f} in nine tenths of the shots)" if found else ""


def _group(face: pl.DataFrame, wanted: Clustering, method: str) -> pl.DataFrame:
    """Who is one person, in order of the faces, which are sorted already."""
    threshold = max(0.0, wanted.character_threshold)
    return person.group_faces(face, threshold=threshold, method=method)


def _inside_regions(face: pl.DataFrame, label: pl.DataFrame) -> pl.DataFrame:
    """Ids of faces whose middle lies in an accepted region of their frame."""
    region = label.filter(pl.col("subject_type") == "region").select("frame_id", *BOX)
    both = face.select("face_id", "frame_id", *BOX).join(region, on="frame_id", suffix="_region")
    x, y = (pl.col("x0_px") + pl.col("x1_px")) / 2, (pl.col("y0_px") + pl.col("y1_px")) / 2
    return both.filter(
        x.is_between("x0_px_region", "x1_px_region"), y.is_between("y0_px_region", "y1_px_region")
    ).select("face_id")
