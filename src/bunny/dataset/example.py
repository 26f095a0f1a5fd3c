"""One training picture with its caption, mask and role, as the trainer takes it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SUBJECT, CLASS = "subject", "class"


@dataclass(frozen=True, kw_only=True)
class TrainingExample:
    """One training picture as the trainer sees it."""

    picture: np.ndarray  # (height, width, 3), uint8, RGB
    caption: str
    repeats: int = 1
    mask: np.ndarray | None = None  # (height, width), uint8, 255 where the subject is
    role: str = SUBJECT  # class: prior preservation, weighed by `class_weight`
