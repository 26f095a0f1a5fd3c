"""OneTrainer: a folder for each concept, with ``.txt`` and ``-masklabel.png`` beside the pictures.

Read in ``modules/dataLoader/mixin/DataLoaderText2ImageMixin.py`` of Nerogar/OneTrainer 23df383: a
picture without a mask counts whole, and of several lines of a caption one is drawn each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bunny.trainer_format.export import folder
from bunny.trainer_format.export.folder import ExportInfo, ExportPicture

LOADING = """## Loading

Each folder is a concept of OneTrainer with `Prompt Source: From text file per sample`:
`train/<repeats>`, whose balancing is its name, as repeats; `validation` of the type `Validation`;
`class`, the film without the character. Where files end with `-masklabel.png`, switch on masked
training."""


def write(target: Path, pictures: Sequence[ExportPicture], about: ExportInfo) -> dict[str, int]:
    """Fill an empty folder with a set.

    Returns
    -------
    dict
        Pictures in ``train``, ``validation`` and ``class``.
    """
    train, held_out, others = folder.split_pictures(pictures).values()
    parts = {"train": train, "validation": held_out, "class": others}
    for name, part in parts.items():
        for index, one in enumerate(part):
            home = target / name / (str(one.repeats) if name == "train" else "")
            folder.copy_picture(one, home, index, folder.caption_lines(one))
            if one.mask is not None and name != "class":
                folder.copy_mask(one.mask, one.file, home / f"{index:04d}-masklabel.png")
    counts = {name: len(part) for name, part in parts.items()}
    folder.write_card(target, about, counts, LOADING, "")
    return counts
