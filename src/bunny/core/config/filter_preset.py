"""Filter presets (generous, balanced, strict) and thresholds at any strictness between.

Strictness is one number: 0 is generous, 1 balanced, 2 strict; at -1 every readable picture is good,
at 3 hardly any. Each threshold moves in a straight line from one of these to the next and never
back, so what is good at some strictness is good at every lower one. Past strict only sharpness
rises: exposure has a range that is right, and narrowing it further makes no picture better.
Duplicates are no matter of strictness: they are about variety and keep their own settings.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

LOWEST, HIGHEST = -1.0, 3.0
PRESET_STRICTNESS = {"generous": 0.0, "balanced": 1.0, "strict": 2.0}

# Thresholds at strictness -1, 0, 1, 2, 3; names are those of `flag.QualityThreshold`.
THRESHOLD_CURVE: dict[str, tuple[float, float, float, float, float]] = {
    "blur_threshold": (0.0, 0.12, 0.2, 0.35, 1.0),
    "min_brightness": (0.0, 0.03, 0.06, 0.1, 0.1),
    "max_brightness": (1.0, 0.98, 0.96, 0.92, 0.92),
    "min_contrast": (0.0, 0.01, 0.02, 0.05, 0.05),
    "max_smear": (1.0, 1.0, 1.0, 0.6, 0.6),  # 1: off; 3 % of unmoved pictures pass 0.57
    "max_blockiness": (1.0, 1.0, 1.0, 0.5, 0.5),  # about JPEG quality 30
    "max_subtitle_share": (1.0, 1.0, 1.0, 0.01, 0.01),
}


def thresholds_at(strictness: float) -> dict[str, float]:
    """Every scaled threshold at a strictness.

    Parameters
    ----------
    strictness : float
        In [-1, 3]; numbers outside are moved to the nearer end.

    Examples
    --------
    >>> thresholds_at(1)["blur_threshold"], round(thresholds_at(1.5)["blur_threshold"], 3)
    (0.2, 0.275)
    """
    place = min(max(strictness, LOWEST), HIGHEST) - LOWEST
    low = min(math.floor(place), len(THRESHOLD_CURVE["blur_threshold"]) - 2)
    share = place - low
    return {
        key: nodes[low] + (nodes[low + 1] - nodes[low]) * share
        if 0 < share < 1
        else nodes[low + round(share)]
        for key, nodes in THRESHOLD_CURVE.items()
    }


def preset_thresholds(name: str) -> dict[str, float]:
    """Thresholds of a preset; those of balanced for a name that is none."""
    return thresholds_at(PRESET_STRICTNESS.get(name, PRESET_STRICTNESS["balanced"]))


def apply_preset(settings: Mapping[str, object]) -> dict[str, object]:
    """Fill in the preset's thresholds where none is given; what is given wins.

    Examples
    --------
    >>> apply_preset({"preset": "strict", "min_contrast": 0.2})["blur_threshold"]
    0.35
    """
    name = settings.get("preset", "balanced")
    return {**preset_thresholds(name if isinstance(name, str) else ""), **settings}


def overridden_keys(settings: Mapping[str, object]) -> set[str]:
    """Thresholds that differ from the preset's: somebody chose them, so they are left alone.

    Examples
    --------
    >>> overridden_keys({"preset": "balanced", "blur_threshold": 0.2, "min_contrast": 0.3})
    {'min_contrast'}
    """
    own = preset_thresholds(str(settings.get("preset", "balanced")))
    return {key for key in THRESHOLD_CURVE if key in settings and settings[key] != own[key]}
