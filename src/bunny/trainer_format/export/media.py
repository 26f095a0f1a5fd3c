"""Clips, stills and pairs of a training set, and the folders that they are written to.

Trainers take one size and one number of frames a folder, so files are sorted by both: what a
trainer is then told of a folder holds for each file in it, and nothing is scaled, cut or dropped.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np

from bunny.core import image_file
from bunny.core.error import UserError
from bunny.trainer_format.export import folder

CLIP, STILL, PAIR = "clip", "still", "pair"
REFERENCE, EDIT, OF_CLIP = "reference", "edit", "clip"  # kinds of pairs
MANIFEST = "manifest.jsonl"  # what each file is and where in the film it lies

Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class TrainingClip:
    """A clip that is written already, with its caption."""

    file: Path  # its stem is the clip's id
    caption: str
    width_px: int
    height_px: int
    num_frames: int
    fps: float
    columns: Mapping[str, Any] = field(default_factory=dict)  # for the manifest


@dataclass(frozen=True, kw_only=True)
class TrainingStill:
    """A training picture that goes along with clips."""

    file: Path
    caption: str
    width_px: int
    height_px: int
    columns: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TrainingPair:
    """A target picture or clip, what it shall be made from, and the words for it."""

    pair_id: str
    kind: str  # `REFERENCE`, `EDIT` or `OF_CLIP`
    target: Path
    references: tuple[Path, ...]
    instruction: str
    width_px: int  # of the target
    height_px: int
    num_frames: int = 1  # of a clip
    fps: float = 0.0
    columns: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class MediaFolder:
    """One written folder: files of one size and length."""

    path: str  # from the export's folder, with `/`; of pairs the one of the targets
    kind: str  # `CLIP`, `STILL` or `PAIR`
    width_px: int
    height_px: int
    num_frames: int = 1
    fps: float = 0.0  # 0: pictures
    files: tuple[str, ...] = ()  # names in the folder
    captions: tuple[str, ...] = ()
    controls: tuple[tuple[str, ...], ...] = ()  # of each file, from the export's folder
    control_paths: tuple[str, ...] = ()  # folders of references: the first, the second ...
    pair_kind: str = ""

    @property
    def name(self) -> str:
        """A name for configurations, e.g. ``clip-832x480x81``."""
        return self.path.removesuffix("/target").replace("/", "-")


def write_clips(
    target: Path, clips: Sequence[TrainingClip], stills: Sequence[TrainingStill] = ()
) -> list[MediaFolder]:
    """Copy clips and stills into folders of one size and length, with a caption beside each.

    Parameters
    ----------
    target : Path
        An empty folder.

    Returns
    -------
    list of MediaFolder
        Clips before stills, each in the order of their size.
    """
    folders: list[MediaFolder] = []
    sorted_clips = _group(clips, lambda c: (c.width_px, c.height_px, c.num_frames, c.fps))
    has_rates = len({c.fps for c in clips}) > 1
    for (width, height, frames, fps), part in sorted_clips.items():
        path = f"{CLIP}/{width}x{height}x{frames}" + (f"-{fps:g}fps" if has_rates else "")
        made = _write_folder(target, path, CLIP, part)
        folders.append(replace(made, num_frames=frames, fps=fps))
    for (width, height), part in _group(stills, lambda s: (s.width_px, s.height_px)).items():
        folders.append(_write_folder(target, f"{STILL}/{width}x{height}", STILL, part))
    columns = {item.file.name: item.columns for item in (*clips, *stills)}
    lines = [
        {"file": f"{one.path}/{file}", "caption": caption, **columns[file]}
        for one in folders
        for file, caption in zip(one.files, one.captions, strict=True)
    ]
    _write_manifest(target, lines)
    return folders


def write_pairs(
    target: Path, pairs: Sequence[TrainingPair], max_references: int
) -> list[MediaFolder]:
    """Copy pairs into folders by kind, size and number of references.

    Targets lie in ``target``, first references in ``control_1``, second ones in ``control_2`` and
    so on, all under the name of the pair. References of clips get the clip's size.

    Parameters
    ----------
    target : Path
        An empty folder.
    max_references : int
        The trainer takes as many; further ones are left out.
    """
    folders: list[MediaFolder] = []
    lines: list[dict[str, Any]] = []

    def key(pair: TrainingPair) -> tuple[str, int, int, int, int]:
        number = min(len(pair.references), max_references)
        return pair.kind, pair.width_px, pair.height_px, pair.num_frames, number

    for (kind, width, height, frames, number), part in _group(pairs, key).items():
        size = f"{width}x{height}" + (f"x{frames}" if kind == OF_CLIP else "")
        home = f"{PAIR}/{kind}/{size}-{number}"
        folders.append(_write_pair_folder(target, home, part, number))
        for pair, controls in zip(part, folders[-1].controls, strict=True):
            file = f"{home}/target/{pair.pair_id}{pair.target.suffix}"
            told = {"file": file, "controls": controls, "instruction": pair.instruction}
            lines.append({**told, **pair.columns})
    _write_manifest(target, lines)
    return folders


def _write_pair_folder(
    target: Path, home: str, pairs: Sequence[TrainingPair], num_references: int
) -> MediaFolder:
    """Pairs of one kind, size and number of references."""
    place = target / home / "target"
    place.mkdir(parents=True)
    controls = []
    for pair in pairs:
        shutil.copyfile(pair.target, place / f"{pair.pair_id}{pair.target.suffix}")
        folder.write_text(place / f"{pair.pair_id}.txt", pair.instruction)
        own = []
        for number, file in enumerate(pair.references[:num_references], start=1):
            suffix = ".png" if pair.kind == OF_CLIP else file.suffix
            path = f"{home}/control_{number}/{pair.pair_id}{suffix}"
            (target / path).parent.mkdir(exist_ok=True)
            if pair.kind == OF_CLIP:
                _write_fitted(file, target / path, (pair.width_px, pair.height_px))
            else:
                shutil.copyfile(file, target / path)
            own.append(path)
        controls.append(tuple(own))
    return MediaFolder(
        path=f"{home}/target",
        kind=PAIR,
        width_px=pairs[0].width_px,
        height_px=pairs[0].height_px,
        num_frames=pairs[0].num_frames,
        fps=pairs[0].fps,
        files=tuple(f"{p.pair_id}{p.target.suffix}" for p in pairs),
        captions=tuple(p.instruction for p in pairs),
        controls=tuple(controls),
        control_paths=tuple(f"{home}/control_{n}" for n in range(1, num_references + 1)),
        pair_kind=pairs[0].kind,
    )


def _write_fitted(source: Path, target: Path, size: tuple[int, int]) -> None:
    """Write a reference at the size of its clip, whole, with white beside it.

    Wan VACE puts the latents of references before those of the clip, so the sizes have to be equal;
    it fits them like this itself (Wan-Video/Wan2.1 9146033, ``wan/vace.py``), DiffSynth-Studio does
    not.
    """
    picture = image_file.read(source)
    if picture is None:
        raise UserError(f"{source}: expected a picture, cannot read it; run stage pair again")
    height, width = picture.shape[:2]
    scale = min(size[0] / width, size[1] / height)
    wide, high = (max(1, int(side * scale)) for side in (width, height))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    canvas = np.full((size[1], size[0], 3), 255, np.uint8)
    left, top = (size[0] - wide) // 2, (size[1] - high) // 2
    canvas[top : top + high, left : left + wide] = cv2.resize(
        picture, (wide, high), None, 0, 0, way
    )
    target.write_bytes(cv2.imencode(".png", canvas)[1].tobytes())


def _group(items: Sequence[Item], key: Callable[[Item], Any]) -> dict[Any, list[Item]]:
    """Items by key, keys sorted, items in their order."""
    found: dict[Hashable, list[Item]] = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return dict(sorted(found.items()))  # type: ignore[type-var]


def _write_folder(
    target: Path, path: str, kind: str, items: Sequence[TrainingClip] | Sequence[TrainingStill]
) -> MediaFolder:
    """Files and captions of one size into one folder."""
    place = target / path
    place.mkdir(parents=True)
    for item in items:
        shutil.copyfile(item.file, place / item.file.name)
        folder.write_text(place / f"{item.file.stem}.txt", item.caption)
    return MediaFolder(
        path=path,
        kind=kind,
        width_px=items[0].width_px,
        height_px=items[0].height_px,
        files=tuple(item.file.name for item in items),
        captions=tuple(item.caption for item in items),
    )


def _write_manifest(target: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    folder.write_text(target / MANIFEST, "\n".join(lines))
