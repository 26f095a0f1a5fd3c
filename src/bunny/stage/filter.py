"""Stage filter: good pictures by thresholds over stored measures; no picture is opened."""

import json
from typing import Any

import polars as pl

from bunny.contract import stage
from bunny.core import atomic
from bunny.quality import flag, threshold_search
from bunny.table import schema

RECORD = "threshold.json"  # which thresholds decided, solved ones too


class Filter(stage.BaseStage):
    """Writes quality: the measures, and what today's thresholds say of them."""

    name = "filter"
    version = 4
    reads = ("frame", "measure")
    writes = ("quality",)

    def settings(self) -> dict[str, Any]:
        """All of section `filtering`."""
        return stage.settings_of(self.config, "filtering")

    def has_files(self) -> bool:
        """Whether the record of thresholds is there."""
        return (self.folder / RECORD).exists()

    def run(self) -> stage.StageOutput:
        """Apply the thresholds to every frame and record them."""
        frame = self.read("frame").lazy().select("frame_id", frame_error="error")
        measure = frame.join(self.read("measure").lazy(), on="frame_id", how="left")
        measure = measure.with_columns(error=pl.coalesce("error", "frame_error"))
        quality, solution = threshold_search.flag_frames(
            measure.drop("frame_error").collect(), self.config.filtering
        )
        quality = quality.select(schema.TABLE["quality"].column_names())
        record = json.dumps(threshold_search.to_json(solution), indent=1)
        atomic.write_bytes(self.folder / RECORD, record.encode())
        counts = flag.count_reasons(quality.lazy()).collect()
        words = ", ".join(f"{count} {reason}" for reason, count in counts.iter_rows())
        nothing = f"no frame is kept ({words}); relax the thresholds in section filtering"
        note = solution.note if solution.num_kept else nothing
        return stage.StageOutput(tables={"quality": quality}, num_items=quality.height, note=note)
