"""What the frames' stored measures say of labelled boxes; no pixel is read."""

import numpy as np
import polars as pl

from bunny.dataset import appearance, candidate
from bunny.quality import sharpness

MEASURED = ("sharpness", "blur_score", "luma")


def measure_subjects(tables: dict[str, pl.DataFrame]) -> pl.DataFrame:
    """Read sharpness and light inside labelled boxes off the frames' stored measures.

    Parameters
    ----------
    tables : dict
        Tables label, frame and measure.

    Returns
    -------
    pl.DataFrame
        subject_id, sharpness (mean square of the Laplacian, grey levels squared), blur_score and
        luma in [0, 1]; subjects whose frame was not measured are left out.
    """
    columns = ("frame_id", "tile_sharpness", "signature", "contrast")
    size = ("width_px", "height_px")
    known = (
        tables["label"]
        .join(tables["frame"].drop_nulls(size).select("frame_id", *size), on="frame_id")
        .join(tables["measure"].select(columns).drop_nulls(), on="frame_id")
        .filter(
            pl.col("x0_px").clip(0) < pl.min_horizontal("x1_px", "width_px"),
            pl.col("y0_px").clip(0) < pl.min_horizontal("y1_px", "height_px"),
        )
        .sort("subject_id")
    )
    if known.is_empty():
        schema = {"subject_id": pl.String, **dict.fromkeys(MEASURED, pl.Float64)}
        return pl.DataFrame(schema=schema)
    boxes, sizes = known.select(candidate.BOX).to_numpy(), known.select(size).to_numpy()
    sharp = sharpness.sharpness_in_boxes(known["tile_sharpness"].to_numpy(), boxes, sizes)
    contrast = 255 * known["contrast"].to_numpy()
    score = [sharpness.blur_score(s, c) for s, c in zip(sharp, contrast, strict=True)]
    luma = appearance.subject_luma(boxes, sizes, known["signature"].to_numpy())
    columns = dict(zip(MEASURED, (sharp, np.array(score), luma), strict=True))
    return known.select("subject_id").with_columns(**columns).fill_nan(None)
