"""How stage detect looks for drawn figures: in kept frames of drawn shots and in some between."""

from collections.abc import Iterable, Mapping

import numpy as np
import polars as pl

from bunny.character import label, reference
from bunny.character.drawn import figure_embedding, figure_search
from bunny.character.drawn.figure_embedding import FigureNet


def drawn_references(known: pl.DataFrame) -> set[str]:
    """Ids of the usable reference pictures that are drawn."""
    return set(known.filter(pl.col("error").is_null(), "is_drawn")["reference_id"].to_list())


def describe_references(
    sources: Iterable[reference.Source], net: FigureNet
) -> dict[str, np.ndarray]:
    """Reference pictures by their ids, (6, RAW) each."""
    return {
        source.reference_id: net.describe_reference(reference.read_picture(source.path))
        for source in sources
    }


def by_character(
    sources: Iterable[reference.Source], described: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Views of each character, (m, RAW), from `describe_references`."""
    found: dict[str, list[np.ndarray]] = {}
    for source in sources:
        if source.reference_id in described:
            found.setdefault(source.character, []).append(described[source.reference_id])
    return {name: figure_embedding.stack_views(views) for name, views in found.items()}


def rows(
    frame: Mapping, image: np.ndarray | None, found: Iterable[figure_search.FoundFigure]
) -> list[dict]:
    """Rows of table `figure`, boxes in pixels."""
    if image is None:
        return []
    height, width = image.shape[:2]
    scale = np.array([width, height, width, height], dtype=np.float32)
    return [
        {
            "figure_id": f"{frame['frame_id']}-g{i:02d}",
            "frame_id": frame["frame_id"],
            "shot_index": frame["shot_index"],
            **dict(zip(label.BOX, (one.box * scale).tolist(), strict=True)),
            "objectness": min(1.0, max(0.0, one.objectness)),
            "embedding": one.vector,
            "source": "window",
            "candidate": one.candidate,
            "similarity": None if one.similarity is None else max(-1.0, min(1.0, one.similarity)),
            "margin": one.margin,
            "model": figure_embedding.NAME,
        }
        for i, one in enumerate(found)
    ]
