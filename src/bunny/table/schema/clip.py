"""Tables of clips: what was measured of each frame, the runs considered, and what was written."""

import dataframely as dy

from bunny.table.schema.path_column import IS_PATH

CAMERA = [
    "static",
    "pan left",
    "pan right",
    "tilt up",
    "tilt down",
    "zoom in",
    "zoom out",
    "hand-held",
]


class ClipFrame(dy.Schema):
    """One frame of a shot that clips may be taken from, measured on a small picture."""

    shot_index = dy.Int32(primary_key=True, min=0)
    frame_index = dy.Int64(primary_key=True, min=0)
    timestamp_s = dy.Float64()
    width_px = dy.Int32(min=0)  # of the shot's picture, bars cut off
    height_px = dy.Int32(min=0)
    change = dy.Float32(min=0)  # mean absolute luma difference to the frame before, in levels
    layout_change = dy.Float32(min=0, max=2)  # 1 - correlation of coarse luma with it
    scene_score = dy.Float32(nullable=True, min=0, max=100)  # of FFmpeg's filter scdet
    shift_x = dy.Float32()  # of the picture's content since the frame before, share of its width
    shift_y = dy.Float32()  # share of its height, down
    zoom = dy.Float32()  # natural logarithm of its scale since the frame before
    sharpness = dy.Float32(min=0)  # variance of the Laplacian
    luma = dy.Float32(nullable=True, min=0, max=255)  # mean
    text_share = dy.Float32(nullable=True, min=0, max=1)  # under writing; null: not looked at
    error = dy.String(nullable=True)


class ClipBox(dy.Schema):
    """Where a character stands in a frame: labelled there, or between two labels and alike."""

    shot_index = dy.Int32(primary_key=True, min=0)
    frame_index = dy.Int64(primary_key=True, min=0)
    character = dy.String(primary_key=True)
    x0_px = dy.Float32()  # in the shot's picture
    y0_px = dy.Float32()
    x1_px = dy.Float32()
    y1_px = dy.Float32()
    is_labelled = dy.Bool()
    likeness = dy.Float32(min=-1, max=1)  # correlation of colours with the nearest labelled box


class ClipOverlay(dy.Schema):
    """A logo: what stands at one place before many scenes of the film."""

    overlay_index = dy.Int32(primary_key=True, min=0)
    x0_px = dy.Int32(min=0)  # in the film's picture as shown
    y0_px = dy.Int32(min=0)
    x1_px = dy.Int32(min=1)
    y1_px = dy.Int32(min=1)
    num_pictures = dy.Int32(min=1)  # of different scenes that it was seen in


class ClipCandidate(dy.Schema):
    """A run of frames that was considered, and why it is no clip."""

    clip_id = dy.String(primary_key=True)
    character = dy.String()
    shot_index = dy.Int32(min=0)
    start_s = dy.Float64()  # film time of the first frame
    end_s = dy.Float64()  # of the last one's end
    num_frames = dy.Int32(min=1)
    coverage = dy.Float32(min=0, max=1)  # share of frames in which the character stands
    motion = dy.Float32(min=0)  # mean `change`
    sharpness = dy.Float32(min=0)  # median
    camera = dy.Enum(CAMERA)
    also_shown = dy.List(dy.String())
    is_chosen = dy.Bool()
    reason = dy.Enum(
        [
            "chosen",
            "absent",
            "cut inside",
            "frozen",
            "wild",
            "blurred",
            "text",
            "logo",
            "too short",
            "duplicate",
            "surplus",
            "failed",
        ]
    )
    detail = dy.String(nullable=True)


class Clip(dy.Schema):
    """One written clip: where it comes from, what it is, and its hash."""

    clip_id = dy.String(primary_key=True)
    character = dy.String()
    shot_index = dy.Int32(min=0)
    split = dy.Enum(["train", "held-out"])
    start_s = dy.Float64()  # film time of the first frame
    end_s = dy.Float64()  # start_s + num_frames / fps
    fps = dy.Float64(min=1)
    num_frames = dy.Int32(min=1)
    width_px = dy.Int32(min=32)
    height_px = dy.Int32(min=32)
    crop_x0_px = dy.Int32(min=0)  # in the film's picture as shown
    crop_y0_px = dy.Int32(min=0)
    crop_x1_px = dy.Int32(min=1)
    crop_y1_px = dy.Int32(min=1)
    camera = dy.Enum(CAMERA)
    motion = dy.Float32(min=0)
    coverage = dy.Float32(min=0, max=1)
    also_shown = dy.List(dy.String())
    frame_indices = dy.List(dy.Int64())  # of the film, one a frame of the clip
    file = dy.String(metadata=IS_PATH)  # the caption lies beside it as .txt
    caption = dy.String()
    has_audio = dy.Bool()
    sha256 = dy.String(regex="^[0-9a-f]{64}$")
    caption_provider = dy.String(nullable=True)  # the model's; null: composed from the tables
    caption_error = dy.String(nullable=True)  # why a model that was asked gave no caption
