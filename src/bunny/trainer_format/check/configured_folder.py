"""Folders and files that a trainer's configuration names, read as the trainer reads them."""

from __future__ import annotations

import csv
import json
import math
import shlex
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from bunny.core import image_file
from bunny.core.error import UserError
from bunny.trainer_format.check.load_rule import LoadRule, MediaFile

if TYPE_CHECKING:
    from av.container import InputContainer

VIDEOS = frozenset((".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v"))


@dataclass(frozen=True, kw_only=True)
class ConfiguredFolder:
    """Files that are loaded by one rule."""

    files: tuple[Path, ...]
    rule: LoadRule
    controls: Mapping[Path, tuple[Path, ...]] = field(default_factory=dict)  # of each target
    has_captions: bool = False  # captions stand in the configuration, not beside the files


def read_configuration(folder: Path, form: str) -> list[ConfiguredFolder]:
    """What a trainer's configuration in a folder names; empty where there is none.

    Parameters
    ----------
    folder : Path
        Absolute.
    form : str
        One of `READERS`.

    Raises
    ------
    UserError
        If the file cannot be parsed or names what is not there.
    """
    name, read = READERS[form]
    file = next((folder / n for n in name.split("|") if (folder / n).is_file()), None)
    if file is None:
        return []
    try:
        return read(folder, file)
    except (OSError, ValueError, KeyError, TypeError, IndexError, yaml.YAMLError) as error:
        raise UserError(
            f"{file}: expected a configuration of {form}, cannot read it ({error}); export the "
            "set again"
        ) from error


def measure_file(file: Path) -> MediaFile | None:
    """Length, rate and size of a clip or picture; None where it cannot be read.

    Parameters
    ----------
    file : Path
        All frames of a clip are decoded: one that was cut off still promises what it had.
    """
    return _measure(file, is_decoded=True)


def _measure(file: Path, *, is_decoded: bool) -> MediaFile | None:
    """As `measure_file`; not decoded, a clip has the frames that its container promises."""
    if file.suffix.lower() not in VIDEOS:
        picture = image_file.read(file) if file.is_file() else None
        if picture is None:
            return None
        height, width = picture.shape[:2]
        return MediaFile(num_frames=1, fps=0.0, width_px=width, height_px=height)
    import av
    from av.error import FFmpegError

    try:
        with av.open(str(file)) as container:
            stream = container.streams.video[0]
            fps = float(stream.average_rate or 0)
            promised, is_broken = stream.frames, False
            number = promised
            if is_decoded or not promised:
                number, is_broken = _count_frames(container)
            width, height = stream.width, stream.height
    except (FFmpegError, IndexError, OSError):
        return None
    if not fps or not number:
        return None
    return MediaFile(
        num_frames=number,
        fps=fps,
        width_px=width,
        height_px=height,
        num_promised=promised,
        is_broken=is_broken,
    )


def _count_frames(container: InputContainer) -> tuple[int, bool]:
    """Count frames that can be decoded, and say whether that ends with an error."""
    from av.error import FFmpegError

    number = 0
    try:
        for _ in container.decode(video=0):
            number += 1
    except FFmpegError:
        return number, True
    return number, False


def _musubi(folder: Path, file: Path) -> list[ConfiguredFolder]:
    parts = []
    for entry in tomllib.loads(file.read_text(encoding="utf-8"))["datasets"]:
        width, height = entry["resolution"]
        rule = LoadRule(
            frames=tuple(entry.get("target_frames", (1,))),
            width_px=width,
            height_px=height,
            source_fps=entry.get("source_fps", 0.0),
        )
        if "image_jsonl_file" in entry:
            text = Path(entry["image_jsonl_file"]).read_text(encoding="utf-8")
            rows = [json.loads(line) for line in text.splitlines()]
            controls = {
                Path(row["image_path"]): tuple(
                    Path(v) for k, v in row.items() if k.startswith("control_path_")
                )
                for row in rows
            }
            files = tuple(controls)
            parts.append(
                ConfiguredFolder(files=files, rule=rule, controls=controls, has_captions=True)
            )
            continue
        place = entry.get("video_directory") or entry["image_directory"]
        parts.append(ConfiguredFolder(files=_media(Path(place)), rule=rule))
    return parts


def _diffusion_pipe(folder: Path, file: Path) -> list[ConfiguredFolder]:
    parts = []
    for entry in tomllib.loads(file.read_text(encoding="utf-8"))["directory"]:
        width, height, frames = entry["size_buckets"][0]
        files = _media(Path(entry["path"]))
        rule = LoadRule(frames=(frames,), width_px=width, height_px=height)
        controls = _same_names(files, [entry["control_path"]] if "control_path" in entry else [])
        parts.append(ConfiguredFolder(files=files, rule=rule, controls=controls))
    return parts


def _ai_toolkit(folder: Path, file: Path) -> list[ConfiguredFolder]:
    parts = []
    for entry in yaml.safe_load(file.read_text(encoding="utf-8"))["datasets"]:
        files = _media(Path(entry["folder_path"]))
        rule = LoadRule(
            frames=(entry["num_frames"],), is_shrunk=entry.get("shrink_video_to_frames", True)
        )
        controls = _same_names(files, entry.get("control_path", []))
        parts.append(ConfiguredFolder(files=files, rule=rule, controls=controls))
    return parts


def _simpletuner(folder: Path, file: Path) -> list[ConfiguredFolder]:
    entries = json.loads(file.read_text(encoding="utf-8"))
    by_id = {entry["id"]: entry for entry in entries}
    parts = []
    for entry in entries:
        if entry["dataset_type"] not in ("video", "image"):
            continue
        files = _media(Path(entry["instance_data_dir"]))
        frames = entry.get("video", {}).get("num_frames", 1)
        places = [by_id[i]["instance_data_dir"] for i in entry.get("conditioning_data", [])]
        rule = LoadRule(frames=(frames,))
        controls = _same_names(files, places)
        parts.append(ConfiguredFolder(files=files, rule=rule, controls=controls))
    return parts


def _diffsynth(folder: Path, file: Path) -> list[ConfiguredFolder]:
    arguments = _options(folder / "arguments.txt")
    rule = LoadRule(frames=(int(arguments.get("--num_frames", "1")),))
    if file.suffix == ".csv":
        with file.open(encoding="utf-8", newline="") as text:
            lines = list(csv.DictReader(text))
        files = tuple(folder / row["video"] for row in lines)
        column = "vace_reference_image"
        own = {folder / r["video"]: (folder / r[column],) for r in lines if r.get(column)}
        return [ConfiguredFolder(files=files, rule=rule, controls=own, has_captions=True)]
    rows = json.loads(file.read_text(encoding="utf-8"))
    controls = {folder / r["image"]: tuple(folder / c for c in r["edit_image"]) for r in rows}
    files = tuple(controls)
    return [ConfiguredFolder(files=files, rule=rule, controls=controls, has_captions=True)]


def _ltx(folder: Path, file: Path) -> list[ConfiguredFolder]:
    rows = json.loads(file.read_text(encoding="utf-8"))
    text = _options(folder / "arguments.txt")["--resolution-buckets"]
    buckets = [tuple(int(n) for n in bucket.split("x")) for bucket in text.split(";")]
    parts = []
    for row in rows:
        path = folder / row["video"]
        own = (folder / row["reference_video"],) if "reference_video" in row else ()
        width, height, _ = _nearest_bucket(path, buckets)
        rule = LoadRule(
            frames=tuple(f for w, h, f in buckets if (w, h) == (width, height)),
            width_px=width,
            height_px=height,
        )
        parts.append(
            ConfiguredFolder(files=(path,), rule=rule, controls={path: own}, has_captions=True)
        )
    return parts


def _finetrainers(folder: Path, file: Path) -> list[ConfiguredFolder]:
    parts = []
    for entry in json.loads(file.read_text(encoding="utf-8"))["datasets"]:
        kind = entry["dataset_type"]
        *frames, height, width = entry[f"{kind}_resolution_buckets"][0]
        rule = LoadRule(frames=tuple(frames) or (1,), width_px=width, height_px=height)
        parts.append(ConfiguredFolder(files=_media(Path(entry["data_root"])), rule=rule))
    return parts


Reader = Callable[[Path, Path], list[ConfiguredFolder]]
READERS: dict[str, tuple[str, Reader]] = {
    "musubi": ("dataset.toml", _musubi),
    "diffusion-pipe": ("dataset.toml", _diffusion_pipe),
    "ai-toolkit": ("datasets.yaml", _ai_toolkit),
    "simpletuner": ("multidatabackend.json", _simpletuner),
    "diffsynth": ("metadata.csv|metadata.json", _diffsynth),
    "ltx": ("dataset.json", _ltx),
    "finetrainers": ("training.json", _finetrainers),
}


def _media(place: Path) -> tuple[Path, ...]:
    """Clips and pictures of one folder."""
    suffixes = VIDEOS | image_file.SUFFIXES
    return tuple(p for p in sorted(place.iterdir()) if p.suffix.lower() in suffixes)


def _same_names(files: Sequence[Path], places: Sequence[str]) -> dict[Path, tuple[Path, ...]]:
    """For each file the ones of the same stem in other folders; a missing one as it should be."""
    own = {place: {p.stem: p for p in _media(Path(place))} for place in places}
    return {
        file: tuple(own[place].get(file.stem, Path(place) / file.name) for place in places)
        for file in files
        if places
    }


def _nearest_bucket(path: Path, buckets: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The bucket of nearest aspect; of equal ones the larger. The length is the rule's."""
    seen = _measure(path, is_decoded=False)
    if seen is None:
        return buckets[0]
    aspect = math.log(seen.width_px / seen.height_px)
    fitting = [b for b in buckets if b[2] <= seen.num_frames] or list(buckets)
    return min(fitting, key=lambda b: (abs(aspect - math.log(b[0] / b[1])), -b[2], -b[0] * b[1]))


def _options(file: Path) -> dict[str, str]:
    """Options of a file of arguments."""
    words = shlex.split(file.read_text(encoding="utf-8"))
    return {
        word: words[i + 1]
        for i, word in enumerate(words[:-1])
        if word.startswith("--") and not words[i + 1].startswith("--")
    }
