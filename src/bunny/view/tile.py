"""Tiles of galleries: a picture's file, box and caption; no picture is opened here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import polars as pl

from bunny.core import safe_path
from bunny.dataset.coverage import Coverage
from bunny.quality import reason
from bunny.table.box import BOX, Box
from bunny.view import style
from bunny.view.plot import film
from bunny.view.report import coverage_text

Item = TypeVar("Item")
UNKNOWN = "unknown"
NOBODY = "no character recognised"

KEYS = ("subject_id", "character")


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One picture of a gallery."""

    file: Path | None
    title: str = ""
    note: str = ""
    box: Box | None = None  # cut out this part, in pixels of the file, with a margin
    tone: str = ""  # good, bad or plain: the colour of its edge


def spread(items: Sequence[Item], limit: int) -> list[Item]:
    """At most `limit` items, evenly over the sequence, first and last among them.

    Examples
    --------
    >>> spread(range(9), 3)
    [0, 4, 8]
    """
    if limit <= 0:
        return []
    if len(items) <= limit:
        return list(items)
    if limit == 1:
        return [items[0]]
    return [items[round(i * (len(items) - 1) / (limit - 1))] for i in range(limit)]


def kept(root: Path, frame: pl.DataFrame, quality: pl.DataFrame, limit: int = 24) -> list[Tile]:
    """Pictures that stayed, spread over the film, with time and sharpness."""
    rows = _timed(frame, quality).filter(pl.col("is_kept")).to_dicts()
    return [
        Tile(
            file=_file(root, row["file"]),
            title=style.clock(row["timestamp_s"]),
            note=f"sharpness {_number(row['sharpness'])}",
            tone="good",
        )
        for row in spread(rows, limit)
    ]


def rejected(root: Path, frame: pl.DataFrame, quality: pl.DataFrame, limit: int = 24) -> list[Tile]:
    """Pictures that were left out and why, reason by reason, each reason with a fair share."""
    rows = _timed(frame, quality).filter(~pl.col("is_kept")).sort("why", "timestamp_s")
    groups = [g.to_dicts() for g in rows.partition_by("why", maintain_order=True)]
    return [
        Tile(
            file=_file(root, row["file"]),
            title=row["why"],
            note=f"{style.clock(row['timestamp_s'])}, sharpness {_number(row['sharpness'])}",
            tone="bad",
        )
        for group in groups
        for row in spread(group, max(1, limit // len(groups)))
    ]


def subjects(root: Path, label: pl.DataFrame, frame: pl.DataFrame, limit: int = 12) -> list[Tile]:
    """Faces and regions by character, the most similar first; at most `limit` of each."""
    rows = label.join(frame.select("frame_id", "file", "timestamp_s"), on="frame_id").sort(
        "character", "distance", "subject_id", nulls_last=True
    )
    return [
        Tile(
            file=_file(root, row["file"]),
            title=row["character"] or UNKNOWN,
            note=f"similarity {_likeness(row['distance'])}, {style.clock(row['timestamp_s'])}",
            box=tuple(row[c] for c in BOX),
            tone="good" if row["character"] else "plain",
        )
        for group in rows.partition_by("character", maintain_order=True)
        for row in spread(group.to_dicts(), limit)
    ]


def scenes(
    root: Path, cluster: pl.DataFrame, frame: pl.DataFrame, limit: int = 6
) -> dict[str, list[Tile]]:
    """A row of pictures for each scene, in order of first appearance, those of no scene last."""
    points = film.scene_points(cluster, frame).join(frame.select("frame_id", "file"), on="frame_id")
    rows = {
        group["lane"][0]: [
            Tile(file=_file(root, row["file"]), title=style.clock(row["timestamp_s"]))
            for row in spread(group.to_dicts(), limit)
        ]
        for group in points.partition_by("lane", maintain_order=True)
    }
    noise = rows.pop(film.NO_SCENE, None)
    return rows | ({film.NO_SCENE: noise} if noise else {})


def shots(root: Path, shot: pl.DataFrame, frame: pl.DataFrame, limit: int = 48) -> list[Tile]:
    """The first picture of each shot, with the shot's number, time and how it begins."""
    first = frame.sort("frame_index").group_by("shot_index", maintain_order=True).first()
    rows = shot.sort("shot_index").join(
        first.select("shot_index", "file"), on="shot_index", how="left", maintain_order="left"
    )
    return [
        Tile(
            file=_file(root, row["file"]),
            title=f"shot {row['shot_index']}",
            note=f"{style.clock(row['start_s'])}, {row['transition_in']}",
        )
        for row in spread(rows.to_dicts(), limit)
    ]


def people(root: Path, people: pl.DataFrame) -> list[Tile]:
    """One picture a person with what is known of it."""
    return [
        Tile(
            file=None if row["file"] is None else safe_path.join(root, row["file"]),
            box=tuple(row[c] for c in BOX),
            title=row["name"],
            note=describe_person(row),
            tone="good" if row["is_named"] else "plain",
        )
        for row in people.iter_rows(named=True)
    ]


def describe_person(row: dict) -> str:
    """Summary of one person, in a line."""
    counts = [
        f"{number} {word if number > 1 else word[:-1]}"
        for number, word in (
            (row["num_faces"], "faces"),
            (row["num_figures"], "figures"),
            (row["num_shots"], "shots"),
        )
        if number
    ]
    word = "confidence" if row["is_named"] else "similarity"
    sure = "" if row["confidence"] is None else f", {word} {row['confidence']:.2f}"
    times = "–".join(style.clock(row[c] or 0) for c in ("first_s", "last_s"))
    return f"{', '.join(counts)}, {times}{sure}"


def unknown_people(
    root: Path,
    cluster: pl.DataFrame,
    face: pl.DataFrame,
    frame: pl.DataFrame,
    limit: int = 6,
    figure: pl.DataFrame | None = None,
) -> dict[str, list[Tile]]:
    """A row of pictures for each unknown person, the most frequent first; those of nobody last.

    Parameters
    ----------
    root : Path
        The film's folder.
    cluster, face, frame : pl.DataFrame
        Their tables.
    limit : int
        Pictures of a row.
    figure : pl.DataFrame, optional
        Its table: unknown drawn figures are shown too.
    """
    seen = [face.select("frame_id", *BOX, item_id="face_id")]
    if figure is not None:
        seen.append(figure.select("frame_id", *BOX, item_id="figure_id"))
    rows = (
        cluster.filter(pl.col("level") == "unknown")
        .select("item_id", person=pl.col("cluster_id").fill_null(NOBODY))
        .join(pl.concat(seen), on="item_id")
        .join(frame.select("frame_id", "file", "timestamp_s"), on="frame_id")
        .with_columns(size=pl.len().over("person"), is_nobody=pl.col("person") == NOBODY)
        .sort("is_nobody", "size", "person", "timestamp_s", descending=[False, True, False, False])
    )
    return {
        group["person"][0]: [
            Tile(
                file=_file(root, row["file"]),
                title=style.clock(row["timestamp_s"]),
                box=tuple(row[c] for c in BOX),
            )
            for row in spread(group.to_dicts(), limit)
        ]
        for group in rows.partition_by("person", maintain_order=True)
    }


def captions(root: Path, caption: pl.DataFrame, frame: pl.DataFrame, limit: int = 12) -> list[Tile]:
    """Pictures with the newest caption of each, or the reason why there is none."""
    newest = caption.sort("version").group_by("frame_id").last()
    rows = newest.join(frame.select("frame_id", "file", "timestamp_s"), on="frame_id")
    return [
        Tile(
            file=_file(root, row["file"]),
            title=style.clock(row["timestamp_s"]),
            note=row["text"] or f"{row['status']}: {row['error']}",
            tone="plain" if row["text"] else "bad",
        )
        for row in spread(rows.sort("timestamp_s").to_dicts(), limit)
    ]


def doubtful_captions(
    root: Path, audited: pl.DataFrame, frame: pl.DataFrame, limit: int = 12
) -> list[Tile]:
    """Pictures with their captions and what is doubtful about them, in the order given."""
    rows = audited.head(limit).join(
        frame.select("frame_id", "file", "timestamp_s"), on="frame_id", maintain_order="left"
    )
    return [
        Tile(
            file=_file(root, row["file"]),
            title=f"{style.clock(row['timestamp_s'])}, doubt {row['doubt']:.2f}",
            note=": ".join(
                [*([f"“{row['text']}”"] if row["text"] else []), "; ".join(row["reasons"])]
            ),
            tone="bad",
        )
        for row in rows.to_dicts()
    ]


def dataset(root: Path, table: pl.DataFrame, limit: int = 60) -> list[Tile]:
    """The training pictures; held-out ones have another edge."""
    return [
        Tile(
            file=_file(root, row["file"]),
            title=row["shot_size"] + (", held out" if row["split"] == "held-out" else ""),
            note=row["caption"],
            tone="plain" if row["split"] == "held-out" else "good",
        )
        for row in spread(table.sort("image_id").to_dicts(), limit)
    ]


def pairs(root: Path, table: pl.DataFrame, kind: str, limit: int = 12) -> list[Tile]:
    """Pictures of pairs, pair by pair: of edits the one before first, else the target first.

    Parameters
    ----------
    table : pl.DataFrame
        Table ``training_pair``.
    kind : str
        ``reference`` or ``edit``.
    limit : int
        Pairs, spread over the film.
    """
    rows = table.filter(pl.col("kind").cast(pl.String) == kind, pl.col("files").is_not_null())
    tiles = []
    for row in spread(rows.sort("target_s").to_dicts(), limit):
        times = [row["target_s"], *row["reference_s"]]
        shown = list(zip(row["files"], times, strict=True))
        for place, (file, second) in enumerate(shown[::-1] if kind == "edit" else shown):
            is_target = file == row["files"][0]
            tiles.append(
                Tile(
                    file=_file(root, file),
                    title=row["pair_id"] if place == 0 else style.clock(second),
                    note=row["instruction"] if is_target else "",
                    tone="good" if is_target else "plain",
                )
            )
    return tiles


def drawings(root: Path, picture: pl.DataFrame) -> dict[str, list[Tile]]:
    """For each prompt its drawings: for each seed the base alone, then with the adapter."""
    rows = picture.sort("seed", pl.col("adapter_file").is_not_null(), "picture_id").to_dicts()
    prompts = dict.fromkeys(picture.sort("picture_id")["prompt"].to_list())
    models = {(row.get("step"), row.get("strength")) for row in rows if row["adapter_file"]}
    is_one = len(models) <= 1
    return {p: [_drawing(root, row, is_one) for row in rows if row["prompt"] == p] for p in prompts}


def _drawing(root: Path, row: dict, is_one: bool) -> Tile:
    """A drawing; where several checkpoints or strengths drew, it says which."""
    has_adapter = row["adapter_file"] is not None
    word = "adapter" if is_one else f"step {row['step']}, {row['strength'] or 0:g}"
    score = "" if row["similarity"] is None else f", similarity {row['similarity']:.2f}"
    return Tile(
        file=_file(root, row["file"]),
        title=word if has_adapter else "base",
        note=row["error"] or f"seed {row['seed']}{score}",
        tone="good" if has_adapter else "plain",
    )


def _timed(frame: pl.DataFrame, quality: pl.DataFrame) -> pl.DataFrame:
    """Quality with the file, time and judged sharpness of each picture, in film order."""
    judged = reason.sharpness_expr(quality.columns)
    return (
        quality.select("frame_id", judged, "is_kept", why=pl.col("reason").cast(pl.String))
        .join(frame.select("frame_id", "file", "timestamp_s"), on="frame_id")
        .sort("timestamp_s", "frame_id")
    )


def _file(root: Path, name: str | None) -> Path | None:
    return None if name is None else safe_path.join(root, name)


def _likeness(distance: float | None) -> str:
    return _number(None if distance is None else 1 - distance)


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"


def alike_pairs(root: Path, summaries: Iterable[Coverage]) -> list[Tile]:
    """The most alike pictures, two tiles a pair, the most alike pair of each character first."""
    return [
        Tile(
            file=safe_path.join(root, file),
            title=f"{number}{letter}: distance {pair.distance:.3f}",
            note=f"{pair.relation}, {Path(file).stem}",
            tone="bad" if pair.relation == "other shot" else "plain",
        )
        for summary in summaries
        for number, pair in enumerate(summary.pairs, 1)
        for letter, file in (("a", pair.one_file), ("b", pair.other_file))
    ]


def gap_fillers(
    root: Path, gaps: pl.DataFrame, candidate: pl.DataFrame, frame: pl.DataFrame, limit: int = 24
) -> list[Tile]:
    """Dropped views that would fill a gap, each once, the widest gap first.

    Parameters
    ----------
    gaps : pl.DataFrame
        As `bunny.dataset.gap.find_gaps` gives them.
    candidate, frame : pl.DataFrame
        Tables of those names. A view whose frame is not stored is a grey tile.
    """
    shown = gaps.drop_nulls(("subject_id", "setting"))
    shown = shown.unique(KEYS, keep="first", maintain_order=True).head(limit)
    boxes = candidate.select(*KEYS, "frame_id", *BOX)
    rows = shown.join(boxes, on=KEYS, how="left", maintain_order="left").join(
        frame.select("frame_id", "file"), on="frame_id", how="left", maintain_order="left"
    )
    return [
        Tile(
            file=safe_path.join(root, row["file"]) if row["file"] else None,
            title=row["value"],
            note=f"shot {row['shot_index']}, {style.clock(row['timestamp_s'])}: "
            f"{coverage_text.reason_of(row)}",
            box=tuple(row[side] for side in BOX),
            tone="bad",
        )
        for row in rows.iter_rows(named=True)
    ]
