"""Identity of a picture: similarity to held-out crops, on a scale set by real pictures.

A cosine alone says little, for it depends on the describer and on how varied the character is in
its film. So real pictures set the scale. Drawings are compared with crops of held-out shots and the
user's own pictures; 1 is what real pictures of the character reach against those of *other* shots,
0 what real pictures without it reach.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bunny.evaluation.figure_descriptor import DescribedRegions

NOBODY, UNKNOWN = "nobody", "unknown"
STRANGER_QUANTILE = (
    0.95  # quantile of strangers' likeness that a picture must exceed to be the character
)
MIN_GAP = 0.02  # between strangers and the character, of cosine; below it nothing can be told
OVERLAP = 0.1  # intersection over the smaller box, up to which two places are separate


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """Crops of one character: vectors (k, d) of unit length and the shot of each (k,)."""

    vector: np.ndarray
    shot: np.ndarray

    def without(self, shot: int) -> Gallery:
        """The crops of other shots."""
        other = self.shot != shot
        return Gallery(vector=self.vector[other], shot=self.shot[other])


@dataclass(frozen=True, kw_only=True)
class IdentityScale:
    """Likeness of strangers (0), of the character itself (1), and of hardly any stranger (floor).

    `is_across` tells whether the character was compared across shots; with one shot only it was
    compared within it, which asks more of drawings.
    """

    zero: float
    one: float
    floor: float
    is_across: bool
    num_real: int
    num_strangers: int

    def to_identity(self, likeness: np.ndarray) -> np.ndarray:
        """Likeness on the scale; NaN where nobody was found, or nothing can be told."""
        gap = self.one - self.zero
        if not gap > MIN_GAP:
            return np.full(np.shape(likeness), np.nan)
        return (np.asarray(likeness, float) - self.zero) / gap


def likeness(seen: DescribedRegions, gallery: Gallery) -> float:
    """Similarity to a character of the most similar part of a picture.

    Parameters
    ----------
    seen : DescribedRegions
        Parts of a picture.

    Returns
    -------
    float
        Cosine to the most similar crop, of the part where it is highest, in [-1, 1]; NaN where the
        picture has no part (no face) or there is no crop.
    """
    found = _likenesses(seen, gallery)
    return float(found.max()) if len(found) else float("nan")


def count_alike(seen: DescribedRegions, gallery: Gallery, floor: float) -> int:
    """Count separate places of a picture that are more like a character than strangers are."""
    found = _likenesses(seen, gallery)
    taken: list[np.ndarray] = []
    for index in np.argsort(-found, kind="stable"):
        if not found[index] > floor:
            break
        if all(_share(seen.box[index], box) <= OVERLAP for box in taken):
            taken.append(seen.box[index])
    return len(taken)


def make_scale(
    real: Sequence[tuple[int, DescribedRegions]],
    strangers: Sequence[DescribedRegions],
    gallery: Gallery,
    fallback: tuple[float, float] | None = None,
) -> IdentityScale | None:
    """Measure the scale of a character.

    Parameters
    ----------
    real : sequence of (int, DescribedRegions)
        Shot and parts of pictures of the character; each is compared with other shots' crops.
    strangers : sequence of DescribedRegions
        Pictures of the film without it.
    gallery : Gallery
        Crops of held-out shots.
    fallback : (float, float), optional
        Zero and floor of a recogniser whose authors give them, for films without strangers.

    Returns
    -------
    IdentityScale or None
        None where there is no real picture to compare, or no stranger and no fallback.
    """
    across = [likeness(seen, gallery.without(shot)) for shot, seen in real]
    is_across = bool(np.isfinite(across).any())
    own = across if is_across else _leave_one_out(real, gallery)
    own = [value for value in own if np.isfinite(value)]
    others = [likeness(seen, gallery) for seen in strangers]
    others = [value for value in others if np.isfinite(value)]
    level = fallback
    if others:
        level = float(np.median(others)), float(np.quantile(others, STRANGER_QUANTILE))
    if not own or level is None:
        return None
    zero, floor = level
    return IdentityScale(
        zero=zero,
        one=float(np.median(own)),
        floor=floor,
        is_across=is_across,
        num_real=len(own),
        num_strangers=len(others),
    )


def recognise(
    likenesses: Mapping[str, float], scales: Mapping[str, IdentityScale], *, is_somebody: bool
) -> str:
    """Say whom a picture shows.

    Parameters
    ----------
    is_somebody : bool
        Whether the picture has any part at all.

    Returns
    -------
    str
        The character that leads on its own scale among those above their floors; ``unknown`` where
        somebody is there who is none of them, ``nobody`` where none was found.
    """
    if not is_somebody:
        return NOBODY
    found = {
        name: float(scale.to_identity(np.array(likenesses[name])))
        for name, scale in scales.items()
        if likenesses.get(name, float("nan")) > scale.floor
    }
    found = {name: value for name, value in found.items() if np.isfinite(value)}
    return max(sorted(found), key=found.__getitem__) if found else UNKNOWN


def _likenesses(seen: DescribedRegions, gallery: Gallery) -> np.ndarray:
    """Cosine of each part to its most similar crop; empty where there is nothing."""
    if not len(seen.vector) or not len(gallery.vector):
        return np.empty(0)
    return (seen.vector @ gallery.vector.T).max(axis=1).astype(float)


def _leave_one_out(real: Sequence[tuple[int, DescribedRegions]], gallery: Gallery) -> list[float]:
    """Likeness of real pictures to the other crops of one shot, none compared with itself.

    A picture's own crops are its nearest: what is left out is the one most similar.
    """
    found = []
    for _shot, seen in real:
        if len(gallery.vector) < 2 or not len(seen.vector):
            continue
        nearest = int((seen.vector @ gallery.vector.T).max(axis=0).argmax())
        keep = np.arange(len(gallery.vector)) != nearest
        found.append(likeness(seen, Gallery(vector=gallery.vector[keep], shot=gallery.shot[keep])))
    return found


def _share(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection of two boxes over the area of the smaller."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    smaller = min((b[2] - b[0]) * (b[3] - b[1]) for b in (one, other))
    return max(0.0, width) * max(0.0, height) / smaller if smaller > 0 else 1.0
