"""Bucket, repeats and cropped share of each picture, as a trainer would assign them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bunny.dataset.check import kohya_folder
from bunny.dataset.check.file import (
    CHANGED,
    CLASS,
    DOUBT,
    HELD_OUT,
    STOPS,
    TRAIN,
    TrainerListing,
    TrainingItem,
)
from bunny.dataset.check.kohya_folder import Size

DEFAULT_PX = 512  # of kohya's and of diffusers' scripts for Stable Diffusion 1.x
MAX_CUT = 0.1  # share of a picture that may fall away at its rim before it is said
MAX_SCALE = 1.01  # enlarged by more: said


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
    buckets: dict[Size, int] = field(default_factory=dict)

    def fit(self, size: Size, trainer: str) -> tuple[Size, float]:
        """The size that a picture gets and the scale to it."""
        side = self.resolution_px
        if trainer == "ours":
            return size, 1.0
        if trainer == "imagefolder" or not self.has_buckets:
            return (side, side), side / min(size)
        if self.no_upscale:
            return kohya_folder.fit_without_upscale(size, side**2, self.step_px)
        sizes = kohya_folder.bucket_sizes(side, self.least_px, self.most_px, self.step_px)
        return kohya_folder.fit_bucket(size, sizes)


def bucket_setting(
    settings: Mapping[str, Any], resolution: int, batch: int, step: int, no_upscale: bool
) -> BucketSetting:
    """Take what was asked for, else the data set's own, else kohya's defaults.

    Parameters
    ----------
    settings : mapping
        Of ``dataset.toml``; empty without one.
    resolution, batch, step : int
        Pixels, pictures, pixels; 0: not asked for.
    no_upscale : bool
    """
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
    )


def count_repeats(
    items: Sequence[TrainingItem],
    sizes: Mapping[Path, Size],
    trainer: str,
    rule: BucketSetting,
    listing: TrainerListing,
) -> list[int]:
    """Say how often each item comes in an epoch; fill the rule's buckets, note what is cut.

    Parameters
    ----------
    items : sequence of TrainingItem
    sizes : mapping
        Width and height of each picture, pixels.
    trainer : str
        ours | kohya | imagefolder
    rule : BucketSetting
        Its `buckets` are filled.
    listing : TrainerListing
        Gets what is cut off, enlarged or not used.
    """
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


def steps_per_epoch(rule: BucketSetting, trainer: str) -> int:
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
    share = kohya_folder.cut_share(size, bucket, scale)
    if share > MAX_CUT:
        reason = f"{share:.0%} cropped: {size[0]}x{size[1]} to {bucket[0]}x{bucket[1]}"
        listing.add(path, CHANGED, reason)
