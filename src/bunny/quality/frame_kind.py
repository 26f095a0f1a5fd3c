"""What a frame is by its measures: a picture, or black, blank, a title card or credits."""

from dataclasses import dataclass

import polars as pl

KINDS = ("picture", "black", "blank", "title", "credit")


@dataclass(frozen=True, kw_only=True)
class KindThreshold:
    """What makes a frame no picture; each number is the last that still does."""

    max_black_brightness: float = 0.06  # video black is 0; noise and fades leave a little
    max_flat_range: float = 0.08  # dynamic_range: 20 grey levels, less than anything shown
    min_blank_background: float = 0.98  # background_share of one colour all over
    min_card_background: float = 0.9  # background_share beside the text; pictures had up to 0.8
    min_credit_lines: int = 5  # a title card has fewer
    min_credit_background: float = 0.7  # so many lines need less of a ground, e.g. a gradient
    min_lines_over_picture: int = 8  # so much text is credits, whatever lies behind it


def kind_expr(threshold: KindThreshold | None = None) -> pl.Expr:
    """Kind of each frame from the columns of table `measure`.

    Black and blank frames have next to no range and no text; a title or credits are text on a
    ground of one colour, several lines on one that is mostly so, or very many on any ground. A
    card with few lines on a gradient or a picture stays a picture: `text_share` tells of it.

    Parameters
    ----------
    threshold : KindThreshold, optional

    Returns
    -------
    pl.Expr
        Column `kind`, `Enum(picture, black, blank, title, credit)`; null for frames without
        measures. Reads brightness, dynamic_range, background_share and text_lines.
    """
    limit = threshold or KindThreshold()
    lines, ground = pl.col("text_lines"), pl.col("background_share")
    is_flat = (pl.col("dynamic_range") <= limit.max_flat_range) & (lines == 0)
    is_card = (lines > 0) & (ground >= limit.min_card_background)
    is_black = is_flat & (pl.col("brightness") <= limit.max_black_brightness)
    is_blank = is_flat & (ground >= limit.min_blank_background)
    is_list = (lines >= limit.min_credit_lines) & (ground >= limit.min_credit_background)
    is_credit = is_list | (lines >= limit.min_lines_over_picture)
    return (
        pl.when(pl.any_horizontal(is_black.is_null(), is_card.is_null()))
        .then(None)
        .when(is_black)
        .then(pl.lit("black"))
        .when(is_blank)
        .then(pl.lit("blank"))
        .when(is_credit)
        .then(pl.lit("credit"))
        .when(is_card)
        .then(pl.lit("title"))
        .otherwise(pl.lit("picture"))
        .cast(pl.Enum(KINDS))
        .alias("kind")
    )
