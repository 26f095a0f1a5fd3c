"""Table change of a film of 40 frames at 20 a second, by hand: a cut at 10 and a weak one at 25."""

import polars as pl

from bunny.table import store

NUM_FRAMES, RATE = 40, 20
SCORE = {10: 3.0, 25: 1.2, 30: 4.0, 33: 0.7}
VETO = {10: "none", 25: "none", 30: "flash", 33: "light"}


def table(film_id: str = "film") -> pl.DataFrame:
    """Rows of the table."""
    rows = [
        {
            "film_id": film_id,
            "frame_index": index,
            "pts": index,
            "timestamp_s": index / RATE,
            "frame_bytes": 100,
            "luma_levels": 73440 if index == 10 else 0,  # an eighth of 64 x 36 x 255
            "moved": 0.25 if index == 10 else 0.0,
            "contrast": 0.5,
            "brightness": 0.75,
            "cut_score": SCORE.get(index, 0.125) if index else None,
            "cut_veto": VETO.get(index, "unmeasured"),
        }
        for index in range(NUM_FRAMES)
    ]
    return store.from_rows("change", rows)
