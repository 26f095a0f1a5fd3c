"""Preview of a training folder before training: counts, buckets, steps and losses.

Trainers drop, cut and change pictures without a word. `preview_folder` reads a folder by the rules
of the trainer itself and says what becomes of each file: its bucket, repeats and cropped share.
"""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bunny.core import exit_code
from bunny.core.error import UserError
from bunny.dataset.image_folder import ReadSize
from bunny.trainer_format.check import (
    finding,
    imagefolder,
    kohya_folder,
    picture_file,
    webdataset,
)
from bunny.trainer_format.check.finding import Finding
from bunny.trainer_format.check.kohya_folder import Size
from bunny.trainer_format.check.picture_file import (
    CHANGED,
    CLASS,
    DOUBT,
    DROPPED,
    EFFECTS,
    HELD_OUT,
    LEAKS,
    METADATA,
    STOPS,
    TRAIN,
    CaptionRule,
    FileProblem,
    LoadedPicture,
    TrainerListing,
    TrainingItem,
)

DEFAULT_PX = 512  # of kohya's and of diffusers' scripts for Stable Diffusion 1.x
MAX_CUT = 0.1  # share of a picture that may fall away at its rim before it is said
MAX_SCALE = 1.01  # enlarged by more: said
SERIOUS = (STOPS, DROPPED, LEAKS)

EFFECT_WORD = {
    STOPS: "stops training",
    DROPPED: "dropped",
    LEAKS: "leaks",
    CHANGED: "changed",
    DOUBT: "to look at",
}
TRAINER_WORD = {
    "ours": "Diffusion Bunny",
    "kohya": "kohya",
    "imagefolder": "Hugging Face datasets",
    "webdataset": "Hugging Face datasets (WebDataset)",
}
TRAINERS = tuple(TRAINER_WORD)
ANY_CAPTION = CaptionRule()


@dataclass(kw_only=True)
class BucketSetting:
    """Settings of bucketing: sizes, repeats and batch."""

    resolution_px: int
    batch_size: int
    step_px: int
    least_px: int
    most_px: int
    no_upscale: bool
    has_buckets: bool
    read_size: ReadSize | None = None  # our own trainer's; None: pictures keep their size
    buckets: dict[Size, int] = field(default_factory=dict)

    def fit(self, size: Size, trainer: str) -> tuple[Size, float]:
        """The size that a picture gets and the scale to it."""
        side = self.resolution_px
        if trainer == "ours":
            return (size, 1.0) if self.read_size is None else self.read_size.fit(*size)
        if trainer == "imagefolder" or not self.has_buckets:
            return (side, side), side / min(size)
        if self.no_upscale:
            return kohya_folder.fit_without_upscale(size, side**2, self.step_px)
        sizes = kohya_folder.bucket_sizes(side, self.least_px, self.most_px, self.step_px)
        return kohya_folder.fit_bucket(size, sizes)


def _bucket_setting(
    settings: Mapping[str, Any],
    resolution: int,
    batch: int,
    step: int,
    no_upscale: bool,
    read_size: ReadSize | None,
) -> BucketSetting:
    """Take what was asked for, else the data set's own, else kohya's defaults."""
    own = settings.get("resolution", DEFAULT_PX)
    own = math.isqrt(math.prod(own)) if isinstance(own, list) else own  # of a width and a height
    side = resolution or int(own)
    step_px = step or int(settings.get("bucket_reso_steps", kohya_folder.STEP_PX))
    least, most = kohya_folder.bucket_range(side, step_px)
    is_own = bool(settings) and not resolution
    return BucketSetting(
        resolution_px=side,
        batch_size=batch or int(settings.get("batch_size", 1)),
        step_px=step_px,
        least_px=int(settings.get("min_bucket_reso", least)) if is_own else least,
        most_px=int(settings.get("max_bucket_reso", most)) if is_own else most,
        no_upscale=no_upscale or bool(settings.get("bucket_no_upscale", False)),
        has_buckets=bool(settings.get("enable_bucket", True)),
        read_size=read_size,
    )


def _count_repeats(
    items: Sequence[TrainingItem],
    sizes: Mapping[Path, Size],
    trainer: str,
    rule: BucketSetting,
    listing: TrainerListing,
) -> list[int]:
    """Say how often each item comes in an epoch; fill the rule's buckets, note what is cut."""
    plan = [item.repeats if item.role == TRAIN else 0 for item in items]
    others = [i for i, item in enumerate(items) if item.role == CLASS]
    if trainer == "kohya":
        _plan_class(items, others, plan, listing)
    else:
        for i in others:
            plan[i] = items[i].repeats
    buckets: Counter[Size] = Counter()
    for item, number in zip(items, plan, strict=True):
        size = sizes[item.file]
        bucket, scale = rule.fit(size, trainer)
        if number and (item.role == TRAIN or trainer == "kohya"):
            buckets[bucket] += number
        if item.role != HELD_OUT:
            _note_fit(item.file, size, bucket, scale, listing)
    rule.buckets = dict(buckets)
    return plan


def _count_steps(rule: BucketSetting, trainer: str) -> int:
    """Count the batches of an epoch: kohya fills them within a bucket, others from all pictures."""
    if trainer == "kohya":
        return sum(math.ceil(number / rule.batch_size) for number in rule.buckets.values())
    return math.ceil(sum(rule.buckets.values()) / rule.batch_size)


def _plan_class(
    items: Sequence[TrainingItem], others: Sequence[int], plan: list[int], listing: TrainerListing
) -> None:
    """kohya repeats class pictures until there are as many as training pictures, and no more."""
    wanted = sum(plan)
    number = 0
    is_first = True
    while others and number < wanted:
        for i in others:
            more = items[i].repeats if is_first else 1
            plan[i] += more
            number += more
            if number >= wanted:
                break
        is_first = False
    for i in others:
        if not plan[i]:
            reason = "more class pictures than training pictures (repeats included): not used"
            listing.add(items[i].file, DOUBT, reason)


def _note_fit(path: Path, size: Size, bucket: Size, scale: float, listing: TrainerListing) -> None:
    """Say what is enlarged or cut off."""
    if 0 in bucket:
        listing.add(path, STOPS, f"{size[0]}x{size[1]} is smaller than one bucket step")
        return
    if scale > MAX_SCALE:
        listing.add(path, CHANGED, f"{size[0]}x{size[1]} is upscaled to {bucket[0]}x{bucket[1]}")
    share = finding.cropped_share(size, bucket, scale)
    if share > MAX_CUT:
        reason = f"{share:.0%} cropped: {size[0]}x{size[1]} to {bucket[0]}x{bucket[1]}"
        listing.add(path, CHANGED, reason)


@dataclass(frozen=True, kw_only=True)
class TrainerPreview:
    """Preview of a folder as a trainer reads it."""

    folder: str
    trainer: str
    num_pictures: int  # read for training, each counted once
    num_with_repeats: int  # an epoch's, without class pictures
    num_class: int  # class pictures in an epoch
    num_held_out: int
    resolution_px: int
    batch_size: int
    buckets: Mapping[Size, int] = field(default_factory=dict)  # pictures of an epoch in each
    steps_per_epoch: int = 0
    found: Sequence[Finding] = ()  # effects are of `picture_file.EFFECTS`
    is_assumed: bool = False  # nothing says the resolution or the batch size

    @property
    def is_good(self) -> bool:
        """Whether there is something to train on and nothing stops, is lost or leaks."""
        return self.num_pictures > 0 and not any(f.effect in SERIOUS for f in self.found)

    @property
    def exit_code(self) -> int:
        """0 when the set is good, 2 when the user has to mend it."""
        return exit_code.DONE if self.is_good else exit_code.USER_FAULT

    def count(self, effect: str) -> int:
        """Files of which something is said."""
        return len({f.file for f in self.found if f.effect == effect})

    def to_line(self) -> str:
        """One line, as for the note of a stage."""
        repeats = self.num_with_repeats / self.num_pictures if self.num_pictures else 0
        words = [_count(self.num_pictures, "picture")]
        words.append(f"{repeats:.3g} {'repeat' if repeats == 1 else 'repeats'}")
        words += [_count(self.num_class, "class picture")] if self.num_class else []
        words.append(_count(len(self.buckets), "bucket"))
        steps = _count(self.steps_per_epoch, "step")
        words.append(f"{steps} per epoch at batch size {self.batch_size}")
        words.append(f"dropped {self.count(DROPPED)}")
        others = [e for e in EFFECTS if e != DROPPED and self.count(e)]
        return ", ".join([*words, *(f"{EFFECT_WORD[e]} {self.count(e)}" for e in others)])

    def to_text(self) -> str:
        """Lines for a person: files of the same reason together, the worst first."""
        lines = [f"{self.folder}, as {TRAINER_WORD[self.trainer]} sees it", f"  {self.to_line()}"]
        lines += [f"  {w}x{h}: {n} per epoch" for (w, h), n in sorted(self.buckets.items())]
        if not self.num_pictures:
            lines.append("  nothing to train on")
        elif self.is_assumed:
            lines.append(
                f"  assumed: {self.resolution_px} px and batch size {self.batch_size}, which the "
                "training script decides; give --resolution and --batch-size"
            )
        return "\n".join([*lines, *finding.to_lines(self.found, EFFECT_WORD)])

    def to_json(self) -> str:
        """One JSON object on one line."""
        said = {**asdict(self), "is_good": self.is_good}
        said["buckets"] = {f"{w}x{h}": n for (w, h), n in sorted(self.buckets.items())}
        said["count"] = {effect: self.count(effect) for effect in EFFECTS}
        return json.dumps(said, ensure_ascii=False)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def preview_folder(
    folder: Path,
    trainer: str = "auto",
    *,
    resolution_px: int = 0,
    batch_size: int = 0,
    step_px: int = 0,
    no_upscale: bool = False,
    read_size: ReadSize | None = None,
    caption: CaptionRule = ANY_CAPTION,
) -> TrainerPreview:
    """Say what a trainer will see of a folder.

    Parameters
    ----------
    trainer : str
        One of `TRAINERS`: our own fine-tune, kohya's sd-scripts, a script that loads a Hugging
        Face imagefolder or WebDataset and resizes its shorter side; ``auto``: by what lies in the
        folder.
    resolution_px : int
        Side of the square; 0: of kohya's ``dataset.toml``, else 512.
    batch_size : int
        0: of ``dataset.toml``, else 1.
    step_px : int
        Of kohya's buckets; 0: of ``dataset.toml``, else 64.
    no_upscale : bool
        kohya's ``bucket_no_upscale``.
    read_size : ReadSize, optional
        The buckets of our own trainer, which leaves out what it would enlarge too much; without
        them pictures keep the size that they have.
    caption : CaptionRule
        Class pictures need no trigger.

    Raises
    ------
    UserError
        If there is no such folder, no such trainer, nothing in it that tells a trainer, or a
        resolution below the step of kohya's buckets.
    """
    folder = folder.resolve()
    finding.check_folder(folder, "training pictures")
    trainer = _choose_trainer(folder) if trainer == "auto" else trainer
    if trainer not in TRAINERS:
        raise UserError(f"trainer: expected one of {', '.join(TRAINERS)}, got {trainer}")
    if trainer == "webdataset":
        with TemporaryDirectory() as scratch:
            damaged = webdataset.unpack(folder, Path(scratch))
            inside = preview_folder(
                Path(scratch),
                "imagefolder",
                resolution_px=resolution_px,
                batch_size=batch_size,
                caption=caption,
            )
        found = [*damaged, *inside.found]
        return replace(inside, folder=folder.as_posix(), trainer=trainer, found=found)
    listing = _scan(folder, trainer)
    seen = _read(listing, is_turned=trainer != "kohya")
    rule = _bucket_setting(
        listing.settings, resolution_px, batch_size, step_px, no_upscale, read_size
    )
    if trainer == "kohya" and rule.has_buckets and rule.resolution_px < rule.step_px:
        raise UserError(
            f"{folder}: expected a resolution of at least one kohya bucket step, "
            f"{rule.step_px} px, got {rule.resolution_px}; raise --resolution"
        )
    sizes = {path: one.size for path, one in seen.items() if one.size is not None}
    items = [i for i in listing.items if i.file in sizes]
    if trainer == "ours" and read_size is not None:
        items = [i for i in items if _is_enough(i.file, sizes[i.file], read_size, listing)]
    times = _count_repeats(items, sizes, trainer, rule, listing)
    problems = [*listing.problems, *((p, x) for p, s in seen.items() for x in s.problems)]
    problems += _repeated(items, seen) + _leaving(listing.items, folder)
    for item in listing.items:
        own = replace(caption, trigger="") if item.role == CLASS else caption
        texts = [item.caption]
        if trainer == "kohya" and item.caption:
            texts = list(dict.fromkeys(item.caption.split("\n")))  # one is drawn each time
        for text in texts:
            problems += [(item.file, p) for p in picture_file.inspect_caption(text, own)]
    train = {i.file: i.repeats for i in items if i.role == TRAIN}
    return TrainerPreview(
        folder=folder.as_posix(),
        trainer=trainer,
        num_pictures=len(train),
        num_with_repeats=sum(i.repeats for i in items if i.role == TRAIN),
        num_class=sum(times[i] for i, item in enumerate(items) if item.role == CLASS),
        num_held_out=len({i.file for i in items if i.role == HELD_OUT}),
        resolution_px=rule.resolution_px,
        batch_size=rule.batch_size,
        buckets=rule.buckets,
        steps_per_epoch=_count_steps(rule, trainer),
        found=_order(problems, folder),
        is_assumed=trainer == "imagefolder" and not (resolution_px and batch_size),
    )


def _is_enough(path: Path, size: Size, read_size: ReadSize, listing: TrainerListing) -> bool:
    """Whether our trainer takes a picture; why not is put down."""
    if read_size.is_enough(*size):
        return True
    bucket, scale = read_size.fit(*size)
    reason = f"{size[0]}x{size[1]} is left out: too small for {bucket[0]}x{bucket[1]}"
    listing.add(path, DOUBT, f"{reason} (enlarged {scale:.1f} times)")
    return False


def _choose_trainer(folder: Path) -> str:
    """The trainer that a folder was made for."""
    names = [p.name for p in folder.iterdir() if p.is_dir()]
    if (folder / kohya_folder.CONFIG).is_file() or "img" in names:
        return "kohya"
    if webdataset.find_shards(folder):
        return "webdataset"
    if (folder / METADATA[0]).is_file():
        lines = (folder / METADATA[0]).read_text(encoding="utf-8", errors="replace").split("\n")
        return "ours" if '"repeats"' in lines[0] and '"split"' in lines[0] else "imagefolder"
    if any(kohya_folder.parse_folder(name) for name in names):
        return "kohya"
    if "train" in names or any((folder / m).is_file() for m in METADATA):
        return "imagefolder"
    raise UserError(
        f"{folder}: expected img/<repeats>_<name>, train/metadata.jsonl or "
        f"metadata.jsonl, found none of them; give --trainer ({', '.join(TRAINERS)}) "
        "to check the folder anyway"
    )


def _scan(folder: Path, trainer: str) -> TrainerListing:
    """What the trainer reads."""
    scans = {
        "ours": imagefolder.scan_ours,
        "kohya": kohya_folder.scan,
        "imagefolder": imagefolder.scan,
    }
    return scans[trainer](folder)


def _read(listing: TrainerListing, *, is_turned: bool) -> dict[Path, LoadedPicture]:
    """Each picture once."""
    files = dict.fromkeys(item.file for item in listing.items)
    return {path: picture_file.inspect_picture(path, is_turned=is_turned) for path in files}


def _repeated(
    items: Sequence[TrainingItem], seen: Mapping[Path, LoadedPicture]
) -> list[tuple[Path, FileProblem]]:
    """The same pixels twice; in training and held-out at once they leak."""
    problems = []
    first: dict[str, TrainingItem] = {}
    for item in sorted(items, key=lambda i: (TRAIN, CLASS, HELD_OUT).index(i.role)):
        other = first.setdefault(seen[item.file].digest or "", item)
        if other.file == item.file:
            continue
        effect = LEAKS if item.role == HELD_OUT and other.role != HELD_OUT else DOUBT
        told = "held out, but identical to" if effect == LEAKS else "identical to"
        reason = f"{told} {other.file.parent.name}/{other.file.name}"
        problems.append((item.file, FileProblem(effect=effect, reason=reason)))
    return problems


def _leaving(items: Sequence[TrainingItem], folder: Path) -> list[tuple[Path, FileProblem]]:
    """Links that lead out of the folder: a copy of it would lack them."""
    home = folder.resolve()
    away = FileProblem(
        effect=DOUBT,
        reason="a link to a file outside the folder, which a copy of the folder would lack",
    )
    files = dict.fromkeys(item.file for item in items)
    return [(p, away) for p in files if p.exists() and home not in p.resolve().parents]


def _order(problems: Sequence[tuple[Path, FileProblem]], folder: Path) -> list[Finding]:
    """The worst first, each once, files as seen from the folder."""
    found = {
        Finding(
            file=Path(os.path.relpath(path, folder)).as_posix(),
            effect=problem.effect,
            reason=problem.reason,
        )
        for path, problem in problems
    }
    return sorted(found, key=lambda f: (EFFECTS.index(f.effect), f.file, f.reason))
