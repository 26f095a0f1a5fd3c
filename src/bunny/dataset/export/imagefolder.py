"""Hugging Face imagefolder: ``train/`` and ``test/`` with ``metadata.jsonl``, ``class/`` beside.

`datasets` takes the splits from the names of folders, and a column ``mask_file_name`` as pictures.
Class pictures are no split of the set: they lie in a configuration of their own.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from bunny.dataset.export import folder
from bunny.dataset.export.folder import ExportInfo, ExportPicture

LOADING = """## Loading

```python
datasets.load_dataset("imagefolder", data_dir=".")  # train and test
datasets.load_dataset("imagefolder", data_dir="class")  # class pictures, where there are any
```"""
SPLITS = {"train": "train", "test": "held-out"}  # folder: what it holds


def write(target: Path, pictures: Sequence[ExportPicture], about: ExportInfo) -> dict[str, int]:
    """Fill an empty folder with a set.

    Parameters
    ----------
    target : Path
    pictures : sequence of ExportPicture
    about : ExportInfo

    Returns
    -------
    dict
        Pictures in ``train``, ``test`` and ``class``.
    """
    has_masks = any(p.mask is not None for p in pictures if not p.is_class)
    parts = folder.split_pictures(pictures)
    counts = {}
    for name, part in parts.items():
        counts[name] = len(part)
        if part:
            _write_part(target / name, part, about, has_masks and name != "class")
    folder.write_card(target, about, counts, LOADING, _configurations(counts))
    return counts


def _write_part(
    target: Path, pictures: Sequence[ExportPicture], about: ExportInfo, has_masks: bool
) -> None:
    """Pictures, masks, captions and metadata of one split."""
    (target / "mask" if has_masks else target).mkdir(parents=True)
    lines = []
    for index, one in enumerate(pictures):
        name = f"{index:04d}{one.file.suffix.lower()}"
        shutil.copyfile(one.file, target / name)
        row = {"file_name": name, "text": one.caption}
        if has_masks:
            row["mask_file_name"] = f"mask/{index:04d}.png"
            folder.copy_mask(one.mask, one.file, target / row["mask_file_name"])
        if about.has_txt:
            folder.write_text(target / f"{index:04d}.txt", one.caption)
        lines.append(folder.to_json({**row, "character": about.character, **one.columns}))
    folder.write_text(target / "metadata.jsonl", "\n".join(lines))


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
