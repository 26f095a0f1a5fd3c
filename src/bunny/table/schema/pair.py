"""Table of pairs of pictures for edit and reference models."""

import dataframely as dy

from bunny.table.schema.path_column import IS_PATH

KIND = ["reference", "edit", "clip"]  # clip: a reference pair whose target is a clip
REASON = [  # why a pair was left out
    "background",
    "gap",
    "surplus",
    "alone",  # of reference pairs
    "moved",
    "unaligned",
    "unchanged",
    "unsure",
    "unlike",
    "unreadable",  # of edit pairs
]


class TrainingPairSchema(dy.Schema):
    """A target picture with what it shall be made from, or why a pair was not taken.

    The first of `files` is the target, the others the references in the order of
    `reference_frame_ids`; of an edit pair the one reference is the picture before the change.
    """

    pair_id = dy.String(primary_key=True, metadata=IS_PATH)  # names exported files
    kind = dy.Enum(KIND)
    character = dy.String()
    split = dy.Enum(["train", "held-out"])
    target_frame_id = dy.String()  # of a clip the kept frame nearest to its middle
    target_clip_id = dy.String(nullable=True)
    target_s = dy.Float64()
    target_shot_index = dy.Int32(min=0)
    reference_frame_ids = dy.List(dy.String())
    reference_s = dy.List(dy.Float64())
    reference_shot_indices = dy.List(dy.Int32())
    background_similarity = dy.Float32(nullable=True)  # cosine, the largest of the references
    shift_px = dy.Float32(min=0, nullable=True)  # of edit pairs: background's motion
    scale = dy.Float32(min=0, nullable=True)
    residual = dy.Float32(min=0, nullable=True)  # mean luma difference of the aligned background
    instruction = dy.String(nullable=True)
    also_shown = dy.List(dy.String(), nullable=True)
    files = dy.List(dy.String(), nullable=True, metadata=IS_PATH)  # relative to the film's folder
    sha256 = dy.List(dy.String(), nullable=True)  # of each file
    reason = dy.Enum(REASON, nullable=True)  # null: taken
    error = dy.String(nullable=True)
