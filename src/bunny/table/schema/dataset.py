"""Tables of captions, search vectors, training candidates and the training set."""

import dataframely as dy

from bunny.table.schema.path_column import IS_PATH

POSE = ["left-profile", "left", "frontal", "right", "right-profile", "unknown"]
SHOT_SIZE = ["close-up", "medium", "wide"]
LIGHT = ["dark", "medium", "bright"]


class Candidate(dy.Schema):
    """One labelled view of a character and whether it was chosen for training, or why not."""

    subject_id = dy.String(primary_key=True)  # a face_id or a region_id
    character = dy.String(primary_key=True)
    subject_type = dy.Enum(["face", "region"])
    frame_id = dy.String()
    shot_index = dy.Int32(min=0)
    frame_index = dy.Int64(min=0)
    timestamp_s = dy.Float64()
    x0_px = dy.Float32()  # the subject, in pixels of the frame's picture
    y0_px = dy.Float32()
    x1_px = dy.Float32()
    y1_px = dy.Float32()
    size_px = dy.Float32(min=0)  # shorter side of the box
    pose = dy.Enum(POSE)
    shot_size = dy.Enum(SHOT_SIZE)  # how the film frames the subject
    place = dy.String(nullable=True)  # scene cluster; null: in none
    light = dy.Enum(LIGHT, nullable=True)  # on the subject
    sharpness = dy.Float32(min=0, nullable=True)  # of the subject
    confidence = dy.Float32(min=0, max=1)
    num_others = dy.Int32(min=0)  # other people and figures in the frame
    is_chosen = dy.Bool()
    reason = dy.Enum(
        [
            "chosen",
            "filtered",
            "doubtful",
            "small",
            "soft",
            "crowded",
            "duplicate",
            "surplus",
            "unreadable",
        ]
    )
    detail = dy.String(nullable=True)  # e.g. the filter's own reason
    duplicate_of = dy.String(nullable=True)  # subject_id of the chosen look-alike
    gain = dy.Float32(nullable=True)  # what it added to the set's coverage when it was chosen


class DatasetSchema(dy.Schema):
    """One training picture: where it comes from and how it is used."""

    image_id = dy.String(primary_key=True)
    character = dy.String()
    role = dy.Enum(["subject", "class"], nullable=True)  # class: the film without the character
    frame_id = dy.String()
    subject_id = dy.String()  # of a class picture: its frame_id
    shot_index = dy.Int32(min=0)
    file = dy.String(metadata=IS_PATH)
    mask_file = dy.String(nullable=True, metadata=IS_PATH)  # white where the subject is
    # Least of the measures of `mask`; below dataset.min_mask_quality there is no file. Null: no
    # outline was found or looked for.
    mask_quality = dy.Float32(min=0, max=1, nullable=True)
    x0_px = dy.Float32()  # the crop, in pixels of the frame's picture
    y0_px = dy.Float32()
    x1_px = dy.Float32()
    y1_px = dy.Float32()
    width_px = dy.Int32(min=1)  # of the written picture: its size bucket
    height_px = dy.Int32(min=1)
    upscale = dy.Float32(min=0)  # written size over crop size; above 1 pixels were invented
    is_recovered = dy.Bool(nullable=True)  # decoded again from the film, not the stored picture
    shot_size = dy.Enum(SHOT_SIZE)
    pose = dy.Enum(POSE, nullable=True)
    place = dy.String(nullable=True)
    light = dy.Enum(LIGHT, nullable=True)
    caption = dy.String()
    # Captions that training takes one of at a time; their shares add up to 1; null: one caption.
    variant_captions = dy.List(dy.String(), nullable=True)
    variant_shares = dy.List(dy.Float64(), nullable=True)
    repeats = dy.Int32(min=1)
    split = dy.Enum(["train", "held-out"])


class CaptionSchema(dy.Schema):
    """The words of a frame."""

    frame_id = dy.String(primary_key=True)
    version = dy.Int32(primary_key=True, min=1)
    text = dy.String(nullable=True)
    # Further captions, where captioning.variants asks for them.
    text_short = dy.String(nullable=True)
    text_long = dy.String(nullable=True)
    text_tags = dy.String(nullable=True)
    tags = dy.List(dy.String(), nullable=True)
    # What the provider gave, before style, trigger words and pruning; characters go by their names.
    answer = dy.String(nullable=True)  # its sentence; null: composed from the columns below
    subject = dy.String(nullable=True)  # who is seen: "anna and a person"
    clothes = dy.String(nullable=True)  # "wearing a red coat"
    action = dy.String(nullable=True)  # "running"
    place = dy.String(nullable=True)  # "in a kitchen"; in its name where a person gave one
    light = dy.String(nullable=True)  # "at night"
    framing = dy.String(nullable=True)  # "medium shot"
    characters = dy.List(dy.String(), nullable=True)
    provider = dy.String()
    model = dy.String(nullable=True)
    prompt_hash = dy.String(nullable=True)
    input_tokens = dy.Int64(nullable=True, min=0)
    output_tokens = dy.Int64(nullable=True, min=0)
    cost_usd = dy.Float64(nullable=True, min=0)
    status = dy.Enum(["done", "failed", "refused"])
    error = dy.String(nullable=True)
    note = dy.String(nullable=True)  # what was mended or is odd, e.g. a trigger word put in front
    fallback_reason = dy.String(nullable=True)  # why the providers before this one did not answer


class SearchVector(dy.Schema):
    """Vector of a sentence or a picture for search, filed under what it was made from."""

    content_id = dy.String(primary_key=True)  # 32 hex digits of a SHA-256
    model = dy.String()
    vector = dy.Any()  # Array(Float32, d), unit length
