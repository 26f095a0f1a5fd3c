"""The page of two runs that were compared, with pictures of items whose label differs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from bunny.core import atomic
from bunny.view import style
from bunny.view.report import page
from bunny.view.report.run_difference import KINDS, Difference, RunDifference
from bunny.view.report.scene_difference import SceneChange, SceneDifference
from bunny.view.report.section import ReportGroup, ReportSection, ReportTable, group
from bunny.view.tile import Tile, spread

PARTS = {"settings": "Settings", "counts": "Counts", "seconds": "Seconds", "scores": "Scores"}


def write(path: Path, found: RunDifference, project: str, num_pictures: int) -> Path:
    """Write the page.

    Parameters
    ----------
    project : str
        Name and version.
    num_pictures : int
        Most pictures of each kind of item; the page says how many there would be.
    """
    atomic.write_bytes(path, render(found, project, num_pictures).encode())
    return path


def render(found: RunDifference, project: str, num_pictures: int) -> str:
    """Text of the page; everything that came from outside is escaped."""
    items = [_items(found, kind, num_pictures) for kind in KINDS]
    tables = [_table(found, part) for part in PARTS]
    counts = [(str(len(getattr(found, part))), title.lower()) for part, title in PARTS.items()]
    return page.render_page(
        page.ReportPage(
            title=f"{found.names[0]} and {found.names[1]}",
            project=project,
            lead="; ".join(found.notes) or "Two runs of the same film.",
            numbers=[(f"{len(found.items):,}", "items whose label differs"), *counts],
            parts=[("", [*items, _scenes(found, num_pictures), *tables])],
            footer=f"at most {style.plural(num_pictures, 'picture')} of each kind of item",
        )
    )


def show(value: Any) -> str:
    """A value for people; a dash where a run has none.

    Examples
    --------
    >>> show(None), show(0.123456), show("auto"), show([1, 2])
    ('-', '0.1235', 'auto', '1, 2')
    """
    if value is None:
        return "-"
    if isinstance(value, list | tuple):
        return ", ".join(show(one) for one in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _items(found: RunDifference, kind: str, num_pictures: int) -> ReportSection:
    differing = [item for item in found.items if item.kind == kind]
    name = f"{kind}s"
    if not differing:
        total = found.num_compared.get(kind)
        why = (
            f"{style.plural(total, kind)} compared: all labels agree."
            if total is not None
            else "Not compared."
        )
        return ReportSection(id=name.replace(" ", "-"), title=name.capitalize(), missing=why)
    pictured = [item for item in differing if item.file]
    shown = spread(pictured, num_pictures)
    tiles = [
        Tile(
            file=item.file,
            title=f"{item.one} → {item.other}",
            note=item.key,
            box=item.box,
            tone="plain",
        )
        for item in shown
    ]
    said = f"{len(differing)} of {style.plural(found.num_compared[kind], kind)} differ"
    without = len(differing) - len(pictured)
    rest = f" ({without} without a stored picture)" if without else ""
    groups: list[ReportGroup] = [group(tiles)] if tiles else []
    return ReportSection(
        id=name.replace(" ", "-"),
        title=name.capitalize(),
        texts=[f"{said}; {len(shown)} shown{rest}."],
        groups=groups,
    )


def describe_change(change: SceneChange) -> str:
    """What became of scenes, in words.

    Examples
    --------
    >>> describe_change(SceneChange(kind="split", one=("scene-001",), other=("a", "b")))
    'scene-001 split into a, b'
    >>> describe_change(SceneChange(kind="vanished", one=("scene-001",), other=()))
    'scene-001 vanished'
    """
    one, other = ", ".join(change.one), ", ".join(change.other)
    words = {
        "split": f"{one} split into {other}",
        "merged": f"{one} merged into {other}",
        "appeared": f"{other} appeared",
        "vanished": f"{one} vanished",
    }
    return words[change.kind]


def scene_line(found: SceneDifference) -> str:
    """Counts of one line."""
    kinds = Counter(change.kind for change in found.changes)
    told = [f"{number} {kind}" for kind, number in kinds.items()]
    counts = f"{len(found.matched)} of {found.num_scenes[0]} scenes match one of "
    return ", ".join(
        [f"{counts}{found.num_scenes[1]}", *told, f"{style.plural(len(found.moved), 'shot')} moved"]
    )


def _scenes(found: RunDifference, num_pictures: int) -> ReportSection:
    """Scenes that do not correspond, each with a picture, and shots that moved."""
    scenes = found.scenes
    if scenes is None or scenes.is_same():
        why = "Not compared." if scenes is None else f"{scene_line(scenes).capitalize()}."
        return ReportSection(id="scenes", title="Scenes", missing=why)
    groups: list[ReportGroup] = []
    for change in scenes.changes[:num_pictures]:
        names = [("1", name) for name in change.one] + [("2", name) for name in change.other]
        tiles = [
            Tile(
                file=found.scene_files.get(f"{run}:{name}"),
                title=name,
                note="first run" if run == "1" else "second run",
                tone="plain",
            )
            for run, name in names
        ]
        groups.append(group(tiles, title=describe_change(change)))
    tiles = [
        Tile(
            file=found.scene_files.get(moved.shot),
            title=f"{moved.one} → {moved.other}",
            note=moved.shot,
            tone="plain",
        )
        for moved in spread(scenes.moved, num_pictures)
    ]
    groups += [group(tiles, title="Shots that moved")] if tiles else []
    said = f"Scenes are matched by the frames they share: {scene_line(scenes)}."
    return ReportSection(id="scenes", title="Scenes", texts=[said], groups=groups)


def _table(found: RunDifference, part: str) -> ReportSection:
    rows: tuple[Difference, ...] = getattr(found, part)
    if not rows:
        return ReportSection(id=part, title=PARTS[part], missing="No difference.")
    grid = ReportTable(
        head=("", "", "first run", "second run"),
        rows=[(row.where, row.what, show(row.one), show(row.other)) for row in rows],
        numeric=(2, 3) if part != "settings" else (),
    )
    return ReportSection(id=part, title=PARTS[part], grids=[grid])
