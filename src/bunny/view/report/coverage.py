"""Report section on the training set: what it covers, repeats and lacks."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from bunny.dataset import gap
from bunny.dataset.coverage import Coverage
from bunny.view import style, tile
from bunny.view.plot import dataset_coverage
from bunny.view.report import coverage_text, picture_vector
from bunny.view.report.section import (
    ReportData,
    ReportGroup,
    ReportPlot,
    ReportSection,
    ReportTable,
    group,
    plot,
    share,
)

MAX_GAPS = 8  # sentences
MAX_PICTURES = 60
MAX_FILLING = 18
THUMBNAIL_NOTE = (
    "The image embedding model is not installed, so similarity was measured on 16x16 "
    "pixel thumbnails: the Vendi score and the distances are approximate. Run `uv "
    "sync` in the project folder to install it."
)


def training_set(data: ReportData) -> ReportSection:
    """The training pictures, what they cover, how alike they are, what is missing."""
    dataset, candidate = data.table("dataset"), data.table("candidate")
    if dataset.is_empty():
        return ReportSection(id="training-set", title="The training set", missing=_why_no_set(data))
    looks = picture_vector.embed(data.root, dataset, data.table("frame"))
    summaries = picture_vector.summarise(dataset, looks)
    gaps = gap.find_gaps(candidate, dataset)
    return ReportSection(
        id="training-set",
        title="The training set",
        texts=[*[t for s in summaries.values() for t in _sentences(s)], _set_sentence(dataset)],
        notes=[THUMBNAIL_NOTE] if looks.model == picture_vector.THUMBNAIL else [],
        grids=[_numbers(summaries.values()), *([] if candidate.is_empty() else [_missing(gaps)])],
        plots=_plots(dataset, candidate, looks),
        groups=_groups(data, summaries, gaps),
    )


def _why_no_set(data: ReportData) -> str:
    for stage in ("dataset", "finetune"):
        record = data.record(stage)
        if record and (record.get("note") or record.get("error")):
            return record.get("note") or record["error"]
    if not data.record("dataset"):
        return "Stage dataset has not run, so there is no training set yet."
    return "No picture was suitable for training."


def _set_sentence(dataset: pl.DataFrame) -> str:
    held = dataset.filter(pl.col("split") == "held-out").height
    up = dataset.filter(pl.col("upscale") > 1).height
    return (
        f"{held} of {style.plural(dataset.height, 'picture')} are held out: no "
        f"picture of their shots is trained on. {up} had to be upscaled."
    )


def _sentences(summary: Coverage) -> list[str]:
    """Verdict and advice, and how far the nearest pictures are."""
    texts = [coverage_text.verdict(summary), *coverage_text.advice(summary)]
    if summary.nearest_median is not None:
        alike = share(summary.num_alike or 0, summary.num_pictures)
        texts.append(
            f"The median distance to the nearest other picture is {summary.nearest_median:.2f} "
            f"({summary.nearest_min:.2f} to {summary.nearest_max:.2f}; 0 means identical, 1 means "
            f"as different as two random pictures of the film); {alike} closely resemble another "
            "one."
        )
    return texts


def _numbers(summaries: Iterable[Coverage]) -> ReportTable:
    """Counts of each character's pictures by size, pose and light."""
    rows = [
        (
            s.character,
            axis,
            ", ".join(f"{value} {number}" for value, number in s.balance[key].count.items()),
            "" if (even := s.balance[key].evenness) is None else f"{100 * even:.0f} %",
        )
        for s in summaries
        for key, axis in (("pose", "pose"), ("shot_size", "size"), ("light", "light"))
        if s.balance[key].num_known and (key != "pose" or s.has_pose)
    ]
    return ReportTable(head=("character", "", "pictures", "evenness"), rows=rows, numeric=(3,))


def _missing(gaps: pl.DataFrame) -> ReportTable:
    """Gaps and who would fill them, numbered."""
    lines = coverage_text.sentences(gaps, MAX_GAPS)
    return ReportTable(
        head=("", "gaps in the training set, and the views that would fill them"),
        rows=[(str(number), line) for number, line in enumerate(lines, 1)],
    )


def _plots(
    dataset: pl.DataFrame, candidate: pl.DataFrame, looks: picture_vector.PictureVectors
) -> list[ReportPlot]:
    plots = [
        plot(dataset_coverage.plot_cells(dataset), "pictures of each pose and size"),
        plot(dataset_coverage.plot_balance(dataset), "pictures of each pose, size and light"),
        plot(dataset_coverage.plot_places(dataset), "pictures of each place"),
    ]
    near = picture_vector.nearest(dataset, looks)
    if not near.is_empty():
        plots.append(
            plot(dataset_coverage.plot_neighbours(near), "distance to the nearest picture")
        )
    if not candidate.is_empty():
        plots.append(plot(dataset_coverage.plot_reasons(candidate), "why views were left out"))
    return plots


def _groups(
    data: ReportData, summaries: dict[str, Coverage], gaps: pl.DataFrame
) -> list[ReportGroup]:
    """The pictures themselves, the most alike of them, and dropped ones that would fill gaps."""
    dataset, candidate, frame = (data.table(n) for n in ("dataset", "candidate", "frame"))
    alike = tile.alike_pairs(data.root, summaries.values())
    filling = tile.gap_fillers(data.root, gaps, candidate, frame, MAX_FILLING)
    groups = [
        group(
            tile.dataset(data.root, part, MAX_PICTURES),
            name,
            style.plural(part.height, "picture"),
            "square",
        )
        for (name,), part in sorted(dataset.partition_by("character", as_dict=True).items())
    ]
    if alike:
        note = "would one of each be enough?"
        groups.append(group(alike, "The most similar pairs", note, "pairs"))
    if filling:
        groups.append(group(filling, "Dropped views that would fill a gap", "", "square"))
    return groups
