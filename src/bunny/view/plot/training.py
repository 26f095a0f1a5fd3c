"""Figures about the fine-tune and what the model drew."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from bunny.view import style

if TYPE_CHECKING:
    from plotnine import ggplot

BASE, ADAPTER = "base alone", "with the adapter"
SMOOTHING = 0.05  # share of the steps that the smooth line averages over


def plot_loss(training_step: pl.DataFrame) -> ggplot:
    """Loss over the steps of each run: each step, a running mean, and the held-out pictures."""
    steps = training_step.drop_nulls("loss")
    if steps.is_empty():
        return style.nothing("no loss: nothing was trained")
    import plotnine as p9

    window = max(1, round(SMOOTHING * steps["step"].n_unique()))
    mean = pl.col("loss").rolling_mean(window, min_samples=1).over("run_id", order_by="step")
    lines = pl.concat(
        [
            steps.select("run_id", "step", loss=mean, kind=pl.lit("training, running mean")),
            training_step.drop_nulls("held_out_loss").select(
                "run_id", "step", loss="held_out_loss", kind=pl.lit("held-out pictures")
            ),
        ]
    )
    held_out = lines.filter(pl.col("kind") == "held-out pictures")
    colour = {"training, running mean": style.GOOD, "held-out pictures": style.BAD}
    return (
        p9.ggplot(lines, p9.aes("step", "loss", color="kind"))
        + p9.geom_point(p9.aes("step", "loss"), steps, color=style.GOOD, size=0.7, alpha=0.25)
        + _line(_joined(lines, "run_id", "kind"), "kind", size=1)
        + p9.geom_point(data=held_out, size=2)
        + p9.facet_wrap("run_id", ncol=1)
        + p9.scale_color_manual(values=colour)
        + p9.labs(
            x="training step (batches)",
            y="mean squared error (unit latents)",
            title="Is it learning, and not by heart?",
            subtitle="both lines should fall; held-out rising while training falls is overfitting",
        )
        + style.theme(2.2 + 1.6 * steps["run_id"].n_unique())
    )


def plot_picture_similarity(picture: pl.DataFrame) -> ggplot:
    """Similarity of each drawing to the held-out pictures, base beside adapter.

    A line joins the two drawings of one prompt and seed.
    """
    points = picture.drop_nulls("similarity").with_columns(model=model_word())
    if points.is_empty():
        return style.nothing("no similarity: nothing was drawn, or there was nothing to compare")
    import plotnine as p9

    means = points.group_by("model").agg(similarity=pl.col("similarity").mean())
    text = ", ".join(f"{m} {s:.3f}" for m, s in sorted(means.iter_rows()))
    points = points.with_columns(pair=pl.col("prompt") + pl.col("seed").cast(pl.String))
    return (
        p9.ggplot(points, p9.aes("model", "similarity"))
        + _line(_joined(points, "pair"), "pair", color=style.QUIET, alpha=0.6)
        + p9.geom_point(p9.aes(color="model"), size=2.6)
        + p9.scale_color_manual(values={BASE: style.QUIET, ADAPTER: style.GOOD}, guide=None)
        + p9.scale_x_discrete(limits=[BASE, ADAPTER], name="")
        + p9.labs(
            y="centred cosine similarity",
            title="How like the character the drawings are",
            subtitle=f"to held-out pictures; mean: {text}",
        )
        + style.theme(3.0, 5.5)
    )


def model_word() -> pl.Expr:
    """Which model drew a picture, in words."""
    return pl.when(pl.col("adapter_file").is_null()).then(pl.lit(BASE)).otherwise(pl.lit(ADAPTER))


def _joined(points: pl.DataFrame, *keys: str) -> pl.DataFrame:
    """Keep points that have another of the same keys to be joined with."""
    return points.filter(pl.len().over(keys) > 1)


def _line(points: pl.DataFrame, group: str, **look) -> list:
    """A layer of lines, or no layer when there is nothing to join."""
    import plotnine as p9

    return [] if points.is_empty() else [p9.geom_line(p9.aes(group=group), points, **look)]
