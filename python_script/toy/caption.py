"""Captions of the toy base's pictures, varied so that no word order is learned."""

from __future__ import annotations

from typing import Any

import numpy as np

from bunny.caption.colour import COLOUR_RGB
from bunny.demo import world

BORDER_SHARE = 0.2  # of the width, left and right: mostly background


def background_colours(picture: np.ndarray) -> list[str]:
    """The two most frequent colour words in the left and right borders.

    Parameters
    ----------
    picture : np.ndarray, shape (height, width, 3), uint8

    Returns
    -------
    list of str
        One or two names of `COLOUR_RGB`, the more frequent first.
    """
    border = max(1, round(picture.shape[1] * BORDER_SHARE))
    pixels = np.concatenate([picture[::2, :border:2], picture[::2, -border::2]], axis=1)
    pixels = pixels.reshape(-1, 1, 3).astype(np.int32)
    centres = np.array(list(COLOUR_RGB.values()), dtype=np.int32)
    nearest = ((pixels - centres) ** 2).sum(axis=2).argmin(axis=1)
    counts = np.bincount(nearest, minlength=len(centres))
    order = np.argsort(-counts, kind="stable")[:2]
    return [list(COLOUR_RGB)[i] for i in order if counts[i] > 0]


def vary_caption(facts: dict[str, Any], rng: np.random.Generator) -> str:
    """Say one picture's facts in one of many ways.

    Parameters
    ----------
    facts : dict
        who: list of (colour, species, wear); place; size; light; background: colour words.
    rng : np.random.Generator

    Returns
    -------
    str
        Clauses joined with commas; who is seen is always said.
    """
    draw = rng.random(6)
    who = " and ".join(_describe(*w, rng) for w in facts["who"])
    size = facts["size"] if facts["size"] == "close-up" else f"{facts['size']} shot"
    clauses = []
    if draw[0] < 0.6:
        who = f"{who} {facts['place']}"
    elif draw[0] < 0.75:
        clauses.append(facts["place"])
    elif draw[0] < 0.94:
        colours = " and ".join(facts["background"])
        if draw[5] < 0.5:
            clauses.append(f"{colours} background")
        else:
            who = f"{who} in a {colours} place"
    if draw[1] < 0.15:
        who = f"{size} of {who}"
    elif draw[1] < 0.85:
        clauses.append(size)
    if draw[2] < 0.75:
        words = world.LIGHT_WORDS[facts["light"]]
        clauses.append(words[int(draw[3] * len(words))])
    clauses = [who, *clauses]
    if draw[4] < 0.3:
        rng.shuffle(clauses)
    return ", ".join(clauses)


def _describe(colour: str, species: str, wear: str, rng: np.random.Generator) -> str:
    """'a red bear with a blue scarf', now and then with less."""
    draw = rng.random(3)
    species = "character" if draw[0] > 0.95 else species
    noun = species if draw[0] < 0.07 else f"{colour} {species}"
    article = "" if draw[1] < 0.1 else ("an " if noun[0] in "aeiou" else "a ")
    if wear == "none" or draw[2] < 0.12:
        return article + noun
    return f"{article}{noun} with {'' if wear.endswith('s') else 'a '}{wear}"
