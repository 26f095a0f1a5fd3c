"""Section of the report about clips: what was cut, why not more, strips and moving pictures."""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bunny.core import safe_path
from bunny.view import contact_sheet, style, tile
from bunny.view.report import section
from bunny.view.report.section import ReportData, ReportGroup, ReportPicture, ReportSection

if TYPE_CHECKING:
    import polars as pl
    from IPython.display import HTML
    from PIL.Image import Image

STRIPS, FRAMES_A_STRIP, FRAME_PX = 24, 5, 150
LOOPS, LOOP_PX, LOOP_STEP, LOOP_QUALITY = 6, 160, 2, 40


def clips(data: ReportData) -> ReportSection | None:
    """What was cut for video models; None where no clips are wanted."""
    if not data.record("clip") or data.config.clip.preset == "off":
        return None
    clip, candidate = data.table("clip"), data.table("clip_candidate")
    if clip.is_empty():
        why = data.why_nothing("clip", "No clip was made.")
        return ReportSection(id="clips", title="Clips", missing=why)
    rows = clip.sort("character", "start_s").to_dicts()
    held = sum(row["split"] == "held-out" for row in rows)
    sizes = Counter(f"{row['width_px']} x {row['height_px']}" for row in rows)
    left = Counter(candidate.filter(~candidate["is_chosen"])["reason"].cast(str).to_list())
    words = [
        f"{style.plural(len(rows), 'clip')} at {rows[0]['fps']:g} frames per second, "
        f"{', '.join(sizes)} px; {held} held out."
    ]
    if left:
        reasons = ", ".join(f"{number} {reason}" for reason, number in left.most_common())
        words.append(f"Runs of frames left out: {reasons}.")
    shown = tile.spread(rows, STRIPS)
    return ReportSection(
        id="clips",
        title="Clips",
        texts=words,
        grids=[_counts(rows)],
        groups=[
            ReportGroup(
                tiles=[picture for row in shown if (picture := _strip(data.root, row))],
                title="Strips",
                note="Does every frame, from first to last, show the character, in a single shot?",
                kind="large",
            ),
            ReportGroup(
                tiles=[
                    picture
                    for row in tile.spread(rows, LOOPS)
                    if (picture := _loop(data.root, row))
                ],
                title="Moving",
                kind="square",
            ),
        ],
    )


def show_strips(root: Path, clip: pl.DataFrame) -> HTML:
    """Strips of clips for a notebook.

    Parameters
    ----------
    root : Path
        The film's folder.
    clip : pl.DataFrame
        Table of that name.
    """
    from IPython.display import HTML

    rows = tile.spread(clip.sort("character", "start_s").to_dicts(), STRIPS)
    tiles = [picture for row in rows if (picture := _strip(root, row))]
    figures = "".join(
        f'<figure style="margin:0 0 8px"><img src="{one.uri}" alt="{escape(one.title)}">'
        f"<figcaption>{escape(one.title)}: {escape(one.note)}</figcaption></figure>"
        for one in tiles
    )
    return HTML(figures or "<p>no clip</p>")


def _counts(rows: Sequence[dict]) -> section.ReportTable:
    """Clips and seconds by character and camera."""
    cells: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        seconds = row["num_frames"] / row["fps"]
        cells.setdefault((row["character"], row["camera"]), []).append(seconds)
    lines = [
        (name, camera, str(len(own)), f"{sum(own):.1f}")
        for (name, camera), own in sorted(cells.items())
    ]
    return section.ReportTable(
        rows=lines, head=("character", "camera", "clips", "seconds"), numeric=(2, 3)
    )


def _strip(root: Path, row: dict) -> ReportPicture | None:
    """A few frames side by side; None for a clip that cannot be read."""
    from PIL import Image

    frames = read_frames(safe_path.join(root, row["file"]), FRAME_PX)
    if not frames:
        return None
    at = np.linspace(0, len(frames) - 1, FRAMES_A_STRIP).round().astype(int)
    width, height = frames[0].size
    strip = Image.new("RGB", (width * len(at), height))
    for place, index in enumerate(at):
        strip.paste(frames[index], (place * width, 0))
    return ReportPicture(
        uri=contact_sheet.data_uri(strip),
        title=f"{row['character']} {style.clock(row['start_s'])}",
        note=f"{row['num_frames']} frames, {row['camera']}",
        tone="plain" if row["split"] == "held-out" else "",
        width_px=strip.width,
        height_px=strip.height,
    )


def _loop(root: Path, row: dict) -> ReportPicture | None:
    """The clip as a small picture that moves; None for one that cannot be read."""
    frames = read_frames(safe_path.join(root, row["file"]), LOOP_PX)[::LOOP_STEP]
    if not frames:
        return None
    held = io.BytesIO()
    frames[0].save(
        held,
        "WEBP",
        save_all=True,
        append_images=frames[1:],
        loop=0,
        quality=LOOP_QUALITY,
        duration=round(1000 * LOOP_STEP / row["fps"]),
    )
    return ReportPicture(
        uri="data:image/webp;base64," + base64.b64encode(held.getvalue()).decode(),
        title=row["character"],
        note=row["camera"],
        tone="",
        width_px=frames[0].width,
        height_px=frames[0].height,
    )


def read_frames(path: Path, width_px: int) -> list[Image]:
    """Frames of a clip, small, RGB; none where it cannot be read."""
    import av
    from av.error import FFmpegError

    try:
        with av.open(str(path)) as film:
            stream = film.streams.video[0]
            height_px = max(1, round(width_px * stream.height / stream.width))
            return [
                frame.to_image(width=width_px, height=height_px) for frame in film.decode(stream)
            ]
    except (FFmpegError, OSError, IndexError):
        return []
