"""Reference pictures of an unknown drawn figure: its best views, cut out of the stored pictures.

A view serves when nobody else is on it. Of those the large, sharp and sure ones are taken, of
different shots and unlike each other, with little around them: what surrounds a figure would be
taken for a part of it.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from bunny.character import pair
from bunny.character.drawn import figure_cluster
from bunny.character.drawn.figure_cluster import BOX, COVERED
from bunny.core import image_file
from bunny.core.workspace import Workspace
from bunny.dataset.subject import measure_subjects
from bunny.table import corrected, store
from bunny.view import character

MARGIN = 0.05  # around a figure, in shares of its larger side
PART = 0.7  # share of a head that lies in the body that it belongs to
UNMEASURED = 0.5  # blur score of a view whose frame was not measured
MAX_TRIES = 15  # views that are opened to find `people.MAX_VIEWS` good ones


def cut_views(space: Workspace, views: pl.DataFrame) -> list[tuple[str, np.ndarray]]:
    """Cut the best views of a figure.

    Parameters
    ----------
    space : Workspace
    views : pl.DataFrame
        Its rows of `people.subjects`.

    Returns
    -------
    list of (str, np.ndarray)
        At most `people.MAX_VIEWS` figure_ids with their pictures, BGR, the best first; none where
        no stored picture shows the figure alone.
    """
    figure = store.read(space.table, "figure")
    shown = views.drop_nulls("file").join(
        figure.select("embedding", subject_id="figure_id"), on="subject_id", maintain_order="left"
    )
    if shown.is_empty():
        return []
    shown = _weigh_sharpness(space, shown)
    others = _find_others(space, figure, shown)
    found: list[tuple[str, np.ndarray]] = []
    for i in character.choose_views(shown, MAX_TRIES, pair.vectors(shown)):
        row = shown.row(i, named=True)
        image = image_file.read(space.root / row["file"])
        picture = None if image is None else _cut(image, row, others.get(row["subject_id"], []))
        if picture is not None:
            found.append((row["subject_id"], picture))
        if len(found) == character.MAX_VIEWS:
            break
    return found


def _weigh_sharpness(space: Workspace, shown: pl.DataFrame) -> pl.DataFrame:
    """`shown` with `view` lowered where the box is blurred, by the frames' stored measures."""
    tables = {name: store.read_or_empty(space.table, name) for name in ("frame", "measure")}
    score = measure_subjects({**tables, "label": shown}).select("subject_id", "blur_score")
    sharp = pl.col("blur_score").fill_null(UNMEASURED)
    return shown.join(score, on="subject_id", how="left", maintain_order="left").with_columns(
        view=pl.col("view") * sharp
    )


def _find_others(
    space: Workspace, figure: pl.DataFrame, shown: pl.DataFrame
) -> dict[str, list[Sequence[float]]]:
    """Boxes of whoever else is in the frame of each view, by its figure_id.

    A figure of the same group is the same one seen otherwise; so are its head beside all of it, and
    a figure of no group that covers it. Named characters and all other figures are somebody else.
    """
    cluster = corrected.read_or_empty(space.table, "cluster").filter(pl.col("level") == "unknown")
    label = corrected.read_or_empty(space.table, "label").drop_nulls("character")
    group = cluster.select(figure_id="item_id", group="cluster_id")
    drawn = figure.join(group, on="figure_id", how="left").select("frame_id", *BOX, "group", "kind")
    kind = pl.lit(None, drawn.schema["kind"]).alias("kind")
    named = label.select("frame_id", *BOX, kind, group="character").select(drawn.columns)
    own = shown.join(figure.select("kind", subject_id="figure_id"), on="subject_id")
    own = own.select("subject_id", "frame_id", "name", "kind", *BOX)
    is_part = (pl.col("kind") != pl.col("kind_other")) & (figure_cluster.shared() >= PART)
    both = own.join(pl.concat([drawn, named]), on="frame_id", suffix="_other").filter(
        pl.col("group").ne_missing(pl.col("name")),
        pl.col("group").is_not_null() | (figure_cluster.shared() < COVERED),
        ~is_part.fill_null(False),
    )
    found: dict[str, list[Sequence[float]]] = {}
    for subject_id, *box in both.select("subject_id", *(f"{c}_other" for c in BOX)).iter_rows():
        found.setdefault(subject_id, []).append(box)
    return found


def _cut(image: np.ndarray, row: dict, others: list[Sequence[float]]) -> np.ndarray | None:
    """One figure with little around it; None when somebody else is inside its box."""
    box = character.crop_alone([row[c] for c in BOX], others, image.shape[1::-1], MARGIN)
    if box is None:
        return None
    x0, y0, x1, y1 = box
    return image[y0:y1, x0:x1]
