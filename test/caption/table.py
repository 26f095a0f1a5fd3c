"""Small tables of two shots: a bunny alone, then a bunny's face beside a stranger's."""

from bunny.table import store

QUALITY = {
    "laplacian_variance": 100.0,
    "blur_score": 0.8,
    "contrast": 0.2,
    "clipped_dark_share": 0.0,
    "clipped_bright_share": 0.0,
    "entropy_bits": 6.0,
    "content_x0_px": 0,
    "content_y0_px": 0,
    "content_x1_px": 200,
    "content_y1_px": 100,
    "phash": 1,
}


def make_tables(num_frames: int = 3) -> dict:
    """Frames f0 (bunny, region), f1 (two faces), f2 (nobody), and so on empty; the last not kept.

    Pictures are 200 x 100 pixels.
    """
    frames, quality, labels, places = [], [], [], []
    for i in range(num_frames + 1):
        shot = min(i, 1)
        frames.append(
            {"frame_id": f"f{i}", "film_id": "film", "shot_index": shot, "frame_index": i}
            | {"pts": i, "time_base_num": 1, "time_base_den": 24, "timestamp_s": i / 24}
            | {"file": f"frame/f{i}.png", "width_px": 200, "height_px": 100}
            | {"reason": "shot-median"}
        )
        kept = i < num_frames
        quality.append(
            {"frame_id": f"f{i}", **QUALITY, "brightness": (0.6, 0.3, 0.1)[min(i, 2)]}
            | {"cast_red": 2.0, "cast_yellow": (1.0, -12.0, -3.0)[min(i, 2)]}
            | {"is_kept": kept, "reason": "kept" if kept else "blurred"}
        )
        places.append(
            {"item_id": f"f{i}", "level": "scene", "shot_index": shot, "is_noise": i > 1}
            | {"cluster_id": f"scene-00{i}" if i < 2 else None}
        )

    def label(subject, kind, name, frame, *box):
        keys = ("x0_px", "y0_px", "x1_px", "y1_px")
        labels.append(
            {"subject_id": subject, "subject_type": kind, "character": name, "frame_id": frame}
            | {"shot_index": 0, "confidence": 0.9, "source": "reference"}
            | dict(zip(keys, box, strict=True))
        )

    label("f0-r0", "region", "bunny", "f0", 60, 20, 120, 80)
    label("f0-r1", "region", None, "f0", 0, 0, 30, 30)
    label("f1-f0", "face", "bunny", "f1", 20, 10, 60, 50)
    label("f1-f1", "face", None, "f1", 150, 60, 160, 75)
    shots = [
        {"film_id": "film", "shot_index": i, "first_frame_index": i, "end_frame_index": i + 1}
        | {"start_s": 0.0, "end_s": 1.0, "start_pts": 0, "end_pts": 1, "motion": 0.1 * i}
        | {"transition_in": ("start", "cut")[i], "kind": ("static", "dynamic")[i]}
        for i in range(2)
    ]
    rows = {"frame": frames, "quality": quality, "label": labels, "cluster": places, "shot": shots}
    drawn = {"num_frames": 1, "drawn_probability": 1.0, "is_drawn": True}
    rows["shot_medium"] = [{"shot_index": i, **drawn} for i in range(2)]
    rows |= {"face": [], "region": []}
    return {name: store.from_rows(name, values) for name, values in rows.items()}
