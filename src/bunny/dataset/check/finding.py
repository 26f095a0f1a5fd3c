"""What is said of a folder of training pictures, in a line, in words and as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from bunny.dataset.check.file import CHANGED, DOUBT, DROPPED, EFFECTS, LEAKS, STOPS
from bunny.dataset.kohya_rule import Size

SERIOUS = (STOPS, DROPPED, LEAKS)
NUM_SHOWN = 3  # files named for each reason
EFFECT_WORD = {
    STOPS: "stops training",
    DROPPED: "dropped",
    LEAKS: "leaks",
    CHANGED: "changed",
    DOUBT: "to look at",
}
TRAINER_WORD = {"ours": "our trainer", "kohya": "kohya", "imagefolder": "Hugging Face datasets"}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What becomes of one file."""

    file: str  # relative to the folder, with `/`
    effect: str  # one of `check.file.EFFECTS`
    reason: str


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What a trainer will see of a folder."""

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
    found: Sequence[Finding] = ()

    @property
    def is_good(self) -> bool:
        """Whether there is something to train on and nothing stops, is lost or leaks."""
        return self.num_pictures > 0 and not any(f.effect in SERIOUS for f in self.found)

    @property
    def exit_code(self) -> int:
        """0 when the set is good, 2 when the user has to mend it."""
        return 0 if self.is_good else 2

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
        words.append(f"{steps} an epoch of batch {self.batch_size}")
        words.append(f"dropped {self.count(DROPPED)}")
        others = [e for e in EFFECTS if e != DROPPED and self.count(e)]
        return ", ".join([*words, *(f"{EFFECT_WORD[e]} {self.count(e)}" for e in others)])

    def to_text(self) -> str:
        """Lines for a person: files of the same reason together, the worst first."""
        lines = [f"{self.folder}, as {TRAINER_WORD[self.trainer]} sees it", f"  {self.to_line()}"]
        lines += [f"  {w}x{h}: {n} an epoch" for (w, h), n in sorted(self.buckets.items())]
        if not self.num_pictures:
            lines.append("  nothing to train on")
        reasons = Counter((f.effect, f.reason) for f in self.found)
        for effect in EFFECTS:
            for (own, reason), number in reasons.items():
                if own == effect:
                    files = [f.file for f in self.found if (f.effect, f.reason) == (own, reason)]
                    more = f" and {number - NUM_SHOWN} more" if number > NUM_SHOWN else ""
                    lines.append(f"  {EFFECT_WORD[effect]} {number}: {reason}")
                    lines.append(f"    {', '.join(files[:NUM_SHOWN])}{more}")
        return "\n".join(lines)

    def to_json(self) -> str:
        """One JSON object on one line."""
        said = {**asdict(self), "is_good": self.is_good}
        said["buckets"] = {f"{w}x{h}": n for (w, h), n in sorted(self.buckets.items())}
        said["count"] = {effect: self.count(effect) for effect in EFFECTS}
        return json.dumps(said, ensure_ascii=False)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
