"""kohya's sd-scripts: ``img/<repeats>_<trigger> <class>/`` with ``.txt``, ``reg/``, ``mask/``.

The same folders are named in ``dataset.toml``, which also knows the held-out pictures: folders
alone cannot say that. Masks need a configuration of their own, because a data set in which all has
``conditioning_data_dir`` is of another kind, which knows no ``is_reg``: class pictures are a data
set beside it, each seen once an epoch (``library/config_util.py`` of kohya-ss/sd-scripts 48d368f).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bunny.trainer_format.check import kohya_folder
from bunny.trainer_format.export import folder
from bunny.trainer_format.export.folder import ExportInfo, ExportPicture

MASKED_CONFIG = "dataset_masked.toml"
LOADING = """## Loading

In this folder: `accelerate launch .../train_network.py --dataset_config dataset.toml ...`, or
without the held-out pictures `--train_data_dir img --reg_data_dir reg --caption_extension .txt
--enable_bucket`; the resolution and the buckets' sides are in `dataset.toml`. Where there is a
folder `mask`: `--dataset_config dataset_masked.toml --masked_loss`. Where pictures have several
captions, `dataset.toml` has `enable_wildcard`: each line of a `.txt` is one of them, as often as
its share asks for; without it sd-scripts reads the first line alone."""


def write(target: Path, pictures: Sequence[ExportPicture], about: ExportInfo) -> dict[str, int]:
    """Fill an empty folder with a set.

    Returns
    -------
    dict
        Pictures in ``img``, ``val`` and ``reg``.
    """
    train, held_out, others = folder.split_pictures(pictures).values()
    has_masks = any(p.mask is not None for p in train)
    folders = []
    for index, one in enumerate(train):
        name = kohya_folder.folder_name(one.repeats, about.subject)
        folders.append(name)
        folder.copy_picture(one, target / "img" / name, index, folder.caption_lines(one))
        if has_masks:
            (target / "mask" / name).mkdir(parents=True, exist_ok=True)
            folder.copy_mask(one.mask, one.file, target / "mask" / name / f"{index:04d}.png")
    for index, one in enumerate(held_out):
        folder.copy_picture(one, target / "val", index)
    class_folder = kohya_folder.folder_name(1, about.class_word or "class")
    for index, one in enumerate(others):
        folder.copy_picture(one, target / "reg" / class_folder, index)
    if about.has_jsonl:
        _write_jsonl(target, train, folders)
    names = sorted(set(folders))
    reg = [class_folder] if others else []
    has_lines = any(one.variants for one in train)
    text = _config(about, names, reg, bool(held_out), has_lines=has_lines)
    folder.write_text(target / kohya_folder.CONFIG, text)
    if has_masks:
        folder.write_text(
            target / MASKED_CONFIG, _config(about, names, reg, bool(held_out), "mask", has_lines)
        )
    counts = {"img": len(train), "val": len(held_out), "reg": len(others)}
    folder.write_card(target, about, counts, LOADING, "")
    return counts


def _write_jsonl(target: Path, train: Sequence[ExportPicture], folders: Sequence[str]) -> None:
    """Captions once more in one file, for other readers; sd-scripts does not look at it."""
    rows = (
        {"file_name": f"img/{name}/{index:04d}{one.file.suffix.lower()}", "text": one.caption}
        | folder.variant_columns(one, train)
        for index, (one, name) in enumerate(zip(train, folders, strict=True))
    )
    folder.write_text(target / "metadata.jsonl", "\n".join(folder.to_json(r) for r in rows))


def _config(
    about: ExportInfo,
    folders: Sequence[str],
    reg: Sequence[str],
    has_val: bool,
    masks: str = "",
    has_lines: bool = False,
) -> str:
    """A ``dataset.toml``; paths are relative to the folder in which sd-scripts is started."""
    least, most = kohya_folder.bucket_range(about.resolution_px, about.step_px)
    general: dict[str, object] = {"caption_extension": ".txt"}
    if has_lines:  # each time a picture is seen, a line of its captions is drawn
        general["enable_wildcard"] = True
    general |= {
        "enable_bucket": True,
        "resolution": about.resolution_px,
        "min_bucket_reso": least,
        "max_bucket_reso": most,
        "bucket_reso_steps": about.step_px,
    }
    lines = [
        "# Run sd-scripts in this folder: the paths are relative to it.",
        "[general]",
        *folder.toml_lines(general),
        "",
        "[[datasets]]",
        *folder.toml_lines({"batch_size": about.batch_size}),
    ]
    for name in folders:
        repeats, tokens = kohya_folder.parse_folder(name) or (1, "")
        words = {"conditioning_data_dir": f"{masks}/{name}"} if masks else {"class_tokens": tokens}
        lines += _subset(f"img/{name}", {"num_repeats": repeats, **words})
    if masks and reg:
        lines += ["", "[[datasets]]", *folder.toml_lines({"batch_size": about.batch_size})]
    for name in reg:
        words = {} if masks else {"is_reg": True}
        lines += _subset(f"reg/{name}", {**words, "class_tokens": name[2:]})
    if has_val:
        lines += [
            "",
            (
                "# Held-out pictures; remove this block for versions of sd-scripts without "
                "validation_split."
            ),
        ]
        lines += ["[[datasets]]", "batch_size = 1", "validation_split = 1.0"]
        lines += _subset("val", {"class_tokens": about.subject})
    return "\n".join(lines)


def _subset(image_dir: str, extra: Mapping[str, object]) -> list[str]:
    """One folder of pictures."""
    return ["", "[[datasets.subsets]]", *folder.toml_lines({"image_dir": image_dir, **extra})]
