"""Sections of a report: text, plots, tables and tiles, and the film's tables they read."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from bunny.table import corrected
from bunny.view import contact_sheet, style
from bunny.view.tile import Tile

if TYPE_CHECKING:
    from plotnine import ggplot

    from bunny.core.config import Config

SIZE_PX = {"": (240, 180), "square": (200, 200), "large": (320, 240), "pairs": (240, 240)}
PLOT_DPI = 2 * style.DPI  # sharp on screens with doubled pixels


@dataclass(frozen=True, kw_only=True, eq=False)
class ReportData:
    """One film as the report sees it."""

    root: Path
    film_id: str
    config: Config

    @cache  # noqa: B019 - lives as long as one report
    def table(self, name: str) -> pl.DataFrame:
        """Read a table, corrected if people did; an empty one when it was never written."""
        return corrected.read_or_empty(self.root / "table", name)

    @cache  # noqa: B019
    def record(self, stage: str) -> dict[str, Any]:
        """The stage.json of a stage; empty when it never ran or cannot be read."""
        try:
            path = self.root / "stage" / stage / "stage.json"
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}

    def why_nothing(self, stage: str, otherwise: str) -> str:
        """Say why a stage left nothing to show: it has not run, its own note, or `otherwise`."""
        record = self.record(stage)
        return (record.get("note") or otherwise) if record else f"Stage {stage} has not run."


@dataclass(frozen=True, kw_only=True)
class ReportPlot:
    """A figure inside the page."""

    uri: str
    alt: str
    width_px: int


@dataclass(frozen=True, kw_only=True)
class ReportPicture:
    """A tile inside the page."""

    uri: str
    title: str
    note: str
    tone: str
    width_px: int
    height_px: int


@dataclass(frozen=True, kw_only=True)
class ReportGroup:
    """Tiles under a heading; `kind` is a class of the page: "", square, large or pairs."""

    tiles: Sequence[ReportPicture]
    title: str = ""
    note: str = ""
    kind: str = ""


@dataclass(frozen=True, kw_only=True)
class ReportTable:
    """A table of words; `numeric` are the columns set flush right."""

    rows: Sequence[Sequence[str]]
    head: Sequence[str] = ()
    numeric: Sequence[int] = ()


@dataclass(frozen=True, kw_only=True)
class ReportSection:
    """One part of the report; `missing` says why there is nothing in it."""

    id: str
    title: str
    missing: str = ""
    texts: Sequence[str] = ()
    notes: Sequence[str] = ()  # set off from the text: what a reader must not overlook
    grids: Sequence[ReportTable] = ()
    plots: Sequence[ReportPlot] = field(default_factory=tuple)
    groups: Sequence[ReportGroup] = field(default_factory=tuple)


def plot(figure: ggplot, alt: str) -> ReportPlot:
    """Draw a figure for the page."""
    png = style.to_png(figure, PLOT_DPI)
    width_px = int.from_bytes(png[16:20], "big")  # PNG header, IHDR width
    uri = "data:image/png;base64," + base64.b64encode(png).decode()
    return ReportPlot(uri=uri, alt=alt, width_px=width_px * style.DPI // PLOT_DPI)


def group(tiles: Sequence[Tile], title: str = "", note: str = "", kind: str = "") -> ReportGroup:
    """Read the pictures of tiles for the page."""
    size = SIZE_PX[kind]
    return ReportGroup(tiles=[_picture(t, size) for t in tiles], title=title, note=note, kind=kind)


def share(part: int, whole: int) -> str:
    """Write a count with its share.

    Examples
    --------
    >>> share(3, 4)
    '3 of 4 (75 %)'
    """
    return f"{part} of {whole} ({100 * part / whole:.0f} %)" if whole else "0"


def _picture(tile: Tile, size: tuple[int, int]) -> ReportPicture:
    image = contact_sheet.thumbnail(tile, size)
    return ReportPicture(
        uri=contact_sheet.data_uri(image),
        title=tile.title,
        note=tile.note,
        tone=tile.tone,
        width_px=image.width,
        height_px=image.height,
    )
