"""What a trainer will see of a folder, before any training: counts, buckets, steps, and losses.

Trainers drop, cut and change pictures without a word. `look` reads a folder by the rules of the
trainer itself and says what becomes of each file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bunny.core.error import UserError
from bunny.dataset import kohya_rule
from bunny.dataset.check import bucket_plan, file, imagefolder, kohya
from bunny.dataset.check.file import DOUBT, EFFECTS, LEAKS, Problem, Seen
from bunny.dataset.check.finding import Finding, Findings
from bunny.dataset.check.listing import CLASS, HELD_OUT, METADATA, TRAIN, Item, Listing

TRAINERS = ("ours", "kohya", "imagefolder")


def look(
    folder: Path,
    trainer: str = "auto",
    *,
    resolution_px: int = 0,
    batch_size: int = 0,
    step_px: int = 0,
    no_upscale: bool = False,
    trigger: str = "",
    count_tokens: Callable[[str], int] | None = None,
    max_tokens: int = file.MAX_TOKENS,
) -> Findings:
    """Say what a trainer will see of a folder.

    Parameters
    ----------
    folder : Path
    trainer : str
        One of `TRAINERS`: our own fine-tune, kohya's sd-scripts, a script that loads a Hugging
        Face imagefolder and resizes its shorter side; ``auto``: by what lies in the folder.
    resolution_px : int
        Side of the square; 0: of kohya's ``dataset.toml``, else 512. Our own trainer takes
        pictures in the size that they have.
    batch_size : int
        0: of ``dataset.toml``, else 1.
    step_px : int
        Of kohya's buckets; 0: of ``dataset.toml``, else 64.
    no_upscale : bool
        kohya's ``bucket_no_upscale``.
    trigger : str
        Word that captions of the character must have; empty: not asked for.
    count_tokens : callable or None
        Tokens of a caption without begin and end; None: the fewest that CLIP can make of it.
    max_tokens : int

    Raises
    ------
    UserError
        If there is no such folder, no such trainer, nothing in it that tells a trainer, or a
        resolution below the step of kohya's buckets.
    """
    folder = folder.resolve()
    if not folder.is_dir():
        raise UserError(
            f"{folder}: expected a folder of training pictures, found "
            f"{'a file' if folder.exists() else 'no such folder'}; check the path"
        )
    trainer = _choose_trainer(folder) if trainer == "auto" else trainer
    if trainer not in TRAINERS:
        raise UserError(f"trainer: expected {', '.join(TRAINERS)}, got {trainer}; choose one")
    listing = _scan(folder, trainer)
    seen = _read(listing, is_turned=trainer != "kohya")
    rule = bucket_plan.rule_of(listing.settings, resolution_px, batch_size, step_px, no_upscale)
    if trainer == "kohya" and rule.has_buckets and rule.resolution_px < rule.step_px:
        raise UserError(
            f"{folder}: expected a resolution of at least one step of kohya's buckets, "
            f"{rule.step_px} px, got {rule.resolution_px}; give a larger --resolution"
        )
    items = [i for i in listing.items if seen[i.file].size is not None]
    sizes = {path: one.size for path, one in seen.items()}
    times = bucket_plan.make(items, sizes, trainer, rule, listing)
    problems = [*listing.problems, *((p, x) for p, s in seen.items() for x in s.problems)]
    problems += _repeated(items, seen) + _leaving(listing.items, folder)
    for item in listing.items:
        own = trigger if item.role != CLASS else ""
        words = {"trigger": own, "count_tokens": count_tokens, "max_tokens": max_tokens}
        problems += [(item.file, p) for p in file.look_at_caption(item.caption, **words)]
    train = {i.file: i.repeats for i in items if i.role == TRAIN}
    return Findings(
        folder=folder.as_posix(),
        trainer=trainer,
        num_pictures=len(train),
        num_with_repeats=sum(i.repeats for i in items if i.role == TRAIN),
        num_class=sum(times[i] for i, item in enumerate(items) if item.role == CLASS),
        num_held_out=len({i.file for i in items if i.role == HELD_OUT}),
        resolution_px=rule.resolution_px,
        batch_size=rule.batch_size,
        buckets=rule.buckets,
        steps_per_epoch=bucket_plan.steps(rule, trainer),
        found=_order(problems, folder),
    )


def _choose_trainer(folder: Path) -> str:
    """The trainer that a folder was made for."""
    names = [p.name for p in folder.iterdir() if p.is_dir()]
    if (folder / kohya.CONFIG).is_file() or "img" in names:
        return "kohya"
    if (folder / METADATA[0]).is_file():
        lines = (folder / METADATA[0]).read_text(encoding="utf-8", errors="replace").split("\n")
        return "ours" if '"repeats"' in lines[0] and '"split"' in lines[0] else "imagefolder"
    if any(kohya_rule.parse_folder(name) for name in names):
        return "kohya"
    if "train" in names or any((folder / m).is_file() for m in METADATA):
        return "imagefolder"
    raise UserError(
        f"{folder}: expected img/<repeats>_<name>, train/metadata.jsonl or metadata.jsonl in it, "
        f"found none of them; name the trainer ({', '.join(TRAINERS)}) to check it all the same"
    )


def _scan(folder: Path, trainer: str) -> Listing:
    """What the trainer reads."""
    scans = {
        "ours": imagefolder.scan_ours,
        "kohya": kohya.scan,
        "imagefolder": imagefolder.scan,
    }
    return scans[trainer](folder)


def _read(listing: Listing, *, is_turned: bool) -> dict[Path, Seen]:
    """Each picture once."""
    files = dict.fromkeys(item.file for item in listing.items)
    return {path: file.look_at_picture(path, is_turned=is_turned) for path in files}


def _repeated(items: Sequence[Item], seen: Mapping[Path, Seen]) -> list[tuple[Path, Problem]]:
    """The same pixels twice; in training and held-out at once they leak."""
    problems = []
    first: dict[str, Item] = {}
    for item in sorted(items, key=lambda i: (TRAIN, CLASS, HELD_OUT).index(i.role)):
        other = first.setdefault(seen[item.file].digest or "", item)
        if other.file == item.file:
            continue
        effect = LEAKS if item.role == HELD_OUT and other.role != HELD_OUT else DOUBT
        told = "held-out, but the same picture as" if effect == LEAKS else "the same picture as"
        reason = f"{told} {other.file.parent.name}/{other.file.name}"
        problems.append((item.file, Problem(effect=effect, reason=reason)))
    return problems


def _leaving(items: Sequence[Item], folder: Path) -> list[tuple[Path, Problem]]:
    """Links that lead out of the folder: a copy of it would lack them."""
    home = folder.resolve()
    away = Problem(effect=DOUBT, reason="a link out of the folder: a copy of it would lack this")
    files = dict.fromkeys(item.file for item in items)
    return [(p, away) for p in files if p.exists() and home not in p.resolve().parents]


def _order(problems: Sequence[tuple[Path, Problem]], folder: Path) -> list[Finding]:
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
