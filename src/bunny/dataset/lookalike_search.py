"""Who resembles a character without having its name: references and stored vectors compared."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from bunny.character import label as labels
from bunny.character import match
from bunny.dataset import added_view, candidate, lookalike
from bunny.dataset.addition import Addition
from bunny.dataset.subject import measure_subjects
from bunny.dataset.view import View


def find(character: str, tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Rows of table label with the name that they resemble; see `bunny.dataset.lookalike.find`.

    Parameters
    ----------
    character : str
    tables : mapping
        Tables label, region, face and reference.
    """
    return lookalike.find(character, tables, _nearest(tables))


def views(
    character: str,
    tables: Mapping[str, pl.DataFrame],
    subject: pl.DataFrame,
    additions: Sequence[Addition],
) -> list[View]:
    """Views without a name of which somebody is sure that they are the character.

    Parameters
    ----------
    character : str
    tables : mapping
        Those that stage dataset reads.
    subject : pl.DataFrame
        From `measure_subjects` over `tables`.
    additions : sequence of Addition
        Of the character.
    """
    if not any(one.is_sure for one in additions):
        return []
    like = find(character, tables)
    more = measure_subjects({**tables, "label": like})
    named = {**tables, "label": lookalike.with_names(tables["label"], like)}
    ids = set(like["subject_id"].to_list())
    return [
        view
        for view in candidate.gather(
            character, named, pl.concat([subject, more], how="vertical_relaxed")
        )
        if view.subject_id in ids and added_view.is_lifted(view, added_view.UNLABELLED, additions)
    ]


def _nearest(tables: Mapping[str, pl.DataFrame]) -> lookalike.Best:
    """Nearest character of every face without a name."""
    cast = labels.read_cast(tables["reference"])
    nameless = tables["label"].filter(pl.col("character").is_null()).select("subject_id")
    face = (
        tables["face"]
        .join(nameless, left_on="face_id", right_on="subject_id", maintain_order="left")
        .drop_nulls("embedding")
    )
    best: dict[str, tuple[str, float, float]] = {}
    if not cast.face or face.is_empty():
        return best
    for (recogniser,), part in face.partition_by("recogniser", as_dict=True).items():
        vector = np.array(part["embedding"].to_list(), np.float32)
        names, similarity = match.compare(vector, cast.face, recogniser)
        order = np.sort(similarity, axis=1)
        lead = order[:, -1] - order[:, -2] if len(names) > 1 else np.full(len(part), match.NO_RIVAL)
        for row, face_id in enumerate(part["face_id"]):
            name = names[int(similarity[row].argmax())]
            best[face_id] = (name, float(order[row, -1]), float(lead[row]))
    return best
