"""Tables of the film: film, shots, frames, their measures and the filter's decisions."""

import dataframely as dy
import polars as pl

from bunny.table.schema.path_column import IS_PATH


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
    decoder = dy.String()  # pyav or opencv; of a folder: pictures or sequence
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
    luma_range = dy.Float32(min=0, max=1, nullable=True)  # how far its frames differ, see `kind`
    kind = dy.Enum(["static", "dynamic"])  # by `luma_range`: mean over 32 cells of the picture

    @dy.rule()
    def has_frames(cls) -> pl.Expr:
        """A shot is never empty."""
        return pl.col("end_frame_index") > pl.col("first_frame_index")


class Change(dy.Schema):
    """What shots are decided on, of each decoded frame; no threshold is in here.

    Measured on thumbnails of 64 x 36 px; empty where the shot detector is not one of ours.
    """

    film_id = dy.String(primary_key=True)
    frame_index = dy.Int64(primary_key=True, min=0)
    pts = dy.Int64()
    timestamp_s = dy.Float64()  # pts * time base
    frame_bytes = dy.Int64(min=0)  # of the decoder's picture: decides how many are held at a time
    luma_levels = dy.Int32(min=0)  # summed absolute luma difference to the frame before
    luma_cells = dy.Array(dy.UInt8(nullable=True), 32, nullable=True)  # means of 8 x 4 cells
    moved = dy.Float32(min=0, max=1)  # what of that difference no movement explains, with chroma
    contrast = dy.Float32(min=0, max=1)  # standard deviation of the liveliest plane
    brightness = dy.Float32(min=-1e-6, max=1)  # mean luma
    cut_score = dy.Float64(min=0, nullable=True)  # a cut where it reaches `cut_threshold` ...
    cut_veto = dy.Enum(["unmeasured", "none", "flash", "passing", "light", "same-view"])  # ... if
    # nothing speaks against it; "same-view" does only up to twice the threshold
    fade_first_index = dy.Int64(nullable=True, min=0)  # on a fade's middle frame: its bottom,
    fade_end_index = dy.Int64(nullable=True, min=0)  # half-open, and with its fall and its rise;
    fade_flank_first_index = dy.Int64(nullable=True)
    fade_flank_end_index = dy.Int64(nullable=True)
    fade_known_index = dy.Int64(nullable=True, min=0)  # the frame with which it was over
    # Possible dissolves with their middle here, by width: half of it in steps, how sure each is,
    # and the largest `cut_threshold` at which it counts.
    dissolve_steps = dy.List(dy.UInt8(nullable=True), nullable=True)
    dissolve_weight = dy.List(dy.Float64(nullable=True), nullable=True)
    dissolve_limit = dy.List(dy.Float64(nullable=True), nullable=True)


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
    file = dy.String(nullable=True, metadata=IS_PATH)  # null when the picture could not be made
    width_px = dy.Int32(nullable=True, min=1)
    height_px = dy.Int32(nullable=True, min=1)
    crop_x0_px = dy.Int32(min=0, nullable=True)  # where `file` lies in the picture as shown,
    crop_y0_px = dy.Int32(min=0, nullable=True)  # whose size is the film's: bars found over the
    crop_x1_px = dy.Int32(min=0, nullable=True)  # shot are cut off; all of it when there are none
    crop_y1_px = dy.Int32(min=0, nullable=True)
    reason = dy.Enum(
        ["keyframe", "interval", "shot-median", "shot-start", "shot-middle", "shot-end", "extra"]
    )
    source_file = dy.String(nullable=True)  # of a folder of pictures: the picture's name in it
    captured_at = dy.Datetime(nullable=True)  # and when it was taken, by its EXIF: camera time
    error = dy.String(nullable=True)


class ExtraFrame(Frame):
    """A frame that detection looked at besides the kept ones; its picture is not stored."""

    colour_cells = dy.Array(dy.UInt8(nullable=True), 3072, nullable=True)  # see table measure


class SkippedFrame(dy.Schema):
    """A frame between kept ones that was not searched for faces, as it would add nothing."""

    shot_index = dy.Int32(min=0)
    frame_index = dy.Int64(primary_key=True, min=0)
    reason = dy.Enum(["no-face", "name-sure", "still", "enough", "effort"])
    # no kept frame of the shot shows a face; all its faces are surely somebody or nobody; hardly
    # differs from a searched frame; enough of the shot are searched; `detection.effort` is fast


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
    cast_red = dy.Float32(nullable=True)  # mean CIELAB a* (D65): green below 0, red above
    cast_yellow = dy.Float32(nullable=True)  # mean CIELAB b*: blue below 0, yellow above
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
    colour_cells = dy.Array(dy.UInt8(nullable=True), 3072, nullable=True)  # see quality.colour_cell


class Quality(Numbers):
    """The numbers and what today's settings decide from them; rewritten at each change of them."""

    is_kept = dy.Bool()
    reason = dy.Enum(
        [
            "kept",
            "blurred",
            "dark",
            "bright",
            "flat",
            "duplicate",
            "batch",
            "unreadable",
            "black",
            "blank",
            "title",
            "credit",
            "smeared",
            "blocky",
            "subtitled",
        ]
    )
    strictness = dy.Float32(nullable=True, min=-1, max=3)  # up to which it is good; see preset
    duplicate_of = dy.String(nullable=True)  # the frame_id that stays
    duplicate_group = dy.String(nullable=True)  # the same; on the one that stays, its own
    duplicate_bits = dy.UInt8(nullable=True, max=64)  # Hamming distance to the one that stays
    duplicate_similarity = dy.Float32(nullable=True, min=-1, max=1)  # of signatures, to it


class BatchFilm(dy.Schema):
    """A film of a batch, how its run ended and what came of it."""

    film = dy.String(primary_key=True)  # the path that was given
    film_id = dy.String(nullable=True)  # null: it was never opened
    status = dy.Enum(["waiting", "running", "done", "refused", "failed", "stopped"])
    # refused: a person can mend it; failed: after all attempts, and put aside
    node = dy.String(nullable=True)  # where it runs, or ran last
    num_attempts = dy.Int32(min=0)  # processes; one that is divided for a GPU has two that end well
    seconds = dy.Float64(min=0)  # of all attempts
    duration_s = dy.Float64(min=0, nullable=True)  # of the film
    error = dy.String(nullable=True)
    num_shots = dy.Int64(min=0)
    num_frames = dy.Int64(min=0)  # that were kept
    num_labels = dy.Int64(min=0)  # faces and figures with a name
    num_characters = dy.Int64(min=0)
    num_captions = dy.Int64(min=0)
    num_images = dy.Int64(min=0)  # of the training set
