"""Recogniser of drawn characters: linear discriminants over features that nothing was labelled by.

A picture is described by means and deviations of EfficientNet-Lite0's 14th block and by gradients
and colours over 8 x 8 cells (`PictureDescriber`, the one place to exchange it). Of each character
one discriminant (Fisher 1936, covariance shrunk) is fitted on the film's own views against all
others, once for each of five stretches of the film, which is left out. Real pictures are scored by
the one that did not see their stretch, generated ones by the mean of all. Real pictures go through
the base's autoencoder first where that softens them: without it 30 % instead of 98 % of the demo's
pictures were recognised (2026-11-25).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bunny.character.drawn.efficientnet import INPUT_PX, EfficientNet
from bunny.contract import machine
from bunny.evaluation import figure_descriptor, identity
from bunny.evaluation.identity import IdentityScale
from bunny.evaluation.real_view import RealView

NAME = "discriminants over EfficientNet's middle block, edges and colours"
BLOCK = 14  # there are 16; 10, 15 and the last one separate the sample film's figures less well
SHRINKAGE = 0.3  # moves the covariance towards its diagonal; 0.1 to 0.7 do equally well
NUM_FOLDS = 5
SIDE_SHARE = 0.62  # width of each half in which one of two figures is looked for; 1: the picture

Describe = Callable[[np.ndarray], np.ndarray]


class PictureDescriber:
    """Description of a whole picture by frozen features; any number of threads may ask it."""

    def __init__(self, net: EfficientNet) -> None:
        self._net = net

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """Describe a picture (height, width, 3) uint8 BGR; (d,) float32."""
        style = self._net.measure_style(picture, (INPUT_PX,), (BLOCK,))
        return np.concatenate([style, figure_descriptor.channel_grid(picture)])


@dataclass(frozen=True, kw_only=True)
class Discriminants:
    """Directions (k, d) and offsets (k,) of one character, one for each stretch left out.

    `edges` are the last shots of the stretches but the last one's.
    """

    direction: np.ndarray
    offset: np.ndarray
    edges: np.ndarray

    def score(self, vector: np.ndarray, shot: int | None = None) -> float:
        """Score of a picture: by the one that did not see its shot, without a shot by all."""
        values = self.direction @ vector + self.offset
        return float(values.mean() if shot is None else values[fold_of(self.edges, shot)])


@dataclass(frozen=True, kw_only=True)
class FigureRecogniser:
    """The discriminants of a film's drawn characters, with their scales."""

    describe: Describe
    discriminants: Mapping[str, Discriminants]
    scales: Mapping[str, IdentityScale]
    scored: Sequence[tuple[RealView, dict[str, float]]]  # views that were measured

    def scores(self, picture: np.ndarray) -> dict[str, float]:
        """Score of each character in a picture."""
        vector = self.describe(picture)
        return {name: one.score(vector) for name, one in self.discriminants.items()}

    def count_alike(self, picture: np.ndarray, character: str) -> int:
        """Count the sides of a picture, left and right, on which a character is recognised."""
        if character not in self.scales:
            return 0
        width = round(picture.shape[1] * SIDE_SHARE)
        sides = (picture[:, :width], picture[:, -width:])
        squares = [figure_descriptor.square_crop(s, (0, 0, s.shape[1], s.shape[0])) for s in sides]
        floor = self.scales[character].floor
        return sum(self.scores(square)[character] >= floor for square in squares)


def fold_edges(shots: Sequence[int]) -> np.ndarray:
    """Split a character's shots into stretches of the film.

    Returns
    -------
    np.ndarray, shape (k - 1,)
        The last shot of each stretch but the last; stretches have equally many of the shots.

    Examples
    --------
    >>> fold_edges([9, 1, 2, 3, 4, 5, 6, 7, 8, 10]).tolist()
    [2, 4, 6, 8]
    """
    parts = np.array_split(np.unique(shots), min(NUM_FOLDS, len(set(shots))))
    return np.array([part[-1] for part in parts[:-1]], np.int64)


def fold_of(edges: np.ndarray, shot: int) -> int:
    """Stretch of the film that a shot is in."""
    return int(np.searchsorted(edges, shot))


def fit(
    views: Sequence[RealView], describe: Describe, num_workers: int, mirror_of: str
) -> FigureRecogniser:
    """Fit and calibrate a recogniser of each character that is in enough shots.

    Parameters
    ----------
    views : sequence of RealView
        Softened as generated pictures are.
    num_workers : int
        Threads that describe pictures.
    mirror_of : str
        The character whose views are learned mirrored too.
    """
    mirrored = [i for i, view in enumerate(views) if view.character == mirror_of]
    pictures = [view.picture for view in views]
    pictures += [np.ascontiguousarray(views[i].picture[:, ::-1]) for i in mirrored]
    with machine.thread_pool(num_workers) as pool:
        vector = np.stack(list(pool.map(describe, pictures))) if pictures else np.empty((0, 1))
    rows = [*range(len(views)), *mirrored]
    discriminants: dict[str, Discriminants] = {}
    for name in sorted({view.character for view in views} - {""}):
        if len({v.shot for v in views if v.character == name}) >= identity.MIN_SHOTS:
            made = _fit_one([views[i] for i in rows], vector, name)
            if made is not None:
                discriminants[name] = made
    scored = [
        (view, {name: one.score(x, view.shot) for name, one in discriminants.items()})
        for view, x in zip(views, vector, strict=False)
        if view.is_measured
    ]
    scales = {}
    for name in discriminants:
        own = [(v.shot, found[name]) for v, found in scored if v.character == name]
        others = [found[name] for v, found in scored if name not in v.shown]
        scale = identity.make_scale(own, others)
        if scale is not None:
            scales[name] = scale
    return FigureRecogniser(
        describe=describe,
        discriminants={name: discriminants[name] for name in scales},
        scales=scales,
        scored=scored,
    )


def _fit_one(views: Sequence[RealView], vector: np.ndarray, name: str) -> Discriminants | None:
    """A character's discriminants; None where a stretch leaves no stranger or none of it."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.preprocessing import StandardScaler

    is_own = np.array([view.character == name for view in views])
    is_used = is_own | np.array([name not in view.shown for view in views])
    shot = np.array([view.shot for view in views])
    edges = fold_edges(shot[is_own].tolist())
    fold = np.array([fold_of(edges, s) for s in shot])
    directions, offsets = [], []
    for left_out in range(len(edges) + 1):
        rows = is_used & (fold != left_out)
        if len(np.unique(is_own[rows])) < 2:
            return None
        scaler = StandardScaler().fit(vector[rows])
        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=SHRINKAGE)
        model.fit(scaler.transform(vector[rows]), is_own[rows])
        direction = model.coef_[0] / scaler.scale_
        directions.append(direction)
        offsets.append(model.intercept_[0] - direction @ scaler.mean_)
    return Discriminants(direction=np.stack(directions), offset=np.array(offsets), edges=edges)
