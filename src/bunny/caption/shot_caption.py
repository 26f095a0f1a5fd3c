"""Caption of a shot: the newest one of its first captioned frame."""

from __future__ import annotations

import polars as pl


def newest(caption: pl.DataFrame, frame: pl.DataFrame) -> dict[int, str]:
    """Give the caption of each shot that has one, by `shot_index`."""
    rows = (
        caption.drop_nulls("text")  # refused and failed ones have none
        .join(frame.select("frame_id", "shot_index", "frame_index"), on="frame_id")
        .sort("shot_index", "frame_index", "version", descending=[False, False, True])
        .unique("shot_index", keep="first", maintain_order=True)
    )
    return dict(rows.select("shot_index", "text").iter_rows())
