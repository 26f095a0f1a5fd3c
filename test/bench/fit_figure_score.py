"""Fit the score of drawn figures: `python fit_figure_score.py --data DATA --rendered FILMS`.

DATA is what `bench_drawn_film.py --data DATA` left with the same films and impostors. Tables are
read, no pixel. For each weight of the lead, least objectness and slack a threshold is chosen that
names most with few enough wrong ones on all films but one, and scores that film. At the end
come what all films together choose, and an isotonic fit of how often such a score was right.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import bench_drawn_film
import numpy as np
import polars as pl
from drawn_score import Character, Clip
from sklearn.isotonic import IsotonicRegression

from bunny.character.drawn import figure_label
from bunny.core.config import DetectionConfig
from bunny.table import store

WEIGHTS = (1.5, 2.0, 2.5, 3.0)
OBJECTNESS = (0.9, 0.95, 0.97, 0.98)
SLACKS = (0.2, 0.1, 0.05, 0.0)
PRESENCE_STEP = DetectionConfig().figure_presence - DetectionConfig().figure_score


@dataclass(frozen=True, kw_only=True)
class Film:
    """A film that was searched: its figures with a candidate, by the truth's shots."""

    clip: Clip
    given: Sequence[Character]
    figure: pl.DataFrame  # table figure, with `start`, first frame of the true shot


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A way to score similarity and lead."""

    weight: float
    objectness: float
    slack: float

    def support(self, film: Film) -> pl.DataFrame:
        """The highest threshold that still names each candidate in each shot.

        Returns
        -------
        pl.DataFrame
            Columns `character`, `start`, `support`, `score` (of the track), `is_right`; shots in
            which a character may be are left out, as are those that a reference was cut from.
        """
        own = pl.col("similarity") + self.weight * pl.col("margin").clip(-1, figure_label.MAX_LEAD)
        half = (pl.len() + 1) // 2
        better = [
            pl.col(name).sort(descending=True).head(half).mean()
            for name in ("similarity", "margin")
        ]
        track = film.figure.group_by("track_id").agg(*better, pl.col("objectness").mean())
        is_figure = pl.col("objectness") >= self.objectness
        capped = pl.min_horizontal(own, figure_label.REVIEW_FROM)
        track = track.select("track_id", score=pl.when(is_figure).then(own).otherwise(capped))
        joined = film.figure.join(track, on="track_id")
        peak = pl.col("score").max().over("candidate") - PRESENCE_STEP
        held = joined.with_columns(support=pl.min_horizontal("score", own + self.slack, peak))
        best = held.group_by("candidate", "start").agg(pl.col("support", "score").max())
        found = {(who, start): (a, b) for who, start, a, b in best.iter_rows()}
        rows = [
            (one.name, start, *found.get((one.name, start), (-9.0, -9.0)), is_right)
            for one in film.given
            for start, is_right in _scored(film.clip, one)
        ]
        columns = ("character", "start", "support", "score", "is_right")
        return pl.DataFrame(rows, schema=list(columns), orient="row")


def main() -> None:
    """Fit with each film left out, then on all."""
    wanted = _arguments()
    films = [*read(wanted)]
    print(f"{len(films)} films: {', '.join(film.clip.name for film in films)}")
    rules = [
        Rule(weight=weight, objectness=objectness, slack=slack)
        for weight, objectness, slack in product(WEIGHTS, OBJECTNESS, SLACKS)
    ]
    scored = {rule: [rule.support(film) for film in films] for rule in rules}
    left_out = []
    for number, film in enumerate(films):
        rest = {r: [t for k, t in enumerate(one) if k != number] for r, one in scored.items()}
        rule, threshold = choose(rest, wanted.most_wrong)
        right, named_wrong, must = count(scored[rule][number], threshold)
        left_out.append((right, named_wrong, must))
        print(f"{film.clip.name}: {right} of {must}, {named_wrong} wrong; {rule} {threshold:.3f}")
    right, named_wrong, must = np.sum(left_out, axis=0)
    print(f"each film left out: {right} of {must} right, {named_wrong} wrong")
    rule, threshold = choose(scored, wanted.most_wrong)
    together = pl.concat(scored[rule])
    right, named_wrong, must = count(together, threshold)
    print(f"all: {right} of {must} right, {named_wrong} wrong; {rule} {threshold:.3f}")
    show_confidence(scored[rule], threshold)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--material", type=Path, default=bench_drawn_film.BESIDE)
    parser.add_argument("--rendered", type=Path)
    parser.add_argument("--more", type=Path)
    parser.add_argument("--impostors", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--most-wrong", type=float, default=0.03, help="share of named")
    return parser.parse_args()


def read(wanted: argparse.Namespace) -> Iterator[Film]:
    """The films that stage detect has searched for drawn figures."""
    every = argparse.Namespace(**vars(wanted), only=list(bench_drawn_film.GROUPS), film=None)
    clips, cast = bench_drawn_film.gather(every)
    for clip in clips:
        stem = clip.path.stem.lower().replace("_", "-")
        for root in sorted((wanted.data / "output").glob(f"{stem}-*")):
            figure = (
                store.read_or_empty(root / "table", "figure").drop_nulls("candidate").drop("score")
            )
            frame = bench_drawn_film.looked_at(root / "table").select("frame_id", "frame_index")
            figure = figure.join(frame, on="frame_id")
            starts = [clip.shot_of(index) for index in figure["frame_index"]]
            figure = figure.with_columns(start=pl.Series(starts, dtype=pl.Int64))
            given = bench_drawn_film.choose(clip, cast, wanted.impostors, wanted.seed)
            if figure.height:
                yield Film(clip=clip, given=given, figure=figure)


def _scored(clip: Clip, one: Character) -> Iterator[tuple[int, bool]]:
    """Shots in which a name is either right or wrong."""
    must, may = one.must.get(clip.name, ()), one.may.get(clip.name, ())
    for start in clip.shot_starts:
        if start in must and start != one.own_shot(clip):
            yield start, True
        elif start not in (*must, *may) and start != one.own_shot(clip):
            yield start, False


def count(table: pl.DataFrame, threshold: float) -> tuple[int, int, int]:
    """Right names, wrong names, and how many there should be."""
    named = table.filter(pl.col("support") >= threshold)["is_right"]
    return int(named.sum()), int((~named).sum()), int(table["is_right"].sum())


def choose(scored: dict[Rule, list[pl.DataFrame]], most_wrong: float) -> tuple[Rule, float]:
    """The rule and threshold with most right names, of those with few enough wrong ones."""
    found = []
    for number, (rule, tables) in enumerate(scored.items()):
        table = pl.concat(tables).sort("support", descending=True)
        right = table["is_right"].cast(pl.Int64).cum_sum().to_numpy()
        share = 1 - right / np.arange(1, len(right) + 1)
        is_fine = np.flatnonzero((share <= most_wrong) & (table["support"] > 0).to_numpy())
        if len(is_fine):
            last = int(is_fine[-1])
            found.append((int(right[last]), -number, rule, float(table["support"][last])))
    _, _, rule, threshold = max(found)
    return rule, threshold


def show_confidence(tables: list[pl.DataFrame], threshold: float) -> None:
    """Isotonic fit of how often a named score was right; its error with each film left out."""
    least = figure_label.REVIEW_FROM
    tables = [t.filter(pl.col("support") >= least) for t in tables]
    gaps = []
    for number, table in enumerate(tables):
        rest = pl.concat(t for k, t in enumerate(tables) if k != number)
        fit = IsotonicRegression(out_of_bounds="clip").fit(rest["score"], rest["is_right"])
        named = table.filter(pl.col("support") >= threshold)
        if named.height:
            gaps.append((fit.predict(named["score"]), named["is_right"].to_numpy()))
    said, was = (np.concatenate(part) for part in zip(*gaps, strict=True))
    at = np.digitize(said, (0.7, 0.8, 0.9, 0.95))
    error = sum(abs((said - was)[at == k].sum()) for k in np.unique(at)) / len(said)
    print(f"calibration error of the names, each film left out: {error:.3f}")
    every = pl.concat(tables)
    fit = IsotonicRegression(out_of_bounds="clip").fit(every["score"], every["is_right"])
    for x, y in zip(fit.X_thresholds_, fit.y_thresholds_, strict=True):
        print(f"  {x:.3f} {y:.3f}")


if __name__ == "__main__":
    main()
