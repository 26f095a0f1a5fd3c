"""Configuration files of other trainers for a folder of clips, stills or pairs.

Each function gives the files by name, for clips at the rate of the model that is trained. Paths are
absolute where the trainer looks them up from the folder that it is started in (musubi-tuner,
diffusion-pipe, ai-toolkit, SimpleTuner, finetrainers), relative where it looks from the metadata
file (DiffSynth-Studio, LTX-2).
"""

from __future__ import annotations

import csv
import io
import json
import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from bunny.core.error import UserError
from bunny.trainer_format.export import folder
from bunny.trainer_format.export.media import CLIP, EDIT, OF_CLIP, PAIR, STILL, MediaFolder

CACHE = "cache"  # the trainers' own files go there, out of the way of the media

Files = Mapping[str, str]  # text by path from the export's folder


def _write_musubi(folders: Sequence[MediaFolder], place: Path) -> Files:
    """``dataset.toml``; pairs stand in JSON lines, since a directory takes one control folder."""
    files = {}
    lines = ["[general]", 'caption_extension = ".txt"', "batch_size = 1", "enable_bucket = true"]
    for one in folders:
        own: dict[str, Any] = {"resolution": [one.width_px, one.height_px]}
        if one.kind == CLIP:
            own["video_directory"] = _inside(place, one.path)
            own |= {"target_frames": [one.num_frames], "frame_extraction": "head"}
        elif one.kind == STILL:
            own["image_directory"] = _inside(place, one.path)
        else:
            name = f"{one.name}.jsonl"
            files[name] = _json_lines(_musubi_pairs(one, place))
            own |= {"image_jsonl_file": _inside(place, name), "no_resize_control": True}
        own["cache_directory"] = _inside(place, f"{CACHE}/{one.name}")
        lines += ["", "[[datasets]]", *folder.toml_lines(own)]
    return {"dataset.toml": "\n".join(lines), **files}


def _write_diffusion_pipe(folders: Sequence[MediaFolder], place: Path) -> Files:
    """``dataset.toml`` with a size and a length for each directory."""
    lines = ["resolutions = [512]", "enable_ar_bucket = true"]
    for one in folders:
        own: dict[str, Any] = {
            "path": _inside(place, one.path),
            "size_buckets": [[one.width_px, one.height_px, one.num_frames]],
        }
        if one.kind == PAIR:
            own["control_path"] = _inside(place, one.control_paths[0])
        lines += ["", "[[directory]]", *folder.toml_lines(own)]
    return {"dataset.toml": "\n".join(lines)}


def _write_ai_toolkit(folders: Sequence[MediaFolder], place: Path) -> Files:
    """``datasets.yaml``: the list that goes under ``datasets`` of a job."""
    entries = []
    for one in folders:
        own: dict[str, Any] = {
            "folder_path": _inside(place, one.path),
            "caption_ext": "txt",
            "resolution": math.ceil(math.sqrt(one.width_px * one.height_px)),
            "num_frames": one.num_frames,
        }
        if one.kind == CLIP:
            own |= {"fps": int(one.fps), "shrink_video_to_frames": True}
        if one.kind == PAIR:
            own["control_path"] = [_inside(place, path) for path in one.control_paths]
        entries.append(own)
    return {"datasets.yaml": yaml.safe_dump({"datasets": entries}, sort_keys=False).rstrip()}


def _write_simpletuner(folders: Sequence[MediaFolder], place: Path) -> Files:
    """``multidatabackend.json``; references are data sets of their own, by the same file names."""
    entries: list[dict[str, Any]] = []
    for one in folders:
        base = {
            "type": "local",
            "crop": False,
            "resolution": min(one.width_px, one.height_px),
            "resolution_type": "pixel",
            "minimum_image_size": 0,
        }
        own = {
            "id": one.name,
            "dataset_type": "video" if one.kind == CLIP else "image",
            "instance_data_dir": _inside(place, one.path),
            **base,
            "caption_strategy": "textfile",
            "cache_dir_vae": _inside(place, f"{CACHE}/vae/{one.name}"),
        }
        if one.kind == CLIP:
            frames = one.num_frames
            own["video"] = {"num_frames": frames, "min_frames": frames, "is_i2v": False}
        entries.append(own)
        if one.kind == PAIR:
            own["conditioning_data"] = [_id(path) for path in one.control_paths]
            entries += [_simpletuner_control(one, path, base, place) for path in one.control_paths]
    texts = {"id": "text", "type": "local", "dataset_type": "text_embeds", "default": True}
    entries.append({**texts, "cache_dir": _inside(place, f"{CACHE}/text")})
    return {"multidatabackend.json": json.dumps(entries, indent=1, ensure_ascii=False)}


def _write_diffsynth(folders: Sequence[MediaFolder], place: Path) -> Files:
    """``metadata.csv`` of clips and stills, or ``metadata.json`` of pairs, and the arguments."""
    base = ["--dataset_base_path", place.as_posix(), "--dataset_metadata_path"]
    pixels = str(max((one.width_px * one.height_px for one in folders), default=0))
    if any(one.pair_kind == OF_CLIP for one in folders):
        frames = str(max(one.num_frames for one in folders))
        more = ["--data_file_keys", "video,vace_reference_image", "--num_frames", frames]
        more += ["--extra_inputs", "vace_reference_image", "--max_pixels", pixels]
        rows = [(path, controls[0], text) for path, text, controls in _each_pair(folders)]
        text = _csv(["video", "vace_reference_image", "prompt"], rows)
        arguments = [*base, _inside(place, "metadata.csv"), *more]
        return {"metadata.csv": text, "arguments.txt": _arguments(arguments)}
    if any(one.kind == PAIR for one in folders):
        rows = [
            {"image": path, "edit_image": list(controls), "prompt": caption}
            for path, caption, controls in _each_pair(folders)
        ]
        more = ["--data_file_keys", "image,edit_image", "--extra_inputs", "edit_image"]
        more += ["--max_pixels", pixels]
        arguments = [*base, _inside(place, "metadata.json"), *more]
        text = json.dumps(rows, indent=1, ensure_ascii=False)
        return {"metadata.json": text, "arguments.txt": _arguments(arguments)}
    frames = str(max((one.num_frames for one in folders), default=1))
    more = ["--data_file_keys", "video", "--num_frames", frames, "--max_pixels", pixels]
    arguments = [*base, _inside(place, "metadata.csv"), *more]
    text = _csv(["video", "prompt"], _each_file(folders))
    return {"metadata.csv": text, "arguments.txt": _arguments(arguments)}


def _write_ltx(folders: Sequence[MediaFolder], place: Path) -> Files:
    """``dataset.json`` and the buckets for LTX-2's ``process_dataset.py``."""
    if any(one.kind == PAIR for one in folders):
        rows = [
            {"video": path, "reference_video": controls[0], "caption": caption}
            for path, caption, controls in _each_pair(folders)
        ]
    else:
        rows = [{"video": path, "caption": caption} for path, caption in _each_file(folders)]
    sizes = dict.fromkeys(f"{o.width_px}x{o.height_px}x{o.num_frames}" for o in folders)
    arguments = [_inside(place, "dataset.json"), "--resolution-buckets", ";".join(sizes)]
    return {
        "dataset.json": json.dumps(rows, indent=1, ensure_ascii=False),
        "arguments.txt": _arguments(arguments),
    }


def _write_finetrainers(folders: Sequence[MediaFolder], place: Path) -> Files:
    """``training.json``, for ``--dataset_config``; its ``resize_crop`` fails on pictures."""
    entries = []
    for one in folders:
        kind = "video" if one.kind == CLIP else "image"
        size = [one.height_px, one.width_px]
        buckets = [[one.num_frames, *size]] if one.kind == CLIP else [size]
        entries.append(
            {
                "data_root": _inside(place, one.path),
                "dataset_type": kind,
                f"{kind}_resolution_buckets": buckets,
                "reshape_mode": "resize_crop" if one.kind == CLIP else "bicubic",
            }
        )
    return {"training.json": json.dumps({"datasets": entries}, indent=1, ensure_ascii=False)}


WRITERS: dict[str, Callable[[Sequence[MediaFolder], Path], Files]] = {
    "musubi": _write_musubi,
    "diffusion-pipe": _write_diffusion_pipe,
    "ai-toolkit": _write_ai_toolkit,
    "simpletuner": _write_simpletuner,
    "diffsynth": _write_diffsynth,
    "ltx": _write_ltx,
    "finetrainers": _write_finetrainers,
}
# Video models of `clip.preset.FORM` that each trainer trains, by the commits that `check.load_rule`
# names: musubi-tuner has no LTX and no VAE of Wan 2.2's 5B, DiffSynth-Studio and ai-toolkit have no
# HunyuanVideo, finetrainers is older than Wan 2.2, LTX-2's trainer knows LTX alone.
MODELS = {
    "musubi": ("wan", "hunyuan"),
    "diffusion-pipe": ("wan", "wan-5b", "hunyuan", "ltx"),
    "ai-toolkit": ("wan", "wan-5b", "ltx"),
    "simpletuner": ("wan", "wan-5b", "hunyuan", "ltx"),
    "diffsynth": ("wan", "wan-5b", "ltx"),
    "ltx": ("ltx",),
    "finetrainers": ("wan", "hunyuan", "ltx"),
}
# References that a trainer takes for a target; 0: it takes no pairs from folders.
MAX_REFERENCES = {
    "musubi": 4,
    "diffusion-pipe": 1,
    "ai-toolkit": 3,
    "simpletuner": 4,
    "diffsynth": 4,
    "ltx": 1,
    "finetrainers": 0,
}
MAX_OF_CLIP = {"diffsynth": 1}  # references of a clip: Wan VACE's `vace_reference_image`


def check_model(form: str, model: str) -> None:
    """Refuse a model that a trainer does not train.

    Raises
    ------
    UserError
    """
    known = MODELS[form]
    if model not in known:
        trainers = ", ".join(name for name, models in MODELS.items() if model in models)
        raise UserError(
            f"--model: expected a model that {form} trains ({', '.join(known)}), got {model}; "
            f"choose one, or a trainer of {model} as --format ({trainers})"
        )


def _musubi_pairs(one: MediaFolder, place: Path) -> list[dict[str, str]]:
    """Lines of the JSON that names targets and their references."""
    return [
        {
            "image_path": _inside(place, path),
            **{f"control_path_{i}": _inside(place, p) for i, p in enumerate(controls)},
            "caption": caption,
        }
        for path, caption, controls in _each_pair([one])
    ]


def _simpletuner_control(
    one: MediaFolder, path: str, base: Mapping[str, Any], place: Path
) -> dict[str, Any]:
    """The data set of one reference of each pair; edits are aligned, references are not."""
    return {
        "id": _id(path),
        "dataset_type": "conditioning",
        "conditioning_type": "reference_strict" if one.pair_kind == EDIT else "reference_loose",
        "source_dataset_id": one.name,
        "instance_data_dir": _inside(place, path),
        **base,
        "cache_dir_vae": _inside(place, f"{CACHE}/vae/{_id(path)}"),
    }


def _each_file(folders: Sequence[MediaFolder]) -> list[tuple[str, str]]:
    """Path and caption of each file."""
    return [
        (f"{one.path}/{file}", caption)
        for one in folders
        for file, caption in zip(one.files, one.captions, strict=True)
    ]


def _each_pair(folders: Sequence[MediaFolder]) -> list[tuple[str, str, tuple[str, ...]]]:
    """Path, instruction and references of each target."""
    return [
        (f"{one.path}/{file}", caption, controls)
        for one in folders
        for file, caption, controls in zip(one.files, one.captions, one.controls, strict=True)
    ]


def _id(path: str) -> str:
    return path.replace("/", "-")


def _inside(place: Path, path: str) -> str:
    """A file or folder of the export, absolute, with `/`."""
    return (place / path).as_posix()


def _json_lines(rows: Sequence[Mapping[str, Any]]) -> str:
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)


def _csv(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([header, *rows])
    return text.getvalue().rstrip("\n")


def _arguments(words: Sequence[str]) -> str:
    """Arguments of a script as a shell reads them, an option and its value a line."""
    lines: list[str] = []
    for word in words:
        if word.startswith("--") or not lines or not lines[-1].startswith("--"):
            lines.append(shlex.quote(word))
        else:
            lines[-1] += f" {shlex.quote(word)}"
    return "\n".join(lines)
