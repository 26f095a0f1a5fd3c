"""Keep or drop of every frame: thresholds over stored measures, no pixel is read.

What costs time depends on no threshold and is prepared once (`prepare`); a decision is then made
in milliseconds, which is what a slider needs. Duplicate groups are made among all readable frames,
so a group does not change when a threshold of quality moves: the best good frame of each stays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
import polars.selectors as cs

from bunny.core.config import FilteringConfig
from bunny.quality import duplicate, perceptual_hash, reason
from bunny.quality.reason import CODE, REASONS


@dataclass(frozen=True, kw_only=True)
class PreparedMeasures:
    """A film's measures as every decision needs them; rows are in the order of `frame_id`."""

    measure: pl.DataFrame  # without phash and vectors
    strictness: np.ndarray  # (rows,) float64; up to which a frame is good
    order: np.ndarray  # (readable,) int64: rows from the best down
    phash: np.ndarray  # (readable,) uint64, in that order
    signature: perceptual_hash.LumaSignature | None  # in that order


@dataclass(frozen=True, kw_only=True)
class FilterDecision:
    """Decision of the thresholds for each row."""

    code: np.ndarray  # (rows,) uint8, into REASONS
    stays: np.ndarray  # (rows,) int64: the row that stays for a good frame's group; -1: none


def flag(measure: pl.LazyFrame, filtering: FilteringConfig) -> pl.LazyFrame:
    """Add `is_kept`, `reason` and the duplicate columns to measures.

    The first reason that holds is given, in the order unreadable, black, blank, title, credit,
    dark, bright, flat, blurred, smeared, blocky, subtitled, duplicate, batch. Duplicates are sought
    over the whole film; of each group the best good frame stays. Batches are of `batch_size`
    neighbouring rows in the order of `frame_id`, and of each the best `keep_best_per_batch` of the
    frames still in stay. The best is the frame that is good up to the highest strictness, of
    equals the sharpest, of equals the first.

    Parameters
    ----------
    measure : pl.LazyFrame
        Columns of the table `measure`.

    Returns
    -------
    pl.LazyFrame
        The same rows in the order of `frame_id`, with `is_kept`, `reason`, `strictness`,
        `duplicate_of`, `duplicate_group`, `duplicate_bits`, `duplicate_similarity`.
    """
    rows = measure.sort("frame_id")
    types = {
        "is_kept": pl.Boolean,
        "reason": pl.Enum(REASONS),
        "strictness": pl.Float32,
        "duplicate_of": pl.String,
        "duplicate_group": pl.String,
        "duplicate_bits": pl.UInt8,
        "duplicate_similarity": pl.Float32,
    }
    return rows.map_batches(
        lambda frame: _flag(frame, filtering),
        schema=rows.collect_schema() | types,
        projection_pushdown=False,
        predicate_pushdown=False,
        slice_pushdown=False,
    )


def prepare(measure: pl.DataFrame) -> PreparedMeasures:
    """Sort frames from the best down and prepare their comparison.

    Parameters
    ----------
    measure : pl.DataFrame
        Columns of the table `measure`; `signature` may be missing, then hashes alone decide.
    """
    measure = measure.sort("frame_id")
    level = reason.measure_strictness(measure)
    sharp = measure.select(reason.sharpness_expr(measure.columns)).to_series()
    blur = sharp.fill_null(-1).to_numpy()
    is_readable = measure.select(~reason.is_unreadable()).to_series().to_numpy()
    order = np.lexsort((-blur, -level))
    order = order[is_readable[order]]
    signature = None
    if "signature" in measure.columns and measure["signature"].null_count() < measure.height:
        signature = perceptual_hash.read_signatures(measure["signature"].gather(order))
    return PreparedMeasures(
        measure=measure.select(~cs.array() & ~cs.by_name("phash")),
        strictness=level,
        order=order,
        phash=measure["phash"].fill_null(0).to_numpy()[order],
        signature=signature,
    )


def group_duplicates(prepared: PreparedMeasures, distance: int, min_structure: float) -> np.ndarray:
    """Place in `prepared.order` of the first frame of each readable frame's group.

    Parameters
    ----------
    distance : int
        In bits, 0-64.
    min_structure : float
        In [-1, 1].

    Returns
    -------
    np.ndarray, shape (readable,), int64
        See `duplicate.NearDuplicateSearch.group`.
    """
    near = duplicate.NearDuplicateSearch(prepared.phash, prepared.signature, distance)
    return near.group(min_structure)


def decide(
    prepared: PreparedMeasures, groups: np.ndarray, filtering: FilteringConfig
) -> FilterDecision:
    """Judge every frame.

    Parameters
    ----------
    groups : np.ndarray, shape (readable,), int64
        As `group_duplicates` gives them for the settings' distance and structure.
    """
    code = (
        prepared.measure.select(reason.first_reason_code(filtering, prepared.measure.columns))
        .to_series()
        .to_numpy()
        .copy()
    )
    stays = np.full(code.size, -1, np.int64)
    good = np.flatnonzero(code[prepared.order] == CODE["kept"])
    best = np.zeros(groups.size, np.int64)
    best[groups[good[::-1]]] = prepared.order[good[::-1]]  # the best is written last, so it wins
    rows = prepared.order[good]
    stays[rows] = best[groups[good]]
    code[rows[stays[rows] != rows]] = CODE["duplicate"]
    _mark_batches(code, rows, filtering)
    return FilterDecision(code=code, stays=stays)


def count_reasons(flagged: pl.LazyFrame) -> pl.LazyFrame:
    """Count frames by reason: columns `reason` and `num_frames`, a row for each reason there is."""
    return (
        flagged.group_by(pl.col("reason").cast(pl.Enum(REASONS)))
        .agg(num_frames=pl.len().cast(pl.Int64))
        .sort("reason")
    )


def add_decision(
    measure: pl.DataFrame, prepared: PreparedMeasures, decision: FilterDecision
) -> pl.DataFrame:
    """Write a decision beside its measures; rows as those of `prepared`."""
    names, stays = measure["frame_id"], decision.stays
    is_duplicate = decision.code == CODE["duplicate"]
    has_group = np.zeros(stays.size, bool)
    has_group[stays[is_duplicate]] = True
    has_group |= is_duplicate
    bits, alike = _compare(prepared, is_duplicate, stays)
    named = names.gather(np.maximum(stays, 0)) if names.len() else names
    named_code = pl.Series(decision.code).replace_strict(
        range(len(REASONS)), REASONS, return_dtype=pl.Enum(REASONS)
    )
    of = pl.DataFrame({"name": named, "is_of": is_duplicate, "is_in": has_group})
    return measure.with_columns(
        is_kept=pl.Series(decision.code == CODE["kept"]),
        reason=named_code,
        strictness=pl.Series(prepared.strictness, dtype=pl.Float32, nan_to_null=True),
        duplicate_of=of.select(pl.when("is_of").then("name")).to_series(),
        duplicate_group=of.select(pl.when("is_in").then("name")).to_series(),
        duplicate_bits=bits,
        duplicate_similarity=alike,
    )


def _flag(measure: pl.DataFrame, filtering: FilteringConfig) -> pl.DataFrame:
    """Decide one film's rows, sorted."""
    prepared = prepare(measure)
    groups = group_duplicates(prepared, filtering.duplicate_distance, filtering.duplicate_structure)
    return add_decision(measure, prepared, decide(prepared, groups, filtering))


def _mark_batches(code: np.ndarray, good: np.ndarray, filtering: FilteringConfig) -> None:
    """Let only the best of each batch stay; `good` are rows from the best down."""
    if filtering.batch_size <= 1:
        return
    rows = good[code[good] == CODE["kept"]]
    rows = rows[np.argsort(rows // filtering.batch_size, kind="stable")]
    batch = rows // filtering.batch_size
    first = np.searchsorted(batch, batch)
    is_beaten = np.arange(rows.size) - first >= filtering.keep_best_per_batch
    code[rows[is_beaten]] = CODE["batch"]


def _compare(prepared: PreparedMeasures, is_duplicate: np.ndarray, stays: np.ndarray):
    """Bits and similarity between duplicates and the frame that stays, null elsewhere."""
    place = np.zeros(stays.size, np.int64)
    place[prepared.order] = np.arange(prepared.order.size)
    rows = np.flatnonzero(is_duplicate)
    here, there = place[rows], place[stays[rows]]
    bits = np.zeros(stays.size, np.uint8)
    bits[rows] = perceptual_hash.distance(prepared.phash[here], prepared.phash[there])
    alike = np.zeros(stays.size, np.float32)
    if prepared.signature is not None:
        alike[rows] = perceptual_hash.structural_similarity(prepared.signature, here, there)
    has_alike = is_duplicate if prepared.signature is not None else np.zeros(stays.size, bool)
    both = pl.DataFrame({"bits": bits, "is_of": is_duplicate, "alike": alike, "has": has_alike})
    return (
        both.select(pl.when("is_of").then("bits")).to_series(),
        both.select(pl.when("has").then("alike")).to_series(),
    )
