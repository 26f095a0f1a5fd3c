"""Stage 2: which pictures are good enough, decided from stored measures; no picture is opened."""

from typing import Any

import polars as pl

from bunny.quality import flag
from bunny.stage import contract


class Filter(contract.BaseStage):
    """Writes quality: the measures, and what today's thresholds say of them."""

    name = "filter"
    reads = ("frame", "measure")
    writes = ("quality",)

    def settings(self) -> dict[str, Any]:
        """All of section `filtering`."""
        return contract.settings_of(self.config, "filtering")

    def run(self) -> contract.Work:
        """Apply the thresholds to every frame."""
        threshold = flag.QualityThreshold(**self.config.filtering.model_dump())
        frame = self.read("frame").lazy().select("frame_id", frame_error="error")
        measure = frame.join(self.read("measure").lazy(), on="frame_id", how="left")
        measure = measure.with_columns(error=pl.coalesce("error", "frame_error"))
        quality = flag.flag(measure.drop("frame_error"), threshold).collect()
        kept = int(quality["is_kept"].sum())
        counts = flag.count_reasons(quality.lazy()).collect()
        words = ", ".join(f"{count} {reason}" for reason, count in counts.iter_rows())
        note = "" if kept else f"no frame is kept ({words}); lower the thresholds of filtering"
        return contract.Work(tables={"quality": quality}, num_items=quality.height, note=note)
