"""Stage 6, dataset: which pictures a character is trained on, cut and written.

Which views there are and why each was chosen or not stands in table `candidate`; what was written
in table `dataset`. The decisions are `bunny.training`'s, over tables alone; pixels are read only
to cut what was chosen.
"""

import json
import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl

from bunny.caption import tag
from bunny.character import model
from bunny.quality import sharpness
from bunny.stage import extra
from bunny.stage.contract import BaseStage, Work, settings_of
from bunny.table import store
from bunny.training import (
    appearance,
    bucket,
    candidate,
    choice,
    crop,
    likeness,
    regularise,
    rights,
    split,
)
from bunny.training import dataset as training_set
from bunny.training.view import View
from bunny.training.words import Words

MODEL_KEYS = ("characters", "max_images", "crop_margin", "held_out_share")
CROP = ("crop_x0_px", "crop_y0_px", "crop_x1_px", "crop_y1_px")
MEASURED = ("sharpness", "blur_score", "luma")
RIGHTS = f"dataset/{rights.FILE}"
READ_TO_CHOOSE = (
    "frame",
    "extra_frame",
    "measure",
    "quality",
    "face",
    "label",
    "cluster",
    "caption",
)


class Dataset(BaseStage):
    """Labels, measures and captions in; training pictures and the reasons for them out."""

    name: ClassVar[str] = "dataset"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = ("film", *READ_TO_CHOOSE, "embedding", "region", "reference")
    writes: ClassVar[tuple[str, ...]] = ("dataset", "candidate")
    unit: ClassVar[str] = "picture"

    def settings(self) -> dict[str, Any]:
        """All of `dataset`, what is trained on whom at which size, and the words for it."""
        config = self.config
        return {
            **settings_of(config, "dataset"),
            **settings_of(config, "models", *MODEL_KEYS),
            **settings_of(config, "captioning", "trigger_word", "class_word"),
            **settings_of(config, "rights"),
            **settings_of(
                config, "filtering", "blur_threshold", "duplicate_distance", "duplicate_structure"
            ),
            **extra.settings(config),
            "size": bucket.choose_resolution(config.models.base_model, config.models.resolution),
            "seed": config.seed,
        }

    def has_files(self) -> bool:
        """Whether all training pictures and masks are there."""
        table = store.read(self.output_dir / "table", "dataset")
        files = [*table["file"], *table["mask_file"].drop_nulls()]
        return all((self.output_dir / file).is_file() for file in [*files, RIGHTS])

    def run(self) -> Work:
        """Choose, cut and write for each character that is to be trained."""
        chosen, reason = self._choose_characters()
        candidates: list[dict[str, Any]] = []
        rows: list[dict[str, Any]] = []
        notes, num_failed = [reason] if reason else [], 0
        for character in chosen:
            views, made = self._choose(character)
            crops = self._crops(character, views, made)
            written = self._write(character, crops)
            by_subject = {c.image_id: c.view.subject_id for c in crops}
            failed = {by_subject[i]: error for i, error in written.errors.items()}
            candidates += _candidate_rows(views, made, failed, written.rows)
            rows += written.rows
            num_failed += len(written.errors)
            notes.append(_note(character, views, made, written))
        self._write_rights()
        return Work(
            tables={
                "dataset": store.from_rows("dataset", rows),
                "candidate": store.from_rows("candidate", candidates),
            },
            num_items=len(rows) + num_failed,
            num_failed=num_failed,
            note="; ".join(notes),
        )

    def _write_rights(self) -> None:
        """Put down, beside the sets, whose film it is and which models had a part in them."""
        known = rights.record(
            film_file=Path(self.source["film"]).name,
            film_hash=self.source["content_hash"],
            **self.config.rights.model_dump(),
            models=rights.used_models(self._tables, model.MODELS),
        )
        store.write_bytes(self.output_dir / RIGHTS, json.dumps(known, indent=1).encode())

    # -- what is chosen from ------------------------------------------------------------------

    @cached_property
    def _tables(self) -> dict[str, pl.DataFrame]:
        return {name: self.read(name) for name in self.reads}

    @cached_property
    def _rule(self) -> crop.Rule:
        wanted, models = self.config.dataset, self.config.models
        side, unit = bucket.choose_resolution(models.base_model, models.resolution)
        step = math.lcm(wanted.bucket_step_px, unit)
        has_buckets = wanted.aspect == "buckets"
        return crop.Rule(
            sizes=tuple(bucket.sizes(side, step)) if has_buckets else ((side, side),),
            crop_margin=models.crop_margin,
            max_upscale=wanted.max_upscale,
            has_wider_crops=wanted.has_wider_crops,
        )

    @cached_property
    def _subject(self) -> pl.DataFrame:
        """What the frames' measures say of each labelled box: sharpness, blur score, luma."""
        return measure_subjects(self._tables)

    def _choose_characters(self) -> tuple[list[str], str]:
        """Characters to train on, and what the user should know about it."""
        names = candidate.count_views(self._tables["label"])["character"].to_list()
        wanted = list(dict.fromkeys(self.config.models.characters))
        if not names:
            return [], "no picture has a labelled character, so there is nothing to train on"
        if not wanted:
            return names[:1], ""
        missing = [name for name in wanted if name not in names]
        reason = f"models.characters: no picture shows {', '.join(missing)}" if missing else ""
        if len(missing) == len(wanted):
            reason += f"; labelled are {', '.join(names)}"
        return [name for name in wanted if name in names], reason

    def _choose(self, character: str) -> tuple[list[View], choice.Choice]:
        """Every view of a character and what becomes of it."""
        wanted = self.config.dataset
        views = candidate.gather(character, self._tables, self._subject)
        rule = candidate.Rule(
            min_confidence=wanted.min_confidence,
            min_subject_px=wanted.min_subject_px,
            min_sharpness=wanted.min_subject_sharpness,
            min_blur_score=self.config.filtering.blur_threshold,
        )
        score = dict(self._subject.select("subject_id", "blur_score").iter_rows())
        verdicts = candidate.judge(views, self._tables["quality"], score, rule)
        setting = choice.Setting(
            max_images=self.config.models.max_images,
            duplicate_distance=self.config.filtering.duplicate_distance,
        )
        return views, choice.choose(views, verdicts, self._tables, self._rule, setting)

    # -- what is cut --------------------------------------------------------------------------

    def _crops(self, character: str, views: Sequence[View], made: choice.Choice) -> list[crop.Crop]:
        """The chosen windows with words and split, and class pictures; by frame."""
        words, number = self._words(character), self.config.dataset.num_class_images
        shots = [views[row].shot_index for row, _ in made.picked]
        group = self._groups(set(shots), has_all=number > 0)
        share, seed = self.config.models.held_out_share, self.config.seed
        side = split.split_shots(shots, share, seed, group)
        crops = [
            crop.Crop(
                image_id=f"{views[row].subject_id}-c{window.index}",
                view=views[row],
                window=window,
                caption=crop.caption_of(views[row], window, words),
                split=side[views[row].shot_index],
            )
            for row, window in made.picked
        ]
        if number:
            held = {group[shot] for shot, name in side.items() if name == split.HELD_OUT}
            forbidden = {shot for shot, root in group.items() if root in held}
            crops += self._class_crops(character, words, number, forbidden)
        return sorted(crops, key=lambda c: (c.view.frame_index, c.image_id))

    def _class_crops(
        self, character: str, words: Words, number: int, forbidden: set[int]
    ) -> list[crop.Crop]:
        names = candidate.count_views(self._tables["label"])["character"].to_list()
        others = {
            name: candidate.gather(name, self._tables, self._subject)
            for name in names
            if name != character
        }
        return regularise.choose(
            character, self._tables, others, self._rule, words, number, forbidden=forbidden
        )

    def _groups(self, shots: set[int], *, has_all: bool) -> dict[int, int]:
        """Shots joined where any of their stored frames show the same set-up."""
        known = self._tables["frame"].join(
            self._tables["measure"].drop_nulls(["phash", "signature"]), on="frame_id"
        )
        if not has_all:
            known = known.filter(pl.col("shot_index").is_in(list(shots)))
        known = known.sort("frame_id")
        pairs = likeness.same_setup(
            known["phash"].to_numpy(),
            known["signature"].to_numpy(),
            self.config.filtering.duplicate_distance,
            self.config.filtering.duplicate_structure,
        )
        shot = known["shot_index"].to_numpy()
        alike = np.unique(shot[pairs], axis=0).tolist() if len(pairs) else []
        return split.group_shots([*shots, *shot.tolist()], [tuple(p) for p in alike])

    def _words(self, character: str) -> Words:
        """What stands for each character in captions."""
        template = self.config.captioning.trigger_word
        names = self._tables["label"]["character"].drop_nulls().unique(maintain_order=True)
        triggers = {name: tag.trigger_word(template, name) for name in names}
        return Words(
            trigger=triggers.pop(character),
            class_word=self.config.captioning.class_word,
            other_triggers=triggers,
        )

    # -- pixels -------------------------------------------------------------------------------

    def _write(self, character: str, crops: Sequence[crop.Crop]) -> training_set.Written:
        with self.bar(len(crops)) as bar:

            def counted() -> Iterator[training_set.Cut]:
                for done, cut in enumerate(self._cuts(crops), start=1):
                    yield cut
                    bar.update(1)
                    self._note_progress(done, len(crops))

            return training_set.write_dataset(
                self.output_dir,
                character,
                counted(),
                has_masks=self.config.dataset.mask == "grabcut",
            )

    def _cuts(self, crops: Sequence[crop.Crop]) -> Iterator[training_set.Cut]:
        """Crops with their frames: stored ones, or of the film where that is asked or needed."""
        wanted = [c for c in crops if self._is_from_film(c)]
        recovered = self._recovered(wanted)
        again = {c.image_id for c in wanted}
        kept = training_set.stored(self.output_dir, [c for c in crops if c.image_id not in again])
        for one in crops:
            yield next(recovered if one.image_id in again else kept)

    def _is_from_film(self, one: crop.Crop) -> bool:
        """Whether a crop is decoded again: asked for, nowhere stored, or small and film at hand."""
        if one.view.file is None:
            return True
        way = self.config.dataset.cut_from
        is_small = one.window.upscale > 1
        return way == "film" or (way == "auto" and is_small and self._has_film)

    @cached_property
    def _has_film(self) -> bool:
        return Path(self.source["film"]).exists()

    def _recovered(self, crops: Sequence[crop.Crop]) -> Iterator[training_set.Cut]:
        """Crops of frames decoded again as extract decoded them; in order of the frame."""
        if not crops:
            return
        tables = self._tables
        both = pl.concat([tables[t].select("frame_index", *CROP) for t in ("frame", "extra_frame")])
        box = {r[0]: None if None in r[1:] else r[1:] for r in both.iter_rows()}
        source = extra.Source(self.config, self.source, tables["film"], tables["frame"])
        found = source.pictures({c.view.frame_index: box[c.view.frame_index] for c in crops})
        one = next(found, None)
        for item in crops:
            index = item.view.frame_index
            while one is not None and one.frame.index < index:
                one = next(found, None)
            if one is None or one.frame.index != index:
                lost = "the film did not give this frame again"
                yield training_set.Cut(crop=item, picture=None, error=lost)
            else:
                yield training_set.Cut(
                    crop=item, picture=one.picture, is_recovered=True, error=one.error
                )


def measure_subjects(tables: dict[str, pl.DataFrame]) -> pl.DataFrame:
    """Read sharpness and light inside labelled boxes off the frames' stored measures.

    Parameters
    ----------
    tables : dict
        Tables label, frame and measure.

    Returns
    -------
    pl.DataFrame
        subject_id, sharpness (mean square of the Laplacian, grey levels squared), blur_score and
        luma in [0, 1]; subjects whose frame was not measured are left out.
    """
    columns = ("frame_id", "tile_sharpness", "signature", "contrast")
    size = ("width_px", "height_px")
    known = (
        tables["label"]
        .join(tables["frame"].drop_nulls(size).select("frame_id", *size), on="frame_id")
        .join(tables["measure"].select(columns).drop_nulls(), on="frame_id")
        .filter(
            pl.col("x0_px").clip(0) < pl.min_horizontal("x1_px", "width_px"),
            pl.col("y0_px").clip(0) < pl.min_horizontal("y1_px", "height_px"),
        )
        .sort("subject_id")
    )
    if known.is_empty():
        schema = {"subject_id": pl.String, **dict.fromkeys(MEASURED, pl.Float64)}
        return pl.DataFrame(schema=schema)
    boxes, sizes = known.select(candidate.BOX).to_numpy(), known.select(size).to_numpy()
    sharp = sharpness.sharpness_in_boxes(known["tile_sharpness"].to_numpy(), boxes, sizes)
    contrast = 255 * known["contrast"].to_numpy()
    score = [sharpness.blur_score(s, c) for s, c in zip(sharp, contrast, strict=True)]
    luma = appearance.subject_luma(boxes, sizes, known["signature"].to_numpy())
    columns = dict(zip(MEASURED, (sharp, np.array(score), luma), strict=True))
    return known.select("subject_id").with_columns(**columns).fill_nan(None)


def _candidate_rows(
    views: Sequence[View],
    made: choice.Choice,
    failed: dict[str, str],
    rows: Sequence[dict[str, Any]],
) -> list[dict[str, Any]]:
    """Rows of table candidate; chosen is what came to be written."""
    written = {row["subject_id"] for row in rows if row["role"] == "subject"}
    found = []
    for index, view in enumerate(views):
        verdict = made.verdicts[index]
        if not verdict.reason and view.subject_id not in written:
            verdict = candidate.Verdict(
                reason="unreadable", detail=failed.get(view.subject_id, "no picture was written")
            )
        gain = made.gains.get(index) if not verdict.reason else None
        found.append(candidate.to_row(view, verdict, gain))
    return found


def _note(
    character: str,
    views: Sequence[View],
    made: choice.Choice,
    written: training_set.Written,
) -> str:
    """One sentence on what was chosen."""
    own = [row for row in written.rows if row["role"] == "subject"]
    held = sum(row["split"] == split.HELD_OUT for row in own)
    words = [f"{character}: {len(own)} pictures of {len(made.gains)} among {len(views)} views"]
    words.append(f"{held} held out")
    num_class = len(written.rows) - len(own)
    if num_class:
        words.append(f"{num_class} without the character")
    if written.num_without_mask:
        words.append(f"no usable mask for {written.num_without_mask}")
    return ", ".join(words)
