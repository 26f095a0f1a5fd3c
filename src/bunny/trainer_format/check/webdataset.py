"""Shards of a WebDataset, laid out as the imagefolder that Hugging Face `datasets` makes of them.

Files of a shard belong together by their name up to the first dot, as in the ``webdataset`` module
of `datasets` 5; of these a picture and ``.txt`` are read. Shards outside the folders of splits are
for training.
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path, PurePosixPath

from bunny.trainer_format.check.finding import Finding
from bunny.trainer_format.check.picture_file import METADATA, PICTURES, STOPS

SPLITS = ("train", "test", "validation", "class")


def find_shards(folder: Path) -> list[Path]:
    """Find the shards of a folder and of the folders of its splits, in order."""
    return sorted(p for home in (folder, *(folder / s for s in SPLITS)) for p in home.glob("*.tar"))


def unpack(folder: Path, target: Path) -> list[Finding]:
    """Write the pictures of all shards with their captions as an imagefolder.

    Parameters
    ----------
    target : Path
        Gets ``<split>/<shard>/<name>`` and a ``metadata.jsonl`` for each split.

    Returns
    -------
    list of Finding
        Shards that cannot be read.
    """
    lines: dict[str, list[str]] = {}
    damaged = []
    for shard in find_shards(folder):
        split = shard.parent.name if shard.parent != folder else SPLITS[0]
        try:
            lines.setdefault(split, []).extend(_unpack_shard(shard, target / split / shard.stem))
        except (OSError, tarfile.TarError, UnicodeDecodeError) as error:
            reason = f"cannot be read ({' '.join(str(error).split())[:80]})"
            name = shard.relative_to(folder).as_posix()
            damaged.append(Finding(file=name, effect=STOPS, reason=reason))
    for split, rows in lines.items():
        if rows:
            (target / split / METADATA[0]).write_bytes("\n".join(rows).encode())
    return damaged


def _unpack_shard(shard: Path, target: Path) -> list[str]:
    """Write the pictures of a shard; gives a line of metadata for each."""
    pictures: dict[str, str] = {}
    captions: dict[str, str] = {}
    target.mkdir(parents=True)
    with tarfile.open(shard) as tar:
        for member in tar:
            name = PurePosixPath(member.name)
            key, _, extension = name.name.partition(".")
            file = tar.extractfile(member) if member.isfile() else None
            if file is None:
                continue
            if f".{extension.lower()}" in PICTURES:
                pictures[f"{name.parent}/{key}"] = f"{len(pictures):06d}-{key}.{extension}"
                (target / pictures[f"{name.parent}/{key}"]).write_bytes(file.read())
            elif extension == "txt":
                captions[f"{name.parent}/{key}"] = file.read().decode()
    rows = (
        {"file_name": f"{target.name}/{file}", "text": captions.get(key)}
        for key, file in pictures.items()
    )
    return [json.dumps(row) for row in rows]
