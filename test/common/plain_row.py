"""Rows of tables as stages write them for a plain film; what is given by name wins."""

from __future__ import annotations

from typing import Any

BOX = ("x0_px", "y0_px", "x1_px", "y1_px")
SIDES = ("width_px", "height_px")


def box(x0: float, y0: float, x1: float, y1: float) -> dict[str, float]:
    """The columns of a rectangle."""
    return dict(zip(BOX, (x0, y0, x1, y1), strict=True))


def film(num_frames: int, size: tuple[int, int], *, per_s: int = 24, **more: Any) -> dict:
    """A row of `film`, without sound; `size` is its width and height."""
    return {
        "film_id": "film",
        "path": "film.mp4",
        "content_hash": "0" * 64,
        "container": "mp4",
        "codec": "h264",
        "frame_rate_num": per_s,
        "frame_rate_den": 1,
        "time_base_num": 1,
        "time_base_den": per_s,
        "start_s": 0.0,
        "duration_s": num_frames / per_s,
        "num_frames": num_frames,
        "rotation_deg": 0,
        "is_mirrored": False,
        "is_interlaced": False,
        "num_frames_failed": 0,
        "stream_index": 0,
        "has_audio": False,
        "decoder": "pyav",
        **dict(zip(SIDES, size, strict=True)),
        **more,
    }


def shot(index: int, *, length: int = 24, per_s: int = 24, **more: Any) -> dict:
    """A row of `shot`: a still one, behind others of as many frames."""
    first, end = length * index, length * (index + 1)
    return {
        "film_id": "film",
        "shot_index": index,
        "first_frame_index": first,
        "end_frame_index": end,
        "start_s": first / per_s,
        "end_s": end / per_s,
        "start_pts": first,
        "end_pts": end,
        "transition_in": "cut",
        "motion": 0.0,
        "kind": "static",
        **more,
    }


def frame(index: int, shot_index: int = 0, size=(128, 96), *, per_s: int = 24, **more: Any) -> dict:
    """A row of `frame`; `size` is its width and height."""
    return {
        "frame_id": f"{more.get('film_id', 'film')}-{index:08d}",
        "film_id": "film",
        "shot_index": shot_index,
        "frame_index": index,
        "pts": index,
        "time_base_num": 1,
        "time_base_den": per_s,
        "timestamp_s": index / per_s,
        "file": f"frame/{index:08d}.png",
        "reason": "interval",
        **dict(zip(SIDES, size, strict=True)),
        **more,
    }


def label(subject_id: str, character: str | None, **more: Any) -> dict:
    """A row of `label`: a drawn figure that is like its references."""
    return {
        "subject_id": subject_id,
        "subject_type": "region",
        "character": character,
        "confidence": 0.9,
        "source": "reference",
        **more,
    }


def quality(frame_id: str, number: int, **more: Any) -> dict:
    """A row of `quality`: a sharp frame, unlike those of other numbers."""
    return {
        "frame_id": frame_id,
        "is_kept": True,
        "reason": "kept",
        "phash": number * 0x0123456789ABCDEF % 2**64,
        "blur_score": 0.9,
        **more,
    }


def scene(frame_id: str, shot_index: int, scene_id: str | None, **more: Any) -> dict:
    """A row of `cluster`: a frame in its scene."""
    return {
        "item_id": frame_id,
        "level": "scene",
        "shot_index": shot_index,
        "cluster_id": scene_id,
        "scene_id": scene_id,
        "is_noise": False,
        **more,
    }


def training_run(character: str, adapter: dict, **more: Any) -> dict:
    """A row of `training_run`: one that is done, with the adapter of this row of `adapter`."""
    return {
        "run_id": "r",
        "character": character,
        "trigger": character,
        "base_model": "toy",
        "base_hash": "0",
        "config_json": "{}",
        "seed": 0,
        "num_images": 2,
        "num_held_out": 2,
        "num_steps": 10,
        "seconds": 1.0,
        "status": "done",
        "adapter_file": adapter["file"],
        "adapter_hash": adapter["hash"],
        **more,
    }


def clip(clip_id: str, size: tuple[int, int], **more: Any) -> dict:
    """A row of `clip`: 33 frames of 16 a second, not cropped; `size` is its width and height."""
    return {
        "clip_id": clip_id,
        "split": "train",
        "start_s": 0.0,
        "end_s": 33 / 16,
        "fps": 16.0,
        "num_frames": 33,
        **dict(zip(SIDES, size, strict=True)),
        **{f"crop_{side}": value for side, value in box(0, 0, *size).items()},
        "camera": "static",
        "motion": 2.0,
        "coverage": 1.0,
        "also_shown": [],
        "frame_indices": list(range(33)),
        "has_audio": False,
        "sha256": "a" * 64,
        **more,
    }


def picture(character: str, side_px: int, **more: Any) -> dict:
    """A row of `dataset`: a square that is held out."""
    return {
        "image_id": "i",
        "character": character,
        "role": "subject",
        "frame_id": "f",
        "subject_id": "s",
        "shot_index": 0,
        "file": "f",
        **box(0, 0, side_px, side_px),
        **dict(zip(SIDES, (side_px, side_px), strict=True)),
        "upscale": 1.0,
        "shot_size": "medium",
        "caption": character,
        "repeats": 1,
        "split": "held-out",
        **more,
    }
