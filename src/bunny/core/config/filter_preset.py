"""Filter presets (generous, balanced, strict) and thresholds at any strictness between.

Strictness is one number: 0 is generous, 1 balanced, 2 strict; at -1 every readable picture is good,
at 3 hardly any. Each threshold moves in a straight line from one of these to the next and never
back, so what is good at some strictness is good at every lower one. Past strict only sharpness
rises: exposure has a range that is right, and narrowing it further makes no picture better.
Duplicates are no matter of strictness: they are about variety and keep their own settings.

Sharpness is chosen by labelled pictures (test/bench/bench_blur.py): generous loses 0.1 % of the
sharp ones of 16 films and sets of photographs, balanced 1 %, strict 5 %.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

LOWEST, HIGHEST = -1.0, 3.0
PRESET_STRICTNESS = {"generous": 0.0, "balanced": 1.0, "strict": 2.0}

# Thresholds at strictness -1, 0, 1, 2, 3; names are those of `FilteringConfig`.
THRESHOLD_CURVE: dict[str, tuple[float, float, float, float, float]] = {
    "blur_threshold": (0.0, 0.15, 0.17, 0.21, 1.0),
    "min_brightness": (0.0, 0.03, 0.06, 0.1, 0.1),
    "max_brightness": (1.0, 0.98, 0.96, 0.92, 0.92),
    "min_contrast": (0.0, 0.01, 0.02, 0.05, 0.05),
    "max_smear": (1.0, 1.0, 1.0, 0.6, 0.6),  # 1: off; 3 % of unmoved pictures pass 0.57
    "max_blockiness": (1.0, 1.0, 1.0, 0.5, 0.5),  # about JPEG quality 30
    "max_subtitle_share": (1.0, 1.0, 1.0, 0.01, 0.01),
}

# `blur_threshold`, share of sharp pictures below it, share of those blurred over 1 % or moved over
# 2.5 % of the longer side and more; by test/bench/bench_blur.py, every film weighing the same.
BLUR_RATE = (
    (0.0, 0.0, 0.0),
    (0.05, 0.0, 0.547),
    (0.09, 0.0, 0.791),
    (0.13, 0.0, 0.884),
    (0.15, 0.001, 0.915),
    (0.17, 0.009, 0.932),
    (0.21, 0.042, 0.966),
    (0.22, 0.052, 0.971),
    (0.3, 0.172, 0.997),
    (0.4, 0.282, 1.0),
    (0.5, 0.455, 1.0),
    (0.6, 0.567, 1.0),
    (0.7, 0.745, 1.0),
    (0.8, 0.953, 1.0),
    (1.0, 1.0, 1.0),
)


def blur_rates(threshold: float) -> tuple[float, float]:
    """Shares of sharp and of clearly blurred pictures that a `blur_threshold` drops.

    Parameters
    ----------
    threshold : float
        In [0, 1].

    Returns
    -------
    tuple of float
        In [0, 1] each; interpolated between the thresholds that were measured.

    Examples
    --------
    >>> [round(share, 2) for share in blur_rates(0.45)]
    [0.37, 1.0]
    """
    for low, high in itertools.pairwise(BLUR_RATE):
        if low[0] <= threshold <= high[0]:
            share = (threshold - low[0]) / (high[0] - low[0])
            sharp, blurred = (a + (b - a) * share for a, b in zip(low[1:], high[1:], strict=True))
            return sharp, blurred
    raise ValueError(f"blur_threshold: expected a number from 0 to 1, got {threshold:g}")


def thresholds_at(strictness: float) -> dict[str, float]:
    """Every scaled threshold at a strictness.

    Parameters
    ----------
    strictness : float
        In [-1, 3]; numbers outside are moved to the nearer end.

    Examples
    --------
    >>> thresholds_at(1)["blur_threshold"], round(thresholds_at(1.5)["blur_threshold"], 3)
    (0.17, 0.19)
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
    0.21
    """
    name = settings.get("preset", "balanced")
    return {**preset_thresholds(name if isinstance(name, str) else ""), **settings}


def overridden_keys(settings: Mapping[str, object]) -> set[str]:
    """Thresholds that differ from the preset's: somebody chose them, so they are left alone.

    Examples
    --------
    >>> overridden_keys({"preset": "balanced", "blur_threshold": 0.17, "min_contrast": 0.3})
    {'min_contrast'}
    """
    own = preset_thresholds(str(settings.get("preset", "balanced")))
    return {key for key in THRESHOLD_CURVE if key in settings and settings[key] != own[key]}
