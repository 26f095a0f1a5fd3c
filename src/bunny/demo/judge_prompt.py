"""Prompts of the sample world, parsed into attributes and compared with the judge's answers.

Only what can be judged counts: who (species, colour, clothes), place, light and framing. All other
words, and words after "no" or "without", are passed over.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl

from bunny.demo import judge_net, world

ATTRIBUTES = ("species", "colour", "garment", "wear_colour", "place", "light", "size")
SYNONYMS = {"bunny": "rabbit", "gray": "grey", "closeup": "close-up"}
FIGURE_WORDS = (*world.SPECIES, "character")  # the base's captions say both
PLACE_PATTERN = {
    "meadow": r"meadow",
    "forest": r"forest|woods",
    "snow": r"snow|snowy",
    "camp": r"camp ?fire|camp",
    "kitchen": r"kitchen",
    "beach": r"beach",
    "desert": r"desert",
    "street": r"street|city",
    "mountain": r"mountains?",
    "bedroom": r"bedroom",
    "studio": r"plain background|studio",
}
SIZE_PATTERN = {
    "close-up": r"close[- ]up",
    "medium": r"medium shot|medium",
    "wide": r"wide shot|long shot|wide",
}
LIGHT_ALONE = {"bright", "dark", "dim"}  # may be said of a colour: count only as a clause
LIGHT_PATTERN = {
    light: "|".join(sorted(set(words) - LIGHT_ALONE)) + ("|sunset" if light == "dusk" else "")
    for light, words in world.LIGHT_WORDS.items()
}
DETAIL_SCHEMA = {  # what is said of each picture
    "picture": pl.Int64,  # 0-based index
    "attribute": pl.String,  # of `ATTRIBUTES`
    "said": pl.String,  # what the prompt names; alternatives joined with " or "
    "found": pl.String,  # what the judge sees in its stead
    "probability": pl.Float64,  # of what was said
    "is_right": pl.Boolean,
}
NEGATION = re.compile(r"\b(?:no|without)\s+(?:an?\s+|the\s+|its\s+)?(?:[\w-]+\s+)?[\w-]+")


def parse(
    prompt: str, meaning: Mapping[str, world.Character] | None = None
) -> dict[str, tuple[str, ...]]:
    """Find what a prompt names.

    Parameters
    ----------
    meaning : mapping of str to world.Character, optional
        What strange words stand for, such as a trained trigger. Its clothes count unless the prompt
        dresses that figure otherwise.

    Returns
    -------
    dict of str to tuple of str
        For each attribute of `ATTRIBUTES` that the prompt names: the words, each once, in the order
        of `judge_net.WORDS`. Several places, lights or framings are alternatives; several
        of the others belong to several figures.
    """
    text = NEGATION.sub(" ", _spell(prompt, meaning or {}))
    found = {name: set[str]() for name in ATTRIBUTES}
    for figure in _figures(text):
        _read_figure(figure, found)
    for name, table in (("place", PLACE_PATTERN), ("size", SIZE_PATTERN), ("light", LIGHT_PATTERN)):
        found[name] |= {word for word, way in table.items() if re.search(rf"\b(?:{way})\b", text)}
    clauses = {clause.strip() for clause in text.split(",")}
    for light, words in world.LIGHT_WORDS.items():
        if clauses & LIGHT_ALONE & set(words):
            found["light"].add(light)
    return {
        name: tuple(word for word in judge_net.WORDS[name] if word in words)
        for name, words in found.items()
        if words
    }


def compare(name: str, said: tuple[str, ...], chances: np.ndarray) -> Iterator[dict[str, Any]]:
    """Hold what a prompt names of one attribute against what a judge sees.

    Parameters
    ----------
    name : str
        Of `ATTRIBUTES`.
    said : tuple of str
        One or more words, see `parse`.
    chances : np.ndarray, shape (words,)
        Probabilities in the order of `judge_net.WORDS`.

    Yields
    ------
    dict
        said, found, probability, is_right as in `DETAIL_SCHEMA`: one for each word said, where k
        are said the k most probable are found. Words that exclude one another make one row, right
        if any of them is the most probable.
    """
    words = judge_net.WORDS[name]
    order = [words[i] for i in np.argsort(-chances, kind="stable")]
    chance = dict(zip(words, chances.tolist(), strict=True))
    if name in judge_net.SINGLE_CHOICE:
        yield {
            "said": " or ".join(said),
            "found": order[0],
            "probability": sum(chance[word] for word in said),
            "is_right": order[0] in said,
        }
        return
    top = order[: len(said)]
    others = iter([word for word in top if word not in said])
    for word in said:
        yield {
            "said": word,
            "found": word if word in top else next(others),
            "probability": chance[word],
            "is_right": word in top,
        }


def agreement_of(details: pl.DataFrame, count: int) -> np.ndarray:
    """Average what is right of each picture.

    Parameters
    ----------
    details : pl.DataFrame
        Columns in `DETAIL_SCHEMA`.
    count : int
        Number of pictures.

    Returns
    -------
    np.ndarray, shape (count,), float64
        Share of right rows in [0, 1]; NaN for a picture without rows.
    """
    shares = np.full(count, np.nan)
    means = details.group_by("picture").agg(pl.col("is_right").mean())
    shares[means["picture"].to_numpy()] = means["is_right"].to_numpy()
    return shares


def _spell(prompt: str, meaning: Mapping[str, world.Character]) -> str:
    """Lower case, one space between words, meanings and synonyms put in."""
    text = " ".join(prompt.lower().split())
    for phrase, character in sorted(meaning.items(), key=lambda item: -len(item[0])):
        text = _put_in(text, " ".join(phrase.lower().split()), character)
    for word, plain in SYNONYMS.items():
        text = re.sub(rf"\b{word}\b", plain, text)
    return text


def _put_in(text: str, phrase: str, character: world.Character) -> str:
    """Say who a phrase stands for; what it wears only if the prompt does not dress it."""
    parts = re.split(rf"(?<![\w-]){re.escape(phrase)}(?![\w-])", text)
    noun = f"{character.colour} {character.species}"
    told = parts[0]
    for rest in parts[1:]:
        own = re.split(_any(FIGURE_WORDS), rest, maxsplit=1)[0]
        is_dressed = character.wear == "none" or re.search(_any(world.GARMENTS), own)
        told += (noun if is_dressed else f"{noun} with {character.wear}") + rest
    return told


def _figures(text: str) -> list[str]:
    """The prompt cut into one piece a figure: from its colour to the next figure's."""
    heads = [
        m.start() for m in re.finditer(rf"(?:{_any(world.COLOURS)} )?{_any(FIGURE_WORDS)}", text)
    ]
    return [text[a:b] for a, b in itertools.pairwise([*heads, len(text)])]


def _read_figure(piece: str, found: dict[str, set[str]]) -> None:
    """Note one figure's species, colour and clothes."""
    head = re.match(rf"(?:({_any(world.COLOURS)}) )?({_any(FIGURE_WORDS)})", piece)
    if head is None:
        return
    colour, noun = head.groups()
    if colour:
        found["colour"].add(colour)
    if noun in world.SPECIES:
        found["species"].add(noun)
    wear = re.search(
        rf"(?:({_any(judge_net.WEAR_COLOURS)}) )?({_any(world.GARMENTS)})", piece[head.end() :]
    )
    if wear:
        found["garment"].add(wear.group(2))
        if wear.group(1):
            found["wear_colour"].add(wear.group(1))


def _any(words: tuple[str, ...]) -> str:
    """A pattern for one whole word of several."""
    return rf"\b(?:{'|'.join(words)})\b"
