"""The caption that a frame has, or may borrow: dropped and extra frames were never captioned."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl


class Captions:
    """Text of a frame, or of the nearest in its shot that shows the same characters.

    Parameters
    ----------
    tables : mapping
        Tables frame, label and caption; of a frame's captions the newest done one counts.
    """

    def __init__(self, tables: Mapping[str, pl.DataFrame]) -> None:
        done = tables["caption"].filter(pl.col("status") == "done").drop_nulls("text")
        newest = done.sort("version").group_by("frame_id").agg(pl.col("text").last())
        self._text = dict(newest.iter_rows())
        named = tables["label"].drop_nulls("character").group_by("frame_id")
        self._who = {i: frozenset(c) for i, c in named.agg("character").iter_rows()}
        self._shot: dict[int, list[tuple[int, str]]] = {}
        frames = tables["frame"].select("shot_index", "frame_index", "frame_id")
        for shot, index, frame_id in frames.iter_rows():
            if frame_id in self._text:
                self._shot.setdefault(shot, []).append((index, frame_id))

    def of(self, row: dict) -> str | None:
        """The caption for a frame, a row with frame_id, shot_index and frame_index; or None."""
        if row["frame_id"] in self._text:
            return self._text[row["frame_id"]]
        who = self._who.get(row["frame_id"])
        like = [n for n in self._shot.get(row["shot_index"], ()) if self._who.get(n[1]) == who]
        near = min(like, key=lambda n: (abs(n[0] - row["frame_index"]), n[0]), default=None)
        return self._text[near[1]] if near else None
