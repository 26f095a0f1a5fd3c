"""Exported data sets: their pictures, card and rights, written as one folder at once.

The Hugging Face imagefolder has ``train/`` and ``test/`` with ``metadata.jsonl``: `datasets` takes
the splits from the names of folders, and a column ``mask_file_name`` as pictures. Class pictures
are no split of the set: they lie in a configuration of their own.
"""

from __future__ import annotations

import fnmatch
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl

from bunny.core import atomic, file_hash, input_path, safe_path
from bunny.core.error import UserError
from bunny.dataset import crop, rights
from bunny.dataset.crop_caption import CaptionVariant
from bunny.dataset.image_folder import ReadSize
from bunny.dataset.rights import RightsRecord
from bunny.trainer_format.check import picture_file

MARKER_FILE = "export.json"  # says that a folder is an export, and which files are of it
MADE_BY = "diffusion-bunny"
# Files that trainers put into a set for themselves, by format, read at the commits that
# `check.load_rule` and `check.kohya_folder` name; musubi-tuner and SimpleTuner where our
# configuration tells them to.
CACHES = {
    "kohya": ("*.npz", "*/metadata_cache.json"),
    "musubi": ("/cache/*/*.safetensors",),
    "diffusion-pipe": ("/*/cache/*",),
    "ai-toolkit": (
        "*/_latent_cache/*",
        "*/_t_e_cache/*",
        "*/_clip_vision_cache/*",
        "*/.aitk_size.json",
    ),
    "simpletuner": ("/cache/vae/*", "/cache/text/*", "*/aspect_ratio_bucket_*.json"),
    "ltx": ("/.precomputed/*",),
}

# Columns that go along, with what stands for null: `datasets` refuses a column that is null in all
# rows of one split and text in another.
TEXTS = ("image_id", "frame_id", "shot_size", "pose", "place", "light")
MAX_LINES = 20  # of a file of captions
NUMBERS = ("shot_index", "width_px", "height_px", "repeats", "upscale")

CARD_FILE = "README.md"
LOADING = """## Loading

```python
datasets.load_dataset("imagefolder", data_dir=".")  # train and test
datasets.load_dataset("imagefolder", data_dir="class")  # class pictures, where there are any
```"""
SPLITS = {"train": "train", "test": "held-out"}  # folder: what it holds


def replace_folder(
    output: Path, form: str, write: Callable[[Path], Mapping[str, Any]]
) -> dict[str, Any]:
    """Let `write` fill a folder beside `output`, then give it the name.

    Parameters
    ----------
    output : Path
        Missing, empty, or an export of ours as it was written, see `check_output`.
    form : str
        Name of the format, for the mark.
    write : callable
        Gets the empty folder; gives what the mark shall say.

    Returns
    -------
    dict
        What the mark says.

    Raises
    ------
    UserError
        If `output` is a file, or holds what is not of an export or was edited since.
    """
    check_output(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = output.with_name(f".{output.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        said = {"made_by": MADE_BY, "format": form, **write(temporary)}
        files = {p.relative_to(temporary).as_posix(): p for p in _files(temporary)}
        hashes = {name: file_hash.hash_file(path) for name, path in files.items()}
        record = {**said, "files": list(files), "sha256": hashes}
        text = json.dumps(record, ensure_ascii=False, indent=1)
        (temporary / MARKER_FILE).write_text(text + "\n", encoding="utf-8", newline="\n")
        atomic.replace_folder(temporary, output)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return said


def list_sources(target: Path, pictures: Sequence[ExportPicture]) -> dict[str, str]:
    """The image_id of each picture file of an export, by its path in the folder.

    `bunny where` finds the frame by it when the training set has changed since.
    """
    ids = {file_hash.hash_file(one.file): str(one.columns["image_id"]) for one in pictures}
    kinds = {one.file.suffix.lower() for one in pictures}
    files = [path for path in _files(target) if path.suffix in kinds]
    known = {path: ids.get(file_hash.hash_file(path)) for path in files}
    return {path.relative_to(target).as_posix(): name for path, name in known.items() if name}


def check_output(output: Path) -> None:
    """Refuse to write over anything but an export of ours, and over edits of it.

    What its trainer keeps there for itself may go: it was made of the old files.

    Raises
    ------
    UserError
        If `output` is a file, holds what is not of an export, or an edited file.
    """
    input_path.check_output_folder(output.parent)
    if output.is_symlink() or (output.exists() and not output.is_dir()):
        raise UserError(
            f"{output}: expected a folder or a new path, found something else; choose "
            "another --output"
        )
    if not output.exists() or not any(output.iterdir()):
        return
    mark = read_marker(output)
    if mark is None:
        raise UserError(
            f"{output}: expected an empty folder or an earlier export, found other "
            "files; choose another --output"
        )
    own = {*mark["files"], MARKER_FILE}
    caches = CACHES.get(mark.get("format", ""), ())
    files = {p.relative_to(output).as_posix(): p for p in _files(output)}
    others = [name for name in files.keys() - own if not _is_made(name, caches)]
    if others:
        raise UserError(
            f"{output}: expected an earlier export only, found {len(others)} other "
            f"files ({min(others)}); move them or choose another --output"
        )
    hashes = mark.get("sha256", {})
    edited = [n for n, h in hashes.items() if n in files and file_hash.hash_file(files[n]) != h]
    if edited:
        raise UserError(
            f"{output}: expected the files as they were exported, found {len(edited)} edited since "
            f"({min(edited)}); choose another --output, or delete the folder to lose the edits"
        )


def _is_made(name: str, caches: Sequence[str]) -> bool:
    """Whether a file is a trainer's or a system's own, by its path in the export."""
    is_cache = any(fnmatch.fnmatchcase(f"/{name}", pattern) for pattern in caches)
    return is_cache or picture_file.JUNK.match(name.rpartition("/")[2]) is not None


def read_marker(folder: Path) -> dict[str, Any] | None:
    """Read the mark of an export by bunny; None for any other folder."""
    try:
        mark = json.loads((folder / MARKER_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    is_ours = isinstance(mark, dict) and mark.get("made_by") == MADE_BY
    return mark if is_ours and isinstance(mark.get("files"), list) else None


def copy_picture(
    one: ExportPicture, target: Path, index: int, lines: Sequence[str] | None = None
) -> None:
    """Write a picture and its caption, or several lines, of which the trainer draws one."""
    target.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(one.file, target / f"{index:04d}{one.file.suffix.lower()}")
    write_text(target / f"{index:04d}.txt", "\n".join(lines or [one.caption]))


def copy_mask(mask: Path | None, picture: Path, target: Path) -> None:
    """Write a picture's mask; all white, so that everything counts, where it has none."""
    if mask is not None:
        shutil.copyfile(mask, target)
        return
    image = cv2.imdecode(np.frombuffer(picture.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise UserError(f"{picture}: expected a picture, cannot read it; run stage dataset again")
    target.write_bytes(cv2.imencode(".png", np.full(image.shape[:2], 255, np.uint8))[1].tobytes())


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 with one newline at the end, the same on every system."""
    path.write_bytes((text + "\n").encode())


def _files(folder: Path) -> list[Path]:
    """All that is no folder, links too."""
    return sorted(p for p in folder.rglob("*") if p.is_symlink() or not p.is_dir())


@dataclass(frozen=True, kw_only=True)
class ExportPicture:
    """One picture of a set."""

    file: Path
    mask: Path | None = None  # white where the subject is
    caption: str
    variants: tuple[CaptionVariant, ...] = ()  # that training takes one of at a time
    is_class: bool = False  # the film without the character
    is_held_out: bool = False
    repeats: int = 1
    columns: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ExportInfo:
    """Facts that hold for the whole training set."""

    character: str
    trigger: str
    class_word: str
    rights: RightsRecord
    resolution_px: int
    step_px: int = 64
    batch_size: int = 1
    has_txt: bool = False  # a caption beside each picture though the format needs none
    has_jsonl: bool = False

    @property
    def subject(self) -> str:
        """Trigger and class, e.g. ``anna woman``."""
        return f"{self.trigger} {self.class_word}".strip()


def read_pictures(dataset: pl.DataFrame, film_dir: Path, character: str) -> list[ExportPicture]:
    """Pictures of one character's set, class pictures among them.

    Parameters
    ----------
    dataset : pl.DataFrame
        Table ``dataset``.
    film_dir : Path
        `file` and `mask_file` are relative to it.

    Returns
    -------
    list of ExportPicture
        Training pictures before held-out ones before class pictures, in the order of `image_id`.

    Raises
    ------
    UserError
        If the table names a file that is not there.
    """
    rows = dataset.filter(pl.col("character") == character).iter_rows(named=True)
    pictures = [_picture(row, film_dir) for row in rows]
    files = [p for one in pictures for p in (one.file, one.mask) if p is not None]
    gone = [p for p in files if not p.is_file()]
    if gone:
        raise UserError(
            f"training set of {character}: {len(gone)} of {len(files)} files are "
            f"missing (first: {gone[0].name}); run stage dataset again with --force"
        )
    return sorted(pictures, key=lambda p: (p.is_class, p.is_held_out, p.columns["image_id"]))


def with_repeats(pictures: Sequence[ExportPicture], repeats: int | None) -> list[ExportPicture]:
    """Give all pictures of the character the same repeats; None keeps those of the table."""
    from dataclasses import replace

    if repeats is None:
        return list(pictures)
    return [
        p if p.is_class else replace(p, repeats=repeats, columns={**p.columns, "repeats": repeats})
        for p in pictures
    ]


def split_pictures(pictures: Sequence[ExportPicture]) -> dict[str, list[ExportPicture]]:
    """Sort pictures into ``train``, ``test`` (held out) and ``class``, each in their order."""
    return {
        "train": [p for p in pictures if not p.is_class and not p.is_held_out],
        "test": [p for p in pictures if not p.is_class and p.is_held_out],
        "class": [p for p in pictures if p.is_class],
    }


def variant_columns(
    one: ExportPicture, pictures: Sequence[ExportPicture]
) -> dict[str, list[str] | list[float]]:
    """Columns ``texts`` and ``shares`` of a picture, where any of the set has several captions."""
    if not any(picture.variants for picture in pictures):
        return {}
    return {
        "texts": [variant.text for variant in one.variants] or [one.caption],
        "shares": [round(variant.share, 4) for variant in one.variants] or [1.0],
    }


def caption_lines(one: ExportPicture) -> list[str]:
    """Captions for a trainer that draws a line of a file: each as often as its share asks for.

    Examples
    --------
    >>> variants = (CaptionVariant(text="a", share=0.25), CaptionVariant(text="b", share=0.75))
    >>> caption_lines(ExportPicture(file=Path("a.png"), caption="c", variants=variants))
    ['b', 'b', 'b', 'a']
    """
    shares = [variant.share for variant in one.variants]
    fewest = next(
        (n for n in range(1, MAX_LINES) if all(abs(n * s - round(n * s)) < 0.02 for s in shares)),
        MAX_LINES,
    )
    ordered = sorted(one.variants, key=lambda variant: -variant.share)
    lines = [v.text for v in ordered for _ in range(max(1, round(fewest * v.share)))]
    return lines or [one.caption]


LADDER_PX = (1024, 768, 512, 384, 256, 192, 128, 64)  # sides that sets are trained at


def is_enough(one: ExportPicture, size: ReadSize) -> bool:
    """Whether a trainer need not enlarge a picture too much."""
    return size.is_enough(one.columns["width_px"], one.columns["height_px"])


def read_size(side_px: int, step_px: int, max_upscale: float) -> ReadSize:
    """The buckets of a trainer's resolution."""
    return ReadSize(buckets=crop.sizes(side_px, step_px), max_upscale=max_upscale)


def best_resolution(
    pictures: Sequence[ExportPicture], max_upscale: float, step_px: int = 64
) -> int:
    """The largest usual side for which half of the training pictures are large enough.

    Examples
    --------
    >>> size = {"width_px": 448, "height_px": 576}
    >>> one = ExportPicture(file=Path("a.png"), caption="", columns=size)
    >>> best_resolution([one], 2.0), best_resolution([one], 1.0)
    (1024, 512)
    """
    train = [one for one in pictures if not one.is_class and not one.is_held_out]
    return next(
        (
            side
            for side in LADDER_PX
            if 2 * sum(is_enough(one, read_size(side, step_px, max_upscale)) for one in train)
            >= len(train)
        ),
        step_px,
    )


def toml_lines(values: Mapping[str, object]) -> list[str]:
    """A table of TOML, a key and its value a line.

    JSON's strings, numbers, lists and booleans are TOML's too; a TOML writer would lose the
    comments of our files and break each list into lines.
    """
    texts = {key: json.dumps(value, ensure_ascii=False) for key, value in values.items()}
    return [f"{key} = {text}".replace("\x7f", "\\u007f") for key, text in texts.items()]


def to_json(row: Mapping[str, Any]) -> str:
    """One line of ``metadata.jsonl``."""
    return json.dumps(row, ensure_ascii=False)


def _picture(row: Mapping[str, Any], film_dir: Path) -> ExportPicture:
    """One row of the table."""
    return ExportPicture(
        file=safe_path.join(film_dir, row["file"]),
        mask=safe_path.join(film_dir, row["mask_file"]) if row.get("mask_file") else None,
        caption=" ".join(row["caption"].split()),
        variants=tuple(
            CaptionVariant(text=" ".join(text.split()), share=share)
            for text, share in zip(
                row.get("variant_captions") or (), row.get("variant_shares") or (), strict=True
            )
        ),
        is_class=row.get("role") == "class",
        is_held_out=row["split"] == "held-out",
        repeats=row["repeats"],
        columns={
            **{name: row.get(name) or "" for name in TEXTS},
            **{name: row[name] for name in NUMBERS[:-1]},
            "upscale": round(float(row["upscale"]), 4),
        },
    )


def write_card(
    target: Path, about: ExportInfo, counts: Mapping[str, int], loading: str, more: str
) -> None:
    """Write ``rights.json`` and ``README.md``.

    Parameters
    ----------
    counts : mapping
        Pictures by split.
    loading : str
        How the set is loaded, in Markdown.
    more : str
        Further lines of the card's YAML; empty for none.
    """
    record = json.dumps(about.rights, ensure_ascii=False, indent=1)
    write_text(target / rights.FILE, record)
    matter = [rights.to_front_matter(about.rights), *([more] if more else [])]
    rows = [f"| {split} | {count} |" for split, count in counts.items()]
    parts = [
        "\n".join(["---", *matter, "---"]),
        f"# Pictures of {' '.join(about.character.split())}",
        f"A training set for one character, made by Diffusion Bunny. The captions call it "
        f"`{about.subject}`.",
        "\n".join(["| split | pictures |", "|---|---|", *rows]),
        loading,
        "## Rights",
        rights.to_text(about.rights),
    ]
    write_text(target / CARD_FILE, "\n\n".join(parts))


def write_imagefolder(
    target: Path, pictures: Sequence[ExportPicture], about: ExportInfo
) -> dict[str, int]:
    """Fill an empty folder with a set.

    Returns
    -------
    dict
        Pictures in ``train``, ``test`` and ``class``.
    """
    has_masks = any(p.mask is not None for p in pictures if not p.is_class)
    parts = split_pictures(pictures)
    counts = {}
    for name, part in parts.items():
        counts[name] = len(part)
        if part:
            like = part if name == "class" else pictures
            _write_part(target / name, part, about, has_masks and name != "class", like)
    write_card(target, about, counts, LOADING, _configurations(counts))
    return counts


def _write_part(
    target: Path,
    pictures: Sequence[ExportPicture],
    about: ExportInfo,
    has_masks: bool,
    every: Sequence[ExportPicture],
) -> None:
    """Pictures, masks, captions and metadata of one split, with the columns of them all."""
    (target / "mask" if has_masks else target).mkdir(parents=True)
    lines = []
    for index, one in enumerate(pictures):
        name = f"{index:04d}{one.file.suffix.lower()}"
        shutil.copyfile(one.file, target / name)
        row = {"file_name": name, "text": one.caption, **variant_columns(one, every)}
        if has_masks:
            row["mask_file_name"] = f"mask/{index:04d}.png"
            copy_mask(one.mask, one.file, target / row["mask_file_name"])
        if about.has_txt:
            write_text(target / f"{index:04d}.txt", one.caption)
        lines.append(to_json({**row, "character": about.character, **one.columns}))
    write_text(target / "metadata.jsonl", "\n".join(lines))


def _configurations(counts: dict[str, int]) -> str:
    """The splits as the hub reads them from the card."""
    lines = ["configs:", "- config_name: default", "  data_files:"]
    for split in ("train", "test"):
        if counts[split]:
            lines += [f"  - split: {split}", f"    path: {split}/**"]
    if counts["class"]:
        lines += ["- config_name: class", "  data_files:", "  - split: train"]
        lines += ["    path: class/**"]
    return "\n".join(lines)
