"""Rows of tables in which a test says only what matters to it."""

import dataframely as dy

from bunny.table import schema, store

BOX = ("x0_px", "y0_px", "x1_px", "y1_px")
# Values of columns that must have one, where a test gives none; of others 0, "" or the first.
USUAL = {
    "film_id": "film",
    "content_hash": "0" * 64,
    "sha256": "0" * 64,
    "container": "mp4",
    "codec": "h264",
    "decoder": "pyav",
    "width_px": 64,
    "height_px": 36,
    "frame_rate_num": 24,
    "time_base_den": 24,
    "transition_in": "cut",
    "is_kept": True,
    "is_chosen": True,
    "detector": "yunet",
    "score": 0.9,
    "size_px": 40.0,
    "confidence": 0.9,
    "x1_px": 64.0,
    "y1_px": 64.0,
    "provider": "tags",
    "pose": "frontal",
    "shot_size": "medium",
    "upscale": 1.0,
    "crop_x1_px": 64,
    "crop_y1_px": 36,
    "fps": 16.0,
    "num_frames": 33,
}
# What follows from other columns in tables of shots and frames: a shot is a second of 24 frames.
TIMED = ("frame", "shot", "asset")
DERIVED = {
    "first_frame_index": lambda row: 24 * row["shot_index"],
    "end_frame_index": lambda row: row["first_frame_index"] + 24,
    "pts": lambda row: row["frame_index"],
    "start_pts": lambda row: row["first_frame_index"],
    "end_pts": lambda row: row["end_frame_index"],
    "start_s": lambda row: float(row["shot_index"]),
    "end_s": lambda row: row["start_s"] + 1,
    "timestamp_s": lambda row: row.get("frame_index", 24 * row["shot_index"]) / 24,
}


def fill(name, changes=(), /, **values):
    """A row of table `name`, `changes` over `values`; null columns are absent unless given."""
    needed = {c: kind for c, kind in schema.TABLE[name].columns().items() if not kind.nullable}
    given = values | dict(changes)
    row = {column: USUAL.get(column, _least(kind)) for column, kind in needed.items()} | given
    missing = (needed.keys() & DERIVED) - given.keys() if name in TIMED else ()
    for column in (column for column in DERIVED if column in missing):
        row[column] = DERIVED[column](row)
    return row


def table(name, rows):
    """Table `name` of such rows."""
    return store.from_rows(name, [fill(name, **row) for row in rows])


def write(folder, name, rows):
    """Write it below `folder`."""
    return store.write(folder, name, table(name, rows))


def box(*corners):
    """The four columns of a box."""
    return dict(zip(BOX, corners, strict=True))


def _least(kind):
    """The least value of a type."""
    match kind:
        case dy.Enum():
            return kind.categories[0]
        case dy.String():
            return ""
        case dy.Bool():
            return False
        case dy.List():
            return []
    return max(kind.min or 0, 0)
