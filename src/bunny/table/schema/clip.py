"""Table of clips cut from the film for video models."""

import dataframely as dy


class Clip(dy.Schema):
    """One run of frames of a character, written as a clip."""

    clip_id = dy.String(primary_key=True)
    character = dy.String()
    shot_id = dy.String()
    split = dy.Enum(["train", "held-out"])
    start_s = dy.Float64(min=0)  # in the film
    end_s = dy.Float64(min=0)
    fps = dy.Float64(min=0)
    num_frames = dy.Int32(min=1)
    width = dy.Int32(min=1)  # of the written clip
    height = dy.Int32(min=1)
    camera = dy.String(nullable=True)
    motion = dy.Float32(min=0, nullable=True)
    coverage = dy.Float32(min=0, max=1, nullable=True)  # share of frames that show the character
    also_shown = dy.List(dy.String(), nullable=True)
    file = dy.String()
    caption = dy.String(nullable=True)
    has_audio = dy.Bool(nullable=True)
    sha256 = dy.String(nullable=True)
    error = dy.String(nullable=True)
