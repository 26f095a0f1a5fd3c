"""Labels and tracks of drawn figures by stored similarities; no pixel is read.

The frames of a figure's track speak together: the better half of its similarities and of its
leads make one score. Two thresholds, as Canny (1986) has two for edges: a character is in the film
only where some track is clearly it, and then weaker tracks count too. A score means much the same
in every film, since leads are over figures that are in none (`figure_search`); how often it was
right on films with known truth is its confidence.

A candidate has no vector of its own in table `region`; that it is of the same character, near
where that character was a moment ago and of a like size is what links it. A track then votes as
one (`window_search.vote`): who enters late counts from then on, and an accident stays alone.
"""

import numpy as np
import polars as pl

from bunny.character import model_file, track
from bunny.character.drawn import efficientnet, figure_embedding
from bunny.core.config import DetectionConfig
from bunny.table.box import BOX

MAX_GAP = 2  # frames looked at from one link to the next; 2 lets one be missed
MIN_IOU = 0.1  # with the track's last box: figures walk between frames half a second apart
MAX_SHIFT = 0.75  # of the middle, in lengths of the larger box's longer side, for each frame of gap
MAX_SCALE = 2.5  # ratio of the longer sides

MAX_LEAD = 0.25  # a lead counts twice, up to here
# Of labels with this score so many were right; straight lines between, below an isotonic fit on all
# drawn clips of `test/bench/fit_figure_score.py`; with each film left out: see progress.md.
CALIBRATION = (
    (0.40, 0.05),
    (0.55, 0.20),
    (0.80, 0.35),
    (0.86, 0.72),
    (0.92, 0.83),
    (1.00, 0.905),
    (1.05, 0.955),
    (1.25, 0.98),
)
# Mean chance, over a track, that there is a figure. This and `OWN_SLACK` by
# `test/bench/fit_figure_score.py`.
MIN_OBJECTNESS = 0.95
OWN_SLACK = 0.05  # by which a frame's own score may lie below the threshold of its track's
ALONE_PENALTY = 0.1  # added to both thresholds for one character alone
MODEL = figure_embedding.NAME
LICENCE = ", ".join(model_file.MODELS[name].licence for name in (MODEL, efficientnet.NAME))
REVIEW_FROM = 0.55  # score from which somebody should look: about one in four of such is right


def link_regions(region: pl.DataFrame, frame: pl.DataFrame, film_id: str) -> pl.DataFrame:
    """Follow the candidates of each character through each shot.

    Parameters
    ----------
    region : pl.DataFrame
        Rows of table `region`; `track_id` is overwritten.
    frame : pl.DataFrame
        Columns `frame_id`, `frame_index`, `shot_index` of all frames that were looked at.

    Returns
    -------
    pl.DataFrame
        `region` in its own order, `track_id` filled; a track is of one shot and one candidate and
        has at most one region a frame.

    Notes
    -----
    Greedy, frame by frame: the nearest open track takes a candidate. Tracks are numbered by shot,
    candidate and first frame, so the same rows give the same ids.
    """
    rank = pl.col("frame_index").rank("dense").over("shot_index").cast(pl.Int64)
    order = frame.select("frame_id", rank.alias("rank"))
    rows = region.join(order, on="frame_id", how="left", maintain_order="left")
    rows = rows.select("region_id", "shot_index", "candidate", "rank", *BOX)
    rows = rows.sort("shot_index", "candidate", "rank", "region_id", nulls_last=True)
    ids: dict[str, str] = {}
    count = 0
    for own in rows.partition_by("shot_index", "candidate", maintain_order=True):
        number = link_boxes(own["rank"].fill_null(-1).to_list(), own.select(BOX).to_numpy())
        names = [f"{film_id}-f{count + int(n):05d}" for n in number]
        ids |= dict(zip(own["region_id"].to_list(), names, strict=True))
        count += int(number.max()) + 1
    found = pl.Series("track_id", [ids[i] for i in region["region_id"]], dtype=pl.String)
    return region.with_columns(found)


def link_boxes(rank: list[int], box: np.ndarray) -> np.ndarray:
    """Link boxes that follow each other in place.

    Parameters
    ----------
    rank : list of int, length n
        Which frame of the shot each box is in, counted over the frames looked at; ascending.
    box : np.ndarray, shape (n, 4)
        x0 y0 x1 y1 in pixels.

    Returns
    -------
    np.ndarray, shape (n,), int
        Track numbers from 0 in order of first appearance.
    """
    number = np.full(len(rank), -1, dtype=np.int64)
    last: list[int] = []  # by track, its latest box
    for i, now in enumerate(rank):
        near = [
            (-_nearness(box[i], box[j], now - rank[j]), track_number)
            for track_number, j in enumerate(last)
            if 0 < now - rank[j] <= MAX_GAP and _nearness(box[i], box[j], now - rank[j]) > 0
        ]
        if near:
            number[i] = min(near)[1]
            last[number[i]] = i
        else:
            number[i] = len(last)
            last.append(i)
    return number


def _nearness(one: np.ndarray, other: np.ndarray, gap: int) -> float:
    """How well a box follows another, 0 when it does not; 1 to 2 where they overlap enough."""
    sides = [max(b[2] - b[0], b[3] - b[1], 1e-6) for b in (one, other)]
    if max(sides) > MAX_SCALE * min(sides):
        return 0.0
    overlap = float(track.overlap(one, other))
    if overlap >= MIN_IOU:
        return 1.0 + overlap
    shift = np.hypot(*(one[:2] + one[2:] - other[:2] - other[2:])) / 2
    reach = MAX_SHIFT * max(sides) * gap
    return float(max(0.0, 1 - shift / reach))


def is_figure() -> pl.Expr:
    """Whether a row of table `region` was compared by `figure_search`."""
    return pl.col("model").str.starts_with(MODEL)


def score() -> pl.Expr:
    """Similarity plus twice the lead (column `margin`), which counts up to `MAX_LEAD`."""
    return pl.col("similarity") + 2 * pl.col("margin").clip(-1, MAX_LEAD)


def link_figures(figures: pl.DataFrame, frame: pl.DataFrame, film_id: str) -> pl.DataFrame:
    """Follow each candidate's figures, and those of nobody, through each shot.

    Parameters
    ----------
    figures : pl.DataFrame
        Rows of table `figure`; `track_id` is overwritten.
    frame : pl.DataFrame
        Columns `frame_id`, `frame_index`, `shot_index` of all frames looked at.
    """
    rows = figures.with_columns(
        region_id=pl.col("figure_id"), candidate=pl.col("candidate").fill_null("")
    )
    known, nobody = (rows.filter(pl.col("candidate") != ""), rows.filter(pl.col("candidate") == ""))
    parts = [
        link_regions(part, frame, prefix)
        for part, prefix in ((known, f"{film_id}-d"), (nobody, f"{film_id}-u"))
    ]
    ids = pl.concat(part.select("figure_id", "track_id") for part in parts)
    return figures.drop("track_id").join(ids, on="figure_id", how="left", maintain_order="left")


def vote(figures: pl.DataFrame) -> pl.DataFrame:
    """Add `score`: of each candidate's track the better half of its frames, together.

    Parameters
    ----------
    figures : pl.DataFrame
        Rows of table `figure` with `track_id`.

    Returns
    -------
    pl.DataFrame
        `figures` with `score` less `REVIEW_FROM`, so that above 0 it may well be the candidate;
        null where there is no candidate. Above 0 is nothing that hardly looks like a figure.
    """
    half = (pl.len() + 1) // 2
    better = [
        pl.col(name).sort(descending=True).head(half).mean().alias(name)
        for name in ("similarity", "margin")
    ]
    known = figures.filter(pl.col("candidate").is_not_null())
    tracks = known.group_by("track_id").agg(*better, pl.col("objectness").mean())
    above = score() - REVIEW_FROM
    is_figure_at_all = pl.col("objectness") >= MIN_OBJECTNESS
    capped = pl.when(is_figure_at_all).then(above).otherwise(pl.min_horizontal(above, 0.0))
    tracks = tracks.select("track_id", score=capped.cast(pl.Float32))
    is_known = pl.col("candidate").is_not_null()
    joined = figures.drop("score").join(tracks, on="track_id", how="left", maintain_order="left")
    return joined.with_columns(score=pl.when(is_known).then("score"))


def region_id(figure_id: pl.Expr) -> pl.Expr:
    """Id that a figure has in table `region`, and so in table `label`."""
    return figure_id.str.replace(r"-g(\d+)$", "-r$1")


def to_regions(figures: pl.DataFrame) -> pl.DataFrame:
    """Figures with a candidate as rows of table `region`; `support` is the track's score."""
    known = figures.filter(pl.col("candidate").is_not_null())
    return known.select(
        region_id=region_id(pl.col("figure_id")),
        frame_id="frame_id",
        shot_index="shot_index",
        candidate="candidate",
        **{side: pl.col(side) for side in BOX},
        similarity=pl.col("similarity").clip(-1, 1),
        margin="margin",
        support=pl.col("score") + REVIEW_FROM,
        track_id="track_id",
        model="model",
        licence=pl.lit(LICENCE),
        beside_lab="beside_lab",
    )


def select(
    region: pl.LazyFrame, wanted: DetectionConfig, *, is_alone: bool = False
) -> pl.LazyFrame:
    """Regions that are their candidate.

    Parameters
    ----------
    region : pl.LazyFrame
        Rows of `to_regions`.
    is_alone : bool
        Only one drawn character is looked for: more is asked, since the bank alone speaks against.

    Returns
    -------
    pl.LazyFrame
        Rows of `region`, each character once a frame: where it has the highest support.
    """
    more = ALONE_PENALTY if is_alone else 0.0
    threshold, presence = wanted.figure_score + more, wanted.figure_presence + more
    is_there = pl.col("support").max().over("candidate") >= presence
    is_own = score() >= threshold - OWN_SLACK
    sure = region.filter(is_there, pl.col("support") >= threshold, is_own)
    best_first = sure.sort("support", "region_id", descending=[True, False])
    return best_first.unique(["frame_id", "candidate"], keep="first", maintain_order=True)


def confidence(support: np.ndarray) -> np.ndarray:
    """Share of labels with such a score that were right on films with known truth.

    Parameters
    ----------
    support : np.ndarray, shape (n,)
        Scores of tracks.

    Returns
    -------
    np.ndarray, shape (n,), float32
        In [0, 1].
    """
    at, right = np.array(CALIBRATION).T
    return np.interp(support, at, right).astype(np.float32)
