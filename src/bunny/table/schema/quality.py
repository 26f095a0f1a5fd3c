"""What was measured on the pixels of a frame and what is decided from it."""

import dataframely as dy


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
