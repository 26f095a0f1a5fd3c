"""Findings of a preview: what a trainer makes of each file, and how that is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bunny.core.error import UserError

NUM_SHOWN = 3  # files named for each reason


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Effect of a trainer on one file, with the reason."""

    file: str  # relative to the folder, with `/`
    effect: str
    reason: str  # empty: nothing to tell


def check_folder(folder: Path, what: str) -> None:
    """Refuse to preview anything but a folder.

    Raises
    ------
    UserError
    """
    if not folder.is_dir():
        raise UserError(
            f"{folder}: expected a folder of {what}, found "
            f"{'a file' if folder.exists() else 'no such folder'}; check the path"
        )


def to_lines(found: Sequence[Finding], words: Mapping[str, str]) -> list[str]:
    """Lines for a person: files of the same reason together, the worst effect first.

    Parameters
    ----------
    words : mapping
        Each effect in words, the worst first.
    """
    lines = []
    reasons = Counter((f.effect, f.reason) for f in found if f.reason)
    for effect, word in words.items():
        for (own, reason), number in reasons.items():
            if own == effect:
                files = [f.file for f in found if (f.effect, f.reason) == (own, reason)]
                more = f" and {number - NUM_SHOWN} more" if number > NUM_SHOWN else ""
                lines.append(f"  {word} {number}: {reason}")
                lines.append(f"    {', '.join(files[:NUM_SHOWN])}{more}")
    return lines


def cropped_share(size: tuple[int, int], target: tuple[int, int], scale: float) -> float:
    """Share of a picture's area that is cut off to fill another size, in [0, 1].

    Parameters
    ----------
    size, target : (width, height)
        Of the picture, and of what is trained on.
    scale : float
        From picture to target before the middle is cut out.

    Examples
    --------
    >>> cropped_share((100, 50), (256, 256), 5.12)
    0.5
    """
    area = size[0] * size[1] * scale**2
    return max(0.0, round(1 - target[0] * target[1] / area, 6))
