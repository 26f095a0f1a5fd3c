"""How stage detect tells drawn shots: which frames are looked at and what they left behind."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import polars as pl

from bunny.character.drawn import medium
from bunny.character.model_set import Models
from bunny.quality import frame_kind
from bunny.table import store

Read = Callable[[Mapping], np.ndarray | None]


def choose_frames(frame: pl.DataFrame, table: Path) -> pl.DataFrame:
    """Take a few frames of each shot, none of them black, blank, a title card or credits.

    Parameters
    ----------
    frame : pl.DataFrame
        Rows of table `frame`.
    table : Path
        Folder with table `measure`; without it every frame counts as a picture.
    """
    measure = store.read_or_empty(table, "measure")
    kinds = measure.select("frame_id", frame_kind.kind_expr().cast(pl.String))
    is_other = pl.col("kind").is_not_null() & (pl.col("kind") != "picture")
    shown = frame.join(kinds.filter(is_other), on="frame_id", how="anti")
    return medium.choose_frames(shown)


def frame_row(frame: Mapping, read: Read, models: Models) -> dict[str, list[dict]]:
    """Row of `frame_medium`."""
    image = read(frame)
    logit = None if image is None else models.drawn_logit(image)
    row = {"frame_id": frame["frame_id"], "shot_index": frame["shot_index"], "drawn_logit": logit}
    return {"frame_medium": [row]}


def note(shots: pl.DataFrame) -> str:
    """Begin the stage's note with the shots that are drawn; empty where none is."""
    num = int(shots["is_drawn"].sum())
    if not num:
        return ""
    return "drawn film; " if num == shots.height else f"drawn: {num} of {shots.height} shots; "
