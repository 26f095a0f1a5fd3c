"""Preview of a folder of clips or pairs as a trainer will load it: kept, cut, resampled, dropped.

The trainer's own configuration file is read where it lies in the folder; of any other folder its
clips are taken, with the lengths and the size that the user gives.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bunny.clip import preset
from bunny.core import exit_code, image_file
from bunny.core.error import UserError
from bunny.trainer_format.check import finding, load_rule
from bunny.trainer_format.check.configured_folder import (
    VIDEOS,
    ConfiguredFolder,
    measure_file,
    read_configuration,
)
from bunny.trainer_format.check.finding import Finding
from bunny.trainer_format.check.load_rule import (
    CHANGED,
    CUT,
    DROPPED,
    KEPT,
    RESAMPLED,
    STOPS,
    LoadRule,
    MediaFile,
)
from bunny.trainer_format.export import configuration, media
from bunny.trainer_format.export.folder import read_marker

LENGTHS = (121, 81, 49, 33)  # 8n+1, so 4n+1 too

TRAINER_WORD = {
    "musubi": "musubi-tuner",
    "diffusion-pipe": "diffusion-pipe",
    "ai-toolkit": "ai-toolkit",
    "simpletuner": "SimpleTuner",
    "diffsynth": "DiffSynth-Studio",
    "ltx": "LTX-2's trainer",
    "finetrainers": "finetrainers",
}


@dataclass(frozen=True, kw_only=True)
class FormatFinding(Finding):
    """What a trainer makes of one file; its effect is one of `load_rule.EFFECTS`."""

    num_frames: int  # taken; 0: none


@dataclass(frozen=True, kw_only=True)
class FormatPreview:
    """Preview of a folder of clips or pairs for one trainer."""

    folder: str
    trainer: str
    num_clips: int
    num_pictures: int
    num_references: int  # pictures that targets are made from
    frames: Mapping[int, int] = field(default_factory=dict)  # clips by length taken
    found: Sequence[FormatFinding] = ()

    def count(self, effect: str) -> int:
        """Files of one effect."""
        return sum(f.effect == effect for f in self.found)

    @property
    def exit_code(self) -> int:
        """2 where nothing is loaded, or a file not as it is, but for frames cut off; else 0."""
        is_bad = not self.found or any(f.effect not in (KEPT, CUT) for f in self.found)
        return exit_code.USER_FAULT if is_bad else exit_code.DONE

    def to_line(self) -> str:
        """One line, as for the note of an export."""
        counts = [f"{self.count(e)} {e}" for e in (KEPT, CUT, RESAMPLED, DROPPED)]
        rare = {CHANGED: "changed otherwise", STOPS: "stops training"}
        counts += [f"{self.count(e)} {word}" for e, word in rare.items() if self.count(e)]
        return f"{TRAINER_WORD[self.trainer]}: {', '.join(counts)}"

    def to_text(self) -> str:
        """Lines for a person: files of the same reason together, the worst first."""
        commit = load_rule.READ_AT[self.trainer]
        lines = [f"{self.folder}, as {TRAINER_WORD[self.trainer]} loads it (commit {commit})"]
        parts = {"clip": self.num_clips, "picture": self.num_pictures}
        parts["reference"] = self.num_references
        number = [f"{n} {w}{'' if n == 1 else 's'}" for w, n in parts.items() if n]
        lines.append(f"  {', '.join(number) or 'nothing to train on'}")
        lines += [f"  {n} clips of {frames} frames" for frames, n in sorted(self.frames.items())]
        lines.append(f"  {self.to_line()}")
        words = {effect: effect for effect in load_rule.EFFECTS} | {STOPS: "stops training"}
        lines += finding.to_lines(self.found, words)
        return "\n".join(lines)

    def to_json(self) -> str:
        """One JSON object on one line."""
        said = {
            "folder": self.folder,
            "trainer": self.trainer,
            "commit": load_rule.READ_AT[self.trainer],
            "num_clips": self.num_clips,
            "num_pictures": self.num_pictures,
            "num_references": self.num_references,
            "frames": {str(k): v for k, v in sorted(self.frames.items())},
            "count": {effect: self.count(effect) for effect in load_rule.EFFECTS},
            "found": [
                {"file": f.file, "effect": f.effect, "num_frames": f.num_frames, "reason": f.reason}
                for f in self.found
            ],
        }
        return json.dumps(said, ensure_ascii=False)


def preview_folder(
    folder: Path,
    form: str,
    *,
    model: str = "auto",
    frames: int = 0,
    size: tuple[int, int] | None = None,
) -> FormatPreview:
    """Say what a trainer will load of a folder.

    Parameters
    ----------
    folder : Path
        An export of ours, or any folder of clips with captions of the same names.
    form : str
        One of `load_rule.LOADERS`.
    model : str
        One of `clip.preset.FORM`: its frame rate counts; ``auto``: that of the export, else the
        trainer's first.
    frames : int
        Length asked for, in frames; 0: as the folder's configuration says, else the longest of
        121, 81, 49 and 33 that some clip has.
    size : tuple of int or None
        Width and height asked for, in pixels; None: as the configuration says, else as the file is.

    Raises
    ------
    UserError
        If there is no such folder, its configuration cannot be read, or it is an export that was
        moved or copied since.
    """
    finding.check_folder(folder, "clips or pairs")
    folder = folder.resolve()
    mark = read_marker(folder) or {}
    _check_place(folder, mark)
    if model == "auto":
        model = mark.get("model", configuration.MODELS[form][0])
    parts = read_configuration(folder, form)
    if not parts:
        parts = [_plain_folder(folder, form, frames, size)]
    rates = preset.FORM[model]
    found: list[FormatFinding] = []
    frame_counts: Counter[int] = Counter()
    for part in parts:
        rule = replace(part.rule, model=model, model_fps=rates.fps, frame_step=rates.frame_step)
        for file in part.files:
            seen, made = _inspect(file, form, rule, part)
            name = file.relative_to(folder).as_posix() if file.is_relative_to(folder) else file.name
            found.append(replace(made, file=name))
            if seen is not None and seen.fps and made.num_frames:
                frame_counts[made.num_frames] += 1
    found += _unseen(folder, form, {one.file for one in found})
    return FormatPreview(
        folder=folder.as_posix(),
        trainer=form,
        num_clips=sum(f.suffix.lower() in VIDEOS for p in parts for f in p.files),
        num_pictures=sum(f.suffix.lower() not in VIDEOS for p in parts for f in p.files),
        num_references=sum(len(c) for p in parts for c in p.controls.values()),
        frames=frame_counts,
        found=sorted(found, key=lambda f: (load_rule.EFFECTS.index(f.effect), f.file)),
    )


def _check_place(folder: Path, mark: Mapping[str, Any]) -> None:
    """Refuse an export whose configuration leads to where it was written."""
    place = mark.get("place")
    if place is not None and Path(place).resolve() != folder:
        raise UserError(
            f"{folder}: expected an export where it was written, found one of {place}, which the "
            "paths in its configuration lead to; export it again with --output"
        )


def _unseen(folder: Path, form: str, seen: Collection[str]) -> list[FormatFinding]:
    """Files of an export that are gone, and that a trainer which lists folders never looks for."""
    try:
        lines = (folder / media.MANIFEST).read_text(encoding="utf-8").splitlines()
        files = [json.loads(line)["file"] for line in lines]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    reason = f"missing, as {media.MANIFEST} lists it; {TRAINER_WORD[form]} does not notice"
    gone = [file for file in files if file not in seen and not (folder / file).exists()]
    return [FormatFinding(file=f, effect=DROPPED, num_frames=0, reason=reason) for f in gone]


def _inspect(
    file: Path, form: str, rule: LoadRule, part: ConfiguredFolder
) -> tuple[MediaFile | None, FormatFinding]:
    """One file and what becomes of it."""
    is_picture = file.suffix.lower() not in VIDEOS

    def told(effect: str, reason: str) -> tuple[None, FormatFinding]:
        return None, FormatFinding(file="", effect=effect, num_frames=0, reason=reason)

    if not file.is_file():
        return told(load_rule.MISSING.get(form, DROPPED), "missing, but the configuration lists it")
    if not part.has_captions and not file.with_suffix(".txt").is_file():
        return told(load_rule.uncaptioned(form, is_picture), "no caption of the same name")
    controls = part.controls.get(file, ())
    if missing := [c for c in controls if not c.is_file()]:
        return told(load_rule.UNREFERENCED[form], f"reference missing: {missing[0].name}")
    seen = measure_file(file)
    if seen is None:
        return told(load_rule.unreadable(form, is_picture), "cannot be read")
    if not seen.is_picture and (reason := _reference_reason(seen, controls)):
        return told(STOPS, reason)
    made = load_rule.load(form, seen, rule)
    size = load_rule.size_reason(seen, rule)
    reason = "; ".join(filter(None, (made.reason, size)))
    effect = CUT if made.effect == KEPT and "cropped" in size else made.effect
    return seen, FormatFinding(file="", effect=effect, num_frames=made.num_frames, reason=reason)


def _reference_reason(seen: MediaFile, controls: Sequence[Path]) -> str:
    """Why a clip cannot be joined with its references: Wan VACE puts their latents side by side."""
    size = (seen.width_px, seen.height_px)
    for file in controls:
        other = measure_file(file)
        if other is None:
            return f"reference cannot be read: {file.name}"
        if (other.width_px, other.height_px) != size:
            return (
                f"reference of {other.width_px}x{other.height_px} for a clip of "
                f"{size[0]}x{size[1]}: both must have one size"
            )
    return ""


def _plain_folder(
    folder: Path, form: str, frames: int, size: tuple[int, int] | None
) -> ConfiguredFolder:
    """A flat folder of clips without a configuration."""
    suffixes = VIDEOS | image_file.SUFFIXES
    files = tuple(p for p in sorted(folder.iterdir()) if p.suffix.lower() in suffixes)
    if not files:
        raise UserError(
            f"{folder}: expected clips or a configuration file of {TRAINER_WORD[form]}, found "
            "neither; create one with `bunny export clips` or `bunny export pairs`"
        )
    if not frames:
        seen = [measure_file(file) for file in files]
        longest = max((s.num_frames for s in seen if s is not None), default=1)
        frames = next((n for n in LENGTHS if n <= longest), LENGTHS[-1])
    width, height = size or (0, 0)
    rule = LoadRule(frames=(frames,), width_px=width, height_px=height)
    return ConfiguredFolder(files=files, rule=rule)
