"""Report sections on the film: references, frames, people, scenes, captions, stages, file."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import polars as pl

from bunny.core import reference_folder, safe_path
from bunny.core.config import StageName
from bunny.core.error import UserError
from bunny.view import style, tile
from bunny.view.plot import film as plot_film
from bunny.view.plot import recognition
from bunny.view.report.section import (
    ReportData,
    ReportGroup,
    ReportSection,
    ReportTable,
    group,
    plot,
    share,
)

STAGES = get_args(StageName)
MAX_SCENES = 30
MAX_CHARACTERS = 12


def references(data: ReportData) -> ReportSection:
    """The reference pictures and how each was used."""
    reference = data.table("reference")
    if reference.is_empty():
        why = "No reference pictures were given, or they have not been read yet."
        return ReportSection(id="references", title="Reference pictures", missing=why)
    tiles = _reference_tiles(data, reference)
    return ReportSection(
        id="references",
        title="Reference pictures",
        texts=[f"{style.plural(reference.height, 'picture')} of the characters to look for."],
        groups=[group(tiles, kind="square")],
    )


def stages(data: ReportData) -> ReportSection:
    """Run time of each stage, and what stages noted."""
    records = {name: data.record(name) for name in STAGES}
    times = pl.DataFrame(
        {"name": STAGES, "seconds": [records[name].get("seconds") for name in STAGES]},
        schema={"name": pl.String, "seconds": pl.Float64},
    ).drop_nulls()
    if times.is_empty():
        return ReportSection(id="stages", title="Stages", missing="No stage has finished yet.")
    done = style.plural(times.height, "stage")
    longest = times.sort("seconds", descending=True).row(0, named=True)
    text = (
        f"{done} took {style.duration(float(times['seconds'].sum()))}; the longest was "
        f"{longest['name']} with {style.duration(longest['seconds'])}."
    )
    notes = [(name, record["note"]) for name, record in records.items() if record.get("note")]
    return ReportSection(
        id="stages",
        title="Stages",
        texts=[text],
        grids=[ReportTable(head=("stage", "note"), rows=notes)],
        plots=[plot(plot_film.plot_stage_times(times), "run time of each stage")],
    )


def details(data: ReportData) -> ReportSection:
    """The film's file, and memory and tables of each stage."""
    film = data.table("film")
    if film.is_empty():
        missing = "Stage extract has not run on this film."
        return ReportSection(id="details", title="File, memory and tables", missing=missing)
    row = film.row(0, named=True)
    records = {name: record for name in STAGES if (record := data.record(name))}
    return ReportSection(
        id="details",
        title="File, memory and tables",
        notes=[row["note"]] if row["note"] else [],
        grids=[
            ReportTable(rows=_film_facts(row)),
            ReportTable(
                head=("stage", "state", "time", "items", "failed", "peak memory", "table rows"),
                rows=[_stage_row(name, record) for name, record in records.items()],
                numeric=(2, 3, 4, 5),
            ),
        ],
    )


def pictures(data: ReportData) -> ReportSection:
    """Shots, sharpness, and the pictures that stayed or were left out."""
    frame, quality, shot = data.table("frame"), data.table("quality"), data.table("shot")
    if frame.is_empty():
        return ReportSection(
            id="pictures", title="Frames", missing="No frame has been extracted yet."
        )
    plots = [plot(plot_film.plot_shots(shot, frame, quality), "shots on a timeline")]
    if quality.is_empty():
        return ReportSection(
            id="pictures",
            title="Frames",
            texts=["Stage filter has not run, so no frame has been selected yet."],
            plots=plots,
        )
    threshold = data.config.filtering.blur_threshold
    plots += [
        plot(plot_film.plot_blur(quality, threshold), "histogram of sharpness"),
        plot(plot_film.plot_reasons(quality), "reasons why frames were dropped"),
    ]
    num_kept = quality.filter("is_kept").height
    groups = [group(tile.kept(data.root, frame, quality, 18), "Kept", "spread over the film")]
    if num_kept < quality.height:
        groups.append(
            group(tile.rejected(data.root, frame, quality, 12), "Dropped frames", "and the reason")
        )
    text = (
        f"{style.plural(shot.height, 'shot')} gave {style.plural(frame.height, 'frame')}; "
        f"{share(num_kept, quality.height)} are sharp, well exposed "
        "and not near duplicates."
    )
    return ReportSection(id="pictures", title="Frames", texts=[text], plots=plots, groups=groups)


def people(data: ReportData) -> ReportSection:
    """Characters, the similarity of their labels, and when they appear."""
    label, frame = data.table("label"), data.table("frame")
    unnamed = _figure_groups(data)
    if label.is_empty() and unnamed:
        text = "No character was recognised; drawn figures were found."
        return ReportSection(id="people", title="Characters", texts=[text], groups=unnamed)
    if label.is_empty():
        why = (
            "No face or figure was found." if data.record("detect") else "Stage detect has not run."
        )
        return ReportSection(id="people", title="Characters", missing=why)
    detection = data.config.detection
    figure = recognition.plot_similarity(
        label, detection.similarity_threshold, detection.drawn_threshold
    )
    plots = [
        plot(figure, "similarity of each face and figure to the reference pictures"),
        plot(recognition.plot_presence(label, frame), "when each character appears"),
    ]
    pair = data.table("pair")
    if not pair.is_empty():
        at = detection.similarity_threshold
        calibrated = recognition.plot_calibration(pair, data.table("calibration"), at)
        plots.append(plot(calibrated, "similarity of faces of one person and of two"))
    named = label.drop_nulls("character")
    names = named.group_by("character").len().sort("len", "character", descending=[True, False])
    names = names["character"].to_list()
    text = (
        f"{share(named.height, label.height)} faces and figures are labelled; "
        f"{style.plural(len(names), 'character')} in all."
    )
    return ReportSection(
        id="people",
        title="Characters",
        texts=[text],
        grids=[_people_grid(label)],
        plots=plots,
        groups=_people_groups(data, label, names) + unnamed,
    )


def scenes(data: ReportData) -> ReportSection:
    """Scene clusters over time with a row of pictures each."""
    cluster, frame = data.table("cluster"), data.table("frame")
    rows = tile.scenes(data.root, cluster, frame, 6)
    if not rows:
        why = "No scene was found." if data.record("cluster") else "Stage cluster has not run."
        return ReportSection(id="scenes", title="Scenes", missing=why)
    names = list(rows)[:MAX_SCENES]
    where = "wherever they are in the film"
    texts = [f"A scene groups shots that look like the same place and time, {where}."]
    if len(rows) > len(names):
        texts.append(f"The first {len(names)} of {len(rows)} are shown.")
    return ReportSection(
        id="scenes",
        title="Scenes",
        texts=texts,
        plots=[plot(plot_film.plot_scenes(cluster, frame), "scenes over time")],
        groups=[group(rows[name], name) for name in names],
    )


def captions(data: ReportData) -> ReportSection:
    """Captions of the pictures."""
    caption, frame = data.table("caption"), data.table("frame")
    if caption.is_empty():
        why = "No caption was written." if data.record("caption") else "Stage caption has not run."
        return ReportSection(id="captions", title="Captions", missing=why)
    failed = caption.filter(pl.col("status") != "done").height
    cost = float(caption["cost_usd"].fill_null(0).sum())
    who = ", ".join(sorted(set(caption["provider"].to_list())))
    done = style.plural(caption.height - failed, "caption")
    texts = [f"{done} by {who}, {failed} failed or were refused."]
    if cost:
        texts.append(f"They cost {cost:.2f} US dollars.")
    return ReportSection(
        id="captions",
        title="Captions",
        texts=texts,
        plots=[plot(recognition.plot_captions(caption), "words per caption")],
        groups=[group(tile.captions(data.root, caption, frame, 12), kind="large")],
    )


def _film_facts(row: dict) -> list[tuple[str, str]]:
    rate = row["frame_rate_num"] / row["frame_rate_den"]
    return [
        ("film", row["path"]),
        ("content", f"SHA-256 {row['content_hash'][:16]}…"),
        ("picture", f"{row['width_px']} × {row['height_px']} px, {row['codec']}"),
        ("rate", f"{rate:.3f} frames per second" if rate else "unknown"),
        ("length", f"{style.clock(row['duration_s'])} min:s, {row['num_frames']:,} frames"),
        ("not decodable", style.plural(row["num_frames_failed"], "frame")),
    ]


def _stage_row(name: str, record: dict) -> tuple[str, ...]:
    tables = record.get("tables", {})
    memory, seconds = record.get("peak_memory_mb"), record.get("seconds")
    return (
        name,
        "unfinished" if record["status"] == "running" else record["status"],
        "" if seconds is None else style.duration(seconds),
        str(record.get("num_items", "")),
        str(record.get("failed", "")),
        "" if memory is None else f"{memory:,.0f} MiB",
        ", ".join(f"{table} {value['rows']:,}" for table, value in tables.items() if value["rows"]),
    )


def _people_grid(label: pl.DataFrame) -> ReportTable:
    counts = (
        label.group_by(pl.col("character").fill_null(tile.UNKNOWN))
        .agg(
            found=pl.len(),
            shots=pl.col("shot_index").n_unique(),
            median=1 - pl.col("distance").median(),
            is_unknown=pl.col("character").is_null().first(),
        )
        .sort("is_unknown", "found", "character", descending=[False, True, False])
    )
    rows = [
        (c, str(found), str(shots), "" if median is None else f"{median:.2f}")
        for c, found, shots, median, _ in counts.iter_rows()
    ]
    return ReportTable(
        head=("character", "found", "in shots", "median similarity"), rows=rows, numeric=(1, 2, 3)
    )


def _people_groups(data: ReportData, label: pl.DataFrame, names: list[str]) -> list[ReportGroup]:
    """A row of faces or figures for each of the most frequent characters, and the unknown."""
    frame = data.table("frame")
    groups = []
    for name in [*names[:MAX_CHARACTERS], None]:
        own = label.filter(pl.col("character").eq_missing(pl.lit(name, pl.String)))
        if own.height:
            note = "most to least similar; a wrong label is usually among the least similar"
            note = note if name else "not similar enough to any reference picture"
            tiles = tile.subjects(data.root, own, frame, 6)
            groups.append(group(tiles, name or tile.UNKNOWN, note, kind="square"))
    return groups


def _figure_groups(data: ReportData) -> list[ReportGroup]:
    """A row of pictures for each of the most frequent unknown drawn figures."""
    figure, frame = data.table("figure"), data.table("frame")
    cluster = data.table("cluster").drop_nulls("cluster_id")
    face = data.table("face").clear()
    rows = tile.unknown_people(data.root, cluster, face, frame, 6, figure)
    note = "drawn figure without a label; name it with `bunny characters --name`"
    return [
        group(tiles, name, note, kind="square")
        for name, tiles in list(rows.items())[:MAX_CHARACTERS]
    ]


def _reference_tiles(data: ReportData, reference: pl.DataFrame) -> list[tile.Tile]:
    folder = _reference_folder(data)
    return [
        tile.Tile(
            file=_reference_file(folder, row["reference_id"]),
            title=row["character"],
            note=row["error"] or f"used as {row['route']}",
            tone="bad" if row["error"] else "plain",
        )
        for row in tile.spread(reference.sort("reference_id").to_dicts(), 36)
    ]


def _reference_folder(data: ReportData) -> Path | None:
    try:
        source = reference_folder.read_source(data.root)
    except UserError:
        return None
    folder = source.get("references")
    return Path(folder) if folder else None


def _reference_file(folder: Path | None, reference_id: str) -> Path | None:
    """References lie in `<name>/<file>` or, one a character, as `<file>` beside each other."""
    if folder is None:
        return None
    nested = safe_path.join(folder, reference_id)
    return nested if nested.exists() else safe_path.join(folder, Path(reference_id).name)
