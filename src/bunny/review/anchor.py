"""Anchors of items by time and box, resolved to rows of today's table `asset`.

Ids change when a film is cut and detected again; when and where something is seen does not. A shot
answers to an anchor that covers at least half of it. A figure answers when the anchor's views lie
where it was seen. An id is only tried first: it must agree with the content.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl

from bunny.review.event_log import AssetAnchor, Level

MIN_COVER = 0.5  # of a shot that an anchor's span must cover
MIN_IOU = 0.3  # of an anchor's view with the figure's nearest in time; windows of drawn ones jitter
MAX_STEP_S = 0.5  # between those two views
SAME_S = 1e-3  # times this near are one
LATE = 0.1  # of the overlap that a view so far apart loses, so that of equals the nearer one wins
NUM_VIEWS = 3  # that an anchor of a figure keeps
LEAST_SPAN_S = 1e-3  # of an item whose time was not put down


class AssetIndex:
    """The items of table `asset` by their content; nothing in it changes.

    Attributes
    ----------
    asset : pl.DataFrame
        As given; items are called by their row.
    ids : list of str
    is_scene : np.ndarray, shape (n,), bool
        Whether it is a shot; else it is a figure.
    similarity : np.ndarray, shape (n,), float64
        To the centroid of its cluster, -1 where it is not known.
    """

    def __init__(self, asset: pl.DataFrame) -> None:
        self.asset = asset
        self.ids: list[str] = asset["asset_id"].to_list()
        self.row = {asset_id: i for i, asset_id in enumerate(self.ids)}
        self.is_scene = (asset["level"].cast(pl.String) == "scene").to_numpy().astype(bool)
        self.similarity = asset["similarity"].cast(pl.Float64).fill_null(-1.0).to_numpy()
        self._start, self._end = _spans(asset)
        self._view, self._offset = _views(asset)
        self._order = {True: self._sorted(self.is_scene), False: self._sorted(~self.is_scene)}
        self._known: dict[AssetAnchor, tuple[int, ...]] = {}

    def anchor(self, item: int) -> AssetAnchor:
        """An item as the record keeps it."""
        own = self._views_of(item)
        if len(own) > NUM_VIEWS:
            own = own[np.linspace(0, len(own) - 1, NUM_VIEWS).round().astype(int)]
        return AssetAnchor(
            start_s=round(float(self._start[item]), 6),
            end_s=round(float(self._end[item]), 6),
            boxes=tuple((round(v[0], 6), *(round(x, 5) for x in v[1:])) for v in own.tolist()),
            asset_id=self.ids[item],
        )

    def match(self, level: Level, anchor: AssetAnchor) -> tuple[int, ...]:
        """Items of a level that an anchor stands for today, in order of their rows."""
        if anchor not in self._known:
            self._known[anchor] = self._hinted(level, anchor) or self._found(level, anchor)
        found = self._known[anchor]
        return tuple(i for i in found if self.is_scene[i] == (level == "scene"))

    def shot_at(self, time_s: float) -> int | None:
        """Row of the shot that a moment lies in; None if there is none."""
        rows, starts, _ = self._order[True]
        last = int(np.searchsorted(starts, time_s + SAME_S, "right")) - 1
        is_in = last >= 0 and time_s < self._end[rows[last]] + SAME_S
        return int(rows[last]) if is_in else None

    def match_all(self, level: Level, anchors: Iterable[AssetAnchor]) -> list[int]:
        """Items that any of the anchors stands for, each once, in order of the anchors."""
        return list(dict.fromkeys(i for one in anchors for i in self.match(level, one)))

    def _hinted(self, level: Level, anchor: AssetAnchor) -> tuple[int, ...]:
        """The item of that id, if it has just this content."""
        item = self.row.get(anchor.asset_id)
        if item is None or self.is_scene[item] != (level == "scene"):
            return ()
        apart = max(abs(self._start[item] - anchor.start_s), abs(self._end[item] - anchor.end_s))
        if apart > SAME_S:
            return ()
        own = self._views_of(item)
        if anchor.boxes and len(own):
            return (item,) if all(_nearest_iou(own, box) > 0.9 for box in anchor.boxes) else ()
        return (item,)

    def _found(self, level: Level, anchor: AssetAnchor) -> tuple[int, ...]:
        rows, starts, longest = self._order[level == "scene"]
        first = np.searchsorted(starts, anchor.start_s - longest - SAME_S, "left")
        last = np.searchsorted(starts, anchor.end_s + SAME_S, "right")
        near = rows[first:last]
        if level == "scene":
            return tuple(sorted(int(i) for i in near if self._cover(i, anchor) >= MIN_COVER))
        return self._found_figures(near, anchor)

    def _cover(self, item: int, anchor: AssetAnchor) -> float:
        """Share of an item's time that an anchor covers."""
        start, end = self._start[item], self._end[item]
        both = min(end, anchor.end_s) - max(start, anchor.start_s)
        return both / max(end - start, SAME_S)

    def _found_figures(self, near: np.ndarray, anchor: AssetAnchor) -> tuple[int, ...]:
        """Figures that are the nearest to at least half of the views that could be theirs."""
        if not anchor.boxes:
            item = self.row.get(anchor.asset_id)
            if item is not None and item in near and self._cover(item, anchor) > 0:
                return (item,)
            return ()
        won: dict[int, int] = {}
        seen: dict[int, int] = {}
        for box in anchor.boxes:
            alike = {int(i): _nearest_iou(self._views_of(i), box) for i in near}
            for item, value in alike.items():
                seen[item] = seen.get(item, 0) + (value >= 0)
            best = max(alike, key=lambda i: (alike[i], -i), default=None)
            if best is not None and alike[best] >= MIN_IOU:
                won[best] = won.get(best, 0) + 1
        return tuple(sorted(item for item, votes in won.items() if 2 * votes >= seen[item]))

    def _views_of(self, item: int) -> np.ndarray:
        return self._view[self._offset[item] : self._offset[item + 1]]

    def _sorted(self, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """Rows of a level by their start, those starts, and the longest span."""
        rows = np.flatnonzero(mask)
        rows = rows[np.argsort(self._start[rows], kind="stable")]
        longest = float((self._end[rows] - self._start[rows]).max()) if len(rows) else 0.0
        return rows, self._start[rows], longest


def _spans(asset: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Start and end in seconds; where they are not known a moment at the picture's time."""
    time = asset["timestamp_s"].cast(pl.Float64)
    start = asset["start_s"].fill_null(time) if "start_s" in asset.columns else time
    end = asset["end_s"] if "end_s" in asset.columns else pl.Series([None] * asset.height)
    end = end.cast(pl.Float64).fill_null(start + LEAST_SPAN_S)
    return start.to_numpy().astype(np.float64), end.to_numpy().astype(np.float64)


def _views(asset: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """All views (m, 5), by item, and where each item's begin (n + 1,)."""
    if "boxes" not in asset.columns:
        return np.empty((0, 5)), np.zeros(asset.height + 1, np.int64)
    boxes = asset["boxes"].cast(pl.List(pl.Float64))
    count = (boxes.list.len().fill_null(0) // 5).to_numpy().astype(np.int64)
    flat = boxes.drop_nulls().explode().drop_nulls().to_numpy()
    return flat.astype(np.float64).reshape(-1, 5), np.r_[0, np.cumsum(count)]


def _nearest_iou(views: np.ndarray, box: Sequence[float]) -> float:
    """Overlap of a view with the one nearest in time, less when late; -1 with none near enough."""
    if not len(views):
        return -1.0
    apart = np.abs(views[:, 0] - box[0])
    nearest = int(apart.argmin())
    if apart[nearest] > MAX_STEP_S:
        return -1.0
    return iou(views[nearest, 1:], box[1:]) * (1 - LATE * apart[nearest] / MAX_STEP_S)


def iou(one: Sequence[float] | np.ndarray, other: Sequence[float] | np.ndarray) -> float:
    """Area that two boxes x0 y0 x1 y1 share, over the area of both together, in [0, 1].

    Examples
    --------
    >>> iou((0, 0, 2, 1), (1, 0, 3, 1))
    0.3333333333333333
    """
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    both = max(0.0, float(width)) * max(0.0, float(height))
    area = sum((b[2] - b[0]) * (b[3] - b[1]) for b in (one, other))
    return both / (float(area) - both) if both else 0.0
