"""Rows of table `face` as YuNet and SFace give them for a clear frontal face."""

import numpy as np


def face_row(face_id, vector, *, x_px=0.0, side_px=112.0, **more):
    """A face of this embedding; `more` wins over what stands here."""
    return {
        "face_id": face_id,
        "frame_id": face_id[:2],
        "shot_index": 0,
        "x0_px": x_px,
        "y0_px": 0.0,
        "x1_px": x_px + side_px,
        "y1_px": side_px,
        "detector": "yunet",
        "score": 0.9,
        "landmark": np.zeros(10),
        "yaw": 0.0,
        "size_px": side_px,
        "sharpness": 200.0,
        "recogniser": "sface",
        "embedding": vector,
        **more,
    }
