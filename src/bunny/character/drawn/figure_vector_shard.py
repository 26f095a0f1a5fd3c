"""Vectors of drawn figures: which regions get one, and the film's share taken off them."""

from collections.abc import Callable, Mapping
from concurrent.futures import Executor

import numpy as np
import polars as pl

from bunny.character.drawn import figure_vector
from bunny.character.drawn.efficientnet import DIMENSION, PictureNet
from bunny.contract.pool import fill
from bunny.contract.shard import Shards
from bunny.core.vector import to_unit
from bunny.table import store

BOX = ["x0_px", "y0_px", "x1_px", "y1_px"]
Read = Callable[[Mapping], np.ndarray | None]  # from a row with `file` to pixels as BGR


def choose(region: pl.DataFrame, label: pl.DataFrame, frame: pl.DataFrame) -> pl.DataFrame:
    """Which regions are to be described, by frame, so that each picture is opened once.

    Returns
    -------
    pl.DataFrame
        `frame_id`, `file` and the lists `region_id` and `box`; in order of the frames.
    """
    named = label.drop_nulls("character").filter(pl.col("subject_type") == "region")["subject_id"]
    views = figure_vector.choose_views(region, named).sort("region_id")
    boxes = views.select("frame_id", "region_id", box=pl.concat_list(BOX))
    together = boxes.group_by("frame_id", maintain_order=True).agg("region_id", "box")
    return frame.select("frame_id", "file").join(
        together, on="frame_id", maintain_order="left_right"
    )


def describe(
    views: pl.DataFrame,
    shards: Shards,
    size: int,
    read: Read,
    net: PictureNet,
    pool: Executor,
    advance: Callable[[int], object] = lambda count: None,
) -> pl.DataFrame:
    """Vectors of the chosen regions, measured where they are not in `shards` yet.

    Parameters
    ----------
    views : pl.DataFrame
        From `choose`.
    size : int
        Frames a shard.
    read : callable
        From a row of `views` to its picture.
    net : PictureNet

    Returns
    -------
    pl.DataFrame
        Rows of table `subject_vector`, not centred.
    """

    def measure(row: Mapping) -> dict[str, list[dict]]:
        return {"subject_vector": _rows(row, read(row), net)}

    fill(shards, views, size, measure, pool, tables=["subject_vector"], advance=advance)
    return shards.collect("subject_vector")


def centre(subject: pl.DataFrame, embedding: pl.DataFrame) -> pl.DataFrame:
    """Take off what all frames of the film share, by the network's part of their scene vectors."""
    known = subject.drop_nulls("vector")
    frames = embedding.drop_nulls("vector")
    if known.is_empty() or frames.is_empty():
        return subject
    seen = np.array(frames["vector"].to_list(), np.float32)[:, :DIMENSION]
    mean = to_unit(seen).mean(axis=0)
    vector = figure_vector.centre(np.array(known["vector"].to_list(), np.float32), mean)
    rows = zip(known["subject_id"].to_list(), vector, strict=True)
    made = [{"subject_id": name, "model": figure_vector.MODEL, "vector": one} for name, one in rows]
    failed = subject.filter(pl.col("vector").is_null()).drop("vector").to_dicts()
    return store.from_rows("subject_vector", [*made, *failed])


def _rows(row: Mapping, image: np.ndarray | None, net: PictureNet) -> list[dict]:
    """Rows of one frame's regions."""
    found = []
    for region_id, box in zip(row["region_id"], row["box"], strict=True):
        one = {"subject_id": region_id, "model": figure_vector.MODEL}
        if image is None:
            one["error"] = f"expected a picture in {row['file']}, could not read it"
        else:
            one["vector"] = figure_vector.describe_figure(net, image, np.array(box))
            if one["vector"] is None:
                one["error"] = f"expected a box inside {row['file']}, got {box}"
        found.append(one)
    return found
