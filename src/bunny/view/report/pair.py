"""Section of the report about pairs for edit and reference models: how many, why not more, some."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from bunny.core import image_file, safe_path
from bunny.view import contact_sheet, style, tile
from bunny.view.report import clip, section
from bunny.view.report.section import ReportData, ReportGroup, ReportPicture, ReportSection

SHOWN, SIDE_PX = 12, 150  # pairs of each kind; height of a picture in a row


def pairs(data: ReportData) -> ReportSection | None:
    """What was paired; None where no pairs are wanted."""
    if not data.record("pair") or not data.config.pair.kinds:
        return None
    table = data.table("training_pair").sort("kind", "character", "target_s")
    rows = [row for row in table.iter_rows(named=True) if row["files"]]
    if not rows:
        why = data.why_nothing("pair", "No pair was made.")
        return ReportSection(id="pairs", title="Pairs", missing=why)
    held = sum(row["split"] == "held-out" for row in rows)
    left = Counter(
        f"{row['kind']} {row['reason']}" for row in table.iter_rows(named=True) if row["reason"]
    )
    words = [f"{style.plural(len(rows), 'pair')}, {held} held out."]
    if left:
        reasons = ", ".join(f"{number} {reason}" for reason, number in left.most_common())
        words.append(f"Left out: {reasons}.")
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    return ReportSection(
        id="pairs",
        title="Pairs",
        texts=words,
        grids=[_counts(rows)],
        groups=[_group(data.root, kind, [r for r in rows if r["kind"] == kind]) for kind in kinds],
    )


def _counts(rows: Sequence[Mapping[str, Any]]) -> section.ReportTable:
    """Pairs by kind and character, and how many references they have."""
    cells: dict[tuple[str, str], list[int]] = {}
    for row in rows:
        number = len(row["reference_frame_ids"])
        cells.setdefault((row["kind"], row["character"]), []).append(number)
    lines = [
        (kind, name, str(len(own)), f"{sum(own) / len(own):.1f}")
        for (kind, name), own in sorted(cells.items())
    ]
    return section.ReportTable(
        rows=lines, head=("kind", "character", "pairs", "references per pair"), numeric=(2, 3)
    )


def _group(root: Path, kind: str, rows: Sequence[Mapping[str, Any]]) -> ReportGroup:
    note = {
        "reference": "The target, then its references: the same character in other places.",
        "clip": "A clip's first and last frame, then its references.",
        "edit": "Before, then after.",
    }[kind]
    shown = [picture for row in tile.spread(rows, SHOWN) if (picture := _row(root, row))]
    return ReportGroup(tiles=shown, title=kind.capitalize(), note=note, kind="large")


def _row(root: Path, row: Mapping[str, Any]) -> ReportPicture | None:
    """Target and references side by side; None where one cannot be read."""
    target, *references = (safe_path.join(root, file) for file in row["files"])
    if row["kind"] == "clip":
        frames = clip.read_frames(target, 2 * SIDE_PX)
        pictures = [frames[0], frames[-1]] if frames else []
    else:
        pictures = [_open(target)]
    pictures += [_open(file) for file in references]
    if row["kind"] == "edit":
        pictures.reverse()
    known = [one for one in pictures if one is not None]
    if len(known) < len(references) + 1:
        return None
    scaled = [ImageOps.contain(one, (3 * SIDE_PX, SIDE_PX)) for one in known]
    strip = Image.new("RGB", (sum(one.width + 4 for one in scaled) - 4, SIDE_PX), "white")
    at = 0
    for one in scaled:
        strip.paste(one, (at, 0))
        at += one.width + 4
    return ReportPicture(
        uri=contact_sheet.data_uri(strip),
        title=f"{row['character']} {style.clock(row['target_s'])}",
        note=row["instruction"] or "",
        tone="plain" if row["split"] == "held-out" else "",
        width_px=strip.width,
        height_px=strip.height,
    )


def _open(path: Path) -> Image.Image | None:
    """A picture, RGB; None where it cannot be read."""
    try:
        with image_file.open_picture(path) as image:
            return image.convert("RGB")
    except OSError:
        return None
