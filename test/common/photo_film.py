"""Films made of photographs, run as far as their clusters: one face that is found, or none."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import odd_film
import plain_row

from bunny.core import atomic, workspace
from bunny.core.config import Config
from bunny.quality.measure import measure_frame
from bunny.stage.cluster import Cluster
from bunny.stage.detect import Detect
from bunny.stage.filter import Filter
from bunny.table import store

NUM_FRAMES = 4


def make_film(folder, name, images, references=None):
    """A film of stored frames, two in a shot, run as far as its clusters."""
    film = folder / f"{name}.mp4"
    if not film.exists():
        film.write_bytes(name.encode())
    space = workspace.create(folder, "data", film, references)
    rows = []
    for i, image in enumerate(images):
        file = f"frame/{i:08d}.png"
        atomic.write_bytes(space.root / file, cv2.imencode(".png", image)[1].tobytes())
        rows.append(plain_row.frame(i, i // 2, image.shape[1::-1], per_s=1, film_id=space.film_id))
    store.write(space.table, "frame", store.from_rows("frame", rows))
    measured = [
        {"frame_id": r["frame_id"], **vars(measure_frame(i))}
        for r, i in zip(rows, images, strict=True)
    ]
    store.write(space.table, "measure", store.from_rows("measure", measured))
    about = plain_row.film(len(rows), (512, 512), per_s=1, film_id=space.film_id, path=film.name)
    shots = [
        plain_row.shot(k, length=2, per_s=1, film_id=space.film_id) for k in range(len(rows) // 2)
    ]
    store.write(space.table, "film", store.from_rows("film", [about]))
    store.write(space.table, "shot", store.from_rows("shot", shots))
    run(space)
    return space


def encode(folder, name, pictures, num_frames=8):
    """A real film of pictures, each for a second, to be there before `make_film`."""
    frames = [picture[:, :, ::-1].copy() for picture in pictures for _ in range(num_frames)]
    rate = Fraction(num_frames)
    odd_film.write(folder / f"{name}.mp4", frames, time_base=1 / rate, rate=rate)


def run(space):
    for stage in (Filter, Detect, Cluster):
        stage(Config(), space.root, space.root).execute()


def astronaut_pictures():
    """Four pictures of the astronaut, and four brighter ones, cut closer; BGR, uint8."""
    from skimage import data

    whole = np.ascontiguousarray(data.astronaut()[:, :, ::-1])
    dark = (whole * 0.7).astype(np.uint8)
    near = cv2.resize(whole[:380, 60:440], (512, 512))
    light = np.clip(near * 1.15, 0, 255).astype(np.uint8)
    one = [whole, dark, whole[:, ::-1], dark[:, ::-1]]
    return one, [near, light, near[:, ::-1], light[:, ::-1]]
