"""Quality of reference pictures: how well each tells its character from others.

A picture is compared with the others of its character, with those of everybody else, and with the
bank of figures that are in no film: of these, as many as possible should not be taken for it.
Whether a drawing holds two figures or cuts its figure at a side is read from how much of a figure
its columns show.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from bunny.character.drawn import figure_embedding
from bunny.character.drawn.figure_label import MAX_LEAD
from bunny.character.drawn.figure_search import NUM_RIVALS
from bunny.character.face import recogniser as face_recogniser

Medium = Literal["drawn", "photographed"]

SMALL_PX = 96  # shorter side: three cells of the network (`efficientnet.CELL_PX`)
MAP_LONG_PX = 352  # longer side a picture is scaled to before its columns are looked at
# Fitted on crops of 20 rendered films (styles flat, cel, sketch), 124 of one figure and 51 of two
# that stand beside each other: from 0.5 on 61 % of two, no whole figure and 5 % of busts.
TWO_VALLEY = 0.5
CUT_SHARE = 0.45  # likewise: 54 % of figures with 30 % of their width cut off, no whole one
ALIKE_QUANTILE = 0.98  # of pairs of the bank: only one in fifty strangers are more alike
MANY = 0.01  # share of impostors from which a picture lets too many pass


@dataclass(frozen=True, kw_only=True, eq=False)
class ReferencePicture:
    """Measurements of one reference picture for the check."""

    reference_id: str
    character: str
    medium: Medium
    size_px: int  # shorter side
    vector: np.ndarray | None  # (m, d), unit length, one a view; None: nothing to compare by
    has_two: bool = False  # figures, or faces
    cut: tuple[str, ...] = ()  # sides that cut the figure: left, right
    text: Literal["subtitle", "text"] | None = None
    error: str | None = None  # why it is of no use


@dataclass(frozen=True, kw_only=True)
class JudgedReference:
    """One reference picture, judged; None where there is nothing to compare with."""

    reference_id: str
    character: str
    medium: Medium
    size_px: int
    is_small: bool
    num_own: int  # usable pictures of its character, itself among them
    own_similarity: float | None  # to the nearest other picture of its character
    other_similarity: float | None  # to the nearest picture of another character,
    other_character: str | None  # and whose that is
    is_alike: bool  # too like the other character
    impostor_share: float | None  # of the bank; see `impostor_share`
    film_share: float | None  # of the film's own figures of others, likewise
    has_two: bool
    cut: tuple[str, ...]
    text: str | None
    error: str | None


def valley(column: np.ndarray) -> float:
    """Depth of the deepest valley between two peaks of a profile.

    Parameters
    ----------
    column : np.ndarray, shape (n,)
        Not negative.

    Returns
    -------
    float
        In [0, 1]: the lower of the hills on both sides, less the valley, as a share of the
        highest; 0 where the profile only rises or falls, or is 0.
    """
    if len(column) < 3 or not column.max() > 0:
        return 0.0
    left = np.maximum.accumulate(column)[:-2]
    right = np.maximum.accumulate(column[::-1])[::-1][2:]
    depth = np.minimum(left, right) - column[1:-1]
    return float(max(0.0, depth.max()) / column.max())


def has_two_figures(amount: np.ndarray) -> bool:
    """Whether a drawing holds two figures that stand side by side.

    Parameters
    ----------
    amount : np.ndarray, shape (rows, columns)
        From `amount_of_figure`.

    Notes
    -----
    Figures that touch or stand one behind the other make no valley and are not told. The chance
    that a window shows a figure (`figure_embedding.figureness`) is near 1 all over most
    drawings; it told two from one less often (area under the curve 0.88, here 0.99).
    """
    return valley(amount.mean(axis=0)) >= TWO_VALLEY


def cut_sides(amount: np.ndarray) -> tuple[str, ...]:
    """Sides, left or right, at which a drawing's edge cuts the figure.

    Parameters
    ----------
    amount : np.ndarray, shape (rows, columns)
        From `amount_of_figure`.

    Returns
    -------
    tuple of str
        Sides whose outermost column shows at least `CUT_SHARE` of what all do on average.

    Notes
    -----
    A head cut at the top is not told: the top row of whole figures shows as much (area under the
    curve 0.82, at the sides 0.95), and at the bottom a bust is cut on purpose.
    """
    column = amount.mean(axis=0)
    if len(column) < 3 or not column.mean() > 0:
        return ()
    share = column[[0, -1]] / column.mean()
    sides = zip(("left", "right"), share, strict=True)
    return tuple(side for side, one in sides if one >= CUT_SHARE)


def amount_of_figure(cells: np.ndarray) -> np.ndarray:
    """Amount of figure in each cell: the length of its weighted head vector.

    Parameters
    ----------
    cells : np.ndarray, shape (rows, columns, RAW)
        From `FigureNet.map_cells` at `MAP_LONG_PX`.

    Returns
    -------
    np.ndarray, shape (rows, columns)
        Not negative.
    """
    return np.linalg.norm(cells[..., figure_embedding.BASIS : -1], axis=-1)


def impostor_share(
    own: np.ndarray,
    others: np.ndarray,
    bank: np.ndarray,
    level: float,
    impostor: np.ndarray | None = None,
) -> float | None:
    """Share of strangers that would be named after a reference picture.

    A stranger passes when its score, similarity plus twice its lead (at most `MAX_LEAD`), reaches
    the level from which stage detect names a figure. As there, the lead is over whoever it is
    most like beside: another character's pictures, or the mean of the `NUM_RIVALS` most alike
    figures of the bank. Similarity alone would be no measure, since 0.28 is enough with a full
    lead and not enough without one.

    Parameters
    ----------
    own : np.ndarray, shape (m, d)
        Views of the picture.
    others : np.ndarray, shape (k, d)
        Views of all pictures of other characters.
    bank : np.ndarray, shape (n, d)
    level : float
        `detection.figure_score`.
    impostor : np.ndarray, shape (i, d), optional
        The strangers; without them the bank's figures are, each less itself as a rival.

    Returns
    -------
    float or None
        In [0, 1]; None without strangers.
    """
    stranger = bank if impostor is None else impostor
    if not len(stranger):
        return None
    similarity = (stranger @ own.T).max(axis=1)
    rivals = stranger @ bank.T
    if impostor is None:
        np.fill_diagonal(rivals, -1)
    rival = np.full(len(stranger), -1.0)
    if rivals.shape[1]:
        rival = np.sort(rivals, axis=1)[:, -NUM_RIVALS:].mean(axis=1)
    if len(others):
        rival = np.maximum(rival, (stranger @ others.T).max(axis=1))
    score = similarity + 2 * np.clip(similarity - rival, -1, MAX_LEAD)
    return float((score >= level).mean())


def alike_level(bank: np.ndarray) -> float:
    """Similarity from which two drawn characters are too alike, as few pairs of the bank are.

    Parameters
    ----------
    bank : np.ndarray, shape (n, d)

    Returns
    -------
    float
        The `ALIKE_QUANTILE` of all pairs, so that it moves with the film's mean; 1 without pairs.
    """
    if len(bank) < 2:
        return 1.0
    return float(np.quantile((bank @ bank.T)[np.triu_indices(len(bank), 1)], ALIKE_QUANTILE))


def judge(
    pictures: Sequence[ReferencePicture],
    bank: np.ndarray,
    *,
    level: float,
    face_level: float,
    recogniser: str = "sface",
    impostor: Mapping[str, np.ndarray] | None = None,
) -> list[JudgedReference]:
    """Judge the reference pictures of all characters.

    Parameters
    ----------
    pictures : sequence of ReferencePicture
        Drawings are compared with drawings, faces with faces.
    bank : np.ndarray, shape (n, d)
        Drawn figures that are in no film.
    level : float
        Score from which a figure is named.
    face_level : float
        Similarity from which a face is named; two characters that reach it are too alike.
    recogniser : {"sface", "dlib"}
        Of the faces.
    impostor : mapping of character to np.ndarray, shape (i, d), optional
        Figures of the film that are surely not that character.

    Returns
    -------
    list of JudgedReference
        In the order of `pictures`.
    """
    usable = [p for p in pictures if p.error is None]
    levels = {"drawn": alike_level(bank), "photographed": face_level}
    judged = [_compare(p, usable, levels, recogniser) for p in pictures]
    return [
        _count_impostors(one, p, usable, bank, level, impostor)
        for one, p in zip(judged, pictures, strict=True)
    ]


def advise(judged: Sequence[JudgedReference]) -> list[str]:
    """Say what would help, in sentences.

    Returns
    -------
    list of str
        Pictures first, in their order, then characters, then pairs of characters.
    """
    found = [sentence for one in judged for sentence in _of_picture(one)]
    for one in judged:
        if one.error is None and one.num_own == 1:
            name = one.character
            found.append(
                f"{name}: only one picture; add a second picture that shows {name} "
                "alone from another side"
            )
    pairs: dict[tuple[str, str], float] = {}
    for one in judged:
        if one.other_character is None or one.other_similarity is None:
            continue
        if one.is_alike:
            first, second = sorted((one.character, one.other_character))
            pair = (first, second)
            pairs[pair] = max(pairs.get(pair, -1.0), one.other_similarity)
    return found + [
        (
            f"{first} and {second} look alike (similarity {similarity:.2f}); add another "
            "picture of each"
        )
        for (first, second), similarity in sorted(pairs.items())
    ]


def count_better(judged: Sequence[JudgedReference]) -> int:
    """Number of pictures that could be better: those that a sentence of `advise` is about."""
    return sum(
        bool(_of_picture(one)) or one.is_alike or (one.error is None and one.num_own == 1)
        for one in judged
    )


def summarise(judged: Sequence[JudgedReference]) -> str:
    """One line for a run; empty where nothing could be better."""
    num = count_better(judged)
    if not num:
        return ""
    return (
        f"reference pictures: {num} of {len(judged)} could be better (see `bunny references DIR`)"
    )


def _compare(
    picture: ReferencePicture,
    usable: Sequence[ReferencePicture],
    levels: Mapping[str, float],
    recogniser: str,
) -> JudgedReference:
    """A picture compared with those of its own character and of others."""
    own = other = None
    if picture.vector is not None and picture.error is None:
        peers = [p for p in usable if p.vector is not None and p.medium == picture.medium]
        of_own = [p for p in peers if p.character == picture.character]
        of_others = [p for p in peers if p.character != picture.character]
        own, other = (_nearest(picture, p, recogniser) for p in (of_own, of_others))
    return JudgedReference(
        reference_id=picture.reference_id,
        character=picture.character,
        medium=picture.medium,
        size_px=picture.size_px,
        is_small=picture.size_px < SMALL_PX,
        num_own=sum(p.character == picture.character for p in usable),
        own_similarity=None if own is None else own[0],
        other_similarity=None if other is None else other[0],
        other_character=None if other is None else other[1],
        is_alike=other is not None
        and other[0] >= levels[picture.medium]
        and (own is None or other[0] >= own[0]),
        impostor_share=None,
        film_share=None,
        has_two=picture.has_two,
        cut=picture.cut,
        text=picture.text,
        error=picture.error,
    )


def _count_impostors(
    judged: JudgedReference,
    picture: ReferencePicture,
    usable: Sequence[ReferencePicture],
    bank: np.ndarray,
    level: float,
    impostor: Mapping[str, np.ndarray] | None,
) -> JudgedReference:
    """With the shares of strangers that would be named after a drawing; others as they are."""
    vector = picture.vector
    if vector is None or picture.error is not None or picture.medium != "drawn":
        return judged
    others = [
        p.vector
        for p in usable
        if p.vector is not None and p.medium == "drawn" and p.character != picture.character
    ]
    views = np.vstack(others) if others else vector[:0]
    in_film = None if impostor is None else impostor.get(picture.character, bank[:0])
    return replace(
        judged,
        impostor_share=impostor_share(vector, views, bank, level),
        film_share=None if in_film is None else impostor_share(vector, views, bank, level, in_film),
    )


def _nearest(
    picture: ReferencePicture, among: Sequence[ReferencePicture], recogniser: str
) -> tuple[float, str] | None:
    """Similarity to the nearest of some pictures but itself, and whose it is."""
    found = [
        (float((picture.vector @ p.vector.T).max()), p.character)
        for p in among
        if p.vector is not None and p.reference_id != picture.reference_id
    ]
    if not found:
        return None
    similarity, whose = max(found, key=lambda one: one[0])
    if picture.medium == "photographed":
        similarity = float(face_recogniser.to_similarity(similarity, recogniser))
    return similarity, whose


def _of_picture(one: JudgedReference) -> list[str]:
    """Sentences on one picture."""
    where, who = one.reference_id, one.character
    if one.error is not None:
        return [f"{where}: {one.error}"]
    found = []
    if one.has_two:
        found.append(f"{where}: shows two figures; crop it to {who} alone")
    if one.cut and not one.has_two:
        sides = " and ".join(one.cut)
        found.append(f"{where}: the figure is cut off at the {sides}; include more of the picture")
    if one.is_small:
        found.append(
            f"{where}: only {one.size_px} px on its shorter side; use a picture of "
            f"{SMALL_PX} px or more"
        )
    if one.text == "subtitle":
        found.append(f"{where}: text overlaps the figure; crop above the subtitle")
    elif one.text:
        found.append(f"{where}: text in the picture; crop it out")
    shares = (("the built-in bank", one.impostor_share), ("the film", one.film_share))
    found += [
        (
            f"{where}: {share:.1%} of the strangers in {what} would be recognised as "
            f"{who}; use a clearer picture"
        )
        for what, share in shares
        if share is not None and share >= MANY
    ]
    return found
