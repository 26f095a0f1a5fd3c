"""Clips, stills and pairs of two sizes and lengths."""

import numpy as np
import pytest
import tiny_clip

from bunny.core import atomic
from bunny.trainer_format.export import configuration, media
from bunny.trainer_format.export.media import TrainingClip, TrainingPair, TrainingStill


def write_picture(path, size=(64, 96), shade=90):
    import cv2

    pixels = np.full((size[1], size[0], 3), shade, np.uint8)
    pixels[: size[1] // 2] //= 2
    atomic.write_bytes(path, cv2.imencode(".png", pixels)[1].tobytes())
    return path


@pytest.fixture
def clips(tmp_path):
    """Two clips of 33 frames and one of 49, of another shape."""

    def make(name, frames, size):
        file = tiny_clip.write_clip(tmp_path / "film" / f"{name}.mp4", frames, 16, size)
        caption = f"anna walks, clip {name}"
        facts = {"num_frames": frames, "fps": 16.0, "columns": {"clip_id": name}}
        return TrainingClip(
            file=file, caption=caption, width_px=size[0], height_px=size[1], **facts
        )

    return [make("a1", 33, (128, 96)), make("a2", 33, (128, 96)), make("b1", 49, (96, 128))]


@pytest.fixture
def stills(tmp_path):
    """One training picture."""
    file = write_picture(tmp_path / "film" / "s1.png")
    return [TrainingStill(file=file, caption="anna in a room", width_px=64, height_px=96)]


@pytest.fixture
def pairs(tmp_path):
    """A pair with two references and two with one."""

    def make(name, kind, number):
        target = write_picture(tmp_path / "film" / f"{name}.png")
        refs = [
            write_picture(tmp_path / "film" / f"{name}r{i}.png", (96, 96), 150)
            for i in range(number)
        ]
        return TrainingPair(
            pair_id=name,
            kind=kind,
            target=target,
            references=tuple(refs),
            instruction=f"make {name}",
            width_px=64,
            height_px=96,
            columns={"pair_id": name},
        )

    return [make("p1", "reference", 2), make("p2", "reference", 1), make("p3", "reference", 1)]


@pytest.fixture
def export(tmp_path, clips, stills, pairs):
    """Write a format's folder of clips or of pairs; gives the folder."""

    def make(form, what="clips"):
        place = tmp_path / f"{what}-{form}"
        place.mkdir()
        if what == "clips":
            folders = media.write_clips(place, clips, stills)
        else:
            folders = media.write_pairs(place, pairs, configuration.MAX_REFERENCES[form])
        for name, text in configuration.WRITERS[form](folders, place).items():
            (place / name).write_text(text + "\n", encoding="utf-8", newline="\n")
        return place

    return make
