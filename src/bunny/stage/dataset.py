"""Stage dataset: training pictures of each character, chosen, cropped and written.

Which views there are and why each was chosen or not stands in table `candidate`; what was written
in table `dataset`. The decisions are `dataset.crop_selection`'s, over tables alone; pixels are read
only to cut what was chosen.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from bunny.character import forgotten
from bunny.contract.stage import BaseStage, StageOutput, settings_of
from bunny.core import atomic
from bunny.core.config import Config
from bunny.dataset import addition, candidate, crop, crop_selection, image_folder, rights
from bunny.dataset.addition import Addition
from bunny.table import store
from bunny.video import extra_frame

MODEL_KEYS = ("characters", "max_images", "crop_margin", "held_out_share")
RIGHTS = f"dataset/{rights.FILE}"


def selection_settings(config: Config) -> crop_selection.CropSelectionSettings:
    """Settings that crops are chosen by."""
    return crop_selection.CropSelectionSettings(
        crop=crop.CropSetting(
            shapes=crop.shapes(config.dataset), dataset=config.dataset, models=config.models
        ),
        captioning=config.captioning,
        filtering=config.filtering,
        seed=config.seed,
    )


def crop_reader(
    config: Config, film_dir: Path, source: Mapping[str, Any], tables: Mapping[str, pl.DataFrame]
) -> crop.CropReader:
    """What reads the frames that crops of a film are cut from.

    Parameters
    ----------
    film_dir : Path
        Folder of the film's workspace.
    source : mapping
        Its `source.json`.
    tables : mapping
        film, frame and extra_frame.
    """
    film = extra_frame.ExtraFrameReader(
        config.extraction,
        source["film"],
        tables["film"],
        tables["frame"],
        num_threads=0 if config.pipeline.parallel_processing else 1,
    )
    return crop.CropReader(film_dir, tables, film, config.dataset.cut_from)


class Dataset(BaseStage):
    """Labels, measures and captions in; training pictures and the reasons for them out."""

    name: ClassVar[str] = "dataset"
    version: ClassVar[int] = 6
    reads: tuple[str, ...] = (
        "film",
        *candidate.TABLES,
        "embedding",
        "drawn_face",
        "region",
        "figure",
        "reference",
    )
    is_corrected: ClassVar[bool] = True
    writes: ClassVar[tuple[str, ...]] = ("dataset", "candidate")
    unit: ClassVar[str] = "picture"

    def settings(self) -> dict[str, Any]:
        """All of `dataset`, whom pictures are wanted of and how many, and the words for them."""
        config = self.config
        return {
            **settings_of(config, "dataset"),
            **settings_of(config, "models", *MODEL_KEYS),
            **settings_of(config, "captioning", "trigger_word", "class_word", *self._variants),
            **settings_of(config, "rights"),
            **settings_of(
                config, "filtering", "blur_threshold", "duplicate_distance", "duplicate_structure"
            ),
            **extra_frame.settings(config.extraction),
            "seed": config.seed,
            **addition.fingerprint_settings(self._additions),
            **forgotten.hidden_settings(self.input_dir),
        }

    @property
    def _variants(self) -> tuple[str, ...]:
        """The setting of several captions a picture, where there are any."""
        return ("variants",) if self.config.captioning.variants.shares else ()

    def needs(self) -> tuple[str, ...]:
        """The old sets, which are replaced; of the frames those that crops are cut from, later."""
        return ("dataset/*",)

    def has_files(self) -> bool:
        """Whether all training pictures and masks are there."""
        table = store.read(self.output_dir / "table", "dataset")
        files = [*table["file"], *table["mask_file"].drop_nulls()]
        return self.are_there([*files, RIGHTS])

    def run(self) -> StageOutput:
        """Choose, cut and write for each character that is to be trained."""
        settings = selection_settings(self.config)
        selector = crop_selection.CropSelector(self._tables, self._additions, settings)
        chosen, reason = selector.choose_characters()
        candidates: list[dict[str, Any]] = []
        rows: list[dict[str, Any]] = []
        notes, num_failed = [reason] if reason else [], 0
        for character in chosen:
            views, made = selector.choose(character)
            crops = selector.make_crops(character, views, made)
            written = self._write(character, crops)
            by_subject = {c.image_id: c.view.subject_id for c in crops}
            failed = {by_subject[i]: error for i, error in written.errors.items()}
            candidates += image_folder.candidate_rows(views, made, failed, written.rows)
            rows += written.rows
            num_failed += len(written.errors)
            notes.append(
                image_folder.stage_note(
                    character, views, made, written, self.config.dataset.max_upscale
                )
            )
        self._write_rights()
        return StageOutput(
            tables={
                "dataset": store.from_rows("dataset", rows),
                "candidate": store.from_rows("candidate", candidates),
            },
            num_items=len(rows) + num_failed,
            num_failed=num_failed,
            note="\n".join(notes),
        )

    def _write_rights(self) -> None:
        """Put down, beside the sets, whose film it is and which models had a part in them."""
        known = rights.make_record(
            film_file=Path(self.source["film"]).name,
            film_hash=self.source["content_hash"],
            given=self.config.rights,
            models=rights.used_models(self._tables),
        )
        atomic.write_bytes(self.output_dir / RIGHTS, json.dumps(known, indent=1).encode())

    # -- what is chosen from ------------------------------------------------------------------

    @cached_property
    def _tables(self) -> dict[str, pl.DataFrame]:
        tables = {name: self.read(name) for name in self.reads}
        frames = (tables["frame"], tables["extra_frame"])
        return tables | {candidate.HIDDEN: forgotten.hidden_boxes(self.input_dir, *frames)}

    @cached_property
    def _additions(self) -> list[Addition]:
        """What a person added to the film's sets."""
        return addition.read(self.input_dir)

    # -- pixels -------------------------------------------------------------------------------

    def _write(self, character: str, crops: Sequence[crop.Crop]) -> image_folder.WrittenDataset:
        self.fetch(*{one.view.file for one in crops if one.view.file})
        reader = crop_reader(self.config, self.output_dir, self.source, self._tables)
        with self.bar(len(crops)) as bar:

            def counted() -> Iterator[crop.CropSource]:
                for done, cut in enumerate(reader.read(crops), start=1):
                    yield cut
                    bar.update(1)
                    self._note_progress(done, len(crops))

            return image_folder.write_dataset(
                self.output_dir,
                character,
                counted(),
                min_mask_quality=self.config.dataset.mask_threshold,
            )
