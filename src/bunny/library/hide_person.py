"""What shows a person beside others: training pictures, clips and pairs that go, and adapters.

Only rows are decided here; `command.forget_others` removes their files and paints the film's
pictures over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from bunny.character import forgotten
from bunny.character.forgotten import ForgottenTrack
from bunny.table.box import BOX

REASON, DETAIL = "crowded", "somebody who was forgotten is in its picture"


@dataclass(frozen=True, kw_only=True)
class ShownRows:
    """Rows of a film's tables in which somebody can be seen."""

    images: frozenset[str]  # image_id of table dataset
    clips: frozenset[str]  # clip_id
    pairs: frozenset[str]  # pair_id
    characters: tuple[str, ...]  # whose sets lose pictures
    runs: frozenset[str]  # of training on such sets

    def is_empty(self) -> bool:
        """Whether nothing of others shows the person."""
        return not (self.images or self.clips or self.pairs or self.runs)


def find_shown(
    tables: Mapping[str, pl.DataFrame], places: Sequence[ForgottenTrack], name: str
) -> ShownRows:
    """Whose pictures, clips and pairs show one of the places, besides those of one person.

    Parameters
    ----------
    tables : mapping
        frame, extra_frame, shot, dataset, clip, training_pair, training_run; those that a film does
        not have are empty.
    places : sequence of ForgottenTrack
        A training picture shows one if its crop and the place's box meet; a clip if it lies in the
        shot of a place; a pair if one of its frames or its clip does.
    name : str
        Whose own rows are left out.
    """
    own = ("dataset", "clip", "training_pair")
    others = {one: tables[one].filter(pl.col("character") != name) for one in own}
    tables = {**tables, **others}
    images = _images(tables, places)
    clips = tables["clip"].filter(
        pl.any_horizontal(
            pl.lit(value=False),
            *[(pl.col("start_s") < one.end_s) & (pl.col("end_s") > one.start_s) for one in places],
        )
    )
    gone = tables["dataset"].filter(pl.col("image_id").is_in(images))
    names = sorted({*gone["character"]})
    runs = tables["training_run"].filter(pl.col("character").is_in(names))
    return ShownRows(
        images=frozenset(images),
        clips=frozenset(clips["clip_id"]),
        pairs=frozenset(_pairs(tables, places, gone, clips)),
        characters=tuple(names),
        runs=frozenset(runs["run_id"]),
    )


def drop_rows(name: str, table: pl.DataFrame, shown: ShownRows) -> pl.DataFrame:
    """A table without these rows; the very table that was given where nothing changed.

    Candidates stay, and say why they are in no set.
    """
    keys = {"dataset": ("image_id", shown.images), "training_pair": ("pair_id", shown.pairs)}
    keys |= {"clip": ("clip_id", shown.clips)}
    if name in keys:
        column, ids = keys[name]
        kept = table.filter(~pl.col(column).is_in(ids))
        return table if kept.height == table.height else kept
    if name == "clip_candidate":
        kept = table.filter(~pl.col("clip_id").is_in(shown.clips))
        return table if kept.height == table.height else kept
    return table


def exclude_candidates(
    candidate: pl.DataFrame, before: pl.DataFrame, shown: ShownRows
) -> pl.DataFrame:
    """Table `candidate` after pictures left the sets of `before`, table `dataset`."""
    rows = before.filter(pl.col("image_id").is_in(shown.images)).select("subject_id", "character")
    kept = before.filter(~pl.col("image_id").is_in(shown.images))
    gone = rows.join(kept, on=["subject_id", "character"], how="anti").unique()
    if gone.is_empty() or candidate.is_empty():
        return candidate
    joined = candidate.join(
        gone.with_columns(is_gone=pl.lit(value=True)),
        on=["subject_id", "character"],
        how="left",
        maintain_order="left",
    )
    is_gone = pl.col("is_gone").fill_null(value=False)
    return joined.with_columns(
        is_chosen=pl.col("is_chosen") & ~is_gone,
        reason=pl.when(is_gone)
        .then(pl.lit(REASON).cast(candidate.schema["reason"]))
        .otherwise("reason"),
        detail=pl.when(is_gone).then(pl.lit(DETAIL)).otherwise("detail"),
        gain=pl.when(~is_gone).then("gain"),
    ).select(candidate.columns)


def _images(tables: Mapping[str, pl.DataFrame], places: Sequence[ForgottenTrack]) -> set[str]:
    """Training pictures whose crops meet a place."""
    frames = {
        row["frame_id"]: row
        for name in ("extra_frame", "frame")
        for row in tables[name].iter_rows(named=True)
    }
    found = set()
    for row in tables["dataset"].iter_rows(named=True):
        frame = frames.get(row["frame_id"])
        crop = [row[key] for key in BOX]
        for box in forgotten.boxes_in(frame, places) if frame else ():
            if all(max(crop[k], box[k]) < min(crop[k + 2], box[k + 2]) for k in (0, 1)):
                found.add(row["image_id"])
    return found


def _pairs(
    tables: Mapping[str, pl.DataFrame],
    places: Sequence[ForgottenTrack],
    images: pl.DataFrame,
    clips: pl.DataFrame,
) -> list[str]:
    """Pairs made of such pictures or clips, and edit pairs of frames that show a place."""
    whole = {
        row["frame_id"]
        for row in tables["frame"].iter_rows(named=True)
        if forgotten.boxes_in(row, places)
    }
    own = {(row["character"], row["frame_id"]) for row in images.iter_rows(named=True)}
    gone_clips = set(clips["clip_id"])
    found = []
    for row in tables["training_pair"].iter_rows(named=True):
        frames = set(row["reference_frame_ids"] or ())
        if row["kind"] != "clip":
            frames.add(row["target_frame_id"])
        is_shown = row["target_clip_id"] in gone_clips
        is_shown |= any((row["character"], one) in own for one in frames)
        if is_shown or (row["kind"] == "edit" and frames & whole):
            found.append(row["pair_id"])
    return found
