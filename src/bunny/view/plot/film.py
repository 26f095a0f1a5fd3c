"""Plots of a film: shots, change scores, sharpness, what thresholds drop, duplicates, scenes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from bunny.quality import reason
from bunny.table import scalar
from bunny.view import style

MAX_POINTS = 1200  # of the line; of more frames the largest score of each span is drawn
MAX_SCORE = 6.0  # higher ones are drawn at the upper edge
VETO = ("flash", "passing", "light", "same-view")

NUM_BINS = 40  # of sharpness
NO_SCENE = "no scene"
MAX_LANES = 24  # scene lanes that still read; the largest are shown

MAX_GROUPS = 16  # lanes that still read; the largest groups are shown

if TYPE_CHECKING:
    from plotnine import ggplot

    from bunny.core.config import FilteringConfig


def plot_shots(shot: pl.DataFrame, frame: pl.DataFrame, quality: pl.DataFrame) -> ggplot:
    """Shots on a time line by kind, how each begins, and the pictures taken from them.

    Parameters
    ----------
    shot, frame, quality : pl.DataFrame
        Tables of those names; `quality` may be empty, then every picture counts as kept.
    """
    if shot.is_empty():
        return style.empty_plot("no shots: stage extract has not run")
    import plotnine as p9

    bars = shot.select("start_s", "end_s", pl.col("kind").cast(pl.String))
    begins = shot.select("start_s", how=pl.col("transition_in").cast(pl.String), y=pl.lit(1.25))
    begins = begins.filter(pl.col("how") != "start")
    taken = _frames_kept(frame, quality).with_columns(y=pl.lit(-0.25))
    fill = {"static": "#BFD9EA", "dynamic": "#F3D9A4"}
    shape = {"cut": "|", "fade": "v", "dissolve": "D"}
    num_kept = taken.filter(pl.col("state") == "frame kept").height
    return (
        p9.ggplot()
        + p9.geom_rect(
            p9.aes(xmin="start_s", xmax="end_s", fill="kind"),
            bars,
            ymin=0,
            ymax=1,
            color=style.PAPER,
            size=0.7,
        )
        + p9.geom_point(p9.aes("start_s", "y", shape="how"), begins, size=2.4, color=style.INK)
        + p9.geom_point(p9.aes("timestamp_s", "y", color="state"), taken, size=1.6)
        + p9.scale_fill_manual(values=fill, breaks=_present(fill, bars["kind"]))
        + p9.scale_shape_manual(values=shape, breaks=_present(shape, begins["how"]))
        + p9.scale_color_manual(values={"frame kept": style.GOOD, "frame dropped": style.BAD})
        + p9.scale_y_continuous(limits=(-0.5, 1.5), breaks=[], name="")
        + style.time_axis()
        + p9.labs(
            title=f"{shot.height} shots",
            subtitle=f"{taken.height} frames extracted, {num_kept} kept",
        )
        + style.theme(2.4)
    )


def _frames_kept(frame: pl.DataFrame, quality: pl.DataFrame) -> pl.DataFrame:
    """Frames with their `state`: kept or dropped; kept where the filter has not run."""
    judged = frame.select("frame_id", "timestamp_s").join(
        quality.select("frame_id", "is_kept"), on="frame_id", how="left"
    )
    state = (
        pl.when(pl.col("is_kept").fill_null(True))
        .then(pl.lit("frame kept"))
        .otherwise(pl.lit("frame dropped"))
    )
    return judged.with_columns(state=state)


def plot_blur(quality: pl.DataFrame, threshold: float) -> ggplot:
    """Histogram of sharpness, with the threshold below which frames are dropped.

    Parameters
    ----------
    quality : pl.DataFrame
        Table quality or measure; see `reason.sharpness_expr` for the columns that are read.
    threshold : float
        `filtering.blur_threshold`, in [0, 1].
    """
    judged = reason.sharpness_expr(quality.columns).cast(pl.Float64)
    scores = quality.select(judged).drop_nulls()
    if scores.is_empty():
        return style.empty_plot(
            "no sharpness values: stage extract has not run or extracted no frame"
        )
    import plotnine as p9

    scores = scores.with_columns(
        side=pl.when(pl.col("sharpness") < threshold)
        .then(pl.lit("blurred"))
        .otherwise(pl.lit("sharp enough"))
    )
    below = scores.filter(pl.col("side") == "blurred").height
    return (
        p9.ggplot(scores, p9.aes("sharpness", fill="side"))
        + p9.geom_histogram(
            breaks=[i / NUM_BINS for i in range(NUM_BINS + 1)], color=style.PAPER, size=0.3
        )
        + p9.geom_vline(xintercept=threshold, color=style.INK, linetype="dashed", size=0.7)
        + p9.scale_fill_manual(values={"blurred": style.BAD, "sharp enough": style.GOOD})
        + p9.scale_x_continuous(limits=(0, 1), name="sharpness (0: blurred, 1: sharp)")
        + p9.scale_y_continuous(breaks=style.whole_number_ticks)
        + p9.labs(
            y="pictures",
            title="Sharpness of the frames",
            subtitle=f"{below} of {scores.height} below the threshold {threshold:g}",
        )
        + style.theme(2.8)
    )


def plot_reasons(quality: pl.DataFrame) -> ggplot:
    """Reasons why frames were dropped, one bar a reason."""
    left_out = (
        quality.filter(~pl.col("is_kept"))
        .group_by(pl.col("reason").cast(pl.String))
        .len("pictures")
        .sort("pictures", "reason")
    )
    if left_out.is_empty():
        return style.empty_plot("no frame was dropped")
    import plotnine as p9

    nudge = scalar.as_float(left_out["pictures"].max()) * 0.012  # between a bar and its number
    return (
        p9.ggplot(left_out, p9.aes("reason", "pictures"))
        + p9.geom_col(fill=style.BAD, width=0.65)
        + p9.geom_text(p9.aes(label="pictures"), ha="left", nudge_y=nudge, size=9)
        + p9.scale_x_discrete(limits=left_out["reason"].to_list(), name="")
        + p9.scale_y_continuous(expand=(0, 0, 0.12, 0), breaks=style.whole_number_ticks)
        + p9.coord_flip()
        + p9.labs(title="Why frames were dropped", y="frames")
        + style.theme(1.1 + 0.32 * left_out.height)
    )


def plot_scenes(cluster: pl.DataFrame, frame: pl.DataFrame) -> ggplot:
    """Scene clusters over time, one lane a scene, in the order they first appear.

    Parameters
    ----------
    cluster : pl.DataFrame
        Table cluster; rows of level scene are read.
    frame : pl.DataFrame
        Table frame, for the times.
    """
    points = scene_points(cluster, frame)
    if points.is_empty():
        return style.empty_plot("no scenes: stage cluster has not run")
    import plotnine as p9

    lanes = _largest_lanes(points)
    points = points.filter(pl.col("lane").is_in(lanes))
    spans = points.group_by("lane", "shot_index").agg(
        first=pl.col("timestamp_s").min(), last=pl.col("timestamp_s").max()
    )
    colour = dict(zip(lanes, [style.PALETTE[i % 8] for i in range(len(lanes))], strict=True))
    return (
        p9.ggplot(points, p9.aes("timestamp_s", "lane", color="lane"))
        + p9.geom_segment(
            p9.aes(x="first", xend="last", yend="lane"), spans, size=4, alpha=0.35, lineend="round"
        )
        + p9.geom_point(size=1.8)
        + p9.scale_color_manual(values=colour | {NO_SCENE: style.QUIET}, guide=None)
        + p9.scale_y_discrete(limits=lanes[::-1], name="")
        + style.time_axis()
        + p9.expand_limits(x=(0, scalar.as_float(frame["timestamp_s"].max())))
        + p9.labs(title=_scene_title(points, lanes))
        + style.theme(1.1 + 0.24 * len(lanes))
    )


def scene_points(cluster: pl.DataFrame, frame: pl.DataFrame) -> pl.DataFrame:
    """Pictures with their time and `lane`: the scene, or "no scene" for noise."""
    return (
        cluster.filter(pl.col("level") == "scene")
        .select(frame_id="item_id", lane=pl.col("cluster_id").fill_null(NO_SCENE))
        .join(frame.select("frame_id", "shot_index", "timestamp_s"), on="frame_id")
        .sort("timestamp_s")
    )


def plot_stage_times(times: pl.DataFrame) -> ggplot:
    """Run time of each stage.

    Parameters
    ----------
    times : pl.DataFrame
        Columns `name` (in run order) and `seconds`.
    """
    times = times.drop_nulls("seconds")
    if times.is_empty():
        return style.empty_plot("no stage has run")
    import plotnine as p9

    words = [style.duration(s) for s in times["seconds"]]
    times = times.with_columns(word=pl.Series(words, dtype=pl.String))
    total = style.duration(float(times["seconds"].sum()))
    return (
        p9.ggplot(times, p9.aes("name", "seconds"))
        + p9.geom_col(fill=style.GOOD, width=0.65)
        + p9.geom_text(
            p9.aes(label="word"),
            ha="left",
            nudge_y=scalar.as_float(times["seconds"].max()) * 0.012,
            size=9,
        )
        + p9.scale_x_discrete(limits=times["name"].to_list()[::-1], name="")
        + p9.scale_y_continuous(expand=(0, 0, 0.16, 0), name="seconds")
        + p9.coord_flip()
        + p9.labs(title=f"Run time by stage: {total} in total")
        + style.theme(1.1 + 0.32 * times.height)
    )


def _scene_title(points: pl.DataFrame, lanes: list[str]) -> str:
    noise = points.filter(pl.col("lane") == NO_SCENE).height
    found = len([lane for lane in lanes if lane != NO_SCENE])
    return style.plural(found, "scene") + (
        f", {style.plural(noise, 'frame')} in none" if noise else ""
    )


def _largest_lanes(points: pl.DataFrame) -> list[str]:
    """Names of the largest scenes in order of first appearance; noise comes last."""
    sizes = points.group_by("lane").agg(size=pl.len(), first=pl.col("timestamp_s").min())
    named = sizes.filter(pl.col("lane") != NO_SCENE).sort("size", "lane", descending=[True, False])
    lanes = named.head(MAX_LANES).sort("first", "lane")["lane"].to_list()
    return lanes + ([NO_SCENE] if named.height < sizes.height else [])


def _present(values: dict[str, str], column: pl.Series) -> list[str]:
    """Names of `values` that occur, so that the legend shows no others."""
    seen = set(column.to_list())
    return [name for name in values if name in seen]


def plot_losses(quality: pl.DataFrame, threshold: FilteringConfig) -> ggplot:
    """Number of frames that each threshold drops, alone or together with another one.

    Parameters
    ----------
    quality : pl.DataFrame
        Table quality.
    threshold : FilteringConfig
        Thresholds that decided it.
    """
    losses = reason.count_losses(quality, threshold)
    losses = losses.filter(pl.col("num_failed") > 0)
    if losses.is_empty():
        return style.empty_plot("no threshold drops a frame")
    import plotnine as p9

    alone, shared = "this threshold alone", "another threshold too"
    bars = pl.concat(
        [
            losses.select("reason", pictures="num_alone", how=pl.lit(alone)),
            losses.select(
                "reason", pictures=pl.col("num_failed") - pl.col("num_alone"), how=pl.lit(shared)
            ),
        ]
    )
    bars = bars.filter(pl.col("pictures") > 0)
    colour = {alone: style.BAD, shared: style.QUIET}
    order = losses.sort("num_failed", "reason")["reason"].to_list()
    return (
        p9.ggplot(bars, p9.aes("reason", "pictures", fill="how"))
        + p9.geom_col(width=0.65)
        + p9.coord_flip()
        + p9.scale_x_discrete(limits=order, name="")
        + p9.scale_y_continuous(expand=(0, 0, 0.12, 0), breaks=style.whole_number_ticks)
        + p9.scale_fill_manual(values=colour, breaks=_present(colour, bars["how"]))
        + p9.labs(
            title="Frames dropped by each threshold",
            subtitle=f"{quality.height} frames, {int(quality['is_kept'].sum())} kept",
            y="frames dropped",
        )
        + style.theme(1.5 + 0.32 * losses.height)
    )


def plot_groups(quality: pl.DataFrame, frame: pl.DataFrame) -> ggplot:
    """Largest groups of near duplicates over the film, with the frame that stays marked.

    Parameters
    ----------
    quality, frame : pl.DataFrame
        Tables of those names.
    """
    grouped = quality.filter(pl.col("duplicate_group").is_not_null())
    if grouped.is_empty():
        return style.empty_plot("no near duplicates were found")
    import plotnine as p9

    points = group_points(quality, frame)
    lanes = points["lane"].unique(maintain_order=True).to_list()
    colour = {"kept": style.GOOD, "dropped": style.BAD}
    num_groups = grouped["duplicate_group"].n_unique()
    shown = f"the {len(lanes)} largest" if num_groups > len(lanes) else "all"
    return (
        p9.ggplot(points, p9.aes("timestamp_s", "lane", color="state"))
        + p9.geom_point(size=2)
        + p9.scale_color_manual(values=colour, breaks=list(colour))
        + p9.scale_y_discrete(limits=lanes[::-1], name="")
        + style.time_axis()
        + p9.labs(
            title=style.plural(num_groups, "group") + " of near duplicates",
            subtitle=(f"{grouped.height} frames; one frame per group is kept; shown: {shown}"),
        )
        + style.theme(1.4 + 0.24 * len(lanes))
    )


def group_points(quality: pl.DataFrame, frame: pl.DataFrame) -> pl.DataFrame:
    """Pictures of the largest groups: `timestamp_s`, `lane`, `state`; large groups first."""
    size = pl.len().over("duplicate_group")
    points = (
        quality.filter(pl.col("duplicate_group").is_not_null())
        .join(frame.select("frame_id", "timestamp_s"), on="frame_id")
        .with_columns(size=size, begin=pl.col("timestamp_s").min().over("duplicate_group"))
        .sort("size", "begin", "timestamp_s", "frame_id", descending=[True, False, False, False])
    )
    largest = points["duplicate_group"].unique(maintain_order=True).head(MAX_GROUPS).to_list()
    is_left_out = pl.col("duplicate_of").is_not_null()
    begin = pl.col("begin").map_elements(style.clock, return_dtype=pl.String)
    return points.filter(pl.col("duplicate_group").is_in(largest)).select(
        "timestamp_s",
        lane=pl.format("{} frames from {} ({})", "size", begin, _group_number(largest)),
        state=pl.when(is_left_out).then(pl.lit("dropped")).otherwise(pl.lit("kept")),
    )


def _group_number(groups: list[str]) -> pl.Expr:
    """Number of a group among those shown, so that two of one size and time differ."""
    return pl.col("duplicate_group").replace_strict(
        groups, list(range(1, len(groups) + 1)), return_dtype=pl.Int64
    )


def plot_change(change: pl.DataFrame, shot: pl.DataFrame, threshold: float) -> ggplot:
    """Cut score of each frame, the threshold, where shots begin and what was taken for no cut.

    Parameters
    ----------
    change, shot : pl.DataFrame
        Tables of those names.
    threshold : float
        `extraction.cut_threshold`.
    """
    scores = change.drop_nulls("cut_score")
    if scores.is_empty():
        return style.empty_plot("no change score: stage extract has not run with detector fast")
    import plotnine as p9

    points = score_points(change, shot, threshold)
    colour = {
        "cut": style.GOOD,
        "fade": style.PALETTE[2],
        "dissolve": style.PALETTE[3],
        "no cut": style.BAD,
    }
    shown = [name for name in colour if name in set(points["what"])]
    num_cuts = points.filter(pl.col("what") == "cut").height
    num_out = points.filter(pl.col("what") == "no cut").height
    return (
        p9.ggplot()
        + p9.geom_line(p9.aes("timestamp_s", "score"), score_line(change), color=style.QUIET)
        + p9.geom_hline(yintercept=threshold, color=style.INK, linetype="dashed", size=0.7)
        + p9.geom_point(p9.aes("timestamp_s", "score", color="what"), points, size=1.8)
        + p9.scale_color_manual(values=colour, breaks=shown)
        + p9.scale_y_continuous(limits=(0, MAX_SCORE), name="cut score (1 = threshold)")
        + style.time_axis()
        + p9.labs(
            title=f"{num_cuts} cuts at threshold {threshold:g}",
            subtitle=f"{style.plural(num_out, 'large change')} ignored (flash, passing object, "
            "lighting, same view)",
        )
        + style.theme(3.0)
    )


def score_line(change: pl.DataFrame) -> pl.DataFrame:
    """Largest score of each of `MAX_POINTS` spans of the film: `timestamp_s`, `score`."""
    size = max(1, -(-change.height // MAX_POINTS))
    score = pl.col("cut_score").fill_null(0.0).clip(upper_bound=MAX_SCORE)
    spans = change.with_row_index("row").group_by(pl.col("row") // size, maintain_order=True)
    return spans.agg(pl.col("timestamp_s").first(), score=score.max()).drop("row")


def score_points(change: pl.DataFrame, shot: pl.DataFrame, threshold: float) -> pl.DataFrame:
    """Frames where a shot begins, and those that reach the threshold and are no cut.

    Returns
    -------
    pl.DataFrame
        `timestamp_s`, `score`, `what`: cut, fade, dissolve or "no cut".
    """
    begins = shot.select(
        frame_index="first_frame_index", what=pl.col("transition_in").cast(pl.String)
    ).filter(pl.col("what") != "start")
    rows = change.select(
        "frame_index",
        "timestamp_s",
        score=pl.col("cut_score").fill_null(0.0),
        veto=pl.col("cut_veto").cast(pl.String),
    )
    no_cut = rows.filter(pl.col("score") >= threshold, pl.col("veto").is_in(VETO)).join(
        begins, on="frame_index", how="anti"
    )
    points = pl.concat(
        [
            rows.join(begins, on="frame_index").select("timestamp_s", "score", "what"),
            no_cut.select("timestamp_s", "score", what=pl.lit("no cut")),
        ]
    )
    return points.with_columns(pl.col("score").clip(upper_bound=MAX_SCORE)).sort("timestamp_s")
