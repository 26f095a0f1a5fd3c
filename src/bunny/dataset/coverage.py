"""Coverage of a training set in numbers: pose, size, place, light, and similarity of pictures."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from bunny.dataset import vendi as dataset_vendi
from bunny.table import schema

UNKNOWN = "unknown"  # of pose and light
NO_PLACE = "no place"
POSE = tuple(pose for pose in schema.POSE if pose != UNKNOWN)
VALUE = {"pose": POSE, "shot_size": tuple(schema.SHOT_SIZE), "light": tuple(schema.LIGHT)}
AXES = ("pose", "shot_size", "place", "light")
POSED = 0.5  # share of pictures whose pose is known, from which poses are judged
ALIKE = 0.1  # distance under which two pictures look the same; see `summarise`


@dataclass(frozen=True, kw_only=True)
class Balance:
    """Balance of pictures over the values of one axis; unknown values are left out."""

    axis: str
    count: Mapping[str, int]  # of each value, 0 included
    num_known: int
    evenness: float | None  # entropy over that of an even spread, in [0, 1]; None: none known
    effective: float  # exp of the entropy: as many values as an even spread of this entropy has
    largest: str | None
    largest_share: float


@dataclass(frozen=True, kw_only=True)
class AlikePair:
    """Two pictures of the set that are more alike than most."""

    one_id: str
    other_id: str
    one_file: str
    other_file: str
    distance: float  # 1 minus cosine
    relation: str  # same frame, same shot, other shot


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """One character's training set in numbers; those that need vectors are None without them."""

    character: str
    num_pictures: int
    num_held_out: int
    num_frames: int
    num_shots: int
    has_pose: bool  # whether poses can be judged, see `has_pose`
    num_cells: int  # of pose and size; of size alone where poses cannot be judged
    num_empty: int
    balance: Mapping[str, Balance]  # of each axis
    vendi: float | None = None  # as many wholly different pictures
    commonest_share: float | None = None  # of the commonest look: 1 over Vendi of order infinity
    nearest_median: float | None = None
    nearest_min: float | None = None
    nearest_max: float | None = None
    num_alike: int | None = None  # pictures with another nearer than `ALIKE`
    held_out_distance: float | None = None  # from a held-out picture to one trained on, least
    pairs: Sequence[AlikePair] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists, numbers and words, as JSON takes them."""
        return asdict(self) | {"pairs": [asdict(pair) for pair in self.pairs]}


def summarise(
    dataset: pl.DataFrame, vector: np.ndarray | None = None, num_pairs: int = 8
) -> Coverage:
    """Describe one character's training set.

    Parameters
    ----------
    dataset : pl.DataFrame
        Table of that name, the rows of one character.
    vector : np.ndarray, shape (n, d), optional
        Of the picture in each row of `dataset`; a row of zeros or NaN: it could not be described.
        Less the mean of the film's pictures, so that 0 is as like as any two of them: raw
        features of a network are all alike, and `ALIKE` is for centred ones.
    num_pairs : int
        Most alike pairs that are listed.

    Raises
    ------
    ValueError
        If there are several characters, or not as many vectors as rows.
    """
    names = dataset["character"].unique().to_list()
    if len(names) > 1:
        raise ValueError(f"expected the pictures of one character, got {sorted(names)}")
    shown = pictures(dataset)
    cells = count_cells(shown)
    known = cells.filter(pl.col("pose") != UNKNOWN)
    if not has_pose(shown):
        known = cells.group_by("shot_size").agg(pl.col("pictures").sum())
    return Coverage(
        character=names[0] if names else "",
        num_pictures=shown.height,
        num_held_out=shown.filter(pl.col("split") == "held-out").height,
        num_frames=shown["frame_id"].n_unique(),
        num_shots=shown["shot_index"].n_unique(),
        has_pose=has_pose(shown),
        num_cells=known.height,
        num_empty=known.filter(pl.col("pictures") == 0).height,
        balance={axis: balance_of(shown, axis) for axis in AXES},
        **({} if vector is None else _similarity(dataset, vector, num_pairs)),
    )


def pictures(dataset: pl.DataFrame) -> pl.DataFrame:
    """Rows that show the character, with words for what is not known of pose, place and light."""
    return dataset.filter(pl.col("role").is_null() | (pl.col("role") != "class")).with_columns(
        pl.col("pose").cast(pl.String).fill_null(UNKNOWN),
        pl.col("shot_size").cast(pl.String),
        pl.col("place").fill_null(NO_PLACE),
        pl.col("light").cast(pl.String).fill_null(UNKNOWN),
    )


def has_pose(table: pl.DataFrame) -> bool:
    """Whether so many poses are known that a missing one says something.

    Poses are read from faces. Of a drawn character few are found, and that none of them is seen
    from the left does not mean that the film never shows it so.

    Parameters
    ----------
    table : pl.DataFrame
        Table dataset or candidate, or what `pictures` made of one.
    """
    is_known = pl.col("pose").cast(pl.String).fill_null(UNKNOWN) != UNKNOWN
    share = table.select(is_known.mean()).item()
    return share is not None and share >= POSED


def count_cells(dataset: pl.DataFrame, axes: Sequence[str] = ("pose", "shot_size")) -> pl.DataFrame:
    """Count the pictures of each combination of values, those with none included.

    Parameters
    ----------
    dataset : pl.DataFrame
        Table of that name, or what `pictures` made of it.
    axes : sequence of str
        Of `AXES`.

    Returns
    -------
    pl.DataFrame
        The axes and `pictures`, in the schema's order of values. Values that are not known stand
        last and only where there are some; places are those of the set.
    """
    shown = pictures(dataset)
    values = [_values(shown, axis) for axis in axes]
    cells = pl.DataFrame(
        list(itertools.product(*values)), schema=dict.fromkeys(axes, pl.String), orient="row"
    )
    counts = shown.group_by(axes).agg(pictures=pl.len().cast(pl.Int64))
    return cells.join(counts, on=list(axes), how="left", maintain_order="left").with_columns(
        pl.col("pictures").fill_null(0)
    )


def balance_of(dataset: pl.DataFrame, axis: str) -> Balance:
    """Say how evenly pictures are spread over the values of one axis.

    Parameters
    ----------
    dataset : pl.DataFrame
        Table of that name, or what `pictures` made of it.
    axis : str
        Of `AXES`. Even over places means over those that the set has.

    Notes
    -----
    Evenness is Pielou's (1966), exp of the entropy the effective number of Hill (1973).
    """
    counts = count_cells(dataset, (axis,)).filter(~pl.col(axis).is_in([UNKNOWN, NO_PLACE]))
    count = dict(counts.iter_rows())
    total = sum(count.values())
    share = [n / total for n in count.values() if n]
    entropy = sum(p * math.log(1 / p) for p in share)  # never -0, which would be shown
    largest = max(count, key=lambda value: count[value]) if total else None
    return Balance(
        axis=axis,
        count=count,
        num_known=total,
        evenness=None if not total else entropy / math.log(len(count)) if len(count) > 1 else 1.0,
        effective=math.exp(entropy) if total else 0.0,
        largest=largest,
        largest_share=count[largest] / total if largest is not None else 0.0,
    )


def nearest(dataset: pl.DataFrame, vector: np.ndarray) -> pl.DataFrame:
    """Distance of each training picture to the most similar other one.

    Parameters
    ----------
    dataset, vector
        As of `summarise`.

    Returns
    -------
    pl.DataFrame
        `image_id`, `nearest_id`, `distance` in [0, 2]: 1 minus cosine, and `relation`: same
        frame, same shot or other shot. Empty with fewer than two pictures to compare.
    """
    shown, unit = _compared(dataset, vector)
    if shown.height < 2:
        words = dict.fromkeys(("image_id", "nearest_id"), pl.String)
        return pl.DataFrame(schema=words | {"distance": pl.Float64, "relation": pl.String})
    index, distance = dataset_vendi.nearest(unit)
    other = shown[index]
    relation = (
        pl.when(shown["frame_id"] == other["frame_id"])
        .then(pl.lit("same frame"))
        .when(shown["shot_index"] == other["shot_index"])
        .then(pl.lit("same shot"))
        .otherwise(pl.lit("other shot"))
    )
    return pl.DataFrame(
        {"image_id": shown["image_id"], "nearest_id": other["image_id"], "distance": distance}
    ).with_columns(relation=relation)


def _similarity(dataset: pl.DataFrame, vector: np.ndarray, num_pairs: int) -> dict[str, Any]:
    """The fields of `Coverage` that need vectors."""
    shown, unit = _compared(dataset, vector)
    if shown.height < 2:
        return {}
    near = nearest(dataset, vector)
    distance = near["distance"].to_numpy()
    is_held_out = (shown["split"] == "held-out").to_numpy()
    return {
        "vendi": dataset_vendi.vendi_score(unit),
        "commonest_share": 1 / dataset_vendi.vendi_score(unit, math.inf),
        "nearest_median": float(np.median(distance)),
        "nearest_min": float(distance.min()),
        "nearest_max": float(distance.max()),
        "num_alike": int((distance < ALIKE).sum()),
        "held_out_distance": dataset_vendi.closest_between(unit[is_held_out], unit[~is_held_out]),
        "pairs": _pairs(shown, near, num_pairs),
    }


def _pairs(shown: pl.DataFrame, near: pl.DataFrame, count: int) -> tuple[AlikePair, ...]:
    """The most alike pairs with their files; rows of both tables go together."""
    row_of = {name: row for row, name in enumerate(shown["image_id"])}
    index = np.array([row_of[name] for name in near["nearest_id"]])
    found = dataset_vendi.alike_pairs(index, near["distance"].to_numpy(), count)
    return tuple(
        AlikePair(
            one_id=shown["image_id"][min(row, other)],
            other_id=shown["image_id"][max(row, other)],
            one_file=shown["file"][min(row, other)],
            other_file=shown["file"][max(row, other)],
            distance=near["distance"][row],
            relation=near["relation"][row],
        )
        for row, other in found
    )


def _compared(dataset: pl.DataFrame, vector: np.ndarray) -> tuple[pl.DataFrame, np.ndarray]:
    """The pictures that have a vector, and their vectors at length 1."""
    vector = np.asarray(vector, dtype=np.float64)
    if vector.ndim != 2 or len(vector) != dataset.height:
        raise ValueError(
            f"expected one embedding for each of {dataset.height} pictures, got shape "
            f"{vector.shape}"
        )
    length = np.linalg.norm(vector, axis=1)
    row = pl.Series("row", np.arange(dataset.height))
    is_described = pl.Series("is_described", np.isfinite(length) & (length > 0))
    shown = pictures(dataset.with_columns(row, is_described).filter("is_described"))
    return shown, dataset_vendi.unit_rows(vector[shown["row"].to_numpy()])


def _values(shown: pl.DataFrame, axis: str) -> list[str]:
    """Values of an axis in order; those that are not known last, and only if there are some."""
    present = set(shown[axis].to_list())
    if axis == "place":
        return sorted(present - {NO_PLACE}) + [NO_PLACE] * (NO_PLACE in present)
    return [*VALUE[axis], *([UNKNOWN] if UNKNOWN in present else [])]
