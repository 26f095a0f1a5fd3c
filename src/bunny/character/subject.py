"""Faces and figures of a film's characters, named or not, and their best views."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from bunny.character import track
from bunny.character.drawn import figure_cluster
from bunny.table.box import BOX

MAX_VIEWS = 5
SAME_SHOT, SAME_POSE = 0.3, 0.6  # what a view is worth when its shot, its pose was chosen already
POSE_STEP = 0.25  # of yaw in [-1, 1]: views that are nearer show the same side
SAME_LOOK = 0.9  # cosine from which two views of a drawn figure show it alike
FIGURE_PX = 200  # longer side from which a drawn figure is large enough to be seen well


def subjects(
    label: pl.DataFrame,
    face: pl.DataFrame,
    cluster: pl.DataFrame,
    frame: pl.DataFrame,
    figure: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Faces and figures of somebody: a named character or a group of unknown faces or figures.

    Parameters
    ----------
    label, face, cluster : pl.DataFrame
        Their tables; `cluster` may be empty.
    frame : pl.DataFrame
        Rows of `frame` and of `extra_frame`.
    figure : pl.DataFrame, optional
        Its table; without it unknown drawn figures are left out.

    Returns
    -------
    pl.DataFrame
        `subject_id`, `name` (a character, or e.g. person-02 or figure-01), `is_named`,
        `subject_type`, `frame_id`, `shot_index`, `timestamp_s`, `file` (null: no picture is
        stored), the box, `yaw`, `view` (how well it is seen, in [0, 1]) and `confidence`: of the
        name, or for unknown people the similarity to their group.
    """
    group = cluster.filter(pl.col("level") == "unknown", pl.col("cluster_id").is_not_null()).select(
        "similarity", subject_id="item_id", group="cluster_id"
    )
    quality = track.view_quality(
        *(face[c].to_numpy() for c in ("score", "yaw", "size_px", "sharpness"))
    )
    seen = face.select("yaw", subject_id="face_id", view=pl.Series(quality, dtype=pl.Float32))
    if figure is not None:
        label = figure_cluster.add_unlabelled_figures(label, figure)
        seen = pl.concat([seen, _see_figures(figure)])
    is_named = pl.col("character").is_not_null()
    return (
        label.join(group, on="subject_id", how="left", maintain_order="left")
        .join(seen, on="subject_id", how="left", maintain_order="left")
        .join(
            frame.select("frame_id", "timestamp_s", "file"),
            on="frame_id",
            how="left",
            maintain_order="left",
        )
        .with_columns(
            is_named=is_named,
            name=pl.coalesce("character", "group"),
            confidence=pl.when(is_named).then("confidence").otherwise("similarity"),
            view=pl.col("view").fill_null(pl.col("confidence")),  # regions
        )
        .drop_nulls("name")
        .select(
            "subject_id",
            "name",
            "is_named",
            "subject_type",
            "frame_id",
            "shot_index",
            "timestamp_s",
            "file",
            *BOX,
            "yaw",
            "view",
            "confidence",
        )
    )


def summarise(subject: pl.DataFrame) -> pl.DataFrame:
    """One row a person: named ones first, within that the most seen first.

    Parameters
    ----------
    subject : pl.DataFrame
        From `subjects`.

    Returns
    -------
    pl.DataFrame
        `name`, `is_named`, `num_faces`, `num_figures`, `num_shots`, `first_s`, `last_s`,
        `confidence` (mean), and the best view that has a picture: `subject_id`, `file`, the box.
    """
    ordered = subject.sort(
        pl.col("file").is_null(), "view", "subject_id", descending=[False, True, False]
    )
    is_face = pl.col("subject_type") == "face"
    return (
        ordered.group_by("name", "is_named", maintain_order=True)
        .agg(
            num_faces=is_face.sum(),
            num_figures=(~is_face).sum(),
            num_shots=pl.col("shot_index").n_unique(),
            first_s=pl.col("timestamp_s").min(),
            last_s=pl.col("timestamp_s").max(),
            confidence=pl.col("confidence").mean(),
            subject_id=pl.first("subject_id"),
            file=pl.first("file"),
            **{c: pl.first(c) for c in BOX},
        )
        .with_columns(num=pl.col("num_faces") + pl.col("num_figures"))
        .sort("is_named", "num", "name", descending=[True, True, False])
        .drop("num")
    )


def choose_views(
    views: pl.DataFrame, limit: int = MAX_VIEWS, vector: np.ndarray | None = None
) -> list[int]:
    """Rows of the views that show a person best: clear, of different shots, from several sides.

    Parameters
    ----------
    views : pl.DataFrame
        Columns `view`, `shot_index`, `yaw` of faces or figures of one person.
    vector : np.ndarray, shape (n, d), optional
        Unit vectors of drawn figures, which have no yaw: views more alike than `SAME_LOOK` show the
        same side.

    Returns
    -------
    list of int
        At most `limit`, the best first.

    Notes
    -----
    Greedy: the next is the one whose quality is highest after it was lowered for each property
    that it shares with one chosen before.
    """
    worth = views["view"].cast(pl.Float64).to_numpy().copy()
    shot = views["shot_index"].to_numpy()
    yaw = np.nan_to_num(views["yaw"].cast(pl.Float64).to_numpy(), nan=0.0)
    chosen: list[int] = []
    while len(chosen) < min(limit, len(worth)):
        best = int(np.argmax(worth))
        chosen.append(best)
        worth[shot == shot[best]] *= SAME_SHOT
        is_same = np.abs(yaw - yaw[best]) < POSE_STEP
        if vector is not None:
            is_same = vector @ vector[best] >= SAME_LOOK
        worth[is_same] *= SAME_POSE
        worth[chosen] = -1
    return chosen


def crop_alone(
    box: Sequence[float], others: Sequence[Sequence[float]], size: tuple[int, int], margin: float
) -> tuple[int, int, int, int] | None:
    """Box around one face with as much margin as leaves the others out; None when none does.

    Parameters
    ----------
    box : sequence of float
        x0 y0 x1 y1 in pixels.
    others : sequence of boxes
        The other faces of the picture.
    size : (width, height)
        Of the picture.
    margin : float
        Wished for on each side, in shares of the larger side; halved twice, then left away.
    """
    side = max(box[2] - box[0], box[3] - box[1])
    for share in (margin, margin / 2, margin / 4, 0.0):
        x0, y0 = (max(0, round(v - share * side)) for v in box[:2])
        x1, y1 = (min(n, round(v + share * side)) for v, n in zip(box[2:], size, strict=True))
        is_alone = all(o[2] <= x0 or o[0] >= x1 or o[3] <= y0 or o[1] >= y1 for o in others)
        if is_alone and x1 > x0 and y1 > y0:
            return x0, y0, x1, y1
    return None


def _see_figures(figure: pl.DataFrame) -> pl.DataFrame:
    """How well drawn figures are seen: surely there, and large."""
    wide, high = (pl.col(f"{side}1_px") - pl.col(f"{side}0_px") for side in "xy")
    large = (pl.max_horizontal(wide, high) / FIGURE_PX).clip(0, 1)
    return figure.select(
        pl.lit(None, pl.Float32).alias("yaw"),
        subject_id="figure_id",
        view=(pl.col("objectness") * large).cast(pl.Float32),
    )
