"""Stage dataset: training pictures of each character, chosen, cropped and written.

Which views there are and why each was chosen or not stands in table `candidate`; what was written
in table `dataset`. The decisions are `bunny.training`'s, over tables alone; pixels are read only
to cut what was chosen.
"""

import json
import math
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl

from bunny.caption import tags
from bunny.character import model_file
from bunny.contract.stage import BaseStage, StageOutput, settings_of
from bunny.core import atomic
from bunny.core.error import UserError
from bunny.dataset import (
    addition,
    bucket,
    candidate,
    class_image,
    crop,
    near_duplicate,
    rights,
    select,
    split,
)
from bunny.dataset import image_folder as training_set
from bunny.dataset import lookalike as resembling
from bunny.dataset.addition import Addition
from bunny.dataset.appearance import measure_subjects
from bunny.dataset.candidate import CandidateVerdict
from bunny.dataset.crop_caption import CaptionWords
from bunny.dataset.view import CharacterView
from bunny.table import store
from bunny.training.family import folder as family_folder
from bunny.video import extra_frame

MODEL_KEYS = ("characters", "max_images", "crop_margin", "held_out_share")
CROP = ("crop_x0_px", "crop_y0_px", "crop_x1_px", "crop_y1_px")
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
    version: ClassVar[int] = 3
    reads: tuple[str, ...] = (
        *("film", *READ_TO_CHOOSE, "embedding", "region", "figure", "reference"),
    )
    is_corrected: ClassVar[bool] = True
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
            **extra_frame.settings(config),
            "size": list(
                family_folder.choose_resolution(config.models.base_model, config.models.resolution)
            ),
            "seed": config.seed,
            **addition.fingerprint_settings(self._additions),
        }

    def has_files(self) -> bool:
        """Whether all training pictures and masks are there."""
        table = store.read(self.output_dir / "table", "dataset")
        files = [*table["file"], *table["mask_file"].drop_nulls()]
        return all((self.output_dir / file).is_file() for file in [*files, RIGHTS])

    def run(self) -> StageOutput:
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
            candidates += training_set.candidate_rows(views, made, failed, written.rows)
            rows += written.rows
            num_failed += len(written.errors)
            notes.append(training_set.stage_note(character, views, made, written))
        self._write_rights()
        return StageOutput(
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
        known = rights.make_record(
            film_file=Path(self.source["film"]).name,
            film_hash=self.source["content_hash"],
            **self.config.rights.model_dump(),
            models=rights.used_models(self._tables, model_file.MODELS),
        )
        atomic.write_bytes(self.output_dir / RIGHTS, json.dumps(known, indent=1).encode())

    # -- what is chosen from ------------------------------------------------------------------

    @cached_property
    def _tables(self) -> dict[str, pl.DataFrame]:
        return {name: self.read(name) for name in self.reads}

    @cached_property
    def _additions(self) -> list[Addition]:
        """What a person added to the film's sets."""
        return addition.read(self.input_dir)

    @cached_property
    def _rule(self) -> crop.CropSetting:
        wanted, models = self.config.dataset, self.config.models
        side, unit = family_folder.choose_resolution(models.base_model, models.resolution)
        step = math.lcm(wanted.bucket_step_px, unit)
        has_buckets = wanted.aspect == "buckets"
        return crop.CropSetting(
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
        found = [name for name in wanted if name in names]
        _check_folders(found)
        return found, reason

    def _choose(self, character: str) -> tuple[list[CharacterView], select.ViewSelection]:
        """Every view of a character and what becomes of it."""
        wanted = self.config.dataset
        views = candidate.gather(character, self._tables, self._subject)
        rule = candidate.CandidateThreshold(
            min_confidence=wanted.min_confidence,
            min_subject_px=wanted.min_subject_px,
            min_sharpness=wanted.min_subject_sharpness,
            min_blur_score=self.config.filtering.blur_threshold,
        )
        score = dict(self._subject.select("subject_id", "blur_score").iter_rows())
        verdicts = candidate.judge(views, self._tables["quality"], score, rule)
        setting = select.ViewSelectionSetting(
            max_images=self.config.models.max_images,
            duplicate_distance=self.config.filtering.duplicate_distance,
        )
        made = select.choose(views, verdicts, self._tables, self._rule, setting)
        return self._add(character, views, made)

    def _add(
        self, character: str, views: list[CharacterView], made: select.ViewSelection
    ) -> tuple[list[CharacterView], select.ViewSelection]:
        """What a person added on top, look-alikes without the character's name among it."""
        own = [one for one in self._additions if one.character == character]
        if not own:
            return views, made
        more = resembling.confirmed_views(character, self._tables, self._subject, own)
        verdicts = [*made.verdicts, *[CandidateVerdict(reason=addition.UNLABELLED) for _ in more]]
        every = [*views, *more]
        made = select.ViewSelection(verdicts=verdicts, gains=made.gains, picked=made.picked)
        return every, addition.extend_selection(
            every, made, own, self._rule, self.config.filtering.duplicate_distance
        )

    # -- what is cut --------------------------------------------------------------------------

    def _crops(
        self, character: str, views: Sequence[CharacterView], made: select.ViewSelection
    ) -> list[crop.Crop]:
        """The chosen windows with words and split, and class pictures; by frame."""
        words, number = self._words(character), self.config.dataset.num_class_images
        side, group = self._split(views, made, has_all=number > 0)
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
            by_hand = {views[row].subject_id for row in addition.added_rows(made)}
            crops += self._class_crops(character, words, number, forbidden, by_hand)
        return sorted(crops, key=lambda c: (c.view.frame_index, c.image_id))

    def _split(
        self, views: Sequence[CharacterView], made: select.ViewSelection, *, has_all: bool
    ) -> tuple[dict[int, str], dict[int, int]]:
        """Side of each shot, and its group; what was added by hand moves nobody else."""
        by_hand = addition.added_rows(made)
        shots = {row: views[row].shot_index for row, _ in made.picked}
        chosen = [views[row].shot_index for row, _ in made.picked if row not in by_hand]
        chosen = chosen or list(shots.values())  # all of the set is by hand
        every = set(shots.values())
        group = self._groups(set(chosen), has_all=has_all)
        side = split.split_shots(chosen, self.config.models.held_out_share, self.config.seed, group)
        if every - set(chosen):
            group = self._groups(every, has_all=has_all)
        return addition.extend_split(side, every, group), group

    def _class_crops(
        self,
        character: str,
        words: CaptionWords,
        number: int,
        forbidden: set[int],
        by_hand: set[str],
    ) -> list[crop.Crop]:
        names = candidate.count_views(self._tables["label"])["character"].to_list()
        others = {
            name: candidate.gather(name, self._tables, self._subject)
            for name in names
            if name != character
        }
        tables = self._tables
        if by_hand:  # a look-alike that was said to be the character is no class picture of it
            like = resembling.find(character, tables).filter(pl.col("subject_id").is_in(by_hand))
            tables = {**tables, "label": resembling.with_names(tables["label"], like)}
        return class_image.choose_crops(
            character, tables, others, self._rule, words, number, forbidden=forbidden
        )

    def _groups(self, shots: set[int], *, has_all: bool) -> dict[int, int]:
        """Shots joined where any of their stored frames show the same set-up."""
        known = self._tables["frame"].join(
            self._tables["measure"].drop_nulls(["phash", "signature"]), on="frame_id"
        )
        if not has_all:
            known = known.filter(pl.col("shot_index").is_in(list(shots)))
        known = known.sort("frame_id")
        pairs = near_duplicate.same_camera_setup(
            known["phash"].to_numpy(),
            known["signature"].to_numpy(),
            self.config.filtering.duplicate_distance,
            self.config.filtering.duplicate_structure,
        )
        shot = known["shot_index"].to_numpy()
        alike = np.unique(shot[pairs], axis=0).tolist() if len(pairs) else []
        return split.group_shots([*shots, *shot.tolist()], [tuple(p) for p in alike])

    def _words(self, character: str) -> CaptionWords:
        """What stands for each character in captions."""
        template = self.config.captioning.trigger_word
        names = self._tables["label"]["character"].drop_nulls().unique(maintain_order=True)
        triggers = {name: tags.trigger_word(template, name) for name in names}
        return CaptionWords(
            trigger=triggers.pop(character),
            class_word=self.config.captioning.class_word,
            other_triggers=triggers,
        )

    # -- pixels -------------------------------------------------------------------------------

    def _write(self, character: str, crops: Sequence[crop.Crop]) -> training_set.WrittenDataset:
        with self.bar(len(crops)) as bar:

            def counted() -> Iterator[training_set.CropSource]:
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

    def _cuts(self, crops: Sequence[crop.Crop]) -> Iterator[training_set.CropSource]:
        """Crops with their frames: stored ones, or of the film where that is asked or needed."""
        wanted = [c for c in crops if self._is_from_film(c)]
        recovered = self._recovered(wanted)
        again = {c.image_id for c in wanted}
        kept = training_set.read_crops(
            self.output_dir, [c for c in crops if c.image_id not in again]
        )
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

    def _recovered(self, crops: Sequence[crop.Crop]) -> Iterator[training_set.CropSource]:
        """Crops of frames decoded again as extract decoded them; in order of the frame."""
        if not crops:
            return
        tables = self._tables
        both = pl.concat([tables[t].select("frame_index", *CROP) for t in ("frame", "extra_frame")])
        box = {r[0]: None if None in r[1:] else r[1:] for r in both.iter_rows()}
        source = extra_frame.ExtraFrameReader(
            self.config, self.source, tables["film"], tables["frame"]
        )
        found = source.pictures({c.view.frame_index: box[c.view.frame_index] for c in crops})
        one = next(found, None)
        for item in crops:
            index = item.view.frame_index
            while one is not None and one.frame.index < index:
                one = next(found, None)
            if one is None or one.frame.index != index:
                lost = "the film did not give this frame again"
                yield training_set.CropSource(crop=item, picture=None, error=lost)
            else:
                yield training_set.CropSource(
                    crop=item, picture=one.picture, is_recovered=True, error=one.error
                )


def _check_folders(characters: Sequence[str]) -> None:
    """Refuse two characters whose pictures would lie in one folder, here or on another system."""
    seen: dict[str, str] = {}
    for name in characters:
        folder = training_set.folder_name(unicodedata.normalize("NFC", name)).casefold()
        other = seen.setdefault(folder, name)
        if other != name:
            raise UserError(
                f"models.characters: expected names that give different folders, {other} and "
                f"{name} do not on every system; rename one of them"
            )
