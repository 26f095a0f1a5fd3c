"""Stage pair: pictures and clips of a character beside others of it, for edit and reference models.

Off unless `pair.kinds` names a kind; then the table is empty and nothing is read. Each kind lies in
a folder of its own, e.g. ``pair/edit/<character>/``; of kind `clip` only the references do, the
target is the clip of stage clip.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import polars as pl

from bunny.caption.trigger import trigger_word
from bunny.character import forgotten
from bunny.contract.row_count import plural
from bunny.contract.stage import BaseStage, StageOutput, settings_of
from bunny.core import atomic, image_file, safe_path
from bunny.dataset import image_folder, rights
from bunny.pair import alignment, change, edit_pair, reference_pair, source
from bunny.pair.edit_pair import EditPair
from bunny.pair.reference_pair import PairPicture, ReferencePair
from bunny.table import store
from bunny.table.schema.pair import KIND

RIGHTS = f"pair/{rights.FILE}"
WHITE = 255


class PairStage(BaseStage):
    """Training pictures, stored frames and places in; pairs and the reasons for them out."""

    name: ClassVar[str] = "pair"
    version: ClassVar[int] = 2
    reads: tuple[str, ...] = (*source.TABLES, "reference", "region", "figure", "caption", "clip")
    is_corrected: ClassVar[bool] = True
    writes: ClassVar[tuple[str, ...]] = ("training_pair",)
    unit: ClassVar[str] = "pair"

    def settings(self) -> dict[str, Any]:
        """All of `pair`; where it is off, that alone."""
        wanted = self.config.pair
        if not wanted.kinds:
            return settings_of(self.config, "pair", "kinds")
        return {
            **settings_of(self.config, "pair"),
            **settings_of(self.config, "captioning", "trigger_word"),
            **settings_of(self.config, "rights"),
            **forgotten.hidden_settings(self.input_dir),
        }

    def needs(self) -> tuple[str, ...]:
        """What pairs are made of, and the old ones."""
        return ("frame/*", "dataset/*", "clip/*", "pair/*")

    def has_files(self) -> bool:
        """Whether all pictures of pairs are there."""
        table = store.read(self.output_dir / "table", "training_pair")
        files = table["files"].drop_nulls().explode().drop_nulls().to_list()
        files += [RIGHTS] if files else []
        return self.are_there(files)

    def run(self) -> StageOutput:
        """Choose, cut and write for each character with training pictures."""
        kinds = self.config.pair.kinds
        rows: list[dict[str, Any]] = []
        made = {"reference": self._reference_rows, "edit": self._edit_rows, "clip": self._clip_rows}
        for kind, make in made.items():
            atomic.remove_folder(self.output_dir / "pair" / kind)
            rows += make() if kind in kinds else []
        taken = [row for row in rows if row["files"]]
        if taken:
            self._write_rights()
        failed = sum(row["error"] is not None for row in rows)
        return StageOutput(
            tables={"training_pair": store.from_rows("training_pair", rows)},
            num_items=len(taken) + failed,
            num_failed=failed,
            note=_note(rows, kinds),
        )

    # -- what pairs are chosen from -----------------------------------------------------------

    @cached_property
    def _tables(self) -> dict[str, pl.DataFrame]:
        return {name: self.read(name) for name in self.reads}

    @cached_property
    def _places(self) -> source.PlaceVectors:
        return source.PlaceVectors(self._tables["embedding"])

    # -- reference pairs ----------------------------------------------------------------------

    def _reference_rows(self) -> list[dict[str, Any]]:
        rows = []
        for who, pictures in source.read_pictures(self._tables).items():
            pairs = reference_pair.choose_pairs(pictures, self._places.similarity, self.config.pair)
            rows += [self._reference_row(who, i, pair) for i, pair in enumerate(pairs)]
        return rows

    def _clip_rows(self) -> list[dict[str, Any]]:
        pictures = source.read_pictures(self._tables)
        hashes = dict(self._tables["clip"].select("clip_id", "sha256").iter_rows())
        rows = []
        for who, clips in source.read_clips(self._tables).items():
            pairs = reference_pair.choose_clip_pairs(
                clips, pictures.get(who, []), self._places.similarity, self.config.pair
            )
            for index, pair in enumerate(pairs):
                row = self._reference_row(who, index, pair, "clip")
                row["target_clip_id"] = pair.target.image_id
                if row["files"]:
                    row["files"] = [pair.target.file, *row["files"]]
                    row["sha256"] = [hashes[pair.target.image_id], *row["sha256"]]
                rows.append(row)
        return rows

    def _reference_row(
        self, who: str, index: int, pair: ReferencePair, kind: str = "reference"
    ) -> dict[str, Any]:
        """A row and its pictures; of kind `clip` without its target, which is written already."""
        target, references = pair.target, pair.references
        row = _row(who, kind, index) | {
            "split": target.split,
            "target_frame_id": target.frame_id,
            "target_s": target.timestamp_s,
            "target_shot_index": target.shot_index,
            "reference_frame_ids": [r.frame_id for r in references],
            "reference_s": [r.timestamp_s for r in references],
            "reference_shot_indices": [r.shot_index for r in references],
            "background_similarity": pair.background_similarity,
            "also_shown": list(target.also_shown),
            "instruction": " ".join(target.caption.split()),
            "reason": pair.reason,
        }
        if pair.reason is not None:
            return row
        pictures = [self._reference_picture(reference) for reference in references]
        if kind == "reference":
            pictures.insert(0, _read(safe_path.join(self.output_dir, target.file)))
        return row | self._write(row["pair_id"], who, kind, pictures)

    def _reference_picture(self, picture: PairPicture) -> np.ndarray | None:
        """A reference, before white where a plain background is asked for."""
        pixels = _read(safe_path.join(self.output_dir, picture.file))
        if pixels is None or not self.config.pair.has_plain_background or not picture.mask_file:
            return pixels
        shown = image_file.read(
            safe_path.join(self.output_dir, picture.mask_file), cv2.IMREAD_GRAYSCALE
        )
        if shown is None or shown.shape != pixels.shape[:2]:
            return None
        part = shown[..., None].astype(np.float32) / 255
        return np.rint(pixels * part + WHITE * (1 - part)).astype(np.uint8)

    # -- edit pairs ---------------------------------------------------------------------------

    def _edit_rows(self) -> list[dict[str, Any]]:
        rows = []
        names = set(self._tables["dataset"]["character"])
        hidden = forgotten.hidden_boxes(self.input_dir, self._tables["frame"])
        shown = self._tables["frame"].join(hidden, on="frame_id", how="anti")
        for who, frames in source.read_states({**self._tables, "frame": shown}).items():
            if who not in names:
                continue
            read = lru_cache(8)(lambda file: _read(safe_path.join(self.output_dir, file)))
            called = trigger_word(self.config.captioning.trigger_word, who)
            pairs = edit_pair.choose_pairs(frames, read, called, self.config.pair)
            splits = source.shot_splits(self._tables, self._places, who)
            rows += [
                self._edit_row(who, i, pair, splits.get(pair.after.shot_index, "train"))
                for i, pair in enumerate(pairs)
            ]
        return rows

    def _edit_row(self, who: str, index: int, pair: EditPair, split: str) -> dict[str, Any]:
        before, after, found = pair.before, pair.after, pair.alignment
        row = _row(who, "edit", index) | {
            "split": split,
            "target_frame_id": after.frame_id,
            "target_s": after.timestamp_s,
            "target_shot_index": after.shot_index,
            "reference_frame_ids": [before.frame_id],
            "reference_s": [before.timestamp_s],
            "reference_shot_indices": [before.shot_index],
            "shift_px": found and found.shift_px,
            "scale": found and found.scale,
            "residual": found and found.residual,
            "also_shown": sorted(before.state.others | after.state.others),
            "instruction": change.join_clauses(pair.clauses) or None,
            "reason": pair.reason,
        }
        if pair.reason is not None or found is None:
            return row
        one, two = (
            _read(safe_path.join(self.output_dir, before.file)),
            _read(safe_path.join(self.output_dir, after.file)),
        )
        if one is None or two is None:
            return row | {"error": "a picture cannot be read; run stage extract again"}
        source_picture, target = alignment.cut_common(one, two, found.matrix)
        return row | self._write(row["pair_id"], who, "edit", [target, source_picture])

    # -- files --------------------------------------------------------------------------------

    def _write(
        self, pair_id: str, who: str, kind: str, pictures: Sequence[np.ndarray | None]
    ) -> dict[str, Any]:
        """Write target and references as PNG; what cannot be read becomes the row's error."""
        if any(picture is None for picture in pictures):
            return {"error": "a training picture cannot be read; run stage dataset again"}
        home = f"pair/{kind}/{image_folder.folder_name(who)}"
        parts = [f"reference-{n}" for n in range(1, len(pictures) + 1)]
        if kind != "clip":
            parts = ["target", *parts[:-1]]
        files, hashes = [], []
        for part, picture in zip(parts, pictures, strict=True):
            data = cv2.imencode(".png", picture)[1].tobytes()  # type: ignore[arg-type]
            files.append(f"{home}/{pair_id}-{part}.png")
            hashes.append(hashlib.sha256(data).hexdigest())
            atomic.write_bytes(self.output_dir / files[-1], data)
        return {"files": files, "sha256": hashes}

    def _write_rights(self) -> None:
        """Put down, beside the pairs, whose film it is and which models had a part in them."""
        known = rights.make_record(
            film_file=Path(self.source["film"]).name,
            film_hash=self.source["content_hash"],
            given=self.config.rights,
            models=rights.used_models(self._tables),
        )
        atomic.write_bytes(self.output_dir / RIGHTS, json.dumps(known, indent=1).encode())


def _row(who: str, kind: str, index: int) -> dict[str, Any]:
    """A row with what is null unless it is written."""
    name = image_folder.folder_name(who)
    nulls = dict.fromkeys(("target_clip_id", "files", "sha256", "error"))
    return {"pair_id": f"{name}-{kind}-{index:04d}", "kind": kind, "character": who, **nulls}


def _read(file: Path) -> np.ndarray | None:
    return image_file.read(file) if file.is_file() else None


def _note(rows: Sequence[dict[str, Any]], kinds: Sequence[str]) -> str:
    """Counts of one line."""
    if not kinds:
        return "off; set pair.kinds to reference, edit or clip"
    taken = Counter(row["kind"] for row in rows if row["files"])
    reasons = Counter(f"{row['kind']} {row['reason']}" for row in rows if row["reason"])
    said = [plural(taken[kind], f"{kind} pair") for kind in KIND if kind in kinds]
    left = ", ".join(f"{number} {reason}" for reason, number in sorted(reasons.items()))
    return "; ".join([", ".join(said), *([f"left out: {left}"] if left else [])])
