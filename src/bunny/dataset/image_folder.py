"""Training pictures of a character: written as an image folder, read back with `datasets`."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np

from bunny.core import atomic, image_file, jsonl, safe_path
from bunny.core.error import StageError
from bunny.dataset import addition, candidate, mask, select, split
from bunny.dataset import crop as cropping
from bunny.dataset.crop import Crop, CropSource, Size, box_of
from bunny.dataset.crop_caption import CaptionVariant
from bunny.dataset.view import CharacterView
from bunny.table.box import crop_box

SUBJECT, CLASS = "subject", "class"
logger = logging.getLogger(__name__)

THUMBNAIL_PX = 8
CLASS_FOLDER, MASK_FOLDER = "class", "masks"
BUCKET_PX = 64  # steps of the buckets of most trainers
UPSCALE_ROUNDING = 0.02  # that whole pixels of a window may cost


@dataclass(frozen=True, kw_only=True)
class ReadSize:
    """The buckets that a trainer reads pictures in, and the most that it enlarges one."""

    buckets: Sequence[Size]
    max_upscale: float

    def fit(self, width: int, height: int) -> tuple[Size, float]:
        """A picture's bucket and the scale at which the picture fills it."""
        bucket = cropping.nearest(width, height, self.buckets)
        return bucket, max(bucket[0] / width, bucket[1] / height)

    def is_enough(self, width: int, height: int) -> bool:
        """Whether a picture need not be enlarged more than allowed, but for rounding."""
        return self.fit(width, height)[1] <= self.max_upscale + UPSCALE_ROUNDING


@dataclass(frozen=True, kw_only=True)
class TrainingExample:
    """One training picture as the trainer sees it."""

    picture: np.ndarray  # (height, width, 3), uint8, RGB
    caption: str
    variants: tuple[CaptionVariant, ...] = ()  # of which one is taken at a time; none: `caption`
    repeats: int = 1
    mask: np.ndarray | None = None  # (height, width), uint8, 255 where the subject is
    role: str = SUBJECT  # class: prior preservation, weighed by `class_weight`


@dataclass(frozen=True, kw_only=True)
class WrittenDataset:
    """Result of writing a training set."""

    rows: list[dict[str, Any]]  # of table `dataset`
    errors: dict[str, str]  # image_id of each crop that could not be made, and why
    num_without_mask: int = 0


def folder_name(character: str) -> str:
    """A folder name that stays inside its parent, whatever the character is called.

    Examples
    --------
    >>> folder_name("Anna / 2"), folder_name("../.."), folder_name("Aux")
    ('Anna_2', 'character', 'Aux_')
    """
    plain = re.sub(r"[^\w-]+", "_", character).strip("_") or "character"
    return f"{plain}_" if atomic.portable_name_error(plain) else plain


def write_dataset(
    film_dir: Path,
    character: str,
    cuts: Iterable[CropSource],
    *,
    min_mask_quality: float | None = None,
) -> WrittenDataset:
    """Cut, resize and write ``dataset/<character>/NNNN.png`` with their ``metadata.jsonl``.

    Pictures of role ``class`` go to ``class/`` with a ``metadata.jsonl`` of their own, masks to
    ``masks/`` under the name of their picture.

    Parameters
    ----------
    film_dir : Path
        The folder is made inside it and replaces an older one as a whole.
    cuts : iterable of CropSource
        Taken one by one. Resized by Lanczos, after an area average where they shrink.
    min_mask_quality : float, optional
        Look for the subject's outline, see `mask`, and keep masks from this quality, in [0, 1].

    Returns
    -------
    WrittenDataset
        In order of `cuts`; `upscale` above 1 says that pixels were invented.
    """
    target = film_dir / "dataset" / folder_name(character)
    temporary = target.with_name(f".{target.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    rows: list[dict[str, Any]] = []
    errors: dict[str, str] = {}
    number = Counter()
    agreement: dict[str, float] = {}  # see `mask.Cutout`, by image_id
    for cut in cuts:
        crop = cut.crop
        picture, error = _cut(cut)
        if picture is None:
            errors[crop.image_id] = error
            continue
        folder = CLASS_FOLDER if crop.role == "class" else ""
        name = f"{number[folder]:04d}.png"
        number[folder] += 1
        written = resize(picture, crop.window.size)
        _write_png(temporary / folder / name, written)
        row = _row(cut, (target / folder / name).relative_to(film_dir).as_posix())
        if min_mask_quality is not None and crop.role == SUBJECT:
            outline = _outline(crop, written, min_mask_quality)
            if outline is not None:
                _write_png(temporary / MASK_FOLDER / name, outline.mask)
                agreement[row["image_id"]] = outline.agreement
        rows.append(row)
    without_mask = 0
    if min_mask_quality is not None:
        masked = [row for row in rows if row["image_id"] in agreement]
        _judge_masks(temporary, masked, agreement, min_mask_quality)
        without_mask = sum(r["role"] == SUBJECT and r["mask_file"] is None for r in rows)
    for role, folder in (("subject", ""), ("class", CLASS_FOLDER)):
        own = [r for r in rows if r["role"] == role]
        if own or not folder:
            _write_metadata(temporary / folder, own)
    atomic.replace_folder(temporary, target)
    return WrittenDataset(rows=rows, errors=errors, num_without_mask=without_mask)


def _judge_masks(
    folder: Path, rows: Sequence[dict[str, Any]], agreement: Mapping[str, float], least: float
) -> None:
    """Note the quality of each written mask in its row, and remove those that are not good enough.

    Parameters
    ----------
    folder : Path
        Where pictures and masks lie now.
    rows : sequence of dict
        Those of table `dataset` with a mask; `mask_file` and `mask_quality` are filled in.
    """
    colours = mask.SubjectColours()
    for row in rows:
        colours.add(row["shot_index"], *_read_pair(folder, row))
    for row in rows:
        share = colours.own_share(row["shot_index"], *_read_pair(folder, row))
        row["mask_quality"] = min(agreement[row["image_id"]], share)
        file = Path(row["file"])
        if row["mask_quality"] >= least:
            row["mask_file"] = (file.parent / MASK_FOLDER / file.name).as_posix()
        else:
            (folder / MASK_FOLDER / file.name).unlink()
    if rows and not any((folder / MASK_FOLDER).iterdir()):
        (folder / MASK_FOLDER).rmdir()


def _read_pair(folder: Path, row: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """A written picture, RGB, and its mask."""
    name = Path(row["file"]).name
    picture = image_file.read(folder / name)
    outline = image_file.read(folder / MASK_FOLDER / name, cv2.IMREAD_GRAYSCALE)
    if picture is None or outline is None:
        raise StageError(f"{name}: expected the picture and its mask, just written, found neither")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), outline


def load_dataset(
    folder: Path, size: ReadSize, mask_folder: Path | None = None
) -> tuple[list[TrainingExample], list[TrainingExample]]:
    """Load what `write_dataset` wrote, as the trainer gets it: train and held-out examples.

    Parameters
    ----------
    folder : Path
        Holds pictures and ``metadata.jsonl``; its subfolders are left alone.
    size : ReadSize
        Pictures are scaled to fill their bucket and cut around the middle; those that would be
        enlarged too much are left out.
    mask_folder : Path, optional
        Masks are taken from here, under the names of their pictures.

    Notes
    -----
    `datasets` puts its Arrow files some 180 characters below its cache and locks them by a name
    that repeats the cache's path: in a film's folder that is longer than Windows allows, so they
    lie in a temporary folder for as long as they are read.
    """
    os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
    import datasets

    datasets.disable_progress_bars()
    for _, row in jsonl.read(folder / "metadata.jsonl", "one picture"):
        safe_path.join(folder, str(row.get("file_name")))
    examples: dict[str, list[TrainingExample]] = {"train": [], "held-out": []}
    with tempfile.TemporaryDirectory(prefix="bunny-", ignore_cleanup_errors=True) as cache:
        loaded = datasets.load_dataset(
            "imagefolder",
            data_dir=str(folder),
            data_files={"train": ["*.png", "metadata.jsonl"]},
            cache_dir=cache,
            split="train",
            keep_in_memory=True,  # what is mapped cannot be deleted on Windows
        )
        for row in cast("Iterable[dict[str, Any]]", loaded):
            width, height = row["image"].size
            if not size.is_enough(width, height):
                continue
            bucket, _ = size.fit(width, height)
            picture = fill(np.asarray(row["image"].convert("RGB")), bucket)
            outline = _read_mask(mask_folder, Path(row["image"].filename).name)
            pairs = zip(row.get("texts") or (), row.get("shares") or (), strict=True)
            example = TrainingExample(
                picture=picture,
                mask=None if outline is None else fill(outline, bucket),
                caption=row["text"],
                variants=tuple(CaptionVariant(text=text, share=share) for text, share in pairs),
                repeats=int(row["repeats"]),
            )
            examples[row["split"]].append(example)
    return examples["train"], examples["held-out"]


def _read_mask(folder: Path | None, name: str) -> np.ndarray | None:
    """A training picture's mask; None where there is none."""
    path = None if folder is None else safe_path.join(folder, name)
    if path is None or not path.is_file():
        return None
    return image_file.read(path, cv2.IMREAD_GRAYSCALE)


def hash_examples(examples: Sequence[TrainingExample]) -> str:
    """SHA-256 over pixels and captions, in order."""
    digest = hashlib.sha256()
    for example in examples:
        digest.update(np.ascontiguousarray(example.picture).tobytes())
        digest.update(example.caption.encode() + b"\0")
        for one in example.variants:
            digest.update(f"{one.text}\0{one.share}\0".encode())
    return digest.hexdigest()


def resize(picture: np.ndarray, size: Size) -> np.ndarray:
    """Resize an RGB uint8 picture to (width, height).

    Halved by area averaging while it is over twice too large, then Lanczos: OpenCV's Lanczos alone
    skips pixels when it shrinks. Both keep centres on centres.
    """
    while picture.shape[1] >= 2 * size[0] and picture.shape[0] >= 2 * size[1]:
        half = (picture.shape[1] // 2, picture.shape[0] // 2)
        picture = cv2.resize(picture, half, interpolation=cv2.INTER_AREA)
    return cv2.resize(picture, size, interpolation=cv2.INTER_LANCZOS4)


def too_small(rows: Sequence[Mapping[str, Any]], size: ReadSize) -> str:
    """Why a trainer takes none of a set's pictures: the largest, and what to set."""
    side = math.isqrt(max(w * h for w, h in size.buckets))
    largest = max(math.isqrt(row["width_px"] * row["height_px"]) for row in rows)
    most = math.floor(largest * size.max_upscale)
    return (
        f"expected pictures that need not be enlarged more than {size.max_upscale:g} times for "
        f"training at {side} px, the largest is {largest} px; set models.resolution to {most} or "
        "less, or raise dataset.max_upscale"
    )


def fill(picture: np.ndarray, bucket: Size) -> np.ndarray:
    """Scale a picture until it fills a bucket, and cut what stands out evenly on both sides."""
    height, width = picture.shape[:2]
    scale = max(bucket[0] / width, bucket[1] / height)
    scaled = max(bucket[0], round(width * scale)), max(bucket[1], round(height * scale))
    picture = resize(picture, scaled) if scaled != (width, height) else picture
    x0, y0 = (scaled[0] - bucket[0]) // 2, (scaled[1] - bucket[1]) // 2
    return np.ascontiguousarray(picture[y0 : y0 + bucket[1], x0 : x0 + bucket[0]])


def measure_variety(
    pictures: Sequence[np.ndarray], rows: Sequence[dict[str, Any]], place: dict[str, str | None]
) -> dict[str, Any]:
    """Measure the variety of a training set.

    Parameters
    ----------
    pictures : sequence of np.ndarray, (h, w, 3), uint8
    rows : sequence of dict
        Rows of the table ``dataset``, in the same order.
    place : dict
        Scene cluster of each frame_id.

    Returns
    -------
    dict
        Counts by shot_size, shot, place and split; `nearest_distance`, the mean distance of each
        picture to its nearest neighbour (root mean square of 8x8 RGB thumbnails, in [0, 1]; null
        below two pictures); `max_upscale`.
    """
    return {
        "shot_size": dict(Counter(r["shot_size"] for r in rows)),
        "shot": {str(k): v for k, v in sorted(Counter(r["shot_index"] for r in rows).items())},
        "place": dict(Counter(place.get(r["frame_id"]) or "noise" for r in rows)),
        "split": dict(Counter(r["split"] for r in rows)),
        "nearest_distance": _nearest_distance(pictures),
        "max_upscale": max((r["upscale"] for r in rows), default=None),
    }


def _nearest_distance(pictures: Sequence[np.ndarray]) -> float | None:
    """Mean distance to the nearest other picture."""
    if len(pictures) < 2:
        return None
    size = (THUMBNAIL_PX, THUMBNAIL_PX)
    small = np.stack([cv2.resize(p, size, interpolation=cv2.INTER_AREA) for p in pictures])
    flat = small.reshape(len(small), -1).astype(np.float64) / 255
    square = (flat**2).sum(axis=1)
    distance = np.maximum(square[:, None] + square[None] - 2 * flat @ flat.T, 0) / flat.shape[1]
    np.fill_diagonal(distance, np.inf)
    return float(np.sqrt(distance.min(axis=1)).mean())


def _cut(cut: CropSource) -> tuple[np.ndarray | None, str]:
    """The crop's pixels, RGB, or why there are none."""
    x0, y0, x1, y1 = box_of(cut.crop.window)
    picture = cut.picture
    if picture is None:
        return None, cut.error or "picture not found"
    if picture.shape[0] < y1 or picture.shape[1] < x1:
        size = f"{picture.shape[1]} x {picture.shape[0]}"
        return None, f"expected a picture of at least {x1} x {y1} px, got {size}"
    return cv2.cvtColor(crop_box(picture, (x0, y0, x1, y1)), cv2.COLOR_BGR2RGB), ""


def _outline(crop: Crop, written: np.ndarray, least: float) -> mask.Cutout | None:
    """The mask of a written picture."""
    x0, y0, _, _ = box_of(crop.window)
    box = mask.figure_box(crop.view.box, crop.view.is_face)
    scale = crop.window.upscale
    left, top, right, bottom = ((v - o) * scale for v, o in zip(box, (x0, y0) * 2, strict=True))
    return mask.cut_out(written, (left, top, right, bottom), least)


def _write_png(path: Path, picture: np.ndarray) -> None:
    """Write an RGB or grey picture without loss."""
    path.parent.mkdir(exist_ok=True)
    if picture.ndim == 3:
        picture = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())


def _write_metadata(folder: Path, rows: Sequence[dict[str, Any]]) -> None:
    """What `datasets` reads beside the pictures."""
    lines = [
        {
            "file_name": Path(r["file"]).name,
            "text": r["caption"],
            "split": r["split"],
            "repeats": r["repeats"],
            **variant_columns(r),
        }
        for r in rows
    ]
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    (folder / "metadata.jsonl").write_text(text, encoding="utf-8", newline="\n")


def variant_columns(row: Mapping[str, Any]) -> dict[str, list]:
    """Columns ``texts`` and ``shares`` of ``metadata.jsonl``; none where there is one caption."""
    if not row.get("variant_captions"):
        return {}
    return {"texts": list(row["variant_captions"]), "shares": list(row["variant_shares"])}


def _row(cut: CropSource, file: str) -> dict[str, Any]:
    """One row of the table ``dataset``."""
    crop, view, window = cut.crop, cut.crop.view, cut.crop.window
    return {
        "image_id": crop.image_id,
        "character": view.character,
        "role": crop.role,
        "frame_id": view.frame_id,
        "subject_id": view.subject_id,
        "shot_index": view.shot_index,
        "file": file,
        "mask_file": None,
        "mask_quality": None,
        "x0_px": window.x0_px,
        "y0_px": window.y0_px,
        "x1_px": window.x1_px,
        "y1_px": window.y1_px,
        "width_px": window.size[0],
        "height_px": window.size[1],
        "upscale": window.upscale,
        "is_recovered": cut.is_recovered,
        "shot_size": window.shot_size,
        "pose": view.pose,
        "place": view.place,
        "light": view.light,
        "caption": crop.caption,
        "variant_captions": [one.text for one in crop.variants] or None,
        "variant_shares": [one.share for one in crop.variants] or None,
        "repeats": 1,
        "split": crop.split,
    }


def candidate_rows(
    views: Sequence[CharacterView],
    made: select.ViewSelection,
    failed: dict[str, str],
    rows: Sequence[dict[str, Any]],
) -> list[dict[str, Any]]:
    """Rows of table candidate; chosen is what came to be written.

    Parameters
    ----------
    failed : dict
        Error of each subject_id whose picture could not be made.
    rows : sequence of dict
        Of table dataset.
    """
    written = {row["subject_id"] for row in rows if row["role"] == "subject"}
    found = []
    for index, view in enumerate(views):
        verdict = made.verdicts[index]
        if not verdict.reason and view.subject_id not in written:
            verdict = candidate.CandidateVerdict(
                reason="unreadable", detail=failed.get(view.subject_id, "no picture was written")
            )
        gain = made.gains.get(index) if not verdict.reason else None
        found.append(candidate.to_row(view, verdict, gain))
    return found


def stage_note(
    character: str,
    views: Sequence[CharacterView],
    made: select.ViewSelection,
    written: WrittenDataset,
    max_upscale: float,
) -> str:
    """Say in one sentence what was chosen of a character's views, how large, and why not more."""
    own = [row for row in written.rows if row["role"] == "subject"]
    if not own:
        return f"{character}: 0 pictures of {len(views)} views, {_why_not(made) or 'none was cut'}"
    held = sum(row["split"] == split.HELD_OUT for row in own)
    num_chosen = len({row for row, _ in made.picked})
    pictures = f"{len(own)} {'picture' if len(own) == 1 else 'pictures'}"
    words = [f"{character}: {pictures} from {num_chosen} of {len(views)} views"]
    sizes = [(row["width_px"], row["height_px"]) for row in own]
    words.append(describe_sizes(sizes, max_upscale))
    by_hand = len(addition.added_rows(made))
    words += [f"{by_hand} of them added by hand"] if by_hand else []
    words.append(f"{held} held out")
    num_class = len(written.rows) - len(own)
    if num_class:
        words.append(f"{num_class} class pictures")
    if written.num_without_mask:
        words.append(f"no usable mask for {written.num_without_mask}")
    words += [why] if (why := _why_not(made)) else []
    return ", ".join(words)


def describe_sizes(sizes: Sequence[Size], max_upscale: float) -> str:
    """The pictures' sides, and how many are large enough to train at the usual resolutions.

    Examples
    --------
    >>> describe_sizes([(200, 200), (640, 480)], 2.0)
    '200 to 554 px (1 large enough for 512, 1 large enough for 1024)'
    """
    sides = [math.sqrt(width * height) for width, height in sizes]
    enough = []
    for side in cropping.READ_PX[1:]:
        if number := count_enough(sizes, side, max_upscale):
            enough.append(f"{number} large enough for {side}")
    low, high = round(min(sides)), round(max(sides))
    span = f"{low} px" if low == high else f"{low} to {high} px"
    return f"{span} ({', '.join(enough) or f'too small for {cropping.READ_PX[1]}'})"


def count_enough(sizes: Sequence[Size], side_px: int, max_upscale: float) -> int:
    """Number of pictures that training at a resolution does not enlarge too much."""
    read = ReadSize(buckets=cropping.sizes(side_px, BUCKET_PX), max_upscale=max_upscale)
    return sum(read.is_enough(*size) for size in sizes)


def _why_not(made: select.ViewSelection) -> str:
    """Why views were left out, the most frequent reasons first."""
    count = Counter(verdict.reason for verdict in made.verdicts if verdict.reason)
    words = ", ".join(f"{number} {why}" for why, number in count.most_common(3))
    return f"left out: {words}" if words else ""
