"""Stage clip: short clips of each character for trainers of video models.

Shots that show a character are decoded once and measured; which runs of frames become clips is
decided over those tables; only what was chosen is decoded again, cut and written.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl

from bunny.caption.trigger import CharacterWords, trigger_word
from bunny.character import forgotten
from bunny.clip import caption, overlay, plan, preset, write
from bunny.clip.measure import group_labels, measure_shot
from bunny.clip.plan import ClipPlan
from bunny.contract import fingerprint
from bunny.contract.row_count import plural
from bunny.contract.stage import BaseStage, StageOutput, settings_of
from bunny.core import atomic, file_hash, film_file, image_file, safe_path
from bunny.dataset import rights
from bunny.dataset.image_folder import folder_name
from bunny.table import schema, store
from bunny.table.box import CROP
from bunny.video import extra_frame

logger = logging.getLogger(__name__)

FOLDER = "clip"
SHOTS_A_SHARD = 4
KINDS = ("clip_frame", "clip_box")


class Clip(BaseStage):
    """Shots and labels in; clips, the runs considered, and the measures of both out."""

    name: ClassVar[str] = "clip"
    version: ClassVar[int] = 5
    reads: tuple[str, ...] = (
        "film",
        "shot",
        "frame",
        "extra_frame",
        "quality",
        "label",
        "cluster",
        "caption",
        "dataset",
        "embedding",
    )
    is_corrected: ClassVar[bool] = True
    writes: ClassVar[tuple[str, ...]] = ("clip", "clip_candidate", "clip_overlay", *KINDS)
    unit: ClassVar[str] = "frame"

    def settings(self) -> dict[str, Any]:
        """All of `clip`; where it is off, nothing else counts."""
        config = self.config
        if config.clip.preset == "off":
            return settings_of(config, "clip", "preset")
        return {
            **settings_of(config, "clip"),
            **settings_of(config, "dataset", "min_confidence"),
            **settings_of(config, "models", "characters"),
            **settings_of(config, "captioning", "trigger_word", "class_word"),
            **extra_frame.settings(config.extraction),
            **self._model_settings(),
            **forgotten.hidden_settings(self.input_dir),
        }

    def _model_settings(self) -> dict[str, Any]:
        """Settings of the model that captions clips, if one does."""
        name = self.config.clip.caption_provider
        if name == "none":
            return {}
        own = settings_of(self.config, "captioning", "temperature", "max_tokens")
        return own | {f"captioning.{name}.model": getattr(self.config.captioning, name).model}

    def needs(self) -> tuple[str, ...]:
        """Frames, in which logos are looked for, and the old clips."""
        return ("frame/*", "clip/*")

    def has_files(self) -> bool:
        """Whether all clips and their captions are there."""
        table = store.read(self.output_dir / "table", "clip")
        files = [Path(file) for file in table["file"]]
        words = [file.with_suffix(".txt") for file in files]
        return self.are_there(file.as_posix() for file in [*files, *words])

    def run(self) -> StageOutput:
        """Measure, decide and write."""
        if self.config.clip.preset == "off" or not self._labels:
            why = "" if self.config.clip.preset == "off" else "nobody is labelled"
            self._remove_others(())
            empty = {name: store.from_rows(name, []) for name in (*KINDS, "clip_overlay")}
            return self._output((), [], empty, why)
        preset.choose_lengths(self.config.clip)  # refuses wrong ones before the film is decoded
        measured = self._measure() | {"clip_overlay": self._find_overlays()}
        chosen, others = self._choose(measured)
        rows, failed = self._write(chosen)
        self._remove_others([row["file"] for row in rows])
        plans = [failed.get(one.clip_id, one) for one in (*chosen, *others)]
        return self._output(rows, plans, measured, self._note(rows, plans), len(failed))

    def _output(
        self,
        rows: Sequence[dict[str, Any]],
        plans: Sequence[ClipPlan],
        measured: Mapping[str, pl.DataFrame],
        note: str,
        num_failed: int = 0,
    ) -> StageOutput:
        candidates = {
            one.clip_id: _plan_row(one, "clip_candidate")
            | {"is_chosen": not one.reason, "reason": one.reason or "chosen"}
            for one in plans
        }
        tables = {
            "clip": store.from_rows("clip", rows),
            "clip_candidate": store.from_rows("clip_candidate", candidates.values()),
            **measured,
        }
        return StageOutput(
            tables=tables, num_items=len(rows) + num_failed, num_failed=num_failed, note=note
        )

    def _note(self, rows: Sequence[Mapping[str, Any]], plans: Sequence[ClipPlan]) -> str:
        counts = Counter(row["character"] for row in rows)
        held = Counter(row["character"] for row in rows if row["split"] == "held-out")
        left = Counter(one.reason for one in plans if one.reason)
        words = [
            f"{name}: {plural(n, 'clip')}{f', {held[name]} held out' if held[name] else ''}"
            for name, n in sorted(counts.items())
        ]
        asked = sum(row["caption_provider"] is not None for row in rows)
        if failed := [row["caption_error"] for row in rows if row["caption_error"]]:
            words.append(
                f"{plural(asked, 'caption')} by a model, {len(failed)} composed ({failed[0]})"
            )
        if left:
            words.append("left out: " + ", ".join(f"{n} {why}" for why, n in left.most_common()))
        return "; ".join(words) or "no sequence of frames is suitable for a clip"

    # -- measures -----------------------------------------------------------------------------

    @cached_property
    def _labels(self) -> Mapping[int, list]:
        """Labelled boxes, by shot; of shots that show a wanted character and nobody hidden."""
        rows = self.read("label").filter(
            ~pl.col("shot_index").is_in(self._hidden_shots),
            pl.col("character").is_not_null(),
            pl.col("confidence") >= self.config.dataset.min_confidence,
        )
        columns = ("frame_id", "frame_index", "timestamp_s", "width_px", *CROP)
        frames = pl.concat(self.read(name).select(columns) for name in ("frame", "extra_frame"))
        joined = rows.join(frames.drop_nulls(CROP), on="frame_id").sort("subject_id")
        found = group_labels(joined)
        wanted = self._wanted({one.character for own in found.values() for one in own})
        return {s: own for s, own in found.items() if any(o.character in wanted for o in own)}

    @property
    def _hidden_shots(self) -> list[int]:
        """Shots in which somebody is who was forgotten, and may not be seen in clips of others."""
        places = forgotten.hidden(self.input_dir)
        return [
            row["shot_index"]
            for row in self.read("shot").iter_rows(named=True)
            if any(one.start_s < row["end_s"] and row["start_s"] < one.end_s for one in places)
        ]

    def _wanted(self, names: set[str]) -> set[str]:
        """Those of the names that clips are made of."""
        return names & set(self.config.models.characters or names)

    def _measure(self) -> dict[str, pl.DataFrame]:
        """Tables of measures, from shards and for those that lack from the film."""
        shot = self.read("shot").filter(pl.col("shot_index").is_in(list(self._labels)))
        shot = shot.sort("shot_index")
        said = fingerprint.digest(
            [(s, o.character, o.frame_index, o.box) for s, own in self._labels.items() for o in own]
        )
        shots = fingerprint.table_hash(self.input_dir, "shot")
        depends = {**self.picture_hashes(), "labels": said, "shot": shots}
        shards = self.shards("measure", depends)
        pieces = list(shot.iter_slices(SHOTS_A_SHARD))
        todo = [i for i in range(len(pieces)) if not shards.is_done(i)]
        length = pl.col("end_frame_index") - pl.col("first_frame_index")
        total = shot.select(length.sum()).item() or 0
        left = sum(pieces[i].select(length.sum()).item() for i in todo)
        with self.bar(total, total - left) as bar:
            stream = self._shot_pictures([r for i in todo for r in pieces[i].to_dicts()], bar)
            for index in todo:
                rows: dict[str, list] = {name: [] for name in KINDS}
                for row, pictures in (next(stream) for _ in range(pieces[index].height)):
                    indices = range(row["first_frame_index"], row["end_frame_index"])
                    found = measure_shot(
                        row["shot_index"],
                        pictures,
                        self._labels[row["shot_index"]],
                        indices,
                        self._rate,
                    )
                    for name in KINDS:
                        rows[name] += found[name]
                shards.put(index, {n: store.from_rows(n, rows[n]) for n in KINDS}, len(pieces))
        return {name: shards.collect(name) for name in KINDS}

    def _find_overlays(self) -> pl.DataFrame:
        """Table `clip_overlay`, from a kept picture of each scene."""
        rows = overlay.choose_pictures(*map(self.read, ("frame", "quality", "cluster")))
        read = (image_file.read(safe_path.join(self.input_dir, file)) for file in rows["file"])
        found = overlay.find_overlays(picture for picture in read if picture is not None)
        return store.from_rows("clip_overlay", overlay.make_rows(found, rows))

    def _shot_pictures(
        self, shots: Sequence[Mapping[str, Any]], bar: Any
    ) -> Iterator[tuple[Mapping[str, Any], Iterator[extra_frame.DecodedPicture]]]:
        """Each shot with its frames, decoded as they are asked for, in one pass over the film."""
        of = {
            index: row
            for row in shots
            for index in range(row["first_frame_index"], row["end_frame_index"])
        }
        crops = self._crops
        wanted = {index: crops.get(row["shot_index"]) for index, row in of.items()}
        decoded = self._reader().pictures(wanted) if wanted else iter(())

        def counted() -> Iterator[extra_frame.DecodedPicture]:
            for one in decoded:
                bar.update(1)
                yield one

        groups = groupby(counted(), key=lambda one: of[one.frame.index]["shot_index"])
        ready = next(groups, None)
        for row in shots:
            if ready is not None and ready[0] == row["shot_index"]:
                yield row, ready[1]
                ready = next(groups, None)
            else:
                yield row, iter(())

    @property
    def _rate(self) -> float:
        film = self.read("film").row(0, named=True)
        return film["frame_rate_num"] / max(1, film["frame_rate_den"]) or 24.0

    @cached_property
    def _crops(self) -> dict[int, tuple[int, int, int, int]]:
        """Box of each shot's picture in the film's, bars cut off."""
        known = self.read("frame").drop_nulls(CROP).sort("frame_index")
        known = known.unique("shot_index", keep="first", maintain_order=True)
        return {row[0]: row[1:] for row in known.select("shot_index", *CROP).iter_rows()}

    def _reader(self) -> extra_frame.ExtraFrameReader:
        return extra_frame.ExtraFrameReader(
            self.config.extraction,
            self.source["film"],
            self.read("film"),
            self.read("frame"),
            num_threads=0 if self.config.pipeline.parallel_processing else 1,
        )

    # -- decisions ----------------------------------------------------------------------------

    def _choose(
        self, measured: Mapping[str, pl.DataFrame]
    ) -> tuple[list[ClipPlan], list[ClipPlan]]:
        """Runs that become clips, and the others with their reasons."""
        names = ("shot", "frame", "quality", "embedding")
        tables = {**measured, **{name: self.read(name) for name in names}}
        who = self._wanted(set(measured["clip_box"]["character"]))
        return plan.choose_clips(tables, self.read("cluster"), who, self.config.clip)

    # -- pixels -------------------------------------------------------------------------------

    def _write(self, chosen: Sequence[ClipPlan]) -> tuple[list[dict], dict[str, ClipPlan]]:
        """Rows of table `clip`, and the plans that failed with their errors, by clip id."""
        rows, failed = [], {}
        form, wanted = preset.choose_form(self.config.clip), self.config.clip
        crops = {
            one.clip_id: write.choose_crop_within(
                one.region, one.boxes, form, wanted.max_upscale, wanted.framing
            )
            for one in chosen
            if one.region is not None  # else it would not be chosen
        }
        film = film_file.locate(self.source["film"])
        has_audio = wanted.has_audio and write.has_sound(film)
        for one, pictures in self._clip_pictures(chosen, crops):
            crop = crops[one.clip_id]
            file = f"{FOLDER}/{folder_name(one.character)}/{one.clip_id}.mp4"
            try:
                missing = [i for i in one.frame_indices if i not in pictures]
                if missing:
                    raise write.ClipError(f"frame {missing[0]} could not be decoded again")
                sound = None
                if has_audio:
                    sound = write.read_sound(film, one.start_s, one.num_frames / one.fps)
                frames = (pictures[index] for index in one.frame_indices)
                path = self.output_dir / file
                write.write_clip(path, frames, one.fps, crop.size, sound)
            except write.ClipError as error:
                failed[one.clip_id] = replace(one, reason="failed", detail=str(error))
                continue
            said = self._caption(one)
            atomic.write_bytes(path.with_suffix(".txt"), f"{said}\n".encode())
            rows.append(self._row(one, crop, file, said, has_audio, file_hash.hash_file(path)))
        if rows:
            self._write_rights()
            self._ask_captions(rows)
        return rows, failed

    def _clip_pictures(
        self, chosen: Sequence[ClipPlan], crops: Mapping[str, write.ClipCrop]
    ) -> Iterator[tuple[ClipPlan, dict[int, np.ndarray]]]:
        """Each clip with its frames, cut and scaled, once all of them are decoded."""
        frames = {one.clip_id: one.frame_indices for one in chosen}
        boxes = {
            index: self._crops.get(one.shot_index) for one in chosen for index in one.frame_indices
        }
        by_id = {one.clip_id: one for one in chosen}
        for name, pictures in write.read_frames(self._reader(), frames, boxes, crops):
            yield by_id[name], pictures

    def _row(
        self, one: ClipPlan, crop: write.ClipCrop, file: str, said: str, has_audio: bool, sha: str
    ) -> dict[str, Any]:
        left, top = (self._crops.get(one.shot_index) or (0, 0))[:2]
        x0, y0, x1, y1 = crop.box
        return _plan_row(one, "clip") | {
            "split": self._split(one),
            "width_px": crop.size[0],
            "height_px": crop.size[1],
            "crop_x0_px": left + x0,
            "crop_y0_px": top + y0,
            "crop_x1_px": left + x1,
            "crop_y1_px": top + y1,
            "file": file,
            "caption": said,
            "has_audio": has_audio,
            "sha256": sha,
            "caption_provider": None,
            "caption_error": None,
        }

    def _split(self, one: ClipPlan) -> str:
        """Held out where the shot's pictures of the training set are."""
        return "held-out" if (one.character, one.shot_index) in self._held_out else "train"

    @cached_property
    def _held_out(self) -> set[tuple[str, int]]:
        held = self.read("dataset").filter(pl.col("split") == "held-out")
        return set(held.select("character", "shot_index").iter_rows())

    def _caption(self, one: ClipPlan) -> str:
        said = self._captions.get((one.shot_index, one.character), [])
        return caption.compose(one, said, self._words)

    @cached_property
    def _words(self) -> CharacterWords:
        """Words for each of the film's characters in captions."""
        wanted = self.config.captioning
        cast = sorted(set(self.read("label")["character"].drop_nulls()))
        return CharacterWords(
            triggers={name: trigger_word(wanted.trigger_word, name) for name in cast},
            class_word=wanted.class_word,
        )

    def _ask_captions(self, rows: Sequence[dict[str, Any]]) -> None:
        """Have a model say what happens in the clips, where the settings name one.

        A clip that it gives no caption keeps the composed one.
        """
        name, captioning = self.config.clip.caption_provider, self.config.captioning
        if name == "none":
            return
        # Models and their limits take time to import.
        from bunny.caption.provider import ServedModel
        from bunny.clip import model_caption

        cast, words = list(self._words.triggers), self._words
        clips = [model_caption.ClipQuestion.of(row, self.output_dir, cast) for row in rows]
        model = ServedModel(provider=name, captioning=captioning, aws=self.config.aws)
        said = model_caption.ask(
            clips, model, self.folder / "answer", note=partial(logger.info, "clip: %s")
        )
        for row, clip in zip(rows, clips, strict=True):
            answer = said[clip.clip_id]
            if answer.status != "done" or not answer.text:
                row["caption_error"] = answer.error
                continue
            row |= {"caption": model_caption.write(answer.text, clip, words)}
            row |= {"caption_provider": name}
            text = f"{row['caption']}\n".encode()
            atomic.write_bytes(clip.path.with_suffix(".txt"), text)

    @cached_property
    def _captions(self) -> dict[tuple[int, str], list[tuple[float, str]]]:
        """Times and newest captions of frames that show a character, by shot and character."""
        newest = (
            self.read("caption")
            .filter(pl.col("status") == "done")
            .sort("version")
            .unique("frame_id", keep="last")
        )
        seen = self.read("label").drop_nulls("character").select("frame_id", "character").unique()
        frame = self.read("frame").select("frame_id", "shot_index", "timestamp_s")
        rows = newest.join(frame, on="frame_id").join(seen, on="frame_id").sort("timestamp_s")
        found: dict[tuple[int, str], list[tuple[float, str]]] = {}
        for shot, name, time, text in rows.select(
            "shot_index", "character", "timestamp_s", "text"
        ).iter_rows():
            found.setdefault((shot, name), []).append((time, text))
        return found

    def _write_rights(self) -> None:
        record = rights.make_record(
            film_file=Path(self.source["film"]).name,
            film_hash=self.source["content_hash"],
            given=self.config.rights,
        )
        path = self.output_dir / FOLDER / rights.FILE
        atomic.write_bytes(path, json.dumps(record, indent=1).encode())

    def _remove_others(self, files: Sequence[str]) -> None:
        """Remove clips of earlier runs that are chosen no longer."""
        kept = {self.output_dir / file for file in files}
        kept |= {path.with_suffix(".txt") for path in kept}
        folder = self.output_dir / FOLDER
        if not kept:
            atomic.remove_folder(folder)
            return
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix in (".mp4", ".txt") and path not in kept:
                atomic.remove_file(path)


def _plan_row(plan: ClipPlan, table: str) -> dict[str, Any]:
    """The columns of a table that a plan has."""
    columns = (name for name in schema.TABLE[table].columns() if hasattr(plan, name))
    row = {name: getattr(plan, name) for name in columns}
    return {name: list(v) if isinstance(v, tuple) else v for name, v in row.items()}
