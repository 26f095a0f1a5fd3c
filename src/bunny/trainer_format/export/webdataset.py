"""WebDataset: tar shards ``<split>/set-000000.tar`` of ``key.png``, ``key.txt``, ``key.json``.

The same set gives the same bytes: no time, user or order of the file system gets in.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from bunny.trainer_format.export import folder
from bunny.trainer_format.export.folder import ExportInfo, ExportPicture

SHARD_BYTES = 256 << 20
BLOCK = tarfile.BLOCKSIZE
LOADING = """## Loading

```python
datasets.load_dataset("webdataset", data_dir=".")  # train and test
datasets.load_dataset("webdataset", data_dir="class")  # class pictures, where there are any
webdataset.WebDataset("train/set-000000.tar").decode("pil").to_tuple("png", "txt")
```"""


def write(
    target: Path,
    pictures: Sequence[ExportPicture],
    about: ExportInfo,
    shard_bytes: int = SHARD_BYTES,
) -> dict[str, int]:
    """Fill an empty folder with a set.

    Parameters
    ----------
    shard_bytes : int
        No shard is larger, but for one that a single picture fills.

    Returns
    -------
    dict
        Pictures in ``train``, ``test`` and ``class``.
    """
    has_masks = any(p.mask is not None for p in pictures if not p.is_class)
    parts = folder.split_pictures(pictures)
    for name, part in parts.items():
        if part:
            (target / name).mkdir()
            samples = _samples(part, about, has_masks and name != "class", target)
            _write_shards(target / name, samples, shard_bytes)
    counts = {name: len(part) for name, part in parts.items()}
    folder.write_card(target, about, counts, LOADING, "")
    return counts


def _samples(
    pictures: Sequence[ExportPicture], about: ExportInfo, has_masks: bool, scratch: Path
) -> Iterator[list[tuple[str, bytes]]]:
    """Names and contents of each sample's files."""
    for index, one in enumerate(pictures):
        key = f"{index:06d}"
        more = folder.variant_columns(one, pictures)
        row = {"character": about.character, **one.columns, **more}
        sample = [
            (f"{key}{one.file.suffix.lower()}", one.file.read_bytes()),
            (f"{key}.txt", one.caption.encode()),
            (f"{key}.json", folder.to_json(row).encode()),
        ]
        if has_masks:
            mask = scratch / ".mask.png"
            folder.copy_mask(one.mask, one.file, mask)
            sample.append((f"{key}.mask.png", mask.read_bytes()))
            mask.unlink()
        yield sample


def _write_shards(
    target: Path, samples: Iterator[list[tuple[str, bytes]]], shard_bytes: int
) -> None:
    """Fill shards one after the other."""
    shard: list[tuple[str, bytes]] = []
    size, number = 0, 0
    for sample in samples:
        length = sum(BLOCK + -(-len(data) // BLOCK) * BLOCK for _, data in sample)
        if shard and _tar_bytes(size + length) > shard_bytes:
            _write_tar(target / f"set-{number:06d}.tar", shard)
            shard, size, number = [], 0, number + 1
        shard += sample
        size += length
    _write_tar(target / f"set-{number:06d}.tar", shard)


def _tar_bytes(size: int) -> int:
    """A tar ends with two empty blocks and is filled up to whole records."""
    return -(-(size + 2 * BLOCK) // tarfile.RECORDSIZE) * tarfile.RECORDSIZE


def _write_tar(path: Path, files: Sequence[tuple[str, bytes]]) -> None:
    """A tar of plain files without owner or time."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o644
            tar.addfile(info, io.BytesIO(data))
