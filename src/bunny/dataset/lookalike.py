"""Look-alikes: unnamed faces and regions that resemble a character."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from bunny.character import label as labels
from bunny.character import match, track
from bunny.character.drawn import figure_cluster, figure_label
from bunny.dataset import addition, candidate
from bunny.dataset import view as view_module
from bunny.dataset.addition import Addition
from bunny.dataset.appearance import measure_subjects
from bunny.dataset.view import CharacterView
from bunny.table import scalar
from bunny.table.box import BOX

LEAST_REGION = 0.75  # of the median similarity of the character's own labelled regions
LEAST_FACE = 0.25  # common scale; 0.1 % of strangers pass 0.31, see `bunny.character.match`
TAKEN = 0.5  # share of a region under somebody else's labelled box from which it is theirs
# From here a region or an unnamed figure may be the character. Regions: of the median similarity
# where the character is labelled, and at least; figures: cosine to the nearest of its own. In the
# sample unnamed views of a character have 0.64 and more, of others 0.60 and less.
MAYBE_REGION, MAYBE_REGION_LEAST, MAYBE_FIGURE = 0.6, 0.4, 0.6

# By face_id: nearest character, similarity, margin.
NearestCharacter = Mapping[str, tuple[str, float, float]]


def find_by_similarity(
    character: str, tables: Mapping[str, pl.DataFrame], best: NearestCharacter
) -> pl.DataFrame:
    """List who resembles a character in frames where nobody has its name.

    Parameters
    ----------
    tables : mapping
        Tables label and region.
    best : mapping
        Of each face without a name, its nearest character, similarity in [-1, 1] on the common
        scale, and the lead over the second nearest.

    Returns
    -------
    pl.DataFrame
        Rows of table ``label`` with the character's name, at most one a frame, the most similar;
        `confidence` is the similarity, cut to [0, 1].
    """
    label = tables["label"]
    named = label.filter(pl.col("character") == character)
    shown = set(named["frame_id"].to_list())
    rows = [
        *_faces(character, label, best, shown),
        *_regions(character, tables["region"], label, named, shown),
    ]
    rows.sort(key=lambda row: (-row["confidence"], row["subject_id"]))
    first: dict[str, dict[str, Any]] = {}
    for row in rows:
        first.setdefault(row["frame_id"], row)
    return pl.DataFrame(
        sorted(first.values(), key=lambda row: row["subject_id"]), schema=label.schema
    )


def with_names(label: pl.DataFrame, lookalike: pl.DataFrame) -> pl.DataFrame:
    """Table label as if look-alikes had the name."""
    rest = label.join(lookalike, on="subject_id", how="anti", maintain_order="left")
    return pl.concat([rest, lookalike]).sort("subject_id")


def _faces(
    character: str, label: pl.DataFrame, best: NearestCharacter, shown: set[str]
) -> list[dict]:
    """Faces without a name that are nearest to the character."""
    nameless = label.filter(pl.col("character").is_null(), pl.col("subject_type") == "face")
    found = []
    for row in nameless.iter_rows(named=True):
        name, similarity, margin = best.get(row["subject_id"], ("", -1.0, 0.0))
        if name == character and similarity >= LEAST_FACE and row["frame_id"] not in shown:
            found.append(_row(row, character, similarity, margin))
    return found


def _regions(
    character: str, region: pl.DataFrame, label: pl.DataFrame, named: pl.DataFrame, shown: set[str]
) -> list[dict]:
    """Windows that are more like the character than like anybody else, and lie on nobody."""
    own = named.filter(pl.col("subject_type") == "region")["distance"].drop_nulls()
    if own.is_empty():
        return []
    least = LEAST_REGION * (1 - scalar.as_float(own.median()))
    taken: dict[str, list[tuple[float, ...]]] = {}
    for row in label.filter(pl.col("character").is_not_null()).iter_rows(named=True):
        taken.setdefault(row["frame_id"], []).append(tuple(row[side] for side in BOX))
    likely = region.filter(
        pl.col("candidate") == character, pl.col("similarity") >= least, pl.col("margin") > 0
    )
    found = []
    for row in likely.iter_rows(named=True):
        box = tuple(row[side] for side in BOX)
        is_taken = any(_over(box, other) > TAKEN for other in taken.get(row["frame_id"], ()))
        if row["frame_id"] not in shown and not is_taken:
            subject = {**row, "subject_id": row["region_id"], "subject_type": "region"}
            found.append(_row(subject, character, row["similarity"], row["margin"]))
    return found


def _over(box: tuple[float, ...], other: tuple[float, ...]) -> float:
    """How much of the smaller box lies in the larger."""
    return max(view_module.share_inside(box, other), view_module.share_inside(other, box))


def _row(row: Mapping[str, Any], character: str, similarity: float, margin: float) -> dict:
    kept = {key: row[key] for key in ("subject_id", "subject_type", "frame_id", "shot_index", *BOX)}
    return kept | {
        "character": character,
        "distance": 1 - similarity,
        "margin": margin,
        "confidence": min(1.0, max(0.0, similarity)),
        "source": "reference",
    }


def find(character: str, tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Rows of table label with the name that they resemble; see `find_by_similarity`.

    Parameters
    ----------
    tables : mapping
        Tables label, region, face and reference.
    """
    return find_by_similarity(character, tables, _nearest(tables))


def frames_with(character: str, tables: Mapping[str, pl.DataFrame]) -> set[str]:
    """List the frames that show a character, or somebody without a name who may be it.

    Parameters
    ----------
    tables : mapping
        Tables frame, label, face, drawn_face, region and figure.

    Returns
    -------
    set of str
        Every frame of a shot with a label of the character, and frames with a face that has no
        name, drawn ones too, or with a region or figure that overlaps nobody else and resembles the
        character.
    """
    label = tables["label"]
    named = label.drop_nulls("character")
    own, others = (named.filter(is_own) for is_own in (_is(character), ~_is(character)))
    shown = [
        tables["frame"].join(own, on="shot_index", how="semi"),
        own,
        label.filter(pl.col("character").is_null()),
        _apart(tables["drawn_face"], named),
        _apart(_likely_regions(character, tables["region"], own), others),
        _apart(_likely_figures(tables["figure"], own), others),
    ]
    return {frame_id for part in shown for frame_id in part["frame_id"]}


def _is(character: str) -> pl.Expr:
    return pl.col("character") == character


def _apart(places: pl.DataFrame, label: pl.DataFrame) -> pl.DataFrame:
    """Boxes that lie on no labelled box of their frame."""
    boxes = places.select("frame_id", *BOX).with_row_index()
    on = boxes.join(label.select("frame_id", *BOX), on="frame_id", suffix="_other")
    taken = on.filter(figure_cluster.covered_share() > TAKEN)
    return boxes.join(taken, on="index", how="anti")


def _likely_regions(character: str, region: pl.DataFrame, own: pl.DataFrame) -> pl.DataFrame:
    """Regions about as like the character as those of frames in which it is labelled."""
    known = region.filter(pl.col("candidate") == character)
    usual = known.join(own, on="frame_id", how="semi")["similarity"].median()
    least = MAYBE_REGION * scalar.as_float(usual) if usual is not None else 0.0
    return known.filter(pl.col("similarity") >= max(least, MAYBE_REGION_LEAST))


def _likely_figures(figure: pl.DataFrame, own: pl.DataFrame) -> pl.DataFrame:
    """Figures that look like one that is labelled with the character's name."""
    usable = figure.filter(pl.col("error").is_null()).drop_nulls("embedding")
    region_id = figure_label.region_id(pl.col("figure_id"))
    ids = own["subject_id"].to_list()
    known = usable.filter(region_id.is_in(ids) | pl.col("figure_id").is_in(ids))
    if known.is_empty():
        return known
    cosine = track.embedding_array(usable) @ track.embedding_array(known).T
    return usable.filter(pl.Series(cosine.max(axis=1) >= MAYBE_FIGURE))


def confirmed_views(
    character: str,
    tables: Mapping[str, pl.DataFrame],
    subject: pl.DataFrame,
    additions: Sequence[Addition],
) -> list[CharacterView]:
    """Views without a name of which somebody is sure that they are the character.

    Parameters
    ----------
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
    named = {**tables, "label": with_names(tables["label"], like)}
    ids = set(like["subject_id"].to_list())
    return [
        view
        for view in candidate.gather(
            character, named, pl.concat([subject, more], how="vertical_relaxed")
        )
        if view.subject_id in ids and addition.overrides(view, addition.UNLABELLED, additions)
    ]


def _nearest(tables: Mapping[str, pl.DataFrame]) -> NearestCharacter:
    """Nearest character of every face without a name."""
    cast = labels.read_reference_set(tables["reference"])
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
