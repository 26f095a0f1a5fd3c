"""Every table of a film, declared once: columns, types, keys, ranges, rules.

`_index` is 0-based, `_id` is text, `is_`/`has_` are booleans, boxes are `x0_px y0_px x1_px y1_px`
in pixels of the stored picture (half-open), times carry exact PTS beside derived seconds, paths
are relative to the film's folder with `/`. Vectors are arrays; where their length depends on the
model they are `Array(Float32, d)`, and `d` is checked by `store`, not here.
"""

import dataframely as dy
import polars as pl


class Film(dy.Schema):
    """One film: what it is and what was found in it."""

    film_id = dy.String(primary_key=True)
    path = dy.String()  # as given by the user; outside the film's folder, so it may be absolute
    content_hash = dy.String(regex="^[0-9a-f]{64}$")  # SHA-256 of the file
    container = dy.String()
    codec = dy.String()
    pixel_format = dy.String(nullable=True)
    width_px = dy.Int32(min=1)  # of the picture as shown: rotated, square pixels
    height_px = dy.Int32(min=1)
    frame_rate_num = dy.Int64(min=0)  # average rate as a rational; 0/1 when unknown
    frame_rate_den = dy.Int64(min=1)
    time_base_num = dy.Int64(min=1)
    time_base_den = dy.Int64(min=1)
    start_s = dy.Float64()  # time of the first frame
    duration_s = dy.Float64(min=0)  # last frame's end minus first frame's time
    rotation_deg = dy.Int32()
    is_mirrored = dy.Bool()  # left and right exchanged before the turn
    sample_aspect_ratio = dy.String(nullable=True)  # "num:den" of a pixel
    color_transfer = dy.String(nullable=True)
    color_primaries = dy.String(nullable=True)
    is_interlaced = dy.Bool()
    num_frames = dy.Int64(min=0)  # decoded, not promised
    num_frames_promised = dy.Int64(nullable=True)  # by the container
    num_frames_failed = dy.Int64(min=0)  # that could not be decoded
    stream_index = dy.Int32(min=0)  # of the streams that the file holds
    start_timecode = dy.String(nullable=True)  # SMPTE, as the file says; of frames it is derived
    has_audio = dy.Bool()
    decoder = dy.String()  # pyav or opencv
    note = dy.String(nullable=True)  # e.g. "the container promises 275 frames, 127 were decoded"


class Shot(dy.Schema):
    """The frames between two cuts, half-open, in presentation order."""

    film_id = dy.String(primary_key=True)
    shot_index = dy.Int32(primary_key=True, min=0)
    first_frame_index = dy.Int64(min=0)
    end_frame_index = dy.Int64(min=1)
    start_s = dy.Float64()
    end_s = dy.Float64()
    start_pts = dy.Int64()
    end_pts = dy.Int64()
    transition_in = dy.Enum(["start", "cut", "fade", "dissolve"])
    motion = dy.Float32(min=0)  # mean absolute luma difference of neighbouring frames, in [0, 1]
    kind = dy.Enum(["static", "dynamic"])

    @dy.rule()
    def has_frames(cls) -> pl.Expr:
        """A shot is never empty."""
        return pl.col("end_frame_index") > pl.col("first_frame_index")


class Frame(dy.Schema):
    """One kept picture of the film."""

    frame_id = dy.String(primary_key=True)  # "<film_id>-<frame_index, 8 digits>"
    film_id = dy.String()
    shot_index = dy.Int32(min=0)
    frame_index = dy.Int64(min=0)
    pts = dy.Int64()
    time_base_num = dy.Int64(min=1)
    time_base_den = dy.Int64(min=1)
    timestamp_s = dy.Float64()  # pts * time base
    file = dy.String(nullable=True)  # null when the picture could not be made
    width_px = dy.Int32(nullable=True, min=1)
    height_px = dy.Int32(nullable=True, min=1)
    crop_x0_px = dy.Int32(min=0, nullable=True)  # where `file` lies in the picture as shown,
    crop_y0_px = dy.Int32(min=0, nullable=True)  # whose size is the film's: bars found over the
    crop_x1_px = dy.Int32(min=0, nullable=True)  # shot are cut off; all of it when there are none
    crop_y1_px = dy.Int32(min=0, nullable=True)
    reason = dy.Enum(
        ["keyframe", "interval", "shot-median", "shot-start", "shot-middle", "shot-end", "extra"]
    )
    error = dy.String(nullable=True)


class ExtraFrame(Frame):
    """A frame that detection looked at besides the kept ones; its picture is not stored."""


class Numbers(dy.Schema):
    """Numbers that were measured on the pixels of a frame; no table of its own."""

    frame_id = dy.String(primary_key=True)
    laplacian_variance = dy.Float32(min=0, nullable=True)
    blur_score = dy.Float32(min=0, max=1, nullable=True)  # 1 is sharp
    smear = dy.Float32(min=0, max=1, nullable=True)  # 1 is blurred along one direction only
    smear_angle_deg = dy.Float32(min=0, max=180, nullable=True)  # 0 along rows, 90 along columns
    blockiness = dy.Float32(min=0, max=1, nullable=True)  # share of small steps on an 8-px grid
    noise = dy.Float32(min=0, nullable=True)  # standard deviation, grey levels
    brightness = dy.Float32(min=0, max=1, nullable=True)  # mean BT.709 luma
    contrast = dy.Float32(min=0, max=1, nullable=True)  # standard deviation of luma
    dynamic_range = dy.Float32(min=0, max=1, nullable=True)  # 99th less 1st percentile of luma
    clipped_dark_share = dy.Float32(min=0, max=1, nullable=True)
    clipped_bright_share = dy.Float32(min=0, max=1, nullable=True)
    entropy_bits = dy.Float32(min=0, max=8, nullable=True)
    colourfulness = dy.Float32(min=0, nullable=True)  # Hasler, Suesstrunk: 0 grey, 109 extreme
    background_share = dy.Float32(min=0, max=1, nullable=True)  # has the commonest colour
    text_share = dy.Float32(min=0, max=1, nullable=True)  # of the picture, under lines of text
    subtitle_share = dy.Float32(min=0, max=1, nullable=True)  # of them, those set as subtitles
    text_lines = dy.Int32(min=0, nullable=True)
    content_x0_px = dy.Int32(min=0, nullable=True)  # box inside letterbox or pillarbox bars
    content_y0_px = dy.Int32(min=0, nullable=True)
    content_x1_px = dy.Int32(min=0, nullable=True)
    content_y1_px = dy.Int32(min=0, nullable=True)
    phash = dy.UInt64(nullable=True)  # 64-bit perceptual hash
    error = dy.String(nullable=True)


class Measure(Numbers):
    """What was measured on the pixels of each kept frame, once; no threshold is in here."""

    tile_sharpness = dy.Array(dy.Float32(nullable=True), 144, nullable=True)  # 12x12, row-major
    signature = dy.Array(dy.UInt8(nullable=True), 1024, nullable=True)  # 32x32 luma, row-major


class Quality(Numbers):
    """The numbers and what today's settings decide from them; rewritten at each change of them."""

    is_kept = dy.Bool()
    reason = dy.Enum(
        [
            *("kept", "blurred", "dark", "bright", "flat", "duplicate", "batch", "unreadable"),
            *("black", "blank", "title", "credit", "smeared", "blocky", "subtitled"),
        ]
    )
    strictness = dy.Float32(nullable=True, min=-1, max=3)  # up to which it is good; see preset
    duplicate_of = dy.String(nullable=True)  # the frame_id that stays
    duplicate_group = dy.String(nullable=True)  # the same; on the one that stays, its own
    duplicate_bits = dy.UInt8(nullable=True, max=64)  # Hamming distance to the one that stays
    duplicate_similarity = dy.Float32(nullable=True, min=-1, max=1)  # of signatures, to it


class Face(dy.Schema):
    """One detected face with its embedding."""

    face_id = dy.String(primary_key=True)  # "<frame_id>-f<index>"
    frame_id = dy.String()
    shot_index = dy.Int32(min=0)
    x0_px = dy.Float32()
    y0_px = dy.Float32()
    x1_px = dy.Float32()
    y1_px = dy.Float32()
    detector = dy.String()
    score = dy.Float32(min=0)
    landmark = dy.Any()  # Array(Float32, 10): right eye, left eye, nose, mouth corners
    yaw = dy.Float32(min=-1, max=1, nullable=True)  # -1 and 1 are profiles, 0 is frontal
    pitch = dy.Float32(min=-1, max=1, nullable=True)  # 0 level, 1 looking down, -1 up
    mouth = dy.Float32(min=0, nullable=True)  # width of the mouth over the distance of the eyes
    size_px = dy.Float32(min=0)  # height of the box
    sharpness = dy.Float32(min=0, nullable=True)  # variance of the Laplacian in the box
    brightness = dy.Float32(min=0, max=1, nullable=True)  # mean luma in the box
    recogniser = dy.String(nullable=True)
    embedding = dy.Any()  # Array(Float32, d), unit length
    track_id = dy.String(nullable=True)
    error = dy.String(nullable=True)


class Track(dy.Schema):
    """One face followed through a shot."""

    track_id = dy.String(primary_key=True)  # "<film_id>-t<index>"
    shot_index = dy.Int32(min=0)
    first_frame_index = dy.Int64(min=0)
    last_frame_index = dy.Int64(min=0)
    num_faces = dy.Int32(min=1)
    best_face_id = dy.String()
    embedding = dy.Any()


class Region(dy.Schema):
    """The best window of a frame for one drawn or animal character."""

    region_id = dy.String(primary_key=True)  # "<frame_id>-r<index>"
    frame_id = dy.String()
    shot_index = dy.Int32(min=0)
    candidate = dy.String()  # the character whose reference it was compared with
    x0_px = dy.Float32()
    y0_px = dy.Float32()
    x1_px = dy.Float32()
    y1_px = dy.Float32()
    similarity = dy.Float32(min=-1, max=1)  # centred cosine to the nearest reference picture
    margin = dy.Float32()  # similarity minus the best other candidate's at the same window
    support = dy.Float32(nullable=True)  # half similarity, half its mean over the shot's frames
    track_id = dy.String(nullable=True)  # one figure followed through its shot
    model = dy.String()


class Label(dy.Schema):
    """Who a face or a region is; `character` null means unknown."""

    subject_id = dy.String(primary_key=True)  # a face_id or a region_id
    subject_type = dy.Enum(["face", "region"])
    character = dy.String(nullable=True)
    frame_id = dy.String()
    shot_index = dy.Int32(min=0)
    x0_px = dy.Float32()
    y0_px = dy.Float32()
    x1_px = dy.Float32()
    y1_px = dy.Float32()
    distance = dy.Float32(nullable=True, min=0)  # 1 - cosine similarity to the nearest reference
    margin = dy.Float32(nullable=True)  # to the second best character
    confidence = dy.Float32(min=0, max=1)
    source = dy.Enum(["reference", "cluster", "person"])


class Pair(dy.Schema):
    """Two faces of a film of which it is known for nothing whether they are one person."""

    pair_id = dy.String(primary_key=True)  # "<face_id>+<face_id>"
    kind = dy.Enum(["same-track", "same-frame"])  # one person; two people
    one_id = dy.String()
    other_id = dy.String()
    similarity = dy.Float32(min=-1, max=1)  # on the common scale
    adapted_similarity = dy.Float32(min=-1, max=1, nullable=True)


class Calibration(dy.Schema):
    """The threshold that holds for a film and what it rests on."""

    route = dy.Enum(["face", "region"], primary_key=True)
    threshold = dy.Float32(min=-1, max=2)
    source = dy.Enum(["film", "settings"])  # measured on the film's own pairs, or as configured
    num_same = dy.Int64(min=0)
    num_different = dy.Int64(min=0)
    separation = dy.Float32(nullable=True)  # of held-out pairs, before adaptation
    adapted_separation = dy.Float32(nullable=True)  # and after it
    is_adapted = dy.Bool()
    note = dy.String(nullable=True)


class Reference(dy.Schema):
    """One reference picture and what it gave."""

    reference_id = dy.String(primary_key=True)  # "<character>/<file>"
    character = dy.String()
    content_hash = dy.String()
    route = dy.Enum(["face", "region"])  # a face was found, or the whole picture is the subject
    num_faces = dy.Int32(min=0)
    recogniser = dy.String(nullable=True)
    face_embedding = dy.Any()
    picture_embedding = dy.Any()
    error = dy.String(nullable=True)


class Embedding(dy.Schema):
    """Scene vector of a frame."""

    frame_id = dy.String(primary_key=True)
    model = dy.String(primary_key=True)
    vector = dy.Any()
    error = dy.String(nullable=True)


class Cluster(dy.Schema):
    """Which cluster an item is in, or the noise bucket."""

    item_id = dy.String(primary_key=True)  # frame_id (scene), face_id or region_id (character)
    level = dy.Enum(["scene", "character", "unknown"], primary_key=True)
    shot_index = dy.Int32(min=0)
    cluster_id = dy.String(nullable=True)  # "scene-003", "scene-003/anna"; null: noise
    scene_id = dy.String(nullable=True)
    character = dy.String(nullable=True)
    similarity = dy.Float32(min=-1, max=1, nullable=True)  # to the centroid at the time of joining
    is_noise = dy.Bool()


class Caption(dy.Schema):
    """The words of a frame."""

    frame_id = dy.String(primary_key=True)
    version = dy.Int32(primary_key=True, min=1)
    text = dy.String(nullable=True)
    tags = dy.List(dy.String(), nullable=True)
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


class Dataset(dy.Schema):
    """One training picture: where it comes from and how it is used."""

    image_id = dy.String(primary_key=True)
    character = dy.String()
    role = dy.Enum(["subject", "class"], nullable=True)  # class: the film without the character
    frame_id = dy.String()
    subject_id = dy.String()  # of a class picture: its frame_id
    shot_index = dy.Int32(min=0)
    file = dy.String()
    mask_file = dy.String(nullable=True)  # white where the subject is
    x0_px = dy.Float32()  # the crop, in pixels of the frame's picture
    y0_px = dy.Float32()
    x1_px = dy.Float32()
    y1_px = dy.Float32()
    width_px = dy.Int32(min=1)  # of the written picture: its size bucket
    height_px = dy.Int32(min=1)
    upscale = dy.Float32(min=0)  # written size over crop size; above 1 pixels were invented
    is_recovered = dy.Bool(
        nullable=True
    )  # decoded again from the film, not from the stored picture
    shot_size = dy.Enum(SHOT_SIZE)
    pose = dy.Enum(POSE, nullable=True)
    place = dy.String(nullable=True)
    light = dy.Enum(LIGHT, nullable=True)
    caption = dy.String()
    repeats = dy.Int32(min=1)
    split = dy.Enum(["train", "held-out"])


class TrainingRun(dy.Schema):
    """One fine-tune."""

    run_id = dy.String(primary_key=True)
    character = dy.String()
    trigger = dy.String()
    base_model = dy.String()
    base_hash = dy.String(nullable=True)
    base_licence = dy.String(nullable=True)
    config_json = dy.String()
    seed = dy.Int64()
    num_images = dy.Int32(min=0)
    num_held_out = dy.Int32(min=0)
    num_steps = dy.Int32(min=0)
    seconds = dy.Float64(min=0)
    loss_first = dy.Float32(nullable=True)  # mean of the first tenth of the steps
    loss_last = dy.Float32(nullable=True)
    held_out_loss_first = dy.Float32(nullable=True)  # fixed noise and times, before training
    held_out_loss_last = dy.Float32(nullable=True)
    adapter_file = dy.String(nullable=True)  # relative to the checkpoint folder
    adapter_hash = dy.String(nullable=True)
    status = dy.Enum(["done", "failed", "stopped"])
    error = dy.String(nullable=True)


class TrainingStep(dy.Schema):
    """The loss curve."""

    run_id = dy.String(primary_key=True)
    step = dy.Int32(primary_key=True, min=0)
    loss = dy.Float32(nullable=True)
    held_out_loss = dy.Float32(nullable=True)
    learning_rate = dy.Float64(nullable=True)
    probe_loss = dy.Float32(nullable=True)  # on training pictures, at fixed noise and times


class Adapter(dy.Schema):
    """One checkpoint of a fine-tune as an adapter that can be loaded."""

    run_id = dy.String(primary_key=True)
    step = dy.Int32(primary_key=True, min=0)
    character = dy.String()
    file = dy.String()  # relative to the checkpoint folder
    hash = dy.String()
    held_out_loss = dy.Float32(nullable=True)
    is_last = dy.Bool()


class Picture(dy.Schema):
    """One drawn picture with all that is needed to draw it again."""

    picture_id = dy.String(primary_key=True)
    run_id = dy.String(nullable=True)
    character = dy.String(nullable=True)
    file = dy.String(nullable=True)
    prompt = dy.String()
    negative_prompt = dy.String(nullable=True)
    seed = dy.Int64()
    num_steps = dy.Int32(min=1)
    guidance_scale = dy.Float32(min=0)
    width_px = dy.Int32(min=1)
    height_px = dy.Int32(min=1)
    base_model = dy.String()
    adapter_file = dy.String(nullable=True)  # null: the base alone
    adapter_hash = dy.String(nullable=True)
    step = dy.Int32(nullable=True, min=0)  # of the checkpoint
    strength = dy.Float32(nullable=True, min=0)  # of the adapter
    blend = dy.String(nullable=True)  # JSON: further adapters with file, hash and strength
    scheduler = dy.String(nullable=True)  # diffusers' class
    init_frame = dy.String(nullable=True)  # the frame_id that drawing started from
    init_strength = dy.Float32(nullable=True, min=0, max=1)
    is_flagged = dy.Bool(nullable=True)  # by the safety checker; null: it was not asked
    similarity = dy.Float32(nullable=True)  # to held-out pictures of the character
    error = dy.String(nullable=True)


PROMPT_SET = ["choose", "report", "class", "pair", "other", "real"]


class Evaluation(dy.Schema):
    """What was measured on a checkpoint's drawings, one number a row, with its interval."""

    run_id = dy.String(primary_key=True)
    character = dy.String(primary_key=True)  # whom the pictures were asked to show
    step = dy.Int32(primary_key=True, min=0)  # 0: the base alone
    # choose: checkpoints are chosen by these; report: figures to go by; class: the class word
    # alone; pair: with another character; other: another character alone; real: the film's own
    prompt_set = dy.Enum(PROMPT_SET, primary_key=True)
    metric = dy.String(primary_key=True)  # see `training.proof.table`
    about = dy.String(primary_key=True)  # a prompt, or whom it was taken for; "": all of them
    value = dy.Float64(nullable=True)
    low = dy.Float64(nullable=True)  # 95 % interval by bootstrap over prompts and seeds
    high = dy.Float64(nullable=True)
    n = dy.Int32(min=0)  # pictures behind it


class ProofPicture(dy.Schema):
    """One picture drawn for the evaluation, or one of the film (real), with what was seen in it."""

    picture_id = dy.String(primary_key=True)
    run_id = dy.String()
    character = dy.String()  # whom it was asked to show, or shows
    step = dy.Int32(min=0)  # 0: the base alone
    prompt_set = dy.Enum(PROMPT_SET)
    prompt = dy.String(nullable=True)  # null of real ones
    seed = dy.Int64(nullable=True)
    file = dy.String(nullable=True)
    likeness = dy.Float32(nullable=True)  # cosine to the run's character; null: nobody found
    identity = dy.Float32(nullable=True)  # likeness where 0 is a stranger, 1 the character itself
    is_somebody = dy.Bool(nullable=True)  # anybody at all was found
    recognised = dy.String(nullable=True)  # as whom; nobody, unknown
    agreement = dy.Float32(nullable=True)  # with its prompt
    nearest = dy.Float32(nullable=True)  # cosine to the most similar training picture
    nearest_id = dy.String(nullable=True)  # that picture's image_id
    is_copy = dy.Bool(nullable=True)
    num_alike = dy.Int32(nullable=True)  # separate places that look like the run's character
    error = dy.String(nullable=True)


class Identity(Label):
    """Who a face or a region is after people corrected it; read in the stead of `label`."""


class Grouping(Cluster):
    """Table `cluster` after corrections, read in its stead; a named scene goes by its name."""


class CaptionEdit(dy.Schema):
    """Words that a person gave a shot; they outlive every captioning."""

    shot_index = dy.Int32(primary_key=True, min=0)
    text = dy.String()
    user = dy.String()


class Asset(dy.Schema):
    """One item of the library as people see it: where a shot plays, or who a figure in it is."""

    asset_id = dy.String(primary_key=True)  # "<film_id>-s<shot>"; a figure: its track's id
    level = dy.Enum(["scene", "character"])
    shot_index = dy.Int32(min=0)
    first_frame_index = dy.Int64(min=0)  # of the shot, or where the figure was seen; half-open
    end_frame_index = dy.Int64(min=1)
    start_s = dy.Float64(nullable=True)  # the same span in time; null: only known by frames
    end_s = dy.Float64(nullable=True)
    timestamp_s = dy.Float64()  # of the picture that stands for it
    frame_id = dy.String(nullable=True)  # that picture; null: none could be made
    subject_id = dy.String(nullable=True)  # a figure's best face_id or region_id
    x0_px = dy.Float32(nullable=True)  # a figure's box in that picture
    y0_px = dy.Float32(nullable=True)
    x1_px = dy.Float32(nullable=True)
    y1_px = dy.Float32(nullable=True)
    # Views of a figure, five numbers each: time, then the box in shares of the picture as shown.
    boxes = dy.List(dy.Float64(), nullable=True)
    cluster_id = dy.String(nullable=True)  # after corrections; null: the noise bucket
    name = dy.String(nullable=True)  # what people call that cluster; null: nobody named it
    machine_cluster_id = dy.String(nullable=True)  # before corrections
    similarity = dy.Float32(min=-1, max=1, nullable=True)  # to its cluster's centroid
    margin = dy.Float32(nullable=True)  # to the second best cluster
    doubt = dy.Float32(min=0, max=1)  # 1: look at it first; 0: a person said so
    source = dy.Enum(["machine", "learned", "person"])  # who put it there
    is_approved = dy.Bool()
    rejected_from = dy.List(dy.String())  # clusters that people said it is not in
    who = dy.List(dy.String())  # characters seen in the shot, after corrections, sorted
    comments = dy.Int32(min=0)


class ShotVector(dy.Schema):
    """What shots are compared by: the unit mean of their frames' scene vectors."""

    asset_id = dy.String(primary_key=True)
    model = dy.String()
    vector = dy.Any()  # Array(Float32, d)


class FigureVector(dy.Schema):
    """What figures are compared by: the unit mean of their good views."""

    asset_id = dy.String(primary_key=True)
    model = dy.String(primary_key=True)  # faces and drawn figures differ; d is the longest,
    vector = dy.Any()  # Array(Float32, d); shorter ones end in zeros, which changes no cosine


class SubjectVector(dy.Schema):
    """Picture vector of a drawn figure's region; faces have theirs in `face`."""

    subject_id = dy.String(primary_key=True)
    model = dy.String()
    vector = dy.Any()  # Array(Float32, d), unit length
    error = dy.String(nullable=True)


class Stability(dy.Schema):
    """How far groupings of the same vectors agree: by other orders, methods, samples."""

    level = dy.Enum(["scene", "unknown"], primary_key=True)
    method = dy.String(primary_key=True)  # incremental, agglomerative, hdbscan
    compared_with = dy.String(primary_key=True)  # order, sample, another method
    rand_index = dy.Float32(nullable=True, min=-1, max=1)  # adjusted; mean over the runs
    lowest = dy.Float32(nullable=True, min=-1, max=1)
    num_runs = dy.Int32(min=0)
    num_clusters = dy.Int32(min=0)


class Feedback(dy.Schema):
    """The record of corrections, `feedback.jsonl`, as a table; see `review.event`."""

    event_id = dy.String(primary_key=True)
    time = dy.String()  # ISO 8601, UTC, microseconds
    user = dy.String()
    kind = dy.Enum(
        [
            *("assign", "reject", "merge", "split", "rename", "approve", "comment"),
            *("caption_edit", "undo"),
        ]
    )
    level = dy.Enum(["scene", "character"])
    num_items = dy.Int32(min=0)
    asset_ids = dy.List(dy.String())  # what the anchors stand for in today's tables
    cluster_id = dy.String(nullable=True)  # likewise
    text = dy.String(nullable=True)  # a name, comment or caption
    reason = dy.String(nullable=True)
    origin = dy.String()  # board, cli, propagated, database
    is_undone = dy.Bool()
    is_lost = dy.Bool()  # nothing in today's tables answers to its anchors


class TrainingFeedback(dy.Schema):
    """Pairs that corrections say are alike (1) or not (0), for metric learning."""

    anchor_id = dy.String(primary_key=True)
    positive_id = dy.String(primary_key=True)  # the item that the anchor is compared with
    label = dy.Int8(min=0, max=1)
    level = dy.Enum(["scene", "character"])
    event_id = dy.String()


class SearchVector(dy.Schema):
    """Vector of a sentence or a picture for search, filed under what it was made from."""

    content_id = dy.String(primary_key=True)  # 32 hex digits of a SHA-256
    model = dy.String()
    vector = dy.Any()  # Array(Float32, d), unit length


TABLE: dict[str, type[dy.Schema]] = {
    "film": Film,
    "shot": Shot,
    "frame": Frame,
    "extra_frame": ExtraFrame,
    "measure": Measure,
    "quality": Quality,
    "face": Face,
    "track": Track,
    "region": Region,
    "label": Label,
    "pair": Pair,
    "calibration": Calibration,
    "reference": Reference,
    "embedding": Embedding,
    "cluster": Cluster,
    "subject_vector": SubjectVector,
    "stability": Stability,
    "identity": Identity,
    "grouping": Grouping,
    "caption_edit": CaptionEdit,
    "asset": Asset,
    "shot_vector": ShotVector,
    "figure_vector": FigureVector,
    "feedback": Feedback,
    "training_feedback": TrainingFeedback,
    "search_vector": SearchVector,
    "caption": Caption,
    "candidate": Candidate,
    "dataset": Dataset,
    "training_run": TrainingRun,
    "training_step": TrainingStep,
    "adapter": Adapter,
    "evaluation": Evaluation,
    "proof_picture": ProofPicture,
    "picture": Picture,
}

# Columns declared `dy.Any` above: vectors whose length depends on the model.
VECTOR: dict[str, tuple[str, ...]] = {
    "face": ("landmark", "embedding"),
    "track": ("embedding",),
    "reference": ("face_embedding", "picture_embedding"),
    "embedding": ("vector",),
    "subject_vector": ("vector",),
    "shot_vector": ("vector",),
    "figure_vector": ("vector",),
    "search_vector": ("vector",),
}
