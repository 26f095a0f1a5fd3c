"""A film as the first five stages leave it: pictures and tables, made without running them."""

from pathlib import Path

import bare_film
import cv2
import numpy as np
import plain_row
import pytest

from bunny.table import store

SHOTS, FRAMES_A_SHOT = 4, 2
SIZE = (96, 128)  # height, width


def _frame(shot: int, index: int) -> np.ndarray:
    """A white bunny of a disc and two ears on a ground that differs by shot."""
    picture = np.full((*SIZE, 3), (40 + 50 * shot, 160, 200 - 40 * shot), np.uint8)
    x, y = 40 + 12 * index, 60
    cv2.ellipse(picture, (x - 6, y - 28), (4, 14), 0, 0, 360, (255, 255, 255), -1)
    cv2.ellipse(picture, (x + 6, y - 28), (4, 14), 0, 0, 360, (255, 255, 255), -1)
    cv2.circle(picture, (x, y), 18, (255, 255, 255), -1)
    cv2.circle(picture, (x - 6, y - 4), 3, (0, 0, 0), -1)
    return picture


@pytest.fixture(scope="session")
def tiny_base_folder(tmp_path_factory) -> Path:
    """An untrained base of 32x32 pictures."""
    from toy import model

    folder = tmp_path_factory.mktemp("tiny_base") / "base"
    model.save_tiny(folder, seed=7)
    return folder


@pytest.fixture
def labelled_film(tmp_path) -> Path:
    """Four shots of two frames, "bunny" labelled in each; gives the film's folder."""
    film_dir = tmp_path / "data" / "output" / "film-00000000"
    (film_dir / "frame").mkdir(parents=True)
    rows: dict[str, list] = {n: [] for n in ("frame", "quality", "label", "caption", "cluster")}
    for number in range(SHOTS * FRAMES_A_SHOT):
        shot, index = divmod(number, FRAMES_A_SHOT)
        frame_id, file = f"film-{number:08d}", f"frame/{number:08d}.png"
        cv2.imwrite(str(film_dir / file), _frame(shot, index))
        for name, row in _rows(number, shot, index, frame_id, file).items():
            rows[name].append(row)
    rows |= {name: [] for name in bare_film.EMPTY}
    for name, content in rows.items():
        store.write(film_dir / "table", name, store.from_rows(name, content))
    bare_film.write_source(film_dir)
    return film_dir


def _rows(number: int, shot: int, index: int, frame_id: str, file: str) -> dict[str, dict]:
    """What the tables say of one frame."""
    box = plain_row.box(20 + 12 * index, 18, 60 + 12 * index, 78)
    place = {"frame_id": frame_id, "shot_index": shot}
    sure = {"distance": 0.3, "margin": 0.2}
    words = f"bunny character in a blue place, medium shot, {'day' if shot else 'night'}"
    return {
        "frame": plain_row.frame(number, shot, SIZE[::-1], file=file, reason="keyframe"),
        "quality": plain_row.quality(frame_id, number),
        "label": plain_row.label(f"{frame_id}-r0", "bunny", **place, **box, **sure),
        "caption": {
            "frame_id": frame_id,
            "version": 1,
            "text": words,
            "provider": "local",  # fitted to windows; those of tags are composed anew
            "status": "done",
        },
        "cluster": plain_row.scene(frame_id, shot, f"scene-{shot:03d}"),
    }
