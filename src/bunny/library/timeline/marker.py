"""Timeline markers: characters of a shot, search matches, training pictures, notes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from bunny.library.timeline import timecode
from bunny.library.timeline.clip import Marker
from bunny.library.timeline.timecode import FrameGrid

WHO, TRAINING, MATCH, NOTE = "BLUE", "GREEN", "YELLOW", "RED"  # colours
NOBODY = "no known character"
CAPTION_MAX = 120  # characters of a caption in a marker


def who_markers(
    timing: FrameGrid, shots: pl.DataFrame, tables: Mapping[str, pl.DataFrame]
) -> dict[int, Marker]:
    """One marker a shot, at its first frame: who is in it, and its caption and sharpness.

    Parameters
    ----------
    timing : FrameGrid
    shots : pl.DataFrame
        Rows of table `shot`.
    tables : mapping
        Tables label (the corrected one if there is one), frame, caption, quality.

    Returns
    -------
    dict
        By shot_index.
    """
    people = _by_shot(
        tables["label"]
        .drop_nulls("character")
        .group_by("shot_index")
        .agg(pl.col("character").unique().sort().alias("value"))
    )
    words = _by_shot(_captions(tables))
    sharp = _by_shot(
        tables["frame"]
        .join(tables["quality"].select("frame_id", "blur_score"), on="frame_id")
        .group_by("shot_index")
        .agg(value=pl.col("blur_score").max())
    )
    found = {}
    for row in shots.select("shot_index", "start_pts").iter_rows(named=True):
        index = row["shot_index"]
        best = sharp.get(index)
        text = [words.get(index) or "", "" if best is None else f"sharpness {best:.2f}"]
        found[index] = Marker(
            frame=timecode.frame_number(timing, row["start_pts"]),
            name=", ".join(people.get(index) or [NOBODY]),
            text="; ".join(t for t in text if t),
            color=WHO,
        )
    return found


def training_markers(
    timing: FrameGrid, tables: Mapping[str, pl.DataFrame], character: str = ""
) -> dict[int, list[Marker]]:
    """One marker a training picture, at the frame that it was cut from, named by its image_id.

    Parameters
    ----------
    timing : FrameGrid
    tables : mapping
        Tables dataset, frame, extra_frame.
    character : str
        Whose; empty: everybody's.

    Returns
    -------
    dict
        By shot_index, in film order.
    """
    pictures = tables["dataset"]
    if character:
        pictures = pictures.filter(pl.col("character").str.to_lowercase() == character.lower())
    pts = pl.concat([tables[n].select("frame_id", "pts") for n in ("frame", "extra_frame")])
    rows = pictures.join(pts.unique("frame_id"), on="frame_id").sort("pts", "image_id")
    found: dict[int, list[Marker]] = {}
    for row in rows.iter_rows(named=True):
        found.setdefault(row["shot_index"], []).append(
            Marker(
                frame=timecode.frame_number(timing, row["pts"]),
                name=row["image_id"],
                text=f"training picture of {row['character']} ({row['split']})",
                color=TRAINING,
                image_id=row["image_id"],
            )
        )
    return found


def match_marker(timing: FrameGrid, row: Mapping[str, Any]) -> Marker | None:
    """Marker at the frame that a search matched; None where a shot is meant as a whole.

    Parameters
    ----------
    timing : FrameGrid
    row : mapping
        matched_s in the film's own time, score, why.
    """
    if row["matched_s"] is None:
        return None
    first_s = float(timing.first_pts * timing.time_base)
    return Marker(
        frame=timecode.frame_at_second(
            timing, row["matched_s"] - first_s + float(1 / timing.rate) / 2
        ),
        name="match" if row["score"] is None else f"match {row['score']:.2f}",
        text=row["why"] or "",
        color=MATCH,
    )


def note_marker(timing: FrameGrid, frame: int) -> Marker | None:
    """Note on the first clip about adjustments to the film's timing; None if there were none."""
    if not timing.notes:
        return None
    return Marker(frame=frame, name="note", text="; ".join(timing.notes), color=NOTE)


def _captions(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """The newest caption of each shot's first captioned frame."""
    return (
        tables["caption"]
        .filter(pl.col("status") == "done")
        .drop_nulls("text")
        .join(tables["frame"].select("frame_id", "shot_index", "frame_index"), on="frame_id")
        .sort("shot_index", "frame_index", "version", descending=[False, False, True])
        .unique("shot_index", keep="first", maintain_order=True)
        .select("shot_index", value=pl.col("text").str.slice(0, CAPTION_MAX))
    )


def _by_shot(table: pl.DataFrame) -> dict[int, Any]:
    return dict(zip(table["shot_index"].to_list(), table["value"].to_list(), strict=True))
