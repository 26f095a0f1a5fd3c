"""Plots of a training set: cells, balance, places, neighbours, reasons for leaving out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from bunny.dataset import coverage
from bunny.table import scalar
from bunny.view import style
from bunny.view.report import coverage_text

NO_SET = "no training set: no character was labelled, or stage dataset has not run"
ALL_PLACES, OTHER_PLACES = "all places", "other places"
NOT_KNOWN = (coverage.UNKNOWN, coverage.NO_PLACE)
MAX_PANELS = 6  # of the grid, that of all places among them
MAX_BARS = 20
LOW_FILL, EMPTY_FILL = "#E6F0F7", "#F6F5F1"
AXIS_COLOUR = {"pose": "#0072B2", "size": "#009E73", "light": "#E69F00"}
AXIS_WORD: dict[str, str] = dict(zip(("pose", "shot_size", "light"), AXIS_COLOUR, strict=True))
BAR_END = (0, 0, 0.07, 0)  # room for the number at the end of the longest bar

NUM_BINS = 40
RELATION = {
    "same frame": ("nearest: same frame", "#56B4E9"),
    "same shot": ("nearest: same shot", style.GOOD),
    "other shot": ("nearest: another shot", "#6F5BA8"),
}

if TYPE_CHECKING:
    from plotnine import ggplot


def plot_cells(dataset: pl.DataFrame) -> ggplot:
    """Pictures of each pose and size, of one character also in the places with most pictures.

    Where too few poses are known: of each place and size. Orange are the cells that
    `coverage.summarise` counts as empty.
    """
    shown = coverage.pictures(dataset)
    if shown.is_empty():
        return style.empty_plot(NO_SET)
    has_pose = coverage.has_pose(shown)
    own = sorted(shown.partition_by("character"), key=lambda part: -part.height)[:MAX_PANELS]
    names = [part["character"][0] if len(own) > 1 else ALL_PLACES for part in own]
    parts = [_whole(part, name, has_pose=has_pose) for part, name in zip(own, names, strict=True)]
    if len(own) == 1 and has_pose:
        parts += _largest_places(shown)
    cells = pl.concat(parts)
    panels = cells["panel"].unique(maintain_order=True).to_list()
    rows = cells["row"].unique(maintain_order=True).to_list()
    words = [coverage_text.empty_cells(coverage.summarise(part)) for part in own]
    if len(own) > 1:
        words = [f"{name}: {text}" for name, text in zip(names, words, strict=True)]
    if cells["is_gap"].any():
        words.append("orange: the model will not see these views")
    lines = -(-len(panels) // 3)
    import plotnine as p9

    return (
        _heat(cells, rows, panels)
        + p9.labs(
            x="crop size",
            y="",
            title=f"Coverage of the training set: {shown.height} pictures by "
            + ("pose and size" if has_pose else "place and size"),
            subtitle="\n".join(words),
        )
        + style.theme(
            1.15 + 0.2 * len(words) + (0.28 * len(rows) + 0.3) * lines,
            8.0 if len(panels) > 1 else 6.5,
        )
    )


def plot_balance(dataset: pl.DataFrame) -> ggplot:
    """Pictures of each pose, size and light, with what half an even share would be."""
    shown = coverage.pictures(dataset)
    if shown.is_empty():
        return style.empty_plot(NO_SET)
    import plotnine as p9

    bars = pl.concat([_bars(shown, axis) for axis in AXIS_WORD])
    mark = bars.drop_nulls("half")
    order = bars["key"].to_list()
    return (
        p9.ggplot(bars, p9.aes("key", "pictures"))
        + p9.geom_col(p9.aes(fill="axis"), width=0.7)
        + (None if mark.is_empty() else _marks(mark))
        + _numbers(bars, pl.max_horizontal("pictures", _hidden_by_mark(bars)))
        + p9.coord_flip()
        + p9.scale_x_discrete(limits=order[::-1], labels=bars["value"].to_list()[::-1], name="")
        + p9.scale_y_continuous(breaks=style.whole_number_ticks, expand=BAR_END)
        + p9.scale_fill_manual(values=AXIS_COLOUR, limits=list(AXIS_COLOUR))
        + p9.labs(
            y="pictures",
            title="Balance of pose, size and light",
            subtitle="black mark: half of an even share; a bar that ends before it is a gap",
        )
        + style.theme(1.6 + 0.24 * len(order), 6.5)
    )


def plot_places(dataset: pl.DataFrame) -> ggplot:
    """Pictures of each place, the one with most first."""
    shown = coverage.pictures(dataset)
    if shown.is_empty():
        return style.empty_plot(NO_SET)
    import plotnine as p9

    counts = _top_places(shown, MAX_BARS)
    order = counts["place"].to_list()
    quiet = (OTHER_PLACES, coverage.NO_PLACE)
    return (
        p9.ggplot(counts, p9.aes("place", "pictures", fill="place"))
        + p9.geom_col(width=0.7)
        + _numbers(counts, pl.col("pictures"))
        + p9.coord_flip()
        + p9.scale_x_discrete(limits=order[::-1], name="")
        + p9.scale_y_continuous(breaks=style.whole_number_ticks, expand=BAR_END)
        + p9.scale_fill_manual(
            values={p: style.QUIET if p in quiet else style.GOOD for p in order}, guide=None
        )
        + p9.labs(
            y="pictures",
            title="Balance of places",
            subtitle=_place_words(coverage.balance_of(shown, "place")),
        )
        + style.theme(1.25 + 0.26 * len(order), 6.5)
    )


def _whole(own: pl.DataFrame, panel: str, *, has_pose: bool) -> pl.DataFrame:
    """Cells of one character's set; a gap is what `coverage.summarise` counts as empty."""
    cells = (
        coverage.count_cells(own).rename({"pose": "row"}) if has_pose else _by_place(own)
    ).select("row", "shot_size", "pictures", panel=pl.lit(panel))
    is_known = ~pl.col("row").is_in(NOT_KNOWN)
    is_empty = pl.col("pictures") == 0
    if not coverage.has_pose(own):
        is_known, is_empty = pl.lit(value=True), pl.col("pictures").sum().over("shot_size") == 0
    return cells.with_columns(is_gap=is_empty & is_known)


def _largest_places(shown: pl.DataFrame) -> list[pl.DataFrame]:
    """Cells of each of the places with most pictures, where there are several."""
    known = _top_places(shown, MAX_PANELS - 1).filter(
        ~pl.col("place").is_in([OTHER_PLACES, coverage.NO_PLACE])
    )["place"]
    if len(known) < 2:
        return []
    top = shown.filter(pl.col("place").is_in(known.implode()))
    cells = coverage.count_cells(top, ("place", "pose", "shot_size")).select(
        pl.col("pose").alias("row"),
        "shot_size",
        "pictures",
        pl.col("place").alias("panel"),
        pl.lit(value=False).alias("is_gap"),
    )
    return [cells.filter(pl.col("panel") == place) for place in known]


def _by_place(own: pl.DataFrame) -> pl.DataFrame:
    """Cells of place and size, the places with most pictures first."""
    order = _top_places(own, MAX_BARS)["place"]
    is_named = pl.col("place").is_in(order.implode())
    named = own.with_columns(place=pl.when(is_named).then("place").otherwise(pl.lit(OTHER_PLACES)))
    rank = pl.col("place").replace_strict({place: i for i, place in enumerate(order)})
    cells = coverage.count_cells(named, ("place", "shot_size")).sort(rank, maintain_order=True)
    return cells.rename({"place": "row"})


def _heat(cells: pl.DataFrame, rows: list[str], panels: list[str]) -> ggplot:
    """A tile a cell with its count; facets only where there is more than one."""
    import plotnine as p9

    top = scalar.as_int(cells["pictures"].max())
    ink = (
        pl.when("is_gap")
        .then(pl.lit("gap"))
        .when(pl.col("pictures") > top / 2)
        .then(pl.lit("light"))
        .otherwise(pl.lit("dark"))
    )
    cells = cells.with_columns(ink=ink, panel=pl.col("panel").cast(pl.Enum(panels)))
    filled, written = (
        cells.filter(pl.col("pictures") > 0),
        cells.filter((pl.col("pictures") > 0) | pl.col("is_gap")),
    )
    look = {"color": style.PAPER, "size": 1.5}
    inks = {"light": "#FFFFFF", "dark": style.INK, "gap": style.BAD}
    return (
        p9.ggplot(cells, p9.aes("shot_size", "row"))
        + p9.geom_tile(fill=EMPTY_FILL, **look)
        + p9.geom_tile(p9.aes(fill="pictures"), filled, **look)
        + p9.geom_text(p9.aes(label="pictures", color="ink"), written, size=9)
        + p9.scale_fill_gradient(low=LOW_FILL, high=style.GOOD, limits=(0, top), guide=None)
        + p9.scale_color_manual(values=inks, guide=None)
        + p9.scale_x_discrete(limits=list(coverage.VALUE["shot_size"]))
        + p9.scale_y_discrete(limits=rows[::-1])
        + (p9.facet_wrap("panel", ncol=3) if len(panels) > 1 else None)
    )


def _bars(shown: pl.DataFrame, axis: str) -> pl.DataFrame:
    """The bars of one axis: key, value, pictures, and half an even share of those known."""
    count = coverage.count_cells(shown, (axis,)).rename({axis: "value"})
    is_known = pl.col("value") != coverage.UNKNOWN
    known = count.filter(is_known)
    is_judged = coverage.has_pose(shown) if axis == "pose" else known["pictures"].sum() > 0
    half = known["pictures"].sum() / known.height / 2 if is_judged else 0.0
    word = pl.when(is_known).then("value").otherwise(pl.lit(f"{AXIS_WORD[axis]} unknown"))
    if axis == "light":
        word = pl.when(pl.col("value") == "medium").then(pl.lit("medium light")).otherwise(word)
    return count.filter(pl.lit(is_judged) | (pl.col("pictures") > 0)).select(
        pl.lit(AXIS_WORD[axis]).alias("axis"),
        pl.lit(f"{axis} ").add(pl.col("value")).alias("key"),
        word.alias("value"),
        "pictures",
        pl.when(is_known & (half > 0)).then(half).alias("half"),
    )


def _marks(mark: pl.DataFrame):
    """A short line on each bar where half an even share lies."""
    import plotnine as p9

    return p9.geom_errorbar(
        p9.aes(ymin="half", ymax="half"), mark, width=0.9, color=style.INK, size=0.9
    )


def _hidden_by_mark(bars: pl.DataFrame) -> pl.Expr:
    """Where the mark lies when it would be drawn over the number at the end of the bar."""
    room = scalar.as_float(bars["pictures"].max()) / 15
    return pl.when(pl.col("half").is_between(pl.col("pictures"), pl.col("pictures") + room)).then(
        "half"
    )


def _numbers(bars: pl.DataFrame, at: pl.Expr):
    """The number of pictures behind the end of each bar."""
    import plotnine as p9

    room = scalar.as_float(bars["pictures"].max()) / 80
    placed = bars.with_columns(at=at)
    return p9.geom_text(
        p9.aes(y="at", label="pictures"), placed, ha="left", nudge_y=room, size=9, color=style.INK
    )


def _top_places(shown: pl.DataFrame, limit: int) -> pl.DataFrame:
    """Places by number of pictures; past `limit` counted together, those in none last."""
    counts = coverage.count_cells(shown, ("place",))
    is_none = pl.col("place") == coverage.NO_PLACE
    known = counts.filter(~is_none).sort("pictures", "place", descending=[True, False])
    rest = known[limit:]
    other = pl.DataFrame(
        {"place": [OTHER_PLACES], "pictures": [rest["pictures"].sum()]}, schema=known.schema
    ).head(min(1, rest.height))
    return pl.concat([known.head(limit), other, counts.filter(is_none)])


def _place_words(balance: coverage.Balance) -> str:
    number = len(balance.count)
    if number == 0:
        return "no scenes known: stage cluster found none"
    if number == 1:
        return "one place only: the model cannot separate it from the character"
    return (
        f"{number} places, equivalent to {balance.effective:.1f} equally frequent "
        f"ones; the largest has {100 * balance.largest_share:.0f} %"
    )


if TYPE_CHECKING:
    from plotnine import ggplot


def plot_neighbours(near: pl.DataFrame) -> ggplot:
    """Distance of each training picture to its nearest neighbour.

    Parameters
    ----------
    near : pl.DataFrame
        Columns image_id, nearest_id, distance, relation; see `bunny.dataset.coverage.nearest`.
    """
    if near.is_empty():
        return style.empty_plot("too few training pictures to compare (at least 2 are needed)")
    import plotnine as p9

    median = scalar.as_float(near["distance"].median())
    first = near.sort("distance", "image_id").row(0, named=True)
    alike = near.filter(pl.col("distance") < coverage.ALIKE).height
    width = max(scalar.as_float(near["distance"].max()), 2 * coverage.ALIKE) * 1.001 / NUM_BINS
    bins = near.with_columns(bin=((pl.col("distance") / width).floor() + 0.5) * width)
    bins = bins.group_by("bin", "relation").agg(pictures=pl.len()).sort("bin", "relation")
    return (
        p9.ggplot(bins, p9.aes("bin", "pictures", fill="relation"))
        + p9.annotate(
            "rect",
            xmin=0,
            xmax=coverage.ALIKE,
            ymin=0,
            ymax=_max_stack(bins) * 1.05,
            fill=style.BAD,
            alpha=0.09,
        )
        + p9.geom_col(width=width, color=style.PAPER, size=0.3)
        + p9.geom_vline(xintercept=median, linetype="dashed", color=style.INK)
        + p9.geom_vline(xintercept=first["distance"], color=style.BAD)
        + p9.scale_fill_manual(
            values={name: colour for name, (_, colour) in RELATION.items()},
            labels=lambda names: [RELATION[str(name)][0] for name in names],
        )
        + p9.scale_y_continuous(breaks=style.whole_number_ticks, expand=(0, 0, 0.02, 0))
        + p9.scale_x_continuous(
            limits=(0, None),  # pyright: ignore[reportArgumentType] the end of the data
            expand=(0, 0, 0.02, 0),
        )
        + p9.labs(
            x="distance to the nearest neighbour (0: identical; 1: like two random "
            "pictures of the film)",
            y="pictures",
            title="Diversity of the training set",
            subtitle=f"shaded: {alike} of {near.height} resemble another picture; orange: most "
            f"similar pair, {first['distance']:.3f}; dashed: median {median:.2f}",
        )
        + style.theme(3.2)
    )


def plot_reasons(candidate: pl.DataFrame) -> ggplot:
    """Number of labelled views that were chosen, and the reasons why the others were not."""
    if candidate.is_empty():
        return style.empty_plot("no character was labelled, or stage dataset has not run")
    import plotnine as p9

    counts = count_reasons(candidate)
    order = counts["why"].to_list()
    chosen = candidate.filter("is_chosen").height
    room = scalar.as_float(counts["views"].max()) / 80
    return (
        p9.ggplot(counts, p9.aes("why", "views", fill="is_chosen"))
        + p9.geom_col(width=0.7)
        + p9.geom_text(p9.aes(label="views"), ha="left", nudge_y=room, size=9, color=style.INK)
        + p9.coord_flip()
        + p9.scale_x_discrete(limits=order[::-1], name="")
        + p9.scale_y_continuous(breaks=style.whole_number_ticks, expand=(0, 0, 0.07, 0))
        + p9.scale_fill_manual(values={True: style.GOOD, False: style.BAD}, guide=None)
        + p9.labs(
            y="labelled views",
            title="Why labelled views were left out of the training set",
            subtitle=f"{chosen} of {candidate.height} chosen; a long bar shows which setting "
            "to check first",
        )
        + style.theme(1.25 + 0.26 * len(order), 6.5)
    )


def count_reasons(candidate: pl.DataFrame) -> pl.DataFrame:
    """Count views by reason; those that the filter dropped by the filter's own reason.

    Returns
    -------
    pl.DataFrame
        `why`, `views`, `is_chosen`; the chosen first, then the commonest reason.
    """
    reason = pl.col("reason").cast(pl.String)
    by_filter = pl.lit("filtered: ") + pl.col("detail").str.extract(r"^(\w+)")
    why = pl.when(reason == "filtered").then(by_filter).otherwise(reason)
    return (
        candidate.group_by(why=pl.coalesce(why, reason))
        .agg(views=pl.len())
        .with_columns(is_chosen=pl.col("why") == "chosen")
        .sort("is_chosen", "views", "why", descending=[True, True, False])
    )


def _max_stack(bins: pl.DataFrame) -> float:
    """Height of the highest stack of bars."""
    return scalar.as_float(bins.group_by("bin").agg(pl.col("pictures").sum())["pictures"].max())
